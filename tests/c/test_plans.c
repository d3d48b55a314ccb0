/* Plans: what they refuse, and a network whose input, targets, parameters, gradients and output end or
 * start at a guard page. */
#include <math.h>

#include "guard.h"

/* x (0) -> linear, gelu (1, input kept in 2) -> linear (3) -> softmax (4) -> leaky relu (5) -> linear (6)
 * -> loss.  Everything has a storage of its own; with gradients those come behind. */
enum { N_OPS = 6, N_BUFFERS = 7 };

typedef struct {
    int isa, n_ops, n_buffers, n_storages;
    mg_op ops[N_OPS];
    mg_buffer buffers[N_BUFFERS];
    int64_t storages[2 * N_BUFFERS];
    int64_t n_parameters;
} recipe;

static recipe make_recipe(int isa, int64_t inputs, int64_t hidden, int64_t outputs, int loss, int training)
{
    recipe r = {.isa = isa, .n_ops = training ? N_OPS : N_OPS - 1, .n_buffers = N_BUFFERS};
    const int64_t columns[N_BUFFERS] = {inputs, hidden, hidden, hidden + 1, hidden + 1, hidden + 1, outputs};
    for (int i = 0; i < N_BUFFERS; i++) {
        r.buffers[i] = (mg_buffer){.storage = -1, .gradient = -1, .columns = columns[i]};
        if (i > 0) {
            r.buffers[i].storage = r.n_storages;
            r.storages[r.n_storages++] = columns[i];
        }
        if (i > 0 && i != 2 && training) {
            r.buffers[i].gradient = r.n_storages;
            r.storages[r.n_storages++] = columns[i];
        }
    }
    const int64_t w2 = inputs * hidden + hidden, w3 = w2 + hidden * (hidden + 1);
    const mg_op none = {.out = -1, .pre_activation = -1, .gate_buffer = -1, .weight = -1, .bias = -1};
    for (int i = 0; i < N_OPS; i++) {
        r.ops[i] = none;
        r.ops[i].input_gradient = training && i > 0 ? MG_WRITE_GRADIENT : MG_NO_GRADIENT;
    }
    r.ops[0].kind = MG_LINEAR, r.ops[0].function = MG_GELU, r.ops[0].out = 1, r.ops[0].pre_activation = 2;
    r.ops[0].weight = 0, r.ops[0].bias = inputs * hidden;
    r.ops[1].kind = MG_LINEAR, r.ops[1].in = 1, r.ops[1].out = 3, r.ops[1].weight = w2;
    if (training)
        r.ops[1].gate = MG_GELU, r.ops[1].gate_buffer = 2;
    r.ops[2].kind = MG_SOFTMAX, r.ops[2].in = 3, r.ops[2].out = 4;
    r.ops[3].kind = MG_ACTIVATE, r.ops[3].function = MG_LEAKY_RELU, r.ops[3].slope = 0.5, r.ops[3].in = 4,
    r.ops[3].out = 5;
    r.ops[4].kind = MG_LINEAR, r.ops[4].in = 5, r.ops[4].out = 6, r.ops[4].weight = w3;
    r.ops[4].bias = w3 + (hidden + 1) * outputs;
    r.ops[5].kind = MG_LOSS, r.ops[5].function = loss, r.ops[5].in = 6;
    r.n_parameters = r.ops[4].bias + outputs;
    return r;
}

static mg_plan *plan_of(const recipe *r)
{
    return mg_plan_new(r->isa, dtype, r->n_ops, r->ops, r->n_buffers, r->buffers, r->n_storages, r->storages,
                       r->n_parameters);
}

/* ---- a network ---- */

static double loss_at(mg_plan *plan, const mg_batch *batch, void *parameters, int64_t i, double value)
{
    mg_result result;
    const double old = get(parameters, i);
    set(parameters, i, value);
    const int status = mg_plan_loss(plan, batch, 0, 1, &result);
    set(parameters, i, old);
    return status == MG_OK ? result.loss : NAN;
}

static void check_network(int isa, int loss, int64_t inputs, int64_t hidden, int64_t outputs, int64_t rows,
                          int threads)
{
    const recipe r = make_recipe(isa, inputs, hidden, outputs, loss, 1);
    const recipe without = make_recipe(isa, inputs, hidden, outputs, loss, 0);
    mg_plan *plan = plan_of(&r), *predicting = plan_of(&without);
    CHECK(plan && predicting, "no plan for %ld-%ld-%ld", (long)inputs, (long)hidden, (long)outputs);
    if (!plan || !predicting)
        return;
    const int64_t n = r.n_parameters, x_ld = inputs + 1, x_size = (rows - 1) * x_ld + inputs;
    void *parameters = reals(n), *gradients = reals(n), *velocity = reals(n), *out = reals(rows * outputs);
    void *x = reals(x_size), *targets = reals(rows * outputs), *weights = reals(rows);
    int64_t *labels = guarded((size_t)rows * sizeof *labels), *index = guarded((size_t)rows * sizeof *index);
    fill_real(parameters, n, 0.5);
    fill_real(x, x_size, 1);
    mg_batch batch = {.x = x, .x_ld = x_ld, .rows = rows, .weights = weights};
    for (int64_t i = 0; i < rows; i++) {
        index[i] = random_below(rows);
        labels[i] = random_below(outputs);
        set(weights, i, 1 + (double)random_below(3));
        batch.total_weight += get(weights, i);
        for (int64_t j = 0; j < outputs; j++)
            set(targets, i * outputs + j, (double)random_below(100) / 100);
    }
    if (loss == MG_CROSS_ENTROPY)
        batch.labels = labels;
    else
        batch.targets = targets, batch.targets_ld = outputs;
    mg_plan_bind(plan, parameters, gradients);
    mg_plan_bind(predicting, parameters, NULL);
    mg_result result = {.loss = NAN};
    int wrong = mg_plan_check(plan, &batch, &result) != MG_OK;
    wrong += mg_plan_loss(plan, &batch, 1, threads, &result) != MG_OK || !isfinite(result.loss);
    wrong += mg_plan_backward(plan, 0, r.n_ops, 0, threads) != MG_OK;
    wrong += mg_plan_backward(plan, 0, r.n_ops, 1, threads) != MG_OK; /* adds: now twice the gradient */
    CHECK(!wrong, "loss and backward isa %d dtype %d loss %d", isa, dtype, loss);

    wrong = mg_plan_predict(predicting, &batch, out, threads, &result) != MG_OK;
    int64_t ld = 0;
    const void *z = mg_plan_values(plan, 6, &ld);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < outputs; j++)
            wrong += get(out, i * outputs + j) != get(z, i * ld + j);
    wrong += mg_plan_gradient(plan, 6, &ld) == NULL || mg_plan_gradient(plan, 0, &ld) ||
             mg_plan_values(plan, 0, &ld) || mg_plan_values(plan, 99, &ld) || mg_plan_values(plan, -1, &ld) ||
             mg_plan_workspace_bytes(plan) <= 0;
    CHECK(!wrong, "predict isa %d dtype %d rows %ld", isa, dtype, (long)rows);

    if (dtype == MG_FLOAT64) { /* central differences: h^2 and eps/h, both below 1e-9 */
        wrong = 0;
        for (int trial = 0; trial < 6; trial++) {
            const int64_t i = random_below(n);
            const double h = 1e-6, p = get(parameters, i);
            const double slope =
                (loss_at(plan, &batch, parameters, i, p + h) - loss_at(plan, &batch, parameters, i, p - h)) /
                (2 * h);
            wrong += !(fabs(2 * slope - get(gradients, i)) < 1e-7);
        }
        CHECK(!wrong, "gradient isa %d loss %d rows %ld", isa, loss, (long)rows);
    }

    mg_sgd sgd = {.lr = 0.01, .momentum = 0.5, .velocity = velocity, .first_step = 1};
    for (int64_t i = 0; i < rows; i++)
        index[i] = i;
    wrong = mg_plan_train(plan, &batch, index, (rows + 1) / 2, 1, &sgd, threads, &result) != MG_OK;
    wrong += mg_plan_loss(plan, &batch, 1, threads, &result) != MG_OK;
    const double before = result.loss;
    sgd = (mg_sgd){.lr = 0.02};
    for (int step = 0; step < 8; step++) {
        for (int64_t i = 0; i < rows; i++)
            index[i] = (i + step) % rows;
        wrong += mg_plan_train(plan, &batch, index, rows, 1, &sgd, threads, &result) != MG_OK;
    }
    wrong +=
        mg_plan_loss(plan, &batch, 1, threads, &result) != MG_OK || (before > 0 && result.loss >= before);
    CHECK(!wrong, "train isa %d dtype %d loss %d rows %ld: %g -> %g", isa, dtype, loss, (long)rows, before,
          result.loss);

    const int64_t at = random_below(rows), column = random_below(inputs);
    set(x, at * x_ld + column, NAN);
    wrong = mg_plan_loss(plan, &batch, 1, threads, &result) != MG_INPUT_NOT_FINITE || result.row != at ||
            result.column != column;
    result.row = -1;
    wrong +=
        mg_plan_predict(predicting, &batch, out, threads, &result) != MG_INPUT_NOT_FINITE || result.row != at;
    set(x, at * x_ld + column, 0);
    for (int k = 0; k < 3; k++) {
        const int64_t bad[] = {-1, outputs, INT64_MIN};
        labels[at] = bad[k];
        if (loss == MG_CROSS_ENTROPY)
            wrong +=
                mg_plan_loss(plan, &batch, 1, threads, &result) != MG_LABEL_OUT_OF_RANGE || result.row != at;
    }
    set(targets, at * outputs, INFINITY);
    if (loss != MG_CROSS_ENTROPY)
        wrong += mg_plan_loss(plan, &batch, 1, threads, &result) != MG_TARGET_NOT_FINITE || result.row != at;
    CHECK(!wrong, "bad batches isa %d dtype %d loss %d rows %ld", isa, dtype, loss, (long)rows);
    mg_plan_free(plan);
    mg_plan_free(predicting);
    release_all();
}

/* ---- what is refused ---- */

#define REFUSED(change)                                  \
    do {                                                 \
        recipe r = make_recipe(isa, 4, 5, 3, MG_MSE, 1); \
        change;                                          \
        mg_plan *plan = plan_of(&r);                     \
        CHECK(!plan, "plan with %s", #change);           \
        mg_plan_free(plan);                              \
    } while (0)

static void test_bad_plans(int isa)
{
    REFUSED(r.isa = -1);
    REFUSED(r.isa = MG_ISAS);
    REFUSED(r.n_ops = -1);
    REFUSED(r.n_buffers = 0);
    REFUSED(r.n_storages = -1);
    REFUSED(r.n_parameters = -1);
    REFUSED(r.n_parameters -= 1);
    for (int op = 0; op < N_OPS; op++) {
        REFUSED(r.ops[op].kind = -1);
        REFUSED(r.ops[op].kind = MG_KINDS);
        REFUSED(r.ops[op].function = -1);
        REFUSED(r.ops[op].function = 99);
        REFUSED(r.ops[op].in = -1);
        REFUSED(r.ops[op].in = N_BUFFERS);
        REFUSED(r.ops[op].input_gradient = 3);
        REFUSED(r.ops[op].input_gradient = -1);
        REFUSED(r.ops[op].gate = -1);
        REFUSED(r.ops[op].gate = MG_EXP; r.ops[op].gate_buffer = r.ops[op].in);
        REFUSED(r.ops[op].gate = MG_TANH; r.ops[op].gate_buffer = -1);
        REFUSED(r.ops[op].gate = MG_TANH; r.ops[op].gate_buffer = N_BUFFERS);
        if (op == N_OPS - 1)
            continue;
        REFUSED(r.ops[op].function = MG_EXP);
        REFUSED(r.ops[op].out = -1);
        REFUSED(r.ops[op].out = N_BUFFERS);
        REFUSED(r.ops[op].out = 0); /* the caller's input */
        REFUSED(r.ops[op].kind = MG_LOSS; r.ops[op].function = MG_MSE);
    }
    REFUSED(r.ops[0].input_gradient = MG_WRITE_GRADIENT); /* the input has no gradient */
    REFUSED(r.ops[1].gate_buffer = 6);                    /* other columns */
    REFUSED(r.ops[0].pre_activation = N_BUFFERS);
    REFUSED(r.ops[0].pre_activation = 6);
    REFUSED(r.ops[0].weight = -1);
    REFUSED(r.ops[0].weight = r.n_parameters);
    REFUSED(r.ops[0].weight = INT64_MAX);
    REFUSED(r.ops[0].bias = r.n_parameters - 2);
    REFUSED(r.ops[0].bias = INT64_MAX);
    REFUSED(r.ops[2].out = 6);
    REFUSED(r.ops[3].out = 1);
    for (int b = 1; b < N_BUFFERS; b++) {
        REFUSED(r.buffers[b].columns = -1);
        REFUSED(r.buffers[b].columns += 1);
        REFUSED(r.buffers[b].columns = INT64_MAX);
        REFUSED(r.buffers[b].storage = -1);
        REFUSED(r.buffers[b].storage = r.n_storages);
        REFUSED(r.buffers[b].gradient = r.n_storages);
        REFUSED(r.buffers[b].offset = -1);
        REFUSED(r.buffers[b].offset = 1);
        REFUSED(r.buffers[b].offset = INT64_MAX - 2); /* offset + columns overflows */
        REFUSED(r.storages[r.buffers[b].storage] -= 1);
        REFUSED(r.storages[r.buffers[b].storage] = -1);
        REFUSED(r.storages[r.buffers[b].storage] = (int64_t)INT32_MAX + 1);
    }
    /* The sum keeps a copy of x (0): pre_activation must not write into the caller's input. */
    REFUSED(r.buffers[0].columns = 5; r.n_parameters += 5; r.ops[0].pre_activation = 0);
}

static void test_bad_calls(int isa)
{
    const recipe r = make_recipe(isa, 4, 5, 3, MG_MSE, 1), without = make_recipe(isa, 4, 5, 3, MG_MSE, 0);
    mg_plan *plan = plan_of(&r), *predicting = plan_of(&without);
    void *parameters = reals(r.n_parameters), *gradients = reals(r.n_parameters), *x = reals(8),
         *y = reals(6);
    const int64_t labels[2] = {0, 1}, index[2] = {0, 1};
    mg_result result;
    mg_batch batch = {.x = x, .x_ld = 4, .rows = 2, .targets = y, .targets_ld = 3, .total_weight = 2};
    mg_sgd sgd = {.lr = 0.1};
    int64_t ld;
    CHECK(mg_plan_values(plan, 1, &ld) == NULL, "values before any run");
    CHECK(mg_plan_train(plan, &batch, index, 2, 0, &sgd, 1, &result) == MG_BAD_ARGUMENT,
          "train, nothing bound");
    mg_plan_bind(plan, parameters, NULL);
    mg_plan_bind(predicting, parameters, gradients);
    CHECK(mg_plan_backward(plan, 0, N_OPS, 0, 1) == MG_BAD_ARGUMENT, "backward first");
    CHECK(mg_plan_loss(plan, &batch, 1, 1, &result) == MG_OK, "loss");
    CHECK(mg_plan_backward(plan, 0, N_OPS, 0, 1) == MG_BAD_ARGUMENT, "backward without gradients");
    mg_plan_bind(plan, parameters, gradients);
    CHECK(mg_plan_backward(plan, -1, N_OPS, 0, 1) == MG_BAD_ARGUMENT, "first -1");
    CHECK(mg_plan_backward(plan, 0, N_OPS + 1, 0, 1) == MG_BAD_ARGUMENT, "last + 1");
    CHECK(mg_plan_backward(plan, 3, 2, 0, 1) == MG_BAD_ARGUMENT, "first > last");
    CHECK(mg_plan_forward(plan, &batch, -1, 2, 1, &result) == MG_BAD_ARGUMENT, "forward, first -1");
    CHECK(mg_plan_forward(plan, &batch, 0, N_OPS + 1, 1, &result) == MG_BAD_ARGUMENT, "forward, last + 1");
    CHECK(mg_plan_predict(plan, &batch, y, 1, &result) == MG_BAD_ARGUMENT, "predict with a loss");
    CHECK(mg_plan_loss(predicting, &batch, 1, 1, &result) == MG_BAD_ARGUMENT, "loss without one");
    CHECK(mg_plan_train(plan, &batch, index, 0, 0, &sgd, 1, &result) == MG_BAD_ARGUMENT, "train on nothing");
    batch.targets = NULL;
    CHECK(mg_plan_loss(plan, &batch, 1, 1, &result) == MG_BAD_ARGUMENT, "no targets");
    batch.labels = labels;
    CHECK(mg_plan_loss(plan, &batch, 1, 1, &result) == MG_BAD_ARGUMENT, "labels for mse");
    CHECK(mg_plan_forward(plan, &batch, 0, 5, 1, &result) == MG_OK, "still works");
    mg_plan_free(plan);
    mg_plan_free(predicting);
    mg_plan_free(NULL);
    release_all();
}

/* A plan that trains needs a gradient behind every op: refused when made, or when gone back over. */
static void test_missing_gradient(int isa)
{
    recipe r = make_recipe(isa, 4, 5, 3, MG_MSE, 1);
    r.ops[5].input_gradient = MG_NO_GRADIENT;
    r.buffers[6].gradient = -1;
    mg_plan *plan = plan_of(&r);
    void *parameters = reals(r.n_parameters), *gradients = reals(r.n_parameters), *x = reals(4),
         *y = reals(3);
    mg_batch batch = {.x = x, .x_ld = 4, .rows = 1, .targets = y, .targets_ld = 3, .total_weight = 1};
    mg_result result;
    int refused = !plan;
    if (plan) {
        mg_plan_bind(plan, parameters, gradients);
        refused = mg_plan_loss(plan, &batch, 1, 1, &result) != MG_OK ||
                  mg_plan_backward(plan, 0, N_OPS, 0, 1) != MG_OK;
    }
    CHECK(refused, "an output without a gradient");
    mg_plan_free(plan);
    release_all();
}

void test_plans(int isa, int dtype_, int place_, long *passed_, long *failed_)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},     {3, 2, 2, 5},    {7, 9, 3, 17},     {16, 16, 16, 16},
                                       {17, 33, 9, 168}, {5, 8, 31, 169}, {130, 97, 10, 340}};
    dtype = dtype_;
    place = place_;
    for (int loss = 0; loss < MG_LOSSES; loss++)
        for (int i = 0; i < (loss < 2 ? 7 : 6); i++) /* the last one is for teams of threads */
            for (int threads = 1; threads <= (i == 6 ? 3 : 1); threads++)
                check_network(isa, loss, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], threads);
    test_bad_plans(isa);
    test_bad_calls(isa);
    test_missing_gradient(isa);
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
