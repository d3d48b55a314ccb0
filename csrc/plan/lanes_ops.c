/* The ops of a plan, in the lanes of a group. */
#include "plan/lanes_group.h"

static mg_matrix matrix_of(const mg_lanes_group *g, int buffer)
{
    const int64_t columns = g->plan->buffers[buffer].columns * g->lanes;
    return (mg_matrix){g->values[buffer], g->rows, columns, columns};
}

static void linear(const mg_lanes_group *g, const mg_op *op)
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
        .b = mg_lanes_at(g, g->parameters, op->weight),
        .b_row = 1,
        .b_col = in,
        .bias = op->bias < 0 ? NULL : mg_lanes_at(g, g->parameters, op->bias),
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

static void linear_weight(const mg_lanes_group *g, const mg_op *op, double scale)
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
        .c = mg_lanes_at(g, g->gradients, op->weight),
        .c_row = 1,
        .c_col = in,
        .scratch = g->scratch,
    });
    if (op->bias >= 0)
        g->kernels->column_sum(delta, scale, 0, mg_lanes_at(g, g->gradients, op->bias));
}

static void linear_input(const mg_lanes_group *g, const mg_op *op)
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
        .b = mg_lanes_at(g, g->parameters, op->weight),
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

static void loss(mg_lanes_group *g, const mg_op *op)
{
    const mg_matrix d = matrix_of(g, op->out[0]);
    g->kernels->lanes_entropy(g->rows, (int)g->plan->buffers[op->in[0]].columns, g->values[op->in[0]],
                              g->labels, d.data, g->losses);
    if (op->gate != MG_IDENTITY)
        g->kernels->gate(op->gate, op->gate_slope, matrix_of(g, op->in[1]), d, d, 0);
}

void mg_lanes_run_op(mg_lanes_group *g, const mg_op *op, double scale)
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
                      matrix_of(g, op->out[0]), 0);
        break;
    }
}
