"""A grid search over the parameters of an MLP, whose fits are trained together."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed

from micrograd import core
from micrograd.sklearn.parameters import limited_threads
from micrograd.sklearn.side_by_side import (
    Candidate,
    Fit,
    Fold,
    candidates,
    fitted,
    last_step,
    own_score,
)
from micrograd.sklearn.undo import as_before_on_failure

Result = dict[str, Any]  # of one fit, as scikit-learn's functions want it


class MLPSearchCV(GridSearchCV):
    """GridSearchCV for MLPs, or for Pipelines with one, with the same results in less time.

    All fits are trained together: the C core goes on over all networks in one call, shares them out
    over threads, and runs small equal ones side by side in the lanes of vectors; each ends with the
    bits of a fit alone. What candidates have in common is done once: the checks of a fold's rows,
    and the transformers of a Pipeline for each fold and each setting of their own. Fits with
    solver="lbfgs", callbacks, verbose, n_members or a RandomState, Pipelines with memory, and all
    with parameters of fit or verbose=2 and more, go GridSearchCV's way.

    Args:
        estimator: MLPClassifier or MLPRegressor, or a Pipeline that ends with one.
        param_grid: {parameter: values}, or a list of such grids.
        cv, scoring, refit, verbose, error_score, return_train_score: as of GridSearchCV.
        n_jobs: threads of the C core, at most, within what mg.set_num_threads and the environment
            allow; None and -1 are all those. Of fits that go GridSearchCV's way: processes.

    Attributes:
        cv_results_, best_params_, best_score_, best_estimator_, best_index_: as of GridSearchCV.
            fit_time is a fit's share of the time that all have taken together, by its number of
            multiplications. With random_state=None each fit draws a seed of its own.

    Raises:
        ValueError, TypeError: as GridSearchCV; with error_score="raise" also what a fit raises.

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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fits all candidates on all folds, and the best on all rows.

        Args:
            X, y: (rows, features) and targets, as of the estimator.
            params: as of GridSearchCV.fit.

        Returns:
            The search itself.
        """
        with as_before_on_failure(self):
            return self._searched(X, y, params)

    def _searched(self, X: Any, y: Any, params: dict[str, Any]) -> Any:
        mlp = last_step(self.estimator)
        plain = params or y is None or self.verbose > 1 or get_config()["enable_metadata_routing"]
        if mlp is None or plain or getattr(self, "_skl_callbacks", None):
            return super().fit(X, y, **params)
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        base = clone(self.estimator)
        settings = list(ParameterGrid(self.param_grid))
        found = list(candidates(base, settings))
        if not any(found):
            return super().fit(X, y)
        scorers, metric = self._get_scorers()
        X, y = indexable(X, y)
        self._checked_cv_orig = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(self._checked_cv_orig.split(X, y))
        self.n_splits_ = len(splits)
        if self.verbose:
            print(
                f"Fitting {len(splits)} folds for each of {len(settings)} candidates, totalling "
                f"{len(splits) * len(settings)} fits"
            )
        with limited_threads(mlp), limited_threads(self):
            together = self._evaluated(X, y, found, splits, scorers)
        alone = [parameters for parameters, c in zip(settings, found, strict=True) if c is None]
        others = iter(self._one_by_one(base, X, y, alone, splits, scorers) if alone else [])
        out = [next(others) if result is None else result for result in together]
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        self._conclude(self._format_results(settings, len(splits), out), out, scorers, metric)
        if self.refit:
            self._refit(base, X, y)
        return self

    def _evaluated(
        self, X: Any, y: Any, found: list[Candidate | None], splits: list[Any], scorers: Any
    ) -> list[Result | None]:
        """The result of each candidate on each fold, candidate after candidate."""
        folds: dict[Any, Fold] = {}
        fits: list[Fit] = []
        places: dict[int, int] = {}
        for k, (train, test) in enumerate(splits):
            for i, candidate in enumerate(found):
                if candidate is None:
                    continue
                key = k, candidate.key
                if key not in folds:
                    folds[key] = Fold(candidate, X, y, train, test)
                fits.append(Fit(candidate, folds[key]))
                places[id(fits[-1])] = i * len(splits) + k
        results: list[Result | None] = [None] * (len(found) * len(splits))
        for fit in fitted(fits, core.get_num_threads()):
            results[places[id(fit)]] = self._result(fit, scorers)
            fit.mlp = None
        return results

    def _one_by_one(
        self, base: Any, X: Any, y: Any, settings: list[Result], splits: list[Any], scorers: Any
    ) -> list[Result]:
        """The same for candidates that go GridSearchCV's way."""
        results: list[Result] = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_and_score)(
                clone(base), X, y, scorer=scorers, train=train, test=test, verbose=0,
                parameters=parameters, fit_params={}, score_params={}, return_times=True,
                return_train_score=self.return_train_score, return_n_test_samples=True,
                error_score=self.error_score,
            )
            for parameters in settings
            for train, test in splits
        )  # fmt: skip
        return results

    def _result(self, fit: Fit, scorers: Any) -> Result:
        """What has become of a fit."""
        names = ("test_scores", "train_scores") if self.return_train_score else ("test_scores",)
        result: Result = {
            "fit_error": None,
            "n_test_samples": len(fit.fold.test),
            "fit_time": fit.seconds,
            "score_time": 0.0,
        }
        if fit.error is None:
            started = perf_counter()
            result["test_scores"] = self._scores(fit, scorers, test=True)
            result["score_time"] = perf_counter() - started
            if self.return_train_score:
                result["train_scores"] = self._scores(fit, scorers, test=False)
            return result
        if self.error_score == "raise":
            raise fit.error
        failed = self.error_score
        if isinstance(scorers, _MultimetricScorer):
            failed = dict.fromkeys(scorers._scorers, failed)
        return result | dict.fromkeys(names, failed) | {"fit_error": fit.traceback()}

    def _scores(self, fit: Fit, scorers: Any, test: bool) -> Any:
        """What the scorers say; of the default ones, who check their input each time, the same
        numbers without them."""
        fold = fit.fold
        if self.scoring is None and own_score(fit.mlp):
            try:
                return fold.score(fit.mlp, test)
            except (ValueError, TypeError):
                pass  # what does not fit; scikit-learn's words for it follow
        X, y = (fold.X_test, fold.y_test) if test else (fold.X_train, fold.y)
        return _score(fit.whole, X, y, scorers, {}, self.error_score)

    def _conclude(self, results: Result, out: list[Result], scorers: Any, metric: Any) -> None:
        """Results, and which is the best."""
        first = out[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        self.scorer_ = scorers._scorers if isinstance(scorers, _MultimetricScorer) else scorers
        self.cv_results_ = results

    def _refit(self, base: Any, X: Any, y: Any) -> None:
        best = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(base).set_params(**best)
        started = perf_counter()
        self.best_estimator_.fit(X, y)
        self.refit_time_ = perf_counter() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
