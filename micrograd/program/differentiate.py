"""The backward pass of a list of nodes, before it has instructions: who sends a gradient to whom.

What has the same value for all rows (parameters, constants, and what is computed from these alone)
is told apart here from what varies, for the two are computed and differentiated at their own times.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from micrograd.program.masks import Masks
from micrograd.program.ops import INPUT, NONE, PARAMETER, Node
from micrograd.program.reads import differentiable
from micrograd.program.simplify import varying


@dataclass(frozen=True)
class Passes:
    """What is computed forward, and how gradients flow back.

    nodes: what is computed, masks included, which begin at place `plain`. outputs: the results.
    training: there is one output, and so a gradient. differentiated: of each argument whose
    gradient is wanted, how many columns it has. masks: the mask of a node, where it has one.
    varies, receives, sends: of each node, whether it differs from row to row, whether it gets a
    gradient, and the operands it sends one to.
    """

    nodes: list[Node]
    outputs: list[int]
    training: bool
    differentiated: Mapping[int, int]
    plain: int
    masks: dict[int, int]
    varies: list[bool]
    receives: list[bool]
    sends: list[Sequence[int]]


def differentiate(
    nodes: list[Node],
    outputs: list[int],
    differentiated: Mapping[int, int] = MappingProxyType({}),
) -> Passes:
    """The passes of a program that computes these outputs and, where there is only one, its
    gradient with respect to the parameters and the arguments `differentiated`.
    """
    training = len(outputs) == 1
    receives = _receiving(nodes, outputs if training else (), differentiated)
    plain = len(nodes)
    mask_of: dict[int, int] = {}
    if training:
        masks = Masks(nodes, receives, outputs)
        nodes, mask_of = masks.nodes, masks.of
        receives += [False] * (len(nodes) - plain)
    return Passes(
        nodes,
        outputs,
        training,
        differentiated,
        plain,
        mask_of,
        varies=_row_by_row(nodes, plain, mask_of),
        receives=receives,
        sends=_sending(nodes, receives),
    )


def _receiving(nodes: list[Node], outputs: Sequence[int], arguments: Container[int]) -> list[bool]:
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


def _sending(nodes: Sequence[Node], receives: Sequence[bool]) -> list[Sequence[int]]:
    """Of each node, the operands that it sends a gradient to."""
    out: list[Sequence[int]] = []
    for node, has_one in zip(nodes, receives, strict=True):
        if has_one:
            operands = node.operands
            out.append(tuple([k for k in differentiable(node) if receives[operands[k]]]))
        else:
            out.append(())
    return out
