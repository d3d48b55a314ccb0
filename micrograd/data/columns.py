"""Columns of cells: as text, and what to say of a cell that does not belong there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd import checks
from micrograd.data.cells import Numbers, doubtful, looks_numeric
from micrograd.data.frame import Frame

ALMOST_ALL = 0.8  # share of numbers from which on the other cells are slips
FEW = 20


def as_text(cells: NDArray[Any]) -> list[str]:
    """The cells as text: whole numbers without a point, dates as in ISO 8601."""
    if cells.dtype.kind in "iu":
        return [str(value) for value in cells.tolist()]
    if cells.dtype.kind == "M":
        return ["" if t == "NaT" else t for t in np.datetime_as_string(cells, "s").tolist()]
    return [cell if type(cell) is str else _text(cell) for cell in cells.tolist()]


def _text(cell: Any) -> str:
    if checks.is_none(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if hasattr(cell, "isoformat"):
        text: str = cell.isoformat()
        return text.removesuffix("T00:00:00")
    return str(cell)


def odd_cell(frame: Frame, name: str, row: int, wanted: str, advice: str = "") -> str:
    """A message about a cell: where it is, what it says, what is wanted, what to do."""
    cell = as_text(frame[name][row : row + 1])[0]
    shown = repr(cell if len(cell) <= 40 else cell[:40] + "...")
    advice = advice or "correct the cell, or leave it empty if it is unknown"
    return f"{frame.place(row, name)}: the cell {shown} {wanted}; {advice}"


def check_slips(frame: Frame, name: str, texts: Sequence[str], numbers: Numbers) -> None:
    """Refuses a column that is almost all numbers.

    Raises:
        ValueError: it is; names the first cell that is none.
    """
    present = int((~numbers.missing).sum())
    notation = frame.notation
    good = present - len(numbers.odd)
    odd = Counter(texts[row] for row in numbers.odd.tolist())
    numeric = good + sum(count for text, count in odd.items() if looks_numeric(text))
    if notation.thousands == "?" and numeric == present:
        for row in numbers.odd.tolist():
            refuse_doubtful(frame, name, row, notation.other)
    few = len(odd) <= FEW and present >= 3 * len(odd)
    if good >= ALMOST_ALL * present or (numeric == present and not few):
        row = int(numbers.odd[0])
        raise ValueError(
            odd_cell(
                frame, name, row,
                f"is not a number, as {good} of {present} cells of the column are"
                if good
                else "is not a plain number, and the column has no single unit and notation",
                _remedy(texts[row], name),
            )
        )  # fmt: skip


def refuse_doubtful(frame: Frame, name: str, row: int, mark: str) -> None:
    """Refuses a number with this mark that may be one of two.

    Raises:
        ValueError: it is.
    """
    both = doubtful(as_text(frame[name][row : row + 1])[0], mark)
    if both:
        raise ValueError(
            odd_cell(
                frame, name, row, f"may be {both}",
                f"say which: thousands={mark!r} (--thousands {mark}) or decimal={mark!r} "
                f"(--decimal {mark})",
            )
        )  # fmt: skip


def refuse_odd_number(frame: Frame, name: str, row: int) -> None:
    """Refuses a cell that is no number in the notation of the table.

    Raises:
        ValueError: names the cell.
    """
    if frame.notation.thousands == "?":
        refuse_doubtful(frame, name, row, frame.notation.other)
    cell = as_text(frame[name][row : row + 1])[0]
    raise ValueError(odd_cell(frame, name, row, "is not a number", _plain_remedy(cell)))


def _plain_remedy(cell: str) -> str:
    said = "correct the cell, or leave it empty if it is unknown"
    if re.search(r"[0-9],[0-9]", cell):
        said += (
            "; thousands=',' (--thousands ,) or decimal=',' (--decimal ,) says what the comma is"
        )
    return said


def _remedy(cell: str, name: str) -> str:
    said = _plain_remedy(cell)
    if re.match(r"\s*\(.*[0-9]", cell):
        said = f"write -{cell.strip('() ')} if that is meant"
    elif ":" in cell:
        said = "write a duration as a number, such as its minutes"
    elif cell.strip()[:1] in "'\"":
        said = "take the quotes off"
    return (
        f"{said}; kinds={{{name!r}: 'category'}} (of a target kind='classes') takes them as words"
    )
