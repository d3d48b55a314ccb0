"""Schedules that are one curve: straight, in steps, exponential, along half a cosine."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from micrograd import checks
from micrograd.schedule.base import Schedule, check_count, check_number


def half_cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine; share is in [0, 1]."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` at step 0 to `end` at step `steps` in a straight line; `end` from there on.

    >>> round(mg.schedule.Linear(0.1, 0.0, steps=100)(25), 4)
    0.075
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check_number(self, "start")
        check_number(self, "end")
        check_count(self, "steps")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        share = min(step / self.steps, 1.0)
        return self.start * (1 - share) + self.end * share


@dataclass(frozen=True)
class Step(Schedule):
    """lr * gamma^(step // every): PyTorch's StepLR.

    >>> lr = mg.schedule.Step(0.1, every=10)
    >>> [round(lr(t), 4) for t in (9, 10, 20)]
    [0.1, 0.01, 0.001]
    """

    lr: float
    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_count(self, "every")
        check_number(self, "gamma")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr * self.gamma ** (step // self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr * gamma^step: PyTorch's ExponentialLR.

    >>> round(mg.schedule.Exponential(0.1, gamma=0.5)(2), 4)
    0.025
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_number(self, "gamma")

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

    >>> lr = mg.schedule.Cosine(0.1, steps=100, warmup=10)
    >>> [round(lr(t), 4) for t in (0, 10, 55, 100)]
    [0.0091, 0.1, 0.05, 0.0]
    """

    lr: float
    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_count(self, "steps")
        check_count(self, "warmup", 0)
        check_number(self, "end")
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
class MultiStep(Schedule):
    """lr * gamma^(how many of the milestones have been reached): PyTorch's MultiStepLR.

    >>> lr = mg.schedule.MultiStep(0.1, milestones=(10, 20))
    >>> [round(lr(t), 4) for t in (9, 10, 20)]
    [0.1, 0.01, 0.001]
    """

    lr: float
    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_number(self, "gamma")
        given = self.milestones
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(
                f"MultiStep: milestones is {checks.describe(given)}, numbers of steps are wanted"
            )
        steps = tuple(checks.count("MultiStep", "milestones", step, 0) for step in given)
        object.__setattr__(self, "milestones", tuple(sorted(steps)))

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        return float(self.lr * self.gamma ** bisect_right(self.milestones, step))


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half a cosine from lr to `end` over `period` steps, then from lr again, each period `growth`
    times as long as the one before: PyTorch's CosineAnnealingWarmRestarts.

    Source: Loshchilov and Hutter, "SGDR" (2017), eq. 5.

    >>> lr = mg.schedule.CosineRestarts(0.1, period=10, growth=2)
    >>> [round(lr(t), 4) for t in (0, 5, 10, 20, 30)]
    [0.1, 0.05, 0.1, 0.05, 0.1]
    """

    lr: float
    period: int
    growth: int = 1
    end: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_count(self, "period")
        check_count(self, "growth")
        check_number(self, "end")

    def __call__(self, step: int) -> float:
        """The learning rate of this step."""
        period = self.period
        if self.growth == 1:
            step %= period
        while step >= period:
            step, period = step - period, period * self.growth
        return half_cosine(self.lr, self.end, step / period)
