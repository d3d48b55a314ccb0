/* Layers that make something of each column by itself: a factor, an embedding of a number or of a category.
 * Part of the kernel template (see template.h).
 *
 * A member of a team does its columns for all rows, so that the sums over rows have one order for any number
 * of threads.  LANES rows are gone over at once: their numbers of one column are gathered into a vector, and
 * what is made of them scattered. */

/* cos and sin of 2 pi u.  u is split into half turns, which only change the sign, and r in [-1/4, 1/4]; the
 * series of x = 2 pi r, |x| <= pi/2, end where their next term is below eps/4: x^14/14! = 6e-9 for float,
 * x^24/24! = 8e-20 for double. */
typedef struct {
    vec cos, sin;
} T(circle);

static inline T(circle) T(turned)(vec u)
{
    const real magic = MG_BITS == 32 ? (real)0x1.8p23 : (real)0x1.8p52;
    const vec shifted = u * 2 + magic;
    const vec x = (u - (shifted - magic) * (real)0.5) * (real)6.283185307179586;
    const ivec sign = (ivec)shifted << (MG_BITS - 1); /* of an odd number of half turns */
    const vec s = x * x;
    vec even = {0}, odd = {0};
    for (int n = MG_BITS == 32 ? 12 : 22; n > 0; n -= 2) {
        even = 1 - s * even * (real)(1.0 / ((n + 1) * (n + 2)));
        odd = 1 - s * odd * (real)(1.0 / ((n + 2) * (n + 3)));
    }
    even = 1 - s * even * (real)0.5;
    odd = x * (1 - s * odd * (real)(1.0 / 6));
    return (T(circle)){.cos = (vec)((ivec)even ^ sign), .sin = (vec)((ivec)odd ^ sign)};
}

static inline vec T(column_get)(mg_matrix x, int64_t i, int64_t j, int rest)
{
    return T(v_load_strided)(T(place)(x, i, j), x.ld, rest);
}

static inline void T(column_put)(mg_matrix x, int64_t i, int64_t j, int rest, int accumulate, vec value)
{
    real *to = T(place)(x, i, j);
    for (int lane = 0; lane < rest; lane++)
        to[lane * x.ld] = accumulate ? to[lane * x.ld] + value[lane] : value[lane];
}

/* BODY for each group of `rest` rows from i on. */
#define EACH_GROUP(count, BODY)                                            \
    for (int64_t i = 0; i < (count); i += LANES) {                         \
        const int rest = (count) - i < LANES ? (int)((count) - i) : LANES; \
        BODY                                                               \
    }

/* gradients[at] (+)= scale * sum. */
static inline void T(settle)(const mg_columns *c, int64_t at, real sum)
{
    real *to = (real *)c->gradients + at;
    *to = (c->accumulate_parameters ? *to : 0) + (real)c->scale * sum;
}

/* ---- a factor ---- */

static void T(scale_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    const real *factor = c->parameters;
    for (int64_t j = c->columns.first; j < c->columns.last; j++)
        for (int64_t i = 0; i < x.rows; i++)
            *T(place)(y, i, j) = *T(place)(x, i, j) * factor[j];
}

static void T(scale_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    const real *factor = c->parameters;
    for (int64_t j = c->columns.first; j < c->columns.last; j++) {
        vec sum = {0};
        EACH_GROUP(x.rows, const vec gradient = T(column_get)(g, i, j, rest);
                   sum += gradient * T(column_get)(x, i, j, rest);
                   if (out.data) T(column_put)(out, i, j, rest, c->accumulate, gradient * factor[j]);)
        T(settle)(c, j, T(v_sum)(sum));
    }
}

/* ---- an activation with a learned slope ---- */

/* Row by row, as what it does with an element is the same for all columns. */
static void T(parametric_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    const int64_t first = c->columns.first, count = c->columns.last - first;
    const real *factor = (const real *)c->parameters + first;
    for (int64_t i = 0; i < x.rows; i++) {
        const mg_matrix from = {T(place)(x, i, first), 1, count, x.ld};
        const mg_matrix to = {T(place)(y, i, first), 1, count, y.ld};
        T(map)(c->activation, c->slope, from, to);
        const real *number = from.data;
        real *made = to.data;
        for (int64_t j = 0; j < count; j++)
            made[j] = number[j] + factor[j] * (made[j] - number[j]);
    }
}

/* Columns at a time, whose sums over the rows lie on the stack. */
#define PARAMETRIC_COLUMNS 128

static void T(parametric_tile)(const mg_columns *c, mg_range part, mg_matrix g, mg_matrix x, mg_matrix out)
{
    const real *factor = (const real *)c->parameters + part.first;
    const int64_t count = part.last - part.first;
    real made[PARAMETRIC_COLUMNS], through[PARAMETRIC_COLUMNS], sums[PARAMETRIC_COLUMNS] = {0};
    const mg_matrix a = {made, 1, count, count}, passed = {through, 1, count, count};
    for (int64_t i = 0; i < x.rows; i++) {
        const mg_matrix z = {T(place)(x, i, part.first), 1, count, x.ld};
        const mg_matrix above = {T(place)(g, i, part.first), 1, count, g.ld};
        T(map)(c->activation, c->slope, z, a);
        const real *number = z.data, *gradient = above.data;
        for (int64_t j = 0; j < count; j++)
            sums[j] += gradient[j] * (made[j] - number[j]);
        if (!out.data)
            continue;
        T(gate)(c->activation, c->slope, T(gate_takes_input)(c->activation) ? z : a, above, passed, 0);
        real *to = T(place)(out, i, part.first);
        for (int64_t j = 0; j < count; j++) {
            const real value = gradient[j] + factor[j] * (through[j] - gradient[j]);
            to[j] = c->accumulate ? to[j] + value : value;
        }
    }
    for (int64_t j = 0; j < count; j++)
        T(settle)(c, part.first + j, sums[j]);
}

static void T(parametric_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    for (int64_t j = c->columns.first; j < c->columns.last; j += PARAMETRIC_COLUMNS) {
        const int64_t next = j + PARAMETRIC_COLUMNS;
        T(parametric_tile)(c, (mg_range){j, next < c->columns.last ? next : c->columns.last}, g, x, out);
    }
}
#undef PARAMETRIC_COLUMNS

/* ---- cosines of a number ---- */

/* Of one number: frequencies and phases (k), weights (width, k), biases (width), and where each begins. */
typedef struct {
    int64_t frequency, phase, weight, bias;
} T(wave);

static inline T(wave) T(wave_of)(const mg_columns *c, int64_t j)
{
    const int64_t n = c->numbers, k = c->frequencies, m = c->width;
    return (T(wave)){j * k, (n + j) * k, 2 * n * k + j * m * k, 2 * n * k + n * m * k + j * m};
}

static void T(periodic_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    const real *p = c->parameters;
    const int64_t k = c->frequencies, m = c->width;
    for (int64_t j = c->columns.first; j < c->columns.last; j++) {
        const T(wave) w = T(wave_of)(c, j);
        EACH_GROUP(
            x.rows, const vec number = T(column_get)(x, i, j, rest); vec sum[MG_MOST_WIDTH];
            for (int64_t o = 0; o < m; o++) sum[o] = T(v_splat)(p[w.bias + o]);
            for (int64_t f = 0; f < k; f++) {
                const T(circle) at = T(turned)(number * p[w.frequency + f] + p[w.phase + f]);
                for (int64_t o = 0; o < m; o++)
                    sum[o] += at.cos * p[w.weight + o * k + f];
            } T(column_put)(y, i, j * (m + 1), rest, 0, number);
            for (int64_t o = 0; o < m; o++) T(column_put)(y, i, j * (m + 1) + 1 + o, rest, 0, sum[o]);)
    }
}

/* The sums over all rows of one frequency at a time: what is gone over again is the numbers and the gradients,
 * which are few beside the cosines. */
static void T(periodic_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    const real *p = c->parameters;
    const int64_t k = c->frequencies, m = c->width;
    for (int64_t j = c->columns.first; j < c->columns.last; j++) {
        const T(wave) w = T(wave_of)(c, j);
        vec biases[MG_MOST_WIDTH] = {{0}};
        EACH_GROUP(x.rows, for (int64_t o = 0; o < m; o++) biases[o] +=
                           T(column_get)(g, i, j * (m + 1) + 1 + o, rest);
                   if (out.data)
                       T(column_put)(out, i, j, rest, c->accumulate, T(column_get)(g, i, j * (m + 1), rest));)
        for (int64_t o = 0; o < m; o++)
            T(settle)(c, w.bias + o, T(v_sum)(biases[o]));
        for (int64_t f = 0; f < k; f++) {
            vec weights[MG_MOST_WIDTH] = {{0}}, frequency = {0}, phase = {0};
            EACH_GROUP(
                x.rows, const vec number = T(column_get)(x, i, j, rest);
                const T(circle) at = T(turned)(number * p[w.frequency + f] + p[w.phase + f]);
                vec through = {0}; for (int64_t o = 0; o < m; o++) {
                    const vec gradient = T(column_get)(g, i, j * (m + 1) + 1 + o, rest);
                    weights[o] += gradient * at.cos;
                    through += gradient * p[w.weight + o * k + f];
                } const vec turn = through * at.sin * (real)-6.283185307179586;
                phase += turn; frequency += turn * number;
                if (out.data) T(column_put)(out, i, j, rest, 1, turn * p[w.frequency + f]);)
            for (int64_t o = 0; o < m; o++)
                T(settle)(c, w.weight + o * k + f, T(v_sum)(weights[o]));
            T(settle)(c, w.frequency + f, T(v_sum)(frequency));
            T(settle)(c, w.phase + f, T(v_sum)(phase));
        }
    }
}

/* ---- a number between edges ---- */

/* Component t is 0 below edge t and 1 above edge t + 1; the first and the last go on beyond. */
static inline vec T(between)(const mg_columns *c, const double *edges, int64_t t, vec number)
{
    const vec part = (number - (real)edges[t]) * (real)(1 / (edges[t + 1] - edges[t]));
    const vec low = t == 0 ? part : T(v_max)(part, (vec){0});
    return t == c->width - 1 ? low : T(v_min)(low, T(v_splat)(1));
}

static void T(piecewise_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    for (int64_t j = c->columns.first; j < c->columns.last; j++) {
        const double *edges = c->constants + j * (c->width + 1);
        EACH_GROUP(x.rows, const vec number = T(column_get)(x, i, j, rest);
                   for (int64_t t = 0; t < c->width; t++)
                       T(column_put)(y, i, j * c->width + t, rest, 0, T(between)(c, edges, t, number));)
    }
}

static void T(piecewise_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    for (int64_t j = c->columns.first; j < c->columns.last; j++) {
        const double *edges = c->constants + j * (c->width + 1);
        EACH_GROUP(
            x.rows, const vec number = T(column_get)(x, i, j, rest); vec sum = {0};
            for (int64_t t = 0; t < c->width; t++) {
                const ivec above = t == 0 ? (ivec){0} - 1 : number > (real)edges[t];
                const ivec below = t == c->width - 1 ? (ivec){0} - 1 : number < (real)edges[t + 1];
                const vec slope = T(v_splat)((real)(1 / (edges[t + 1] - edges[t])));
                sum +=
                    T(v_select)(above & below, slope, (vec){0}) * T(column_get)(g, i, j * c->width + t, rest);
            } if (out.data) T(column_put)(out, i, j, rest, c->accumulate, sum);)
    }
}

/* ---- a category ---- */

/* The row of the table for a code; NULL for one that is no whole number from 0 on and below `size`. */
static inline const real *T(entry)(const real *table, real code, int64_t size, int64_t width)
{
    if (!(code >= 0 && code < (real)size) || code != (real)(int64_t)code)
        return NULL;
    return table + (int64_t)code * width;
}

static void T(embedding_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    const int64_t before = x.columns - c->numbers;
    int64_t at = 0, column = before;
    for (int64_t j = 0; j < c->numbers; j++) {
        const int64_t size = (int64_t)c->constants[2 * j], width = (int64_t)c->constants[2 * j + 1];
        if (j >= c->columns.first && j < c->columns.last)
            for (int64_t i = 0; i < x.rows; i++) {
                const real *from =
                    T(entry)((const real *)c->parameters + at, *T(place)(x, i, before + j), size, width);
                for (int64_t o = 0; o < width; o++)
                    *T(place)(y, i, column + o) = from ? from[o] : 0;
            }
        at += size * width;
        column += width;
    }
}

/* Elements of a table whose sums over some rows are added up by themselves first. */
#define PARTIAL_SUMS 4096

static void T(embedding_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    const int64_t before = x.columns - c->numbers;
    int64_t at = 0, column = before;
    for (int64_t j = 0; j < c->numbers; j++) {
        const int64_t size = (int64_t)c->constants[2 * j], width = (int64_t)c->constants[2 * j + 1];
        if (j >= c->columns.first && j < c->columns.last) {
            real *table = (real *)c->gradients + at, sums[PARTIAL_SUMS];
            const int64_t count = size * width;
            real *partial =
                count <= PARTIAL_SUMS ? sums : table; /* of these rows; larger tables do without */
            if (!c->accumulate_parameters)
                memset(table, 0, (size_t)count * sizeof(real));
            if (partial != table)
                memset(partial, 0, (size_t)count * sizeof(real));
            for (int64_t i = 0; i < x.rows; i++) {
                real *to = (real *)(uintptr_t)T(entry)(partial, *T(place)(x, i, before + j), size, width);
                for (int64_t o = 0; to && o < width; o++)
                    to[o] += (real)c->scale * *T(place)(g, i, column + o);
                if (out.data && !c->accumulate)
                    *T(place)(out, i, before + j) = 0;
            }
            for (int64_t o = 0; o < count && partial != table; o++)
                table[o] += partial[o];
        }
        at += size * width;
        column += width;
    }
}

/* ---- all of them ---- */

/* Columns that the layer passes on: those of `from` from `source` on become those of `to` from `target` on. */
static void T(pass_columns)(mg_range columns, int64_t source, int64_t target, int accumulate, mg_matrix from,
                            mg_matrix to)
{
    for (int64_t i = 0; i < from.rows; i++)
        for (int64_t j = columns.first; j < columns.last; j++) {
            real *place = T(place)(to, i, target + j);
            const real value = *T(place)(from, i, source + j);
            *place = accumulate ? *place + value : value;
        }
}

static void T(columns_forward)(const mg_columns *c, mg_matrix x, mg_matrix y)
{
    switch (c->kind) {
    case MG_SCALE: T(scale_forward)(c, x, y); break;
    case MG_PERIODIC: T(periodic_forward)(c, x, y); break;
    case MG_PIECEWISE: T(piecewise_forward)(c, x, y); break;
    case MG_EMBEDDING: T(embedding_forward)(c, x, y); break;
    case MG_PARAMETRIC: T(parametric_forward)(c, x, y); break;
    }
    T(pass_columns)(c->passed, c->passed_in, c->passed_out, 0, x, y);
}

/* g: the gradient of the output; out, where there is data: that of the input. */
/* Rows whose gradients of a parameter are added up in one chain, or one for each lane: 20 million of them are
 * 2,441 such sums, which are then added up. */
#define SPAN_ROWS 8192

static void T(backward_span)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    switch (c->kind) {
    case MG_SCALE: T(scale_backward)(c, g, x, out); break;
    case MG_PERIODIC: T(periodic_backward)(c, g, x, out); break;
    case MG_PIECEWISE: T(piecewise_backward)(c, g, x, out); break;
    case MG_EMBEDDING: T(embedding_backward)(c, g, x, out); break;
    case MG_PARAMETRIC: T(parametric_backward)(c, g, x, out); break;
    }
    if (out.data)
        T(pass_columns)(c->passed, c->passed_out, c->passed_in, c->accumulate, g, out);
}

static inline mg_matrix T(span)(mg_matrix x, int64_t first, int64_t rows)
{
    return (mg_matrix){x.data ? T(place)(x, first, 0) : NULL, rows, x.columns, x.ld};
}

static void T(columns_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out)
{
    mg_columns part = *c;
    for (int64_t i = 0; i < x.rows; i += SPAN_ROWS, part.accumulate_parameters = 1) {
        const int64_t rows = x.rows - i < SPAN_ROWS ? x.rows - i : SPAN_ROWS;
        T(backward_span)(&part, T(span)(g, i, rows), T(span)(x, i, rows), T(span)(out, i, rows));
    }
}
#undef SPAN_ROWS
#undef PARTIAL_SUMS
#undef EACH_GROUP
