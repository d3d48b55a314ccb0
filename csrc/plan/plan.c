/* Making and freeing plans. */
#include <stdlib.h>

#include "machine/memory.h"
#include "plan/plan.h"
#include "program/program_ops.h"

static int64_t columns_of(const mg_plan *plan, int buffer)
{
    return plan->buffers[buffer].columns;
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
        if (plan->ops[i].program && plan->ops[i].first_parameter >= 0 && plan->ops[i].first_parameter < first)
            first = plan->ops[i].first_parameter;
    return first;
}

static int64_t multiplications(const mg_plan *plan)
{
    int64_t sum = 0;
    for (int i = 0; i < plan->loss_op; i++) {
        const mg_op *op = &plan->ops[i];
        const int64_t in = columns_of(plan, op->in[0]);
        const int64_t waves = op->kind == MG_COLUMNS ? (int64_t)op->numbers * op->frequencies : 0;
        sum += op->kind == MG_LINEAR ? in * columns_of(plan, op->out[0]) : 8 * in + 20 * waves;
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
    plan->dropout = 1;
    plan->ops = copied(ops, (size_t)n_ops, sizeof *ops);
    plan->buffers = copied(buffers, (size_t)n_buffers, sizeof *buffers);
    plan->buffer_ld = calloc((size_t)n_buffers, sizeof *plan->buffer_ld);
    plan->storage_ld = calloc((size_t)n_storages + 1, sizeof *plan->storage_ld);
    plan->storages = calloc((size_t)n_storages + 1, sizeof *plan->storages);
    if (!plan->ops || !plan->buffers || !plan->buffer_ld || !plan->storage_ld || !plan->storages ||
        !mg_plan_fits(plan)) {
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
    mg_plan_thaw(plan);
    mg_sparse_free(plan);
    free(plan->ops);
    free(plan->buffers);
    free(plan->buffer_ld);
    free(plan->storage_ld);
    free(plan->storages);
    mg_memory_free(plan->workspace);
    free(plan);
}

void mg_plan_bind(mg_plan *plan, void *parameters, void *gradients)
{
    if (parameters != plan->parameters)
        mg_plan_thaw(plan);
    plan->parameters = parameters;
    plan->gradients = gradients;
}

void mg_plan_set_random(mg_plan *plan, uint64_t seed, uint64_t step)
{
    plan->seed = seed;
    plan->step = step;
}

void mg_plan_set_first_row(mg_plan *plan, int64_t row)
{
    plan->first_row = row;
}

void mg_plan_set_dropout(mg_plan *plan, double factor)
{
    plan->dropout = factor;
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
        return op->target_columns;
    return plan->buffers[mg_plan_output(plan)].columns;
}

/* An op that runs a program. */
static int runs_program(const mg_op *op)
{
    return op->program && op->kind != MG_PROGRAM_GRADIENTS;
}

int mg_plan_prepare(mg_plan *plan, int64_t capacity, int64_t rows, int threads)
{
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (!runs_program(op))
            continue;
        const int64_t samples = op->kind == MG_LOSS ? rows : rows * columns_of(plan, op->in[0]);
        const int status = mg_program_reserve(op->program, samples, threads);
        if (status != MG_OK)
            return status;
    }
    const int status = mg_plan_reserve(plan, capacity, threads); /* the last that can fail */
    if (status != MG_OK)
        return status;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (!runs_program(op))
            continue;
        const int64_t at = op->first_parameter < 0 ? 0 : op->first_parameter;
        mg_program_uniforms(op->program, plan->parameters + at * (int64_t)plan->real_size);
    }
    return MG_OK;
}

void mg_plan_clear_scalars(const mg_plan *plan)
{
    const size_t skip = (size_t)plan->first_scalar * plan->real_size;
    memset(plan->gradients + skip, 0, (size_t)plan->n_parameters * plan->real_size - skip);
}
