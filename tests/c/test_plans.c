/* Plans: what they refuse, and a network whose input, targets, parameters, gradients and output end or
 * start at a guard page. */
#include <math.h>

#include "every_op.h"

/* ---- a network ---- */

static double loss_at(mg_plan *plan, const mg_batch *batch, void *parameters, int64_t i, double value)
{
    mg_result result;
    const double old = get(parameters, i);
    set(parameters, i, value);
    mg_plan_set_random(plan, 5, 6);
    const int status = mg_plan_loss(plan, batch, 1, &result);
    set(parameters, i, old);
    return status == MG_OK ? result.loss : NAN;
}

/* A frozen plan, and one that shares its weights, have the bits of one that is not; and keep them. */
static int frozen_predicts_the_same(const recipe *r, mg_plan *plain, const mg_batch *batch, void *parameters,
                                    void *out, int64_t outputs)
{
    mg_plan *frozen = plan_of(r), *sharing = plan_of(r);
    mg_result result;
    const int64_t n = r->n_parameters;
    void *copy = malloc((size_t)(n + batch->rows * outputs) * real_size());
    void *want = (char *)copy + (size_t)n * real_size();
    memcpy(copy, parameters, (size_t)n * real_size());
    int same = mg_plan_freeze(frozen, NULL) == MG_BAD_ARGUMENT; /* nothing is bound */
    mg_plan_bind(frozen, copy, NULL);
    mg_plan_bind(sharing, copy, NULL);
    same &= mg_plan_freeze(sharing, frozen) == MG_BAD_ARGUMENT; /* not frozen yet */
    same &= mg_plan_freeze(frozen, NULL) == MG_OK && mg_plan_freeze(frozen, NULL) == MG_OK;
    same &= mg_plan_freeze(sharing, frozen) == MG_OK && mg_plan_freeze(frozen, frozen) == MG_BAD_ARGUMENT;
    for (int64_t rows = 1; rows <= batch->rows; rows += rows < 9 ? 1 : 20) {
        mg_batch part = *batch;
        part.rows = rows;
        const size_t bytes = (size_t)(rows * outputs) * real_size();
        same &= mg_plan_predict(plain, &part, want, 1, &result) == MG_OK;
        mg_plan *both[] = {frozen, sharing};
        for (int i = 0; i < 2; i++) {
            memset(out, 0xff, bytes);
            same &= mg_plan_predict(both[i], &part, out, 1, &result) == MG_OK && !memcmp(out, want, bytes);
        }
    }
    for (int i = 0; i < r->n_ops; i++) /* weights are not read any more: only biases are */
        if (r->ops[i].kind == MG_LINEAR)
            set(copy, r->ops[i].weight, NAN);
    same &= mg_plan_predict(frozen, batch, out, 1, &result) == MG_OK && isfinite(get(out, 0));
    mg_plan_bind(sharing, parameters, NULL);
    same &= mg_plan_predict(sharing, batch, out, 1, &result) == MG_OK && isfinite(get(out, 0));
    mg_plan_free(sharing);
    mg_plan_free(frozen);
    free(copy);
    return same;
}

/* Two plans of one network, of which one can train and the other predicts, and a batch for both. */
typedef struct {
    mg_plan *plan, *predicting;
    mg_batch batch;
    recipe without; /* what `predicting` is made of: no dropout, no way back */
    int loss, threads;
    int64_t n, inputs, outputs;
    double rate, mean;
    void *parameters, *gradients, *out, *x, *targets;
    int64_t *labels, *index;
} network;

static void fill_batch(network *c)
{
    mg_batch *batch = &c->batch;
    void *weights = reals(batch->rows);
    batch->weights = weights;
    for (int64_t i = 0; i < batch->rows; i++) {
        c->index[i] = random_below(batch->rows);
        c->labels[i] = random_below(c->outputs);
        set(weights, i, 1 + (double)random_below(3));
        batch->total_weight += get(weights, i);
        for (int64_t j = 0; j < c->outputs; j++)
            set(c->targets, i * c->outputs + j, (double)random_below(100) / 100);
    }
    if (c->loss == MG_CROSS_ENTROPY)
        batch->labels = c->labels;
    else
        batch->targets = c->targets, batch->targets_ld = c->outputs;
}

static void check_loss_and_backward(network *c, int isa)
{
    mg_result result = {.loss = NAN};
    mg_plan_set_random(c->plan, 5, 6);
    int wrong = mg_plan_check(c->plan, &c->batch, &result) != MG_OK;
    wrong += mg_plan_loss(c->plan, &c->batch, c->threads, &result) != MG_OK || !isfinite(result.loss);
    wrong += mg_plan_backward(c->plan, 0, c->threads) != MG_OK;
    wrong += mg_plan_backward(c->plan, 1, c->threads) != MG_OK; /* adds: now twice the gradient */
    CHECK(!wrong, "loss and backward isa %d dtype %d loss %d", isa, dtype, c->loss);
    c->mean = result.loss;
}

static void check_prediction(network *c, int isa)
{
    mg_plan *plan = c->plan;
    const int64_t rows = c->batch.rows, outputs = c->outputs;
    mg_result result = {.loss = NAN};
    int wrong = mg_plan_step(plan) != 7; /* a pass forward and back */
    wrong += mg_plan_predict(c->predicting, &c->batch, c->out, c->threads, &result) != MG_OK;
    wrong +=
        mg_plan_evaluate(c->predicting, &c->batch, c->threads, &result) != MG_OK || !isfinite(result.loss);
    wrong += !frozen_predicts_the_same(&c->without, c->predicting, &c->batch, c->parameters, c->out, outputs);
    int64_t ld = 0;
    const void *z = mg_plan_values(plan, OUT, &ld);
    for (int64_t i = 0; c->rate == 0 && i < rows; i++) /* without dropout the two are one */
        for (int64_t j = 0; j < outputs; j++)
            wrong += get(c->out, i * outputs + j) != get(z, i * ld + j);
    wrong += c->rate == 0 && !(fabs(result.loss - c->mean) <= 1e-12 * (1 + fabs(c->mean)));
    wrong += result.right < 0 || result.right > 1;
    wrong += mg_plan_values(plan, X, &ld) || mg_plan_values(plan, 99, &ld) || mg_plan_values(plan, -1, &ld) ||
             mg_plan_workspace_bytes(plan) <= 0;
    CHECK(!wrong, "predict isa %d dtype %d rows %ld", isa, dtype, (long)rows);
}

/* Central differences: h^2, and eps/h times the loss. `gradients` holds twice the gradient. */
static void check_slopes(network *c, int isa)
{
    int wrong = 0;
    for (int trial = 0; trial < 6; trial++) {
        const int64_t i = random_below(c->n);
        const double h = 1e-6, p = get(c->parameters, i);
        const double slope = (loss_at(c->plan, &c->batch, c->parameters, i, p + h) -
                              loss_at(c->plan, &c->batch, c->parameters, i, p - h)) /
                             (2 * h);
        wrong += !(fabs(2 * slope - get(c->gradients, i)) < 1e-7 + 1e-8 * fabs(c->mean));
    }
    CHECK(!wrong, "gradient isa %d loss %d rows %ld", isa, c->loss, (long)c->batch.rows);
}

static void check_training(network *c, int isa)
{
    mg_plan *plan = c->plan;
    const int64_t rows = c->batch.rows;
    mg_result result = {.loss = NAN};
    mg_sums sums = {0, 0};
    const mg_constraints clipped = {.clip_norm = 1, .clip_value = INFINITY, .max_norm = INFINITY};
    mg_optimizer sgd = {
        .isa = isa, .dtype = dtype, .n = c->n, .parameters = c->parameters, .gradients = c->gradients};
    sgd.lr = 0.01, sgd.momentum = 0.5, sgd.state[0] = reals(c->n), sgd.largest = INFINITY;
    for (int64_t i = 0; i < rows; i++)
        c->index[i] = i;
    int wrong = mg_plan_train(plan, &c->batch, c->index, (rows + 1) / 2, &clipped, &sgd, &sums, c->threads,
                              &result) != MG_OK;
    wrong += mg_plan_loss(plan, &c->batch, c->threads, &result) != MG_OK;
    const double before = result.loss;
    sgd.lr = 0.02, sgd.momentum = 0, sgd.state[0] = NULL;
    for (int step = 0; step < 8; step++) {
        for (int64_t i = 0; i < rows; i++)
            c->index[i] = (i + step) % rows;
        wrong += mg_plan_train(plan, &c->batch, c->index, rows, &clipped, &sgd, &sums, c->threads, &result) !=
                 MG_OK;
    }
    wrong += mg_plan_loss(plan, &c->batch, c->threads, &result) != MG_OK ||
             (c->rate == 0 && before > 0 && result.loss >= before);
    CHECK(!wrong, "train isa %d dtype %d loss %d rows %ld: %g -> %g", isa, dtype, c->loss, (long)rows, before,
          result.loss);
}

static void check_bad_batches(network *c, int isa)
{
    mg_plan *plan = c->plan;
    const mg_batch *batch = &c->batch;
    mg_result result = {.loss = NAN};
    const int64_t at = random_below(batch->rows), column = random_below(c->inputs);
    set(c->x, at * batch->x_ld + column, NAN);
    int wrong = mg_plan_loss(plan, batch, c->threads, &result) != MG_INPUT_NOT_FINITE || result.row != at ||
                result.column != column;
    result.row = -1;
    wrong += mg_plan_predict(c->predicting, batch, c->out, c->threads, &result) != MG_INPUT_NOT_FINITE ||
             result.row != at;
    set(c->x, at * batch->x_ld + column, 0);
    for (int k = 0; k < 3; k++) {
        const int64_t bad[] = {-1, c->outputs, INT64_MIN};
        c->labels[at] = bad[k];
        if (c->loss == MG_CROSS_ENTROPY)
            wrong +=
                mg_plan_loss(plan, batch, c->threads, &result) != MG_LABEL_OUT_OF_RANGE || result.row != at;
    }
    set(c->targets, at * c->outputs, INFINITY);
    if (c->loss != MG_CROSS_ENTROPY)
        wrong += mg_plan_loss(plan, batch, c->threads, &result) != MG_TARGET_NOT_FINITE || result.row != at;
    set(c->targets, at * c->outputs, 1.5);
    const int range = mg_plan_loss(plan, batch, c->threads, &result);
    if (c->loss == MG_BCE)
        wrong += range != MG_TARGET_OUT_OF_RANGE || result.row != at || result.column != 0;
    CHECK(!wrong, "bad batches isa %d dtype %d loss %d rows %ld", isa, dtype, c->loss, (long)batch->rows);
}

static void check_network(int isa, int loss, int64_t inputs, int64_t hidden, int64_t outputs, int64_t rows,
                          int threads)
{
    const double rate = rows % 2 ? 0.25 : 0;
    const recipe r = make_recipe(isa, inputs, hidden, outputs, loss, rate, 1);
    network c = {.without = make_recipe(isa, inputs, hidden, outputs, loss, 0, 0),
                 .loss = loss,
                 .threads = threads,
                 .n = r.n_parameters,
                 .inputs = inputs,
                 .outputs = outputs,
                 .rate = rate};
    c.plan = plan_of(&r), c.predicting = plan_of(&c.without);
    CHECK(c.plan && c.predicting, "no plan for %ld-%ld-%ld", (long)inputs, (long)hidden, (long)outputs);
    if (!c.plan || !c.predicting)
        return;
    const int64_t x_size = (rows - 1) * (inputs + 1) + inputs;
    c.parameters = reals(c.n), c.gradients = reals(c.n), c.out = reals(rows * outputs);
    c.x = reals(x_size), c.targets = reals(rows * outputs);
    c.labels = guarded((size_t)rows * sizeof *c.labels);
    c.index = guarded((size_t)rows * sizeof *c.index);
    c.batch = (mg_batch){.x = c.x, .x_ld = inputs + 1, .rows = rows};
    fill_real(c.parameters, c.n, 0.5);
    fill_real(c.x, x_size, 1);
    fill_batch(&c);
    mg_plan_bind(c.plan, c.parameters, c.gradients);
    mg_plan_bind(c.predicting, c.parameters, NULL);
    check_loss_and_backward(&c, isa);
    check_prediction(&c, isa);
    if (dtype == MG_FLOAT64)
        check_slopes(&c, isa);
    check_training(&c, isa);
    check_bad_batches(&c, isa);
    mg_plan_free(c.plan);
    mg_plan_free(c.predicting);
    release_all();
}

/* ---- what is refused ---- */

#define REFUSED(change)                                       \
    do {                                                      \
        recipe r = make_recipe(isa, 4, 5, 3, MG_MSE, 0.5, 1); \
        change;                                               \
        mg_plan *plan = plan_of(&r);                          \
        CHECK(!plan, "plan with %s", #change);                \
        mg_plan_free(plan);                                   \
    } while (0)

static int has_output(int isa, int op)
{
    return make_recipe(isa, 4, 5, 3, MG_MSE, 0.5, 1).ops[op].out[0] >= 0;
}

static void test_bad_ops(int isa)
{
    for (int op = 0; op < N_OPS; op++) {
        REFUSED(r.ops[op].kind = -1);
        REFUSED(r.ops[op].kind = MG_KINDS);
        REFUSED(r.ops[op].in[0] = -1);
        REFUSED(r.ops[op].in[0] = N_BUFFERS);
        REFUSED(r.ops[op].in[3] = r.ops[op].kind == MG_MIX_BACKWARD ? -1 : A); /* too few, too many */
        REFUSED(r.ops[op].out[2] = r.ops[op].kind == MG_MIX_BACKWARD ? -1 : GM);
        REFUSED(r.ops[op].gate = -1);
        REFUSED(r.ops[op].gate = MG_EXP);
        const int outs = has_output(isa, op);
        if (outs) {
            REFUSED(r.ops[op].out[0] = N_BUFFERS);
            REFUSED(r.ops[op].out[0] = X); /* the caller's input */
        }
        if (outs && op != THE_LOSS)
            REFUSED(r.ops[op].out[0] = -1);
        if (op < N_FORWARD || op > THE_LOSS)
            REFUSED(r.ops[op] = r.ops[THE_LOSS]); /* a second loss */
    }
    const int with_functions[] = {0, 3, THE_LOSS, THE_LOSS + 10};
    for (int i = 0; i < 4; i++) {
        REFUSED(r.ops[with_functions[i]].function = -1);
        REFUSED(r.ops[with_functions[i]].function = MG_EXP);
    }
    REFUSED(r.ops[6].rate = 1);
    REFUSED(r.ops[6].rate = -0.5);
    REFUSED(r.ops[6].rate = NAN);
    REFUSED(r.ops[THE_LOSS] = r.ops[9]); /* going back before there is a loss */
    REFUSED(r.ops[THE_LOSS].gate = MG_TANH; r.ops[THE_LOSS].out[0] = -1);
    REFUSED(r.ops[THE_LOSS].gate = MG_TANH);   /* from what? */
    REFUSED(r.ops[THE_LOSS + 13].in[1] = OUT); /* other columns */
    REFUSED(r.ops[0].out[1] = OUT);
    REFUSED(r.ops[0].out[1] = X);
    REFUSED(r.ops[8].in[1] = OUT);
    REFUSED(r.ops[7].in[1] = OUT);
    REFUSED(r.ops[4].out[0] = L); /* what it reads from */
    REFUSED(r.ops[8].out[0] = B);
    REFUSED(r.ops[0].weight = -1);
    REFUSED(r.ops[0].weight = r.n_parameters);
    REFUSED(r.ops[0].weight = INT64_MAX);
    REFUSED(r.ops[0].bias = r.n_parameters - 2);
    REFUSED(r.ops[0].bias = INT64_MAX);
}

static void test_bad_plans(int isa)
{
    REFUSED(r.isa = -1);
    REFUSED(r.isa = MG_ISAS);
    REFUSED(r.n_ops = -1);
    REFUSED(r.n_buffers = 0);
    REFUSED(r.n_storages = -1);
    REFUSED(r.n_parameters = -1);
    REFUSED(r.n_parameters -= 1);
    for (int b = 1; b < N_BUFFERS; b++) {
        REFUSED(r.buffers[b].columns = -1);
        REFUSED(r.buffers[b].columns += 1);
        REFUSED(r.buffers[b].columns = INT64_MAX);
        REFUSED(r.buffers[b].storage = -1);
        REFUSED(r.buffers[b].storage = r.n_storages);
        REFUSED(r.buffers[b].offset = -1);
        REFUSED(r.buffers[b].offset += 2 * 6);
        REFUSED(r.buffers[b].offset = INT64_MAX - 2); /* offset + columns overflows */
        REFUSED(r.buffers[b].width = r.buffers[b].offset + r.buffers[b].columns - 1);
        REFUSED(r.buffers[b].width = -1);
        REFUSED(r.buffers[b].width = (int64_t)INT32_MAX + 1);
    }
}

static void test_bad_calls(int isa)
{
    const recipe r = make_recipe(isa, 4, 5, 3, MG_MSE, 0, 1),
                 without = make_recipe(isa, 4, 5, 3, MG_MSE, 0, 0);
    mg_plan *plan = plan_of(&r), *predicting = plan_of(&without);
    void *parameters = reals(r.n_parameters), *gradients = reals(r.n_parameters), *x = reals(8),
         *y = reals(6);
    const int64_t labels[2] = {0, 1}, index[2] = {0, 1};
    mg_result result;
    mg_batch batch = {.x = x, .x_ld = 4, .rows = 2, .targets = y, .targets_ld = 3, .total_weight = 2};
    mg_sums sums = {0, 0};
    const mg_constraints none = {.clip_norm = INFINITY, .clip_value = INFINITY, .max_norm = INFINITY};
    mg_optimizer sgd = {.isa = isa, .dtype = dtype, .n = r.n_parameters, .lr = 0.1};
    int64_t ld;
    CHECK(mg_plan_values(plan, 1, &ld) == NULL, "values before any run");
    CHECK(mg_plan_train(plan, &batch, index, 2, &none, &sgd, &sums, 1, &result) == MG_BAD_ARGUMENT,
          "train, nothing bound");
    mg_plan_bind(plan, parameters, NULL);
    mg_plan_bind(predicting, parameters, gradients);
    CHECK(mg_plan_backward(plan, 0, 1) == MG_BAD_ARGUMENT, "backward first");
    CHECK(mg_plan_loss(plan, &batch, 1, &result) == MG_OK, "loss");
    CHECK(mg_plan_backward(plan, 0, 1) == MG_BAD_ARGUMENT, "backward without gradients");
    mg_plan_bind(plan, parameters, gradients);
    CHECK(mg_plan_predict(plan, &batch, y, 1, &result) == MG_BAD_ARGUMENT, "predict, and back");
    CHECK(mg_plan_evaluate(plan, &batch, 1, &result) == MG_BAD_ARGUMENT, "evaluate, and back");
    CHECK(mg_plan_loss(predicting, &batch, 1, &result) == MG_OK, "a loss without a gradient");
    CHECK(mg_plan_backward(predicting, 0, 1) == MG_BAD_ARGUMENT, "nothing to go back over");
    sgd.parameters = parameters, sgd.gradients = gradients;
    CHECK(mg_plan_train(plan, &batch, index, 0, &none, &sgd, &sums, 1, &result) == MG_BAD_ARGUMENT,
          "train on nothing");
    batch.targets = NULL;
    CHECK(mg_plan_loss(plan, &batch, 1, &result) == MG_BAD_ARGUMENT, "no targets");
    batch.labels = labels;
    CHECK(mg_plan_loss(plan, &batch, 1, &result) == MG_BAD_ARGUMENT, "labels for mse");
    CHECK(mg_plan_forward(plan, &batch, 1, &result) == MG_OK, "still works");
    batch.labels = NULL, batch.targets = y, batch.targets_ld = 2;
    CHECK(mg_plan_check(plan, &batch, &result) == MG_BAD_ARGUMENT, "rows of targets that overlap");
    CHECK(mg_plan_forward(plan, &batch, 1, &result) == MG_BAD_ARGUMENT, "the same");
    batch.targets_ld = 3, batch.x_ld = 3;
    CHECK(mg_plan_check(plan, &batch, &result) == MG_BAD_ARGUMENT, "rows of the input that overlap");
    char *const odd = (char *)guarded(64) + 1;
    CHECK(mg_plan_predict_rows(predicting, odd, 1, y, 1, &result) == MG_NOT_ALIGNED, "odd input");
    CHECK(mg_plan_predict_rows(predicting, x, 1, odd, 1, &result) == MG_NOT_ALIGNED, "odd output");
    CHECK(isnan(mg_plan_loss_rows(plan, odd, 1, y, NULL, 1, &result)) && result.status == MG_NOT_ALIGNED,
          "x");
    CHECK(isnan(mg_plan_loss_rows(plan, x, 1, odd, NULL, 1, &result)) && result.status == MG_NOT_ALIGNED,
          "y");
    CHECK(isnan(mg_plan_loss_rows(plan, x, 1, NULL, odd, 1, &result)) && result.status == MG_NOT_ALIGNED,
          "t");
    mg_plan_free(plan);
    mg_plan_free(predicting);
    mg_plan_free(NULL);
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
    test_bad_ops(isa);
    test_bad_calls(isa);
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
