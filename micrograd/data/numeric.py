"""Tables of numbers without a gap: what `read_csv` makes of a file."""

from __future__ import annotations

import math
import operator
import os
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from micrograd.data.cells import is_missing, numbers_of, parse_number
from micrograd.data.columns import as_text, odd_cell
from micrograd.data.frame import Frame
from micrograd.data.reading import Reading, read_table
from micrograd.data.target import infer_target


def read_numbers(
    path: str | os.PathLike[str], target: str | SupportsIndex, kind: str, reading: Reading
) -> tuple[NDArray[np.float64], NDArray[Any], tuple[str, ...], str, tuple[str, ...]]:
    """The fields of a Table, in their order; arguments and errors as for `read_csv`."""
    name = f"read_csv: {os.fspath(path)}"
    if kind not in ("auto", "classes", "numbers"):
        raise ValueError(f"{name}: kind is {kind!r}, wanted 'auto', 'classes' or 'numbers'")
    frame = read_table(path, reading, "read_csv")
    index = _find_target(frame, target)
    features = [each for i, each in enumerate(frame.names) if i != index]
    if not features:
        line = "" if frame.lines is None else f"line {frame.lines[0] - bool(frame.header)}: "
        raise ValueError(
            f"{name}: {line}one column, wanted a target and at least one feature; if the columns "
            "are separated otherwise, pass delimiter="
        )
    columns = [_numbers(frame, each) for each in features]
    _check(frame, features, columns)
    X = np.stack(columns, axis=1)
    found = infer_target(frame, frame.names[index], kind)
    y = found.values(frame)
    return np.ascontiguousarray(X), y, tuple(features), found.name, tuple(found.classes)


def _numbers(frame: Frame, name: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where a cell is none."""
    cells = frame[name]
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    return numbers_of(as_text(cells), frame.notation).values


def _check(frame: Frame, names: list[str], columns: list[NDArray[np.float64]]) -> None:
    """Refuses the first cell, in reading order, that is no finite number."""
    bad = [
        (int(np.argmin(np.isfinite(values))), i)
        for i, values in enumerate(columns)
        if not np.isfinite(values).all()
    ]
    if not bad:
        return
    row, column = min(bad)
    cell = as_text(frame[names[column]][row : row + 1])[0]
    wanted = "is not a number"
    if is_missing(cell):
        wanted = "is empty, wanted a value" if not cell.strip() else "says that there is no value"
    elif parse_number(cell) is not None and not math.isfinite(parse_number(cell) or 0.0):
        wanted = "is not finite"
    advice = "correct it, or read the table with micrograd.tabular, which takes missing values "
    advice += "and words"
    raise ValueError(odd_cell(frame, names[column], row, wanted, advice))


def _find_target(frame: Frame, target: str | SupportsIndex) -> int:
    """The index of the target column, 0 or more."""
    names = frame.names
    if not isinstance(target, (str, SupportsIndex)):
        raise TypeError(f"{frame.source}: target is {target!r}, wanted a column's name or index")
    index = _index_of(frame, target) if isinstance(target, str) else operator.index(target)
    if not -len(names) <= index < len(names):
        raise ValueError(
            f"{frame.source}: target is column {index}, wanted {-len(names)} to {len(names) - 1}"
        )
    return index % len(names)


def _index_of(frame: Frame, target: str) -> int:
    if f"{target}.1" in frame.names and any(f"second {target!r}" in n for n in frame.notes):
        raise ValueError(f"{frame.source}: 2 columns are named {target!r}; pass an index")
    if target in frame.names:
        return frame.names.index(target)
    try:
        return int(target)
    except ValueError:
        names = frame.names
        listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise ValueError(
            f"{frame.source}: no column is named {target!r}, the columns are {listed}"
        ) from None
