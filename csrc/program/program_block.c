/* Programs: how a batch is cut, the memory of a block, and the sums of gradients over the rows. */
#include "machine/memory.h"
#include "program/program_state.h"

/* Rows of a block: as many as let its slots stay in half of a usual L2 cache, but enough to share the
 * cost of decoding an instruction among some vectors.  A program of 43,000 ops and 22,700 slots (float64,
 * AVX-512, forward and backward) ran 220 million ops a second with 8 rows, 970 with 40, 1340 with 88,
 * though its slots were in the L3 cache then. */
#define BLOCK_BYTES (512 * 1024)
#define LEAST_ROWS 64

static int64_t rounded_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Slots lie an odd number of cache lines apart, so that they do not meet in the same sets of the L1
 * cache. */
mg_cut mg_program_cut(const mg_program *p, int64_t rows, int64_t slots)
{
    const int64_t lanes = p->kernels->lanes, line = 64 / (int64_t)p->real_size;
    int64_t block = BLOCK_BYTES / (int64_t)p->real_size / (slots + 1) / lanes * lanes;
    block = block < LEAST_ROWS ? LEAST_ROWS : block > MG_MOST_ROWS ? MG_MOST_ROWS : block;
    if (rows < block)
        block = rounded_up(rows, lanes);
    const int64_t lines = rounded_up(block, line) / line;
    const int64_t chunk = rounded_up((rows + MG_PROGRAM_CHUNKS - 1) / MG_PROGRAM_CHUNKS, block);
    return (mg_cut){block, (lines | 1) * line, (rows + chunk - 1) / chunk, chunk};
}

int mg_program_room(mg_program *p, const mg_cut *cut, int64_t slots, int threads)
{
    const size_t vector = p->real_size * (size_t)p->kernels->lanes;
    const size_t sums = (size_t)rounded_up((int64_t)((size_t)p->n_scalars * vector), 64);
    const size_t inside = (size_t)slots * (size_t)cut->stride * p->real_size + 64;
    const size_t staged = MG_STAGED * (size_t)cut->stride * p->real_size + 64;
    const size_t each = (size_t)rounded_up((int64_t)(sums + inside + staged), 64);
    if (each > SIZE_MAX / 4 / (size_t)threads)
        return MG_OUT_OF_MEMORY;
    if (each * (size_t)threads > p->workspace_bytes) {
        void *memory = mg_memory_new(each * (size_t)threads);
        if (!memory)
            return MG_OUT_OF_MEMORY;
        memset(memory, 0, each * (size_t)threads);
        mg_memory_free(p->workspace);
        p->workspace = memory;
        p->workspace_bytes = each * (size_t)threads;
    }
    p->thread_bytes = each;
    p->sums_bytes = sums;
    p->slots_bytes = inside;
    return MG_OK;
}

mg_block mg_program_block(const mg_program *p, const mg_cut *cut, int member)
{
    char *mine = p->workspace + (size_t)member * p->thread_bytes;
    return (mg_block){.stride = cut->stride,
                      .slots = mine + p->sums_bytes,
                      .scalars = p->scalars,
                      .sums = mine,
                      .totals = p->totals,
                      .out = mine + p->sums_bytes + p->slots_bytes,
                      .out_ld = 1};
}

void *mg_program_staged(const mg_program *p, const mg_block *block, int column)
{
    char *first = (char *)block->slots + p->slots_bytes;
    return first + (size_t)(column * block->stride) * p->real_size;
}

/* One vector of rows, all of them the same, of which one counts. */
static mg_block uniform_block(const mg_program *p)
{
    return (mg_block){.rows = 1,
                      .stride = p->kernels->lanes,
                      .slots = p->uniform_slots,
                      .scalars = p->scalars,
                      .sums = p->uniform_sums,
                      .totals = p->totals};
}

void mg_program_uniforms(mg_program *p, const void *parameters)
{
    if (p->source.n_parameters)
        memcpy(p->scalars, parameters, (size_t)p->source.n_parameters * p->real_size);
    const mg_block block = uniform_block(p);
    p->kernels->program_forward(&block, p->source.uniform);
}

void mg_program_chunk_begin(const mg_program *p, mg_block *block, int64_t chunk)
{
    memset(block->sums, 0, p->sums_bytes);
    memset(p->chunk_totals + chunk * p->n_scalars, 0, (size_t)p->n_scalars * sizeof *p->chunk_totals);
}

void mg_program_chunk_end(const mg_program *p, const mg_block *block, int64_t chunk)
{
    p->kernels->program_reduce(p->n_scalars, block->sums, p->chunk_totals + chunk * p->n_scalars);
}

/* Blocks whose gradients are added up in reals, in a chain for each lane; what these come to is added up in
 * double.  One chain over 20 million rows was off by a thousandth in float32. */
#define CHAIN_BLOCKS 16

void mg_program_chunk_block(const mg_program *p, mg_block *block, int64_t chunk, int64_t number)
{
    if (number == 0 || number % CHAIN_BLOCKS != 0)
        return;
    mg_program_chunk_end(p, block, chunk);
    memset(block->sums, 0, p->sums_bytes);
}

void mg_program_total(mg_program *p, int64_t chunks)
{
    memcpy(p->totals, p->chunk_totals, (size_t)p->n_scalars * sizeof *p->totals);
    for (int64_t i = 1; i < chunks; i++)
        for (int64_t j = 0; j < p->n_scalars; j++)
            p->totals[j] += p->chunk_totals[i * p->n_scalars + j];
    if (!p->source.uniform_backward.length)
        return;
    const mg_block block = uniform_block(p);
    memset(p->uniform_sums, 0, (size_t)p->n_scalars * p->real_size * (size_t)p->kernels->lanes);
    p->kernels->program_backward(&block, p->source.uniform_backward);
    p->kernels->program_reduce(p->n_scalars, p->uniform_sums, p->totals);
}
