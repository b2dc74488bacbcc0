/* See stuck.h. */
#define _GNU_SOURCE
#include "stuck.h"

#include "clock.h"
#include "notifier.h"

/* Ten times what a disk needs for a request, or more: a shorter time would take every slow call for a stuck one, and
 * drown a busy disk in threads; with a longer one the others would wait as long for nothing. */
static const uint64_t STUCK_AFTER = 100 * 1000 * 1000;
static const uint64_t WORTH_TELLING = 5ull * 1000 * 1000 * 1000;

uint64_t
stuck_next(const struct pool *pool)
{
    unsigned parallel = pool->settings.max_parallel;

    if (parallel == 0 || pool->queue.count == 0 || stuck_counted(pool) < parallel)
        return CLOCK_NEVER;
    return pool->stuck < pool_max_stuck(&pool->settings) || !pool->stuck_told ? pool->stuck_look : CLOCK_NEVER;
}

/* Who waits most urgently shall hear of it: somebody who polls must tell the logger. */
static void
tell(struct pool *pool)
{
    pool->stuck_told = true;
    atomic_store_explicit(&pool->stuck_news, true, memory_order_relaxed);
    notifier_ring(pool->queue.head[__builtin_ctz(pool->queue.filled)]->notifier);
}

void
stuck_look(struct pool *pool, uint64_t now)
{
    uint64_t oldest = now;

    if (now < pool->stuck_look)
        return;
    pool->stuck_look = now + STUCK_AFTER; /* no call that begins from now on is stuck before */
    for (struct worker *worker = pool->workers; worker != NULL; worker = worker->next) {
        uint64_t since = worker->request == NULL ? now : worker->request->since;
        if (since < oldest)
            oldest = since;
        if (worker->stuck)
            continue;
        if (now >= since + STUCK_AFTER) {
            worker->stuck = true;
            pool->stuck++;
        } else if (since + STUCK_AFTER < pool->stuck_look)
            pool->stuck_look = since + STUCK_AFTER;
    }
    if (pool->active >= pool->settings.max_parallel && now >= oldest + WORTH_TELLING && !pool->stuck_told)
        tell(pool);
}

void
stuck_end(struct pool *pool, struct worker *worker)
{
    worker->stuck = false;
    if (--pool->stuck == 0)
        pool->stuck_told = false;
    if (pool->standby_asleep)
        pthread_cond_signal(&pool->standby->cond); /* it has a time to look at again */
}

bool
pool_take_stuck(struct pool *pool, struct pool_stuck *stuck)
{
    if (!atomic_load_explicit(&pool->stuck_news, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&pool->lock);
    atomic_store_explicit(&pool->stuck_news, false, memory_order_relaxed);
    *stuck = (struct pool_stuck){ .count = pool->stuck, .since = CLOCK_NEVER };
    for (const struct worker *worker = pool->workers; worker != NULL; worker = worker->next)
        if (worker->stuck && worker->request->since < stuck->since) {
            stuck->op = worker->request->op;
            stuck->since = worker->request->since;
        }
    pthread_mutex_unlock(&pool->lock);
    return stuck->count > 0;
}
