"""Point clouds in the plane to learn from: two moons, two circles, spirals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from micrograd import checks

Points = tuple[NDArray[np.float32], NDArray[np.int64]]


def moons(n: int = 400, noise: float = 0.15, seed: int | None = 0) -> Points:
    """Two half circles that reach into each other, centred at the origin.

        X, y = mg.data.moons(400, noise=0.1)

    Args:
        n: number of points, 2 or more; the classes have as many each, to within one.
        noise: standard deviation of the normal noise on both coordinates, 0 or more; the half
            circles have radius 1.
        seed: of the points; None draws one.

    Returns:
        X: float32 (n, 2). y: int64 (n,), 0 for the upper half circle, 1 for the lower.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

    >>> X, y = mg.data.moons(100, seed=0)
    >>> X.shape, np.bincount(y).tolist()
    ((100, 2), [50, 50])
    """
    rng, counts = _start("moons", n, noise, seed, 2)
    upper, lower = (rng.uniform(0, math.pi, count) for count in counts)
    parts = [
        np.stack([np.cos(upper) - 0.5, np.sin(upper) - 0.25], axis=1),
        np.stack([0.5 - np.cos(lower), 0.25 - np.sin(lower)], axis=1),
    ]
    return _joined(parts, noise, rng)


def circles(n: int = 400, noise: float = 0.1, seed: int | None = 0) -> Points:
    """A ring of radius 1 (class 0) around one of radius 1/2 (class 1), centred at the origin.

        X, y = mg.data.circles(400, noise=0.1)

    Args:
        n, noise, seed: as for `moons`.

    Returns:
        X: float32 (n, 2). y: int64 (n,), 0 or 1.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

    >>> X, y = mg.data.circles(100, seed=0)
    >>> X.shape, np.bincount(y).tolist()
    ((100, 2), [50, 50])
    """
    rng, counts = _start("circles", n, noise, seed, 2)
    parts = []
    for radius, count in zip((1.0, 0.5), counts, strict=True):
        angle = rng.uniform(0, 2 * math.pi, count)
        parts.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _joined(parts, noise, rng)


def spirals(
    n: int = 400, noise: float = 0.03, seed: int | None = 0, classes: int = 2, turns: float = 1.5
) -> Points:
    """Arms that wind around the origin, one a class, from radius 0 to 1.

        X, y = mg.data.spirals(600, classes=3)

    Args:
        n, noise, seed: as for `moons`.
        classes: number of arms, 2 or more and at most n.
        turns: how often each arm winds around, more than 0.

    Returns:
        X: float32 (n, 2). y: int64 (n,), 0 to classes - 1.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

    >>> X, y = mg.data.spirals(90, classes=3, seed=0)
    >>> X.shape, np.bincount(y).tolist()
    ((90, 2), [30, 30, 30])
    """
    classes = checks.count("spirals", "classes", classes, 2)
    turns = checks.number("spirals", "turns", turns, above=0)
    rng, counts = _start("spirals", n, noise, seed, classes)
    parts = []
    for arm, count in enumerate(counts):
        radius = np.sqrt(rng.uniform(0, 1, count))  # as dense outside as inside
        angle = 2 * math.pi * (turns * radius + arm / classes)
        parts.append(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _joined(parts, noise, rng)


def _start(
    where: str, n: int, noise: float, seed: int | None, classes: int
) -> tuple[np.random.Generator, list[int]]:
    """The generator, and how many points each class gets."""
    n = checks.count(where, "n", n, classes)
    checks.number(where, "noise", noise)
    rng = np.random.default_rng(checks.seed(where, seed))
    return rng, [n // classes + (k < n % classes) for k in range(classes)]


def _joined(parts: list[NDArray[np.float64]], noise: float, rng: np.random.Generator) -> Points:
    """All classes together, with noise, in random order."""
    X = np.concatenate(parts)
    y = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part) for part in parts])
    X += noise * rng.standard_normal(X.shape)
    order = rng.permutation(len(X))
    return X[order].astype(np.float32), y[order]
