/* The elementary functions that the activations and losses need, a vector at a time.  Part of the
 * kernel template, included after vector.h once per dtype by each isa_*.c.
 *
 *     v_exp  v_exp_minus  v_log  v_softplus  v_sigmoid  v_tanh  v_gelu  v_gelu_derivative
 *
 * Every lane runs the same instructions, without a branch and without a table; a lane never sees
 * its neighbours.  The whole range is covered: denormal arguments and results, signed zeros,
 * infinities, and NaN, which stays NaN.  The results hold with and without fused multiply-add.
 *
 * Largest errors, in units in the last place, measured with | without fused multiply-add: over all
 * float32 arguments (for the last three all from 2^-28 to 2^8, and every 63rd of the others) and
 * 20 million float64 ones a function.  gelu's is in units of the last place of x, that of
 * gelu_derivative in eps.
 *
 *                  float32        float64
 *     exp          1.05 | 1.03    1.09 | 1.06
 *     log          0.76 | 0.84    0.75 | 0.85
 *     sigmoid      1.66 | 1.87    1.65 | 1.86
 *     tanh         1.71 | 1.92    2.08 | 2.36
 *     softplus     1.89 | 2.05    1.82 | 1.97
 *     gelu         1.41 | 1.73    1.65 | 1.83
 *     derivative   0.90 | 0.97    1.04 | 1.07
 *
 * Polynomials are minimax fits by Remez exchange in 50 digits, then rounded to the dtype.  Above
 * each stands its interval, and beside the coefficients the error it leaves in units of eps/2, the
 * rounding error of one operation. */

#if MG_BITS == 32
typedef uint32_t T(ubits) __attribute__((vector_size(MG_VECTOR_BYTES)));
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
/* e^x is zero from -104 down and infinite from 89 up.  The arguments are clipped further down: on
 * Intel a product that only just underflows takes ten times as long, one far below does not. */
#define EXP_END ((real)120)
#define EXP_TOP ((real)89)
/* e^-y is formed as 2^LIFT e^-y, always a normal number, times 2^-LIFT. */
#define LIFT 64
/* ln 2 in two parts: the first has 15 bits, so that its product with an exponent is exact. */
#define LN2_HIGH ((real)0x1.62e4p-1)
#define LN2_LOW ((real)0x1.7f7d1cp-20)
/* tanh rounds to 1 from here on. */
#define TANH_END ((real)10)
/* exp(-y^2/2) is zero from here on, and y^2/2 <= EXP_END. */
#define NORMAL_END ((real)15)
#define NORMAL_TAIL_SCALE ((real)3)
#else
typedef uint64_t T(ubits) __attribute__((vector_size(MG_VECTOR_BYTES)));
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_END ((real)800) /* zero from -746 */
#define EXP_TOP ((real)710)
#define LIFT 512
/* The first part has 32 bits. */
#define LN2_HIGH ((real)0x1.62e42feep-1)
#define LN2_LOW ((real)0x1.a39ef35793c76p-33)
#define TANH_END ((real)20)
#define NORMAL_END ((real)40)
#define NORMAL_TAIL_SCALE ((real)4)
#endif

#define LOG2_E ((real)0x1.71547652b82fep+0)
#define SQRT_HALF ((real)0x1.6a09e667f3bcdp-1)
#define INV_SQRT_2PI ((real)0x1.9884533d43651p-2)

/* (e^r - 1 - r) / r^2 on |r| <= 0.3473 (half of ln 2, and room for a rounding): error of e^r - 1 */
static const real T(expm1_poly)[] = {
#if MG_BITS == 32 /* 0.3 */
    0x1.fffffep-2f, 0x1.5554aep-3f, 0x1.555676p-5f, 0x1.122886p-7f, 0x1.6bebcep-10f
#else /* 0.26 */
    0x1.0000000000005p-1,  0x1.5555555555539p-3,  0x1.55555555521f2p-5,  0x1.1111111119197p-7,
    0x1.6c16c17f1283cp-10, 0x1.a01a017497aa8p-13, 0x1.a019a6bfbc8a0p-16, 0x1.71de889ccef01p-19,
    0x1.28a2979cedbf9p-22, 0x1.ae6bb0d7b4d1ep-26
#endif
};

/* (2 atanh(s) - 2 s) / s^3 in s^2 on |s| <= 0.1717 (argument of log in [sqrt 1/2, sqrt 2]) */
static const real T(log_poly)[] = {
#if MG_BITS == 32 /* 0.014 */
    0x1.55557ap-1f, 0x1.995eccp-2f, 0x1.31e23ep-2f
#else /* 0.011 */
    0x1.5555555555593p-1, 0x1.999999997f9f8p-2, 0x1.249249422a45fp-2, 0x1.c71c51d7cf43ap-3,
    0x1.746649af6775fp-3, 0x1.39a095920b189p-3, 0x1.2f117f0c7e0cdp-3
#endif
};

/* The same on |s| <= 1/3 (argument of log in [1, 2]) */
static const real T(log1p_poly)[] = {
#if MG_BITS == 32 /* 0.08 */
    0x1.5555p-1f, 0x1.99d29ep-2f, 0x1.1eb3a2p-2f, 0x1.1f0578p-2f
#else /* 0.012 */
    0x1.5555555555535p-1, 0x1.99999999a0787p-2, 0x1.2492492089ff4p-2, 0x1.c71c741db3e0dp-3,
    0x1.745cb3d3d1124p-3, 0x1.3b1ddef9bf9f8p-3, 0x1.106799f5f0787p-3, 0x1.efdab960af3a3p-4,
    0x1.55a78f5a4c787p-4, 0x1.5c80a3ab1b02ep-3
#endif
};

/* Phi(-y) e^(y^2/2) in t = y / (y + c), 0 <= y < NORMAL_END, c = NORMAL_TAIL_SCALE: e^(-y^2/4)
 * times the relative error, which grows into the tail, but slower than Phi falls. */
static const real T(normal_tail_poly)[] = {
#if MG_BITS == 32 /* 0.44 */
    0x1p-1f,        -0x1.32635ap+0f, 0x1.0da14cp+0f, -0x1.273bc2p-2f, -0x1.30af92p-3f,
    0x1.5e4d0ep-6f, 0x1.b0194ep-4f,  -0x1.7ae8d8p-5f
#else /* 0.53 */
    0x1p-1,
    -0x1.9884533d43691p+0,
    0x1.33bdd6615fdc3p+1,
    -0x1.0da30797c2a1ep+1,
    0x1.be6cf21a32702p-1,
    0x1.aebb5eb373226p-4,
    -0x1.ac34d78528419p-3,
    -0x1.8fe8d30f401eep-6,
    0x1.bb6679fed32f3p-5,
    0x1.1c4250d34ece5p-6,
    -0x1.1797700f7d2e1p-7,
    -0x1.2500e8528fea1p-6,
    0x1.09529d353b9d2p-6,
    -0x1.5b017a8ceec35p-6,
    0x1.b2f31cbb09687p-6,
    -0x1.fadef996eee93p-7,
    0x1.b4d061021c5f9p-9
#endif
};

#define POLYNOMIAL(x, c) T(v_polynomial)(x, c, (int)(sizeof(c) / sizeof((c)[0])) - 1)

/* c[0] + c[step] x + c[2 step] x^2 + ... up to c[last].  gcc and clang unroll it whole at -O3. */
static inline __attribute__((always_inline)) vec T(horner)(vec x, const real *c, int last, int step)
{
    vec sum = T(v_splat)(c[last]);
    for (int i = last - step; i >= 0; i -= step)
        sum = MULTIPLY_ADD(sum, x, T(v_splat)(c[i]));
    return sum;
}

/* c[0] + c[1] x + ... + c[degree] x^degree.  A long one is split into its even and odd powers: two
 * chains of half the latency were 5% (AVX-512) to 14% (SSE2) faster at degrees 9 and 16, and up to
 * 3% slower below 8. */
static inline __attribute__((always_inline)) vec T(v_polynomial)(vec x, const real *c, int degree)
{
    if (degree < 8)
        return T(horner)(x, c, degree, 1);
    const vec even = T(horner)(x * x, c, degree & ~1, 2);
    const vec odd = T(horner)(x * x, c + 1, (degree - 1) & ~1, 2);
    return even + x * odd;
}

/* x log2(e) rounded to an integer n: returns n, and n + bias in the low bits of *biased, zeros in
 * the bits above that the shifts of exponent fields can reach.  Adding 1.5 2^MANTISSA_BITS leaves
 * the unit in the last place. */
static inline vec T(exponent_of_exp)(vec x, int bias, T(ubits) * biased)
{
    const vec shifter = T(v_splat)((real)(0x3p-1 * ((int64_t)1 << MANTISSA_BITS) + bias));
    const vec shifted = x * T(v_splat)(LOG2_E) + shifter;
    *biased = (T(ubits))shifted;
    return shifted - shifter;
}

/* r = x - n ln 2, |r| <= ln(2)/2. */
static inline vec T(rest_of_exp)(vec x, vec n)
{
    return (x - n * T(v_splat)(LN2_HIGH)) - n * T(v_splat)(LN2_LOW);
}

/* e^r for that r. */
static inline vec T(exp_of_rest)(vec r)
{
    return T(v_splat)(1) + (r + r * r * POLYNOMIAL(r, T(expm1_poly)));
}

/* 2^e for the biased exponent e. */
static inline vec T(power_of_two)(T(ubits) biased)
{
    return (vec)(biased << MANTISSA_BITS);
}

/* e^x.  2^n has two factors, since n reaches beyond the exponents of a real at both ends; only the
 * second product can round or overflow. */
static inline vec T(v_exp)(vec x)
{
    x = T(v_min)(T(v_max)(x, T(v_splat)(-EXP_END)), T(v_splat)(EXP_TOP));
    T(ubits) biased;
    const vec n = T(exponent_of_exp)(x, 2 * EXPONENT_BIAS, &biased);
    const vec p = T(exp_of_rest)(T(rest_of_exp)(x, n));
    const T(ubits) half = biased >> 1;
    return p * T(power_of_two)(half) * T(power_of_two)(biased - half);
}

/* e^-y for 0 <= y <= EXP_END. */
static inline vec T(exp_minus_bounded)(vec y)
{
    T(ubits) biased;
    const vec n = T(exponent_of_exp)(-y, EXPONENT_BIAS + LIFT, &biased);
    const vec p = T(exp_of_rest)(T(rest_of_exp)(-y, n));
    const vec lower = T(power_of_two)((T(ubits))T(v_isplat)(EXPONENT_BIAS - LIFT));
    return p * T(power_of_two)(biased) * lower;
}

/* e^-y for y >= 0: cheaper than v_exp, for it cannot overflow. */
static inline vec T(v_exp_minus)(vec y)
{
    return T(exp_minus_bounded)(T(v_min)(y, T(v_splat)(EXP_END)));
}

/* ln x = k ln 2 + ln(1 + f) with 1 + f in [sqrt 1/2, sqrt 2), and with s = f / (2 + f)
 * ln(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R)), R = s^2 poly(s^2), as in fdlibm: f is exact
 * and the rest small. */
static inline vec T(v_log)(vec x)
{
    const ivec denormal = x < T(v_splat)(MG_BITS == 32 ? (real)0x1p-126 : (real)0x1p-1022);
    const vec scale = T(v_splat)((real)((int64_t)1 << MANTISSA_BITS));
    const T(ubits) one = (T(ubits))T(v_splat)(1);
    const T(ubits) sqrt_half = (T(ubits))T(v_splat)(SQRT_HALF);
    const T(ubits) mantissa = (T(ubits))T(v_isplat)(((integer)1 << MANTISSA_BITS) - 1);

    /* Adding 1 - sqrt(1/2) in bits puts the step of the exponent at sqrt(1/2) */
    const T(ubits) bits = (T(ubits))T(v_select)(denormal, x * scale, x) + (one - sqrt_half);
    /* and 2^MANTISSA_BITS + exponent is an exact real that wears the exponent as low bits. */
    const vec biased = (vec)(bits >> MANTISSA_BITS | (T(ubits))scale);
    const vec bias = T(v_select)(denormal, scale + (EXPONENT_BIAS + MANTISSA_BITS), scale + EXPONENT_BIAS);
    const vec k = biased - bias;
    const vec f = (vec)((bits & mantissa) + sqrt_half) - T(v_splat)(1);

    const vec s = f / (T(v_splat)(2) + f);
    const vec z = s * s;
    const vec half_square = T(v_splat)((real)0.5) * f * f;
    const vec rest = s * (half_square + z * POLYNOMIAL(z, T(log_poly))) + k * T(v_splat)(LN2_LOW);
    const vec log = k * T(v_splat)(LN2_HIGH) - ((half_square - rest) - f);

    /* Infinity and NaN stay; zero gives -infinity; all bits set is a NaN. */
    const vec zero = T(v_splat)(0);
    const vec infinity = T(v_splat)((real)__builtin_inf());
    const vec finite = T(v_select)(x < infinity, log, x);
    return (vec)((ivec)T(v_select)(x == zero, -infinity, finite) | (x < zero));
}

/* ln(1 + e^x) = max(x, 0) + ln(1 + e) with e = e^-|x|.  With s = e / (2 + e),
 * ln(1 + e) = 2 atanh(s) = 2 s + s^3 poly(s^2); in 2 s = e - e s the error of s counts little. */
static inline vec T(v_softplus)(vec x)
{
    const vec e = T(v_exp_minus)(T(v_abs)(x));
    const vec s = e / (T(v_splat)(2) + e);
    const vec z = s * s;
    return T(v_max)(x, T(v_splat)(0)) + (e - s * (e - z * POLYNOMIAL(z, T(log1p_poly))));
}

/* 1 / (1 + e^-x).  With e = e^-|x|, which cannot overflow, and q = e / (1 + e) it is 1 - q on the
 * right and q on the left; there e - e q = q leaves less of the division's error. */
static inline vec T(v_sigmoid)(vec x)
{
    const vec one = T(v_splat)(1);
    const vec e = T(v_exp_minus)(T(v_abs)(x));
    const vec q = e / (one + e);
    const vec scale = T(v_select)(x < T(v_splat)(0), e, one);
    return scale - scale * q;
}

/* tanh |x| = h / (1 + h) with h = (e^(2|x|) - 1) / 2 = 2^n (e^r - 1) / 2 + (2^n - 1) / 2, summed
 * from the large terms, which lose no bit near zero, to the small.  As h - h q or 1 - q, whichever
 * of h and 1 is smaller, less of the error of q counts. */
static inline vec T(v_tanh)(vec x)
{
    const vec y = T(v_min)(T(v_abs)(x), T(v_splat)(TANH_END));
    const vec z = y + y;
    T(ubits) biased;
    const vec n = T(exponent_of_exp)(z, EXPONENT_BIAS - 1, &biased);
    const vec half_power = T(power_of_two)(biased);
    const vec r = T(rest_of_exp)(z, n);
    const vec half_r = half_power * r;
    const vec h = ((half_power - T(v_splat)((real)0.5)) + half_r) + half_r * r * POLYNOMIAL(r, T(expm1_poly));
    const vec scale = T(v_min)(h, T(v_splat)(1));
    const vec q = scale / (T(v_splat)(1) + h);
    return T(v_copysign)(scale - scale * q, x);
}

/* Phi(-y), the normal distribution's tail, for 0 <= y <= NORMAL_END, and exp(-y^2/2) in *density.
 * Far in the tail the relative error grows like y^2, as that of exp's rounded argument. */
static inline vec T(normal_tail)(vec y, vec *density)
{
    const vec t = y / (y + T(v_splat)(NORMAL_TAIL_SCALE));
    *density = T(exp_minus_bounded)(T(v_splat)((real)0.5) * y * y);
    return *density * POLYNOMIAL(t, T(normal_tail_poly));
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). */
static inline vec T(v_gelu)(vec x)
{
    const vec y = T(v_min)(T(v_abs)(x), T(v_splat)(NORMAL_END));
    vec density;
    return T(v_max)(x, T(v_splat)(0)) - y * T(normal_tail)(y, &density);
}

/* Phi(x) + x phi(x): for -|x| it is Phi(-|x|) - |x| phi(x), and the two sides sum to 1. */
static inline vec T(v_gelu_derivative)(vec x)
{
    const vec y = T(v_min)(T(v_abs)(x), T(v_splat)(NORMAL_END));
    vec density;
    const vec tail = T(normal_tail)(y, &density);
    const vec left = tail - y * T(v_splat)(INV_SQRT_2PI) * density;
    return T(v_select)(x < T(v_splat)(0), left, T(v_splat)(1) - left);
}

#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef EXP_END
#undef EXP_TOP
#undef LIFT
#undef LN2_HIGH
#undef LN2_LOW
#undef LOG2_E
#undef SQRT_HALF
#undef INV_SQRT_2PI
#undef TANH_END
#undef NORMAL_END
#undef NORMAL_TAIL_SCALE
#undef POLYNOMIAL
