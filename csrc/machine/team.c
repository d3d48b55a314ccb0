/* Teams by OpenMP, or of one member where the compiler has none. */
#include "machine/team.h"

#include "micrograd.h"

#ifdef _OPENMP
#include <omp.h>
#endif

int mg_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int mg_max_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void mg_set_max_threads(int threads)
{
#ifdef _OPENMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}

int mg_team_limit(int64_t threads)
{
    const int64_t most = mg_max_threads() < MG_MAX_TEAM ? mg_max_threads() : MG_MAX_TEAM;
    threads = threads < most ? threads : most;
    return threads < 1 ? 1 : (int)threads;
}

void mg_team_run(mg_team_body *body, void *arguments, int threads)
{
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        body(arguments, (mg_team){omp_get_thread_num(), omp_get_num_threads()});
        return;
    }
#else
    (void)threads;
#endif
    body(arguments, (mg_team){0, 1});
}

void mg_team_wait(void)
{
#ifdef _OPENMP
#pragma omp barrier
#endif
}
