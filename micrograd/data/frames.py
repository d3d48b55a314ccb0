"""Frames that a program has: pandas, polars, pyarrow, mappings of columns, plain arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd import checks
from micrograd.data.frame import Frame

FEW_ROWS = 16


def as_frame(data: Any, source: str = "X") -> Frame:
    """A table with its columns by name, one array each; columns of numbers are not copied, and
    durations become numbers of seconds.

    Args:
        data: a pandas or polars frame, a pyarrow table, a mapping of names to columns, or a matrix
            (rows, columns), whose columns are called x0, x1, ...
        source: what messages call it.

    Raises:
        TypeError: it is none of these.
        ValueError: columns of different lengths, or two of one name.
    """
    if isinstance(data, Frame):
        return data
    categories = frozenset[str]()
    if isinstance(data, (str, os.PathLike)):
        raise TypeError(
            f"{source}: {os.fspath(data)!r} is a path, wanted a frame or a matrix; "
            "mg.tabular.read_table gives the table in a file"
        )
    if is_lazy(data):
        raise TypeError(
            f"{source}: a LazyFrame, whose rows are not there yet; pass {source}.collect()"
        )
    if hasattr(data, "column_names") and hasattr(data, "to_pydict"):  # pyarrow
        names = [str(name) for name in data.column_names]
        columns = [_arrow(data.column(i)) for i in range(len(names))]
    elif hasattr(data, "columns") and hasattr(data, "iloc"):  # pandas
        names = [str(name) for name in data.columns.tolist()]
        columns = _few_rows(data) if len(data) <= FEW_ROWS else _pandas(data)
        kinds = zip(names, data.dtypes.tolist(), strict=True)
        categories = frozenset(n for n, kind in kinds if type(kind).__name__ == "CategoricalDtype")
    elif hasattr(data, "columns") and hasattr(data, "get_column"):  # polars
        names = [str(name) for name in data.columns]
        columns = [_polars(data.get_column(name)) for name in data.columns]
    elif isinstance(data, Mapping):
        names = [str(name) for name in data]
        columns = [np.asarray(column) for column in data.values()]
        single = next((n for n, c in zip(names, columns, strict=True) if not c.ndim), None)
        if single is not None:
            raise ValueError(
                f"{source}: column {single!r} is a single value; a list for each column is wanted, "
                f"of one row {{{single!r}: [value], ...}}"
            )
    else:
        return _matrix(data, source)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{source}: two columns are named {twice!r}; rename one")
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"{source}: columns of different lengths")
    seconds = [_seconds(column) for column in columns]
    return Frame(source, names, seconds, categories=categories)


def is_lazy(data: Any) -> bool:
    """Whether it is a frame of polars that has yet to be computed."""
    return hasattr(data, "collect_schema") and not hasattr(data, "get_column")


def _matrix(data: Any, source: str) -> Frame:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{source}: no matrix: {error}") from None
    if array.ndim != 2:
        raise ValueError(
            f"{source}: shape {array.shape}, wanted a frame or a matrix (rows, columns); Reshape "
            "your data: one feature is X.reshape(-1, 1), one row X.reshape(1, -1)"
        )
    names = [f"x{i}" for i in range(array.shape[1])]
    columns = [_seconds(array[:, i]) for i in range(array.shape[1])]
    return Frame(source, names, columns, header=False)


def _pandas(data: Any) -> list[NDArray[Any]]:
    return [_series(data.iloc[:, i]) for i in range(data.shape[1])]


def _few_rows(data: Any) -> list[NDArray[Any]]:
    """As _pandas: of 21 columns 0.1 ms, where taking one after the other out of it is 1 ms."""
    cells, columns = data.to_numpy(dtype=object), []
    for i, dtype in enumerate(data.dtypes.tolist()):
        column = cells[:, i]
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            columns.append(column.astype(dtype))
        elif dtype.kind == "O" and all(type(cell) is str for cell in column.tolist()):
            columns.append(column)
        else:
            columns.append(_series(data.iloc[:, i]))
    return columns


def _series(series: Any) -> NDArray[Any]:
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype) and kind in "biufmM":
        return np.asarray(series.to_numpy())
    numeric = str(series.dtype).lower().startswith(("int", "uint", "float", "double"))
    if numeric:  # nullable numbers: a missing one is NaN
        if not series.isna().any():
            return np.asarray(series.to_numpy())
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind == "M" and str(series.dtype) != "date32[day][pyarrow]":  # a time zone, or of pyarrow
        if series.dt.tz is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray(series.to_numpy())
    if hasattr(series.dtype, "pyarrow_dtype"):
        cells = _cells(series.array.__arrow_array__().to_pylist())
    else:
        cells = series.astype(object).to_numpy()
    return _objects(cells, np.asarray(series.isna()))


def _polars(series: Any) -> NDArray[Any]:
    if series.dtype.is_numeric():
        return np.asarray(series.cast(float) if series.null_count() else series.to_numpy())
    if series.dtype.is_temporal() and not series.null_count():
        return np.asarray(series.to_numpy())
    return _objects(_cells(series.to_list()), np.asarray(series.is_null()))


def _arrow(column: Any) -> NDArray[Any]:
    kind = str(column.type)
    if kind.startswith(("int", "uint", "float", "double")):
        return np.asarray(column.to_numpy())
    cells = _cells(column.to_pylist())
    return _objects(cells, np.array([cell is None for cell in cells.tolist()], dtype=bool))


def _seconds(column: NDArray[Any]) -> NDArray[Any]:
    """A column of durations as seconds, NaN where there is none; any other as it is."""
    if column.dtype.kind == "O" and len(column):
        cells = column.tolist()
        known = [isinstance(cell, timedelta) and not checks.is_none(cell) for cell in cells]
        others = (cell for cell, is_known in zip(cells, known, strict=True) if not is_known)
        if not any(known) or not all(checks.is_none(cell) or cell == "" for cell in others):
            return column
        given = [c if k else "NaT" for c, k in zip(cells, known, strict=True)]
        column = np.array(given, dtype="timedelta64[us]")
    if column.dtype.kind != "m":
        return column
    return np.asarray(column / np.timedelta64(1, "s"), np.float64)


def _cells(cells: Sequence[Any]) -> NDArray[Any]:
    """One object for each row, a list in a cell among them."""
    return np.fromiter(cells, dtype=object, count=len(cells))


def _objects(cells: NDArray[Any], missing: NDArray[Any]) -> NDArray[Any]:
    """Objects with "" where there is none, so that all that is missing looks the same."""
    if missing.any():
        cells = cells.copy()
        cells[missing] = ""
    return cells
