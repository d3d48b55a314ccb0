"""CSV tables of numbers, with one column as the target."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from micrograd.data.records import Record

_BLOCK = 1024  # rows held as text at a time; 64 to 4096 measured the same
_MAX_WHOLE_NUMBER_CLASSES = 100


@dataclass(frozen=True, eq=False)
class Table:
    """A table of numbers and its target column, as `read_csv` returns it.

    Attributes:
        X: float64 (n, features), all finite, columns in the order of the file.
        y: (n,), int64 indices into ``classes``, or float64 values if ``classes`` is empty.
        feature_names: of the columns of X.
        target_name: of the column that became y.
        classes: name of each class, sorted: numbers by value, else as text. Empty when y is
            a quantity to regress on.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.float64]
    feature_names: tuple[str, ...]
    target_name: str
    classes: tuple[str, ...]


def read_csv(
    path: str | os.PathLike[str],
    target: str | SupportsIndex = -1,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    kind: Literal["auto", "classes", "numbers"] = "auto",
) -> Table:
    """Read a CSV file of numbers whose target column may be text.

        table = mg.data.read_csv("iris.csv", target="species")
        table.X.shape, table.classes      # (150, 4), ('setosa', 'versicolor', 'virginica')

    The file is UTF-8, with or without a byte-order mark, with any line ends, cells quoted as in
    RFC 4180. Blank lines are skipped. Numbers have a decimal point and no thousands separator.

    Args:
        path: the file.
        target: column to predict: its name, or its index from 0, negative from the end. A text
            that names no column but reads as an integer is an index. The last column by default.
        delimiter: one character. None takes the one of comma, semicolon and tab that splits the
            first line into most cells.
        header: whether the first line holds the column names. None: it does if none of its cells
            is a number. A column without a name is called ``x{index}``.
        kind: what the target is. "classes": each distinct value is a class, y holds its index.
            "numbers": y holds the values. "auto": classes if any value is not a number, or if all
            are whole numbers and at most 100 distinct ones occur; else numbers.

    Raises:
        ValueError: a cell that is empty, NaN, infinite or (but for the target) not a number; a
            line with more or fewer cells than the first; no rows, no such target column, no
            feature column; broken quotes; bytes that are not UTF-8. Names the file, and the line
            and column (both from 1) and the cell, or the byte.
        TypeError: target is neither text nor an integer.
        OSError: the file cannot be opened.
    """
    from micrograd.data.records import first_byte_not_utf8, read_records  # loads csv: 1 ms

    name = f"read_csv: {os.fspath(path)}"
    if kind not in ("auto", "classes", "numbers"):
        raise ValueError(f"{name}: kind is {kind!r}, wanted 'auto', 'classes' or 'numbers'")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ValueError(f"{name}: delimiter is {delimiter!r}, wanted one character or None")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _parse(read_records(file, name, delimiter), name, target, header, kind)
    except UnicodeDecodeError:
        place = first_byte_not_utf8(path)
        raise ValueError(f"{name}: byte {place}: not UTF-8; save the file as UTF-8") from None


def _parse(
    records: Iterator[Record],
    name: str,
    target: str | SupportsIndex,
    header: bool | None,
    kind: str,
) -> Table:
    first = next(records, None)
    if first is None:
        raise ValueError(f"{name}: the file is empty, wanted rows of numbers")
    line, cells = first
    if header is None:
        header = all(parse_number(cell) is None for cell in cells)
    if not header:
        records = chain([first], records)
    columns = _Columns(name, first, header, target, target_is_number=kind == "numbers")
    blocks, labels = [], []
    while block := list(islice(records, _BLOCK)):
        blocks.append(columns.numbers(block))
        labels.extend([cells[columns.target].strip() for _, cells in block])
    if not blocks:
        raise ValueError(f"{name}: no rows after the header on line {line}")
    numbers = np.concatenate(blocks)
    y, classes = _encode(labels, numbers[:, columns.target], kind)
    features = np.delete(numbers, columns.target, axis=1)
    return Table(features, y, columns.feature_names, columns.target_name, classes)


class _Columns:
    """What the columns are, and the parsing of rows into them."""

    def __init__(
        self,
        name: str,
        first: Record,
        header: bool,
        target: str | SupportsIndex,
        target_is_number: bool,
    ) -> None:
        line, cells = first
        given = [cell.strip() if header else "" for cell in cells]
        names = [given_name or f"x{index}" for index, given_name in enumerate(given)]
        self._name = name
        self._first_line = line
        self._header = header
        self._names = names
        self._target_is_number = target_is_number
        self.target = _find_target(name, names, target)
        self.target_name = names[self.target]
        self.feature_names = tuple(names[: self.target] + names[self.target + 1 :])
        if not self.feature_names:
            raise ValueError(
                f"{name}: line {line}: one column, wanted a target and at least one feature; if "
                "the columns are separated otherwise, pass delimiter="
            )

    def numbers(self, block: list[Record]) -> NDArray[np.float64]:
        """Return all columns, (rows, columns), the target as NaN where it is text.

        Blocks are parsed whole, several times faster than cell by cell; only a block with a fault
        is gone through again, to name it.
        """
        rows = [cells for _, cells in block]
        if set(map(len, rows)) == {len(self._names)}:
            values = numbers_of(rows)
            if values is None and not self._target_is_number:
                values = self._numbers_beside_text(rows)
            if values is not None:
                return values
        return self._one_by_one(block)

    def _numbers_beside_text(self, rows: list[list[str]]) -> NDArray[np.float64] | None:
        target = self.target
        if any(cell_fault(label, False) for label in {cells[target] for cells in rows}):
            return None
        values = numbers_of([[*cells[:target], "0", *cells[target + 1 :]] for cells in rows])
        if values is not None:
            values[:, target] = np.nan
        return values

    def _one_by_one(self, block: list[Record]) -> NDArray[np.float64]:
        """Return the same as `numbers`, or raise for the first fault in reading order."""
        rows = []
        for line, cells in block:
            self._check_row(line, cells)
            rows.append([parse_number(cell) for cell in cells])
        return np.array(rows, dtype=np.float64)  # None, a text target, becomes NaN

    def _check_row(self, line: int, cells: list[str]) -> None:
        if len(cells) != len(self._names):
            raise ValueError(
                f"{self._name}: line {line}: {len(cells)} column(s), wanted {len(self._names)} as "
                f"on line {self._first_line}"
            )
        for index, cell in enumerate(cells):
            fault = cell_fault(cell, index != self.target or self._target_is_number)
            if fault:
                raise ValueError(
                    f"{self._name}: line {line}, {self._column(index)}: the cell "
                    f"{_shortened(cell)} {fault}{self._advice(line)}"
                )

    def _column(self, index: int) -> str:
        return f"column {index + 1}" + (f" ({self._names[index]!r})" if self._header else "")

    def _advice(self, line: int) -> str:
        if line == self._first_line and not self._header:
            return "; if the line holds the column names, pass header=True"
        return ""


def _find_target(name: str, names: list[str], target: str | SupportsIndex) -> int:
    """Return the index of the target column, 0 or more."""
    if not isinstance(target, (str, SupportsIndex)):
        raise TypeError(f"{name}: target is {target!r}, wanted a column's name or index")
    index = _index_of(name, names, target) if isinstance(target, str) else operator.index(target)
    if not -len(names) <= index < len(names):
        raise ValueError(
            f"{name}: target is column {index}, wanted {-len(names)} to {len(names) - 1}"
        )
    return index % len(names)


def _index_of(name: str, names: list[str], target: str) -> int:
    if names.count(target) > 1:
        raise ValueError(
            f"{name}: {names.count(target)} columns are named {target!r}; pass an index"
        )
    if target in names:
        return names.index(target)
    try:
        return int(target)
    except ValueError:
        listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise ValueError(
            f"{name}: no column is named {target!r}, the columns are {listed}"
        ) from None


def _encode(
    labels: list[str], values: NDArray[np.float64], kind: str
) -> tuple[NDArray[np.int64] | NDArray[np.float64], tuple[str, ...]]:
    """Return y (n,) and the names of the classes, none for numbers.

    Args:
        labels: (n,), the target as text.
        values: (n,), the target as numbers; if any is NaN, then the labels are names.
        kind: as for `read_csv`.
    """
    if np.isnan(values).any():
        names = sorted(set(labels))
        codes = {label: code for code, label in enumerate(names)}
        return np.array([codes[label] for label in labels], dtype=np.int64), tuple(names)
    distinct, y = np.unique(values, return_inverse=True)
    few_whole = len(distinct) <= _MAX_WHOLE_NUMBER_CLASSES and bool((distinct % 1 == 0).all())
    if kind == "classes" or (kind == "auto" and few_whole):
        return y.astype(np.int64), tuple(map(_number_name, distinct.tolist()))
    return values.copy(), ()


def numbers_of(rows: list[list[str]]) -> NDArray[np.float64] | None:
    """Return rows of equal length as an array, None if any cell is not a finite number."""
    cells = list(chain.from_iterable(rows))
    try:
        values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return None
    if not np.isfinite(values).all() or "_" in "".join(cells):
        return None
    return values.reshape(len(rows), -1)


def _number_name(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def cell_fault(cell: str, must_be_number: bool) -> str:
    """Return what is wrong with a cell, in words, or nothing."""
    if not cell.strip():
        return "is empty, wanted a value"
    value = parse_number(cell)
    if value is None:
        return "is not a number" if must_be_number else ""
    return "" if math.isfinite(value) else "is not finite"


def parse_number(cell: str) -> float | None:
    """Return the number that the cell is, None if it is none: Python's 1_000 is a label here."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _shortened(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "...")
