"""A grid search over the parameters of an MLP."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV


class MLPSearchCV(GridSearchCV):
    """GridSearchCV for MLPs, or for Pipelines with one, and with the same results.

    Args:
        estimator: MLPClassifier or MLPRegressor, or a Pipeline with one.
        param_grid: {parameter: values}, or a list of such grids.
        cv, scoring, refit, verbose, error_score, return_train_score: as of GridSearchCV.
        n_jobs: processes; None: this one, in which the C core uses threads where they pay.

    Attributes:
        cv_results_, best_params_, best_score_, best_estimator_, best_index_: as of GridSearchCV.

    >>> from sklearn.datasets import load_iris
    >>> from micrograd.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> search = MLPSearchCV(MLPClassifier(max_iter=20, random_state=0), {"alpha": [0, 1]}, cv=2)
    >>> search.fit(X, y).best_params_["alpha"] in (0, 1)
    True
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        cv: Any = None,
        scoring: Any = None,
        refit: Any = True,
        n_jobs: int | None = None,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator, param_grid, cv=cv, scoring=scoring, refit=refit, n_jobs=n_jobs,
            verbose=verbose, error_score=error_score, return_train_score=return_train_score,
        )  # fmt: skip
