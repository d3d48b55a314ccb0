"""What to say when training diverges: where the first number that is not finite appeared."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.initial import starts

REMEMBERED = 5  # steps whose losses and norms the message shows


class Recent:
    """Losses and gradient norms of the last steps."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=REMEMBERED)
        self.norms: deque[float] = deque(maxlen=REMEMBERED)

    def text(self) -> str:
        """Both, oldest first; empty before the first step."""
        parts = []
        for name, values in (("losses", self.losses), ("gradient norms", self.norms)):
            if values:
                parts.append(f"the {name} before were {', '.join(f'{x:.4g}' for x in values)}")
        return "; ".join(parts)


def diverged(
    model: Any, where: str, epoch: int, step: int, error: Exception, recent: Recent, batch: Any
) -> FloatingPointError:
    """The error for a step whose loss or gradient was not finite; the parameters are those before.

    Goes over the batch once more, to find the layer.
    """
    what = str(error).removeprefix(f"{where}: ").partition(" at step")[0]
    parts = [f"{where}: {what} at step {step} (epoch {epoch})", _place(model, batch)]
    parts += [recent.text(), "a smaller learning rate or clip_norm may help"]
    return FloatingPointError("; ".join(part for part in parts if part))


def _place(model: Any, batch: Sequence[Any]) -> str:
    X, y, weights = batch
    arguments = (X, y) if weights is None else (X, y, weights)
    with np.errstate(all="ignore"):
        if hasattr(model, "layers"):
            found = _in_forward(model, X, y)
            if found:
                return found
        gradients, step = model.parameters().flat_grad.copy(), getattr(model, "step", 0)
        model.zero_grad()
        model.loss(*arguments)
        model.backward()
        found = _in_backward(model)
        model.parameters().flat_grad[...] = gradients
        if hasattr(model, "step"):
            model.step = step
    return found


def _in_forward(net: Any, X: Any, y: Any) -> str:
    """The first layer whose output is not finite."""
    passed = net.explain(X, y)
    number = 1
    while f"a{number}" in passed:
        for letter in "za":
            value = passed.get(f"{letter}{number}")
            if value is not None and not np.isfinite(value).all():
                return (
                    f"the first value that is not finite is in {letter}{number}{_of(net, number)}"
                )
        number += 1
    return ""


def _of(net: Any, number: int) -> str:
    """The layer of the step l = number of the documents."""
    path = net.plans.graph("explaining").steps[number - 1].path
    layer = next((each.layer for each in starts(net.layers) if each.path == path), None)
    return "" if layer is None else f" (layer {path}, {layer})"


def _in_backward(model: Any) -> str:
    """The gradient that is not finite and nearest to the loss, whence the others come."""
    parameters = list(model.parameters())
    for p in reversed(parameters):
        if not np.isfinite(p.grad).all():
            return f"the gradient of {p.name} is not finite"
    norms = [(float(np.abs(_as_double(p.grad)).max()), p.name) for p in parameters]
    largest, name = max(norms)
    return f"the largest gradient is {largest:.4g}, in {name}"


def _as_double(array: Array) -> Array:
    return np.asarray(array, np.float64)
