"""Predicting sparse rows: the first layer over the numbers that are there, the others densely."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.layers import Linear
from micrograd.network.network import Network

BLOCK = 1 << 22  # numbers between the first layer and the others at a time: 32 MB in float64


class SparseRows:
    """What a network gives for sparse rows. May be called from several threads.

    Z = X W^T + b takes as many multiplications as X has numbers, for each unit; only the columns of
    W that occur in X are read.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        first = net.layers[0]
        assert isinstance(first, Linear)
        self.weight, self.bias = (p.data for p in net.parameters()[:2])
        rest = net.layers[1:]
        self.rest = Network(*rest, loss="mse", dtype=net.dtype, seed=0) if rest else None
        self._lock = Lock()  # rest's weights are those of one caller at a time

    def predict(self, X: Any) -> Array:
        """(rows, outputs) for a matrix in CSR format."""
        X = X.astype(self.weight.dtype, copy=False)
        columns = np.unique(X.indices)
        place = np.zeros(X.shape[1], dtype=X.indices.dtype)
        place[columns] = np.arange(len(columns))
        narrow = type(X)((X.data, place[X.indices], X.indptr), shape=(X.shape[0], len(columns)))
        weight = np.ascontiguousarray(self.weight[:, columns].T)
        rows = max(1, BLOCK // len(self.bias))
        parts = [
            self._rest(narrow[start : start + rows] @ weight + self.bias)
            for start in range(0, X.shape[0], rows)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _rest(self, z: Array) -> Array:
        if self.rest is None:
            return z
        with self._lock:
            own = self.rest.parameters().flat
            own[...] = self.net.parameters().flat[-len(own) :]
            return self.rest.predict(z)
