/* See pool.h.
 *
 * A worker is *active* (it runs a request, or was woken to) or *idle*. A thread too many costs more than it brings: with
 * cheap requests one thread alone is fastest, since a second one only brings lock traffic and wake-ups. So an idle
 * worker is woken, or a thread started, only when none is active or when the queue is *overdue*: it does not move,
 * because all active workers are in slow calls, or it moves too slowly. Whoever has the lock anyway looks at that: the
 * submitter and a worker that takes a request. For the case that nobody comes by, one idle worker is the *standby*: it
 * sleeps on a timed wait while anything is under way, and keeps the alarms of cancelled requests besides.
 *
 * Lock order: registry, a pool, a notifier. No lock is held during a system call, but for the wake-up of a worker that
 * waits for a descriptor, which cannot block.
 */
#define _GNU_SOURCE
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "notifier.h"
#include "ops.h"

#define NEVER UINT64_MAX

static const uint64_t OVERDUE = 100 * 1000;       /* ns that a queue which does not move may wait */
static const uint64_t OVERDUE_MOVING = 1000 * 1000; /* ns that a request may wait in one that moves */
static const uint64_t TICK_MIN = 100 * 1000, TICK_MAX = 1000 * 1000;
static const uint64_t START_RETRY = 100 * 1000 * 1000;
enum { QUIET_TICKS = 16 }; /* ticks with an empty queue after which the standby sleeps until it is called */
enum { STACK_SIZE = 256 * 1024 };

struct worker {
    struct pool *pool;
    struct worker *next, *prev; /* all of the pool's workers */
    struct worker *above;       /* the stack of idle ones, from the last to have become idle */
    pthread_cond_t cond;
    bool active;                /* counted in pool->active */
    bool stacked;
    struct request *request;    /* what it runs, or NULL */
    int wake_fds[2];            /* -1 until it first waits for a descriptor; the same for an eventfd */
};

struct alarm {
    struct alarm *next;
    struct notifier *notifier; /* counted */
    uint64_t when;
};

struct pool {
    pthread_mutex_t lock; /* guards every field below down to `retry`, and the workers' */
    struct queue queue;
    struct worker *workers;
    struct worker *idle; /* top of the stack */
    struct worker *standby;
    bool standby_asleep; /* it waits without a tick */
    bool standby_coming; /* a worker was called to be it and has not come yet */
    unsigned nthreads, nidle, active, users;
    struct pool_settings settings;
    struct alarm *alarms;
    uint64_t last_take; /* when a request was last taken from the queue */
    uint64_t last_help; /* when a worker was last made active besides others */
    uint64_t longest_wait;
    uint64_t finished;
    size_t changes;
    unsigned start_failures;
    int start_error;
    uint64_t retry; /* no further thread is started before, unless there is none */

    struct pool *next, *prev; /* the registry's */
    atomic_int references;
};

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

static void finish_unrun(struct pool *pool, struct request *request, int error);

uint64_t
monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t when)
{
    struct timespec time;

    if (when == NEVER) {
        pthread_cond_wait(cond, lock);
        return;
    }
#ifdef __APPLE__ /* condition variables know only the other clock there */
    uint64_t now = monotonic_ns(), left = when > now ? when - now : 0;
    clock_gettime(CLOCK_REALTIME, &time);
    when = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec + left;
#endif
    time.tv_sec = (time_t)(when / 1000000000u);
    time.tv_nsec = (long)(when % 1000000000u);
    pthread_cond_timedwait(cond, lock, &time);
}

/* ---- fork ---- */

static void
cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* The parent's threads do not exist here, and its locks may be held by them: all of it is left alone. */
static void
forked(void)
{
    atomic_fetch_add(&generation, 1);
    pthread_mutex_init(&registry.lock, NULL);
    registry.head = NULL;
    pthread_mutex_init(&leaving.lock, NULL);
    cond_init(&leaving.cond);
    atomic_store(&leaving.waiting, false);
    notifier_forget_orphans();
}

static void
prepare(void)
{
    cond_init(&leaving.cond);
    pthread_atfork(NULL, NULL, forked);
}

unsigned
pool_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

/* ---- making and ending ---- */

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
    pthread_mutex_lock(&pool->lock);
    for (struct request *request; (request = queue_pop(&pool->queue)) != NULL;)
        finish_unrun(pool, request, ECANCELED);
    pthread_mutex_unlock(&pool->lock);
    for (struct alarm *alarm; (alarm = pool->alarms) != NULL;) {
        pool->alarms = alarm->next;
        notifier_drop(alarm->notifier);
        free(alarm);
    }
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

static void
wake_idle(struct pool *pool)
{
    for (struct worker *worker = pool->idle; worker != NULL; worker = worker->above)
        pthread_cond_signal(&worker->cond);
}

void
pool_leave(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (--pool->users == 0)
        wake_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    pool_drop(pool);
}

/* ---- threads ---- */

static void *worker_main(void *argument);

static void
worker_free(struct worker *worker)
{
    for (int i = 0; i < 2; i++)
        if (worker->wake_fds[i] >= 0 && (i == 0 || worker->wake_fds[1] != worker->wake_fds[0]))
            close(worker->wake_fds[i]);
    pthread_cond_destroy(&worker->cond);
    free(worker);
}

static int
start_thread(struct worker *worker)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it: signals are for the others */
    error = pthread_create(&thread, &attributes, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* Start a worker that the caller has counted in `nthreads`, and in `active` if it is to be. Called without the lock. */
static int
start_worker(struct pool *pool, bool active)
{
    struct worker *worker = calloc(1, sizeof *worker);
    int error = ENOMEM;

    if (worker != NULL) {
        worker->pool = pool;
        worker->active = active;
        worker->wake_fds[0] = worker->wake_fds[1] = -1;
        cond_init(&worker->cond);
        pool_hold(pool);
        pthread_mutex_lock(&pool->lock);
        worker->next = pool->workers;
        if (worker->next != NULL)
            worker->next->prev = worker;
        pool->workers = worker;
        pthread_mutex_unlock(&pool->lock);
        if ((error = start_thread(worker)) == 0)
            return 0;
    }

    pthread_mutex_lock(&pool->lock);
    if (worker != NULL) {
        if (worker->prev != NULL)
            worker->prev->next = worker->next;
        else
            pool->workers = worker->next;
        if (worker->next != NULL)
            worker->next->prev = worker->prev;
    }
    pool->nthreads--;
    if (active)
        pool->active--;
    else
        pool->standby_coming = false;
    pool->start_failures++;
    pool->start_error = error;
    pool->retry = monotonic_ns() + START_RETRY;
    pthread_mutex_unlock(&pool->lock);
    if (worker != NULL) {
        worker_free(worker);
        pool_drop(pool);
    }
    return error;
}

/* What is to be done once the lock is released. */
enum help { HELP_NONE, HELP_START_ACTIVE, HELP_START_STANDBY };

/* Is the queue one that another thread would shorten? Called with the lock held. */
static bool
overdue(const struct pool *pool, uint64_t now)
{
    uint64_t oldest;

    if (pool->queue.count == 0 || pool->active >= pool->settings.max_parallel)
        return false;
    oldest = queue_oldest(&pool->queue);
    if (now < oldest + OVERDUE)
        return false;
    /* See first what the last worker that came to help does for it. */
    if (now >= pool->last_take + OVERDUE && now >= pool->last_help + OVERDUE)
        return true;
    return now >= oldest + OVERDUE_MOVING && now >= pool->last_help + OVERDUE_MOVING;
}

/* Count a new thread: at most one a place and a standby, and not if the last one could not be started a moment ago.
 * Called with the lock held. */
static bool
may_start(struct pool *pool, uint64_t now)
{
    if (pool->nthreads > 0 && (now < pool->retry || pool->nthreads > pool->settings.max_parallel))
        return false;
    pool->nthreads++;
    return true;
}

/* Make one more worker active. Called with the lock held. */
static enum help
more_active(struct pool *pool, uint64_t now)
{
    struct worker *worker = pool->idle;

    pool->last_help = now;
    if (worker == NULL) {
        if (!may_start(pool, now))
            return HELP_NONE;
        pool->active++;
        return HELP_START_ACTIVE;
    }
    pool->active++;
    pool->standby_coming = false; /* it may be the one that was called */
    pool->idle = worker->above;
    pool->nidle--;
    worker->stacked = false;
    worker->active = true;
    pthread_cond_signal(&worker->cond);
    return HELP_NONE;
}

/* See to it that somebody watches the queue and the alarms. Called with the lock held. */
static enum help
need_standby(struct pool *pool, uint64_t now)
{
    if (pool->standby != NULL) {
        if (pool->standby_asleep)
            pthread_cond_signal(&pool->standby->cond);
        return HELP_NONE;
    }
    if (pool->standby_coming)
        return HELP_NONE;
    if (pool->idle != NULL) {
        pool->standby_coming = true;
        pthread_cond_signal(&pool->idle->cond);
        return HELP_NONE;
    }
    if (!may_start(pool, now))
        return HELP_NONE;
    pool->standby_coming = true;
    return HELP_START_STANDBY;
}

/* Called with the lock held, when a request was queued or taken. */
static enum help
find_help(struct pool *pool, uint64_t now)
{
    if (pool->queue.count == 0 || pool->active >= pool->settings.max_parallel)
        return HELP_NONE;
    if (pool->active == 0 || overdue(pool, now))
        return more_active(pool, now);
    return need_standby(pool, now);
}

/* Called without the lock. */
static int
give_help(struct pool *pool, enum help help)
{
    return help == HELP_NONE ? 0 : start_worker(pool, help == HELP_START_ACTIVE);
}

/* ---- alarms ---- */

/* Called with the lock held. */
static uint64_t
next_alarm(const struct pool *pool)
{
    uint64_t when = NEVER;

    for (const struct alarm *alarm = pool->alarms; alarm != NULL; alarm = alarm->next)
        if (alarm->when < when)
            when = alarm->when;
    return when;
}

/* Called with the lock held, which is released meanwhile. */
static void
ring_alarms(struct pool *pool, uint64_t now)
{
    struct alarm *due = NULL;

    for (struct alarm **link = &pool->alarms; *link != NULL;) {
        struct alarm *alarm = *link;
        if (alarm->when > now) {
            link = &alarm->next;
            continue;
        }
        *link = alarm->next;
        alarm->next = due;
        due = alarm;
    }
    if (due == NULL)
        return;
    pthread_mutex_unlock(&pool->lock);
    while (due != NULL) {
        struct alarm *alarm = due;
        due = alarm->next;
        notifier_ring(alarm->notifier);
        notifier_drop(alarm->notifier);
        free(alarm);
    }
    pthread_mutex_lock(&pool->lock);
}

bool
pool_alarm(struct pool *pool, struct notifier *notifier, uint64_t when)
{
    struct alarm *fresh = calloc(1, sizeof *fresh), *alarm;
    enum help help = HELP_NONE;
    bool watched;

    if (fresh == NULL)
        return false;
    pthread_mutex_lock(&pool->lock);
    for (alarm = pool->alarms; alarm != NULL && alarm->notifier != notifier; alarm = alarm->next)
        ;
    if (alarm == NULL) {
        alarm = fresh;
        fresh = NULL;
        alarm->notifier = notifier;
        notifier_hold(notifier);
        alarm->next = pool->alarms;
        pool->alarms = alarm;
    }
    alarm->when = when;
    if (pool->standby != NULL)
        pthread_cond_signal(&pool->standby->cond);
    else
        help = need_standby(pool, monotonic_ns());
    watched = pool->standby != NULL || pool->standby_coming;
    pthread_mutex_unlock(&pool->lock);
    free(fresh);
    return give_help(pool, help) == 0 && watched;
}

/* ---- workers ---- */

static void
unstack(struct pool *pool, struct worker *worker)
{
    struct worker **link = &pool->idle;

    if (!worker->stacked)
        return;
    while (*link != worker)
        link = &(*link)->above;
    *link = worker->above;
    worker->stacked = false;
    pool->nidle--;
}

/* Watch until this worker has something to do, or there is nothing to watch. Called with the lock held. */
static void
stand_by(struct pool *pool, struct worker *self)
{
    uint64_t tick = TICK_MIN;
    int quiet = 0;

    pool->standby = self;
    while (!self->active && (pool->active > 0 || (pool->alarms != NULL && pool->users > 0))) {
        uint64_t alarm = next_alarm(pool);
        uint64_t until = quiet < QUIET_TICKS ? monotonic_ns() + tick : NEVER;
        uint64_t now;

        pool->standby_asleep = until == NEVER;
        wait_until(&self->cond, &pool->lock, alarm < until ? alarm : until);
        now = monotonic_ns();
        ring_alarms(pool, now);
        if (overdue(pool, now) || (pool->active == 0 && pool->queue.count > 0))
            break;
        if (pool->queue.count == 0) {
            quiet++;
            tick = tick * 2 < TICK_MAX ? tick * 2 : TICK_MAX;
        } else if (pool->standby_asleep) {
            quiet = 0;
            tick = TICK_MIN;
        } else {
            quiet = 0;
            tick = tick * 2 < TICK_MAX ? tick * 2 : TICK_MAX;
        }
    }
    pool->standby = NULL;
    pool->standby_asleep = false;
}

/* The next request for this worker to run, or NULL when it is to end. Called with the lock held. */
static struct request *
next_request(struct pool *pool, struct worker *self, enum help *help)
{
    *help = HELP_NONE;
    for (;;) {
        uint64_t now, until;

        if (self->active && pool->queue.count > 0 && pool->active <= pool->settings.max_parallel) {
            struct request *request = queue_pop(&pool->queue);
            now = monotonic_ns();
            if (now > request->since + pool->longest_wait)
                pool->longest_wait = now - request->since;
            request->since = pool->last_take = now;
            request->state = REQUEST_RUNNING;
            request->worker = self;
            self->request = request;
            *help = find_help(pool, now);
            return request;
        }
        if (self->active) {
            self->active = false;
            pool->active--;
        } else
            pool->standby_coming = false; /* whoever comes can be it */
        if (pool->users == 0 && pool->queue.count == 0)
            return NULL;
        now = monotonic_ns();
        if (pool->queue.count > 0 && pool->active < pool->settings.max_parallel
            && (pool->active == 0 || overdue(pool, now))) {
            self->active = true;
            pool->active++;
            pool->last_help = now;
            continue;
        }

        self->above = pool->idle;
        pool->idle = self;
        self->stacked = true;
        pool->nidle++;
        if (pool->standby == NULL && (pool->active > 0 || (pool->alarms != NULL && pool->users > 0)))
            stand_by(pool, self);
        else {
            until = pool->nidle > pool->settings.max_idle ? now + pool->settings.idle_timeout : NEVER;
            wait_until(&self->cond, &pool->lock, until);
            if (until != NEVER && !self->active && pool->nidle > pool->settings.max_idle
                && monotonic_ns() >= until) {
                unstack(pool, self);
                return NULL;
            }
        }
        unstack(pool, self);
    }
}

static void
tell_leaving(void)
{
    if (!atomic_load_explicit(&leaving.waiting, memory_order_relaxed))
        return;
    pthread_mutex_lock(&leaving.lock);
    pthread_cond_broadcast(&leaving.cond);
    pthread_mutex_unlock(&leaving.lock);
}

/* Hand a request over that has ended, or that never will begin. Called with the lock held, which is released: who sees
 * it finished finds it with its notifier. */
static void
finish_and_unlock(struct pool *pool, struct request *request)
{
    struct notifier *notifier = request->notifier;
    bool pushed = false;

    notifier_hold(notifier); /* once pushed, the engine may free the request and its reference */
    request->state = REQUEST_FINISHED;
    if (!request->abandoned || request->pins != NULL)
        pushed = notifier_push(notifier, request);
    pthread_mutex_unlock(&pool->lock);
    if (pushed)
        notifier_signal(notifier);
    else
        notifier_bury(request);
    notifier_drop(notifier);
}

/* The same for one that was still queued. Called with the lock held, which is released meanwhile. */
static void
finish_unrun(struct pool *pool, struct request *request, int error)
{
    request->error = error;
    request->interrupted = error == ECANCELED;
    pool->changes -= request->request_class >= CLASS_CHANGE;
    finish_and_unlock(pool, request);
    pthread_mutex_lock(&pool->lock);
}

static void *
worker_main(void *argument)
{
    struct worker *self = argument;
    struct pool *pool = self->pool;
    struct request *request;
    enum help help;

#ifdef __linux__
    pthread_setname_np(pthread_self(), "anyaio");
#endif
    pthread_mutex_lock(&pool->lock);
    while ((request = next_request(pool, self, &help)) != NULL) {
        bool changes = request->request_class >= CLASS_CHANGE;

        pthread_mutex_unlock(&pool->lock);
        give_help(pool, help);
        ops_run(request);
        pthread_mutex_lock(&pool->lock);
        self->request = NULL;
        request->worker = NULL;
        pool->finished++;
        pool->changes -= changes;
        finish_and_unlock(pool, request);
        if (changes)
            tell_leaving();
        pthread_mutex_lock(&pool->lock);
    }
    if (self->prev != NULL)
        self->prev->next = self->next;
    else
        pool->workers = self->next;
    if (self->next != NULL)
        self->next->prev = self->prev;
    pool->nthreads--;
    if (pool->users == 0)
        wake_idle(pool); /* the standby may sleep on without a tick */
    pthread_mutex_unlock(&pool->lock);
    worker_free(self);
    pool_drop(pool);
    return NULL;
}

/* ---- requests ---- */

/* Not one thread could be started: what others have queued meanwhile must not wait for ever. */
static void
fail_queue(struct pool *pool, int error)
{
    struct request *request;

    pthread_mutex_lock(&pool->lock);
    while (pool->nthreads == 0 && (request = queue_pop(&pool->queue)) != NULL)
        finish_unrun(pool, request, error);
    pthread_mutex_unlock(&pool->lock);
}

int
pool_submit(struct pool *pool, struct request *request)
{
    enum help help;
    int error;
    bool stranded = false;

    notifier_hold(request->notifier);
    pthread_mutex_lock(&pool->lock);
    request->since = monotonic_ns();
    request->state = REQUEST_QUEUED;
    queue_push(&pool->queue, request);
    pool->changes += request->request_class >= CLASS_CHANGE;
    help = find_help(pool, request->since);
    pthread_mutex_unlock(&pool->lock);
    error = give_help(pool, help);
    if (error == 0)
        return 0;

    pthread_mutex_lock(&pool->lock);
    if (pool->nthreads == 0 && request->state == REQUEST_QUEUED) {
        queue_remove(&pool->queue, request);
        pool->changes -= request->request_class >= CLASS_CHANGE;
        request->state = REQUEST_NEW;
        stranded = true;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!stranded)
        return 0;
    fail_queue(pool, error);
    notifier_drop(request->notifier);
    return error;
}

/* Wake the worker that waits for the request's descriptor. Called with the lock held, so that it is still there. */
static void
interrupt(struct request *request)
{
    uint64_t one = 1;
    struct worker *worker = request->worker;

    request->unwanted = true;
    if (worker->wake_fds[1] < 0)
        return;
    while (write(worker->wake_fds[1], &one, worker->wake_fds[0] == worker->wake_fds[1] ? sizeof one : 1) < 0
           && errno == EINTR)
        ;
}

/* Called with the lock held. */
static void
leave_to_worker(struct request *request)
{
    request->owner = NULL;
    atomic_store_explicit(&request->abandoned, true, memory_order_relaxed);
}

/* What becomes of a change that runs or must run: it is refused, or left to the pool; `RELEASE` leaves it queued too. */
enum how { BY_CLASS, ABANDON, RELEASE };

/* Called with the lock held. */
static enum cancelled
cancel(struct pool *pool, struct request *request, enum how how)
{
    bool changes = request->request_class >= CLASS_CHANGE;

    switch ((enum request_state)request->state) {
    case REQUEST_QUEUED:
        if (request->request_class == CLASS_MUST && how == BY_CLASS)
            return CANCEL_REFUSED;
        if (request->request_class == CLASS_MUST || (changes && how == RELEASE)) {
            leave_to_worker(request);
            return CANCEL_ABANDONED;
        }
        queue_remove(&pool->queue, request);
        pool->changes -= changes;
        request->state = REQUEST_NEW;
        return CANCEL_TAKEN_BACK;
    case REQUEST_RUNNING:
        if (how == RELEASE && changes && !(request->interruptible && request->reading)) {
            leave_to_worker(request); /* what it was to write is written */
            return CANCEL_ABANDONED;
        }
        request->unwanted = true;
        if (request->interruptible) {
            leave_to_worker(request);
            interrupt(request);
            return CANCEL_INTERRUPTED;
        }
        if (changes && how == BY_CLASS)
            return CANCEL_REFUSED;
        leave_to_worker(request);
        return CANCEL_ABANDONED;
    default:
        return CANCEL_FINISHED;
    }
}

static enum cancelled
cancel_locked(struct pool *pool, struct request *request, enum how how)
{
    enum cancelled result;

    pthread_mutex_lock(&pool->lock);
    result = cancel(pool, request, how);
    pthread_mutex_unlock(&pool->lock);
    if (result == CANCEL_TAKEN_BACK)
        notifier_drop(request->notifier);
    return result;
}

enum cancelled
pool_cancel(struct pool *pool, struct request *request)
{
    return cancel_locked(pool, request, BY_CLASS);
}

enum cancelled
pool_abandon(struct pool *pool, struct request *request)
{
    return cancel_locked(pool, request, ABANDON);
}

enum cancelled
pool_release(struct pool *pool, struct request *request)
{
    return cancel_locked(pool, request, RELEASE);
}

enum request_state
pool_state(struct pool *pool, const struct request *request)
{
    enum request_state state;

    pthread_mutex_lock(&pool->lock);
    state = request->state;
    pthread_mutex_unlock(&pool->lock);
    return state;
}

/* ---- waiting for a descriptor ---- */

static void
open_wake_fds(struct worker *worker)
{
#ifdef __linux__
    worker->wake_fds[0] = worker->wake_fds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->wake_fds[0] < 0 && pipe2(worker->wake_fds, O_NONBLOCK | O_CLOEXEC) < 0)
        worker->wake_fds[0] = worker->wake_fds[1] = -1;
#else
    if (pipe(worker->wake_fds) < 0) {
        worker->wake_fds[0] = worker->wake_fds[1] = -1;
        return;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(worker->wake_fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(worker->wake_fds[i], F_SETFL, O_NONBLOCK);
    }
#endif
}

/* Called with the lock held. */
static bool
is_unwanted(const struct request *request)
{
    return request->unwanted || (request->reading && request->abandoned);
}

bool
pool_wait_ready(struct request *request, int fd, short events)
{
    struct worker *worker = request->worker;
    struct pool *pool = worker->pool;
    struct pollfd fds[2] = { { .fd = fd, .events = events }, { .fd = -1, .events = POLLIN } };
    bool going, ready = false;
    char sink[64];

    if (worker->wake_fds[0] < 0)
        open_wake_fds(worker);
    fds[1].fd = worker->wake_fds[0];
    pthread_mutex_lock(&pool->lock);
    request->reading = events == POLLIN;
    going = !is_unwanted(request);
    request->interruptible = going;
    pthread_mutex_unlock(&pool->lock);
    while (going && !ready) {
        /* Without a descriptor for the wake-up, look every 50 ms. */
        int count = poll(fds, 2, fds[1].fd < 0 ? 50 : -1);
        ready = fds[0].revents != 0 || (count < 0 && errno != EINTR);
        if (count > 0 && fds[1].revents != 0)
            while (read(fds[1].fd, sink, sizeof sink) > 0)
                ;
        pthread_mutex_lock(&pool->lock);
        going = !is_unwanted(request);
        if (ready)
            request->interruptible = false;
        pthread_mutex_unlock(&pool->lock);
    }
    request->interrupted = !going;
    return going;
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
            .running = pool->active,
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
    wake_idle(pool);
    help = find_help(pool, monotonic_ns());
    pthread_mutex_unlock(&pool->lock);
    give_help(pool, help);
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

/* The next queued look or make of the pool, off the queue. Called with the lock held. */
static struct request *
pop_look(struct pool *pool)
{
    struct request *request = NULL;

    for (int list = 0; list < PRIORITIES; list++)
        for (request = pool->queue.head[list]; request != NULL; request = request->next)
            if (request->request_class < CLASS_CHANGE) {
                queue_remove(&pool->queue, request);
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
        while ((request = pop_look(pool)) != NULL)
            finish_unrun(pool, request, ECANCELED);
        for (struct worker *worker = pool->workers; worker != NULL; worker = worker->next)
            if (worker->request != NULL && worker->request->interruptible && worker->request->reading)
                interrupt(worker->request);
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&registry.lock);
}

static size_t
outstanding_changes(uint64_t *finished)
{
    size_t changes = 0;

    *finished = 0;
    pthread_mutex_lock(&registry.lock);
    for (struct pool *pool = registry.head; pool != NULL; pool = pool->next) {
        pthread_mutex_lock(&pool->lock);
        /* What is held back by max_parallel=0 will not end by itself. */
        changes += pool->settings.max_parallel > 0 ? pool->changes : 0;
        *finished += pool->finished;
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&registry.lock);
    return changes;
}

size_t
pool_wait_changes(uint64_t timeout, uint64_t *finished)
{
    size_t changes;

    pthread_mutex_lock(&leaving.lock);
    atomic_store(&leaving.waiting, true);
    if ((changes = outstanding_changes(finished)) > 0) {
        wait_until(&leaving.cond, &leaving.lock, monotonic_ns() + timeout);
        changes = outstanding_changes(finished);
    }
    atomic_store(&leaving.waiting, false);
    pthread_mutex_unlock(&leaving.lock);
    return changes;
}
