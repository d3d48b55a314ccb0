/* Programs: what they refuse, and every op forward and backward with arguments, results and gradients that
 * end or start at a guard page, the derivatives against differences of the values.  (Values themselves,
 * kinks and infinities: tests/test_compile.py.) */
#include <math.h>

#include "guard.h"

/* out = op(x0), op(x0, x1), where(x0, x1, u), u * x1 + x0 or x0 + x1 + u, with u = tanh(p) the same for all
 * rows.  x is (rows, 2), y (rows): rows with y >= 0.5 send no gradient, if that is asked for. */
enum { X0, X1, Y, RESULT, MASK, D_RESULT, D_X0, D_X1, SLOTS };
enum { P = ~0, HALF = ~1, U = ~2 };
enum { LONGEST = 96 };

typedef struct {
    int32_t code[LONGEST];
    int length;
} tape;

typedef struct {
    tape uniform, uniform_backward, forward, backward;
    int64_t columns[2];
    double half;
    mg_program_source source;
} recipe;

#define PUT(TAPE, ...)                                            \
    do {                                                          \
        const int32_t put_[] = {__VA_ARGS__};                     \
        memcpy((TAPE)->code + (TAPE)->length, put_, sizeof put_); \
        (TAPE)->length += (int)(sizeof put_ / sizeof put_[0]);    \
    } while (0)

static int arity_of(int op)
{
    if (op == MG_OP_DOT || op == MG_OP_SUM || op == MG_OP_WHERE || op == MG_OP_CLAMP)
        return 3;
    return op == MG_OP_DETACH || (op >= MG_OP_NEG && op <= MG_OP_GELU) ? 1 : 2;
}

static void put_operands(tape *t, int op)
{
    switch (op) {
    case MG_OP_WHERE: PUT(t, X0, X1, U); break;
    case MG_OP_DOT: PUT(t, U, X1, X0); break;
    case MG_OP_SUM:
    case MG_OP_CLAMP: PUT(t, X0, X1, U); break;
    default:
        if (arity_of(op) == 1)
            PUT(t, X0);
        else
            PUT(t, X0, X1);
    }
}

/* x0 gets nothing from a condition; where nothing arrives, zeros are left to the caller. */
static void put_sinks(tape *t, int op)
{
    const int32_t x0 = 2 * D_X0, x1 = 2 * D_X1, u = -2 - 2;
    switch (op) {
    case MG_OP_WHERE: PUT(t, MG_NO_SINK, x1, u); break;
    case MG_OP_DOT: PUT(t, u, x1, x0); break;
    case MG_OP_SUM:
    case MG_OP_CLAMP: PUT(t, x0, x1, u); break;
    default:
        if (arity_of(op) == 1)
            PUT(t, x0);
        else
            PUT(t, x0, x1);
    }
}

static void put_backward(tape *t, int op, int masked)
{
    const int differentiable = op < MG_OP_LESS;
    const int to_x0 = differentiable && op != MG_OP_WHERE, to_x1 = differentiable && arity_of(op) > 1;
    PUT(t, MG_OP_OUTPUT, 1, 0, 0, MG_NO_SLOT, RESULT, 2 * D_RESULT);
    if (differentiable) {
        PUT(t, op, arity_of(op), RESULT, D_RESULT, masked ? MASK : MG_NO_SLOT);
        put_operands(t, op);
        put_sinks(t, op);
    }
    PUT(t, MG_OP_INPUT, 2, MG_NO_SLOT, to_x0 ? D_X0 : MG_NO_SLOT, MG_NO_SLOT, 0, 0, MG_NO_SINK, MG_NO_SINK);
    PUT(t, MG_OP_INPUT, 2, MG_NO_SLOT, to_x1 ? D_X1 : MG_NO_SLOT, MG_NO_SLOT, 0, 1, MG_NO_SINK, MG_NO_SINK);
}

static void make_recipe(recipe *r, int op, int masked)
{
    *r = (recipe){.columns = {2, 1}, .half = 0.5};
    PUT(&r->uniform, MG_OP_TANH, 1, 0, P);
    PUT(&r->uniform, MG_OP_KEEP, 1, 2, 0);
    PUT(&r->uniform_backward, MG_OP_KEEP, 1, 2, 0, MG_NO_SLOT, 0, 2 * 1);
    PUT(&r->uniform_backward, MG_OP_TANH, 1, 0, 1, MG_NO_SLOT, P, -2 - 0);
    PUT(&r->forward, MG_OP_INPUT, 2, X0, 0, 0);
    PUT(&r->forward, MG_OP_INPUT, 2, X1, 0, 1);
    PUT(&r->forward, MG_OP_INPUT, 2, Y, 1, 0);
    PUT(&r->forward, MG_OP_LESS, 2, MASK, Y, HALF);
    PUT(&r->forward, op, arity_of(op), RESULT);
    put_operands(&r->forward, op);
    PUT(&r->forward, MG_OP_OUTPUT, 1, 0, RESULT);
    put_backward(&r->backward, op, masked);
}

static mg_program *program_of(recipe *r, int isa)
{
    r->source.n_parameters = r->source.n_constants = r->source.n_uniforms = r->source.n_outputs = 1;
    r->source.n_arguments = 2;
    r->source.uniform_slots = 2, r->source.slots = r->source.run_slots = SLOTS;
    r->source.constants = &r->half;
    r->source.argument_columns = r->columns;
    r->source.uniform = (mg_code){r->uniform.code, r->uniform.length};
    r->source.uniform_backward = (mg_code){r->uniform_backward.code, r->uniform_backward.length};
    r->source.forward = r->source.run = (mg_code){r->forward.code, r->forward.length};
    r->source.backward = (mg_code){r->backward.code, r->backward.length};
    return mg_program_new(isa, dtype, &r->source);
}

typedef struct {
    int64_t rows;
    void *parameter, *x, *y, *out, *weights, *dz, *gradient;
    double *row_loss;
    mg_argument arguments[2];
    mg_batch batch;
} data;

/* Where numbers start and how far they spread: there the op is smooth, and steps lie between two of them. */
static void domain_of(int op, double *from, double *spread)
{
    *from = 0.2003, *spread = 1000.0 / 600;
    if (op == MG_OP_ASIN || op == MG_OP_ACOS || op == MG_OP_ATANH || op == MG_OP_TAN)
        *spread = 0.5;
    if (op == MG_OP_ACOSH)
        *from = 1.3;
}

static data make_data(int op, int64_t rows, int64_t ld)
{
    double from, spread;
    domain_of(op, &from, &spread);
    data d = {.rows = rows, .parameter = reals(1), .x = reals((rows - 1) * ld + 2), .y = reals(rows)};
    d.out = reals(rows), d.weights = reals(rows), d.dz = reals((rows - 1) * ld + 2), d.gradient = reals(1);
    d.row_loss = guarded((size_t)rows * sizeof(double));
    set(d.parameter, 0, 0.3);
    for (int64_t i = 0; i < (rows - 1) * ld + 2; i++)
        set(d.x, i, from + spread * (double)random_below(100003) / 100003);
    for (int64_t i = 0; i < rows; i++) {
        set(d.y, i, (double)random_below(2));
        set(d.weights, i, (double)random_below(5) / 2);
    }
    d.arguments[0] = (mg_argument){d.x, ld};
    d.arguments[1] = (mg_argument){d.y, 1};
    d.batch = (mg_batch){.x = d.x,
                         .x_ld = ld,
                         .rows = rows,
                         .targets = d.y,
                         .targets_ld = 1,
                         .weights = d.weights,
                         .total_weight = 1};
    return d;
}

/* The result of a row with one number changed by `by`. */
static double result_with(mg_program *p, const data *d, int64_t row, void *of, int64_t i, double by)
{
    const double old = get(of, i);
    set(of, i, old + by);
    mg_program_run(p, d->parameter, d->arguments, d->rows, d->out, 1);
    set(of, i, old);
    return get(d->out, row);
}

static double slope_of(mg_program *p, const data *d, int64_t row, void *of, int64_t i)
{
    const double h = 1e-6;
    return (result_with(p, d, row, of, i, h) - result_with(p, d, row, of, i, -h)) / (2 * h);
}

static int apart(double got, double want)
{
    return !(fabs(got - want) <= 1e-7 * (1 + fabs(want)));
}

static void check_op(int isa, int op, int masked, int64_t rows, int threads)
{
    const int64_t ld = 2 + rows % 3;
    recipe r;
    make_recipe(&r, op, masked);
    mg_program *p = program_of(&r, isa);
    CHECK(p != NULL, "no program of op %d", op);
    if (!p)
        return;
    const data d = make_data(op, rows, ld);
    int wrong = mg_program_run(p, d.parameter, d.arguments, rows, d.out, threads) != MG_OK;
    double mean, sum = 0, total = 0;
    wrong += mg_program_loss(p, d.parameter, d.arguments, rows, threads, &mean) != MG_OK;
    wrong += mg_program_loss_pass(p, d.parameter, &d.batch, 2, d.row_loss, NULL, 0, NULL, threads) != MG_OK;
    for (int64_t i = 0; i < rows; i++) {
        sum += get(d.out, i);
        wrong += d.row_loss[i] != get(d.weights, i) * get(d.out, i);
    }
    const double eps = dtype == MG_FLOAT32 ? 1e-5 : 1e-12;
    wrong += fabs(mean - sum / (double)rows) > eps * (1 + fabs(mean));
    wrong += mg_program_gradients(p, d.gradient, 0) != MG_OK;
    set(d.gradient, 0, 0);
    wrong +=
        mg_program_loss_pass(p, d.parameter, &d.batch, 2, d.row_loss, d.dz, ld, d.gradient, threads) != MG_OK;
    for (int64_t i = 0; i < rows && dtype == MG_FLOAT64; i++) {
        const int sends = op < MG_OP_LESS && !(masked && get(d.y, i) != 0);
        const double weight = sends ? get(d.weights, i) : 0;
        if (rows < 200 || i % 97 == 0)
            for (int64_t k = 0; k < 2; k++)
                wrong += apart(get(d.dz, i * ld + k), weight * slope_of(p, &d, i, d.x, i * ld + k));
        if (arity_of(op) == 3)
            total += weight * slope_of(p, &d, i, d.parameter, 0);
    }
    if (dtype == MG_FLOAT64)
        wrong += fabs(get(d.gradient, 0) - total) > 1e-6 * (1 + fabs(total));
    CHECK(!wrong, "op %d isa %d dtype %d rows %ld masked %d threads %d", op, isa, dtype, (long)rows, masked,
          threads);
    mg_program_free(p);
    release_all();
}

/* tanh(x) * u as a map: y and dx in wider matrices, whose other columns stay as they are. */
static void check_map(int isa, int64_t rows, int64_t columns, int64_t ld, int accumulate, int threads)
{
    recipe r;
    make_recipe(&r, MG_OP_TANH, 0);
    r.forward.length = r.backward.length = 0;
    r.columns[0] = 1;
    PUT(&r.forward, MG_OP_INPUT, 2, X0, 0, 0);
    PUT(&r.forward, MG_OP_TANH, 1, X1, X0);
    PUT(&r.forward, MG_OP_MUL, 2, RESULT, X1, U);
    PUT(&r.forward, MG_OP_OUTPUT, 1, 0, RESULT);
    PUT(&r.backward, MG_OP_OUTPUT, 1, 0, 0, MG_NO_SLOT, RESULT, 2 * D_RESULT);
    PUT(&r.backward, MG_OP_MUL, 2, MG_NO_SLOT, D_RESULT, MG_NO_SLOT, X1, U, 2 * D_X1, -2 - 2);
    PUT(&r.backward, MG_OP_TANH, 1, X1, D_X1, MG_NO_SLOT, X0, 2 * D_X0);
    PUT(&r.backward, MG_OP_INPUT, 2, MG_NO_SLOT, D_X0, MG_NO_SLOT, 0, 0, MG_NO_SINK, MG_NO_SINK);
    mg_program_free(program_of(&r, isa)); /* two arguments: not a map */
    r.source.n_arguments = 1;
    mg_program *p = mg_program_new(isa, dtype, &r.source);
    CHECK(p != NULL, "no map");
    const int64_t count = (rows - 1) * ld + columns;
    void *parameter = reals(1), *gradient = reals(1), *x = reals(count), *y = reals(count), *g = reals(count);
    void *dx = reals(count);
    set(parameter, 0, 0.4);
    fill_real(x, count, 2), fill_real(g, count, 2);
    for (int64_t i = 0; i < count; i++)
        set(y, i, -5), set(dx, i, 3);
    int wrong = mg_program_map_pass(p, parameter, rows, columns, x, ld, y, ld, g, ld, dx, ld, accumulate,
                                    gradient, threads) != MG_OK;
    const double u = tanh(0.4), eps = dtype == MG_FLOAT32 ? 1e-5 : 1e-13;
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < ld && i * ld + k < count; k++) {
            const int64_t at = i * ld + k;
            const double t = tanh(get(x, at)), want = get(g, at) * u * (1 - t * t);
            if (k >= columns) {
                wrong += get(y, at) != -5 || get(dx, at) != 3;
                continue;
            }
            sum += get(g, at) * t * (1 - u * u);
            wrong += fabs(get(y, at) - t * u) > eps;
            wrong += fabs(get(dx, at) - (want + (accumulate ? 3 : 0))) > eps * 5;
        }
    wrong += fabs(get(gradient, 0) - sum) > eps * (double)(rows * columns);
    wrong += mg_program_map_pass(p, parameter, rows, columns, x, ld, x, ld, NULL, 0, NULL, 0, 0, NULL,
                                 threads) != MG_OK;
    wrong += memcmp(x, y, real_size()) != 0; /* in place */
    CHECK(!wrong, "map isa %d dtype %d %ldx%ld in %ld threads %d", isa, dtype, (long)rows, (long)columns,
          (long)ld, threads);
    mg_program_free(p);
    release_all();
}

#define REFUSED(CHANGE)                                        \
    do {                                                       \
        recipe r;                                              \
        make_recipe(&r, MG_OP_DOT, 1);                         \
        mg_program_free(program_of(&r, isa));                  \
        CHANGE;                                                \
        mg_program *p = mg_program_new(isa, dtype, &r.source); \
        CHECK(p == NULL, "%s is taken", #CHANGE);              \
        mg_program_free(p);                                    \
    } while (0)

/* Where the instruction of the op itself stands. */
enum { AT_OP = 20, BACK_AT_OP = 7 };

static void test_bad_programs(int isa)
{
    static const int32_t bad_slots[] = {SLOTS, -1, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        REFUSED(r.forward.code[2] = bad_slots[i]);
        REFUSED(r.forward.code[AT_OP + 2] = bad_slots[i]);
        REFUSED(r.backward.code[BACK_AT_OP + 3] = bad_slots[i]);
        if (i != 1)
            REFUSED(r.backward.code[BACK_AT_OP + 4] = bad_slots[i]);
        if (i != 1)
            REFUSED(r.backward.code[r.backward.length - 6] = bad_slots[i]);
    }
    for (int k = 3; k < 6; k++) {
        REFUSED(r.forward.code[AT_OP + k] = SLOTS);
        REFUSED(r.forward.code[AT_OP + k] = ~3); /* there are three scalars */
        REFUSED(r.backward.code[BACK_AT_OP + 2 + k] = SLOTS);
        REFUSED(r.backward.code[BACK_AT_OP + 5 + k] = 2 * SLOTS);
        REFUSED(r.backward.code[BACK_AT_OP + 5 + k] = -2 - 3);
    }
    REFUSED(r.forward.code[AT_OP] = MG_OPS);
    REFUSED(r.forward.code[AT_OP] = -1);
    REFUSED(r.forward.code[AT_OP + 1] = 2);
    REFUSED(r.forward.code[AT_OP + 1] = INT32_MAX);
    REFUSED(r.forward.code[3] = 2); /* there are two arguments */
    REFUSED(r.forward.code[3] = -1);
    REFUSED(r.forward.code[4] = 2); /* of two columns */
    REFUSED(r.backward.code[r.backward.length - 4] = 2);
    REFUSED(r.backward.code[r.backward.length - 3] = 2);
    REFUSED(r.uniform.code[6] = 1); /* a KEEP writes no constant */
    REFUSED(r.uniform.code[6] = 3);
    REFUSED(r.source.forward.length -= 1);
    REFUSED(r.source.backward.length -= 1);
    REFUSED(r.source.forward.length = -1);
    REFUSED(r.source.n_outputs = 0);
    REFUSED(r.source.n_parameters = -1);
    REFUSED(r.source.n_constants = 0);
    REFUSED(r.source.slots = -1);
    REFUSED(r.source.run_slots = 2);
}

void test_programs(int isa, int dtype_, int place_, long *passed_, long *failed_)
{
    static const int64_t rows[] = {1, 2, 7, 8, 17, 64, 129};
    dtype = dtype_;
    place = place_;
    for (int op = 0; op < MG_OP_INPUT; op++)
        for (int i = 0; i < 7 && op != MG_OP_POLYGAMMA;
             i++) /* its order is a whole number: checked from Python */
            check_op(isa, op, (i + op) % 2, rows[i], 1 + i % 3);
    check_op(isa, MG_OP_DOT, 1, 4500, 3); /* several chunks */
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        check_map(isa, 1, 1, 1, accumulate, 1);
        check_map(isa, 3, 5, 7, accumulate, 1);
        check_map(isa, 130, 9, 9, accumulate, 2);
        check_map(isa, 40, 150, 151, accumulate, 3);
    }
    test_bad_programs(isa);
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
