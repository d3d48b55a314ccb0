"""The losses a Network can have: what the C core calls them, and what they compare with.

All are means over the batch.  Gradients are those of the mean; the documents' delta is the gradient
of one sample's loss, before the mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from micrograd.core import lib


@dataclass(frozen=True)
class Loss:
    """A loss of the C core.

    name: what Network(loss=...) takes; code: the C core's number; takes_labels: integer labels are
    allowed; output: the function that turns the network's output z into the documents' a^[L];
    function: of Values, where the loss is the user's own.
    """

    name: str
    code: int
    equation: str
    takes_labels: bool = False
    output: str | None = None
    function: Callable[[Any, Any], Any] | None = None


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "cross_entropy",
            lib.MG_CROSS_ENTROPY,
            "-sum_k y_k log softmax(z)_k",
            takes_labels=True,
            output="softmax",
        ),
        Loss("mse", lib.MG_MSE, "mean over the outputs of (z - y)^2"),
        Loss("bce", lib.MG_BCE, "-y log sigmoid(z) - (1 - y) log sigmoid(-z)", output="sigmoid"),
        Loss("mae", lib.MG_MAE, "mean over the outputs of |z - y|"),
        Loss("huber", lib.MG_HUBER, "d^2/2 where |d| <= 1, |d| - 1/2 beyond; d = z - y"),
    )
}


def find(name: object) -> Loss:
    """The loss of that name, or that a function of Values is.

    Raises:
        ValueError: there is none.
    """
    if callable(name):
        own = getattr(name, "__name__", type(name).__name__)
        return Loss(own, lib.MG_PROGRAM_LOSS, "a function of Values", function=name)
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(
            f"Network: loss is {name!r}, one of {', '.join(LOSSES)} "
            "or a function of Values is wanted"
        )
    return LOSSES[name]
