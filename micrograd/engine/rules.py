"""The table of scalar ops: one entry holds an op's name, value and derivative.

Whatever needs to know an op asks here: the eager graph (`engine`), derivatives of derivatives,
forward mode, the compiled tape, drawing and the tests. To add an op, add an entry.

**A derivative is a linear map.** For z = f(x, y) the entry holds one function per operand,

    dx(g, z, x, y) = g * df/dx        dy(g, z, x, y) = g * df/dy

Reverse mode calls it with g = dL/dz and gets what z sends back to that operand; forward mode calls
it with g = the operand's tangent and adds the results up to z's. `g` is an argument, not multiplied
on afterwards, so that a kink can block it altogether: relu at x < 0 gives 0 even for g = inf.

**It works on floats and on Values alike.** First derivatives run it on floats. With `create_graph`
the same function runs on Values, and so records the graph of the derivative.

Arithmetic is IEEE 754 double precision as in PyTorch: where Python raises ZeroDivisionError,
OverflowError or ValueError, or turns to complex numbers, these functions give inf or nan.
Conventions at kinks are PyTorch's (its `derivatives.yaml`): relu'(0) = abs'(0) = 0, a tie of
maximum or minimum gives each side half, d(x**0)/dx = 0, and d(0**y)/dy = 0 for y >= 0.

In derivatives of derivatives three points differ from PyTorch. 0**y for y >= 0 stays constant in y,
in all further derivatives too, where PyTorch gets nan from 0 * log(0) and with it loses
d2(x**2)/dx2 = 2 at 0. d2(x**y)/dxdy is 1/x at y = 0 from both sides, where PyTorch has 0 from one.
And a learned slope of leaky_relu multiplies x = 0 in the second derivative as in the first, where
PyTorch counts 0 to the positive side in one of the two only.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from micrograd.engine.elementary import (
    Scalar,
    acos,
    acosh,
    add_up,
    asin,
    atanh,
    clamp,
    cos,
    cosh,
    divide,
    erf,
    erfc,
    exp,
    expm1,
    gelu,
    hypot,
    log,
    log1p,
    log2,
    log10,
    maximum,
    minimum,
    power,
    sigmoid,
    sin,
    sinh,
    softplus,
    square_root,
    tan,
    whole,
)
from micrograd.engine.special import cube_root, digamma, log_gamma, polygamma

ANY = 0  # the arity of an op that is not unary or binary


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """One scalar op.

    name: what `Value.op` says, and the stem of `<MulBackward>`.
    symbol: what `Value._op` and drawings show.
    arity: 1, 2 or ANY.
    value: the forward computation, floats to float.
    dx, dy: the linear maps of the first and the second operand (see the module's docstring).
    pull: for arity ANY, `pull(g, z, operands)`: all the linear maps at once, in operand order.
    bounded: the partial derivatives are finite wherever z is. A `g` of exactly 0 then sends
        exactly 0 to every operand, and backward need not send it.
    """

    name: str
    symbol: str
    arity: int
    value: Callable[..., float]
    dx: Callable[..., Scalar] | None = None
    dy: Callable[..., Scalar] | None = None
    pull: Callable[[Scalar, Scalar, Sequence[Scalar]], Sequence[Scalar]] | None = None
    bounded: bool = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by name, so that there is one MUL however many graphs are copied."""
        return _rule_named, (self.name,)

    def contributions(self, g: Scalar, z: Scalar, operands: Sequence[Scalar]) -> Sequence[Scalar]:
        """g times each partial derivative of z, in operand order, for any arity."""
        if self.pull is not None:
            return self.pull(g, z, operands)
        maps = (self.dx, self.dy)[: self.arity]
        return [linear(g, z, *operands) for linear in maps if linear is not None]

    def tangent(
        self, tangents: Sequence[Scalar | None], z: Scalar, operands: Sequence[Scalar]
    ) -> Scalar:
        """Forward mode: the sum over the operands of tangent times partial derivative of z.

        None stands for an operand that does not vary; there is one that does.
        """
        if self.pull is not None:
            partials = self.pull(1.0, z, operands)
            terms = [t * dz for t, dz in zip(tangents, partials, strict=True) if t is not None]
        else:
            maps = (self.dx, self.dy)[: self.arity]
            pairs = zip(tangents, maps, strict=True)
            terms = [m(t, z, *operands) for t, m in pairs if m is not None and t is not None]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


def split_dot(operands: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Any]:
    """The operands of a dot, or whatever else there is one of for each: ws, xs and the bias."""
    n = len(operands) // 2
    return operands[:n], operands[n:-1], operands[-1]


def dot(*operands: float) -> float:
    """w0..wn-1, x0..xn-1, b -> b + sum of w_i * x_i, from the left: the same bits everywhere."""
    ws, xs, bias = split_dot(operands)
    total: float = bias
    for w, x in zip(ws, xs, strict=True):
        total += w * x
    return total


# Derivatives that need more than a line.


def is_zero(x: Scalar) -> bool:
    """x == 0 by comparisons that Values have too (their == is identity)."""
    return bool(x <= 0 <= x)


def sign(x: Scalar) -> float:
    """-1, 0 or 1: the derivative of abs."""
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0


def larger(g: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g's share for x in maximum(x, y), which is its share for y in minimum(y, x) too."""
    if x < y:
        return 0.0
    return 0.5 * g if x <= y else g  # neither < nor <= : x is larger, or one of them is nan


def div_dy(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """-g * z / y. z / y may overflow where the result does not: 1 / x**2 in x * (1 / x)."""
    ratio = divide(z, y)
    finite = ratio * 0.0 <= 0
    return -g * ratio if finite else -divide(g, y) * z


def pow_dx(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g * y * x**(y-1), and 0 for y = 0 even where x**-1 is infinite.

    At y = 0 it still depends on y, where that is no plain number: d/dy of it is 1/x. At x = 0 it
    does not for y > 0, as 0**y stays 0: derivatives commute.
    """
    if is_zero(y):
        if type(y) is float or not 0 < abs(x) < inf:
            return 0.0
        return divide(g * y, x) * z
    if type(y) is not float and is_zero(x) and y > 0:
        y = y.detach()
    return g * (y * power(x, y - 1.0))


def pow_dy(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g * x**y * log(x), and 0 where x = 0 and y >= 0: 0**y stays 0 there. For x < 0 there is none,
    nor further ones.
    """
    if x < 0:
        return g * (z * (x * nan))
    return g * 0.0 if is_zero(x) and y >= 0 else g * (z * log(x))


def erfc_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g * -2/sqrt(pi) * exp(-x*x)."""
    return g * (-2.0 / math.sqrt(math.pi) * exp(-(x * x)))


def gelu_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g * (cdf(x) + x * pdf(x)) of the standard normal distribution."""
    cdf = 0.5 * erfc(-x * math.sqrt(0.5))
    pdf = exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return g * (cdf + x * pdf)


def asin_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g / sqrt(1 - x*x)."""
    square = (1.0 - x) * (1.0 + x)
    return g * (square * nan) if square < 0 else g * power(square, -0.5)


def asinh_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g / sqrt(1 + x*x), without overflow."""
    return divide(g, hypot(x, 1.0))


def acosh_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g / sqrt(x*x - 1), for x >= 1."""
    return g * (x * nan) if x < 1 else g * (power(x - 1.0, -0.5) * power(x + 1.0, -0.5))


def atan_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g / (1 + x*x)."""
    return divide(g, 1.0 + x * x)


def atan2_dx(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """Of the angle of (y, x), x up: g * y / (x*x + y*y); 0 at (0, 0), as in PyTorch."""
    h = hypot(x, y)
    return 0.0 if h <= 0 else g * divide(divide(y, h), h)


def atan2_dy(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g * -x / (x*x + y*y)."""
    h = hypot(x, y)
    return 0.0 if h <= 0 else g * -divide(divide(x, h), h)


def polygamma_of(x: Scalar, n: Scalar) -> Scalar:
    """The derivative number n of digamma."""
    if type(x) is not float:
        return x.polygamma(n)
    return polygamma(x, n) if type(n) is float else 0.0  # nothing asks for that of a number


def clamp_pull(g: Scalar, z: Scalar, operands: Sequence[Scalar]) -> Sequence[Scalar]:
    """g to x within the bounds, them included; else to the bound that holds, but below two equal
    bounds to neither, as in PyTorch.
    """
    x, low, high = operands
    if x > high or low > high:
        return [0.0, 0.0, g]
    if x < low:
        return [0.0, g, 0.0] if low < high else [0.0, 0.0, 0.0]
    return [g, 0.0, 0.0] if low <= x <= high else [0.0, 0.0, 0.0]


def dot_pull(g: Scalar, z: Scalar, operands: Sequence[Scalar]) -> Sequence[Scalar]:
    """Each w_i receives g * x_i, each x_i receives g * w_i, the bias g."""
    ws, xs, _ = split_dot(operands)
    return [*[g * x for x in xs], *[g * w for w in ws], g]


ADD = Rule("add", "+", 2, operator.add, lambda g, z, x, y: g, lambda g, z, x, y: g)
SUB = Rule("sub", "-", 2, operator.sub, lambda g, z, x, y: g, lambda g, z, x, y: -g)
MUL = Rule("mul", "*", 2, operator.mul, lambda g, z, x, y: g * y, lambda g, z, x, y: g * x)
DIV = Rule(
    "div",
    "/",
    2,
    divide,
    lambda g, z, x, y: divide(g, y),
    div_dy,
    bounded=False,
)
POW = Rule("pow", "**", 2, power, pow_dx, pow_dy, bounded=False)
MAXIMUM = Rule(
    "maximum",
    "max",
    2,
    maximum,
    lambda g, z, x, y: larger(g, x, y),
    lambda g, z, x, y: larger(g, y, x),
)
MINIMUM = Rule(
    "minimum",
    "min",
    2,
    minimum,
    lambda g, z, x, y: larger(g, y, x),
    lambda g, z, x, y: larger(g, x, y),
)
LEAKY_RELU = Rule(  # y is the slope on the negative side
    "leaky_relu",
    "LeakyReLU",
    2,
    lambda x, y: x if x > 0 else x * y,
    lambda g, z, x, y: g if x > 0 else g * y,
    lambda g, z, x, y: 0.0 if x > 0 else g * x,
)

NEG = Rule("neg", "neg", 1, operator.neg, lambda g, z, x: -g)
ABS = Rule("abs", "abs", 1, abs, lambda g, z, x: g * sign(x))
EXP = Rule("exp", "exp", 1, exp, lambda g, z, x: g * z)
LOG = Rule("log", "log", 1, log, lambda g, z, x: divide(g, x), bounded=False)
SQRT = Rule("sqrt", "sqrt", 1, square_root, lambda g, z, x: divide(g, 2.0 * z), bounded=False)
SIN = Rule("sin", "sin", 1, sin, lambda g, z, x: g * cos(x))
COS = Rule("cos", "cos", 1, cos, lambda g, z, x: g * -sin(x))
TANH = Rule("tanh", "tanh", 1, math.tanh, lambda g, z, x: g * (1.0 - z * z))
SIGMOID = Rule("sigmoid", "sigmoid", 1, sigmoid, lambda g, z, x: g * (1.0 - z) * z)
RELU = Rule(
    "relu",
    "ReLU",
    1,
    lambda x: 0.0 if x <= 0 else x,
    lambda g, z, x: 0.0 if x <= 0 else g,
)
SOFTPLUS = Rule("softplus", "softplus", 1, softplus, lambda g, z, x: g * sigmoid(x))
ERFC = Rule("erfc", "erfc", 1, erfc, erfc_dx)
GELU = Rule("gelu", "GELU", 1, gelu, gelu_dx)

LN2, LN10 = math.log(2.0), math.log(10.0)
LOG1P = Rule("log1p", "log1p", 1, log1p, lambda g, z, x: divide(g, 1.0 + x))
EXPM1 = Rule("expm1", "expm1", 1, expm1, lambda g, z, x: g * (z + 1.0))
LOG2 = Rule("log2", "log2", 1, log2, lambda g, z, x: divide(g, x * LN2), bounded=False)
LOG10 = Rule("log10", "log10", 1, log10, lambda g, z, x: divide(g, x * LN10), bounded=False)
TAN = Rule("tan", "tan", 1, tan, lambda g, z, x: g * (1.0 + z * z))
ASIN = Rule("asin", "asin", 1, asin, asin_dx, bounded=False)
ACOS = Rule("acos", "acos", 1, acos, lambda g, z, x: -asin_dx(g, z, x), bounded=False)
ATAN = Rule("atan", "atan", 1, math.atan, atan_dx)
SINH = Rule("sinh", "sinh", 1, sinh, lambda g, z, x: g * cosh(x))
COSH = Rule("cosh", "cosh", 1, cosh, lambda g, z, x: g * sinh(x))
ASINH = Rule("asinh", "asinh", 1, math.asinh, asinh_dx)
ACOSH = Rule("acosh", "acosh", 1, acosh, acosh_dx, bounded=False)
ATANH = Rule("atanh", "atanh", 1, atanh, lambda g, z, x: divide(g, (1.0 - x) * (1.0 + x)))
CBRT = Rule("cbrt", "cbrt", 1, cube_root, lambda g, z, x: divide(g, 3.0 * (z * z)), bounded=False)
ERF = Rule("erf", "erf", 1, erf, lambda g, z, x: -erfc_dx(g, z, x))
LGAMMA = Rule(
    "lgamma", "lgamma", 1, log_gamma, lambda g, z, x: g * polygamma_of(x, 0.0), bounded=False
)
DIGAMMA = Rule(
    "digamma", "digamma", 1, digamma, lambda g, z, x: g * polygamma_of(x, 1.0), bounded=False
)
SIGN = Rule("sign", "sign", 1, sign, lambda g, z, x: 0.0)
FLOOR = Rule("floor", "floor", 1, whole(math.floor), lambda g, z, x: 0.0)
CEIL = Rule("ceil", "ceil", 1, whole(math.ceil), lambda g, z, x: 0.0)
ROUND = Rule("round", "round", 1, whole(round), lambda g, z, x: 0.0)  # halves to even

HYPOT = Rule(
    "hypot",
    "hypot",
    2,
    hypot,
    lambda g, z, x, y: g * divide(x, z),
    lambda g, z, x, y: g * divide(y, z),
    bounded=False,
)
ATAN2 = Rule("atan2", "atan2", 2, math.atan2, atan2_dx, atan2_dy, bounded=False)
POLYGAMMA = Rule(  # y is the order: 0, 1, 2, ...
    "polygamma",
    "polygamma",
    2,
    polygamma,
    lambda g, z, x, y: g * polygamma_of(x, y + 1.0),
    lambda g, z, x, y: 0.0,
    bounded=False,
)
CLAMP = Rule("clamp", "clamp", ANY, clamp, pull=clamp_pull)

DOT = Rule("dot", "dot", ANY, dot, pull=dot_pull)
SUM = Rule("sum", "sum", ANY, add_up, pull=lambda g, z, operands: [g] * len(operands))
WHERE = Rule(  # operands: 1.0 or 0.0 for the condition, the value if true, the value if false
    "where",
    "where",
    ANY,
    lambda c, x, y: x if c else y,
    pull=lambda g, z, operands: [0.0, g, 0.0] if operands[0] else [0.0, 0.0, g],
)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        *(ADD, SUB, MUL, DIV, POW, MAXIMUM, MINIMUM, LEAKY_RELU),
        *(NEG, ABS, EXP, LOG, SQRT, SIN, COS, TANH, SIGMOID, RELU, SOFTPLUS, ERFC, GELU),
        *(LOG1P, EXPM1, LOG2, LOG10, TAN, ASIN, ACOS, ATAN, SINH, COSH, ASINH, ACOSH, ATANH),
        *(CBRT, ERF, LGAMMA, DIGAMMA, SIGN, FLOOR, CEIL, ROUND, HYPOT, ATAN2, POLYGAMMA),
        *(DOT, SUM, WHERE, CLAMP),
    )
}


def _rule_named(name: str) -> Rule:
    return RULES[name]
