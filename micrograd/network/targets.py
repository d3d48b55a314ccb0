"""Labels, targets and sample weights: what a loss compares the network's output with, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array

_INT64 = np.dtype(np.int64)


def as_targets(where: str, y: Any, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Targets as an array (rows, outputs); (rows,) is taken for one output.

    Raises:
        TypeError: y does not hold real numbers.
        ValueError: the shape does not fit.
    """
    array = checks.reals(where, "y", y, dtype)
    if array.shape == (rows,) and outputs == 1:
        return array.reshape(rows, 1)
    if array.shape != (rows, outputs):
        raise ValueError(f"{where}: y has shape {array.shape}, ({rows}, {outputs}) is wanted")
    return array


def as_weights(where: str, weights: Any, rows: int, dtype: np.dtype[Any]) -> tuple[Array, float]:
    """Sample weights as an array (rows,), and their sum.

    Raises:
        TypeError: they are not real numbers.
        ValueError: the shape does not fit, one is negative or not finite, or all are zero.
    """
    array = checks.reals(where, "sample_weight", weights, dtype)
    if array.shape != (rows,):
        raise ValueError(f"{where}: sample_weight has shape {array.shape}, ({rows},) is wanted")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{where}: sample_weight[{row}] is {array[row]}; finite and 0 or more is wanted"
        )
    total = float(array.sum(dtype=np.float64))
    if total == 0:
        raise ValueError(f"{where}: all of sample_weight is 0")
    return array, total
