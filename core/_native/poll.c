/* An engine's poll and wait: what was finished is handed over. */
#include "native.h"

#include <errno.h>
#include <poll.h>

void
engine_unlist(struct engine *engine, struct request *request)
{
    notifier_collect(engine->notifier, &engine->ready);
    queue_remove(&engine->ready, request);
    if (engine->ready.count == 0 && engine->parked.count == 0)
        notifier_clear(engine->notifier);
    notifier_drop(request->notifier);
    request->notifier = NULL;
}

/* Buffers whose engine was gone when their request ended. */
void
engine_free_orphans(void)
{
    struct request *request = notifier_take_orphans();

    while (request != NULL) {
        struct request *next = request->next;
        request_discard(request);
        request = next;
    }
}

/* Hand it over, with its result. */
static void
hand_over(struct request_object *object)
{
    struct request *request = object->request;

    /* Done first: to let go of the buffers may run anybody's code, which finds it so. */
    request_detach(object, request->interrupted ? STATUS_NEVER_RAN : STATUS_COMPLETED);
    if (request_result_of((enum op)request->op) == RESULT_CONTROL)
        convert_copy_back(request);
    convert_unpin(request);
    request_tell(object);
    Py_DECREF(object);
}

/* One that was finished; was there anybody to have it? */
static bool
deliver(struct request *request)
{
    struct request_object *object = request->owner;

    notifier_drop(request->notifier);
    request->notifier = NULL;
    if (object == NULL)
        request_discard(request);
    else
        hand_over(object);
    return object != NULL;
}

/* One that was parked: here, or else by a worker. Was it handed over? */
static bool
run_parked(struct engine *engine, struct request_object *object)
{
    struct request *request = object->request;
    int error;

    if (!lane_still_serves(object) || !lane_try(object)) {
        if ((error = pool_submit(engine->anchor->pool, request)) == 0)
            return false;
        request->error = error; /* no worker can be started */
    }
    request->state = REQUEST_FINISHED;
    request->notifier = NULL;
    hand_over(object);
    return true;
}

static struct request_object *
find_expired(struct engine *engine, uint64_t now, uint64_t *next)
{
    *next = 0;
    for (struct request_object *object = engine->flying; object != NULL; object = object->next) {
        if (object->deadline == 0)
            continue;
        if (object->deadline <= now)
            return object;
        if (*next == 0 || object->deadline < *next)
            *next = object->deadline;
    }
    return NULL;
}

/* Let go of the changes that have been waited for long enough; how many, or -1 with an exception. */
static Py_ssize_t
expire(struct engine *engine)
{
    struct request_object *object;
    uint64_t next;
    Py_ssize_t count = 0;

    while ((object = find_expired(engine, clock_now(), &next)) != NULL) {
        Py_INCREF(object);
        object->deadline = 0;
        request_abandon(object);
        Py_DECREF(object);
        count++;
        if (PyErr_Occurred())
            return -1;
        if (anchor_inherited(engine->anchor))
            return count; /* the callback has forked, and this is the child */
    }
    if (next != 0)
        pool_alarm(engine->anchor->pool, engine->notifier, next);
    return count;
}

/* Tell once, through the logger, that threads cannot be started. */
static void
tell_start_failure(struct engine *engine)
{
    struct pool_counts counts;
    PyObject *logging = NULL, *logger = NULL, *result = NULL;

    if (engine->anchor->state->start_failure_told)
        return;
    pool_get(engine->anchor->pool, NULL, &counts);
    if (counts.start_failures == 0)
        return;
    engine->anchor->state->start_failure_told = true;
    if ((logging = PyImport_ImportModule("logging")) != NULL)
        logger = PyObject_CallMethod(logging, "getLogger", "s", "anyaio");
    if (logger != NULL)
        result = PyObject_CallMethod(logger, "warning", "ssI", "a worker thread could not be started: %s; going on with %d",
                                     strerror(counts.start_error), counts.threads);
    if (result == NULL)
        PyErr_WriteUnraisable((PyObject *)engine);
    Py_XDECREF(result);
    Py_XDECREF(logger);
    Py_XDECREF(logging);
}

PyObject *
engine_poll(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    uint64_t until = 0;
    Py_ssize_t count = 0;

    if (anchor_check(self->anchor) < 0)
        return NULL;
    if (self->closed)
        return PyLong_FromLong(0);
    Py_INCREF(self); /* a callback may drop the last reference */
    if (self->max_poll_time > 0)
        until = clock_now() + (uint64_t)(self->max_poll_time * 1e9);
    engine_free_orphans();
    tell_start_failure(self);
    lane_refill(self);
    if (notifier_rung(self->notifier) && (count = expire(self)) < 0)
        goto fail;
    /* A callback may shut it down, or fork: in the child all of this is the parent's. */
    while (!self->closed && !anchor_inherited(self->anchor)) {
        struct request *request;
        struct request_object *parked;
        if (self->ready.count == 0)
            notifier_collect(self->notifier, &self->ready);
        request = queue_pop(&self->ready);
        parked = request == NULL ? lane_next(self) : NULL;
        /* Before the last one's callback, so that the descriptor tells the truth inside it. */
        if (self->ready.count == 0) {
            notifier_collect(self->notifier, &self->ready);
            if (self->ready.count == 0 && self->parked.count == 0)
                notifier_clear(self->notifier);
        }
        if (request == NULL && parked == NULL)
            break;
        count += request != NULL ? deliver(request) : run_parked(self, parked);
        if (PyErr_Occurred())
            goto fail;
        if (self->max_poll_reqs > 0 && count >= self->max_poll_reqs)
            break;
        if (until != 0 && clock_now() >= until)
            break;
    }
fail:
    if (!anchor_inherited(self->anchor))
        engine_tell_fewer(self);
    Py_DECREF(self);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(count);
}

/* 1: something waits to be polled; 0: not in this time; -1: an exception. */
static int
wait_readable(struct engine *engine, uint64_t until)
{
    struct pollfd fd = { .fd = notifier_fileno(engine->notifier), .events = POLLIN };

    for (;;) {
        uint64_t now = clock_now();
        uint64_t left = until == UINT64_MAX ? UINT64_MAX : until > now ? (until - now + 999999) / 1000000 : 0;
        int count, error;

        Py_BEGIN_ALLOW_THREADS
        count = poll(&fd, 1, left > INT_MAX ? (until == UINT64_MAX ? -1 : INT_MAX) : (int)left);
        error = errno;
        Py_END_ALLOW_THREADS
        if (count > 0)
            return 1;
        if (count == 0 && left <= INT_MAX)
            return 0;
        if (count < 0 && error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0 || anchor_check(engine->anchor) < 0)
            return -1;
        if (engine->nreqs == 0 || engine->closed)
            return 0; /* a signal handler has polled */
    }
}

static int
engine_wait_until(struct engine *engine, uint64_t until)
{
    if (engine->ready.count > 0)
        return 1;
    if (engine->nreqs == 0 || engine->closed)
        return 0;
    return wait_readable(engine, until);
}

PyObject *
engine_wait(struct engine *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "timeout", NULL };
    PyObject *timeout = Py_None;
    uint64_t until = UINT64_MAX;
    double seconds;
    int result;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:wait", names, &timeout) || anchor_check(self->anchor) < 0)
        return NULL;
    if (timeout != Py_None) {
        seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
            return NULL;
        if (!(seconds >= 0))
            return PyErr_Format(PyExc_ValueError, "timeout must be None or at least 0 seconds, not %R", timeout);
        if (seconds < 1e9)
            until = clock_now() + (uint64_t)(seconds * 1e9);
    }
    result = engine_wait_until(self, until);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

PyObject *
engine_flush(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    if (anchor_check(self->anchor) < 0)
        return NULL;
    while (self->nreqs > 0 && !self->closed) {
        PyObject *count;
        if (engine_wait_until(self, UINT64_MAX) < 0 || (count = engine_poll(self, NULL)) == NULL)
            return NULL;
        Py_DECREF(count);
    }
    Py_RETURN_NONE;
}
