"""Sparse rows: what scipy's matrices hold, as the C core reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array

_INDICES = (np.dtype(np.int32), np.dtype(np.int64))


class SparseRows:
    """A matrix (rows, columns) in CSR format: row i has values[starts[i]:starts[i + 1]] in the
    columns of the same place, in any order; what stands twice adds up.

    The arrays are scipy's own where their types do. Where they point is checked when they are read,
    in C, each time.
    """

    __slots__ = ("columns", "shape", "starts", "values")

    def __init__(self, where: str, X: Any, columns: int, dtype: np.dtype[Any], who: str) -> None:
        """Of any of scipy's sparse matrices.

        Raises:
            TypeError, ValueError: it holds no real numbers, or not so many columns, or no rows.
        """
        X = X.tocsr()
        if len(X.shape) != 2:
            raise ValueError(f"{where}: X has shape {X.shape}, (rows, {columns}) is wanted")
        if X.shape[1] != columns:
            raise ValueError(f"{where}: X has {X.shape[1]} features, {who}")
        if X.shape[0] == 0:
            raise ValueError(f"{where}: X has no rows: shape {X.shape}")
        if len(X.indptr) != X.shape[0] + 1:
            raise ValueError(
                f"{where}: sparse X has {len(X.indptr)} starts of rows, {X.shape[0] + 1} are wanted"
            )
        self.shape: tuple[int, int] = X.shape
        kind = X.indptr.dtype if X.indptr.dtype == X.indices.dtype else np.dtype(np.int64)
        kind = kind if kind in _INDICES else np.dtype(np.int64)
        self.starts = checks.plain(X.indptr, kind)
        self.columns = checks.plain(X.indices, kind)
        self.values = checks.reals(where, "X.data", X.data, dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def entries(self) -> int:
        """How many numbers it has."""
        return min(len(self.columns), len(self.values))

    def __getitem__(self, place: tuple[int, int]) -> Any:
        """What stands at (row, column), the first that is not finite where there are several."""
        row, column = place
        here: Array = np.arange(self.starts[row], self.starts[row + 1])
        values = self.values[here[self.columns[here] == column]]
        odd = values[~np.isfinite(values)]
        return odd[0] if len(odd) else values.sum()

    def dense(self) -> Array:
        """The same as an array (rows, columns)."""
        out = np.zeros(self.shape, self.values.dtype)
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        np.add.at(out, (rows, self.columns), self.values)
        return out


def is_sparse(X: Any) -> bool:
    """Whether it is one of scipy's sparse matrices."""
    return hasattr(X, "tocsr")
