"""Outputs as probabilities and classes, and the names that classes have."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.network.c_plan import apply
from micrograd.network.losses import Loss

KEY = "classes"  # of the metadata: the names in the order of the outputs, text


def number_of_classes(loss: Loss, outputs: int) -> int:
    """Classes that one output row tells apart: 0 where it does not choose one of several."""
    if loss.output == "softmax":
        return outputs
    return 2 if loss.output == "sigmoid" and outputs == 1 else 0


def names_of(metadata: Any, classes: int) -> list[str] | None:
    """The names of so many classes that a network's metadata have, or None.

    They stand under "classes" where Network.fit has met them, and in the first target of "schema"
    where an estimator or the command line has trained the network.
    """
    found = metadata.get(KEY)
    if found is None:
        try:
            found = metadata["schema"]["targets"][0]["classes"]
        except (LookupError, TypeError):
            return None
    fits = isinstance(found, (list, tuple)) and len(found) == classes > 0
    return [str(name) for name in found] if fits else None


def are_names(y: Any) -> bool:
    """Whether y holds text, as labels may."""
    if isinstance(y, np.ndarray):
        kind = y.dtype.kind
        return kind == "U" or (kind == "O" and y.size > 0 and isinstance(y.flat[0], str))
    first = y[0] if isinstance(y, (list, tuple)) and y else None
    if isinstance(first, str):
        return True
    return hasattr(y, "to_numpy") and are_names(np.asarray(y))  # a column of pandas or polars


def distinct_names(where: str, y: Any, classes: int) -> list[str]:
    """The names that occur in y, sorted: those of all classes.

    Raises:
        TypeError, ValueError: there are others than names among them, or not so many.
    """
    names = sorted(set(_texts(where, y)))
    if len(names) != classes:
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        raise ValueError(
            f"{where}: y has {len(names)} different names ({shown}), the network has {classes} "
            f"classes; where some do not occur, say which there are: net.metadata[{KEY!r}] = [...]"
        )
    return names


def numbered(where: str, y: Any, names: list[str] | None) -> Array:
    """The numbers of the classes that y names, int64 (rows,).

    Raises:
        TypeError, ValueError: y is no column of names, or one is unknown.
    """
    if names is None:
        raise TypeError(
            f"{where}: y is {checks.describe(np.asarray(y))}, integer labels are wanted: the "
            f"network has no names of classes yet; fit them, or say net.metadata[{KEY!r}] = [...]"
        )
    numbers = {name: i for i, name in enumerate(names)}
    texts = _texts(where, y)
    try:
        return np.array([numbers[text] for text in texts], np.int64)
    except KeyError as error:
        row = texts.index(error.args[0])
        raise ValueError(
            f"{where}: y[{row}] is {error.args[0]!r}, the classes are {', '.join(names)}"
        ) from None


def _texts(where: str, y: Any) -> list[str]:
    array = np.asarray(y, dtype=object)
    if array.ndim != 1:
        raise ValueError(f"{where}: y has shape {array.shape}, names of shape (rows,) are wanted")
    texts = array.tolist()
    row = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if row is not None:
        raise TypeError(
            f"{where}: y[{row}] is {checks.describe(texts[row])}, other rows have names of classes"
        )
    return [str(text) for text in texts]


class Classifying:
    """predict_proba and classify of whatever computes outputs, with a loss and metadata."""

    loss_kind: Loss
    out_features: int
    metadata: dict[str, Any]

    def outputs(self, where: str, X: Any) -> Array:
        """The outputs (rows, out_features)."""
        raise NotImplementedError

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes in the order of the outputs, or None where it has none."""
        return names_of(self.metadata, number_of_classes(self.loss_kind, self.out_features))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of classes: softmax of the outputs for cross_entropy, (rows, classes); for
        bce their sigmoid: (rows, 2) for one output, the second being that of class 1, else
        (rows, out_features), each by itself.

        Raises:
            TypeError, ValueError: input that does not fit; the loss is of no classes.
        """
        where = f"{type(self).__name__}.predict_proba"
        self._check_classes(where)
        assert self.loss_kind.output is not None
        out = apply(self.loss_kind.output, self.outputs(where, X))
        if self.loss_kind.output == "sigmoid" and self.out_features == 1:
            return np.concatenate([1 - out, out], axis=1)
        return out

    def classify(self, X: Any) -> Array:
        """The most probable class of each row, (rows,): its name where the metadata have names,
        else its number. For bce with several outputs a 0 or 1 for each, (rows, out_features).

        Raises:
            TypeError, ValueError: input that does not fit; the loss is of no classes.
        """
        where = f"{type(self).__name__}.classify"
        self._check_classes(where)
        z = self.outputs(where, X)
        if self.loss_kind.output == "softmax":
            numbers = z.argmax(axis=1)
        elif self.out_features == 1:
            numbers = (z[:, 0] > 0).astype(np.int64)
        else:
            return (z > 0).astype(np.int64)
        names = self.class_names
        found: Array = numbers if names is None else np.array(names)[numbers]
        return found

    def _check_classes(self, where: str) -> None:
        if self.loss_kind.output is None:
            raise ValueError(
                f"{where}: the loss {self.loss_kind.name!r} is of no classes; cross_entropy and "
                "bce are; predict(X) gives the outputs"
            )
