"""Gamma's logarithm and its derivatives, and other functions that Python's math lacks or has not
for every double: total over the doubles, as C and PyTorch have them. The C core's are the same
formulas (csrc/kernels/special_template.h).

digamma and polygamma: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.3 and 6.4:
reflection for x < 0 (6.3.7, 6.4.7), recurrence up to where the asymptotic series holds (6.3.18,
6.4.11).
"""

from __future__ import annotations

import math
from math import inf, nan, pi

from micrograd.engine.elementary import power

FAR = 15.0  # from here on eight terms of the series leave less than a rounding
# B_2k / (2k)!, k = 1, 2, ...: Bernoulli numbers
_BERNOULLI = (
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30240.0,
    -1.0 / 1209600.0,
    1.0 / 47900160.0,
    -691.0 / 1307674368000.0,
    1.0 / 74724249600.0,
    -3617.0 / 10670622842880000.0,
)


def cube_root(x: float) -> float:
    """The real cube root, as C's cbrt (math has it from Python 3.11 on)."""
    if x == 0 or x - x != 0:  # zeros, infinities and nan are their own
        return x
    root = math.copysign(math.exp(math.log(abs(x)) / 3.0), x)
    return root - (root - x / (root * root)) / 3.0  # one step of Newton's


def log_gamma(x: float) -> float:
    """ln |gamma(x)|; inf at the poles 0, -1, ... and at both infinities."""
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return inf


def digamma(x: float) -> float:
    """The derivative of ln gamma; at 0 an infinity of the other sign, nan at the other poles."""
    if x == 0:
        return -math.copysign(inf, x)
    if x < 0:
        if x == -inf or x == math.floor(x):
            return nan
        return digamma(1.0 - x) - pi / math.tan(pi * math.fmod(x, 1.0))
    if x == inf or x != x:
        return x
    shift = 0.0
    while x < FAR:
        shift -= 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    series, factor, factorial = 0.0, square, 1.0
    for k, b in enumerate(_BERNOULLI):  # B_2k / (2k) / x**(2k)
        series += b * factorial * factor
        factorial *= (2.0 * k + 2.0) * (2.0 * k + 3.0)
        factor *= square
    return shift + math.log(x) - 0.5 / x - series


def polygamma(x: float, n: float) -> float:
    """The derivative number n of digamma, n = 0, 1, 2, ...; nan for any other n."""
    if n == 0:
        return digamma(x)
    if not 0 < n <= 160 or n != math.floor(n) or x != x or x == -inf:
        return nan
    order = int(n)
    if x <= 0 and x == math.floor(x):
        return inf if order % 2 else nan
    sign = 1.0 if order % 2 else -1.0  # of the result for x > 0
    if x < 0:
        return -sign * polygamma(1.0 - x, n) - _derivative_of_cotangent(x, order)
    if x == inf:
        return 0.0
    if power(x, n + 1.0) == 0.0:
        return sign * inf
    factorial: float = math.gamma(n)  # (n - 1)!
    shift = 0.0
    while x < FAR + n:
        shift += n * factorial / power(x, n + 1.0)
        x += 1.0
    first: float = factorial / power(x, n)
    total = first + 0.5 * n * first / x
    term, square = first, 1.0 / (x * x)
    for k, b in enumerate(_BERNOULLI):  # B_2k (2k + n - 1)! / (2k)! / x**(2k + n)
        term *= (n + 2.0 * k) * (n + 2.0 * k + 1.0) * square
        total += b * term
    return sign * (shift + total)


def _derivative_of_cotangent(x: float, order: int) -> float:
    """The derivative number `order` of pi cot(pi x): pi**(order+1) times a polynomial in cot, each
    the derivative of the one before times -(1 + cot**2).
    """
    coefficients = [0.0, 1.0]
    for _ in range(order):
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        coefficients = [0.0] * (len(slope) + 2)
        for k, c in enumerate(slope):
            coefficients[k] -= c
            coefficients[k + 2] -= c
    cotangent = 1.0 / math.tan(pi * math.fmod(x, 1.0))
    total = 0.0
    for c in reversed(coefficients):
        total = total * cotangent + c
    return pi ** (order + 1) * total
