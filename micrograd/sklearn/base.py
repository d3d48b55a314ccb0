"""What MLPClassifier and MLPRegressor share: fitting and stopping; micrograd.sklearn.fitted is what
comes after."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from micrograd import checks
from micrograd.core import Array
from micrograd.sklearn.fitted import Fitted
from micrograd.sklearn.members import fit_members
from micrograd.sklearn.model import Architecture, Model
from micrograd.sklearn.parameters import (
    CONSTRAINTS,
    STOCHASTIC,
    check_settings,
    chosen_dtype,
    hidden_activations,
    hidden_dropout,
    hidden_sizes,
    limited_threads,
)
from micrograd.sklearn.running import Rhythm, Training, alone
from micrograd.sklearn.solvers import Epochs, Orders, Rows, Steps, loss_of, minimise
from micrograd.sklearn.undo import as_before_on_failure


class BaseMLP(Fitted):
    """A multilayer perceptron behind scikit-learn's interface; see its two kinds."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    # ---- what the kinds add ----

    def _check_targets(self, X: Any, y: Any, where: str, first: bool) -> tuple[Any, Array]:
        """X and y, checked; y is (rows, outputs), or (rows, 1) with the numbers of classes."""
        raise NotImplementedError

    def _take_classes(self, y: Any, classes: Any) -> None:
        """Notes the classes that partial_fit is told."""

    def _rows(self, X: Any, y: Array, weights: Array | None) -> Rows:
        """Rows to train or to measure on."""
        raise NotImplementedError

    def _class_weights(self, y: Array, weights: Array | None, where: str) -> Array | None:
        """The sample weights with those of the classes."""
        return weights

    def _stratified(self, y: Array) -> Array | None:
        """What the held-out rows are stratified by."""
        return None

    def _outputs(self, y: Array) -> int:
        """Columns of the network's output."""
        raise NotImplementedError

    def _out_activation(self) -> str:
        raise NotImplementedError

    def _score_rows(self, rows: Rows) -> float:
        """The score on held-out rows, NaN where an output is not finite."""
        raise NotImplementedError

    # ---- fitting ----

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fits the network to X and y.

        Args:
            X: (rows, features), dense or sparse.
            y: (rows,) or (rows, outputs).
            sample_weight: (rows,), 0 or more; None weighs all rows alike.

        Returns:
            The estimator itself.

        Raises:
            InvalidParameterError: a parameter has the wrong type or is out of its range.
            TypeError, ValueError: the data do not fit, or training diverges. The estimator is then
                as it was before. With early_stopping, training that diverges ends with the best
                weights so far and a ConvergenceWarning.
        """
        where = f"{type(self).__name__}.fit"
        with as_before_on_failure(self):
            return self._fit(X, y, sample_weight, where)

    def _is_ensemble(self) -> bool:
        return isinstance(self.n_members, Integral) and int(self.n_members) > 1

    def _stochastic(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"{type(self).__name__}: partial_fit wants solver='adam' or 'sgd', not "
                f"{self.solver!r}"
            )
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, where: str, classes: Any = None) -> Any:
        given = X, y, sample_weight, where
        if self._is_ensemble():
            return fit_members(self, where, lambda each, pace: each.training(*given, pace, classes))
        check_settings(self, where)
        rhythm = Rhythm()
        with limited_threads(self):
            alone(self.training(*given, rhythm, classes), rhythm)
        return self

    def training(
        self, X: Any, y: Any, sample_weight: Any, where: str, rhythm: Rhythm, classes: Any = None
    ) -> Training:
        """What fit does once the parameters are checked, for micrograd.sklearn.running."""
        incremental = where.endswith("partial_fit")
        self.__dict__.pop("members_", None)
        if incremental and self.early_stopping:
            raise ValueError(
                f"{where} has no early stopping; early_stopping=True is for fit: call "
                "set_params(early_stopping=False) first"
            )
        if incremental:
            self._take_classes(y, classes)
        first = "coefs_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._check_targets(X, y, where, first)
        weights = self._checked_weights(X, y, sample_weight, where)
        rng = self._random_state = check_random_state(self.random_state)
        self.n_outputs_ = self._outputs(y)
        if first:
            self._start(X, rng)
        else:
            self._sync()
            self._check_same(X, where)
        if self.solver in STOCHASTIC:
            self._prepare_curves(first)
        rows = self._rows(X, y, weights)
        if self.solver in STOCHASTIC:
            yield from self.train(rows, y, rng, None, rhythm, where)
            return
        with self._model.weights.changing():
            self._run_lbfgs(rows, where)
        self._check_weights(where)

    def train(
        self, rows: Rows, y: Array, rng: np.random.RandomState, shared: Any, rhythm: Rhythm,
        where: str,
    ) -> Training:  # fmt: skip
        """The training of a stochastic solver from the weights that there are.

        shared: the Orders and the network's data that several trainings have in common, or None.
        """
        with self._model.weights.changing():
            yield from self._run_epochs(rows, y, rng, shared, rhythm, where)
        self._check_weights(where)

    def _check_weights(self, where: str) -> None:
        if not np.isfinite(self._model.net.parameters().flat).all():
            raise ValueError(
                f"{where}: the weights are not finite any more; are the features scaled?"
            )

    def _validated(self, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Any, Any]:
        for name, array in (("X", X), ("y", y)):
            checks.refuse_masked(type(self).__name__, name, array)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
            **options,
        )
        return (X.tocsr() if hasattr(X, "tocsr") else X), y

    def _checked_weights(self, X: Any, y: Array, sample_weight: Any, where: str) -> Array | None:
        weights = sample_weight
        if weights is not None:
            weights = _check_sample_weight(weights, X)
        weights = self._class_weights(y, weights, where)
        if weights is not None and (weights.min() < 0 or not weights.any()):
            raise ValueError(
                f"{where}: sample_weight and class_weight of 0 or more, not all of them 0, are "
                "wanted"
            )
        return weights

    def _architecture(self, X: Any) -> Architecture:
        """What the parameters ask for."""
        hidden = hidden_sizes(self)
        return Architecture(
            sizes=(X.shape[1], *hidden, self.n_outputs_),
            activations=tuple(hidden_activations(self, len(hidden))),
            dropout=tuple(hidden_dropout(self, len(hidden))),
            residual=bool(self.residual),
            output=self._out_activation(),
            dtype=chosen_dtype(self, X),
        )

    def _start(self, X: Any, rng: np.random.RandomState) -> None:
        """New weights, and no history."""
        architecture = self._architecture(X)
        # the output layer is drawn like the layer before it
        activations = architecture.activations or (self.activation,)
        by_layer = [*architecture.activations, activations[-1]]
        draws = any(architecture.dropout)  # else scikit-learn's numbers stay scikit-learn's
        model = Model(architecture, int(rng.randint(2**31 - 1)) if draws else 0)
        model.draw(rng, [2.0 if name == "logistic" else 6.0 for name in by_layer])
        self._show_anew(model)

    def _show_anew(self, model: Model) -> None:
        """Takes over a network that has not been trained."""
        self._show(model)
        self.out_activation_ = model.architecture.output
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(model.architecture.sizes)
        self._optimizer: Steps | None = None

    def _prepare_curves(self, first: bool) -> None:
        """What a stochastic solver writes down, for training with or without early stopping."""
        if first or not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.best_loss_: float | None = None
            self.best_validation_score_: float | None = None
            self.validation_scores_: list[float] | None = None
            self.validation_loss_curve_: list[float] | None = None
        if not self.early_stopping:
            self.best_loss_ = math.inf if self.best_loss_ is None else self.best_loss_
            self.validation_scores_ = self.validation_loss_curve_ = None
            self.best_validation_score_ = None
        elif self.validation_scores_ is None:
            self.best_loss_, self.best_validation_score_ = None, -math.inf
            self.validation_scores_, self.validation_loss_curve_ = [], []

    def _check_same(self, X: Any, where: str) -> None:
        """Checks that the network there is is the one to go on with; its dtype stays."""
        had = self._model.architecture
        wanted = replace(self._architecture(X), dtype=had.dtype)
        for name, value in vars(wanted).items():
            if value != getattr(had, name):
                raise ValueError(
                    f"{where}: the fitted network has {name} {getattr(had, name)}, to go on with "
                    f"it {value} does not fit; clone(estimator) starts anew"
                )

    def _run_lbfgs(self, rows: Rows, where: str) -> None:
        self.loss_, self.n_iter_, reason = minimise(self, self._model, rows, where)
        if reason:
            self._warn(
                f"{where}: L-BFGS stopped before it converged, after {self.n_iter_} iterations "
                f"({reason}); a larger max_iter or scaled features may help"
            )

    @staticmethod
    def _warn(text: str) -> None:
        warnings.warn(text, ConvergenceWarning, stacklevel=5)

    def _run_epochs(
        self, rows: Rows, y: Array, rng: np.random.RandomState, shared: Any, rhythm: Rhythm,
        where: str,
    ) -> Training:  # fmt: skip
        model, held_out, best = self._model, None, None
        incremental = where.endswith("partial_fit")
        optimizer = self._optimizer
        if optimizer is None or not incremental or optimizer.solver != self.solver:
            optimizer = self._optimizer = Steps(self, model)
        if self.early_stopping:
            rows, held_out = self._hold_out(rows, y, rng, where)
            best = model.net.parameters().flat.copy()
        orders, data = shared or (Orders(len(rows), rng if self.shuffle else None), None)
        epochs = Epochs(self, optimizer, rows, orders, rhythm, where, data)
        self.n_iter_ = 0
        try:
            while self.n_iter_ < self.max_iter:
                before = self.n_iter_
                yield from self._run_some(epochs, held_out, 1 if incremental else None)
                if self._count_waiting(epochs, held_out) and held_out is not None:
                    best = model.net.parameters().flat.copy()
                ended = self.n_iter_ - before
                stopped = epochs.finish_epochs(ended, **self._last_measured(held_out))
                if self.solver == "sgd" and self.learning_rate == "invscaling":
                    rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
                    optimizer.set_rate(rate)
                if stopped or self._exhausted() or incremental:
                    break
            else:
                self._warn(f"{where}: not converged after max_iter={self.max_iter} epochs")
        except FloatingPointError as error:
            if best is None:
                raise ValueError(str(error)) from None
            self._warn(f"{error}; the best weights before that are kept")
        except KeyboardInterrupt:
            warnings.warn(f"{where}: interrupted in epoch {self.n_iter_ + 1}", stacklevel=4)
        orders.end(epochs.state.epoch)
        if best is not None:
            model.net.parameters().flat[...] = best

    def _run_some(self, epochs: Epochs, held_out: Rows | None, most: int | None) -> Training:
        """One epoch or several, and their measurements; NaN where it diverges."""
        failure = None
        if held_out is None:
            assert self.best_loss_ is not None
            epochs.pace.c.best, epochs.pace.c.waited = self.best_loss_, self._no_improvement_count
        try:
            losses = yield from epochs.run(most or self.max_iter - self.n_iter_)
        except FloatingPointError as error:
            if held_out is None:
                raise
            losses, failure = [math.nan], error
        self.loss_ = losses[-1]
        self.n_iter_ += len(losses)
        self.t_ += len(losses) * len(epochs.train)
        self.loss_curve_ += losses
        if failure is not None:
            self._note(math.nan, math.nan)
            raise failure
        self._say(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        if held_out is not None:
            score = self._score_rows(held_out)
            self._note(score, loss_of(self._model, held_out))
            self._say(f"Validation score: {score:.6f}")

    def _note(self, score: float, loss: float) -> None:
        """Writes down what has been measured on the rows held out."""
        assert self.validation_scores_ is not None and self.validation_loss_curve_ is not None
        self.validation_scores_.append(score)
        self.validation_loss_curve_.append(loss)

    def _hold_out(
        self, rows: Rows, y: Array, rng: np.random.RandomState, where: str
    ) -> tuple[Rows, Rows]:
        """The rows to train on, and those to measure on."""
        parts = train_test_split(
            np.arange(len(rows)),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=self._stratified(y),
        )
        train, held_out = (rows.take(part) for part in parts)
        if len(held_out) < 2:
            raise ValueError(
                f"{where}: validation_fraction={self.validation_fraction} of {len(rows)} rows are "
                f"{len(held_out)}, 2 or more are wanted"
            )
        for part, what in ((train, "to train on"), (held_out, "held out by early_stopping")):
            if part.weights is not None and not part.weights.any():
                raise ValueError(
                    f"{where}: all rows {what} have the sample_weight 0; leave rows of weight 0 "
                    "out, or choose another validation_fraction or random_state"
                )
        return train, held_out

    def _count_waiting(self, epochs: Epochs, held_out: Rows | None) -> bool:
        """Counts epochs that have brought nothing; returns whether the last has the best score."""
        if held_out is None:
            self.best_loss_, self._no_improvement_count = epochs.pace.c.best, epochs.pace.c.waited
            return False
        assert self.validation_scores_ is not None
        score, best = self.validation_scores_[-1], self.best_validation_score_
        assert best is not None
        waits = score < best + self.tol
        self._no_improvement_count = self._no_improvement_count + 1 if waits else 0
        if score > best:
            self.best_validation_score_ = score
        return score > best

    def _last_measured(self, held_out: Rows | None) -> dict[str, float]:
        measured = {"loss": self.loss_}
        if held_out is not None:
            assert self.validation_scores_ is not None and self.validation_loss_curve_ is not None
            measured["val_loss"] = self.validation_loss_curve_[-1]
            measured["val_score"] = self.validation_scores_[-1]
        return measured

    def _exhausted(self) -> bool:
        """Whether to stop; an adaptive learning rate is lowered first, down to 1e-6."""
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "validation score" if self.early_stopping else "training loss"
        said = f"No better {what}, by tol={self.tol:g}, for {self.n_iter_no_change} epochs:"
        assert self._optimizer is not None
        rate = self._optimizer.learning_rate
        if self.solver != "sgd" or self.learning_rate != "adaptive" or rate <= 1e-6:
            self._say(f"{said} stopping.")
            return True
        self._optimizer.set_rate(rate / 5)
        self._say(f"{said} learning rate {rate / 5:g}.")
        self._no_improvement_count = 0
        return False

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)

    # ---- what scikit-learn asks for ----

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
