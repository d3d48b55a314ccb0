/* The kernel template for NEON: 24 of the 32 registers hold a tile of 12 x 2 vectors. */
#if defined(__aarch64__)
#include <arm_neon.h>
#define MG_VECTOR_BYTES 16
#define MG_ROWS 12
#define MG_TABLE mg_kernels_neon
#include "kernels/template.h"
#endif
