"""CSV files as numbered records: delimiter, quotes, line numbers. `table` gives them meaning."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TextIO

_DELIMITERS = ",;\t"


# The line on which a row starts, from 1 (quoted cells may hold line ends), and its cells.
Record = tuple[int, list[str]]


def read_records(file: TextIO, name: str, delimiter: str | None) -> Iterator[Record]:
    """Iterate over the records of a CSV file, blank lines left out.

    Args:
        file: opened with ``newline=""``, at its start.
        name: what error messages call the file.
        delimiter: one character, or None to sniff it from the first line that is not blank.

    Raises:
        ValueError: broken quotes; names the file and the line.
    """
    head = _lines_to_first_text(file)
    delimiter = delimiter or sniff_delimiter(head[-1] if head else "")
    return _numbered(chain(head, file), name, delimiter)


def sniff_delimiter(line: str) -> str:
    """Return the one of comma, semicolon, tab that splits the line into most cells, else comma."""
    return max(_DELIMITERS, key=lambda delimiter: _count_cells(line, delimiter))


def first_byte_not_utf8(path: str | os.PathLike[str]) -> int:
    """Return the offset of the first byte that is not UTF-8 in a file that is known to hold one."""
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return offset + error.start
            offset += len(line)
    return offset


def _lines_to_first_text(file: TextIO) -> list[str]:
    """Return the leading blank lines and the line after them."""
    lines = []
    for line in file:
        lines.append(line)
        if line.strip():
            break
    return lines


def _count_cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:  # such as a cell above the size limit: not this delimiter, then
        return 0


def _numbered(lines: Iterable[str], name: str, delimiter: str) -> Iterator[Record]:
    # A space after the delimiter would hide an opening quote; Python 3.13 refuses both at once.
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}: line {line}: {error}") from None
