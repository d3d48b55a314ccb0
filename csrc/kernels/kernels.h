/* What one instruction set offers for one dtype: the table of kernels that kernels/template.h fills in, and
 * the arguments they take.  Pointers to reals are void here, because the table serves both dtypes. */
#ifndef MG_KERNELS_H
#define MG_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "micrograd.h"
#include "machine/team.h"

/* Products and sums become one rounding within an expression, and only there: what clang contracts across
 * expressions differs from copy to copy of a function, and so do the bits.  gcc contracts in its own way, alike in
 * all copies that the tests compare; but not on ARM, where the last vector of a row is loaded lane by lane, and a
 * product in front of such a branch stays by itself.  There only v_fma rounds once. */
#ifdef __aarch64__
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif
#elif defined(__clang__)
#pragma STDC FP_CONTRACT ON
#endif

/* What happens to a tile of C while it is still in the L1 cache. */
typedef struct {
    const void *bias;     /* (n), added to each row, or NULL */
    void *pre_activation; /* (m,n): keeps the sum as it is before the activation, or NULL */
    int64_t pre_activation_row;
    int activation;
    double slope;
    int gate; /* C *= derivative of this activation, computed from `reference` (m,n) */
    double gate_slope;
    const void *reference;
    int64_t reference_row;
    const void *skip; /* (m,n), added at the end, or NULL */
    int64_t skip_row;
} mg_epilogue;

typedef struct {
    int64_t m, n, k;
    double alpha;
    const void *a;
    int64_t a_row, a_col;
    const void *b;
    int64_t b_row, b_col;
    const void *panels; /* B laid out by `lay_out`, which is read in its place, or NULL */
    void *c;
    int64_t c_row;
    int accumulate;
    mg_epilogue epilogue;
} mg_gemm;

/* 64 random bits from 64 that differ (the finalizer of splitmix64: Steele et al. 2014). */
static inline uint64_t mg_mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Element i of an array of reals, which are so many bytes each. */
static inline double mg_real_at(size_t real_size, const void *x, int64_t i)
{
    return real_size == sizeof(float) ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

/* A (rows, columns) part of a matrix. */
typedef struct {
    void *data;
    int64_t rows, columns, ld;
} mg_matrix;

/* The loss of some rows.  `gradient` (rows, columns) gets dL_i/dz for each row, times its weight; its
 * data may be NULL.  row_loss (rows) gets weight * L_i. */
typedef struct {
    int loss;
    mg_matrix z;
    const int64_t *labels;
    const void *targets;
    int64_t targets_ld;
    const void *weights;
    void *gradient;
    int64_t gradient_ld;
    double *row_loss;
} mg_loss_rows;

/* The numbers of sparse rows, column by column: those of the c-th column that has some are the entries
 * [start[c], start[c + 1]), in the order of their rows. */
typedef struct {
    int64_t columns;
    const int64_t *start;  /* (columns + 1) */
    const int32_t *column; /* (columns), rising */
    const int32_t *row;    /* of each entry */
    const void *value;
} mg_sparse_columns;

/* The most columns of a tile of their weights, and its outputs. */
enum { MG_TILE_COLUMNS = 16, MG_TILE_OUTPUTS = 128 };

/* What an optimizer's settings come down to at one step, the same for all elements. */
typedef struct {
    double lr, decay, shrink;          /* decay of g, and of p by itself */
    double keep_square, eps, root;     /* the denominator is sqrt(s) root + eps */
    double mean_share, gradient_share; /* of nadam, the learning rate included */
} mg_rates;

/* Where the gradient of an argument goes, (rows, columns); data NULL: nowhere. */
typedef struct {
    void *data;
    int64_t ld;
} mg_gradient;

#define MG_MOST_ROWS 128 /* of a block of a program */

/* What a program works on: a block of rows.  A slot is `stride` reals, of which the first `rows` hold
 * something. */
typedef struct {
    int64_t rows, stride;
    void *slots;
    void *scalars;        /* one real each */
    void *sums;           /* one vector each: the gradients of the scalars, summed lane by lane */
    const double *totals; /* one each: the gradients of the uniforms, for KEEP going backward */
    const mg_argument *arguments;
    int64_t first_row; /* of the block, in the arguments */
    void *out;         /* (rows, outputs) of this block */
    int64_t out_ld;
    double seed; /* the gradient of an output, unless `seeds` has one for each row of this block */
    void *seeds; /* NULL, or as long as a slot */
    const mg_gradient *gradients; /* for each argument, from this block's first row on; or NULL */
} mg_block;

/* A layer that works column by column, and this member's share of it: `columns` of those that it works on,
 * `passed` of those that it hands on, which stand from passed_in on in its input and from passed_out on in its
 * output.  See micrograd.h. */
typedef struct {
    int kind;
    int64_t numbers, frequencies, width;
    int activation;                        /* of MG_PARAMETRIC */
    double slope;                          /* its own */
    int accumulate, accumulate_parameters; /* gradients of the input, and of the parameters */
    double scale;                          /* of the gradients of the parameters */
    const void *parameters;
    void *gradients;
    const double *constants;
    mg_range columns, passed;
    int64_t passed_in, passed_out;
} mg_columns;

/* Of equal networks side by side, each in a lane: C (m, n) = alpha * A (m, k) @ B (k, n), or A @ B + bias and
 * then relu or nothing.  All are vectors, strides as well; `shared`: A is one real for all lanes. */
typedef struct {
    int64_t m, n, k;
    double alpha;
    const void *a, *b, *bias;
    int64_t a_row, a_col, b_row, b_col;
    void *c;
    int64_t c_row, c_col;
    int shared, relu;
    const void *positive; /* as C: where it is not above 0, C becomes 0; or NULL */
    void *scratch;        /* (lanes_scratch) reals */
} mg_lanes_product;

enum { MG_MOST_LANES = 16 };

/* A step of an optimizer in each lane; those of its settings that choose code are the same in all. */
typedef struct {
    const mg_optimizer *optimizers[MG_MOST_LANES];
    mg_rates rates[MG_MOST_LANES];
    double scale[MG_MOST_LANES], bound[MG_MOST_LANES];
    void *parameters, *gradients, *state[3];
} mg_lanes_update;

typedef struct {
    int64_t lanes; /* reals of a vector */
    /* See lanes_template.h. */
    int64_t lanes_depth, lanes_scratch;
    void (*lanes_product)(const mg_lanes_product *g);
    void (*lanes_join)(int64_t n, const void *const *from, void *to);
    void (*lanes_part)(int64_t n, const void *from, int lanes, const int *left_out, void *const *to);
    void (*lanes_entropy)(int64_t rows, int n, const void *z, const void *labels, void *g, double *losses);
    void (*lanes_squares)(int64_t n, const void *x, double *sums);
    void (*lanes_penalize)(int64_t n, const void *w, void *g, double factor, const double *l2,
                           double *squares, double *penalties);
    void (*lanes_update)(const mg_lanes_update *u, int64_t n, double *largest);
    void (*program_forward)(const mg_block *block, mg_code code);
    void (*program_backward)(const mg_block *block, mg_code code);
    void (*program_reduce)(int64_t n, const void *sums, double *totals); /* totals += sums over lanes */
    size_t (*gemm_scratch)(const mg_gemm *g, int threads);               /* bytes */
    void (*gemm)(const mg_gemm *g, void *scratch, mg_team team);         /* no barrier at its end */
    int64_t (*panel_reals)(int64_t n, int64_t k);
    void (*lay_out)(const mg_gemm *g, void *out); /* (panel_reals) = g's B as it is read */
    /* See sparse_template.h. */
    void (*sparse_add)(const mg_sparse_columns *x, mg_range columns, const void *weights, int64_t stride,
                       int direct, mg_matrix z);
    void (*sparse_sum)(const mg_sparse_columns *x, mg_range columns, double alpha, mg_matrix delta,
                       void *tile);
    void (*map)(int function, double slope, mg_matrix x, mg_matrix y);
    /* out (+)= g * f'; out may be g */
    void (*gate)(int function, double slope, mg_matrix reference, mg_matrix g, mg_matrix out, int accumulate);
    void (*add)(mg_matrix x, mg_matrix y, mg_matrix z); /* z = x + y */
    void (*mix)(mg_matrix h, mg_matrix t, mg_matrix x, mg_matrix out);
    void (*mix_backward)(const mg_matrix *in, const mg_matrix *out, int accumulate);
    void (*dropout)(double rate, uint64_t key, int64_t first_row, mg_matrix x, mg_matrix y, int accumulate);
    void (*columns_forward)(const mg_columns *c, mg_matrix x, mg_matrix y);
    void (*columns_backward)(const mg_columns *c, mg_matrix g, mg_matrix x, mg_matrix out);
    void (*softmax)(mg_matrix x, mg_matrix y);
    void (*softmax_backward)(mg_matrix y, mg_matrix g, mg_matrix g_in, int accumulate);
    void (*column_sum)(mg_matrix x, double alpha, int accumulate, void *sum); /* sum (columns) */
    void (*loss)(const mg_loss_rows *rows);
    int (*all_finite)(mg_matrix x, double factor); /* are all factor * x finite? */
    /* See optimizers_template.h. */
    double (*update)(const mg_optimizer *o, const mg_rates *rates, mg_range range, double scale, double bound,
                     int dry);
    double (*sum_of_squares)(int64_t n, const void *x);
    double (*largest)(int64_t n, const void *x);
    double (*power_sum)(int64_t n, const void *x, double p, double unit);
    void (*clip)(int64_t n, void *x, double scale, double bound);
    void (*penalize)(int64_t n, const void *w, void *g, double factor, double l1, double l2, double sums[2]);
    double (*fma_chains)(int64_t steps, double *start); /* returns the number of operations */
    void (*triad)(int64_t n, void *a, const void *b, const void *c);
} mg_kernels;

extern const mg_kernels mg_kernels_generic[MG_DTYPES];
extern const mg_kernels mg_kernels_avx2[MG_DTYPES];
extern const mg_kernels mg_kernels_avx512[MG_DTYPES];
extern const mg_kernels mg_kernels_neon[MG_DTYPES];

/* NULL if this machine cannot run it. */
const mg_kernels *mg_kernels_find(int isa, int dtype);

#endif
