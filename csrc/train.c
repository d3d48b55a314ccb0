/* One training step as one parallel region: gather the rows, forward, backward, clip, update. */
#include <math.h>

#include "plan.h"

typedef struct {
    const mg_batch *data;
    const int64_t *index;
    double max_norm;
    const mg_sgd *sgd;
    mg_batch batch;
    mg_run run;
    mg_result *result;
} training;

/* The rows `index` of the data set, into the staging buffers. */
static void gather(mg_plan *plan, const training *t, mg_range rows)
{
    const mg_batch *data = t->data;
    const size_t size = plan->real_size;
    const int64_t inputs = plan->buffers[0].columns, outputs = plan->buffers[mg_plan_output(plan)].columns;
    for (int64_t i = rows.first; i < rows.last; i++) {
        const int64_t from = t->index[i];
        memcpy(plan->staged_x + (size_t)(i * inputs) * size,
               (const char *)data->x + (size_t)(from * data->x_ld) * size, (size_t)inputs * size);
        if (data->labels)
            plan->staged_labels[i] = ((const int64_t *)data->labels)[from];
        if (data->targets)
            memcpy(plan->staged_targets + (size_t)(i * outputs) * size,
                   (const char *)data->targets + (size_t)(from * data->targets_ld) * size,
                   (size_t)outputs * size);
        if (data->weights)
            memcpy(plan->staged_weights + (size_t)i * size, (const char *)data->weights + (size_t)from * size,
                   size);
    }
}

/* Elements of chunk i of the parameters: the same chunks for any number of threads. */
static mg_range chunk(const mg_plan *plan, int64_t i)
{
    const int64_t lines = (plan->n_parameters + 15) / 16;
    const int64_t first = lines * i / MG_NORM_CHUNKS * 16, last = lines * (i + 1) / MG_NORM_CHUNKS * 16;
    const int64_t n = plan->n_parameters;
    return (mg_range){first < n ? first : n, last < n ? last : n};
}

static double clip_scale(mg_plan *plan, double max_norm, mg_range chunks, mg_team team)
{
    if (max_norm <= 0)
        return 1;
    for (int64_t i = chunks.first; i < chunks.last; i++) {
        const mg_range r = chunk(plan, i);
        plan->partial[i] = plan->kernels->sum_of_squares(r.last - r.first,
                                                         plan->gradients + (size_t)r.first * plan->real_size);
    }
    mg_barrier(team);
    double sum = 0;
    for (int i = 0; i < MG_NORM_CHUNKS; i++)
        sum += plan->partial[i];
    const double norm = sqrt(sum);
    return norm > max_norm ? max_norm / (norm + 1e-6) : 1;
}

/* Nothing is updated where a step of lr times the gradient would not be finite. */
static void update(mg_plan *plan, const training *t, mg_team team)
{
    const mg_range chunks = mg_share(MG_NORM_CHUNKS, team);
    const mg_range r = {chunk(plan, chunks.first).first, chunk(plan, chunks.last).first};
    const size_t skip = (size_t)r.first * plan->real_size;
    const mg_matrix mine = {plan->gradients + skip, 1, r.last - r.first, 0};
    const double scale = clip_scale(plan, t->max_norm, chunks, team);
    plan->found[team.index] = plan->kernels->all_finite(mine, scale * t->sgd->lr);
    mg_barrier(team);
    for (int i = 0; i < team.size; i++)
        if (!plan->found[i]) {
            t->result->finite_step = 0;
            return;
        }
    void *velocity = t->sgd->velocity ? (char *)t->sgd->velocity + skip : NULL;
    plan->kernels->sgd(r.last - r.first, plan->parameters + skip, plan->gradients + skip, velocity, scale,
                       t->sgd);
}

static void train_body(mg_plan *plan, void *arguments, mg_team team)
{
    training *t = arguments;
    gather(plan, t, mg_share(t->run.rows, team));
    mg_barrier(team);
    mg_run_ops(plan, &t->run, 0, plan->loss_op + 1, 0, team);
    if (team.index == 0)
        t->result->loss = mg_mean_loss(plan, &t->run);
    mg_barrier(team); /* the loss is known to all */
    if (!isfinite(t->result->loss))
        return;
    mg_run_ops(plan, &t->run, plan->loss_op + 1, plan->n_ops, 0, team);
    update(plan, t, team);
}

int mg_plan_train(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count, double max_norm,
                  const mg_sgd *sgd, int threads, mg_result *result)
{
    if (!mg_targets_fit(plan, data) || count < 1 || !plan->parameters || !plan->gradients ||
        !mg_plan_goes_back(plan))
        return MG_BAD_ARGUMENT;
    threads = mg_team_size(plan, count, threads);
    const int status = mg_plan_reserve(plan, count, threads);
    if (status != MG_OK)
        return status;
    training t = {.data = data, .index = index, .max_norm = max_norm, .sgd = sgd, .result = result};
    t.batch = (mg_batch){.x = plan->staged_x,
                         .x_ld = plan->buffers[0].columns,
                         .rows = count,
                         .labels = data->labels ? plan->staged_labels : NULL,
                         .targets = data->targets ? plan->staged_targets : NULL,
                         .targets_ld = plan->buffers[mg_plan_output(plan)].columns,
                         .weights = data->weights ? plan->staged_weights : NULL,
                         .total_weight = (double)count};
    if (data->weights) {
        t.batch.total_weight = 0;
        for (int64_t i = 0; i < count; i++)
            t.batch.total_weight += mg_value_at(plan, data->weights, index[i]);
    }
    t.run = mg_run_of(plan, &t.batch);
    t.run.scratch = plan->scratch;
    result->finite_step = 1;
    mg_run_team(plan, train_body, &t, threads);
    plan->step++;
    if (!isfinite(result->loss))
        return MG_LOSS_NOT_FINITE;
    return result->finite_step ? MG_OK : MG_STEP_NOT_FINITE;
}
