/* The memory that a plan works in: one allocation, laid out for as many rows and threads as have come. */
#include <stdlib.h>

#include "machine/memory.h"
#include "plan/plan.h"

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
        const int64_t in = plan->buffers[op->in[0]].columns, out = plan->buffers[op->out[0]].columns;
        const mg_gemm products[] = {
            {.m = rows, .n = out, .k = in, .a_row = stride, .a_col = 1, .b_row = 1, .b_col = stride},
            {.m = out, .n = in, .k = rows, .a_row = 1, .a_col = stride, .b_row = stride, .b_col = 1},
            {.m = rows, .n = in, .k = out, .a_row = stride, .a_col = 1, .b_row = stride, .b_col = 1},
        };
        for (int j = 0; j < (mg_plan_goes_back(plan) ? 3 : 1); j++) {
            const size_t bytes = plan->kernels->gemm_scratch(&products[j], threads);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

/* Elements of the largest weight matrix. */
static int64_t largest_weight(const mg_plan *plan)
{
    int64_t most = 0;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (op->kind != MG_LINEAR_WEIGHT)
            continue;
        const int64_t elements = plan->buffers[op->in[0]].columns * plan->buffers[op->in[1]].columns;
        most = elements > most ? elements : most;
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
    const int64_t outputs = mg_plan_target_columns(plan), inputs = plan->buffers[0].columns;
    for (int i = 0; i < plan->n_storages; i++) {
        if (plan->storage_ld[i] && rows > INT64_MAX / 16 / plan->storage_ld[i])
            a->overflow = 1;
        else
            plan->storages[i] = take(a, rows * plan->storage_ld[i], plan->real_size);
    }
    size_t scratch = scratch_bytes(plan, rows, threads);
    if (!mg_plan_goes_back(plan)) { /* predicting, each thread works on its own */
        plan->scratch_bytes = (scratch_bytes(plan, rows, 1) + 63) / 64 * 64;
        scratch = scratch > plan->scratch_bytes * threads ? scratch : plan->scratch_bytes * threads;
    }
    plan->scratch = take(a, (int64_t)scratch, 1);
    if (mg_plan_has_loss(plan))
        plan->row_loss = (double *)take(a, rows, sizeof(double));
    if (!mg_plan_goes_back(plan))
        return;
    plan->partial = rows > MG_SUMMED_ROWS ? take(a, largest_weight(plan), plan->real_size) : NULL;
    plan->staged_x = plan->stages_x ? take(a, rows * inputs, plan->real_size) : NULL;
    plan->staged_targets = take(a, rows * outputs, plan->real_size);
    plan->staged_weights = take(a, rows, plan->real_size);
    plan->staged_labels = (int64_t *)take(a, rows, sizeof(int64_t));
}

int mg_plan_reserve(mg_plan *plan, int64_t rows, int threads)
{
    if (rows <= plan->capacity && threads <= plan->threads && (plan->staged_x || !plan->stages_x))
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
    char *memory = trial.storages && !a.overflow ? mg_memory_new(a.used + 64) : NULL;
    if (!memory) {
        free(trial.storages);
        return MG_OUT_OF_MEMORY;
    }
    mg_memory_free(plan->workspace);
    free(plan->storages);
    /* Nothing but the workspace is written: another thread may be freezing a plan like this one. */
    plan->storages = trial.storages;
    a = (arena){.base = memory};
    lay_out(plan, &a, rows, threads);
    plan->workspace = memory;
    plan->workspace_bytes = a.used;
    plan->capacity = rows;
    plan->threads = threads;
    return MG_OK;
}

int64_t mg_plan_workspace_bytes(const mg_plan *plan)
{
    return (int64_t)plan->workspace_bytes;
}

int64_t mg_plan_rows(const mg_plan *plan)
{
    return plan->capacity;
}

void *mg_plan_values(mg_plan *plan, int buffer, int64_t *ld)
{
    if (buffer < 0 || buffer >= plan->n_buffers || plan->buffers[buffer].storage < 0 || !plan->workspace)
        return NULL;
    *ld = plan->buffer_ld[buffer];
    return plan->storages[plan->buffers[buffer].storage] +
           plan->buffers[buffer].offset * (int64_t)plan->real_size;
}
