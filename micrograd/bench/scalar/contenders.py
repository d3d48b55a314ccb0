"""Who takes part in `micrograd bench --scalar`: the same function in several engines.

The function is the moons notebook's: MLP(2, [16, 16, 1]) on 100 samples, hinge loss and an L2
penalty, from the same weights.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import micrograd as mg
from micrograd import nn
from micrograd.bench.scalar.values import (
    PENALTY,
    SIZES,
    Bare,
    Closures,
    OpByOpMLP,
    load_peer,
    loss_of,
)
from micrograd.engine.value import Value

SAMPLES = 100
LEARNING_RATE = 1e-6  # of the steps that update: so small that all rounds do the same work


@dataclass
class Contender:
    """step: what is timed. outcome: loss and gradients at the first weights, to be compared."""

    step: Callable[[], Any]
    outcome: Callable[[], tuple[float, list[float]]]


def moons() -> tuple[list[list[float]], list[float]]:
    """Points on two half circles hooked into each other, and labels -1 and 1."""
    draw = random.Random(1)
    points, labels = [], []
    for i in range(SAMPLES):
        upper, t = i % 2 == 0, math.pi * (i // 2) / (SAMPLES // 2 - 1)
        x, y = (math.cos(t), math.sin(t)) if upper else (1 - math.cos(t), 0.5 - math.sin(t))
        points.append([x + draw.gauss(0, 0.1), y + draw.gauss(0, 0.1)])
        labels.append(-1.0 if upper else 1.0)
    return points, labels


def _eager(parameters: list[Any], loss: Callable[[], Any]) -> Contender:
    def step() -> Any:
        for p in parameters:
            p.grad = 0.0
        total = loss()
        total.backward()
        return total

    def outcome() -> tuple[float, list[float]]:
        total = step()
        return total.data, [float(p.grad) for p in parameters]

    return Contender(step, outcome)


def op_by_op(make: Callable[[float], Any]) -> Contender:
    """An engine that computes with + and * and relu only; numbers of the data are Values."""
    X, y = moons()
    model = OpByOpMLP(make)
    parameters = model.parameters()
    return _eager(parameters, lambda: loss_of(model, parameters, make, X, y))


def peer(path: Path) -> Contender:
    """karpathy/micrograd as shipped, its own MLP."""
    value, mlp = load_peer(path)
    X, y = moons()
    random.seed(1337)
    model = mlp(SIZES[0], list(SIZES[1:]))
    parameters = model.parameters()
    return _eager(parameters, lambda: loss_of(model, parameters, value, X, y))


def _our_mlp() -> nn.MLP:
    random.seed(1337)
    return nn.MLP(SIZES[0], list(SIZES[1:]))


def with_nn() -> Contender:
    """`micrograd.nn`, whose neurons are a node each, and `mg.sum`."""
    X, y = moons()
    model = _our_mlp()
    parameters = model.parameters()

    def loss() -> Value:
        losses = [(1 - label * model(x)).relu() for x, label in zip(X, y, strict=True)]
        return mg.sum(losses) / len(losses) + PENALTY * mg.sum([p * p for p in parameters])

    return _eager(parameters, loss)


def compiled() -> Contender:
    """A step of SGD: loss, backward, update, the gradients started from zero."""
    import numpy as np

    from micrograd import core

    core.set_num_threads(1)
    X, y = map(np.array, moons())
    model = _our_mlp()
    weights = model.parameters()

    def of_sample(x: Any, label: Any) -> Any:
        return (1 - label * model(x)).relu() + PENALTY * mg.sum([w * w for w in weights])

    program = mg.compile(of_sample).record(X, y)
    optimizer = mg.optim.SGD(program.parameters(), lr=LEARNING_RATE)

    def step() -> float:
        loss = program.loss(X, y)
        optimizer.zero_grad()
        program.backward()
        optimizer.step()
        return loss

    def outcome() -> tuple[float, list[float]]:
        loss = program.loss(X, y)
        program.zero_grad()
        program.backward()
        return loss, program.parameters().flat_grad.tolist()

    return Contender(step, outcome)


def torch_tensors() -> Contender:
    """The same step with torch tensors, eager, on one thread."""
    import torch

    torch.set_num_threads(1)
    X, y = (torch.tensor(each, dtype=torch.float64) for each in moons())
    model = _our_mlp()
    layers = [
        (
            torch.tensor([[w.data for w in n.w] for n in layer.neurons], dtype=torch.float64),
            torch.tensor([n.b.data for n in layer.neurons], dtype=torch.float64),
        )
        for layer in model.layers
    ]
    tensors = [t.requires_grad_() for pair in layers for t in pair]
    optimizer = torch.optim.SGD(tensors, lr=LEARNING_RATE)

    def forward() -> Any:
        a = X
        for i in range(0, len(tensors), 2):
            z = torch.nn.functional.linear(a, tensors[i], tensors[i + 1])
            a = z if i + 2 == len(tensors) else torch.relu(z)
        hinge = torch.relu(1 - y * a[:, 0]).mean()
        return hinge + PENALTY * sum((t * t).sum() for t in tensors)

    def step() -> Any:
        optimizer.zero_grad()
        loss = forward()
        loss.backward()
        optimizer.step()
        return loss

    def outcome() -> tuple[float, list[float]]:
        optimizer.zero_grad()
        loss = forward()
        loss.backward()
        parts = []
        for i in range(0, len(tensors), 2):  # neuron by neuron, weights and bias
            w, b = tensors[i].grad, tensors[i + 1].grad
            assert w is not None and b is not None
            parts.append(torch.cat([w, b[:, None]], 1).reshape(-1))
        return loss.item(), torch.cat(parts).tolist()

    return Contender(step, outcome)


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "closures and sets": lambda: op_by_op(Closures),
    "slots and tuples": lambda: op_by_op(Bare),
    "micrograd, op by op": lambda: op_by_op(Value),
    "micrograd.nn": with_nn,
    "mg.compile, SGD step": compiled,
    "torch tensors, SGD step": torch_tensors,
}


def find(name: str) -> Contender:
    """A contender by its name; any other name is a path of karpathy/micrograd.

    Raises:
        ImportError, ValueError: it is not there.
    """
    return CONTENDERS[name]() if name in CONTENDERS else peer(Path(name))
