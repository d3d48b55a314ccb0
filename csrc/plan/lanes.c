/* Small equal networks side by side in the lanes of vectors.
 *
 * A group is as many networks of one shape as a vector has lanes.  Parameters, gradients and the optimizers'
 * state are copied into arrays of vectors, all batches are run on these, and they are copied back.  What does
 * not go as it should in some lane (a number that is not finite, a label that is no class) is forgotten, and
 * that network is trained alone from where it was: it ends, or fails, as it would have anyway. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "machine/memory.h"
#include "plan/lanes_group.h"

size_t mg_lanes_bytes(const mg_plan *plan, int64_t rows)
{
    int64_t reals = 5 * plan->n_parameters + rows;
    for (int i = 0; i < plan->n_buffers; i++)
        reals += rows * plan->buffers[i].columns + 1;
    return (size_t)(reals * plan->kernels->lanes + plan->kernels->lanes_scratch) * plan->real_size + 1024;
}

static char *take(char **memory, int64_t count, size_t size)
{
    char *here = *memory;
    *memory += ((size_t)count * size + 63) / 64 * 64;
    return here;
}

/* 0: there is not so much memory. */
static int lay_out(mg_lanes_group *g, int64_t rows)
{
    const mg_plan *plan = g->plan;
    g->values = calloc((size_t)plan->n_buffers, sizeof *g->values);
    g->memory = mg_memory_new(mg_lanes_bytes(plan, rows) + 64 * (size_t)plan->n_buffers);
    if (!g->values || !g->memory)
        return 0;
    char *memory = g->memory;
    g->parameters = take(&memory, plan->n_parameters, g->vector);
    g->gradients = take(&memory, plan->n_parameters, g->vector);
    for (int i = 0; i < 3; i++)
        g->state[i] = g->optimizers[0].state[i] ? take(&memory, plan->n_parameters, g->vector) : NULL;
    g->x = g->values[0] = take(&memory, rows * plan->buffers[0].columns, g->vector);
    for (int i = 1; i < plan->n_buffers; i++)
        g->values[i] = take(&memory, rows * plan->buffers[i].columns, g->vector);
    g->labels = take(&memory, rows, g->vector);
    g->scratch = take(&memory, g->kernels->lanes_scratch, plan->real_size);
    return 1;
}

/* The training that a lane takes part in. */
static mg_training *in_lane(const mg_lanes_group *g, int lane)
{
    return g->trainings[lane < g->used ? lane : 0];
}

/* Parameters (which < 0), or an array of the state, of each lane, side by side in `to`. */
static void join(const mg_lanes_group *g, int which, char *to)
{
    const void *arrays[MG_MOST_LANES];
    for (int lane = 0; lane < g->lanes; lane++) {
        const mg_optimizer *o = in_lane(g, lane)->optimizer;
        arrays[lane] = which < 0 ? o->parameters : o->state[which];
    }
    g->kernels->lanes_join(g->plan->n_parameters, arrays, to);
}

/* The labels of a batch in the lanes [first, last), of which all get those of the first; those that are no
 * class are 0, and the lanes odd from here on. */
static void gather_labels(mg_lanes_group *g, int first, int last, const int64_t *index)
{
    const int64_t *labels = in_lane(g, first)->data->labels;
    const uint64_t classes = (uint64_t)g->plan->buffers[g->plan->ops[g->plan->loss_op].in[0]].columns;
    int wrong = 0;
    for (int64_t i = 0; i < g->rows; i++) {
        int64_t label = labels[index[i]];
        if ((uint64_t)label >= classes)
            label = 0, wrong = 1;
        int32_t *narrow = (int32_t *)g->labels + i * g->lanes;
        int64_t *wide = (int64_t *)g->labels + i * g->lanes;
        if (g->plan->real_size == sizeof(float))
            for (int lane = first; lane < last; lane++)
                narrow[lane] = (int32_t)label;
        else
            for (int lane = first; lane < last; lane++)
                wide[lane] = label;
    }
    for (int lane = first; lane < last; lane++)
        g->odd[lane] |= wrong;
}

static const char *row_of(const mg_lanes_group *g, int lane, int64_t row)
{
    const mg_batch *data = in_lane(g, lane)->data;
    return (const char *)data->x + (size_t)(row * data->x_ld) * g->plan->real_size;
}

/* The rows of a batch, from `first` on in each one's order. */
static void gather(mg_lanes_group *g, int64_t first)
{
    const int64_t inputs = g->plan->buffers[0].columns;
    const size_t bytes = (size_t)inputs * g->plan->real_size;
    if (g->shared) {
        const int64_t *index = in_lane(g, 0)->index + first;
        for (int64_t i = 0; i < g->rows; i++)
            memcpy(g->x + (size_t)i * bytes, row_of(g, 0, index[i]), bytes);
        gather_labels(g, 0, g->lanes, index);
        return;
    }
    for (int64_t i = 0; i < g->rows; i++) {
        const void *rows[MG_MOST_LANES];
        for (int lane = 0; lane < g->lanes; lane++)
            rows[lane] = row_of(g, lane, in_lane(g, lane)->index[first + i]);
        g->kernels->lanes_join(inputs, rows, g->x + (size_t)(i * inputs) * g->vector);
    }
    for (int lane = 0; lane < g->lanes; lane++)
        gather_labels(g, lane, lane + 1, in_lane(g, lane)->index + first);
}

/* As in update.c: the penalties of [first, last), and what the squares of the gradients have become. */
static void penalize(mg_lanes_group *g, mg_range r, double *squares)
{
    const mg_constraints *c = g->trainings[0]->constraints;
    const double none[MG_MOST_LANES] = {0};
    double l2[MG_MOST_LANES], penalties[MG_MOST_LANES] = {0};
    for (int lane = 0; lane < g->lanes; lane++) {
        l2[lane] = in_lane(g, lane)->constraints->l2 / (double)g->rows;
        squares[lane] = 0;
    }
    int64_t next = 0;
    for (int64_t i = r.first; i < r.last;) {
        int64_t end = r.last;
        int penalized = 0;
        while (next < c->n_weights &&
               c->weights[next].offset + c->weights[next].rows * c->weights[next].columns <= i)
            next++;
        if (next < c->n_weights) {
            const mg_weight *w = &c->weights[next];
            penalized = i >= w->offset;
            const int64_t edge = penalized ? w->offset + w->rows * w->columns : w->offset;
            end = edge < end ? edge : end;
        }
        g->kernels->lanes_penalize(end - i, mg_lanes_at(g, g->parameters, i), mg_lanes_at(g, g->gradients, i),
                                   1, penalized ? l2 : none, squares, penalties);
        i = end;
    }
    for (int lane = 0; lane < g->lanes; lane++)
        g->penalties[lane] += penalties[lane];
}

/* The norms of the gradients, in each lane; those that need a second look make a lane odd. */
static void norms(mg_lanes_group *g, double *norm)
{
    const int lanes = g->lanes;
    double squares[MG_MOST_LANES] = {0}, part[MG_MOST_LANES];
    const int64_t n = g->plan->n_parameters;
    const int penalized = g->trainings[0]->constraints->l2 != 0;
    memset(g->penalties, 0, sizeof g->penalties);
    for (int i = 0; i < mg_update_chunks(n); i++) {
        const mg_range r = mg_update_elements(n, i, i + 1);
        if (penalized)
            penalize(g, r, part);
        else
            g->kernels->lanes_squares(r.last - r.first, mg_lanes_at(g, g->gradients, r.first), part);
        for (int lane = 0; lane < lanes; lane++)
            squares[lane] += part[lane];
    }
    for (int lane = 0; lane < lanes; lane++) {
        g->odd[lane] |= !(squares[lane] > DBL_MIN && squares[lane] <= DBL_MAX);
        norm[lane] = sqrt(squares[lane]);
    }
}

/* mg_update_run in each lane. */
static void update(mg_lanes_group *g)
{
    const int lanes = g->lanes;
    double norm[MG_MOST_LANES], largest[MG_MOST_LANES];
    mg_lanes_update u = {.parameters = g->parameters,
                         .gradients = g->gradients,
                         .state = {g->state[0], g->state[1], g->state[2]}};
    norms(g, norm);
    for (int lane = 0; lane < lanes; lane++) {
        const mg_constraints *c = in_lane(g, lane)->constraints;
        const double clip = c->clip_norm / (norm[lane] + 1e-6);
        u.optimizers[lane] = &g->optimizers[lane];
        u.rates[lane] = lane < g->used ? mg_rates_of(&g->optimizers[lane]) : u.rates[0];
        u.scale[lane] = clip < 1 ? clip : 1;
        u.bound[lane] = c->clip_value;
    }
    g->kernels->lanes_update(&u, g->plan->n_parameters, largest);
    for (int lane = 0; lane < lanes; lane++) {
        g->odd[lane] |= !isfinite(largest[lane]);
        g->optimizers[lane].largest = largest[lane];
        mg_optimizer_advance(&g->optimizers[lane]);
        g->results[lane].gradient_norm = norm[lane];
    }
}

/* What mg_plan_train_batches says of each step. */
static void note(mg_lanes_group *g, double scale)
{
    for (int lane = 0; lane < g->used; lane++) {
        mg_result *r = &g->results[lane];
        r->loss = g->losses[lane] * scale;
        r->penalty = g->penalties[lane];
        g->odd[lane] |= !isfinite(r->loss);
        g->totals[lane][0] += (double)g->rows * r->loss;
        g->totals[lane][1] += (double)g->rows * r->penalty;
        r->losses[r->steps % MG_REMEMBERED] = r->loss;
        r->gradient_norms[r->steps % MG_REMEMBERED] = r->gradient_norm;
        r->steps++;
    }
    g->steps++;
}

/* What lanes have been trained to goes back to where it came from, but for those that are left out. */
static void give_back(mg_lanes_group *g, const int *left_out)
{
    void *arrays[MG_MOST_LANES];
    char *const joined[] = {g->parameters, g->gradients, g->state[0], g->state[1], g->state[2]};
    for (int which = 0; which < 5; which++) {
        if (!joined[which])
            continue;
        for (int lane = 0; lane < g->used; lane++) {
            const mg_optimizer *o = g->trainings[lane]->optimizer;
            arrays[lane] = which == 0 ? o->parameters : which == 1 ? o->gradients : o->state[which - 2];
        }
        g->kernels->lanes_part(g->plan->n_parameters, joined[which], g->used, left_out, arrays);
    }
    for (int lane = 0; lane < g->used; lane++) {
        mg_training *t = g->trainings[lane];
        if (left_out[lane])
            continue;
        t->optimizer->steps = g->optimizers[lane].steps;
        t->optimizer->largest = g->optimizers[lane].largest;
        t->optimizer->momentum_product = g->optimizers[lane].momentum_product;
        t->plan->step += (uint64_t)g->steps;
        *t->result = g->results[lane];
        memcpy(t->totals, g->totals[lane], sizeof g->totals[lane]);
        if (t->epochs)
            *t->epochs = g->epochs[lane];
        t->status = MG_OK;
        t->together = g->used;
        g->ended[lane] = 1;
    }
}

/* Gives back all that are neither odd nor have been; or, with `stopped`, those of them that stop here.
 * Returns how many go on. */
static int give_back_those(mg_lanes_group *g, int stopped)
{
    int left_out[MG_MOST_LANES] = {0}, going_on = 0, ending = 0;
    for (int lane = 0; lane < g->used; lane++) {
        const int out = g->odd[lane] || g->ended[lane], goes_on = stopped && !g->epochs[lane].stopped;
        left_out[lane] = out || goes_on;
        going_on += !out && goes_on;
        ending += !left_out[lane];
    }
    if (ending)
        give_back(g, left_out);
    return going_on;
}

/* After a batch: whether there is one more to train on. */
static int goes_on(mg_lanes_group *g)
{
    if (!g->trainings[0]->epochs)
        return 1;
    for (int lane = 0; lane < g->used; lane++) {
        mg_epochs *e = &g->epochs[lane];
        e->done += g->rows;
        if (e->done == e->rows && !g->odd[lane] && !g->ended[lane])
            mg_epochs_end(e, g->totals[lane]);
        else if (e->done == e->rows)
            e->done = 0;
    }
    return g->epochs[0].done > 0 || give_back_those(g, 1) > 0;
}

static int64_t rows_of_batch(const mg_lanes_group *g, int64_t first)
{
    const mg_training *t = g->trainings[0];
    int64_t rows = t->count - first < t->batch_rows ? t->count - first : t->batch_rows;
    if (t->epochs && g->epochs[0].rows - g->epochs[0].done < rows)
        rows = g->epochs[0].rows - g->epochs[0].done;
    return rows;
}

static void train_group(mg_lanes_group *g)
{
    const mg_training *first = g->trainings[0];
    join(g, -1, g->parameters);
    for (int i = 0; i < 3; i++)
        if (g->state[i])
            join(g, i, g->state[i]);
    int more = 1;
    for (int64_t row = 0; row < first->count && more; row += g->rows) {
        g->rows = rows_of_batch(g, row);
        const double scale = 1 / (double)g->rows;
        gather(g, row);
        for (int i = 0; i < g->plan->n_ops; i++)
            mg_lanes_run_op(g, &g->plan->ops[i], scale);
        update(g);
        note(g, scale);
        more = goes_on(g);
    }
    give_back_those(g, 0);
}

void mg_lanes_train(mg_training *const *trainings, int count)
{
    mg_lanes_group g = {.trainings = {trainings[0]},
                        .used = count,
                        .plan = trainings[0]->plan,
                        .kernels = trainings[0]->plan->kernels,
                        .shared = 1};
    g.lanes = (int)g.kernels->lanes;
    g.vector = (size_t)g.lanes * g.plan->real_size;
    for (int lane = 0; lane < count; lane++) {
        g.trainings[lane] = trainings[lane];
        g.results[lane] = *trainings[lane]->result;
        g.results[lane].steps = 0;
        memcpy(g.totals[lane], trainings[lane]->totals, sizeof g.totals[lane]);
        if (trainings[lane]->epochs) {
            g.epochs[lane] = *trainings[lane]->epochs;
            g.epochs[lane].ended = g.epochs[lane].stopped = 0;
        }
        g.shared &= trainings[lane]->data->x == trainings[0]->data->x &&
                    trainings[lane]->data->x_ld == trainings[0]->data->x_ld &&
                    trainings[lane]->data->labels == trainings[0]->data->labels &&
                    !memcmp(trainings[lane]->index, trainings[0]->index,
                            (size_t)trainings[0]->count * sizeof *trainings[0]->index);
    }
    for (int lane = 0; lane < g.lanes; lane++)
        g.optimizers[lane] = *in_lane(&g, lane)->optimizer;
    const int room = lay_out(&g, trainings[0]->batch_rows);
    if (room)
        train_group(&g);
    mg_memory_free(g.memory);
    free(g.values);
    for (int lane = 0; lane < count; lane++)
        if (!room || (g.odd[lane] && !g.ended[lane]))
            mg_train_one(trainings[lane], 1);
}
