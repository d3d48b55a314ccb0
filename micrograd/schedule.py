"""Learning-rate schedules: functions of the step, to be an optimizer's `lr`; they compose.

    SGD(params, lr=Warmup(Cosine(0.1, steps=1000), 100))
    SGD(params, lr=Sequence((100, Linear(0.0, 0.1, 100)), (None, Exponential(0.1, 0.999))))
    SGD(params, lr=Product(OneCycle(0.1, 500), Step(1.0, 200, 0.5)))

A schedule is a frozen dataclass of numbers and further schedules: equal settings are equal
schedules, and a model file holds them by name and fields. Steps count from 0, as `optimizer.steps`
does. Where PyTorch has the same schedule the numbers are its numbers; it counts epochs or steps, as
its caller does, so multiply by the steps of an epoch to have the former.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from micrograd import checks

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "Linear",
    "OneCycle",
    "Product",
    "ReduceOnPlateau",
    "Schedule",
    "Sequence",
    "Step",
    "Warmup",
]


def _number(owner: Any, name: str, least: float = 0.0, below: float = math.inf) -> None:
    checks.number(type(owner).__name__, name, getattr(owner, name), least, below)


def _count(owner: Any, name: str, least: int = 1) -> None:
    checks.count(type(owner).__name__, name, getattr(owner, name), least)


def _schedule(owner: Any, value: Any) -> None:
    if not isinstance(value, Schedule):
        raise TypeError(
            f"{type(owner).__name__}: {checks.describe(value)} where a schedule is wanted; "
            "Constant(x) makes one of a number"
        )


@dataclass(frozen=True)
class Schedule:
    """A function of the step: schedule(t), t = 0, 1, 2, ..., is the learning rate of that step."""

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        raise NotImplementedError(f"{type(self).__name__} has no learning rate of its own")

    def _inner(self) -> tuple[Schedule, ...]:
        """The schedules that this one is made of."""
        return ()

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
    """lr at every step."""

    lr: float

    def __post_init__(self) -> None:
        _number(self, "lr")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr)


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` at step 0 to `end` at step `steps` in a straight line; `end` from there on."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        _number(self, "start")
        _number(self, "end")
        _count(self, "steps")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        share = min(step / self.steps, 1.0)
        return self.start * (1 - share) + self.end * share


@dataclass(frozen=True)
class Step(Schedule):
    """lr * gamma^(step // every): PyTorch's StepLR."""

    lr: float
    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _number(self, "lr")
        _count(self, "every")
        _number(self, "gamma")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr * self.gamma ** (step // self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr * gamma^step: PyTorch's ExponentialLR."""

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        _number(self, "lr")
        _number(self, "gamma")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr * self.gamma**step)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From lr at step `warmup` along half a cosine to `end` at step `steps`; `end` from there on.

    end + (lr - end) (1 + cos(pi (t - warmup) / (steps - warmup))) / 2, and before that
    lr (t + 1) / (warmup + 1). Without warm-up it is PyTorch's CosineAnnealingLR of the same length.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017),
    eq. 5; warm-up: Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2.
    """

    lr: float
    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        _number(self, "lr")
        _count(self, "steps")
        _count(self, "warmup", 0)
        _number(self, "end")
        if self.warmup >= self.steps:
            raise ValueError(
                f"Cosine: warmup is {self.warmup}, less than the {self.steps} steps is wanted"
            )

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        share = min((step - self.warmup) / (self.steps - self.warmup), 1.0)
        return self.end + (self.lr - self.end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from lr / start_divisor to lr over the first `rise` of the steps, then down to
    lr / start_divisor / end_divisor at the last, both along half a cosine: PyTorch's OneCycleLR
    with anneal_strategy="cos". The last value stays.

    Source: Smith and Topin, "Super-convergence" (2018).
    """

    lr: float
    steps: int
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        _number(self, "lr")
        _count(self, "steps", 2)
        _number(self, "rise", 0, 1)
        for name in ("start_divisor", "end_divisor"):
            _number(self, name)
            if getattr(self, name) == 0:
                raise ValueError(f"OneCycle: {name} is 0, more than 0 is wanted")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        top, last = self.rise * self.steps - 1, self.steps - 1
        start = self.lr / self.start_divisor
        if step <= top:
            return _half_cosine(start, self.lr, step / top if top else 1.0)
        share = min((step - top) / (last - top), 1.0)
        return _half_cosine(self.lr, start / self.end_divisor, share)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Warmup(Schedule):
    """`schedule` from step `steps` on, its step 0 being that one; before that a straight line from
    `start` at step 0 to where it begins."""

    schedule: Schedule
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        _schedule(self, self.schedule)
        _count(self, "steps")
        _number(self, "start")

    def _inner(self) -> tuple[Schedule, ...]:
        return (self.schedule,)

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        if step >= self.steps:
            return self.schedule(step - self.steps)
        share = step / self.steps
        return self.start * (1 - share) + self.schedule(0) * share


@dataclass(frozen=True, init=False)
class Sequence(Schedule):
    """Schedules one after the other, (how many steps, schedule), each counting from 0; the last one
    goes on, and its number of steps may be None: PyTorch's SequentialLR."""

    parts: tuple[tuple[int | None, Schedule], ...]

    def __init__(self, *parts: Any, **named: Any) -> None:
        given = named.get("parts", parts)
        object.__setattr__(self, "parts", tuple(tuple(part) for part in given))
        if set(named) - {"parts"} or not self.parts:
            raise TypeError("Sequence: pairs (steps, schedule) are wanted, one or more")
        for i, part in enumerate(self.parts):
            if len(part) != 2:
                raise TypeError(
                    f"Sequence: part {i} is {part!r}, a pair (steps, schedule) is wanted"
                )
            steps, schedule = part
            _schedule(self, schedule)
            if steps is None and i == len(self.parts) - 1:
                continue
            checks.count("Sequence", "steps", steps)

    def _inner(self) -> tuple[Schedule, ...]:
        return tuple(schedule for _, schedule in self.parts)

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        for steps, schedule in self.parts[:-1]:
            assert steps is not None
            if step < steps:
                return schedule(step)
            step -= steps
        return self.parts[-1][1](step)


@dataclass(frozen=True)
class Product(Schedule):
    """The product of two schedules: a(t) * b(t)."""

    a: Schedule
    b: Schedule

    def __post_init__(self) -> None:
        _schedule(self, self.a)
        _schedule(self, self.b)

    def _inner(self) -> tuple[Schedule, ...]:
        return self.a, self.b

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return self.a(step) * self.b(step)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """lr, multiplied by `factor` each time that a metric has not improved for more than `patience`
    epochs: PyTorch's ReduceLROnPlateau. `fit` calls update() after each epoch, with the validation
    loss where there is one, else with the training loss.

    An improvement is a metric below best * (1 - threshold), or above best * (1 + threshold) with
    mode="max"; after a reduction no epoch counts as bad for `cooldown` epochs; lr does not fall
    below `least`.
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    mode: str = "min"
    _state: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _number(self, "lr")
        _number(self, "factor", 0, 1)
        _count(self, "patience", 0)
        _number(self, "threshold")
        _count(self, "cooldown", 0)
        _number(self, "least")
        if self.mode not in ("min", "max"):
            raise ValueError(f"ReduceOnPlateau: mode is {self.mode!r}, 'min' or 'max' is wanted")
        state = {"lr": float(self.lr), "best": None, "bad": 0, "rest": 0}
        object.__setattr__(self, "_state", state)

    def __call__(self, step: int) -> float:
        """The learning rate as the last update left it."""
        return self._state["lr"]  # type: ignore[no-any-return]

    def update(self, metric: float) -> None:
        """Takes an epoch's metric. NaN is no improvement.

        Raises:
            TypeError: it is no number.
        """
        if not checks.is_number(metric):
            raise TypeError(
                f"ReduceOnPlateau.update: metric is {checks.describe(metric)}, a number is wanted"
            )
        s, value = self._state, float(metric)
        if self._improves(value):
            s["best"], s["bad"] = value, 0
        else:
            s["bad"] += 1
        if s["rest"] > 0:
            s["rest"], s["bad"] = s["rest"] - 1, 0
        if s["bad"] > self.patience:
            lr = max(s["lr"] * self.factor, self.least)
            if s["lr"] - lr > 1e-8:
                s["lr"] = lr
            s["rest"], s["bad"] = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        best = self._state["best"]
        if self.mode == "min":
            return value < (math.inf if best is None else best * (1 - self.threshold))
        return value > (-math.inf if best is None else best * (1 + self.threshold))

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: plain numbers; an optimizer's state_dict takes it along."""
        return dict(self._state)

    def load_state_dict(self, state: Any) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: it is not such a state.
        """
        wanted: dict[str, Any] = {
            "lr": float, "best": (float, type(None)), "bad": int, "rest": int,
        }  # fmt: skip
        if not isinstance(state, dict) or set(state) != set(wanted):
            raise ValueError(
                f"ReduceOnPlateau.load_state_dict: {checks.describe(state)} is no state"
            )
        for name, kind in wanted.items():
            if isinstance(state[name], bool) or not isinstance(state[name], kind):
                raise ValueError(
                    f"ReduceOnPlateau.load_state_dict: {name} is {checks.describe(state[name])}"
                )
        self._state.update(state)
