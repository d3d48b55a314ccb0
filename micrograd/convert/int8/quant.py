"""Numbers as 8-bit integers, and sums of products of them brought back to 8 bits.

A real number r is scale * (q - zero), with q from -128 to 127 (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 2.1).
Sums go back to 8 bits by a shift, a multiplication of 16 by 16 bits and another shift, so that no
product is wider than 32 bits: what small processors have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from micrograd.core import Array

LOW, HIGH = -128, 127
LARGEST_WEIGHT = 127
LARGEST_FACTOR = (1 << 15) - 1  # of the multiplication, and of what is multiplied
SECOND_SHIFT = 20
# An output's step holds at least so many steps of the sum that it is made of: factors then fit 15
# bits. The step of the sum is 1/127 of what one step of an input does by the largest weight.
STEPS = 1 << (SECOND_SHIFT - 15)
FEWEST = 2.0**-24  # the smallest real factor of a sum: one of smaller weights than that is rounding
SAMPLE = 256  # rows that a range is tried on
TRIED = np.geomspace(1.0, 0.1, 17)  # shares of the whole range, of which the best is taken


@dataclass(frozen=True)
class Quant:
    """How the numbers of one array are stored: scale, a float32, and zero, from -128 to 127."""

    scale: float
    zero: int

    @staticmethod
    def between(low: float, high: float, least: float = 0.0) -> Quant:
        """That of numbers from low to high, 0 among them, in steps of at least `least`."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / (HIGH - LOW), least)
        if not scale > 0:
            scale = 1.0
        scale = float(np.maximum(np.float32(scale), np.finfo(np.float32).tiny))
        return Quant(scale, min(max(round(LOW - low / scale), LOW), HIGH))

    def stored(self, values: Array) -> Array:
        """The nearest of the 256 numbers, int8."""
        q = np.rint(values / self.scale) + self.zero
        return clipped(q)

    def restored(self, q: Array) -> Array:
        """What they stand for, float64."""
        return np.asarray(self.scale * (q.astype(np.float64) - self.zero))


def itself(values: Array) -> Array:
    """The function that changes nothing."""
    return values


def calibrated(
    values: Array, through: Callable[[Array], Array] = itself, least: float = 0.0
) -> Quant:
    """The range whose rounding and clipping change through(values) least, in the mean square;
    values are (rows, columns)."""
    low, high = float(values.min()), float(values.max())
    sample = values[:: max(1, len(values) // SAMPLE)]
    right = through(sample)
    best, smallest = Quant.between(low, high, least), math.inf
    for share in TRIED:
        quant = Quant.between(low * share, high * share, least)
        error = float(np.square(through(quant.restored(quant.stored(sample))) - right).mean())
        if error < smallest:
            best, smallest = quant, error
    return best


def halved(values: Array, shift: Array | int) -> Array:
    """values / 2^shift, rounded to the nearest integer, halves up."""
    return (values + ((1 << shift) >> 1)) >> shift


def clipped(values: Array) -> Array:
    """As int8."""
    return np.asarray(np.clip(values, LOW, HIGH).astype(np.int8))


def factors(real: Array) -> tuple[Array, Array]:
    """What multiplies sums by real factors: (multiplier int16, shift int8), of which requantised
    makes real * sum, for factors from FEWEST to 1 / STEPS.

    The shift leaves a sum that is not clipped 13 or 14 bits, the multiplier has 15.
    """
    shift = np.maximum(0, np.floor(-np.log2(real)).astype(int) - (SECOND_SHIFT - 15))
    multiplier = np.rint(real * 2.0 ** (shift + SECOND_SHIFT))
    return np.minimum(multiplier, LARGEST_FACTOR).astype(np.int16), shift.astype(np.int8)


def requantised(sums: Array, multiplier: Array, shift: Array, zero: int) -> Array:
    """Sums (rows, n) int64 as int8 (rows, n), in integers."""
    first = np.clip(halved(sums, shift.astype(np.int64)), -LARGEST_FACTOR, LARGEST_FACTOR)
    return clipped(halved(first * multiplier.astype(np.int64), SECOND_SHIFT) + zero)
