"""Early stopping: when a run has been waiting long enough for something better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from micrograd import checks


@dataclass(frozen=True)
class EarlyStopping:
    """Stops training once a quantity has not become better for a number of epochs.

    Args:
        patience: epochs without improvement after which training stops, 1 or more.
        min_delta: what counts as better has to be so by more than this.
        monitor: a name in History.to_dict(): "val_loss", "val_accuracy", "loss", a metric's. None
            takes val_loss, or loss where there is no validation.
        mode: "min" or "max", whichever is better; None knows it of losses, errors, accuracy, r2.
        restore_best: at the end of fit, put back the parameters of the best epoch.

    Raises:
        TypeError, ValueError: a setting is out of its range; fit: nothing of that name is measured.

    >>> stop = mg.EarlyStopping(patience=2, monitor="val_accuracy")
    >>> history = net.fit(X, y, epochs=30, validation=0.2, early_stopping=stop, seed=0)
    >>> history.best_epoch <= len(history.loss) <= 30
    True
    """

    patience: int = 10
    min_delta: float = 0.0
    monitor: str | None = None
    mode: str | None = None
    restore_best: bool = True

    def __post_init__(self) -> None:
        patience = checks.count("EarlyStopping", "patience", self.patience)
        min_delta = checks.number("EarlyStopping", "min_delta", self.min_delta)
        object.__setattr__(self, "patience", patience)
        object.__setattr__(self, "min_delta", min_delta)
        restore = checks.flag("EarlyStopping", "restore_best", self.restore_best)
        object.__setattr__(self, "restore_best", restore)
        if self.mode not in (None, "min", "max"):
            raise ValueError(f"EarlyStopping: mode is {self.mode!r}, 'min' or 'max' is wanted")


_HIGHER_IS_BETTER = ("accuracy", "balanced_accuracy", "r2")
_LOWER_IS_BETTER = ("loss", "mae", "mse", "rmse")


class Patience:
    """How long early stopping has been waiting: its settings made definite, and what it remembers.

    measured: the names that the history will have.
    """

    def __init__(self, where: str, settings: EarlyStopping, measured: list[str]) -> None:
        self.settings = settings
        default = "val_loss" if "val_loss" in measured else "loss"
        self.monitor = default if settings.monitor is None else settings.monitor
        if self.monitor not in measured:
            raise ValueError(
                f"{where}: early stopping monitors {self.monitor!r}, which is not measured; "
                f"measured are {', '.join(measured)}"
            )
        name = self.monitor.removeprefix("val_")
        if settings.mode is None and name not in _HIGHER_IS_BETTER + _LOWER_IS_BETTER:
            raise ValueError(
                f"{where}: early stopping monitors {name!r}; say mode='min' or mode='max'"
            )
        mode = settings.mode or ("max" if name in _HIGHER_IS_BETTER else "min")
        self._sign = 1.0 if mode == "min" else -1.0
        self.best: float | None = None
        self.best_epoch = 0
        self.since = 0  # the epoch that it began to wait at

    def improved(self, epoch: int, value: float) -> bool:
        """Whether this epoch is the best so far; remembers it."""
        score = self._sign * value
        if not math.isfinite(score):
            return False
        if self.best is not None and not score < self._sign * self.best - self.settings.min_delta:
            return False
        self.best, self.best_epoch = value, epoch
        return True

    def exhausted(self, epoch: int) -> bool:
        """Whether it has waited long enough."""
        return epoch - max(self.best_epoch, self.since) >= self.settings.patience

    def state(self) -> dict[str, Any]:
        """What it remembers, for a model file."""
        return {"monitor": self.monitor, "best": self.best, "best_epoch": self.best_epoch}

    def restore(self, where: str, state: dict[str, Any]) -> None:
        """Takes over what state() gave.

        Raises:
            ValueError: it is of another quantity, or damaged.
        """
        best, best_epoch = state.get("best"), state.get("best_epoch")
        if state.get("monitor") != self.monitor:
            raise ValueError(
                f"{where}: early stopping monitors {self.monitor!r}, in the file "
                f"{state.get('monitor')!r}"
            )
        if type(best) not in (int, float, type(None)) or type(best_epoch) is not int:
            raise ValueError(f"{where}: what early stopping remembers is damaged")
        self.best, self.best_epoch = best, best_epoch


def as_early_stopping(where: str, value: Any) -> EarlyStopping:
    """fit's argument: a patience, or an EarlyStopping.

    Raises:
        TypeError, ValueError: it is none of these.
    """
    if isinstance(value, EarlyStopping):
        return value
    if not checks.is_integer(value):
        raise TypeError(
            f"{where}: early_stopping is {checks.describe(value)}, a patience in epochs or a "
            "micrograd.EarlyStopping is wanted"
        )
    return EarlyStopping(checks.count(where, "early_stopping", value))
