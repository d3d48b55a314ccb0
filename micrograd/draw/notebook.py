"""What a Value or a model shows of itself in a notebook, and when it shows nothing but its repr."""

from __future__ import annotations

from typing import Any

from micrograd.draw.function import draw
from micrograd.engine.value import Value

MOST = 100_000  # nodes of a graph that is drawn without being asked: about a second


def svg(thing: Any) -> str | None:
    """The drawing of a Value or a model; None, so that its repr is shown, where none can be made:
    a graph that would take long, a program that has not been recorded."""
    if isinstance(thing, Value) and _is_larger(thing, MOST):
        return None
    if getattr(thing, "recorded_shapes", True) == []:
        return None
    return draw(thing).svg


def html(thing: Any) -> str | None:
    """The same in a frame that scrolls sideways."""
    drawing = svg(thing)
    return None if drawing is None else framed(drawing)


def framed(drawing: str) -> str:
    """A drawing in a frame that scrolls sideways."""
    return f'<div style="overflow-x:auto">{drawing}</div>'


def _is_larger(root: Value, most: int) -> bool:
    """Whether the graph behind a Value has more nodes."""
    seen, stack = {root}, [root]
    while stack and len(seen) <= most:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return len(seen) > most
