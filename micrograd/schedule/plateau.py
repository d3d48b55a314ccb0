"""A learning rate that falls where a metric no longer improves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from micrograd import checks
from micrograd.schedule.base import Schedule, check_count, check_number


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """lr, multiplied by `factor` each time that a metric has not improved for more than `patience`
    epochs: PyTorch's ReduceLROnPlateau. `fit` calls update() after each epoch, with the validation
    loss where there is one, else with the training loss.

    An improvement is a metric below best * (1 - threshold), or above best * (1 + threshold) with
    mode="max"; with threshold_mode="abs" below best - threshold, or above best + threshold. After a
    reduction no epoch counts as bad for `cooldown` epochs; lr does not fall below `least`, and a
    reduction by no more than `eps` is left out.

    >>> lr = mg.schedule.ReduceOnPlateau(0.1, patience=0)
    >>> lr.update(1.0); lr.update(1.0); round(lr(0), 4)
    0.01
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    mode: str = "min"
    threshold_mode: str = "rel"
    eps: float = 1e-8
    _state: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_number(self, "lr")
        check_number(self, "factor", 0, 1)
        check_count(self, "patience", 0)
        check_number(self, "threshold")
        check_count(self, "cooldown", 0)
        check_number(self, "least")
        if self.mode not in ("min", "max"):
            raise ValueError(f"ReduceOnPlateau: mode is {self.mode!r}, 'min' or 'max' is wanted")
        if self.threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceOnPlateau: threshold_mode is {self.threshold_mode!r}, 'rel' or 'abs' is "
                "wanted"
            )
        check_number(self, "eps")
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
            if s["lr"] - lr > self.eps:
                s["lr"] = lr
            s["rest"], s["bad"] = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        best: float | None = self._state["best"]
        sign = 1 if self.mode == "max" else -1
        if best is None:
            return sign * value > -math.inf
        if self.threshold_mode == "abs":
            return sign * value > sign * best + self.threshold
        return sign * value > sign * best * (1 + sign * self.threshold)

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
