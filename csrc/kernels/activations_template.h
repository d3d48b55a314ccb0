/* Activations made of the functions of vecmath_template.h, and their derivatives f'(x); part of the kernel
 * template (see template.h).  Those that grow no further than exp's argument are held within +-FAR, where
 * they are at their limits, so that an infinity does not meet a zero. */

#define FAR 2000 /* exp(-FAR) is 0 in both dtypes */

static inline vec T(near)(vec x)
{
    return T(v_max)(T(v_min)(x, T(v_splat)(FAR)), T(v_splat)(-FAR));
}

/* x sigmoid(x) (Elfwing et al. 2017). */
static inline vec T(v_silu)(vec x)
{
    return T(v_max)(x, T(v_splat)(-FAR)) * T(v_sigmoid)(x);
}

static inline vec T(v_silu_derivative)(vec x)
{
    const vec s = T(v_sigmoid)(x);
    return s * (1 + T(near)(x) * (1 - s));
}

/* e^x - 1 for x <= 0, as 2 t / (1 - t) with t = tanh(x / 2): nothing cancels near 0. */
static inline vec T(expm1_of_negative)(vec x)
{
    const vec t = T(v_tanh)(T(v_splat)((real)0.5) * x);
    return (t + t) / (1 - t);
}

/* x for x > 0, else alpha (e^x - 1) (Clevert et al. 2015). */
static inline vec T(v_elu)(vec x, vec alpha)
{
    return T(v_select)(x > 0, x, alpha * T(expm1_of_negative)(T(v_min)(x, (vec){0})));
}

/* From the output a: 1 for a > 0, else a + alpha. */
static inline vec T(elu_gate)(vec a, vec alpha)
{
    return T(v_select)(a > 0, T(v_splat)(1), a + alpha);
}

#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717 /* Klambauer et al. 2017, section 3 */

/* scale elu(x, alpha), whose fixed point is mean 0 and variance 1. */
static inline vec T(v_selu)(vec x)
{
    return T(v_splat)((real)SELU_SCALE) * T(v_elu)(x, T(v_splat)((real)SELU_ALPHA));
}

/* From the output a: scale for a > 0, else a + scale alpha. */
static inline vec T(selu_gate)(vec a)
{
    return T(v_select)(a > 0, T(v_splat)((real)SELU_SCALE), a + T(v_splat)((real)(SELU_SCALE * SELU_ALPHA)));
}

/* n = e^x (e^x + 2), of which tanh(softplus(x)) is n / (n + 2): from x = 20 on it rounds to 1. */
static inline vec T(mish_ratio)(vec x)
{
    const vec e = T(v_exp)(T(v_min)(x, T(v_splat)(20)));
    return e * (e + T(v_splat)(2));
}

/* x tanh(softplus(x)) (Misra 2019). */
static inline vec T(v_mish)(vec x)
{
    const vec n = T(mish_ratio)(x);
    return T(v_max)(x, T(v_splat)(-FAR)) * (n / (n + T(v_splat)(2)));
}

/* w + x sigmoid(x) (1 - w^2) with w = tanh(softplus(x)) and 1 - w = 2 / (n + 2). */
static inline vec T(v_mish_derivative)(vec x)
{
    const vec n = T(mish_ratio)(x);
    const vec w = n / (n + T(v_splat)(2));
    const vec rest = T(v_splat)(2) / (n + T(v_splat)(2)) * (1 + w);
    return w + T(near)(x) * T(v_sigmoid)(x) * rest;
}

#undef FAR
