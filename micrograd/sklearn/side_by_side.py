"""The fits of a grid search, begun side by side and trained together.

What many fits have in common is done once: the rows of a fold are checked once, transformers of a
Pipeline are fitted once for each fold and each setting of their own, equal networks with equal
seeds get the same first weights and the same orders of rows. Each fit ends with the bits that it
would have ended with alone.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, clone, is_regressor
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import validate_data

from micrograd.core import Array
from micrograd.sklearn.base import BaseMLP
from micrograd.sklearn.members import watched
from micrograd.sklearn.model import Model
from micrograd.sklearn.parameters import STOCHASTIC, check_settings, narrowed
from micrograd.sklearn.running import Rhythm, Training, together
from micrograd.sklearn.solvers import Orders, batch_size

MOST_BYTES = 256 << 20  # of the networks that are trained at once
MOST_SHARED = 1 << 22  # rows of all orders that fits may share: they stay until the end
CALL = 0.1, 0.4  # seconds of a call of the C core: a network that it comes back to is cold
SPEED = 1.5e11  # floating-point operations a second of a thread, about: for the first call


@dataclass
class Candidate:
    """One setting of the grid.

    whole: the estimator or Pipeline with this setting; mlp: its last step, or itself; key: tells
    settings of the steps before from each other; error: what is wrong with the setting.
    """

    whole: Any
    mlp: Any
    key: Any
    error: Exception | None


def last_step(estimator: Any) -> Any:
    """The estimator, or what a Pipeline ends with, if fits of it can be trained together: where
    they are those of BaseMLP, and nobody looks at what happens in between."""
    if type(estimator) is Pipeline and estimator.memory is None and not estimator.verbose:
        estimator = estimator.steps[-1][1]
    own = isinstance(estimator, BaseMLP) and type(estimator).fit is BaseMLP.fit
    return estimator if own and type(estimator).training is BaseMLP.training else None


def candidates(estimator: Any, settings: Sequence[dict[str, Any]]) -> Iterator[Candidate | None]:
    """Those that can be trained together; None for each of the others.

    Raises:
        ValueError: there is no such parameter.
    """
    checked = False
    for parameters in settings:
        if isinstance(estimator, BaseMLP):
            whole = _copy(estimator)
            known = parameters.keys() <= vars(whole).keys()
            vars(whole).update(parameters) if known else whole.set_params(**parameters)
            own, key = set(parameters), None
        else:
            whole = clone(estimator).set_params(**clone(parameters, safe=False))
            own, key = None, _key(estimator, parameters)
        mlp = last_step(whole)
        plain = mlp is not None and mlp.solver in STOCHASTIC and not watched(mlp)
        seed = None if mlp is None else mlp.random_state
        if not plain or mlp.n_members != 1 or isinstance(seed, np.random.RandomState):
            yield None
            continue
        error = None
        try:
            check_settings(mlp, f"{type(mlp).__name__}.fit", own if checked else None)
            checked = True
        except Exception as wrong:
            error = wrong
        yield Candidate(whole, mlp, key, error)


def _key(estimator: Any, parameters: dict[str, Any]) -> Any:
    """Of what a setting says of the steps before the last: which objects, as 0 == False == 0.0."""
    last = estimator.steps[-1][0]
    said = sorted(parameters.items())
    return tuple((name, id(value)) for name, value in said if name.split("__")[0] != last)


def _copy(estimator: Any) -> Any:
    """One of the same attributes, which are the same objects."""
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other


def _rows(X: Any, index: Array) -> Any:
    return X[index] if type(X) is np.ndarray else _safe_indexing(X, index)


class Fold:
    """The rows of a fold as transformers have made them, and as networks take them.

    front: the transformers, fitted to the rows to train on, or None.
    """

    def __init__(self, candidate: Candidate, X: Any, y: Any, train: Array, test: Array) -> None:
        started = perf_counter()
        self.rows, self.test = len(train), test
        self.X = self.X_train = _rows(X, train)
        self.y = _rows(y, train)
        self.X_test, self.y_test = _rows(X, test), _rows(y, test)
        self.front: Any = None
        self._fitted: dict[type, Any] = {}
        self._batches: dict[Any, Any] = {}
        self._checked: dict[Any, Any] = {}
        self.error: Exception | None = None
        try:
            if candidate.whole is not candidate.mlp and len(candidate.whole.steps) > 1:
                self.front = clone(candidate.whole)[:-1]
                self.X = self.front.fit_transform(self.X, self.y)
        except Exception as error:
            self.error = error
        self.seconds = perf_counter() - started

    def fitted(self, mlp: Any) -> tuple[dict[str, Any], Any, Any]:
        """What fit learns from the data alone: attributes, and X and y, checked."""
        kind = type(mlp)
        if kind not in self._fitted:
            like = _copy(mlp)
            X, y = like._check_targets(self.X, self.y, f"{kind.__name__}.fit", True)
            names = vars(like).keys() - vars(mlp).keys()
            self._fitted[kind] = {name: getattr(like, name) for name in names}, X, y
        return self._fitted[kind]  # type: ignore[no-any-return]

    def batch(self, mlp: Any, rows: Any) -> Any:
        """Those rows as the network takes them; the same ones for all that are alike."""
        model, where = mlp._model, f"{type(mlp).__name__}.fit"
        data = rows.X, rows.targets, rows.weights
        if rows.weights is not None:
            return model.net.checked_batch(where, *data)
        key = type(mlp), model.architecture.dtype, model.architecture.output
        if key not in self._batches:
            self._batches[key] = model.net.checked_batch(where, *data)
        return self._batches[key]

    def score(self, mlp: Any, test: bool) -> float:
        """What mlp.score says of the rows, as transformed; see `own_score`.

        Raises:
            ValueError, TypeError: something is wrong with them.
        """
        wide, x = self._rows_of(mlp, test)
        z = mlp._logits(x)
        z = z.astype(wide) if z.itemsize < wide.itemsize else z
        y = self.y_test if test else self.y
        if is_regressor(mlp):
            return float(r2_score(y, mlp._predicted(z)))
        right = mlp._classes_of(z) == np.asarray(y)
        if right.ndim != 1:
            raise ValueError("several labels a row")
        return float(np.count_nonzero(right) / len(right))

    def _rows_of(self, mlp: Any, test: bool) -> Any:
        """The dtype of predictions, and X to predict from, checked, in that of the network."""
        dtype = mlp._model.coefs[0].dtype
        if (test, dtype) not in self._checked:
            X = self.X_test if test else self.X
            if test and self.front is not None:
                X = self.front.transform(X)
            X = validate_data(
                _copy(mlp), X, accept_sparse=["csr"], dtype=(np.float64, np.float32), reset=False
            )
            self._checked[test, dtype] = X.dtype, narrowed(X, dtype)
        return self._checked[test, dtype]


def own_score(mlp: Any) -> bool:
    """Whether score is scikit-learn's own: accuracy, or R^2."""
    return type(mlp).score in (ClassifierMixin.score, RegressorMixin.score)


@dataclass
class Fit:
    """One candidate on one fold: the estimator, or why there is none; and how long it took."""

    candidate: Candidate
    fold: Fold
    mlp: Any = None
    error: BaseException | None = None
    seconds: float = 0.0

    @property
    def whole(self) -> Any:
        """The fitted estimator or Pipeline."""
        whole = self.candidate.whole
        if whole is self.candidate.mlp:
            return self.mlp
        front = [] if self.fold.front is None else self.fold.front.steps
        return Pipeline([*front, (whole.steps[-1][0], self.mlp)])

    def traceback(self) -> str:
        """Of its error."""
        return "".join(traceback.format_exception(self.error))

    def seconds_a_batch(self) -> float:
        """About what a step of training takes."""
        rows = batch_size(self.mlp, self.fold.rows)
        return float(6 * rows * self.mlp._model.net.parameters().size / SPEED)

    def bytes(self) -> int:
        """About what its network takes while it is trained."""
        sizes, parameters = self.mlp._model.architecture.sizes, self.mlp._model.net.parameters()
        rows = batch_size(self.mlp, self.fold.rows)
        return int((4 * parameters.size + 3 * rows * sum(sizes)) * parameters.dtype.itemsize)


class Shared:
    """What fits of equal networks from equal seeds have in common."""

    def __init__(self) -> None:
        self._starts: dict[Any, tuple[Model, Array, np.random.RandomState]] = {}
        self._orders: dict[Any, Orders] = {}

    def training(self, fit: Fit, rhythm: Rhythm) -> Training:
        """That of a fit, at its beginning."""
        mlp: BaseMLP = fit.mlp
        fold = fit.fold
        where = f"{type(mlp).__name__}.fit"
        learnt, X, y = fold.fitted(mlp)
        vars(fit.mlp).update(learnt)
        mlp.n_outputs_ = mlp._outputs(y)
        weights = mlp._class_weights(y, None, where)
        rng, key = self._start(mlp, X)
        rows = mlp._rows(X, y, weights)
        mlp._prepare_curves(True)
        if mlp.early_stopping:  # rows are drawn first
            return mlp.train(rows, y, copy.deepcopy(rng), None, rhythm, where)
        orders = self._orders_of(mlp, len(rows), rng, key)
        return mlp.train(rows, y, rng, (orders, fold.batch(mlp, rows)), rhythm, where)

    def _start(self, mlp: Any, X: Any) -> tuple[np.random.RandomState, Any]:
        """Gives an estimator its first weights; returns what has drawn them, and what fits share
        that have drawn the same, or None."""
        if mlp.random_state is None:
            rng = np.random.RandomState(check_random_state(None).randint(2**31 - 1))
            mlp._start(X, rng)
            return rng, None
        key = mlp._architecture(X), int(mlp.random_state)
        if key in self._starts:
            like, flat, rng = self._starts[key]
            mlp._show_anew(Model(key[0], like.net.seed, like))
            mlp._model.net.parameters().flat[...] = flat
        else:
            rng = np.random.RandomState(mlp.random_state)
            mlp._start(X, rng)
            self._starts[key] = mlp._model, mlp._model.net.parameters().flat.copy(), rng
        return rng, key

    def _orders_of(self, mlp: Any, rows: int, rng: np.random.RandomState, key: Any) -> Orders:
        if not mlp.shuffle or key is None:
            return Orders(rows, rng if mlp.shuffle else None)
        if rows * mlp.max_iter > MOST_SHARED:
            return Orders(rows, copy.deepcopy(rng))
        if (key, rows) not in self._orders:
            self._orders[key, rows] = Orders(rows, copy.deepcopy(rng), keep=True)
        return self._orders[key, rows]


def fitted(fits: list[Fit], threads: int) -> Iterator[Fit]:
    """All of them as they have been fitted, in no particular order. Who gets one lets it go, as so
    many networks are kept at a time as MOST_BYTES hold."""
    shared, left = Shared(), iter(fits)
    more = True
    while more:
        begun: list[tuple[Fit, Training]] = []
        total, more = 0, False
        rhythm = Rhythm(*CALL)
        for fit in left:
            started = perf_counter()
            try:
                if fit.candidate.error or fit.fold.error:
                    raise fit.candidate.error or fit.fold.error  # type: ignore[misc]
                fit.mlp = _copy(fit.candidate.mlp)
                begun.append((fit, shared.training(fit, rhythm)))
                total += fit.bytes()
            except Exception as error:
                fit.mlp, fit.error = None, error
            fit.seconds = perf_counter() - started
            if fit.error is not None:
                yield fit
            if total > MOST_BYTES:
                more = True
                break
        seconds = sum(fit.seconds_a_batch() for fit, _ in begun) / threads
        rhythm.batches = max(1, int(2 * CALL[0] / seconds)) if begun else 1
        _train(begun, rhythm, threads)
        yield from (fit for fit, _ in begun)


def _train(begun: list[tuple[Fit, Training]], rhythm: Rhythm, threads: int) -> None:
    """Trains all; the time is shared out by how many multiplications each has made."""
    started = perf_counter()
    trainings = [training for _, training in begun]
    errors = together(trainings, rhythm, threads, interrupt_all=False)
    seconds = perf_counter() - started
    work = [max(1, fit.mlp.t_) * fit.mlp._model.net.parameters().size for fit, _ in begun]
    for (fit, _), error, part in zip(begun, errors, work, strict=True):
        fit.seconds += seconds * part / sum(work)
        if error is not None:
            fit.error, fit.mlp = error, None
