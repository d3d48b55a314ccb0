/* What the fuzzer's bytes say, one number after the other; zeros when they have run out. */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "micrograd.h"

typedef struct {
    const uint8_t *at, *end;
} fuzz_bytes;

static inline uint8_t fuzz_byte(fuzz_bytes *b)
{
    return b->at < b->end ? *b->at++ : 0;
}

/* In [first, last] as a rule; every 64th or so is wild: a large number, a negative one, a limit. */
static inline int64_t fuzz_number(fuzz_bytes *b, int64_t first, int64_t last)
{
    static const int64_t wild[] = {-1, -2, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX, (int64_t)1 << 40, 255};
    const uint8_t byte = fuzz_byte(b);
    if (byte >= 252)
        return wild[fuzz_byte(b) % 8];
    return first + byte % (last - first + 1);
}

/* An array of its own, so that the sanitizer sees a step over its end. */
static inline void *fuzz_reals(int dtype, int64_t count)
{
    const size_t size = dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
    char *to = malloc((size_t)count * size + 1);
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)(i % 7) / 4 - 0.75;
        if (dtype == MG_FLOAT32)
            memcpy(to + (size_t)i * size, &(float){(float)value}, size);
        else
            memcpy(to + (size_t)i * size, &value, size);
    }
    return to;
}

static inline int fuzz_isa(fuzz_bytes *b)
{
    const int isa = fuzz_byte(b) % MG_ISAS;
    return mg_isa_supported(isa) ? isa : MG_GENERIC;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
