"""A training run: where it stands, how it makes an epoch, and what it leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.optim.constraints import Constraints, NotFiniteError
from micrograd.optim.methods import SGD
from micrograd.optim.optimizer import Optimizer
from micrograd.saving.position import Position
from micrograd.saving.read import resume
from micrograd.training.callbacks import Callback, TrainingState
from micrograd.training.divergence import Recent, diverged
from micrograd.training.feeds import ArrayFeed
from micrograd.training.history import History

if TYPE_CHECKING:
    from micrograd.atomic import Own
    from micrograd.checks import Array
    from micrograd.saving.read import Saved
    from micrograd.training.early_stopping import Patience
    from micrograd.training.feeds import Batch, Feed
    from micrograd.training.inputs import Data
    from micrograd.training.model import Model


CALL = 5e-3, 2e-2  # seconds that a call of the C core takes at least and at most
MOST_ROWS = 1 << 21  # of all orders of a call: 16 MB, which malloc keeps for the next one


def adjusted(batches: int, used: int, seconds: float, bounds: tuple[float, float] = CALL) -> int:
    """The batches of the next call, after one that had room for so many, has used some of it and
    took so long; bounds: the seconds that it should take at least and at most."""
    shortest, longest = bounds
    if seconds < shortest:
        return max(batches, 2 * used)
    return max(1, batches // 2) if seconds > longest else batches


@lru_cache(maxsize=1)
def _source(seed: int) -> np.random.SeedSequence:
    """What default_rng makes of a seed: once for all networks of fit_many that have the same."""
    return np.random.SeedSequence(seed)


@dataclass(frozen=True)
class Setting:
    """What stays the same over a run: fit's arguments, checked."""

    where: str
    constraints: Constraints
    accumulate: int
    on_step: list[Callback]
    dropout_factor: Callable[[int], float] | None
    patience: Patience | None
    file: Own | None  # that is written after each epoch
    kept: dict[str, Any]  # the arguments that a run keeps, for who goes on with it


class Run:
    """A training run of a model over a feed of batches."""

    state: TrainingState

    def __init__(self, model: Model, feed: Feed, setting: Setting) -> None:
        self.model, self.feed, self.setting = model, feed, setting
        self.constraints = setting.constraints
        self.dropout_before = model.dropout_factor
        self.seconds = 0.0
        self.best: Array | None = None
        self.recent = Recent()
        self.whole = True  # no epoch has been broken off
        self.batches_a_call = 1

    def start(
        self, optimizer: Any, epochs: int, seed: int, shuffle: bool, saved: Saved | None
    ) -> None:
        """From the beginning, or from where a file says that training stood."""
        model, patience = self.model, self.setting.patience
        self.seed = seed
        self.rng = np.random.default_rng(_source(seed)) if shuffle else None
        position, waits_for_best = Position(), False
        if saved is not None:
            position = saved.position or position
            if patience is not None and position.stopping is not None:
                patience.restore(self.setting.where, position.stopping)
                waits_for_best = patience.settings.restore_best
            elif patience is not None:
                patience.since = position.epoch  # it is new here, and waits from here on
            optimizer = resume(saved, model, optimizer)
            if position.rng is not None and shuffle:
                self.rng = position.generator()
            self.best = position.best if waits_for_best else None
        if optimizer is None:
            optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        model.optimizer, model.position = optimizer, None
        history = History.from_dict(position.history)
        self.listed = {name for name, values in position.history.items() if values}
        self.seconds = history.seconds[-1] if history.seconds else 0.0
        self.state = TrainingState(model, optimizer, history, epochs, position.epoch)
        self.state.position = self._position

    def over(self) -> bool:
        """Whether there is no epoch left to make."""
        state, patience = self.state, self.setting.patience
        waited = patience is not None and patience.exhausted(state.epoch)
        return state.epoch >= state.epochs or state.stopped or waited

    def one_epoch(self, data: Data) -> bool:
        """Trains for an epoch and measures; whether it was not broken off."""
        started = time.perf_counter()
        loss, whole = self._train()
        self.end_epoch(data, loss, started)
        return whole

    def end_epoch(self, data: Data, loss: float, started: float) -> None:
        """Measures after an epoch that has been trained since `started`."""
        self.state.epoch += 1
        measured = {"loss": loss} | data.measure()
        self.seconds += time.perf_counter() - started
        self.state.history.add({name: [x] for name, x in measured.items()}, [self.seconds])
        self._follow(measured)

    def next_epochs(self, data: Data, seen: bool) -> bool:
        """Trains for an epoch, or for several of them where nobody looks at each; whether none was
        broken off.

        seen: somebody looks at each, from outside.
        """
        epochs = 1 if seen or self.watched(data) else self._epochs_a_call()
        if epochs == 1:
            return self.one_epoch(data)
        self._several(epochs)
        return True

    def watched(self, data: Data) -> bool:
        """Whether something is measured, decided or written after each epoch."""
        setting = self.setting
        return any(x is not None for x in (data.holdout, setting.patience, setting.file))

    def end_epochs(self, losses: list[float], seconds: float) -> None:
        """After epochs with these losses that took so long each, where nothing is measured or
        decided after one: no validation, metrics, early stopping, schedules."""
        ends = [self.seconds + seconds * n for n in range(1, len(losses) + 1)]
        self.state.epoch += len(losses)
        self.state.history.add({"loss": losses}, ends)
        self.seconds = ends[-1] if ends else self.seconds

    def _scale_dropout(self) -> None:
        """Before a step: the rates of its dropout."""
        factor = self.setting.dropout_factor
        if factor is not None:
            self.model.dropout_factor = factor(self.state.optimizer.steps)

    def restore_dropout(self) -> None:
        """After the run: the factor that the model had before."""
        if self.setting.dropout_factor is not None:
            self.model.dropout_factor = self.dropout_before

    def _train(self) -> tuple[float, bool]:
        """The steps of an epoch: its mean loss, and whether it was not broken off."""
        self.model.position = None  # in the midst of an epoch there is none to go on from
        if self.in_large_calls(self.state.optimizer):
            return self._many_at_once(self.array_feed)
        batches = self.feed.batches(self.rng, self.state.epoch)
        if self.setting.accumulate > 1:
            return self._accumulated(batches)
        step, optimizer, constraints = self.model.train_step, self.state.optimizer, self.constraints
        remember, remember_norm = self.recent.losses.append, self.recent.norms.append
        watched = bool(self.setting.on_step)
        total = weight = 0.0
        index = np.empty(0, np.int64)
        try:
            for data, index, share in batches:
                self._scale_dropout()
                loss = step(data, index, optimizer, constraints)
                total += loss * share
                weight += share
                remember(loss)
                remember_norm(constraints.gradient_norm)
                if watched and self._stopped_by_step(loss):
                    return self.model.epoch_mean(total, weight), False
        except NotFiniteError as error:
            raise self._diverged(error, self.feed.arrays(index)) from None
        return self.model.epoch_mean(total, weight), True

    def in_large_calls(self, optimizer: Any) -> bool:
        """Whether the C core makes many steps with this optimizer in one call: from step to step
        only the parameters change, and nobody looks at one. None: the default of `start`."""
        if not isinstance(self.feed, ArrayFeed) or self.feed.weighted:
            return False
        setting, penalties = self.setting, self.constraints.l1 or self.constraints.l2
        scheduled = optimizer is not None and optimizer.scheduled
        changing = scheduled or setting.dropout_factor is not None
        together = setting.accumulate == 1 and self.model.train_batches is not None
        return together and not (changing or penalties or setting.on_step)

    def in_epochs(self, optimizer: Any) -> bool:
        """Whether the C core makes several epochs in one call: no code of the user's own has a part
        in them."""
        own = optimizer is not None and type(optimizer).arguments is not Optimizer.arguments
        return self.model.train_many is not None and self.in_large_calls(optimizer) and not own

    def _epochs_a_call(self) -> int:
        """How many epochs the next call should have."""
        if not self.in_epochs(self.state.optimizer):
            return 1
        feed = self.array_feed
        fitting = min(self.batches_a_call // feed.batches_an_epoch, MOST_ROWS // feed.rows)
        return max(1, min(fitting, self.state.epochs - self.state.epoch))

    def _several(self, epochs: int) -> None:
        """So many epochs in one call of the C core, beside which other Python threads run."""
        started, model, feed = time.perf_counter(), self.model, self.array_feed
        model.position = None  # in the midst of them there is none to go on from
        order, pace = feed.order(self.rng, epochs), model.pace(feed.rows, epochs)
        call = (feed.data, order, feed.batch_size, self.state.optimizer, self.constraints)
        try:
            model.train_epochs(*call, np.zeros(2), pace)
        except NotFiniteError as error:
            self.recent.take(self.constraints.result)
            first = len(pace.losses) * feed.rows
            self.end_epochs(pace.losses, (time.perf_counter() - started) / epochs)
            raise self.diverged_in(error, order[first : first + feed.rows]) from None
        self.recent.take(self.constraints.result)
        seconds = time.perf_counter() - started
        self.end_epochs(pace.losses, seconds / epochs)
        used = epochs * feed.batches_an_epoch
        self.batches_a_call = adjusted(self.batches_a_call, used, seconds)

    def _many_at_once(self, feed: ArrayFeed) -> tuple[float, bool]:
        """An epoch in few calls of the C core, beside which other Python threads run. Each takes
        some milliseconds, so that an interrupt is heard; of how many batches changes no bit."""
        model, optimizer, constraints = self.model, self.state.optimizer, self.constraints
        totals, order, size = np.zeros(2), feed.order(self.rng), feed.batch_size
        start = 0
        while start < len(order) and not self.state.stopped:
            index = order[start : start + size * self.batches_a_call]
            started = time.perf_counter()
            try:
                model.train_batches(feed.data, index, size, optimizer, constraints, totals)
            except NotFiniteError as error:
                self.recent.take(constraints.result)
                raise self.diverged_in(error, index) from None
            self.recent.take(constraints.result)
            used, seconds = -(-len(index) // size), time.perf_counter() - started
            self.batches_a_call = adjusted(self.batches_a_call, used, seconds)
            start += len(index)
        return model.epoch_mean(float(totals[0]), start), start == len(order)

    def diverged_in(self, error: NotFiniteError, index: Array) -> FloatingPointError:
        """What to raise where a call has failed in one of the batches of these rows, which are all
        of an epoch or the first that the call has had."""
        feed = self.array_feed
        batch = self.constraints.result.steps % -(-len(index) // feed.batch_size)
        first = batch * feed.batch_size
        return self._diverged(error, feed.arrays(index[first : first + feed.batch_size]))

    @property
    def array_feed(self) -> ArrayFeed:
        """The feed of a run in large calls."""
        assert isinstance(self.feed, ArrayFeed)
        return self.feed

    def _accumulated(self, batches: Iterator[Batch]) -> tuple[float, bool]:
        """An epoch in which `accumulate` batches make a step: g = sum_b w_b g_b / sum_b w_b."""
        total = weight = 0.0
        while True:
            try:
                self._scale_dropout()
                loss, share = self._gather(islice(batches, self.setting.accumulate))
                if not share:
                    return self.model.epoch_mean(total, weight), True
                self.constraints.step(self.state.optimizer, self.setting.where, loss)
            except NotFiniteError as error:
                raise self._diverged(error, self.feed.arrays(self._index)) from None
            total, weight = total + loss * share, weight + share
            self.recent.losses.append(loss)
            self.recent.norms.append(self.constraints.gradient_norm)
            if self.setting.on_step and self._stopped_by_step(loss):
                return self.model.epoch_mean(total, weight), False

    def _gather(self, group: Iterator[Batch]) -> tuple[float, float]:
        """Leaves the gradients of these batches for a step; returns their mean loss and weight."""
        loss = share = 0.0
        steps = self.state.optimizer.steps
        for data, self._index, each in group:
            loss = self.model.accumulate_step(data, self._index, self.constraints, steps)
            share += each
        return loss, share

    def _stopped_by_step(self, loss: float) -> bool:
        state = self.state
        state.step, state.loss = state.optimizer.steps, loss
        state.gradient_norm = self.constraints.gradient_norm
        for call in self.setting.on_step:
            call(state)
        return state.stopped

    def _diverged(self, error: NotFiniteError, batch: Any) -> FloatingPointError:
        epoch = self.state.epoch + 1
        return diverged(self.model, self.setting.where, epoch, error, self.recent, batch)

    def _follow(self, measured: dict[str, float]) -> None:
        """Early stopping and a schedule that follows a metric are told of the last epoch."""
        state, patience = self.state, self.setting.patience
        if patience is not None:
            better = patience.improved(state.epoch, measured[patience.monitor])
            if better and patience.settings.restore_best:
                self.best = self.model.parameters().flat.copy()
        state.optimizer.update_schedules(measured.get("val_loss", measured["loss"]))

    def _take_back(self) -> None:
        """A callback may have made a fit of the same model, which has left its own in it."""
        self.model.optimizer, self.model.position = self.state.optimizer, None

    def finish_epoch(self, whole: bool) -> None:
        """Writes the model file, if there is one, unless the epoch was broken off."""
        self.whole = whole
        self.state.history.fill(self.listed)
        self._take_back()
        if self.setting.file is not None and whole:
            self._write()

    def finish(self) -> None:
        """Puts the best parameters back, and leaves the position in the model."""
        self.state.history.fill(self.listed)
        self._take_back()
        last, patience = None, self.setting.patience
        if patience is not None:
            self.state.history.best_epoch = patience.best_epoch or None
            if self.best is not None:
                parameters = self.model.parameters()
                last = parameters.flat.copy()
                parameters.flat = self.best  # a write, for which those who predict are waited for
                self.best = None
        if not self.whole:
            return
        if self.setting.file is not None and last is not None:
            self._write(last)
        else:
            self.model.position = self._position(last)

    def _position(self, last: Array | None = None) -> Position:
        patience = self.setting.patience
        return Position(
            epoch=self.state.epoch,
            seed=self.seed,
            rng=None if self.rng is None else dict(self.rng.bit_generator.state),
            history=self.state.history.to_dict(self.listed),
            stopping=None if patience is None else patience.state(),
            settings=self.setting.kept,
            best=self.best,
            last=last,
        )

    def _write(self, last: Array | None = None) -> None:
        assert self.setting.file is not None
        self.model.position = self._position(last)
        self.model.write_progress(self.setting.file)
