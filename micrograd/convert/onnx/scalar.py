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
    "sum": "Sum",
    "detach": "Identity",
}


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
        if name in OPS:
            return self.node(OPS[name], *operands)
        return COMPOSED[name](self, *operands)

    def number(self, condition: str) -> str:
        """1 or 0 for a boolean."""
        out = self.node("Cast", condition, to=self.to.element)
        self.conditions[out] = condition
        return out

    def erf(self, x: str) -> str:
        """erf(x), in float32: onnxruntime has no other."""
        if self.to.dtype == np.float32:
            return self.node("Erf", x)
        kind = self.to.onnx.TensorProto
        single = self.node("Erf", self.node("Cast", x, to=kind.FLOAT))
        return self.node("Cast", single, to=kind.DOUBLE)


def _leaky_relu(to: Scalar, x: str, slope: str) -> str:
    positive = to.node("Less", to.to.constant(0.0), x)
    return to.node("Where", positive, x, to.node("Mul", x, slope))


def _softplus(to: Scalar, x: str) -> str:
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


def _dot(to: Scalar, *operands: str) -> str:
    ws, xs, bias = split_dot(operands)
    return to.node("Sum", bias, *(to.node("Mul", w, x) for w, x in zip(ws, xs, strict=True)))


def _where(to: Scalar, condition: str, x: str, y: str) -> str:
    if condition not in to.conditions:
        to.conditions[condition] = to.node("Cast", condition, to=to.to.onnx.TensorProto.BOOL)
    return to.node("Where", to.conditions[condition], x, y)


COMPOSED: dict[str, Callable[..., str]] = {
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "erfc": _erfc,
    "gelu": gelu,
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
