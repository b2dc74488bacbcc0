/* Requests that wait for a lock which another holds: flock(2), fcntl(2).
 *
 * They hold no worker. Each attempt is one that does not wait; who does not get the lock is set aside. All of them are
 * tried again at each tick, and those for one file at once when this pool has given a lock of it back, or closed a
 * descriptor of it: in the order in which they were set aside, but several workers may do that side by side. They are no
 * outstanding changes: nobody waits for them at exit.
 */
#define _GNU_SOURCE
#include "clock.h"
#include "ops.h"
#include "workers.h"

static const uint64_t PAUSE_MIN = 1000 * 1000, PAUSE_MAX = 20 * 1000 * 1000; /* ns between two ticks */

void
waiting_add(struct pool *pool, struct request *request)
{
    uint64_t tick;

    if (!request->waited)
        pool->lock_pause = PAUSE_MIN; /* who is new is not to suffer from the others' patience */
    tick = clock_now() + pool->lock_pause;
    if (pool->locks.count == 0 || tick < pool->lock_tick)
        pool->lock_tick = tick;
    request->set_aside = false;
    request->waits = request->waited = true;
    request->state = REQUEST_QUEUED;
    pool->changes--;
    queue_push(&pool->locks, request);
}

void
waiting_remove(struct pool *pool, struct request *request)
{
    request->waits = false;
    queue_remove(&pool->locks, request);
}

struct request *
waiting_pop(struct pool *pool)
{
    struct request *request = queue_pop(&pool->locks);

    if (request == NULL)
        return NULL;
    request->waits = false;
    pool->changes++;
    return request;
}

void
waiting_retry(struct pool *pool, const struct file_id *only)
{
    uint64_t now = clock_now();
    struct queue left = { 0 };

    if (only == NULL)
        pool->lock_pause = 2 * pool->lock_pause < PAUSE_MAX ? 2 * pool->lock_pause : PAUSE_MAX;
    for (struct request *request; (request = queue_pop(&pool->locks)) != NULL;) {
        struct file_id file = ops_lock_file(request);

        if (only != NULL && (file.device != only->device || file.inode != only->inode)) {
            queue_push(&left, request);
            continue;
        }
        request->waits = false;
        request->since = now;
        pool->changes++;
        workers_push(pool, request);
    }
    queue_splice(&pool->locks, &left);
}

void
waiting_granted(struct pool *pool)
{
    pool->lock_pause = PAUSE_MIN;
}
