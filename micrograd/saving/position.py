"""Where a training run stands after an epoch: what a model file needs to carry on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from micrograd import checks
from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.parameters import Parameters


class Resumable(Protocol):
    """A model whose training can be written down and gone on with.

    layers: those of a network; none of another model, which has no outputs but its loss. dtype: its
    name. step: training passes so far. optimizer, position: of the last fit; None before.
    """

    layers: tuple[Any, ...]
    dtype: str
    optimizer: Any
    position: Position | None
    step: int

    @property
    def loss_name(self) -> str:
        """The name of the loss."""

    def parameters(self) -> Parameters:
        """Its parameters, in two flat arrays."""


@dataclass
class Position:
    """A training run after `epoch` epochs.

    seed: of the shuffling and of the rows set aside; rng: state of the generator that shuffles
    (numpy's bit_generator.state), or None; history: what History.to_dict() gave; stopping: what
    early stopping remembers, or None; settings: the arguments that a run keeps, plain data, None of
    old files. Arrays of all parameters (size,), or None: best, those of the
    best epoch so far; last, those of the last epoch, where the model has been given the best.
    """

    epoch: int = 0
    seed: int | None = None
    rng: dict[str, Any] | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    stopping: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    best: Array | None = None
    last: Array | None = None

    def check(self) -> None:
        """Raises TypeError or ValueError unless the fields are what they should be.

        What comes from a file may be anything.
        """
        if type(self.epoch) is not int or self.epoch < 0:
            raise ValueError(f"epoch is {checks.describe(self.epoch)}, 0 or more is wanted")
        if not isinstance(self.history, dict):
            raise ValueError("history is no mapping")
        for name, values in self.history.items():
            if not isinstance(values, list) or not all(map(checks.is_number, values)):
                raise ValueError(f"history: {name!r} is no list of numbers")
            if len(values) not in (0, self.epoch):
                raise ValueError(
                    f"history: {name!r} has {len(values)} numbers, there are {self.epoch} epochs"
                )
        if not isinstance(self.stopping, (dict, type(None))):
            raise ValueError("what early stopping remembers is damaged")
        if not isinstance(self.settings, (dict, type(None))):
            raise ValueError("the settings of the run are damaged")
        if self.seed is not None and (type(self.seed) is not int or self.seed < 0):
            raise ValueError(f"seed is {checks.describe(self.seed)}, 0 or more is wanted")
        if self.rng is not None:
            self.generator()

    def generator(self) -> np.random.Generator:
        """A generator in the state `rng`."""
        generator = np.random.default_rng(0)
        generator.bit_generator.state = cast("dict[str, Any]", self.rng)
        return generator
