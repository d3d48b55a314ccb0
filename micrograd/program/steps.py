"""A compiled function's steps of training, as fit() drives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from micrograd import checks
from micrograd.core import Array
from micrograd.trainable import Trainable


@dataclass
class Data:
    """A data set in arrays that fit."""

    rows: int
    arrays: list[Array]


class Steps(Trainable):
    """What `Program` does for training, in terms of its loss() and backward()."""

    loss_name = "program"
    layers: tuple[Any, ...] = ()
    out_features = 0  # no outputs but the loss
    step = 0  # nothing in it depends on how many passes there were
    train_batches = train_many = train_epochs = pace = None  # its steps are of several calls each
    batch_kind = None

    def checked_batch(
        self: Any, where: str, X: Any, y: Any, sample_weight: Any = None, index: Any = None
    ) -> Data:
        """A data set that train_step takes rows from, checked once."""
        if sample_weight is not None:
            raise ValueError(
                f"{where}: sample weights are for a Network; a compiled function weighs its "
                "samples itself, with a column of X"
            )
        arrays = [checks.reals(where, name, x, self._dtype) for name, x in (("X", X), ("y", y))]
        _, rows, _ = self._prepare(where, tuple(arrays))
        return Data(rows, arrays)

    def train_step(self: Any, data: Any, index: Array, optimizer: Any, constraints: Any) -> float:
        """One step on the rows `index` of a checked data set; returns the mean loss before it.

        Raises:
            FloatingPointError: the loss or the update is not finite; the parameters are those
                before.
        """
        loss = self.loss(*[array.take(index, axis=0) for array in data.arrays])
        parameters = self.parameters()
        parameters.stale = True
        self.backward()
        with parameters.access.writing("Program.fit"):
            constraints.step(optimizer, "Program.fit", loss)
        return float(loss)

    def accumulate_step(self: Any, data: Any, index: Array, constraints: Any, steps: int) -> float:
        """The loss and gradient of some rows of the next step (number `steps`), which is made by
        constraints.step from the mean over all of them. Returns the mean loss so far.
        """
        loss = self.loss(*[array.take(index, axis=0) for array in data.arrays])
        parameters = self.parameters()
        before = parameters.flat_grad.copy() if constraints.gathering else 0
        parameters.stale = True
        self.backward()
        gradient = parameters.flat_grad
        gradient *= len(index)
        gradient += before
        return float(constraints.gather(loss, len(index)))

    def prepare(self: Any, where: str, X: Any, y: Any) -> None:
        """Records the function for rows like these, if it has not been recorded yet."""
        if self._parameters is None:
            if y is None:
                raise RuntimeError(f"{where}: call program.record(X, y) with one batch first")
            self._prepare(where, (X[:1], y[:1]))

    def place_not_finite(self: Any, X: Any, y: Any) -> str:
        """A function has no layers to look at: ""."""
        return ""
