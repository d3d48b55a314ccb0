/* What this machine can do at most: the bounds that `micrograd bench` holds its times against. */
#include <stdlib.h>
#include <time.h>

#include "kernels/kernels.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    FMA_STEPS = 1 << 14,   /* between two looks at the clock: 0.1 ms and more */
    TRIAD_SHARE = 1 << 19, /* reals: what a thread works on at a time */
    TRIAD_REALS = 1 << 24, /* three arrays of 128 MiB: more than most last-level caches hold */
    TRIAD_PASSES = 3
};

/* Long enough for the clock frequency to settle, short enough to run between any two rounds. */
static const double FMA_SECONDS = 0.01;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations a second of this thread. */
static double fma_rate(const mg_kernels *kernels)
{
    double x = 1, done = 0, elapsed;
    const double start = now();
    do {
        done += kernels->fma_chains(FMA_STEPS, &x);
        elapsed = now() - start;
    } while (elapsed < FMA_SECONDS);
    return done / elapsed;
}

double mg_measure_fma(int isa, int dtype, int threads)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    if (!kernels || threads < 1)
        return -1;
    double rate = 0;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads) reduction(+ : rate)
    {
#pragma omp barrier /* all of them are there before one starts */
        rate += fma_rate(kernels);
    }
#else
    rate = fma_rate(kernels);
#endif
    return rate / 1e9;
}

/* Written by the threads that read them later, so that each has its pages near it. */
static void touch(double *a, double *b, double *c, int threads)
{
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#endif
    for (int64_t share = 0; share < TRIAD_REALS; share += TRIAD_SHARE)
        for (int64_t i = share; i < share + TRIAD_SHARE; i++)
            a[i] = b[i] = c[i] = 1;
}

static void triad_pass(const mg_kernels *kernels, double *a, const double *b, const double *c, int threads)
{
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#endif
    for (int64_t i = 0; i < TRIAD_REALS; i += TRIAD_SHARE)
        kernels->triad(TRIAD_SHARE, a + i, b + i, c + i);
}

double mg_measure_triad(int threads)
{
    const size_t bytes = (size_t)TRIAD_REALS * sizeof(double);
    const mg_kernels *kernels = mg_kernels_find(mg_isa_best(), MG_FLOAT64);
    double *a = malloc(bytes), *b = malloc(bytes), *c = malloc(bytes), rate = -1;
    if (a && b && c && threads >= 1) {
        touch(a, b, c, threads);
        const double start = now();
        for (int pass = 0; pass < TRIAD_PASSES; pass++)
            triad_pass(kernels, a, b, c, threads);
        rate = TRIAD_PASSES * 3.0 * (double)bytes / (now() - start) / 1e9;
    }
    free(a);
    free(b);
    free(c);
    return rate;
}
