/* The ops of a program, forward and backward, over the rows of a block: an interpreter that decodes an
 * instruction once and then runs it over all rows, a vector at a time; part of the kernel template
 * (see template.h).  The format of the instructions stands in micrograd.h.
 *
 * A lane is a row and never sees its neighbours.  The last vector of a block may have lanes without a
 * row: they compute with what they find, and are left out wherever rows meet, in the sums of the
 * scalars' gradients and in the results. */

enum { T(lanes) = LANES };

static inline real *T(slot)(const mg_block *b, int32_t slot)
{
    return (real *)b->slots + slot * b->stride;
}

/* An operand: a load at (j & step) gives rows j, j + 1, ... of a slot, or a scalar in all lanes. */
typedef struct {
    const real *at;
    int64_t step;
} T(source);

static inline __attribute__((always_inline)) T(source)
    T(source_of)(const mg_block *b, int32_t operand, vec *splat)
{
    if (operand >= 0)
        return (T(source)){T(slot)(b, operand), -1};
    *splat = T(v_splat)(((const real *)b->scalars)[~operand]);
    return (T(source)){(const real *)splat, 0};
}

static inline vec T(take)(T(source) s, int64_t j)
{
    return T(v_load)(s.at + (j & s.step));
}

static inline vec T(operand)(const mg_block *b, int32_t operand, int64_t j)
{
    return operand >= 0 ? T(v_load)(T(slot)(b, operand) + j)
                        : T(v_splat)(((const real *)b->scalars)[~operand]);
}

/* ---- forward ---- */

/* z = sum over i of operand i, for `width` vectors from row j on: so many independent chains. */
static inline __attribute__((always_inline)) void T(sum_part)(const mg_block *b, const int32_t *operands,
                                                              int n, real *z, int64_t j, const int width)
{
    vec sum[4];
    for (int k = 0; k < width; k++)
        sum[k] = T(operand)(b, operands[0], j + k * LANES);
    for (int i = 1; i < n; i++)
        for (int k = 0; k < width; k++)
            sum[k] += T(operand)(b, operands[i], j + k * LANES);
    for (int k = 0; k < width; k++)
        T(v_store)(z + j + k * LANES, sum[k]);
}

/* z = bias + sum over i of w_i x_i; operands: w, x, bias. */
static inline __attribute__((always_inline)) void T(dot_part)(const mg_block *b, const int32_t *operands,
                                                              int n, real *z, int64_t j, const int width)
{
    vec sum[4];
    for (int k = 0; k < width; k++)
        sum[k] = T(operand)(b, operands[n - 1], j + k * LANES);
    const int32_t *w = operands, *x = operands + n / 2;
    for (int i = 0; i < n / 2; i++) {
        if (w[i] < 0 && x[i] >= 0) { /* a weight and an activation */
            const vec weight = T(v_splat)(((const real *)b->scalars)[~w[i]]);
            const real *from = T(slot)(b, x[i]) + j;
            for (int k = 0; k < width; k++)
                sum[k] += weight * T(v_load)(from + k * LANES);
        } else {
            for (int k = 0; k < width; k++)
                sum[k] += T(operand)(b, w[i], j + k * LANES) * T(operand)(b, x[i], j + k * LANES);
        }
    }
    for (int k = 0; k < width; k++)
        T(v_store)(z + j + k * LANES, sum[k]);
}

static inline void T(n_ary)(const mg_block *b, int op, const int32_t *operands, int n, real *z)
{
    int64_t j = 0;
    for (; j + 3 * LANES < b->rows; j += 4 * LANES) {
        if (op == MG_OP_DOT)
            T(dot_part)(b, operands, n, z, j, 4);
        else
            T(sum_part)(b, operands, n, z, j, 4);
    }
    for (; j < b->rows; j += LANES) {
        if (op == MG_OP_DOT)
            T(dot_part)(b, operands, n, z, j, 1);
        else
            T(sum_part)(b, operands, n, z, j, 1);
    }
}

/* A column of an argument; the lanes behind the last row get a row that is there. */
static inline void T(load_column)(const mg_block *b, const int32_t *operands, real *z)
{
    const mg_argument *argument = &b->arguments[operands[0]];
    const real *from = (const real *)argument->data + b->first_row * argument->ld + operands[1];
    int64_t j = 0;
    if (argument->ld == 1) {
        memcpy(z, from, (size_t)b->rows * sizeof *z);
        j = b->rows;
    }
    for (; j < b->rows; j++)
        z[j] = from[j * argument->ld];
    for (; j % LANES; j++)
        z[j] = z[0];
}

static inline void T(store_column)(const mg_block *b, const int32_t *operands, int output)
{
    real *to = (real *)b->out + output;
    if (operands[0] >= 0 && b->out_ld == 1) {
        memcpy(to, T(slot)(b, operands[0]), (size_t)b->rows * sizeof *to);
        return;
    }
    for (int64_t j = 0; j < b->rows; j++)
        to[j * b->out_ld] =
            operands[0] >= 0 ? T(slot)(b, operands[0])[j] : ((const real *)b->scalars)[~operands[0]];
}

#define VALUE_OF_UNARY(NAME, VALUE, DX)                \
    case MG_OP_##NAME:                                 \
        for (int64_t j = 0; j < b->rows; j += LANES) { \
            const vec x = T(take)(x_, j);              \
            T(v_store)(z + j, VALUE);                  \
        }                                              \
        break;

#define VALUE_OF_BINARY(NAME, VALUE, ...)                     \
    case MG_OP_##NAME:                                        \
        for (int64_t j = 0; j < b->rows; j += LANES) {        \
            const vec x = T(take)(x_, j), y = T(take)(y_, j); \
            T(v_store)(z + j, VALUE);                         \
        }                                                     \
        break;

static void T(program_forward)(const mg_block *b, mg_code code)
{
    const int32_t *end = code.code + code.length;
    for (const int32_t *at = code.code; at < end; at += 3 + at[1]) {
        const int op = at[0], n = at[1];
        const int32_t *operands = at + 3;
        if (op >= MG_OP_INPUT) {
            switch (op) {
            case MG_OP_INPUT: T(load_column)(b, operands, T(slot)(b, at[2])); break;
            case MG_OP_OUTPUT: T(store_column)(b, operands, at[2]); break;
            case MG_OP_KEEP: ((real *)b->scalars)[at[2]] = T(slot)(b, operands[0])[0]; break;
            }
            continue;
        }
        real *z = T(slot)(b, at[2]);
        if (op == MG_OP_DOT || op == MG_OP_SUM) {
            T(n_ary)(b, op, operands, n, z);
            continue;
        }
        vec splat[2];
        const T(source) x_ = T(source_of)(b, operands[0], &splat[0]);
        const T(source) y_ = T(source_of)(b, operands[n - 1], &splat[1]);
        switch (op) {
            UNARY_OPS(VALUE_OF_UNARY)
            BINARY_OPS(VALUE_OF_BINARY)
            PLAIN_OPS(VALUE_OF_BINARY)
        case MG_OP_DETACH:
            for (int64_t j = 0; j < b->rows; j += LANES)
                T(v_store)(z + j, T(take)(x_, j));
            break;
        case MG_OP_CLAMP: /* operands: x, low, high */
            for (int64_t j = 0; j < b->rows; j += LANES)
                T(v_store)(z + j, T(v_clamp)(T(take)(x_, j), T(operand)(b, operands[1], j), T(take)(y_, j)));
            break;
        case MG_OP_WHERE: /* operands: condition, x, y */
            for (int64_t j = 0; j < b->rows; j += LANES)
                T(v_store)(z + j,
                           T(v_select)(T(take)(x_, j) != 0, T(operand)(b, operands[1], j), T(take)(y_, j)));
            break;
        }
    }
}

/* ---- backward ---- */

/* The lanes of the last vector that hold a row: of `rows` from row j on. */
static inline ivec T(lanes_with_row)(const mg_block *b, int64_t j)
{
    return T(v_lane)() < (integer)(b->rows - j);
}

/* Sends GRADIENT, an expression of j, to a sink: a slot, or the sum of a scalar. */
#define SEND_ROWS(SINK, GRADIENT)                                                              \
    do {                                                                                       \
        const int32_t sink_ = (SINK);                                                          \
        if (sink_ >= 0) {                                                                      \
            real *to_ = T(slot)(b, sink_ >> 1);                                                \
            const ivec keep_ = T(v_isplat)(-(integer)(sink_ & 1));                             \
            for (int64_t j = 0; j < b->rows; j += LANES) {                                     \
                const vec sent_ = GRADIENT;                                                    \
                T(v_store)(to_ + j, (vec)((ivec)T(v_load)(to_ + j) & keep_) + sent_);          \
            }                                                                                  \
        } else if (sink_ != MG_NO_SINK) {                                                      \
            real *to_ = (real *)b->sums + (-2 - (int64_t)sink_) * LANES;                       \
            vec sum_ = T(v_load)(to_), sent_ = {0};                                            \
            for (int64_t j = 0; j < b->rows; j += LANES) {                                     \
                sum_ += sent_; /* a vector later: the last one may hold lanes without a row */ \
                sent_ = GRADIENT;                                                              \
            }                                                                                  \
            if (b->rows % LANES)                                                               \
                sent_ = (vec)((ivec)sent_ & T(lanes_with_row)(b, b->rows / LANES * LANES));    \
            sum_ += sent_;                                                                     \
            T(v_store)(to_, sum_);                                                             \
        }                                                                                      \
    } while (0)

/* A gradient (rows) that lies ready. */
static void T(send_rows)(const mg_block *b, int32_t sink, const real *gradient)
{
    SEND_ROWS(sink, T(v_load)(gradient + j));
}

/* Rows that a `where` has passed over send exactly nothing, be the derivative infinite or NaN.  They go by way
 * of the stack: the code of a gradient stands once for all sinks (it was a fifth of the library). */
#define SEND(SINK, GRADIENT)                                                                       \
    do {                                                                                           \
        const int32_t to_sink_ = (SINK);                                                           \
        if (!masked) {                                                                             \
            SEND_ROWS(to_sink_, GRADIENT);                                                         \
        } else if (to_sink_ != MG_NO_SINK) {                                                       \
            real ready_[MG_MOST_ROWS];                                                             \
            for (int64_t j = 0; j < b->rows; j += LANES)                                           \
                T(v_store)(ready_ + j, T(v_select)(T(v_load)(mask + j) != 0, GRADIENT, (vec){0})); \
            T(send_rows)(b, to_sink_, ready_);                                                     \
        }                                                                                          \
    } while (0)

#define WITH_OPERANDS(DX)                                    \
    ({                                                       \
        const vec g = T(v_load)(g_ + j), x = T(take)(x_, j); \
        const vec y = T(take)(y_, j), z = T(v_load)(z_ + j); \
        (void)g, (void)x, (void)y, (void)z;                  \
        DX;                                                  \
    })

#define PULL_UNARY(NAME, VALUE, DX) \
    case MG_OP_##NAME: SEND(sinks[0], WITH_OPERANDS(DX)); break;

#define PULL_BINARY(NAME, VALUE, DX, DY)   \
    case MG_OP_##NAME:                     \
        SEND(sinks[0], WITH_OPERANDS(DX)); \
        SEND(sinks[1], WITH_OPERANDS(DY)); \
        break;

/* A weight (scalar) and an activation (slot) of a dot, in one pass over the rows: both get their part. */
static inline void T(pull_weight)(const mg_block *b, const real *g, const real *x, vec w, real *sum, real *dx,
                                  ivec keep)
{
    vec part = T(v_load)(sum);
    int64_t j = 0;
    for (; j + LANES <= b->rows; j += LANES) {
        const vec gradient = T(v_load)(g + j);
        part += gradient * T(v_load)(x + j);
        T(v_store)(dx + j, (vec)((ivec)T(v_load)(dx + j) & keep) + gradient * w);
    }
    if (j < b->rows) {
        const vec gradient = T(v_load)(g + j), product = gradient * T(v_load)(x + j);
        part += (vec)((ivec)product & T(lanes_with_row)(b, j));
        T(v_store)(dx + j, (vec)((ivec)T(v_load)(dx + j) & keep) + gradient * w);
    }
    T(v_store)(sum, part);
}

static inline __attribute__((always_inline)) void T(pull_dot)(const mg_block *b, const int32_t *operands,
                                                              const int32_t *sinks, int n, const real *g_,
                                                              const real *mask, const int masked)
{
    const int32_t *w = operands, *x = operands + n / 2, *dw = sinks, *dx = sinks + n / 2;
    for (int i = 0; i < n / 2; i++) {
        if (!masked && w[i] < 0 && x[i] >= 0 && dw[i] < MG_NO_SINK && dx[i] >= 0) {
            T(pull_weight)(b, g_, T(slot)(b, x[i]), T(v_splat)(((const real *)b->scalars)[~w[i]]),
                           (real *)b->sums + (-2 - (int64_t)dw[i]) * LANES, T(slot)(b, dx[i] >> 1),
                           T(v_isplat)(-(integer)(dx[i] & 1)));
            continue;
        }
        SEND(dw[i], T(v_load)(g_ + j) * T(operand)(b, x[i], j));
        SEND(dx[i], T(v_load)(g_ + j) * T(operand)(b, w[i], j));
    }
    SEND(sinks[n - 1], T(v_load)(g_ + j));
}

/* g to x within the bounds, else to the bound that holds, or to neither below equal ones. */
static inline __attribute__((always_inline)) void T(pull_clamp)(const mg_block *b, const int32_t *operands,
                                                                const int32_t *sinks, T(source) x_,
                                                                T(source) high_, const real *g_,
                                                                const real *mask, const int masked)
{
#define X T(take)(x_, j)
#define LOW T(operand)(b, operands[1], j)
#define HIGH T(take)(high_, j)
#define AT_TOP ((X > HIGH) | (LOW > HIGH))
#define G T(v_load)(g_ + j)
    SEND(sinks[0], T(v_select)((X >= LOW) & (X <= HIGH) & ~AT_TOP, G, (vec){0}));
    SEND(sinks[1], T(v_select)((X < LOW) & (LOW < HIGH), G, (vec){0}));
    SEND(sinks[2], T(v_select)(AT_TOP, G, (vec){0}));
#undef X
#undef LOW
#undef HIGH
#undef AT_TOP
#undef G
}

static inline __attribute__((always_inline)) void T(pull)(const mg_block *b, const int32_t *at,
                                                          const int masked)
{
    const int n = at[1];
    const int32_t *operands = at + 5, *sinks = operands + n;
    const real *g_ = T(slot)(b, at[3]), *z_ = at[2] >= 0 ? T(slot)(b, at[2]) : g_;
    const real *mask = masked ? T(slot)(b, at[4]) : g_;
    if (at[0] == MG_OP_DOT) {
        T(pull_dot)(b, operands, sinks, n, g_, mask, masked);
        return;
    }
    if (at[0] == MG_OP_SUM) {
        for (int i = 0; i < n; i++)
            SEND(sinks[i], T(v_load)(g_ + j));
        return;
    }
    vec splat[2];
    const T(source) x_ = T(source_of)(b, operands[0], &splat[0]);
    const T(source) y_ = T(source_of)(b, operands[n - 1], &splat[1]);
    switch (at[0]) {
        UNARY_OPS(PULL_UNARY)
        BINARY_OPS(PULL_BINARY)
    case MG_OP_CLAMP: /* y_ is the upper bound */
        T(pull_clamp)(b, operands, sinks, x_, y_, g_, mask, masked);
        break;
    case MG_OP_WHERE: /* x_ is the condition */
        SEND(sinks[1], T(v_select)(T(take)(x_, j) != 0, T(v_load)(g_ + j), (vec){0}));
        SEND(sinks[2], T(v_select)(T(take)(x_, j) != 0, (vec){0}, T(v_load)(g_ + j)));
        break;
    }
}

/* Where the gradient comes from outside: an output, or a uniform that all rows have used. */
static void T(pull_seed)(const mg_block *b, int32_t sink, real seed)
{
    SEND_ROWS(sink, T(v_splat)(seed));
}

/* Where it leaves again: a column of an argument. */
static void T(store_gradient)(const mg_block *b, int32_t slot, const int32_t *operands)
{
    if (!b->gradients || !b->gradients[operands[0]].data)
        return;
    const mg_gradient *argument = &b->gradients[operands[0]];
    real *to = (real *)argument->data + operands[1];
    for (int64_t j = 0; j < b->rows; j++)
        to[j * argument->ld] = slot >= 0 ? T(slot)(b, slot)[j] : 0;
}

static void T(pull_masked)(const mg_block *b, const int32_t *at)
{
    T(pull)(b, at, 1);
}

static void T(program_backward)(const mg_block *b, mg_code code)
{
    const int32_t *end = code.code + code.length;
    for (const int32_t *at = code.code; at < end; at += 5 + 2 * at[1]) {
        if (at[0] == MG_OP_INPUT)
            T(store_gradient)(b, at[3], at + 5);
        else if (at[0] == MG_OP_OUTPUT && b->seeds)
            T(send_rows)(b, at[6], (const real *)b->seeds);
        else if (at[0] == MG_OP_OUTPUT)
            T(pull_seed)(b, at[6], (real)b->seed);
        else if (at[0] == MG_OP_KEEP)
            T(pull_seed)(b, at[6], (real)b->totals[at[2]]);
        else if (at[4] >= 0)
            T(pull_masked)(b, at);
        else
            T(pull)(b, at, 0);
    }
}

/* totals (n) += the sum over the lanes of each vector of sums (n). */
static void T(program_reduce)(int64_t n, const void *sums_, double *totals)
{
    const real *sums = (const real *)sums_;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) { /* LANES of them at a time: additions side by side */
        vec block[LANES];
        for (int k = 0; k < LANES; k++)
            block[k] = T(v_load)(sums + (i + k) * LANES);
        T(v_transpose)(block);
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int k = 0; k < half; k++)
                block[k] += block[k + half];
        for (int k = 0; k < LANES; k++)
            totals[i + k] += (double)block[0][k];
    }
    for (; i < n; i++)
        totals[i] += (double)T(v_sum)(T(v_load)(sums + i * LANES));
}

#undef LIBM
#undef BY_LANE
#undef BY_TWO_LANES
#undef LN_2
#undef LN_10
#undef TWO_OVER_SQRT_PI
#undef UNARY_OPS
#undef BINARY_OPS
#undef PLAIN_OPS
#undef VALUE_OF_UNARY
#undef VALUE_OF_BINARY
#undef SEND
#undef SEND_ROWS
#undef WITH_OPERANDS
#undef PULL_UNARY
#undef PULL_BINARY
