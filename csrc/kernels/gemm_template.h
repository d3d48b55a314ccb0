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

/* A stride that is a multiple of this many bytes puts the rows of a block into one or two sets of the
 * L1 cache, where they push each other out. */
#define CONFLICT_STRIDE 2048

static inline int T(conflicts)(int64_t stride, int64_t count)
{
    return count > 8 && stride * (int64_t)sizeof(real) % CONFLICT_STRIDE == 0;
}

/* Rows that lie over so many pages that the processor looks each of them up again for each tile (measured with
 * 800 KB, m, n, k = 512, 784, 128 in float64: 0.91 of the time where they are copied first; with 400 KB: 1.04). */
#define SCATTERED_BYTES 600000

static inline int T(scattered)(int64_t stride, int64_t count)
{
    return count > 8 && stride * count * (int64_t)sizeof(real) > SCATTERED_BYTES;
}

/* Is B copied into panels?  Always where its rows are not contiguous; else where it is used often enough
 * to pay for the copy (measured: from 4 tiles on) and too large or too badly strided to be used in place.
 * A panel that fits into half of the L1 cache is not too large: the first tile to read it brings it there
 * (measured: 93 % of the peak instead of 89 % for m, n, k = 128, 784, 64). */
static int T(packs_b)(const mg_gemm *g)
{
    if (g->panels)
        return 0;
    if (g->b_col != 1)
        return 1;
    const int64_t column_bytes = g->k * (int64_t)sizeof(real);
    const int large = column_bytes * g->n > 32768 && column_bytes * PANEL > 16384;
    return g->m >= 4 * MG_ROWS && (large || T(conflicts)(g->b_row, g->k) || T(scattered)(g->b_row, g->k));
}

/* Is A copied?  Where neither its rows nor its columns are contiguous; where its columns are, and so many
 * panels are to come that it pays to have a tile's share of them side by side (measured: 87 % of the peak
 * instead of 70 % for m, n, k = 1024, 1024, 512; 0.94 of the time for 128, 784, 64 in float64,
 * but 1.06 of a step of 64-32-10, whose few panels do not pay for it); where its
 * rows fight for the same cache lines. */
static int T(packs_a)(const mg_gemm *g)
{
    if (g->a_col != 1)
        return g->a_row != 1 || (g->k >= 32 && g->n >= (g->k >= 128 ? 4 : 16) * PANEL);
    return g->n > PANEL && T(conflicts)(g->a_row, g->m);
}

static inline int64_t T(panels)(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}

/* Elements of scratch: the panels of B, shared by the team, but a lone one for each member; then one block of A
 * for each member.  Never less for a larger m or k: a plan has room for its largest batch, and smaller ones have
 * to fit.  (The depth of a block does not grow with k: 600 is cut into two of 304, 575 is not.) */
static int64_t T(panel_scratch)(const mg_gemm *g)
{
    return PANEL * (g->k < MOST_DEPTH ? g->k + LANES : MOST_DEPTH + LANES);
}

static int64_t T(gemm_scratch_b)(const mg_gemm *g, int threads)
{
    const int64_t panels = T(panels)(g->n);
    return T(packs_b)(g) ? T(panel_scratch)(g) * (panels == 1 ? threads : panels) : 0;
}

#define BLOCK_A_ELEMENTS ((int64_t)(BLOCK_ROWS + 16) * (MOST_DEPTH + LANES))

static size_t T(gemm_scratch)(const mg_gemm *g, int threads)
{
    const int64_t a = T(packs_a)(g) ? BLOCK_A_ELEMENTS * threads : 0;
    return (size_t)(T(gemm_scratch_b)(g, threads) + a) * sizeof(real);
}

/* A panel of B from row p0 on: its rows lie `row` apart, and the next panel `panel` further on. */
typedef struct {
    const real *data;
    int64_t row, panel;
} T(columns);

static inline T(columns) T(columns_of)(const mg_gemm *g, const real *packed_b, int64_t first, int64_t panel,
                                       int64_t p0, int64_t depth)
{
    const int64_t width = g->n - panel * PANEL > LANES ? PANEL : LANES;
    if (g->panels) /* all of k, laid out once and for all */
        return (T(columns)){(const real *)g->panels + panel * PANEL * g->k + p0 * width, width, PANEL * g->k};
    if (packed_b)
        return (T(columns)){packed_b + (panel - first) * PANEL * depth, width, PANEL * depth};
    return (T(columns)){(const real *)g->b + p0 * g->b_row + panel * PANEL, g->b_row, PANEL};
}

/* Panels from this one on, before `last`, that have all their columns. */
static inline int64_t T(whole_panels)(const mg_gemm *g, int64_t panel, int64_t last)
{
    const int64_t end = g->n / PANEL < last ? g->n / PANEL : last;
    return end - panel;
}

/* One block of A (rows, depth) times panels [first, last) of B, epilogue included. */
static void T(gemm_block)(const mg_gemm *g, int64_t i0, int64_t rows, int64_t p0, int64_t depth,
                          int64_t first, int64_t last, const real *packed_b, real *scratch_a)
{
    const T(block) a =
        T(block_of)(g, rows, depth, (const real *)g->a + i0 * g->a_row + p0 * g->a_col, scratch_a);
    const int accumulate = g->accumulate || p0 > 0;
    const int finish = p0 + depth == g->k;
    int64_t panel = first;
    for (int some; (some = T(strip_panels)(rows, T(whole_panels)(g, panel, last))) > 0; panel += some) {
        const int64_t j = panel * PANEL;
        const T(columns) b = T(columns_of)(g, packed_b, first, panel, p0, depth);
        real *c = (real *)g->c + i0 * g->c_row + j;
        T(run_strip)((int)rows, some, depth, a.data, a.row, a.column, b.data, b.row, b.panel, (real)g->alpha,
                     accumulate, c, g->c_row);
        for (int64_t i = 0; finish && i < some * PANEL; i += PANEL)
            T(epilogue)(&g->epilogue, i0, j + i, (int)rows, PANEL, c + i, g->c_row);
    }
    for (; panel < last; panel++) {
        const int64_t j = panel * PANEL;
        const T(columns) b = T(columns_of)(g, packed_b, first, panel, p0, depth);
        const int columns = g->n - j < PANEL ? (int)(g->n - j) : PANEL;
        const int vectors = columns > LANES ? 2 : 1;
        const int tail = columns - (vectors - 1) * LANES;
        for (int64_t i = 0; i < rows;) {
            const int height = T(tile_rows)(rows - i);
            real *c = (real *)g->c + (i0 + i) * g->c_row + j;
            T(tile_function) *const tile = T(tiles)[height][vectors - 1][tail < LANES];
            const int leaving = i + 2 * MG_ROWS > rows && panel + 1 < last; /* the last high tile */
            const int64_t ahead = depth > SHALLOW ? STEPS_AHEAD * b.row : leaving ? b.panel : 0;
            tile(depth, a.data + i / MG_ROWS * a.group + i % MG_ROWS * a.row, a.row, a.column, b.data, b.row,
                 ahead, tail, (real)g->alpha, accumulate, c, g->c_row);
            if (finish)
                T(epilogue)(&g->epilogue, i0 + i, j, height, columns, c, g->c_row);
            i += height;
        }
    }
}

/* Panels of B that are packed at a time where nobody shares them.  One, where they are transposed: it is still in
 * L1 when the tiles read it (0.96 to 0.99 of the time of 8).  Where they are not, rows are read in long pieces:
 * 8 * 48 KiB stay in L2 beside a block of A. */
#define BLOCK_PANELS(transposed) ((transposed) ? 1 : 8)

/* The longest of the shares that a team cuts `count` into. */
static inline int64_t T(longest)(int64_t count, mg_team team)
{
    return (count + team.size - 1) / team.size;
}

/* Rows that a team shares out at a time: in whole tiles, one of two members would have 70 of 128 rows. */
#define SHARED_ROWS 4

/* Does the team share out panels of B, which each member then packs for itself without waiting for
 * anybody, or rows?  Panels, unless that leaves some member with a twentieth more to do.  But rows where B is
 * read in place: the update and the next forward pass share out the gradient of weights so; and where one member
 * writes the left halves of rows and the other the right ones, each asks ahead for lines of the other's.  Both
 * cost more than an eighth more of work. */
static int T(shares_panels)(const mg_gemm *g, int64_t fours, int64_t panels, mg_team team)
{
    if (!T(packs_b)(g) && T(longest)(fours, team) * team.size * 8 <= fours * 9)
        return 0;
    return T(longest)(panels, team) * fours * 20 <= T(longest)(fours, team) * panels * 21;
}

static void T(gemm_run)(const mg_gemm *g, void *scratch, mg_team team)
{
    real *packed_b = T(packs_b)(g) ? (real *)scratch : NULL;
    real *scratch_a = T(packs_a)(g)
                          ? (real *)scratch + T(gemm_scratch_b)(g, team.size) + team.index * BLOCK_A_ELEMENTS
                          : NULL;
    const int64_t fours = (g->m + SHARED_ROWS - 1) / SHARED_ROWS, panels = T(panels)(g->n);
    const int alone = T(shares_panels)(g, fours, panels, team); /* with the panels of B */
    const int apart = alone || panels == 1;                     /* each member packs what it reads */
    const mg_range mine = alone ? (mg_range){0, fours} : mg_share(fours, team);
    const mg_range columns = alone ? mg_share(panels, team) : (mg_range){0, panels};
    const int64_t i_first = mine.first * SHARED_ROWS;
    const int64_t i_last = mine.last * SHARED_ROWS < g->m ? mine.last * SHARED_ROWS : g->m;
    const int64_t tiles = (i_last - i_first + MG_ROWS - 1) / MG_ROWS, most = BLOCK_ROWS / MG_ROWS;
    const int64_t blocks = tiles > most ? (tiles + most - 1) / most : 1; /* even ones */
    const int64_t rows = (tiles + blocks - 1) / blocks * MG_ROWS;

    const int64_t step = T(block_depth)(g->k);
    const int64_t wide = packed_b && alone && !scratch_a ? BLOCK_PANELS(g->b_col != 1) : panels;
    if (packed_b && alone)
        packed_b += columns.first * PANEL * (g->k < step ? g->k : step);
    else if (packed_b && apart)
        packed_b += team.index * T(panel_scratch)(g);
    for (int64_t p = 0; p < g->k || p == 0; p += step) {
        const int64_t depth = g->k - p < step ? g->k - p : step;
        for (int64_t first = columns.first; first < columns.last; first += wide) {
            const mg_range group = {first, columns.last - first < wide ? columns.last : first + wide};
            if (packed_b && apart) {
                T(pack_panels)(g, p, depth, group, packed_b);
            } else if (packed_b) {
                if (p > 0)
                    mg_barrier(team); /* nobody still reads the panels of the block before */
                const mg_range packed = mg_share(panels, team);
                T(pack_panels)(g, p, depth, packed, packed_b + packed.first * PANEL * depth);
                mg_barrier(team);
            }
            for (int64_t i = i_first; i < i_last; i += rows)
                T(gemm_block)(g, i, i_last - i < rows ? i_last - i : rows, p, depth, group.first, group.last,
                              packed_b, scratch_a);
        }
    }
}

/* How many reals B takes when it is laid out in panels, and B laid out so: for mg_gemm.panels. */
static int64_t T(panel_reals)(int64_t n, int64_t k)
{
    return T(panels)(n) * PANEL * k;
}

static void T(lay_out)(const mg_gemm *g, void *out)
{
    T(pack_panels)(g, 0, g->k, (mg_range){0, T(panels)(g->n)}, (real *)out);
}
