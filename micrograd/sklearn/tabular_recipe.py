"""What a network for a table is made of, and how it is trained: the ingredients of RealMLP.

Holzmüller, Grinsztajn and Steinwart, "Better by Default" (arXiv 2407.04491, table A.1), made
smaller: an embedding of each number by cosines (PBLD), three hidden layers, dropout, decoupled
weight decay, smoothed labels, a learning rate that rises and falls four times (coslog4), Adam with
beta2 = 0.95, and the epoch with the lowest held-out error kept. What the columns become (robust
scaling, smooth clipping, flags) is the schema's part.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from micrograd import optim
from micrograd.core import Array
from micrograd.network import layers
from micrograd.network.columns import Periodic
from micrograd.network.network import Network
from micrograd.training.callbacks import TrainingState
from micrograd.training.early_stopping import EarlyStopping
from micrograd.training.history import History

HELD_OUT = 0.1  # share of the rows by which the best epoch is chosen
CYCLES = 4  # of the learning rate
LEAST_STEPS = 1000
MOST_EMBEDDED = 256  # numbers: of more, such as the pixels of images, each says little by itself


@dataclass(frozen=True)
class Recipe:
    """Sizes and settings.

    width, depth: of the hidden layers; epochs, batch_size: of training; lr: the peak; dropout:
    share of hidden units; weight_decay, beta2: of AdamW; smoothing: of the labels of classes;
    clip_norm: the longest gradient, None for any; frequencies: cosines of each number, 0 for none;
    members: networks whose answers are averaged.
    """

    width: int = 128
    depth: int = 3
    epochs: int = 60
    batch_size: int = 256
    lr: float = 3e-3
    dropout: float = 0.1
    weight_decay: float = 0.02
    smoothing: float = 0.1
    beta2: float = 0.95
    clip_norm: float | None = None
    frequencies: int = 16
    members: int = 1

    def sized(self, rows: int) -> Recipe:
        """The recipe for so many rows: of few, smaller batches and more epochs.

        A batch is a sixteenth of the rows, 8 at least; there are 1000 steps at least, as far as
        four times the epochs reach.
        """
        batch = min(self.batch_size, max(8, rows // 16))
        epochs = math.ceil(LEAST_STEPS / max(1, rows // batch))
        return replace(
            self, batch_size=batch, epochs=min(max(self.epochs, epochs), 4 * self.epochs)
        )


PRESETS = {
    "fast": Recipe(width=96, depth=2, epochs=24, frequencies=8),
    "default": Recipe(),
    "best": Recipe(width=192, epochs=100, members=5),
}


def coslog(step: int, steps: int, cycles: int = CYCLES) -> float:
    """(1 - cos(2 pi log2(1 + (2^cycles - 1) t))) / 2 at t = step / steps, from 0 to 1 and back
    `cycles` times, each twice as long as the one before (RealMLP, section 3)."""
    t = min(step / steps, 1.0)
    return (1 - math.cos(2 * math.pi * math.log2(1 + (2**cycles - 1) * t))) / 2


def flat_cos(t: float) -> float:
    """1 for the first half of training, then half a cosine down to 0: RealMLP's for decay."""
    return 1.0 if t < 0.5 else (1 + math.cos(math.pi * (2 * t - 1))) / 2


def layers_for(recipe: Recipe, inputs: int, outputs: int, numbers: int) -> list[layers.Layer]:
    """The layers of a network from so many inputs, the first `numbers` of which are on a scale."""
    stack: list[layers.Layer] = []
    width = inputs
    if recipe.frequencies and 0 < numbers <= MOST_EMBEDDED:
        stack.append(Periodic(inputs, numbers, recipe.frequencies))
        width = stack[0].gives(inputs)
    for _ in range(recipe.depth):
        stack += [layers.Linear(width, recipe.width), layers.GELU()]
        if recipe.dropout:
            stack.append(layers.Dropout(recipe.dropout))
        width = recipe.width
    return [*stack, layers.Linear(width, outputs)]


class LastBest:
    """A metric: the share of right classes; of epochs that are equal in it the last is the best, as
    in RealMLP. What is added for each measurement is less than one row of any table."""

    __name__ = "last_best_accuracy"

    def __init__(self) -> None:
        self.measured = 0

    def __call__(self, y: Array, output: Array) -> float:
        """Of the held-out rows after one more epoch."""
        self.measured += 1
        return float((output.argmax(axis=1) == y).mean()) + 1e-12 * self.measured


class Decay:
    """After each epoch: the weight decay of the next one, and the end of the time there is."""

    def __init__(self, recipe: Recipe, deadline: float | None) -> None:
        self.weight_decay, self.deadline = recipe.weight_decay, deadline
        self.ran_out = False

    def on_epoch(self, state: TrainingState) -> None:
        """Called by fit."""
        share = state.epoch / max(state.epochs, 1)
        state.optimizer.weight_decay = self.weight_decay * flat_cos(share)
        if self.deadline is not None and time.monotonic() > self.deadline:
            self.ran_out = state.epoch < state.epochs
            state.stop()


def train(
    net: Network,
    recipe: Recipe,
    rows: tuple[Array, Array, Array | None],
    held_out: tuple[Any, ...] | float | None = None,
    *,
    by_errors: bool = False,
    deadline: float | None = None,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> History:
    """Trains a network on (X, y, sample_weight) as the recipe says, and keeps its best epoch.

    held_out: (X, y) or (X, y, sample_weight) to choose the epoch by, or a share of the rows; None
    keeps the last epoch. by_errors: it is chosen by the share of right classes, else by the loss.
    deadline: of time.monotonic(), after which no further epoch begins. options: of net.fit.
    """
    X, y, weights = rows
    share = held_out if isinstance(held_out, float) else 0.0
    steps = recipe.epochs * math.ceil(math.ceil(len(X) * (1 - share)) / recipe.batch_size)

    def lr(step: int) -> float:
        return recipe.lr * coslog(step, steps)

    optimizer = optim.AdamW(
        net.parameters(), lr, betas=(0.9, recipe.beta2), weight_decay=recipe.weight_decay
    )
    stopping = None
    if held_out is not None:
        monitor, mode = ("val_last_best_accuracy", "max") if by_errors else (None, None)
        stopping = EarlyStopping(patience=recipe.epochs, monitor=monitor, mode=mode)
    if by_errors:
        options["metrics"] = ["accuracy", LastBest()]
    return net.fit(
        X,
        y,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=optimizer,
        validation=held_out,
        clip_norm=recipe.clip_norm,
        sample_weight=weights,
        label_smoothing=recipe.smoothing if net.loss_name == "cross_entropy" else 0.0,
        early_stopping=stopping,
        callbacks=[Decay(recipe, deadline), *callbacks],
        **options,
    )
