/* What Python calls: forward, loss, backward and predict, each one parallel region. */
#include <math.h>

#include "plan/plan.h"

/* Multiply-adds of a forward pass below which one thread does it all: the products of such a step take 12
 * microseconds, its meetings 2, and what changes hands between two caches as long again.  What a busy
 * neighbour costs is not looked at here: see csrc/machine/team.c. */
#define PARALLEL_MULTIPLICATIONS 300000

/* The same for each op on the average: the team meets after every op, for 0.1 to 0.5 microseconds. */
#define PARALLEL_MULTIPLICATIONS_PER_OP 50000

static int64_t least_of(const mg_plan *plan)
{
    const int64_t per_op = (int64_t)plan->loss_op * PARALLEL_MULTIPLICATIONS_PER_OP;
    return per_op > PARALLEL_MULTIPLICATIONS ? per_op : PARALLEL_MULTIPLICATIONS;
}

int mg_team_size(const mg_plan *plan, int64_t rows, int threads)
{
    if (rows <= 0 || plan->multiplications_per_row < least_of(plan) / rows)
        return 1;
    return mg_team_limit(threads);
}

int mg_team_for(const mg_plan *plan, int64_t multiplications, int threads)
{
    return multiplications < least_of(plan) ? 1 : mg_team_limit(threads);
}

/* ---- checking a batch ---- */

mg_run mg_run_of(const mg_plan *plan, const mg_batch *batch)
{
    return (mg_run){.x = batch->x,
                    .x_ld = batch->x_ld,
                    .rows = batch->rows,
                    .scale = 1 / batch->total_weight,
                    .random = mg_mixed(mg_mixed(plan->seed) + plan->step),
                    .batch = batch};
}

void mg_locate(const mg_plan *plan, mg_matrix x, int64_t *row, int64_t *column)
{
    for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < x.columns; j++)
            if (!isfinite(mg_real_at(plan->real_size, x.data, i * x.ld + j))) {
                *row = i;
                *column = j;
                return;
            }
}

/* Whether some number lies outside 0 to 1: without a branch for each, so that the compiler takes vectors. */
#define HAS_OUTSIDE(name, real)                 \
    static int name(const real *x, int64_t n)   \
    {                                           \
        int outside = 0;                        \
        for (int64_t i = 0; i < n; i++)         \
            outside |= (x[i] < 0) | (x[i] > 1); \
        return outside;                         \
    }
HAS_OUTSIDE(has_outside_float, float)
HAS_OUTSIDE(has_outside_double, double)

static int check_range(const mg_plan *plan, mg_matrix t, int64_t *row, int64_t *column)
{
    const mg_matrix line = {t.data, 1, t.rows * t.columns, 0}, all = t.ld == t.columns ? line : t;
    for (int64_t i = 0; i < all.rows; i++) {
        const void *y = (const char *)all.data + (size_t)(i * all.ld) * plan->real_size;
        if (!(plan->real_size == sizeof(float) ? has_outside_float(y, all.columns)
                                               : has_outside_double(y, all.columns)))
            continue;
        /* It may be gone by now: whoever owns the array may have written into it. */
        for (int64_t j = 0; j < all.columns; j++) {
            const double value = mg_real_at(plan->real_size, y, j);
            if (value >= 0 && value <= 1)
                continue;
            *row = i + j / t.columns;
            *column = j % t.columns;
            return MG_TARGET_OUT_OF_RANGE;
        }
    }
    return MG_OK;
}

static int check_targets(const mg_plan *plan, const mg_op *op, mg_matrix t, int64_t *row, int64_t *column)
{
    if (!plan->kernels->all_finite(t, 1)) {
        mg_locate(plan, t, row, column);
        return MG_TARGET_NOT_FINITE;
    }
    if (op->function == MG_BCE)
        return check_range(plan, t, row, column);
    if (op->function != MG_CROSS_ENTROPY)
        return MG_OK;
    for (int64_t i = 0; i < t.rows; i++) {
        double sum = 0;
        int negative = 0;
        for (int64_t j = 0; j < t.columns; j++) {
            sum += mg_real_at(plan->real_size, t.data, i * t.ld + j);
            negative |= mg_real_at(plan->real_size, t.data, i * t.ld + j) < 0;
        }
        if (negative || fabs(sum - 1) > 1e-3) {
            *row = i;
            return MG_TARGET_NOT_PROBABILITY;
        }
    }
    return MG_OK;
}

/* Looks at this member's rows only. */
static int check_rows(const mg_plan *plan, const mg_run *run, const mg_batch *batch, mg_range rows,
                      int64_t *row, int64_t *column)
{
    const mg_matrix x = mg_matrix_rows(mg_run_values(plan, run, 0), plan->real_size, rows);
    const mg_matrix line = {x.data, 1, x.rows * x.columns, 0}; /* short rows are faster as one long one */
    int status = MG_OK;
    *row = *column = 0;
    if (!batch->sparse && !plan->kernels->all_finite(x.ld == x.columns ? line : x, 1)) {
        mg_locate(plan, x, row, column);
        status = MG_INPUT_NOT_FINITE;
    }
    const mg_op *op = &plan->ops[plan->loss_op]; /* looked at only where there are targets */
    if (!status && batch->labels) {
        const int64_t *labels = batch->labels;
        const uint64_t classes = (uint64_t)plan->buffers[op->in[0]].columns;
        for (int64_t i = rows.first; i < rows.last; i++)
            if ((uint64_t)labels[i] >= classes) {
                *row = i - rows.first;
                status = MG_LABEL_OUT_OF_RANGE;
                break;
            }
    }
    if (!status && batch->targets) {
        const mg_matrix all = {(void *)(uintptr_t)batch->targets, run->rows, mg_plan_target_columns(plan),
                               batch->targets_ld};
        status = check_targets(plan, op, mg_matrix_rows(all, plan->real_size, rows), row, column);
    }
    *row += rows.first;
    return status;
}

/* Every member checks its share; afterwards all know the first error there is. */
static int check_batch(mg_plan *plan, const mg_run *run, const mg_batch *batch, mg_team team,
                       mg_result *result)
{
    plan->found[team.index] = check_rows(plan, run, batch, mg_share(run->rows, team),
                                         &plan->found_row[team.index], &plan->found_column[team.index]);
    mg_barrier(team);
    for (int i = 0; i < team.size; i++)
        if (plan->found[i] != MG_OK) {
            if (team.index == 0) {
                result->row = plan->found_row[i];
                result->column = plan->found_column[i];
            }
            return plan->found[i];
        }
    return MG_OK;
}

typedef struct {
    mg_plan *plan;
    const mg_batch *batch;
    mg_run run;
    int status;
    mg_result *result;
} inspection;

static void check_body(void *arguments, mg_team team)
{
    inspection *c = arguments;
    const int status = check_batch(c->plan, &c->run, c->batch, team, c->result);
    if (team.index == 0)
        c->status = status;
}

static int checked(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result)
{
    inspection c = {.plan = plan, .batch = batch, .run = mg_run_of(plan, batch), .result = result};
    mg_team_run(check_body, &c, threads);
    return c.status;
}

/* Rows are as far apart as they are long, and there are no targets but those of a loss. */
static int batch_fits(const mg_plan *plan, const mg_batch *batch)
{
    return batch->rows >= 0 &&
           (batch->sparse ? mg_sparse_fits(plan, batch)
                          : batch->rows < 2 || batch->x_ld >= plan->buffers[0].columns) &&
           ((!batch->labels && !batch->targets) ||
            (mg_plan_has_loss(plan) &&
             (!batch->targets || batch->targets_ld >= mg_plan_target_columns(plan))));
}

int mg_plan_check(mg_plan *plan, const mg_batch *batch, mg_result *result)
{
    if (!batch_fits(plan, batch))
        return MG_BAD_ARGUMENT;
    const int status = batch->sparse ? mg_sparse_check(plan, batch, result) : MG_OK;
    return plan->n_ops && status == MG_OK ? checked(plan, batch, 1, result) : status;
}

/* ---- forward, loss, backward ---- */

typedef struct {
    const mg_plan *plan;
    mg_run run;
    int first, last, accumulate;
} pass;

double mg_mean_loss(const mg_plan *plan, const mg_run *run)
{
    double sum = 0;
    for (int64_t i = 0; i < run->rows; i++)
        sum += plan->row_loss[run->first_row + i];
    return sum * run->scale;
}

static void pass_body(void *arguments, mg_team team)
{
    const pass *p = arguments;
    mg_run_ops(p->plan, &p->run, p->first, p->last, p->accumulate, team);
}

double mg_weight_unit(double total_weight)
{
    if (!(total_weight > 0) || (total_weight > 0x1p-64 && total_weight < 0x1p64))
        return 1;
    const int exponent = ilogb(total_weight);
    return ldexp(1, exponent < -1000 ? 1000 : -exponent);
}

void mg_stage_weight(const mg_plan *plan, int64_t row, double weight)
{
    if (plan->real_size == sizeof(float))
        ((float *)plan->staged_weights)[row] = (float)weight;
    else
        ((double *)plan->staged_weights)[row] = weight;
}

/* The batch with its weights in their unit. */
static mg_batch in_units(const mg_plan *plan, const mg_batch *batch)
{
    mg_batch scaled = *batch;
    if (!scaled.weights)
        return scaled;
    const double unit = mg_weight_unit(scaled.total_weight);
    if (unit == 1)
        return scaled;
    for (int64_t i = 0; i < scaled.rows; i++)
        mg_stage_weight(plan, i, mg_real_at(plan->real_size, scaled.weights, i) * unit);
    scaled.weights = plan->staged_weights;
    scaled.total_weight *= unit;
    return scaled;
}

/* Ops [0, last).  Checks first: where it refuses, the pass that is cached is still there. */
static int forward_pass(mg_plan *plan, const mg_batch *batch, int last, int threads, mg_result *result)
{
    if (!batch_fits(plan, batch))
        return MG_BAD_ARGUMENT;
    const int most = threads;
    threads = batch->sparse ? 1 : mg_team_size(plan, batch->rows, threads);
    int status = checked(plan, batch, threads, result);
    if (status == MG_OK && batch->sparse) {
        status = mg_sparse_stage(plan, batch, NULL, 0, batch->rows, result);
        threads = mg_team_limit(most);
    }
    if (status == MG_OK)
        status = mg_plan_prepare(plan, batch->rows, batch->rows, threads);
    if (status != MG_OK)
        return status;
    const mg_batch scaled = mg_plan_goes_back(plan) ? in_units(plan, batch) : *batch;
    pass p = {.plan = plan, .run = mg_run_of(plan, &scaled), .last = last};
    p.run.scratch = plan->scratch;
    if (batch->sparse) {
        mg_sparse_take(plan, batch->rows);
        p.run.sparse = &plan->sparse[0].columns;
        threads = mg_sparse_team(plan, threads);
    }
    mg_team_run(pass_body, &p, threads);
    plan->last = p.run;
    plan->last.batch = NULL; /* the caller's, and not wanted any more */
    return MG_OK;
}

int mg_plan_forward(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result)
{
    return forward_pass(plan, batch, plan->loss_op, threads, result);
}

int mg_targets_fit(const mg_plan *plan, const mg_batch *batch)
{
    return mg_plan_has_loss(plan) &&
           (batch->targets ? batch->targets_ld >= mg_plan_target_columns(plan)
                           : batch->labels && plan->ops[plan->loss_op].function == MG_CROSS_ENTROPY);
}

int mg_plan_loss(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result)
{
    if (!mg_targets_fit(plan, batch))
        return MG_BAD_ARGUMENT;
    const int status = forward_pass(plan, batch, plan->loss_op + 1, threads, result);
    if (status != MG_OK)
        return status;
    result->loss = mg_mean_loss(plan, &plan->last);
    plan->step += (uint64_t)mg_plan_goes_back(plan);
    return MG_OK;
}

double mg_plan_loss_rows(mg_plan *plan, const void *x, int64_t rows, const void *labels, const void *targets,
                         int threads, mg_result *result)
{
    const mg_batch batch = {.x = x,
                            .x_ld = plan->buffers[0].columns,
                            .rows = rows,
                            .labels = labels,
                            .targets = targets,
                            .targets_ld = mg_plan_target_columns(plan),
                            .total_weight = (double)rows};
    if (!mg_aligned(x, plan->real_size) || !mg_aligned(targets, plan->real_size) ||
        !mg_aligned(labels, sizeof(int64_t))) {
        result->status = MG_NOT_ALIGNED;
        return NAN;
    }
    result->status = mg_plan_loss(plan, &batch, threads, result);
    return result->status == MG_OK ? result->loss : NAN;
}

int mg_plan_backward(mg_plan *plan, int accumulate, int threads)
{
    if (!mg_plan_goes_back(plan) || !plan->workspace || !plan->gradients || !plan->last.rows)
        return MG_BAD_ARGUMENT;
    if (!accumulate)
        mg_plan_clear_scalars(plan);
    pass p = {.plan = plan,
              .run = plan->last,
              .first = plan->loss_op + 1,
              .last = plan->n_ops,
              .accumulate = accumulate};
    threads = threads < plan->threads ? threads : plan->threads; /* more would need a new workspace */
    mg_team_run(pass_body, &p,
                p.run.sparse ? mg_sparse_team(plan, threads) : mg_team_size(plan, p.run.rows, threads));
    return MG_OK;
}
