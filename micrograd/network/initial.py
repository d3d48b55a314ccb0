"""The parameters that layers have: their names, shapes and first values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from micrograd.core import Array
from micrograd.network.blocks import Block, Highway, Residual
from micrograd.network.layers import Activation, Dropout, Identity, Layer, Linear


@dataclass(frozen=True)
class Start:
    """A Linear by its path, such as "0" or "3.gate", and what its parameters start with."""

    path: str
    layer: Linear
    std: float  # of the normal distribution of W
    bias: float = 0.0  # of each number in b

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of its parameters, W first."""
        yield f"{self.path}.weight", (self.layer.out_features, self.layer.in_features)
        if self.layer.bias:
            yield f"{self.path}.bias", (self.layer.out_features,)


def starts(layers: Sequence[Layer], prefix: str = "") -> Iterator[Start]:
    """Every Linear in these layers and in the blocks among them, in the order of the parameters.

    Before a ReLU kind a W is drawn after He et al., elsewhere after Glorot and Bengio (see Linear);
    biases are 0, but for a Highway's gate. Where R Residuals stand in one sequence, the last Linear
    of each F starts with a 1 / sqrt(R) times smaller W: the variance of the sum then grows by a
    factor (1 + 1/R)^R < e over all of them, and not by 2^R.
    """
    residuals = sum(isinstance(layer, Residual) for layer in layers)
    for i, layer in enumerate(layers):
        path = f"{prefix}{i}"
        if isinstance(layer, Linear):
            yield Start(path, layer, layer.initial_std(_before_relu(layers[i + 1 :])))
        elif isinstance(layer, Block):
            inside = list(starts(layer.layers, f"{path}."))
            if isinstance(layer, Residual):
                last = _last_linear(layer)
                inside = [
                    replace(s, std=s.std / math.sqrt(residuals))
                    if s.path == f"{path}.{last}"
                    else s
                    for s in inside
                ]
            yield from inside
            for name, extra in layer.extra().items():
                bias = layer.gate_bias if isinstance(layer, Highway) else 0.0
                yield Start(f"{path}.{name}", extra, extra.initial_std(False), bias)


def _before_relu(following: Sequence[Layer]) -> bool:
    after = next((x for x in following if not isinstance(x, (Identity, Dropout))), None)
    return isinstance(after, Activation) and after.is_relu_kind


def _last_linear(block: Block) -> int:
    """The index of the last layer with a size, if it is a Linear, else -1."""
    for i in reversed(range(len(block.layers))):
        if block.layers[i].takes is not None:
            return i if isinstance(block.layers[i], Linear) else -1
    return -1


def draw(all_starts: Sequence[Start], seed: int) -> Iterator[Array | float]:
    """First values of each parameter in order: an array in float64, or one number for all."""
    rng = np.random.default_rng(seed)
    for start in all_starts:
        layer = start.layer
        yield rng.normal(0.0, start.std, (layer.out_features, layer.in_features))
        if layer.bias:
            yield start.bias
