/* Programs as ops of a plan; see program_ops.h. */
#include "program/program_ops.h"

#include "program/program_state.h"

static char *element(const mg_program *p, const void *x, int64_t i)
{
    return (char *)(uintptr_t)x + i * (int64_t)p->real_size;
}

/* The part of a row of a matrix that samples [first, last) begin with. */
typedef struct {
    char *data;
    int64_t count;
} segment;

static segment segment_of(const mg_program *p, mg_matrix x, mg_range samples)
{
    if (x.ld == x.columns || x.rows == 1)
        return (segment){element(p, x.data, samples.first), samples.last - samples.first};
    const int64_t row = samples.first / x.columns, column = samples.first % x.columns;
    const int64_t rest = x.columns - column, count = samples.last - samples.first;
    return (segment){element(p, x.data, row * x.ld + column), count < rest ? count : rest};
}

/* to (count) = elements [first, last) of a matrix, row by row. */
static void gather(const mg_program *p, mg_matrix x, mg_range samples, char *to)
{
    while (samples.first < samples.last) {
        const segment s = segment_of(p, x, samples);
        memcpy(to, s.data, (size_t)s.count * p->real_size);
        to = element(p, to, s.count);
        samples.first += s.count;
    }
}

/* Elements [first, last) of a matrix = from (count), += with accumulate. */
static void scatter(const mg_program *p, mg_matrix x, mg_range samples, char *from, int accumulate)
{
    while (samples.first < samples.last) {
        const segment s = segment_of(p, x, samples);
        const mg_matrix to = {s.data, 1, s.count, s.count};
        if (accumulate)
            p->kernels->add((mg_matrix){from, 1, s.count, s.count}, to, to);
        else
            memcpy(s.data, from, (size_t)s.count * p->real_size);
        from = element(p, from, s.count);
        samples.first += s.count;
    }
}

static mg_range block_rows(int64_t first, int64_t last, const mg_cut *cut)
{
    return (mg_range){first, first + cut->block_rows < last ? first + cut->block_rows : last};
}

static mg_range chunk_rows(int64_t chunk, int64_t samples, const mg_cut *cut)
{
    const int64_t first = chunk * cut->chunk_rows, last = first + cut->chunk_rows;
    return (mg_range){first, last < samples ? last : samples};
}

int mg_program_reserve(mg_program *p, int64_t samples, int threads)
{
    if (samples < 1 || threads < 1 || p->source.n_outputs != 1)
        return MG_BAD_ARGUMENT;
    const int64_t slots = p->source.slots > p->source.run_slots ? p->source.slots : p->source.run_slots;
    /* The fewer slots, the more rows a block has: of both ways of cutting, room for the larger block. */
    const mg_cut a = mg_program_cut(p, samples, p->source.slots);
    const mg_cut b = mg_program_cut(p, samples, p->source.run_slots);
    return mg_program_room(p, a.stride > b.stride ? &a : &b, slots, threads);
}

int64_t mg_program_parameters(const mg_program *p)
{
    return p->source.n_parameters;
}

void mg_program_map(mg_program *p, mg_matrix x, mg_matrix y, mg_team team, int member)
{
    const int64_t samples = x.rows * x.columns;
    const mg_cut cut = mg_program_cut(p, samples, p->source.run_slots);
    mg_block block = mg_program_block(p, &cut, member);
    const mg_argument argument = {mg_program_staged(p, &block, MG_STAGED_INPUT), 1};
    block.arguments = &argument;
    const mg_range mine = mg_share((samples + cut.block_rows - 1) / cut.block_rows, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        const mg_range rows = block_rows(i * cut.block_rows, samples, &cut);
        gather(p, x, rows, mg_program_staged(p, &block, MG_STAGED_INPUT));
        block.rows = rows.last - rows.first;
        p->kernels->program_forward(&block, p->source.run);
        scatter(p, y, rows, block.out, 0);
    }
}

void mg_program_map_backward(mg_program *p, mg_matrix x, mg_matrix g, mg_matrix dx, int accumulate,
                             mg_team team, int member)
{
    const int64_t samples = x.rows * x.columns;
    const mg_cut cut = mg_program_cut(p, samples, p->source.slots);
    mg_block block = mg_program_block(p, &cut, member);
    char *input = mg_program_staged(p, &block, MG_STAGED_INPUT);
    char *seeds = mg_program_staged(p, &block, MG_STAGED_SEEDS);
    char *gradient = mg_program_staged(p, &block, MG_STAGED_GRADIENT);
    const mg_argument argument = {input, 1};
    const mg_gradient staged = {gradient, 1};
    block.arguments = &argument;
    block.gradients = &staged;
    block.seeds = seeds;
    const mg_range mine = mg_share(cut.chunks, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        const mg_range chunk = chunk_rows(i, samples, &cut);
        mg_program_chunk_begin(p, &block, i);
        for (int64_t row = chunk.first; row < chunk.last; row += cut.block_rows) {
            const mg_range rows = block_rows(row, chunk.last, &cut);
            gather(p, x, rows, input);
            gather(p, g, rows, seeds);
            block.rows = rows.last - rows.first;
            p->kernels->program_forward(&block, p->source.forward);
            mg_program_chunk_block(p, &block, i, (row - chunk.first) / cut.block_rows);
            p->kernels->program_backward(&block, p->source.backward);
            if (dx.data)
                scatter(p, dx, rows, gradient, accumulate);
        }
        mg_program_chunk_end(p, &block, i);
    }
}

static void labels_as_reals(const mg_program *p, const int64_t *labels, int64_t count, void *to)
{
    for (int64_t j = 0; j < count; j++) {
        if (p->real_size == sizeof(float))
            ((float *)to)[j] = (float)labels[j];
        else
            ((double *)to)[j] = (double)labels[j];
    }
}

/* row_loss (count) = weight * L */
static void weigh(const mg_program *p, const void *loss, const void *weights, int64_t count, double *row_loss)
{
    for (int64_t j = 0; j < count; j++) {
        const double weight = weights ? mg_real_at(p->real_size, weights, j) : 1;
        row_loss[j] = weight * mg_real_at(p->real_size, loss, j);
    }
}

void mg_program_loss_rows(mg_program *p, const mg_loss_rows *r, mg_team team, int member)
{
    const int64_t samples = r->z.rows;
    const int backward = r->gradient != NULL;
    const mg_cut cut = mg_program_cut(p, samples, backward ? p->source.slots : p->source.run_slots);
    mg_block block = mg_program_block(p, &cut, member);
    void *labels = mg_program_staged(p, &block, MG_STAGED_INPUT);
    const mg_range mine = mg_share(cut.chunks, team);
    for (int64_t i = mine.first; i < mine.last; i++) {
        const mg_range chunk = chunk_rows(i, samples, &cut);
        if (backward)
            mg_program_chunk_begin(p, &block, i);
        for (int64_t row = chunk.first; row < chunk.last; row += cut.block_rows) {
            const mg_range rows = block_rows(row, chunk.last, &cut);
            mg_argument arguments[2] = {{element(p, r->z.data, row * r->z.ld), r->z.ld}, {labels, 1}};
            block.rows = rows.last - rows.first;
            if (r->labels)
                labels_as_reals(p, r->labels + row, block.rows, labels);
            else
                arguments[1] = (mg_argument){element(p, r->targets, row * r->targets_ld), r->targets_ld};
            block.arguments = arguments;
            p->kernels->program_forward(&block, backward ? p->source.forward : p->source.run);
            const char *weights = r->weights ? element(p, r->weights, row) : NULL;
            weigh(p, block.out, weights, block.rows, r->row_loss + row);
            if (!backward)
                continue;
            const mg_gradient gradients[2] = {
                {element(p, r->gradient, row * r->gradient_ld), r->gradient_ld}};
            block.gradients = gradients;
            block.seed = 1;
            block.seeds = NULL;
            if (weights) {
                block.seeds = mg_program_staged(p, &block, MG_STAGED_SEEDS);
                memcpy(block.seeds, weights, (size_t)block.rows * p->real_size);
            }
            mg_program_chunk_block(p, &block, i, (row - chunk.first) / cut.block_rows);
            p->kernels->program_backward(&block, p->source.backward);
        }
        if (backward)
            mg_program_chunk_end(p, &block, i);
    }
}

void mg_program_add_gradients(mg_program *p, int64_t samples, double scale, void *gradients)
{
    mg_program_total(p, mg_program_cut(p, samples, p->source.slots).chunks);
    for (int64_t i = 0; i < p->source.n_parameters; i++) {
        if (p->real_size == sizeof(float))
            ((float *)gradients)[i] += (float)(scale * p->totals[i]);
        else
            ((double *)gradients)[i] += scale * p->totals[i];
    }
}

/* ---- on their own ---- */

typedef struct {
    mg_program *program;
    mg_matrix x, y, g, dx;
    int accumulate;
    mg_loss_rows loss;
} op_pass;

static void map_body(void *arguments, mg_team team)
{
    const op_pass *a = arguments;
    mg_program_map(a->program, a->x, a->y, team, team.index);
    mg_barrier(team);
    if (a->g.data)
        mg_program_map_backward(a->program, a->x, a->g, a->dx, a->accumulate, team, team.index);
}

static void loss_body(void *arguments, mg_team team)
{
    const op_pass *a = arguments;
    mg_program_loss_rows(a->program, &a->loss, team, team.index);
}

int mg_program_map_pass(mg_program *p, const void *parameters, int64_t rows, int64_t columns, const void *x,
                        int64_t x_ld, void *y, int64_t y_ld, const void *g, int64_t g_ld, void *dx,
                        int64_t dx_ld, int accumulate, void *gradients, int threads)
{
    threads = mg_team_limit(threads);
    if (rows < 1 || columns < 1 || p->source.n_arguments != 1 || p->argument_columns[0] != 1)
        return MG_BAD_ARGUMENT;
    const int status = mg_program_reserve(p, rows * columns, threads);
    if (status != MG_OK)
        return status;
    op_pass a = {.program = p,
                 .x = {(void *)(uintptr_t)x, rows, columns, x_ld},
                 .y = {y, rows, columns, y_ld},
                 .g = {(void *)(uintptr_t)g, rows, columns, g_ld},
                 .dx = {dx, rows, columns, dx_ld},
                 .accumulate = accumulate};
    mg_program_uniforms(p, parameters);
    mg_team_run(map_body, &a, threads);
    if (g)
        mg_program_add_gradients(p, rows * columns, 1, gradients);
    return MG_OK;
}

int mg_program_loss_pass(mg_program *p, const void *parameters, const mg_batch *batch, int64_t columns,
                         double *row_loss, void *dz, int64_t dz_ld, void *gradients, int threads)
{
    threads = mg_team_limit(threads);
    if (batch->rows < 1 || p->source.n_arguments != 2 || p->argument_columns[0] != columns ||
        (batch->labels && p->argument_columns[1] != 1))
        return MG_BAD_ARGUMENT;
    const int status = mg_program_reserve(p, batch->rows, threads);
    if (status != MG_OK)
        return status;
    op_pass a = {.program = p,
                 .loss = {.z = {(void *)(uintptr_t)batch->x, batch->rows, columns, batch->x_ld},
                          .labels = batch->labels,
                          .targets = batch->targets,
                          .targets_ld = batch->targets_ld,
                          .weights = batch->weights,
                          .gradient = dz,
                          .gradient_ld = dz_ld,
                          .row_loss = row_loss}};
    mg_program_uniforms(p, parameters);
    mg_team_run(loss_body, &a, threads);
    if (dz)
        mg_program_add_gradients(p, batch->rows, 1 / batch->total_weight, gradients);
    return MG_OK;
}
