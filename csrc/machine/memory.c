/* Aligned memory; Windows has no posix_memalign, and wants its own free. */
#include "machine/memory.h"

#include <stdlib.h>

#ifdef _WIN32
#include <malloc.h>
#endif

enum { LINE = 64 };

void *mg_memory_new(size_t bytes)
{
#ifdef _WIN32
    return _aligned_malloc(bytes, LINE);
#else
    void *memory = NULL;
    return posix_memalign(&memory, LINE, bytes) ? NULL : memory;
#endif
}

void mg_memory_free(void *memory)
{
#ifdef _WIN32
    _aligned_free(memory);
#else
    free(memory);
#endif
}
