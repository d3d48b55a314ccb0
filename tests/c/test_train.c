/* The optimizers' kernels, what surrounds a step, and whole updates, between guard pages; every
 * instruction set and dtype. */
#include <math.h>

#include "guard.h"

static mg_optimizer optimizer_of(int isa, int kind, int64_t n, void *p, void *g)
{
    return (mg_optimizer){.kind = kind,
                          .isa = isa,
                          .dtype = dtype,
                          .lr = 0.01,
                          .weight_decay = 0.1,
                          .momentum = 0.5,
                          .alpha = 0.75,
                          .beta1 = 0.75,
                          .beta2 = 0.875,
                          .eps = 1e-3,
                          .dampening = kind == MG_SGD ? 0.25 : 0,
                          .lr_decay = 0.5,
                          .momentum_decay = 0.25,
                          .momentum_product = 1,
                          .maximize = kind == MG_ADAGRAD,
                          .n = n,
                          .parameters = p,
                          .gradients = g,
                          .largest = INFINITY};
}

static int nearly(double x, double y)
{
    const double eps = dtype == MG_FLOAT32 ? 1.2e-7 : 2.3e-16;
    return fabs(x - y) <= 100 * eps * (1 + fabs(y));
}

/* One element's parameter after step t, states in s. */
static double reference(const mg_optimizer *o, int t, double p, double g, double s[3])
{
    g = o->maximize ? -g : g;
    if (o->kind != MG_ADAMW)
        g += o->weight_decay * p;
    else
        p -= o->lr * o->weight_decay * p;
    if (o->kind == MG_SGD) {
        s[0] = t == 1 ? g : o->momentum * s[0] + (1 - o->dampening) * g;
        return p - o->lr * (o->state[0] ? s[0] : g);
    }
    if (o->kind == MG_RMSPROP) {
        s[0] = o->alpha * s[0] + (1 - o->alpha) * g * g;
        s[2] = o->alpha * s[2] + (1 - o->alpha) * g;
        const double step = g / (sqrt(s[0] - (o->state[2] ? s[2] * s[2] : 0)) + o->eps);
        s[1] = o->momentum * s[1] + step;
        return p - o->lr * (o->state[1] ? s[1] : step);
    }
    if (o->kind == MG_ADAGRAD) {
        s[0] += g * g;
        return p - o->lr / (1 + (t - 1) * o->lr_decay) * g / (sqrt(s[0]) + o->eps);
    }
    s[0] = o->beta1 * s[0] + (1 - o->beta1) * g;
    if (o->kind == MG_ADAMAX) {
        s[1] = fmax(o->beta2 * s[1], fabs(g) + o->eps);
        return p - o->lr / (1 - pow(o->beta1, t)) * s[0] / s[1];
    }
    s[1] = o->beta2 * s[1] + (1 - o->beta2) * g * g;
    if (o->kind == MG_NADAM) {
        double product = 1, mu = 0, next = 0;
        for (int i = 1; i <= t + 1; i++) {
            product *= next != 0 ? next : 1;
            mu = next;
            next = o->beta1 * (1 - 0.5 * pow(0.96, i * o->momentum_decay));
        }
        const double root = sqrt(s[1] / (1 - pow(o->beta2, t))) + o->eps;
        return p - o->lr * (1 - mu) / (1 - product) * g / root -
               o->lr * next / (1 - product * next) * s[0] / root;
    }
    if (o->kind == MG_RADAM) {
        const double limit = 2 / (1 - o->beta2) - 1, left = 1 - pow(o->beta2, t);
        const double length = limit - 2 * t * pow(o->beta2, t) / left, mean = s[0] / (1 - pow(o->beta1, t));
        if (length <= 5)
            return p - o->lr * mean;
        return p - o->lr * mean * sqrt(left) / (sqrt(s[1]) + o->eps) *
                       sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
    }
    s[2] = s[1] > s[2] ? s[1] : s[2];
    const double square = (o->state[2] ? s[2] : s[1]) / (1 - pow(o->beta2, t));
    return p - o->lr * s[0] / (1 - pow(o->beta1, t)) / (sqrt(square) + o->eps);
}

/* `optional`: the states that a setting brings. */
static void check_rule(int isa, int kind, int64_t n, int optional)
{
    void *p = reals(n), *g = reals(n);
    fill_real(p, n, 1);
    mg_optimizer o = optimizer_of(isa, kind, n, p, g);
    const int needed = kind == MG_SGD ? 0 : kind == MG_RMSPROP || kind == MG_ADAGRAD ? 1 : 2;
    optional = optional && kind <= MG_ADAMW;
    for (int i = 0; i < (optional ? (kind == MG_SGD ? 1 : 3) : needed); i++)
        o.state[i] = reals(n);
    double *want = malloc((size_t)(n + 1) * sizeof *want), *s = calloc((size_t)(3 * n + 1), sizeof *s);
    for (int64_t i = 0; i < n; i++)
        want[i] = get(p, i);
    int wrong = 0;
    for (int t = 1; t <= 9; t++) {
        fill_real(g, n, 2);
        for (int64_t i = 0; i < n; i++)
            want[i] = reference(&o, t, want[i], get(g, i), s + 3 * i);
        wrong += mg_optimizer_step(&o, 2) != MG_OK || o.steps != t;
    }
    for (int64_t i = 0; i < n; i++)
        wrong += !nearly(get(p, i), want[i]);
    CHECK(!wrong, "rule %d isa %d dtype %d n %ld states %d", kind, isa, dtype, (long)n, optional);
    free(want);
    free(s);
    release_all();
}

/* Two groups over three slices with gaps: each element as its group alone would have it. */
static void check_slices(int isa, int kind, int threads)
{
    const int64_t n = 9000;
    void *p = reals(n), *g = reals(n);
    mg_optimizer o = optimizer_of(isa, kind, n, p, g), groups[2] = {o, o};
    groups[1].lr = 0.1, groups[1].weight_decay = 0;
    const mg_slice slices[3] = {{5, 4099, &groups[0]}, {4099, 4100, &groups[1]}, {5000, 8999, &groups[0]}};
    o.slices = slices, o.n_slices = 3;
    for (int i = 0; i < 2; i++)
        o.state[i] = reals(n);
    double *want = malloc((size_t)n * sizeof *want), *s = calloc((size_t)(3 * n), sizeof *s);
    fill_real(p, n, 1);
    for (int64_t i = 0; i < n; i++)
        want[i] = get(p, i);
    for (int i = 0; i < 2; i++) /* that there are some, for the reference */
        memcpy(groups[i].state, o.state, sizeof o.state);
    const mg_constraints c = {.clip_norm = INFINITY, .clip_value = INFINITY, .max_norm = INFINITY};
    mg_sums none = {0, 0};
    mg_result result;
    int wrong = 0;
    for (int t = 1; t <= 3; t++) {
        fill_real(g, n, 2);
        double squares = 0;
        for (int64_t i = 0; i < n; i++) {
            const int in = (i >= 5 && i < 4100) || (i >= 5000 && i < 8999);
            if (in)
                want[i] = reference(&groups[i == 4099], t, want[i], get(g, i), s + 3 * i);
            squares += in ? get(g, i) * get(g, i) : 0;
        }
        if (t < 3) {
            wrong += mg_update_step(&o, &c, &none, threads, &result) != MG_OK;
            wrong += fabs(result.gradient_norm - sqrt(squares)) > 1e-9 * sqrt(squares);
        } else {
            wrong += mg_optimizer_step(&o, threads) != MG_OK;
        }
    }
    for (int64_t i = 0; i < n; i++)
        wrong += !nearly(get(p, i), want[i]);
    const mg_slice crossed[2] = {slices[2], slices[0]};
    o.slices = crossed, o.n_slices = 2;
    wrong += mg_optimizer_step(&o, threads) != MG_BAD_ARGUMENT;
    CHECK(!wrong, "slices kind %d isa %d dtype %d threads %d: %d", kind, isa, dtype, threads, wrong);
    free(want);
    free(s);
    release_all();
}

static void check_sums(int isa, int64_t n)
{
    void *x = reals(n), *y = reals(n);
    fill_whole(x, n);
    double squares = 0, sum = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double a = fabs(get(x, i));
        squares += a * a, sum += a, most = a > most ? a : most;
        set(y, i, get(x, i));
    }
    int wrong = mg_norm(isa, dtype, n, x, 2) != sqrt(squares) || mg_norm(isa, dtype, n, x, INFINITY) != most;
    wrong += fabs(mg_norm(isa, dtype, n, x, 1) - sum) > 1e-12 * sum;
    wrong += mg_norm(isa, dtype, n, x, 0) != -1 || mg_norm(isa, dtype, n, x, NAN) != -1;
    wrong += mg_clip(isa, dtype, n, y, 0.5, 1) != MG_OK;
    for (int64_t i = 0; i < n; i++)
        wrong += get(y, i) != fmax(-1, fmin(1, get(x, i) / 2));
    if (n) {
        set(x, n - 1, NAN);
        wrong += !isnan(mg_norm(isa, dtype, n, x, 2)) || !isnan(mg_norm(isa, dtype, n, x, INFINITY));
        set(x, n - 1, -INFINITY);
        wrong += mg_norm(isa, dtype, n, x, 2) != INFINITY || mg_norm(isa, dtype, n, x, 3) != INFINITY;
    }
    CHECK(!wrong, "sums isa %d dtype %d n %ld", isa, dtype, (long)n);
    release_all();
}

/* Bias, matrix, bias, matrix, bias: the penalties have to find the matrices from any chunk. */
static void check_update(int isa, int64_t rows, int64_t columns, int threads)
{
    const int64_t size = rows * columns, n = 2 * size + 11;
    void *p = reals(n), *g = reals(n);
    fill_real(p, n, 1);
    fill_real(g, n, 2);
    const mg_weight matrices[2] = {{3, rows, columns}, {size + 7, rows, columns}};
    const mg_constraints c = {.l1 = 0.25,
                              .l2 = 0.5,
                              .clip_norm = 2,
                              .clip_value = 0.25,
                              .max_norm = 1.5,
                              .n_weights = 2,
                              .weights = matrices};
    mg_optimizer o = optimizer_of(isa, MG_SGD, n, p, g);
    o.weight_decay = 0, o.lr = 0.5;
    double *want = malloc((size_t)n * sizeof *want), squares = 0, penalty = 0;
    for (int64_t i = 0; i < n; i++) {
        const int in = (i >= 3 && i < size + 3) || (i >= size + 7 && i < 2 * size + 7);
        const double w = get(p, i);
        want[i] = get(g, i) / 4 + (in ? 0.5 * w + 0.25 * ((w > 0) - (w < 0)) : 0);
        squares += want[i] * want[i];
        penalty += in ? 0.25 * w * w + 0.25 * fabs(w) : 0;
    }
    const double norm = sqrt(squares), scale = fmin(1, 2 / (norm + 1e-6));
    for (int64_t i = 0; i < n; i++)
        want[i] = get(p, i) - 0.5 * fmax(-0.25, fmin(0.25, want[i] * scale));
    for (int m = 0; m < 2; m++)
        for (int64_t row = 0; row < rows; row++) {
            double *w = want + matrices[m].offset + row * columns, length = 0;
            for (int64_t j = 0; j < columns; j++)
                length += w[j] * w[j];
            for (int64_t j = 0; j < columns && length > 2.25; j++)
                w[j] *= 1.5 / sqrt(length);
        }
    mg_sums sums = {16, 1, 0.25}; /* gradients are sums over a weight of 16, in quarters */
    mg_result result = {.loss = 1};
    int wrong = mg_update_step(&o, &c, &sums, threads, &result) != MG_OK || o.steps != 1 || sums.weight != 0;
    wrong += !nearly(result.gradient_norm / norm, 1) || !nearly(result.penalty / penalty, 1);
    for (int64_t i = 0; i < n; i++)
        wrong += !nearly(get(p, i), want[i]);
    CHECK(!wrong, "update isa %d dtype %d %ld x %ld threads %d", isa, dtype, (long)rows, (long)columns,
          threads);
    set(g, n - 1, NAN);
    for (int64_t i = 0; i < n; i++)
        want[i] = get(p, i);
    wrong = mg_update_step(&o, &c, &sums, threads, &result) != MG_STEP_NOT_FINITE || o.steps != 1;
    for (int64_t i = 0; i < n; i++)
        wrong += get(p, i) != want[i];
    CHECK(!wrong, "no update isa %d dtype %d %ld x %ld", isa, dtype, (long)rows, (long)columns);
    free(want);
    release_all();
}

void test_train(int isa, int dtype_, int place_, long *passed_, long *failed_)
{
    static const int64_t sizes[] = {0, 1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 1000};
    dtype = dtype_;
    place = place_;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int kind = 0; kind < MG_OPTIMIZERS; kind++)
            for (int optional = 0; optional < 2; optional++)
                check_rule(isa, kind, sizes[i], optional);
        check_sums(isa, sizes[i]);
    }
    for (int kind = 0; kind < MG_OPTIMIZERS; kind++)
        check_slices(isa, kind, 1);
    check_slices(isa, MG_SGD, 2);
    check_update(isa, 1, 1, 1);
    check_update(isa, 5, 3, 1);
    check_update(isa, 17, 33, 1);
    check_update(isa, 90, 101, 1);  /* more than one chunk */
    check_update(isa, 500, 410, 2); /* enough for a second thread */
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
