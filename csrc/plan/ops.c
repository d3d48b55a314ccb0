/* The ops of a plan.  Every function here is called by all members of a team at once; each does its
 * share, and a barrier closes each op. */
#include "plan/plan.h"
#include "program/program_ops.h"

mg_matrix mg_matrix_rows(mg_matrix x, size_t real_size, mg_range rows)
{
    x.data = (char *)x.data + rows.first * x.ld * (int64_t)real_size;
    x.rows = rows.last - rows.first;
    return x;
}

mg_matrix mg_run_values(const mg_plan *plan, const mg_run *run, int buffer)
{
    const mg_buffer *b = &plan->buffers[buffer];
    if (b->storage < 0) /* the network's input, which nothing here writes to */
        return (mg_matrix){(void *)(uintptr_t)run->x, run->rows, b->columns, run->x_ld};
    const int64_t skip =
        (run->first_row * plan->storage_ld[b->storage] + b->offset) * (int64_t)plan->real_size;
    return (mg_matrix){plan->storages[b->storage] + skip, run->rows, b->columns, plan->buffer_ld[buffer]};
}

/* This member's rows of a buffer, or no data where there is no buffer. */
static mg_matrix share_of(const mg_plan *plan, const mg_run *run, int buffer, mg_range rows)
{
    if (buffer < 0)
        return (mg_matrix){0};
    return mg_matrix_rows(mg_run_values(plan, run, buffer), plan->real_size, rows);
}

static char *at(const mg_plan *plan, char *base, int64_t element)
{
    return base + element * (int64_t)plan->real_size;
}

/* Z (rows,out) = A (rows,in) @ W.T (in,out) + b, then the activation, then what is added to it. */
static void linear(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const mg_matrix a = mg_run_values(plan, run, op->in[0]), z = mg_run_values(plan, run, op->out[0]);
    mg_gemm g = {.m = run->rows,
                 .n = z.columns,
                 .k = a.columns,
                 .alpha = 1,
                 .a = a.data,
                 .a_row = a.ld,
                 .a_col = 1,
                 .b = at(plan, plan->parameters, op->weight),
                 .b_row = 1,
                 .b_col = a.columns,
                 .c = z.data,
                 .c_row = z.ld,
                 .panels = plan->panels ? plan->panels[op - plan->ops] : NULL,
                 .epilogue = {.activation = op->function, .slope = op->slope}};
    if (op->bias >= 0)
        g.epilogue.bias = at(plan, plan->parameters, op->bias);
    if (op->out[1] >= 0) {
        const mg_matrix kept = mg_run_values(plan, run, op->out[1]);
        g.epilogue.pre_activation = kept.data;
        g.epilogue.pre_activation_row = kept.ld;
    }
    if (op->in[1] >= 0) {
        const mg_matrix skip = mg_run_values(plan, run, op->in[1]);
        g.epilogue.skip = skip.data;
        g.epilogue.skip_row = skip.ld;
    }
    if (run->sparse && op->in[0] == 0)
        mg_sparse_forward(plan, run, &g, team);
    else
        plan->kernels->gemm(&g, run->scratch, team);
}

/* dW (out,in) = scale * delta (rows,out).T @ A (rows,in), rows [first, last) of it. */
static void weight_part(const mg_plan *plan, const mg_run *run, mg_matrix delta, mg_matrix a, mg_range rows,
                        void *dw, int accumulate, int sparse, mg_team team)
{
    const mg_gemm weight = {.m = delta.columns,
                            .n = a.columns,
                            .k = rows.last - rows.first,
                            .alpha = run->scale,
                            .a = mg_matrix_rows(delta, plan->real_size, rows).data,
                            .a_row = 1,
                            .a_col = delta.ld,
                            .b = mg_matrix_rows(a, plan->real_size, rows).data,
                            .b_row = a.ld,
                            .b_col = 1,
                            .c = dw,
                            .c_row = a.columns,
                            .accumulate = accumulate};
    if (sparse)
        mg_sparse_weight(plan, run, &weight, team);
    else
        plan->kernels->gemm(&weight, run->scratch, team);
}

/* dW, and db (out) = scale * sum of delta's rows.  More than MG_SUMMED_ROWS rows are summed up part by part
 * in dW's `partial` sums, which are then added up: shorter chains of additions, smaller errors. */
static void linear_weight(const mg_plan *plan, const mg_run *run, const mg_op *op, int accumulate,
                          mg_team team)
{
    const mg_matrix delta = mg_run_values(plan, run, op->in[0]), a = mg_run_values(plan, run, op->in[1]);
    char *dw = at(plan, plan->gradients, op->weight);
    const int sparse = run->sparse && op->in[1] == 0; /* has short chains of its own */
    const int64_t part = sparse ? run->rows : MG_SUMMED_ROWS;
    for (int64_t first = 0; first < run->rows; first += part) {
        const mg_range rows = {first, first + part < run->rows ? first + part : run->rows};
        if (first == 0) {
            weight_part(plan, run, delta, a, rows, dw, accumulate, sparse, team);
            if (rows.last < run->rows)
                mg_barrier(team); /* the scratch is wanted again */
            continue;
        }
        weight_part(plan, run, delta, a, rows, plan->partial, 0, 0, team);
        mg_barrier(team);
        const mg_range mine = mg_share(delta.columns, team);
        const mg_matrix summed = {plan->partial, delta.columns, a.columns, a.columns};
        const mg_matrix sum = {dw, delta.columns, a.columns, a.columns};
        const mg_matrix to = mg_matrix_rows(sum, plan->real_size, mine);
        plan->kernels->add(mg_matrix_rows(summed, plan->real_size, mine), to, to);
        mg_barrier(team);
    }
    if (op->bias < 0)
        return;
    const mg_range outputs = mg_share_lines(delta.columns, team);
    mg_matrix mine = delta;
    mine.data = at(plan, delta.data, outputs.first);
    mine.columns = outputs.last - outputs.first;
    plan->kernels->column_sum(mine, run->scale, accumulate,
                              at(plan, plan->gradients, op->bias + outputs.first));
}

/* dA (rows,in) = delta (rows,out) @ W (out,in), gated. */
static void linear_input(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const mg_matrix delta = mg_run_values(plan, run, op->in[0]), d = mg_run_values(plan, run, op->out[0]);
    mg_gemm input = {.m = run->rows,
                     .n = d.columns,
                     .k = delta.columns,
                     .alpha = 1,
                     .a = delta.data,
                     .a_row = delta.ld,
                     .a_col = 1,
                     .b = at(plan, plan->parameters, op->weight),
                     .b_row = d.columns,
                     .b_col = 1,
                     .c = d.data,
                     .c_row = d.ld,
                     .accumulate = op->accumulate,
                     .epilogue = {.gate = op->gate, .gate_slope = op->gate_slope}};
    if (op->gate != MG_IDENTITY) {
        const mg_matrix reference = mg_run_values(plan, run, op->in[1]);
        input.epilogue.reference = reference.data;
        input.epilogue.reference_row = reference.ld;
    }
    plan->kernels->gemm(&input, run->scratch, team);
}

/* A loss that is a program: each member's share of the whole batch. */
static void program_loss(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const mg_matrix g = op->out[0] < 0 ? (mg_matrix){0} : mg_run_values(plan, run, op->out[0]);
    const mg_loss_rows rows = {.z = mg_run_values(plan, run, op->in[0]),
                               .targets = run->batch->targets,
                               .targets_ld = run->batch->targets_ld,
                               .weights = run->batch->weights,
                               .gradient = g.data,
                               .gradient_ld = g.ld,
                               .row_loss = plan->row_loss + run->first_row};
    mg_program_loss_rows(op->program, &rows, team, run->member + team.index);
    if (op->gate == MG_IDENTITY)
        return;
    mg_barrier(team); /* shares were of chunks, those of the gate are of rows */
    const mg_range mine = mg_share(run->rows, team);
    const mg_matrix here = share_of(plan, run, op->out[0], mine);
    plan->kernels->gate(op->gate, op->gate_slope, share_of(plan, run, op->in[1], mine), here, here, 0);
}

static void map_op(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const int member = run->member + team.index;
    const mg_matrix in = mg_run_values(plan, run, op->in[0]);
    const mg_matrix out = op->out[0] < 0 ? (mg_matrix){0} : mg_run_values(plan, run, op->out[0]);
    if (op->kind == MG_MAP)
        mg_program_map(op->program, in, out, team, member);
    else
        mg_program_map_backward(op->program, mg_run_values(plan, run, op->in[1]), in, out, op->accumulate,
                                team, member);
}

/* The loss of this member's rows, and its gradient. */
static void loss(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const mg_range mine = mg_share(run->rows, team);
    if (op->function == MG_PROGRAM_LOSS) {
        program_loss(plan, run, op, team);
        return;
    }
    const mg_batch *batch = run->batch;
    const int64_t size = (int64_t)plan->real_size;
    mg_loss_rows rows = {.loss = op->function,
                         .z = share_of(plan, run, op->in[0], mine),
                         .row_loss = plan->row_loss + run->first_row + mine.first};
    if (batch->labels)
        rows.labels = (const int64_t *)batch->labels + mine.first;
    if (batch->targets) {
        rows.targets = (const char *)batch->targets + mine.first * batch->targets_ld * size;
        rows.targets_ld = batch->targets_ld;
    }
    if (batch->weights)
        rows.weights = (const char *)batch->weights + mine.first * size;
    const mg_matrix g = share_of(plan, run, op->out[0], mine);
    rows.gradient = g.data;
    rows.gradient_ld = g.ld;
    plan->kernels->loss(&rows);
    if (op->gate != MG_IDENTITY)
        plan->kernels->gate(op->gate, op->gate_slope, share_of(plan, run, op->in[1], mine), g, g, 0);
}

/* Everything that goes row by row: this member's rows. */
static void run_rows(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_range mine)
{
    const mg_kernels *kernels = plan->kernels;
    mg_matrix in[MG_OP_INPUTS], out[MG_OP_OUTPUTS];
    for (int i = 0; i < MG_OP_INPUTS; i++)
        in[i] = share_of(plan, run, op->in[i], mine);
    for (int i = 0; i < MG_OP_OUTPUTS; i++)
        out[i] = share_of(plan, run, op->out[i], mine);
    switch (op->kind) {
    case MG_ACTIVATE: kernels->map(op->function, op->slope, in[0], out[0]); break;
    case MG_SOFTMAX: kernels->softmax(in[0], out[0]); break;
    case MG_ADD: kernels->add(in[0], in[1], out[0]); break;
    case MG_MIX: kernels->mix(in[0], in[1], in[2], out[0]); break;
    case MG_DROPOUT:
        kernels->dropout(op->rate * plan->dropout, mg_mixed(run->random + (uint64_t)op->stream),
                         plan->first_row + mine.first, in[0], out[0], op->accumulate);
        break;
    case MG_ACTIVATE_BACKWARD:
        kernels->gate(op->function, op->slope, in[1], in[0], out[0], op->accumulate);
        break;
    case MG_SOFTMAX_BACKWARD: kernels->softmax_backward(in[1], in[0], out[0], op->accumulate); break;
    case MG_MIX_BACKWARD: kernels->mix_backward(in, out, op->accumulate); break;
    }
}

void mg_run_ops(const mg_plan *plan, const mg_run *run, int first, int last, int accumulate, mg_team team)
{
    const mg_range mine = mg_share(run->rows, team);
    for (int i = first; i < last; i++) {
        const mg_op *op = &plan->ops[i];
        switch (op->kind) {
        case MG_LINEAR: linear(plan, run, op, team); break;
        case MG_LINEAR_WEIGHT: linear_weight(plan, run, op, accumulate, team); break;
        case MG_LINEAR_INPUT: linear_input(plan, run, op, team); break;
        case MG_LOSS: loss(plan, run, op, team); break;
        case MG_COLUMNS:
        case MG_COLUMNS_BACKWARD: mg_run_columns(plan, run, op, accumulate, team); break;
        case MG_MAP:
        case MG_MAP_BACKWARD: map_op(plan, run, op, team); break;
        case MG_PROGRAM_GRADIENTS:
            if (team.index == 0)
                mg_program_add_gradients(op->program, run->rows * op->samples, run->scale,
                                         at(plan, plan->gradients, op->first_parameter));
            break;
        default: run_rows(plan, run, op, mine); break;
        }
        mg_barrier(team);
    }
}
