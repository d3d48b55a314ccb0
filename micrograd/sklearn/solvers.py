"""How the estimators train: minibatches with Adam or SGD, or L-BFGS over all rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.optim import SGD, Adam
from micrograd.optim.constraints import Constraints
from micrograd.sklearn.model import Model
from micrograd.training.callbacks import TrainingState, split_callbacks
from micrograd.training.history import History


@dataclass
class Rows:
    """Rows to train on or to measure on.

    X: dense or sparse; targets: as the network's loss takes them; y: as the estimator's score does;
    weights: (rows,) or None; offset: (rows,) what scikit-learn's loss has and the network's has
    not, as it does not depend on the parameters, or None.
    """

    X: Any
    targets: Array
    y: Array
    weights: Array | None
    offset: Array | None

    def take(self, index: Array) -> Rows:
        """Some of them."""
        weights = None if self.weights is None else self.weights[index]
        offset = None if self.offset is None else self.offset[index]
        return Rows(self.X[index], self.targets[index], self.y[index], weights, offset)

    def __len__(self) -> int:
        return len(self.targets)


class Steps:
    """The optimizer of a stochastic solver, and its learning rate, from call to call.

    scikit-learn's rules in terms of `micrograd.optim`, for gradients `scale` times as large:
    SGD wants the learning rate divided by scale, Adam, whose steps do not depend on it, epsilon
    multiplied by it, and added before the second moment is corrected (Kingma and Ba 2015, end of
    section 2).
    """

    def __init__(self, estimator: Any, model: Model) -> None:
        self.model = model
        self.learning_rate = float(estimator.learning_rate_init)
        self.solver: str = estimator.solver
        self.settings: dict[str, Any] = {"lr": self.learning_rate}
        if self.solver == "sgd":
            self.settings["lr"] /= model.scale
            self.settings["momentum"] = float(estimator.momentum)
            self.settings["nesterov"] = bool(estimator.nesterovs_momentum and estimator.momentum)
        else:
            self.settings["betas"] = (float(estimator.beta_1), float(estimator.beta_2))
            self.settings["eps"] = estimator.epsilon * model.scale
        self._make()

    def _make(self) -> None:
        parameters = self.model.net.parameters()
        kind = SGD if self.solver == "sgd" else Adam
        self.optimizer = kind(parameters, **self.settings)
        self.optimizer.epsilon_hat = True

    def set_rate(self, rate: float) -> None:
        """Another learning rate for SGD: the old one is in scikit-learn's velocity, not in ours."""
        velocity = self.optimizer.state.get("velocity")
        if velocity is not None:
            velocity *= self.learning_rate / rate
        self.learning_rate = rate
        self.settings["lr"] = self.optimizer.lr = rate / self.model.scale

    def snapshot(self) -> tuple[float, dict[str, Any]]:
        """What training changes, for `restore`."""
        return self.learning_rate, self.optimizer.state_dict()

    def restore(self, snapshot: tuple[float, dict[str, Any]]) -> None:
        """Goes back to a snapshot."""
        self.learning_rate, state = snapshot
        if self.solver == "sgd":
            self.settings["lr"] = self.optimizer.lr = self.learning_rate / self.model.scale
        self.optimizer.load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "optimizer": self.optimizer.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make()
        self.optimizer.load_state_dict(state["optimizer"])


class Epochs:
    """One run of a stochastic solver over some rows."""

    def __init__(self, estimator: Any, model: Model, steps: Steps, train: Rows, where: str) -> None:
        self.estimator, self.model, self.steps, self.train = estimator, model, steps, train
        self.where = where
        self.order = np.arange(len(train), dtype=np.int64)
        self.batch_size = batch_size(estimator, len(train))
        self.starts = np.arange(0, len(train), self.batch_size)
        norm = estimator.clip_norm
        self.constraints = Constraints(
            model.net.parameters(),
            clip_norm=None if norm is None else norm * model.scale,
            where=where,
        )
        on_step, self.on_epoch = split_callbacks(where, estimator.callbacks)
        self.on_step: list[Callable[[TrainingState], Any]] = on_step
        self.state = TrainingState(model.net, steps.optimizer, History(), estimator.max_iter)
        self.totals = np.zeros(2)
        self.batches_a_call = 1
        self.data = model.net.checked_batch(where, train.X, train.targets, train.weights)

    def shuffle(self, rng: np.random.RandomState) -> None:
        """Another order of the rows, drawn as scikit-learn draws it."""
        permutation = np.arange(len(self.order))
        rng.shuffle(permutation)
        self.order = self.order[permutation]

    def run(self) -> float:
        """One epoch; returns its mean loss, penalty included.

        Many batches go into one call of the C core, as many as take some milliseconds, so that an
        interrupt is heard. The totals do not depend on how many.
        """
        rows, size = len(self.order), self.batch_size
        alone = bool(self.on_step)
        self.constraints.l2 = self.estimator.alpha * self.model.scale
        self.totals[0] = self.totals[1] = 0
        offsets = None if self.train.offset is None else self._offsets(self.train.offset)
        start = 0
        while start < rows:
            index = self.order[start : start + (size if alone else size * self.batches_a_call)]
            started = perf_counter()
            self._train(index)
            if not alone:
                self._adjust(perf_counter() - started)
            elif self.on_step and self._stopped_by_step(offsets, start // size):
                break
            start += len(index)
        total = self.model.loss_factor * self.totals[0] + self.totals[1] / self.model.scale
        if offsets is not None:
            total += float(offsets @ np.diff(np.append(self.starts, rows)))
        return float(total / rows)

    def _train(self, index: Array) -> None:
        net, data = self.model.net, self.data
        optimizer, constraints = self.steps.optimizer, self.constraints
        try:
            net.train_batches(data, index, self.batch_size, optimizer, constraints, self.totals)
        except FloatingPointError:
            loss = self.model.loss_factor * constraints.loss
            what = "the step" if math.isfinite(loss) else f"the loss, {loss},"
            raise FloatingPointError(
                f"{self.where}: {what} is not finite in epoch {self.state.epoch + 1}; features "
                "that are not scaled can cause it; a smaller learning_rate_init or clip_norm may "
                "help"
            ) from None

    def _adjust(self, seconds: float) -> None:
        if seconds < 5e-3:
            self.batches_a_call = min(2 * self.batches_a_call, len(self.starts))
        elif seconds > 2e-2 and self.batches_a_call > 1:
            self.batches_a_call //= 2

    def _offsets(self, offset: Array) -> Array:
        """The mean offset of each batch."""
        offset, weights = offset[self.order], np.ones(len(self.order))
        if self.train.weights is not None:
            weights = self.train.weights[self.order].astype(np.float64)
        sums = np.add.reduceat(offset * weights, self.starts)
        totals = np.add.reduceat(weights, self.starts)
        means: Array = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
        return means

    def _stopped_by_step(self, offsets: Array | None, batch: int) -> bool:
        state, result = self.state, self.constraints.result
        loss = self.model.loss_factor * result.loss + result.penalty / self.model.scale
        loss += 0.0 if offsets is None else offsets[batch]
        state.step, state.loss = self.steps.optimizer.steps, float(loss)
        state.gradient_norm = self.constraints.gradient_norm / self.model.scale
        for call in self.on_step:
            call(state)
        return state.stopped

    def finish_epoch(self, **measured: float) -> bool:
        """Shows the callbacks what has been measured; returns whether one says stop."""
        state = self.state
        state.epoch += 1
        state.step = self.steps.optimizer.steps
        for name, value in measured.items():
            state.history.list_of(name).append(value)
        for call in self.on_epoch:
            call(state)
        return state.stopped


def batch_size(estimator: Any, rows: int) -> int:
    """The rows of a minibatch."""
    if isinstance(estimator.batch_size, str):
        return min(200, rows)
    if estimator.batch_size > rows:
        warnings.warn(
            f"batch_size={estimator.batch_size} is larger than the number of rows; {rows} is taken",
            stacklevel=2,
        )
    return min(int(estimator.batch_size), rows)


def loss_of(model: Model, rows: Rows) -> float:
    """scikit-learn's loss of some rows as the network is, without penalty and dropout."""
    if rows.weights is not None and not rows.weights.any():
        return math.nan
    loss = model.net.evaluate(rows.X, rows.targets, rows.weights)[0] * model.loss_factor
    return float(loss + _mean_offset(rows))


def _mean_offset(rows: Rows) -> float:
    return 0.0 if rows.offset is None else float(np.average(rows.offset, weights=rows.weights))


def minimise(estimator: Any, model: Model, rows: Rows, where: str) -> tuple[float, int, str]:
    """L-BFGS over all rows, with scipy. Returns the loss, the iterations, and why it gave up or "".

    Source: Liu and Nocedal, "On the limited memory BFGS method" (1989).
    """
    from scipy.optimize import minimize

    net = model.net
    parameters = net.parameters()
    weights = model.penalised()
    total = float(len(rows) if rows.weights is None else rows.weights.sum(dtype=np.float64))
    alpha = float(estimator.alpha) / total
    _, on_epoch = split_callbacks(where, estimator.callbacks)
    state = TrainingState(net, SGD(parameters, 0.0), History(), estimator.max_iter)

    def loss_and_gradient(flat: Array) -> tuple[float, Array]:
        parameters.flat[...] = flat
        parameters.zero_grad()
        value = net.loss(rows.X, rows.targets, rows.weights)
        net.backward()
        loss = model.loss_factor * value + _mean_offset(rows)
        gradient = (1 / model.scale * parameters.flat_grad).astype(np.float64)
        penalised = np.where(weights, flat, 0)
        return loss + alpha / 2 * float(penalised @ penalised), gradient + alpha * penalised

    def after_iteration(intermediate_result: Any) -> None:
        state.epoch += 1
        state.step, state.loss = state.epoch, float(intermediate_result.fun)
        state.history.loss.append(state.loss)
        if estimator.verbose:
            print(f"Iteration {state.epoch}, loss = {state.loss:.8f}")
        for call in on_epoch:
            call(state)
        if state.stopped:
            raise StopIteration

    found = minimize(
        loss_and_gradient,
        parameters.flat.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    parameters.flat[...] = found.x
    reason = "" if found.status == 0 or state.stopped else str(found.message)
    return float(found.fun), min(int(found.nit), int(estimator.max_iter)), reason
