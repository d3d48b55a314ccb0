/* What this machine can do at most: the bounds that `micrograd bench` holds its times against. */
#include <stdlib.h>
#include <time.h>

#include "kernels/kernels.h"

enum {
    FMA_STEPS = 1 << 14,   /* between two looks at the clock: 0.1 ms and more */
    TRIAD_SHARE = 1 << 12, /* reals: whole vectors, whole pages */
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

typedef struct {
    const mg_kernels *kernels;
    double rates[MG_MAX_TEAM]; /* operations a second of each member */
} chains;

static void fma_body(void *arguments, mg_team team)
{
    chains *c = arguments;
    double x = 1, done = 0, elapsed;
    mg_barrier(team); /* all of them are there before one starts */
    const double start = now();
    do {
        done += c->kernels->fma_chains(FMA_STEPS, &x);
        elapsed = now() - start;
    } while (elapsed < FMA_SECONDS);
    c->rates[team.index] = done / elapsed;
}

double mg_measure_fma(int isa, int dtype, int threads)
{
    chains c = {.kernels = mg_kernels_find(isa, dtype)};
    if (!c.kernels || threads < 1)
        return -1;
    mg_team_run_whole(fma_body, &c, mg_team_limit(threads));
    double rate = 0;
    for (int i = 0; i < MG_MAX_TEAM; i++)
        rate += c.rates[i];
    return rate / 1e9;
}

typedef struct {
    const mg_kernels *kernels;
    double *a, *b, *c;
} streams;

static mg_range reals_of(mg_team team)
{
    const mg_range shares = mg_share(TRIAD_REALS / TRIAD_SHARE, team);
    return (mg_range){shares.first * TRIAD_SHARE, shares.last * TRIAD_SHARE};
}

/* Written by the threads that read them later, so that each has its pages near it. */
static void touch_body(void *arguments, mg_team team)
{
    const streams *s = arguments;
    const mg_range mine = reals_of(team);
    for (int64_t i = mine.first; i < mine.last; i++)
        s->a[i] = s->b[i] = s->c[i] = 1;
}

static void triad_body(void *arguments, mg_team team)
{
    const streams *s = arguments;
    const mg_range mine = reals_of(team);
    for (int pass = 0; pass < TRIAD_PASSES; pass++)
        s->kernels->triad(mine.last - mine.first, s->a + mine.first, s->b + mine.first, s->c + mine.first);
}

double mg_measure_triad(int threads)
{
    const size_t bytes = (size_t)TRIAD_REALS * sizeof(double);
    streams s = {mg_kernels_find(mg_isa_best(), MG_FLOAT64), malloc(bytes), malloc(bytes), malloc(bytes)};
    double rate = -1;
    if (s.a && s.b && s.c && threads >= 1) {
        mg_team_run_whole(touch_body, &s, mg_team_limit(threads));
        const double start = now();
        mg_team_run_whole(triad_body, &s, mg_team_limit(threads));
        rate = TRIAD_PASSES * 3.0 * (double)bytes / (now() - start) / 1e9;
    }
    free(s.a);
    free(s.b);
    free(s.c);
    return rate;
}
