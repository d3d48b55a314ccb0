"""What is timed: one full SGD step of an MLP (ReLU, softmax-cross-entropy) on one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from micrograd.core import Array

LEARNING_RATE = 0.05
SEED = 20

Weights = list[tuple[Array, Array]]  # of each layer: W (out, in) and b (out,)


@dataclass(frozen=True)
class Workload:
    """The widths of the layers, input first, and the rows of the batch."""

    sizes: tuple[int, ...]
    batch: int

    @property
    def layers(self) -> str:
        """The widths as text: 784-128-10."""
        return "-".join(map(str, self.sizes))

    def __str__(self) -> str:
        return f"{self.layers}, batch {self.batch}"

    @property
    def parameters(self) -> int:
        """How many weights and biases there are."""
        return sum((m + 1) * n for m, n in pairwise(self.sizes))

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products of one step.

        A layer (m, n) has three products of 2 B m n operations: Z = A W^T, dW = delta^T A and
        delta W; the first layer's input needs no gradient. Biases, activations, the loss and the
        update are left out, so that a share of the FMA peak is a lower bound.
        """
        products = [2 * self.batch * m * n for m, n in pairwise(self.sizes)]
        return 3 * sum(products) - products[0]

    def traffic(self, itemsize: int) -> int:
        """Bytes that one step moves if each pass reads and writes its matrices from memory once.

        Each parameter: read forward and backward, its gradient written and read, itself read and
        written by the update: 6. Each activation: written, read by the next layer, by dW and by
        the gate: 4; its delta: written, read by dW and by delta W: 3. The input: read twice.
        """
        activations = self.batch * (2 * self.sizes[0] + 7 * sum(self.sizes[1:]))
        return itemsize * (6 * self.parameters + activations)


@dataclass(frozen=True)
class Problem:
    """A workload's numbers: X (batch, features), labels (batch,) int64, the first weights."""

    workload: Workload
    dtype: str
    X: Array
    labels: Array
    weights: Weights

    @property
    def one_hot(self) -> Array:
        """The labels as probability rows (batch, classes)."""
        classes = self.workload.sizes[-1]
        return np.eye(classes, dtype=self.dtype)[self.labels]


WORKLOADS = tuple(
    Workload(sizes, batch)
    for sizes, batch in (
        ((4, 8, 3), 100),
        ((2, 16, 16, 2), 100),
        ((64, 32, 10), 64),
        ((784, 128, 10), 64),
        ((784, 512, 256, 10), 128),
        ((1024, 1024, 1024, 10), 512),
    )
)


def parse(text: str) -> Workload:
    """The workload named by its layers, or any other as LAYERS/BATCH: `784-128-10`, `8-8-2/32`.

    Raises:
        ValueError: neither.
    """
    for workload in WORKLOADS:
        if text == workload.layers:
            return workload
    layers, slash, batch = text.partition("/")
    sizes = layers.split("-")
    if slash and len(sizes) > 1 and all(s.isdecimal() and int(s) for s in (*sizes, batch)):
        return Workload(tuple(map(int, sizes)), int(batch))
    known = ", ".join(w.layers for w in WORKLOADS)
    raise ValueError(f"workload {text!r} is none of {known}; any other is LAYERS/BATCH: 8-16-2/32")


def make(workload: Workload, dtype: str = "float32") -> Problem:
    """Normal inputs, labels of every class, He weights and small biases, always the same.

    Biases are not 0, so that a contender that forgets one gives a different loss.
    """
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(workload.batch, workload.sizes[0])).astype(dtype)
    labels = rng.permutation(np.arange(workload.batch, dtype=np.int64) % workload.sizes[-1])
    weights = [
        (
            rng.normal(0, np.sqrt(2 / m), (n, m)).astype(dtype),
            rng.normal(0, 0.1, n).astype(dtype),
        )
        for m, n in pairwise(workload.sizes)
    ]
    return Problem(workload, dtype, X, labels, weights)


def flat(weights: Weights) -> Sequence[Array]:
    """W1, b1, W2, b2, ...: the order of Network.parameters() and of torch's."""
    return [array for pair in weights for array in pair]
