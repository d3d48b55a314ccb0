/* Many networks at once: shared out over threads, and small equal ones side by side (lanes.c). */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "plan/lanes.h"

/* The most that a group may work on: measured with 2 MiB of L2, from 3 MiB on nothing is gained. */
#define MOST_BYTES (2 << 20)

/* What is worth waiting for the whole team: some 10 ms of work, the unit is that of a piece's cost.  Where other
 * programs want the processors too, a thread may be as late as that, and a call of 0.1 s that has begun without
 * it would leave it idle to the end. */
#define LONG_WORK 1e8

static int op_fits(const mg_plan *plan, const mg_op *op)
{
    const mg_kernels *kernels = plan->kernels;
    const int64_t in = plan->buffers[op->in[0]].columns;
    switch (op->kind) {
    case MG_LINEAR: return in <= kernels->lanes_depth;
    case MG_LINEAR_WEIGHT: return 1;
    case MG_LINEAR_INPUT: return in <= kernels->lanes_depth && !op->accumulate;
    case MG_ACTIVATE:
    case MG_ADD: return 1;
    case MG_ACTIVATE_BACKWARD:
        return !op->accumulate; /* gcc rounds that sum elsewhere in a part of a vector */
    case MG_LOSS: return op->function == MG_CROSS_ENTROPY && in <= kernels->lanes;
    default: return 0;
    }
}

static int epochs_fit(const mg_epochs *e)
{
    return !e || (e->rows >= 1 && e->done >= 0 && e->done < e->rows);
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
    if (c->l1 != 0 || c->max_norm < INFINITY || t->count < 1 || t->batch_rows < 1 || !epochs_fit(t->epochs) ||
        t->batch_rows > plan->kernels->lanes_depth || plan->kernels->lanes > MG_MOST_LANES ||
        mg_lanes_bytes(plan, t->batch_rows) > MOST_BYTES)
        return 0;
    for (int i = 0; i < plan->n_ops; i++)
        if (!op_fits(plan, &plan->ops[i]))
            return 0;
    return 1;
}

/* Member by member: there is padding between them. */
static int same_buffers(const mg_plan *a, const mg_plan *b)
{
    if (a->n_buffers != b->n_buffers)
        return 0;
    for (int i = 0; i < a->n_buffers; i++) {
        const mg_buffer *x = &a->buffers[i], *y = &b->buffers[i];
        if (x->storage != y->storage || x->width != y->width || x->offset != y->offset ||
            x->columns != y->columns)
            return 0;
    }
    return 1;
}

/* Whether two that fit can be in one group. */
static int alike(const mg_training *t, const mg_training *u)
{
    const mg_plan *a = t->plan, *b = u->plan;
    const mg_optimizer *o = t->optimizer, *p = u->optimizer;
    if (t->count != u->count || t->batch_rows != u->batch_rows || a->kernels != b->kernels ||
        a->n_ops != b->n_ops || a->n_parameters != b->n_parameters ||
        memcmp(a->ops, b->ops, (size_t)a->n_ops * sizeof *a->ops) || !same_buffers(a, b))
        return 0;
    if (o->kind != p->kind || !o->steps != !p->steps || o->nesterov != p->nesterov ||
        !o->dampening != !p->dampening)
        return 0;
    for (int i = 0; i < 3; i++)
        if (!o->state[i] != !p->state[i])
            return 0;
    const mg_epochs *e = t->epochs, *f = u->epochs;
    if (!e != !f || (e && (e->rows != f->rows || e->done != f->done)))
        return 0;
    const mg_constraints *c = t->constraints, *d = u->constraints;
    return !c->l2 == !d->l2 && c->n_weights == d->n_weights &&
           (!c->n_weights || !memcmp(c->weights, d->weights, (size_t)c->n_weights * sizeof *c->weights));
}

void mg_epochs_end(mg_epochs *e, double *totals)
{
    const double loss = (e->factor * totals[0] + totals[1] / e->divisor + e->added) / (double)e->rows;
    totals[0] = totals[1] = 0;
    e->losses[e->ended++] = loss;
    e->done = 0;
    e->waited = loss > e->best - e->tol ? e->waited + 1 : 0;
    if (loss < e->best)
        e->best = loss;
    e->stopped = (double)e->waited > e->patience;
}

static int batches(mg_training *t, int64_t first, int64_t count, int threads)
{
    return mg_plan_train_more(t->plan, t->data, t->index + first, count, t->batch_rows, t->constraints,
                              t->optimizer, threads, t->totals, t->result);
}

int mg_train_one(mg_training *t, int threads)
{
    mg_epochs *e = t->epochs;
    t->together = 1;
    t->result->steps = 0;
    if (!epochs_fit(e))
        return t->status = MG_BAD_ARGUMENT;
    if (!e)
        return t->status = batches(t, 0, t->count, threads);
    t->status = MG_OK;
    e->ended = 0, e->stopped = 0;
    for (int64_t first = 0; first < t->count && !e->stopped && t->status == MG_OK;) {
        const int64_t left = e->rows - e->done, count = t->count - first < left ? t->count - first : left;
        t->status = batches(t, first, count, threads);
        first += count, e->done += count;
        if (t->status == MG_OK && e->done == e->rows)
            mg_epochs_end(e, t->totals);
    }
    return t->status;
}

/* Trainings from `first` on, so many of `order`, and about how long they take. */
typedef struct {
    int64_t first, count;
    double cost;
} piece;

typedef struct {
    mg_training **order;
    piece *pieces;
    int64_t n_pieces;
    _Atomic int64_t next;
} work;

static void work_body(void *arguments, mg_team team)
{
    work *w = arguments;
    (void)team;
    for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n_pieces;) {
        const piece *p = &w->pieces[i];
        if (p->count > 1)
            mg_lanes_train(w->order + p->first, (int)p->count);
        else
            mg_train_one(w->order[p->first], 1);
    }
}

static void add_piece(work *w, int64_t first, int64_t count)
{
    const mg_training *t = w->order[first];
    const double rows = (double)t->count, numbers = (double)t->plan->n_parameters;
    const double each =
        rows * (double)t->plan->multiplications_per_row + numbers * rows / (double)t->batch_rows;
    w->pieces[w->n_pieces++] = (piece){first, count, each * (double)count};
}

/* The longest first: a thread that is left with a long one at the end keeps the others waiting. */
static int longer_first(const void *a, const void *b)
{
    const piece *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? 1 : -1;
    return p->first < q->first ? -1 : 1;
}

/* Whether so many networks in a group are faster than one by one.  A group takes as long as a full one.
 * Measured with AVX-512, in us for each network, a full group / one by one: 4-8-3 in float32, 290 KB, 1.4 / 3.9;
 * 4-16-3 in float64, 470 KB, 3.8 / 6.0; 64-16-10, 1.9 MB, 12.5 / 15. */
static int worth_it(const mg_training *t, int64_t count)
{
    const int64_t lanes = t->plan->kernels->lanes;
    if (mg_lanes_bytes(t->plan, t->batch_rows) <= 384 << 10)
        return count * 4 >= lanes;
    return count * 4 > lanes * 3;
}

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
        if (lanes > 1 && worth_it(t, placed - start))
            add_piece(w, start, placed - start);
        else
            for (int64_t j = start; j < placed; j++)
                add_piece(w, j, 1);
    }
    qsort(w->pieces, (size_t)w->n_pieces, sizeof *w->pieces, longer_first);
}

void mg_train_many(int64_t n, mg_training *trainings, int threads)
{
    work w = {.order = calloc((size_t)n + 1, sizeof *w.order),
              .pieces = calloc((size_t)n + 1, sizeof *w.pieces)};
    char *taken = calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < n; i++)
        trainings[i].status = MG_OUT_OF_MEMORY, trainings[i].together = 0;
    if (w.order && w.pieces && taken) {
        sort(n, trainings, taken, &w);
        const int members = mg_team_limit(threads < w.n_pieces ? threads : w.n_pieces);
        double cost = 0;
        for (int64_t i = 0; i < w.n_pieces; i++)
            cost += w.pieces[i].cost;
        if (cost < LONG_WORK)
            mg_team_run(work_body, &w, members);
        else
            mg_team_run_whole(work_body, &w, members);
    }
    free(w.order);
    free(w.pieces);
    free(taken);
}
