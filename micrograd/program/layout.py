"""Layout: instructions for the C core, and a place for every number.

What has the same value for all rows (parameters, constants, and what is computed from these alone)
is a scalar, computed once a call and not once a row. So a program has two halves, each with a
forward and a backward pass: `slots.Part` writes them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from micrograd.program.differentiate import Passes
from micrograd.program.opcodes import KEEP, NO_SLOT, OUTPUT
from micrograd.program.ops import CONSTANT, INPUT, PARAMETER
from micrograd.program.slots import Code, Part, leave_gradient


@dataclass
class Assembly:
    """A program for the C core.

    passes: what it computes. scalars: the number of each node that is one: parameters, constants
    and uniforms, in this order.
    """

    passes: Passes
    n_parameters: int
    scalars: dict[int, int] = field(default_factory=dict)
    constants: list[float] = field(default_factory=list)
    n_uniforms: int = 0
    uniform: Code = field(default_factory=Code)
    rows: Code = field(default_factory=Code)
    run: Code = field(default_factory=Code)


def lay_out(passes: Passes, n_parameters: int) -> Assembly:
    """The instructions for these passes."""
    assembly = Assembly(passes, n_parameters)
    nodes, varies = passes.nodes, passes.varies
    kept = _number_scalars(assembly)
    ops = [i for i, node in enumerate(nodes) if node.rule not in (PARAMETER, CONSTANT)]
    once = [i for i in ops if not varies[i]]
    rows = [i for i in ops if varies[i]]
    leaves = {i: n for i, n in assembly.scalars.items() if nodes[i].rule in (PARAMETER, CONSTANT)}

    def keep(part: Part, forward: list[int], backward: list[int]) -> None:
        for i in kept:
            part.end(forward, backward, KEEP, assembly.scalars[i], i)

    def put_out(part: Part, forward: list[int], backward: list[int]) -> None:
        for number, i in enumerate(passes.outputs):
            part.end(forward, backward, OUTPUT, number, i)

    assembly.uniform = Part(passes, once, leaves).run(kept, keep)
    assembly.rows = Part(passes, rows, assembly.scalars).run(passes.outputs, put_out)
    _leave_the_rest(assembly, rows)
    forward_only = rows[: bisect_left(rows, passes.plain)]
    part = Part(passes, forward_only, assembly.scalars, training=False)
    assembly.run = part.run(passes.outputs, put_out)
    return assembly


def _number_scalars(assembly: Assembly) -> list[int]:
    """Fills in scalars, constants and n_uniforms; returns the nodes that are uniforms."""
    passes, n_parameters = assembly.passes, assembly.n_parameters
    scalars, constants = assembly.scalars, assembly.constants
    read = set(passes.outputs)
    once = []
    for i, (rule, operands, value) in enumerate(passes.nodes):
        if rule is PARAMETER:
            scalars[i] = operands[0]
        elif rule is CONSTANT:
            scalars[i] = n_parameters + len(constants)
            constants.append(value)
        elif not passes.varies[i]:
            once.append(i)
        elif rule is not INPUT:
            read.update(operands)
    kept = [i for i in once if i in read]
    for n, i in enumerate(kept, start=n_parameters + len(constants)):
        scalars[i] = n
    assembly.n_uniforms = len(kept)
    return kept


def _leave_the_rest(assembly: Assembly, rows: list[int]) -> None:
    """Columns of differentiated arguments that no gradient reaches: it is zero there."""
    passes = assembly.passes
    nodes = passes.nodes
    reached = {nodes[i].operands for i in rows if passes.receives[i] and nodes[i].rule is INPUT}
    for argument, columns in passes.differentiated.items():
        for column in range(columns):
            if (argument, column) not in reached:
                assembly.rows.backward.extend(leave_gradient((argument, column), NO_SLOT))
