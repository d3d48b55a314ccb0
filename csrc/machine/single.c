/* Single kernels behind the C interface: for optimizers, tests and benchmarks. */
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "machine/memory.h"

static mg_matrix vector_of(const void *x, int64_t n)
{
    return (mg_matrix){(void *)(uintptr_t)x, 1, n, n};
}

static mg_matrix matrix_of(const void *x, int64_t rows, int64_t columns, int64_t ld)
{
    return (mg_matrix){(void *)(uintptr_t)x, rows, columns, ld};
}

typedef struct {
    const mg_kernels *kernels;
    const mg_gemm *g;
    void *scratch;
} product;

static void product_body(void *arguments, mg_team team)
{
    const product *p = arguments;
    p->kernels->gemm(p->g, p->scratch, team);
}

int mg_matmul(int isa, int dtype, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t a_row,
              int64_t a_col, const void *b, int64_t b_row, int64_t b_col, int accumulate, void *c,
              int64_t c_row, int threads)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || m < 0 || n < 0 || k < 0 || threads < 1)
        return MG_BAD_ARGUMENT;
    const mg_gemm g = {.m = m,
                       .n = n,
                       .k = k,
                       .alpha = alpha,
                       .a = a,
                       .a_row = a_row,
                       .a_col = a_col,
                       .b = b,
                       .b_row = b_row,
                       .b_col = b_col,
                       .c = c,
                       .c_row = c_row,
                       .accumulate = accumulate};
    void *scratch = mg_memory_new(kernels->gemm_scratch(&g, threads) + 64);
    if (!scratch)
        return MG_OUT_OF_MEMORY;
    mg_team_run(product_body, &(product){kernels, &g, scratch}, threads);
    mg_memory_free(scratch);
    return MG_OK;
}

int mg_map(int isa, int dtype, int function, double slope, int64_t n, const void *x, void *y)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || function < 0 || function >= MG_FUNCTIONS || n < 0)
        return MG_BAD_ARGUMENT;
    kernels->map(function, slope, vector_of(x, n), vector_of(y, n));
    return MG_OK;
}

int mg_gate(int isa, int dtype, int function, double slope, int64_t n, const void *reference, void *g)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || function < 0 || function > MG_MISH || n < 0)
        return MG_BAD_ARGUMENT;
    kernels->gate(function, slope, vector_of(reference, n), vector_of(g, n), vector_of(g, n), 0);
    return MG_OK;
}

int mg_softmax(int isa, int dtype, int64_t rows, int64_t columns, const void *x, int64_t x_ld, void *y,
               int64_t y_ld)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || rows < 0 || columns < 0)
        return MG_BAD_ARGUMENT;
    kernels->softmax(matrix_of(x, rows, columns, x_ld), matrix_of(y, rows, columns, y_ld));
    return MG_OK;
}

int mg_softmax_backward(int isa, int dtype, int64_t rows, int64_t columns, const void *y, int64_t y_ld,
                        const void *g, int64_t g_ld, void *g_in, int64_t g_in_ld)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || rows < 0 || columns < 0)
        return MG_BAD_ARGUMENT;
    kernels->softmax_backward(matrix_of(y, rows, columns, y_ld), matrix_of(g, rows, columns, g_ld),
                              matrix_of(g_in, rows, columns, g_in_ld), 0);
    return MG_OK;
}

double mg_norm(int isa, int dtype, int64_t n, const void *x, double p)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || !(p > 0))
        return -1;
    if (p == 2) {
        const double squares = kernels->sum_of_squares(n, x);
        if (squares > DBL_MIN && squares <= DBL_MAX)
            return sqrt(squares);
    }
    const double most = kernels->largest(n, x);
    if (p == INFINITY || most == 0 || !isfinite(most))
        return most;
    return most * pow(kernels->power_sum(n, x, p, most), 1 / p);
}

int mg_clip(int isa, int dtype, int64_t n, void *x, double scale, double bound)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || n < 0)
        return MG_BAD_ARGUMENT;
    kernels->clip(n, x, scale, bound);
    return MG_OK;
}
