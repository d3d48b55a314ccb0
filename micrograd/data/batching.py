"""Which rows go where: the split into training and test rows, and minibatches of row numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micrograd import core
from micrograd.data.permutation import Permutation

STORED_ROWS = 1 << 23  # an order of more rows, 64 MB, is computed piece by piece instead of stored
_LARGE = 512  # rows that the C core shuffles faster, the call included
_PIECE = 1 << 15  # rows: in pieces of this size a row costs 0.06 microseconds


def batches(
    n: int, batch_size: int, rng: np.random.Generator | None = None
) -> Iterator[NDArray[np.int64]]:
    """Iterate once over the row numbers 0 to n - 1 in minibatches: one epoch.

        for rows in mg.data.batches(len(X), 64, rng):
            net.loss(X[rows], y[rows])

    Args:
        n: number of rows, 0 or more.
        batch_size: rows in a minibatch, 1 or more. The last one has what is left.
        rng: shuffles the rows, differently in each call; None keeps them in order.

    Returns:
        An iterator of ceil(n / batch_size) int64 arrays (batch_size,) that hold every row once.

    Raises:
        ValueError: n is negative or batch_size is less than 1.
        TypeError: a size is no integer, or rng is neither None nor a ``numpy.random.Generator``.

    >>> [rows.tolist() for rows in mg.data.batches(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    n, batch_size = operator.index(n), operator.index(batch_size)
    if n < 0:
        raise ValueError(f"batches: n is {n}, wanted 0 or more")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size is {batch_size}, wanted 1 or more")
    if not (rng is None or isinstance(rng, np.random.Generator)):
        raise TypeError(
            f"batches: rng is {rng!r}, wanted None or a numpy Generator such as "
            "numpy.random.default_rng(0)"
        )
    if n > STORED_ROWS:
        return _unstored_batches(n, batch_size, None if rng is None else Permutation(n, rng))
    order = orders(n, 1, rng)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))


def orders(n: int, count: int, rng: np.random.Generator | None) -> NDArray[np.int64]:
    """The row numbers 0 to n - 1 in the order of so many epochs, one behind the other.

    n: up to STORED_ROWS; rng: as in `batches`.
    """
    if rng is None:
        return np.tile(np.arange(n, dtype=np.int64), count)
    if n >= _LARGE and type(rng) is np.random.Generator:
        return core.draw_orders([core.Drawing(rng, n, count)])[0].reshape(-1)
    order = np.tile(np.arange(n, dtype=np.int64), (count, 1))
    for each in order:
        rng.shuffle(each)
    return order.reshape(-1)


def _unstored_batches(
    n: int, batch_size: int, order: Permutation | None
) -> Iterator[NDArray[np.int64]]:
    piece = max(_PIECE // batch_size, 1) * batch_size
    for first in range(0, n, piece):
        rows = np.arange(first, min(first + piece, n), dtype=np.int64)
        if order is not None:
            rows = order(rows)
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]


def train_test_split(
    X: ArrayLike,
    y: ArrayLike,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Split rows at random into training and test rows, the same ones for the same seed.

        X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y)

    The test part has n * test_fraction rows, rounded, but at least one, and so has the training
    part. If y is a vector of integers or booleans, the split is stratified: each class has its
    share of the test rows to within one row, and keeps a training row if another class can spare
    one. Otherwise all rows are drawn alike. Both parts come in random order, as copies.

    Args:
        X: (n, ...), any dtype.
        y: (n, ...), the row that belongs to each row of X.
        test_fraction: share of the rows to hold out, between 0 and 1, both excluded.
        seed: a number, a ``numpy.random.Generator``, or None for a different split each time.

    Returns:
        X_train, X_test, y_train, y_test, in scikit-learn's order.

    Raises:
        ValueError: different numbers of rows, fewer than two rows, or test_fraction out of range.

    >>> X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, seed=0)
    >>> len(X_train), len(X_test)
    (1438, 359)
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"train_test_split: X has shape {X.shape} and y {y.shape}, wanted one row of y for "
            "each row of X"
        )
    n = len(X)
    if n < 2:
        raise ValueError(f"train_test_split: {n} row(s), wanted at least 2, one for each part")
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(
            f"train_test_split: test_fraction is {test_fraction}, wanted more than 0, less than 1"
        )
    n_test = min(max(round(n * test_fraction), 1), n - 1)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if y.ndim == 1 and y.dtype.kind in "iub":
        is_test = _stratified(y[order], n_test, rng)
    else:
        is_test = np.arange(n) < n_test
    train, test = order[~is_test], order[is_test]
    return X[train], X[test], y[train], y[test]


def _stratified(y: NDArray[Any], n_test: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask (n,) that takes the first rows of each class, n_test rows in all."""
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    takes = _shares(counts, n_test, rng)
    by_class = np.argsort(codes, kind="stable")
    first_of_class = np.cumsum(counts) - counts
    rank_in_class = np.arange(len(y)) - np.repeat(first_of_class, counts)
    is_test = np.empty(len(y), dtype=np.bool_)
    is_test[by_class] = rank_in_class < np.repeat(takes, counts)
    return is_test


def _shares(counts: NDArray[np.intp], n_test: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Apportion n_test rows to classes of these sizes by largest remainder, ties at random."""
    takes, remainders = np.divmod(counts * n_test, counts.sum())
    empties_training = takes + 1 == counts
    by_need = np.lexsort((rng.random(len(counts)), -remainders, empties_training))
    takes[by_need[: n_test - takes.sum()]] += 1
    return takes
