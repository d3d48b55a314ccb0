/* The update rules of the optimizers; part of the kernel template (see template.h).
 *
 * Each rule is one sweep: it reads parameter, gradient and state, and writes parameter and state.  Every
 * gradient is multiplied by `scale` and held within +-bound first, which is how clipping costs nothing.
 * Products and sums are fused by v_fma, not by the compiler: it would leave them apart in a copy whose last
 * vector is loaded lane by lane, and lanes_template.h has copies of its own. */

/* One sweep: what the lanes have in common. */
typedef struct {
    real *p, *state[3];
    const real *g;
    vec scale, bound, lr, decay, eps;
    vec momentum, undamped, blend, keep_square, blend_square, shrink, root;
    vec mean_share, gradient_share; /* of nadam */
    int first_step, nesterov, damped, dry;
} T(sweep);

/* |x| as an integer: larger numbers are larger, and infinity and NaN larger than all of them.  gcc 12
 * makes a comparison, a mask and logical operations of the last two lines, a chain that every vector waits
 * for: SGD over 100000 float32 moved 76 GB/s with it, and 138 with one instruction instead. */
static inline ivec T(v_larger_magnitude)(ivec most, vec x)
{
    const ivec magnitude = (ivec)T(v_abs)(x);
#if defined(MG_WITH_AVX512) && MG_BITS == 32
    return (ivec)_mm512_max_epi32((__m512i)most, (__m512i)magnitude);
#elif defined(MG_WITH_AVX512)
    return (ivec)_mm512_max_epi64((__m512i)most, (__m512i)magnitude);
#elif defined(MG_WITH_AVX2) && MG_BITS == 32
    return (ivec)_mm256_max_epi32((__m256i)most, (__m256i)magnitude);
#else
    const ivec mask = most > magnitude;
    return (most & mask) | (magnitude & ~mask);
#endif
}

/* The largest lane as the number it stands for. */
static double T(largest_lane)(ivec x)
{
    integer most = 0;
    for (int i = 0; i < LANES; i++)
        most = x[i] > most ? x[i] : most;
    real value;
    memcpy(&value, &most, sizeof value);
    return (double)value;
}

/* `count` is the literal LANES in the main loops, where the whole vector is then one plain load. */
static inline vec T(load_some)(const real *x, int count)
{
    return count == LANES ? T(v_load)(x) : T(v_load_first)(x, count);
}

static inline ivec T(store_some)(const T(sweep) * s, real *x, vec value, int count, ivec most)
{
    if (!s->dry && count == LANES)
        T(v_store)(x, value);
    else if (!s->dry)
        T(v_store_first)(x, value, count);
    return T(v_larger_magnitude)(most, value);
}

/* The gradient and the decay of p. */
static inline vec T(take_gradient)(const T(sweep) * s, int64_t i, int count, vec p)
{
    const vec g = T(load_some)(s->g + i, count) * s->scale;
    return T(v_fma)(s->decay, p, T(v_min)(T(v_max)(g, -s->bound), s->bound));
}

/* The mean of g^2 after g. */
static inline vec T(mean_square)(const T(sweep) * s, vec mean, vec g)
{
    return T(v_fma)(mean, s->keep_square, s->blend_square * g * g);
}

/* state: velocity, or NULL. */
static inline ivec T(sgd_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count);
    vec g = T(take_gradient)(s, i, count, p);
    if (s->state[0]) {
        const vec added = s->damped ? g * s->undamped : g;
        const vec v = s->first_step ? g : T(v_fma)(T(load_some)(s->state[0] + i, count), s->momentum, added);
        most = T(store_some)(s, s->state[0] + i, v, count, most);
        g = s->nesterov ? T(v_fma)(s->momentum, v, g) : v;
    }
    return T(store_some)(s, s->p + i, T(v_fma)(-s->lr, g, p), count, most);
}

/* state: mean of g^2, velocity or NULL, mean of g or NULL. */
static inline ivec T(rmsprop_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count), g = T(take_gradient)(s, i, count, p);
    vec square = T(mean_square)(s, T(load_some)(s->state[0] + i, count), g);
    most = T(store_some)(s, s->state[0] + i, square, count, most);
    if (s->state[2]) {
        vec mean = T(load_some)(s->state[2] + i, count);
        mean = T(v_fma)(s->blend_square, g - mean, mean);
        most = T(store_some)(s, s->state[2] + i, mean, count, most);
        square = T(v_max)(T(v_fma)(-mean, mean, square), (vec){0}); /* rounding may have taken it below 0 */
    }
    vec step = g / (T(v_sqrt)(square) + s->eps);
    if (s->state[1]) {
        step = T(v_fma)(T(load_some)(s->state[1] + i, count), s->momentum, step);
        most = T(store_some)(s, s->state[1] + i, step, count, most);
    }
    return T(store_some)(s, s->p + i, T(v_fma)(-s->lr, step, p), count, most);
}

/* state: sum of g^2. */
static inline ivec T(adagrad_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count), g = T(take_gradient)(s, i, count, p);
    const vec square = T(v_fma)(g, g, T(load_some)(s->state[0] + i, count));
    most = T(store_some)(s, s->state[0] + i, square, count, most);
    return T(store_some)(s, s->p + i, T(v_fma)(-s->lr, g / (T(v_sqrt)(square) + s->eps), p), count, most);
}

/* state: mean of g, the decayed maximum of |g|. */
static inline ivec T(adamax_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count), g = T(take_gradient)(s, i, count, p);
    vec mean = T(load_some)(s->state[0] + i, count);
    mean = T(v_fma)(s->blend, g - mean, mean);
    most = T(store_some)(s, s->state[0] + i, mean, count, most);
    const vec reach = T(v_max)(T(load_some)(s->state[1] + i, count) * s->keep_square, T(v_abs)(g) + s->eps);
    most = T(store_some)(s, s->state[1] + i, reach, count, most);
    return T(store_some)(s, s->p + i, T(v_fma)(-s->lr, mean / reach, p), count, most);
}

/* state: mean of g, mean of g^2. */
static inline ivec T(nadam_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count), g = T(take_gradient)(s, i, count, p);
    vec mean = T(load_some)(s->state[0] + i, count);
    mean = T(v_fma)(s->blend, g - mean, mean);
    most = T(store_some)(s, s->state[0] + i, mean, count, most);
    const vec square = T(mean_square)(s, T(load_some)(s->state[1] + i, count), g);
    most = T(store_some)(s, s->state[1] + i, square, count, most);
    const vec up = T(v_fma)(s->mean_share, mean, s->gradient_share * g);
    const vec step = up / T(v_fma)(T(v_sqrt)(square), s->root, s->eps);
    return T(store_some)(s, s->p + i, T(v_fma)(p, s->shrink, -step), count, most);
}

/* state: mean of g, mean of g^2, the largest mean of g^2 so far or NULL. */
static inline ivec T(adam_at)(const T(sweep) * s, int64_t i, int count, ivec most)
{
    const vec p = T(load_some)(s->p + i, count), g = T(take_gradient)(s, i, count, p);
    vec mean = T(load_some)(s->state[0] + i, count);
    mean = T(v_fma)(s->blend, g - mean, mean);
    most = T(store_some)(s, s->state[0] + i, mean, count, most);
    vec square = T(mean_square)(s, T(load_some)(s->state[1] + i, count), g);
    most = T(store_some)(s, s->state[1] + i, square, count, most);
    if (s->state[2]) {
        square = T(v_max)(square, T(load_some)(s->state[2] + i, count));
        most = T(store_some)(s, s->state[2] + i, square, count, most);
    }
    const vec step = mean / T(v_fma)(T(v_sqrt)(square), s->root, s->eps);
    return T(store_some)(s, s->p + i, T(v_fma)(p, s->shrink, -s->lr * step), count, most);
}

#define SWEEP(rule)                             \
    for (; i + LANES <= range.last; i += LANES) \
        most = T(rule)(&s, i, LANES, most);     \
    if (i < range.last)                         \
    most = T(rule)(&s, i, (int)(range.last - i), most)

/* The step after o->steps steps, on the elements of a range.  Returns the largest magnitude among what it
 * writes to parameters and state: no finite number if one of them is none.  `dry`: writes nothing. */
static double T(update)(const mg_optimizer *o, const mg_rates *rates, mg_range range, double scale,
                        double bound, int dry)
{
    const T(sweep) s = {
        .p = (real *)o->parameters,
        .g = (const real *)o->gradients,
        .state = {(real *)o->state[0], (real *)o->state[1], (real *)o->state[2]},
        .scale = T(v_splat)((real)(o->maximize ? -scale : scale)),
        .bound = T(v_splat)((real)bound),
        .lr = T(v_splat)((real)rates->lr),
        .decay = T(v_splat)((real)rates->decay),
        .shrink = T(v_splat)((real)rates->shrink),
        .eps = T(v_splat)((real)rates->eps),
        .momentum = T(v_splat)((real)o->momentum),
        .undamped = T(v_splat)((real)(1 - o->dampening)),
        .blend = T(v_splat)((real)(1 - o->beta1)),
        .keep_square = T(v_splat)((real)rates->keep_square),
        .blend_square = T(v_splat)((real)(1 - rates->keep_square)),
        .root = T(v_splat)((real)rates->root),
        .mean_share = T(v_splat)((real)rates->mean_share),
        .gradient_share = T(v_splat)((real)rates->gradient_share),
        .first_step = o->steps == 0,
        .nesterov = o->nesterov,
        .damped = o->dampening != 0,
        .dry = dry,
    };
    ivec most = {0};
    int64_t i = range.first;
    switch (o->kind) {
    case MG_SGD: SWEEP(sgd_at); break;
    case MG_RMSPROP: SWEEP(rmsprop_at); break;
    case MG_ADAGRAD: SWEEP(adagrad_at); break;
    case MG_ADAMAX: SWEEP(adamax_at); break;
    case MG_NADAM: SWEEP(nadam_at); break;
    default: SWEEP(adam_at); break;
    }
    return T(largest_lane)(most);
}
#undef SWEEP

/* Sums and maxima that decide on an update. */

/* In double, for float32 as well: no square of a float32 is out of its range. */
static double T(sum_of_squares)(int64_t n, const void *x_)
{
    const real *x = (const real *)x_;
    double part[32] = {0};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 32; j++)
            part[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i < n; i++, j++)
        part[j] += (double)x[i] * (double)x[i];
    for (int half = 16; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            part[j] += part[j + half];
    return part[0];
}

/* The largest magnitude; no finite number if x holds one that is none. */
static double T(largest)(int64_t n, const void *x_)
{
    const real *x = (const real *)x_;
    ivec most = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = T(v_larger_magnitude)(most, T(v_load)(x + i));
    if (i < n)
        most = T(v_larger_magnitude)(most, T(v_load_first)(x + i, (int)(n - i)));
    return T(largest_lane)(most);
}

/* sum (|x| / unit)^p, in double */
static double T(power_sum)(int64_t n, const void *x_, double p, double unit)
{
    const real *x = (const real *)x_;
    double part[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double ratio = fabs((double)x[i]) / unit;
        part[i % 4] += p == 2 ? ratio * ratio : p == 1 ? ratio : pow(ratio, p);
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* x = scale x, held within +-bound; a NaN stays one. */
static void T(clip)(int64_t n, void *x_, double scale_, double bound_)
{
    real *x = (real *)x_;
    const vec scale = T(v_splat)((real)scale_), bound = T(v_splat)((real)bound_);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        T(v_store)(x + i, T(v_min)(T(v_max)(T(v_load)(x + i) * scale, -bound), bound));
    if (i < n) {
        const int rest = (int)(n - i);
        const vec y = T(v_load_first)(x + i, rest) * scale;
        T(v_store_first)(x + i, T(v_min)(T(v_max)(y, -bound), bound), rest);
    }
}

/* g = factor g + l2 w + l1 sign(w), sign(0) = 0, on whole lines of 16; sums in double of g^2, w^2 and |w|.
 * `with_l1` is a literal: without it a third of the work is left out. */
static inline __attribute__((always_inline)) void T(penalize_lines)(int with_l1, int64_t n, const real *w,
                                                                    real *g, real factor, real l1, real l2,
                                                                    double sums[3])
{
    double squares[16] = {0}, ridge[16] = {0}, lasso[16] = {0};
    for (int64_t i = 0; i < n; i += 16)
        for (int j = 0; j < 16; j++) {
            const real x = w[i + j], sign = (real)(x > 0) - (real)(x < 0);
            const real y = factor * g[i + j] + l2 * x + (with_l1 ? l1 * sign : 0);
            g[i + j] = y;
            squares[j] += (double)y * (double)y;
            ridge[j] += (double)x * (double)x;
            if (with_l1)
                lasso[j] += (double)(x * sign);
        }
    for (int j = 0; j < 16; j++) {
        sums[0] += squares[j];
        sums[1] += ridge[j];
        sums[2] += lasso[j];
    }
}

/* The same for any n.  sums[0] += g^2, sums[1] += l2/2 w^2 + l1 |w|. */
static void T(penalize)(int64_t n, const void *w_, void *g_, double factor_, double l1, double l2,
                        double sums[2])
{
    const real *w = (const real *)w_;
    real *g = (real *)g_;
    const real factor = (real)factor_, linear = (real)l1, square = (real)l2;
    double all[3] = {0};
    int64_t i = n / 16 * 16;
    if (l1 == 0)
        T(penalize_lines)(0, i, w, g, factor, linear, square, all);
    else
        T(penalize_lines)(1, i, w, g, factor, linear, square, all);
    for (; i < n; i++) {
        const real x = w[i], sign = (real)(x > 0) - (real)(x < 0);
        const real y = factor * g[i] + square * x + linear * sign;
        g[i] = y;
        all[0] += (double)y * (double)y;
        all[1] += (double)x * (double)x;
        all[2] += (double)(x * sign);
    }
    sums[0] += all[0];
    sums[1] += l2 / 2 * all[1] + l1 * all[2];
}
