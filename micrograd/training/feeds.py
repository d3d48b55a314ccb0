"""What fit trains on, batch by batch: arrays, arrays mapped from a file, iterables of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.data import batches
from micrograd.data.batching import STORED_ROWS, orders
from micrograd.data.source import plain, random_access
from micrograd.training.reweighting import Reweighting

if TYPE_CHECKING:
    from micrograd.checks import Array
    from micrograd.training.model import Model

# A batch: a checked data set, the rows of it to use, and their weight in the mean over the epoch.
Batch = tuple[Any, "Array", float]
Arrays = tuple[Any, Any, Any]  # X, y and sample weights, or None


Select = Callable[["Array"], "Array"]  # numbers of training rows to rows of the arrays


@dataclass(frozen=True)
class Rows:
    """How many rows to train on, in batches of how many; which they are, where not all are."""

    count: int
    batch_size: int
    select: Select | None = None

    def batches(self, rng: np.random.Generator | None) -> Iterator[Array]:
        """The rows of each batch of an epoch."""
        for index in batches(self.count, self.batch_size, rng):
            yield index if self.select is None else self.select(index)


class ArrayFeed:
    """Rows of arrays in memory, checked once: the C core gathers them itself."""

    def __init__(self, model: Model, where: str, arrays: Arrays, rows: Rows) -> None:
        self.data = model.checked_batch(where, *_given(arrays))
        self._arrays = [None if a is None else np.asarray(a) for a in arrays]
        self._rows, self.batch_size = rows, rows.batch_size

    def order(self, rng: np.random.Generator | None, epochs: int = 1) -> Array:
        """The rows of all batches of so many epochs, one batch after the other."""
        rows = self._rows
        if rows.count <= STORED_ROWS:
            return self.selected(orders(rows.count, epochs, rng))
        return np.concatenate([index for _ in range(epochs) for index in rows.batches(rng)])

    def selected(self, order: Array) -> Array:
        """The rows of the arrays that these training rows are."""
        return order if self._rows.select is None else self._rows.select(order)

    @property
    def rows(self) -> int:
        """Of an epoch."""
        return self._rows.count

    @property
    def batches_an_epoch(self) -> int:
        """The last may have fewer rows than the others."""
        return -(-self._rows.count // self.batch_size)

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self._arrays[2] is not None

    def batches(self, rng: np.random.Generator | None, epoch: int) -> Iterator[Batch]:
        """One epoch."""
        data, weights = self.data, self._arrays[2]
        for index in self._rows.batches(rng):
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
        self, model: Model, where: str, arrays: Arrays, rows: Rows, reweighting: Reweighting
    ) -> None:
        self._model, self._where, self._source = model, where, arrays
        self._rows, self._reweighting = rows, reweighting
        self._current: list[Any] = []
        first = np.zeros(1, np.int64)  # so that what cannot work fails before anything has changed
        self._gather(first if rows.select is None else rows.select(first))

    def _gather(self, index: Array) -> Batch:
        y, weights = (None if a is None else a[index] for a in self._source[1:])
        y, weights = self._reweighting(y, weights)
        total = float(len(index)) if weights is None else float(np.sum(weights, dtype=np.float64))
        if total == 0:
            return None, index, 0.0
        # Of X only the rows that this process works on are read; the others have no place here.
        own = self._model.part(len(index))
        placed = np.full(len(index), -1, np.int64)
        placed[own] = np.arange(len(placed[own]))
        if own.start == own.stop:
            own = slice(0, 1)
        X, y = self._source[0][index[own]], y[own]
        weights = None if weights is None else weights[own]
        data = self._model.checked_batch(self._where, X, y, weights, index[own])
        self._current = [X, y, weights]
        return data, placed, total

    def batches(self, rng: np.random.Generator | None, epoch: int) -> Iterator[Batch]:
        """One epoch."""
        advised = rng is not None or self._rows.select is not None
        with random_access(self._source) if advised else nullcontext():
            for index in self._rows.batches(rng):
                batch = self._gather(index)
                if batch[2] > 0:
                    yield batch

    def arrays(self, index: Array) -> list[Array | None]:
        """X, y and weights of the batch that was given last."""
        return self._current


class IterableFeed:
    """Batches that somebody else makes: (X, y) or (X, y, sample_weight), anew each epoch."""

    def __init__(
        self, model: Model, where: str, source: Any, epochs: int, reweighting: Reweighting
    ) -> None:
        self._model, self._where, self._source = model, where, source
        self._reweighting = reweighting
        self._current: list[Any] = []
        if callable(source):
            self._takes_epoch = _takes_an_argument(where, source)
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
            if not isinstance(source, Iterable):
                raise TypeError(
                    f"{self._where}: the function X gives {checks.describe(source)} for epoch "
                    f"{epoch}; an iterable of (X, y) batches is wanted"
                )
        count = 0
        for item in source:
            if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
                raise TypeError(
                    f"{self._where}: batch {count} is {checks.describe(item)}; a pair (X, y), or "
                    "(X, y, sample_weight), is wanted"
                )
            X, y = (plain(self._where, name, x) for name, x in zip("Xy", item[:2], strict=True))
            y, weights = self._reweighting(y, item[2] if len(item) == 3 else None)
            data = self._model.checked_batch(f"{self._where}: batch {count}", X, y, weights)
            self._current = [X, y, weights]
            rows = X.shape[0] if hasattr(X, "shape") else len(X)  # sparse matrices have no len
            total = rows if weights is None else float(np.sum(weights, dtype=np.float64))
            count += 1
            yield data, np.arange(rows, dtype=np.int64), total
        if not count:
            raise ValueError(f"{self._where}: epoch {epoch} has no batches")

    def arrays(self, index: Array) -> list[Array | None]:
        """X, y and weights of the batch that was given last."""
        return self._current


def _takes_an_argument(where: str, function: Callable[..., Any]) -> bool:
    """Whether a function wants one argument: the number of the epoch.

    Raises:
        TypeError: it wants more.
    """
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    wanted = [p.name for p in parameters if p.default is Parameter.empty and p.kind not in _STARRED]
    if len(wanted) > 1 or any(p.name in wanted and p.kind not in _POSITIONAL for p in parameters):
        raise TypeError(
            f"{where}: the function X wants {', '.join(wanted)}; it is called with no argument, or "
            "with the number of the epoch"
        )
    return bool(wanted)


_POSITIONAL = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD
_STARRED = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD


def _given(arrays: Arrays) -> tuple[Any, ...]:
    return arrays[:2] if arrays[2] is None else arrays


Feed = ArrayFeed | MappedFeed | IterableFeed
