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

/* y = softmax(x) row by row. */
static void T(softmax)(mg_matrix x, mg_matrix y)
{
    if (x.columns == 0)
        return;
    for (int64_t i = 0; i < x.rows; i++) {
        const real *from = (const real *)x.data + i * x.ld;
        real *to = (real *)y.data + i * y.ld;
        const vec scale = T(v_splat)(1 / T(row_exp)(x.columns, from, T(row_max)(x.columns, from), to));
        for (int64_t j = 0; j < x.columns; j += LANES) {
            const int rest = x.columns - j < LANES ? (int)(x.columns - j) : LANES;
            T(v_store_first)(to + j, T(v_load_first)(to + j, rest) * scale, rest);
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
