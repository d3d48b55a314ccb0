"""Validation: rows that are set aside, and the loss and metrics over them, in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import checks
from micrograd.data.batching import STORED_ROWS, train_test_split
from micrograd.data.permutation import Permutation
from micrograd.data.source import random_access
from micrograd.training.metrics import Metric, accuracy

if TYPE_CHECKING:
    from micrograd.training.feeds import Arrays, Select
    from micrograd.training.model import HasOutputs, Model

BLOCK = 1024  # rows: few enough for the cache


class Holdout:
    """Rows to measure a model on.

    arrays: X, y and sample weights or None, checked; `rows` of them, those that `select` says.
    """

    def __init__(
        self, model: Model, arrays: Arrays, rows: int, select: Select | None = None
    ) -> None:
        self._arrays, self._model, self._rows, self._select = arrays, model, rows, select

    def _block(self, start: int) -> Arrays:
        stop = min(start + BLOCK, self._rows)
        index: Any = slice(start, stop)
        if self._select is not None:
            index = self._select(np.arange(start, stop, dtype=np.int64))
        X, y, weights = (None if a is None else a[index] for a in self._arrays)
        return X, y, weights

    def measure(self, metrics: Mapping[str, Metric]) -> dict[str, float]:
        """The mean loss over the rows, and the metrics, by name.

        Metrics see all rows at once, as arrays of y and of the model's outputs, and their weights.
        """
        with random_access(self._arrays) if self._select is not None else nullcontext():
            return self._measure(metrics)

    def _measure(self, metrics: Mapping[str, Metric]) -> dict[str, float]:
        counted = list(metrics.values()) == [accuracy]  # the C core counts it along with the loss
        total = weight = right = 0.0
        outputs, targets, shares = [], [], []
        for start in range(0, self._rows, BLOCK):
            X, y, weights = self._block(start)
            share = len(X) if weights is None else float(np.sum(weights, dtype=np.float64))
            if share > 0:
                given = (X, y) if weights is None else (X, y, weights)
                loss, good = self._model.evaluate(*given)
                total, weight = total + loss * share, weight + share
                right += share * (good or 0)
            if metrics and not counted:
                outputs.append(cast("HasOutputs", self._model).predict(X))
                targets.append(y)
                shares.append(weights)
        measured = {"loss": total / weight if weight else float("nan")}
        if counted:
            exact = self._arrays[2] is None  # a count of rows, which rounding may have missed
            measured["accuracy"] = (round(right) if exact else right) / weight
        elif metrics:
            output, target = np.concatenate(outputs), np.concatenate(targets)
            of_rows = None if self._arrays[2] is None else np.concatenate(shares)
            for name, metric in metrics.items():
                measured[name] = _as_number(name, metric(target, output, of_rows))
        return measured


def _as_number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"the metric {name} gave {checks.describe(value)}, a number is wanted"
        ) from None


def split(y: Any, rows: int, fraction: float, seed: int) -> tuple[int, Select, int, Select]:
    """Sets rows aside at random: the number of training rows and which they are, and the same of
    the others. Stratified where y has integer classes and the rows are not too many to list.
    """
    rng = np.random.default_rng([1, seed])  # a stream of its own: shuffling draws from [seed]
    if rows > STORED_ROWS:
        aside = round(rows * fraction)
        order = Permutation(rows, rng)
        return rows - aside, lambda index: order(index + aside), aside, order
    labels = y if np.ndim(y) == 1 and np.asarray(y).dtype.kind in "iub" else np.zeros((rows, 1))
    train, test, *_ = train_test_split(np.arange(rows), labels, fraction, rng)
    train.sort()
    test.sort()
    return len(train), train.__getitem__, len(test), test.__getitem__
