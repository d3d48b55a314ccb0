/* All kernels of one dtype, in reading order.  Included twice by template.h. */
#include "vector.h"
/* */
#include "vecmath.h"
/* */
#include "elementwise.h"
/* */
#include "gemm.h"
/* */
#include "softmax.h"
/* */
#include "losses.h"
/* */
#include "measure.h"
/* */
#include "program.h"

#undef T
#undef real
#undef integer
#undef vec
#undef ivec
#undef LANES
#undef ZIP_LOW
#undef ZIP_HIGH
#undef SHUFFLE
#undef PANEL
