"""One cycle: up and down again, and the momentum that goes the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from micrograd import checks
from micrograd.schedule.base import Schedule, check_count, check_number
from micrograd.schedule.curves import half_cosine


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from lr / start_divisor to lr over the first `rise` of the steps, then down to
    lr / start_divisor / end_divisor at the last, both along half a cosine: PyTorch's OneCycleLR.
    The last value stays.

    anneal: "cos", or "linear" for straight lines. three_phase: down to lr / start_divisor in as
    many steps as up, and on to the end in the rest. `momentum()` is the momentum that goes the
    other way: SGD(params, lr=cycle, momentum=cycle.momentum()).

    Source: Smith and Topin, "Super-convergence" (2018).

    >>> cycle = mg.schedule.OneCycle(0.1, steps=100)
    >>> [round(cycle(t), 4) for t in (0, 29, 99)]
    [0.004, 0.1, 0.0]
    """

    lr: float
    steps: int
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4
    anneal: str = "cos"
    three_phase: bool = False

    def __post_init__(self) -> None:
        check_number(self, "lr")
        _cycle(self)
        for name in ("start_divisor", "end_divisor"):
            checks.number("OneCycle", name, getattr(self, name), above=0)

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        start = self.lr / self.start_divisor
        ends = (start, self.lr, start, start / self.end_divisor)
        return _along(self, ends, step)

    def momentum(self, least: float = 0.85, most: float = 0.95) -> OneCycleMomentum:
        """The momentum of the same cycle: from `most` to `least` at the top, and back."""
        shape = self.steps, self.rise, self.anneal, self.three_phase
        return OneCycleMomentum(least, most, *shape)


@dataclass(frozen=True)
class OneCycleMomentum(Schedule):
    """The momentum that PyTorch's OneCycleLR sets: `most` where the learning rate is low, `least`
    at its top. OneCycle.momentum() makes one; it is for SGD's momentum, or for Adam's beta1.

    >>> momentum = mg.schedule.OneCycle(0.1, steps=100).momentum()
    >>> [round(momentum(t), 4) for t in (0, 29, 99)]
    [0.95, 0.85, 0.95]
    """

    least: float
    most: float
    steps: int
    rise: float = 0.3
    anneal: str = "cos"
    three_phase: bool = False

    def __post_init__(self) -> None:
        check_number(self, "least", 0, 1)
        check_number(self, "most", 0, 1)
        _cycle(self)

    def __call__(self, step: int) -> float:
        """The momentum of this step."""
        return _along(self, (self.most, self.least, self.most, self.most), step)


def _cycle(cycle: OneCycle | OneCycleMomentum) -> None:
    """Checks what two sides of a cycle have in common."""
    check_count(cycle, "steps", 2)
    check_number(cycle, "rise", 0, 0.5 if cycle.three_phase else 1)
    if cycle.anneal not in ("cos", "linear"):
        name = type(cycle).__name__
        raise ValueError(f"{name}: anneal is {cycle.anneal!r}, 'cos' or 'linear' is wanted")


def _along(cycle: OneCycle | OneCycleMomentum, values: Sequence[float], step: int) -> float:
    """The value at a step of a cycle that goes from each of four values to the next; the third is
    that at the end of the way down in a cycle of three phases."""
    top, last = cycle.rise * cycle.steps - 1, cycle.steps - 1
    stops = [0.0, top, 2 * top, last] if cycle.three_phase else [0.0, top, last]
    values = values if cycle.three_phase else (*values[:2], values[3])
    phase = 0
    while phase < len(stops) - 2 and step > stops[phase + 1]:
        phase += 1
    first, end = stops[phase], stops[phase + 1]
    share = min((step - first) / (end - first), 1.0) if end != first else 1.0
    if cycle.anneal == "linear":
        return values[phase] + (values[phase + 1] - values[phase]) * share
    return half_cosine(values[phase], values[phase + 1], share)
