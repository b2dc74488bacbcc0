/* See pool.h: a pool's life, its settings and counters, fork and exit. Workers are workers.c's, requests requests.c's. */
#define _GNU_SOURCE
#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "alarms.h"
#include "clock.h"
#include "notifier.h"
#include "ops.h"
#include "workers.h"

static struct {
    pthread_mutex_t lock; /* guards `head` and the pools' links */
    struct pool *head;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* For the exit, which waits for changes. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    atomic_bool waiting;
} leaving = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_uint generation;

/* ---- fork ---- */

/* The parent's threads do not exist here, and its locks may be held by them: all of it is left alone. */
static void
forked(void)
{
    atomic_fetch_add(&generation, 1);
    pthread_mutex_init(&registry.lock, NULL);
    registry.head = NULL;
    pthread_mutex_init(&leaving.lock, NULL);
    clock_cond_init(&leaving.cond);
    atomic_store(&leaving.waiting, false);
    notifier_forget_orphans();
}

static void
prepare(void)
{
    clock_cond_init(&leaving.cond);
    pthread_atfork(NULL, NULL, forked);
}

unsigned
pool_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

/* ---- making and ending ---- */

static long
count_processors(void)
{
#ifdef CPU_COUNT
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    return sysconf(_SC_NPROCESSORS_ONLN);
}

struct pool *
pool_new(const struct pool_settings *settings)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return NULL;
    pthread_once(&once, prepare);
    pthread_mutex_init(&pool->lock, NULL);
    pool->settings = *settings;
    pool->processors = count_processors();
    atomic_init(&pool->references, 1);
    pthread_mutex_lock(&registry.lock);
    pool->next = registry.head;
    if (pool->next != NULL)
        pool->next->prev = pool;
    registry.head = pool;
    pthread_mutex_unlock(&registry.lock);
    return pool;
}

void
pool_hold(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
}

void
pool_drop(struct pool *pool)
{
    /* Under the registry's lock, so that who walks the registry never meets a pool that is going. */
    pthread_mutex_lock(&registry.lock);
    if (atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) > 1) {
        pthread_mutex_unlock(&registry.lock);
        return;
    }
    if (pool->prev != NULL)
        pool->prev->next = pool->next;
    else
        registry.head = pool->next;
    if (pool->next != NULL)
        pool->next->prev = pool->prev;
    pthread_mutex_unlock(&registry.lock);
    /* No thread and no engine is left, so nobody can be waiting for what is still queued. */
    for (struct request *request; (request = queue_pop(&pool->queue)) != NULL;) {
        bool must = request->request_class == CLASS_MUST;

        if (must)
            ops_run(request);
        pthread_mutex_lock(&pool->lock);
        workers_finish_unrun(pool, request, must ? request->error : ECANCELED);
        pthread_mutex_unlock(&pool->lock);
    }
    for (struct request *request; (request = waiting_pop(pool)) != NULL;) {
        pthread_mutex_lock(&pool->lock);
        workers_finish_unrun(pool, request, ECANCELED);
        pthread_mutex_unlock(&pool->lock);
    }
    alarms_free(pool);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void
pool_enter(struct pool *pool)
{
    pool_hold(pool);
    pthread_mutex_lock(&pool->lock);
    pool->users++;
    pthread_mutex_unlock(&pool->lock);
}

void
pool_leave(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (--pool->users == 0)
        workers_wake_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    pool_drop(pool);
}
/* ---- settings and counts ---- */

void
pool_get(struct pool *pool, struct pool_settings *settings, struct pool_counts *counts)
{
    pthread_mutex_lock(&pool->lock);
    if (settings != NULL)
        *settings = pool->settings;
    if (counts != NULL)
        *counts = (struct pool_counts){
            .threads = pool->nthreads,
            .idle = pool->nidle,
            .running = pool->running,
            .waiting_locks = pool->locks.count,
            .queued = pool->queue.count,
            .changes = pool->changes,
            .longest_wait = pool->longest_wait,
            .finished = pool->finished,
            .start_failures = pool->start_failures,
            .start_error = pool->start_error,
        };
    pthread_mutex_unlock(&pool->lock);
}

void
pool_set(struct pool *pool, const struct pool_settings *settings)
{
    enum help help;

    pthread_mutex_lock(&pool->lock);
    pool->settings = *settings;
    workers_wake_idle(pool);
    help = workers_find_help(pool, clock_now());
    pthread_mutex_unlock(&pool->lock);
    workers_give_help(pool, help);
}

size_t
pool_running(struct pool *pool, struct pool_running *rows, size_t room)
{
    size_t count = 0;

    pthread_mutex_lock(&pool->lock);
    for (const struct worker *worker = pool->workers; worker != NULL; worker = worker->next) {
        const struct request *request = worker->request;
        if (request == NULL)
            continue;
        if (count < room)
            rows[count] = (struct pool_running){ request->op, request->since, request->abandoned };
        count++;
    }
    pthread_mutex_unlock(&pool->lock);
    return count;
}
/* ---- leaving ---- */

void
pool_tell_leaving(void)
{
    if (!atomic_load_explicit(&leaving.waiting, memory_order_relaxed))
        return;
    pthread_mutex_lock(&leaving.lock);
    pthread_cond_broadcast(&leaving.cond);
    pthread_mutex_unlock(&leaving.lock);
}

/* The next queued look or make of the pool, off the queue. Called with the lock held. */
static struct request *
pop_look(struct pool *pool)
{
    struct request *request = NULL;

    for (int list = 0; list < PRIORITIES; list++)
        for (request = pool->queue.head[list]; request != NULL; request = request->next)
            if (request->request_class < CLASS_CHANGE) {
                workers_remove(pool, request);
                return request;
            }
    return NULL;
}

void
pool_drop_looks(void)
{
    struct request *request;

    pthread_mutex_lock(&registry.lock);
    for (struct pool *pool = registry.head; pool != NULL; pool = pool->next) {
        pthread_mutex_lock(&pool->lock);
        while ((request = pop_look(pool)) != NULL || (request = waiting_pop(pool)) != NULL)
            workers_finish_unrun(pool, request, ECANCELED);
        for (struct worker *worker = pool->workers; worker != NULL; worker = worker->next)
            if (worker->request != NULL && worker->request->interruptible && worker->request->reading)
                requests_interrupt(worker->request);
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&registry.lock);
}

static struct pool_leaving
look_at_changes(void)
{
    struct pool_leaving now = { 0 };

    pthread_mutex_lock(&registry.lock);
    for (struct pool *pool = registry.head; pool != NULL; pool = pool->next) {
        pthread_mutex_lock(&pool->lock);
        now.finished += pool->finished;
        /* What is held back by max_parallel=0 will not end by itself. */
        if (pool->changes > 0 && pool->settings.max_parallel > 0) {
            now.changes += pool->changes;
            if (pool->settings.exit_timeout > now.timeout)
                now.timeout = pool->settings.exit_timeout;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&registry.lock);
    return now;
}

struct pool_leaving
pool_wait_changes(uint64_t timeout)
{
    struct pool_leaving now;

    pthread_mutex_lock(&leaving.lock);
    atomic_store(&leaving.waiting, true);
    now = look_at_changes();
    if (now.changes > 0) {
        clock_wait(&leaving.cond, &leaving.lock, clock_now() + timeout);
        now = look_at_changes();
    }
    atomic_store(&leaving.waiting, false);
    pthread_mutex_unlock(&leaving.lock);
    return now;
}
