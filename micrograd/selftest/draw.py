"""A random network and a batch for it: the same ones for the same seed, on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from micrograd import checkpoint
from micrograd.checkpoint import Checkpoint
from micrograd.core import Array
from micrograd.engine import Value
from micrograd.network import (
    ELU,
    GELU,
    SELU,
    DenseBlock,
    Dropout,
    Embedding,
    Highway,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    Map,
    Mish,
    Parametric,
    Periodic,
    PiecewiseLinear,
    Poisson,
    Quantile,
    ReLU,
    Residual,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)

LOSSES = ("cross_entropy", "mse", "bce", "mae", "huber", "own", "quantile", "poisson")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
WIDEST, MOST_ROWS = 40, 150


def own_loss(z: Any, y: Any) -> Any:
    """A loss written as a scalar function: the mean of log cosh(z - y) over the outputs."""
    pairs = list(zip(_listed(z), _listed(y), strict=True))
    distances = [abs(a - b) for a, b in pairs]
    total = sum(d + (-2 * d).exp().log1p() - math.log(2) for d in distances)  # no exp of a large d
    return total / len(pairs)


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


@dataclass
class Case:
    """What a network is made of, and a batch; numbers that float32 holds exactly.

    out: outputs of the network; sizes: of the categories whose codes are the last columns of x;
    weight: (rows,) of the samples, or None; leaves: the Values that Maps close over.
    """

    seed: int
    layers: list[Layer]
    loss: str
    checkpoint: Checkpoint | str | None
    threads: int
    out: int
    sizes: tuple[int, ...]
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    weight: Array | None = field(repr=False)
    leaves: list[Value] = field(repr=False)

    @property
    def loss_argument(self) -> str | Callable[[Any, Any], Any]:
        """What Network(loss=...) takes."""
        if self.loss == "quantile":
            return Quantile(levels(self.out))
        functions: dict[str, Callable[[Any, Any], Any]] = {"own": own_loss, "poisson": Poisson()}
        return functions.get(self.loss, self.loss)

    def __str__(self) -> str:
        layers = ", ".join(map(str, self.layers))
        return (
            f"seed {self.seed}: Network({layers}, loss={self.loss!r}, "
            f"checkpoint={self.checkpoint}), {len(self.x)} rows, {self.threads} threads"
        )


def levels(out: int) -> list[float]:
    """The levels of the quantile loss for so many outputs."""
    return [LEVELS[i % len(LEVELS)] for i in range(out)]


class _Maker:
    """Draws layers; keeps the leaves of the Maps and the sizes of an Embedding that it has made."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.leaves: list[Value] = []
        self.sizes: tuple[int, ...] = ()

    def width(self) -> int:
        return int(self.rng.integers(1, WIDEST + 1))

    def linear(self, features: int, out: int) -> Linear:
        init = (None, "he", "xavier", "lecun")[self.rng.integers(4)]
        return Linear(features, out, bias=bool(self.rng.random() < 0.8), init=init)

    def activation(self) -> Layer:
        """One that keeps the number of features."""
        slope, p = float(np.float32(self.rng.random())), float(self.rng.uniform(0, 0.7))
        simple: Sequence[Layer] = (
            ReLU(),
            LeakyReLU(slope),
            Sigmoid(),
            Tanh(),
            GELU(),
            SiLU(),
            Softplus(),
            ELU(slope),
            SELU(),
            Mish(),
            Softmax(),
            Identity(),
            Dropout(p),
        )
        i = int(self.rng.integers(len(simple) + 1))
        return simple[i] if i < len(simple) else self.map()

    def map(self) -> Map:
        """x sigmoid(b x), with a b that is learned: Swish (Ramachandran et al. 2017)."""
        number = len(self.leaves)
        b = Value(float(np.float32(self.rng.uniform(0.5, 1.5))), label=f"swish{number}")
        self.leaves.append(b)
        return Map(lambda z: z * (b * z).sigmoid())

    def same(self, features: int, depth: int) -> list[Layer]:
        """Layers that give as many features as they take, one of which is Linear."""
        middle = self.width()
        return [
            self.linear(features, middle),
            *self.some(middle, depth - 1),
            self.linear(middle, features),
            *([self.activation()] if self.rng.random() < 0.3 else []),
        ]

    def some(self, features: int, depth: int) -> list[Layer]:
        """Up to two layers that keep the number of features; blocks down to this depth."""
        return [self.keeping(features, depth) for _ in range(self.rng.integers(3))]

    def keeping(self, features: int, depth: int) -> Layer:
        """One layer or block that keeps the number of features."""
        if depth <= 0 or self.rng.random() < 0.6:
            return self.activation()
        body = self.same(features, depth)
        if self.rng.random() < 0.5:
            return Highway(*body, gate_bias=float(np.float32(self.rng.normal())))
        return Residual(*body)

    def dense(self, features: int, depth: int) -> tuple[DenseBlock, int]:
        """A block, and how many features it gives."""
        body: list[Layer] = []
        for _ in range(self.rng.integers(1, 4)):
            growth = int(self.rng.integers(1, 9))
            body.append(self.linear(features, growth))
            if self.rng.random() < 0.6:  # one drawn and left out would leave its leaf behind
                body.append(self.keeping(growth, depth - 1))
            features += growth
        block = DenseBlock(*body)
        given = block.takes
        assert given is not None
        return block, block.gives(given)

    def columnwise(self, features: int) -> Layer | None:
        """What may come first, where tables are the input."""
        numbers = int(self.rng.integers(1, features + 1))
        kind = self.rng.integers(8)
        if kind == 0:
            waves, width = int(self.rng.integers(1, 9)), int(self.rng.integers(1, 6))
            return Periodic(features, numbers, waves, width, sigma=0.2)
        if kind == 1:
            count = int(self.rng.integers(2, 6))
            rows = np.sort(self.rng.normal(size=(numbers, count))) + 0.1 * np.arange(count)
            return PiecewiseLinear(tuple(map(tuple, _rounded(rows).tolist())), features)
        if kind == 2:
            self.sizes = tuple(int(n) for n in self.rng.integers(1, 9, size=numbers))
            widths = tuple(int(n) for n in self.rng.integers(1, 6, size=numbers))
            return Embedding(self.sizes, widths, features)
        if kind == 3:
            bent = (SELU(), Mish(), LeakyReLU(0.2), Tanh())[self.rng.integers(4)]
            return Parametric(bent, features)
        return Scale(features) if kind == 4 else None

    def network(self) -> tuple[list[Layer], int, int]:
        """Layers, and how many features they take and give."""
        first = features = self.width()
        embedded = self.columnwise(features)
        body: list[Layer] = [] if embedded is None else [embedded]
        if embedded is not None:
            features = embedded.gives(features)
            if self.rng.random() < 0.3:
                body.append(Scale(features))
        for _ in range(self.rng.integers(1, 6)):
            kind = self.rng.random()
            if kind < 0.6:
                out = self.width()
                body.append(self.linear(features, out))
            elif kind < 0.75:
                block, out = self.dense(features, depth=1)
                body.append(block)
            else:
                out = self.width()
                chain = (self.linear(features, out), *self.some(out, 1))
                projected = out != features
                body.append(Residual(*chain, projection=projected))
            body += self.some(out, depth=2)
            features = out
        out = self.width() if self.rng.random() < 0.8 else 1
        body.append(self.linear(features, out))
        return body, first, out


def draw(seed: int) -> Case:
    """The network and batch of a seed."""
    rng = np.random.default_rng([seed, 0])
    maker = _Maker(rng)
    layers, features, out = maker.network()
    loss = LOSSES[rng.integers(len(LOSSES))]
    rows = int(rng.integers(1, MOST_ROWS + 1)) if rng.random() < 0.8 else int(rng.integers(1, 4))
    x, y, weight = batch(rng, loss, rows, features, out, maker.sizes)
    schedules = (
        None,
        "sqrt",
        checkpoint.every(int(rng.integers(1, 5))),
        checkpoint.binomial(int(rng.integers(1, 5))),
    )
    schedule = schedules[rng.integers(len(schedules))]
    threads = int(rng.integers(1, 4))
    return Case(seed, layers, loss, schedule, threads, out, maker.sizes, x, y, weight, maker.leaves)


def batch(
    rng: np.random.Generator, loss: str, rows: int, features: int, out: int, sizes: tuple[int, ...]
) -> tuple[Array, Array, Array | None]:
    """X, targets that fit the loss, and weights of the samples or None.

    The last columns of X are codes of as many categories as `sizes` says, or -1 for none of them.
    """
    x = _rounded(rng.normal(size=(rows, features)))
    for i, size in enumerate(sizes):
        x[:, features - len(sizes) + i] = rng.integers(-1, size, rows)
    weight = _rounded(rng.uniform(0.1, 2, rows)) if rng.random() < 0.3 else None
    y: Array = _rounded(rng.normal(size=(rows, out)))
    if loss == "cross_entropy":
        y = rng.integers(0, out, rows)
        if rng.random() < 0.5:  # rows of probabilities, which in float32 sum to 1 but for rounding
            y = _rounded(rng.dirichlet(np.ones(out), rows))
    elif loss == "bce":
        y = _rounded(rng.uniform(size=(rows, out)))
    elif loss == "poisson":
        y = rng.poisson(2, size=(rows, out)).astype(np.float64)
    elif loss == "quantile":
        y = y[:, :1].copy()
    return x, y, weight


def _rounded(x: Array) -> Array:
    """As float64 numbers that float32 holds."""
    return x.astype(np.float32).astype(np.float64)
