"""fit: epochs over minibatches, with validation, early stopping, callbacks and resuming."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.optim.constraints import Constraints
from micrograd.optim.optimizer import SGD, Optimizer
from micrograd.saving.position import Position
from micrograd.training.callbacks import Callback, TrainingState, split_callbacks
from micrograd.training.divergence import Recent, diverged
from micrograd.training.feeds import Batch, Feed, Model
from micrograd.training.history import History
from micrograd.training.inputs import make_data
from micrograd.training.progress import Progress

if TYPE_CHECKING:
    from micrograd.saving.read import Saved
    from micrograd.training.early_stopping import Patience

__all__ = ["History", "TrainingState", "fit"]


def fit(
    model: Model,
    X: Any,
    y: Any = None,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Any = None,
    validation: Any = None,
    clip_norm: float | None = None,
    callbacks: Any = (),
    progress: bool | None = None,
    seed: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    *,
    shuffle: bool = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    metrics: Any = None,
    early_stopping: Any = None,
    accumulate: int = 1,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float | None = None,
    clip_value: float | None = None,
) -> History:
    """Trains a network, or a compiled function of two arguments, on minibatches.

    Args:
        X, y: as for net.loss; every epoch goes over all rows once, in a new order. Arrays mapped
            from files (numpy.memmap) are never copied whole: each batch is gathered, converted and
            checked by itself. pandas frames and series are taken. Without y, X is an iterable of
            (X, y) or (X, y, sample_weight) batches that can be gone through once an epoch, or a
            function that returns one, of no argument or of the number of the epoch (0, 1, ...);
            batch_size, shuffle and validation fractions do not apply then.
        epochs, batch_size: 1 or more; the last batch of an epoch may be smaller.
        optimizer: default SGD(lr=0.05, momentum=0.9). It keeps its state from call to call.
        validation: (X, y) or (X, y, sample_weight) to measure on after each epoch, or the fraction
            of the rows to set aside for that, at random, of each class its share. The loss there
            has no class weights and no smoothing.
        clip_norm: gradients of a larger Euclidean norm are scaled down to it (section 9).
        callbacks: objects with on_step(state) or on_epoch(state), or functions of the state after
            an epoch; `state` is a TrainingState, whose stop() ends training.
        progress: True or False; None shows it on a terminal only. It goes to standard error.
        seed: of the shuffling and of what is set aside; None draws one. Same data, weights and
            seed: same bits.
        resume: a model file. If it exists, training goes on from there; it is written after every
            epoch. A run that was killed and started again ends with the bits of one that was not.
        shuffle: False keeps the rows in their order.
        sample_weight: (rows,), 0 or more; the loss of a batch is sum_i w_i L_i / sum_i w_i.
        class_weight: {class: weight}, (classes,) weights, or "balanced"; multiplied into the
            sample weights. For cross_entropy, and bce with one output.
        label_smoothing: the share of the target that goes to all classes alike; for cross_entropy
            and bce.
        metrics: names ("accuracy", "balanced_accuracy", "mae", "mse", "rmse", "r2") or functions of
            (y_true, output), output as predict() gives it; measured after each epoch on the
            validation data, else on the training data. None: accuracy for classes, in validation.
        early_stopping: a patience in epochs or an EarlyStopping.
        accumulate: batches whose gradients are added up for one step: that of one batch of so many
            times the rows, in the memory of a small one.
        l1, l2: penalties l1 ||W||_1 + l2/2 ||W||^2 on the weight matrices, not the biases; the
            losses in the history are without them.
        max_norm: the longest that the weights into a unit, a row of W, may be after a step.
        clip_value: after clip_norm, each gradient is held within +-clip_value.

    Returns:
        The History.

    Raises:
        TypeError, ValueError: input that does not fit; nothing has changed then.
        FloatingPointError: loss or gradient are no longer finite; names step, layer and the losses
            that led there. The weights are those before that step.
    """
    where = f"{type(model).__name__}.fit"
    epochs = checks.count(where, "epochs", epochs)
    batch_size = checks.count(where, "batch_size", batch_size)
    accumulate = checks.count(where, "accumulate", accumulate)
    constraints = Constraints(model.parameters(), l1, l2, clip_norm, clip_value, max_norm, where)
    on_step, on_epoch = split_callbacks(where, callbacks)
    seed = _checked_seed(where, seed)
    _check_optimizer(where, model, optimizer)
    saved = _saved(model, resume, optimizer)
    if saved is not None and saved.position is not None and saved.position.seed is not None:
        seed = saved.position.seed
    data = make_data(
        model, where, (X, y, sample_weight), epochs, batch_size, validation, seed, metrics,
        class_weight, label_smoothing,
    )  # fmt: skip
    patience = None
    if early_stopping is not None:
        from micrograd.training.early_stopping import Patience, as_early_stopping

        patience = Patience(where, as_early_stopping(where, early_stopping), data.measured())
    run = _Run(model, where, data.feed, constraints, accumulate, on_step, patience, resume)
    state = run.start(optimizer, epochs, seed, shuffle, saved)
    bar = Progress(progress, epochs)
    try:
        while not run.over():
            started = time.perf_counter()
            loss, whole = run.epoch()
            state.epoch += 1
            state.history.loss.append(loss)
            for name, value in data.measure().items():
                state.history.list_of(name).append(value)
            run.seconds += time.perf_counter() - started
            state.history.seconds.append(run.seconds)
            run.judge()
            run.follow_metric()
            for call in on_epoch:
                call(state)
            bar.show(state.history)
            run.finish_epoch(whole)
    finally:
        bar.close()
    run.finish()
    return state.history


class _Run:
    """A training run: where it stands, and how it makes an epoch."""

    state: TrainingState

    def __init__(
        self,
        model: Model,
        where: str,
        feed: Feed,
        constraints: Constraints,
        accumulate: int,
        on_step: list[Callback],
        patience: Patience | None,
        path: str | os.PathLike[str] | None,
    ) -> None:
        self.model, self.where, self.feed = model, where, feed
        self.constraints, self.accumulate, self.on_step = constraints, accumulate, on_step
        self.patience, self.path = patience, path
        self.seconds = 0.0
        self.best: Array | None = None
        self.recent = Recent()
        self.whole = True  # no epoch has been broken off

    def start(
        self, optimizer: Any, epochs: int, seed: int, shuffle: bool, saved: Saved | None
    ) -> TrainingState:
        """From the beginning, or from where a file says that training stood."""
        model = self.model
        self.seed = seed
        self.rng = np.random.default_rng(seed) if shuffle else None
        position = Position()
        if saved is not None:
            from micrograd.saving.read import go_on

            if saved.position is not None:
                position = saved.position
            if self.patience is not None and position.stopping is not None:
                self.patience.restore(self.where, position.stopping)
            optimizer = go_on(saved, model, optimizer)
            if position.rng is not None and shuffle:
                self.rng = position.generator()
            self.best = position.best
        if optimizer is None:
            optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        model.optimizer, model.position = optimizer, None
        history = History.from_dict(position.history)
        self.seconds = history.seconds[-1] if history.seconds else 0.0
        self.state = TrainingState(model, optimizer, history, epochs, position.epoch)
        return self.state

    def over(self) -> bool:
        """Whether there is no epoch left to make."""
        state, patience = self.state, self.patience
        waited = patience is not None and patience.exhausted(state.epoch)
        return state.epoch >= state.epochs or state.stopped or waited

    def epoch(self) -> tuple[float, bool]:
        """One epoch: its mean loss, and whether it was not broken off."""
        self.model.position = None  # in the midst of an epoch there is none to go on from
        batches = self.feed.batches(self.rng, self.state.epoch)
        if self.accumulate > 1:
            return self._accumulated(batches)
        step, optimizer, constraints = self.model.train_step, self.state.optimizer, self.constraints
        remember, remember_norm = self.recent.losses.append, self.recent.norms.append
        watched = bool(self.on_step)
        total = weight = 0.0
        index = np.empty(0, np.int64)
        try:
            for data, index, share in batches:
                loss = step(data, index, optimizer, constraints)
                total += loss * share
                weight += share
                remember(loss)
                remember_norm(constraints.gradient_norm)
                if watched and self._stopped_by_step(loss):
                    return total / weight, False
        except FloatingPointError as error:
            raise self._diverged(error, self.feed.arrays(index)) from None
        return self._mean(total, weight), True

    def _mean(self, total: float, weight: float) -> float:
        return total / weight if weight else math.nan

    def _accumulated(self, batches: Iterator[Batch]) -> tuple[float, bool]:
        """An epoch in which `accumulate` batches make a step: g = sum_b w_b g_b / sum_b w_b."""
        total = weight = 0.0
        while True:
            try:
                loss, share = self._gather(islice(batches, self.accumulate))
                if not share:
                    return self._mean(total, weight), True
                self.constraints.step(self.state.optimizer, self.where, loss)
            except FloatingPointError as error:
                raise self._diverged(error, self.feed.arrays(self._index)) from None
            total, weight = total + loss * share, weight + share
            self.recent.losses.append(loss)
            self.recent.norms.append(self.constraints.gradient_norm)
            if self.on_step and self._stopped_by_step(loss):
                return total / weight, False

    def _gather(self, group: Iterator[Batch]) -> tuple[float, float]:
        """Leaves the gradients of these batches for a step; returns their mean loss and weight."""
        accumulate = getattr(self.model, "accumulate_step", None)
        if accumulate is None:
            return self._gather_gradient(group)
        loss = share = 0.0
        for data, self._index, each in group:
            loss = accumulate(data, self._index, self.constraints, self.state.optimizer.steps)
            share += each
        return loss, share

    def _gather_gradient(self, group: Iterator[Batch]) -> tuple[float, float]:
        """Leaves the gradient of the mean over these batches; returns that mean and its weight."""
        model, parameters = self.model, self.model.parameters()
        gradient = np.zeros(parameters.size)
        loss = share = 0.0
        for _, self._index, each in group:
            X, y, weights = self.feed.arrays(self._index)
            model.zero_grad()
            value = model.loss(*((X, y) if weights is None else (X, y, weights)))
            model.backward()
            gradient += each * parameters.flat_grad
            loss, share = loss + each * value, share + each
        if share:
            parameters.flat_grad[...] = gradient / share
            loss /= share
        return loss, share

    def _stopped_by_step(self, loss: float) -> bool:
        state = self.state
        state.step, state.loss = state.optimizer.steps, loss
        state.gradient_norm = self.constraints.gradient_norm
        for call in self.on_step:
            call(state)
        return state.stopped

    def _diverged(self, error: Exception, batch: Any) -> FloatingPointError:
        state = self.state
        step = state.optimizer.steps
        return diverged(self.model, self.where, state.epoch + 1, step, error, self.recent, batch)

    def judge(self) -> None:
        """Early stopping looks at the last epoch."""
        state, patience = self.state, self.patience
        if patience is None:
            return
        value = state.history.list_of(patience.monitor)[-1]
        if patience.improved(state.epoch, value) and patience.settings.restore_best:
            self.best = self.model.parameters().flat.copy()

    def follow_metric(self) -> None:
        """A schedule that follows a metric is told the last epoch's loss."""
        update = getattr(self.state.optimizer.lr, "update", None)
        if update is not None:
            history = self.state.history
            update((history.val_loss or history.loss)[-1])

    def finish_epoch(self, whole: bool) -> None:
        """Writes the model file, if there is one, unless the epoch was broken off."""
        self.whole = whole
        if self.path is not None and whole:
            self._write()

    def finish(self) -> None:
        """Puts the best parameters back."""
        last = None
        if self.patience is not None:
            self.state.history.best_epoch = self.patience.best_epoch or None
            if self.best is not None:
                flat = self.model.parameters().flat
                last = flat.copy()
                flat[...] = self.best
                self.best = None
        if not self.whole:
            return
        if self.path is not None and last is not None:
            self._write(last)
        else:
            self._stand(last)

    def _stand(self, last: Array | None = None) -> None:
        self.model.position = Position(
            epoch=self.state.epoch,
            seed=self.seed,
            rng=None if self.rng is None else dict(self.rng.bit_generator.state),
            history=self.state.history.to_dict(),
            stopping=None if self.patience is None else self.patience.state(),
            best=self.best,
            last=last,
        )

    def _write(self, last: Array | None = None) -> None:
        from micrograd.saving.write import save_progress

        assert self.path is not None
        self._stand(last)
        save_progress(self.model, self.path)


def _saved(model: Model, path: Any, optimizer: Any) -> Saved | None:
    if path is None:
        return None
    from micrograd.saving.read import read_progress

    return read_progress(model, path, optimizer)


def _checked_seed(where: str, seed: Any) -> int:
    """The seed, drawn where there is none."""
    given = checks.seed(where, seed)
    return int(cast("int", np.random.SeedSequence().entropy)) if given is None else given


def _check_optimizer(where: str, model: Model, optimizer: Any) -> None:
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{where}: optimizer is {checks.describe(optimizer)}, one of micrograd.optim is wanted"
        )
    if optimizer.params is not model.parameters():
        raise ValueError(f"{where}: the optimizer is for the parameters of another model")
