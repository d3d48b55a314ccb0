/* The kernels and plans of the C core, on buffers that end or start at a page which must not be
 * touched, for every instruction set and dtype; run by tests/c/run under AddressSanitizer and UBSan.
 * Results are compared with the naive loops here: a kernel that does nothing fails. */
#include <math.h>

#include "guard.h"

void test_plans(int isa, int dtype_, int place_, long *passed_, long *failed_);
void test_programs(int isa, int dtype_, int place_, long *passed_, long *failed_);
void test_sparse(int isa, int dtype_, int place_, long *passed_, long *failed_);
void test_train(int isa, int dtype_, int place_, long *passed_, long *failed_);
void test_many(int isa, int dtype_, int place_, long *passed_, long *failed_);
void test_team(long *passed_, long *failed_);
void test_orders(long *passed_, long *failed_);
void test_memory(long *passed_, long *failed_);

static int isa;

/* ---- matrix multiplication ---- */

/* op(A) of A (m,k), rows apart by `gap` more than needed; returns the extent in elements. */
static int64_t layout(int64_t m, int64_t k, int kind, int64_t gap, int64_t *row, int64_t *column)
{
    switch (kind) {
    case 0: *row = k + gap, *column = 1; break;
    case 1: *row = 1, *column = m + gap; break;
    default: *row = 2 * k + gap, *column = 2; break;
    }
    return m && k ? (m - 1) * *row + (k - 1) * *column + 1 : 0;
}

static void check_matmul(int64_t m, int64_t n, int64_t k, int a_kind, int b_kind, int64_t gap, int accumulate,
                         int threads)
{
    int64_t a_row, a_col, b_row, b_col;
    const int64_t a_size = layout(m, k, a_kind, gap, &a_row, &a_col);
    const int64_t b_size = layout(k, n, b_kind, gap, &b_row, &b_col);
    const int64_t c_row = n + gap, c_size = m ? (m - 1) * c_row + n : 0;
    void *a = reals(a_size), *b = reals(b_size), *c = reals(c_size);
    fill_whole(a, a_size);
    fill_whole(b, b_size);
    for (int64_t i = 0; i < c_size; i++)
        set(c, i, accumulate ? 3 : NAN);
    const int status =
        mg_matmul(isa, dtype, m, n, k, -2, a, a_row, a_col, b, b_row, b_col, accumulate, c, c_row, threads);
    int wrong = status != MG_OK;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += get(a, i * a_row + p * a_col) * get(b, p * b_row + j * b_col);
            wrong += get(c, i * c_row + j) != -2 * sum + (accumulate ? 3 : 0);
        }
        for (int64_t j = n; j < c_row && i < m - 1; j++) { /* between the rows of C */
            const double between = get(c, i * c_row + j);
            wrong += accumulate ? between != 3 : !isnan(between);
        }
    }
    CHECK(!wrong, "isa %d dtype %d m %ld n %ld k %ld a %d b %d gap %ld threads %d", isa, dtype, (long)m,
          (long)n, (long)k, a_kind, b_kind, (long)gap, threads);
    release_all();
}

static void test_matmul(void)
{
    static const int64_t ms[] = {0, 1, 3, 5, 7, 13, 15, 29}, ns[] = {0, 1, 3, 7, 9, 17, 31, 33, 65},
                         ks[] = {0, 1, 5, 33};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 9; j++)
            for (int p = 0; p < 4; p++)
                for (int kinds = 0; kinds < 9; kinds++)
                    check_matmul(ms[i], ns[j], ks[p], kinds / 3, kinds % 3, kinds % 2 ? 3 : 0, kinds & 1, 1);
    for (int kinds = 0; kinds < 9; kinds++) {
        check_matmul(171, 35, 601, kinds / 3, kinds % 3, 0, 0, 3); /* past a block of rows and of depth */
        check_matmul(9, 70, 300, kinds / 3, kinds % 3, 512 - 70, 1, 2);
        check_matmul(60, 40, 20, kinds / 3, kinds % 3, 2048 - 40, 0, 2); /* strides of the conflict kind */
        check_matmul(57, 299, 601, kinds / 3, kinds % 3, 1, 1, 1); /* more panels than are packed at a time */
        check_matmul(57, 299, 20, kinds / 3, kinds % 3, 1, 0, 2);  /* shared out by panels */
        check_matmul(130, 35, 20, kinds / 3, kinds % 3, 0, 0, 3);  /* and by rows */
    }
}

static double value_of(int function, double slope, double x);
static double derivative_of(int function, double slope, double r);
static int close_to(double got, double want, double scale);

/* C = f(A B + b), keeping A B + b, or C = (A B) f'(reference): the epilogues, with the scratch at a page too. */
static void check_epilogue(int64_t m, int64_t n, int64_t k, int b_kind, int function, int gated)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    const int64_t ld = n + 2, size = (m - 1) * ld + n;
    mg_gemm g = {.m = m,
                 .n = n,
                 .k = k,
                 .alpha = 1,
                 .a = reals(m * k),
                 .a_row = k,
                 .a_col = 1,
                 .b = reals(k * n),
                 .b_row = b_kind ? 1 : n,
                 .b_col = b_kind ? k : 1,
                 .c = reals(size),
                 .c_row = ld};
    void *kept = reals(size), *bias = reals(n), *reference = reals(size);
    fill_real((void *)(uintptr_t)g.a, m * k, 1);
    fill_real((void *)(uintptr_t)g.b, k * n, 1);
    fill_real(bias, n, 1);
    fill_real(reference, size, 2);
    if (gated)
        g.epilogue =
            (mg_epilogue){.gate = function, .gate_slope = 0.1, .reference = reference, .reference_row = ld};
    else
        g.epilogue = (mg_epilogue){.bias = bias,
                                   .activation = function,
                                   .slope = 0.1,
                                   .pre_activation = kept,
                                   .pre_activation_row = ld};
    kernels->gemm(&g, guarded(kernels->gemm_scratch(&g, 1)), (mg_team){0, 1});
    int wrong = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = gated ? 0 : get(bias, j);
            for (int64_t p = 0; p < k; p++)
                sum += get(g.a, i * k + p) * get(g.b, p * g.b_row + j * g.b_col);
            const double size_of_terms = 2 + (double)k;
            if (gated) {
                sum *= derivative_of(function, 0.1, get(reference, i * ld + j));
            } else {
                wrong += !close_to(get(kept, i * ld + j), sum, size_of_terms);
                sum = value_of(function, 0.1, sum);
            }
            wrong += !close_to(get(g.c, i * ld + j), sum, size_of_terms);
        }
    if (!gated) { /* the common case, which keeps nothing, has a sweep of its own */
        void *first = malloc((size_t)size * real_size());
        memcpy(first, g.c, (size_t)size * real_size());
        g.epilogue.pre_activation = NULL;
        kernels->gemm(&g, guarded(kernels->gemm_scratch(&g, 1)), (mg_team){0, 1});
        wrong += memcmp(first, g.c, (size_t)size * real_size()) != 0;
        free(first);
    }
    CHECK(!wrong, "isa %d dtype %d m %ld n %ld k %ld b %d function %d gated %d", isa, dtype, (long)m, (long)n,
          (long)k, b_kind, function, gated);
    release_all();
}

static void test_epilogues(void)
{
    static const int64_t ms[] = {1, 7, 31, 60}, ns[] = {1, 9, 16, 35};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int function = 0; function <= MG_MISH; function++)
                for (int kind = 0; kind < 4; kind++)
                    check_epilogue(ms[i], ns[j], 1 + (i * 5 + j * 9) % 20, kind / 2, function, kind % 2);
}

/* ---- element by element ---- */

static double value_of(int function, double slope, double x)
{
    switch (function) {
    case MG_RELU: return x > 0 ? x : 0;
    case MG_LEAKY_RELU: return x > 0 ? x : slope * x;
    case MG_SIGMOID: return 1 / (1 + exp(-x));
    case MG_TANH: return tanh(x);
    case MG_GELU: return x * erfc(-x * M_SQRT1_2) / 2;
    case MG_SILU: return x / (1 + exp(-x));
    case MG_SOFTPLUS: return log1p(exp(x));
    case MG_ELU: return x > 0 ? x : slope * expm1(x);
    case MG_SELU: return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case MG_MISH: return x * tanh(log1p(exp(x)));
    case MG_EXP: return exp(x);
    case MG_LOG: return log(x);
    case MG_GELU_DERIVATIVE: return erfc(-x * M_SQRT1_2) / 2 + x * exp(-x * x / 2) * 0.3989422804014327;
    default: return x;
    }
}

static int from_input(int function)
{
    return function == MG_GELU || function == MG_SILU || function == MG_SOFTPLUS || function == MG_MISH;
}

/* From the reference: the input, or else the output. */
static double derivative_of(int function, double slope, double r)
{
    switch (function) {
    case MG_RELU: return r > 0;
    case MG_LEAKY_RELU: return r > 0 ? 1 : slope;
    case MG_SIGMOID: return r * (1 - r);
    case MG_TANH: return 1 - r * r;
    case MG_GELU: return value_of(MG_GELU_DERIVATIVE, 0, r);
    case MG_SILU: return 1 / (1 + exp(-r)) * (1 + r / (1 + exp(r)));
    case MG_SOFTPLUS: return 1 / (1 + exp(-r));
    case MG_ELU: return r > 0 ? 1 : r + slope;
    case MG_SELU: return r > 0 ? 1.0507009873554805 : r + 1.0507009873554805 * 1.6732632423543772;
    case MG_MISH: {
        const double w = tanh(log1p(exp(r)));
        return w + r / (1 + exp(-r)) * (1 - w * w);
    }
    default: return 1;
    }
}

static int close_to(double got, double want, double scale)
{
    const double eps = dtype == MG_FLOAT32 ? 1.2e-7 : 2.3e-16;
    return fabs(got - want) <= 8 * eps * (fabs(want) + scale);
}

static void test_elements(void)
{
    for (int64_t n = 0; n < 40; n++) {
        for (int f = 0; f < MG_FUNCTIONS; f++) {
            void *x = reals(n), *y = reals(n), *g = reals(n);
            fill_real(x, n, 3);
            if (f == MG_LOG)
                for (int64_t i = 0; i < n; i++)
                    set(x, i, fabs(get(x, i)) + 0.01);
            int wrong = mg_map(isa, dtype, f, 0.1, n, x, y) != MG_OK;
            for (int64_t i = 0; i < n; i++) /* log and gelu cancel: an absolute error as well */
                wrong += !close_to(get(y, i), value_of(f, 0.1, get(x, i)), 1);
            CHECK(!wrong, "map %d isa %d dtype %d n %ld", f, isa, dtype, (long)n);
            if (f > MG_MISH) {
                release_all();
                continue;
            }
            fill_real(g, n, 2);
            void *before = malloc((size_t)(n + 1) * real_size());
            memcpy(before, g, (size_t)n * real_size());
            const void *reference = from_input(f) ? x : y;
            wrong = mg_gate(isa, dtype, f, 0.1, n, reference, g) != MG_OK;
            for (int64_t i = 0; i < n; i++)
                wrong += !close_to(get(g, i), get(before, i) * derivative_of(f, 0.1, get(reference, i)), 2);
            CHECK(!wrong, "gate %d isa %d dtype %d n %ld", f, isa, dtype, (long)n);
            free(before);
            release_all();
        }
        void *g = reals(n);
        fill_whole(g, n);
        double squares = 0;
        for (int64_t i = 0; i < n; i++)
            squares += get(g, i) * get(g, i);
        CHECK(mg_norm(isa, dtype, n, g, 2) == sqrt(squares), "norm isa %d dtype %d n %ld", isa, dtype,
              (long)n);
        release_all();
    }
}

static void test_softmax(void)
{
    for (int64_t rows = 0; rows < 4; rows++)
        for (int64_t n = 1; n < 36; n++)
            for (int64_t gap = 0; gap < 4; gap += 3) {
                const int64_t ld = n + gap, size = rows ? (rows - 1) * ld + n : 0;
                void *x = reals(size), *y = reals(size), *g = reals(size), *out = reals(size);
                fill_real(x, size, 5);
                fill_real(g, size, 2);
                int wrong = mg_softmax(isa, dtype, rows, n, x, ld, y, ld) != MG_OK;
                wrong += mg_softmax_backward(isa, dtype, rows, n, y, ld, g, ld, out, ld) != MG_OK;
                for (int64_t i = 0; i < rows; i++) {
                    double sum = 0, mean = 0;
                    for (int64_t j = 0; j < n; j++)
                        sum += exp(get(x, i * ld + j));
                    for (int64_t j = 0; j < n; j++) {
                        wrong += !close_to(get(y, i * ld + j), exp(get(x, i * ld + j)) / sum, 1);
                        mean += get(y, i * ld + j) * get(g, i * ld + j);
                    }
                    for (int64_t j = 0; j < n; j++)
                        wrong += !close_to(get(out, i * ld + j),
                                           get(y, i * ld + j) * (get(g, i * ld + j) - mean), 2);
                }
                CHECK(!wrong, "softmax isa %d dtype %d rows %ld columns %ld", isa, dtype, (long)rows,
                      (long)n);
                release_all();
            }
}

/* ---- kernels that only plans call, from their table ---- */

static double loss_of(int loss, double z, double t)
{
    const double d = z - t;
    switch (loss) {
    case MG_MSE: return d * d;
    case MG_BCE: return log1p(exp(z)) - z * t;
    case MG_MAE: return fabs(d);
    default: return fabs(d) <= 1 ? d * d / 2 : fabs(d) - 0.5;
    }
}

static double row_loss(const mg_loss_rows *r, int64_t i)
{
    double sum = 0, loss = 0;
    const int64_t n = r->z.columns;
    for (int64_t j = 0; j < n; j++)
        sum += exp(get(r->z.data, i * r->z.ld + j));
    for (int64_t j = 0; j < n; j++) {
        const double z = get(r->z.data, i * r->z.ld + j);
        const double t = r->labels ? j == r->labels[i] : get(r->targets, i * r->targets_ld + j);
        loss += r->loss == MG_CROSS_ENTROPY ? t * (log(sum) - z) : loss_of(r->loss, z, t) / (double)n;
    }
    return loss * (r->weights ? get(r->weights, i) : 1);
}

static void check_loss(const mg_kernels *kernels, int loss, int64_t rows, int64_t n, int with_labels,
                       int with_weights)
{
    const int64_t ld = n + 2, size = (rows - 1) * ld + n;
    mg_loss_rows r = {.loss = loss,
                      .z = {reals(size), rows, n, ld},
                      .gradient = reals(size),
                      .gradient_ld = ld,
                      .row_loss = guarded((size_t)rows * sizeof(double))};
    int64_t *labels = guarded((size_t)rows * sizeof *labels);
    void *targets = reals(rows * n), *weights = reals(rows);
    fill_real(r.z.data, size, 3);
    for (int64_t i = 0; i < rows; i++) {
        labels[i] = random_below(n);
        set(weights, i, (double)random_below(3));
        for (int64_t j = 0; j < n; j++)
            set(targets, i * n + j,
                loss == MG_CROSS_ENTROPY ? 1.0 / (double)n : (double)random_below(100) / 100);
    }
    r.labels = with_labels ? labels : NULL;
    r.targets = with_labels ? NULL : targets;
    r.targets_ld = n;
    r.weights = with_weights ? weights : NULL;
    kernels->loss(&r);
    int wrong = 0;
    for (int64_t i = 0; i < rows; i++) {
        wrong += !close_to(r.row_loss[i], row_loss(&r, i), 10);
        if (loss == MG_MAE || dtype == MG_FLOAT32)
            continue;
        for (int64_t j = 0; j < n; j++) { /* central difference: error h^2 and eps/h, both below 1e-8 */
            const double z = get(r.z.data, i * ld + j), h = 1e-5;
            set(r.z.data, i * ld + j, z + h);
            const double above = row_loss(&r, i);
            set(r.z.data, i * ld + j, z - h);
            wrong += fabs((above - row_loss(&r, i)) / (2 * h) - get(r.gradient, i * ld + j)) > 1e-5;
            set(r.z.data, i * ld + j, z);
        }
    }
    r.gradient = NULL; /* the loss alone */
    const double before = r.row_loss[0];
    kernels->loss(&r);
    wrong += r.row_loss[0] != before;
    CHECK(!wrong, "loss %d isa %d dtype %d rows %ld columns %ld labels %d weights %d", loss, isa, dtype,
          (long)rows, (long)n, with_labels, with_weights);
    release_all();
}

static void test_table(void)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    static const int64_t widths[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 33};
    for (int w = 0; w < 10; w++)
        for (int64_t rows = 1; rows < 20; rows += 3) {
            const int64_t n = widths[w], size = rows * n;
            for (int weights = 0; weights < 2; weights++) {
                for (int loss = 0; loss < MG_LOSSES; loss++)
                    check_loss(kernels, loss, rows, n, 0, weights);
                check_loss(kernels, MG_CROSS_ENTROPY, rows, n, 1, weights);
            }
            void *x = reals(size), *y = reals(size), *sum = reals(n);
            fill_whole(x, size);
            fill_whole(sum, n);
            kernels->column_sum((mg_matrix){x, rows, n, n}, 2, 1, sum);
            kernels->column_sum((mg_matrix){x, rows, n, n}, 2, 0, sum);
            kernels->add((mg_matrix){x, rows, n, n}, (mg_matrix){y, rows, n, n}, (mg_matrix){y, rows, n, n});
            kernels->add((mg_matrix){x, rows, n, n}, (mg_matrix){y, rows, n, n}, (mg_matrix){y, rows, n, n});
            int wrong = 0;
            for (int64_t j = 0; j < n; j++) {
                double want = 0;
                for (int64_t i = 0; i < rows; i++) {
                    want += 2 * get(x, i * n + j);
                    wrong += get(y, i * n + j) != 2 * get(x, i * n + j);
                }
                wrong += get(sum, j) != want;
            }
            wrong += !kernels->all_finite((mg_matrix){x, rows, n, n}, 1);
            for (int64_t i = 0; i < size; i++) {
                const double old = get(x, i);
                set(x, i, i % 2 ? NAN : INFINITY);
                wrong += kernels->all_finite((mg_matrix){x, rows, n, n}, 1) != 0;
                set(x, i, old);
            }
            set(x, size - 1, 2); /* finite, but not twice as large as it can be */
            wrong +=
                kernels->all_finite((mg_matrix){x, rows, n, n}, dtype == MG_FLOAT32 ? 3e38 : 1.7e308) != 0;
            CHECK(!wrong, "column_sum, add or all_finite isa %d dtype %d rows %ld columns %ld", isa, dtype,
                  (long)rows, (long)n);
            release_all();
        }
}

/* `test_core quick`: float with guard pages on one side of each array, double on the other. */
int main(int arguments, char **argument)
{
    const int quick = arguments > 1 && strcmp(argument[1], "quick") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* what has failed shows even if a later check ends the program */
    mg_set_max_threads(3);
    test_team(&passed, &failed);
    test_orders(&passed, &failed);
    test_memory(&passed, &failed);
    mg_set_patient(1);
    for (isa = 0; isa < MG_ISAS; isa++) {
        if (!mg_isa_supported(isa)) {
            CHECK(mg_kernels_find(isa, MG_FLOAT32) == NULL, "isa %d", isa);
            continue;
        }
        for (dtype = 0; dtype < MG_DTYPES; dtype++)
            for (place = quick ? dtype % PLACES : 0; place < PLACES; place += quick ? PLACES : 1) {
                test_matmul();
                test_epilogues();
                test_elements();
                test_softmax();
                test_table();
                test_plans(isa, dtype, place, &passed, &failed);
                test_programs(isa, dtype, place, &passed, &failed);
                test_sparse(isa, dtype, place, &passed, &failed);
                test_train(isa, dtype, place, &passed, &failed);
                test_many(isa, dtype, place, &passed, &failed);
            }
    }
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0;
}
