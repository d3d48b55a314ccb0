/* What needs no backward pass: outputs and losses of any number of rows, in blocks. */
#include <stdlib.h>

#include "plan/plan.h"

/* Rows of a block: enough for whole tiles, few enough for the activations to stay in L2. */
#define BLOCK_ROWS 168

/* The same of sparse rows: each block reads all the weights that it needs, in columns. */
#define SPARSE_BLOCK_ROWS 2048

typedef struct {
    mg_plan *plan;
    const mg_batch *batch;
    char *out;            /* (rows, outputs), or NULL */
    double *loss, *right; /* of each block, or NULL */
    mg_result *result;
} prediction;

static int64_t block_rows(const mg_batch *batch)
{
    return batch->sparse ? SPARSE_BLOCK_ROWS : BLOCK_ROWS;
}

static int64_t blocks_of(const mg_batch *batch)
{
    return (batch->rows + block_rows(batch) - 1) / block_rows(batch);
}

/* The rows of one block of a batch. */
static mg_batch part_of(const mg_plan *plan, const mg_batch *batch, int64_t row)
{
    const int64_t size = (int64_t)plan->real_size, most = block_rows(batch);
    mg_batch part = *batch;
    part.rows = batch->rows - row < most ? batch->rows - row : most;
    if (!batch->sparse)
        part.x = (const char *)batch->x + row * batch->x_ld * size;
    if (batch->labels)
        part.labels = (const int64_t *)batch->labels + row;
    if (batch->targets)
        part.targets = (const char *)batch->targets + row * batch->targets_ld * size;
    if (batch->weights)
        part.weights = (const char *)batch->weights + row * size;
    return part;
}

/* The column of the largest of `columns` numbers, the first of equals. */
static int64_t largest(const mg_plan *plan, const void *row, int64_t columns)
{
    int64_t best = 0;
    for (int64_t j = 1; j < columns; j++)
        if (mg_real_at(plan->real_size, row, j) > mg_real_at(plan->real_size, row, best))
            best = j;
    return best;
}

/* The weight of the rows whose largest output is their class. */
static double right_rows(const mg_plan *plan, const mg_batch *part, mg_matrix z)
{
    const int64_t size = (int64_t)plan->real_size;
    double right = 0;
    for (int64_t i = 0; i < z.rows; i++) {
        const int64_t class =
            part->labels
                ? ((const int64_t *)part->labels)[i]
                : largest(plan, (const char *)part->targets + i * part->targets_ld * size, z.columns);
        if (largest(plan, (const char *)z.data + i * z.ld * size, z.columns) == class)
            right += part->weights ? mg_real_at(plan->real_size, part->weights, i) : 1;
    }
    return right;
}

static void finish_block(const mg_plan *plan, const prediction *p, const mg_run *run, int64_t block)
{
    const mg_matrix y = mg_run_values(plan, run, mg_plan_output(plan));
    const int64_t size = (int64_t)plan->real_size;
    if (p->out)
        for (int64_t i = 0; i < y.rows; i++)
            memcpy(p->out + (block * block_rows(p->batch) + i) * y.columns * size,
                   (char *)y.data + i * y.ld * size, (size_t)(y.columns * size));
    if (!p->loss)
        return;
    p->loss[block] = mg_mean_loss(plan, run);
    p->right[block] =
        plan->ops[plan->loss_op].function == MG_CROSS_ENTROPY ? right_rows(plan, run->batch, y) : 0;
}

/* Each member takes its own blocks, in its own part of the workspace. */
static void predict_body(void *arguments, mg_team team)
{
    const prediction *p = arguments;
    mg_plan *plan = p->plan;
    const mg_team alone = {0, 1};
    const mg_range blocks = mg_share((p->batch->rows + BLOCK_ROWS - 1) / BLOCK_ROWS, team);
    plan->found[team.index] = MG_OK;
    for (int64_t block = blocks.first; block < blocks.last; block++) {
        const mg_batch part = part_of(plan, p->batch, block * BLOCK_ROWS);
        mg_run run = mg_run_of(plan, &part);
        run.first_row = team.index * BLOCK_ROWS;
        run.member = team.index;
        run.scratch = plan->scratch + (size_t)team.index * plan->scratch_bytes;
        const mg_matrix x = mg_run_values(plan, &run, 0);
        if (!plan->kernels->all_finite(x, 1)) {
            plan->found[team.index] = MG_INPUT_NOT_FINITE;
            mg_locate(plan, x, &plan->found_row[team.index], &plan->found_column[team.index]);
            plan->found_row[team.index] += block * BLOCK_ROWS;
            return;
        }
        mg_run_ops(plan, &run, 0, plan->loss_op + (p->loss != NULL), 0, alone);
        finish_block(plan, p, &run, block);
    }
}

/* A block of sparse rows, whose outputs the members share out. */
typedef struct {
    const mg_plan *plan;
    mg_run run;
    int last;
} sparse_block;

static void sparse_body(void *arguments, mg_team team)
{
    const sparse_block *b = arguments;
    mg_run_ops(b->plan, &b->run, 0, b->last, 0, team);
}

static int run_sparse(prediction *p, int threads)
{
    mg_plan *plan = p->plan;
    const mg_batch *batch = p->batch;
    const int64_t most = batch->rows < SPARSE_BLOCK_ROWS ? batch->rows : SPARSE_BLOCK_ROWS;
    threads = mg_team_limit(threads);
    int status = mg_sparse_fits(plan, batch) ? mg_plan_prepare(plan, most, most, threads) : MG_BAD_ARGUMENT;
    for (int64_t block = 0; status == MG_OK && block < blocks_of(batch); block++) {
        const int64_t first = block * SPARSE_BLOCK_ROWS;
        const mg_batch part = part_of(plan, batch, first);
        status = mg_sparse_stage(plan, batch, NULL, first, part.rows, p->result);
        if (status != MG_OK)
            return status;
        mg_sparse_take(plan, part.rows);
        sparse_block b = {plan, mg_run_of(plan, &part), plan->loss_op + (p->loss != NULL)};
        b.run.scratch = plan->scratch;
        b.run.sparse = &plan->sparse[0].columns;
        mg_team_run(sparse_body, &b, mg_sparse_team(plan, threads));
        finish_block(plan, p, &b.run, block);
    }
    return status;
}

static int run_blocks(prediction *p, int threads)
{
    mg_plan *plan = p->plan;
    const mg_batch *batch = p->batch;
    if (batch->sparse)
        return run_sparse(p, threads);
    threads = mg_team_size(plan, batch->rows, threads);
    const int64_t blocks = (batch->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    threads = threads > blocks ? (blocks > 1 ? (int)blocks : 1) : threads;
    const int64_t rows = threads > 1 || batch->rows > BLOCK_ROWS ? BLOCK_ROWS : batch->rows;
    int status = mg_plan_prepare(plan, rows * threads, rows, threads);
    if (status != MG_OK)
        return status;
    for (int i = 0; i < threads; i++)
        plan->found[i] = MG_OK;
    mg_team_run(predict_body, p, threads);
    for (int i = 0; i < threads; i++)
        if (plan->found[i] != MG_OK) {
            p->result->row = plan->found_row[i];
            p->result->column = plan->found_column[i];
            return plan->found[i];
        }
    return MG_OK;
}

int mg_plan_predict(mg_plan *plan, const mg_batch *batch, void *out, int threads, mg_result *result)
{
    if (mg_plan_goes_back(plan))
        return MG_BAD_ARGUMENT;
    prediction p = {.plan = plan, .batch = batch, .out = out, .result = result};
    return run_blocks(&p, threads);
}

int mg_plan_predict_rows(mg_plan *plan, const void *x, int64_t rows, void *out, int threads,
                         mg_result *result)
{
    const mg_batch batch = {
        .x = x, .x_ld = plan->buffers[0].columns, .rows = rows, .total_weight = (double)rows};
    if (!mg_aligned(x, plan->real_size) || !mg_aligned(out, plan->real_size))
        return MG_NOT_ALIGNED;
    return mg_plan_predict(plan, &batch, out, threads, result);
}

int mg_plan_evaluate(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result)
{
    if (mg_plan_goes_back(plan) || !mg_targets_fit(plan, batch))
        return MG_BAD_ARGUMENT;
    int status = mg_plan_check(plan, batch, result);
    if (status != MG_OK)
        return status;
    const int64_t blocks = blocks_of(batch);
    double *sums = calloc((size_t)blocks + 1, 2 * sizeof *sums);
    if (!sums)
        return MG_OUT_OF_MEMORY;
    prediction p = {.plan = plan, .batch = batch, .loss = sums, .right = sums + blocks, .result = result};
    status = run_blocks(&p, threads);
    if (status == MG_OK) {
        result->loss = result->right = 0;
        for (int64_t i = 0; i < blocks; i++) { /* in their order, whoever ran them */
            result->loss += p.loss[i];
            result->right += p.right[i] / batch->total_weight;
        }
    }
    free(sums);
    return status;
}
