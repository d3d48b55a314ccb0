"""What a C header for 8-bit integers is made of; `@` and `@GUARD` as in c.source, `@PREFIX` is what
the macros of the header begin with."""

from __future__ import annotations

CLIP = """\
static inline int8_t @_clip(int32_t v)
{
    return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}
"""

ROUND = """\
/* v / 2^shift, halves up. */
static inline int32_t @_round(int32_t v, int shift)
{
    return shift > 0 ? ((v >> (shift - 1)) + 1) >> 1 : v;
}
"""

# Compilers leave a sum of products of bytes alone, or spend more on widening them than on the
# products, so for x86 it is written out: 64-64-10 takes 0.6 of the time of the plain loop at -O2
# (gcc 12). Four rows share the widened x. Bytes of W are widened to 256 times what they are, by a
# mask or a shift: so 64 times four products fit 32 bits.
FOUR = """\
#ifdef __SSE2__
#include <emmintrin.h>
#define @GUARD_LOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define @GUARD_ROW(k)                                                                     \\
    w = @GUARD_LOAD(W + (k) * inputs + j);                                                \\
    s##k = _mm_add_epi32(s##k, _mm_madd_epi16(_mm_and_si128(w, upper), odd));             \\
    s##k = _mm_add_epi32(s##k, _mm_madd_epi16(_mm_slli_epi16(w, 8), even))
/* Four rows of W times x, whose length `whole` is a multiple of 16. */
@GUARD_INLINE __m128i @_four(const int8_t *x, size_t inputs, size_t whole, const int8_t *W)
{
    const __m128i none = _mm_setzero_si128(), upper = _mm_slli_epi16(_mm_set1_epi16(255), 8);
    __m128i sums = none;
    size_t j = 0;
    while (j < whole) {
        const size_t end = whole - j < 1024 ? whole : j + 1024;
        __m128i s0 = none, s1 = none, s2 = none, s3 = none, w;
        for (; j < end; j += 16) {
            const __m128i v = @GUARD_LOAD(x + j), odd = _mm_srai_epi16(v, 8);
            const __m128i even = _mm_srai_epi16(_mm_slli_epi16(v, 8), 8);
            @GUARD_ROW(0);
            @GUARD_ROW(1);
            @GUARD_ROW(2);
            @GUARD_ROW(3);
        }
        s0 = _mm_srai_epi32(s0, 8);
        s1 = _mm_srai_epi32(s1, 8);
        s2 = _mm_srai_epi32(s2, 8);
        s3 = _mm_srai_epi32(s3, 8);
        s0 = _mm_add_epi32(_mm_unpacklo_epi32(s0, s1), _mm_unpackhi_epi32(s0, s1));
        s2 = _mm_add_epi32(_mm_unpacklo_epi32(s2, s3), _mm_unpackhi_epi32(s2, s3));
        s0 = _mm_add_epi32(_mm_unpacklo_epi64(s0, s2), _mm_unpackhi_epi64(s0, s2));
        sums = _mm_add_epi32(sums, s0);
    }
    return sums;
}
#undef @GUARD_LOAD
#undef @GUARD_ROW

/* What @_scaled makes of four sums that have been shifted. */
@GUARD_INLINE void @_scaled_four(const int32_t *shifted, const int16_t *m, int8_t zero, int8_t *y)
{
    const __m128i none = _mm_setzero_si128();
    const __m128i wide = _mm_loadu_si128((const __m128i *)(const void *)shifted);
    const __m128i t = _mm_packs_epi32(wide, none);
    const __m128i factors = _mm_loadl_epi64((const __m128i *)(const void *)m);
    __m128i r = _mm_madd_epi16(_mm_unpacklo_epi16(t, none), _mm_unpacklo_epi16(factors, none));
    int32_t four;
    r = _mm_srai_epi32(_mm_add_epi32(_mm_srai_epi32(r, 19), _mm_set1_epi32(1)), 1);
    r = _mm_packs_epi32(_mm_add_epi32(r, _mm_set1_epi32(zero)), none);
    four = _mm_cvtsi128_si32(_mm_packs_epi16(r, none));
    memcpy(y, &four, 4);
}
#endif
"""

# Products of two are summed in 16 bits on an AVR, where a sum of 32 takes four instructions:
# 2 * 128 * 127 fits.
PRODUCTS = """\
/* The sum of x[j] row[j] for j from `from` on. */
static inline int32_t @_products(const int8_t *x, size_t from, size_t inputs, const int8_t *row)
{
    int32_t sum = 0;
    size_t j = from;
#ifdef __AVR__
    for (; j + 1 < inputs; j += 2)
        sum += @GUARD_INT8(row + j) * x[j] + @GUARD_INT8(row + j + 1) * x[j + 1];
#endif
    for (; j < inputs; j++)
        sum += @GUARD_INT8(row + j) * x[j];
    return sum;
}
"""

SCALED = """\
/* sum m / 2^(shift + 20) + zero: 15 bits by 15, and no wider. */
static inline int8_t @_scaled(int32_t sum, int16_t m, int8_t shift, int8_t zero)
{
    sum = @_round(sum, shift);
    sum = sum < -32767 ? -32767 : sum > 32767 ? 32767 : sum;
    return @_clip(@_round(sum * m, 20) + zero);
}
"""

DENSE = """\
/* y (outputs) = W (outputs, inputs) x (inputs) + b, times m / 2^(s + 20) for each output, + zero.
   No array may overlap another. */
@GUARD_INLINE void @_dense(const int8_t *@GUARD_ALONE x, size_t inputs, const int8_t *W,
                           const int32_t *b, const int16_t *m, const int8_t *s, int8_t zero,
                           size_t outputs, int8_t *@GUARD_ALONE y)
{
    size_t i = 0;
#ifdef __SSE2__
    const size_t whole = inputs / 16 * 16, fours = whole ? outputs / 4 * 4 : 0;
    for (i = 0; i < fours; i += 4) {
        int32_t sums[4];
        size_t k;
        _mm_storeu_si128((__m128i *)(void *)sums, @_four(x, inputs, whole, W + i * inputs));
        for (k = 0; k < 4; k++) {
            const int32_t rest = @_products(x, whole, inputs, W + (i + k) * inputs);
            sums[k] = @_round(sums[k] + rest + b[i + k], s[i + k]);
        }
        @_scaled_four(sums, m + i, zero, y + i);
    }
#endif
    for (; i < outputs; i++) {
        const int32_t sum = @_products(x, 0, inputs, W + i * inputs) + @GUARD_INT32(b + i);
        y[i] = @_scaled(sum, @GUARD_INT16(m + i), @GUARD_INT8(s + i), zero);
    }
}
"""

TABLE = """\
/* y[i] = the entry for x[i]; y may be x. */
static inline void @_table(const int8_t *x, size_t n, const int8_t *entries, int8_t *y)
{
    size_t i;
    for (i = 0; i < n; i++)
        y[i] = @GUARD_INT8(entries + (x[i] + 128));
}
"""

SUM = """\
/* y = (a - a_zero) m + (b - b_zero) n, over 2^shift, + zero; y may be a or b. */
static inline void @_sum(const int8_t *a, int8_t a_zero, int32_t m, const int8_t *b, int8_t b_zero,
                         int32_t n, int shift, int8_t zero, size_t columns, int8_t *y)
{
    size_t i;
    for (i = 0; i < columns; i++)
        y[i] = @_clip(@_round((a[i] - a_zero) * m + (b[i] - b_zero) * n, shift) + zero);
}
"""

BLEND = """\
/* y = t f + (1 - t) x, where t is from 0 to 255 of 255 and f and x have the factors m and n over
   2^shift; y may be any of them. */
static inline void @_blend(const int8_t *t, const int8_t *f, int8_t f_zero, int32_t m,
                           const int8_t *x, int8_t x_zero, int32_t n, int shift, int8_t zero,
                           size_t columns, int8_t *y)
{
    size_t i;
    for (i = 0; i < columns; i++) {
        const int32_t share = (int32_t)t[i] + 128;
        const int32_t first = share * ((f[i] - f_zero) * m);
        const int32_t second = (255 - share) * ((x[i] - x_zero) * n);
        y[i] = @_clip(@_round(first + second, shift) + zero);
    }
}
"""

FACTORS = """\
/* y[i] = x[i] m[i] + b[i], over 2^shift; y may be x. */
static inline void @_factors(const int8_t *x, const int32_t *m, const int32_t *b, int shift,
                             size_t n, int8_t *y)
{
    size_t i;
    for (i = 0; i < n; i++)
        y[i] = @_clip(@_round(x[i] * @GUARD_INT32(m + i) + @GUARD_INT32(b + i), shift));
}
"""

COPY = """\
static inline void @_copy(const int8_t *x, size_t n, int8_t *y)
{
    size_t i;
    for (i = 0; i < n; i++)
        y[i] = x[i];
}
"""

FUNCTIONS = {
    "clip": CLIP,
    "round": ROUND,
    "four": FOUR,
    "products": PRODUCTS,
    "scaled": SCALED,
    "dense": DENSE,
    "table": TABLE,
    "sum": SUM,
    "blend": BLEND,
    "factors": FACTORS,
    "copy": COPY,
}
NEEDS = {name: ["clip", "round"] for name in ("sum", "blend", "factors")}
NEEDS["dense"] = ["clip", "round", "four", "products", "scaled"]

PREDICT = """\
/* x: @GUARD_INPUTS numbers, out: @GUARD_INT8_OUTPUTS, scratch: @GUARD_SCRATCH, which may be in use
   by one call at a time; none may overlap another. */
static inline void @_int8_with(const int8_t *x, int8_t *out, int8_t *scratch)
{
%BODY
}

/* The same with memory of its own: for one thread. */
static inline void @_int8(const int8_t *x, int8_t *out)
{
    static int8_t scratch[@GUARD_SCRATCH];
    @_int8_with(x, out, scratch);
}
"""

# Without libm: what is 0 or more is rounded down by the conversion to an integer.
WRAPPER = """\
#ifndef @PREFIXINT8_ONLY
@INCLUDE/* The number that stands for v, or the nearest there is; for NAN the least. */
static inline int8_t @_stored(float v)
{
    v = v * @INVERSE + @SHIFTEDf;
    return (int8_t)((v > 0.0f ? v < 255.0f ? (int16_t)(v + 0.5f) : 255 : 0) - 128);
}

@HELP/* x: @GUARD_INPUTS numbers, out: @GUARD_OUTPUTS, in float; for one thread. */
static inline void @(const float *x, float *out)
{
    static int8_t in[@GUARD_INPUTS], got[@GUARD_INT8_OUTPUTS];
    size_t i;
    for (i = 0; i < @GUARD_INPUTS; i++)
        in[i] = @_stored(x[i]);
    @_int8(in, got);
@FINISH
}
#endif /* @PREFIXINT8_ONLY */
"""

MAIN = """\
#ifdef @GUARD_MAIN
#include <stdio.h>
/* The self-test: what the integers gave for some inputs when this file was written. */
#define @GUARD_ROWS @ROWS
@DATA
int main(void)
{
    static int8_t in[@GUARD_INPUTS], out[@GUARD_INT8_OUTPUTS];
#ifndef @PREFIXINT8_ONLY
    static float real[@GUARD_INPUTS], said[@GUARD_OUTPUTS];
#endif
    int wrong = 0;
    size_t row, i;
    for (row = 0; row < @GUARD_ROWS; row++) {
        int same = 1;
        for (i = 0; i < @GUARD_INPUTS; i++)
            in[i] = @GUARD_INT8(@_test_inputs + row * @GUARD_INPUTS + i);
        @_int8(in, out);
        for (i = 0; i < @GUARD_INT8_OUTPUTS; i++)
            if (out[i] != @GUARD_INT8(@_test_outputs + row * @GUARD_INT8_OUTPUTS + i))
                same = 0;
#ifndef @PREFIXINT8_ONLY
        for (i = 0; i < @GUARD_INPUTS; i++)
            real[i] = @PREFIXINPUT_SCALE * (float)(in[i] - @PREFIXINPUT_ZERO);
        @(real, said);
        if (@DIFFERENT)
            same = 0;
#endif
        wrong += !same;
    }
    printf("@_int8: %d of %d stored rows differ\\n", wrong, @GUARD_ROWS);
@NOTE    return wrong != 0;
}
#endif /* @GUARD_MAIN */
"""
