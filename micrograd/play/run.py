"""One run: a network in training that can go back to any step it has made.

A run is a function of its configuration and the number of steps: going back restores the latest
snapshot before a step and trains on from there, to the same bits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from micrograd import diagnose
from micrograd.core import Array
from micrograd.data import batches
from micrograd.network.network import Network
from micrograd.optim.constraints import NotFiniteError
from micrograd.play.bounded import Bounded
from micrograd.play.build import constraints_of, network_of, optimizer_of
from micrograd.play.config import Config
from micrograd.play.dataset import Dataset

MOST_SNAPSHOTS, SNAPSHOT_BYTES = 64, 48 << 20  # of a run: so many, and no more memory than this
MOST_POINTS = 400  # of the curves
LOOKED_AT = 256  # rows whose gradient is followed through the layers


@dataclass(frozen=True)
class Snapshot:
    """All that training depends on: parameters, optimizer, and where in an epoch it stood.

    rng: the state from which the epoch's order was drawn; batch: how many of its batches are done.
    """

    flat: Array
    optimizer: Mapping[str, Any]
    rng: Mapping[str, Any]
    batch: int


class Measured(NamedTuple):
    """Loss and accuracy on the rows to train on and to test with; None where there is none."""

    loss: float
    accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None


class Run:
    """A network in training.

    Attributes:
        config, data, net, optimizer: what it is made of; step: how many it has made; furthest: the
            most that it had made. curve: Measured at some steps; snapshots: where to go back to.
        failure: why it cannot go on, "" while it can.

    Raises:
        TypeError, ValueError: the configuration makes no network for these data.
    """

    def __init__(self, config: Config, data: Dataset) -> None:
        self.config, self.data = config, data
        self.net: Network = network_of(config, data)
        self.optimizer = optimizer_of(config, self.net)
        self._constraints = constraints_of(config, self.net)
        self._rows = self.net.checked_batch("play", data.X, data.y)
        size = 3 * self.net.parameters().flat.nbytes
        self.snapshots: Bounded[Snapshot] = Bounded(min(MOST_SNAPSHOTS, SNAPSHOT_BYTES // size))
        self.curve: Bounded[Measured] = Bounded(MOST_POINTS)
        self.step = self.furthest = 0
        self.failure = ""
        self._rng = np.random.default_rng(config.seed)
        self._start_epoch()
        self._note()

    # ---- forward ----

    def advance(self, steps: int) -> int:
        """Trains so many steps, or fewer where a number is no longer finite, as `failure` then
        says; returns how many.
        """
        for made in range(steps):
            if self.failure:
                return made
            self._one()
        return steps

    def _one(self) -> None:
        if self._batch == len(self._order):
            self._start_epoch()
        index = self._order[self._batch]
        try:
            self.net.train_step(self._rows, index, self.optimizer, self._constraints)
        except NotFiniteError as error:
            self.failure = str(error)
            return
        self._batch += 1
        self.step += 1
        self.furthest = max(self.furthest, self.step)
        self._note()

    def _start_epoch(self) -> None:
        """Draws the order of an epoch, as fit does."""
        self._rng_state = copy.deepcopy(self._rng.bit_generator.state)
        self._order = list(batches(len(self.data.X), self.config.batch, self._rng))
        self._batch = 0

    def _note(self) -> None:
        """Keeps what there is to keep of this step."""
        if self.curve.wants(self.step):
            self.curve.add(self.step, self.measure())
        if self.snapshots.wants(self.step):
            self.snapshots.add(self.step, self._snapshot())

    # ---- back ----

    def _snapshot(self) -> Snapshot:
        flat = self.net.parameters().flat.copy()
        return Snapshot(flat, self.optimizer.state_dict(), self._rng_state, self._batch)

    def seek(self, step: int) -> None:
        """Goes to a step, back or on: its weights are those that it had, bit for bit."""
        near, snapshot = self.snapshots.before(step)
        if not near <= self.step <= step:
            self.net.parameters().flat[...] = snapshot.flat
            self.optimizer.load_state_dict(snapshot.optimizer)
            self.net.step = self.step = near
            self._rng.bit_generator.state = dict(snapshot.rng)
            self._start_epoch()
            self._batch = snapshot.batch
            self.failure = ""
        self.advance(step - self.step)

    # ---- what can be seen ----

    def measure(self) -> Measured:
        """Loss and accuracy now, without dropout."""
        data = self.data
        loss, accuracy = self.net.evaluate(data.X, data.y)
        if not len(data.X_test):
            return Measured(loss, accuracy, None, None)
        return Measured(loss, accuracy, *self.net.evaluate(data.X_test, data.y_test))

    def diagnosis(self) -> diagnose.Diagnosis:
        """How the gradient flows through the layers, on some of the rows."""
        return diagnose.diagnose(self.net, self.data.X[:LOOKED_AT], self.data.y[:LOOKED_AT])

    def frozen(self) -> Network:
        """A copy of the network, with names of its classes and columns, for another thread."""
        net = copy.copy(self.net)
        net.optimizer = net.position = None
        if self.data.classes:
            net.metadata["classes"] = list(self.data.classes)
        if self.data.schema is not None:
            net.metadata["schema"] = self.data.schema.to_dict()
        return net


def finite(x: float | None) -> float | None:
    """A number for JSON, which has no nan and no infinities."""
    return None if x is None or not math.isfinite(x) else float(x)
