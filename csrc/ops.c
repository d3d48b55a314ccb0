/* The ops of a plan, forward and backward.  Every function here is called by all members of a team
 * at once; each does its share, and a barrier closes each op. */
#include "plan.h"

mg_matrix mg_matrix_rows(mg_matrix x, size_t real_size, mg_range rows)
{
    x.data = (char *)x.data + rows.first * x.ld * (int64_t)real_size;
    x.rows = rows.last - rows.first;
    return x;
}

static mg_matrix storage_part(const mg_plan *plan, const mg_run *run, int storage, const mg_buffer *buffer)
{
    const int64_t ld = plan->storage_ld[storage];
    const int64_t skip = (run->first_row * ld + buffer->offset) * (int64_t)plan->real_size;
    return (mg_matrix){plan->storages[storage] + skip, run->rows, buffer->columns, ld};
}

mg_matrix mg_run_values(const mg_plan *plan, const mg_run *run, int buffer)
{
    const mg_buffer *b = &plan->buffers[buffer];
    if (b->storage < 0) /* the network's input, which nothing here writes to */
        return (mg_matrix){(void *)(uintptr_t)run->x, run->rows, b->columns, run->x_ld};
    return storage_part(plan, run, b->storage, b);
}

mg_matrix mg_run_gradient(const mg_plan *plan, const mg_run *run, int buffer)
{
    return storage_part(plan, run, plan->buffers[buffer].gradient, &plan->buffers[buffer]);
}

static char *at(const mg_plan *plan, char *base, int64_t element)
{
    return base + element * (int64_t)plan->real_size;
}

/* Z (rows,out) = A (rows,in) @ W.T (in,out) + b, then the activation. */
static void linear_forward(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    const mg_matrix a = mg_run_values(plan, run, op->in), z = mg_run_values(plan, run, op->out);
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
                 .epilogue = {.activation = op->function, .slope = op->slope}};
    if (op->bias >= 0)
        g.epilogue.bias = at(plan, plan->parameters, op->bias);
    if (op->pre_activation >= 0) {
        const mg_matrix kept = mg_run_values(plan, run, op->pre_activation);
        g.epilogue.pre_activation = kept.data;
        g.epilogue.pre_activation_row = kept.ld;
    }
    plan->kernels->gemm(&g, run->scratch, team);
}

void mg_run_forward(const mg_plan *plan, const mg_run *run, int first, int last, mg_team team)
{
    const mg_range mine = mg_share(run->rows, team);
    for (int i = first; i < last; i++) {
        const mg_op *op = &plan->ops[i];
        if (op->kind == MG_LINEAR) {
            linear_forward(plan, run, op, team);
        } else if (op->kind != MG_LOSS) {
            const mg_matrix x = mg_matrix_rows(mg_run_values(plan, run, op->in), plan->real_size, mine);
            const mg_matrix y = mg_matrix_rows(mg_run_values(plan, run, op->out), plan->real_size, mine);
            if (op->kind == MG_SOFTMAX)
                plan->kernels->softmax(x, y);
            else
                plan->kernels->map(op->function, op->slope, x, y);
        }
        mg_barrier(team);
    }
}

/* dL/d(in) *= derivative of the activation that made `in`. */
static void gate_rows(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_matrix gradient,
                      mg_range rows)
{
    if (op->gate == MG_IDENTITY)
        return;
    const mg_matrix reference = mg_run_values(plan, run, op->gate_buffer);
    plan->kernels->gate(op->gate, op->gate_slope, mg_matrix_rows(reference, plan->real_size, rows), gradient);
}

void mg_run_loss(const mg_plan *plan, const mg_run *run, const mg_batch *batch, int with_gradient,
                 mg_team team)
{
    const mg_op *op = &plan->ops[plan->n_ops - 1];
    const mg_range mine = mg_share(run->rows, team);
    const int64_t size = (int64_t)plan->real_size;
    mg_loss_rows rows = {.loss = op->function,
                         .z = mg_matrix_rows(mg_run_values(plan, run, op->in), plan->real_size, mine),
                         .row_loss = plan->row_loss + mine.first};
    if (batch->labels)
        rows.labels = (const int64_t *)batch->labels + mine.first;
    if (batch->targets) {
        rows.targets = (const char *)batch->targets + mine.first * batch->targets_ld * size;
        rows.targets_ld = batch->targets_ld;
    }
    if (batch->weights)
        rows.weights = (const char *)batch->weights + mine.first * size;
    if (with_gradient && op->input_gradient != MG_NO_GRADIENT) {
        const mg_matrix g = mg_matrix_rows(mg_run_gradient(plan, run, op->in), plan->real_size, mine);
        rows.gradient = g.data;
        rows.gradient_ld = g.ld;
        plan->kernels->loss(&rows);
        gate_rows(plan, run, op, g, mine);
    } else {
        plan->kernels->loss(&rows);
    }
    mg_barrier(team);
}

/* dW (out,in) = scale * delta (rows,out).T @ A (rows,in);  db (out) = scale * sum of delta's rows;
 * dA (rows,in) = delta (rows,out) @ W (out,in), gated. */
static void linear_backward(const mg_plan *plan, const mg_run *run, const mg_op *op, int accumulate,
                            mg_team team)
{
    const mg_matrix a = mg_run_values(plan, run, op->in), delta = mg_run_gradient(plan, run, op->out);
    const mg_gemm weight = {.m = delta.columns,
                            .n = a.columns,
                            .k = run->rows,
                            .alpha = run->scale,
                            .a = delta.data,
                            .a_row = 1,
                            .a_col = delta.ld,
                            .b = a.data,
                            .b_row = a.ld,
                            .b_col = 1,
                            .c = at(plan, plan->gradients, op->weight),
                            .c_row = a.columns,
                            .accumulate = accumulate};
    plan->kernels->gemm(&weight, run->scratch, team);
    if (op->bias >= 0) {
        const mg_range sixteens = mg_share((delta.columns + 15) / 16, team);
        mg_matrix mine = delta;
        mine.data = at(plan, delta.data, sixteens.first * 16);
        mine.columns =
            (sixteens.last * 16 < delta.columns ? sixteens.last * 16 : delta.columns) - sixteens.first * 16;
        plan->kernels->column_sum(mine, run->scale, accumulate,
                                  at(plan, plan->gradients, op->bias + sixteens.first * 16));
    }
    if (op->input_gradient == MG_NO_GRADIENT)
        return;
    mg_barrier(team); /* the scratch is free again */
    const mg_matrix d = mg_run_gradient(plan, run, op->in);
    mg_gemm input = {.m = run->rows,
                     .n = a.columns,
                     .k = delta.columns,
                     .alpha = 1,
                     .a = delta.data,
                     .a_row = delta.ld,
                     .a_col = 1,
                     .b = at(plan, plan->parameters, op->weight),
                     .b_row = a.columns,
                     .b_col = 1,
                     .c = d.data,
                     .c_row = d.ld,
                     .accumulate = op->input_gradient == MG_ADD_GRADIENT,
                     .epilogue = {.gate = op->gate, .gate_slope = op->gate_slope}};
    if (op->gate != MG_IDENTITY) {
        const mg_matrix reference = mg_run_values(plan, run, op->gate_buffer);
        input.epilogue.reference = reference.data;
        input.epilogue.reference_row = reference.ld;
    }
    plan->kernels->gemm(&input, run->scratch, team);
}

/* The ops without parameters: dL/d(in) from dL/d(out), on a share of the rows. */
static void elementwise_backward(const mg_plan *plan, const mg_run *run, const mg_op *op, mg_team team)
{
    if (op->input_gradient == MG_NO_GRADIENT)
        return;
    const mg_range mine = mg_share(run->rows, team);
    const int add = op->input_gradient == MG_ADD_GRADIENT;
    const mg_matrix y = mg_matrix_rows(mg_run_values(plan, run, op->out), plan->real_size, mine);
    const mg_matrix g = mg_matrix_rows(mg_run_gradient(plan, run, op->out), plan->real_size, mine);
    const mg_matrix d = mg_matrix_rows(mg_run_gradient(plan, run, op->in), plan->real_size, mine);
    if (op->kind == MG_SOFTMAX) {
        plan->kernels->softmax_backward(y, g, d, add);
    } else {
        const mg_matrix x = mg_matrix_rows(mg_run_values(plan, run, op->in), plan->real_size, mine);
        if (!add)
            plan->kernels->map(MG_IDENTITY, 0, g, d);
        plan->kernels->gate(op->function, op->slope, op->function == MG_GELU ? x : y, add ? g : d);
        if (add)
            plan->kernels->add(g, d);
    }
    gate_rows(plan, run, op, d, mine);
}

void mg_run_backward(const mg_plan *plan, const mg_run *run, int first, int last, int accumulate,
                     mg_team team)
{
    for (int i = last - 1; i >= first; i--) {
        const mg_op *op = &plan->ops[i];
        if (op->kind == MG_LINEAR)
            linear_backward(plan, run, op, accumulate, team);
        else if (op->kind != MG_LOSS) /* a loss has left its gradient in the forward pass */
            elementwise_backward(plan, run, op, team);
        mg_barrier(team);
    }
}
