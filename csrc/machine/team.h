/* A team of threads that run the same ops side by side, each on its share. */
#ifndef MG_TEAM_H
#define MG_TEAM_H

#include <stdint.h>

typedef struct {
    int index, size;
} mg_team;

typedef struct {
    int64_t first, last;
} mg_range;

/* The part of [0, count) that falls to this member: contiguous, and as even as can be. */
static inline mg_range mg_share(int64_t count, mg_team team)
{
    return (mg_range){count * team.index / team.size, count * (team.index + 1) / team.size};
}

static inline void mg_barrier(mg_team team)
{
    if (team.size > 1) {
#ifdef _OPENMP
#pragma omp barrier
#endif
    }
}

#endif
