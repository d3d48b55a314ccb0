"""What is predicted: a quantity, or the names of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data import dates
from micrograd.data.cells import is_missing, numbers_of, parse_number
from micrograd.data.columns import as_text, check_slips, odd_cell, refuse_doubtful
from micrograd.data.frame import Frame

KINDS = ("auto", "classes", "numbers")
MOST_WHOLE = 100  # classes that whole numbers may stand for


@dataclass
class Target:
    """A column that is predicted.

    name; classes: their names in order, none for a quantity; why: what the choice rests on;
    centre, scale: the quantity is centre + scale * output; least, most: of it among the training
    rows; unit: beside every number.

    >>> frame = {"area": [50.0, 70.0, 90.0, 60.0], "kind": ["flat", "house", "house", "flat"]}
    >>> mg.tabular.Schema.infer(frame, target="kind").targets[0].classes
    ['flat', 'house']
    """

    name: str
    classes: list[str] = field(default_factory=list)
    why: str = ""
    centre: float = 0.0
    scale: float = 1.0
    least: float = 0.0
    most: float = 0.0
    unit: str = ""

    def values(self, frame: Frame) -> NDArray[Any]:
        """(rows,): the index of the class, or the quantity, in the units of the file.

        Raises:
            ValueError: a cell is missing, no number, or a class that is not known; names it.
        """
        cells = frame[self.name]
        if not self.classes:
            return self._quantities(frame, cells)
        code = {name: i for i, name in enumerate(self.classes)}
        texts = [text.strip() for text in as_text(cells)]
        spelled = _spellings(self.classes)
        codes = np.array([code.get(t, spelled.get(parse_number(t), -1)) for t in texts], np.int64)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            row = int(unknown[0])
            shown = ", ".join(self.classes[:8]) + (", ..." if len(self.classes) > 8 else "")
            raise ValueError(odd_cell(frame, self.name, row, f"is none of the classes {shown}"))
        return codes

    def _quantities(self, frame: Frame, cells: NDArray[Any]) -> NDArray[np.float64]:
        if cells.dtype.kind in "biuf":
            values = cells.astype(np.float64)
            bad = np.flatnonzero(~np.isfinite(values))
        else:
            found = numbers_of(as_text(cells), frame.notation)
            values, bad = found.values, np.flatnonzero(~np.isfinite(found.values))
            if not len(bad) and found.unit != self.unit and self.why:
                row = 0
                wanted = f"numbers with {self.unit!r}" if self.unit else "numbers without a unit"
                raise ValueError(
                    odd_cell(frame, self.name, row, f"is not what the model knows: {wanted}")
                )
        if len(bad):
            _refuse(frame, self.name, int(bad[0]))
        return values

    def fitted(self, frame: Frame) -> Target:
        """The same target with the scale and the range of these rows."""
        return self if self.classes else _quantity(frame, replace(self), "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Any) -> Target:
        """From what to_dict gave.

        Raises:
            ValueError: it is something else.
        """
        if not isinstance(plain, dict) or set(plain) != {f.name for f in fields(cls)}:
            raise ValueError(f"a target is {plain!r}, not what Target.to_dict gives")
        target = cls(**plain)
        numbers = (target.centre, target.scale, target.least, target.most)
        good = isinstance(target.classes, list) and all(type(c) is str for c in target.classes)
        good = good and all(type(t) is str for t in (target.name, target.why, target.unit))
        good = good and all(type(x) in (int, float) and np.isfinite(x) for x in numbers)
        if not good or target.scale <= 0 or len(set(target.classes)) != len(target.classes):
            raise ValueError(f"target {target.name!r}: its description is damaged")
        return target


def _refuse(frame: Frame, name: str, row: int) -> None:
    text = as_text(frame[name][row : row + 1])[0]
    if is_missing(text):
        said = "is empty" if not text.strip() else "says that there is no value"
        wanted, advice = f"{said}, a target needs one", "fill it, or delete the line"
    else:
        if frame.notation.thousands == "?":
            refuse_doubtful(frame, name, row, frame.notation.other)
        wanted, advice = "is not a finite number", "correct the cell, or delete the line"
    raise ValueError(odd_cell(frame, name, row, wanted, advice))


def _spellings(classes: Sequence[str]) -> dict[float | None, int]:
    """Classes by their value, where all are numbers and no two have the same."""
    values = [parse_number(name) for name in classes]
    if None in values or len(set(values)) != len(values):
        return {}
    if any(len(name.lstrip("+-")) > 1 and name.lstrip("+-")[0] == "0" for name in classes):
        return {}
    return {value: i for i, value in enumerate(values)}


def infer_target(frame: Frame, name: str, kind: str = "auto") -> Target:
    """What the target column is; `kind` is "classes", "numbers", or "auto" for the rules below.

    Text is a name of a class, and so are whole numbers that lie close together and are few: as
    codes are, and counts and prices are not. All other numbers are a quantity.

    Raises:
        ValueError: a cell is missing or odd; nearly as many classes as rows; one class only; names
            the cell and says what to do.
    """
    if kind not in KINDS:
        raise ValueError(f"Schema: kind is {kind!r}, wanted 'auto', 'classes' or 'numbers'")
    cells = frame[name]
    if kind == "numbers":
        unit = "" if cells.dtype.kind in "biuf" else numbers_of(as_text(cells), frame.notation).unit
        return _quantity(frame, Target(name, unit=unit), "as asked")
    texts = [text.strip() for text in as_text(cells)]
    missing = [row for row, text in enumerate(texts) if not text]
    if missing:
        _refuse(frame, name, missing[0])
    if kind == "classes":
        return _classes(frame, name, texts, "as asked", True)
    return _found(frame, name, cells, texts)


def _found(frame: Frame, name: str, cells: NDArray[Any], texts: Sequence[str]) -> Target:
    if cells.dtype.kind == "M":
        _refuse_dates(frame, name)
    if cells.dtype.kind in "f" and not np.isfinite(cells).all():
        _refuse(frame, name, int(np.flatnonzero(~np.isfinite(cells.astype(np.float64)))[0]))
    numbers = numbers_of(texts, frame.notation)
    present = int((~numbers.missing).sum())
    plain = present - len(numbers.odd)
    if plain and numbers.missing.any() and plain >= 0.8 * present:
        check_slips_of_target(frame, name, texts)
        _refuse(frame, name, int(np.flatnonzero(numbers.missing)[0]))
    if not plain or len(numbers.odd) or numbers.missing.any():
        if dates.find_formats(texts):
            _refuse_dates(frame, name)
        if len(numbers.odd):
            check_slips(frame, name, texts, numbers)
        return _classes(frame, name, texts, "words", False)
    spelled: dict[float, set[str]] = {}
    for text, value in zip(texts, numbers.values.tolist(), strict=True):
        spelled.setdefault(value, set()).add(text)
    distinct = np.array(sorted(spelled))
    codes = any(t.lstrip("+-")[:1] == "0" and t.lstrip("+-")[1:2].isdigit() for t in set(texts))
    if codes:
        return _classes(frame, name, texts, "codes with leading zeros", False)
    if _are_classes(distinct, len(texts), {t for s in spelled.values() for t in s}):
        few = "few whole numbers, close together" if len(distinct) > 2 else "two different numbers"
        return _classes(frame, name, texts, few, False)
    why = "numbers"
    if not (distinct % 1).any():
        why = f"{len(distinct)} different whole numbers; kind 'classes' would take them as names"
    return _quantity(frame, Target(name, unit=numbers.unit), why)


def check_slips_of_target(frame: Frame, name: str, texts: Sequence[str]) -> None:
    """Refuses the first cell that is neither a number nor missing."""
    numbers = numbers_of(texts, frame.notation)
    if len(numbers.odd):
        check_slips(frame, name, texts, numbers)


def _are_classes(distinct: NDArray[np.float64], rows: int, spellings: set[str]) -> bool:
    """Whether whole numbers are names rather than amounts."""
    if (distinct % 1).any() or len(spellings) > MOST_WHOLE:
        return False
    k = len(distinct)
    if k <= 2:
        return True
    close = distinct[-1] - distinct[0] + 1 <= 2 * k and distinct[0] >= -1
    return bool(close) and rows >= 4 * k


def _refuse_dates(frame: Frame, name: str) -> None:
    raise ValueError(
        odd_cell(
            frame, name, 0, "is a date, which cannot be predicted",
            "make a number of it, such as the days from one date to the other",
        )
    )  # fmt: skip


def _quantity(frame: Frame, target: Target, why: str) -> Target:
    values = target.values(frame)
    if why:
        target.why = why + (f", each with {target.unit!r}" if target.unit else "")
    std = float(values.std())
    target.centre, target.scale = float(values.mean()), std if std > 0 else 1.0
    target.least, target.most = float(values.min()), float(values.max())
    return target


def _refuse_spellings(frame: Frame, name: str, texts: Sequence[str]) -> None:
    """Refuses classes whose names differ in capitals or spaces only."""
    first: dict[str, str] = {}
    for row, text in enumerate(texts):
        known = first.setdefault(" ".join(text.casefold().split()), text)
        if known != text:
            raise ValueError(
                odd_cell(
                    frame, name, row, f"and the class {known!r} differ in capitals or spaces only",
                    "spell them alike; kind='classes' (--kind classes) takes them as two",
                )
            )  # fmt: skip


def _classes(frame: Frame, name: str, texts: Sequence[str], why: str, asked: bool) -> Target:
    counts = Counter(texts)
    rows, k = len(texts), len(counts)
    if not asked and rows >= 8 and k > rows / 2:
        row = 0
        raise ValueError(
            odd_cell(
                frame, name, row, f"is one of {k} different texts in {rows} rows, no classes",
                "if they are numbers, say how they are written (--decimal, --thousands); if each "
                "row has its own name, choose another target; kind='classes' (--kind classes) "
                "takes them as they are",
            )
        )  # fmt: skip
    if not asked:
        _refuse_spellings(frame, name, texts)
    values = {text: parse_number(text) for text in counts}
    if None in values.values():
        names = sorted(counts)
    else:
        names = sorted(counts, key=lambda text: (values[text], text))
    return Target(name, names, why)
