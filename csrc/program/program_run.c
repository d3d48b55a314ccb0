/* Programs on their own: a run over a batch, and a mean with its gradient. */
#include "program/program_state.h"

/* Below this many ops a second thread costs more than it brings: an op takes about a nanosecond. */
#define PARALLEL_OPS 50000

static int team_size(int64_t parts, int64_t rows, int64_t ops, int threads)
{
    if (ops < PARALLEL_OPS / rows)
        return 1;
    return mg_team_limit(threads < parts ? threads : parts);
}

typedef struct {
    mg_program *program;
    const mg_argument *arguments;
    int64_t rows;
    mg_cut cut;
    char *out;         /* of a run, else NULL */
    double *chunk_sum; /* of a loss: sums of the output */
} pass;

static mg_block block_of(const pass *r, mg_team team)
{
    mg_block block = mg_program_block(r->program, &r->cut, team.index);
    block.arguments = r->arguments;
    block.seed = 1 / (double)r->rows;
    return block;
}

/* Forward only, blocks shared out among the team. */
static void run_body(void *arguments, mg_team team)
{
    const pass *r = arguments;
    const mg_program *p = r->program;
    mg_block block = block_of(r, team);
    const mg_range mine = mg_share((r->rows + r->cut.block_rows - 1) / r->cut.block_rows, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        block.first_row = i * r->cut.block_rows;
        block.rows = r->rows - block.first_row;
        block.rows = block.rows < r->cut.block_rows ? block.rows : r->cut.block_rows;
        block.out_ld = p->source.n_outputs;
        block.out = r->out + (size_t)(block.first_row * block.out_ld) * p->real_size;
        p->kernels->program_forward(&block, p->source.run);
    }
}

/* Forward and backward, block by block while its values are in the cache. */
static void loss_body(void *arguments, mg_team team)
{
    const pass *r = arguments;
    mg_program *p = r->program;
    mg_block block = block_of(r, team);
    const mg_range mine = mg_share(r->cut.chunks, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        const int64_t end = (i + 1) * r->cut.chunk_rows < r->rows ? (i + 1) * r->cut.chunk_rows : r->rows;
        double sum = 0;
        mg_program_chunk_begin(p, &block, i);
        for (int64_t row = i * r->cut.chunk_rows; row < end; row += r->cut.block_rows) {
            block.first_row = row;
            block.rows = end - row < r->cut.block_rows ? end - row : r->cut.block_rows;
            p->kernels->program_forward(&block, p->source.forward);
            for (int64_t j = 0; j < block.rows; j++)
                sum += mg_real_at(p->real_size, block.out, j);
            mg_program_chunk_block(p, &block, i, (row - i * r->cut.chunk_rows) / r->cut.block_rows);
            p->kernels->program_backward(&block, p->source.backward);
        }
        mg_program_chunk_end(p, &block, i);
        r->chunk_sum[i] = sum;
    }
}

int mg_program_run(mg_program *p, const void *parameters, const mg_argument *arguments, int64_t rows,
                   void *out, int threads)
{
    if (rows < 1)
        return MG_BAD_ARGUMENT;
    pass r = {.program = p, .arguments = arguments, .rows = rows, .out = out};
    r.cut = mg_program_cut(p, rows, p->source.run_slots);
    threads = team_size((rows + r.cut.block_rows - 1) / r.cut.block_rows, rows, p->run_ops, threads);
    const int status = mg_program_room(p, &r.cut, p->source.run_slots, threads);
    if (status != MG_OK)
        return status;
    mg_program_uniforms(p, parameters);
    mg_team_run(run_body, &r, threads);
    return MG_OK;
}

int mg_program_loss(mg_program *p, const void *parameters, const mg_argument *arguments, int64_t rows,
                    int threads, double *loss)
{
    if (rows < 1 || p->source.n_outputs != 1)
        return MG_BAD_ARGUMENT;
    double chunk_sum[MG_PROGRAM_CHUNKS];
    pass r = {.program = p, .arguments = arguments, .rows = rows, .chunk_sum = chunk_sum};
    r.cut = mg_program_cut(p, rows, p->source.slots);
    threads = team_size(r.cut.chunks, rows, p->ops, threads);
    const int status = mg_program_room(p, &r.cut, p->source.slots, threads);
    if (status != MG_OK)
        return status;
    mg_program_uniforms(p, parameters);
    mg_team_run(loss_body, &r, threads);
    mg_program_total(p, r.cut.chunks);
    double sum = 0;
    for (int64_t i = 0; i < r.cut.chunks; i++)
        sum += chunk_sum[i];
    *loss = sum / (double)rows;
    p->ready = 1;
    return MG_OK;
}

int mg_program_gradients(const mg_program *p, void *gradients, int accumulate)
{
    if (!p->ready)
        return MG_BAD_ARGUMENT;
    for (int64_t i = 0; i < p->source.n_parameters; i++) {
        if (p->real_size == sizeof(float))
            ((float *)gradients)[i] = (float)p->totals[i] + (accumulate ? ((float *)gradients)[i] : 0);
        else
            ((double *)gradients)[i] = p->totals[i] + (accumulate ? ((double *)gradients)[i] : 0);
    }
    return MG_OK;
}
