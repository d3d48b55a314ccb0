"""A random order of very many rows that is computed where it is asked for, not stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6  # of the Feistel network; 4 pass for random among cryptographers, with good functions
_GOLDEN = 0x9E3779B97F4A7C15


class Permutation:
    """A bijection of 0 .. n - 1, drawn from a generator, that takes no memory.

    A number is split into two digits l, r below a = ceil(sqrt(n)); each round adds a hash of one
    to the other modulo a (a Feistel network, Black and Rogaway 2002, section 5). Where that lands
    at n or above, the rounds are run again from there until it does not.

    Args:
        n: 1 or more, less than 2**62.
        rng: gives the keys of the hashes.
    """

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.n = n
        self._base = math.isqrt(n - 1) + 1
        self._keys = rng.integers(0, 2**64, ROUNDS, dtype=np.uint64)

    def __call__(self, places: Any) -> NDArray[np.int64]:
        """Where these numbers go, in an array of their shape."""
        rows = self._rounds(np.asarray(places, dtype=np.uint64))
        outside = rows >= self.n
        while outside.any():
            rows[outside] = self._rounds(rows[outside])
            outside = rows >= self.n
        return rows.astype(np.int64)

    def _rounds(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        base = np.uint64(self._base)
        left, right = numbers // base, numbers % base
        for key in self._keys:
            left, right = right, (left + _hash(right, key)) % base
        numbers = left * base + right
        return numbers


def _hash(numbers: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """Bits that depend on all bits (Steele et al. 2014, splitmix64), short of an overflow in +."""
    x = (numbers + np.uint64(1)) * np.uint64(_GOLDEN) + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.asarray(x >> np.uint64(2))
