/* The kernel template for AVX-512F: 28 of the 32 registers hold a tile of 14 x 2 vectors, two hold B. */
#if defined(__x86_64__)
#include <immintrin.h>
#define MG_WITH_AVX512
#define MG_VECTOR_BYTES 64
#define MG_ROWS 14
#define MG_ISA_TARGET "avx512f,avx2,fma"
#define MG_TABLE mg_kernels_avx512
#include "kernels/template.h"
#endif
