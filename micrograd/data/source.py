"""Data that come as arrays: in memory, mapped from a file larger than memory, or a pandas frame."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain(where: str, name: str, data: Any) -> Any:
    """A pandas (or other) frame or series as an array; anything else as it is.

    Raises:
        TypeError: a column of a frame does not hold real numbers; names it.
        ValueError: a value is missing; names its column.
    """
    if isinstance(data, np.ndarray) or not hasattr(data, "to_numpy"):
        return data
    if not hasattr(data, "columns"):
        return _column(where, name, data)
    columns = [_column(where, f"column {c!r} of {name}", data[c]) for c in data.columns]
    if not columns:
        raise ValueError(f"{where}: {name} has no columns")
    return np.column_stack(columns)


def _column(where: str, name: str, series: Any) -> NDArray[Any]:
    missing = int(np.sum(series.isna())) if hasattr(series, "isna") else 0
    if missing:
        raise ValueError(f"{where}: {name} has {missing} missing value(s); fill or drop them")
    values = series.to_numpy()
    if values.dtype.kind in "fiub":
        return np.asarray(values)
    if all(isinstance(v, (int, float, np.number)) for v in values.tolist()):
        numbers = np.array(values.tolist())  # pandas' nullable integers come as objects
        if numbers.dtype.kind in "fiub":
            return numbers
    raise TypeError(
        f"{where}: {name} has values such as {values[0]!r}; real numbers are wanted: encode "
        "categories, for instance with pandas.factorize or pandas.get_dummies"
    )


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a memory-mapped file, so that only pieces of it may be read."""
    return _mapping(array) is not None


def _mapping(array: Any) -> mmap.mmap | None:
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


@contextmanager
def random_access(arrays: Iterable[Any]) -> Iterator[None]:
    """Tells the system that mapped arrays are read row by row at random, and takes it back after.

    Otherwise it reads 128 KB around each row: 70 ms for 64 rows of 4 KB of a sparse file, where
    these take 1.5 ms.
    """
    mappings = [m for m in map(_mapping, arrays) if m is not None and hasattr(mmap, "MADV_RANDOM")]
    for mapping in mappings:
        mapping.madvise(mmap.MADV_RANDOM)
    try:
        yield
    finally:
        for mapping in mappings:
            if not mapping.closed:
                mapping.madvise(mmap.MADV_NORMAL)
