"""Schedules one after the other: a warm-up before one, or any number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from micrograd import checks
from micrograd.schedule.base import Schedule, check_count, check_number, check_schedule


@dataclass(frozen=True)
class Warmup(Schedule):
    """`schedule` from step `steps` on, its step 0 being that one; before that a straight line from
    `start` at step 0 to where it begins.

    >>> lr = mg.schedule.Warmup(mg.schedule.Constant(0.1), steps=10)
    >>> [round(lr(t), 4) for t in (0, 5, 10)]
    [0.0, 0.05, 0.1]
    """

    schedule: Schedule
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        check_schedule(self, self.schedule)
        check_count(self, "steps")
        check_number(self, "start")

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
    goes on, and its number of steps may be None: PyTorch's SequentialLR.

    >>> flat, fall = mg.schedule.Constant(0.1), mg.schedule.Linear(0.1, 0.0, steps=10)
    >>> lr = mg.schedule.Sequence((5, flat), (None, fall))
    >>> [round(lr(t), 4) for t in (0, 4, 5, 10, 15)]
    [0.1, 0.1, 0.1, 0.05, 0.0]
    """

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
            check_schedule(self, schedule)
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
