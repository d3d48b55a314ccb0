"""How good a network's outputs are, in one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.network.view import NetworkView


def score(net: NetworkView, X: Any, y: Any, sample_weight: Any = None) -> float:
    """The share of right classes, or R^2; see Network.score."""
    where = "Network.score"
    if net.loss_kind.function is not None:
        raise ValueError(
            f"{where}: the loss {net.loss_name!r} is a function, whose outputs need not estimate "
            "y; compare predict(X) with y as they are meant, or take evaluate(X, y)"
        )
    batch = net.checked_batch(where, X, y, sample_weight)
    weights = np.ones(batch.rows) if batch.weights is None else batch.weights.astype(np.float64)
    z = net.outputs(where, X).astype(np.float64)
    if net.loss_kind.output == "softmax":
        if batch.labels is not None:
            right = z.argmax(axis=1) == batch.labels
        else:
            assert batch.targets is not None
            right = z.argmax(axis=1) == batch.targets.argmax(axis=1)
        return float(np.average(right, weights=weights))
    assert batch.targets is not None
    targets = batch.targets.astype(np.float64)
    if net.loss_kind.output == "sigmoid":
        right = ((z > 0) == (targets > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))
    return _r_squared(where, targets, z, weights)


def _r_squared(where: str, y: Array, z: Array, weights: Array) -> float:
    mean = np.average(y, axis=0, weights=weights)
    spread = np.average(np.square(y - mean), axis=0, weights=weights)
    if not spread.all():
        column = int(np.argmin(spread))
        raise ValueError(f"{where}: column {column} of y is the same in all rows: R^2 is undefined")
    left = np.average(np.square(y - z), axis=0, weights=weights)
    return float(np.mean(1 - left / spread))
