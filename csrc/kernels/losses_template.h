/* The losses, forward and gradient in one go; part of the kernel template (see template.h).
 *
 * Each row is one sample: row_loss_i = w_i L_i and gradient_i = w_i dL_i/dz_i, the documents' delta
 * before it is averaged over the batch.  The mean is taken later, in the gradients of the parameters. */

static inline real T(row_weight)(const mg_loss_rows *r, int64_t i)
{
    return r->weights ? ((const real *)r->weights)[i] : (real)1;
}

/* What is left for a row of softmax-cross-entropy once softmax is known: the loss from the largest
 * logit, log(sum exp(z - max)) and z, and, if p (the softmax, in the gradient's place) is there,
 *     dL/dz = p * sum(y) - y,   which is p - y for one-hot and probability rows. */
static inline void T(cross_entropy_label)(const mg_loss_rows *r, int64_t i, const real *z, double max,
                                          double log_sum, real *p)
{
    const int64_t label = ((const int64_t *)r->labels)[i];
    r->row_loss[i] = log_sum + (max - (double)z[label]); /* max - z first: exact where it matters */
    if (p)
        p[label] -= 1;
    if (r->weights) {
        const real w = T(row_weight)(r, i);
        r->row_loss[i] *= w;
        for (int64_t j = 0; p && j < r->z.columns; j++)
            p[j] *= w;
    }
}

static void T(cross_entropy_targets)(const mg_loss_rows *r, int64_t i, const real *z, double max,
                                     double log_sum, real *p)
{
    const real *y = (const real *)r->targets + i * r->targets_ld;
    const real w = T(row_weight)(r, i);
    double loss = 0;
    real mass = 0;
    for (int64_t j = 0; j < r->z.columns; j++) {
        mass += y[j];
        if (y[j] != 0)
            loss += (double)y[j] * (log_sum + (max - (double)z[j]));
    }
    r->row_loss[i] = w * loss;
    for (int64_t j = 0; p && j < r->z.columns; j++)
        p[j] = w * (p[j] * mass - y[j]);
}

static inline void T(cross_entropy_row)(const mg_loss_rows *r, int64_t i, const real *z, double max,
                                        double log_sum, real *p)
{
    if (r->labels)
        T(cross_entropy_label)(r, i, z, max, log_sum, p);
    else
        T(cross_entropy_targets)(r, i, z, max, log_sum, p);
}

/* Few classes: LANES rows side by side. */
static void T(cross_entropy_narrow)(const mg_loss_rows *r)
{
    const int n = (int)r->z.columns;
    for (int64_t i = 0; i < r->z.rows; i += LANES) {
        const int rows = r->z.rows - i < LANES ? (int)(r->z.rows - i) : LANES;
        const real *z = (const real *)r->z.data + i * r->z.ld;
        real *p = r->gradient ? (real *)r->gradient + i * r->gradient_ld : NULL;
        vec columns[LANES], max, sum;
        T(softmax_lanes)(rows, n, z, r->z.ld, columns, &max, &sum);
        if (p)
            T(store_lanes)(rows, n, columns, p, r->gradient_ld);
        real log_sum[LANES], shift[LANES];
        T(v_store)(log_sum, T(v_log)(sum));
        T(v_store)(shift, max);
        for (int row = 0; row < rows; row++)
            T(cross_entropy_row)(r, i + row, z + row * r->z.ld, (double)shift[row], (double)log_sum[row],
                                 p ? p + row * r->gradient_ld : NULL);
    }
}

static void T(cross_entropy_wide)(const mg_loss_rows *r)
{
    const int64_t n = r->z.columns;
    for (int64_t i = 0; i < r->z.rows; i++) {
        const real *z = (const real *)r->z.data + i * r->z.ld;
        real *p = r->gradient ? (real *)r->gradient + i * r->gradient_ld : NULL;
        const real max = T(row_max)(n, z), sum = T(row_exp)(n, z, max, p);
        if (p)
            T(row_scale)(n, sum, p);
        T(cross_entropy_row)(r, i, z, (double)max, log((double)sum), p);
    }
}

/* A loss that is the mean over the columns of LOSS(z, t), with derivative GRADIENT; d = z - t. */
#define MEAN_LOSS(LOSS, GRADIENT)                                                                 \
    for (int64_t i = 0; i < r->z.rows; i++) {                                                     \
        const real *z_row = (const real *)r->z.data + i * r->z.ld;                                \
        const real *t_row = (const real *)r->targets + i * r->targets_ld;                         \
        real *gradient = r->gradient ? (real *)r->gradient + i * r->gradient_ld : NULL;           \
        const real w = T(row_weight)(r, i);                                                       \
        vec sum = {0};                                                                            \
        for (int64_t j = 0; j < n; j += LANES) {                                                  \
            const int rest = n - j < LANES ? (int)(n - j) : LANES;                                \
            const vec z = T(v_load_first)(z_row + j, rest), t = T(v_load_first)(t_row + j, rest); \
            const vec d = z - t, part = LOSS;                                                     \
            (void)d;                                                                              \
            sum += rest < LANES ? T(v_first_lanes)(part, rest) : part;                            \
            if (gradient)                                                                         \
                T(v_store_first)(gradient + j, (GRADIENT) * (w / n), rest);                       \
        }                                                                                         \
        r->row_loss[i] = (double)w * (double)T(v_sum)(sum) / (double)n;                           \
    }

/* d^2 / 2 where |d| <= 1, |d| - 1/2 beyond. */
static inline vec T(v_huber)(vec d)
{
    const vec size = T(v_abs)(d);
    return T(v_select)(size <= 1, d * d * (real)0.5, size - (real)0.5);
}

static inline vec T(v_sign)(vec d)
{
    return T(v_select)(d == 0, d, T(v_copysign)(T(v_splat)(1), d));
}

static void T(loss)(const mg_loss_rows *r)
{
    const int64_t n = r->z.columns;
    switch (r->loss) {
    case MG_CROSS_ENTROPY:
        if (n <= LANES)
            T(cross_entropy_narrow)(r);
        else
            T(cross_entropy_wide)(r);
        break;
    case MG_MSE: MEAN_LOSS(d * d, 2 * d) break;
    case MG_BCE: MEAN_LOSS(T(v_softplus)(z) - z * t, T(v_sigmoid)(z) - t) break;
    case MG_MAE: MEAN_LOSS(T(v_abs)(d), T(v_sign)(d)) break;
    case MG_HUBER: MEAN_LOSS(T(v_huber)(d), T(v_select)(T(v_abs)(d) <= 1, d, T(v_sign)(d))) break;
    }
}
