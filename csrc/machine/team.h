/* A team of threads that run the same code side by side, each on its share. */
#ifndef MG_TEAM_H
#define MG_TEAM_H

#include <stdint.h>

typedef struct {
    int index, size;
} mg_team;

typedef struct {
    int64_t first, last;
} mg_range;

enum { MG_MAX_TEAM = 256 };

/* What every member of a team runs. */
typedef void mg_team_body(void *arguments, mg_team team);

/* A team's size: `threads`, but not more than the calling thread's limit and MG_MAX_TEAM, and at least 1. */
int mg_team_limit(int64_t threads);
/* body(arguments, team) by each of so many members, and returns when all have: this thread is member 0.  A
 * team may turn out smaller than asked for, down to this thread alone, never larger. */
void mg_team_run(mg_team_body *body, void *arguments, int threads);
/* The same, but it waits until all members that there can be have come, however long that takes. */
void mg_team_run_whole(mg_team_body *body, void *arguments, int threads);
/* Waits until all members of a team of several have come here. */
void mg_team_wait(mg_team team);

/* The same for any team: one of one member, which most are, has nobody to wait for. */
static inline void mg_barrier(mg_team team)
{
    if (team.size > 1)
        mg_team_wait(team);
}

/* The part of [0, count) that falls to this member: contiguous, and as even as can be. */
static inline mg_range mg_share(int64_t count, mg_team team)
{
    return (mg_range){count * team.index / team.size, count * (team.index + 1) / team.size};
}

/* The same in whole lines of 16, but for the last: of columns, outputs of a layer, parameters. */
static inline mg_range mg_share_lines(int64_t count, mg_team team)
{
    const mg_range lines = mg_share((count + 15) / 16, team);
    return (mg_range){lines.first * 16, lines.last * 16 < count ? lines.last * 16 : count};
}

#endif
