"""The scalar functions of a network, those of its Maps and its loss, as programs of the C core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from micrograd.engine.value import Value
from micrograd.network.layers import Layer
from micrograd.network.losses import Loss
from micrograd.network.lowering import maps
from micrograd.network.reverse import LossOp
from micrograd.program.network_op import ScalarOp, loss_op, map_op
from micrograd.program.recorder import RecordingError


class Functions:
    """Records the functions of a network, and knows the Values that they close over.

    `leaves` are those that take a gradient: parameters of the network, behind the others. Each plan
    gets programs of its own, because a program holds the sums of a pass that is under way.

    Raises:
        RecordingError: a function does what cannot be recorded; the error names it.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, outputs: int, first_scalar: int, dtype: str
    ) -> None:
        self.leaves: list[Value] = []
        self._maps = dict(maps(layers))
        self._loss, self._outputs = loss, outputs
        self._first_scalar, self._dtype = first_scalar, dtype
        self._settled = False
        self.targets = outputs  # columns of the targets that the loss is recorded for
        self.programs()
        if loss.function is not None:
            self.targets = self._first_targets()
        self._settled = True

    def _first_targets(self) -> int:
        """Columns of the targets as the loss seems to want them: as many as the outputs, or one."""
        try:
            self._loss_program(self._outputs)
        except (RecordingError, TypeError, AttributeError):
            if self._outputs == 1:
                raise
            try:
                self._loss_program(1)
            except (RecordingError, TypeError, AttributeError):
                self._loss_program(self._outputs)  # its error is the one to show
            return 1
        return self._outputs

    def programs(self) -> dict[str, ScalarOp]:
        """A new program for each Map, by its path."""
        return {path: self._map_program(path, layer.f) for path, layer in self._maps.items()}

    def _map_program(self, path: str, f: object) -> ScalarOp:
        before = len(self.leaves)
        program = map_op(f, self.leaves, self._dtype, f"Network: layer {path} Map")  # type: ignore[arg-type]
        self._check_leaves(before, f"layer {path} Map")
        return program

    def _loss_program(self, targets: int) -> ScalarOp:
        before = len(self.leaves)
        f = self._loss.function
        assert f is not None
        program = loss_op(f, self._outputs, targets, self.leaves, self._dtype, "Network: loss")
        self._check_leaves(before, "the loss")
        return program

    def _check_leaves(self, before: int, where: str) -> None:
        """A function must close over the same Values whenever it is recorded."""
        if self._settled and len(self.leaves) > before:
            new = self.leaves[before]
            del self.leaves[before:]
            raise RecordingError(
                f"{where} uses {new!r}, which it did not when the network was made; "
                "make a new network",
                "Network",
            )

    def loss(self) -> LossOp:
        """The loss for a plan, a new program where it is a function."""
        if self._loss.function is None:
            return LossOp(self._loss.code)
        program = self._loss_program(self.targets)
        first = self._first_scalar if program.n_parameters else -1
        return LossOp(self._loss.code, program, self.targets, first)

    def names(self) -> list[str]:
        """Of the leaves as parameters: their labels where these are unique, else p0, p1, ..."""
        labels = Counter(leaf.label for leaf in self.leaves)
        return [
            leaf.label if leaf.label and labels[leaf.label] == 1 else f"{leaf.label}p{i}"
            for i, leaf in enumerate(self.leaves)
        ]
