/* The worker threads and the queue they serve. Knows nothing of files.
 *
 * A pool is counted: each engine, each thread, and whoever made it hold one reference.
 */
#ifndef ANYAIO_POOL_H
#define ANYAIO_POOL_H

#include <limits.h>

#include "queue.h"

struct pool;

struct pool_settings {
    unsigned max_parallel;     /* requests that run at once; 0 holds everything */
    unsigned max_stuck;        /* of them that do not end and do not count, see stuck.h; or STUCK_BY_PARALLEL */
    unsigned max_idle;         /* idle threads that stay */
    uint64_t idle_timeout;     /* ns after which a further idle one ends */
    uint64_t exit_timeout;     /* ns without a completion after which the exit waits no longer */
};

struct pool_counts {
    unsigned threads, idle, running;
    size_t queued, waiting_locks;
    size_t changes;            /* queued or running ones, closes included */
    uint64_t longest_wait;     /* ns that a request waited for a worker at most */
    uint64_t finished;
    unsigned start_failures;
    int start_error;
};

struct pool_running {
    enum op op;
    uint64_t since;
    bool abandoned;
};

/* What does not end, see stuck.h. */
struct pool_stuck {
    unsigned count;
    enum op op;     /* the longest one's, */
    uint64_t since; /* and when it began */
};

#define STUCK_BY_PARALLEL UINT_MAX

static inline unsigned
pool_max_stuck(const struct pool_settings *settings)
{
    return settings->max_stuck == STUCK_BY_PARALLEL ? 2 * settings->max_parallel : settings->max_stuck;
}

enum cancelled {
    CANCEL_TAKEN_BACK,  /* it was queued and will not run; the caller's again */
    CANCEL_INTERRUPTED, /* it was waiting for its descriptor and will do nothing; still the pool's */
    CANCEL_ABANDONED,   /* it runs to its end, for nobody; still the pool's */
    CANCEL_REFUSED,     /* it is a change that runs, or must run */
    CANCEL_FINISHED,    /* too late: it is with the notifier, or on its way there */
};

/* Raised in a forked child: what was made under another generation is its parent's and must not be touched. */
unsigned pool_generation(void);

struct pool *pool_new(const struct pool_settings *settings); /* NULL without memory */
void pool_hold(struct pool *pool);
void pool_drop(struct pool *pool);
void pool_enter(struct pool *pool); /* an engine uses it */
void pool_leave(struct pool *pool); /* the last one to leave sends the idle threads home */

/* Queue a request. 0, or the errno of the first thread that could not be started: then it is still the caller's. */
int pool_submit(struct pool *pool, struct request *request);

/* Take a request back if its class allows. `owner` is cleared where it stays with the pool. */
enum cancelled pool_cancel(struct pool *pool, struct request *request);

/* Wait for it no longer, whatever its class. Never CANCEL_REFUSED; a queued one that must run does so. */
enum cancelled pool_abandon(struct pool *pool, struct request *request);

/* Its engine goes: changes stay, queued or running, and look for nobody; what only looks is dropped. */
enum cancelled pool_release(struct pool *pool, struct request *request);

enum request_state pool_state(struct pool *pool, const struct request *request);

/* Ring the notifier at a CLOCK_MONOTONIC time, or when it is to be rung anyway if that is earlier. false: no thread can
 * wait for it. */
bool pool_alarm(struct pool *pool, struct notifier *notifier, uint64_t when);

void pool_get(struct pool *pool, struct pool_settings *settings, struct pool_counts *counts);
void pool_set(struct pool *pool, const struct pool_settings *settings);

/* What the workers do just now: up to `room` rows; returns how many there are. */
size_t pool_running(struct pool *pool, struct pool_running *rows, size_t room);

/* Is it time to tell that calls are stuck? Once, until none is any more. */
bool pool_take_stuck(struct pool *pool, struct pool_stuck *stuck);

/* Finish with ECANCELED what nobody would notice: all queued looks of all pools, and reads that wait for data. */
void pool_drop_looks(void);

struct pool_leaving {
    size_t changes;    /* outstanding in all pools */
    uint64_t finished; /* requests that all pools have finished */
    uint64_t timeout;  /* the longest exit_timeout of those with changes */
};

/* Sleep until a change has ended, or for `timeout` ns, and tell how things are then. */
struct pool_leaving pool_wait_changes(uint64_t timeout);

/* For operations, in a worker: sleep until `fd` is ready for `events`; false if the request was cancelled meanwhile. */
bool pool_wait_ready(struct request *request, int fd, short events);

/* For long operations, in a worker: false if the request was cancelled, also one that is a change. */
bool pool_wanted(struct request *request);

#endif
