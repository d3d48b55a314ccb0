"""What a constant and a linear function reach on the same rows: a model has to beat them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.cli.task import Task

RIDGE = 1e-6  # of the largest diagonal element: columns may depend on one another


def lines(task: Task, scale: float) -> list[str]:
    """A line each for a constant and a linear function, measured on the test part; of images for
    the constant alone, the most frequent class: many pixels make the other slow.

    scale: of the target's units.
    """
    X, y = task.train
    X_test, y_test = task.test
    if task.schema is not None:
        X, X_test = (as_flags(each, task.schema.tables) for each in (X, X_test))
    if task.loss == "cross_entropy":
        counts = np.bincount(y, minlength=task.outputs)
        constant = float((y_test == counts.argmax()).mean())
        names = task.schema.targets[0].classes if task.schema is not None else task.classes
        most = repr(names[int(counts.argmax())]) if names else str(int(counts.argmax()))
        said = f"always {most}: accuracy {100 * constant:.2f} %"
        if task.schema is None:
            return [said]
        right = least_squares(X, np.eye(task.outputs)[y], X_test).argmax(axis=1) == y_test
        return [said, f"a linear function: accuracy {100 * float(right.mean()):.2f} %"]
    flat = y.reshape(len(y), -1)
    truth = y_test.reshape(len(y_test), -1)
    linear = least_squares(X, flat, X_test)
    found = []
    for said, output in (("always the mean", flat.mean(axis=0)), ("a linear function", linear)):
        rmse = np.sqrt(((output - truth) ** 2).mean()) * scale
        found.append(f"{said}: RMSE {rmse:.4g}")
    return found


def as_flags(X: Array, tables: Sequence[int]) -> Array:
    """With flags in place of the codes in the last columns, of as many categories as there are."""
    first = X.shape[1] - len(tables)
    flags = [X[:, first + i, None] == np.arange(size) for i, size in enumerate(tables)]
    return np.concatenate([X[:, :first], *flags], axis=1)


def least_squares(X: Array, Y: Array, X_test: Array) -> Array:
    """What the linear function with the smallest squared error on (X, Y) says of X_test."""
    centre, mean = X.mean(axis=0), Y.mean(axis=0)
    A = X - centre
    ridge = RIDGE * max(float(np.square(A).sum(axis=0).max(initial=0.0)), 1.0)
    wide = A.shape[1] > A.shape[0]  # (A'A + r)^-1 A' = A' (AA' + r)^-1: the smaller of the two
    gram = A @ A.T if wide else A.T @ A
    gram[np.diag_indices_from(gram)] += ridge
    B = Y - mean
    W = A.T @ np.linalg.solve(gram, B) if wide else np.linalg.solve(gram, A.T @ B)
    said: Array = (X_test - centre) @ W + mean
    return said
