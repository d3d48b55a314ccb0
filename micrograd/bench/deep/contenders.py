"""Deep networks as micrograd and torch run them: the contenders of `micrograd bench --deep`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import micrograd as mg
from micrograd.core import Array
from micrograd.network.layers import Layer

WIDTH, BLOCK_ROWS, CHAIN_ROWS, DEPTH, GROWTH = 256, 128, 256, 32, 32
RATE = 1e-3

BLOCKS = ("residual", "highway", "dense")


def layers_of(problem: str) -> list[Layer]:
    """The layers of "residual", "highway", "dense", or of "64": a chain of so many."""

    def body(features: int = WIDTH, gives: int = WIDTH) -> tuple[Layer, Layer]:
        return mg.Linear(features, gives), mg.ReLU()

    if problem == "residual":
        out: list[Layer] = [mg.Residual(*body()) for _ in range(DEPTH)]
    elif problem == "highway":
        out = [mg.Highway(*body()) for _ in range(DEPTH)]
    elif problem == "dense":
        groups = [body(WIDTH + GROWTH * i, GROWTH) for i in range(DEPTH)]
        out = [mg.DenseBlock(*(layer for group in groups for layer in group))]
        return [*out, mg.Linear(WIDTH + GROWTH * DEPTH, WIDTH)]
    else:
        out = [layer for _ in range(int(problem) - 1) for layer in body()]
    return [*out, mg.Linear(WIDTH, WIDTH)]


def data_of(problem: str) -> tuple[Array, Array]:
    """X and targets, (rows, WIDTH) each."""
    rng = np.random.default_rng(0)
    rows = BLOCK_ROWS if problem in BLOCKS else CHAIN_ROWS
    X, y = rng.normal(size=(2, rows, WIDTH)).astype(np.float32)
    return X, y


class Ours:
    """One SGD step of a Network; `kind` is "plain" or a checkpoint policy's name."""

    def __init__(self, problem: str, kind: str) -> None:
        self.X, self.y = data_of(problem)
        checkpoint = None if kind == "plain" else kind
        self.net = mg.Network(*layers_of(problem), loss="mse", seed=0, checkpoint=checkpoint)
        self.optimizer = mg.optim.SGD(self.net.parameters(), lr=RATE)

    def gradients(self) -> tuple[float, list[float]]:
        """The loss, and the norm of the gradient of each parameter."""
        self.net.zero_grad()
        loss = self.net.loss(self.X, self.y)
        self.net.backward()
        return loss, [float(np.linalg.norm(p.grad)) for p in self.net.parameters()]

    def step(self) -> None:
        """One step."""
        self.net.zero_grad()
        self.net.loss(self.X, self.y)
        self.net.backward()
        self.optimizer.step()


class Torch:
    """The same step by torch; `kind` is "plain" or "checkpoint_sequential"."""

    def __init__(self, problem: str, kind: str) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(1)
        X, y = data_of(problem)
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        net = mg.Network(*layers_of(problem), loss="mse", seed=0)
        module = mg.convert.to_torch(net).train()
        del net
        self.parameters = list(module.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, lr=RATE)
        self.model: Callable[[Any], Any] = module
        if kind != "plain":
            self.model = self._recomputing(module)

    def _recomputing(self, module: Any) -> Callable[[Any], Any]:
        from torch.utils.checkpoint import checkpoint_sequential

        children = list(module)
        pairs = [children[i : i + 2] for i in range(0, len(children), 2)]
        chain = self.torch.nn.Sequential(*(self.torch.nn.Sequential(*pair) for pair in pairs))
        segments = round(math.sqrt(len(pairs)))
        return lambda x: checkpoint_sequential(chain, segments, x, use_reentrant=False)

    def _backward(self) -> Any:
        self.optimizer.zero_grad()
        loss = self.torch.nn.functional.mse_loss(self.model(self.X), self.y)
        loss.backward()
        return loss

    def gradients(self) -> tuple[float, list[float]]:
        """The loss, and the norm of the gradient of each parameter."""
        loss = self._backward().item()
        return loss, [p.grad.norm().item() for p in self.parameters]

    def step(self) -> None:
        """One step."""
        self._backward()
        self.optimizer.step()


def make(text: str) -> Ours | Torch:
    """The contender of "PROBLEM/LIBRARY/KIND".

    Raises:
        ImportError: its library is not installed.
    """
    problem, library, kind = text.split("/")
    return (Ours if library == "micrograd" else Torch)(problem, kind)
