/* Whether the ops and buffers of a plan hold together. */
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
    [MG_COLUMNS] = {1, 1, 1, 1, 0},
    [MG_DROPOUT] = {1, 1, 1, 1, 0},
    [MG_LOSS] = {1, 2, 0, 1, 0},
    [MG_LINEAR_WEIGHT] = {2, 2, 0, 0, 1},
    [MG_LINEAR_INPUT] = {1, 2, 1, 1, 1},
    [MG_ACTIVATE_BACKWARD] = {2, 2, 1, 1, 0},
    [MG_SOFTMAX_BACKWARD] = {2, 2, 1, 1, 0},
    [MG_MIX_BACKWARD] = {4, 4, 3, 3, 0},
    [MG_MAP_BACKWARD] = {2, 2, 0, 1, 0},
    [MG_COLUMNS_BACKWARD] = {2, 2, 0, 1, 0},
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
    case MG_ACTIVATE_BACKWARD: return op->function >= 0 && op->function <= MG_MISH;
    case MG_LOSS:
        return (op->function >= 0 && op->function < MG_LOSSES) ||
               (op->function == MG_PROGRAM_LOSS && op->program && op->target_columns > 0);
    case MG_MAP:
    case MG_MAP_BACKWARD: return op->program != NULL;
    case MG_PROGRAM_GRADIENTS: return op->program && op->samples > 0 && op->first_parameter >= 0;
    case MG_DROPOUT: return op->rate >= 0 && op->rate < 1;
    default: return 1;
    }
}

/* The parameters of a program are among those of the plan. */
static int program_fits(const mg_plan *plan, const mg_op *op)
{
    if (!op->program)
        return 1;
    const int64_t count = mg_program_parameters(op->program);
    return op->first_parameter < 0 ? count == 0 : range_fits(plan, op->first_parameter, count);
}

static int gate_fits(const mg_op *op)
{
    if (op->gate == MG_IDENTITY)
        return 1;
    const int gated = op->kind == MG_LINEAR_INPUT || (op->kind == MG_LOSS && op->out[0] >= 0);
    return gated && op->gate > 0 && op->gate <= MG_MISH && op->in[1] >= 0;
}

static int op_fits(const mg_plan *plan, const mg_op *op)
{
    if (op->kind < 0 || op->kind >= MG_KINDS)
        return 0;
    const shape *s = &shapes[op->kind];
    if (!buffers_fit(plan, op->in, MG_OP_INPUTS, s->least_in, s->most_in, 0) ||
        !buffers_fit(plan, op->out, MG_OP_OUTPUTS, s->least_out, s->most_out, 1) || !function_fits(op) ||
        !gate_fits(op) || !program_fits(plan, op))
        return 0;
    if (s->linear)
        return linear_fits(plan, op);
    if (op->kind == MG_COLUMNS || op->kind == MG_COLUMNS_BACKWARD)
        return mg_columns_fit(plan, op);
    if (s->least_in == 0)
        return 1;
    const int64_t columns = columns_of(plan, op->in[0]);
    return same_columns(plan, op->in, MG_OP_INPUTS, columns) &&
           same_columns(plan, op->out, MG_OP_OUTPUTS, columns);
}

int mg_plan_fits(const mg_plan *plan)
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
