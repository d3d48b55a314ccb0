/* Many networks at once: the bits of each one alone, between guard pages, whether they go side by side or
 * something keeps them from it. */
#include <math.h>

#include "two_layers.h"

enum { IN = 6, HIDDEN = 9, CLASSES = 2, ROWS = 11, COUNT = 9, BATCH = 4, MOST = 20 };

/* What is odd: of all networks, then of the second one only. */
enum {
    NOTHING,
    ONE_ORDER,
    CLIPPED,
    L2,
    EPOCHS,
    ENOUGH, /* epochs, of which the last is not made */
    L1,
    MAX_NORM,
    WEIGHTS,
    TARGETS,
    SPARSE,
    SLICES,
    WIDE, /* more classes than lanes */
    LONG, /* more rows than the products of lanes sum up */
    OF_ALL,
    STEPS = OF_ALL,
    FEWER_ROWS,
    NESTEROV,
    NO_STATE,
    OTHER_WIDTH,
    OTHER_L2,
    OTHER_EPOCHS,
    BAD_LABEL,
    HUGE_WEIGHT,
    NO_OPTIMIZER,
    OTHER_ARRAY,
    NO_ROWS,
    ODDITIES
};

typedef struct {
    mg_plan *plan;
    void *parameters;
    int64_t n;
    mg_optimizer optimizer, group;
    mg_slice slice;
    mg_weight weights[2];
    mg_constraints constraints;
    mg_epochs epochs;
    double losses[COUNT];
    mg_batch data;
    int64_t *index;
    mg_training training;
    mg_result result;
    double totals[2];
} network;

typedef struct {
    void *x, *targets, *weights, *values;
    int64_t *labels, *order;
    int32_t *starts, *columns;
    mg_sparse sparse;
} rows;

static rows make_rows(int odd)
{
    rows r = {.x = reals(ROWS * IN),
              .targets = reals(ROWS * CLASSES),
              .weights = reals(ROWS),
              .values = reals(ROWS),
              .labels = guarded(ROWS * sizeof *r.labels),
              .order = guarded(BATCH * 64 * sizeof *r.order),
              .starts = guarded((ROWS + 1) * sizeof *r.starts),
              .columns = guarded(ROWS * sizeof *r.columns)};
    fill_real(r.x, ROWS * IN, 1);
    fill_real(r.targets, ROWS * CLASSES, 1);
    fill_real(r.values, ROWS, 1);
    for (int i = 0; i < ROWS; i++) {
        r.labels[i] = odd == BAD_LABEL && i == ROWS - 1 ? CLASSES : random_below(CLASSES);
        set(r.weights, i, 1 + (double)random_below(3));
        r.starts[i + 1] = i + 1, r.columns[i] = (int32_t)random_below(IN);
    }
    r.sparse = (mg_sparse){
        .index_bytes = 4, .starts = r.starts, .columns = r.columns, .values = r.values, .entries = ROWS};
    return r;
}

/* Network `i`; the same for the same number. */
static void make(network *w, int isa, int kind, int odd, int i, const rows *r)
{
    const int second = i == 1 ? odd : NOTHING, wide = odd == WIDE ? 20 : CLASSES,
              hidden = HIDDEN + (second == OTHER_WIDTH);
    const int64_t count = odd == LONG            ? 600
                          : second == FEWER_ROWS ? COUNT - 2
                          : second == NO_ROWS    ? 0
                                                 : COUNT;
    *w = (network){0};
    state = (uint64_t)i * 977 + 5;
    w->plan =
        two_layers(isa, MG_RELU, odd == TARGETS ? MG_MSE : MG_CROSS_ENTROPY, IN, hidden, wide, 1, &w->n);
    w->parameters = reals(w->n);
    fill_real(w->parameters, w->n, second == HUGE_WEIGHT ? (dtype == MG_FLOAT32 ? 1e38 : 1e308) : 0.5);
    void *gradients = reals(w->n);
    mg_plan_bind(w->plan, w->parameters, gradients);
    w->optimizer = (mg_optimizer){.kind = kind,
                                  .isa = isa,
                                  .dtype = dtype,
                                  .lr = 0.05,
                                  .weight_decay = 0.01,
                                  .momentum = 0.5,
                                  .alpha = 0.75,
                                  .beta1 = 0.75,
                                  .beta2 = 0.875,
                                  .eps = 1e-3,
                                  .lr_decay = 0.5,
                                  .momentum_decay = 0.25,
                                  .momentum_product = 1,
                                  .n = w->n,
                                  .parameters = w->parameters,
                                  .gradients = gradients,
                                  .nesterov = second == NESTEROV,
                                  .steps = second == STEPS ? 2 : 0,
                                  .largest = INFINITY};
    for (int s = 0; s < 2; s++) {
        w->optimizer.state[s] = kind == MG_SGD && (s || second == NO_STATE) ? NULL : reals(w->n);
        if (w->optimizer.state[s])
            memset(w->optimizer.state[s], 0, (size_t)w->n * real_size());
    }
    if (odd == SLICES) {
        w->group = w->optimizer;
        w->slice = (mg_slice){2, w->n - 3, &w->group};
        w->optimizer.slices = &w->slice, w->optimizer.n_slices = 1;
    }
    w->weights[0] = (mg_weight){0, hidden, IN};
    w->weights[1] = (mg_weight){hidden * (IN + 1), wide, hidden};
    w->constraints = (mg_constraints){.l1 = odd == L1 ? 0.01 : 0,
                                      .l2 = odd == L2 || second == OTHER_L2 ? 0.01 : 0,
                                      .clip_norm = odd == CLIPPED ? 0.1 : INFINITY,
                                      .clip_value = odd == CLIPPED ? 0.02 : INFINITY,
                                      .max_norm = odd == MAX_NORM ? 0.5 : INFINITY};
    if (odd == L1 || odd == L2 || odd == MAX_NORM || odd == OTHER_L2)
        w->constraints.n_weights = 2, w->constraints.weights = w->weights;
    w->epochs = (mg_epochs){.rows = 3,
                            .factor = 1,
                            .divisor = 1,
                            .tol = odd == ENOUGH ? 1e9 : 0,
                            .patience = odd == ENOUGH ? 1.5 : INFINITY,
                            .best = 1,
                            .losses = w->losses};
    w->data = (mg_batch){.x = r->x, .x_ld = IN, .rows = ROWS, .labels = r->labels, .total_weight = ROWS};
    if (odd == TARGETS)
        w->data.labels = NULL, w->data.targets = r->targets, w->data.targets_ld = CLASSES;
    if (odd == WEIGHTS)
        w->data.weights = r->weights;
    if (odd == SPARSE)
        w->data.x = NULL, w->data.sparse = &r->sparse;
    w->index = guarded(600 * sizeof *w->index);
    for (int64_t j = 0; j < count; j++)
        w->index[j] = odd == ONE_ORDER ? (5 * j + 3) % ROWS : random_below(ROWS - 1);
    if (second == BAD_LABEL)
        w->index[COUNT - 1] = ROWS - 1;
    w->training = (mg_training){.plan = w->plan,
                                .data = &w->data,
                                .index = w->index,
                                .count = count,
                                .batch_rows = odd == LONG ? 600 : BATCH,
                                .constraints = &w->constraints,
                                .optimizer = second == NO_OPTIMIZER ? NULL : &w->optimizer,
                                .totals = w->totals,
                                .result = &w->result};
    if (odd == EPOCHS || odd == ENOUGH || second == OTHER_EPOCHS)
        w->training.epochs = &w->epochs;
    if (second == OTHER_ARRAY)
        w->optimizer.n -= 1;
}

static int same(const network *a, const network *b)
{
    int same = a->training.status == b->training.status && a->epochs.ended == b->epochs.ended &&
               a->epochs.stopped == b->epochs.stopped && a->epochs.waited == b->epochs.waited &&
               a->epochs.best == b->epochs.best && !memcmp(a->losses, b->losses, sizeof a->losses) &&
               !memcmp(a->totals, b->totals, sizeof a->totals) && a->optimizer.steps == b->optimizer.steps &&
               a->result.steps == b->result.steps && mg_plan_step(a->plan) == mg_plan_step(b->plan) &&
               !memcmp(a->parameters, b->parameters, (size_t)a->n * real_size());
    for (int s = 0; s < 2; s++)
        same = same && (!a->optimizer.state[s] ||
                        !memcmp(a->optimizer.state[s], b->optimizer.state[s], (size_t)a->n * real_size()));
    return same;
}

/* Of so many that are alike those that go side by side, in groups of `lanes` and, of the rest, if that is a
 * quarter of the lanes. */
static int side_by_side(int count, int lanes)
{
    const int rest = count % lanes;
    return count - rest + (rest > 1 && 4 * rest >= lanes ? rest : 0);
}

/* How many do, where something is odd. */
static int expected(int odd, int count, int lanes)
{
    if (odd <= ENOUGH)
        return side_by_side(count, lanes);
    if (odd == BAD_LABEL || odd == HUGE_WEIGHT) /* that shows while they are at it */
        return side_by_side(count, lanes) - 1;
    return odd < OF_ALL ? 0 : side_by_side(count - 1, lanes);
}

static void check_many(int isa, int kind, int odd, int count, int threads)
{
    static network alone[MOST], together[MOST];
    mg_training trainings[MOST];
    state = 1;
    const rows r = make_rows(odd);
    for (int i = 0; i < count; i++) {
        make(&alone[i], isa, kind, odd, i, &r);
        make(&together[i], isa, kind, odd, i, &r);
        trainings[i] = together[i].training;
    }
    mg_train_many(count, trainings, threads);
    int wrong = 0, grouped = 0, stopped = 0;
    for (int i = 0; i < count; i++) {
        mg_train_one(&alone[i].training, 1);
        together[i].training = trainings[i];
        wrong += !same(&alone[i], &together[i]);
        stopped += together[i].epochs.stopped && together[i].epochs.ended == 2;
        grouped += trainings[i].together > 1;
        mg_plan_free(alone[i].plan), mg_plan_free(together[i].plan);
    }
    CHECK(!wrong, "isa %d dtype %d kind %d odd %d: %d of %d", isa, dtype, kind, odd, wrong, count);
    CHECK(stopped == (odd == ENOUGH ? count : 0), "isa %d: %d of %d have stopped", isa, stopped, count);
    const int lanes = (int)mg_kernels_find(isa, dtype)->lanes, want = expected(odd, count, lanes);
    CHECK(grouped == want, "isa %d dtype %d odd %d: %d side by side, not %d", isa, dtype, odd, grouped, want);
    release_all();
}

/* Epochs that cannot be: all alike, so that nothing else keeps them from going side by side. */
static void check_bad_epochs(int isa, int64_t of_rows, int64_t done)
{
    static network all[MOST];
    mg_training trainings[MOST];
    const int count = (int)mg_kernels_find(isa, dtype)->lanes;
    const rows r = make_rows(EPOCHS);
    int refused = 0;
    for (int i = 0; i < count; i++) {
        make(&all[i], isa, MG_SGD, EPOCHS, i, &r);
        all[i].epochs.rows = of_rows, all[i].epochs.done = done;
        trainings[i] = all[i].training;
    }
    mg_train_many(count, trainings, 1);
    for (int i = 0; i < count; i++) {
        refused += trainings[i].status == MG_BAD_ARGUMENT && mg_plan_step(all[i].plan) == 0 &&
                   all[i].epochs.rows == of_rows && all[i].epochs.done == done;
        mg_plan_free(all[i].plan);
    }
    CHECK(refused == count, "isa %d: epochs of %d rows: %d of %d refused", isa, (int)of_rows, refused, count);
    release_all();
}

void test_many(int isa, int dtype_, int place_, long *passed_, long *failed_)
{
    dtype = dtype_;
    place = place_;
    const int lanes = (int)mg_kernels_find(isa, dtype)->lanes;
    for (int kind = 0; kind < MG_OPTIMIZERS; kind++)
        check_many(isa, kind, NOTHING, lanes, 1);
    for (int odd = ONE_ORDER; odd < ODDITIES; odd++)
        check_many(isa, MG_SGD, odd, lanes / 2 + 2, 1);
    check_many(isa, MG_ADAM, NOTHING, lanes + (lanes + 3) / 4, 2);
    check_bad_epochs(isa, 0, 0);
    check_bad_epochs(isa, 3, -1);
    check_bad_epochs(isa, 3, 3);
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
