"""What fit calls back after steps and epochs, and the state of the run that it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from micrograd import checks
from micrograd.training.history import History

Callback = Callable[["TrainingState"], Any]


class TrainingState:
    """Where a run of fit stands: what callbacks get.

    model, optimizer: those that are being trained; history: its lists have grown by the epoch when
    on_epoch is called; epochs: how many were asked for; epoch: how many are complete; step: how
    many steps the optimizer has made; loss: mean loss of the last step's rows before that step;
    gradient_norm: Euclidean norm of that step's gradient, before clipping; position: for on_epoch,
    a function that gives where the run stands, for model.position and a file to go on from.

    >>> def stop_when_good(state):
    ...     if state.history.loss[-1] < 0.2:
    ...         state.stop()
    >>> history = net.fit(X, y, epochs=100, callbacks=stop_when_good, seed=0)
    >>> len(history.loss) < 100
    True
    """

    def __init__(
        self, model: Any, optimizer: Any, history: History, epochs: int, epoch: int = 0
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.history = history
        self.epochs = epochs
        self.epoch = epoch
        self.step: int = optimizer.steps
        self.loss = math.nan
        self.gradient_norm = math.nan
        self.stopped = False
        self.position: Callable[[], Any] | None = None

    def stop(self) -> None:
        """Ends training: after this epoch, or in the midst of it when a step called."""
        self.stopped = True


def split_callbacks(where: str, callbacks: Any) -> tuple[list[Callback], list[Callback]]:
    """The functions to call after each step and after each epoch.

    Raises:
        TypeError: something is neither a function nor has on_step or on_epoch.
    """
    if callable(callbacks) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    on_step: list[Callback] = []
    on_epoch: list[Callback] = []
    for callback in callbacks:
        found = False
        for name, functions in (("on_step", on_step), ("on_epoch", on_epoch)):
            function = getattr(callback, name, None)
            if callable(function):
                functions.append(function)
                found = True
        if not found and callable(callback) and not isinstance(callback, type):
            on_epoch.append(callback)
        elif not found:
            raise TypeError(
                f"{where}: the callback {checks.describe(callback)} is neither a function of the "
                "state nor an object with on_step(state) or on_epoch(state)"
            )
    return on_step, on_epoch
