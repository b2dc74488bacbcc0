/* Calls that do not end: an open of a FIFO that nobody writes to, a read of a quiet pipe, whatever a dead mount holds.
 *
 * A call that has lasted for STUCK_AFTER is *stuck*: up to max_stuck of them no longer count against max_parallel, so
 * that as many others run beside them as before. It counts again when it has ended: then its worker goes on only if the
 * others leave room for it. Whoever sees a queue looks at the time now and then; while all places are taken, so that
 * nobody else comes by, the standby does.
 */
#ifndef ANYAIO_STUCK_H
#define ANYAIO_STUCK_H

#include "workers.h"

/* With the pool's lock held, all but the last. */

/* Active workers, without those whose stuck calls do not count. */
static inline unsigned
stuck_counted(const struct pool *pool)
{
    unsigned most = pool_max_stuck(&pool->settings);

    return pool->active - (pool->stuck < most ? pool->stuck : most);
}

/* Is there room for one more call, and something for it to do? */
static inline bool
stuck_has_room(const struct pool *pool)
{
    return pool->queue.count > 0 && stuck_counted(pool) < pool->settings.max_parallel;
}

/* When requests wait and there is no room: the time at which to look again at the calls that run; else CLOCK_NEVER. */
uint64_t stuck_next(const struct pool *pool);

/* Look which calls are stuck by now, unless it is too early for any. Something must be queued. */
void stuck_look(struct pool *pool, uint64_t now);

/* The worker's call, which was stuck, has ended. */
void stuck_end(struct pool *pool, struct worker *worker);

#endif
