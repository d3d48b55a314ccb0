/* Memory with a page on each side that must not be touched, and the count of what has been checked. */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h" /* micrograd.h, with what it needs around it */

static long passed, failed;

#define CHECK(condition, ...)                                             \
    do {                                                                  \
        if (condition) {                                                  \
            passed++;                                                     \
        } else {                                                          \
            failed++;                                                     \
            printf("FAILED %s:%d: %s: ", __FILE__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                          \
            printf("\n");                                                 \
        }                                                                 \
    } while (0)

/* Where a buffer lies: its end at the guard page behind it, or its start at the one before it. */
enum { AT_THE_END, AT_THE_START, PLACES };
static int place;

enum { MAX_BUFFERS = 256 };
static struct {
    char *base;
    size_t bytes;
} mapped[MAX_BUFFERS];
static int n_mapped;

/* `bytes` of zeros; an access in front of it or behind it ends the program. */
static void *guarded(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inside = (bytes + page - 1) / page * page;
    char *base = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || n_mapped == MAX_BUFFERS ||
        (inside && mprotect(base + page, inside, PROT_READ | PROT_WRITE))) {
        perror("guarded");
        exit(2);
    }
    mapped[n_mapped].base = base;
    mapped[n_mapped++].bytes = inside + 2 * page;
    return base + page + (place == AT_THE_END ? inside - bytes : 0);
}

static inline void release_all(void)
{
    while (n_mapped) {
        n_mapped--;
        munmap(mapped[n_mapped].base, mapped[n_mapped].bytes);
    }
}

/* Reals of either dtype behind a void pointer. */
static int dtype;

static size_t real_size(void)
{
    return dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
}

static inline double get(const void *x, int64_t i)
{
    return dtype == MG_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static void set(void *x, int64_t i, double value)
{
    if (dtype == MG_FLOAT32)
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

static inline void *reals(int64_t count)
{
    return guarded((size_t)count * real_size());
}

static uint64_t state = 1;

/* Uniform in [0, count). */
static int64_t random_below(int64_t count)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)count);
}

/* Whole numbers from -8 to 8: sums of their products are exact. */
static inline void fill_whole(void *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        set(x, i, (double)random_below(17) - 8);
}

static inline void fill_real(void *x, int64_t count, double size)
{
    for (int64_t i = 0; i < count; i++)
        set(x, i, size * ((double)random_below(2000001) / 1000000 - 1));
}

#endif
