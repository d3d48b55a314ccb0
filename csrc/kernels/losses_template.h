/* The losses, forward and gradient in one go; part of the kernel template (see template.h).
 *
 * Each row is one sample: row_loss_i = w_i L_i and gradient_i = w_i dL_i/dz_i, the documents' delta
 * before it is averaged over the batch.  The mean is taken later, in the gradients of the parameters. */

static inline real T(row_weight)(const mg_loss_rows *r, int64_t i)
{
    return r->weights ? ((const real *)r->weights)[i] : (real)1;
}

/* What is left for a row of softmax-cross-entropy once softmax is known: the loss from the largest
 * logit, log(sum exp(z - max)) and z, and, if p (the softmax times the row's weight w, in the gradient's place) is
 * there,
 *     w dL/dz = p * sum(y) - w y,   which is p - w y for one-hot and probability rows. */
static inline void T(cross_entropy_label)(const mg_loss_rows *r, int64_t i, const real *z, double max,
                                          double log_sum, real *p)
{
    const int64_t label = ((const int64_t *)r->labels)[i];
    const real w = T(row_weight)(r, i);
    r->row_loss[i] = w * (log_sum + (max - (double)z[label])); /* max - z first: exact where it matters */
    if (p)
        p[label] -= w;
}

/* The loss of some columns, and p = factor * p - w y, if p is there.  A target of 0 costs nothing, however
 * far its logit lies below. */
static MG_ONE_COPY double T(cross_entropy_targets)(int64_t columns, const real *y, const real *z, double max,
                                                   double log_sum, real factor, real w, real *p)
{
    wide loss[PARTS] = {{0}};
    for (int64_t j = 0; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        const vec target = T(v_load_first)(y + j, rest), logit = T(v_load_first)(z + j, rest);
        MG_UNROLL
        for (int part = 0; part < PARTS; part++) {
            const wide share = T(v_widen)(target, part);
            const wide term = share * (log_sum + (max - T(v_widen)(logit, part)));
            loss[part] += (wide)((T(wide_mask))term & (share != 0));
        }
        if (p)
            T(v_store_first)(p + j, factor * T(v_load_first)(p + j, rest) - w * target, rest);
    }
    return T(sum_wide)(loss);
}

/* The sum of a row of targets, in blocks, whose chains of additions are short. */
static MG_ONE_COPY real T(mass_of)(int64_t columns, const real *y)
{
    real mass = 0;
    for (int64_t first = 0; first < columns; first += SOFTMAX_BLOCK) {
        const int64_t last = columns - first < SOFTMAX_BLOCK ? columns : first + SOFTMAX_BLOCK;
        vec sum = {0};
        for (int64_t j = first; j < last; j += LANES)
            sum += T(v_load_first)(y + j, last - j < LANES ? (int)(last - j) : LANES);
        mass += T(v_sum)(sum);
    }
    return mass;
}

static inline const real *T(targets_of)(const mg_loss_rows *r, int64_t i)
{
    return (const real *)r->targets + i * r->targets_ld;
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
        const vec weights =
            r->weights ? T(v_load_first)((const real *)r->weights + i, rows) : T(v_splat)((real)1);
        T(softmax_lanes)(rows, n, z, r->z.ld, weights, columns, &max, &sum);
        if (p)
            T(store_lanes)(rows, n, columns, p, r->gradient_ld);
        real log_sum[LANES], shift[LANES];
        T(v_store)(log_sum, T(v_log)(sum));
        T(v_store)(shift, max);
        for (int row = 0; row < rows; row++) {
            const real *z_row = z + row * r->z.ld;
            real *p_row = p ? p + row * r->gradient_ld : NULL;
            const double most = (double)shift[row], logarithm = (double)log_sum[row];
            if (r->labels) {
                T(cross_entropy_label)(r, i + row, z_row, most, logarithm, p_row);
            } else {
                const real *y = T(targets_of)(r, i + row), w = T(row_weight)(r, i + row);
                r->row_loss[i + row] =
                    w * T(cross_entropy_targets)(n, y, z_row, most, logarithm, T(mass_of)(n, y), w, p_row);
            }
        }
    }
}

static void T(cross_entropy_wide)(const mg_loss_rows *r)
{
    const int64_t n = r->z.columns;
    for (int64_t i = 0; i < r->z.rows; i++) {
        const real *z = (const real *)r->z.data + i * r->z.ld, w = T(row_weight)(r, i);
        real *p = r->gradient ? (real *)r->gradient + i * r->gradient_ld : NULL;
        if (r->labels) {
            real max, sum;
            T(softmax_row)(n, z, w, p, &max, &sum);
            T(cross_entropy_label)(r, i, z, (double)max, log((double)sum), p);
            continue;
        }
        const real *y = T(targets_of)(r, i), mass = w * T(mass_of)(n, y);
        T(row_exponents) row;
        T(row_exp)(n, z, p, &row);
        const double log_sum = log((double)row.sum);
        double loss = 0;
        int b = 0;
        for (int64_t j = 0; j < n; j += row.block, b++)
            loss +=
                T(cross_entropy_targets)(n - j < row.block ? n - j : row.block, y + j, z + j, (double)row.max,
                                         log_sum, T(block_factor)(&row, b, mass), w, p ? p + j : NULL);
        r->row_loss[i] = w * loss;
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
