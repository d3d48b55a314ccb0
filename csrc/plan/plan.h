/* The inside of a plan, for plan.c (making it), plan_check.c, workspace.c (memory), ops.c (ops), steps.c
 * (passes), predict.c (what has no backward pass) and train.c (training steps). */
#ifndef MG_PLAN_H
#define MG_PLAN_H

#include "plan/update.h"

/* What one run of the ops works on: where the input is, how many rows, and the first row of the
 * workspace that it may use. */
typedef struct {
    const mg_sparse_columns *sparse; /* the input, where it is sparse: x is not there then */
    const void *x;
    int64_t x_ld, rows, first_row;
    double scale;    /* 1 / total weight */
    char *scratch;   /* of the matrix multiplications */
    int member;      /* of a larger team, whose workspace in a program a team of one uses */
    uint64_t random; /* what dropout masks depend on: seed and step, mixed */
    const mg_batch *batch;
} mg_run;

/* Rows whose products are added up in a chain of blocks (see gemm_template.h), 85 or so of them.  Twenty
 * million rows are then 611 such sums, which are added up in a chain; all blocks in one would be 52,000. */
enum { MG_SUMMED_ROWS = 1 << 15 };

/* Sparse rows of one batch, sorted by columns: a copy, so whatever becomes of the caller's arrays, what is
 * in here stays within bounds. */
typedef struct {
    mg_sparse_columns columns;
    int64_t entries, capacity;
    char *memory;
} mg_staged;

struct mg_plan {
    const mg_kernels *kernels;
    size_t real_size;
    int n_ops, n_buffers, n_storages;
    int loss_op; /* the ops before it are the forward pass, those behind it the backward pass; n_ops: none */
    mg_op *ops;
    mg_buffer *buffers;
    int64_t *buffer_ld, *storage_ld; /* a storage is as wide as the widest buffer in it */
    int64_t n_parameters;
    int64_t first_scalar;            /* the parameters from here on are those of programs */
    int64_t multiplications_per_row; /* of one forward pass: what decides on threads */
    char *parameters, *gradients;
    uint64_t seed, step;
    int64_t first_row; /* in the whole batch, of which this plan may have a part */
    double dropout;    /* a factor of all rates */

    const char **panels; /* of each op, the weights laid out for reading; NULL for those that are read */
    char *laid_out;      /* what they point into, where it is this plan's own */
    int64_t capacity;    /* rows that the workspace has room for */
    int threads;         /* members of a team that the scratch has room for */
    char *workspace;     /* the one allocation that all of the following point into */
    size_t workspace_bytes;
    char **storages;
    char *scratch;
    size_t scratch_bytes; /* of a team of one */
    double *row_loss;
    char *partial; /* a weight matrix, where there are more rows than MG_SUMMED_ROWS */
    char *staged_x, *staged_targets, *staged_weights; /* the batch that mg_plan_train gathers */
    int64_t *staged_labels;
    int stages_x; /* there has to be a staged_x: a network that trains on sparse rows has no use for it */
    mg_staged
        sparse[2]; /* the sparse rows of the pass that is cached, and of the one that is being checked */
    int64_t sparse_work; /* multiply-adds of the first, or as long: what decides on threads */

    mg_run last;            /* what mg_plan_backward goes back over */
    int found[MG_MAX_TEAM]; /* what each member found wrong with its share of the input */
    int64_t found_row[MG_MAX_TEAM], found_column[MG_MAX_TEAM];
};

int mg_plan_fits(const mg_plan *plan); /* its ops and buffers hold together */
/* Of layers that work column by column: whether an op holds together, and running it. */
int mg_columns_fit(const mg_plan *plan, const mg_op *op);
void mg_run_columns(const mg_plan *plan, const mg_run *run, const mg_op *op, int accumulate, mg_team team);
int64_t mg_columns_parameters(const mg_op *op, int64_t in); /* of an input of so many columns */
int mg_plan_reserve(mg_plan *plan, int64_t rows, int threads);
void mg_plan_thaw(mg_plan *plan); /* frees what mg_plan_freeze has made */
int mg_plan_has_loss(const mg_plan *plan);
int mg_plan_goes_back(const mg_plan *plan); /* there is a backward pass */
int mg_plan_output(const mg_plan *plan); /* the buffer that the forward pass ends in, which a loss compares */

int64_t mg_plan_target_columns(const mg_plan *plan);
/* Room for a pass over so many rows in a workspace for `capacity`, and the programs ready for it.  All that
 * can fail comes first: after MG_OUT_OF_MEMORY the pass that is cached can still be gone back over. */
int mg_plan_prepare(mg_plan *plan, int64_t capacity, int64_t rows, int threads);
void mg_plan_clear_scalars(const mg_plan *plan); /* their gradients, which only ever add up */

/* Sparse rows, in sparse.c. */
int mg_sparse_fits(const mg_plan *plan, const mg_batch *batch);
int mg_sparse_check(const mg_plan *plan, const mg_batch *batch, mg_result *result);
/* The rows `index` of a batch, or `rows` from `first` on where it is NULL, into plan->sparse[1]. */
int mg_sparse_stage(mg_plan *plan, const mg_batch *batch, const int64_t *index, int64_t first, int64_t rows,
                    mg_result *result);
void mg_sparse_take(mg_plan *plan, int64_t rows); /* from now on they are plan->sparse[0] */
void mg_sparse_free(mg_plan *plan);
int mg_sparse_team(const mg_plan *plan, int threads); /* as many as the work pays for */
/* As gemm for the first layer: C = X @ B.T, finished by g's epilogue; C (+)= alpha * A @ X. */
void mg_sparse_forward(const mg_plan *plan, const mg_run *run, const mg_gemm *g, mg_team team);
void mg_sparse_weight(const mg_plan *plan, const mg_run *run, const mg_gemm *g, mg_team team);

mg_matrix mg_run_values(const mg_plan *plan, const mg_run *run, int buffer);
/* Whether each of its elements, of so many bytes, lies where the compiler takes it to lie; no array does. */
static inline int mg_aligned(const void *array, size_t size)
{
    return (uintptr_t)array % size == 0;
}

mg_matrix mg_matrix_rows(mg_matrix x, size_t real_size, mg_range rows);
/* Ops [first, last), by all members of a team together. */
void mg_run_ops(const mg_plan *plan, const mg_run *run, int first, int last, int accumulate, mg_team team);

/* What steps.c, predict.c and train.c have in common. */
/* The power of two by which weights with this sum are multiplied, so that neither they times a gradient nor 1
 * over their sum leaves the range of a float: 1, but for sums far from 1. */
double mg_weight_unit(double total_weight);
/* mg_plan_train_batches, whose steps `result` remembers beside those that it has of batches before. */
int mg_plan_train_more(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                       int64_t batch_rows, const mg_constraints *constraints, mg_optimizer *optimizer,
                       int threads, double *totals, mg_result *result);
void mg_stage_weight(const mg_plan *plan, int64_t row, double weight);
int mg_team_size(const mg_plan *plan, int64_t rows, int threads); /* as many as the work pays for */
int mg_team_for(const mg_plan *plan, int64_t multiplications, int threads);
mg_run mg_run_of(const mg_plan *plan, const mg_batch *batch);
double mg_mean_loss(const mg_plan *plan, const mg_run *run);
/* The first element of x that is no finite number; x is known to have one. */
void mg_locate(const mg_plan *plan, mg_matrix x, int64_t *row, int64_t *column);
int mg_targets_fit(const mg_plan *plan, const mg_batch *batch); /* a loss needs what it compares with */

#endif
