/* Making, checking and freeing plans, and the memory they work in. */
#include <stdlib.h>

#include "plan.h"

static int buffer_fits(const mg_plan *plan, int buffer)
{
    return buffer >= 0 && buffer < plan->n_buffers;
}

static int range_fits(const mg_plan *plan, int64_t offset, int64_t count)
{
    return offset >= 0 && count >= 0 && offset <= plan->n_parameters && count <= plan->n_parameters - offset;
}

static int gradient_fits(const mg_plan *plan, const mg_op *op)
{
    if (op->input_gradient < MG_NO_GRADIENT || op->input_gradient > MG_ADD_GRADIENT || op->gate < 0 ||
        op->gate > MG_GELU)
        return 0;
    if (op->gate != MG_IDENTITY && (!buffer_fits(plan, op->gate_buffer) ||
                                    plan->buffers[op->gate_buffer].columns != plan->buffers[op->in].columns))
        return 0;
    return op->input_gradient == MG_NO_GRADIENT || plan->buffers[op->in].gradient >= 0;
}

static int op_fits(const mg_plan *plan, const mg_op *op, int is_last)
{
    if (op->kind < 0 || op->kind >= MG_KINDS || !buffer_fits(plan, op->in) || !gradient_fits(plan, op))
        return 0;
    if (op->kind == MG_LOSS)
        return is_last && op->function >= 0 && op->function < MG_LOSSES;
    if (!buffer_fits(plan, op->out) || plan->buffers[op->out].storage < 0 || op->function < 0 ||
        op->function > MG_GELU)
        return 0;
    const int64_t in = plan->buffers[op->in].columns, out = plan->buffers[op->out].columns;
    if (op->kind != MG_LINEAR)
        return in == out;
    if (op->pre_activation >= 0 &&
        (!buffer_fits(plan, op->pre_activation) || plan->buffers[op->pre_activation].storage < 0 ||
         plan->buffers[op->pre_activation].columns != out))
        return 0;
    if (in > 0 && out > INT64_MAX / in)
        return 0;
    return range_fits(plan, op->weight, in * out) && (op->bias < 0 || range_fits(plan, op->bias, out));
}

static int plan_fits(const mg_plan *plan, const int64_t *storage_columns)
{
    for (int i = 0; i < plan->n_storages; i++)
        if (storage_columns[i] < 0 || storage_columns[i] > INT32_MAX)
            return 0;
    for (int i = 0; i < plan->n_buffers; i++) {
        const mg_buffer *b = &plan->buffers[i];
        if (b->columns < 0 || b->columns > INT32_MAX || b->offset < 0 || b->offset > INT32_MAX ||
            b->storage >= plan->n_storages || b->gradient >= plan->n_storages || (b->storage < 0 && i > 0))
            return 0;
        if ((b->storage >= 0 && b->offset + b->columns > storage_columns[b->storage]) ||
            (b->gradient >= 0 && b->offset + b->columns > storage_columns[b->gradient]))
            return 0;
    }
    for (int i = 0; i < plan->n_ops; i++)
        if (!op_fits(plan, &plan->ops[i], i == plan->n_ops - 1))
            return 0;
    return 1;
}

/* Rows start on a cache line, and not all of them on the same few sets of the L1 cache. */
static int64_t padded_columns(int64_t columns, size_t real_size)
{
    const int64_t line = 64 / (int64_t)real_size;
    const int64_t ld = (columns + line - 1) / line * line;
    return ld > 0 && ld * (int64_t)real_size % 2048 == 0 ? ld + line : ld;
}

static int64_t multiplications(const mg_plan *plan)
{
    int64_t sum = 0;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        const int64_t in = plan->buffers[op->in].columns;
        sum += op->kind == MG_LINEAR ? in * plan->buffers[op->out].columns : 8 * in;
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
                     int n_storages, const int64_t *storage_columns, int64_t n_parameters)
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
    plan->storage_ld = copied(storage_columns, (size_t)n_storages, sizeof *storage_columns);
    plan->storages = calloc((size_t)n_storages + 1, sizeof *plan->storages);
    if (!plan->ops || !plan->buffers || !plan->storage_ld || !plan->storages ||
        !plan_fits(plan, storage_columns)) {
        mg_plan_free(plan);
        return NULL;
    }
    for (int i = 0; i < n_storages; i++)
        plan->storage_ld[i] = padded_columns(storage_columns[i], plan->real_size);
    plan->multiplications_per_row = multiplications(plan);
    return plan;
}

void mg_plan_free(mg_plan *plan)
{
    if (!plan)
        return;
    free(plan->ops);
    free(plan->buffers);
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

int mg_plan_ends_in_loss(const mg_plan *plan)
{
    return plan->n_ops > 0 && plan->ops[plan->n_ops - 1].kind == MG_LOSS;
}

int64_t mg_plan_outputs(const mg_plan *plan)
{
    return mg_plan_ends_in_loss(plan) ? plan->buffers[plan->ops[plan->n_ops - 1].in].columns : 0;
}

/* The most scratch that any multiplication of this plan can ask for, whatever the input's stride: a
 * stride of 2048 bytes makes every choice that needs more. */
static size_t scratch_bytes(const mg_plan *plan, int64_t rows, int threads)
{
    size_t most = 0;
    const int64_t stride = 2048 / (int64_t)plan->real_size;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (op->kind != MG_LINEAR)
            continue;
        const int64_t in = plan->buffers[op->in].columns, out = plan->buffers[op->out].columns;
        const mg_gemm products[] = {
            {.m = rows, .n = out, .k = in, .a_row = stride, .a_col = 1, .b_row = 1, .b_col = stride},
            {.m = out, .n = in, .k = rows, .a_row = 1, .a_col = stride, .b_row = stride, .b_col = 1},
            {.m = rows, .n = in, .k = out, .a_row = stride, .a_col = 1, .b_row = stride, .b_col = 1},
        };
        for (int j = 0; j < 3; j++) {
            const size_t bytes = plan->kernels->gemm_scratch(&products[j], threads);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

/* A cursor over one allocation: with base NULL it only adds up. */
typedef struct {
    char *base;
    size_t used;
    int overflow;
} arena;

static char *take(arena *a, int64_t count, size_t size)
{
    if (count < 0 || (uint64_t)count > (SIZE_MAX / 4 - a->used) / size) {
        a->overflow = 1;
        return NULL;
    }
    char *here = a->base ? a->base + a->used : NULL;
    a->used += ((size_t)count * size + 127) / 64 * 64; /* 64 bytes between neighbours at least */
    return here;
}

/* Lays out everything for `rows` and `threads`. */
static void lay_out(mg_plan *plan, arena *a, int64_t rows, int threads)
{
    const int64_t outputs = mg_plan_outputs(plan), inputs = plan->buffers[0].columns;
    for (int i = 0; i < plan->n_storages; i++) {
        if (plan->storage_ld[i] && rows > INT64_MAX / 16 / plan->storage_ld[i])
            a->overflow = 1;
        else
            plan->storages[i] = take(a, rows * plan->storage_ld[i], plan->real_size);
    }
    if (!mg_plan_ends_in_loss(plan)) { /* for prediction: each thread on its own */
        plan->scratch_bytes = (scratch_bytes(plan, rows, 1) + 63) / 64 * 64;
        plan->scratch = take(a, (int64_t)plan->scratch_bytes * threads, 1);
        return;
    }
    plan->scratch = take(a, (int64_t)scratch_bytes(plan, rows, threads), 1);
    plan->row_loss = (double *)take(a, rows, sizeof(double));
    plan->staged_x = take(a, rows * inputs, plan->real_size);
    plan->staged_targets = take(a, rows * outputs, plan->real_size);
    plan->staged_weights = take(a, rows, plan->real_size);
    plan->staged_labels = (int64_t *)take(a, rows, sizeof(int64_t));
}

int mg_plan_reserve(mg_plan *plan, int64_t rows, int threads)
{
    if (rows <= plan->capacity && threads <= plan->threads)
        return MG_OK;
    if (rows > INT32_MAX)
        return MG_OUT_OF_MEMORY;
    rows = rows > plan->capacity ? rows : plan->capacity;
    threads = threads > plan->threads ? threads : plan->threads;
    mg_plan trial = *plan;
    trial.storages = calloc((size_t)plan->n_storages + 1, sizeof *trial.storages);
    arena a = {0};
    if (trial.storages)
        lay_out(&trial, &a, rows, threads);
    char *memory = NULL;
    if (!trial.storages || a.overflow || posix_memalign((void **)&memory, 64, a.used + 64)) {
        free(trial.storages);
        return MG_OUT_OF_MEMORY;
    }
    a = (arena){.base = memory};
    lay_out(&trial, &a, rows, threads);
    free(plan->workspace);
    free(plan->storages);
    trial.workspace = memory;
    trial.workspace_bytes = a.used;
    trial.capacity = rows;
    trial.threads = threads;
    *plan = trial;
    return MG_OK;
}

int64_t mg_plan_workspace_bytes(const mg_plan *plan)
{
    return (int64_t)plan->workspace_bytes;
}

static void *whole(const mg_plan *plan, int buffer, int storage, int64_t *ld)
{
    if (!buffer_fits(plan, buffer) || storage < 0 || !plan->workspace)
        return NULL;
    *ld = plan->storage_ld[storage];
    return plan->storages[storage] + plan->buffers[buffer].offset * (int64_t)plan->real_size;
}

void *mg_plan_values(mg_plan *plan, int buffer, int64_t *ld)
{
    return whole(plan, buffer, buffer_fits(plan, buffer) ? plan->buffers[buffer].storage : -1, ld);
}

void *mg_plan_gradient(mg_plan *plan, int buffer, int64_t *ld)
{
    return whole(plan, buffer, buffer_fits(plan, buffer) ? plan->buffers[buffer].gradient : -1, ld);
}
