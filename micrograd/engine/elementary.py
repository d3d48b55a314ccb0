"""Elementary functions, total over the doubles: IEEE arithmetic as in PyTorch, where Python raises
ZeroDivisionError, OverflowError or ValueError, or turns to complex numbers.

Those that derivatives are made of take Values too, and then record themselves in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import copysign, inf, nan
from typing import Any

Scalar = Any  # a float, or a Value while a derivative is itself being recorded


def divide(x: Scalar, y: Scalar) -> Scalar:
    """x / y; a nonzero number over zero is an infinity of the right sign, 0/0 is nan."""
    try:
        return x / y
    except ZeroDivisionError:
        return nan if x == 0 or x != x else copysign(inf, x) * copysign(1.0, y)


def power(x: Scalar, y: Scalar) -> Scalar:
    """x ** y as C's pow: nan for a negative base and fractional y, inf on overflow and at 0**-1."""
    if type(x) is not float or type(y) is not float:
        return x**y
    try:
        return math.pow(x, y)
    except (ValueError, OverflowError):  # a fractional power of x < 0, a pole, or an overflow
        if x < 0 and y != math.floor(y):
            return nan
        odd = y != -inf and abs(math.fmod(y, 2.0)) == 1  # -inf: before 3.11
        return copysign(inf, x) if odd else inf


def exp(x: Scalar) -> Scalar:
    """e ** x, inf on overflow."""
    if type(x) is not float:
        return x.exp()
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def log(x: Scalar) -> Scalar:
    """Natural logarithm: -inf at 0, nan below."""
    if type(x) is not float:
        return x.log()
    return math.log(x) if x > 0 else -inf if x == 0 else nan


def square_root(x: float) -> float:
    """Square root, nan below 0."""
    return math.sqrt(x) if x >= 0 else nan


def sin(x: Scalar) -> Scalar:
    """Sine, nan at the infinities."""
    if type(x) is not float:
        return x.sin()
    return math.sin(x) if math.isfinite(x) else nan


def cos(x: Scalar) -> Scalar:
    """Cosine, nan at the infinities."""
    if type(x) is not float:
        return x.cos()
    return math.cos(x) if math.isfinite(x) else nan


def erfc(x: Scalar) -> Scalar:
    """Complementary error function, 2/sqrt(pi) times the integral of exp(-t*t) from x to inf."""
    return math.erfc(x) if type(x) is float else x.erfc()


def sigmoid(x: Scalar) -> Scalar:
    """1 / (1 + exp(-x)), from the side on which exp cannot overflow."""
    if type(x) is not float:
        return x.sigmoid()
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    z = math.exp(x)
    return z / (1.0 + z)


def softplus(x: float) -> float:
    """log(1 + exp(x)), accurate for every x (PyTorch rounds to x above 20, off by up to 2e-9)."""
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def gelu(x: float) -> float:
    """x times the normal cdf of x (Hendrycks and Gimpel 2016); erfc keeps x << 0 accurate."""
    return 0.5 * x * math.erfc(-x * math.sqrt(0.5))


def maximum(x: float, y: float) -> float:
    """The larger operand, nan if either is."""
    return x if x > y or x != x else y


def minimum(x: float, y: float) -> float:
    """The smaller operand, nan if either is."""
    return x if x < y or x != x else y


def add_up(*operands: float) -> float:
    """The sum from the left. (The builtin compensates from Python 3.12 on: other bits.)"""
    total = 0.0
    for x in operands:
        total += x
    return total


def erf(x: float) -> float:
    """Error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x."""
    return math.erf(x)


def log1p(x: float) -> float:
    """log(1 + x), accurate near 0."""
    return math.log1p(x) if x > -1 else -inf if x == -1 else nan


def expm1(x: float) -> float:
    """exp(x) - 1, accurate near 0."""
    try:
        return math.expm1(x)
    except OverflowError:
        return inf


def log2(x: float) -> float:
    """Logarithm to the base 2."""
    return math.log2(x) if x > 0 else -inf if x == 0 else nan


def log10(x: float) -> float:
    """Logarithm to the base 10."""
    return math.log10(x) if x > 0 else -inf if x == 0 else nan


def tan(x: float) -> float:
    """Tangent, nan at the infinities."""
    return math.tan(x) if math.isfinite(x) else nan


def asin(x: float) -> float:
    """Arc sine, nan outside [-1, 1]."""
    return math.asin(x) if -1 <= x <= 1 else nan


def acos(x: float) -> float:
    """Arc cosine, nan outside [-1, 1]."""
    return math.acos(x) if -1 <= x <= 1 else nan


def sinh(x: Scalar) -> Scalar:
    """Hyperbolic sine."""
    if type(x) is not float:
        return x.sinh()
    try:
        return math.sinh(x)
    except OverflowError:
        return copysign(inf, x)


def cosh(x: Scalar) -> Scalar:
    """Hyperbolic cosine."""
    if type(x) is not float:
        return x.cosh()
    try:
        return math.cosh(x)
    except OverflowError:
        return inf


def acosh(x: float) -> float:
    """Inverse hyperbolic cosine, nan below 1."""
    return math.acosh(x) if x >= 1 else nan


def atanh(x: float) -> float:
    """Inverse hyperbolic tangent; an infinity at -1 and 1, nan beyond."""
    if -1 < x < 1:
        return math.atanh(x)
    return copysign(inf, x) if abs(x) == 1 else nan


def whole(f: Callable[[float], int]) -> Callable[[float], float]:
    """A rounding of Python's as C has it: zeros keep their sign, infinities and nan stay."""
    return lambda x: copysign(f(x), x) if math.isfinite(x) else x


def hypot(x: Scalar, y: Scalar) -> Scalar:
    """sqrt(x*x + y*y) without overflow on the way."""
    if type(x) is not float or type(y) is not float:
        return x.hypot(y) if type(x) is not float else y.hypot(x)
    return math.hypot(x, y)


def clamp(x: float, low: float, high: float) -> float:
    """x, but low where it is below, and high where that is above high; nan for a nan."""
    if x != x or low != low or high != high:
        return nan
    return min(max(x, low), high)
