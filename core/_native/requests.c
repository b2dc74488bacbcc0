/* What becomes of one request in a pool: it is queued, cancelled, abandoned, or waits for its descriptor. See pool.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>

#include "clock.h"
#include "notifier.h"
#include "workers.h"

/* ---- requests ---- */

/* Not one thread could be started: what others have queued meanwhile must not wait for ever. */
static void
fail_queue(struct pool *pool, int error)
{
    struct request *request;

    pthread_mutex_lock(&pool->lock);
    while (pool->nthreads == 0 && (request = workers_pop(pool)) != NULL)
        workers_finish_unrun(pool, request, error);
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
    request->since = clock_now();
    request->state = REQUEST_QUEUED;
    workers_push(pool, request);
    pool->changes += request->request_class >= CLASS_CHANGE;
    help = workers_find_help(pool, request->since);
    pthread_mutex_unlock(&pool->lock);
    error = workers_give_help(pool, help);
    if (error == 0)
        return 0;

    pthread_mutex_lock(&pool->lock);
    if (pool->nthreads == 0 && request->state == REQUEST_QUEUED) {
        workers_remove(pool, request);
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
void
requests_interrupt(struct request *request)
{
    request->unwanted = true;
    if (request->worker->wakefd.write_fd >= 0)
        wakefd_set(&request->worker->wakefd);
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
        if (request->request_class == CLASS_MUST || (changes && how == RELEASE && !request->waits)) {
            leave_to_worker(request);
            return CANCEL_ABANDONED;
        }
        if (request->waits)
            waiting_remove(pool, request);
        else {
            workers_remove(pool, request);
            pool->changes -= changes;
        }
        request->state = REQUEST_NEW;
        return CANCEL_TAKEN_BACK;
    case REQUEST_RUNNING:
        if (how == RELEASE && changes && !(request->interruptible && request->reading)) {
            leave_to_worker(request); /* what it was to write is written */
            return CANCEL_ABANDONED;
        }
        request->unwanted = true;
        if (request->interruptible && request->value > 0 && how == BY_CLASS) {
            requests_interrupt(request); /* it ends at once, with what it has written */
            return CANCEL_REFUSED;
        }
        if (request->interruptible && request->value == 0) {
            leave_to_worker(request);
            requests_interrupt(request);
            return CANCEL_INTERRUPTED;
        }
        if (changes && how == BY_CLASS)
            return CANCEL_REFUSED;
        leave_to_worker(request);
        if (request->interruptible)
            requests_interrupt(request);
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

    if (worker->wakefd.read_fd < 0)
        wakefd_open(&worker->wakefd);
    fds[1].fd = worker->wakefd.read_fd;
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
            wakefd_clear(&worker->wakefd);
        pthread_mutex_lock(&pool->lock);
        going = !is_unwanted(request);
        if (ready)
            request->interruptible = false;
        pthread_mutex_unlock(&pool->lock);
    }
    request->interrupted = !going && request->value == 0;
    return going;
}

bool
pool_wanted(struct request *request)
{
    struct pool *pool = request->worker->pool;
    bool wanted;

    pthread_mutex_lock(&pool->lock);
    wanted = !request->unwanted && !request->abandoned;
    pthread_mutex_unlock(&pool->lock);
    return wanted;
}
