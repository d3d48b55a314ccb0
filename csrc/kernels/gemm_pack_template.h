/* Copies of parts of A and B that a matrix multiplication reads on and on; part of the kernel template (see
 * template.h). */

/* Depth of a block of k.  A panel of B is then 384 * 128 bytes = 48 KiB (AVX-512): it streams from L2 at 9 bytes
 * a cycle while a tile of A (14 * 384 * 4 = 21 KiB) stays in L1.  Half of it for float64 there had C read and
 * written twice as often: products of 1024 took 1.06 times as long.  With 32 bytes, where panel and tile are to
 * fit into L1 together, half of it is 0.95 of the time of 512, 1024, 1024. */
#define BLOCK_DEPTH (MG_VECTOR_BYTES == 64 ? 384 : 384 * 4 / (int)sizeof(real))

/* The depth of the blocks that k is cut into: even ones, of at most one and a half times BLOCK_DEPTH. */
#define MOST_DEPTH (BLOCK_DEPTH + BLOCK_DEPTH / 2)

static inline int64_t T(block_depth)(int64_t k)
{
    const int64_t blocks = (k + BLOCK_DEPTH / 2 - 1) / BLOCK_DEPTH;
    const int64_t depth = blocks > 1 ? (k + blocks - 1) / blocks : k;
    return depth > LANES ? (depth + LANES - 1) / LANES * LANES : LANES;
}

/* Rows of A that one sweep over the panels takes: 168 * 384 * 4 = 258 KiB, a share of L2. */
#define BLOCK_ROWS (168 / MG_ROWS * MG_ROWS)

/* Rows that a copy of scattered rows looks ahead: the processor's own prefetching stops at pages. */
#define AHEAD 8

/* out (LANES, LANES) = the transpose of LANES columns of B that lie ready, b_col apart. */
static inline void T(transpose_block)(const real *b, int64_t b_col, real *out, int64_t out_row)
{
    vec block[LANES];
    MG_UNROLL
    for (int j = 0; j < LANES; j++) {
        block[j] = T(v_load)(b + j * b_col);
        __builtin_prefetch(b + j * b_col + 2 * LANES);
    }
    T(v_transpose)(block);
    MG_UNROLL
    for (int i = 0; i < LANES; i++)
        T(v_store)(out + i * out_row, block[i]);
}

/* The same for `deep` rows and `columns` columns of B with any strides; zeros beyond the columns. */
static void T(transpose_part)(int deep, int columns, const real *b, int64_t b_row, int64_t b_col, real *out,
                              int64_t out_row)
{
    vec block[LANES];
    for (int j = 0; j < LANES; j++)
        if (j >= columns)
            block[j] = (vec){0};
        else
            block[j] = b_row == 1 ? T(v_load_first)(b + j * b_col, deep)
                                  : T(v_load_strided)(b + j * b_col, b_row, deep);
    T(v_transpose)(block);
    for (int i = 0; i < deep; i++)
        T(v_store)(out + i * out_row, block[i]);
}

/* out (depth, width) = the columns [0, columns) of B (depth, columns), zeros up to width (a multiple
 * of LANES, at most PANEL). */
static void T(pack_panel)(int64_t depth, int columns, int width, const real *b, int64_t b_row, int64_t b_col,
                          real *out)
{
    for (int64_t p = 0; p < depth; p += LANES) {
        const int deep = depth - p < LANES ? (int)(depth - p) : LANES;
        for (int v = 0; v < width; v += LANES) {
            const real *from = b + p * b_row + v * b_col;
            real *to = out + p * width + v;
            if (b_row == 1 && deep == LANES && v + LANES <= columns)
                T(transpose_block)(from, b_col, to, width);
            else
                T(transpose_part)(deep, columns - v < LANES ? columns - v : LANES, from, b_row, b_col, to,
                                  width);
        }
    }
}

/* Many panels of B (depth, columns) at once, where its rows lie ready: a row is read in one go, because
 * rows lie pages apart. */
static void T(pack_ready)(int64_t depth, int64_t columns, const real *b, int64_t b_row, real *out)
{
    const int64_t whole = columns / PANEL * PANEL;
    const int rest = (int)(columns - whole), width = rest > LANES ? PANEL : LANES;
    for (int64_t p = 0; p < depth; p++, b += b_row) {
        const real *ahead = b + AHEAD * b_row;
        real *to = out + p * PANEL;
        for (int64_t j = 0; j < whole; j += PANEL, to += PANEL * depth) {
            __builtin_prefetch(ahead + j);
            __builtin_prefetch(ahead + j + LANES);
            T(v_store)(to, T(v_load)(b + j));
            T(v_store)(to + LANES, T(v_load)(b + j + LANES));
        }
        to = out + whole * depth + p * width;
        for (int v = 0; v < rest; v += LANES)
            T(v_store)(to + v, T(v_load_first)(b + whole + v, rest - v < LANES ? rest - v : LANES));
    }
}

/* A block of A as the tiles read it: element (i, p) lies at
 *     data + i / MG_ROWS * group + i % MG_ROWS * row + p * column. */
typedef struct {
    const real *data;
    int64_t group, row, column;
} T(block);

/* out = A (rows, depth), where its columns lie ready: [group of MG_ROWS rows][depth][MG_ROWS], so that a
 * tile reads on and on.  A column is read in one go: those of a block lie pages apart.  Whole vectors are
 * stored, what is too much is written over by the next one, but for the last. */
static T(block) T(pack_columns)(int64_t rows, int64_t depth, const real *a, int64_t a_col, real *out)
{
    for (int64_t p = 0; p < depth; p++, a += a_col) {
        real *to = out + p * MG_ROWS;
        __builtin_prefetch(a + AHEAD * a_col);
        for (int64_t i = 0; i < rows; i += MG_ROWS, to += MG_ROWS * depth)
            for (int v = 0; v < MG_ROWS; v += LANES) {
                const int wanted = MG_ROWS - v < LANES ? MG_ROWS - v : LANES;
                const int64_t left = rows - i - v;
                const vec x = left >= LANES ? T(v_load)(a + i + v)
                                            : T(v_load_first)(a + i + v, left < 0 ? 0 : (int)left);
                if (p < depth - 1)
                    T(v_store)(to + v, x);
                else
                    T(v_store_first)(to + v, x, wanted);
            }
    }
    return (T(block)){out, MG_ROWS * depth, 1, MG_ROWS};
}

/* out = A (rows, depth) row by row, but no power of two apart. */
static T(block)
    T(pack_rows)(int64_t rows, int64_t depth, const real *a, int64_t a_row, int64_t a_col, real *out)
{
    const int64_t width = MOST_DEPTH + LANES;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < depth; p += LANES) {
            const int deep = depth - p < LANES ? (int)(depth - p) : LANES;
            const real *from = a + i * a_row + p * a_col;
            __builtin_prefetch(from + 2 * a_row);
            T(v_store)(out + i * width + p,
                       a_col == 1 ? T(v_load_first)(from, deep) : T(v_load_strided)(from, a_col, deep));
        }
    return (T(block)){out, MG_ROWS * width, width, 1};
}

/* The block at a, copied into the scratch if there is one. */
static T(block) T(block_of)(const mg_gemm *g, int64_t rows, int64_t depth, const real *a, real *scratch)
{
    if (!scratch)
        return (T(block)){a, MG_ROWS * g->a_row, g->a_row, g->a_col};
    return g->a_row == 1 ? T(pack_columns)(rows, depth, a, g->a_col, scratch)
                         : T(pack_rows)(rows, depth, a, g->a_row, g->a_col, scratch);
}

/* out = panels [first, last) of B, rows [p, p + depth). */
static void T(pack_panels)(const mg_gemm *g, int64_t p, int64_t depth, mg_range panels, real *out)
{
    const int64_t j_first = panels.first * PANEL;
    const int64_t j_last = panels.last * PANEL < g->n ? panels.last * PANEL : g->n;
    const real *b = (const real *)g->b + p * g->b_row + j_first * g->b_col;
    if (g->b_col == 1) {
        T(pack_ready)(depth, j_last - j_first, b, g->b_row, out);
        return;
    }
    for (int64_t j = j_first; j < j_last; j += PANEL, b += PANEL * g->b_col, out += PANEL * depth) {
        const int wide = j_last - j < PANEL ? (int)(j_last - j) : PANEL;
        T(pack_panel)(depth, wide, (wide + LANES - 1) / LANES * LANES, b, g->b_row, g->b_col, out);
    }
}
