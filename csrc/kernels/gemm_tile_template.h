/* The tiles of a matrix multiplication, in registers while k runs; part of the kernel template (see
 * template.h). */

#define PANEL (2 * LANES)

/* alpha * sum, plus the `count` elements of C where sums go on; the literal LANES where the vector is whole. */
static inline __attribute__((always_inline)) vec T(scaled)(vec sum, real alpha, int accumulate, const real *c,
                                                           int count)
{
    if (!accumulate)
        return sum * alpha;
    return T(v_fma)(sum, T(v_splat)(alpha), count == LANES ? T(v_load)(c) : T(v_load_first)(c, count));
}

/* A panel of B deeper than this comes from L2, step by step: where it is asked for STEPS_AHEAD steps before, a
 * product of 512, 1024 and 1024 takes 0.92 of the time (AVX-512).  A lower one lies in L1 from its first tile on,
 * and its last tile asks for the next panel (a step of 784-128-10: 0.97); all tiles asking would cost 3 %. */
#define SHALLOW (24576 / (PANEL * (int)sizeof(real)))
#define STEPS_AHEAD 8

/* acc (rows, vectors) += A (rows, depth) @ B (depth, vectors * LANES), as T(tile) has them; asks for what lies
 * `ahead` elements further on, or for nothing where that is the literal 0. */
static inline __attribute__((always_inline)) void
T(steps)(const int rows, const int vectors, const int masked, int64_t ahead, int64_t depth, const real *a,
         int64_t a_row, int64_t a_col, const real *b, int64_t b_row, int last, vec acc[MG_ROWS][2])
{
    /* Three rows share a pointer: fewer registers for addresses.  clang would make one from the other again, an
     * addition for each row and step. */
    const real *row[(MG_ROWS + 2) / 3];
    MG_UNROLL
    for (int i = 0; i < rows; i += 3) {
        row[i / 3] = a + i * a_row;
        MG_OPAQUE(row[i / 3]);
    }
    for (int64_t p = 0; p < depth; p++) {
        vec x[2];
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            x[v] =
                masked && v == vectors - 1 ? T(v_load_first)(b + v * LANES, last) : T(v_load)(b + v * LANES);
        if (ahead) {
            __builtin_prefetch(b + ahead);
            if (vectors * MG_VECTOR_BYTES > 64)
                __builtin_prefetch(b + ahead + LANES);
        }
        b += b_row;
        MG_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec w = T(v_splat)(row[i / 3][(i % 3) * a_row]);
            MG_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[i][v] = MULTIPLY_ADD(w, x[v], acc[i][v]);
        }
        MG_UNROLL
        for (int i = 0; i < rows; i += 3)
            row[i / 3] += a_col;
    }
}

/* acc (rows, vectors) = A (rows, depth) @ B (depth, vectors * LANES), then into C.  The last vector of
 * a row has `last` columns; `masked` says that this is less than LANES.  The first three arguments are
 * constants in every instance below. */
static inline __attribute__((always_inline)) void T(tile)(const int rows, const int vectors, const int masked,
                                                          int64_t depth, const real *a, int64_t a_row,
                                                          int64_t a_col, const real *b, int64_t b_row,
                                                          int64_t ahead, int last, real alpha, int accumulate,
                                                          real *c, int64_t c_row)
{
    vec acc[MG_ROWS][2];
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = (vec){0};
    }

    MG_UNROLL
    for (int i = 0; i < rows; i++) { /* C will be wanted when the sums are done */
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(c + i * c_row + v * LANES, 1);
    }

    if (rows == MG_ROWS && vectors == 2 && !masked && ahead)
        T(steps)(rows, vectors, masked, ahead, depth, a, a_row, a_col, b, b_row, last, acc);
    else
        T(steps)(rows, vectors, masked, 0, depth, a, a_row, a_col, b, b_row, last, acc);

    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++) {
            real *to = c + i * c_row + v * LANES;
            const int part = masked && v == vectors - 1;
            const vec sum = T(scaled)(acc[i][v], alpha, accumulate, to, part ? last : LANES);
            if (part)
                T(v_store_first)(to, sum, last);
            else
                T(v_store)(to, sum);
        }
    }
}

typedef void T(tile_function)(int64_t depth, const real *a, int64_t a_row, int64_t a_col, const real *b,
                              int64_t b_row, int64_t ahead, int last, real alpha, int accumulate, real *c,
                              int64_t c_row);

#define TILE(rows, vectors, masked)                                                                         \
    static void T(tile_##rows##_##vectors##_##masked)(                                                      \
        int64_t depth, const real *a, int64_t a_row, int64_t a_col, const real *b, int64_t b_row,           \
        int64_t ahead, int last, real alpha, int accumulate, real *c, int64_t c_row)                        \
    {                                                                                                       \
        T(tile)(rows, vectors, masked, depth, a, a_row, a_col, b, b_row, ahead, last, alpha, accumulate, c, \
                c_row);                                                                                     \
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

/* One or two rows of A times several whole panels of B side by side: a tile of so few rows would wait for its
 * two or four chains of additions (measured with panels that lie ready, AVX-512: one row of 784-128-10 in
 * 3.4 instead of 6.0 microseconds).  Each element is summed as in a tile, and has the same bits. */
static inline __attribute__((always_inline)) void T(strip)(const int rows, const int vectors, int64_t depth,
                                                           const real *a, int64_t a_row, int64_t a_col,
                                                           const real *b, int64_t b_row, int64_t b_panel,
                                                           real alpha, int accumulate, real *c, int64_t c_row)
{
    vec acc[2][8];
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = (vec){0};
    }
    for (int64_t p = 0; p < depth; p++, a += a_col, b += b_row) {
        vec w[2];
        MG_UNROLL
        for (int i = 0; i < rows; i++)
            w[i] = T(v_splat)(a[i * a_row]);
        MG_UNROLL
        for (int v = 0; v < vectors; v++) {
            const vec x = T(v_load)(b + v / 2 * b_panel + v % 2 * LANES);
            MG_UNROLL
            for (int i = 0; i < rows; i++)
                acc[i][v] = MULTIPLY_ADD(w[i], x, acc[i][v]);
        }
    }
    MG_UNROLL
    for (int i = 0; i < rows; i++) {
        MG_UNROLL
        for (int v = 0; v < vectors; v++) {
            real *to = c + i * c_row + v * LANES;
            T(v_store)(to, T(scaled)(acc[i][v], alpha, accumulate, to, LANES));
        }
    }
}

/* How many panels a strip of so many rows takes when `whole` ones are left; 0: that is for tiles. */
static inline int T(strip_panels)(int64_t rows, int64_t whole)
{
    if (rows == 1 && whole >= 4)
        return 4;
    return rows <= 2 && whole >= 2 ? 2 : 0;
}

static void T(run_strip)(int rows, int panels, int64_t depth, const real *a, int64_t a_row, int64_t a_col,
                         const real *b, int64_t b_row, int64_t b_panel, real alpha, int accumulate, real *c,
                         int64_t c_row)
{
    if (panels == 4)
        T(strip)(1, 8, depth, a, a_row, a_col, b, b_row, b_panel, alpha, accumulate, c, c_row);
    else if (rows == 1)
        T(strip)(1, 4, depth, a, a_row, a_col, b, b_row, b_panel, alpha, accumulate, c, c_row);
    else
        T(strip)(2, 4, depth, a, a_row, a_col, b, b_row, b_panel, alpha, accumulate, c, c_row);
}
