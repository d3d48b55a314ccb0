"""Simplification: the same results from fewer ops.

    constants       an op on constants is computed here
    same twice      two ops with the same operands are one (common subexpressions)
    cheaper         x**2 is x*x, x*1 is x, ...: where the result is the same to the last bit or two
    sums            ((a + b) + c) + d is one n-ary sum, in the same order; one of products is a dot
    dead code       what no result depends on is dropped

Nothing here changes what infinities and NaN do: x*0 stays, x - x stays.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from micrograd.engine import rules
from micrograd.engine.rules import Rule, split_dot
from micrograd.program.ops import CONSTANT, DETACH, INPUT, NONE, Node, op_node

_COMMUTATIVE = frozenset({rules.ADD, rules.MUL})
_CAN_BE_CHEAPER = frozenset({rules.POW, rules.MUL, rules.DIV, rules.WHERE, DETACH})


class _Builder:
    """A list of nodes in which none stands twice."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._places: dict[tuple[object, ...], int] = {}

    def constant(self, value: float) -> int:
        # by its bits: 0.0 and -0.0 are equal, and NaN is not equal to itself
        return self._add(Node(CONSTANT, (), value), (CONSTANT, struct.pack("d", value)))

    def _add(self, node: Node, key: tuple[object, ...]) -> int:
        place = self._places.setdefault(key, len(self.nodes))
        if place == len(self.nodes):
            self.nodes.append(node)
        return place

    def add(self, node: Node) -> int:
        """The place of this node, or of one that has the same value."""
        rule, operands, value = node
        if rule is CONSTANT:
            return self.constant(value)
        if rule.arity == NONE:
            return self._add(node, (rule, operands))
        nodes = self.nodes
        if nodes[operands[0]].rule is CONSTANT:
            values = [nodes[i].value for i in operands if nodes[i].rule is CONSTANT]
            if len(values) == len(operands):
                return self.constant(rule.value(*values))
        if rule is rules.SUM and not self._starts_from_zero(operands):
            operands = (self.constant(0.0), *operands)
            node = op_node(rule, operands)
        if rule in _CAN_BE_CHEAPER:
            place = self._cheaper(rule, operands)
            if place is not None:
                return place
        if rule in _COMMUTATIVE and operands[0] > operands[1]:
            return self._add(node, (rule, (operands[1], operands[0])))
        return self._add(node, (rule, operands))

    def _is(self, place: int, value: float) -> bool:
        node = self.nodes[place]
        return node.rule is CONSTANT and node.value == value

    def _starts_from_zero(self, operands: tuple[int, ...]) -> bool:
        node = self.nodes[operands[0]]
        return self._is(operands[0], 0.0) and math.copysign(1.0, node.value) > 0

    def _cheaper(self, rule: Rule, operands: tuple[int, ...]) -> int | None:
        x, y = operands[0], operands[-1]
        if rule is rules.POW:
            if self._is(y, 1.0):
                return x
            if self._is(y, 2.0):
                return self.add(Node(rules.MUL, (x, x)))
            if self._is(y, 3.0):
                return self.add(Node(rules.MUL, (self.add(Node(rules.MUL, (x, x))), x)))
        elif rule is rules.MUL:
            if self._is(y, 1.0):
                return x
            if self._is(x, 1.0):
                return y
        elif rule is rules.DIV and self._is(y, 1.0):
            return x
        elif rule is rules.WHERE and self.nodes[x].rule is CONSTANT:
            return operands[1] if self.nodes[x].value else y
        elif rule is DETACH and self.nodes[x].rule in (INPUT, DETACH):
            return x
        return None


def _used(nodes: list[Node], outputs: list[int]) -> list[int]:
    """How often each node is used by a node that is itself used, or as a result."""
    uses = [0] * len(nodes)
    for i in outputs:
        uses[i] += 1
    for i in range(len(nodes) - 1, -1, -1):
        if uses[i]:
            rule, operands, _ = nodes[i]
            if rule.arity != NONE:
                for j in operands:
                    uses[j] += 1
    return uses


def varying(nodes: list[Node]) -> list[bool]:
    """Whether a node depends on an input. The others have one value for the whole batch."""
    out: list[bool] = []
    for rule, operands, _ in nodes:
        if rule.arity == NONE:
            out.append(rule is INPUT)
        else:
            out.append(any([out[i] for i in operands]))
    return out


def _n_ary(nodes: list[Node], outputs: list[int]) -> list[Node]:
    """Chains of additions as one sum, the left operand first; sums of products as dots.

    A sum starts from its first operand from here on, and no longer from 0.0: the two differ in the
    sign of a zero. A recorded sum has got its 0.0 as an operand.
    """
    uses = _used(nodes, outputs)
    chains: dict[int, list[int]] = {}  # the terms of a node that is a sum
    for i, (rule, operands, _) in enumerate(nodes):
        if rule is rules.SUM:
            chains[i] = list(operands)
        elif rule is rules.ADD:
            left, right = operands
            absorbs = left in chains and uses[left] == 1
            chains[i] = chains.pop(left) if absorbs else [left]
            chains[i].append(right)
    out, varies = list(nodes), varying(nodes)
    for i, terms in chains.items():
        if len(terms) > 2:
            products = all(nodes[j].rule is rules.MUL and uses[j] == 1 for j in terms[1:])
            if products:
                pairs = [nodes[j].operands for j in terms[1:]]
                out[i] = Node(rules.DOT, (*_columns(pairs, varies), terms[0]))
            else:
                out[i] = Node(rules.SUM, tuple(terms))
    for i, (rule, operands, _) in enumerate(nodes):
        if rule is rules.DOT:
            ws, xs, bias = split_dot(operands)
            pairs = list(zip(ws, xs, strict=True))
            out[i] = Node(rules.DOT, (*_columns(pairs, varies), bias))
    return out


def _columns(pairs: Sequence[tuple[int, ...]], varies: list[bool]) -> list[int]:
    """The left factors, then the right ones; left is the one that does not vary, a weight."""
    turned = [(y, x) if varies[x] and not varies[y] else (x, y) for x, y in pairs]
    return [x for x, _ in turned] + [y for _, y in turned]


def simplify(nodes: list[Node], outputs: list[int]) -> tuple[list[Node], list[int]]:
    """A shorter list of nodes that computes the same outputs, and their places in it."""
    builder = _Builder()
    places: list[int] = []
    for node in nodes:
        rule, operands, _ = node
        if rule.arity != NONE:
            node = op_node(rule, tuple([places[i] for i in operands]))
        places.append(builder.add(node))
    wanted = [places[i] for i in outputs]
    merged = _n_ary(builder.nodes, wanted)
    uses = _used(merged, wanted)
    kept: list[Node] = []
    new = [-1] * len(merged)
    for i, node in enumerate(merged):
        if uses[i]:
            new[i] = len(kept)
            rule, operands, _ = node
            if rule.arity != NONE:
                node = op_node(rule, tuple([new[j] for j in operands]))
            kept.append(node)
    return kept, [new[i] for i in wanted]
