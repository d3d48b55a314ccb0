/* One training step as one parallel region: gather the rows, forward, backward, update. */
#include <math.h>

#include "plan/plan.h"

typedef struct {
    mg_plan *plan;
    const mg_batch *data;
    const int64_t *index;
    mg_batch batch;
    mg_run run;
    mg_sums *sums;
    double loss;
    mg_update update;
} training;

/* The rows `index` of the data set, into the staging buffers.  Labels are checked once more: whoever owns the
 * array may have written into it, and a label is an index. */
static int gather(mg_plan *plan, const training *t, mg_range rows, int64_t *bad_row)
{
    int status = MG_OK;
    const uint64_t classes = (uint64_t)plan->buffers[plan->ops[plan->loss_op].in[0]].columns;
    const mg_batch *data = t->data;
    const size_t size = plan->real_size;
    const int64_t inputs = plan->buffers[0].columns, targets = mg_plan_target_columns(plan);
    for (int64_t i = rows.first; i < rows.last; i++) {
        const int64_t from = t->index[i];
        if (!data->sparse)
            memcpy(plan->staged_x + (size_t)(i * inputs) * size,
                   (const char *)data->x + (size_t)(from * data->x_ld) * size, (size_t)inputs * size);
        if (data->labels) {
            const int64_t label = ((const int64_t *)data->labels)[from];
            plan->staged_labels[i] = label;
            if ((uint64_t)label >= classes && status == MG_OK) {
                status = MG_LABEL_OUT_OF_RANGE;
                *bad_row = from;
            }
        }
        if (data->targets)
            memcpy(plan->staged_targets + (size_t)(i * targets) * size,
                   (const char *)data->targets + (size_t)(from * data->targets_ld) * size,
                   (size_t)targets * size);
        if (data->weights)
            mg_stage_weight(plan, i, mg_real_at(size, data->weights, from) * t->sums->unit);
    }
    return status;
}

/* The first thing that a member found wrong, MG_OK for none. */
static int found_by(const mg_plan *plan, int threads, mg_result *result)
{
    for (int i = 0; i < threads; i++)
        if (plan->found[i] != MG_OK) {
            if (result)
                result->row = plan->found_row[i];
            return plan->found[i];
        }
    return MG_OK;
}

static void train_body(void *arguments, mg_team team)
{
    training *t = arguments;
    mg_plan *plan = t->plan;
    plan->found[team.index] = gather(plan, t, mg_share(t->run.rows, team), &plan->found_row[team.index]);
    mg_barrier(team);
    if (found_by(plan, team.size, NULL) != MG_OK)
        return;
    mg_run_ops(plan, &t->run, 0, plan->loss_op + 1, 0, team);
    if (team.index == 0)
        t->loss = mg_mean_loss(plan, &t->run);
    mg_barrier(team); /* the loss is known to all */
    if (!isfinite(t->loss))
        return;
    mg_run_ops(plan, &t->run, plan->loss_op + 1, plan->n_ops, t->sums->weight > 0, team);
    if (t->update.optimizer)
        mg_update_run(&t->update, team);
}

static double weight_of(const mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count)
{
    double weight = 0;
    if (!data->weights)
        return (double)count;
    for (int64_t i = 0; i < count; i++)
        weight += mg_real_at(plan->real_size, data->weights, index[i]);
    return weight;
}

/* The unit of the weights, now that rows of this weight are to be added. */
static void choose_unit(const mg_plan *plan, mg_sums *sums, double weight)
{
    const double unit = mg_weight_unit(sums->weight + weight), ratio = unit / sums->unit;
    if (sums->weight > 0 && ratio != 1) { /* what has been summed up so far is in another one */
        plan->kernels->clip(plan->n_parameters, plan->gradients, ratio, INFINITY);
        sums->loss *= ratio;
    }
    sums->unit = unit;
}

/* Room for `count` rows, and sparse ones staged.  Of dense ones the plan keeps a staged_x from now on. */
static int make_ready(training *t, int64_t count, int *threads)
{
    mg_plan *plan = t->plan;
    const int staged = plan->stages_x;
    int status = MG_OK;
    if (t->data->sparse)
        status = mg_sparse_stage(plan, t->data, t->index, 0, count, t->update.result);
    else
        plan->stages_x = 1;
    *threads = t->data->sparse ? mg_team_limit(*threads) : mg_team_size(plan, count, *threads);
    if (status == MG_OK)
        status = mg_plan_prepare(plan, count, count, *threads);
    if (status != MG_OK)
        plan->stages_x = staged;
    if (status != MG_OK || !t->data->sparse)
        return status;
    mg_sparse_take(plan, count);
    *threads = mg_sparse_team(plan, *threads);
    return MG_OK;
}

/* Where other rows are to be added or have been, the gradients stay sums until the update scales them;
 * else they are those of the mean at once. */
static int train(training *t, int64_t count, int threads)
{
    mg_plan *plan = t->plan;
    const mg_batch *data = t->data;
    const int summing = !t->update.optimizer || t->sums->weight > 0;
    int status = make_ready(t, count, &threads);
    if (status != MG_OK)
        return status;
    const double added = weight_of(plan, data, t->index, count);
    if (added == 0 && t->sums->weight == 0) {
        t->update.result->loss = t->update.result->penalty = t->update.result->gradient_norm = 0;
        return MG_OK;
    }
    choose_unit(plan, t->sums, added);
    t->batch = (mg_batch){.x = plan->staged_x,
                          .x_ld = plan->buffers[0].columns,
                          .rows = count,
                          .labels = data->labels ? plan->staged_labels : NULL,
                          .targets = data->targets ? plan->staged_targets : NULL,
                          .targets_ld = mg_plan_target_columns(plan),
                          .weights = data->weights ? plan->staged_weights : NULL,
                          .total_weight = added * t->sums->unit};
    const double weight = t->sums->weight + added;
    t->run = mg_run_of(plan, &t->batch);
    t->run.scratch = plan->scratch;
    if (data->sparse)
        t->run.sparse = &plan->sparse[0].columns;
    if (summing) {
        t->run.scale = 1;
        t->update.factor = 1 / (weight * t->sums->unit);
    }
    if (t->sums->weight == 0)
        mg_plan_clear_scalars(plan);
    for (int i = 0; i < threads; i++)
        plan->found[i] = MG_OK;
    mg_team_run(train_body, t, threads);
    status = found_by(plan, threads, t->update.result);
    if (status != MG_OK)
        return status;
    plan->step++;
    if (summing) {
        *t->sums = (mg_sums){weight, t->sums->loss + t->loss, t->sums->unit};
        t->loss = t->sums->loss / (weight * t->sums->unit);
    }
    t->update.result->loss = t->loss;
    return isfinite(t->loss) ? t->update.status : MG_LOSS_NOT_FINITE;
}

int mg_plan_train(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                  const mg_constraints *constraints, mg_optimizer *optimizer, mg_sums *sums, int threads,
                  mg_result *result)
{
    if (!mg_targets_fit(plan, data) || count < 1 || (data->sparse && !mg_sparse_fits(plan, data)) ||
        !plan->parameters || !plan->gradients || !mg_plan_goes_back(plan))
        return MG_BAD_ARGUMENT;
    if (optimizer && (optimizer->n != plan->n_parameters || optimizer->parameters != plan->parameters ||
                      optimizer->gradients != plan->gradients || !mg_optimizer_kernels(optimizer)))
        return MG_BAD_ARGUMENT;
    training t = {.plan = plan,
                  .data = data,
                  .index = index,
                  .sums = sums,
                  .update = {.optimizer = optimizer,
                             .constraints = constraints,
                             .kernels = plan->kernels,
                             .factor = 1,
                             .result = result}};
    const int status = train(&t, count, threads);
    if (optimizer || status != MG_OK)
        *sums = (mg_sums){0};
    return status;
}

int mg_plan_train_batches(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                          int64_t batch_rows, const mg_constraints *constraints, mg_optimizer *optimizer,
                          int threads, double *totals, mg_result *result)
{
    result->steps = 0;
    return mg_plan_train_more(plan, data, index, count, batch_rows, constraints, optimizer, threads, totals,
                              result);
}

int mg_plan_train_more(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                       int64_t batch_rows, const mg_constraints *constraints, mg_optimizer *optimizer,
                       int threads, double *totals, mg_result *result)
{
    mg_sums sums = {0};
    if (batch_rows < 1 || !optimizer)
        return MG_BAD_ARGUMENT;
    for (int64_t first = 0; first < count; first += batch_rows) {
        const int64_t rows = count - first < batch_rows ? count - first : batch_rows;
        const double weight = weight_of(plan, data, index + first, rows);
        if (weight == 0)
            continue;
        mg_constraints divided = *constraints;
        divided.l1 /= weight, divided.l2 /= weight;
        const int status =
            mg_plan_train(plan, data, index + first, rows, &divided, optimizer, &sums, threads, result);
        if (status != MG_OK)
            return status;
        totals[0] += (double)rows * result->loss;
        totals[1] += (double)rows * result->penalty;
        result->losses[result->steps % MG_REMEMBERED] = result->loss;
        result->gradient_norms[result->steps % MG_REMEMBERED] = result->gradient_norm;
        result->steps++;
    }
    return MG_OK;
}
