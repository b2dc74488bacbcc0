/* What the files of the pool share: its fields, its workers, and who gets them going.
 *
 * A worker is *active* (it runs a request, or was woken to) or *idle*. A thread too many costs more than it brings: with
 * cheap requests one thread alone is fastest, since a second one only brings lock traffic and wake-ups. So an idle
 * worker is woken, or a thread started, only when none is active or when the queue is *overdue*: it does not move,
 * because all active workers are in slow calls, or it moves too slowly: sooner so if calls have slept of late, for a disk
 * say, so that many do better than few. Whoever has the lock anyway looks at that: the
 * submitter and a worker that takes a request. For the case that nobody comes by, one idle worker is the *standby*: it
 * sleeps on a timed wait while anything is under way, and keeps the alarms of cancelled requests, and the time to try
 * waiting locks again, besides. Calls that do not end leave their place to others: stuck.h.
 *
 * Lock order: registry, a pool, a notifier. No lock is held during a system call, but for those that make a descriptor
 * readable, which cannot block: a notifier's, once a batch, and that of a worker that waits for a descriptor.
 */
#ifndef ANYAIO_WORKERS_H
#define ANYAIO_WORKERS_H

#include <pthread.h>

#include "pool.h"
#include "wakefd.h"

struct alarm;

struct worker {
    struct pool *pool;
    struct worker *next, *prev; /* all of the pool's workers */
    struct worker *above;       /* the stack of idle ones, from the last to have become idle */
    pthread_cond_t cond;
    bool active;                /* counted in pool->active */
    bool stacked;
    bool stuck;                 /* its call is: counted in pool->stuck */
    struct request *request;    /* what it runs, or NULL */
    uint64_t worked;            /* ns of processor time at the end of its last long call; its own */
    struct wakefd wakefd;       /* opened when it first waits for a descriptor */
};

struct pool {
    pthread_mutex_t lock; /* guards every field below down to `retry`, and the workers' */
    struct queue queue;
    struct worker *workers;
    struct worker *idle; /* top of the stack */
    struct worker *standby;
    bool standby_asleep; /* it waits without a tick */
    bool standby_coming; /* a worker was called to be it and has not come yet */
    unsigned nthreads, nidle, active, running, users;
    struct pool_settings settings;
    unsigned stuck;      /* workers whose calls do not end, of the active ones, see stuck.h */
    uint64_t stuck_look; /* no further call is stuck before */
    bool stuck_told;     /* since some are */
    struct alarm *alarms; /* see alarms.h */
    struct queue locks;  /* requests that wait for a lock that another holds, see waiting.c */
    uint64_t lock_tick;  /* when they are tried again, */
    uint64_t lock_pause; /* and how long after that the next time */
    bool spinning;      /* a worker looks for the next request without the lock, see spin.h */
    unsigned spin_skip, spin_backoff;
    long processors;    /* that are there for us; with one alone a spinning worker only takes it from the others */
    uint64_t sleep;     /* ns that calls have slept of late, on average */
    uint64_t last_take; /* when a request was last taken from the queue */
    uint64_t last_help; /* when a worker was last made active besides others */
    uint64_t longest_wait;
    uint64_t finished;
    size_t changes;
    unsigned start_failures;
    int start_error;
    uint64_t retry; /* no further thread is started before, unless there is none */

    atomic_bool stuck_news; /* somebody is to tell of them; changed under the lock */
    atomic_bool waiting; /* the queue is not empty; for a look without the lock */

    struct pool *next, *prev; /* the registry's */
    atomic_int references;
};

/* With the lock held: all that goes to the queue or from it goes here. */
static inline void
workers_push(struct pool *pool, struct request *request)
{
    queue_push(&pool->queue, request);
    atomic_store_explicit(&pool->waiting, true, memory_order_relaxed);
}

static inline void
workers_remove(struct pool *pool, struct request *request)
{
    queue_remove(&pool->queue, request);
    atomic_store_explicit(&pool->waiting, pool->queue.count > 0, memory_order_relaxed);
}

static inline struct request *
workers_pop(struct pool *pool)
{
    struct request *request = queue_pop(&pool->queue);

    atomic_store_explicit(&pool->waiting, pool->queue.count > 0, memory_order_relaxed);
    return request;
}

/* waiting.c, with the lock held: requests for locks that others hold. */
void waiting_add(struct pool *pool, struct request *request);
void waiting_remove(struct pool *pool, struct request *request);
struct request *waiting_pop(struct pool *pool);   /* the next one, as if it were queued again; NULL: there is none */
struct file_id;
void waiting_retry(struct pool *pool, const struct file_id *only); /* queue them again: all, or those for one file */
void waiting_granted(struct pool *pool);          /* one has got its lock: things move */

/* What is to be done once the lock is released. */
enum help { HELP_NONE, HELP_START_ACTIVE, HELP_START_STANDBY };

/* With the pool's lock held, when a request was queued or taken, or a limit was changed. */
enum help workers_find_help(struct pool *pool, uint64_t now);

/* With it: have somebody watch the time, for alarms and waiting locks. */
enum help workers_need_standby(struct pool *pool, uint64_t now);

/* Without it: 0, or the errno of a thread that could not be started. */
int workers_give_help(struct pool *pool, enum help help);

/* With the lock held: have all idle ones look again at what there is to do, and whether they are wanted. */
void workers_wake_idle(struct pool *pool);

/* With the lock held, which is released meanwhile: hand over a request, off the queue, that will never run. */
void workers_finish_unrun(struct pool *pool, struct request *request, int error);

/* With the lock held, so that the worker is still there: wake the one that waits for the request's descriptor. */
void requests_interrupt(struct request *request);

/* A change has ended: whoever waits in pool_wait_changes looks again. Without any lock. */
void pool_tell_leaving(void);

#endif
