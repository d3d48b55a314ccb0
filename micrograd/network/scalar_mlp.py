"""Between the two worlds: an `nn.MLP` of Values as a Network, and back, with the same weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from micrograd.network.layers import Identity, Layer, Linear, ReLU
from micrograd.network.view import NetworkView
from micrograd.nn import MLP

Made = TypeVar("Made", bound=NetworkView)


def from_scalar(mlp: MLP, loss: Any, dtype: str, make: Callable[..., Made]) -> Made:
    """A Network, made by `make`, with the layers and weights of an MLP; see Network.from_scalar."""
    if not isinstance(mlp, MLP):
        raise TypeError(f"Network.from_scalar: {mlp!r:.60} is a {type(mlp).__name__}, want an MLP")
    layers: list[Layer] = []
    for i, layer in enumerate(mlp.layers):
        nonlin = {neuron.nonlin for neuron in layer.neurons}
        if len(nonlin) != 1:
            raise ValueError(
                f"Network.from_scalar: layer {i} has neurons with and without relu; "
                "a Network has one activation for the whole layer"
            )
        layers.append(Linear(len(layer.neurons[0].w), len(layer.neurons)))
        if nonlin.pop():
            layers.append(ReLU())
    net = make(*layers, loss=loss, dtype=dtype, seed=0)
    parameters = iter(net.parameters())
    for layer in mlp.layers:
        next(parameters).data[...] = [[w.data for w in neuron.w] for neuron in layer.neurons]
        next(parameters).data[...] = [neuron.b.data for neuron in layer.neurons]
    return net


def to_scalar(net: NetworkView) -> MLP:
    """An MLP of Values with the layers and weights of a Network; see Network.to_scalar."""
    layers = [layer for layer in net.layers if not isinstance(layer, Identity)]
    sizes: list[int] = []
    nonlin: list[bool] = []
    for layer in layers:
        if isinstance(layer, Linear):
            sizes += [] if sizes else [layer.in_features]
            sizes.append(layer.out_features)
            nonlin.append(False)
        elif isinstance(layer, ReLU) and nonlin and not nonlin[-1]:
            nonlin[-1] = True
        else:
            raise ValueError(
                f"Network.to_scalar: an MLP has no {layer}; it is made of Linear layers, "
                "each with or without a ReLU behind it"
            )
    state = random.getstate()  # the weights that MLP draws are thrown away
    mlp = MLP(sizes[0], sizes[1:])
    random.setstate(state)
    with net.parameters().access.reading():
        data = {p.name: np.asarray(p.data, float).tolist() for p in net.parameters()}
    linear = [i for i, layer in enumerate(net.layers) if isinstance(layer, Linear)]
    for row, i, has_relu in zip(mlp.layers, linear, nonlin, strict=True):
        bias = data.get(f"{i}.bias")
        for k, neuron in enumerate(row.neurons):
            neuron.nonlin = has_relu
            for w, value in zip(neuron.w, data[f"{i}.weight"][k], strict=True):
                w.data = value
            neuron.b.data = 0.0 if bias is None else bias[k]
            neuron.b.requires_grad = bias is not None
    return mlp
