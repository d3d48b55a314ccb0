"""Metrics: how good outputs are, by name or as functions of (y_true, output)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array

# Of y (rows,) or (rows, outputs), the outputs, and weights of the rows (rows,) or None.
Metric = Callable[[Array, Array, Any], float]


def classes_of(y: Array) -> Array:
    """Labels (rows,) as they are; the likeliest class of probability rows."""
    return y.argmax(axis=1) if y.ndim == 2 else y


def accuracy(y: Array, output: Array, weights: Any = None) -> float:
    """Share of rows whose largest output is the class in y: labels or probability rows."""
    return _mean(output.argmax(axis=1) == classes_of(y), weights)


def balanced_accuracy(y: Array, output: Array, weights: Any = None) -> float:
    """Mean over the classes that occur of the share of their rows that are recognised."""
    classes, right = classes_of(y), output.argmax(axis=1) == classes_of(y)
    if weights is not None:  # a class whose rows weigh nothing does not occur
        heavy = np.asarray(weights) > 0
        classes, right, weights = classes[heavy], right[heavy], np.asarray(weights)[heavy]
    of = [classes == c for c in np.unique(classes)]
    shares = [_mean(right[c], None if weights is None else weights[c]) for c in of]
    return float(np.mean(shares))


def binary_accuracy(y: Array, output: Array, weights: Any = None) -> float:
    """Share of outputs, logits, on the side of 0 on which y is of 1/2."""
    return _mean((output > 0) == (_like(y, output) > 0.5), weights)


def mse(y: Array, output: Array, weights: Any = None) -> float:
    """Mean squared error."""
    return _mean((output - _like(y, output)) ** 2, weights)


def rmse(y: Array, output: Array, weights: Any = None) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(y, output, weights)))


def mae(y: Array, output: Array, weights: Any = None) -> float:
    """Mean absolute error."""
    return _mean(np.abs(output - _like(y, output)), weights)


def r2(y: Array, output: Array, weights: Any = None) -> float:
    """1 - (sum of squared errors) / (sum of squares around the mean), the mean over the outputs.

    NaN where an output's targets are all equal: there is nothing to explain.
    """
    target = _like(y, output).astype(np.float64)
    w = np.ones((len(target), 1)) if weights is None else np.asarray(weights, float)[:, None]
    errors = (w * (output - target) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (w * (target - (w * target).sum(axis=0) / w.sum()) ** 2).sum(axis=0)
        return float(np.where(spread > 0, 1 - errors / spread, np.nan).mean())


def _mean(values: Array, weights: Any) -> float:
    """The mean of values (rows,) or (rows, outputs), each row with its weight, in float64."""
    if weights is None:
        return float(values.mean(dtype=np.float64))
    w = np.asarray(weights, np.float64)
    rows = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return float((w * rows).sum() / w.sum())


def _like(y: Array, output: Array) -> Array:
    return y.reshape(output.shape)


_OF_CLASSES: Mapping[str, Metric] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}
_OF_LOGITS: Mapping[str, Metric] = {"accuracy": binary_accuracy}
_OF_NUMBERS: Mapping[str, Metric] = {"mae": mae, "mse": mse, "rmse": rmse, "r2": r2}


def named_metrics(loss: str) -> Mapping[str, Metric]:
    """The metrics that go with a loss, by name."""
    return {"cross_entropy": _OF_CLASSES, "bce": _OF_LOGITS}.get(loss, _OF_NUMBERS)


_FITS_OWN = ("loss", "val_loss", "val_accuracy", "seconds")  # lists of the history


def find_metrics(where: str, metrics: Any, loss: str) -> dict[str, Metric]:
    """fit's argument, one or several names or functions, as functions by name.

    Raises:
        TypeError, ValueError: there is no such metric, or it does not go with the loss; two of
            them have the same name, or one has that of a list of the history.
    """
    if isinstance(metrics, str) or callable(metrics) or not isinstance(metrics, Iterable):
        metrics = [metrics]
    known, found = named_metrics(loss), dict[str, Metric]()
    for metric in metrics:
        if callable(metric):
            name = str(getattr(metric, "__name__", type(metric).__name__))
            function = _with_weights(metric)
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
            name, function = metric, known[metric]
        if name in _FITS_OWN:
            raise ValueError(
                f"{where}: a metric is called {name!r}, as what fit measures itself; give it "
                "another name (function.__name__)"
            )
        if name in found:
            raise ValueError(f"{where}: two metrics are called {name!r}; give each its own name")
        found[name] = function
    return found


def _with_weights(metric: Callable[..., Any]) -> Metric:
    """A user's function; the weights go to a parameter `sample_weight`, if it has one."""
    try:
        takes = "sample_weight" in signature(metric).parameters
    except (TypeError, ValueError):
        takes = False
    if takes:
        return lambda y, output, weights: metric(y, output, sample_weight=weights)
    return lambda y, output, weights: metric(y, output)
