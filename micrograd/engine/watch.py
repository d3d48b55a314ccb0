"""Watching ops while they run: anomaly detection and the counting of operations.

A watcher is told of every op, forward and backward, that runs in its block of code. Without one,
ops do not look for any: it costs nothing.
"""

from __future__ import annotations

import contextlib
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import FrameType
from typing import Any

from micrograd.engine import modes
from micrograd.engine.modes import Watcher
from micrograd.engine.node import FROZEN, Node, Operand, number_of
from micrograd.engine.rules import Rule
from micrograd.engine.value import Value

_PACKAGE = __name__.partition(".")[0]


class AnomalyError(FloatingPointError, RuntimeError):
    """An op made a NaN or an infinity under `detect_anomaly`.

    >>> issubclass(mg.AnomalyError, RuntimeError), issubclass(mg.AnomalyError, ArithmeticError)
    (True, True)
    """


class _Anomalies(Watcher):
    def made(self, out: Node, rule: Rule, operands: Sequence[Operand]) -> None:
        site = _users_line()
        if not isfinite(out._data):
            raise AnomalyError(
                f"detect_anomaly: {rule.name}({_shown(operands)}) made {out._data}\n  {site}"
            )
        out.site = site  # type: ignore[attr-defined]

    def pulled(self, z: Node, gradient: float, contributions: Sequence[float]) -> None:
        for i, (x, dx) in enumerate(zip(z.operands, contributions, strict=True)):
            if isinstance(x, Value) and x.requires_grad and not isfinite(dx):
                site = getattr(z, "site", "made outside detect_anomaly: its line is not known")
                raise AnomalyError(
                    f"detect_anomaly: the backward step of {z.op}({_shown(z.operands)}) = "
                    f"{z._data} made {dx} for operand {i}, from the gradient {gradient}\n  {site}"
                )

    def pushed(
        self,
        rule: Rule,
        operands: Sequence[Operand],
        tangents: Sequence[Operand | None],
        tangent: Operand,
    ) -> None:
        if not isfinite(number_of(tangent)):
            arrived = ", ".join("0.0" if t is None else str(number_of(t)) for t in tangents)
            raise AnomalyError(
                f"detect_anomaly: the forward derivative of {rule.name}({_shown(operands)}) made "
                f"{number_of(tangent)}, from the tangents ({arrived})\n  {_users_line()}"
            )

    def finished(self, gradients: Mapping[Any, Operand]) -> None:
        for x, g in gradients.items():
            if x.is_leaf and not isfinite(number_of(g)):
                raise AnomalyError(
                    f"detect_anomaly: the gradients that reach the leaf {_shown([x])} add up to "
                    f"{number_of(g)}"
                )


_ANOMALIES = _Anomalies()


def _shown(operands: Sequence[Operand]) -> str:
    """x=0.5, 2.0, ...: labels where there are any; no more than eight."""
    labels = [f"{x.label}=" if isinstance(x, Value) and x.label else "" for x in operands[:8]]
    shown = [f"{label}{number_of(x)}" for label, x in zip(labels, operands, strict=False)]
    return ", ".join(shown) + (f", ... {len(operands)} in all" if len(operands) > 8 else "")


def _is_ours(frame: FrameType) -> bool:
    # by the module's name: files may lie behind links, in an archive or nowhere
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE


def _users_line() -> str:
    """File, line and text of the innermost call that is not from within this package."""
    frame = sys._getframe(1)
    while _is_ours(frame) and frame.f_back is not None:
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line, frame.f_globals).strip()
    return f'File "{name}", line {line}, in {frame.f_code.co_name}' + (f": {text}" if text else "")


class detect_anomaly(contextlib.ContextDecorator):
    """Inside, the first op whose result or derivative is a NaN or an infinity raises AnomalyError.

    `with detect_anomaly(): ...` or `@detect_anomaly()` over a function. The message names the op,
    its operands and the user's file and line that called it; also for a backward step, if the op
    itself ran under detect_anomaly. Nothing is changed by a backward pass that raises. It holds for
    the current thread, or asyncio task, only. Ops inside are some ten times slower, as each looks
    for its line; elsewhere they cost what they did.

    AnomalyError is a RuntimeError, as in PyTorch, and a FloatingPointError.

    >>> try:
    ...     with mg.detect_anomaly():
    ...         Value(-1.0).log()
    ... except mg.AnomalyError as error:
    ...     print(str(error).splitlines()[0])
    detect_anomaly: log(-1.0) made nan
    """

    def __enter__(self) -> detect_anomaly:
        modes.enter_mode()
        modes.watchers.set((*modes.watchers.get(), _ANOMALIES))
        return self

    def __exit__(self, *exc: object) -> None:
        watchers = list(modes.watchers.get())
        watchers.remove(_ANOMALIES)
        modes.watchers.set(tuple(watchers))
        modes.leave_mode()


@dataclass
class Operations(Watcher):
    """How many operations ran. One is an op's value, or one application of a linear map of `rules`:
    the product of an incoming derivative and a partial derivative.

    >>> with mg.func.count_operations() as count:
    ...     y = Value(2.0) * 3 + 1
    >>> count.values, count.derivatives, count.total
    (2, 0, 2)
    """

    values: int = 0
    derivatives: int = 0

    @property
    def total(self) -> int:
        """Values and derivatives."""
        return self.values + self.derivatives

    def made(self, out: Node, rule: Rule, operands: Sequence[Operand]) -> None:
        """Counts a value."""
        self.values += 1

    def pulled(self, z: Node, gradient: float, contributions: Sequence[float]) -> None:
        """Counts a derivative for each operand that takes one."""
        self.derivatives += sum(isinstance(x, Value) and x._rule is not FROZEN for x in z.operands)

    def pushed(
        self,
        rule: Rule,
        operands: Sequence[Operand],
        tangents: Sequence[Operand | None],
        tangent: Operand,
    ) -> None:
        """Counts a derivative for each operand that brings one."""
        self.derivatives += sum(t is not None for t in tangents)


@contextlib.contextmanager
def count_operations() -> Iterator[Operations]:
    """`with count_operations() as count: ...`, then `count.values`, `.derivatives`, `.total`.

    Counts what the current thread does. Where a derivative is itself recorded (create_graph) the
    ops that compute it count as values too.

    >>> x = Value(2.0)
    >>> with mg.func.count_operations() as count:
    ...     (x * x).backward()
    >>> count.values, count.derivatives
    (1, 2)
    """
    operations = Operations()
    modes.enter_mode()
    token = modes.watchers.set((*modes.watchers.get(), operations))
    try:
        yield operations
    finally:
        modes.watchers.reset(token)
        modes.leave_mode()
