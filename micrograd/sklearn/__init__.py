"""scikit-learn's MLPClassifier and MLPRegressor, trained by the C core; extra `sklearn`."""

from micrograd import checks

checks.require("micrograd.sklearn", "scikit-learn", "sklearn.base", "sklearn")

from micrograd.sklearn.estimators import MLPClassifier, MLPRegressor  # noqa: E402
from micrograd.sklearn.search import MLPSearchCV  # noqa: E402
from micrograd.sklearn.tabular import TabularClassifier, TabularRegressor  # noqa: E402

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "MLPSearchCV",
    "TabularClassifier",
    "TabularRegressor",
]
