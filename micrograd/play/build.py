"""From a configuration to a network, its optimizer and its constraints."""

from __future__ import annotations

from typing import Any

from micrograd import optim, schedule
from micrograd.network.blocks import Residual
from micrograd.network.layers import ACTIVATIONS, Dropout, Layer, Linear
from micrograd.network.network import Network
from micrograd.optim.constraints import Constraints
from micrograd.play.config import Config
from micrograd.play.dataset import Dataset

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
}
DECAY = 0.01  # of the learning rate, over the horizon of an exponential schedule


def layers_of(config: Config, features: int, outputs: int) -> list[Layer]:
    """Linear layers with activations, and dropout, between them.

    With skip connections every hidden layer but the first is x + W f(x) + b: the activation comes
    first in the block, so that what is added can have either sign (He et al., "Identity mappings in
    deep residual networks", 2016).
    """
    init = None if config.init == "auto" else config.init
    activation = ACTIVATIONS[config.activation]()
    bend: list[Layer] = [activation, Dropout(config.dropout)] if config.dropout else [activation]
    made: list[Layer] = []
    width = features
    for number, size in enumerate(config.layers):
        linear = Linear(width, size, init=init)
        if number == 0:
            made.append(linear)
        elif config.skip:
            made.append(Residual(*bend, linear, projection=size != width))
        else:
            made += [*bend, linear]
        width = size
    made += bend if config.layers else []
    return [*made, Linear(width, outputs, init=init)]


def network_of(config: Config, data: Dataset) -> Network:
    """The network, with its first weights.

    Raises:
        ValueError: it would have no weights that are finite.
    """
    layers = layers_of(config, data.X.shape[1], data.outputs)
    net = Network(*layers, loss=data.loss, seed=config.seed)
    if config.gain != 1:
        for p in net.parameters():
            if p.data.ndim == 2:
                p.data *= config.gain
    return net


def learning_rate(config: Config) -> Any:
    """A number, or a schedule of micrograd.schedule."""
    lr, horizon = config.lr, config.horizon
    if config.schedule == "cosine":
        return schedule.Cosine(lr, horizon)
    if config.schedule == "warmup":
        return schedule.Cosine(lr, horizon, warmup=max(horizon // 10, 1))
    if config.schedule == "steps":
        return schedule.Step(lr, max(horizon // 4, 1), 0.5)
    if config.schedule == "exponential":
        return schedule.Exponential(lr, DECAY ** (1 / horizon))
    return lr


def optimizer_of(config: Config, net: Network) -> optim.Optimizer:
    """The optimizer for the network's parameters."""
    kind, settings = OPTIMIZERS[config.optimizer]
    made: optim.Optimizer = getattr(optim, kind)(
        net.parameters(), lr=learning_rate(config), **settings
    )
    return made


def constraints_of(config: Config, net: Network) -> Constraints:
    """Penalty and clipping."""
    return Constraints(net.parameters(), l2=config.l2, clip_norm=config.clip or None, where="play")
