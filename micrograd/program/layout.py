"""Assembly: a list of nodes as a program for the C core.

What has the same value for all rows (parameters, constants, and what is computed from these alone)
is a scalar, computed once a call and not once a row. So a program has two halves, each with a
forward and a backward pass: `instructions` writes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from micrograd.core import lib
from micrograd.program.masks import Masks
from micrograd.program.reads import differentiable, send_gradients
from micrograd.program.recording import CONSTANT, INPUT, NONE, PARAMETER, Node
from micrograd.program.simplify import varying
from micrograd.program.slots import NO_SLOT, Code, Part, leave_gradient


@dataclass
class Assembly:
    """A program for the C core.

    nodes: what it computes, masks included; varies, receives, sends: of each node, whether it
    differs from row to row, whether it gets a gradient, and the operands it sends one to.
    scalars: the number of each node that is one.
    """

    nodes: list[Node]
    varies: list[bool]
    receives: list[bool]
    sends: list[Sequence[int]]
    scalars: dict[int, int] = field(default_factory=dict)
    constants: list[float] = field(default_factory=list)
    n_uniforms: int = 0
    uniform: Code = field(default_factory=Code)
    rows: Code = field(default_factory=Code)
    run: Code = field(default_factory=Code)
    n_outputs: int = 1


def _receives(nodes: list[Node], outputs: Sequence[int], arguments: Container[int]) -> list[bool]:
    """Whether a gradient gets there from an output, and goes on to a parameter or an argument."""
    leads: list[bool] = []
    for node in nodes:
        operands = node.operands
        if node.rule.arity == NONE:
            wanted = node.rule is PARAMETER
            leads.append(wanted or (node.rule is INPUT and operands[0] in arguments))
        else:
            leads.append(any([leads[operands[k]] for k in differentiable(node)]))
    reached = [False] * len(nodes)
    for i in outputs:
        reached[i] = leads[i]
    for i in range(len(nodes) - 1, -1, -1):
        if reached[i]:
            operands = nodes[i].operands
            for k in differentiable(nodes[i]):
                j = operands[k]
                if leads[j]:
                    reached[j] = True
    return reached


def _row_by_row(nodes: list[Node], plain: int, masked: Container[int]) -> list[bool]:
    """`varying`, and with it what is computed behind a `where`: not every row uses it.

    plain: nodes from there on compute masks.
    """
    varies = varying(nodes)
    if plain == len(nodes) and not masked:
        return varies
    for i, (rule, operands, _) in enumerate(nodes):
        if rule.arity != NONE and not varies[i]:
            varies[i] = i >= plain or i in masked or any([varies[j] for j in operands])
    return varies


def assemble(
    nodes: list[Node],
    outputs: list[int],
    n_parameters: int,
    differentiated: Mapping[int, int] = MappingProxyType({}),
) -> Assembly:
    """Instructions that compute these outputs and, where there is only one, its gradient.

    The gradient is with respect to the parameters and the arguments `differentiated`, which maps
    the number of each to how many columns it has.
    """
    training = len(outputs) == 1
    receives = _receives(nodes, outputs if training else (), differentiated)
    plain = len(nodes)
    mask_of: dict[int, int] = {}
    if training:
        masks = Masks(nodes, receives, outputs)
        nodes, mask_of = masks.nodes, masks.of
        receives += [False] * (len(nodes) - plain)
    varies = _row_by_row(nodes, plain, mask_of)
    sends = send_gradients(nodes, receives)
    assembly = Assembly(nodes, varies, receives, sends, n_outputs=len(outputs))
    scalars = assembly.scalars
    read = set(outputs)
    ops = []
    for i, (rule, operands, value) in enumerate(nodes):
        if rule is PARAMETER:
            scalars[i] = operands[0]
        elif rule is CONSTANT:
            scalars[i] = n_parameters + len(assembly.constants)
            assembly.constants.append(value)
        else:
            ops.append(i)
            if varies[i] and rule is not INPUT:
                read.update(operands)
    kept = [i for i in ops if not varies[i] and i in read]
    for n, i in enumerate(kept, start=n_parameters + len(assembly.constants)):
        scalars[i] = n
    assembly.n_uniforms = len(kept)

    def keep(part: Part, forward: list[int], backward: list[int]) -> None:
        for i in kept:
            forward += (lib.MG_OP_KEEP, 1, scalars[i], part.places[i])
            if receives[i] and part.training:
                head = (lib.MG_OP_KEEP, 1, scalars[i], 0, NO_SLOT)
                backward += (*head, part.places[i], part.sink(i))

    def put_out(part: Part, forward: list[int], backward: list[int]) -> None:
        for number, i in enumerate(outputs):
            forward += (lib.MG_OP_OUTPUT, 1, number, part.places[i])
            if receives[i] and part.training:
                head = (lib.MG_OP_OUTPUT, 1, number, 0, NO_SLOT)
                backward += (*head, part.places[i], part.sink(i))

    still = [i for i in ops if not varies[i]]
    rows = [i for i in ops if varies[i]]
    inner = {i: n for i, n in scalars.items() if nodes[i].rule in (PARAMETER, CONSTANT)}
    part = Part(nodes, receives, sends, still, inner, mask_of, training)
    assembly.uniform = part.run(kept, keep)
    part = Part(nodes, receives, sends, rows, scalars, mask_of, training)
    assembly.rows = part.run(outputs, put_out)
    reached = {nodes[i].operands for i in rows if receives[i] and nodes[i].rule is INPUT}
    for argument, columns in differentiated.items():
        for column in range(columns):
            if (argument, column) not in reached:  # its gradient is zero
                assembly.rows.backward.extend(leave_gradient((argument, column), NO_SLOT))
    part = Part(nodes, receives, sends, rows[: bisect_left(rows, plain)], scalars, {}, False)
    assembly.run = part.run(outputs, put_out)
    return assembly
