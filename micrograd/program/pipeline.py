"""From a function of Values to a program, for `compile`, a network's functions and exports alike.

- record: call the function and write down its ops, also those of derivatives inside;
- number: give the leaves it closes over the numbers that the model has for them;
- simplify: the same from fewer ops;
- differentiate: who sends a gradient to whom;
- lay_out: instructions, and a slot for every number;
- encode: what the C core takes (`c_program`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from micrograd.engine.value import Value
from micrograd.program.differentiate import differentiate
from micrograd.program.layout import Assembly, lay_out
from micrograd.program.ops import CONSTANT, NONE, PARAMETER, Node, Shape
from micrograd.program.recording import Recording, record
from micrograd.program.simplify import simplify


@dataclass(frozen=True)
class Simplified:
    """A function as a short list of ops.

    nodes, outputs: the list, and the places in it of the results. recorded: how many ops there were
    before simplification. recording: what else is known of the function.
    """

    nodes: list[Node]
    outputs: list[int]
    recorded: int
    recording: Recording


def simplified(
    f: Callable[..., Any],
    shapes: Sequence[Shape],
    number: Callable[[list[Value]], Sequence[int]],
    values: Sequence[float] | None = None,
) -> Simplified:
    """What f does for a sample whose arguments have these shapes.

    number: gives the leaves that f closes over their numbers among the model's parameters. values:
    what to put in the place of each parameter; None leaves them parameters.

    Raises:
        RecordingError: f does what a recording cannot hold.
    """
    recording = record(f, shapes)
    numbered = _numbered(recording, number(recording.leaves), values)
    nodes, outputs = simplify(numbered, recording.outputs)
    ops = sum(node.rule.arity != NONE for node in numbered)
    return Simplified(nodes, outputs, ops, recording)


def _numbered(
    recording: Recording, numbers: Sequence[int], values: Sequence[float] | None
) -> list[Node]:
    nodes = []
    for node in recording.nodes:
        if node.rule is PARAMETER:
            n = numbers[node.operands[0]]
            leaf = Node(PARAMETER, (n,))
            node = leaf if values is None else Node(CONSTANT, (), float(values[n]))
        nodes.append(node)
    return nodes


def assembled(
    nodes: list[Node],
    outputs: list[int],
    n_parameters: int,
    differentiated: Mapping[int, int] = MappingProxyType({}),
) -> Assembly:
    """Instructions that compute these results and, where there is only one, its gradient.

    differentiated: the arguments whose gradients are wanted beside those of the parameters, and how
    many columns each has.
    """
    passes = differentiate(nodes, outputs, differentiated)
    return lay_out(passes, n_parameters)


def columns_of(shapes: Sequence[Shape]) -> list[int]:
    """How many numbers of one sample each argument holds."""
    return [math.prod(shape) for shape in shapes]
