/* A first layer over sparse rows, part of the kernel template (see template.h): what csrc/plan/sparse.c does with
 * the entries of a few columns.  A tile (columns, MG_TILE_OUTPUTS) holds weights or sums of each output. */

/* Entries whose products are added up in a chain, so that a column of a million rows has short ones. */
#define SPARSE_CHAIN 512

/* z (rows, width) += the columns' share of X @ W.T.  Their weights lie `stride` apart, one after the other or,
 * for `direct`, as all columns of W do; vectors of them are read, whatever the width. */
static void T(sparse_add)(const mg_sparse_columns *x, mg_range columns, const void *weights, int64_t stride,
                          int direct, mg_matrix z)
{
    const real *value = x->value;
    for (int64_t c = columns.first; c < columns.last; c++) {
        const real *w = (const real *)weights + stride * (direct ? x->column[c] : c - columns.first);
        for (int64_t e = x->start[c]; e < x->start[c + 1]; e++) {
            real *to = (real *)z.data + x->row[e] * z.ld;
            int64_t o = 0;
            for (; o + LANES <= z.columns; o += LANES)
                T(v_store)(to + o, T(v_load)(to + o) + value[e] * T(v_load)(w + o));
            if (o < z.columns) {
                const int rest = (int)(z.columns - o);
                T(v_store_first)(to + o, T(v_load_first)(to + o, rest) + value[e] * T(v_load)(w + o), rest);
            }
        }
    }
}

/* tile = alpha * these columns of X.T @ delta, for delta's first `width` columns. */
static void T(sparse_sum)(const mg_sparse_columns *x, mg_range columns, double alpha, mg_matrix delta,
                          void *tile)
{
    real *to = tile;
    const real *value = x->value;
    for (int64_t c = columns.first; c < columns.last; c++, to += MG_TILE_OUTPUTS)
        for (int64_t o = 0; o < delta.columns; o += LANES) {
            const int wide = delta.columns - o < LANES ? (int)(delta.columns - o) : LANES;
            const real *from = (const real *)delta.data + o;
            vec total = {0};
            for (int64_t e = x->start[c], last = x->start[c + 1]; e < last;) {
                const int64_t end = last - e < SPARSE_CHAIN ? last : e + SPARSE_CHAIN;
                vec sum = {0};
                for (; e < end; e++) {
                    const real *row = from + x->row[e] * delta.ld;
                    sum += value[e] * (wide == LANES ? T(v_load)(row) : T(v_load_first)(row, wide));
                }
                total += sum;
            }
            T(v_store)(to + o, (real)alpha * total);
        }
}
#undef SPARSE_CHAIN
