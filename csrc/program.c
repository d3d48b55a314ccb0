/* Programs: checking their instructions, the memory they work in, and running them over a batch.
 *
 * A batch is cut into chunks, and these into blocks of rows.  Neither depends on the number of threads:
 * a chunk sums up its gradients on its own, the chunks are added in their order, and so the result has
 * the same bits however many threads there are. */
#include <stdlib.h>

#include "kernels.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* At most so many threads have something to do. */
enum { MAX_CHUNKS = 32 };

/* Rows of a block: as many as let its slots stay in half of a usual L2 cache, but enough to share the
 * cost of decoding an instruction among some vectors.  A program of 43,000 ops and 22,700 slots (float64,
 * AVX-512, forward and backward) ran 220 million ops a second with 8 rows, 970 with 40, 1340 with 88,
 * though its slots were in the L3 cache then. */
#define BLOCK_BYTES (512 * 1024)
#define LEAST_ROWS 64
#define MOST_ROWS 128
/* Below this many ops a second thread costs more than it brings: an op takes about a nanosecond. */
#define PARALLEL_OPS 50000

struct mg_program {
    const mg_kernels *kernels;
    size_t real_size;
    mg_program_source source; /* with copies of everything it points to */
    int64_t n_scalars, ops;   /* of a row, forward and backward */
    int32_t *code;
    double *constants;
    int64_t *argument_columns;

    char *scalars;        /* (n_scalars) */
    char *uniform_slots;  /* a vector each */
    double *totals;       /* (n_scalars): the gradient of the last loss */
    double *chunk_totals; /* (MAX_CHUNKS, n_scalars) */
    char *workspace;      /* for each thread: sums, slots and the outputs of a block */
    size_t workspace_bytes, thread_bytes, sums_bytes, slots_bytes;
    int ready; /* totals hold the gradient of a loss */
};

/* ---- checking ---- */

typedef struct {
    int64_t n_scalars, slots;
    int backward, uniform;
} frame;

static int operand_fits(const frame *f, int32_t operand)
{
    return operand >= 0 ? operand < f->slots : ~operand < f->n_scalars;
}

static int sink_fits(const frame *f, int32_t sink)
{
    if (sink == MG_NO_SINK)
        return 1;
    return sink >= 0 ? sink / 2 < f->slots : -2 - (int64_t)sink < f->n_scalars;
}

static int arity_fits(int op, int n)
{
    switch (op) {
    case MG_OP_DOT: return n % 2 == 1;
    case MG_OP_SUM: return n > 0;
    case MG_OP_WHERE: return n == 3;
    case MG_OP_INPUT: return n == 2;
    case MG_OP_DETACH:
    case MG_OP_OUTPUT:
    case MG_OP_KEEP: return n == 1;
    default: return n == (op >= MG_OP_NEG && op <= MG_OP_GELU ? 1 : 2);
    }
}

/* Where an instruction puts its result, or what takes that place. */
static int destination_fits(const mg_program_source *s, const frame *f, int op, int32_t to)
{
    if (op == MG_OP_OUTPUT)
        return to >= 0 && to < s->n_outputs && !f->uniform;
    if (op == MG_OP_KEEP)
        return f->uniform && to >= s->n_parameters + s->n_constants && to < f->n_scalars;
    return f->backward ? to >= MG_NO_SLOT && to < f->slots : to >= 0 && to < f->slots;
}

static int instruction_fits(const mg_program_source *s, const frame *f, const int32_t *at)
{
    const int op = at[0], n = at[1], head = f->backward ? 5 : 3;
    if (!arity_fits(op, n) || !destination_fits(s, f, op, at[2]))
        return 0;
    if (op == MG_OP_INPUT)
        return !f->backward && !f->uniform && at[3] >= 0 && at[3] < s->n_arguments && at[4] >= 0 &&
               at[4] < s->argument_columns[at[3]];
    for (int i = 0; i < n; i++)
        if (!operand_fits(f, at[head + i]) || (f->backward && !sink_fits(f, at[head + n + i])))
            return 0;
    if (op == MG_OP_KEEP && !f->backward && at[3] < 0)
        return 0;
    if (!f->backward || op == MG_OP_OUTPUT || op == MG_OP_KEEP)
        return 1;
    return at[3] >= 0 && at[3] < f->slots && at[4] >= MG_NO_SLOT && at[4] < f->slots;
}

static int code_fits(const mg_program_source *s, const frame *f, mg_code code)
{
    const int head = f->backward ? 5 : 3, each = f->backward ? 2 : 1;
    int64_t at = 0;
    while (at < code.length) {
        const int32_t *c = code.code + at;
        if (code.length - at < head || c[0] < 0 || c[0] >= MG_OPS || c[1] < 1 ||
            c[1] > (code.length - at - head) / each || !instruction_fits(s, f, c))
            return 0;
        at += head + (int64_t)each * c[1];
    }
    return 1;
}

static int source_fits(const mg_program_source *s)
{
    if (s->n_parameters < 0 || s->n_constants < 0 || s->n_uniforms < 0 || s->n_arguments < 0 ||
        s->n_outputs < 1 || s->uniform_slots < 0 || s->slots < 0 || s->run_slots < 0)
        return 0;
    const int64_t scalars = (int64_t)s->n_parameters + s->n_constants + s->n_uniforms;
    const frame uniform = {scalars, s->uniform_slots, 0, 1},
                uniform_backward = {scalars, s->uniform_slots, 1, 1};
    const frame forward = {scalars, s->slots, 0, 0}, backward = {scalars, s->slots, 1, 0};
    const frame run = {scalars, s->run_slots, 0, 0};
    return scalars < INT32_MAX / 2 && code_fits(s, &uniform, s->uniform) &&
           code_fits(s, &uniform_backward, s->uniform_backward) && code_fits(s, &forward, s->forward) &&
           code_fits(s, &backward, s->backward) && code_fits(s, &run, s->run);
}

/* ---- making and freeing ---- */

static void *aligned(size_t count, size_t size)
{
    void *memory = NULL;
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    if (posix_memalign(&memory, 64, count * size + 64))
        return NULL;
    memset(memory, 0, count * size + 64);
    return memory;
}

static int copy_source(mg_program *p, const mg_program_source *s)
{
    mg_code *codes[] = {&p->source.uniform, &p->source.uniform_backward, &p->source.forward,
                        &p->source.backward, &p->source.run};
    size_t length = 0;
    p->source = *s;
    for (int i = 0; i < 5; i++) {
        if (codes[i]->length < 0 || codes[i]->length > INT32_MAX)
            return 0;
        length += (size_t)codes[i]->length;
    }
    if (s->n_constants < 0 || s->n_arguments < 0)
        return 0;
    p->code = aligned(length, sizeof *p->code);
    p->constants = aligned((size_t)s->n_constants, sizeof *p->constants);
    p->argument_columns = aligned((size_t)s->n_arguments, sizeof *p->argument_columns);
    if (!p->code || !p->constants || !p->argument_columns)
        return 0;
    int32_t *to = p->code;
    for (int i = 0; i < 5; i++) {
        if (codes[i]->length)
            memcpy(to, codes[i]->code, (size_t)codes[i]->length * sizeof *to);
        codes[i]->code = to;
        to += codes[i]->length;
    }
    for (int i = 0; i < s->n_constants; i++)
        p->constants[i] = s->constants[i];
    for (int i = 0; i < s->n_arguments; i++)
        p->argument_columns[i] = s->argument_columns[i];
    p->source.constants = p->constants;
    p->source.argument_columns = p->argument_columns;
    return 1;
}

/* The scalar at i becomes x, rounded. */
static void set_scalar(mg_program *p, int64_t i, double x)
{
    if (p->real_size == sizeof(float))
        ((float *)p->scalars)[i] = (float)x;
    else
        ((double *)p->scalars)[i] = x;
}

static int64_t operations(mg_code code, int head, int each)
{
    int64_t sum = 0;
    for (int64_t at = 0; at < code.length; at += head + (int64_t)each * code.code[at + 1])
        sum += code.code[at + 1];
    return sum;
}

mg_program *mg_program_new(int isa, int dtype, const mg_program_source *source)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    mg_program *p = kernels ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->kernels = kernels;
    p->real_size = dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
    if (!copy_source(p, source) || !source_fits(&p->source)) {
        mg_program_free(p);
        return NULL;
    }
    p->n_scalars = (int64_t)source->n_parameters + source->n_constants + source->n_uniforms;
    p->ops = operations(p->source.forward, 3, 1) + operations(p->source.backward, 5, 2);
    const size_t n = (size_t)p->n_scalars;
    p->scalars = aligned(n, p->real_size);
    p->uniform_slots = aligned((size_t)source->uniform_slots, p->real_size * (size_t)kernels->lanes);
    p->totals = aligned(n, sizeof *p->totals);
    p->chunk_totals = aligned(n, sizeof *p->chunk_totals * MAX_CHUNKS);
    if (!p->scalars || !p->uniform_slots || !p->totals || !p->chunk_totals) {
        mg_program_free(p);
        return NULL;
    }
    for (int64_t i = 0; i < source->n_constants; i++)
        set_scalar(p, source->n_parameters + i, source->constants[i]);
    return p;
}

void mg_program_free(mg_program *p)
{
    if (!p)
        return;
    free(p->code);
    free(p->constants);
    free(p->argument_columns);
    free(p->scalars);
    free(p->uniform_slots);
    free(p->totals);
    free(p->chunk_totals);
    free(p->workspace);
    free(p);
}

int64_t mg_program_workspace_bytes(const mg_program *p)
{
    return (int64_t)p->workspace_bytes;
}

/* ---- running ---- */

static int64_t rounded_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* How a batch is cut. */
typedef struct {
    int64_t block_rows, stride, chunks, chunk_rows;
} cut;

/* Blocks; slots an odd number of cache lines apart, so that they
 * do not meet in the same sets of the L1 cache. */
static cut cut_batch(const mg_program *p, int64_t rows, int64_t slots)
{
    const int64_t lanes = p->kernels->lanes, line = 64 / (int64_t)p->real_size;
    int64_t block = BLOCK_BYTES / (int64_t)p->real_size / (slots + 1) / lanes * lanes;
    block = block < LEAST_ROWS ? LEAST_ROWS : block > MOST_ROWS ? MOST_ROWS : block;
    if (rows < block)
        block = rounded_up(rows, lanes);
    const int64_t lines = rounded_up(block, line) / line;
    const int64_t chunk = rounded_up((rows + MAX_CHUNKS - 1) / MAX_CHUNKS, block);
    return (cut){block, (lines | 1) * line, (rows + chunk - 1) / chunk, chunk};
}

static int reserve(mg_program *p, const cut *c, int64_t slots, int threads)
{
    const size_t vector = p->real_size * (size_t)p->kernels->lanes;
    const size_t sums = rounded_up((int64_t)((size_t)p->n_scalars * vector), 64);
    const size_t inside = (size_t)slots * (size_t)c->stride * p->real_size + 64;
    const size_t out = (size_t)c->block_rows * p->real_size + 64;
    const size_t each = (size_t)rounded_up((int64_t)(sums + inside + out), 64);
    if (each > SIZE_MAX / 4 / (size_t)threads)
        return MG_OUT_OF_MEMORY;
    if (each * (size_t)threads > p->workspace_bytes) {
        char *memory = aligned((size_t)threads, each);
        if (!memory)
            return MG_OUT_OF_MEMORY;
        free(p->workspace);
        p->workspace = memory;
        p->workspace_bytes = each * (size_t)threads;
    }
    p->thread_bytes = each;
    p->sums_bytes = sums;
    p->slots_bytes = inside;
    return MG_OK;
}

static int team_size(const mg_program *p, int64_t parts, int64_t rows, int64_t ops, int threads)
{
    const int limit = mg_max_threads();
    (void)p;
    threads = threads < limit ? threads : limit;
    threads = threads < parts ? threads : (int)parts;
    return threads < 1 || ops < PARALLEL_OPS / rows ? 1 : threads;
}

/* One vector of rows, all of them the same, of which one counts. */
static mg_block uniform_block(mg_program *p)
{
    return (mg_block){.rows = 1,
                      .stride = p->kernels->lanes,
                      .slots = p->uniform_slots,
                      .scalars = p->scalars,
                      .sums = p->workspace,
                      .totals = p->totals};
}

static void compute_uniforms(mg_program *p, const void *parameters)
{
    if (p->source.n_parameters)
        memcpy(p->scalars, parameters, (size_t)p->source.n_parameters * p->real_size);
    const mg_block block = uniform_block(p);
    p->kernels->program_forward(&block, p->source.uniform);
}

typedef struct {
    mg_program *program;
    const mg_argument *arguments;
    int64_t rows;
    cut cut;
    char *out;         /* of a run, else NULL */
    double *chunk_sum; /* of a loss: sums of the output */
} pass;

static double value_at(const mg_program *p, const void *x, int64_t i)
{
    return p->real_size == sizeof(float) ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static mg_block block_of(const pass *r, mg_team team)
{
    mg_program *p = r->program;
    char *mine = p->workspace + (size_t)team.index * p->thread_bytes;
    return (mg_block){.stride = r->cut.stride,
                      .slots = mine + p->sums_bytes,
                      .scalars = p->scalars,
                      .sums = mine,
                      .totals = p->totals,
                      .arguments = r->arguments,
                      .out = mine + p->sums_bytes + p->slots_bytes,
                      .out_ld = 1,
                      .seed = 1 / (double)r->rows};
}

/* Forward only, blocks shared out among the team. */
static void run_body(const pass *r, mg_team team)
{
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
static void loss_body(const pass *r, mg_team team)
{
    const mg_program *p = r->program;
    mg_block block = block_of(r, team);
    const mg_range mine = mg_share(r->cut.chunks, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        const int64_t end = (i + 1) * r->cut.chunk_rows < r->rows ? (i + 1) * r->cut.chunk_rows : r->rows;
        double *totals = p->chunk_totals + i * p->n_scalars;
        memset(block.sums, 0, p->sums_bytes);
        memset(totals, 0, (size_t)p->n_scalars * sizeof *totals);
        double sum = 0;
        for (int64_t row = i * r->cut.chunk_rows; row < end; row += r->cut.block_rows) {
            block.first_row = row;
            block.rows = end - row < r->cut.block_rows ? end - row : r->cut.block_rows;
            p->kernels->program_forward(&block, p->source.forward);
            for (int64_t j = 0; j < block.rows; j++)
                sum += value_at(p, block.out, j);
            p->kernels->program_backward(&block, p->source.backward);
        }
        p->kernels->program_reduce(p->n_scalars, block.sums, totals);
        r->chunk_sum[i] = sum;
    }
}

static void run_team(void (*body)(const pass *, mg_team), const pass *r, int threads)
{
    if (threads == 1) {
        body(r, (mg_team){0, 1});
        return;
    }
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    body(r, (mg_team){omp_get_thread_num(), omp_get_num_threads()});
#endif
}

int mg_program_run(mg_program *p, const void *parameters, const mg_argument *arguments, int64_t rows,
                   void *out, int threads)
{
    if (rows < 1)
        return MG_BAD_ARGUMENT;
    pass r = {.program = p, .arguments = arguments, .rows = rows, .out = out};
    r.cut = cut_batch(p, rows, p->source.run_slots);
    threads = team_size(p, (rows + r.cut.block_rows - 1) / r.cut.block_rows, rows,
                        operations(p->source.run, 3, 1), threads);
    const int status = reserve(p, &r.cut, p->source.run_slots, threads);
    if (status != MG_OK)
        return status;
    compute_uniforms(p, parameters);
    run_team(run_body, &r, threads);
    return MG_OK;
}

/* Adds the chunks up, then goes back over the uniforms: what they receive is the sum over all rows. */
static void finish_gradient(mg_program *p, int64_t chunks)
{
    memcpy(p->totals, p->chunk_totals, (size_t)p->n_scalars * sizeof *p->totals);
    for (int64_t i = 1; i < chunks; i++)
        for (int64_t j = 0; j < p->n_scalars; j++)
            p->totals[j] += p->chunk_totals[i * p->n_scalars + j];
    if (!p->source.uniform_backward.length)
        return;
    const mg_block block = uniform_block(p);
    memset(block.sums, 0, p->sums_bytes);
    p->kernels->program_backward(&block, p->source.uniform_backward);
    p->kernels->program_reduce(p->n_scalars, block.sums, p->totals);
}

int mg_program_loss(mg_program *p, const void *parameters, const mg_argument *arguments, int64_t rows,
                    int threads, double *loss)
{
    if (rows < 1 || p->source.n_outputs != 1)
        return MG_BAD_ARGUMENT;
    double chunk_sum[MAX_CHUNKS];
    pass r = {.program = p, .arguments = arguments, .rows = rows, .chunk_sum = chunk_sum};
    r.cut = cut_batch(p, rows, p->source.slots);
    threads = team_size(p, r.cut.chunks, rows, p->ops, threads);
    const int status = reserve(p, &r.cut, p->source.slots, threads);
    if (status != MG_OK)
        return status;
    compute_uniforms(p, parameters);
    run_team(loss_body, &r, threads);
    finish_gradient(p, r.cut.chunks);
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
