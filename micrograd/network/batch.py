"""What comes in: arrays checked and put into a batch, and in words what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.network.c_plan import Batch, status_name
from micrograd.network.layers import Layer, Linear
from micrograd.network.losses import Loss
from micrograd.network.sparse import SparseRows, is_sparse
from micrograd.network.targets import as_targets, as_weights


class Incoming:
    """Makes batches for a network with these layers, and says in words what is wrong with them."""

    def __init__(
        self, layers: Sequence[Layer], features: tuple[int, int], loss: Loss, dtype: str
    ) -> None:
        self._layers, self._loss = layers, loss
        self.in_features, self.out_features = features
        self.takes_labels = loss.takes_labels
        self._dtype = np.dtype(dtype)

    def _takes(self) -> str:
        i = next(i for i, layer in enumerate(self._layers) if layer.takes is not None)
        return f"layer {i} {self._layers[i]} takes {self.in_features}"

    def features(self, where: str, X: Any) -> Array:
        """X as a plain (rows, in_features) of the network's dtype, itself if it is one.

        Raises:
            TypeError, ValueError: it cannot be one.
        """
        plain = type(X) is np.ndarray and X.dtype is self._dtype and X.ndim == 2
        if plain and X.shape[1] == self.in_features and X.size and checks.is_plain(X):
            return X  # type: ignore[no-any-return]
        return checks.matrix(where, "X", X, self.in_features, self._dtype, self._takes())

    def rows(self, where: str, X: Any) -> Array | SparseRows:
        """As `features`; or sparse rows, where X is one of scipy's sparse matrices.

        Raises:
            TypeError, ValueError: it cannot be one, or the first layer takes no sparse rows.
        """
        if not is_sparse(X):
            return self.features(where, X)
        if not self._layers or not isinstance(self._layers[0], Linear):
            first = self._layers[0] if self._layers else "there is none, and it"
            raise TypeError(
                f"{where}: X is a sparse matrix, and of first layers only Linear takes one, "
                f"layer 0 {first} does not; X.toarray() is dense"
            )
        return SparseRows(where, X, self.in_features, self._dtype, self._takes())

    def batch(self, where: str, X: Any, y: Any, sample_weight: Any = None) -> Batch:
        """A batch of arrays that have been checked; see Network.loss.

        Raises:
            TypeError, ValueError: something does not fit.
        """
        x = self.rows(where, X)
        rows, labels, targets, weights, total = len(x), None, None, None, None
        if self.takes_labels:
            labels = checks.labels(where, y, rows, self.out_features)
        if labels is None:
            targets = self._targets(where, y, rows)
        if sample_weight is not None:
            weights, total = as_weights(where, sample_weight, rows, self._dtype)
        columns = self.out_features if targets is None else targets.shape[1]
        return Batch(x, columns, labels, targets, weights, total)

    def _targets(self, where: str, y: Any, rows: int) -> Array:
        if self._loss.function is None:
            return as_targets(where, y, rows, self.out_features, self._dtype)
        # A loss that is a function takes (rows, n) for any n, or (rows,) for n = 1.
        targets = checks.reals(where, "y", y, self._dtype)
        if targets.ndim == 1:
            targets = targets[:, None]
        if targets.ndim != 2 or len(targets) != rows or targets.shape[1] == 0:
            raise ValueError(
                f"{where}: y has shape {np.shape(y)}, ({rows},) or ({rows}, n) is wanted"
            )
        return targets

    def error(
        self, where: str, status: int, result: Any, batch: Batch, index: Array | None = None
    ) -> Exception:
        """The exception for a status of the C core; `index` names the rows."""
        what = status_name(status)
        at, column = int(result.row), int(result.column)
        if what == "sparse_not_valid":
            which = at if index is None else int(index[at])
            odd = (
                "its entries lie outside X.indices and X.data"
                if column < 0
                else f"column {column}, there are {self.in_features}"
            )
            return ValueError(f"{where}: row {which} of sparse X is not valid: {odd}")
        row = at if index is None else int(index[at])
        if what == "input_not_finite":
            value = batch.x[at, column]
            return ValueError(f"{where}: X[{row}, {column}] is {value}; finite numbers are wanted")
        if what == "target_not_finite" and batch.targets is not None:
            value = batch.targets[at, column]
            return ValueError(f"{where}: y[{row}, {column}] is {value}; finite numbers are wanted")
        if what == "target_out_of_range" and batch.targets is not None:
            value = batch.targets[at, column]
            return ValueError(f"{where}: y[{row}, {column}] is {value}; for bce 0 to 1 is wanted")
        if what == "label_out_of_range" and batch.labels is not None:
            return ValueError(
                f"{where}: y[{row}] is {batch.labels[at]}, the network has {self.out_features} "
                f"classes: 0 to {self.out_features - 1}"
            )
        if what == "target_not_probability":
            return ValueError(f"{where}: row {row} of y is no probability row: 0 or more, sum 1")
        if what == "out_of_memory":
            return MemoryError(f"{where}: no memory for a batch of {batch.rows} rows")
        return RuntimeError(f"{where}: the C core refused its arguments (status {status})")
