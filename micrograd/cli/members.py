"""`--preset best`: several networks for a table, trained at once, whose answers are averaged."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from micrograd.convert.models import through
from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.cli.task import Task
    from micrograd.network.network import Network
    from micrograd.sklearn.tabular_recipe import Deadline
    from micrograd.training.history import History


@dataclass(frozen=True)
class Average:
    """Networks of the same layers, as one model."""

    nets: Sequence[Network]

    def predict(self, X: Array) -> Array:
        """The mean of the probabilities, or of the quantities, (rows, outputs)."""
        classes = "softmax" if self.nets[0].loss_name == "cross_entropy" else None
        outputs = [through(classes, net.predict(X).astype(np.float64)) for net in self.nets]
        mean: Array = np.mean(outputs, axis=0)
        return mean

    def save(self, path: str) -> None:
        """Writes all of them to one file."""
        from micrograd.saving import save_members

        save_members(self.nets, path)


def train_members(
    first: Network, task: Task, options: argparse.Namespace
) -> tuple[Average, History]:
    """Trains as many as the preset has, with weights and held-out rows of their own, by as many
    threads as there are; returns them and the history of the first. `first` is their example.
    """
    from micrograd.cli.preset import chosen, fit_recipe
    from micrograd.network.network import Network
    from micrograd.sklearn.tabular_recipe import trained_at_once

    recipe = chosen(options, len(task.train[0]))
    seeds = np.random.default_rng(options.seed).integers(2**31, size=recipe.members).tolist()
    nets = [
        Network(*first.layers, loss=task.loss, dtype=options.dtype, seed=seed) for seed in seeds
    ]

    def fit(number: int, deadline: Deadline) -> History:
        return fit_recipe(nets[number], task, options, [deadline], seeds[number], number == 0)

    try:
        histories = trained_at_once(fit, len(nets), math.inf)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted: --preset best saves its networks when all are trained; nothing is saved"
        ) from None
    for net in nets:
        net.metadata = first.metadata
    return Average(nets), histories[0]
