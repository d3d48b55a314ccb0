/* Softmax over the columns and its Jacobian; part of the kernel template (see template.h). */

/* y = exp(x - max) for `columns` of a row; returns their sum.  y may be NULL where only the sum is wanted. */
static inline real T(block_exp)(int64_t columns, const real *x, real max, real *y)
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

static inline real T(block_max)(int64_t columns, const real *x)
{
    vec max = T(v_splat)(x[0]);
    int64_t j = 0;
    if (columns >= 4 * LANES) { /* a chain of one would wait for each maximum */
        vec chains[4] = {max, max, max, max};
        for (; j + 4 * LANES <= columns; j += 4 * LANES) {
            MG_UNROLL
            for (int i = 0; i < 4; i++)
                chains[i] = T(v_max)(chains[i], T(v_load)(x + j + i * LANES));
        }
        max = T(v_max)(T(v_max)(chains[0], chains[1]), T(v_max)(chains[2], chains[3]));
    }
    for (; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        const vec v = T(v_load_first)(x + j, rest);
        max = T(v_max)(max, rest < LANES ? T(v_select)(T(v_lane)() < (integer)rest, v, max) : v);
    }
    return T(v_max_lane)(max);
}

/* A wide row is swept over twice.  The first sweep takes blocks that stay in L1 while it looks for their
 * maximum: exp(x - m), where m is the largest x up to the block's end.  The second brings all blocks to the m of
 * the last, which is the row's own. */
#define SOFTMAX_BLOCK 1024 /* columns, or as many more as make SOFTMAX_BLOCKS blocks */
#define SOFTMAX_BLOCKS 64

typedef struct {
    int64_t block; /* columns of each */
    real max, sum; /* of the row; sum exp(x - max) */
    real shift[SOFTMAX_BLOCKS];
} T(row_exponents);

/* exp(-d), d >= 0, as all blocks have it. */
static inline real T(exp_minus)(real d)
{
    real lanes[LANES];
    T(v_store)(lanes, T(v_exp_minus)(T(v_splat)(d)));
    return lanes[0];
}

/* The first sweep.  y may be NULL where only the sum is wanted. */
static MG_ONE_COPY void T(row_exp)(int64_t columns, const real *x, real *y, T(row_exponents) * row)
{
    row->block = SOFTMAX_BLOCK;
    if (columns > SOFTMAX_BLOCK * SOFTMAX_BLOCKS)
        row->block = (columns / SOFTMAX_BLOCKS / LANES + 1) * LANES;
    row->max = (real) - (sizeof(real) == sizeof(float) ? FLT_MAX : DBL_MAX);
    row->sum = 0;
    int b = 0;
    for (int64_t j = 0; j < columns; j += row->block, b++) {
        const int64_t count = columns - j < row->block ? columns - j : row->block;
        const real max = T(block_max)(count, x + j);
        if (max > row->max) {
            if (b > 0)
                row->sum *= T(exp_minus)(max - row->max);
            row->max = max;
        }
        row->shift[b] = row->max;
        row->sum += T(block_exp)(count, x + j, row->max, y ? y + j : NULL);
    }
}

/* What the second sweep multiplies block b by, for a softmax whose sum is `mass`. */
static inline real T(block_factor)(const T(row_exponents) * row, int b, real mass)
{
    const real scale = mass / row->sum, shift = row->max - row->shift[b];
    return shift > 0 ? T(exp_minus)(shift) * scale : scale;
}

static inline void T(block_scale)(int64_t columns, real factor, real *y)
{
    const vec scale = T(v_splat)(factor);
    for (int64_t j = 0; j < columns; j += LANES) {
        const int rest = columns - j < LANES ? (int)(columns - j) : LANES;
        T(v_store_first)(y + j, T(v_load_first)(y + j, rest) * scale, rest);
    }
}

/* y = mass * softmax(x) for one row; y may be NULL where only max and sum are wanted. */
static MG_ONE_COPY void T(softmax_row)(int64_t columns, const real *x, real mass, real *y, real *max,
                                       real *sum)
{
    if (columns <= SOFTMAX_BLOCK) {
        *max = T(block_max)(columns, x);
        *sum = T(block_exp)(columns, x, *max, y);
        if (y)
            T(block_scale)(columns, mass / *sum, y);
        return;
    }
    T(row_exponents) row;
    T(row_exp)(columns, x, y, &row);
    *max = row.max;
    *sum = row.sum;
    int b = 0;
    for (int64_t j = 0; y && j < columns; j += row.block, b++)
        T(block_scale)(columns - j < row.block ? columns - j : row.block, T(block_factor)(&row, b, mass),
                       y + j);
}

/* Softmax of up to LANES rows of n <= LANES columns side by side, so that nothing is summed over lanes:
 * p[j] gets column j of all rows, times each row's mass. */
static inline void T(softmax_lanes)(int rows, int n, const real *x, int64_t ld, vec mass, vec p[LANES],
                                    vec *max, vec *sum)
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
    const vec scale = mass / *sum;
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
            T(softmax_lanes)(rows, (int)x.columns, from, x.ld, T(v_splat)(1), p, &max, &sum);
            T(store_lanes)(rows, (int)x.columns, p, to, y.ld);
        } else {
            real max, sum;
            T(softmax_row)(x.columns, from, 1, to, &max, &sum);
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
