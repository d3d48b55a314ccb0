/* Making, checking and freeing plans. */
#include <stdlib.h>

#include "plan/plan.h"
#include "program/program_ops.h"

/* What an op of each kind has to have: so many inputs and outputs at least, so many at most, and all of
 * them with the same number of columns; or the shapes of a Linear, which are checked one by one. */
typedef struct {
    int least_in, most_in, least_out, most_out, linear;
} shape;

static const shape shapes[MG_KINDS] = {
    [MG_LINEAR] = {1, 2, 1, 2, 1},
    [MG_ACTIVATE] = {1, 1, 1, 1, 0},
    [MG_SOFTMAX] = {1, 1, 1, 1, 0},
    [MG_ADD] = {2, 2, 1, 1, 0},
    [MG_MIX] = {3, 3, 1, 1, 0},
    [MG_MAP] = {1, 1, 1, 1, 0},
    [MG_DROPOUT] = {1, 1, 1, 1, 0},
    [MG_LOSS] = {1, 2, 0, 1, 0},
    [MG_LINEAR_WEIGHT] = {2, 2, 0, 0, 1},
    [MG_LINEAR_INPUT] = {1, 2, 1, 1, 1},
    [MG_ACTIVATE_BACKWARD] = {2, 2, 1, 1, 0},
    [MG_SOFTMAX_BACKWARD] = {2, 2, 1, 1, 0},
    [MG_MIX_BACKWARD] = {4, 4, 3, 3, 0},
    [MG_MAP_BACKWARD] = {2, 2, 0, 1, 0},
    [MG_PROGRAM_GRADIENTS] = {0, 0, 0, 0, 0},
};

static int buffer_fits(const mg_plan *plan, int buffer)
{
    return buffer >= 0 && buffer < plan->n_buffers;
}

static int64_t columns_of(const mg_plan *plan, int buffer)
{
    return plan->buffers[buffer].columns;
}

/* The first `least` are there, those from `most` on are not, and what is there can be written to if it
 * has to be. */
static int buffers_fit(const mg_plan *plan, const int32_t *buffers, int count, int least, int most,
                       int written)
{
    for (int i = 0; i < count; i++) {
        if (i >= most ? buffers[i] != -1 : i < least || buffers[i] != -1) {
            if (i >= most || !buffer_fits(plan, buffers[i]))
                return 0;
            if (written && plan->buffers[buffers[i]].storage < 0)
                return 0;
        }
    }
    return 1;
}

static int same_columns(const mg_plan *plan, const int32_t *buffers, int count, int64_t columns)
{
    for (int i = 0; i < count; i++)
        if (buffers[i] >= 0 && columns_of(plan, buffers[i]) != columns)
            return 0;
    return 1;
}

static int range_fits(const mg_plan *plan, int64_t offset, int64_t count)
{
    return offset >= 0 && count >= 0 && offset <= plan->n_parameters && count <= plan->n_parameters - offset;
}

/* Two buffers that lie, in part or whole, in the same place. */
static int overlap(const mg_plan *plan, int one, int other)
{
    const mg_buffer *a = &plan->buffers[one], *b = &plan->buffers[other];
    if (a->storage < 0 || a->storage != b->storage)
        return 0;
    return a->width != b->width || (a->offset < b->offset + b->columns && b->offset < a->offset + a->columns);
}

/* W is (out, in): from in0 to out0 forward, from out0 to in0 for LINEAR_INPUT, from in1 to in0 for
 * LINEAR_WEIGHT. */
static int linear_fits(const mg_plan *plan, const mg_op *op)
{
    const int to = op->kind == MG_LINEAR ? op->out[0] : op->in[0];
    const int from = op->kind == MG_LINEAR          ? op->in[0]
                     : op->kind == MG_LINEAR_WEIGHT ? op->in[1]
                                                    : op->out[0];
    const int64_t in = columns_of(plan, from), out = columns_of(plan, to);
    if (op->kind == MG_LINEAR &&
        (!same_columns(plan, op->in + 1, 1, out) || !same_columns(plan, op->out, MG_OP_OUTPUTS, out)))
        return 0;
    if (op->kind == MG_LINEAR_INPUT && !same_columns(plan, op->in + 1, 1, in))
        return 0;
    if (op->kind != MG_LINEAR_WEIGHT && overlap(plan, from, to))
        return 0;
    if (in > 0 && out > INT64_MAX / in)
        return 0;
    return range_fits(plan, op->weight, in * out) && (op->bias < 0 || range_fits(plan, op->bias, out));
}

static int function_fits(const mg_op *op)
{
    switch (op->kind) {
    case MG_LINEAR:
    case MG_ACTIVATE:
    case MG_ACTIVATE_BACKWARD: return op->function >= 0 && op->function <= MG_GELU;
    case MG_LOSS:
        return (op->function >= 0 && op->function < MG_LOSSES) ||
               (op->function == MG_PROGRAM_LOSS && op->program && op->columns > 0);
    case MG_MAP:
    case MG_MAP_BACKWARD: return op->program != NULL;
    case MG_PROGRAM_GRADIENTS: return op->program && op->columns > 0 && op->weight >= 0;
    case MG_DROPOUT: return op->slope >= 0 && op->slope < 1;
    default: return 1;
    }
}

static int gate_fits(const mg_op *op)
{
    if (op->gate == MG_IDENTITY)
        return 1;
    const int gated = op->kind == MG_LINEAR_INPUT || (op->kind == MG_LOSS && op->out[0] >= 0);
    return gated && op->gate > 0 && op->gate <= MG_GELU && op->in[1] >= 0;
}

static int op_fits(const mg_plan *plan, const mg_op *op)
{
    if (op->kind < 0 || op->kind >= MG_KINDS)
        return 0;
    const shape *s = &shapes[op->kind];
    if (!buffers_fit(plan, op->in, MG_OP_INPUTS, s->least_in, s->most_in, 0) ||
        !buffers_fit(plan, op->out, MG_OP_OUTPUTS, s->least_out, s->most_out, 1) || !function_fits(op) ||
        !gate_fits(op))
        return 0;
    if (s->linear)
        return linear_fits(plan, op);
    if (op->program && op->weight >= 0 && !range_fits(plan, op->weight, mg_program_parameters(op->program)))
        return 0;
    if (s->least_in == 0)
        return 1;
    const int64_t columns = columns_of(plan, op->in[0]);
    return same_columns(plan, op->in, MG_OP_INPUTS, columns) &&
           same_columns(plan, op->out, MG_OP_OUTPUTS, columns);
}

static int plan_fits(const mg_plan *plan)
{
    for (int i = 0; i < plan->n_buffers; i++) {
        const mg_buffer *b = &plan->buffers[i];
        if (b->columns < 0 || b->offset < 0 || b->width < 0 || b->width > INT32_MAX || b->offset > b->width ||
            b->columns > b->width - b->offset || b->storage >= plan->n_storages || (b->storage < 0 && i > 0))
            return 0;
    }
    int losses = 0;
    for (int i = 0; i < plan->n_ops; i++) {
        losses += plan->ops[i].kind == MG_LOSS;
        if (!op_fits(plan, &plan->ops[i]) || (losses == 0 && plan->ops[i].kind > MG_LOSS))
            return 0;
    }
    return losses <= 1;
}

/* Rows start on a cache line, and not all of them on the same few sets of the L1 cache. */
static int64_t padded_columns(int64_t columns, size_t real_size)
{
    const int64_t line = 64 / (int64_t)real_size;
    const int64_t ld = (columns + line - 1) / line * line;
    return ld > 0 && ld * (int64_t)real_size % 2048 == 0 ? ld + line : ld;
}

static void set_strides(mg_plan *plan)
{
    for (int i = 0; i < plan->n_buffers; i++) {
        const mg_buffer *b = &plan->buffers[i];
        const int64_t ld = plan->buffer_ld[i] = padded_columns(b->width, plan->real_size);
        if (b->storage >= 0 && plan->storage_ld[b->storage] < ld)
            plan->storage_ld[b->storage] = ld;
    }
}

static int64_t first_scalar(const mg_plan *plan)
{
    int64_t first = plan->n_parameters;
    for (int i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].program && plan->ops[i].weight >= 0 && plan->ops[i].weight < first)
            first = plan->ops[i].weight;
    return first;
}

static int64_t multiplications(const mg_plan *plan)
{
    int64_t sum = 0;
    for (int i = 0; i < plan->loss_op; i++) {
        const mg_op *op = &plan->ops[i];
        const int64_t in = columns_of(plan, op->in[0]);
        sum += op->kind == MG_LINEAR ? in * columns_of(plan, op->out[0]) : 8 * in;
    }
    return sum;
}

static void *copied(const void *from, size_t count, size_t size)
{
    void *to = calloc(count ? count : 1, size);
    if (to && count)
        memcpy(to, from, count * size);
    return to;
}

mg_plan *mg_plan_new(int isa, int dtype, int n_ops, const mg_op *ops, int n_buffers, const mg_buffer *buffers,
                     int n_storages, int64_t n_parameters)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || n_ops < 0 || n_buffers < 1 || n_storages < 0 || n_parameters < 0)
        return NULL;
    mg_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->kernels = kernels;
    plan->real_size = dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
    plan->n_ops = n_ops;
    plan->n_buffers = n_buffers;
    plan->n_storages = n_storages;
    plan->n_parameters = n_parameters;
    plan->ops = copied(ops, (size_t)n_ops, sizeof *ops);
    plan->buffers = copied(buffers, (size_t)n_buffers, sizeof *buffers);
    plan->buffer_ld = calloc((size_t)n_buffers, sizeof *plan->buffer_ld);
    plan->storage_ld = calloc((size_t)n_storages + 1, sizeof *plan->storage_ld);
    plan->storages = calloc((size_t)n_storages + 1, sizeof *plan->storages);
    if (!plan->ops || !plan->buffers || !plan->buffer_ld || !plan->storage_ld || !plan->storages ||
        !plan_fits(plan)) {
        mg_plan_free(plan);
        return NULL;
    }
    while (plan->loss_op < n_ops && ops[plan->loss_op].kind != MG_LOSS)
        plan->loss_op++;
    set_strides(plan);
    plan->first_scalar = first_scalar(plan);
    plan->multiplications_per_row = multiplications(plan);
    return plan;
}

void mg_plan_free(mg_plan *plan)
{
    if (!plan)
        return;
    free(plan->ops);
    free(plan->buffers);
    free(plan->buffer_ld);
    free(plan->storage_ld);
    free(plan->storages);
    free(plan->workspace);
    free(plan);
}

void mg_plan_bind(mg_plan *plan, void *parameters, void *gradients)
{
    plan->parameters = parameters;
    plan->gradients = gradients;
}

void mg_plan_set_random(mg_plan *plan, uint64_t seed, uint64_t step)
{
    plan->seed = seed;
    plan->step = step;
}

uint64_t mg_plan_step(const mg_plan *plan)
{
    return plan->step;
}

int mg_plan_has_loss(const mg_plan *plan)
{
    return plan->loss_op < plan->n_ops;
}

int mg_plan_goes_back(const mg_plan *plan)
{
    return plan->loss_op + 1 < plan->n_ops;
}

int mg_plan_output(const mg_plan *plan)
{
    if (mg_plan_has_loss(plan))
        return plan->ops[plan->loss_op].in[0];
    return plan->n_ops ? plan->ops[plan->n_ops - 1].out[0] : 0;
}

int64_t mg_plan_target_columns(const mg_plan *plan)
{
    const mg_op *op = &plan->ops[plan->loss_op];
    if (mg_plan_has_loss(plan) && op->function == MG_PROGRAM_LOSS)
        return op->columns;
    return plan->buffers[mg_plan_output(plan)].columns;
}

int mg_plan_ready_programs(const mg_plan *plan, int64_t rows, int threads)
{
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (!op->program || op->kind == MG_PROGRAM_GRADIENTS)
            continue;
        const int64_t samples = op->kind == MG_LOSS ? rows : rows * columns_of(plan, op->in[0]);
        const int status = mg_program_reserve(op->program, samples, threads);
        if (status != MG_OK)
            return status;
        const int64_t at = op->weight < 0 ? 0 : op->weight;
        mg_program_uniforms(op->program, plan->parameters + at * (int64_t)plan->real_size);
    }
    return MG_OK;
}

void mg_plan_clear_scalars(const mg_plan *plan)
{
    const size_t skip = (size_t)plan->first_scalar * plan->real_size;
    memset(plan->gradients + skip, 0, (size_t)plan->n_parameters * plan->real_size - skip);
}
