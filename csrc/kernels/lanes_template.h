/* Equal small networks side by side, one in each lane of a vector; part of the kernel template (see
 * template.h).  An array of n elements is n vectors here, and so is a matrix: rows, columns, lanes.
 *
 * Whatever is summed is summed in the order of the kernels for one network, so that a network ends with the
 * same bits whether it was trained alone or in a lane: tests hold them to it. */

/* Rows and columns of the tiles of lanes_product: as many sums as registers hold beside their factors. */
#if MG_VECTOR_BYTES == 64
#define LANES_ROWS 5
#define LANES_COLUMNS 4
#else
#define LANES_ROWS 3
#define LANES_COLUMNS 3
#endif
/* Also tiles of 5 and 3 columns, where columns would be left over: 64-32-10 gains 0.11 of 4.55 us for each
 * network, 4-8-3 0.04 of 0.67.  In float64 and for a first layer they would not earn their 15 kB. */
#define LANES_MORE (MG_VECTOR_BYTES == 64 && MG_BITS == 32)
#define LANES_MOST_COLUMNS (LANES_COLUMNS + LANES_MORE)

/* The longest sums: those that lie in one block of gemm_run. */
enum { T(lanes_depth) = MOST_DEPTH };

static inline void T(add_squares)(wide *sums, vec x)
{
    MG_UNROLL
    for (int part = 0; part < PARTS; part++) {
        const wide y = T(v_widen)(x, part);
        sums[part] += y * y;
    }
}

/* A tile of C, as many rows and columns of it as this.  The first three arguments are literals.  b_col: of
 * the columns of B from j0 on, whose rows lie b_row apart, both in reals. */
static inline __attribute__((always_inline)) void T(lanes_tile)(const int rows, const int columns,
                                                                const int shared, const mg_lanes_product *g,
                                                                int64_t i0, int64_t j0, const real *b,
                                                                int64_t b_row, int64_t b_col)
{
    const int64_t a_row = g->a_row * (shared ? 1 : LANES), a_col = g->a_col * (shared ? 1 : LANES);
    const real *a = (const real *)g->a + i0 * a_row;
    vec acc[LANES_ROWS][LANES_MOST_COLUMNS];
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int j = 0; j < columns; j++)
            acc[i][j] = (vec){0};
    }
    MG_UNROLL
    for (int i = 0; i < rows; i++) { /* C will be wanted when the sums are done */
        MG_UNROLL
        for (int j = 0; j < columns; j++)
            __builtin_prefetch((real *)g->c + ((i0 + i) * g->c_row + (j0 + j) * g->c_col) * LANES, 1);
    }
    for (int64_t p = 0; p < g->k; p++, a += a_col, b += b_row) {
        vec x[LANES_MOST_COLUMNS];
        MG_UNROLL
        for (int j = 0; j < columns; j++)
            x[j] = T(v_load)(b + j * b_col);
        MG_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec w = shared ? T(v_splat)(a[i * a_row]) : T(v_load)(a + i * a_row);
            MG_UNROLL
            for (int j = 0; j < columns; j++)
                acc[i][j] = MULTIPLY_ADD(w, x[j], acc[i][j]);
        }
    }
    const vec alpha = T(v_splat)((real)g->alpha);
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int j = 0; j < columns; j++) {
            const int64_t at = ((i0 + i) * g->c_row + (j0 + j) * g->c_col) * LANES;
            vec sum = acc[i][j];
            if (g->bias)
                sum += T(v_load)((const real *)g->bias + (j0 + j) * LANES);
            else
                sum *= alpha;
            if (g->relu)
                sum = T(v_relu)(sum);
            if (!shared && g->positive)
                sum = T(v_select)(T(v_load)((const real *)g->positive + at) > 0, sum, (vec){0});
            T(v_store)((real *)g->c + at, sum);
        }
    }
}

/* Columns of C in tiles of so many, from column j on, up to `last`; returns the column behind them.  Where
 * tiles share them, columns of B are copied first, side by side: they lie pages apart, or in the same few
 * sets of L1. */
static inline __attribute__((always_inline)) int64_t T(lanes_columns)(const int columns, const int shared,
                                                                      const mg_lanes_product *g, int64_t j,
                                                                      int64_t last)
{
    const int copied = g->m > 2 * LANES_ROWS;
    for (; j + columns <= last; j += columns) {
        int64_t i = 0, b_row = g->b_row * LANES, b_col = g->b_col * LANES;
        const real *b = (const real *)g->b + j * b_col;
        if (copied) {
            real *to = (real *)g->scratch;
            for (int64_t p = 0; p < g->k; p++, b += b_row, to += columns * LANES) {
                MG_UNROLL
                for (int v = 0; v < columns; v++)
                    T(v_store)(to + v * LANES, T(v_load)(b + v * b_col));
            }
            b = (const real *)g->scratch, b_row = columns * LANES, b_col = LANES;
        }
        for (; i + LANES_ROWS <= g->m; i += LANES_ROWS)
            T(lanes_tile)(LANES_ROWS, columns, shared, g, i, j, b, b_row, b_col);
        for (; i + 2 <= g->m; i += 2)
            T(lanes_tile)(2, columns, shared, g, i, j, b, b_row, b_col);
        for (; i < g->m; i++)
            T(lanes_tile)(1, columns, shared, g, i, j, b, b_row, b_col);
    }
    return j;
}

/* All of C, in tiles of LANES_COLUMNS but for a few. */
static inline __attribute__((always_inline)) void T(lanes_tiles)(const int shared, const mg_lanes_product *g)
{
    const int64_t n = g->n;
    const int more = LANES_MORE && !shared;
    int64_t j = 0;
    if (more) {
        const int64_t wide = n % LANES_COLUMNS * LANES_MOST_COLUMNS;
        if (n >= wide)
            j = T(lanes_columns)(LANES_MOST_COLUMNS, shared, g, j, wide);
    }
    j = T(lanes_columns)(LANES_COLUMNS, shared, g, j, n);
    if (more)
        j = T(lanes_columns)(3, shared, g, j, n);
    j = T(lanes_columns)(2, shared, g, j, n);
    T(lanes_columns)(1, shared, g, j, n);
}

/* C (m, n) = alpha * A (m, k) @ B (k, n), or A @ B + bias, in each lane. */
static void T(lanes_product)(const mg_lanes_product *g)
{
    if (g->shared)
        T(lanes_tiles)(1, g);
    else
        T(lanes_tiles)(0, g);
}

/* Reals of scratch that a product wants. */
enum { T(lanes_scratch) = MOST_DEPTH * LANES_MOST_COLUMNS * LANES };

/* to (n, LANES) = n elements of each array. */
static void T(lanes_join)(int64_t n, const void *const *from, void *to_)
{
    real *to = (real *)to_;
    vec block[LANES];
    for (int64_t i = 0; i < n; i += LANES) {
        const int count = n - i < LANES ? (int)(n - i) : LANES;
        for (int lane = 0; lane < LANES; lane++)
            block[lane] = T(v_load_first)((const real *)from[lane] + i, count);
        T(v_transpose)(block);
        for (int j = 0; j < count; j++)
            T(v_store)(to + (i + j) * LANES, block[j]);
    }
}

/* The way back, for the first `lanes` of them but those that are left out. */
static void T(lanes_part)(int64_t n, const void *from_, int lanes, const int *left_out, void *const *to)
{
    const real *from = (const real *)from_;
    vec block[LANES];
    for (int64_t i = 0; i < n; i += LANES) {
        const int count = n - i < LANES ? (int)(n - i) : LANES;
        for (int j = 0; j < LANES; j++)
            block[j] = j < count ? T(v_load)(from + (i + j) * LANES) : (vec){0};
        T(v_transpose)(block);
        for (int lane = 0; lane < lanes; lane++)
            if (!left_out[lane])
                T(v_store_first)((real *)to[lane] + i, block[lane], count);
    }
}

/* Softmax-cross-entropy of n <= LANES columns, as cross_entropy_narrow has it: the gradient of each row, and
 * in `losses` (LANES) the sums of the rows' losses.  labels (rows, LANES) are int32_t or int64_t, as wide as
 * a real. */
static void T(lanes_entropy)(int64_t rows, int n, const void *z_, const void *labels, void *g_,
                             double *losses)
{
    wide total[PARTS] = {{0}};
    for (int64_t i = 0; i < rows; i++) {
        const real *z = (const real *)z_ + i * n * LANES;
        real *g = (real *)g_ + i * n * LANES;
        ivec label;
        memcpy(&label, (const integer *)labels + i * LANES, sizeof label);
        vec p[LANES], max = T(v_load)(z), sum = {0}, own = {0};
        for (int j = 1; j < n; j++)
            max = T(v_max)(max, T(v_load)(z + j * LANES));
        for (int j = 0; j < n; j++) {
            const vec x = T(v_load)(z + j * LANES);
            sum += p[j] = T(v_exp_minus)(max - x);
            own = T(v_select)(label == (integer)j, x, own);
        }
        const vec scale = 1 / sum;
        for (int j = 0; j < n; j++) {
            const vec y = p[j] * scale;
            T(v_store)(g + j * LANES, T(v_select)(label == (integer)j, y - 1, y));
        }
        const vec log_sum = T(v_log)(sum);
        MG_UNROLL
        for (int part = 0; part < PARTS; part++)
            total[part] += T(v_widen)(log_sum, part) + (T(v_widen)(max, part) - T(v_widen)(own, part));
    }
    memcpy(losses, total, sizeof total);
}

/* Sums of squares that are made at a time, of every 32nd element each: as many as registers hold. */
#define SUMS 4

/* sums (LANES) = those of sum_of_squares. */
static void T(lanes_squares)(int64_t n, const void *x_, double *sums)
{
    const real *x = (const real *)x_;
    wide all[32][PARTS];
    for (int j = 0; j < 32; j += SUMS) {
        wide some[SUMS][PARTS] = {{{0}}};
        int64_t i = j;
        for (; i + SUMS <= n; i += 32) {
            MG_UNROLL
            for (int k = 0; k < SUMS; k++)
                T(add_squares)(some[k], T(v_load)(x + (i + k) * LANES));
        }
        for (int k = 0; i + k < n && k < SUMS; k++)
            T(add_squares)(some[k], T(v_load)(x + (i + k) * LANES));
        memcpy(all[j], some, sizeof some);
    }
    for (int half = 16; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            for (int part = 0; part < PARTS; part++)
                all[j][part] += all[j + half][part];
    memcpy(sums, all[0], sizeof all[0]);
}
#undef SUMS

/* penalize of a range in each lane, without l1: squares (LANES) += g^2, penalties (LANES) += l2/2 w^2.  Its
 * sums are of every 16th element, and then of those behind the last 16; what l1 = 0 adds there is a zero. */
static void T(lanes_penalize)(int64_t n, const void *w_, void *g_, double factor_, const double *l2,
                              double *squares, double *penalties)
{
    const real *w = (const real *)w_;
    real *g = (real *)g_;
    const vec factor = T(v_splat)((real)factor_);
    vec square, linear = {0};
    wide all[2][PARTS] = {{{0}}};
    for (int lane = 0; lane < LANES; lane++)
        square[lane] = (real)l2[lane];
    for (int64_t j = 0; j < 16; j++) {
        wide some[2][PARTS] = {{{0}}};
        for (int64_t i = j * LANES; i < n / 16 * 16 * LANES; i += 16 * LANES) {
            const vec x = T(v_load)(w + i), y = factor * T(v_load)(g + i) + square * x + linear;
            T(v_store)(g + i, y);
            T(add_squares)(some[0], y);
            T(add_squares)(some[1], x);
        }
        for (int part = 0; part < PARTS; part++)
            all[0][part] += some[0][part], all[1][part] += some[1][part];
    }
    for (int64_t i = n / 16 * 16 * LANES; i < n * LANES; i += LANES) {
        const vec x = T(v_load)(w + i);
        const vec sign = T(v_select)(x > 0, (vec){0} + 1, T(v_select)(x < 0, (vec){0} - 1, (vec){0}));
        const vec y = factor * T(v_load)(g + i) + square * x + linear * sign;
        T(v_store)(g + i, y);
        T(add_squares)(all[0], y);
        T(add_squares)(all[1], x);
    }
    double sums[2][LANES];
    memcpy(sums, all, sizeof sums);
    for (int lane = 0; lane < LANES; lane++) {
        squares[lane] += sums[0][lane];
        penalties[lane] += l2[lane] / 2 * sums[1][lane] + 0.0; /* l1 |w|: rounds the product by itself */
    }
}

#define LANES_SWEEP(rule)                   \
    for (int64_t i = 0; i < n; i += LANES)  \
        most = T(rule)(&s, i, LANES, most); \
    break

/* T(update) on n elements of each lane, with settings of its own.  largest (LANES): of what it wrote. */
static void T(lanes_update)(const mg_lanes_update *u, int64_t n, double *largest)
{
    const mg_optimizer *first = u->optimizers[0];
    T(sweep)
    s = {.p = (real *)u->parameters,
         .g = (const real *)u->gradients,
         .state = {(real *)u->state[0], (real *)u->state[1], (real *)u->state[2]},
         .first_step = first->steps == 0,
         .nesterov = first->nesterov,
         .damped = first->dampening != 0};
    for (int lane = 0; lane < LANES; lane++) {
        const mg_optimizer *o = u->optimizers[lane];
        const mg_rates *rates = &u->rates[lane];
        s.scale[lane] = (real)(o->maximize ? -u->scale[lane] : u->scale[lane]);
        s.bound[lane] = (real)u->bound[lane];
        s.lr[lane] = (real)rates->lr;
        s.decay[lane] = (real)rates->decay;
        s.shrink[lane] = (real)rates->shrink;
        s.eps[lane] = (real)rates->eps;
        s.momentum[lane] = (real)o->momentum;
        s.undamped[lane] = (real)(1 - o->dampening);
        s.blend[lane] = (real)(1 - o->beta1);
        s.keep_square[lane] = (real)rates->keep_square;
        s.blend_square[lane] = (real)(1 - rates->keep_square);
        s.root[lane] = (real)rates->root;
        s.mean_share[lane] = (real)rates->mean_share;
        s.gradient_share[lane] = (real)rates->gradient_share;
    }
    ivec most = {0};
    n *= LANES;
    switch (first->kind) {
    case MG_SGD: LANES_SWEEP(sgd_at);
    case MG_RMSPROP: LANES_SWEEP(rmsprop_at);
    case MG_ADAGRAD: LANES_SWEEP(adagrad_at);
    case MG_ADAMAX: LANES_SWEEP(adamax_at);
    case MG_NADAM: LANES_SWEEP(nadam_at);
    default: LANES_SWEEP(adam_at);
    }
    real value[LANES];
    memcpy(value, &most, sizeof value);
    for (int lane = 0; lane < LANES; lane++)
        largest[lane] = (double)value[lane];
}
#undef LANES_SWEEP
