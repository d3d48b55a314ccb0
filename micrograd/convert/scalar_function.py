"""An activation written as a function of a Value, as a list of ops that a target can write.

A target has a table from the name of an op (`rules`) to what it writes for it; the walk over the
list stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from micrograd.engine import Value
from micrograd.recording import CONSTANT, INPUT, PARAMETER, Node, record
from micrograd.simplify import simplify, varying

Written = TypeVar("Written")


@dataclass(frozen=True)
class ScalarFunction:
    """Plain data, which can be copied and pickled.

    ops: in order, each with a name, the places of its operands in this list, and for a "constant"
    its value; "input" is the argument. output: the place of the result. varies: the result depends
    on the argument.
    """

    ops: tuple[tuple[str, tuple[int, ...], float], ...]
    output: int
    varies: bool

    def write(
        self,
        argument: Written,
        constant: Callable[[float], Written],
        op: Callable[[str, Sequence[Written]], Written],
    ) -> Written:
        """What the target makes of the result: `op` gets an op's name and its operands."""
        written: list[Written] = []
        for name, operands, value in self.ops:
            if name == INPUT.name:
                written.append(argument)
            elif name == CONSTANT.name:
                written.append(constant(value))
            else:
                written.append(op(name, [written[i] for i in operands]))
        return written[self.output]


def scalar_function(f: Callable[..., object], values: Mapping[Value, float]) -> ScalarFunction:
    """The ops of f, from one Value to one.

    values: of the leaves that f closes over, where they are other than their `.data`.
    """
    recording = record(f, [()])
    numbers = [float(values.get(leaf, leaf.data)) for leaf in recording.leaves]
    nodes = [
        Node(CONSTANT, (), numbers[node.operands[0]]) if node.rule is PARAMETER else node
        for node in recording.nodes
    ]
    nodes, (output,) = simplify(nodes, recording.outputs)
    ops = tuple((node.rule.name, node.operands, node.value) for node in nodes)
    return ScalarFunction(ops, output, varying(nodes)[output])
