"""Independent runs of equal pace, whose steps the C core makes together: for fit_many."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import core
from micrograd.data.batching import STORED_ROWS
from micrograd.optim.constraints import NotFiniteError
from micrograd.training.run import MOST_ROWS, adjusted

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.training.inputs import Data
    from micrograd.training.run import Run


CALL = 0.1, 0.4  # seconds that a call takes at least and at most: an interrupt is heard after it
FIRST = 0.02  # seconds of the first call, at SPEED
SPEED = 5e10  # floating-point operations a second of a thread, about


@dataclass
class Track:
    """A run among others, and its epochs at hand: the rows in their order, and the sums so far."""

    run: Run
    data: Data
    order: Array = field(default_factory=lambda: np.empty(0, np.int64))
    totals: Array = field(default_factory=lambda: np.zeros(2))
    failed: BaseException | None = None

    def __post_init__(self) -> None:
        self.feed = self.run.array_feed
        self.size = self.feed.batch_size  # the rows of a batch

    def begin(self) -> None:
        """Before an epoch, or several in one call."""
        self.run.model.position = None  # in the midst of an epoch there is none to go on from
        self.totals[:] = 0

    def call(self, index: Array, pace: Any = None) -> tuple[Any, ...]:
        """What Network.train_many wants for these rows."""
        run, feed = self.run, self.feed
        optimizer = run.state.optimizer
        return (
            run.model, feed.data, index, self.size, optimizer, run.constraints, self.totals,
            pace,
        )  # fmt: skip

    def take(self, error: BaseException | None, index: Array) -> None:
        """What became of a call for these rows, all of one epoch: or of the last one of it."""
        self.run.recent.take(self.run.constraints.result)
        self.failed = error
        if isinstance(error, NotFiniteError):
            self.failed = self.run.diverged_in(error, index)


def _begin(tracks: list[Track], epochs: int, threads: int) -> None:
    """Gives all of them the orders of their next epochs, one behind the other; what generators in
    the same state make of equally many rows is drawn once."""
    alike: dict[str, list[tuple[Track, np.random.Generator]]] = {}
    for track in tracks:
        track.begin()
        rng, feed = track.run.rng, track.feed
        if rng is None or feed.rows > STORED_ROWS:
            track.order = feed.order(rng, epochs)
        else:
            alike.setdefault(repr((feed.rows, rng.bit_generator.state)), []).append((track, rng))
    firsts = [group[0] for group in alike.values()]
    drawings = [core.Drawing(rng, track.feed.rows, epochs) for track, rng in firsts]
    drawn = core.draw_orders(drawings, threads)
    for (_, first), group, orders in zip(firsts, alike.values(), drawn, strict=True):
        order, state = orders.reshape(-1), first.bit_generator.state
        for track, rng in group:
            track.order = track.feed.selected(order)
            if rng is not first:
                rng.bit_generator.state = state


def train(tracks: list[Track], threads: int) -> None:
    """All epochs of runs that have begun; one that fails says why in `failed`, the others go on."""
    batches = _first(tracks, threads)
    with ExitStack() as after:
        for track in tracks:
            after.callback(track.run.restore_dropout)
        while active := [t for t in tracks if t.failed is None and not t.run.over()]:
            epochs = _epochs(active, batches)
            if epochs > 1:
                batches = _several(active, epochs, batches, threads)
            else:
                batches = _one(active, batches, threads)
    for track in tracks:
        if track.failed is None:
            track.run.finish()


def _first(tracks: list[Track], threads: int) -> int:
    """The batches of the first call."""
    work = sum(6 * t.size * t.run.model.parameters().size for t in tracks)
    return max(1, int(FIRST * SPEED * threads / max(work, 1)))


def _epochs(tracks: list[Track], batches: int) -> int:
    """How many epochs of all the next call has: several where nobody looks at them one by one. All
    have equally many rows and batches."""
    feed = tracks[0].feed
    left = min(t.run.state.epochs - t.run.state.epoch for t in tracks)
    if left == 1 or any(t.run.watched(t.data) for t in tracks):
        return 1
    orders = len({t.run.seed for t in tracks})
    return max(1, min(left, batches // feed.batches_an_epoch, MOST_ROWS // (feed.rows * orders)))


def _several(tracks: list[Track], epochs: int, batches: int, threads: int) -> int:
    """So many epochs in one call; how many batches the next one should have."""
    started = time.perf_counter()
    _begin(tracks, epochs, threads)
    rows = tracks[0].feed.rows
    model = tracks[0].run.model
    paces = [model.pace(rows, epochs) for _ in tracks]
    calls = [t.call(t.order, pace) for t, pace in zip(tracks, paces, strict=True)]
    errors = model.train_many(calls, threads)
    seconds = time.perf_counter() - started
    for track, pace, error in zip(tracks, paces, errors, strict=True):
        losses = pace.losses
        track.run.end_epochs(losses, seconds / epochs)
        first = len(losses) * rows
        track.take(error, track.order[first : first + rows])
    return adjusted(batches, epochs * tracks[0].feed.batches_an_epoch, seconds, CALL)


def _one(tracks: list[Track], batches: int, threads: int) -> int:
    """An epoch, in calls of so many batches; how many the next call should have."""
    began, place = time.perf_counter(), 0
    _begin(tracks, 1, threads)
    train_many = tracks[0].run.model.train_many
    while left := [t for t in tracks if t.failed is None and place * t.size < len(t.order)]:
        started = time.perf_counter()
        parts = [t.order[place * t.size : (place + batches) * t.size] for t in left]
        calls = [track.call(part) for track, part in zip(left, parts, strict=True)]
        errors = train_many(calls, threads)
        for track, part, error in zip(left, parts, errors, strict=True):
            track.take(error, part)
        place += batches
        used = max(-(-len(part) // t.size) for t, part in zip(left, parts, strict=True))
        batches = adjusted(batches, used, time.perf_counter() - started, CALL)
    for track in tracks:
        if track.failed is None:
            loss = track.run.model.epoch_mean(float(track.totals[0]), len(track.order))
            track.run.end_epoch(track.data, loss, began)
            track.run.finish_epoch(True)
    return batches
