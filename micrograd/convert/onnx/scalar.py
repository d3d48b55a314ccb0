"""A scalar function as nodes of an ONNX graph, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from micrograd.convert.scalar_function import ScalarFunction
from micrograd.engine.rules import split_dot


class Builder(Protocol):
    """What is needed of the builder of the file."""

    onnx: Any
    dtype: np.dtype[Any]
    element: int

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Appends a node, and returns the name of its output."""

    def constant(self, data: float) -> str:
        """The name of a number."""


OPS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "pow": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "neg": "Neg",
    "abs": "Abs",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
    "sum": "Sum",
    "detach": "Identity",
}


# Of OPS, those that onnxruntime has in float32 alone.
FLOAT32_ALONE = frozenset(
    ("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh")
)


class Scalar:
    """Writes the nodes of one function; names of values are `path` and a number."""

    def __init__(self, to: Builder, path: str) -> None:
        self.to = to
        self.path = path
        self.count = 0
        self.conditions: dict[str, str] = {}  # a number 1 or 0 to the boolean it was made of

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Appends a node."""
        self.count += 1
        return self.to.node(op, list(inputs), f"{self.path} {self.count} {op}", **attributes)

    def op(self, name: str, operands: Sequence[str]) -> str:
        """Appends what an op of `rules` needs."""
        if name in FLOAT32_ALONE and self.to.dtype != np.float32:
            return self.in_single(OPS[name], operands[0])
        if name in OPS:
            return self.node(OPS[name], *operands)
        if name not in COMPOSED:
            raise ValueError(f"to_onnx: an activation uses {name}, for which ONNX has no operator")
        return COMPOSED[name](self, *operands)

    def number(self, condition: str) -> str:
        """1 or 0 for a boolean."""
        out = self.node("Cast", condition, to=self.to.element)
        self.conditions[out] = condition
        return out

    def erf(self, x: str) -> str:
        """erf(x), in float32: onnxruntime has no other."""
        return self.node("Erf", x) if self.to.dtype == np.float32 else self.in_single("Erf", x)

    def in_single(self, op: str, x: str) -> str:
        """An operator that onnxruntime has in float32 alone, in float64."""
        kind = self.to.onnx.TensorProto
        single = self.node(op, self.node("Cast", x, to=kind.FLOAT))
        return self.node("Cast", single, to=kind.DOUBLE)


def _leaky_relu(to: Scalar, x: str, slope: str) -> str:
    positive = to.node("Less", to.to.constant(0.0), x)
    return to.node("Where", positive, x, to.node("Mul", x, slope))


def softplus(to: Scalar, x: str) -> str:
    """max(x, 0) + log(1 + exp(-|x|)): onnxruntime has Softplus in float32 alone."""
    if to.to.dtype == np.float32:
        return to.node("Softplus", x)
    small = to.node("Exp", to.node("Neg", to.node("Abs", x)))
    rest = to.node("Log", to.node("Add", to.to.constant(1.0), small))
    return to.node("Add", to.node("Relu", x), rest)


def _erfc(to: Scalar, x: str) -> str:
    return to.node("Sub", to.to.constant(1.0), to.erf(x))


def gelu(to: Scalar, x: str) -> str:
    """x / 2 (1 + erf(x / sqrt 2)): the Gelu op needs opset 20."""
    erf = to.erf(to.node("Mul", x, to.to.constant(math.sqrt(0.5))))
    half = to.node("Mul", x, to.to.constant(0.5))
    return to.node("Mul", half, to.node("Add", erf, to.to.constant(1.0)))


def silu(to: Scalar, x: str) -> str:
    """x sigmoid(x)."""
    return to.node("Mul", x, to.node("Sigmoid", x))


def mish(to: Scalar, x: str) -> str:
    """x tanh(softplus(x))."""
    return to.node("Mul", x, to.node("Tanh", softplus(to, x)))


def elu(to: Scalar, x: str, alpha: float, scale: float = 1.0) -> str:
    """scale * (max(x, 0) + alpha (exp(min(x, 0)) - 1)): Elu's attribute is a float32 always."""
    zero, one = to.to.constant(0.0), to.to.constant(1.0)
    left = to.node("Sub", to.node("Exp", to.node("Min", x, zero)), one)
    right = to.node("Mul", to.node("Max", x, zero), to.to.constant(scale))
    return to.node("Add", right, to.node("Mul", left, to.to.constant(scale * alpha)))


def _dot(to: Scalar, *operands: str) -> str:
    ws, xs, bias = split_dot(operands)
    return to.node("Sum", bias, *(to.node("Mul", w, x) for w, x in zip(ws, xs, strict=True)))


def _where(to: Scalar, condition: str, x: str, y: str) -> str:
    if condition not in to.conditions:
        to.conditions[condition] = to.node("Cast", condition, to=to.to.onnx.TensorProto.BOOL)
    return to.node("Where", to.conditions[condition], x, y)


def _one_of(to: Scalar, test: str, x: str, y: str, yes: str, no: str) -> str:
    """yes where the test (Less, Equal, ...) of x and y holds, else no."""
    return to.node("Where", to.node(test, x, y), yes, no)


def _log1p(to: Scalar, x: str) -> str:
    """log(u) x / (u - 1) for u = 1 + x: the rounding of u is made good (Kahan)."""
    one = to.to.constant(1.0)
    u = to.node("Add", one, x)
    scaled = to.node("Div", x, to.node("Sub", u, one))
    exact = _one_of(to, "Equal", u, one, x, to.node("Mul", to.node("Log", u), scaled))
    return _one_of(to, "Less", u, to.to.constant(math.inf), exact, to.node("Log", u))


def _expm1(to: Scalar, x: str) -> str:
    """(u - 1) x / log(u) for u = exp(x), likewise."""
    one = to.to.constant(1.0)
    u = to.node("Exp", x)
    less = to.node("Sub", u, one)
    scaled = to.node("Mul", less, to.node("Div", x, to.node("Log", u)))
    small = _one_of(to, "Equal", u, one, x, scaled)
    return _one_of(to, "Less", to.node("Abs", x), one, small, less)


def _logarithm(base: float) -> Callable[[Scalar, str], str]:
    return lambda to, x: to.node("Mul", to.node("Log", x), to.to.constant(1.0 / math.log(base)))


def _cbrt(to: Scalar, x: str) -> str:
    root = to.node("Pow", to.node("Abs", x), to.to.constant(1.0 / 3.0))
    return to.node("Mul", to.node("Sign", x), root)


def _hypot(to: Scalar, x: str, y: str) -> str:
    """The larger times sqrt(1 + (smaller / larger)^2), which does not overflow."""
    a, b = to.node("Abs", x), to.node("Abs", y)
    large, small = to.node("Max", a, b), to.node("Min", a, b)
    one, zero, inf = map(to.to.constant, (1.0, 0.0, math.inf))
    ratio = to.node("Div", small, large)
    root = to.node("Sqrt", to.node("Add", one, to.node("Mul", ratio, ratio)))
    finite = _one_of(to, "Equal", large, inf, inf, to.node("Mul", large, root))
    return _one_of(to, "Equal", large, zero, zero, finite)


def _atan2(to: Scalar, y: str, x: str) -> str:
    """2 atan(y / (h + x)) to the right, and pi or -pi less 2 atan(y / (h - x)) to the left."""
    pi, two, zero = map(to.to.constant, (math.pi, 2.0, 0.0))
    h = _hypot(to, x, y)
    angle = to.op("atan", [to.node("Div", y, to.node("Add", h, to.node("Abs", x)))])
    double = to.node("Mul", two, angle)
    over = to.node("Less", to.node("Div", to.to.constant(1.0), y), zero)  # so is -0
    below = to.node("Or", to.node("Less", y, zero), over)
    half_turn = to.node("Where", below, to.to.constant(-math.pi), pi)
    left = to.node("Sub", half_turn, double)
    found = _one_of(to, "Less", x, zero, left, double)
    return _one_of(to, "Equal", h, zero, zero, found)


def _clamp(to: Scalar, x: str, low: str, high: str) -> str:
    return to.node("Min", to.node("Max", x, low), high)


def _reflected(
    to: Scalar, x: str, positive: Callable[[Scalar, str], str], rest: Callable[[str], str]
) -> str:
    """A function of the gamma family: positive(x), for x < 1/2 rest(pi x) - positive(1 - x)."""
    half, one, pi = map(to.to.constant, (0.5, 1.0, math.pi))
    left = to.node("Less", x, half)
    value = positive(to, to.node("Where", left, to.node("Sub", one, x), x))
    turned = rest(to.node("Mul", pi, to.node("Sub", x, to.node("Round", x))))
    return to.node("Where", left, to.node("Sub", turned, value), value)


def _sum_of(to: Scalar, terms: Sequence[str]) -> str:
    return to.node("Sum", *terms)


# ln gamma(x) by Lanczos' series with g = 7 and nine terms (Godfrey), |relative error| < 1e-15
_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)


def _lgamma(to: Scalar, x: str) -> str:
    number = to.to.constant

    def positive(to: Scalar, x: str) -> str:
        terms = [number(_LANCZOS[0])]
        for i, c in enumerate(_LANCZOS[1:]):
            terms.append(to.node("Div", number(c), to.node("Add", x, number(float(i)))))
        t = to.node("Add", x, number(6.5))
        power = to.node("Mul", to.node("Sub", x, number(0.5)), to.node("Log", t))
        series = to.node("Log", _sum_of(to, terms))
        exact = _sum_of(to, [number(0.5 * math.log(2 * math.pi)), power, to.node("Neg", t), series])
        return _one_of(to, "Equal", x, number(math.inf), number(math.inf), exact)

    def rest(angle: str) -> str:
        sine = to.node("Abs", to.node("Sin", angle))
        return to.node("Log", to.node("Div", number(math.pi), sine))

    at_minus_inf = to.node("Equal", x, number(-math.inf))
    return to.node("Where", at_minus_inf, number(math.inf), _reflected(to, x, positive, rest))


def _digamma(to: Scalar, x: str) -> str:
    number = to.to.constant

    def positive(to: Scalar, x: str) -> str:
        """The recurrence ten times, then the asymptotic series."""
        terms = []
        for i in range(10):
            shifted = to.node("Add", x, number(float(i)))
            terms.append(to.node("Div", number(-1.0), shifted))
        far = to.node("Add", x, number(10.0))
        square = to.node("Div", number(1.0), to.node("Mul", far, far))
        power = square
        for c in (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12):
            terms.append(to.node("Mul", number(c), power))
            power = to.node("Mul", power, square)
        terms.append(to.node("Div", number(-0.5), far))
        return _sum_of(to, [*terms, to.node("Log", far)])

    def rest(angle: str) -> str:
        tangent = to.node("Div", to.node("Sin", angle), to.node("Cos", angle))
        return to.node("Div", number(-math.pi), tangent)

    def both(to: Scalar, x: str) -> str:
        return to.node("Neg", positive(to, x))

    reflected = _reflected(to, x, both, rest)
    right = positive(to, x)
    found = _one_of(to, "Less", x, number(0.5), reflected, right)
    at_zero = to.node("Div", number(-1.0), x)  # an infinity of the other sign
    found = _one_of(to, "Equal", x, number(0.0), at_zero, found)
    pole = to.node("And", to.node("Equal", x, to.node("Round", x)), to.node("Less", x, number(0.0)))
    return to.node("Where", pole, number(math.nan), found)


COMPOSED: dict[str, Callable[..., str]] = {
    "leaky_relu": _leaky_relu,
    "softplus": softplus,
    "erfc": _erfc,
    "gelu": gelu,
    "log1p": _log1p,
    "expm1": _expm1,
    "log2": _logarithm(2.0),
    "log10": _logarithm(10.0),
    "cbrt": _cbrt,
    "hypot": _hypot,
    "atan2": _atan2,
    "clamp": _clamp,
    "erf": lambda to, x: to.erf(x),
    "lgamma": _lgamma,
    "digamma": _digamma,
    "dot": _dot,
    "where": _where,
    "less": lambda to, x, y: to.number(to.node("Less", x, y)),
    "less_equal": lambda to, x, y: to.number(to.node("LessOrEqual", x, y)),
}


def write_function(to: Builder, path: str, function: ScalarFunction, x: str) -> str:
    """Appends the nodes of a function of x, and returns the name of the result."""
    scalar = Scalar(to, path)
    out = function.write(x, to.constant, scalar.op)
    if not function.varies:
        out = scalar.node("Expand", out, scalar.node("Shape", x))
    return out
