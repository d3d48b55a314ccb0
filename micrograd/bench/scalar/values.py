"""Scalar engines for `micrograd bench --scalar`: karpathy/micrograd, and two of its size.

`Closures` and `Bare` are the two ways to write a Value in a hundred lines: a closure for each op
and parents in a set, or slots that hold the parents and the local derivatives. Both are here to be
measured, not to be used.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

Scalar = Any  # a Value of any of the engines
SIZES = (2, 16, 16, 1)
PENALTY = 1e-4


class Closures:
    """Each op makes a function that knows how to go back, which makes a reference cycle."""

    def __init__(self, data: float, parents: tuple[Scalar, ...] = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.parents = set(parents)
        self.pull: Callable[[], None] = lambda: None

    def __add__(self, other: Scalar) -> Scalar:
        other = other if isinstance(other, Closures) else Closures(other)
        out = Closures(self.data + other.data, (self, other))

        def pull() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out.pull = pull
        return out

    def __mul__(self, other: Scalar) -> Scalar:
        other = other if isinstance(other, Closures) else Closures(other)
        out = Closures(self.data * other.data, (self, other))

        def pull() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.pull = pull
        return out

    def relu(self) -> Scalar:
        """max(0, x)."""
        out = Closures(max(0.0, self.data), (self,))

        def pull() -> None:
            self.grad += (out.data > 0) * out.grad

        out.pull = pull
        return out

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        """Leaves gradients in `.grad` of all Values this one was computed from."""
        order: list[Closures] = []
        seen: set[Closures] = set()

        def visit(v: Closures) -> None:
            if v not in seen:
                seen.add(v)
                for parent in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v.pull()


class Bare:
    """Four slots: parents and local derivatives in tuples."""

    __slots__ = ("data", "grad", "parents", "partials")

    def __init__(
        self,
        data: float,
        parents: tuple[Scalar, ...] = (),
        partials: tuple[float, ...] = (),
    ) -> None:
        self.data = data
        self.grad = 0.0
        self.parents = parents
        self.partials = partials

    def __add__(self, other: Scalar) -> Scalar:
        other = other if isinstance(other, Bare) else Bare(other)
        return Bare(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Scalar) -> Scalar:
        other = other if isinstance(other, Bare) else Bare(other)
        return Bare(self.data * other.data, (self, other), (other.data, self.data))

    def relu(self) -> Scalar:
        """max(0, x)."""
        positive = self.data > 0
        return Bare(self.data if positive else 0.0, (self,), (1.0 if positive else 0.0,))

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        """Leaves gradients in `.grad` of all Values this one was computed from."""
        order: list[Bare] = []
        seen: set[Bare] = set()

        def visit(v: Bare) -> None:
            if v not in seen:
                seen.add(v)
                for parent in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            for parent, partial in zip(v.parents, v.partials, strict=True):
                parent.grad += partial * v.grad


class OpByOpMLP:
    """The network written with + and * alone, for any engine: weights[layer][neuron], biases."""

    def __init__(self, make: Callable[[float], Scalar]) -> None:
        self.layers = [
            [([make(w) for w in ws], make(b)) for ws, b in layer] for layer in drawn_weights()
        ]

    def __call__(self, x: Sequence[Scalar]) -> Scalar:
        for depth, layer in enumerate(self.layers, start=1):
            sums = [sum((w * v for w, v in zip(ws, x, strict=True)), b) for ws, b in layer]
            x = sums if depth == len(self.layers) else [z.relu() for z in sums]
        return x[0]

    def parameters(self) -> list[Scalar]:
        """Neuron by neuron, its weights and then its bias."""
        return [p for layer in self.layers for ws, b in layer for p in (*ws, b)]


def drawn_weights() -> list[list[tuple[list[float], float]]]:
    """Weights and bias of each neuron of each layer, as nn.MLP draws them from this seed."""
    draw = random.Random(1337)
    return [
        [([draw.uniform(-1, 1) for _ in range(nin)], 0.0) for _ in range(nout)]
        for nin, nout in pairwise(SIZES)
    ]


def loss_of(
    model: Callable[[Any], Scalar],
    parameters: Sequence[Scalar],
    make: Callable[[float], Scalar],
    X: Sequence[Sequence[float]],
    y: Sequence[float],
) -> Scalar:
    """Mean hinge loss max(0, 1 - y * score) and an L2 penalty, as the moons notebook has it."""
    scores = [model([make(v) for v in row]) for row in X]
    losses = [(1 + -label * score).relu() for label, score in zip(y, scores, strict=True)]
    return sum(losses) * (1.0 / len(losses)) + PENALTY * sum(p * p for p in parameters)


@contextmanager
def _instead_of_ours(path: Path) -> Iterator[None]:
    """`import micrograd` finds what is at this path; afterwards it is this package again."""

    def forget() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[0] == "micrograd"]
        return {name: sys.modules.pop(name) for name in names}

    ours = forget()
    sys.path.insert(0, str(path))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(path))
        forget()
        sys.modules.update(ours)


def load_peer(path: Path) -> tuple[Any, Any]:
    """karpathy/micrograd's Value and MLP, from its wheel (PyPI's `micrograd`) or source folder.

    Raises:
        ValueError: there is no such package there.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    with _instead_of_ours(path.resolve()):
        try:
            nn: Any = importlib.import_module("micrograd.nn")
        except ImportError as error:
            raise ValueError(f"{path}: {error}") from None
        if Path(nn.__file__).resolve() == Path(__file__).resolve().parents[2] / "nn.py":
            raise ValueError(f"{path}: this is our own package; karpathy/micrograd is wanted")
        return nn.Value, nn.MLP
