"""What a run of the playground is made of: a configuration, checked; as text for the address."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from micrograd import checks
from micrograd.network.layers import ACTIVATIONS, INITS

DATA = ("moons", "circles", "spirals", "hand", "digits", "table")
SCHEDULES = ("constant", "cosine", "warmup", "steps", "exponential")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw")
MOST_POINTS = 500  # drawn by hand: all of them stand in the address
MOST_LAYERS, WIDEST = 24, 512
PLACE = 160  # coordinates by hand, in hundredths, lie within +-PLACE: what the picture shows


@dataclass(frozen=True)
class Number:
    """A field that is a number: `whole` or not, least and most included."""

    least: float
    most: float
    whole: bool = False

    def parse(self, where: str, name: str, value: Any) -> float:
        """The number that a value says, which may be a text.

        Raises:
            TypeError, ValueError: it says none, or one out of range.
        """
        if isinstance(value, str):
            try:
                value = int(value) if self.whole else float(value)
            except ValueError:
                raise ValueError(f"{where}: {name} is {value[:40]!r}, a number is wanted") from None
        if self.whole:
            return checks.count(where, name, value, int(self.least), int(self.most) + 1)
        return checks.number(where, name, value, self.least, most=self.most)


@dataclass(frozen=True)
class Choice:
    """A field that is one of some words."""

    words: tuple[str, ...]

    def parse(self, where: str, name: str, value: Any) -> str:
        """The word.

        Raises:
            ValueError: it is none of them.
        """
        if not isinstance(value, str) or value not in self.words:
            raise ValueError(
                f"{where}: {name} is {checks.describe(value)}, one of {', '.join(self.words)} is "
                "wanted"
            )
        return value


@dataclass(frozen=True)
class Flag:
    """A field that is true or false; as text 1 or 0."""

    def parse(self, where: str, name: str, value: Any) -> bool:
        """True or False.

        Raises:
            TypeError: it is neither.
        """
        if isinstance(value, str) and value in ("0", "1"):
            return value == "1"
        if not isinstance(value, bool):
            raise TypeError(f"{where}: {name} is {checks.describe(value)}, true or false is wanted")
        return value


@dataclass(frozen=True)
class Widths:
    """Sizes of the hidden layers: a list, or a text such as 16,16; none for no hidden layer."""

    def parse(self, where: str, name: str, value: Any) -> tuple[int, ...]:
        """The sizes.

        Raises:
            TypeError, ValueError: it is no list of sizes, or they are too many or too large.
        """
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, Sequence):
            raise TypeError(f"{where}: {name} is {checks.describe(value)}, a list of sizes such as "
                            "[16, 16] is wanted")  # fmt: skip
        if len(value) > MOST_LAYERS:
            raise ValueError(
                f"{where}: {name} has {len(value)} sizes, at most {MOST_LAYERS} are wanted"
            )
        size = Number(1, WIDEST, whole=True)
        return tuple(int(size.parse(where, f"{name}[{i}]", x)) for i, x in enumerate(value))


@dataclass(frozen=True)
class Words:
    """A text of any characters, not too long."""

    most: int = 500

    def parse(self, where: str, name: str, value: Any) -> str:
        """The text.

        Raises:
            TypeError, ValueError: it is none, or too long.
        """
        if not isinstance(value, str):
            raise TypeError(f"{where}: {name} is {checks.describe(value)}, a text is wanted")
        if len(value) > self.most:
            raise ValueError(f"{where}: {name} has {len(value)} characters, {self.most} at most")
        return value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates go nowhere


Point = tuple[int, int, int]


@dataclass(frozen=True)
class Points:
    """Points drawn by hand: (x, y, class), coordinates in hundredths; as text x.y.k_x.y.k."""

    def parse(self, where: str, name: str, value: Any) -> tuple[Point, ...]:
        """The points.

        Raises:
            TypeError, ValueError: they are none, or too many, or lie outside.
        """
        if isinstance(value, str):
            value = [part.split(".") for part in value.split("_") if part]
        if not isinstance(value, Sequence):
            raise TypeError(f"{where}: {name} is {checks.describe(value)}, points are wanted")
        if len(value) > MOST_POINTS:
            raise ValueError(f"{where}: {name} are {len(value)}, {MOST_POINTS} at most are wanted")
        place, label = Number(-PLACE, PLACE, whole=True), Number(0, 2, whole=True)
        found = []
        for i, point in enumerate(value):
            if not isinstance(point, (list, tuple)) or len(point) != 3:
                raise ValueError(f"{where}: {name}[{i}] is {checks.describe(point)}, (x, y, class) "
                                 "is wanted")  # fmt: skip
            x, y, k = (
                int(kind.parse(where, f"{name}[{i}]", part))
                for kind, part in zip((place, place, label), point, strict=True)
            )
            found.append((x, y, k))
        return tuple(found)


def _kind(kind: Any, default: Any) -> Any:
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True)
class Config:
    """All that shapes a run: same configuration, same number of steps, same bits.

    data: one of DATA; samples, noise, arms: of those that are drawn; test: share of the rows that
    is held out; target: column of a table; points: drawn by hand, (x, y, class), coordinates in
    hundredths. layers: widths of the hidden ones; skip: Residual around all but the first; gain:
    what the first weights are multiplied by. horizon: steps of the schedule; clip: the longest
    gradient, 0 for any; l2: penalty l2/2 ||W||^2.
    """

    data: str = _kind(Choice(DATA), "spirals")
    samples: int = _kind(Number(20, 5000, whole=True), 400)
    noise: float = _kind(Number(0, 1), 0.03)
    arms: int = _kind(Number(2, 5, whole=True), 2)
    test: float = _kind(Number(0, 0.8), 0.2)
    target: str = _kind(Words(), "")
    points: tuple[Point, ...] = _kind(Points(), ())
    layers: tuple[int, ...] = _kind(Widths(), (16, 16))
    activation: str = _kind(Choice(tuple(ACTIVATIONS)), "relu")
    skip: bool = _kind(Flag(), False)
    dropout: float = _kind(Number(0, 0.9), 0.0)
    init: str = _kind(Choice(("auto", *INITS)), "auto")
    gain: float = _kind(Number(0, 100), 1.0)
    optimizer: str = _kind(Choice(OPTIMIZERS), "adam")
    lr: float = _kind(Number(0, 1000), 0.02)
    schedule: str = _kind(Choice(SCHEDULES), "constant")
    horizon: int = _kind(Number(2, 10_000_000, whole=True), 2000)
    clip: float = _kind(Number(0, 1e6), 0.0)
    l2: float = _kind(Number(0, 10), 0.0)
    batch: int = _kind(Number(1, 5000, whole=True), 32)
    seed: int = _kind(Number(0, 2**31 - 1, whole=True), 0)

    def changed(self, values: Any) -> Config:
        """This configuration with other values, by name.

        Raises:
            TypeError, ValueError: a name that is none, or a value that does not fit.
        """
        where = "configuration"
        if not isinstance(values, Mapping):
            raise TypeError(f"{where}: {checks.describe(values)} is no set of names and values")
        parsed = {}
        for name, value in values.items():
            if name not in KINDS:
                raise ValueError(
                    f"{where}: there is no {str(name)[:40]!r}, there are {', '.join(KINDS)}"
                )
            parsed[name] = KINDS[name].parse(where, name, value)
        return replace(self, **parsed)

    def plain(self) -> dict[str, Any]:
        """Its values by name, for JSON."""
        return {name: getattr(self, name) for name in KINDS}


KINDS: dict[str, Any] = {f.name: f.metadata["kind"] for f in fields(Config)}
SHARED = ("data", "samples", "noise", "arms", "test", "target", "points")  # by both runs
SECOND = "b."  # before the names of the second run's own values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return "_".join(".".join(map(str, each)) for each in value) if (
            value and isinstance(value[0], tuple)
        ) else ",".join(map(str, value))  # fmt: skip
    return repr(value) if isinstance(value, float) else str(value)


def fragment(configs: Sequence[Config]) -> str:
    """One or two configurations as the part of an address behind #: what differs from the usual."""
    usual, first = Config(), configs[0]
    pairs = [(n, _text(x)) for n, x in first.plain().items() if x != getattr(usual, n)]
    for second in configs[1:]:
        pairs.append(("compare", "1"))
        own = [n for n in KINDS if n not in SHARED and getattr(second, n) != getattr(first, n)]
        pairs += [(SECOND + n, _text(getattr(second, n))) for n in own]
    return urlencode(pairs, quote_via=quote, safe=",._-")


def from_fragment(text: str) -> list[Config]:
    """The configurations that `fragment` made a text of; a whole address may stand before its #.

    Raises:
        TypeError, ValueError: a name that is none, or a value that does not fit.
    """
    if len(text) > 100_000:
        raise ValueError(f"configuration: an address of {len(text)} characters is too long")
    text = text.rpartition("#")[2]
    first, second, compare = {}, {}, False
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=100):
        if name == "compare":
            compare = Flag().parse("configuration", "compare", value)
        elif name.startswith(SECOND):
            name = name.removeprefix(SECOND)
            if name in SHARED:
                raise ValueError(f"configuration: {name} is the same for both runs")
            second[name] = value
        else:
            first[name] = value
    one = Config().changed(first)
    return [one, one.changed(second)] if compare else [one]


def hundredths(x: float) -> int:
    """A coordinate as points drawn by hand have it, held within +-PLACE."""
    if not math.isfinite(x):
        raise ValueError(f"point: a coordinate is {x}, a finite number is wanted")
    return max(-PLACE, min(PLACE, round(100 * x)))
