"""CSV files with the columns that a model wants, in blocks: for prediction, not for training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from micrograd.data.records import Record, first_byte_not_utf8, read_records
from micrograd.data.table import cell_fault, numbers_of, parse_number

BLOCK = 1024  # rows held as text at a time


def read_features(
    path: str | os.PathLike[str], names: Sequence[str], target: str
) -> Iterator[tuple[NDArray[np.float64], list[str]]]:
    """Iterate over the rows of a CSV file in blocks: the columns of these names, and the target.

    With a header, columns are found by name, in any order, and others are left out. Without (a cell
    of the first line is a number), the columns have to be these, in this order.

    Args:
        path: the file, as for `read_csv`.
        names: of the columns that are wanted.
        target: of the column that holds the truth, if there is one.

    Returns:
        An iterator of X (rows, len(names)), all finite, and the cells of the target, none without.

    Raises:
        ValueError: a column is missing; a cell is no finite number; the file is no CSV file. Names
            the file, the line and the column.
        OSError: the file cannot be opened.
    """
    where = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from _blocks(read_records(file, where, None), where, names, target)
    except UnicodeDecodeError:
        place = first_byte_not_utf8(path)
        raise ValueError(f"{where}: byte {place}: not UTF-8; save the file as UTF-8") from None


def _blocks(
    records: Iterator[Record], where: str, names: Sequence[str], target: str
) -> Iterator[tuple[NDArray[np.float64], list[str]]]:
    first = next(records, None)
    if first is None:
        raise ValueError(f"{where}: the file is empty, wanted rows of numbers")
    line, cells = first
    width = len(cells)
    header = all(parse_number(cell) is None for cell in cells)
    if header:
        given = [cell.strip() or f"x{i}" for i, cell in enumerate(cells)]
        indices = [_find(given, name, where) for name in names]
        truth = given.index(target) if target in given else None
    else:
        if width != len(names):
            raise ValueError(
                f"{where}: line {line}: {width} column(s) without names, wanted {len(names)}: "
                f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
            )
        indices, truth = list(range(width)), None
        records = chain([first], records)
    while block := list(islice(records, BLOCK)):
        for number, row in block:
            if len(row) != width:
                raise ValueError(
                    f"{where}: line {number}: {len(row)} column(s), wanted {width} as on line "
                    f"{line}"
                )
        X = numbers_of([[row[i] for i in indices] for _, row in block])
        if X is None:
            raise ValueError(f"{where}: {_first_fault(block, indices, names)}")
        yield X, [] if truth is None else [row[truth].strip() for _, row in block]


def _find(given: list[str], name: str, where: str) -> int:
    if given.count(name) != 1:
        count = "no column is" if name not in given else f"{given.count(name)} columns are"
        listed = ", ".join(given[:20]) + (", ..." if len(given) > 20 else "")
        raise ValueError(f"{where}: {count} named {name!r}; the columns are {listed}")
    return given.index(name)


def _first_fault(block: list[Record], indices: list[int], names: Sequence[str]) -> str:
    for line, row in block:
        for i, name in zip(indices, names, strict=True):
            fault = cell_fault(row[i], True)
            if fault:
                return f"line {line}, column {i + 1} ({name!r}): the cell {row[i]!r} {fault}"
    raise AssertionError("a block that cannot be read has a fault")
