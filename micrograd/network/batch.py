"""What comes in: arrays checked, and a batch of the C core pointed at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array, ffi, lib
from micrograd.network.layers import Layer
from micrograd.network.losses import Loss
from micrograd.network.targets import as_targets, as_weights


class Incoming:
    """Fills batches for a network with these layers, and says in words what is wrong with them."""

    def __init__(
        self, layers: Sequence[Layer], features: tuple[int, int], loss: Loss, dtype: str
    ) -> None:
        self._layers, self._loss = layers, loss
        self.in_features, self.out_features = features
        self._dtype = np.dtype(dtype)

    def _takes(self) -> str:
        i = next(i for i, layer in enumerate(self._layers) if layer.takes is not None)
        return f"layer {i} {self._layers[i]} takes {self.in_features}"

    def fill_x(self, batch: Any, where: str, X: Any) -> tuple[Any, int]:
        """Points the batch at X; returns what has to be kept alive, and the number of rows."""
        plain = type(X) is np.ndarray and X.dtype is self._dtype and X.ndim == 2
        if not (plain and X.shape[1] == self.in_features and X.size and X.flags.c_contiguous):
            X = checks.matrix(where, "X", X, self.in_features, self._dtype, self._takes())
        held = ffi.from_buffer(X)
        batch.x, batch.x_ld, batch.rows = held, self.in_features, X.shape[0]
        return held, X.shape[0]

    def _fill_y(self, batch: Any, where: str, y: Any, rows: int) -> Any:
        if self._loss.takes_labels:
            labels = checks.labels(where, y, rows, self.out_features)
            if labels is not None:
                held = ffi.from_buffer(labels)
                batch.labels, batch.targets, batch.targets_ld = held, ffi.NULL, self.out_features
                return held
        if self._loss.function is None:
            targets = as_targets(where, y, rows, self.out_features, self._dtype)
        else:
            targets = self._own_targets(where, y, rows)
        held = ffi.from_buffer(targets)
        batch.labels, batch.targets, batch.targets_ld = ffi.NULL, held, targets.shape[1]
        return held

    def _own_targets(self, where: str, y: Any, rows: int) -> Array:
        """Targets (rows, n), or (rows,) for n = 1, for a loss that is a function: any n will do."""
        targets = checks.reals(where, "y", y, self._dtype)
        if targets.ndim == 1:
            targets = targets[:, None]
        if targets.ndim != 2 or len(targets) != rows or targets.shape[1] == 0:
            raise ValueError(
                f"{where}: y has shape {np.shape(y)}, ({rows},) or ({rows}, n) is wanted"
            )
        return targets

    def fill(self, batch: Any, where: str, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Points the batch at arrays that have been checked; returns what has to be kept alive.

        batch.targets_ld is then the number of columns of the targets.
        """
        held_x, rows = self.fill_x(batch, where, X)
        held_y = self._fill_y(batch, where, y, rows)
        if sample_weight is None:
            batch.weights, batch.total_weight = ffi.NULL, rows
            return held_x, held_y
        weights, total = as_weights(where, sample_weight, rows, self._dtype)
        held_w = ffi.from_buffer(weights)
        batch.weights, batch.total_weight = held_w, total
        return held_x, held_y, held_w

    def raise_status(
        self, where: str, status: int, result: Any, batch: Any, index: Any = None
    ) -> None:
        """Raises the exception for a status of the C core; `index` names the rows."""
        at, column = int(result.row), int(result.column)
        row = at if index is None else int(index[at])
        real = "float *" if self._dtype.name == "float32" else "double *"
        if status == lib.MG_INPUT_NOT_FINITE:
            value = ffi.cast(real, batch.x)[at * batch.x_ld + column]
            raise ValueError(f"{where}: X[{row}, {column}] is {value}; finite numbers are wanted")
        if status == lib.MG_TARGET_NOT_FINITE:
            value = ffi.cast(real, batch.targets)[at * batch.targets_ld + column]
            raise ValueError(f"{where}: y[{row}, {column}] is {value}; finite numbers are wanted")
        if status == lib.MG_LABEL_OUT_OF_RANGE:
            label = ffi.cast("int64_t *", batch.labels)[at]
            raise ValueError(
                f"{where}: y[{row}] is {label}, the network has {self.out_features} classes: "
                f"0 to {self.out_features - 1}"
            )
        if status == lib.MG_TARGET_NOT_PROBABILITY:
            raise ValueError(f"{where}: row {row} of y is no probability row: 0 or more, sum 1")
        if status == lib.MG_OUT_OF_MEMORY:
            raise MemoryError(f"{where}: no memory for a batch of {batch.rows} rows")
        raise RuntimeError(f"{where}: the C core refused its arguments (status {status})")
