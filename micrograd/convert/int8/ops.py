"""The steps of a network in 8 bits: their constants, and what they compute, in numpy's integers.

Each is the reference of a C function of micrograd.convert.c.int8_source, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from micrograd.convert.int8.quant import LOW, clipped, halved, requantised
from micrograd.core import Array


class Op(Protocol):
    """One step."""

    def run(self, inputs: Sequence[Array]) -> Array:
        """The int8 array (rows, columns) that it makes of others."""


@dataclass(frozen=True)
class Dense:
    """A Linear: weight int8 (out, in), bias int32 (out,) with what the inputs' zero adds to it,
    multiplier int16 and shift int8 (out,), and the zero of the output."""

    weight: Array
    bias: Array
    multiplier: Array
    shift: Array
    zero: int

    def run(self, inputs: Sequence[Array]) -> Array:
        """The sums are exact in float64: they have 31 bits."""
        sums = inputs[0].astype(np.float64) @ self.weight.T.astype(np.float64)
        whole = sums.astype(np.int64) + self.bias.astype(np.int64)
        return requantised(whole, self.multiplier, self.shift, self.zero)


@dataclass(frozen=True)
class Table:
    """A function of one number: what it gives for each of the 256."""

    entries: Array

    def run(self, inputs: Sequence[Array]) -> Array:
        """A look-up for each number."""
        return np.asarray(self.entries[inputs[0].astype(np.int64) - LOW])


@dataclass(frozen=True)
class Sum:
    """An Add: each input less its zero times its factor, and the zero of the output."""

    zeros: tuple[int, int]
    multipliers: tuple[int, int]
    shift: int
    zero: int

    def run(self, inputs: Sequence[Array]) -> Array:
        """For each pair of numbers."""
        (a, b), (m, n) = (x.astype(np.int64) for x in inputs), self.multipliers
        total = (a - self.zeros[0]) * m + (b - self.zeros[1]) * n
        return clipped(halved(total, self.shift) + self.zero)


@dataclass(frozen=True)
class Blend:
    """A Gate: t f + (1 - t) x, where t has the scale 1/255 and the zero -128."""

    zeros: tuple[int, int]
    multipliers: tuple[int, int]
    shift: int
    zero: int

    def run(self, inputs: Sequence[Array]) -> Array:
        """For each three numbers."""
        t, f, x = (each.astype(np.int64) for each in inputs)
        share, (m, n) = t - LOW, self.multipliers
        total = share * ((f - self.zeros[0]) * m) + (255 - share) * ((x - self.zeros[1]) * n)
        return clipped(halved(total, self.shift) + self.zero)


@dataclass(frozen=True)
class Factors:
    """A Scale, or the scaling of the rows: a factor for each column, and a bias int32 (columns,)
    with both zeros in it."""

    multiplier: Array
    bias: Array
    shift: int

    def run(self, inputs: Sequence[Array]) -> Array:
        """For each number."""
        total = inputs[0].astype(np.int64) * self.multiplier.astype(np.int64)
        return clipped(halved(total + self.bias.astype(np.int64), self.shift))


@dataclass(frozen=True)
class Join:
    """A Concat: the columns of one value, then those of the other, each through a table of its own
    scale to the common one; None where it has that already."""

    tables: tuple[Table | None, Table | None]

    def run(self, inputs: Sequence[Array]) -> Array:
        """Side by side."""
        pairs = zip(self.tables, inputs, strict=True)
        parts = [x if table is None else table.run([x]) for table, x in pairs]
        return np.concatenate(parts, axis=1)
