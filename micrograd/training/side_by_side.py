"""Independent runs of equal pace, whose steps the C core makes together: for fit_many."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.optim.constraints import NotFiniteError
from micrograd.optim.optimizer import Optimizer
from micrograd.training.run import adjusted

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.training.inputs import Data
    from micrograd.training.run import Run


Orders = dict[str, tuple["Array", dict[str, Any]]]  # and how each leaves its generator


@dataclass
class Track:
    """A run among others, and its epoch: the rows in their order, and the sums so far."""

    run: Run
    data: Data
    order: Array = field(default_factory=lambda: np.empty(0, np.int64))
    totals: Array = field(default_factory=lambda: np.zeros(2))
    failed: BaseException | None = None

    def begin(self, known: Orders) -> None:
        """The order of the next epoch, from those that others have drawn if it is the same."""
        self.run.model.position = None  # in the midst of an epoch there is none to go on from
        self.totals[:] = 0
        rng, feed = self.run.rng, self.run.array_feed
        if rng is None or feed.shape is None:
            self.order = feed.order(rng)
            return
        key = repr((feed.shape, rng.bit_generator.state))
        if key not in known:
            order = feed.order(rng)
            known[key] = order, dict(rng.bit_generator.state)
        self.order, rng.bit_generator.state = known[key]

    def call(self, start: int, batches: int) -> tuple[Any, ...]:
        """What Network.train_many wants for the next so many batches."""
        run, feed = self.run, self.run.array_feed
        index = self.order[start : start + batches * feed.batch_size]
        optimizer = run.state.optimizer
        return (
            run.model, feed.data, index, feed.batch_size, optimizer, run.constraints, self.totals,
            None,
        )  # fmt: skip

    def take(self, error: BaseException | None, start: int) -> None:
        """What became of a call that began with order[start]."""
        self.run.recent.take(self.run.constraints.result)
        if isinstance(error, NotFiniteError):
            self.failed = self.run.diverged_in(error, self.order, start)
        else:
            self.failed = error


def fits(run: Run, optimizer: Any) -> bool:
    """Whether a run can be one of several: the C core makes many of its steps in a call, and no
    code of the user's own has a part in one."""
    own = optimizer is not None and type(optimizer).arguments is not Optimizer.arguments
    return run.model.train_many is not None and run.in_large_calls(optimizer) and not own


def train(tracks: list[Track], threads: int) -> None:
    """All epochs of runs that have begun; one that fails says why in `failed`, the others go on."""
    batches = 1
    with ExitStack() as after:
        for track in tracks:
            after.callback(track.run.restore_dropout)
        while active := [t for t in tracks if t.failed is None and not t.run.over()]:
            started = time.perf_counter()
            known: Orders = {}
            for track in active:
                track.begin(known)
            batches = _epoch(active, batches, threads)
            for track in active:
                if track.failed is None:
                    loss = track.run.model.epoch_mean(float(track.totals[0]), len(track.order))
                    track.run.end_epoch(track.data, loss, started)
                    track.run.finish_epoch(True)
    for track in tracks:
        if track.failed is None:
            track.run.finish()


def _epoch(tracks: list[Track], batches: int, threads: int) -> int:
    """The steps of an epoch, in calls of so many batches; how many the next call should have."""
    train_many = tracks[0].run.model.train_many
    place = 0
    while left := [t for t in tracks if t.failed is None and place * _size(t) < len(t.order)]:
        started = time.perf_counter()
        errors = train_many([track.call(place * _size(track), batches) for track in left], threads)
        for track, error in zip(left, errors, strict=True):
            track.take(error, place * _size(track))
        place += batches
        batches = adjusted(batches, time.perf_counter() - started)
    return batches


def _size(track: Track) -> int:
    return track.run.array_feed.batch_size
