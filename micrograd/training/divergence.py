"""What to say when training diverges: where the first number that is not finite appeared."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.optim.constraints import ADVICE, REMEMBERED, NotFiniteError

if TYPE_CHECKING:
    from micrograd.training.model import Model


class Recent:
    """Losses and gradient norms of the last steps."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=REMEMBERED)
        self.norms: deque[float] = deque(maxlen=REMEMBERED)

    def take(self, result: Any) -> None:
        """Those that the C core remembers of the steps of one call."""
        for step in range(max(0, result.steps - REMEMBERED), result.steps):
            self.losses.append(result.losses[step % REMEMBERED])
            self.norms.append(result.gradient_norms[step % REMEMBERED])

    def text(self) -> str:
        """Both, oldest first; empty before the first step."""
        parts = []
        for name, values in (("losses", self.losses), ("gradient norms", self.norms)):
            if values:
                parts.append(f"the {name} before were {', '.join(f'{x:.4g}' for x in values)}")
        return "; ".join(parts)


def diverged(
    model: Model, where: str, epoch: int, error: NotFiniteError, recent: Recent, batch: Any
) -> FloatingPointError:
    """The error for a step whose loss or gradient was not finite; the parameters are those before.

    Goes over the batch once more, to find the layer.
    """
    what = f"{where}: {error.what} at step {error.step} (epoch {epoch})"
    parts = [what, _place(model, batch), recent.text(), ADVICE]
    return FloatingPointError("; ".join(part for part in parts if part))


def _place(model: Model, batch: Sequence[Any]) -> str:
    X, y, weights = batch
    if model.layers:  # which take finite numbers only; other models compute with any
        for name, array in (("X", X), ("y", y), ("sample_weight", weights)):
            found = _in_input(name, array)
            if found:
                return found
    arguments = (X, y) if weights is None else (X, y, weights)
    with np.errstate(all="ignore"):
        found = model.place_not_finite(X, y)
        if found:
            return f"the first value that is not finite is in {found}"
        gradients, step = model.parameters().flat_grad.copy(), model.step
        model.zero_grad()
        model.loss(*arguments)
        model.backward()
        found = _in_backward(model)
        model.parameters().flat_grad[...] = gradients
        model.step = step
    return found


def _in_input(name: str, array: Any) -> str:
    """What came in was finite when fit began: it has been overwritten since."""
    if array is None or np.asarray(array).dtype.kind != "f" or np.isfinite(array).all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return (
        f"{name} has been overwritten since fit began: in this batch {name}{list(at)} is "
        f"{array[at]}"
    )


def _in_backward(model: Model) -> str:
    """The gradient that is not finite and nearest to the loss, whence the others come."""
    parameters = list(model.parameters())
    for p in reversed(parameters):
        if not np.isfinite(p.grad).all():
            return f"the gradient of {p.name} is not finite"
    norms = [(float(np.abs(np.asarray(p.grad, np.float64)).max()), p.name) for p in parameters]
    largest, name = max(norms)
    return f"the largest gradient is {largest:.4g}, in {name}"
