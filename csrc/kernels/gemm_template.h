/* Matrix multiplication, part of the kernel template (see template.h).
 *
 *     C (m,n) = alpha * A (m,k) @ B (k,n)          or += with `accumulate`
 *
 * A and B have any row and column strides, so the four transposes are one routine.  C is cut into
 * tiles of MG_ROWS x PANEL elements that stay in registers while k runs: a row of the tile takes one
 * broadcast element of A and two vectors of B a step.  A is read where it lies.  B has to be contiguous
 * along n: where it is not, or where its rows would fight for the same cache lines, panels of
 * PANEL columns are copied ("packed") first.
 *
 * Each element of C is one chain of multiply-adds in the order of k, whatever tile, panel or thread
 * it falls in: the result has the same bits for any number of threads. */

#define PANEL (2 * LANES)

/* Depth of a block of k.  A panel of B is then 384 * 128 bytes = 48 KiB: it streams from L2 at 9 bytes
 * a cycle while a tile of A (14 * 384 * 4 = 21 KiB) stays in L1. */
#define BLOCK_DEPTH (384 * 4 / (int)sizeof(real))

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

/* acc (rows, vectors) = A (rows, depth) @ B (depth, vectors * LANES), then into C.  The last vector of
 * a row has `last` columns; `masked` says that this is less than LANES.  The first three arguments are
 * constants in every instance below. */
static inline __attribute__((always_inline)) void T(tile)(const int rows, const int vectors, const int masked,
                                                          int64_t depth, const real *a, int64_t a_row,
                                                          int64_t a_col, const real *b, int64_t b_row,
                                                          int last, real alpha, int accumulate, real *c,
                                                          int64_t c_row)
{
    vec acc[MG_ROWS][2];
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = (vec){0};
    }

    /* Three rows share a pointer: fewer registers for addresses. */
    const real *row[(MG_ROWS + 2) / 3];
    MG_UNROLL
    for (int i = 0; i < rows; i += 3)
        row[i / 3] = a + i * a_row;

    MG_UNROLL
    for (int i = 0; i < rows; i++) { /* C will be wanted when the sums are done */
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(c + i * c_row + v * LANES, 1);
    }

    for (int64_t p = 0; p < depth; p++) {
        vec x[2];
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            x[v] =
                masked && v == vectors - 1 ? T(v_load_first)(b + v * LANES, last) : T(v_load)(b + v * LANES);
        b += b_row;
        MG_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec w = T(v_splat)(row[i / 3][(i % 3) * a_row]);
            MG_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[i][v] += w * x[v];
        }
        MG_UNROLL
        for (int i = 0; i < rows; i += 3)
            row[i / 3] += a_col;
    }

    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++) {
            real *to = c + i * c_row + v * LANES;
            const int part = masked && v == vectors - 1;
            vec sum = acc[i][v] * alpha;
            if (accumulate)
                sum += part ? T(v_load_first)(to, last) : T(v_load)(to);
            if (part)
                T(v_store_first)(to, sum, last);
            else
                T(v_store)(to, sum);
        }
    }
}

typedef void T(tile_function)(int64_t depth, const real *a, int64_t a_row, int64_t a_col, const real *b,
                              int64_t b_row, int last, real alpha, int accumulate, real *c, int64_t c_row);

#define TILE(rows, vectors, masked)                                                                          \
    static void T(tile_##rows##_##vectors##_##masked)(int64_t depth, const real *a, int64_t a_row,           \
                                                      int64_t a_col, const real *b, int64_t b_row, int last, \
                                                      real alpha, int accumulate, real *c, int64_t c_row)    \
    {                                                                                                        \
        T(tile)(rows, vectors, masked, depth, a, a_row, a_col, b, b_row, last, alpha, accumulate, c, c_row); \
    }
#define TILES(rows)  \
    TILE(rows, 1, 0) \
    TILE(rows, 1, 1) \
    TILE(rows, 2, 0) \
    TILE(rows, 2, 1)
// clang-format off
#define TILE_ENTRY(rows) \
    {{T(tile_##rows##_1_0), T(tile_##rows##_1_1)}, {T(tile_##rows##_2_0), T(tile_##rows##_2_1)}}
// clang-format on

/* The heights a tile can have: the full one, and for what is left over enough others that it makes two
 * tiles at most: a low tile waits for its few chains of additions as long as a high one does. */
TILES(1)
TILES(2)
TILES(3)
#if MG_ROWS > 4
TILES(4)
TILES(5)
#endif
#if MG_ROWS > 10
TILES(6)
TILES(8)
TILES(10)
#endif
#if MG_ROWS > 12
TILES(12)
#endif
#define TILES_FULL(rows) TILES(rows)
#define TILE_ENTRY_FULL(rows) TILE_ENTRY(rows)
TILES_FULL(MG_ROWS)

static T(tile_function) *const T(tiles)[MG_ROWS + 1][2][2] = {
    [1] = TILE_ENTRY(1),
    [2] = TILE_ENTRY(2),
    [3] = TILE_ENTRY(3),
#if MG_ROWS > 4
    [4] = TILE_ENTRY(4),
    [5] = TILE_ENTRY(5),
#endif
#if MG_ROWS > 10
    [6] = TILE_ENTRY(6),
    [8] = TILE_ENTRY(8),
    [10] = TILE_ENTRY(10),
#endif
#if MG_ROWS > 12
    [12] = TILE_ENTRY(12),
#endif
    [MG_ROWS] = TILE_ENTRY_FULL(MG_ROWS),
};

/* The height of the next tile when `left` rows are left: all of them, or a good half. */
static inline int T(tile_rows)(int64_t left)
{
    static const uint8_t height[] = {0, 1, 2, 3, 4, 5, 6, 4, 8, 5, 10, 6, 12, 8};
    return left >= MG_ROWS ? MG_ROWS : height[left];
}

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

/* A stride that is a multiple of this many bytes puts the rows of a block into one or two sets of the
 * L1 cache, where they push each other out. */
#define CONFLICT_STRIDE 2048

static inline int T(conflicts)(int64_t stride, int64_t count)
{
    return count > 8 && stride * (int64_t)sizeof(real) % CONFLICT_STRIDE == 0;
}

/* Is B copied into panels?  Always where its rows are not contiguous; else where it is used often enough
 * to pay for the copy (measured: from 4 tiles on) and too large or too badly strided to be used in place.
 * A panel that fits into half of the L1 cache is not too large: the first tile to read it brings it there
 * (measured: 93 % of the peak instead of 89 % for m, n, k = 128, 784, 64). */
static int T(packs_b)(const mg_gemm *g)
{
    if (g->b_col != 1)
        return 1;
    const int64_t column_bytes = g->k * (int64_t)sizeof(real);
    const int large = column_bytes * g->n > 32768 && column_bytes * PANEL > 16384;
    return g->m >= 4 * MG_ROWS && (large || T(conflicts)(g->b_row, g->k));
}

/* Is A copied?  Where neither its rows nor its columns are contiguous; where its columns are, and so many
 * panels are to come that it pays to have a tile's share of them side by side (measured: 87 % of the peak
 * instead of 70 % for m, n, k = 1024, 1024, 512); where its rows fight for the same cache lines. */
static int T(packs_a)(const mg_gemm *g)
{
    if (g->a_col != 1)
        return g->a_row != 1 || (g->n >= 4 * PANEL && g->k >= 128);
    return g->n > PANEL && T(conflicts)(g->a_row, g->m);
}

static inline int64_t T(panels)(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}

/* Elements of scratch: the panels of B, shared by the team, then one block of A for each member.  Never less
 * for a larger m or k: a plan has room for its largest batch, and smaller ones have to fit.  (The depth of a
 * block does not grow with k: 600 is cut into two of 304, 575 is not.) */
static int64_t T(gemm_scratch_b)(const mg_gemm *g)
{
    const int64_t most = g->k < MOST_DEPTH ? g->k + LANES : MOST_DEPTH + LANES;
    return T(packs_b)(g) ? T(panels)(g->n) * PANEL * most : 0;
}

#define BLOCK_A_ELEMENTS ((int64_t)(BLOCK_ROWS + 16) * (MOST_DEPTH + LANES))

static size_t T(gemm_scratch)(const mg_gemm *g, int threads)
{
    const int64_t a = T(packs_a)(g) ? BLOCK_A_ELEMENTS * threads : 0;
    return (size_t)(T(gemm_scratch_b)(g) + a) * sizeof(real);
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

/* One block of A (rows, depth) times panels [first, last) of B, epilogue included. */
static void T(gemm_block)(const mg_gemm *g, int64_t i0, int64_t rows, int64_t p0, int64_t depth,
                          int64_t first, int64_t last, const real *packed_b, real *scratch_a)
{
    const T(block) a =
        T(block_of)(g, rows, depth, (const real *)g->a + i0 * g->a_row + p0 * g->a_col, scratch_a);
    const int accumulate = g->accumulate || p0 > 0;
    const int finish = p0 + depth == g->k;
    for (int64_t panel = first; panel < last; panel++) {
        const int64_t j = panel * PANEL;
        const int columns = g->n - j < PANEL ? (int)(g->n - j) : PANEL;
        const int vectors = columns > LANES ? 2 : 1;
        const int tail = columns - (vectors - 1) * LANES;
        const real *b =
            packed_b ? packed_b + (panel - first) * PANEL * depth : (const real *)g->b + p0 * g->b_row + j;
        const int64_t b_row = packed_b ? vectors * LANES : g->b_row;
        for (int64_t i = 0; i < rows;) {
            const int height = T(tile_rows)(rows - i);
            real *c = (real *)g->c + (i0 + i) * g->c_row + j;
            T(tile_function) *const tile = T(tiles)[height][vectors - 1][tail < LANES];
            tile(depth, a.data + i / MG_ROWS * a.group + i % MG_ROWS * a.row, a.row, a.column, b, b_row, tail,
                 (real)g->alpha, accumulate, c, g->c_row);
            if (finish)
                T(epilogue)(&g->epilogue, i0 + i, j, height, columns, c, g->c_row);
            i += height;
        }
    }
}

/* Panels of B that are packed at a time where nobody shares them: 8 * 48 KiB stay in L2 beside a block of
 * A. */
#define BLOCK_PANELS 8

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

/* The longest of the shares that a team cuts `count` into. */
static inline int64_t T(longest)(int64_t count, mg_team team)
{
    return (count + team.size - 1) / team.size;
}

/* Does the team share out panels of B, which each member then packs for itself without waiting for
 * anybody, or tiles of rows?  Panels, unless that leaves some member with a twentieth more to do. */
static int T(shares_panels)(int64_t tiles, int64_t panels, mg_team team)
{
    return T(longest)(panels, team) * tiles * 20 <= T(longest)(tiles, team) * panels * 21;
}

static void T(gemm_run)(const mg_gemm *g, void *scratch, mg_team team)
{
    real *packed_b = T(packs_b)(g) ? (real *)scratch : NULL;
    real *scratch_a =
        T(packs_a)(g) ? (real *)scratch + T(gemm_scratch_b)(g) + team.index * BLOCK_A_ELEMENTS : NULL;
    const int64_t tiles = (g->m + MG_ROWS - 1) / MG_ROWS, panels = T(panels)(g->n);
    const int alone = T(shares_panels)(tiles, panels, team); /* with the panels of B */
    const mg_range row_tiles = alone ? (mg_range){0, tiles} : mg_share(tiles, team);
    const mg_range columns = alone ? mg_share(panels, team) : (mg_range){0, panels};
    const int64_t my_tiles = row_tiles.last - row_tiles.first, most = BLOCK_ROWS / MG_ROWS;
    const int64_t blocks = my_tiles > most ? (my_tiles + most - 1) / most : 1; /* even ones */
    const int64_t rows = (my_tiles + blocks - 1) / blocks * MG_ROWS;
    const int64_t i_last = row_tiles.last * MG_ROWS < g->m ? row_tiles.last * MG_ROWS : g->m;

    const int64_t step = T(block_depth)(g->k);
    const int64_t wide = packed_b && alone && !scratch_a ? BLOCK_PANELS : panels;
    if (packed_b && alone)
        packed_b += columns.first * PANEL * (g->k < step ? g->k : step);
    for (int64_t p = 0; p < g->k || p == 0; p += step) {
        const int64_t depth = g->k - p < step ? g->k - p : step;
        for (int64_t first = columns.first; first < columns.last; first += wide) {
            const mg_range group = {first, columns.last - first < wide ? columns.last : first + wide};
            if (packed_b && alone) {
                T(pack_panels)(g, p, depth, group, packed_b);
            } else if (packed_b) {
                if (p > 0)
                    mg_barrier(team); /* nobody still reads the panels of the block before */
                const mg_range mine = mg_share(panels, team);
                T(pack_panels)(g, p, depth, mine, packed_b + mine.first * PANEL * depth);
                mg_barrier(team);
            }
            for (int64_t i = row_tiles.first * MG_ROWS; i < i_last; i += rows)
                T(gemm_block)(g, i, i_last - i < rows ? i_last - i : rows, p, depth, group.first, group.last,
                              packed_b, scratch_a);
        }
    }
}
