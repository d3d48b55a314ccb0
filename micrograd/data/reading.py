"""Tables from files, as text: CSV in every dialect, Parquet and Excel, read by pandas.

What a cell means is not decided here but by who knows what it is for: `micrograd.tabular.Schema`,
or `read_csv` for tables of numbers.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from micrograd import checks
from micrograd.data import layout
from micrograd.data.cells import Notation, find_notation, parse_number
from micrograd.data.frame import Frame
from micrograd.data.opening import PARQUET, decode, is_excel, read_bytes

UNSEEN = "\u200b\u200c\u200d\u2060\ufeff \t\u00a0"  # that web pages leave around names
SPREADSHEET, COLUMNAR = (".xlsx", ".xlsm"), (".parquet", ".pq")


@dataclass(frozen=True)
class Reading:
    r"""How a file is to be read; None is found out, and said in `Frame.notes`.

    delimiter: one character, " " for any white space; decimal, thousands: marks in numbers;
    encoding: of the text; header: whether the first row holds names; sheet: of a workbook; names:
    of columns that are looked for: a first row that has all of them holds names.

    >>> with open("houses.csv", "w") as file:
    ...     print("area;price", "50;1,5", "70;2,5", sep="\n", file=file)
    >>> frame = mg.tabular.read_table("houses.csv", mg.tabular.Reading(delimiter=";", decimal=","))
    >>> frame.names
    ['area', 'price']
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None
    sheet: str | int = 0
    names: frozenset[str] = frozenset()


def read_table(
    path: str | os.PathLike[str], reading: Reading | None = None, where: str = ""
) -> Frame:
    r"""Reads a file as a table of text.

    CSV with any delimiter, decimal mark and encoding, plain or packed by gzip, bzip2, xz or zip;
    Parquet; Excel workbooks (.xlsx). Blank lines, comments (lines that start with #) and a
    `sep=;` line are left out, and so is a last column without a name or a cell.

    Args:
        path: the file.
        reading: what is known of it; all else is found out.
        where: the function that messages name, if any.

    Raises:
        ImportError: pandas is not installed (extra "table").
        TypeError: path is none.
        ValueError: no table, or one that can be read in two ways; names file, line and column, and
            says what to pass.
        OSError: the file cannot be opened.

    >>> with open("houses.csv", "w") as file:
    ...     print("area,price", "50,1.5", "70,2.5", sep="\n", file=file)
    >>> mg.tabular.read_table("houses.csv").names
    ['area', 'price']
    """
    if not isinstance(path, (str, os.PathLike)):
        said = checks.describe(path)
        raise TypeError(f"{where or 'read_table'}: path is {said}, the path of a file is wanted")
    source = f"{where}: {os.fspath(path)}" if where else os.fspath(path)
    reading = reading or Reading()
    _check(reading, source)
    return _parsed(read_bytes(path, source), os.fspath(path), source, reading)


def table_of_bytes(raw: bytes, name: str, reading: Reading | None = None) -> Frame:
    """As read_table, of a file's content and its name, such as a page sends; what is packed is not
    unpacked.

    Raises:
        ImportError, ValueError: as of read_table.
    """
    reading = reading or Reading()
    _check(reading, name)
    return _parsed(raw, name, name, reading)


def _parsed(raw: bytes, name: str, source: str, reading: Reading) -> Frame:
    if raw.startswith(PARQUET) or name.lower().endswith(COLUMNAR):
        return _parquet(raw, source)
    if is_excel(raw):
        return _excel(raw, source, reading)
    if not raw.strip():
        raise ValueError(f"{source}: the file is empty, wanted rows of cells")
    text, encoding = decode(raw, source, reading.encoding)
    frame = _csv(text, source, reading)
    if encoding not in ("utf-8", "utf-8-sig"):
        frame.notes.insert(0, f"text in {encoding}")
    return frame


def _check(reading: Reading, source: str) -> None:
    mark = reading.delimiter
    if mark is not None and (len(mark) != 1 or mark in '"\r\n'):
        raise ValueError(f"{source}: delimiter is {mark!r}, wanted one character or None")
    if reading.decimal not in (None, ".", ","):
        raise ValueError(f"{source}: decimal is {reading.decimal!r}, wanted '.' or ','")
    if reading.thousands is not None and len(reading.thousands) > 1:
        raise ValueError(f"{source}: thousands is {reading.thousands!r}, wanted one character")
    if reading.thousands and reading.thousands == reading.decimal:
        raise ValueError(
            f"{source}: thousands and decimal are both {reading.thousands!r}, wanted two marks"
        )


def _pandas(source: str) -> Any:
    return checks.require(source, "pandas", "pandas", "table")


# ---- text ----


def _csv(text: str, source: str, reading: Reading) -> Frame:
    start = layout.find_start(text)
    body = "".join(list(io.StringIO(text, newline=""))[start.lines :])
    delimiter = reading.delimiter or start.delimiter or layout.sniff_delimiter(body)
    found = layout.records(body, delimiter, source, start.lines + 1)
    if not found.rows:
        raise ValueError(f"{source}: the file is empty, wanted rows of cells")
    notes = [f"{len(start.comments)} line(s) of comment left out"] if start.comments else []
    if start.comments and _is_header(start.comments[-1], found.rows, delimiter):
        names = layout.records(start.comments[-1].lstrip("# "), delimiter, source).rows[0]
        found.rows.insert(0, names)
        found.lines.insert(0, start.lines)
        body = start.comments[-1].lstrip("# ") + "\n" + body
        notes = ["the names of the columns stand in a comment"]
        reading = replace(reading, header=True)
    skipped = _comments_among(found)
    if skipped:
        notes.append(f"{len(skipped)} line(s) of comment left out")
    _check_widths(found, source)
    rows = _by_pandas(body, delimiter, found, skipped, source)
    return _frame(rows, found, source, reading, notes)


def _is_header(comment: str, rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether a comment holds the names: as many cells as the rows, no number, over numbers."""
    names = layout.records(comment.lstrip("# "), delimiter, "").rows
    if not names or len(names[0]) != len(rows[0]) or len(names[0]) < 2:
        return False
    numbers = [any(parse_number(cell) is not None for cell in row) for row in (names[0], rows[0])]
    return numbers == [False, True]


def _comments_among(found: layout.Records) -> set[int]:
    """Takes out records that start with # and are not as wide as the first; returns which."""
    width = len(found.rows[0])
    skipped = {
        i
        for i, row in enumerate(found.rows)
        if row[0].lstrip().startswith("#") and len(row) != width
    }
    found.rows = [row for i, row in enumerate(found.rows) if i not in skipped]
    found.lines = [line for i, line in enumerate(found.lines) if i not in skipped]
    return skipped


def _check_widths(found: layout.Records, source: str) -> None:
    """Every record is as wide as the first; a delimiter at the end of all others is let pass."""
    width = len(found.rows[0])
    longer = [len(row) == width + 1 and not row[-1].strip() for row in found.rows[1:]]
    if longer and all(longer):
        found.rows[0].append("")
        width += 1
    usual = Counter(map(len, found.rows)).most_common(1)[0]
    if usual[0] > width and usual[1] > len(found.rows) / 2:
        line = next(n for n, row in zip(found.lines, found.rows, strict=True) if len(row) > width)
        raise ValueError(
            f"{source}: line {found.lines[0]}: {width} column(s), {usual[1]} of {len(found.rows)} "
            f"lines have {usual[0]}; delete the lines above the names of the columns, which may be "
            f"line {line}, or pass delimiter= (--delimiter)"
        )
    for line, row in zip(found.lines, found.rows, strict=True):
        if len(row) != width:
            raise ValueError(
                f"{source}: line {line}: {len(row)} column(s), wanted {width} as on line "
                f"{found.lines[0]}; a cell that holds the delimiter has to stand in quotes, and if "
                "the columns are separated otherwise, pass delimiter= (--delimiter)"
            )


def _by_pandas(
    body: str, delimiter: str, found: layout.Records, skipped: set[int], source: str
) -> list[NDArray[Any]]:
    """The cells column by column, as pandas reads them."""
    pandas = _pandas(source)
    width = len(found.rows[0])
    options: dict[str, Any] = {"sep": r"\s+"} if delimiter == layout.WHITESPACE else {}
    options = options or {"sep": delimiter, "skipinitialspace": True}
    try:
        read = pandas.read_csv(
            io.StringIO(body, newline=""), header=None, names=list(range(width)), index_col=False,
            dtype=object, keep_default_na=False, na_filter=False, **options,
        )  # fmt: skip
    except pandas.errors.ParserError as error:
        raise ValueError(f"{source}: {str(error).strip()}") from None
    columns = [read[i].to_numpy(dtype=object) for i in range(width)]
    if skipped:
        kept = [i for i in range(len(read)) if i not in skipped]
        columns = [column[kept] for column in columns]
    if len(columns[0]) != len(found.rows):
        raise ValueError(
            f"{source}: {len(found.rows)} or {len(columns[0])} rows, as quotes and line ends are "
            "taken; save the file again with every cell in quotes"
        )
    return columns


def _frame(
    columns: list[NDArray[Any]], found: layout.Records, source: str, reading: Reading,
    notes: list[str],
) -> Frame:  # fmt: skip
    """Takes the header off and drops an empty last column."""
    header = reading.header
    if header is None and reading.names:
        header = reading.names <= set(unique_names(_names(found.rows[0]), [])) or None
    if header is None:
        header = layout.has_header(found.rows, Notation(), source, found.lines[0])
    given = _names(found.rows[0]) if header else [""] * len(found.rows[0])
    columns = [column[1:] if header else column for column in columns]
    if header and len(given) > 1 and not given[-1] and not any(c.strip() for c in columns[-1]):
        given.pop()
        columns.pop()
        notes.append("a last column without a name and without a cell left out")
    if not len(columns[0]):
        raise ValueError(f"{source}: no rows after the header on line {found.lines[0]}")
    frame = Frame(source, unique_names(given, notes), columns, found.lines[bool(header) :], header)
    frame.equal = frozenset(name for name in given if name and given.count(name) > 1)
    frame.notation = _notation(reading, columns)
    frame.notes = notes + _said(frame.notation, header)
    return frame


def _notation(reading: Reading, columns: Sequence[NDArray[Any]]) -> Notation:
    if reading.decimal is None and reading.thousands is None:
        return find_notation([column.tolist() for column in columns])
    decimal = reading.decimal or ("," if reading.thousands == "." else ".")
    return Notation(decimal, reading.thousands or "", sure=True)


def _said(notation: Notation, header: bool) -> list[str]:
    said = [] if header else ["no header: the columns are called x0, x1, ..."]
    if notation.decimal == "," and notation.thousands != "?":
        said.append("numbers with a decimal comma")
    return said


def _names(row: Sequence[str]) -> list[str]:
    """Names as they look: without unseen marks, and an accent and its letter as one character."""
    return [normalize("NFC", cell.strip(UNSEEN).strip()) for cell in row]


def unique_names(given: Sequence[str], notes: list[str]) -> list[str]:
    """Names for columns: x{index} for an empty one, a.1 for a second a."""
    names: dict[str, None] = {}
    taken = set(given)
    for index, name in enumerate(given):
        name = name or f"x{index}"
        new, number = name, 0
        while new in names or (number and new in taken):
            number += 1
            new = f"{name}.{number}"
        if new != name:
            notes.append(f"column {index + 1} is a second {name!r}, called {new!r}")
        names[new] = None
    return list(names)


# ---- Parquet and Excel ----


def _parquet(raw: bytes, source: str) -> Frame:
    pandas = _pandas(source)
    try:
        read = pandas.read_parquet(io.BytesIO(raw))
    except ImportError:
        raise ImportError(
            f"{source}: Parquet needs pyarrow: pip install 'micrograd-core[table]'"
        ) from None
    except Exception as error:
        raise ValueError(f"{source}: no Parquet file: {error}") from None
    from micrograd.data.frames import as_frame

    return as_frame(read, source)


def _excel(raw: bytes, source: str, reading: Reading) -> Frame:
    pandas = _pandas(source)
    try:
        book = pandas.ExcelFile(io.BytesIO(raw), engine="openpyxl")
        sheets = list(map(str, book.sheet_names))
        read = pandas.read_excel(
            book, sheet_name=reading.sheet, header=None, dtype=object,
            keep_default_na=False, na_filter=False,
        )  # fmt: skip
    except ImportError:
        raise ImportError(
            f"{source}: Excel needs openpyxl: pip install 'micrograd-core[table]'"
        ) from None
    except ValueError as error:
        raise ValueError(f"{source}: sheet {reading.sheet!r}: {error}") from None
    rows = [[_excel_text(cell) for cell in row] for row in read.to_numpy(dtype=object).tolist()]
    lines = [number for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    rows = [rows[number - 1] for number in lines]
    if not rows:
        raise ValueError(f"{source}: sheet {reading.sheet!r} is empty, wanted rows of cells")
    columns = [np.array([row[i] for row in rows], dtype=object) for i in range(len(rows[0]))]
    frame = _frame(columns, layout.Records(lines, rows), source, reading, [])
    cells = read.to_numpy(dtype=object).ravel().tolist()
    if frame.notation == Notation(",", "?") and any(isinstance(cell, float) for cell in cells):
        frame.notation = Notation(told=True)  # numbers of the sheet, which have no comma
    if len(sheets) > 1:
        which = reading.sheet if isinstance(reading.sheet, str) else sheets[reading.sheet]
        others = ", ".join(name for name in sheets if name != which)
        frame.notes.append(f"sheet {which!r}; --sheet takes another: {others}")
    return frame


def _excel_text(cell: Any) -> str:
    """A cell of a sheet as it would stand in a CSV file."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if hasattr(cell, "isoformat"):
        text: str = cell.isoformat()
        return text.removesuffix("T00:00:00")
    return str(cell)
