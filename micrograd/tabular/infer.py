"""The rules by which a column's kind is found. Each says why; none guesses between two readings.

    number      every cell is a number, in one notation and with one unit, or is missing
    yes/no      two words, such as yes and no, true and false
    date        every cell is a date or a time in one format
    left out    one value in every row; a text that nearly every row has alone; a count of the rows
    category    any other text; numbers with leading zeros or of 16 digits and more: codes; and what
                pandas has as a category, whatever its cells are

A column of numbers with cells that are none is an error that names the first of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data import dates
from micrograd.data.cells import is_missing, numbers_of
from micrograd.data.columns import as_text, check_slips, odd_cell
from micrograd.data.frame import Frame
from micrograd.tabular.column import (
    CATEGORY,
    DATE,
    KINDS,
    LEFT_OUT,
    NO,
    NUMBER,
    YES,
    YES_NO,
    Column,
)

MOST_CATEGORIES = 255  # of a column; the rarer ones are taken as one that was not seen
STAND_INS = (99, 999, 9999, 99999, 999999)
ALL_DIFFERENT = 0.5  # share of different texts from which on a text tells rows apart, not kinds
_CODE = re.compile(r"0[0-9]+")
_LONG = re.compile(r"[0-9]{16,}")
_IDENTIFIER = re.compile(
    r"(?:unnamed: ?\d+|index|id|row|row_?id|.*_id|[A-Za-z]*[a-z]Id|.*ID|nr|no\.?|#)"
)


def infer_column(frame: Frame, name: str, kind: str | None = None) -> Column:
    """What the column of this name is, with its scale; `kind` is what the user says it is.

    Raises:
        ValueError: its cells are of two kinds, or do not fit what the user says; names the cell.
    """
    form = ""
    if kind is not None and kind.startswith("date "):
        kind, form = DATE, kind[5:]
    if kind is not None and kind not in KINDS:
        raise ValueError(
            f"Schema: column {name!r}: kind is {kind!r}, one of {', '.join(KINDS)}, or "
            "'date %d/%m/%Y' with the format, is wanted"
        )
    if kind == LEFT_OUT:
        return Column(name, LEFT_OUT, "as asked")
    cells = frame[name]
    if kind is None:
        column = _typed(frame, name, cells) or _text(frame, name, as_text(cells))
    else:
        column = _asked(frame, name, cells, kind, form)
    if column.kind != LEFT_OUT:
        values, missing = column.values(frame)
        if column.kind != CATEGORY:
            column.missing = int(missing.sum())
        column.fit_scale(frame)
        if kind is None and column.kind == NUMBER:
            column.why += _stand_ins(values[~missing, 0])
        if kind is None and column.kind == NUMBER and column.scale == [0.0]:
            known = values[~missing]
            why = f"every row is {known[0, 0]:g}" if len(known) else "no cell has a value"
            if not column.missing or not len(known):
                return Column(name, LEFT_OUT, why)
    return column


def _stand_ins(values: NDArray[np.float64]) -> str:
    """What to say of numbers such as -999 that are far from all others and occur again: they may
    stand for missing ones."""
    for value in (values.min(initial=np.inf), values.max(initial=-np.inf)):
        count = int((values == value).sum())
        others = values[values != value]
        if abs(value) in STAND_INS and count > 1 and len(others):
            gap = np.abs(others - value).min()
            if gap > 3 * np.ptp(others):
                return f", {count} of them {value:g}: empty, if that means missing"
    return ""


def embed(columns: Sequence[Column], above: int | None) -> None:
    """Makes codes of columns with more than `above` categories; None leaves flags to all."""
    for column in columns:
        many = above is not None and len(column.categories) > above
        column.embedded = column.kind == CATEGORY and many


# ---- kinds that are asked for ----


def _asked(frame: Frame, name: str, cells: NDArray[Any], kind: str, form: str) -> Column:
    if kind == NUMBER:
        unit = "" if cells.dtype.kind in "biuf" else numbers_of(as_text(cells), frame.notation).unit
        return Column(name, NUMBER, "as asked", unit=unit, decimal=frame.notation.decimal)
    texts = [text.strip() for text in as_text(cells)]
    if kind == CATEGORY:
        return Column(name, CATEGORY, "as asked", categories=_categories(texts))
    if kind == YES_NO:
        words = sorted({text for text in texts if not is_missing(text)})
        pair = _yes_no(words) or (words if len(words) == 2 else None)
        if pair is None:
            raise ValueError(
                f"{frame.source}: column {name!r}: {len(words)} different words, two are wanted "
                "for yes/no; kind 'category' takes more"
            )
        return Column(name, YES_NO, "as asked", categories=pair)
    if cells.dtype.kind == "M":
        return _dates(frame, name, dates.ISO, "as asked")
    present = [text for text in texts if not is_missing(text)]
    forms = [form] if form else dates.find_formats(present)
    if not forms:
        row = next((i for i, text in enumerate(texts) if not is_missing(text)), 0)
        wanted = "is no date in a format that fits the column"
        advice = "name it as 'date %d/%m/%Y', in the notation of Python's strptime"
        raise ValueError(odd_cell(frame, name, row, wanted, advice))
    return _one_format(frame, name, texts, forms, "as asked")


# ---- kinds that are found ----


def _typed(frame: Frame, name: str, cells: NDArray[Any]) -> Column | None:
    """The kind of a column that is no text, None for text."""
    kind = cells.dtype.kind
    if kind == "b":
        return Column(name, YES_NO, "true or false", categories=["False", "True"])
    if kind == "M":
        if np.isnat(cells).all():
            return Column(name, LEFT_OUT, "no cell has a value")
        return _dates(frame, name, dates.ISO, "dates and times")
    if kind == "c":
        raise ValueError(f"{frame.source}: column {name!r}: Complex data not supported")
    if kind not in "iuf":
        return None
    if kind in "iu" and len(cells):
        if np.abs(cells.astype(np.float64)).max() >= 2**53:
            texts = as_text(cells)
            return _category(name, texts, "whole numbers of 16 digits and more")
        if frame.header and _counts_rows(name, cells.astype(np.float64)):
            return Column(name, LEFT_OUT, "a whole number that tells rows apart")
    return Column(name, NUMBER, "whole numbers" if kind in "iu" else "numbers")


def _text(frame: Frame, name: str, raw: Sequence[str]) -> Column:
    texts = [text.strip() for text in raw]
    distinct = {text for text in set(texts) if not is_missing(text)}
    present = [text for text in texts if text in distinct]
    if not present:
        return Column(name, LEFT_OUT, "no cell has a value")
    pair = _yes_no(sorted(distinct))
    if pair is not None:
        return Column(name, YES_NO, "two words for yes and no", categories=pair)
    if name in frame.categories:
        return _category(name, texts, "a category by its type")
    for pattern, why in ((_CODE, "codes with leading zeros"), (_LONG, "numbers of 16 digits")):
        if any(pattern.fullmatch(text) for text in distinct):
            return _category(name, texts, why)
    numbers = numbers_of(texts, frame.notation)
    if not len(numbers.odd):
        whole = bool((numbers.values[~numbers.missing] % 1 == 0).all())
        if _counts_rows(name, numbers.values):
            return Column(name, LEFT_OUT, "a whole number that tells rows apart")
        why = ("whole numbers" if whole else "numbers") + _beside(numbers.unit)
        return Column(name, NUMBER, why, unit=numbers.unit, decimal=frame.notation.decimal)
    forms = dates.find_formats(present)
    if forms:
        return _one_format(frame, name, texts, forms, "dates")
    check_slips(frame, name, texts, numbers)
    _check_dates(frame, name, texts, present)
    return _category(name, texts, "text")


def _check_dates(frame: Frame, name: str, texts: Sequence[str], present: Sequence[str]) -> None:
    """Refuses a column of dates in several formats, which would be taken for words."""
    form = dates.mixed_formats(present)
    if form is None:
        return
    odd = next(
        row for row, text in enumerate(texts)
        if not is_missing(text) and dates.seconds(text, form) is None
    )  # fmt: skip
    raise ValueError(
        odd_cell(
            frame, name, odd, f"is no date as {form}, as others of the column are",
            f"write all in one format; kinds={{{name!r}: 'category'}} takes them as words, "
            "'left out' does without",
        )
    )  # fmt: skip


def _beside(unit: str) -> str:
    return f", each with {unit!r}" if unit else ""


def _yes_no(words: Sequence[str]) -> list[str] | None:
    """no and yes, as they are written, if these words are nothing else."""
    lower = {word.lower() for word in words}
    if not lower or any(word in ("0", "1") for word in lower) or len(lower) != 2:
        return None
    no, yes = lower & NO, lower & YES
    if len(no) != 1 or len(yes) != 1:
        return None
    return [next(w for w in words if w.lower() in no), next(w for w in words if w.lower() in yes)]


def _counts_rows(name: str, values: NDArray[np.float64]) -> bool:
    """Whether these whole numbers are an index: all different, under such a name or none."""
    if len(values) < 5 or np.isnan(values).any() or (values % 1).any():
        return False
    unnamed = re.fullmatch(r"x\d+|unnamed: ?\d+", name.lower()) is not None
    if unnamed:
        return bool((np.diff(values) == 1).all()) and values[0] in (0, 1)
    named = _IDENTIFIER.fullmatch(name) or _IDENTIFIER.fullmatch(name.lower())
    return bool(named) and len(np.unique(values)) == len(values)


def _dates(frame: Frame, name: str, form: str, why: str) -> Column:
    column = Column(name, DATE, why, form=form, parts=["days"])
    times, missing = column.values(frame)
    column.parts = dates.parts(form, times[~missing, 0] * dates.DAY)
    return column


def _one_format(
    frame: Frame, name: str, texts: Sequence[str], forms: Sequence[str], why: str
) -> Column:
    if len(forms) > 1:
        row = next(i for i, text in enumerate(texts) if not is_missing(text))
        raise ValueError(
            odd_cell(
                frame, name, row, f"may begin with the day or the month ({' or '.join(forms)})",
                f"say which: kinds={{{name!r}: 'date {forms[0]}'}} (--kinds '{name}=date "
                f"{forms[0]}')",
            )
        )  # fmt: skip
    return _dates(frame, name, forms[0], f"{why}, {forms[0]}")


def _category(name: str, texts: Sequence[str], why: str) -> Column:
    present = [text for text in texts if text]
    distinct = len(set(present))
    if distinct == 1 and len(present) == len(texts):
        return Column(name, LEFT_OUT, f"every row is {present[0]!r}")
    all_alone = distinct == len(present) and distinct >= 10
    if all_alone or (distinct > ALL_DIFFERENT * len(present) and distinct > 50):
        return Column(name, LEFT_OUT, f"{distinct} different texts in {len(present)} rows")
    return Column(name, CATEGORY, f"{why}, {distinct} different", categories=_categories(texts))


def _categories(texts: Sequence[str]) -> list[str]:
    """The different texts, the most frequent first; a missing one is a category of its own."""
    counts = Counter(texts)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    return ranked[:MOST_CATEGORIES]
