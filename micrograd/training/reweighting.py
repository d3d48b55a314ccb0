"""class_weight and label_smoothing, as targets and sample weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.training.model import Model


class Reweighting:
    """class_weight and label_smoothing, as targets and sample weights."""

    def __init__(
        self, model: Model, where: str, y: Any, class_weight: Any, label_smoothing: Any
    ) -> None:
        self._loss, self._where = model.loss_name, where
        self._outputs = model.out_features
        self._classes = 2 if self._loss == "bce" else self._outputs
        self._smoothing = checks.number(where, "label_smoothing", label_smoothing, below=1)
        self._weights: Array | None = None
        if (class_weight is not None or self._smoothing) and self._loss not in (
            "cross_entropy",
            "bce",
        ):
            raise ValueError(
                f"{where}: class_weight and label_smoothing are for the losses cross_entropy and "
                f"bce, this one is {self._loss!r}"
            )
        if class_weight is None:
            return
        if self._loss == "bce" and self._outputs != 1:
            raise ValueError(
                f"{where}: class_weight with bce is for one output, there are {self._outputs}"
            )
        if isinstance(class_weight, str) and y is None:
            raise ValueError(
                f"{where}: class_weight 'balanced' has to see all labels first; with an iterable "
                "of batches give the weights as a dict"
            )
        labels = np.reshape(y, -1) if self._loss == "bce" and y is not None else y
        self._weights = class_weights(where, class_weight, labels, self._classes)

    def class_weights(self) -> list[float] | None:
        """The weight of each class, None where they weigh alike."""
        return None if self._weights is None else [float(x) for x in self._weights]

    def makes(self, rows: int) -> int:
        """Elements of the targets that it makes for so many rows."""
        return rows * self._classes if self._smoothing else 0

    def __call__(self, y: Any, weights: Any) -> tuple[Any, Any]:
        """y and sample weights (or None) with the classes' weights and the smoothing."""
        if self._weights is not None:
            own = self._weights_of(y)
            weights = own if weights is None else own * np.asarray(weights)
        if self._smoothing and self._loss == "bce":
            y = checks.reals(self._where, "y", y, np.dtype(float))
            y = y * (1 - self._smoothing) + self._smoothing / 2
        elif self._smoothing:
            y = smooth_labels(y, self._classes, self._smoothing)
        return y, weights

    def _weights_of(self, y: Any) -> Array:
        assert self._weights is not None
        weights: Array
        if self._loss == "bce":
            share = checks.reals(self._where, "y", y, np.dtype(float)).reshape(-1)
            weights = self._weights[0] * (1 - share) + self._weights[1] * share
        elif np.ndim(y) == 2:
            weights = checks.reals(self._where, "y", y, np.dtype(float)) @ self._weights
        else:
            weights = self._weights[checked_labels(self._where, y, self._classes)]
        return weights


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
            block = block.astype(np.int64)
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
    labels = checks.labels(where, y, len(y), classes)
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
