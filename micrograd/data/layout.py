"""How a text is laid out as a table: comments and a sep= line at its start, delimiter, header.

Nothing is guessed where two readings are as likely: the error then says which option decides.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

from micrograd.data.cells import Notation, is_missing, looks_numeric, parse_number

DELIMITERS = ("\t", ";", "|", ",")
WHITESPACE = " "
_SAMPLE = 100  # records that the delimiter is judged by
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,]*', re.IGNORECASE)


@dataclass
class Start:
    """What stands before the table: how many lines, and the delimiter that one of them names."""

    lines: int
    comments: list[str]
    delimiter: str | None = None


def find_start(text: str) -> Start:
    """Blank lines, comments (#, or % at the very start) and Excel's `sep=;` at the start."""
    start = Start(0, [])
    for line in io.StringIO(text):
        stripped = line.strip()
        named = _SEP_LINE.fullmatch(line.strip(" \r\n"))
        if named and start.delimiter is None:
            start.delimiter = named[1]
        elif stripped.startswith("#"):
            start.comments.append(stripped)
        elif stripped:
            break
        start.lines += 1
    return start


class _AnyLength(ContextDecorator):
    """Lifts csv's limit of 131072 characters to a cell, which is one for the whole process, while
    some thread reads: put back by the last one."""

    lock, readers, before = Lock(), 0, 0

    def __enter__(self) -> None:
        with self.lock:
            if not _AnyLength.readers:
                _AnyLength.before = csv.field_size_limit(2**31 - 1)
            _AnyLength.readers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            _AnyLength.readers -= 1
            if not _AnyLength.readers:
                csv.field_size_limit(self.before)


@_AnyLength()
def records(text: str, delimiter: str, where: str, first_line: int = 1) -> Records:
    """The records of a text, blank lines left out, with the line on which each starts.

    Raises:
        ValueError: broken quotes; names the line.
    """
    if delimiter == WHITESPACE:
        pairs = [
            (number, line.split()) for number, line in enumerate(io.StringIO(text), first_line)
        ]
        kept = [(number, cells) for number, cells in pairs if cells]
        return Records([number for number, _ in kept], [cells for _, cells in kept])
    lines: list[int] = []
    rows: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    line = first_line
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                lines.append(line)
                rows.append(cells)
            line = reader.line_num + first_line
    except csv.Error as error:
        advice = 'a cell with a quote in it is written "a ""b""", and every quote closed'
        raise ValueError(f"{where}: line {line}: {error}; {advice}") from None
    return Records(lines, rows)


@dataclass
class Records:
    """Rows of cells, and the line (from 1) on which each starts."""

    lines: list[int]
    rows: list[list[str]]


@_AnyLength()
def sniff_delimiter(text: str) -> str:
    """The delimiter that splits all of the first lines into the same number of cells, two or more.

    Of several, tab, semicolon and bar come before the comma, which is a decimal mark too; spaces
    come last. Where none does, that which splits the first line into most cells.
    """
    lines = _first_lines(text)
    counts = {mark: _counts(lines, mark) for mark in DELIMITERS}
    even = [mark for mark, found in counts.items() if len(set(found)) == 1 and found[0] > 1]
    if not even:  # an end of the line that only some have, or a comment among the lines
        even = [mark for mark, found in counts.items() if _nearly_even(found)]
    if "," in even and len(even) > 1 and _is_prose(lines, even[0]):
        return ","
    if even:
        return even[0]
    widths = Counter(len(line.split()) for line in lines if line.strip())
    most = {mark: found[0] if found else 0 for mark, found in counts.items()}
    best = max(DELIMITERS[::-1], key=lambda mark: most[mark])
    if most[best] <= 1 and len(widths) == 1 and next(iter(widths)) > 1:
        return WHITESPACE
    return best if most[best] > 1 else ","


def _first_lines(text: str) -> list[str]:
    lines = []
    for line in io.StringIO(text, newline=""):
        lines.append(line)
        if len(lines) > _SAMPLE:
            break
    return lines


def _counts(lines: Sequence[str], mark: str) -> list[int]:
    """Cells of each record that is not blank; none where the quotes do not fit."""
    try:
        reader = csv.reader(lines, delimiter=mark, skipinitialspace=True)
        found = [len(cells) for cells in reader if cells and (len(cells) > 1 or cells[0].strip())]
    except csv.Error:  # not this delimiter, then
        return []
    whole = len(lines) <= _SAMPLE
    return found if whole or len(found) < 2 else found[:-1]


def _nearly_even(found: Sequence[int]) -> bool:
    """Whether nine lines of ten have the width of the first, two or more."""
    return bool(found) and found[0] > 1 and found.count(found[0]) >= 0.9 * len(found)


def _is_prose(lines: Sequence[str], mark: str) -> bool:
    """Whether cells between these marks hold lists with commas rather than numbers or words."""
    rows = list(csv.reader(lines[:20], delimiter=mark, skipinitialspace=True))
    cells = [cell for row in rows for cell in row]
    return sum(cell.count(",") > 1 and not looks_numeric(cell) for cell in cells) * 2 > len(cells)


# ---- header ----


def has_header(rows: Sequence[Sequence[str]], notation: Notation, where: str, line: int) -> bool:
    """Whether the first row holds names.

    It does if a cell of it is text over a column of numbers, or if all its cells are text and do
    not occur below. A row of numbers is a header where it counts up one by one, as the names that
    pandas gives or as years do, over rows that do not.

    Raises:
        ValueError: both readings are likely.
    """
    first, rest = rows[0], rows[1 : 1 + _SAMPLE]
    kinds = [_is_number(cell) for cell in first]
    if not rest:
        return not any(kinds)
    below = [[row[i] for row in rest if i < len(row)] for i in range(len(first))]
    if any(
        not number and not is_missing(cell) and _numbers_only(column)
        for cell, number, column in zip(first, kinds, below, strict=True)
    ):
        return True
    numbers = [cell.strip() for cell, number in zip(first, kinds, strict=True) if number]
    if not numbers:
        return _names_over_text(first, below, where, line)
    texts = [i for i, number in enumerate(kinds) if not number and first[i].strip()]
    counting = _counts_up(numbers) and len(numbers) > 1
    if counting and all(not _counts_up(_numbers_in(row, kinds)) for row in rest):
        new = all(first[i].strip() not in {c.strip() for c in below[i]} for i in texts)
        fractions = any(not _is_whole(c) for row in rest for c in _numbers_in(row, kinds))
        if new and (fractions or texts):
            return True
        if new and not texts:
            raise ValueError(
                f"{where}: line {line}: {', '.join(first[:4])}, ... may be names or numbers; pass "
                "header=True (--header) or header=False (--no-header)"
            )
    return False


def _names_over_text(
    first: Sequence[str], below: Sequence[Sequence[str]], where: str, line: int
) -> bool:
    """A first row without a number, over columns without one: names, unless all its cells recur."""
    given = [i for i, cell in enumerate(first) if cell.strip()]
    recurs = [first[i].strip() in {cell.strip() for cell in below[i]} for i in given]
    if len(given) > 1 and all(recurs) and recurs:
        raise ValueError(
            f"{where}: line {line} reads like the lines below it, not like names; pass "
            "header=False (--no-header), or header=True (--header) if it holds the names"
        )
    return True


def _is_number(cell: str) -> bool:
    return parse_number(cell) is not None or (looks_numeric(cell) and any(map(str.isdigit, cell)))


def _numbers_only(column: Sequence[str]) -> bool:
    present = [cell for cell in column if not is_missing(cell)]
    return bool(present) and sum(map(_is_number, present)) >= 0.75 * len(present)


def _numbers_in(row: Sequence[str], kinds: Sequence[bool]) -> list[str]:
    return [cell.strip() for cell, number in zip(row, kinds, strict=False) if number]


def _is_whole(cell: str) -> bool:
    return cell.strip().lstrip("+-").isdigit()


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether these are whole numbers, each one more than the one before."""
    if not cells or not all(map(_is_whole, cells)):
        return False
    values = list(map(int, cells))
    return all(b == a + 1 for a, b in pairwise(values))
