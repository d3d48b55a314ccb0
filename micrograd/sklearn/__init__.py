"""scikit-learn's MLPClassifier and MLPRegressor, trained by the C core; extra `sklearn`."""

from micrograd.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
