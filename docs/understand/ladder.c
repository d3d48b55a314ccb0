/* The ladder from a naive loop to a kernel: C (m,n) = A (m,k) @ B (k,n), row-major, each rung with one idea
 * more than the one before.  Compiled and timed by ladder.py beside this file; docs/understand/kernel.md
 * explains. */
#include <string.h>

enum { BLOCK_K = 240, BLOCK_N = 240 };

static int min(int a, int b)
{
    return a < b ? a : b;
}

/* 1. The formula as it stands: each element of C is a sum.  B is walked down a column, n floats a step. */
void naive(int m, int n, int k, const float *a, const float *b, float *c)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int p = 0; p < k; p++)
                sum += a[i * k + p] * b[p * n + j];
            c[i * n + j] = sum;
        }
}

/* 2. The two inner loops exchanged: B and C are walked along their rows, and the compiler makes vectors. */
void loop_order(int m, int n, int k, const float *a, const float *b, float *restrict c)
{
    memset(c, 0, sizeof(float) * m * n);
    for (int i = 0; i < m; i++)
        for (int p = 0; p < k; p++)
            for (int j = 0; j < n; j++)
                c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* 3. A block of B that fits into the cache is used for all rows of A before the next one is touched. */
void blocking(int m, int n, int k, const float *a, const float *b, float *restrict c)
{
    memset(c, 0, sizeof(float) * m * n);
    for (int p0 = 0; p0 < k; p0 += BLOCK_K)
        for (int j0 = 0; j0 < n; j0 += BLOCK_N)
            for (int i = 0; i < m; i++)
                for (int p = p0; p < min(p0 + BLOCK_K, k); p++)
                    for (int j = j0; j < min(j0 + BLOCK_N, n); j++)
                        c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* 4. The block is copied first, so that it lies in one piece: no two of its rows fight for a cache line. */
void packing(int m, int n, int k, const float *a, const float *b, float *restrict c)
{
    static float block[BLOCK_K * BLOCK_N];
    memset(c, 0, sizeof(float) * m * n);
    for (int p0 = 0; p0 < k; p0 += BLOCK_K)
        for (int j0 = 0; j0 < n; j0 += BLOCK_N) {
            const int deep = min(BLOCK_K, k - p0), wide = min(BLOCK_N, n - j0);
            for (int p = 0; p < deep; p++)
                memcpy(block + p * wide, b + (p0 + p) * n + j0, sizeof(float) * wide);
            for (int i = 0; i < m; i++)
                for (int p = 0; p < deep; p++)
                    for (int j = 0; j < wide; j++)
                        c[i * n + j0 + j] += a[i * k + p0 + p] * block[p * wide + j];
        }
}

/* 5. A tile of C of ROWS x 2 vectors stays in registers while k runs: for 2 loads of B and ROWS of A there
 * are 2 ROWS multiply-adds, and C is neither read nor written on the way.  For m a multiple of ROWS and n
 * of 2 vectors; the real kernel has a tile for every remainder. */
typedef float vec __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
enum { LANES = VECTOR_BYTES / 4, PANEL = 2 * LANES };

static void tile(int n, int k, int deep, const float *a, const float *panel, float *c, int first)
{
    vec acc[ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < 2; v++)
            acc[i][v] = first ? (vec){0} : *(const vec *)(c + i * n + v * LANES);
    for (int p = 0; p < deep; p++) {
        const vec left = *(const vec *)(panel + p * PANEL), right = *(const vec *)(panel + p * PANEL + LANES);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++) {
            acc[i][0] += a[i * k + p] * left;
            acc[i][1] += a[i * k + p] * right;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < 2; v++)
            *(vec *)(c + i * n + v * LANES) = acc[i][v];
}

void register_tile(int m, int n, int k, const float *a, const float *b, float *c)
{
    static float panel[BLOCK_K * PANEL];
    for (int p0 = 0; p0 < k; p0 += BLOCK_K)
        for (int j0 = 0; j0 < n; j0 += PANEL) {
            const int deep = min(BLOCK_K, k - p0);
            for (int p = 0; p < deep; p++)
                memcpy(panel + p * PANEL, b + (p0 + p) * n + j0, sizeof(float) * PANEL);
            for (int i = 0; i < m; i += ROWS)
                tile(n, k, deep, a + i * k + p0, panel, c + i * n + j0, p0 == 0);
        }
}
