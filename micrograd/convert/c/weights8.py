"""Weights as 8-bit integers: a quarter of the memory, and what that costs.

Symmetric, one scale for each output: W[i, j] is about scale[i] * q[i, j], with q from -127 to 127
and scale[i] = max_j |W[i, j]| / 127. Activations stay float32, so that every layer can be written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from micrograd.core import Array

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
