/* Activations, their derivatives, and the other kernels that go over elements one by one; part of the
 * kernel template (see template.h). */

/* relu(x) = max(0, x), with relu(NaN) = NaN. */
static inline vec T(v_relu)(vec x)
{
    return T(v_max)(x, (vec){0});
}

/* EXPRESSION of the vector x, into y, over a matrix (rows, columns).  x may be y. */
#define MAP_MATRIX(EXPRESSION)                                \
    for (int64_t i = 0; i < x_.rows; i++) {                   \
        const real *from = (const real *)x_.data + i * x_.ld; \
        real *to = (real *)y_.data + i * y_.ld;               \
        int64_t j = 0;                                        \
        for (; j + LANES <= x_.columns; j += LANES) {         \
            const vec x = T(v_load)(from + j);                \
            T(v_store)(to + j, EXPRESSION);                   \
        }                                                     \
        if (j < x_.columns) {                                 \
            const int rest = (int)(x_.columns - j);           \
            const vec x = T(v_load_first)(from + j, rest);    \
            T(v_store_first)(to + j, EXPRESSION, rest);       \
        }                                                     \
    }

static MG_ONE_COPY void T(map)(int function, double slope_, mg_matrix x_, mg_matrix y_)
{
    const vec slope = T(v_splat)((real)slope_);
    switch (function) {
    case MG_IDENTITY: MAP_MATRIX(x) break;
    case MG_RELU: MAP_MATRIX(T(v_relu)(x)) break;
    case MG_LEAKY_RELU: MAP_MATRIX(T(v_select)(x > 0, x, slope * x)) break;
    case MG_SIGMOID: MAP_MATRIX(T(v_sigmoid)(x)) break;
    case MG_TANH: MAP_MATRIX(T(v_tanh)(x)) break;
    case MG_GELU: MAP_MATRIX(T(v_gelu)(x)) break;
    case MG_SILU: MAP_MATRIX(T(v_silu)(x)) break;
    case MG_SOFTPLUS: MAP_MATRIX(T(v_softplus)(x)) break;
    case MG_ELU: MAP_MATRIX(T(v_elu)(x, slope)) break;
    case MG_SELU: MAP_MATRIX(T(v_selu)(x)) break;
    case MG_MISH: MAP_MATRIX(T(v_mish)(x)) break;
    case MG_EXP: MAP_MATRIX(T(v_exp)(x)) break;
    case MG_LOG: MAP_MATRIX(T(v_log)(x)) break;
    case MG_GELU_DERIVATIVE: MAP_MATRIX(T(v_gelu_derivative)(x)) break;
    }
}

/* The same over two matrices x and y, into z: z = EXPRESSION of x and y, += with accumulate.  z may be y. */
#define COMBINE_MATRICES(EXPRESSION)                                                            \
    for (int64_t i = 0; i < z_.rows; i++) {                                                     \
        const real *from = (const real *)x_.data + i * x_.ld;                                   \
        const real *with = (const real *)y_.data + i * y_.ld;                                   \
        real *to = (real *)z_.data + i * z_.ld;                                                 \
        int64_t j = 0;                                                                          \
        for (; j + LANES <= z_.columns; j += LANES) {                                           \
            const vec x = T(v_load)(from + j), y = T(v_load)(with + j), z = EXPRESSION;         \
            T(v_store)(to + j, accumulate ? z + T(v_load)(to + j) : z);                         \
        }                                                                                       \
        if (j < z_.columns) {                                                                   \
            const int rest = (int)(z_.columns - j);                                             \
            const vec x = T(v_load_first)(from + j, rest), y = T(v_load_first)(with + j, rest); \
            const vec z = EXPRESSION;                                                           \
            T(v_store_first)(to + j, accumulate ? z + T(v_load_first)(to + j, rest) : z, rest); \
        }                                                                                       \
    }

/* z (+)= y * f'.  x is the activation a = f(z), from which sigmoid, tanh, the ReLUs and the ELUs
 * know their derivative; for gelu, silu, softplus and mish it is what f was applied to. */
static MG_ONE_COPY void T(gate)(int function, double slope_, mg_matrix x_, mg_matrix y_, mg_matrix z_,
                                int accumulate)
{
    const vec slope = T(v_splat)((real)slope_);
    switch (function) {
    case MG_IDENTITY: COMBINE_MATRICES(((void)x, y)) break;
    case MG_RELU: COMBINE_MATRICES(T(v_select)(x > 0, y, (vec){0})) break;
    case MG_LEAKY_RELU: COMBINE_MATRICES(T(v_select)(x > 0, y, slope * y)) break;
    case MG_SIGMOID: COMBINE_MATRICES(y * (x * (1 - x))) break;
    case MG_TANH: COMBINE_MATRICES(y * (1 - x * x)) break;
    case MG_GELU: COMBINE_MATRICES(y * T(v_gelu_derivative)(x)) break;
    case MG_SILU: COMBINE_MATRICES(y * T(v_silu_derivative)(x)) break;
    case MG_SOFTPLUS: COMBINE_MATRICES(y * T(v_sigmoid)(x)) break;
    case MG_ELU: COMBINE_MATRICES(y * T(elu_gate)(x, slope)) break;
    case MG_SELU: COMBINE_MATRICES(y * T(selu_gate)(x)) break;
    case MG_MISH: COMBINE_MATRICES(y * T(v_mish_derivative)(x)) break;
    }
}

/* Whether x of gate is what f was applied to, and not what it gave. */
static inline int T(gate_takes_input)(int function)
{
    return function == MG_GELU || function == MG_SILU || function == MG_SOFTPLUS || function == MG_MISH;
}

/* C += bias over some rows of one vector each, then relu or nothing.  `columns` is the literal LANES where the
 * vector is whole. */
static inline __attribute__((always_inline)) void T(bias_rows)(real *c, int64_t c_row, int rows, int columns,
                                                               vec bias, int relu)
{
    for (int i = 0; i < rows; i++, c += c_row) {
        const vec x = (columns == LANES ? T(v_load)(c) : T(v_load_first)(c, columns)) + bias;
        const vec y = relu ? T(v_relu)(x) : x;
        if (columns == LANES)
            T(v_store)(c, y);
        else
            T(v_store_first)(c, y, columns);
    }
}

/* The same for a tile, of at most two vectors a row. */
static inline void T(bias_tile)(real *c, int64_t c_row, int rows, int columns, const real *bias, int relu)
{
    for (; columns >= LANES; columns -= LANES, c += LANES, bias += LANES)
        T(bias_rows)(c, c_row, rows, LANES, T(v_load)(bias), relu);
    if (columns > 0)
        T(bias_rows)(c, c_row, rows, columns, T(v_load_first)(bias, columns), relu);
}

/* What is left to do with the tile (rows, columns) of C at (i0, j0) once its sums are complete. */
static inline void T(epilogue)(const mg_epilogue *e, int64_t i0, int64_t j0, int rows, int columns, real *c,
                               int64_t c_row)
{
    const mg_matrix tile = {c, rows, columns, c_row};
    if (e->bias) {
        const real *bias = (const real *)e->bias + j0;
        const int whole = e->activation == MG_RELU && !e->pre_activation && !e->skip; /* all in one sweep */
        T(bias_tile)(c, c_row, rows, columns, bias, whole);
        if (whole)
            return;
    }
    if (e->pre_activation) {
        real *z = (real *)e->pre_activation + i0 * e->pre_activation_row + j0;
        T(map)(MG_IDENTITY, 0, tile, (mg_matrix){z, rows, columns, e->pre_activation_row});
    }
    if (e->activation != MG_IDENTITY)
        T(map)(e->activation, e->slope, tile, tile);
    if (e->gate != MG_IDENTITY) {
        real *reference = (real *)e->reference + i0 * e->reference_row + j0;
        T(gate)(e->gate, e->gate_slope, (mg_matrix){reference, rows, columns, e->reference_row}, tile, tile,
                0);
    }
    if (e->skip) {
        real *skip = (real *)e->skip + i0 * e->skip_row + j0;
        T(gate)(MG_IDENTITY, 0, tile, (mg_matrix){skip, rows, columns, e->skip_row}, tile, 1);
    }
}

/* Rows that are added up in a chain; what these chains come to is added up in pairs.  The error grows with the
 * logarithm of the number of rows then: one chain over 20 million of them was off by 4 % in float32. */
#define SUM_ROWS 64

/* The sum of at most SUM_ROWS rows that lie ld apart; four chains hide the latency of an addition. */
static inline __attribute__((always_inline)) vec T(sum_rows)(const real *from, int64_t ld, int64_t rows,
                                                             int wide)
{
    vec part[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        MG_UNROLL
        for (int chain = 0; chain < 4; chain++, from += ld)
            part[chain] += wide == LANES ? T(v_load)(from) : T(v_load_first)(from, wide);
    }
    for (int chain = 0; i < rows; i++, chain++, from += ld)
        part[chain] += wide == LANES ? T(v_load)(from) : T(v_load_first)(from, wide);
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* The same for any number of rows.  level[i] holds the sum of 2^i blocks where bit i of `blocks` is set. */
static inline __attribute__((always_inline)) vec T(sum_blocks)(const real *from, int64_t ld, int64_t rows,
                                                               int wide)
{
    vec level[48], total = {0};
    int64_t blocks = 0;
    for (int64_t i = 0; i < rows; i += SUM_ROWS, blocks++) {
        vec sum = T(sum_rows)(from + i * ld, ld, rows - i < SUM_ROWS ? rows - i : SUM_ROWS, wide);
        int pairs = 0;
        for (; blocks >> pairs & 1; pairs++)
            sum += level[pairs];
        level[pairs] = sum;
    }
    for (int i = 0; blocks >> i; i++)
        if (blocks >> i & 1)
            total += level[i];
    return total;
}

/* sum (columns) = alpha * sum over the rows of x, += with accumulate. */
static void T(column_sum)(mg_matrix x, double alpha, int accumulate, void *sum_)
{
    real *sum = (real *)sum_;
    const real *from = (const real *)x.data;
    for (int64_t j = 0; j < x.columns; j += LANES) {
        const int wide = x.columns - j < LANES ? (int)(x.columns - j) : LANES;
        vec total = wide == LANES ? T(sum_blocks)(from + j, x.ld, x.rows, LANES)
                                  : T(sum_blocks)(from + j, x.ld, x.rows, wide);
        total *= (real)alpha;
        if (accumulate)
            total += T(v_load_first)(sum + j, wide);
        T(v_store_first)(sum + j, total, wide);
    }
}
#undef SUM_ROWS

/* Are all factor * x finite?  0 times a finite number is 0, 0 times any other is NaN. */
static int T(all_finite)(mg_matrix x, double factor_)
{
    const vec factor = T(v_splat)((real)factor_);
    vec poison[2] = {{0}, {0}};
    for (int64_t i = 0; i < x.rows; i++) {
        const real *from = (const real *)x.data + i * x.ld;
        int64_t j = 0;
        for (; j + 2 * LANES <= x.columns; j += 2 * LANES) {
            poison[0] += T(v_load)(from + j) * factor * 0;
            poison[1] += T(v_load)(from + j + LANES) * factor * 0;
        }
        for (; j < x.columns; j += LANES)
            poison[0] +=
                T(v_load_first)(from + j, x.columns - j < LANES ? (int)(x.columns - j) : LANES) * factor * 0;
    }
    return T(v_sum)(poison[0] + poison[1]) == 0;
}
