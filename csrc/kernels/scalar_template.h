/* The ops of a program on vectors: the table of rules.py, value and derivatives, for both dtypes; part of
 * the kernel template (see template.h), for program_template.h. */

/* Functions that libm has and vecmath.h has not, lane by lane. */
#if MG_BITS == 32
#define LIBM(name) name##f
#else
#define LIBM(name) name
#endif

#define BY_LANE(name)                      \
    static inline vec T(v_##name)(vec x)   \
    {                                      \
        real lane[LANES];                  \
        T(v_store)(lane, x);               \
        for (int i = 0; i < LANES; i++)    \
            lane[i] = LIBM(name)(lane[i]); \
        return T(v_load)(lane);            \
    }

#define BY_TWO_LANES(name)                           \
    static inline vec T(v_##name)(vec x, vec y)      \
    {                                                \
        real lane[LANES], other[LANES];              \
        T(v_store)(lane, x);                         \
        T(v_store)(other, y);                        \
        for (int i = 0; i < LANES; i++)              \
            lane[i] = LIBM(name)(lane[i], other[i]); \
        return T(v_load)(lane);                      \
    }

BY_LANE(sin)
BY_LANE(cos)
BY_LANE(tan)
BY_LANE(asin)
BY_LANE(acos)
BY_LANE(atan)
BY_LANE(sinh)
BY_LANE(cosh)
BY_LANE(asinh)
BY_LANE(acosh)
BY_LANE(atanh)
BY_LANE(log1p)
BY_LANE(expm1)
BY_LANE(log2)
BY_LANE(log10)
BY_LANE(cbrt)
BY_LANE(erf)
BY_LANE(erfc)
BY_LANE(floor)
BY_LANE(ceil)
BY_LANE(rint)
BY_TWO_LANES(pow)
BY_TWO_LANES(hypot)
BY_TWO_LANES(atan2)

/* Of the gamma function: in double for either dtype. */
static inline vec T(v_lgamma)(vec x)
{
    real lane[LANES];
    T(v_store)(lane, x);
    for (int i = 0; i < LANES; i++)
        lane[i] = (real)mg_log_gamma(lane[i]);
    return T(v_load)(lane);
}

static inline vec T(v_polygamma)(vec x, vec n)
{
    real lane[LANES], order[LANES];
    T(v_store)(lane, x);
    T(v_store)(order, n);
    for (int i = 0; i < LANES; i++)
        lane[i] = (real)mg_polygamma(lane[i], order[i]);
    return T(v_load)(lane);
}

/* 1 and 0 */
static inline vec T(v_truth)(ivec mask)
{
    return T(v_select)(mask, T(v_splat)(1), (vec){0});
}

/* -1, 0 or 1, and 0 for NaN: the derivative of abs. */
static inline vec T(v_slope_of_abs)(vec x)
{
    return T(v_truth)(x > 0) - T(v_truth)(x < 0);
}

/* g's share for x in max(x, y), which is its share for y in min(y, x) too. */
static inline vec T(v_larger)(vec g, vec x, vec y)
{
    return T(v_select)(x < y, (vec){0}, T(v_select)(x <= y, (real)0.5 * g, g));
}

/* gelu(-inf) is -inf * 0. */
static inline vec T(v_gelu_ieee)(vec x)
{
    const vec infinity = T(v_splat)((real)__builtin_inf());
    return T(v_gelu)(x) + T(v_select)(x == -infinity, infinity - infinity, (vec){0});
}

/* -g z / y; z / y may overflow where the result does not. */
static inline vec T(v_div_dy)(vec g, vec z, vec y)
{
    const vec ratio = z / y;
    return T(v_select)(ratio * 0 <= 0, -g * ratio, -(g / y) * z);
}

static inline vec T(v_pow_dx)(vec g, vec x, vec y)
{
    return T(v_select)(y == 0, (vec){0}, g * (y * T(v_pow)(x, y - 1)));
}

static inline vec T(v_pow_dy)(vec g, vec z, vec x, vec y)
{
    return T(v_select)((x == 0) & (y >= 0), g * 0, g * (z * T(v_log)(x)));
}

/* min(max(x, low), high), and NaN for a NaN among them. */
static inline vec T(v_clamp)(vec x, vec low, vec high)
{
    const vec above = T(v_select)(x < low, low, x), inside = T(v_select)(above > high, high, above);
    return inside + T(v_select)((low != low) | (high != high), low + high, (vec){0});
}

/* g / sqrt(1 - x x) and g / sqrt(x x - 1) */
static inline vec T(v_asin_dx)(vec g, vec x)
{
    return g * (1 / T(v_sqrt)((1 - x) * (1 + x)));
}

static inline vec T(v_acosh_dx)(vec g, vec x)
{
    return g * (1 / T(v_sqrt)(x - 1) * (1 / T(v_sqrt)(x + 1)));
}

/* Of the angle of (y, x), x up: g y / (x x + y y), and 0 at (0, 0). */
static inline vec T(v_atan2_dx)(vec g, vec x, vec y)
{
    const vec h = T(v_hypot)(x, y);
    return T(v_select)(h <= 0, (vec){0}, g * (y / h / h));
}

#define LN_2 ((real)0x1.62e42fefa39efp-1)
#define LN_10 ((real)0x1.26bb1bbb55516p+1)
#define TWO_OVER_SQRT_PI ((real)0x1.20dd750429b6dp+0)

/* The table of ops, as in rules.py: value of x and y, then what the result's gradient g sends back to
 * x and to y. */
#define UNARY_OPS(OP)                                                             \
    OP(NEG, -x, -g)                                                               \
    OP(ABS, T(v_abs)(x), g *T(v_slope_of_abs)(x))                                 \
    OP(EXP, T(v_exp)(x), g *z)                                                    \
    OP(LOG, T(v_log)(x), g / x)                                                   \
    OP(SQRT, T(v_sqrt)(x), g / (2 * z))                                           \
    OP(SIN, T(v_sin)(x), g *T(v_cos)(x))                                          \
    OP(COS, T(v_cos)(x), g * -T(v_sin)(x))                                        \
    OP(TANH, T(v_tanh)(x), g * (1 - z * z))                                       \
    OP(SIGMOID, T(v_sigmoid)(x), g * (1 - z) * z)                                 \
    OP(RELU, T(v_relu)(x), T(v_select)(x <= 0, (vec){0}, g))                      \
    OP(SOFTPLUS, T(v_softplus)(x), g *T(v_sigmoid)(x))                            \
    OP(ERFC, T(v_erfc)(x), g * (-TWO_OVER_SQRT_PI * T(v_exp)(-(x * x))))          \
    OP(GELU, T(v_gelu_ieee)(x), g *(T(v_gelu_derivative)(x) + 0 * x))             \
    OP(LOG1P, T(v_log1p)(x), g / (1 + x))                                         \
    OP(EXPM1, T(v_expm1)(x), g *(z + 1))                                          \
    OP(LOG2, T(v_log2)(x), g / (x * LN_2))                                        \
    OP(LOG10, T(v_log10)(x), g / (x * LN_10))                                     \
    OP(TAN, T(v_tan)(x), g * (1 + z * z))                                         \
    OP(ASIN, T(v_asin)(x), T(v_asin_dx)(g, x))                                    \
    OP(ACOS, T(v_acos)(x), -T(v_asin_dx)(g, x))                                   \
    OP(ATAN, T(v_atan)(x), g / (1 + x * x))                                       \
    OP(SINH, T(v_sinh)(x), g *T(v_cosh)(x))                                       \
    OP(COSH, T(v_cosh)(x), g *T(v_sinh)(x))                                       \
    OP(ASINH, T(v_asinh)(x), g / T(v_hypot)(x, T(v_splat)(1)))                    \
    OP(ACOSH, T(v_acosh)(x), T(v_acosh_dx)(g, x))                                 \
    OP(ATANH, T(v_atanh)(x), g / ((1 - x) * (1 + x)))                             \
    OP(CBRT, T(v_cbrt)(x), g / (3 * (z * z)))                                     \
    OP(ERF, T(v_erf)(x), g *(TWO_OVER_SQRT_PI * T(v_exp)(-(x * x))))              \
    OP(LGAMMA, T(v_lgamma)(x), g *T(v_polygamma)(x, (vec){0}))                    \
    OP(DIGAMMA, T(v_polygamma)(x, (vec){0}), g *T(v_polygamma)(x, T(v_splat)(1))) \
    OP(SIGN, T(v_slope_of_abs)(x), (vec){0})                                      \
    OP(FLOOR, T(v_floor)(x), (vec){0})                                            \
    OP(CEIL, T(v_ceil)(x), (vec){0})                                              \
    OP(ROUND, T(v_rint)(x), (vec){0})

#define BINARY_OPS(OP)                                                                             \
    OP(ADD, x + y, g, g)                                                                           \
    OP(SUB, x - y, g, -g)                                                                          \
    OP(MUL, x *y, g *y, g *x)                                                                      \
    OP(DIV, x / y, g / y, T(v_div_dy)(g, z, y))                                                    \
    OP(POW, T(v_pow)(x, y), T(v_pow_dx)(g, x, y), T(v_pow_dy)(g, z, x, y))                         \
    OP(MAXIMUM, T(v_select)((x > y) | (x != x), x, y), T(v_larger)(g, x, y), T(v_larger)(g, y, x)) \
    OP(MINIMUM, T(v_select)((x < y) | (x != x), x, y), T(v_larger)(g, y, x), T(v_larger)(g, x, y)) \
    OP(LEAKY_RELU, T(v_select)(x > 0, x, x * y), T(v_select)(x > 0, g, g * y),                     \
       T(v_select)(x > 0, (vec){0}, g * x))                                                        \
    OP(HYPOT, T(v_hypot)(x, y), g *(x / z), g *(y / z))                                            \
    OP(ATAN2, T(v_atan2)(x, y), T(v_atan2_dx)(g, x, y), -T(v_atan2_dx)(g, y, x))                   \
    OP(POLYGAMMA, T(v_polygamma)(x, y), g *T(v_polygamma)(x, y + 1), (vec){0})

/* No derivative. */
#define PLAIN_OPS(OP)           \
    OP(LESS, T(v_truth)(x < y)) \
    OP(LESS_EQUAL, T(v_truth)(x <= y))
