"""How a gradient flows back through a network: what bounds it, and what stops it.

Section 7 of the documents bounds the error signal by the steepest slope of the activation and the
norms of the weights, |delta^[l]| <= (max f')^(L-l) |delta^[L]| ||W^[l+1]|| ... ||W^[L]||. The same
argument goes through a block: each layer's Jacobian has a norm that is known from its weights.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.blocks import DenseBlock, Highway, Residual, unnest
from micrograd.network.columns import Columnwise, Scale
from micrograd.network.layers import Layer, Linear

Nested = Generator[Any, Any, float]  # a bound, found by going into a block: see blocks.unnest


def spectral_norm(weight: Array, tolerance: float = 1e-5, iterations: int = 2000) -> float:
    """||W||, the largest singular value, by power iteration on W^T W.

    From one fixed start, v <- W^T W v / ||W^T W v||, until ||W^T W v - s^2 v|| <= tolerance s^2
    with s = ||W v||: s^2 is then within tolerance s^2 of the square of a singular value, and off
    the largest by the square of that over the gap to the next.

    Args:
        weight: (rows, columns), of any dtype; the work is done in float64.

    Returns:
        The norm; nan where W has an entry that is not finite.
    """
    scale = float(np.abs(weight).max(initial=0.0))
    if scale == 0 or not math.isfinite(scale):
        return 0.0 if scale == 0 else math.nan
    w = np.asarray(weight, np.float64) / scale
    v = np.random.default_rng(0).normal(size=w.shape[1])
    v /= np.linalg.norm(v)
    square = 0.0
    for _ in range(iterations):
        u = w @ v
        square = float(u @ u)
        image = w.T @ u
        length = float(np.linalg.norm(image))
        if length == 0 or float(np.linalg.norm(image - square * v)) <= tolerance * square:
            break
        v = image / length
    return scale * math.sqrt(square)


def jacobian_norm(layer: Layer, weight: Array) -> float:
    """The norm of what a layer does to its input: ||W|| of a Linear, the largest factor of a Scale.

    nan for the other layers for columns: theirs depends on the data.
    """
    if isinstance(layer, Linear):
        return spectral_norm(weight)
    return float(np.abs(weight).max()) if isinstance(layer, Scale) else math.nan


def bounds(layers: Sequence[Layer], norms: Mapping[str, float]) -> dict[str, float]:
    """What |delta| of each Linear can be at most, in units of |delta| of the last one.

    The bound of section 7 for a plain chain, and the same step by step for blocks: |dL/dx| is at
    most (1 + J) |dL/dout| for a Residual whose inside has a Jacobian of norm J, sqrt(1 + J^2) for
    each layer of a DenseBlock. A Highway's gate has a slope that depends on the data, so there is
    no bound (nan) before one.

    Args:
        layers: of the network.
        norms: jacobian_norm of each layer with a weight, by its path ("0", "3.1", "3.gate").

    Returns:
        The bounds by path; all nan where the last layer with weights is no plain Linear.
    """
    out: dict[str, float] = {}
    last = next((i for i in reversed(range(len(layers))) if layers[i].takes is not None), None)
    known = last is not None and isinstance(layers[last], Linear)
    body = layers[: last + 1] if known and last is not None else layers
    unnest(_back(body, "", 0, 1.0 if known else math.nan, norms, out))
    return out


def _back(
    layers: Sequence[Layer],
    prefix: str,
    first: int,
    gradient: float,
    norms: Mapping[str, float],
    out: dict[str, float],
) -> Nested:
    """Notes the bounds in these layers; returns that of the gradient at their input."""
    for i, layer in reversed(list(enumerate(layers, first))):
        path = f"{prefix}{i}"
        if isinstance(layer, Linear | Columnwise):
            out[path] = gradient
            gradient *= norms.get(path, math.nan)
        elif isinstance(layer, Residual):
            inside = yield _back(layer.layers, f"{path}.", 0, gradient, norms, out)
            if layer.projection:
                out[f"{path}.projection"] = gradient
                gradient *= norms[f"{path}.projection"]
            gradient += inside
        elif isinstance(layer, Highway):
            yield _back(layer.layers, f"{path}.", 0, gradient, norms, out)
            out[f"{path}.gate"] = gradient = math.nan
        elif isinstance(layer, DenseBlock):
            gradient = yield _back_dense(layer, path, gradient, norms, out)
        else:
            gradient *= layer.steepest
    return gradient


def _back_dense(
    layer: DenseBlock, path: str, gradient: float, norms: Mapping[str, float], out: dict[str, float]
) -> Nested:
    first = len(layer.layers)
    for group in reversed(layer.groups()):
        first -= len(group)
        inside = yield _back(group, f"{path}.", first, gradient, norms, out)
        gradient = math.hypot(gradient, inside)
    return gradient
