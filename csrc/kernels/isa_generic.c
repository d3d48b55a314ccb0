/* The kernel template for any machine whose compiler knows 16-byte vectors (SSE2 on x86-64, NEON on ARM). */
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#define MG_VECTOR_BYTES 16
#define MG_ROWS 4
#define MG_TABLE mg_kernels_generic
#include "kernels/template.h"
