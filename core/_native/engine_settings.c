/* Engine's attributes: counters, limits, and whom it calls. */
#include "native.h"

#include <stddef.h>

/* ---- counters ---- */

static size_t
count_pending(struct engine *engine)
{
    return engine->closed || anchor_inherited(engine->anchor) ? 0 : engine->ready.count + notifier_count(engine->notifier);
}

/* Its own requests only: the pool is shared. */
static void
count_states(struct engine *engine, size_t counts[4])
{
    if (engine->closed || anchor_inherited(engine->anchor))
        return;
    for (const struct request_object *object = engine->flying; object != NULL; object = object->next)
        if (!object->parked)
            counts[pool_state(engine->anchor->pool, object->request)]++;
}

static PyObject *
get_nready(struct engine *self, void *Py_UNUSED(closure))
{
    size_t counts[4] = { 0 };

    count_states(self, counts);
    return PyLong_FromSize_t(counts[REQUEST_QUEUED]);
}

static PyObject *
get_npending(struct engine *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(count_pending(self));
}

static PyObject *
get_pool(struct engine *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->pool);
}

PyObject *
engine_stats(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    struct pool_counts counts = { 0 };
    size_t states[4] = { 0 };
    PyObject *requests = PyDict_New();
    uint64_t total = 0;

    for (int op = 0; op < OP_COUNT && requests != NULL; op++) {
        PyObject *number;
        if (self->submitted[op] == 0)
            continue;
        total += self->submitted[op];
        number = PyLong_FromUnsignedLongLong(self->submitted[op]);
        if (number == NULL || PyDict_SetItemString(requests, request_name((enum op)op), number) < 0)
            Py_CLEAR(requests);
        Py_XDECREF(number);
    }
    if (requests == NULL)
        return NULL;
    count_states(self, states);
    if (!anchor_inherited(self->anchor))
        pool_get(self->anchor->pool, NULL, &counts);
    return Py_BuildValue(
        "{sNsnsnsnsns{sKsK}sKsKsd}", "requests", requests, "parked", (Py_ssize_t)self->parked.count, "queued",
        (Py_ssize_t)states[REQUEST_QUEUED], "running", (Py_ssize_t)states[REQUEST_RUNNING], "finished",
        (Py_ssize_t)states[REQUEST_FINISHED], "lanes", "inline", (unsigned long long)self->inlined, "pool",
        (unsigned long long)(total - self->inlined - self->parked.count), "parkings", (unsigned long long)self->parkings,
        "slow_inline", (unsigned long long)self->slow_inline, "longest_wait", (double)counts.longest_wait * 1e-9);
}

static PyObject *
get_full(struct engine *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(engine_full(self));
}

/* ---- limits and calls ---- */

static PyObject *
get_callable(struct engine *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (size_t)closure);

    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
set_callable(struct engine *self, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)self + (size_t)closure);

    if (value == NULL || (value != Py_None && !PyCallable_Check(value))) {
        PyErr_SetString(PyExc_TypeError, "must be callable or None");
        return -1;
    }
    Py_XSETREF(*field, value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

static Py_ssize_t *
limit_of(struct engine *self, void *closure)
{
    return (Py_ssize_t *)((char *)self + (size_t)closure);
}

static PyObject *
get_limit(struct engine *self, void *closure)
{
    return PyLong_FromSsize_t(*limit_of(self, closure));
}

static int
set_limit(struct engine *self, PyObject *value, void *closure)
{
    Py_ssize_t number = value == NULL ? 0 : PyNumber_AsSsize_t(value, PyExc_OverflowError);

    if (value == NULL || (number == -1 && PyErr_Occurred()))
        return value == NULL ? (PyErr_SetString(PyExc_TypeError, "cannot be deleted"), -1) : -1;
    if (number < 0) {
        PyErr_Format(PyExc_ValueError, "a limit must be at least 0, not %zd", number);
        return -1;
    }
    *limit_of(self, closure) = number;
    if (anchor_inherited(self->anchor) || self->anchor->thread != PyThread_get_thread_ident())
        return 0;
    engine_tell_room(self);
    return PyErr_Occurred() ? -1 : 0;
}

static double *
seconds_of(struct engine *self, void *closure)
{
    return (double *)((char *)self + (size_t)closure);
}

static PyObject *
get_seconds(struct engine *self, void *closure)
{
    return PyFloat_FromDouble(*seconds_of(self, closure));
}

static int
set_seconds(struct engine *self, PyObject *value, void *closure)
{
    double seconds = value == NULL ? 0 : PyFloat_AsDouble(value);

    if (value == NULL || (seconds == -1.0 && PyErr_Occurred()))
        return value == NULL ? (PyErr_SetString(PyExc_TypeError, "cannot be deleted"), -1) : -1;
    if (!(seconds >= 0)) {
        PyErr_Format(PyExc_ValueError, "a limit of time must be at least 0 seconds, not %R", value);
        return -1;
    }
    *seconds_of(self, closure) = seconds > 1e9 ? 1e9 : seconds;
    return 0;
}

#define AT(field) ((void *)offsetof(struct engine, field))

PyGetSetDef engine_settings[] = {
    { "pool", (getter)get_pool, NULL, "The pool it uses.", NULL },
    { "nready", (getter)get_nready, NULL, "Requests in the queue.", NULL },
    { "npending", (getter)get_npending, NULL, "Requests that wait to be polled.", NULL },
    { "full", (getter)get_full, NULL, "Are max_outstanding requests under way?", NULL },
    { "wake", (getter)get_callable, (setter)set_callable, "Called with a request's waiter when it is done.", AT(wake) },
    { "on_error", (getter)get_callable, (setter)set_callable, "Called with a callback's exception and its request.",
      AT(on_error) },
    { "on_room", (getter)get_callable, (setter)set_callable, "Called when a limited engine is not full.", AT(on_room) },
    { "on_busy", (getter)get_callable, (setter)set_callable, "Called with whether requests are outstanding.",
      AT(on_busy) },
    { "max_outstanding", (getter)get_limit, (setter)set_limit, "Requests after which it is full; 0 is no limit.",
      AT(max_outstanding) },
    { "max_poll_reqs", (getter)get_limit, (setter)set_limit, "Results a poll hands over at most.", AT(max_poll_reqs) },
    { "max_poll_time", (getter)get_seconds, (setter)set_seconds, "Seconds a poll works for at most.",
      AT(max_poll_time) },
    { "max_inline_reqs", (getter)get_limit, (setter)set_limit,
      "Requests the inline lane tries between two polls; what comes then is parked. 0: it tries none.", AT(budget.reqs) },
    { "max_inline_bytes", (getter)get_limit, (setter)set_limit, "Bytes it reads between two polls.", AT(budget.bytes) },
    { "max_inline_time", (getter)get_seconds, (setter)set_seconds, "Seconds it works for between two polls.",
      AT(budget.time) },
    { 0 },
};
