"""Hooks: functions of the user's that see a gradient when it is complete, and may replace it."""

from __future__ import annotations

from collections.abc import Callable

from micrograd.engine import modes
from micrograd.engine.node import Node, Operand


class Hook:
    """A function that `Value.register_hook` has put on a Value; `remove()` takes it away again."""

    def __init__(self, value: Node, on_operands: Callable[[Operand], Operand]) -> None:
        self._value: Node | None = value
        if not hasattr(value, "_hooks"):
            value._hooks = {}
        value._hooks[self] = on_operands
        modes.hooks.append(None)

    def remove(self) -> None:
        """From now on the function is not called; a second call does nothing."""
        if self._value is not None:
            del self._value._hooks[self]
            self._value = None
            modes.hooks.pop()
