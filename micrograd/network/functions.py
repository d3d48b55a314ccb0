"""The scalar functions of a network, those of its Maps and its loss, as programs of the C core.

The room that records them is loaded by the first network that has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from micrograd.engine.value import Value
from micrograd.network.blocks import walk
from micrograd.network.layers import Layer, Map
from micrograd.network.losses import Loss
from micrograd.network.reverse import LossOp
from micrograd.sharing import new_lock

if TYPE_CHECKING:
    from micrograd.program.network_op import ScalarOp


class Functions:
    """Records the functions of a network, and knows the Values that they close over.

    `leaves` are those that take a gradient: parameters of the network, behind the others. Each
    function is recorded once, a loss once for each number of columns of the targets; each plan gets
    programs of its own, because a program holds the sums of a pass that is under way.

    Raises:
        RecordingError: a function does what cannot be recorded; the error names it.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, outputs: int, first_scalar: int, dtype: str
    ) -> None:
        self.leaves: list[Value] = []
        self._loss, self._outputs = loss, outputs
        self._first_scalar, self._dtype = first_scalar, dtype
        self._maps: dict[str, ScalarOp] = {}
        for path, layer in walk(layers):
            if isinstance(layer, Map):
                from micrograd.program.network_op import map_op

                where = f"Network: layer {path} Map"
                self._maps[path] = map_op(layer.f, self.leaves, dtype, where)
        self._losses: dict[int, ScalarOp] = {}  # by the columns of the targets
        self._recording = new_lock()
        self.targets = outputs  # columns of the targets, as long as none have come
        if loss.function is not None:
            self.targets = self._first_targets()

    def _first_targets(self) -> int:
        """Columns of the targets as the loss seems to want them: as many as the outputs, or one."""
        from micrograd.program.recorder import RecordingError

        try:
            self._losses[self._outputs] = self._loss_program(self._outputs)
        except (RecordingError, TypeError, AttributeError):
            if self._outputs == 1:
                raise
            try:
                self._losses[1] = self._loss_program(1)
            except (RecordingError, TypeError, AttributeError):
                self._loss_program(self._outputs)  # its error is the one to show
            return 1
        return self._outputs

    def _loss_program(self, targets: int) -> ScalarOp:
        from micrograd.program.network_op import loss_op

        f = self._loss.function
        assert f is not None
        return loss_op(f, self._outputs, targets, self.leaves, self._dtype, "Network: loss")

    def programs(self) -> dict[str, ScalarOp]:
        """A new program for each Map, by its path."""
        return {path: op.again() for path, op in self._maps.items()}

    def loss(self, targets: int) -> LossOp:
        """The loss for a plan and so many columns of targets, a new program where it is a function.

        Raises:
            RecordingError: the function cannot do with so many columns, or closes over a Value that
                it did not close over when the network was made; nothing has changed then.
        """
        if self._loss.function is None:
            return LossOp(self._loss.code)
        with self._recording:
            if targets not in self._losses:
                self._losses[targets] = self._another_loss(targets)
            program = self._losses[targets].again()
        first = self._first_scalar if program.n_parameters else -1
        return LossOp(self._loss.code, program, targets, first)

    def _another_loss(self, targets: int) -> ScalarOp:
        before = len(self.leaves)
        program = self._loss_program(targets)
        if len(self.leaves) > before:
            new = self.leaves[before]
            del self.leaves[before:]
            from micrograd.program.recorder import RecordingError

            raise RecordingError(
                f"the loss uses {new!r}, which it did not when the network was made; "
                "make a new network",
                "Network",
            )
        return program

    def names(self) -> list[str]:
        """Of the leaves as parameters: their labels where these are unique, else p0, p1, ..."""
        labels = Counter(leaf.label for leaf in self.leaves)
        return [
            leaf.label if leaf.label and labels[leaf.label] == 1 else f"{leaf.label}p{i}"
            for i, leaf in enumerate(self.leaves)
        ]
