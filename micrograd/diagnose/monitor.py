"""A callback for fit that diagnoses a fixed batch as training goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, get_args

from micrograd import checks
from micrograd.diagnose.measure import diagnose
from micrograd.diagnose.report import Diagnosis, Verdict


class State(Protocol):
    """What a Monitor looks at of a training run: micrograd.training.TrainingState has it."""

    model: Any
    optimizer: Any
    epoch: int

    def stop(self) -> None:
        """Ends the run."""


class Monitor:
    """A callback for fit that diagnoses a fixed batch as training goes on.

    Args:
        X, y: the batch; a few hundred rows do.
        every: diagnoses after every so many epochs, 1 or more.
        stop_on: verdicts that end training, such as ("exploding",).

    Attributes:
        epochs: after which epochs; diagnoses: what was found, with the optimizer's next update.

    Raises:
        TypeError, ValueError: every is no integer or less than 1, stop_on names no verdict.

    >>> monitor = mg.diagnose.Monitor(X[:256], y[:256])
    >>> history = net.fit(X, y, epochs=2, callbacks=monitor, seed=0)
    >>> monitor.epochs, monitor.diagnoses[-1].verdict
    ([1, 2], 'healthy')
    """

    def __init__(self, X: Any, y: Any, every: int = 1, stop_on: Sequence[Verdict] = ()) -> None:
        every = checks.count("Monitor", "every", every)
        self.stop_on = (stop_on,) if isinstance(stop_on, str) else tuple(stop_on)
        unknown = set(self.stop_on) - set(get_args(Verdict))
        if unknown:
            raise ValueError(
                f"Monitor: stop_on has {sorted(unknown)[0]!r}, "
                f"verdicts are {', '.join(get_args(Verdict))}"
            )
        self.X, self.y, self.every = X, y, every
        self.epochs: list[int] = []
        self.diagnoses: list[Diagnosis] = []

    def on_epoch(self, state: State) -> None:
        """Diagnoses the model of a run of fit; may end the run."""
        if state.epoch % self.every:
            return
        found = diagnose(state.model, self.X, self.y, optimizer=state.optimizer)
        self.epochs.append(state.epoch)
        self.diagnoses.append(found)
        if found.verdict in self.stop_on:
            state.stop()

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """Draws the ratio and the update of each layer over the epochs, as Diagnosis.plot does
        over the layers; returns the matplotlib Figure.

        Raises:
            ImportError, ValueError, OSError: as Diagnosis.plot; ValueError before the first epoch.
        """
        from micrograd.plot.flow import monitored_flow

        if not self.diagnoses:
            raise ValueError("Monitor.plot: nothing has been diagnosed yet")
        names = [layer.name for layer in self.diagnoses[0].layers]
        ratios, updates = (
            [
                [getattr(found.layers[i], name) for found in self.diagnoses]
                for i in range(len(names))
            ]
            for name in ("ratio", "update")
        )
        return monitored_flow(self.epochs, names, ratios, updates, path, title)
