"""Gradients inside a recording, where nobody knows yet which way a comparison goes.

The rules of `rules` are run on recorded Values as `create_graph` runs them on others. A rule with a
kink asks for a comparison, such as x <= 0; it is then run once for each answer, and the results are
recorded as a choice (`where`). A gradient into what stands behind a `where` is zero for the samples
that do not take that branch, as in the eager graph, be the derivative infinite or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from micrograd.engine import rules
from micrograd.engine.node import FROZEN
from micrograd.engine.rules import Rule
from micrograd.engine.value import Operand, Value
from micrograd.program.ops import PLAIN
from micrograd.program.reads import LINEAR
from micrograd.program.recorder import Recorder

Mask = Value | None  # 1 for the samples that take part, None: all do


def both_ways(
    recorder: Recorder, compute: Callable[[], Sequence[Operand]], answers: tuple[bool, ...] = ()
) -> Sequence[Operand]:
    """What `compute` returns, whatever the comparisons are that it asks for.

    answers: those to the first comparisons.
    """
    results, asked = recorder.answering(answers, compute)
    if len(asked) == len(answers):
        return results
    condition = asked[len(answers)]
    yes = both_ways(recorder, compute, (*answers, True))
    no = both_ways(recorder, compute, (*answers, False))
    return [
        a if a is b or (type(a) is type(b) is float and a == b) else recorder.where(condition, a, b)
        for a, b in zip(yes, no, strict=True)
    ]


def _shares(
    recorder: Recorder, rule: Rule, g: Operand, z: Value, operands: Sequence[Operand]
) -> list[tuple[Operand, Operand]]:
    """The operands that take a gradient, each with its share: one at a time where the rule has a
    map for each, for what two of them ask would multiply.
    """
    if rule.pull is not None:
        shares = both_ways(recorder, lambda: rule.contributions(g, z, operands))
        return list(zip(operands, shares, strict=True))
    out: list[tuple[Operand, Operand]] = []
    for x, share in zip(operands, (rule.dx, rule.dy), strict=False):
        if share is not None and isinstance(x, Value) and x._rule is not FROZEN:
            (dx,) = both_ways(recorder, lambda: [share(g, z, *operands)])  # noqa: B023
            out.append((x, dx))
    return out


def _both(recorder: Recorder, a: Mask, b: Mask) -> Mask:
    """The samples of either mask."""
    if a is b:
        return a
    return None if a is None or b is None else recorder.op(rules.MAXIMUM, (a, b))


def gradients(
    recorder: Recorder,
    order: Sequence[Value],
    outputs: Sequence[Value],
    seeds: Sequence[Operand],
) -> dict[Value, Operand]:
    """d(sum of seed * output)/dx for every x on the way, as recorded Values.

    As `backward.gradients` with create_graph; what a gradient cannot reach is left out.
    """
    grads: dict[Value, Operand] = {}
    masks: dict[Value, Mask] = {}

    def receive(x: Operand, dx: Operand, mask: Mask) -> None:
        if isinstance(x, float) or x._rule is FROZEN:
            return
        if x in grads:
            grads[x], masks[x] = grads[x] + dx, _both(recorder, masks[x], mask)
        else:
            grads[x], masks[x] = dx, mask

    for output, seed in zip(outputs, seeds, strict=True):
        receive(output, seed, None)
    for z in reversed(order):
        rule: Any = z._rule
        if rule in PLAIN or z not in grads:
            continue
        g, mask, operands = grads[z], masks[z], z.operands
        if rule is rules.WHERE:
            condition, x, y = operands
            zero: Operand = 0.0 if mask is None else recorder.op(rules.MUL, (mask, 0.0))
            one: Operand = 1.0 if mask is None else mask
            receive(x, recorder.where(condition, g, 0.0), recorder.where(condition, one, zero))
            receive(y, recorder.where(condition, 0.0, g), recorder.where(condition, zero, one))
            continue
        for x, dx in _shares(recorder, rule, g, z, operands):
            if mask is not None and rule not in LINEAR:
                dx = recorder.where(mask, dx, 0.0)
            receive(x, dx, mask)
    return grads
