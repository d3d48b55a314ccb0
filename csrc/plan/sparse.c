/* Sparse rows: checked, copied and sorted by columns, and the first layer over them.
 *
 * A column of X meets a column of W, which is (out, in), so that it is strided, and what should stand side by
 * side are the weights of all outputs: a few columns at a time are copied into a tile, or a tile of sums is
 * written back.  Each member of a team has outputs of its own, and sums go over entries in their order: the
 * same bits for any team. */
#include <math.h>
#include <stdlib.h>

#include "plan/plan.h"

/* The input goes to linear layers and nowhere else. */
static int takes_sparse(const mg_plan *plan)
{
    for (int i = 0; i < plan->n_ops; i++)
        for (int j = 0; j < MG_OP_INPUTS; j++) {
            const mg_op *op = &plan->ops[i];
            if (op->in[j] == 0 && !(op->kind == MG_LINEAR && j == 0) &&
                !(op->kind == MG_LINEAR_WEIGHT && j == 1))
                return 0;
        }
    return plan->n_ops > 0 && plan->buffers[0].columns < INT32_MAX;
}

int mg_sparse_fits(const mg_plan *plan, const mg_batch *batch)
{
    const mg_sparse *s = batch->sparse;
    return takes_sparse(plan) && (s->index_bytes == 4 || s->index_bytes == 8) && s->starts &&
           s->entries >= 0 && batch->rows < INT32_MAX;
}

static int64_t index_at(const mg_sparse *s, const void *indices, int64_t i)
{
    return s->index_bytes == 4 ? ((const int32_t *)indices)[i] : ((const int64_t *)indices)[i];
}

/* The entries of a row; more than there are where it is not valid. */
static mg_range entries_of(const mg_sparse *s, int64_t row)
{
    const mg_range r = {index_at(s, s->starts, row), index_at(s, s->starts, row + 1)};
    return r.first < 0 || r.last < r.first || r.last > s->entries ? (mg_range){0, s->entries + 1} : r;
}

static int refused(mg_result *result, int status, int64_t row, int64_t column)
{
    result->row = row;
    result->column = column;
    return status;
}

int mg_sparse_check(const mg_plan *plan, const mg_batch *batch, mg_result *result)
{
    const mg_sparse *s = batch->sparse;
    for (int64_t i = 0; i < batch->rows; i++) {
        const mg_range r = entries_of(s, i);
        if (r.last > s->entries)
            return refused(result, MG_SPARSE_NOT_VALID, i, -1);
        for (int64_t e = r.first; e < r.last; e++) {
            const int64_t column = index_at(s, s->columns, e);
            if (column < 0 || column >= plan->buffers[0].columns)
                return refused(result, MG_SPARSE_NOT_VALID, i, column);
            if (!isfinite(mg_real_at(plan->real_size, s->values, e)))
                return refused(result, MG_INPUT_NOT_FINITE, i, column);
        }
    }
    return MG_OK;
}

void mg_sparse_free(mg_plan *plan)
{
    free(plan->sparse[0].memory);
    free(plan->sparse[1].memory);
}

/* What lies in a staging buffer's one allocation. */
typedef struct {
    int64_t *start, *next; /* (inputs + 1) */
    char *value, *raw_value;
    int32_t *column, *row, *raw_row, *raw_column;
} parts;

static parts parts_of(const mg_staged *s, int64_t inputs, size_t real_size)
{
    parts p = {.start = (int64_t *)s->memory};
    p.next = p.start + inputs + 1;
    p.value = (char *)(p.next + inputs + 1);
    p.raw_value = p.value + (size_t)s->capacity * real_size;
    p.column = (int32_t *)(p.raw_value + (size_t)s->capacity * real_size);
    p.row = p.column + inputs;
    p.raw_row = p.row + s->capacity;
    p.raw_column = p.raw_row + s->capacity;
    return p;
}

static int reserve(mg_staged *s, int64_t inputs, int64_t entries, size_t real_size)
{
    if (s->memory && entries <= s->capacity)
        return MG_OK;
    if (entries > INT64_MAX / 64)
        return MG_OUT_OF_MEMORY;
    const int64_t capacity = entries + entries / 4 + 16;
    const size_t bytes = (size_t)(inputs + 1) * 20 + (size_t)capacity * (2 * real_size + 12);
    char *memory = malloc(bytes);
    if (!memory)
        return MG_OUT_OF_MEMORY;
    free(s->memory);
    s->memory = memory;
    s->capacity = capacity;
    return MG_OK;
}

/* Entries of the raw copy in the order of their columns, those of one column in the order of their rows. */
static void sort_by_counting(mg_staged *s, const parts *p, int64_t inputs, size_t size)
{
    memset(p->next, 0, (size_t)(inputs + 1) * sizeof *p->next);
    for (int64_t e = 0; e < s->entries; e++)
        p->next[p->raw_column[e]]++;
    int64_t columns = 0, place = 0;
    for (int64_t j = 0; j < inputs; j++) {
        const int64_t count = p->next[j];
        p->next[j] = place;
        if (!count)
            continue;
        p->column[columns] = (int32_t)j;
        p->start[columns++] = place;
        place += count;
    }
    p->start[columns] = place;
    for (int64_t e = 0; e < s->entries; e++) {
        const int64_t to = p->next[p->raw_column[e]]++;
        p->row[to] = p->raw_row[e];
        memcpy(p->value + (size_t)to * size, p->raw_value + (size_t)e * size, size);
    }
    s->columns = (mg_sparse_columns){columns, p->start, p->column, p->row, p->value};
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The same of few entries, without a look at every column there might be.  Those of a column stand apart where
 * it has several, which nobody minds: sums over them have the same order. */
static void sort_few(mg_staged *s, const parts *p, size_t size)
{
    for (int64_t e = 0; e < s->entries; e++)
        p->next[e] = (int64_t)p->raw_column[e] << 32 | e;
    qsort(p->next, (size_t)s->entries, sizeof *p->next, by_size);
    for (int64_t to = 0; to < s->entries; to++) {
        const int64_t e = (int64_t)(uint32_t)p->next[to];
        p->start[to] = to;
        p->column[to] = p->raw_column[e];
        p->row[to] = p->raw_row[e];
        memcpy(p->value + (size_t)to * size, p->raw_value + (size_t)e * size, size);
    }
    p->start[s->entries] = s->entries;
    s->columns = (mg_sparse_columns){s->entries, p->start, p->column, p->row, p->value};
}

int mg_sparse_stage(mg_plan *plan, const mg_batch *batch, const int64_t *index, int64_t first, int64_t rows,
                    mg_result *result)
{
    const mg_sparse *source = batch->sparse;
    const int64_t inputs = plan->buffers[0].columns;
    const size_t size = plan->real_size;
    mg_staged *s = &plan->sparse[1];
    int64_t total = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t from = index ? index[i] : first + i;
        const mg_range r = entries_of(source, from);
        if (r.last > source->entries)
            return refused(result, MG_SPARSE_NOT_VALID, from, -1);
        total += r.last - r.first;
    }
    if (reserve(s, inputs, total, size) != MG_OK)
        return MG_OUT_OF_MEMORY;
    const parts p = parts_of(s, inputs, size);
    s->entries = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t from = index ? index[i] : first + i;
        const mg_range r = entries_of(source, from);
        if (r.last > source->entries || r.last - r.first > s->capacity - s->entries)
            return refused(result, MG_SPARSE_NOT_VALID, from, -1); /* it has been written over meanwhile */
        for (int64_t e = r.first; e < r.last; e++, s->entries++) {
            const int64_t column = index_at(source, source->columns, e);
            if (column < 0 || column >= inputs)
                return refused(result, MG_SPARSE_NOT_VALID, from, column);
            p.raw_row[s->entries] = (int32_t)i;
            p.raw_column[s->entries] = (int32_t)column;
        }
        if (r.last > r.first)
            memcpy(p.raw_value + (size_t)(s->entries - (r.last - r.first)) * size,
                   (const char *)source->values + (size_t)r.first * size, (size_t)(r.last - r.first) * size);
    }
    const mg_matrix values = {p.raw_value, 1, s->entries, 0};
    if (!plan->kernels->all_finite(values, 1)) {
        int64_t row = 0, e = 0;
        mg_locate(plan, values, &row, &e);
        row = p.raw_row[e];
        return refused(result, MG_INPUT_NOT_FINITE, index ? index[row] : first + row, p.raw_column[e]);
    }
    if (s->entries <= inputs / 32)
        sort_few(s, &p, size);
    else
        sort_by_counting(s, &p, inputs, size);
    return MG_OK;
}

void mg_sparse_take(mg_plan *plan, int64_t rows)
{
    const mg_staged staged = plan->sparse[1];
    plan->sparse[1] = plan->sparse[0];
    plan->sparse[0] = staged;
    int64_t outputs = 0; /* of the layers that read the input */
    for (int i = 0; i < plan->loss_op; i++)
        if (plan->ops[i].kind == MG_LINEAR && plan->ops[i].in[0] == 0)
            outputs += plan->buffers[plan->ops[i].out[0]].columns;
    const int64_t others = plan->multiplications_per_row - plan->buffers[0].columns * outputs;
    plan->sparse_work = others * rows + outputs * (2 * staged.entries + 8 * staged.columns.columns);
}

int mg_sparse_team(const mg_plan *plan, int threads)
{
    return mg_team_for(plan, plan->sparse_work, threads);
}

/* What is done with a tile of `count` columns of the matrix w, whose rows lie `ld` apart. */
#define EACH_OF_TILE(type, STATEMENT)                       \
    {                                                       \
        type *matrix = w, *values = tile;                   \
        for (int64_t o = 0; o < outputs; o++, matrix += ld) \
            for (int64_t k = 0; k < count; k++)             \
                STATEMENT;                                  \
    }
#define VALUE values[k * MG_TILE_OUTPUTS + o]

static void fill(size_t real_size, void *w, int64_t ld, const int32_t *column, int64_t count, int64_t outputs,
                 void *tile)
{
    if (real_size == sizeof(float))
        EACH_OF_TILE(float, VALUE = matrix[column[k]])
    else
        EACH_OF_TILE(double, VALUE = matrix[column[k]])
}

static void spill(size_t real_size, void *w, int64_t ld, const int32_t *column, int64_t count,
                  int64_t outputs, void *tile)
{
    if (real_size == sizeof(float))
        EACH_OF_TILE(float, matrix[column[k]] += VALUE)
    else
        EACH_OF_TILE(double, matrix[column[k]] += VALUE)
}
#undef EACH_OF_TILE
#undef VALUE

static int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

/* MG_TILE_COLUMNS columns from this one on, or as many as there are. */
static mg_range tile_columns(const mg_sparse_columns *x, int64_t first)
{
    return (mg_range){first, smaller(first + MG_TILE_COLUMNS, x->columns)};
}

/* Z's columns from `first` on, up to `most` of them or the last of this range, set to 0. */
static mg_matrix cleared(const mg_gemm *g, int64_t size, int64_t first, int64_t most, int64_t last)
{
    const mg_matrix z = {(char *)g->c + first * size, g->m, smaller(last - first, most), g->c_row};
    for (int64_t i = 0; i < z.rows; i++)
        memset((char *)z.data + i * z.ld * size, 0, (size_t)(z.columns * size));
    return z;
}

/* Over weights that are laid out in panels: those of one column stand side by side. */
static void forward_frozen(const mg_plan *plan, const mg_sparse_columns *x, const mg_gemm *g, mg_team team)
{
    const int64_t size = (int64_t)plan->real_size, lanes = plan->kernels->lanes, wide = 2 * lanes;
    const mg_range mine = mg_share((g->n + wide - 1) / wide, team);
    for (int64_t panel = mine.first; panel < mine.last; panel++) {
        const mg_matrix z = cleared(g, size, panel * wide, wide, g->n);
        plan->kernels->sparse_add(x, (mg_range){0, x->columns},
                                  (const char *)g->panels + panel * wide * g->k * size,
                                  z.columns > lanes ? wide : lanes, 1, z);
    }
}

static void forward(const mg_plan *plan, const mg_sparse_columns *x, const mg_gemm *g, mg_team team)
{
    double tile[MG_TILE_COLUMNS * MG_TILE_OUTPUTS] = {0}; /* or as many floats */
    const mg_range mine = mg_share_lines(g->n, team);
    const int64_t size = (int64_t)plan->real_size;
    for (int64_t first = mine.first; first < mine.last; first += MG_TILE_OUTPUTS) {
        const mg_matrix z = cleared(g, size, first, MG_TILE_OUTPUTS, mine.last);
        char *w = (char *)(uintptr_t)g->b + first * g->b_col * size;
        for (int64_t c = 0; c < x->columns; c += MG_TILE_COLUMNS) {
            const mg_range columns = tile_columns(x, c);
            fill(plan->real_size, w, g->b_col, x->column + c, columns.last - c, z.columns, tile);
            plan->kernels->sparse_add(x, columns, tile, MG_TILE_OUTPUTS, 0, z);
        }
    }
}

void mg_sparse_forward(const mg_plan *plan, const mg_run *run, const mg_gemm *g, mg_team team)
{
    (g->panels ? forward_frozen : forward)(plan, run->sparse, g, team);
    mg_barrier(team);    /* members of the epilogue have other shares */
    mg_gemm finish = *g; /* nothing is added to C */
    finish.k = 0;
    finish.panels = NULL;
    finish.accumulate = finish.a_row = finish.a_col = finish.b_row = finish.b_col = 1;
    plan->kernels->gemm(&finish, run->scratch, team);
}

void mg_sparse_weight(const mg_plan *plan, const mg_run *run, const mg_gemm *g, mg_team team)
{
    double tile[MG_TILE_COLUMNS * MG_TILE_OUTPUTS];
    const mg_sparse_columns *x = run->sparse;
    const mg_range mine = mg_share_lines(g->m, team);
    const int64_t size = (int64_t)plan->real_size;
    if (!g->accumulate && mine.last > mine.first)
        memset((char *)g->c + mine.first * g->c_row * size, 0,
               (size_t)((mine.last - mine.first) * g->c_row * size));
    for (int64_t first = mine.first; first < mine.last; first += MG_TILE_OUTPUTS) {
        const mg_matrix delta = {(char *)(uintptr_t)g->a + first * size, g->k,
                                 smaller(mine.last - first, MG_TILE_OUTPUTS), g->a_col};
        char *dw = (char *)g->c + first * g->c_row * size;
        for (int64_t c = 0; c < x->columns; c += MG_TILE_COLUMNS) {
            const mg_range columns = tile_columns(x, c);
            plan->kernels->sparse_sum(x, columns, g->alpha, delta, tile);
            spill(plan->real_size, dw, g->c_row, x->column + c, columns.last - c, delta.columns, tile);
        }
    }
}
