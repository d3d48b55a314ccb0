"""One file of a sharded data set: how many rows it has, and how some of them are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.data.bounded import BoundedReader
from micrograd.data.idx import read_header

WHERE = "distributed.shard"


class Piece:
    """A file. path; rows; layout: what it holds, in words, the same for all shards of a set."""

    as_they_are = True  # rows need no conversion

    def __init__(self, path: str, rows: int, layout: str) -> None:
        self.path, self.rows, self.layout = path, rows, layout

    def mapped(self, first: int, last: int) -> Array:
        """Rows [first, last), to be read when they are used."""
        raise TypeError(
            f"{WHERE}: {self.path} is a Parquet file, whose target is a column: give target="
        )

    def converted(self, rows: Array) -> Array:
        """Rows that have been read, as a network takes them."""
        return rows

    def table(self, first: int, last: int) -> tuple[Array, Array]:
        """X and y of rows [first, last)."""
        raise TypeError(f"{WHERE}: {self.path} has no columns with names: give y, not target")


class Mapped(Piece):
    """Values in one run of bytes behind a header."""

    kind = "npy"

    def __init__(self, path: str, dtype: np.dtype[Any], shape: tuple[int, ...], at: int) -> None:
        self.dtype, self.shape, self.at = dtype, shape, at
        sizes = " x ".join(map(str, shape[1:])) or "one"
        super().__init__(path, shape[0], f"rows of {sizes} {dtype.name} ({self.kind})")

    def mapped(self, first: int, last: int) -> Array:
        """Rows [first, last) of the file.

        Raises:
            ValueError: it is shorter than its header says.
        """
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        size, wanted = os.path.getsize(self.path), self.at + self.rows * row
        if size < wanted:
            raise ValueError(
                f"{WHERE}: {self.path} has {size} bytes, its header wants {wanted}: it is truncated"
            )
        shape = (last - first, *self.shape[1:])
        return np.memmap(self.path, self.dtype, "r", self.at + first * row, shape)


class Idx(Mapped):
    """An IDX file; of three dimensions and more it holds images."""

    kind, as_they_are = "IDX", False

    def converted(self, rows: Array) -> Array:
        """Images of bytes as float32 from 0 to 1, labels as int64, all else in native order."""
        if rows.dtype == np.uint8 and rows.ndim > 1:
            width = int(np.prod(rows.shape[1:], dtype=np.int64))
            return np.divide(rows.reshape(len(rows), width), 255, dtype=np.float32)
        if rows.dtype.kind in "iu":
            return rows.astype(np.int64)
        return rows.astype(rows.dtype.newbyteorder("="))


class Parquet(Piece):
    """A Parquet file with numbers in all its columns."""

    def __init__(self, path: str, target: str | None) -> None:
        self.parquet = checks.require(WHERE, "pyarrow", "pyarrow.parquet", "table")
        self.target = target
        with self.parquet.ParquetFile(path) as file:
            self.names = list(file.schema_arrow.names)
            self.groups = [
                file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)
            ]
        if target is not None and target not in self.names:
            raise ValueError(f"{WHERE}: {path} has no column {target!r}; it has {self.names}")
        super().__init__(path, sum(self.groups), f"columns {', '.join(self.names)}")

    def table(self, first: int, last: int) -> tuple[Array, Array]:
        """The features as float32 and the target, of the row groups that hold these rows."""
        starts = np.cumsum([0, *self.groups])
        groups = [i for i in range(len(self.groups)) if starts[i] < last and starts[i + 1] > first]
        with self.parquet.ParquetFile(self.path) as file:
            table = file.read_row_groups(groups)
        skipped = int(starts[groups[0]]) if groups else 0
        table = table.slice(first - skipped, last - first)
        columns = [self._numbers(table, n, np.float32) for n in self.names if n != self.target]
        X = np.stack(columns, axis=1) if columns else np.empty((last - first, 0), np.float32)
        return X, self._numbers(table, self.target, None)

    def _numbers(self, table: Any, name: str | None, dtype: Any) -> Array:
        column = table.column(name)
        if column.null_count:
            raise ValueError(
                f"{WHERE}: {self.path}: column {name!r} has {column.null_count} missing value(s); "
                "fill or drop them"
            )
        values = np.asarray(column.to_numpy())
        if values.dtype.kind not in "fiub":
            raise TypeError(
                f"{WHERE}: {self.path}: column {name!r} is {column.type}; numbers are wanted: "
                "encode it first"
            )
        return values if dtype is None else values.astype(dtype)


class Pieces:
    """Rows of several mapped arrays, one after the other, indexed by slices and row numbers."""

    def __init__(self, arrays: Sequence[Array], converted: Callable[[Array], Array]) -> None:
        self.arrays, self._converted = list(arrays), converted
        self._ends = np.cumsum([len(a) for a in arrays])
        self.shape = (len(self), *self[:0].shape[1:])
        self.dtype = self[:0].dtype

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __repr__(self) -> str:
        return f"Pieces({len(self.arrays)} files, shape {self.shape}, {self.dtype})"

    def __getitem__(self, index: Any) -> Array:
        """The rows of a slice or of an array of numbers, read now."""
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(
                f"Pieces: index is {checks.describe(index)}; a slice or row numbers are wanted"
            )
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"Pieces: row {rows.min()} or {rows.max()} of {len(self)}")
        source = np.searchsorted(self._ends, rows, side="right")
        first = self.arrays[0]
        out = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for which in np.unique(source):
            here = source == which
            start = self._ends[which] - len(self.arrays[which])
            out[here] = self.arrays[which][rows[here] - start]
        return self._converted(out)


def open_piece(path: str, target: str | None) -> Piece:
    """A file by what it begins with; only its header is read.

    Raises:
        ValueError: it is of no kind that is read here, or damaged.
    """
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        if start == b"\x93NUMPY":
            return _npy(path, file)
        if start[:4] == b"PAR1":
            return Parquet(path, target)
        if start[:2] == b"\0\0":
            name = f"{WHERE}: {path}"
            header = read_header(BoundedReader(file, name), name)
            return Idx(path, header.dtype, header.shape, header.size)
    if start[:2] == b"\x1f\x8b":
        raise ValueError(
            f"{WHERE}: {path} is gzipped, so a rank cannot read rows of its own; unpack it"
        )
    raise ValueError(f"{WHERE}: {path} is no npy, IDX or Parquet file; it begins with {start!r}")


def _npy(path: str, file: Any) -> Mapped:
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in read:
            raise ValueError(f"version {version} of the format, 1.0 or 2.0 is wanted")
        shape, by_columns, dtype = read[version](file)
    except ValueError as error:
        raise ValueError(f"{WHERE}: {path}: {error}") from None
    if not shape or dtype.kind not in "fiub" or (by_columns and len(shape) > 1):
        order = " in the order of columns" if by_columns and len(shape) > 1 else ""
        raise ValueError(
            f"{WHERE}: {path} holds {dtype} of shape {shape}{order}; rows of numbers, one after "
            "the other, are wanted"
        )
    return Mapped(path, dtype, shape, file.tell())
