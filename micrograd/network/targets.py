"""Labels, targets and sample weights: what a loss compares the network's output with, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from micrograd import checks
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
            f"{where}: y is {checks.describe(array)}; integer labels of shape ({rows},) or "
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


# ---- reweighted and smoothed targets ----


def class_weights(where: str, weight: Any, y: Any, classes: int) -> Array:
    """A weight for each class, float64 (classes,), for `sample_weight = weights[y]`.

    Args:
        weight: {class: weight}, 1 for the others; (classes,) numbers; or "balanced": rows / (number
            of classes that occur * rows of the class), so that all classes weigh the same.
        y: labels (rows,); only "balanced" looks at them, in blocks.

    Raises:
        TypeError, ValueError: a class there is not, a weight that is negative or not finite.
    """
    if isinstance(weight, str):
        if weight != "balanced":
            raise ValueError(f"{where}: class_weight is {weight!r}, 'balanced' or a dict is wanted")
        return _balanced(where, y, classes)
    weights = np.ones(classes)
    if isinstance(weight, Mapping):
        for name, value in weight.items():
            if not (checks.is_integer(name) and 0 <= name < classes):
                raise ValueError(
                    f"{where}: class_weight has the class {name!r}, the classes are 0 to "
                    f"{classes - 1}"
                )
            weights[int(name)] = checks.number(where, f"class_weight[{name}]", value)
    else:
        weights = checks.reals(where, "class_weight", weight, weights.dtype)
        if weights.shape != (classes,):
            raise ValueError(
                f"{where}: class_weight has shape {weights.shape}, ({classes},) is wanted"
            )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"{where}: class_weight[{at}] is {weights[at]}; finite and 0 or more is wanted"
        )
    return weights


_BLOCK = 1 << 16  # labels looked at together: they may lie in a mapped file


def _balanced(where: str, y: Any, classes: int) -> Array:
    if np.ndim(y) != 1:
        raise ValueError(f"{where}: class_weight 'balanced' wants integer labels of shape (rows,)")
    counts = np.zeros(classes)
    for start in range(0, len(y), _BLOCK):
        block = np.asarray(y[start : start + _BLOCK])
        if block.dtype.kind == "f" and (block % 1 == 0).all():
            block = block.astype(_INT64)
        labels = checked_labels(where, block, classes)
        counts += np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.ones(classes)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def checked_labels(where: str, y: Any, classes: int) -> Array:
    """Integer labels (rows,), all of them from 0 to classes - 1.

    Raises:
        TypeError, ValueError: they are not.
    """
    labels = as_labels(where, y, len(y), classes)
    if labels is None:
        raise TypeError(f"{where}: y is {checks.describe(y)}, integer labels are wanted")
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{where}: y[{row}] is {labels[row]}, the network has {classes} classes: "
            f"0 to {classes - 1}"
        )
    return labels


def smooth_labels(y: Any, classes: int, smoothing: float, dtype: Any = np.float64) -> Array:
    """Probability rows (rows, classes): 1 - smoothing for the label, the rest shared by all alike.

        y_k = (1 - smoothing) [k = label] + smoothing / classes

    (Szegedy et al. 2016, section 7.) Rows of probabilities are mixed with the uniform ones so too.

    Args:
        y: labels (rows,) or probability rows (rows, classes).
        smoothing: from 0 to 1.

    Raises:
        TypeError, ValueError: labels or smoothing out of range.
    """
    smoothing = checks.number("smooth_labels", "smoothing", smoothing, most=1)
    if np.ndim(y) == 2:
        rows = checks.reals("smooth_labels", "y", y, np.dtype(dtype)) * (1 - smoothing)
        return np.asarray(rows + smoothing / classes, dtype)
    labels = checked_labels("smooth_labels", y, classes)
    rows = np.full((len(labels), classes), smoothing / classes, dtype)
    rows[np.arange(len(labels)), labels] += 1 - smoothing
    return rows
