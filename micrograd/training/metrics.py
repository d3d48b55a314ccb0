"""Metrics: how good outputs are, by name or as functions of (y_true, output)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array

Metric = Callable[[Array, Array], float]


def classes_of(y: Array) -> Array:
    """Labels (rows,) as they are; the likeliest class of probability rows."""
    return y.argmax(axis=1) if y.ndim == 2 else y


def accuracy(y: Array, output: Array) -> float:
    """Share of rows whose largest output is the class in y: labels or probability rows."""
    return float((output.argmax(axis=1) == classes_of(y)).mean())


def balanced_accuracy(y: Array, output: Array) -> float:
    """Mean over the classes that occur of the share of their rows that are recognised."""
    classes, right = classes_of(y), output.argmax(axis=1) == classes_of(y)
    return float(np.mean([right[classes == c].mean() for c in np.unique(classes)]))


def binary_accuracy(y: Array, output: Array) -> float:
    """Share of outputs, logits, on the side of 0 on which y is of 1/2."""
    return float(((output > 0) == (_like(y, output) > 0.5)).mean())


def mse(y: Array, output: Array) -> float:
    """Mean squared error."""
    return float(((output - _like(y, output)) ** 2).mean(dtype=np.float64))


def rmse(y: Array, output: Array) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(y, output)))


def mae(y: Array, output: Array) -> float:
    """Mean absolute error."""
    return float(np.abs(output - _like(y, output)).mean(dtype=np.float64))


def r2(y: Array, output: Array) -> float:
    """1 - (sum of squared errors) / (sum of squares around the mean), the mean over the outputs.

    NaN where an output's targets are all equal: there is nothing to explain.
    """
    target = _like(y, output).astype(np.float64)
    errors = ((output - target) ** 2).sum(axis=0)
    spread = ((target - target.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(spread > 0, 1 - errors / spread, np.nan).mean())


def _like(y: Array, output: Array) -> Array:
    return y.reshape(output.shape)


_OF_CLASSES: Mapping[str, Metric] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}
_OF_LOGITS: Mapping[str, Metric] = {"accuracy": binary_accuracy}
_OF_NUMBERS: Mapping[str, Metric] = {"mae": mae, "mse": mse, "rmse": rmse, "r2": r2}


def named_metrics(loss: str) -> Mapping[str, Metric]:
    """The metrics that go with a loss, by name."""
    return {"cross_entropy": _OF_CLASSES, "bce": _OF_LOGITS}.get(loss, _OF_NUMBERS)


def find_metrics(where: str, metrics: Any, loss: str) -> dict[str, Metric]:
    """fit's argument, one or several names or functions, as functions by name.

    Raises:
        TypeError, ValueError: there is no such metric, or it does not go with the loss.
    """
    if isinstance(metrics, str) or callable(metrics) or not isinstance(metrics, Iterable):
        metrics = [metrics]
    known, found = named_metrics(loss), {}
    for metric in metrics:
        if callable(metric):
            found[str(getattr(metric, "__name__", type(metric).__name__))] = metric
        elif not isinstance(metric, str):
            raise TypeError(
                f"{where}: the metric {checks.describe(metric)} is neither a name nor a function "
                "of (y_true, output)"
            )
        elif metric not in known:
            raise ValueError(
                f"{where}: the metric {metric!r} is unknown for the loss {loss!r}; there are "
                f"{', '.join(known)}, and functions of (y_true, output)"
            )
        else:
            found[metric] = known[metric]
    return found
