/* The kernel template of one instruction set: isa_*.c has set MG_VECTOR_BYTES, MG_ROWS, MG_ISA_TARGET and
 * the name of its table, MG_TABLE.  Everything is compiled twice, for float and for double. */
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "machine/special.h"

#ifdef MG_ISA_TARGET
#define MG_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define MG_PUSH_TARGET(isa) MG_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define MG_POP_TARGET MG_PRAGMA(clang attribute pop)
#else
#define MG_PUSH_TARGET(isa) MG_PRAGMA(GCC push_options) MG_PRAGMA(GCC target(isa))
#define MG_POP_TARGET MG_PRAGMA(GCC pop_options)
#endif
MG_PUSH_TARGET(MG_ISA_TARGET)
#endif

/* In front of a loop whose number of rounds is known: unroll it whole.  clang's own pragma, because it heeds
 * GCC's too late: the sums of a tile then stay in memory, and a step took 2 to 6 times as long. */
#ifdef __clang__
#define MG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MG_UNROLL _Pragma("GCC unroll 16")
#endif

/* In front of a function that is long and called from several places: no copy of it is made for one of them.
 * Those of `map` and `gate` for the tiles of a GEMM were 8 % of the library and no faster. */
#ifdef __clang__
#define MG_ONE_COPY __attribute__((noinline))
#else
#define MG_ONE_COPY __attribute__((noinline, noclone))
#endif

/* A compiler knows nothing of the pointer's value behind this. */
#define MG_OPAQUE(pointer) __asm__("" : "+r"(pointer))

#define MG_BITS 32
#include "kernels/kernels_template.h"
#undef MG_BITS

#define MG_BITS 64
#include "kernels/kernels_template.h"
#undef MG_BITS

#ifdef MG_ISA_TARGET
MG_POP_TARGET
#endif

#define MG_KERNEL_TABLE(T)                    \
    {.gemm_scratch = gemm_scratch##T,         \
     .gemm = gemm_run##T,                     \
     .panel_reals = panel_reals##T,           \
     .lay_out = lay_out##T,                   \
     .sparse_add = sparse_add##T,             \
     .sparse_sum = sparse_sum##T,             \
     .map = map##T,                           \
     .gate = gate##T,                         \
     .add = add##T,                           \
     .mix = mix##T,                           \
     .mix_backward = mix_backward##T,         \
     .dropout = dropout##T,                   \
     .columns_forward = columns_forward##T,   \
     .columns_backward = columns_backward##T, \
     .softmax = softmax##T,                   \
     .softmax_backward = softmax_backward##T, \
     .column_sum = column_sum##T,             \
     .loss = loss##T,                         \
     .all_finite = all_finite##T,             \
     .update = update##T,                     \
     .sum_of_squares = sum_of_squares##T,     \
     .largest = largest##T,                   \
     .power_sum = power_sum##T,               \
     .clip = clip##T,                         \
     .penalize = penalize##T,                 \
     .lanes = lanes##T,                       \
     .lanes_depth = lanes_depth##T,           \
     .lanes_scratch = lanes_scratch##T,       \
     .lanes_product = lanes_product##T,       \
     .lanes_join = lanes_join##T,             \
     .lanes_part = lanes_part##T,             \
     .lanes_entropy = lanes_entropy##T,       \
     .lanes_squares = lanes_squares##T,       \
     .lanes_penalize = lanes_penalize##T,     \
     .lanes_update = lanes_update##T,         \
     .program_forward = program_forward##T,   \
     .program_backward = program_backward##T, \
     .program_reduce = program_reduce##T,     \
     .fma_chains = fma_chains##T,             \
     .triad = triad##T}

const mg_kernels MG_TABLE[MG_DTYPES] = {MG_KERNEL_TABLE(_f32), MG_KERNEL_TABLE(_f64)};
