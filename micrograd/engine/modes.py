"""Modes: what a block of code can switch on for its thread or asyncio task.

no_grad, watchers (anomaly detection, counting), the recorder of a compiled function, the name of a
custom backward that is being differentiated. As long as no block is open anywhere, `active` is
empty and an op looks no further.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from micrograd.engine.node import Node, Operand
from micrograd.engine.rules import Rule

# One entry for each such block, and each forward pass, over all threads. Ops read it as a condition
# (a list costs them what a global number did); appending to a list and taking from it are atomic.
active: Final[list[None]] = []


# One entry for each hook that has been registered and not been removed; see `Value.register_hook`.
hooks: Final[list[None]] = []


def enter_mode() -> None:
    """From here to `leave_mode` every op takes the careful way, `value.record`."""
    active.append(None)


def leave_mode() -> None:
    """The end of what `enter_mode` began."""
    active.pop()


class Watcher:
    """What is told to a watcher; each method does nothing unless overridden."""

    def made(self, out: Node, rule: Rule, operands: Sequence[Operand]) -> None:
        """out = rule(operands) has been computed."""

    def pulled(self, z: Node, gradient: float, contributions: Sequence[float]) -> None:
        """The backward step of z has turned dL/dz = gradient into a share for each operand."""

    def pushed(
        self,
        rule: Rule,
        operands: Sequence[Operand],
        tangents: Sequence[Operand | None],
        tangent: Operand,
    ) -> None:
        """Forward mode has turned the operands' tangents (None: it has none) into the result's."""

    def finished(self, gradients: Mapping[Any, Operand]) -> None:
        """A backward pass has come to its end with these sums."""


no_grad_depth: Final[ContextVar[int]] = ContextVar("micrograd_no_grad_depth", default=0)
watchers: Final[ContextVar[tuple[Watcher, ...]]] = ContextVar("micrograd_watchers", default=())
differentiating: Final[ContextVar[str]] = ContextVar("micrograd_differentiating", default="")
# What `program.recorder` puts here takes the ops of its context, and refuses to read numbers.
recorder: Final[ContextVar[Any]] = ContextVar("micrograd_recorder", default=None)


class no_grad(contextlib.ContextDecorator):
    """Ops inside make plain constants: no graph, no memory for it.

    `with no_grad(): ...` or `@no_grad()` over a function. It holds for the current thread, or
    the current asyncio task, only. Blocks can be nested.

    >>> with mg.no_grad():
    ...     y = Value(2.0) * 3
    >>> y.data, y.requires_grad
    (6.0, False)
    """

    def __enter__(self) -> no_grad:
        enter_mode()
        no_grad_depth.set(no_grad_depth.get() + 1)
        return self

    def __exit__(self, *exc: object) -> None:
        no_grad_depth.set(no_grad_depth.get() - 1)
        leave_mode()


class enable_grad(contextlib.ContextDecorator):
    """Ops inside are recorded in the graph again, whatever no_grad blocks are around.

    `with enable_grad(): ...` or `@enable_grad()` over a function; for the current thread, or the
    current asyncio task, only. A no_grad block inside holds until its end.

    >>> with mg.no_grad():
    ...     with mg.enable_grad():
    ...         y = Value(2.0) * 3
    >>> y.requires_grad
    True
    """

    def __init__(self) -> None:
        self._depths: list[int] = []

    def _recreate_cm(self) -> enable_grad:
        return enable_grad()  # a decorated function may run in several threads

    def __enter__(self) -> enable_grad:
        enter_mode()
        self._depths.append(no_grad_depth.get())
        no_grad_depth.set(0)
        return self

    def __exit__(self, *exc: object) -> None:
        no_grad_depth.set(self._depths.pop())
        leave_mode()
