/* The inside of a program, for program.c (making it), program_check.c, program_block.c (memory, sums),
 * program_run.c (batches) and program_ops.c (ops of a plan). */
#ifndef MG_PROGRAM_STATE_H
#define MG_PROGRAM_STATE_H

#include "kernels/kernels.h"

/* Sums over the rows are made of so many chunks at most: no more threads have something to do. */
enum { MG_PROGRAM_CHUNKS = 32 };

struct mg_program {
    const mg_kernels *kernels;
    size_t real_size;
    mg_program_source source; /* with copies of everything it points to */
    int64_t n_scalars;
    int64_t ops, run_ops; /* of a row: forward and backward, forward only */
    int32_t *code;
    double *constants;
    int64_t *argument_columns;

    char *scalars;        /* (n_scalars) */
    char *uniform_slots;  /* a vector each */
    char *uniform_sums;   /* (n_scalars) vectors, for the backward pass over the uniforms */
    double *totals;       /* (n_scalars): the gradient of the last loss */
    double *chunk_totals; /* (MG_PROGRAM_CHUNKS, n_scalars) */
    char *workspace;      /* for each thread: sums, slots and some columns of a block; see mg_program_block */
    size_t workspace_bytes, thread_bytes, sums_bytes, slots_bytes;
    int ready; /* totals hold the gradient of a loss */
};

/* How a batch is cut: into chunks, and these into blocks of rows.  Neither depends on the number of
 * threads: a chunk sums up its gradients on its own, the chunks are added in their order, and so the
 * result has the same bits however many threads there are. */
typedef struct {
    int64_t block_rows, stride, chunks, chunk_rows;
} mg_cut;

int mg_program_source_fits(const mg_program_source *source);
mg_cut mg_program_cut(const mg_program *p, int64_t rows, int64_t slots);
/* Room for blocks of this cut, for so many threads. */
int mg_program_room(mg_program *p, const mg_cut *cut, int64_t slots, int threads);

/* Columns of a block beside its slots, `stride` reals each. */
enum { MG_STAGED_OUT, MG_STAGED_SEEDS, MG_STAGED_INPUT, MG_STAGED_GRADIENT, MG_STAGED };

/* A block without its rows, in a thread's part of the workspace; `out` is its first staged column. */
mg_block mg_program_block(const mg_program *p, const mg_cut *cut, int member);
void *mg_program_staged(const mg_program *p, const mg_block *block, int column);

/* The scalars, for a pass over rows: parameters as they are now, and what is computed from them. */
void mg_program_uniforms(mg_program *p, const void *parameters);
/* Sums of a chunk begin at zero, and go into its totals now and then: before a block of it, and at its end. */
void mg_program_chunk_begin(const mg_program *p, mg_block *block, int64_t chunk);
void mg_program_chunk_block(const mg_program *p, mg_block *block, int64_t chunk, int64_t number);
void mg_program_chunk_end(const mg_program *p, const mg_block *block, int64_t chunk);
/* totals = the sum of the chunks, passed on through the uniforms. */
void mg_program_total(mg_program *p, int64_t chunks);

#endif
