/* The kernel template for AVX2 and FMA: 12 of the 16 registers hold a tile of 6 x 2 vectors. */
#if defined(__x86_64__)
#include <immintrin.h>
#define MG_WITH_AVX2
#define MG_VECTOR_BYTES 32
#define MG_ROWS 6
#define MG_ISA_TARGET "avx2,fma"
#define MG_TABLE mg_kernels_avx2
#include "kernels/template.h"
#endif
