/* Teams of the threads of one pool, or of one member where the system has no POSIX threads.
 *
 * A call that wants a team has the pool to itself, or runs alone where another has it.  It offers seats;
 * members that are awake take them within a fraction of a microsecond, those that sleep are woken.  After a
 * while, ASLEEP_NS or AWAKE_NS, the offer is withdrawn and the team is who has come: a thread that gets no
 * processor delays nobody.  Once at work, all members wait for each other at barriers.  A waiting thread
 * spins for SPIN_NS and then sleeps, which lets the system run another member on its processor.
 *
 * Where a neighbour wants the processors, a team can cost more than it brings: a member that loses its
 * processor in the middle keeps the others waiting for a time slice, which is twenty small steps.  So every
 * run is timed, and what it took is compared with what this thread would have taken alone, as its own working
 * time says.  There is an account of time: LENT_NS at first; teams pay in what they save, up to SAVED_NS, and take
 * out what they lose.  While it is overdrawn no team is made, and calls that work alone pay in 1 / SHARE of their
 * time: teams never cost more than that. */
#define _GNU_SOURCE /* sched_getcpu, pthread_setaffinity_np */
#include "machine/team.h"

#include "micrograd.h"

#if defined(__has_include) && !defined(MG_NO_THREADS)
#if __has_include(<pthread.h>)
#define POOL 1
#endif
#endif

static _Thread_local int limit = MG_MAX_TEAM;

int mg_has_threads(void)
{
#ifdef POOL
    return 1;
#else
    return 0;
#endif
}

int mg_max_threads(void)
{
    return mg_has_threads() ? limit : 1;
}

void mg_set_max_threads(int threads)
{
    limit = threads < 1 ? 1 : threads;
}

int mg_team_limit(int64_t threads)
{
    const int64_t most = mg_max_threads() < MG_MAX_TEAM ? mg_max_threads() : MG_MAX_TEAM;
    threads = threads < most ? threads : most;
    return threads < 1 ? 1 : (int)threads;
}

#ifdef POOL
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum {
    SPIN_NS = 50000,     /* as long as it takes to wake a thread that sleeps */
    ASLEEP_NS = 100000,  /* how long seats are offered to threads that have to be woken */
    AWAKE_NS = 3000,     /* and to those that are awake, who answer in 200 ns unless they have no processor */
    LENT_NS = 8000000,   /* two time slices: they are lost on an idle machine too, now and then */
    SAVED_NS = 20000000, /* earned in a twentieth of a second: some hosts take several slices in a row */
    SHARE = 25,
    GLANCES = 16 /* at a word, before the first look at the clock */
};

/* A word that is waited for, on a line of its own. */
typedef struct {
    _Alignas(64) atomic_uint word;
    atomic_int sleeping;
    pthread_cond_t changed;
} event;

/* The seats of a call: its number, how many members it wants, how many may still come. */
typedef struct {
    uint32_t number;
    uint16_t wanted, left;
} seats;

typedef union {
    seats is;
    uint64_t word;
} offer;

static struct {
    pthread_mutex_t lock;
    event called, started, met; /* numbers of calls, offered and begun; how often a team has met */
    _Alignas(64) _Atomic uint64_t offered;
    _Alignas(64) atomic_int arrived; /* at the next meeting */
    _Alignas(64) atomic_flag taken;  /* a call has the pool */
    /* Of the call that has the pool: */
    int members; /* threads of the pool, without the callers */
    pthread_t threads[MG_MAX_TEAM];
    int apart_from; /* 1 + the processor that they are kept away from */
    int size;
    mg_team_body *body;
    void *arguments;
    uint32_t number;
    int64_t waited, saved; /* ns: by member 0 at meetings; the account */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .called = {.changed = PTHREAD_COND_INITIALIZER},
          .started = {.changed = PTHREAD_COND_INITIALIZER},
          .met = {.changed = PTHREAD_COND_INITIALIZER},
          .taken = ATOMIC_FLAG_INIT,
          .saved = LENT_NS};

static int patient; /* every team waits for all of its members: for tests */

void mg_set_patient(int wait)
{
    patient = wait;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Waits until the word is no longer `old`: spins for a while, then sleeps. */
static void await_change(event *e, uint32_t old)
{
    for (int i = 0; i < GLANCES; i++) {
        if (atomic_load_explicit(&e->word, memory_order_acquire) != old)
            return;
        relax();
    }
    for (const int64_t end = now() + SPIN_NS; now() < end; relax())
        for (int i = 0; i < GLANCES; i++, relax())
            if (atomic_load_explicit(&e->word, memory_order_acquire) != old)
                return;
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&e->sleeping, 1);
    while (atomic_load(&e->word) == old)
        pthread_cond_wait(&e->changed, &pool.lock);
    atomic_fetch_sub(&e->sleeping, 1);
    pthread_mutex_unlock(&pool.lock);
}

/* Changes the word and wakes who sleeps over it; returns whether there is somebody.  Either this sees that a
 * thread sleeps, or that thread sees the new word. */
static int change(event *e, uint32_t word)
{
    atomic_store(&e->word, word);
    if (!atomic_load(&e->sleeping))
        return 0;
    pthread_mutex_lock(&pool.lock);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&pool.lock);
    return 1;
}

void mg_team_wait(mg_team team)
{
    const int64_t start = team.index ? 0 : now();
    const uint32_t met = atomic_load(&pool.met.word);
    if (atomic_fetch_add(&pool.arrived, 1) + 1 == team.size) {
        atomic_store(&pool.arrived, 0);
        change(&pool.met, met + 1);
        return;
    }
    await_change(&pool.met, met);
    if (!team.index)
        pool.waited += now() - start;
}

/* A seat of the call of this number, as the member's index; 0 where it has none left or is over. */
static int take_seat(uint32_t number)
{
    offer seen = {.word = atomic_load(&pool.offered)};
    for (;;) {
        if (seen.is.number != number || !seen.is.left)
            return 0;
        offer next = seen;
        next.is.left--;
        if (atomic_compare_exchange_weak(&pool.offered, &seen.word, next.word))
            return seen.is.wanted - seen.is.left + 1;
    }
}

static void *work(void *unused)
{
    (void)unused;
    uint32_t seen = 0, begun = 0;
    for (;;) {
        await_change(&pool.called, seen);
        seen = atomic_load(&pool.called.word);
        begun = atomic_load(&pool.started.word);
        const int index = take_seat(seen);
        if (!index)
            continue;
        await_change(&pool.started, begun);
        const mg_team team = {index, pool.size};
        pool.body(pool.arguments, team);
        mg_team_wait(team);
    }
    return NULL;
}

#ifndef _WIN32
/* In a forked child there are no members, and whatever they or a call were at is over. */
static void forget(void)
{
    event *const events[] = {&pool.called, &pool.started, &pool.met};
    pthread_mutex_init(&pool.lock, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_cond_init(&events[i]->changed, NULL);
        atomic_store(&events[i]->sleeping, 0);
    }
    atomic_store(&pool.offered, 0);
    atomic_store(&pool.arrived, 0);
    atomic_flag_clear(&pool.taken);
    pool.members = 0;
    pool.saved = LENT_NS;
}
#endif

/* So many members, or as many as the system lets there be; signals are for other threads. */
static void hire(int members)
{
#ifndef _WIN32
    static int prepared;
    if (!prepared)
        prepared = !pthread_atfork(NULL, NULL, forget);
    if (!prepared)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    for (; pool.members < members; pool.members++) {
        if (pthread_create(&pool.threads[pool.members], NULL, work, NULL))
            break;
        pthread_detach(pool.threads[pool.members]);
    }
    pool.apart_from = 0;
#ifndef _WIN32
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
}

/* Keeps the members away from the caller's processor, where the system likes to wake them if the others are
 * not idle: there they would wait for the caller, and it for them. */
static void keep_apart(void)
{
#ifdef __linux__
    const int here = sched_getcpu();
    cpu_set_t others;
    if (here + 1 == pool.apart_from || here < 0 || here >= CPU_SETSIZE ||
        pthread_getaffinity_np(pthread_self(), sizeof others, &others))
        return;
    pool.apart_from = here + 1;
    CPU_CLR(here, &others);
    for (int i = 0; CPU_COUNT(&others) && i < pool.members; i++)
        pthread_setaffinity_np(pool.threads[i], sizeof others, &others);
#endif
}

/* Offers seats to so many members; returns how many have come in time. */
static int gather(int wanted, int whole)
{
    const uint32_t number = ++pool.number;
    offer all = {.is = {number, (uint16_t)wanted, (uint16_t)wanted}};
    atomic_store(&pool.offered, all.word);
    const int woken = change(&pool.called, number);
    const int64_t end = now() + (woken ? ASLEEP_NS : AWAKE_NS);
    offer seen = all;
    for (int i = 0;; i++, relax()) {
        seen.word = atomic_load_explicit(&pool.offered, memory_order_acquire);
        if (!seen.is.left)
            return wanted;
        if (i % GLANCES || now() < end)
            continue;
        if (whole) {
            sched_yield();
            continue;
        }
        offer closed = seen;
        closed.is.left = 0;
        if (atomic_compare_exchange_strong(&pool.offered, &seen.word, closed.word))
            return wanted - seen.is.left;
    }
}

static void pay_in(int64_t ns)
{
    pool.saved = pool.saved + ns < SAVED_NS ? pool.saved + ns : SAVED_NS;
}

/* With the pool taken: by a team, and how that went. */
static void run_together(mg_team_body *body, void *arguments, int wanted, int whole)
{
    const int64_t start = now();
    keep_apart();
    pool.body = body;
    pool.arguments = arguments;
    pool.waited = 0;
    const int come = gather(wanted, whole);
    const int64_t begun = now();
    pool.size = come + 1;
    if (!come) {
        pool.saved -= begun - start + SPIN_NS; /* who comes too late spins for nothing */
        body(arguments, (mg_team){0, 1});
        return;
    }
    change(&pool.started, pool.number);
    const mg_team team = {0, pool.size};
    body(arguments, team);
    mg_team_wait(team);
    const int64_t took = now() - start, worked = took - (begun - start) - pool.waited;
    if (!whole)
        pay_in(worked * team.size - took);
}

static void run(mg_team_body *body, void *arguments, int threads, int whole)
{
    const int most = threads < MG_MAX_TEAM ? threads : MG_MAX_TEAM;
    if (most > 1 && !atomic_flag_test_and_set(&pool.taken)) {
        if (pool.members < most - 1)
            hire(most - 1);
        const int wanted = pool.members < most - 1 ? pool.members : most - 1;
        const int alone = !wanted || (pool.saved < 0 && !whole);
        if (!alone) {
            run_together(body, arguments, wanted, whole);
        } else {
            const int64_t start = now();
            body(arguments, (mg_team){0, 1});
            pay_in((now() - start) / SHARE);
        }
        atomic_flag_clear(&pool.taken);
        return;
    }
    body(arguments, (mg_team){0, 1});
}

void mg_team_run(mg_team_body *body, void *arguments, int threads)
{
    run(body, arguments, threads, patient);
}

void mg_team_run_whole(mg_team_body *body, void *arguments, int threads)
{
    run(body, arguments, threads, 1);
}
#else

void mg_set_patient(int wait)
{
    (void)wait;
}

void mg_team_wait(mg_team team)
{
    (void)team;
}

void mg_team_run(mg_team_body *body, void *arguments, int threads)
{
    (void)threads;
    body(arguments, (mg_team){0, 1});
}

void mg_team_run_whole(mg_team_body *body, void *arguments, int threads)
{
    mg_team_run(body, arguments, threads);
}
#endif
