"""What a cell of text says: a number in the notation of its file, nothing, or something else."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", "--", ".", "missing", "<na>", "nil")
)
CURRENCY = "$€£¥₹"
SEPARATORS = ",.'’ \u00a0\u2009\u202f"  # that thousands are set apart with
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_AFFIXES = re.compile(
    rf"(?P<before>[+-]?)\s*(?P<prefix>[{CURRENCY}]?)\s*"
    rf"(?P<number>[+-]?(?:[0-9][0-9{re.escape(SEPARATORS)}]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"\s*(?P<suffix>%|‰|[{CURRENCY}]|°[CF]?|[^\W\d_]{{1,5}}[²³23]?(?:/[^\W\d_]{{1,5}})?)?",
)
_DURATION = re.compile(r"[+-]?[0-9]+:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?", re.ASCII)
_DOTTED = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
_SURE = re.compile(  # the dot can be the decimal mark only
    r"[+-]?(?:[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})|0[0-9]*\.[0-9]+)"
)
_BOUND = re.compile(r"[<>≤≥~≈±]\s*=?\s*[0-9]")


@dataclass(frozen=True)
class Notation:
    """How numbers are written: decimal is "." or ","; thousands a separator, "" for none, "?" where
    it is not known whether the other of "." and "," is one or the decimal mark.

    sure: the user has said so: what fits is read, without a look at how often it occurs; told: some
    cell can be read in this way only.
    """

    decimal: str = "."
    thousands: str = ""
    sure: bool = False
    told: bool = field(default=False, compare=False)

    @property
    def other(self) -> str:
        """The mark that is not the decimal one."""
        return "." if self.decimal == "," else ","


@dataclass
class Numbers:
    """A column of cells as numbers.

    values: float64, NaN where the cell is missing or odd; missing: cells that say nothing; odd: the
    rows that are neither; unit: what stands beside every number, such as "$" or "%".
    """

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    odd: NDArray[np.int64]
    unit: str = ""


def is_missing(cell: str) -> bool:
    """Whether the cell says that there is no value."""
    return cell.strip().lower() in MISSING


def parse_number(cell: str) -> float | None:
    """The number that the cell is in plain notation, None if it is none, such as 1_000."""
    text = cell.strip().replace("\u2212", "-")
    if _PLAIN.fullmatch(text) or text.lower().lstrip("+-") in ("inf", "infinity", "nan"):
        return float(text)
    return None


def looks_numeric(cell: str) -> bool:
    """Whether the cell is a number with something about it: a unit, a bound, another notation."""
    text = cell.strip().replace("\u2212", "-")
    if _BOUND.match(text) or text.lower().lstrip("+-") in ("inf", "infinity"):
        return True
    if _DURATION.fullmatch(text):
        return True
    if len(text) > 2 and text[0] + text[-1] in (
        "()",
        "''",
        '""',
    ):  # of accountants, or quoted twice
        text = text[1:-1].strip()
    return _AFFIXES.fullmatch(text) is not None


def parse(cell: str, notation: Notation) -> float | None:
    """The finite number that the cell is in this notation, without a unit; else None."""
    text = cell.strip().replace("\u2212", "-")
    if notation.thousands and notation.thousands in text:
        separator = re.escape(notation.thousands)
        head, point, tail = text.partition(notation.decimal)
        if not re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:{separator}[0-9]{{3}})+", head):
            return None
        text = head.replace(notation.thousands, "") + point + tail
    if notation.decimal != ".":
        if "." in text:
            return None
        text = text.replace(notation.decimal, ".", 1)
    if not _PLAIN.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def split_unit(cell: str) -> tuple[str, str]:
    """The unit beside the number in a cell, "" for none, and the number's text."""
    text = cell.strip().replace("\u2212", "-")
    found = _AFFIXES.fullmatch(text)
    if found is None:
        return "", text
    prefix, suffix = found["prefix"], found["suffix"] or ""
    if found["before"] and found["number"][0] in "+-":
        return "", text
    return (prefix or suffix) if not (prefix and suffix) else "", found["before"] + found["number"]


# ---- the notation of a file ----


def find_notation(columns: Iterable[Sequence[str]]) -> Notation:
    """How the numbers in these columns are written, from cells that can be read in one way only.

    A mark that is followed by other than three digits, or one behind the other, tells; the decimal
    mark of the greater number of cells wins, and cells in the other are odd afterwards. Where only
    cells such as 57,037 have a mark, both are possible: `thousands` is then "?". With a dot they
    are what programs write with three decimals, unless numbers without any stand among them.
    """
    point: Counter[str] = Counter()
    maybe: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    dots = False  # some column may have them between groups
    for cells in columns:
        texts = []
        for cell in set(cells):
            if _SURE.fullmatch(cell):  # most cells of most files, at a tenth of the time
                point["."] += 1
                texts.append(cell.lstrip("+-"))
                continue
            text = split_unit(cell)[1].lstrip("+-")
            texts.append(text)
            if "," in text or "." in text:
                _count_marks(text, point, maybe, groups)
        dots = dots or _may_be_grouped(texts)
    decimal = "," if (point[","], groups["."]) > (point["."], groups[","]) else "."
    other = "." if decimal == "," else ","
    told = point[decimal] > 0 or groups[other] > 0
    if groups[other] or (maybe[other] and (point[decimal] or groups[decimal])):
        return Notation(decimal, other, told=told)
    if maybe[","] and not point["."] and not point[","]:
        return Notation(".", "?")
    if dots and not point["."] and not point[","]:
        return Notation(",", "?")
    return Notation(decimal, told=told)


def _may_be_grouped(texts: Sequence[str]) -> bool:
    """Whether a column has numbers such as 1.250 beside some such as 950, and no others."""
    marked = [text for text in texts if "." in text]
    plain = [text for text in texts if text.isdecimal()]
    short = bool(plain) and all(len(text) <= 3 for text in plain)
    return short and bool(marked) and all(map(_DOTTED.fullmatch, marked))


def doubtful(cell: str, mark: str) -> str:
    """What a cell such as 57,037 may be, with this mark between groups or before decimals; "" where
    it is one number only, or none."""
    text = split_unit(cell)[1]
    if not re.fullmatch(rf"[+-]?[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}", text):
        return ""
    return f"{text.replace(mark, '')} or {text.replace(mark, '.')}"


def _count_marks(text: str, point: Counter[str], maybe: Counter[str], groups: Counter[str]) -> None:
    if not re.fullmatch(r"[0-9.,]*[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?", text):
        return
    commas, dots = text.count(","), text.count(".")
    for mark, other in ((",", "."), (".", ",")):
        if text.count(mark) == 1 and text.count(other) and text.index(mark) > text.rindex(other):
            if re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(other)}[0-9]{{3}})+", text.split(mark)[0]):
                point[mark] += 1
                groups[other] += 1
            return
    mark = "," if commas else "."
    if commas and dots:
        return
    if re.fullmatch(rf"[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{3}})+", text):
        (groups if text.count(mark) > 1 else maybe)[mark] += 1
    elif text.count(mark) == 1:
        point[mark] += 1


LEAST_GROUPED = 0.25  # share of the cells of a column that have to show a separator of thousands


def numbers_of(cells: Sequence[str], notation: Notation) -> Numbers:
    """A column of text as numbers; what is no number in this notation is missing or odd.

    A unit is taken off where every number has the same. A separator of thousands counts where the
    user has named it, or at least a quarter of the numbers have it: one alone may be a slip.
    """
    fast = _plain(cells) if notation.decimal == "." else None
    if fast is not None:
        return Numbers(fast, np.zeros(len(fast), np.bool_), np.empty(0, np.int64))
    distinct = Counter(cells)
    present = [cell for cell in distinct if not is_missing(cell)]
    grouped = _grouping(present, distinct, notation)
    found: dict[str, float | None] = {cell: parse(cell, grouped) for cell in present}
    unit = ""
    if any(value is None for value in found.values()):
        units = {split_unit(cell)[0] for cell in present}
        if len(units) == 1 and (unit := units.pop()):
            found = {cell: parse(split_unit(cell)[1], grouped) for cell in present}
    missing = np.fromiter((cell not in found for cell in cells), np.bool_, len(cells))
    values = np.fromiter(
        (np.nan if (value := found.get(cell)) is None else value for cell in cells),
        np.float64,
        len(cells),
    )
    odd = np.flatnonzero(np.isnan(values) & ~missing)
    return Numbers(values, missing, odd, "" if len(odd) == len(cells) else unit)


def _plain(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The fast way: all cells are plain finite numbers."""
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    if not np.isfinite(values).all() or any("_" in cell for cell in cells):
        return None
    return values


def _grouping(present: Sequence[str], counts: Counter[str], notation: Notation) -> Notation:
    """The notation with the separator of thousands that this column uses, "" for none."""
    if notation.sure and notation.thousands:
        return notation
    candidates = [notation.thousands] if notation.thousands not in ("", "?") else []
    candidates += ["'", "’", " ", "\u00a0", "\u2009", "\u202f"]
    total = sum(counts[cell] for cell in present)
    for separator in candidates:
        those = [cell for cell in present if separator in split_unit(cell)[1].strip()]
        share = sum(counts[cell] for cell in those)
        if those and share >= LEAST_GROUPED * total:
            return Notation(notation.decimal, separator)
    return Notation(notation.decimal)
