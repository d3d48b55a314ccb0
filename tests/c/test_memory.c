/* Aligned memory: all of it is there, on a line of 64 bytes, and sizes that no rounding up can hold are refused. */
#include "guard.h"
#include "machine/memory.h"

enum { HUGE_PAGE = 1 << 21 };

void test_memory(long *passed_, long *failed_)
{
    static const size_t sizes[] = {1, 64, 65, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *memory = mg_memory_new(sizes[i]);
        CHECK(memory && (uintptr_t)memory % 64 == 0, "%zu bytes", sizes[i]);
        if (memory)
            memory[0] = memory[sizes[i] - 1] = 1;
        mg_memory_free(memory);
    }
    mg_memory_free(NULL);
    /* Rounded up to whole huge pages these are 0: memory for less than was asked for. */
    static const size_t too_large[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - HUGE_PAGE + 2};
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        void *memory = mg_memory_new(too_large[i]);
        CHECK(memory == NULL, "%zu bytes", too_large[i]);
        mg_memory_free(memory);
    }
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
