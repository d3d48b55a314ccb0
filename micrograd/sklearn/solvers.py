"""How the estimators train: minibatches with Adam or SGD, or L-BFGS over all rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.c_plan import Pace
from micrograd.optim import SGD, Adam
from micrograd.optim.constraints import Constraints
from micrograd.sklearn.model import Model
from micrograd.sklearn.running import Rhythm
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


class Orders:
    """The orders of the rows, epoch by epoch, drawn as scikit-learn draws them.

    rng: what draws, or None for rows that stay where they are. keep: several fits that draw the
    same numbers use it, each from its first epoch on, so nothing is forgotten.
    """

    def __init__(self, rows: int, rng: np.random.RandomState | None, keep: bool = False) -> None:
        self._rng, self._keep = rng, keep
        self._last = np.arange(rows, dtype=np.int64)
        self._drawn: list[Array] = []  # from epoch _first on
        self._first = 0
        self._joined: tuple[int, int, Array] = (0, 0, self._last)
        self._before: Any = None  # the state that the last ones have been drawn from

    def epochs(self, first: int, count: int) -> Array:
        """Those of `count` epochs from the first on, one behind the other."""
        if not self._keep:
            del self._drawn[: first - self._first]
            self._first = first
        missing = first + count - self._first - len(self._drawn)
        if missing > 0:
            if self._rng is not None and not self._keep:
                self._before = first + count - missing, self._last, self._rng.get_state()
            self._drawn += [self._draw() for _ in range(missing)]
        if self._joined[:2] != (first, count):  # others ask for the same
            own = self._drawn[first - self._first : first - self._first + count]
            self._joined = first, count, own[0] if count == 1 else np.concatenate(own)
        return self._joined[2]

    def _draw(self) -> Array:
        if self._rng is not None:
            permutation = np.arange(len(self._last))
            self._rng.shuffle(permutation)
            self._last = self._last[permutation]
        return self._last

    def end(self, epochs: int) -> None:
        """So many have been used: the generator is left as if no more had been drawn."""
        if self._before is None or epochs >= self._first + len(self._drawn):
            return
        first, self._last, state = self._before
        assert self._rng is not None
        self._rng.set_state(state)
        for _ in range(epochs - first):
            self._draw()


class Epochs:
    """One run of a stochastic solver over some rows, in the orders of `orders`.

    data: the rows as the network has checked them, or None to have it do so.
    """

    def __init__(
        self, estimator: Any, steps: Steps, train: Rows, orders: Orders, rhythm: Rhythm,
        where: str, data: Any = None,
    ) -> None:  # fmt: skip
        self.estimator, self.steps, self.train, self.orders = estimator, steps, train, orders
        self.where, self.rhythm, self.model = where, rhythm, steps.model
        self.batch_size = batch_size(estimator, len(train))
        model, norm = self.model, estimator.clip_norm
        self.constraints = Constraints(
            model.net.parameters(),
            clip_norm=None if norm is None else norm * model.scale,
            where=where,
        )
        on_step, self.on_epoch = split_callbacks(where, estimator.callbacks)
        self.on_step: list[Callable[[TrainingState], Any]] = on_step
        self.state = TrainingState(model.net, steps.optimizer, History(), estimator.max_iter)
        self.totals = np.zeros(2)
        if data is None:
            data = model.net.checked_batch(where, train.X, train.targets, train.weights)
        self.data = data
        early = estimator.early_stopping  # measures what it stops by elsewhere
        patience = math.inf if early else float(estimator.n_iter_no_change)
        self.pace = Pace(len(train), model.loss_factor, model.scale, float(estimator.tol), patience)

    def several(self) -> bool:
        """Whether a call may have more than one epoch: nobody looks at them one by one."""
        own = self.estimator
        falling = own.solver == "sgd" and own.learning_rate == "invscaling"
        watched = bool(self.on_step or self.on_epoch or own.verbose or own.early_stopping)
        return self.train.offset is None and not (falling or watched)

    def run(self, most: int) -> Generator[Any, None, list[float]]:
        """A training (see running.py) of one epoch or, where `several` may be, of up to `most`;
        returns the mean loss of each, penalty included. The totals that they come from do not
        depend on how many batches a call has."""
        rows, size, pace = len(self.train), self.batch_size, self.pace
        self.constraints.l2 = self.estimator.alpha * self.model.scale
        if self.on_step:
            return (yield from self._watched())
        per_epoch = -(-rows // size)
        while True:
            batches = self.rhythm.batches
            epochs = max(1, min(most, batches // per_epoch if self.several() else 1))
            index = self.orders.epochs(self.state.epoch, epochs)
            if pace.done or batches < per_epoch:
                index = index[pace.done : pace.done + batches * size]
            pace.make_room(epochs)
            if self.train.offset is not None:
                pace.c.added = (pace.c.added if pace.done else 0.0) + self._offset(index)
            yield from self._call(index, pace)
            if not pace.done:
                return pace.losses

    def _call(self, index: Array, pace: Pace | None) -> Generator[Any, None, None]:
        try:
            yield (
                self.model.net, self.data, index, self.batch_size, self.steps.optimizer,
                self.constraints, self.totals, pace,
            )  # fmt: skip
        except FloatingPointError:
            loss = self.model.loss_factor * self.constraints.loss
            what = "the step" if math.isfinite(loss) else f"the loss, {loss},"
            epoch = self.state.epoch + (0 if pace is None else len(pace.losses)) + 1
            raise FloatingPointError(
                f"{self.where}: {what} is not finite in epoch {epoch}; features that are not "
                "scaled can cause it; a smaller learning_rate_init or clip_norm may help"
            ) from None

    def _watched(self) -> Generator[Any, None, list[float]]:
        """An epoch, batch by batch, which callbacks may end."""
        order, size = self.orders.epochs(self.state.epoch, 1), self.batch_size
        starts = range(0, len(order), size)
        added = 0.0
        self.pace.make_room(1)
        for start in starts:
            index = order[start : start + size]
            yield from self._call(index, None)
            offset = 0.0 if self.train.offset is None else self._offset(index)
            added += offset
            if self._stopped_by_step(offset / len(index)):
                break
        self.pace.c.added = added
        self.pace.end(self.totals)
        return self.pace.losses

    def _offset(self, index: Array) -> float:
        """What the rows of these batches add to the totals: rows times the mean offset of each."""
        assert self.train.offset is not None
        offset, weights = self.train.offset[index], np.ones(len(index))
        if self.train.weights is not None:
            weights = self.train.weights[index].astype(np.float64)
        starts = np.arange(0, len(index), self.batch_size)
        sums = np.add.reduceat(offset * weights, starts)
        totals = np.add.reduceat(weights, starts)
        means = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
        return float(means @ np.diff(np.append(starts, len(index))))

    def _stopped_by_step(self, offset: float) -> bool:
        state, result = self.state, self.constraints.result
        loss = self.model.loss_factor * result.loss + result.penalty / self.model.scale + offset
        state.step, state.loss = self.steps.optimizer.steps, float(loss)
        state.gradient_norm = self.constraints.gradient_norm / self.model.scale
        for call in self.on_step:
            call(state)
        return state.stopped

    def finish_epochs(self, count: int, **measured: float) -> bool:
        """So many have ended: shows the callbacks what has been measured after the last; returns
        whether one says stop."""
        state = self.state
        state.epoch += count
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
