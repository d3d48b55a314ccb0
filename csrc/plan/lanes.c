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
#include "plan/lanes.h"

typedef struct {
    mg_training *trainings[MG_MOST_LANES];
    int used; /* of the lanes; the others do what the first does */
    const mg_plan *plan;
    const mg_kernels *kernels;
    int lanes;
    size_t vector; /* its bytes */
    int shared;    /* all train on the same rows in the same order */
    char *memory, *parameters, *gradients, *state[3], *x;
    char **values; /* of each buffer */
    char *labels;  /* (rows, lanes), as wide as a real */
    char *scratch; /* of the products */
    int64_t rows;  /* of this batch */
    mg_optimizer optimizers[MG_MOST_LANES];
    mg_result results[MG_MOST_LANES];
    double totals[MG_MOST_LANES], losses[MG_MOST_LANES];
    int odd[MG_MOST_LANES]; /* to be trained alone */
} group;

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
static int lay_out(group *g, int64_t rows)
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
static mg_training *in_lane(const group *g, int lane)
{
    return g->trainings[lane < g->used ? lane : 0];
}

/* Parameters (which < 0), or an array of the state, of each lane, side by side in `to`. */
static void join(const group *g, int which, char *to)
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
static void gather_labels(group *g, int first, int last, const int64_t *index)
{
    const int64_t *labels = in_lane(g, first)->data->labels;
    const uint64_t classes = (uint64_t)g->plan->buffers[g->plan->ops[g->plan->loss_op].in[0]].columns;
    int wrong = 0;
    for (int64_t i = 0; i < g->rows; i++) {
        int64_t label = labels[index[i]];
        if ((uint64_t)label >= classes)
            label = 0, wrong = 1;
        for (int lane = first; lane < last; lane++)
            if (g->plan->real_size == sizeof(float))
                ((int32_t *)g->labels)[i * g->lanes + lane] = (int32_t)label;
            else
                ((int64_t *)g->labels)[i * g->lanes + lane] = label;
    }
    for (int lane = first; lane < last; lane++)
        g->odd[lane] |= wrong;
}

static const char *row_of(const group *g, int lane, int64_t row)
{
    const mg_batch *data = in_lane(g, lane)->data;
    return (const char *)data->x + (size_t)(row * data->x_ld) * g->plan->real_size;
}

/* The rows of a batch, from `first` on in each one's order. */
static void gather(group *g, int64_t first)
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

static mg_matrix matrix_of(const group *g, int buffer)
{
    const int64_t columns = g->plan->buffers[buffer].columns * g->lanes;
    return (mg_matrix){g->values[buffer], g->rows, columns, columns};
}

static char *at(const group *g, char *array, int64_t element)
{
    return array + (size_t)element * g->vector;
}

static void linear(const group *g, const mg_op *op)
{
    const mg_kernels *kernels = g->kernels;
    const int64_t in = g->plan->buffers[op->in[0]].columns, out = g->plan->buffers[op->out[0]].columns;
    const mg_matrix z = matrix_of(g, op->out[0]);
    const int simple = op->out[1] < 0 && op->in[1] < 0, relu = simple && op->function == MG_RELU;
    kernels->lanes_product(&(mg_lanes_product){
        .m = g->rows,
        .n = out,
        .k = in,
        .alpha = 1,
        .a = g->values[op->in[0]],
        .a_row = in,
        .a_col = 1,
        .shared = g->shared && op->in[0] == 0,
        .b = at(g, g->parameters, op->weight),
        .b_row = 1,
        .b_col = in,
        .bias = op->bias < 0 ? NULL : at(g, g->parameters, op->bias),
        .c = z.data,
        .c_row = out,
        .c_col = 1,
        .relu = relu,
        .scratch = g->scratch,
    });
    if (op->out[1] >= 0)
        kernels->map(MG_IDENTITY, 0, z, matrix_of(g, op->out[1]));
    if (op->function != MG_IDENTITY && !relu)
        kernels->map(op->function, op->slope, z, z);
    if (op->in[1] >= 0)
        kernels->gate(MG_IDENTITY, 0, z, matrix_of(g, op->in[1]), z, 1);
}

static void linear_weight(const group *g, const mg_op *op, double scale)
{
    const mg_matrix delta = matrix_of(g, op->in[0]);
    const int64_t out = g->plan->buffers[op->in[0]].columns, in = g->plan->buffers[op->in[1]].columns;
    g->kernels->lanes_product(&(mg_lanes_product){
        .m = in,
        .n = out,
        .k = g->rows,
        .alpha = scale,
        .a = g->values[op->in[1]],
        .a_row = 1,
        .a_col = in,
        .shared = g->shared && op->in[1] == 0,
        .b = delta.data,
        .b_row = out,
        .b_col = 1,
        .c = at(g, g->gradients, op->weight),
        .c_row = 1,
        .c_col = in,
        .scratch = g->scratch,
    });
    if (op->bias >= 0)
        g->kernels->column_sum(delta, scale, 0, at(g, g->gradients, op->bias));
}

static void linear_input(const group *g, const mg_op *op)
{
    const mg_matrix delta = matrix_of(g, op->in[0]), d = matrix_of(g, op->out[0]);
    const int64_t out = g->plan->buffers[op->in[0]].columns, in = g->plan->buffers[op->out[0]].columns;
    g->kernels->lanes_product(&(mg_lanes_product){
        .m = g->rows,
        .n = in,
        .k = out,
        .alpha = 1,
        .a = delta.data,
        .a_row = out,
        .a_col = 1,
        .b = at(g, g->parameters, op->weight),
        .b_row = in,
        .b_col = 1,
        .c = d.data,
        .c_row = in,
        .c_col = 1,
        .positive = op->gate == MG_RELU ? matrix_of(g, op->in[1]).data : NULL,
        .scratch = g->scratch,
    });
    if (op->gate != MG_IDENTITY && op->gate != MG_RELU)
        g->kernels->gate(op->gate, op->gate_slope, matrix_of(g, op->in[1]), d, d, 0);
}

static void loss(group *g, const mg_op *op)
{
    const mg_matrix d = matrix_of(g, op->out[0]);
    g->kernels->lanes_entropy(g->rows, (int)g->plan->buffers[op->in[0]].columns, g->values[op->in[0]],
                              g->labels, d.data, g->losses);
    if (op->gate != MG_IDENTITY)
        g->kernels->gate(op->gate, op->gate_slope, matrix_of(g, op->in[1]), d, d, 0);
}

static void run_op(group *g, const mg_op *op, double scale)
{
    const mg_kernels *kernels = g->kernels;
    switch (op->kind) {
    case MG_LINEAR: linear(g, op); break;
    case MG_LINEAR_WEIGHT: linear_weight(g, op, scale); break;
    case MG_LINEAR_INPUT: linear_input(g, op); break;
    case MG_LOSS: loss(g, op); break;
    case MG_ACTIVATE:
        kernels->map(op->function, op->slope, matrix_of(g, op->in[0]), matrix_of(g, op->out[0]));
        break;
    case MG_ADD:
        kernels->add(matrix_of(g, op->in[0]), matrix_of(g, op->in[1]), matrix_of(g, op->out[0]));
        break;
    default:
        kernels->gate(op->function, op->slope, matrix_of(g, op->in[1]), matrix_of(g, op->in[0]),
                      matrix_of(g, op->out[0]), op->accumulate);
        break;
    }
}

/* The norms of the gradients, in each lane; those that need a second look make a lane odd. */
static void norms(group *g, double *norm)
{
    double squares[MG_MOST_LANES] = {0}, part[MG_MOST_LANES];
    const int64_t n = g->plan->n_parameters;
    for (int i = 0; i < mg_update_chunks(n); i++) {
        const mg_range r = mg_update_elements(n, i, i + 1);
        g->kernels->lanes_squares(r.last - r.first, at(g, g->gradients, r.first), part);
        for (int lane = 0; lane < g->lanes; lane++)
            squares[lane] += part[lane];
    }
    for (int lane = 0; lane < g->lanes; lane++) {
        g->odd[lane] |= !(squares[lane] > DBL_MIN && squares[lane] <= DBL_MAX);
        norm[lane] = sqrt(squares[lane]);
    }
}

/* mg_update_run in each lane. */
static void update(group *g)
{
    double norm[MG_MOST_LANES], largest[MG_MOST_LANES];
    mg_lanes_update u = {.parameters = g->parameters,
                         .gradients = g->gradients,
                         .state = {g->state[0], g->state[1], g->state[2]}};
    norms(g, norm);
    for (int lane = 0; lane < g->lanes; lane++) {
        const mg_constraints *c = in_lane(g, lane)->constraints;
        const double clip = c->clip_norm / (norm[lane] + 1e-6);
        u.optimizers[lane] = &g->optimizers[lane];
        u.rates[lane] = lane < g->used ? mg_rates_of(&g->optimizers[lane]) : u.rates[0];
        u.scale[lane] = clip < 1 ? clip : 1;
        u.bound[lane] = c->clip_value;
    }
    g->kernels->lanes_update(&u, g->plan->n_parameters, largest);
    for (int lane = 0; lane < g->lanes; lane++) {
        g->odd[lane] |= !isfinite(largest[lane]);
        g->optimizers[lane].largest = largest[lane];
        mg_optimizer_advance(&g->optimizers[lane]);
        g->results[lane].gradient_norm = norm[lane];
    }
}

/* What mg_plan_train_batches says of each step. */
static void note(group *g, double scale)
{
    for (int lane = 0; lane < g->used; lane++) {
        mg_result *r = &g->results[lane];
        r->loss = g->losses[lane] * scale;
        r->penalty = 0;
        g->odd[lane] |= !isfinite(r->loss);
        g->totals[lane] += (double)g->rows * r->loss;
        r->losses[r->steps % MG_REMEMBERED] = r->loss;
        r->gradient_norms[r->steps % MG_REMEMBERED] = r->gradient_norm;
        r->steps++;
    }
}

static void train_group(group *g)
{
    const mg_training *first = g->trainings[0];
    join(g, -1, g->parameters);
    for (int i = 0; i < 3; i++)
        if (g->state[i])
            join(g, i, g->state[i]);
    for (int64_t row = 0; row < first->count; row += first->batch_rows) {
        g->rows = first->count - row < first->batch_rows ? first->count - row : first->batch_rows;
        const double scale = 1 / (double)g->rows;
        gather(g, row);
        for (int i = 0; i < g->plan->n_ops; i++)
            run_op(g, &g->plan->ops[i], scale);
        update(g);
        note(g, scale);
    }
}

/* What has been trained goes back to where it came from, but for odd lanes. */
static void give_back(group *g)
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
        g->kernels->lanes_part(g->plan->n_parameters, joined[which], g->used, g->odd, arrays);
    }
    for (int lane = 0; lane < g->used; lane++) {
        mg_training *t = g->trainings[lane];
        if (g->odd[lane])
            continue;
        t->optimizer->steps = g->optimizers[lane].steps;
        t->optimizer->largest = g->optimizers[lane].largest;
        t->optimizer->momentum_product = g->optimizers[lane].momentum_product;
        t->plan->step += (uint64_t)g->results[lane].steps;
        *t->result = g->results[lane];
        t->totals[0] = g->totals[lane];
        t->status = MG_OK;
        t->together = g->used;
    }
}

void mg_lanes_train(mg_training *const *trainings, int count)
{
    group g = {.trainings = {trainings[0]},
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
        g.totals[lane] = trainings[lane]->totals[0];
        g.shared &= trainings[lane]->data->x == trainings[0]->data->x &&
                    trainings[lane]->data->x_ld == trainings[0]->data->x_ld &&
                    trainings[lane]->data->labels == trainings[0]->data->labels &&
                    !memcmp(trainings[lane]->index, trainings[0]->index,
                            (size_t)trainings[0]->count * sizeof *trainings[0]->index);
    }
    for (int lane = 0; lane < g.lanes; lane++)
        g.optimizers[lane] = *in_lane(&g, lane)->optimizer;
    const int room = lay_out(&g, trainings[0]->batch_rows);
    if (room) {
        train_group(&g);
        give_back(&g);
    }
    mg_memory_free(g.memory);
    free(g.values);
    for (int lane = 0; lane < count; lane++)
        if (!room || g.odd[lane])
            mg_train_alone(trainings[lane]);
}
