"""What the derivatives of an op look at, and who sends what: for planning a backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

from micrograd.engine import rules
from micrograd.engine.rules import Rule, split_dot
from micrograd.program.ops import NONE, PLAIN, Node

# Ops whose derivative is 1 or -1: a gradient of 0 stays 0 whatever the operands are.
LINEAR = frozenset({rules.ADD, rules.SUB, rules.NEG, rules.SUM, rules.WHERE, rules.CLAMP})
_NO_GRADIENT = frozenset(PLAIN)


@cache
def _looks_at(rule: Rule, operand: int) -> tuple[int, ...]:
    """`reads` for an op of one or two operands: whatever changes the answer is looked at."""
    samples = (-1.7, -0.3, 0.0, 0.6, 2.3)  # 0: kinks, and 0**y
    found = set()
    for point in itertools.product(samples, repeat=1 + rule.arity):
        before = rule.contributions(1.3, point[0], point[1:])[operand]
        for i, x in itertools.product(range(1 + rule.arity), samples):
            other = (*point[:i], x, *point[i + 1 :])
            after = rule.contributions(1.3, other[0], other[1:])[operand]
            if before != after and (before == before or after == after):  # not both NaN
                found.add(i - 1)
    return tuple(sorted(found))


def reads(rule: Rule, operand: int, n: int) -> tuple[int, ...]:
    """What the linear map of an operand, one of n, looks at: -1 for the result, else operands."""
    if rule is rules.SUM:
        return ()
    if rule is rules.WHERE:
        return (0,)
    if rule is rules.CLAMP:
        return (0, 1, 2)
    if rule is rules.DOT:
        ws, xs, bias = split_dot(range(n))
        if operand == bias:
            return ()
        return (xs[operand] if operand < len(ws) else ws[operand - len(ws)],)
    return _looks_at(rule, operand)


@cache
def _reads_of_few(rule: Rule, sends: tuple[int, ...], n: int) -> frozenset[int]:
    return frozenset(at for k in sends for at in reads(rule, k, n))


def reads_of(rule: Rule, sends: Sequence[int], n: int) -> frozenset[int]:
    """What a backward step that serves these operands looks at."""
    if n <= 3:
        return _reads_of_few(rule, tuple(sends), n)
    return frozenset(at for k in sends for at in reads(rule, k, n))


def differentiable(node: Node) -> Sequence[int]:
    """The operands that can receive a gradient from this op."""
    rule = node.rule
    if rule.arity == NONE or rule in _NO_GRADIENT:
        return ()
    return range(rule is rules.WHERE, len(node.operands))
