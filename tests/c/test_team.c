/* The thread pool: every member runs, all of them meet, calls from several threads at once and from forked
 * children end and are right, whoever takes part. */
#include <stdatomic.h>

#include "guard.h"
#include "machine/team.h"

enum { STEPS = 40, CELLS = 64 };

/* Each step adds up the cells of the step before, which the members have filled in shares. */
typedef struct {
    int64_t cells[2][CELLS], total[MG_MAX_TEAM];
    int ran[MG_MAX_TEAM], size;
} chain;

static void chain_body(void *arguments, mg_team team)
{
    chain *c = arguments;
    c->ran[team.index]++;
    if (team.index == 0)
        c->size = team.size;
    const mg_range mine = mg_share(CELLS, team);
    for (int step = 0; step < STEPS; step++) {
        int64_t sum = 1;
        for (int i = 0; i < CELLS; i++)
            sum += c->cells[step % 2][i];
        for (int64_t i = mine.first; i < mine.last; i++)
            c->cells[(step + 1) % 2][i] = (sum + i) % 1000003;
        c->total[team.index] = sum;
        mg_barrier(team);
    }
}

static int64_t expected(void)
{
    chain c = {.size = 0};
    chain_body(&c, (mg_team){0, 1});
    return c.total[0];
}

/* So many calls; returns how many were wrong. */
static int calls(int count, int threads, int64_t want)
{
    int wrong = 0;
    for (int i = 0; i < count; i++) {
        chain c = {.size = 0};
        mg_team_run(chain_body, &c, threads);
        wrong += c.size < 1 || c.size > threads;
        for (int member = 0; member < MG_MAX_TEAM; member++)
            wrong += member < c.size ? c.ran[member] != 1 || c.total[member] != want : c.ran[member] != 0;
    }
    return wrong;
}

#ifndef MG_NO_THREADS
#include <pthread.h>
#include <sys/wait.h>

static atomic_int wrong_elsewhere;

static void *caller(void *threads)
{
    atomic_fetch_add(&wrong_elsewhere, calls(100, *(int *)threads, expected()));
    return NULL;
}

static void check_callers(void)
{
    pthread_t callers[4];
    int threads[4] = {2, 3, 2, 4};
    for (int i = 0; i < 4; i++)
        pthread_create(&callers[i], NULL, caller, &threads[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], NULL);
    CHECK(!wrong_elsewhere, "%d of four threads at once", wrong_elsewhere);
}

static void check_fork(int64_t want)
{
    const pid_t child = fork();
    if (child == 0) {
        mg_set_patient(1);
        chain c = {.size = 0};
        mg_team_run(chain_body, &c, 3);
        _exit(c.size != 3 || calls(20, 3, want) > 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(child > 0 && status == 0, "a forked child: status %d", status);
    CHECK(!calls(20, 3, want), "after a fork");
}
#endif

void test_team(long *passed_, long *failed_)
{
    const int64_t want = expected();
    for (int patient = 0; patient < 2; patient++) {
        mg_set_patient(patient);
        for (int threads = 1; threads < 6; threads++)
            CHECK(!calls(50, threads, want), "%d threads, patient %d", threads, patient);
    }
    chain c = {.size = 0};
    mg_team_run(chain_body, &c, 5);
    CHECK(c.size == (mg_has_threads() ? 5 : 1), "a patient team of %d", c.size);
    mg_set_patient(0);
#ifndef MG_NO_THREADS
    check_callers();
    check_fork(want);
#endif
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
