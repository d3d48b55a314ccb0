"""An activation written as a function of a Value, as a list of ops that a target can write.

A target has a table from the name of an op (`rules`) to what it writes for it; the walk over the
list stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from micrograd.engine.value import Value
from micrograd.program.ops import CONSTANT, INPUT, PARAMETER
from micrograd.program.pipeline import simplified
from micrograd.program.simplify import varying

Written = TypeVar("Written")


@dataclass(frozen=True)
class ScalarFunction:
    """Plain data, which can be copied and pickled.

    ops: in order, each with a name, the places of its operands in this list, and for a "constant"
    its value; "input" is the argument, "parameter" has the number of a leaf for its operand.
    output: the place of the result. varies: the result depends on the argument.
    """

    ops: tuple[tuple[str, tuple[int, ...], float], ...]
    output: int
    varies: bool

    def write(
        self,
        argument: Written,
        constant: Callable[[float], Written],
        op: Callable[[str, Sequence[Written]], Written],
        parameters: Sequence[Written] = (),
    ) -> Written:
        """What the target makes of the result: `op` gets an op's name and its operands."""
        written: list[Written] = []
        for name, operands, value in self.ops:
            if name == INPUT.name:
                written.append(argument)
            elif name == PARAMETER.name:
                written.append(parameters[operands[0]])
            elif name == CONSTANT.name:
                written.append(constant(value))
            else:
                written.append(op(name, [written[i] for i in operands]))
        return written[self.output]


def scalar_function(
    f: Callable[..., object], leaves: Sequence[Value] = (), values: Sequence[float] | None = None
) -> ScalarFunction:
    """The ops of f, from one Value to one.

    leaves: those that f may close over and that take a gradient. values: numbers to put in their
    place; None leaves them parameters.
    """
    numbers = {leaf: i for i, leaf in enumerate(leaves)}
    function = simplified(f, [()], lambda used: [numbers[leaf] for leaf in used], values)
    (output,) = function.outputs
    ops = tuple((node.rule.name, node.operands, node.value) for node in function.nodes)
    return ScalarFunction(ops, output, varying(function.nodes)[output])
