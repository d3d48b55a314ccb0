"""The losses a Network can have: what the C core calls them, and what they compare with.

All are means over the batch.  Gradients are those of the mean; the documents' delta is the gradient
of one sample's loss, before the mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array


@dataclass(frozen=True)
class Loss:
    """A loss of the C core.

    name: what Network(loss=...) takes; takes_labels: integer labels are allowed; output: the
    function that turns the network's output z into the documents' a^[L]; function: of Values, where
    the loss is the user's own.
    """

    name: str
    takes_labels: bool = False
    output: str | None = None
    function: Callable[[Any, Any], Any] | None = None

    @property
    def code(self) -> str:
        """What the C core calls it."""
        return self.name if self.function is None else "program_loss"


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("cross_entropy", takes_labels=True, output="softmax"),  # -sum_k y_k log softmax(z)_k
        Loss("mse"),  # mean over the outputs of (z - y)^2
        Loss("bce", output="sigmoid"),  # -y log sigmoid(z) - (1 - y) log sigmoid(-z)
        Loss("mae"),  # mean over the outputs of |z - y|
        Loss("huber"),  # d^2/2 where |d| <= 1, |d| - 1/2 beyond; d = z - y
    )
}


def find(name: object) -> Loss:
    """The loss of that name, or that a function of Values is.

    Raises:
        ValueError: there is none.
    """
    if callable(name):
        own = getattr(name, "__name__", type(name).__name__)
        return Loss(f"function {own}" if own in LOSSES else own, function=name)
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(
            f"Network: loss is {name!r}, one of {', '.join(LOSSES)} "
            "or a function of Values is wanted"
        )
    return LOSSES[name]


def softmax(z: Array) -> Array:
    """exp(z) / sum exp(z) over the last axis: what the logits of cross_entropy stand for."""
    e: Array = np.exp(z - z.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e
