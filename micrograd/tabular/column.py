"""One column of a table: what it is, what it becomes, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data import dates
from micrograd.data.cells import MISSING, doubtful, is_missing, numbers_of
from micrograd.data.columns import as_text, odd_cell, refuse_doubtful, refuse_odd_number
from micrograd.data.dates import DAY, PERIODS
from micrograd.data.frame import Frame

__all__ = [
    "CATEGORY",
    "CLIP",
    "DATE",
    "DAY",
    "KINDS",
    "LEFT_OUT",
    "NO",
    "NUMBER",
    "PERIODS",
    "YES",
    "YES_NO",
    "Column",
    "robust",
    "scaled",
]

NUMBER, CATEGORY, YES_NO, DATE, LEFT_OUT = "number", "category", "yes/no", "date", "left out"
KINDS = (NUMBER, CATEGORY, YES_NO, DATE, LEFT_OUT)
CLIP = 3.0  # x / sqrt(1 + (x / 3)^2), the smooth clipping of RealMLP (arXiv 2407.04491, section 3)
YES = frozenset(("yes", "true", "y", "t", "1", "ja", "oui", "si", "sí", "on"))
NO = frozenset(("no", "false", "n", "f", "0", "nein", "non", "off"))


@dataclass
class Column:
    """What a column of the table is.

    name; kind: one of KINDS; why: what the choice rests on, in words; missing: cells without a
    value among the rows it was inferred from, which make an indicator beside it; unit: beside every
    number; decimal: the mark before decimals in its table; centre, scale: of numbers, one each for
    every number it becomes: scale * (x - centre); categories: their names; form: the format of
    dates; parts: what is made of them; clip: whether numbers are held within +-3, smoothly;
    embedded: a category becomes its code, for a network that begins with an Embedding, instead of
    flags.

    >>> frame = {"area": [50.0, 70.0, 90.0], "price": [1.0, 1.4, 1.8]}
    >>> column = mg.tabular.Schema.infer(frame, target="price").columns[0]
    >>> column.name, column.kind, column.missing
    ('area', 'number', 0)
    """

    name: str
    kind: str
    why: str = ""
    missing: int = 0
    unit: str = ""
    decimal: str = "."
    centre: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    form: str = ""
    parts: list[str] = field(default_factory=list)
    clip: bool = True
    embedded: bool = False

    # ---- what it becomes ----

    @property
    def numbers(self) -> list[str]:
        """Names of the numbers on a scale that it becomes."""
        if self.kind == NUMBER:
            return [self.name]
        if self.kind == DATE:
            return [
                f"{self.name}.{part}{end}"
                for part in self.parts
                for end in ([""] if part == "days" else [".sin", ".cos"])
            ]
        return []

    @property
    def flags(self) -> list[str]:
        """Names of the zeros and ones that it becomes."""
        if self.kind == CATEGORY and not self.embedded:
            return [f"{self.name}={category}" for category in self.categories]
        if self.kind in (LEFT_OUT, CATEGORY):
            return []
        own = [self.name] if self.kind == YES_NO else []
        return own + ([f"{self.name} missing"] if self.missing else [])

    @property
    def codes(self) -> list[str]:
        """The name of the code that it becomes."""
        return [f"{self.name} code"] if self.embedded else []

    def encode(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Its numbers (rows, len(numbers)), clipped smoothly, and its flags (rows, len(flags)).

        Raises:
            ValueError: a cell that does not belong there; names it.
        """
        values, missing = self.values(frame)
        if self.kind == CATEGORY:
            flags = (values == np.arange(len(self.flags))).astype(np.float64)
            return np.empty((len(values), 0)), flags
        indicator = missing[:, None].astype(np.float64)
        extra = indicator[:, : 1 if self.missing else 0]
        if self.kind == YES_NO:
            return np.empty((len(values), 0)), np.concatenate([values, extra], axis=1)
        z = scaled(values, np.array(self.centre), np.array(self.scale), self.clip)
        z[missing] = 0.0
        return z, extra

    def values(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """What the cells say, unscaled: (rows, numbers), and which rows say nothing.

        A category is its code, -1 for one that was not seen; yes and no are 1 and -1, missing 0.
        """
        cells = frame[self.name]
        if self.kind == NUMBER:
            found, missing = self._numbers(frame, cells)
            return found[:, None], missing
        if self.kind == DATE:
            times, missing = self._times(frame, cells)
            return np.stack(dates.encode(times, self.parts), axis=1), missing
        texts = as_text(cells)
        if self.kind == CATEGORY:
            code = {category: i for i, category in enumerate(self.categories)}
            code_of = {text: code.get(text.strip(), -1) for text in set(texts)}
            codes = np.array([code_of[text] for text in texts], np.float64)
            return codes[:, None], codes < 0
        return self._yes_no(frame, texts)

    def slopes(self, frame: Frame) -> NDArray[np.float64]:
        """How its numbers change with its value, (rows, len(numbers)): the derivatives of encode,
        for a number in its unit, for a date in a day; 0 where there is no value.

        Raises:
            ValueError: a cell that does not belong there; names it.
        """
        if not self.numbers:
            return np.empty((len(frame), 0))
        values, missing = self.values(frame)
        scale = np.array(self.scale)
        slopes: NDArray[np.float64] = np.broadcast_to(scale, values.shape).copy()
        if self.clip:
            slopes /= (1 + ((values - np.array(self.centre)) * scale / CLIP) ** 2) ** 1.5
        if self.kind == DATE:
            times, _ = self._times(frame, frame[self.name])
            slopes *= np.stack(dates.rates(times, self.parts), axis=1)
        slopes[missing] = 0.0
        return slopes

    def _numbers(
        self, frame: Frame, cells: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        if cells.dtype.kind in "biuf":
            values = cells.astype(np.float64)
            if np.isinf(values).any():
                row = int(np.flatnonzero(np.isinf(values))[0])
                raise ValueError(
                    f"{frame.place(row, self.name)}: the value {values[row]} is not finite; Input "
                    "X contains infinity"
                )
            return values, np.isnan(values)
        texts, notation = as_text(cells), frame.notation
        found = numbers_of(texts, notation)
        if len(found.odd):
            refuse_odd_number(frame, self.name, int(found.odd[0]))
        if self.decimal != notation.decimal and not (notation.sure or notation.told):
            mark = notation.decimal
            for row in (row for row, text in enumerate(texts) if doubtful(text, mark)):
                refuse_doubtful(frame, self.name, row, mark)
        if found.unit != self.unit and not found.missing.all():
            row = int(np.flatnonzero(~found.missing)[0])
            unit = f"numbers with {self.unit!r}" if self.unit else "numbers without a unit"
            raise ValueError(
                odd_cell(frame, self.name, row, f"is not what the model knows: {unit}")
            )
        return found.values, found.missing

    def inputs(self, frame: Frame) -> NDArray[Any]:
        """The cells as an exported model takes them, (rows,): words as text, numbers as float64 and
        dates as seconds since 1970-01-01T00:00 UTC, NaN where there is none."""
        if self.kind == DATE:
            return self._times(frame, frame[self.name])[0]
        if self.kind == NUMBER:
            return self.values(frame)[0][:, 0]
        return np.array([text.strip() for text in as_text(frame[self.name])], dtype=object)

    def meanings(self) -> dict[str, float]:
        """Of yes/no: what each word stands for, -1, 1, or 0 for a missing one, as it is usually
        spelled."""
        no, yes = self.categories
        meaning = dict.fromkeys(MISSING, 0.0)
        for word, value, others in ((no, -1.0, NO), (yes, 1.0, YES)):
            if word.lower() in others:
                meaning.update(dict.fromkeys(others, value))
        for word, value in ((no, -1.0), (yes, 1.0)):
            meaning[word.lower()] = value
        spelled = {
            form: value
            for word, value in meaning.items()
            for form in (word, word.upper(), word.capitalize())
        }
        return spelled | {no: -1.0, yes: 1.0}

    def _times(
        self, frame: Frame, cells: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        if cells.dtype.kind == "M":
            missing = np.isnat(cells)
            times = cells.astype("datetime64[us]").astype(np.int64) / 1e6
            return np.where(missing, np.nan, times), missing
        if cells.dtype.kind in "iuf":
            there = np.flatnonzero(~np.isnan(cells.astype(np.float64)))
            if len(there):
                wanted = "is a number, a date is wanted"
                advice = "pandas.to_datetime makes one, with unit='s' of seconds since 1970"
                raise ValueError(odd_cell(frame, self.name, int(there[0]), wanted, advice))
            return np.full(len(cells), np.nan), np.ones(len(cells), np.bool_)
        texts = as_text(cells)
        missing = np.array([is_missing(text) for text in texts], np.bool_)
        known = {text: dates.seconds(text, self.form) for text in set(texts)}
        times = np.array([np.nan if known[t] is None else known[t] for t in texts], np.float64)
        odd = np.flatnonzero(np.isnan(times) & ~missing)
        if len(odd):
            wanted = f"is no date as {self.form}"
            raise ValueError(odd_cell(frame, self.name, int(odd[0]), wanted))
        return times, missing

    def _yes_no(
        self, frame: Frame, texts: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        meanings = self.meanings()
        values = np.zeros(len(texts))
        for row, text in enumerate(texts):
            word = text.strip()
            found = meanings.get(word, meanings.get(word.lower()))
            if found is None:
                wanted = f"is neither {self.categories[0]!r} nor {self.categories[1]!r}"
                raise ValueError(odd_cell(frame, self.name, row, wanted))
            values[row] = found
        return values[:, None], values == 0

    # ---- learning, words, storage ----

    def fit_scale(self, frame: Frame, weights: NDArray[np.float64] | None = None) -> None:
        """Sets centre and scale of its numbers: the median, and 1 / (distance of the quartiles).

        weights: of the rows, more than 0; see `robust`.
        """
        if self.kind not in (NUMBER, DATE):
            return
        values, _ = self.values(frame)
        self.centre, self.scale = [], []
        for column in values.T:
            there = ~np.isnan(column)
            centre, scale = robust(column[there], None if weights is None else weights[there])
            self.centre.append(centre)
            self.scale.append(scale)

    @property
    def becomes(self) -> str:
        """What it becomes, in words."""
        if self.kind == LEFT_OUT:
            return "nothing"
        said = []
        if self.numbers:
            said.append("a number" if len(self.numbers) == 1 else f"{len(self.numbers)} numbers")
        if self.kind == YES_NO:
            said.append(f"{self.categories[0]} -1, {self.categories[1]} +1")
        if self.embedded:
            said.append(f"an embedding of {len(self.categories)}, zeros for others")
        elif self.kind == CATEGORY:
            said.append(f"{len(self.categories)} flags, none set for others")
        elif self.missing:
            said.append("a flag where missing")
        return ", ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what differs from the defaults."""
        usual = asdict(Column(self.name, self.kind))
        plain = asdict(self)
        return {k: v for k, v in plain.items() if k in ("name", "kind") or v != usual[k]}

    @classmethod
    def from_dict(cls, plain: Any) -> Column:
        """From what to_dict gave.

        Raises:
            ValueError: it is something else; nothing in a file is taken on trust.
        """
        names = {f.name for f in fields(cls)}
        if not isinstance(plain, dict) or not set(plain) <= names:
            raise ValueError(f"a column is {plain!r}, not what Column.to_dict gives")
        column = cls(**{"name": None, "kind": None, **plain})
        column._check()
        return column

    def _check(self) -> None:
        where = f"column {self.name!r}"
        texts = (self.name, self.kind, self.why, self.unit, self.form)
        if not all(isinstance(text, str) for text in texts) or self.kind not in KINDS:
            raise ValueError(f"{where}: kind {self.kind!r}, one of {', '.join(KINDS)} is wanted")
        if self.decimal not in (".", ","):
            raise ValueError(f"{where}: decimal is {self.decimal!r}, '.' or ',' is wanted")
        if type(self.clip) is not bool:
            raise ValueError(f"{where}: clip is {self.clip!r}, true or false is wanted")
        if self.embedded is not False and (self.embedded, self.kind) != (True, CATEGORY):
            raise ValueError(f"{where}: embedded is {self.embedded!r}, which is for a category")
        if type(self.missing) is not int or self.missing < 0:
            raise ValueError(f"{where}: missing is {self.missing!r}, a count is wanted")
        for values, wanted in (
            (self.centre, (int, float)), (self.scale, (int, float)), (self.categories, (str,)),
            (self.parts, (str,)),
        ):  # fmt: skip
            if not isinstance(values, list) or not all(type(v) in wanted for v in values):
                raise ValueError(f"{where}: {values!r} is no list of {wanted[-1].__name__}")
        if not all(np.isfinite([*self.centre, *self.scale])):
            raise ValueError(f"{where}: centre or scale is not finite")
        n = len(self.numbers)
        if len(self.centre) != n or len(self.scale) != n:
            raise ValueError(f"{where}: {len(self.centre)} centres for {n} numbers")
        if self.kind == YES_NO and len(self.categories) != 2:
            raise ValueError(f"{where}: {len(self.categories)} words for yes and no")
        if not all(part == "days" or part in dates.PERIODS for part in self.parts):
            raise ValueError(f"{where}: parts {self.parts!r} of a date")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"{where}: a category stands twice")


def scaled(
    values: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    clip: bool,
) -> NDArray[np.float64]:
    """scale * (x - centre), in float64, and smoothly held within +-3 where `clip` says so."""
    z: NDArray[np.float64] = (values - centre) * scale
    if clip:
        z /= np.sqrt(1 + (z / CLIP) ** 2)
    return z


def robust(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Median, and 1 / (distance of the quartiles); where that is 0, 2 / range; where that is, 0.

    weights: more than 0; a value counts as many times as its weight holds the smallest one.
    """
    if not len(values):
        return 0.0, 0.0
    if weights is None:
        low, centre, high = np.percentile(values, [25, 50, 75])
    else:
        low, centre, high = _weighted_quantiles(values, weights, [0.25, 0.5, 0.75])
    if high > low:
        return float(centre), float(1 / (high - low))
    span = float(values.max() - values.min())
    return float(centre), 2 / span if span > 0 else 0.0


def _weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], levels: Sequence[float]
) -> NDArray[np.float64]:
    """The quantiles of the values with each repeated as its weight says, linear in between."""
    order = np.argsort(values, kind="stable")
    up_to = np.cumsum(weights[order] / weights.min())
    place: NDArray[np.float64] = (up_to[-1] - 1) * np.array(levels)
    low = np.floor(place)

    def at(index: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.searchsorted(up_to, index + 1e-9 * up_to[-1], side="right")
        picked: NDArray[np.float64] = values[order[np.minimum(found, len(values) - 1)]]
        return picked

    quantiles: NDArray[np.float64] = at(low) + (place - low) * (at(low + 1) - at(low))
    return quantiles
