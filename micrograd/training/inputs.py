"""What fit trains on and what it measures on, made of its arguments X, y and validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.data.source import is_mapped, plain
from micrograd.training.feeds import ArrayFeed, IterableFeed, MappedFeed, Rows
from micrograd.training.metrics import Metric, find_metrics
from micrograd.training.reweighting import Reweighting
from micrograd.training.validation import BLOCK, Holdout, split

if TYPE_CHECKING:
    from micrograd.training.arguments import Arguments
    from micrograd.training.feeds import Arrays, Feed, Select
    from micrograd.training.model import Model

MOST_SMOOTHED = 1 << 22  # elements of smoothed targets that are made for all rows at once


@dataclass
class Data:
    """Batches to train on, and rows to measure on: validation's ("val_"), or those of training.

    arrays: X, y and sample weights as they came, None of an iterable; class_weights: a number for
    each class, or None.
    """

    feed: Feed
    holdout: Holdout | None
    prefix: str
    metrics: dict[str, Metric]
    arrays: Arrays | None
    class_weights: list[float] | None

    def measured(self) -> list[str]:
        """The names of what is measured, the training loss first."""
        validation = ["val_loss"] if self.prefix else []
        return ["loss", *validation, *(self.prefix + name for name in self.metrics)]

    def measure(self) -> dict[str, float]:
        """Loss of the validation, and metrics, by name."""
        if self.holdout is None:
            return {}
        found = self.holdout.measure(self.metrics)
        return {self.prefix + name: x for name, x in found.items() if self.prefix + name != "loss"}


def make_data(
    model: Model, where: str, given: Arguments, epochs: int, batch_size: int, seed: int
) -> Data:
    """Checks fit's data, and decides how to go through them.

    Raises:
        TypeError, ValueError: they do not fit.
    """
    validation, fraction = given.validation, checks.is_number(given.validation)
    names = ("X", "y", "sample_weight")
    values = (given.X, given.y, given.sample_weight)
    X, y, weights = (plain(where, *pair) for pair in zip(names, values, strict=True))
    holdout = None
    if validation is not None and not fraction:
        holdout = _separate(model, where, validation)
    feed: Feed
    if y is None and not isinstance(X, np.ndarray):
        if weights is not None or fraction:
            raise ValueError(
                f"{where}: X is an iterable of batches: sample_weight is the third of each, and "
                "validation, if there is one, a pair (X, y)"
            )
        reweighting = Reweighting(model, where, None, given.class_weight, given.label_smoothing)
        feed, own, arrays = IterableFeed(model, where, X, epochs, reweighting), None, None
    else:
        arrays, rows = _checked(model, where, (X, y, weights))
        select = None
        if fraction:
            rows, select, holdout = _set_aside(model, where, arrays, rows, validation, seed)
        own = Holdout(model, arrays, rows, select)
        reweighting = Reweighting(
            model, where, arrays[1], given.class_weight, given.label_smoothing
        )
        feed = _feed(model, where, arrays, Rows(rows, batch_size, select), reweighting)
    prefix = "val_" if holdout is not None else ""
    chosen = _chosen_metrics(model, where, given.metrics, holdout is not None)
    if chosen and holdout is None:
        holdout = own
        if own is None:
            raise ValueError(f"{where}: metrics of an iterable of batches want validation data")
    return Data(feed, holdout, prefix, chosen, arrays, reweighting.class_weights())


def _feed(model: Model, where: str, arrays: Arrays, rows: Rows, reweighting: Reweighting) -> Feed:
    """Arrays in memory are checked and reweighted at once, others batch by batch."""
    X, y, weights = arrays
    whose = f"{where}: the rows to train on"
    if any(map(is_mapped, arrays)) or reweighting.makes(rows.count) > MOST_SMOOTHED:
        _check_weights(whose, weights, rows.count, rows.select)
        return MappedFeed(model, where, arrays, rows, reweighting)
    y, weights = reweighting(y, weights)
    _check_weights(whose, weights, rows.count, rows.select)
    return ArrayFeed(model, where, (X, y, weights), rows)


def _check_weights(whose: str, weights: Any, rows: int, select: Select | None) -> None:
    """Raises ValueError where all of these rows have weight 0."""
    if weights is None:
        return
    for start in range(0, rows, BLOCK):
        index = np.arange(start, min(start + BLOCK, rows))
        if np.any(weights[index if select is None else select(index)]):
            return
    raise ValueError(
        f"{whose} all have weight 0, by sample_weight or class_weight; give others, or another seed"
    )


def _checked(model: Model, where: str, arrays: Arrays) -> tuple[Arrays, int]:
    """Arrays that have been checked, and converted if they lie in memory; how many rows."""
    if any(map(is_mapped, arrays)):
        return _checked_mapped(model, where, [None if a is None else np.asarray(a) for a in arrays])
    X, y, weights = arrays
    if hasattr(X, "tocsr"):
        raise TypeError(
            f"{where}: X is a sparse matrix, and fit wants a dense one, X.toarray(); loss, predict "
            "and evaluate take it, and so does the fit of micrograd.sklearn.MLPClassifier"
        )
    model.checked_batch(where, X, y, *(() if weights is None else (weights,)))
    X = checks.reals(where, "X", X, model.parameters().dtype)
    return (X, np.asarray(y), None if weights is None else np.asarray(weights)), len(X)


def _checked_mapped(model: Model, where: str, arrays: list[Any]) -> tuple[Arrays, int]:
    """Looks at the shapes and the first row; batches are checked when they are used."""
    X, y, weights = arrays
    shapes = [np.shape(a) for a in arrays if a is not None]
    if y is None or not all(shapes) or len({shape[0] for shape in shapes}) != 1 or not len(X):
        raise ValueError(f"{where}: X and y have shapes {shapes}; as many rows are wanted")
    model.checked_batch(where, X[:1], y[:1])
    return (X, y, weights), len(X)


def _separate(model: Model, where: str, validation: Any) -> Holdout:
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        raise TypeError(
            f"{where}: validation is {checks.describe(validation)}; a pair (X, y), or a fraction "
            "of the rows, is wanted"
        )
    where += " (validation)"
    names = ("X", "y", "sample_weight")
    parts = (*validation, None)[:3]
    X, y, weights = (plain(where, *pair) for pair in zip(names, parts, strict=True))
    return Holdout(model, *_checked(model, where, (X, y, weights)))


def _set_aside(
    model: Model, where: str, arrays: Arrays, rows: int, fraction: float, seed: int
) -> tuple[int, Any, Holdout]:
    """How many rows are left, which they are, and the others."""
    if not 0 < fraction < 1 or rows < 2:
        raise ValueError(
            f"{where}: validation is {fraction} of {rows} rows; a fraction between 0 and 1 that "
            "leaves rows for both is wanted"
        )
    train, select, aside, others = split(arrays[1], rows, float(fraction), seed)
    _check_weights(f"{where}: the rows that validation sets aside", arrays[2], aside, others)
    return train, select, Holdout(model, arrays, aside, others)


def _chosen_metrics(model: Model, where: str, metrics: Any, validates: bool) -> dict[str, Metric]:
    if metrics is None:
        metrics = ["accuracy"] if validates and model.loss_name == "cross_entropy" else []
    found = find_metrics(where, metrics, model.loss_name)
    if found and not model.layers:
        raise ValueError(f"{where}: a compiled function has no outputs but its loss: no metrics")
    return found
