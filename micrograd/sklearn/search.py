"""A grid search whose fits run side by side in threads: the C core lets them."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV

from micrograd import core


class MLPSearchCV(GridSearchCV):
    """GridSearchCV for MLPs, or for Pipelines with one: the same results, without other processes.

    Each fit runs on one thread of the C core, and as many at once as there are threads: nothing is
    copied to processes, and small networks do not wait for one another.

    Args:
        estimator: MLPClassifier or MLPRegressor, or a Pipeline with one.
        param_grid: {parameter: values}, or a list of such grids.
        cv, scoring, refit, verbose, error_score, return_train_score: as of GridSearchCV.
        n_jobs: fits at once; None: as many as mg.get_num_threads().

    Attributes:
        cv_results_, best_params_, best_score_, best_estimator_, best_index_: as of GridSearchCV.

    >>> from sklearn.datasets import load_iris
    >>> from micrograd.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> search = MLPSearchCV(MLPClassifier(max_iter=20, random_state=0), {"alpha": [0, 1]}, cv=2)
    >>> search.fit(X, y).best_params_["alpha"] in (0, 1)  # doctest: +SKIP
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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fits every candidate on every fold, and the best one on all rows."""
        threads = core.get_num_threads()
        jobs = threads if self.n_jobs is None else self.n_jobs
        # scikit-learn's workers set the filters of warnings, which belong to the process;
        # of two threads one can end with those of the other, so they are put back here
        filters = warnings.catch_warnings()
        with filters, joblib.parallel_config(backend="threading", n_jobs=jobs):
            try:
                core.set_num_threads(1)
                return super().fit(X, y, **params)
            finally:
                core.set_num_threads(threads)
