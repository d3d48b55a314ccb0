"""Instructions for the C core, and a slot for every number that they keep.

The format stands in csrc/micrograd.h. Time runs through the forward ops and then through the
backward ops, in reverse. A value lives from its op to its last use, which may be in the derivative
of another op; a gradient lives from the first op that sends something to it until its own op passes
it on. Slots are shared by whatever does not live at the same time, so that a block of rows fits
into the cache.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from micrograd.engine import rules
from micrograd.engine.rules import split_dot
from micrograd.program.differentiate import Passes
from micrograd.program.opcodes import (
    NO_SINK,
    NO_SLOT,
    OPCODES,
    scalar_operand,
    scalar_sink,
    slot_sink,
)
from micrograd.program.ops import INPUT
from micrograd.program.reads import LINEAR, reads_of


@dataclass
class Code:
    """Instructions, and how many slots they work on."""

    forward: array[int] = field(default_factory=lambda: array("i"))
    backward: array[int] = field(default_factory=lambda: array("i"))
    slots: int = 0


def leave_gradient(column: Sequence[int], slot: int) -> tuple[int, ...]:
    """The instruction by which the gradient of an argument's column goes to the caller."""
    return (OPCODES[INPUT], 2, NO_SLOT, slot, NO_SLOT, *column, NO_SINK, NO_SINK)


class Part:
    """Instructions for one half of the nodes: those that vary from row to row, or the others.

    Args:
        passes: all nodes, and how gradients flow. mine: the half, in order.
        scalars: the numbers of the nodes that are scalars here.
        training: whether there is a backward pass; where there is only one output, if not given.
    """

    def __init__(
        self,
        passes: Passes,
        mine: Sequence[int],
        scalars: Mapping[int, int],
        training: bool | None = None,
    ) -> None:
        self.nodes, self.receives, self.sends = passes.nodes, passes.receives, passes.sends
        self.training = passes.training if training is None else training
        self.masks = passes.masks if self.training else {}
        self.mine, self.scalars = mine, scalars
        self.steps = [i for i in reversed(mine) if self._goes_back(i)] if self.training else []
        self.places = [0] * len(self.nodes)  # of a value: its slot, or its scalar as an operand
        for i, number in scalars.items():
            self.places[i] = scalar_operand(number)
        self.gradients: dict[int, int] = {}  # slot of a gradient
        self._is_mine = [False] * len(self.nodes)
        for i in mine:
            self._is_mine[i] = True
        self._free: list[int] = []
        self._slots = 0

    def _goes_back(self, i: int) -> bool:
        return bool(self.sends[i]) or (self.receives[i] and self.nodes[i].rule is INPUT)

    def sink(self, i: int) -> int:
        """Where a gradient for node i goes."""
        if not self.receives[i]:
            return NO_SINK
        if not self._is_mine[i]:
            return scalar_sink(self.scalars[i])
        slot = self.gradients.get(i)
        if slot is not None:
            return slot_sink(slot, add=True)
        slot = self.gradients[i] = self._take()
        return slot_sink(slot, add=False)

    def end(
        self, forward: list[int], backward: list[int], op: int, destination: int, i: int
    ) -> None:
        """Reads node i at the end of the forward pass; in training its gradient starts there."""
        forward += (op, 1, destination, self.places[i])
        if self.receives[i] and self.training:
            backward += (op, 1, destination, 0, NO_SLOT, self.places[i], self.sink(i))

    def _take(self) -> int:
        """A slot; one that was given back is given out again first."""
        if self._free:
            return self._free.pop()
        self._slots += 1
        return self._slots - 1

    def _looked_at(self) -> list[Sequence[int]]:
        """Of each backward step, the nodes whose values it looks at."""
        out: list[Sequence[int]] = []
        for i in self.steps:
            rule, operands, _ = self.nodes[i]
            found: list[int] = []
            if rule is not INPUT:
                looks = reads_of(rule, self.sends[i], len(operands))
                found = [i if at < 0 else operands[at] for at in looks]
                if i in self.masks:
                    found.append(self.masks[i])
            out.append(found)
        return out

    def run(self, ends: Sequence[int], end: Callable[[Part, list[int], list[int]], None]) -> Code:
        """Forward; what reads the ends and, in training, starts their gradients; backward."""
        nodes, places, mine, free = self.nodes, self.places, self.mine, self._free
        looked_at = self._looked_at()
        last = [-1] * len(nodes)  # the time of the last use
        for t, i in enumerate(mine):
            if nodes[i].rule is not INPUT:
                for j in nodes[i].operands:
                    last[j] = t
        for j in ends:
            last[j] = len(mine)
        for t, found in enumerate(looked_at, len(mine) + 1):
            for j in found:
                last[j] = t
        forward: list[int] = []
        backward: list[int] = []

        def give_back(candidates: Sequence[int], t: int) -> None:
            for j in candidates:
                if last[j] == t and self._is_mine[j]:
                    last[j] = -1
                    free.append(places[j])

        for t, i in enumerate(mine):
            rule, operands, _ = nodes[i]
            if rule is INPUT:
                places[i] = self._take()
                forward += (OPCODES[rule], 2, places[i], *operands)
                continue
            codes = [places[j] for j in operands]
            give_back(operands, t)
            places[i] = slot = self._take()
            forward += (OPCODES[rule], len(codes), slot, *codes)
        end(self, forward, backward)
        give_back(ends, len(mine))
        for t, (i, found) in enumerate(zip(self.steps, looked_at, strict=True), len(mine) + 1):
            self._step_back(backward, i, found)
            free.append(self.gradients[i])
            give_back(found, t)
        return Code(array("i", forward), array("i", backward), self._slots)

    def _step_back(self, code: list[int], i: int, looked_at: Sequence[int]) -> None:
        """The backward op of node i."""
        rule, operands, _ = self.nodes[i]
        if rule is INPUT:
            code += leave_gradient(operands, self.gradients[i])
            return
        masked = i in self.masks and rule not in LINEAR
        n = len(operands)
        code += (
            OPCODES[rule],
            n,
            self.places[i] if i in looked_at else NO_SLOT,
            self.gradients[i],
            self.places[self.masks[i]] if masked else NO_SLOT,
        )
        code += [self.places[j] for j in operands]
        sinks = [NO_SINK] * n
        order = self.sends[i]
        if rule is rules.DOT:  # as the kernels go: w0, x0, w1, x1, ..., bias
            order = sorted(order, key=_turn_in_dot(n).__getitem__)
        for k in order:
            sinks[k] = self.sink(operands[k])
        code += sinks


def _turn_in_dot(n: int) -> list[int]:
    """Of each operand of a dot, when its gradient is sent."""
    ws, xs, bias = split_dot(range(n))
    turn = [0] * n
    for i, k in enumerate([k for pair in zip(ws, xs, strict=True) for k in pair] + [bias]):
        turn[k] = i
    return turn
