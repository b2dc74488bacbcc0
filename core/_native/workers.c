/* See workers.h. */
#define _GNU_SOURCE
#include "workers.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "alarms.h"
#include "clock.h"
#include "notifier.h"
#include "ops.h"
#include "spin.h"
#include "stuck.h"

static const uint64_t OVERDUE = 100 * 1000;       /* ns that a queue which does not move may wait */
static const uint64_t OVERDUE_MOVING = 1000 * 1000; /* ns that a request may wait in one that moves */
static const uint64_t SLEEPY = 50 * 1000; /* ns that calls sleep on average, from which on many do better than few */
static const uint64_t TICK_MIN = 100 * 1000, TICK_MAX = 1000 * 1000;
static const uint64_t START_RETRY = 100 * 1000 * 1000;
enum { QUIET_TICKS = 16 }; /* ticks with an empty queue after which the standby sleeps until it is called */
enum { STACK_SIZE = 256 * 1024 };

/* ---- threads ---- */

static void *worker_main(void *argument);

static void
worker_free(struct worker *worker)
{
    wakefd_close(&worker->wakefd);
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
        worker->wakefd = (struct wakefd)WAKEFD_CLOSED;
        clock_cond_init(&worker->cond);
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
    pool->retry = clock_now() + START_RETRY;
    pthread_mutex_unlock(&pool->lock);
    if (worker != NULL) {
        worker_free(worker);
        pool_drop(pool);
    }
    return error;
}

/* Is the queue one that another thread would shorten? Called with the lock held. */
static bool
overdue(const struct pool *pool, uint64_t now)
{
    uint64_t oldest, patience = pool->sleep >= SLEEPY ? OVERDUE : OVERDUE_MOVING;

    if (!stuck_has_room(pool))
        return false;
    /* One is on its way and has not had a processor yet: nor would another. */
    if (pool->running < pool->active)
        return false;
    oldest = queue_oldest(&pool->queue);
    if (now < oldest + OVERDUE)
        return false;
    /* See first what the last worker that came to help does for it. */
    if (now >= pool->last_take + OVERDUE && now >= pool->last_help + OVERDUE)
        return true;
    return now >= oldest + patience && now >= pool->last_help + patience;
}

/* Is another worker wanted now? Called with the lock held. */
static bool
wants_another(const struct pool *pool, uint64_t now)
{
    return stuck_has_room(pool) && (stuck_counted(pool) == 0 || overdue(pool, now));
}

/* Count a new thread: not if the last one could not be started a moment ago, nor, unless an alarm needs it, if there is
 * one a place and a standby already. Called with the lock held. */
static bool
may_start(struct pool *pool, uint64_t now)
{
    unsigned places = pool->settings.max_parallel + pool->active - stuck_counted(pool);
    bool many = pool->nthreads > places && pool->alarms == NULL;

    if (pool->nthreads > 0 && (now < pool->retry || many))
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
enum help
workers_need_standby(struct pool *pool, uint64_t now)
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
enum help
workers_find_help(struct pool *pool, uint64_t now)
{
    if (pool->queue.count == 0)
        return HELP_NONE;
    stuck_look(pool, now);
    if (wants_another(pool, now))
        return more_active(pool, now);
    if (!stuck_has_room(pool) && stuck_next(pool) == CLOCK_NEVER)
        return HELP_NONE;
    return workers_need_standby(pool, now);
}

/* Called without the lock. */
int
workers_give_help(struct pool *pool, enum help help)
{
    return help == HELP_NONE ? 0 : start_worker(pool, help == HELP_START_ACTIVE);
}

void
workers_wake_idle(struct pool *pool)
{
    for (struct worker *worker = pool->idle; worker != NULL; worker = worker->above)
        pthread_cond_signal(&worker->cond);
}

/* ---- workers ---- */

/* Is there anything that somebody must stand by for? Called with the lock held. */
static bool
to_be_watched(const struct pool *pool)
{
    return pool->active > 0 || (pool->users > 0 && (pool->alarms != NULL || pool->locks.count > 0));
}

/* When is there something to do, whoever else comes by or not? Called with the lock held. */
static uint64_t
next_event(const struct pool *pool)
{
    uint64_t when = alarms_next(pool);

    return pool->locks.count > 0 && pool->lock_tick < when ? pool->lock_tick : when;
}

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
    int quiet = 0; /* ticks in a row with nothing that a further worker could take */

    pool->standby = self;
    while (!self->active && to_be_watched(pool)) {
        uint64_t event = next_event(pool);
        uint64_t until = quiet < QUIET_TICKS ? clock_now() + tick : stuck_next(pool);
        uint64_t now;
        bool wanted;

        pool->standby_asleep = until == CLOCK_NEVER;
        clock_wait(&self->cond, &pool->lock, event < until ? event : until);
        now = clock_now();
        alarms_ring(pool, now);
        if (pool->locks.count > 0 && now >= pool->lock_tick)
            waiting_retry(pool, NULL);
        if (pool->queue.count > 0)
            stuck_look(pool, now);
        if (wants_another(pool, now))
            break;
        wanted = stuck_has_room(pool);
        tick = tick * 2 < TICK_MAX ? tick * 2 : TICK_MAX;
        if (wanted && pool->standby_asleep)
            tick = TICK_MIN; /* it was called */
        quiet = wanted ? 0 : quiet + 1;
    }
    pool->standby = NULL;
    pool->standby_asleep = false;
}

/* How long this thread has slept in a call that took so long. A short one is not worth asking. */
static uint64_t
sleep_in(struct worker *self, uint64_t took)
{
    struct timespec time;
    uint64_t worked, before = self->worked;

    if (took < SLEEPY || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) < 0)
        return 0;
    self->worked = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    worked = self->worked - before; /* with the calls before it, if they were short */
    return worked < took ? took - worked : 0;
}

/* The next request for this worker to run, or NULL when it is to end. Called with the lock held, at `now`. */
static struct request *
next_request(struct pool *pool, struct worker *self, uint64_t now, enum help *help)
{
    *help = HELP_NONE;
    for (;; now = clock_now()) {
        uint64_t until;

        if (self->active && pool->queue.count == 0) {
            spin_a_moment(pool);
            now = clock_now();
        }
        if (self->active && pool->queue.count > 0 && stuck_counted(pool) <= pool->settings.max_parallel) {
            struct request *request = workers_pop(pool);
            if (now > request->since + pool->longest_wait)
                pool->longest_wait = now - request->since;
            request->since = pool->last_take = now;
            request->state = REQUEST_RUNNING;
            request->worker = self;
            self->request = request;
            pool->running++;
            *help = workers_find_help(pool, now);
            return request;
        }
        if (self->active) {
            self->active = false;
            pool->active--;
        } else
            pool->standby_coming = false; /* whoever comes can be it */
        if (pool->users == 0 && pool->queue.count == 0)
            return NULL;
        if (wants_another(pool, now)) {
            self->active = true;
            pool->active++;
            pool->last_help = now;
            continue;
        }

        self->above = pool->idle;
        pool->idle = self;
        self->stacked = true;
        pool->nidle++;
        if (pool->standby == NULL && to_be_watched(pool))
            stand_by(pool, self);
        else {
            until = pool->nidle > pool->settings.max_idle ? now + pool->settings.idle_timeout : CLOCK_NEVER;
            clock_wait(&self->cond, &pool->lock, until);
            /* Whoever was called to stand by must not end instead. */
            if (until != CLOCK_NEVER && !self->active && pool->nidle > pool->settings.max_idle
                && !pool->standby_coming && clock_now() >= until) {
                unstack(pool, self);
                return NULL;
            }
        }
        unstack(pool, self);
    }
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
    if (!pushed)
        notifier_bury(request);
    notifier_drop(notifier);
}

/* The same for one that was still queued. Called with the lock held, which is released meanwhile. */
void
workers_finish_unrun(struct pool *pool, struct request *request, int error)
{
    request->error = error;
    request->interrupted = error == ECANCELED;
    pool->changes -= request->request_class >= CLASS_CHANGE;
    finish_and_unlock(pool, request);
    pthread_mutex_lock(&pool->lock);
}

/* After an attempt to get a lock: is the request to be tried again? What a lock is granted to that nobody wants any more
 * gives it back. Called with the lock held, which is released meanwhile. */
static bool
waits_for_lock(struct pool *pool, struct request *request)
{
    bool wanted = !request->unwanted && !request->abandoned;

    if (!ops_is_lock((enum op)request->op) || request->request_class == CLASS_MUST)
        return false;
    if (wanted && request->set_aside) {
        waiting_add(pool, request);
        return true;
    }
    if (request->error == 0 && !request->set_aside)
        waiting_granted(pool);
    if (wanted || request->error != 0)
        return false;
    if (!request->set_aside) {
        pthread_mutex_unlock(&pool->lock);
        ops_unlock(request);
        pthread_mutex_lock(&pool->lock);
        waiting_retry(pool, NULL);
    }
    request->interrupted = true;
    request->error = ECANCELED;
    return false;
}

static void *
worker_main(void *argument)
{
    struct worker *self = argument;
    struct pool *pool = self->pool;
    struct request *request;
    uint64_t now = clock_now();
    enum help help;

#ifdef __linux__
    pthread_setname_np(pthread_self(), "anyaio");
    /* A worker that is woken must not take the processor from the loop that woke it, which has more to submit: the
     * kernel lets threads of this policy wait for an idle processor or for their turn (sched(7)). */
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
#endif
    pthread_mutex_lock(&pool->lock);
    while ((request = next_request(pool, self, now, &help)) != NULL) {
        bool changes = request->request_class >= CLASS_CHANGE;
        /* It gives a lock back, or a descriptor and its locks with it: somebody may wait for one of that file. */
        bool frees = request->request_class == CLASS_MUST && pool->locks.count > 0;
        uint64_t begun = request->since, slept;
        struct file_id file;

        pthread_mutex_unlock(&pool->lock);
        workers_give_help(pool, help);
        frees = frees && ops_file(request, &file);
        ops_run(request);
        now = clock_now();
        slept = sleep_in(self, now - begun);
        pthread_mutex_lock(&pool->lock);
        pool->sleep = (3 * pool->sleep + slept) / 4;
        if (self->stuck)
            stuck_end(pool, self);
        self->request = NULL;
        pool->running--;
        request->worker = NULL;
        if (waits_for_lock(pool, request)) {
            help = workers_need_standby(pool, clock_now());
            pthread_mutex_unlock(&pool->lock);
            workers_give_help(pool, help);
            pthread_mutex_lock(&pool->lock);
            continue;
        }
        if (frees)
            waiting_retry(pool, &file);
        pool->finished++;
        pool->changes -= changes;
        finish_and_unlock(pool, request);
        if (changes)
            pool_tell_leaving();
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
        workers_wake_idle(pool); /* the standby may sleep on without a tick */
    pthread_mutex_unlock(&pool->lock);
    worker_free(self);
    pool_drop(pool);
    return NULL;
}
