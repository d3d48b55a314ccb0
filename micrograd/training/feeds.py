"""What fit trains on, batch by batch: arrays, arrays mapped from a file, iterables of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.data import batches
from micrograd.data.source import plain, random_access
from micrograd.network.targets import checked_labels, class_weights, smooth_labels

if TYPE_CHECKING:
    from micrograd.network.network import Network
    from micrograd.program.program import Program

Model: TypeAlias = "Network | Program"

# A batch: a checked data set, the rows of it to use, and their weight in the mean over the epoch.
Batch = tuple[Any, Array, float]
Arrays = tuple[Any, Any, Any]  # X, y and sample weights, or None


class Reweighting:
    """class_weight and label_smoothing, as targets and sample weights."""

    def __init__(
        self, model: Model, where: str, y: Any, class_weight: Any, label_smoothing: Any
    ) -> None:
        self._loss, self._where = model.loss_name, where
        self._outputs = getattr(model, "out_features", 0)
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


Select = Callable[[Array], Array]  # numbers of training rows to rows of the arrays


class ArrayFeed:
    """Rows of arrays in memory, checked once: the C core gathers them itself."""

    def __init__(
        self,
        model: Model,
        where: str,
        arrays: Arrays,
        rows: int,
        batch_size: int,
        select: Select | None,
    ) -> None:
        self._data, self._held = model.checked_batch(where, *_given(arrays))
        self._arrays = [None if a is None else np.asarray(a) for a in arrays]
        self._rows, self._batch_size, self._select = rows, batch_size, select

    def batches(self, rng: np.random.Generator | None, epoch: int) -> Iterator[Batch]:
        """One epoch."""
        data, select, weights = self._data, self._select, self._arrays[2]
        for index in batches(self._rows, self._batch_size, rng):
            if select is not None:
                index = select(index)
            if weights is None:
                yield data, index, len(index)
            elif (total := float(weights[index].sum(dtype=np.float64))) > 0:
                yield data, index, total

    def arrays(self, index: Array) -> list[Array | None]:
        """X, y and weights of the batch that was given last."""
        return [None if a is None else a[index] for a in self._arrays]


class MappedFeed:
    """Rows of arrays that are too large to copy: each batch is gathered, converted and checked."""

    def __init__(
        self,
        model: Model,
        where: str,
        arrays: Arrays,
        rows: int,
        batch_size: int,
        select: Select | None,
        reweighting: Reweighting,
    ) -> None:
        self._model, self._where, self._source = model, where, arrays
        self._rows, self._batch_size, self._select = rows, batch_size, select
        self._reweighting = reweighting
        self._current: list[Any] = []
        first = np.zeros(1, np.int64) if select is None else select(np.zeros(1, np.int64))
        self._gather(first)  # so that what cannot work fails before anything has changed

    def _gather(self, index: Array) -> Batch:
        X, y, weights = (None if a is None else a[index] for a in self._source)
        y, weights = self._reweighting(y, weights)
        total = float(len(index)) if weights is None else float(np.sum(weights, dtype=np.float64))
        if total == 0:
            return None, index, 0.0
        data, held = self._model.checked_batch(self._where, X, y, weights, index)
        self._current = [X, y, weights, held]
        return data, np.arange(len(index), dtype=np.int64), total

    def batches(self, rng: np.random.Generator | None, epoch: int) -> Iterator[Batch]:
        """One epoch."""
        advised = rng is not None or self._select is not None
        with random_access(self._source) if advised else nullcontext():
            for index in batches(self._rows, self._batch_size, rng):
                batch = self._gather(index if self._select is None else self._select(index))
                if batch[2] > 0:
                    yield batch

    def arrays(self, index: Array) -> list[Array | None]:
        """X, y and weights of the batch that was given last."""
        return self._current[:3]


class IterableFeed:
    """Batches that somebody else makes: (X, y) or (X, y, sample_weight), anew each epoch."""

    def __init__(
        self, model: Model, where: str, source: Any, epochs: int, reweighting: Reweighting
    ) -> None:
        self._model, self._where, self._source = model, where, source
        self._reweighting = reweighting
        self._current: list[Any] = []
        if callable(source):
            self._takes_epoch = _takes_an_argument(source)
        elif not isinstance(source, Iterable) or isinstance(source, (str, bytes, Mapping)):
            raise TypeError(
                f"{where}: y is missing, and X is {checks.describe(source)}: an iterable of (X, y) "
                "batches is wanted, or a function that returns one"
            )
        elif epochs > 1 and iter(source) is source:
            raise ValueError(
                f"{where}: {type(source).__name__} can be gone through only once, and there are "
                f"{epochs} epochs; give the function that makes it, or a list"
            )

    def batches(self, rng: np.random.Generator | None, epoch: int) -> Iterator[Batch]:
        """One epoch."""
        source = self._source
        if callable(source):
            source = source(epoch) if self._takes_epoch else source()
        count = 0
        for item in source:
            if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
                raise TypeError(
                    f"{self._where}: batch {count} is {checks.describe(item)}; a pair (X, y), or "
                    "(X, y, sample_weight), is wanted"
                )
            X, y = (plain(self._where, name, x) for name, x in zip("Xy", item[:2], strict=True))
            y, weights = self._reweighting(y, item[2] if len(item) == 3 else None)
            data, held = self._model.checked_batch(f"{self._where}: batch {count}", X, y, weights)
            self._current = [X, y, weights, held]
            total = len(X) if weights is None else float(np.sum(weights, dtype=np.float64))
            count += 1
            yield data, np.arange(len(X), dtype=np.int64), total
        if not count:
            raise ValueError(f"{self._where}: epoch {epoch} has no batches")

    def arrays(self, index: Array) -> list[Array | None]:
        """X, y and weights of the batch that was given last."""
        return self._current[:3]


def _takes_an_argument(function: Callable[..., Any]) -> bool:
    """Whether a function wants one argument: the number of the epoch."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is Parameter.empty for p in parameters)


def _given(arrays: Arrays) -> tuple[Any, ...]:
    return arrays[:2] if arrays[2] is None else arrays


Feed = ArrayFeed | MappedFeed | IterableFeed
