"""The parameters that layers have: their names, shapes and first values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from micrograd.core import Array
from micrograd.network.blocks import Block, Highway, Residual, walk
from micrograd.network.layers import Activation, Dropout, First, Identity, Layer, Linear


@dataclass(frozen=True)
class Start:
    """A layer with parameters by its path, such as "0" or "3.gate", and what they start with."""

    path: str
    layer: Layer
    firsts: tuple[First, ...]

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of its parameters, in order."""
        for first in self.firsts:
            yield f"{self.path}.{first.name}", first.shape


def starts(layers: Sequence[Layer]) -> Iterator[Start]:
    """Every layer with parameters, in the order of the parameters, those in blocks included.

    Before a ReLU kind a W is drawn after He et al., elsewhere after Glorot and Bengio (see Linear);
    biases are 0, but for a Highway's gate. Where R Residuals stand in one sequence, the last Linear
    of each F starts with a 1 / sqrt(R) times smaller W: the variance of the sum then grows by a
    factor (1 + 1/R)^R < e over all of them, and not by 2^R.
    """
    context = _Context()
    context.sequence(layers, "")
    for path, layer in walk(layers):
        if isinstance(layer, Block):
            context.block(layer, path)
            continue
        firsts = tuple(layer.firsts(path in context.before_relu))
        if path in context.divisors:
            firsts = _divided(firsts, context.divisors[path])
        if path in context.gates:
            firsts = tuple(
                replace(f, mean=context.gates[path]) if f.name == "bias" else f for f in firsts
            )
        if firsts:
            yield Start(path, layer, firsts)


class _Context:
    """What the first values of a layer depend on besides the layer, by its path."""

    def __init__(self) -> None:
        self.before_relu: set[str] = set()
        self.divisors: dict[str, float] = {}  # of the standard deviation
        self.gates: dict[str, float] = {}  # the bias of a Highway's gate
        self.residuals: dict[str, int] = {}  # in the sequence that a block is in

    def sequence(self, layers: Sequence[Layer], prefix: str) -> None:
        count = sum(isinstance(layer, Residual) for layer in layers)
        follows = False  # a ReLU kind, seen from the end
        for i, layer in reversed(list(enumerate(layers))):
            path = f"{prefix}{i}"
            if follows:
                self.before_relu.add(path)
            self.residuals[path] = count
            if not isinstance(layer, (Identity, Dropout)):
                follows = isinstance(layer, Activation) and layer.is_relu_kind

    def block(self, block: Block, path: str) -> None:
        self.sequence(block.layers, f"{path}.")
        if isinstance(block, Residual):
            last = _last_linear(block)
            if last is not None:
                self.divisors[f"{path}.{last}"] = math.sqrt(self.residuals[path])
        elif isinstance(block, Highway):
            self.gates[f"{path}.gate"] = block.gate_bias


def _divided(firsts: Sequence[First], by: float) -> tuple[First, ...]:
    return tuple(replace(first, std=first.std / by) for first in firsts)


def _last_linear(block: Block) -> int | None:
    """The index of the last layer with a size, if it is a Linear."""
    for i in reversed(range(len(block.layers))):
        if block.layers[i].takes is not None:
            return i if isinstance(block.layers[i], Linear) else None
    return None


def draw(all_starts: Sequence[Start], seed: int) -> Iterator[Array | float]:
    """First values of each parameter in order: an array in float64, or one number for all."""
    rng = np.random.default_rng(seed)
    for start in all_starts:
        for first in start.firsts:
            if first.std:
                yield rng.normal(first.mean, first.std, first.shape)
            else:
                yield first.mean
