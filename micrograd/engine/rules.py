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

In derivatives of derivatives two points differ from PyTorch, each by following the first
derivative: 0**y for y >= 0 stays constant in y, where PyTorch gets nan from 0 * log(0) and with it
loses d2(x**2)/dx2 = 2 at 0; and a learned slope of leaky_relu multiplies x = 0 in the second
derivative as in the first, where PyTorch counts 0 to the positive side in one of the two only.
d2(x**y)/dxdy = 1/x at y = 0 is inf for a denormal x, and x = inf leaves inf too: PyTorch's are nan.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import copysign, inf, nan
from typing import Any

Scalar = Any  # a float, or a Value while a derivative is itself being recorded

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


# Forward values. Each is total over the doubles.


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
        return copysign(inf, x) if abs(math.fmod(y, 2.0)) == 1 else inf  # y odd?


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


def add_up(*operands: float) -> float:
    """The sum from the left. (The builtin compensates from Python 3.12 on: other bits.)"""
    total = 0.0
    for x in operands:
        total += x
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


def pow_dx(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g * y * x**(y-1), and 0 for y = 0 even where x**-1 is infinite."""
    return 0.0 if is_zero(y) else g * (y * power(x, y - 1.0))


def pow_dy(g: Scalar, z: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """g * x**y * log(x), and 0 where x = 0 and y >= 0: 0**y stays 0 there."""
    return g * 0.0 if is_zero(x) and y >= 0 else g * (z * log(x))


def erfc_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g * -2/sqrt(pi) * exp(-x*x)."""
    return g * (-2.0 / math.sqrt(math.pi) * exp(-(x * x)))


def gelu_dx(g: Scalar, z: Scalar, x: Scalar) -> Scalar:
    """g * (cdf(x) + x * pdf(x)) of the standard normal distribution."""
    cdf = 0.5 * erfc(-x * math.sqrt(0.5))
    pdf = exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return g * (cdf + x * pdf)


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
    lambda g, z, x, y: -g * divide(z, y),
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
        *(DOT, SUM, WHERE),
    )
}


def _rule_named(name: str) -> Rule:
    return RULES[name]
