/* Softmax over the columns and its Jacobian; part of the kernel template (see template.h). */

/* y = exp(x - max) for one row; returns the sum.  y may be NULL where only the sum is wanted. */
static real T(row_exp)(int64_t columns, const real *x, real max, real *y)
{
    const vec shift = T(v_splat)(max);
    vec sum = {0};
    for (int64_t j = 0; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        vec e = T(v_exp_minus)(shift - T(v_load_first)(x + j, rest));
        if (rest < LANES)
            e = T(v_first_lanes)(e, rest);
        sum += e;
        if (y)
            T(v_store_first)(y + j, e, rest);
    }
    return T(v_sum)(sum);
}

static real T(row_max)(int64_t columns, const real *x)
{
    vec max = T(v_splat)(x[0]);
    for (int64_t j = 0; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        const vec v = T(v_load_first)(x + j, rest);
        max = T(v_max)(max, rest < LANES ? T(v_select)(T(v_lane)() < (integer)rest, v, max) : v);
    }
    return T(v_max_lane)(max);
}

/* Softmax of up to LANES rows of n <= LANES columns side by side, so that nothing is summed over lanes:
 * p[j] gets column j of all rows. */
static inline void T(softmax_lanes)(int rows, int n, const real *x, int64_t ld, vec p[LANES], vec *max,
                                    vec *sum)
{
    for (int row = 0; row < LANES; row++)
        p[row] = row < rows ? T(v_load_first)(x + row * ld, n) : (vec){0};
    T(v_transpose)(p);
    *max = p[0];
    *sum = (vec){0};
    for (int j = 1; j < n; j++)
        *max = T(v_max)(*max, p[j]);
    for (int j = 0; j < n; j++)
        *sum += p[j] = T(v_exp_minus)(*max - p[j]);
    const vec scale = 1 / *sum;
    for (int j = 0; j < n; j++)
        p[j] *= scale;
}

/* Turns the columns of softmax_lanes back into rows of y. */
static inline void T(store_lanes)(int rows, int n, vec p[LANES], real *y, int64_t ld)
{
    T(v_transpose)(p);
    for (int row = 0; row < rows; row++)
        T(v_store_first)(y + row * ld, p[row], n);
}

/* The last part of the softmax of one row: row_exp has filled y and returned the sum. */
static void T(row_scale)(int64_t columns, real sum, real *y)
{
    const vec scale = T(v_splat)(1 / sum);
    for (int64_t j = 0; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        T(v_store_first)(y + j, T(v_load_first)(y + j, rest) * scale, rest);
    }
}

/* y = softmax(x) row by row. */
static void T(softmax)(mg_matrix x, mg_matrix y)
{
    const int narrow = x.columns <= LANES;
    for (int64_t i = 0; i < x.rows && x.columns > 0; i += narrow ? LANES : 1) {
        const real *from = (const real *)x.data + i * x.ld;
        real *to = (real *)y.data + i * y.ld;
        if (narrow) {
            const int rows = x.rows - i < LANES ? (int)(x.rows - i) : LANES;
            vec p[LANES], max, sum;
            T(softmax_lanes)(rows, (int)x.columns, from, x.ld, p, &max, &sum);
            T(store_lanes)(rows, (int)x.columns, p, to, y.ld);
        } else {
            T(row_scale)(x.columns, T(row_exp)(x.columns, from, T(row_max)(x.columns, from), to), to);
        }
    }
}

/* dL/dx_i = y_i (g_i - sum_j g_j y_j), the Jacobian y_i (delta_ij - y_j) times g. */
static void T(softmax_backward)(mg_matrix y, mg_matrix g, mg_matrix g_in, int accumulate)
{
    for (int64_t i = 0; i < y.rows; i++) {
        const real *a = (const real *)y.data + i * y.ld, *from = (const real *)g.data + i * g.ld;
        real *to = (real *)g_in.data + i * g_in.ld;
        vec dot = {0};
        for (int64_t j = 0; j < y.columns; j += LANES) {
            const int rest = y.columns - j < LANES ? (int)(y.columns - j) : LANES;
            dot += T(v_load_first)(a + j, rest) * T(v_load_first)(from + j, rest);
        }
        const vec mean = T(v_splat)(T(v_sum)(dot));
        for (int64_t j = 0; j < y.columns; j += LANES) {
            const int rest = y.columns - j < LANES ? (int)(y.columns - j) : LANES;
            vec out = T(v_load_first)(a + j, rest) * (T(v_load_first)(from + j, rest) - mean);
            if (accumulate)
                out += T(v_load_first)(to + j, rest);
            T(v_store_first)(to + j, out, rest);
        }
    }
}
