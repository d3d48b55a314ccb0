"""What a C header is made of: numbers as C99 literals, arrays, and the functions it may need.

In the functions `@` stands for the name of the predict function, with which all names begin, and
`@GUARD` for the same in capitals, with which all macros do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from micrograd.core import Array

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Macros, so that constants can lie in a controller's flash, which it does not read like memory.
PLACES = """\
/* Where constants lie: on an AVR in flash. For another machine define all of these yourself. */
#ifndef @GUARD_FLASH
#ifdef __AVR__
#include <avr/pgmspace.h>
#define @GUARD_FLASH PROGMEM
#define @GUARD_FLOAT(p) pgm_read_float(p)
#define @GUARD_INT8(p) ((int8_t)pgm_read_byte(p))
#define @GUARD_INT16(p) ((int16_t)pgm_read_word(p))
#define @GUARD_INT32(p) ((int32_t)pgm_read_dword(p))
#else
#define @GUARD_FLASH
#define @GUARD_FLOAT(p) (*(p))
#define @GUARD_INT8(p) (*(p))
#define @GUARD_INT16(p) (*(p))
#define @GUARD_INT32(p) (*(p))
#endif
#endif
/* Sizes that the compiler knows make it use vectors; code for small machines is shared instead. */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__) && !defined(__AVR__)
#define @GUARD_INLINE static inline __attribute__((always_inline))
#else
#define @GUARD_INLINE static inline
#endif
#ifdef __cplusplus
#define @GUARD_ALONE
#else
#define @GUARD_ALONE restrict
#endif
"""

# With SSE2 alone the sums and products of 64-64-10 want 207 ns at 3.9 GHz (three ports), and the
# header takes 245; with vectors twice as wide 155 (gcc 12, -O2). No FMA: it would give other bits.
AVX2 = """\
/* Compiled for any x86-64, there is a second copy for processors with AVX2, which computes the same
   bits in two thirds of the time. Define @GUARD_ONE_COPY to do without. */
#if defined(__x86_64__) && defined(__GNUC__) && defined(__OPTIMIZE__) && !defined(__AVX2__) && \\
    !defined(__OPTIMIZE_SIZE__) && !defined(__TINYC__) && !defined(@GUARD_ONE_COPY)
#define @GUARD_TWO_COPIES
#endif
"""

# Column after column: y grows by whole columns, which compilers turn into vectors without leave to
# reorder sums. Eight at a time load and store y an eighth as often: 64-64-10 takes 0.64 of the time
# of rows with eight sums each at -O2 (gcc 12, x86-64), where 4 at a time take 0.74.
LINEAR = """\
/* y (outputs) = W (outputs, inputs) x (inputs) + b (outputs), b may be NULL; W lies column by
   column. No array may overlap another. */
@GUARD_INLINE void @_linear(const float *@GUARD_ALONE x, size_t inputs, const float *@GUARD_ALONE W,
                            const float *b, size_t outputs, float *@GUARD_ALONE y)
{
    const size_t whole = outputs / 4 * 4, eights = inputs / 8 * 8;
    size_t i, j;
    for (i = 0; i < outputs; i++)
        y[i] = b ? @GUARD_FLOAT(b + i) : 0.0f;
    for (j = 0; j < eights; j += 8) {
        const float *w = W + j * outputs;
        const float x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
        const float x4 = x[j + 4], x5 = x[j + 5], x6 = x[j + 6], x7 = x[j + 7];
#define @GUARD_AT(k) @GUARD_FLOAT(w + (k) * outputs + i)
#define @GUARD_SUM                                                  \\
    (((x0 * @GUARD_AT(0) + x1 * @GUARD_AT(1)) + (x2 * @GUARD_AT(2) + x3 * @GUARD_AT(3))) + \\
     ((x4 * @GUARD_AT(4) + x5 * @GUARD_AT(5)) + (x6 * @GUARD_AT(6) + x7 * @GUARD_AT(7))))
        for (i = 0; i < whole; i++)
            y[i] += @GUARD_SUM;
        for (i = whole; i < outputs; i++)
            y[i] += @GUARD_SUM;
#undef @GUARD_SUM
#undef @GUARD_AT
    }
    for (j = eights; j < inputs; j++)
        for (i = 0; i < outputs; i++)
            y[i] += x[j] * @GUARD_FLOAT(W + j * outputs + i);
}
"""

# Eight sums side by side: less rounding than one, and a compiler may keep them in one register.
LINEAR_ROWS = """\
/* The same for few outputs; W lies row by row. */
static inline void @_linear_rows(const float *x, size_t inputs, const float *W, const float *b,
                                 size_t outputs, float *y)
{
    const size_t whole = inputs / 8 * 8;
    for (size_t i = 0; i < outputs; i++) {
        const float *row = W + i * inputs;
        float sums[8] = {0.0f}, sum = b ? @GUARD_FLOAT(b + i) : 0.0f;
        for (size_t j = 0; j < whole; j += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += @GUARD_FLOAT(row + j + k) * x[j + k];
        for (size_t j = whole; j < inputs; j++)
            sum += @GUARD_FLOAT(row + j) * x[j];
        for (size_t k = 0; k < 8; k++)
            sum += sums[k];
        y[i] = sum;
    }
}
"""

LINEAR_INT8 = """\
/* y (outputs) = scale (outputs) * W (outputs, inputs) x (inputs) + b (outputs), b may be NULL */
static inline void @_linear_int8(const float *x, size_t inputs, const int8_t *W, const float *scale,
                                 const float *b, size_t outputs, float *y)
{
    const size_t whole = inputs / 8 * 8;
    for (size_t i = 0; i < outputs; i++) {
        const int8_t *row = W + i * inputs;
        float sums[8] = {0.0f}, sum = 0.0f;
        for (size_t j = 0; j < whole; j += 8)
            for (size_t k = 0; k < 8; k++)
                sums[k] += (float)@GUARD_INT8(row + j + k) * x[j + k];
        for (size_t j = whole; j < inputs; j++)
            sum += (float)@GUARD_INT8(row + j) * x[j];
        for (size_t k = 0; k < 8; k++)
            sum += sums[k];
        y[i] = @GUARD_FLOAT(scale + i) * sum + (b ? @GUARD_FLOAT(b + i) : 0.0f);
    }
}
"""

PREDICT = """\
@GUARD_INLINE void @_all(const float *x, float *out, float *scratch)
{
%BODY
}
#ifdef @GUARD_TWO_COPIES
__attribute__((target("avx2")))
static inline void @_avx2(const float *x, float *out, float *scratch)
{
    @_all(x, out, scratch);
}
#endif

/* x: @GUARD_INPUTS numbers, out: @GUARD_OUTPUTS, scratch: @GUARD_SCRATCH, which may be in
   use by one call at a time; none may overlap another. */
static inline void @_with(const float *x, float *out, float *scratch)
{
#ifdef @GUARD_TWO_COPIES
    if (__builtin_cpu_supports("avx2")) {
        @_avx2(x, out, scratch);
        return;
    }
#endif
    @_all(x, out, scratch);
}

/* The same with memory of its own: for one thread. */
static inline void @(const float *x, float *out)
{
    static float scratch[@GUARD_SCRATCH];
    @_with(x, out, scratch);
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
        ("silu", "x", "x / (1.0f + expf(-x))"),
        ("elu", "x alpha", "x > 0.0f ? x : alpha * (expf(x) - 1.0f)"),
        ("selu", "x", "1.05070099f * (x > 0.0f ? x : 1.67326324f * (expf(x) - 1.0f))"),
        ("mish", "x", "x * tanhf(@_softplus(x))"),
        ("gelu", "x", "0.5f * x * @_erfc(-0.707106781f * x)"),
        ("softplus", "x", "(x > 0.0f ? x : 0.0f) + @_log1p(expf(-fabsf(x)))"),
        ("maximum", "x y", "x > y || x != x ? x : y"),
        ("minimum", "x y", "x < y || x != x ? x : y"),
        ("clamp", "x low high", "x > high || low > high ? high : x < low ? low : x"),
    )
}

# What avr-libc lacks. erfc by formula 7.1.26 of Abramowitz and Stegun, to 1.5e-7; log(1 + x) by
# Kahan's correction of the rounding of 1 + x.
ERFC = """\
#ifdef __AVR__
static inline float @_erfc(float x)
{
    const float t = 1.0f / (1.0f + 0.3275911f * fabsf(x));
    const float sum = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f
                    + t * (-1.453152027f + t * 1.061405429f))));
    const float upper = sum * expf(-x * x);
    return x < 0.0f ? 2.0f - upper : upper;
}
#else
#define @_erfc erfcf
#endif
"""
LOG1P = """\
#ifdef __AVR__
static inline float @_log1p(float x)
{
    const float sum = 1.0f + x;
    return sum == 1.0f ? x : logf(sum) * x / (sum - 1.0f);
}
#else
#define @_log1p log1pf
#endif
"""
DIGAMMA = """\
/* The derivative of ln gamma: reflection, recurrence, asymptotic series. */
static inline float @_digamma(float x)
{
    float sum = 0.0f;
    if (x == 0.0f)
        return -copysignf(INFINITY, x);
    if (x < 0.0f) {
        if (x == floorf(x))
            return NAN;
        sum = -3.14159265f / tanf(3.14159265f * fmodf(x, 1.0f));
        x = 1.0f - x;
    }
    if (!(x < INFINITY))
        return x;
    for (; x < 8.0f; x += 1.0f)
        sum -= 1.0f / x;
    const float s = 1.0f / (x * x);
    return sum + logf(x) - 0.5f / x
        - s * (0.0833333333f - s * (0.00833333333f - s * (0.00396825397f - s * 0.00416666667f)));
}
"""

FUNCTIONS = {
    "linear": LINEAR,
    "linear_rows": LINEAR_ROWS,
    "linear_int8": LINEAR_INT8,
    "softmax": SOFTMAX,
    "digamma": DIGAMMA,
    "erfc": ERFC,
    "log1p": LOG1P,
    **SCALAR,
}
# Functions that others call.
NEEDS = {"gelu": ["erfc"], "softplus": ["log1p"], "mish": ["log1p", "softplus"]}

# A row's error is measured by its largest output, by 1 if that is smaller.
MAIN = """\
#ifdef @GUARD_MAIN
#include <stdio.h>
/* The self-test: what the network gave for some inputs when this file was written. */
#define @GUARD_ROWS @ROWS
@DATA
int main(void)
{
    static float in[@GUARD_INPUTS], out[@GUARD_OUTPUTS];
    float worst = 0.0f;
    int wrong = 0;
    for (size_t row = 0; row < @GUARD_ROWS; row++) {
        const float *want = @_test_outputs + row * @GUARD_OUTPUTS;
        float size = 1.0f, error = 0.0f;
        for (size_t i = 0; i < @GUARD_INPUTS; i++)
            in[i] = @GUARD_FLOAT(@_test_inputs + row * @GUARD_INPUTS + i);
        @(in, out);
        for (size_t i = 0; i < @GUARD_OUTPUTS; i++) {
            const float right = @GUARD_FLOAT(want + i);
            if (out[i] == right || (out[i] != out[i] && right != right))
                continue;
            size = fmaxf(size, fabsf(right));
            if (!(fabsf(out[i] - right) <= error))
                error = fabsf(out[i] - right);
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


def array(name: str, data: Array) -> str:
    """The definition of a constant array of float or integers, in flash where there is one.

    `@GUARD` in it stands for what the header's macros begin with.
    """
    kind, write, per_line = KINDS[data.dtype.name]
    flat = [write(value) for value in data.ravel().tolist()]
    lines = (", ".join(flat[i : i + per_line]) for i in range(0, len(flat), per_line))
    inside = ",\n    ".join(lines)
    return f"static const {kind} {name}[{len(flat)}] @GUARD_FLASH = {{\n    {inside}\n}};\n"


KINDS: dict[str, tuple[str, Callable[[Any], str], int]] = {
    "float32": ("float", literal, 8),
    "int8": ("int8_t", str, 20),
    "int16": ("int16_t", str, 12),
    "int32": ("int32_t", str, 8),
}


def comment(text: str) -> str:
    """Text that ends no comment, and is all ASCII."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *")


def string(text: str) -> str:
    """A C string constant of the text in UTF-8; what is not plain ASCII is written in octal."""
    plain = b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\?@' else b"\\%03o" % byte
        for byte in text.encode("utf-8", "replace")
    )
    return f'"{plain.decode()}"'


def identifier(text: str) -> str:
    """Letters, digits and underscores of a text, beginning with a letter: the start of C names."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return plain if plain and not plain[0].isdigit() else f"model_{plain}".rstrip("_")
