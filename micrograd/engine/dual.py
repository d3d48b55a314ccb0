"""Forward mode: dual numbers, x + dx * e with e * e = 0, pushed through the same table of ops.

A Dual is a Value that also carries its derivative in one direction, its tangent. An op on Duals
computes the result's tangent at once, by the linear maps of `rules`: no graph, no backward pass.

Forward passes nest. Each has a level, higher further in, and a Dual of one level has primal and
tangent that may be Duals of lower levels: what varies only in an outer pass is a constant to the
inner one, so their perturbations are not confused (Siskind and Pearlmutter 2005). Values of a graph
are the innermost of all, whether reverse mode runs inside of forward mode or around it: derivatives
commute, so the tangent of a gradient is the gradient of the tangent. See `func`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from micrograd.engine import modes
from micrograd.engine.node import FROZEN, number_of, plain
from micrograd.engine.rules import Rule
from micrograd.engine.value import Operand, Value, record

_levels = count(1)


class Dual(Value):
    """primal + tangent * e, in the forward pass numbered `level`."""

    __slots__ = ("level", "primal", "tangent")

    def __init__(self, level: int, primal: Operand, tangent: Operand) -> None:
        self._data = number_of(primal)
        self.grad = 0.0
        self._rule = FROZEN
        self._mark = None
        self.level = level
        self.primal = primal
        self.tangent = tangent

    def __repr__(self) -> str:
        return f"Dual(primal={self.primal}, tangent={self.tangent}, level={self.level})"


def _lift(rule: Rule, operands: Sequence[Operand]) -> Dual:
    """rule(*operands) where some of them are Duals."""
    level = 0
    for x in operands:
        if type(x) is Dual and x.level > level:
            level = x.level
    primals: list[Operand] = []
    tangents: list[Operand | None] = []
    only_floats = True
    for x in operands:
        primal, tangent = x, None
        if type(x) is Dual and x.level == level:
            primal, tangent = x.primal, x.tangent
        elif type(x) is not float:
            primal = plain(x)
        primals.append(primal)
        tangents.append(tangent)
        only_floats = only_floats and type(primal) is float
    watchers = modes.watchers.get()
    if only_floats and not watchers:
        z: Operand = rule.value(*primals)
    else:
        z = plain(record(rule, *primals))
    result = rule.tangent(tangents, z, primals)
    for watcher in watchers:
        watcher.pushed(rule, primals, tangents, result)
    return Dual(level, z, result if type(result) is float else plain(result))


Dual._lift = staticmethod(_lift)


def push(
    f: Callable[[list[Operand]], Sequence[Operand]],
    primals: Sequence[Operand],
    tangents: Sequence[Operand | None],
) -> tuple[list[Operand], list[Operand]]:
    """f's results at the primals, and their derivatives in the direction of the tangents.

    A tangent of None leaves its primal out of the differentiation, as a constant.
    """
    level = next(_levels)
    duals: list[Any] = [
        x if t is None else Dual(level, plain(x), plain(t))
        for x, t in zip(primals, tangents, strict=True)
    ]
    modes.enter_mode()
    try:
        outputs = f(duals)
    finally:
        modes.leave_mode()
    results: list[Operand] = []
    derivatives: list[Operand] = []
    for out in outputs:
        varies = isinstance(out, Dual) and out.level == level
        results.append(out.primal if varies else out)  # type: ignore[union-attr]
        derivatives.append(out.tangent if varies else 0.0)  # type: ignore[union-attr]
    return results, derivatives
