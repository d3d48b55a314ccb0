"""What a C header is made of: numbers as C99 literals, arrays, and the functions it may need.

In the functions `@` stands for the name of the predict function, with which all names begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from micrograd.core import Array

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Eight sums side by side: less rounding than one, and a compiler may keep them in one register.
LINEAR = """\
/* y (outputs) = W (outputs, inputs) x (inputs) + b (outputs), b may be NULL */
static inline void @_linear(const float *x, size_t inputs, const float *W, const float *b,
                            size_t outputs, float *y)
{
    const size_t whole = inputs / 8 * 8;
    for (size_t i = 0; i < outputs; i++) {
        const float *row = W + i * inputs;
        float sums[8] = {0.0f}, sum = 0.0f;
        for (size_t j = 0; j < whole; j += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += row[j + k] * x[j + k];
        for (size_t j = whole; j < inputs; j++)
            sum += row[j] * x[j];
        for (size_t k = 0; k < 8; k++)
            sum += sums[k];
        y[i] = b ? sum + b[i] : sum;
    }
}
"""

LINEAR_INT8 = """\
/* y (outputs) = scale (outputs) * W (outputs, inputs) x (inputs) + b (outputs), b may be NULL */
static inline void @_linear(const float *x, size_t inputs, const int8_t *W, const float *scale,
                            const float *b, size_t outputs, float *y)
{
    const size_t whole = inputs / 8 * 8;
    for (size_t i = 0; i < outputs; i++) {
        const int8_t *row = W + i * inputs;
        float sums[8] = {0.0f}, sum = 0.0f;
        for (size_t j = 0; j < whole; j += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += (float)row[j + k] * x[j + k];
        for (size_t j = whole; j < inputs; j++)
            sum += (float)row[j] * x[j];
        for (size_t k = 0; k < 8; k++)
            sum += sums[k];
        y[i] = scale[i] * sum + (b ? b[i] : 0.0f);
    }
}
"""

SOFTMAX = """\
/* y = exp(x) / sum of exp(x), over n numbers; the largest is taken off first */
static inline void @_softmax(const float *x, size_t n, float *y)
{
    float largest = x[0], sum = 0.0f;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += y[i] = expf(x[i] - largest);
    for (size_t i = 0; i < n; i++)
        y[i] /= sum;
}
"""


def _function(arguments: str, expression: str) -> str:
    listed = ", ".join(f"float {name}" for name in arguments.split())
    return f"static inline float @_%s({listed})\n{{\n    return {expression};\n}}\n"


SCALAR = {
    name: _function(arguments, expression).replace("%s", name)
    for name, arguments, expression in (
        ("relu", "x", "x <= 0.0f ? 0.0f : x"),
        ("leaky_relu", "x slope", "x > 0.0f ? x : x * slope"),
        ("sigmoid", "x", "1.0f / (1.0f + expf(-x))"),
        ("gelu", "x", "0.5f * x * erfcf(-0.707106781f * x)"),
        ("softplus", "x", "(x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)))"),
        ("maximum", "x y", "x > y || x != x ? x : y"),
        ("minimum", "x y", "x < y || x != x ? x : y"),
    )
}
FUNCTIONS = {"linear": LINEAR, "linear_int8": LINEAR_INT8, "softmax": SOFTMAX, **SCALAR}

# A row's error is measured by its largest output, by 1 if that is smaller.
MAIN = """\
#ifdef @GUARD_MAIN
#include <stdio.h>
/* The self-test: what the network gave for some inputs when this file was written. */
#define @GUARD_ROWS @ROWS
@DATA
int main(void)
{
    static float out[@GUARD_OUTPUTS];
    float worst = 0.0f;
    int wrong = 0;
    for (size_t row = 0; row < @GUARD_ROWS; row++) {
        const float *want = @_test_outputs + row * @GUARD_OUTPUTS;
        float size = 1.0f, error = 0.0f;
        @(@_test_inputs + row * @GUARD_INPUTS, out);
        for (size_t i = 0; i < @GUARD_OUTPUTS; i++) {
            if (out[i] == want[i] || (out[i] != out[i] && want[i] != want[i]))
                continue;
            size = fmaxf(size, fabsf(want[i]));
            if (!(fabsf(out[i] - want[i]) <= error))
                error = fabsf(out[i] - want[i]);
        }
        if (!(error <= @TOLERANCEf * size))
            wrong++;
        if (!(error / size <= worst))
            worst = error / size;
    }
    printf("@: %d of %d stored rows differ; the largest difference is %.2g, @TOLERANCE allowed\\n",
           wrong, @GUARD_ROWS, (double)worst);
@NOTE    return wrong != 0;
}
#endif /* @GUARD_MAIN */
"""


def literal(value: float) -> str:
    """A float32 as a C constant that reads back as the same bits."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if not np.isfinite(single):
        return "NAN" if np.isnan(single) else "INFINITY" if single > 0 else "-INFINITY"
    return f"{single!s}f"  # the fewest digits that tell it from its neighbours


def array(declaration: str, values: Iterable[str], per_line: int) -> str:
    """The definition of a constant array."""
    flat = list(values)
    lines = (", ".join(flat[i : i + per_line]) for i in range(0, len(flat), per_line))
    inside = ",\n    ".join(lines)
    return f"static const {declaration}[{len(flat)}] = {{\n    {inside}\n}};\n"


def float_array(name: str, data: Array) -> str:
    """A constant array of float."""
    return array(f"float {name}", map(literal, data.ravel().tolist()), 8)


def int8_array(name: str, data: Array) -> str:
    """A constant array of int8_t."""
    return array(f"int8_t {name}", map(str, data.ravel().tolist()), 20)


def comment(text: str) -> str:
    """Text that ends no comment, and is all ASCII."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *")


def string(text: str) -> str:
    """A C string constant."""
    plain = comment(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
