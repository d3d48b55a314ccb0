"""Labels, targets and sample weights: what a loss compares the network's output with, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import core
from micrograd.core import Array

_INT64 = np.dtype(np.int64)


def as_labels(where: str, y: Any, rows: int, classes: int) -> Array | None:
    """Integer labels as an int64 array (rows,), or None where y holds probability rows.

    Whether they lie in 0 .. classes - 1 is checked in C, in the same pass that uses them.

    Raises:
        TypeError: y holds neither integers nor rows of real numbers.
        ValueError: the shape does not fit.
    """
    if type(y) is np.ndarray and y.dtype is _INT64 and y.shape == (rows,) and y.flags.c_contiguous:
        return y
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{where}: y is no rectangular array: {error}") from None
    if array.ndim == 2 and array.shape == (rows, classes) and array.dtype.kind in "fiub":
        return None
    if array.dtype.kind not in "iub":
        raise TypeError(
            f"{where}: y is {core.describe(array)}; integer labels of shape ({rows},) or "
            f"probability rows of shape ({rows}, {classes}) are wanted"
        )
    if array.shape != (rows,):
        hint = "; use y.ravel()" if array.shape == (rows, 1) else ""
        raise ValueError(
            f"{where}: y has shape {array.shape}, ({rows},) for labels or ({rows}, {classes}) "
            f"for probability rows is wanted{hint}"
        )
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        row = int(array.argmax())
        raise ValueError(f"{where}: y[{row}] is {array[row]}, the network has {classes} classes")
    return np.ascontiguousarray(array, dtype=_INT64)


def as_targets(where: str, y: Any, rows: int, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Targets as an array (rows, outputs); (rows,) is taken for one output.

    Raises:
        TypeError: y does not hold real numbers.
        ValueError: the shape does not fit.
    """
    array = core.as_reals(where, "y", y, dtype)
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
    array = core.as_reals(where, "sample_weight", weights, dtype)
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
