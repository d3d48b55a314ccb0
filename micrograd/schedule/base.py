"""What a schedule is: a function of the step; the constant one, and products."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from micrograd import checks


def check_number(owner: Any, name: str, least: float = 0.0, below: float = math.inf) -> None:
    """Raises TypeError or ValueError unless that field is a number in [least, below)."""
    checks.number(type(owner).__name__, name, getattr(owner, name), least, below)


def check_count(owner: Any, name: str, least: int = 1) -> None:
    """Raises TypeError or ValueError unless that field is an integer of `least` or more."""
    checks.count(type(owner).__name__, name, getattr(owner, name), least)


def check_schedule(owner: Any, value: Any) -> None:
    """Raises TypeError unless `value` is a schedule."""
    if not isinstance(value, Schedule):
        raise TypeError(
            f"{type(owner).__name__}: {checks.describe(value)} where a schedule is wanted; "
            "Constant(x) makes one of a number"
        )


@dataclass(frozen=True)
class Schedule:
    """A function of the step: schedule(t), t = 0, 1, 2, ..., is the learning rate of that step.

    >>> lr = mg.schedule.Cosine(0.1, steps=100)
    >>> isinstance(lr, mg.schedule.Schedule), mg.optim.SGD(net.parameters(), lr=lr).lr(50)
    (True, 0.05)
    """

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        raise NotImplementedError(f"{type(self).__name__} has no learning rate of its own")

    def _inner(self) -> tuple[Schedule, ...]:
        """The schedules that this one is made of."""
        return ()

    def with_inner(self) -> list[Schedule]:
        """Itself, and the schedules that it is made of, and theirs."""
        return [self, *(part for each in self._inner() for part in each.with_inner())]

    def update(self, metric: float) -> None:
        """Takes an epoch's metric: for those that follow one, ReduceOnPlateau.

        Raises:
            TypeError: it is no number.
        """
        for each in self._inner():
            each.update(metric)

    def state_dict(self) -> dict[str, Any]:
        """What it has to remember, plain numbers; empty for most. An optimizer's takes it along."""
        states = {str(i): each.state_dict() for i, each in enumerate(self._inner())}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, state: Any) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: it is not a state of this schedule.
        """
        if not isinstance(state, dict) or state.keys() != self.state_dict().keys():
            raise ValueError(f"{type(self).__name__}.load_state_dict: {checks.describe(state)}")
        for name, inner in state.items():
            self._inner()[int(name)].load_state_dict(inner)

    def __mul__(self, other: Schedule | float) -> Product:
        """The product of two schedules, or of one and a number."""
        return Product(self, other if isinstance(other, Schedule) else Constant(other))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Constant(Schedule):
    """lr at every step.

    >>> mg.schedule.Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        check_number(self, "lr")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr)


@dataclass(frozen=True)
class Product(Schedule):
    """The product of two schedules: a(t) * b(t).

    >>> lr = mg.schedule.Product(mg.schedule.Constant(0.1), mg.schedule.Exponential(1.0, 0.5))
    >>> round(lr(2), 4)
    0.025
    """

    a: Schedule
    b: Schedule

    def __post_init__(self) -> None:
        check_schedule(self, self.a)
        check_schedule(self, self.b)

    def _inner(self) -> tuple[Schedule, ...]:
        return self.a, self.b

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return self.a(step) * self.b(step)
