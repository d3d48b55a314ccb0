/* Many networks at once: shared out over threads, and small equal ones side by side (lanes.c). */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "plan/lanes.h"

/* The most that a group may work on: measured with 2 MiB of L2, from 3 MiB on nothing is gained. */
#define MOST_BYTES (2 << 20)

static int op_fits(const mg_plan *plan, const mg_op *op)
{
    const mg_kernels *kernels = plan->kernels;
    const int64_t in = plan->buffers[op->in[0]].columns;
    switch (op->kind) {
    case MG_LINEAR: return in <= kernels->lanes_depth;
    case MG_LINEAR_WEIGHT: return 1;
    case MG_LINEAR_INPUT: return in <= kernels->lanes_depth && !op->accumulate;
    case MG_ACTIVATE:
    case MG_ADD:
    case MG_ACTIVATE_BACKWARD: return 1;
    case MG_LOSS: return op->function == MG_CROSS_ENTROPY && in <= kernels->lanes;
    default: return 0;
    }
}

static int fits(const mg_training *t)
{
    const mg_plan *plan = t->plan;
    const mg_constraints *c = t->constraints;
    const mg_optimizer *o = t->optimizer;
    const mg_batch *data = t->data;
    if (!mg_targets_fit(plan, data) || data->sparse || data->targets || data->weights || !plan->parameters ||
        !plan->gradients || !mg_plan_goes_back(plan))
        return 0;
    if (!o || o->slices || o->n != plan->n_parameters || o->parameters != plan->parameters ||
        o->gradients != plan->gradients || !mg_optimizer_kernels(o))
        return 0;
    if (c->l1 != 0 || c->l2 != 0 || c->max_norm < INFINITY || t->count < 1 || t->batch_rows < 1 ||
        t->batch_rows > plan->kernels->lanes_depth || plan->kernels->lanes > MG_MOST_LANES ||
        mg_lanes_bytes(plan, t->batch_rows) > MOST_BYTES)
        return 0;
    for (int i = 0; i < plan->n_ops; i++)
        if (!op_fits(plan, &plan->ops[i]))
            return 0;
    return 1;
}

/* Whether two that fit can be in one group. */
static int alike(const mg_training *t, const mg_training *u)
{
    const mg_plan *a = t->plan, *b = u->plan;
    const mg_optimizer *o = t->optimizer, *p = u->optimizer;
    if (t->count != u->count || t->batch_rows != u->batch_rows || a->kernels != b->kernels ||
        a->n_ops != b->n_ops || a->n_buffers != b->n_buffers || a->n_parameters != b->n_parameters ||
        memcmp(a->ops, b->ops, (size_t)a->n_ops * sizeof *a->ops) ||
        memcmp(a->buffers, b->buffers, (size_t)a->n_buffers * sizeof *a->buffers))
        return 0;
    if (o->kind != p->kind || !o->steps != !p->steps || o->nesterov != p->nesterov ||
        !o->dampening != !p->dampening)
        return 0;
    for (int i = 0; i < 3; i++)
        if (!o->state[i] != !p->state[i])
            return 0;
    return 1;
}

void mg_train_alone(mg_training *t)
{
    t->status = mg_plan_train_batches(t->plan, t->data, t->index, t->count, t->batch_rows, t->constraints,
                                      t->optimizer, 1, t->totals, t->result);
    t->together = 1;
}

/* Trainings [first, last) of `order` are one piece of work. */
typedef struct {
    mg_training **order;
    int64_t *ends, pieces;
    _Atomic int64_t next;
} work;

static void work_body(void *arguments, mg_team team)
{
    work *w = arguments;
    (void)team;
    for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->pieces;) {
        const int64_t first = i ? w->ends[i - 1] : 0, count = w->ends[i] - first;
        if (count > 1)
            mg_lanes_train(w->order + first, (int)count);
        else
            mg_train_alone(w->order[first]);
    }
}

/* Fewer networks than this share of the lanes are faster one by one. */
#define LEAST_SHARE 4

/* Puts those that go together side by side in `order`. */
static void sort(int64_t n, mg_training *trainings, char *taken, work *w)
{
    int64_t placed = 0;
    for (int64_t i = 0; i < n; i++) {
        if (taken[i])
            continue;
        mg_training *t = &trainings[i];
        const int64_t start = placed;
        w->order[placed++] = t;
        const int64_t lanes = fits(t) ? t->plan->kernels->lanes : 1;
        for (int64_t j = i + 1; j < n && placed - start < lanes; j++)
            if (!taken[j] && fits(&trainings[j]) && alike(t, &trainings[j])) {
                w->order[placed++] = &trainings[j];
                taken[j] = 1;
            }
        if ((placed - start) * LEAST_SHARE >= lanes)
            w->ends[w->pieces++] = placed;
        else
            for (int64_t j = start; j < placed; j++)
                w->ends[w->pieces++] = j + 1;
    }
}

void mg_train_many(int64_t n, mg_training *trainings, int threads)
{
    work w = {.order = calloc((size_t)n + 1, sizeof *w.order), .ends = calloc((size_t)n + 1, sizeof *w.ends)};
    char *taken = calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < n; i++)
        trainings[i].status = MG_OUT_OF_MEMORY, trainings[i].together = 0;
    if (w.order && w.ends && taken) {
        sort(n, trainings, taken, &w);
        mg_team_run(work_body, &w, mg_team_limit(threads < w.pieces ? threads : w.pieces));
    }
    free(w.order);
    free(w.ends);
    free(taken);
}
