/* Sparse rows: what dense ones give, and arrays that are damaged, which end or start at a guard page. */
#include <math.h>

#include "two_layers.h"

/* Rows with about `each` numbers, some of them in the same place, and the same rows dense. */
typedef struct {
    mg_sparse s;
    void *dense, *values;
    int32_t *starts, *columns;
} rows_of_both;

static rows_of_both make_rows(int64_t rows, int64_t in, int64_t each)
{
    rows_of_both r = {.dense = reals(rows * in), .starts = guarded((size_t)(rows + 1) * sizeof(int32_t))};
    for (int64_t i = 0; i < rows; i++)
        r.starts[i + 1] = r.starts[i] + (int32_t)random_below(2 * each + 1);
    const int64_t entries = r.starts[rows];
    r.columns = guarded((size_t)entries * sizeof(int32_t));
    r.values = reals(entries);
    fill_real(r.values, entries, 1);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t e = r.starts[i]; e < r.starts[i + 1]; e++) {
            r.columns[e] = (int32_t)random_below(in);
            const int64_t at = i * in + r.columns[e];
            set(r.dense, at, get(r.dense, at) + get(r.values, e));
        }
    r.s = (mg_sparse){sizeof(int32_t), r.starts, r.columns, r.values, entries};
    return r;
}

static int close_to(const void *a, const void *b, int64_t n)
{
    const double tolerance = dtype == MG_FLOAT32 ? 1e-4 : 1e-12;
    int same = 1;
    for (int64_t i = 0; i < n; i++)
        same &= fabs(get(a, i) - get(b, i)) <= tolerance * (1 + fabs(get(b, i)));
    return same;
}

/* Passes, steps and predictions over damaged arrays say so or give something, and touch nothing else. */
static void damage(mg_plan *plan, mg_plan *predicting, const rows_of_both *r, mg_batch batch, void *out)
{
    mg_result result;
    int refused = 0;
    for (int round = 0; round < 200; round++) {
        int32_t *array = round % 2 ? r->columns : r->starts;
        const int64_t at = random_below(round % 2 ? r->s.entries : batch.rows + 1);
        const int32_t before = array[at], odd[] = {-1, INT32_MAX, INT32_MIN, (int32_t)r->s.entries + 1, 7};
        array[at] = odd[random_below(5)];
        const int status = mg_plan_check(predicting, &batch, &result);
        CHECK(status == MG_OK || status == MG_SPARSE_NOT_VALID, "check: %d", status);
        CHECK(mg_plan_loss(plan, &batch, 1 + round % 3, &result) == status, "loss");
        CHECK(mg_plan_predict(predicting, &batch, out, 1 + round % 3, &result) == status, "predict");
        refused += status != MG_OK;
        array[at] = before;
    }
    CHECK(refused > 50, "%d of 200 refused", refused);
    const double last = get(r->values, r->s.entries - 1);
    set(r->values, r->s.entries - 1, NAN);
    CHECK(mg_plan_loss(plan, &batch, 1, &result) == MG_INPUT_NOT_FINITE, "NaN");
    set(r->values, r->s.entries - 1, last);
}

static void check_rows(int isa, int64_t rows, int64_t in, int64_t hidden, int64_t each, int threads)
{
    int64_t n, out = 3;
    mg_plan *plan = two_layers(isa, MG_TANH, MG_CROSS_ENTROPY, in, hidden, out, 1, &n);
    mg_plan *predicting = two_layers(isa, MG_TANH, MG_CROSS_ENTROPY, in, hidden, out, 0, &n);
    mg_plan *frozen = two_layers(isa, MG_TANH, MG_CROSS_ENTROPY, in, hidden, out, 0, &n);
    void *parameters = reals(n), *gradients = reals(n), *want = reals(n);
    void *y = reals(rows * out), *expected = reals(rows * out);
    int64_t *labels = guarded((size_t)rows * sizeof *labels), *index = guarded((size_t)rows * sizeof *index);
    mg_result result, dense_result;
    fill_real(parameters, n, 0.5);
    for (int64_t i = 0; i < rows; i++)
        labels[i] = random_below(out), index[i] = random_below(rows);
    const rows_of_both r = make_rows(rows, in, each);
    mg_batch dense = {.x = r.dense, .x_ld = in, .rows = rows, .labels = labels, .targets_ld = out};
    dense.total_weight = (double)rows;
    mg_batch sparse = dense;
    sparse.x = NULL, sparse.sparse = &r.s;
    mg_plan_bind(plan, parameters, want);
    mg_plan_bind(predicting, parameters, NULL);
    mg_plan_bind(frozen, parameters, NULL);
    for (int round = 0; round < 2; round++) {
        mg_plan_bind(plan, parameters, want);
        CHECK(mg_plan_loss(plan, &dense, threads, &dense_result) == MG_OK, "dense loss");
        CHECK(mg_plan_backward(plan, round, threads) == MG_OK, "dense backward");
        mg_plan_bind(plan, parameters, gradients);
        CHECK(mg_plan_loss(plan, &sparse, threads, &result) == MG_OK, "sparse loss");
        CHECK(mg_plan_backward(plan, round, threads) == MG_OK, "sparse backward");
        CHECK(fabs(result.loss - dense_result.loss) < 1e-4, "%g, not %g", result.loss, dense_result.loss);
        CHECK(close_to(gradients, want, n), "isa %d, gradients of %ld rows", isa, (long)rows);
    }
    CHECK(mg_plan_predict(predicting, &dense, expected, threads, &result) == MG_OK, "dense predict");
    CHECK(mg_plan_predict(predicting, &sparse, y, threads, &result) == MG_OK, "sparse predict");
    CHECK(close_to(y, expected, rows * out), "isa %d, predictions", isa);
    CHECK(mg_plan_freeze(frozen, NULL) == MG_OK, "freeze");
    CHECK(mg_plan_predict(frozen, &sparse, y, threads, &result) == MG_OK, "frozen predict");
    CHECK(close_to(y, expected, rows * out), "isa %d, predictions, frozen", isa);
    const mg_constraints none = {.clip_norm = INFINITY, .clip_value = INFINITY, .max_norm = INFINITY};
    mg_optimizer sgd = {.isa = isa, .dtype = dtype, .n = n, .lr = 0.1, .parameters = parameters};
    mg_sums sums = {0, 0, 0};
    sgd.gradients = gradients;
    CHECK(mg_plan_train(plan, &sparse, index, rows, &none, &sgd, &sums, threads, &result) == MG_OK, "train");
    damage(plan, predicting, &r, sparse, y);
    mg_plan_free(plan);
    mg_plan_free(predicting);
    mg_plan_free(frozen);
    release_all();
}

void test_sparse(int isa, int dtype_, int place_, long *passed_, long *failed_)
{
    dtype = dtype_;
    place = place_;
    check_rows(isa, 5, 9, 3, 4, 1);
    check_rows(isa, 40, 700, 20, 3, 1);
    check_rows(isa, 33, 64, 150, 30, 3);
    check_rows(isa, 2100, 30, 17, 9, 1); /* several blocks of a prediction */
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
