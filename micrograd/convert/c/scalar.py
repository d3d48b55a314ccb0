"""A scalar function as a static inline function of C99, in float."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from micrograd.convert.c.source import literal
from micrograd.convert.scalar_function import ScalarFunction
from micrograd.engine.rules import split_dot

# What an op is in C, with {0}, {1}, ... for the operands; `@relu` is a function of c.source.
EXPRESSIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "pow": "powf({0}, {1})",
    "maximum": "@maximum({0}, {1})",
    "minimum": "@minimum({0}, {1})",
    "leaky_relu": "@leaky_relu({0}, {1})",
    "neg": "-{0}",
    "abs": "fabsf({0})",
    "exp": "expf({0})",
    "log": "logf({0})",
    "sqrt": "sqrtf({0})",
    "sin": "sinf({0})",
    "cos": "cosf({0})",
    "tanh": "tanhf({0})",
    "sigmoid": "@sigmoid({0})",
    "relu": "@relu({0})",
    "softplus": "@softplus({0})",
    "erfc": "@erfc({0})",
    "gelu": "@gelu({0})",
    "log1p": "@log1p({0})",
    "expm1": "expm1f({0})",
    "log2": "log2f({0})",
    "log10": "log10f({0})",
    "tan": "tanf({0})",
    "asin": "asinf({0})",
    "acos": "acosf({0})",
    "atan": "atanf({0})",
    "sinh": "sinhf({0})",
    "cosh": "coshf({0})",
    "asinh": "asinhf({0})",
    "acosh": "acoshf({0})",
    "atanh": "atanhf({0})",
    "cbrt": "cbrtf({0})",
    "erf": "erff({0})",
    "lgamma": "lgammaf({0})",
    "digamma": "@digamma({0})",
    "sign": "(float)({0} > 0.0f) - (float)({0} < 0.0f)",
    "floor": "floorf({0})",
    "ceil": "ceilf({0})",
    "round": "nearbyintf({0})",
    "hypot": "hypotf({0}, {1})",
    "atan2": "atan2f({0}, {1})",
    "clamp": "@clamp({0}, {1}, {2})",
    "less": "(float)({0} < {1})",
    "less_equal": "(float)({0} <= {1})",
    "where": "{0} != 0.0f ? {1} : {2}",
    "detach": "{0}",
}


def expression(op: str, operands: Sequence[str], use: Callable[[str], str]) -> str:
    """One op in C; `use` gives the name of a function of c.source."""
    if op == "sum":
        return " + ".join(operands)
    if op == "dot":
        ws, xs, bias = split_dot(operands)
        return " + ".join([bias, *(f"{w} * {x}" for w, x in zip(ws, xs, strict=True))])
    if op not in EXPRESSIONS:
        raise ValueError(f"to_c: an activation uses {op}, for which C has no function")
    template = EXPRESSIONS[op]
    if template.startswith("@"):
        name, _, arguments = template[1:].partition("(")
        template = f"{use(name)}({arguments}"
    return template.format(*operands)


def c_function(name: str, function: ScalarFunction, use: Callable[[str], str]) -> str:
    """The definition of `static inline float name(float x)`."""
    lines: list[str] = []

    def op(kind: str, operands: Sequence[str]) -> str:
        lines.append(f"const float v{len(lines)} = {expression(kind, operands, use)};")
        return f"v{len(lines) - 1}"

    def constant(value: float) -> str:
        text = literal(value)
        return f"({text})" if text.startswith("-") else text

    result = function.write("x", constant, op)
    if not function.varies:
        lines.append("(void)x;")
    body = "\n".join(f"    {line}" for line in [*lines, f"return {result};"])
    return f"static inline float {name}(float x)\n{{\n{body}\n}}\n"
