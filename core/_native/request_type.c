/* Request: what the caller holds of one. Everything here runs on its engine's thread, but deallocation. */
#include "native.h"

#include "ops.h"

#include <errno.h>

/* ---- ending ---- */

void
request_discard(struct request *request)
{
    convert_unpin(request);
    request_free(request);
}

/* Has it got a lock? */
static bool
grants_lock(const struct request *request)
{
    return request->error == 0 && !request->interrupted && ops_is_lock((enum op)request->op)
           && request->request_class != CLASS_MUST;
}

/* A descriptor that nobody will take is closed, by a worker. A lock is given back here and now: a moment later another
 * file could have the descriptor's number. Was there one of them? */
static bool
dispose_of(struct anchor *anchor, struct request *request)
{
    if (grants_lock(request)) {
        ops_unlock(request);
        return true;
    }
    if (request->error != 0 || request->value < 0 || request_result_of((enum op)request->op) != RESULT_FD)
        return false;
    anchor_dispose(anchor, (int)request->value);
    request->value = -1;
    return true;
}

/* Take the request back if its class allows: is it done now, without effect? The waiter is woken by the caller. */
static bool
take_back(struct request_object *object)
{
    struct request *request = object->request, *freed = NULL;
    struct engine *engine = object->anchor->engine;
    enum status status = STATUS_NEVER_RAN;
    PyObject *callback, *context;

    if (object->done)
        return false;
    switch (object->parked && lane_leave(object) ? CANCEL_TAKEN_BACK : pool_cancel(object->anchor->pool, request)) {
    case CANCEL_TAKEN_BACK:
        freed = request;
        break;
    case CANCEL_INTERRUPTED:
        break;
    case CANCEL_ABANDONED:
        status = STATUS_ABANDONED;
        break;
    case CANCEL_FINISHED:
        if (request->request_class >= CLASS_CHANGE && !grants_lock(request))
            return false;
        status = grants_lock(request) ? STATUS_NEVER_RAN : STATUS_ABANDONED;
        engine_unlist(engine, request);
        dispose_of(object->anchor, request);
        freed = request;
        break;
    case CANCEL_REFUSED:
        if (object->deadline != 0 || object->patience < 0)
            return false;
        object->deadline = clock_now() + (uint64_t)((double)object->patience * 1e9);
        if (!pool_alarm(object->anchor->pool, engine->notifier, object->deadline))
            request_abandon(object); /* nobody can watch the time */
        return false;
    }
    /* Done first: what is let go of may run anybody's code, which finds it so. */
    callback = object->callback;
    context = object->context;
    object->callback = object->context = NULL;
    object->request = NULL;
    request_detach(object, status);
    if (freed != NULL)
        request_discard(freed);
    Py_XDECREF(callback);
    Py_XDECREF(context);
    return true;
}

void
request_abandon(struct request_object *object)
{
    struct request *request = object->request, *freed = NULL;
    bool changes;
    enum status status = STATUS_NEVER_RAN;

    if (object->done)
        return;
    changes = request->request_class >= CLASS_CHANGE;
    switch (object->parked && lane_leave(object) ? CANCEL_TAKEN_BACK : pool_abandon(object->anchor->pool, request)) {
    case CANCEL_TAKEN_BACK:
        freed = request;
        break;
    case CANCEL_INTERRUPTED:
        break;
    case CANCEL_ABANDONED:
        status = changes ? STATUS_UNKNOWN : STATUS_ABANDONED;
        break;
    case CANCEL_FINISHED: /* the next poll tells it all */
    case CANCEL_REFUSED:
        return;
    }
    object->request = NULL;
    request_detach(object, status);
    if (freed != NULL)
        request_discard(freed);
    request_tell(object);
    Py_DECREF(object);
}

/* ---- results ---- */

static PyObject *
make_outcome(struct request_object *object, PyObject *result, PyObject *error)
{
    static const char *const names[] = {
        [STATUS_PENDING] = "unknown",     [STATUS_COMPLETED] = "done",    [STATUS_NEVER_RAN] = "never ran",
        [STATUS_ABANDONED] = "abandoned", [STATUS_UNKNOWN] = "unknown",
    };
    const char *name = error != Py_None ? "failed" : names[object->status];

    return PyObject_CallFunction(object->anchor->state->outcome, "sOO", name, result, error);
}

/* Build the result or the exception from what the worker left. -1: not even that could be done. */
static int
build(struct request_object *object)
{
    PyObject *type, *value, *traceback;

    if (object->value != NULL)
        return 0;
    if (object->building) { /* by a finalizer that the garbage collector has run meanwhile */
        PyErr_Format(PyExc_RuntimeError, "the result of %s is just being made", request_name((enum op)object->op));
        return -1;
    }
    object->building = true;
    object->value = results_build(object->anchor->state, object);
    object->building = false;
    if (object->value == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_OSError))
            return -1;
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        object->value = value;
        object->failed = true;
    }
    request_discard(object->request);
    object->request = NULL;
    return 0;
}

static PyObject *
cancelled(struct request_object *object)
{
    PyObject *outcome = make_outcome(object, Py_None, Py_None), *error = NULL;
    struct state *state = object->anchor->state;

    if (outcome != NULL)
        error = PyObject_CallFunction(state->cancelled, "sO", "the request was cancelled", outcome);
    if (error != NULL)
        PyErr_SetObject(state->cancelled, error);
    Py_XDECREF(error);
    Py_XDECREF(outcome);
    return NULL;
}

static PyObject *
request_result(struct request_object *object, PyObject *Py_UNUSED(ignored))
{
    if (!object->done) {
        PyErr_Format(PyExc_RuntimeError, "%s is not done yet: its result comes with a poll",
                     request_name((enum op)object->op));
        return NULL;
    }
    if (object->status != STATUS_COMPLETED || object->disposed)
        return cancelled(object);
    if (build(object) < 0)
        return NULL;
    if (!object->failed)
        return Py_NewRef(object->value);
    PyErr_SetObject((PyObject *)Py_TYPE(object->value), object->value);
    return NULL;
}

PyObject *
request_outcome(struct request_object *object, void *Py_UNUSED(closure))
{
    PyObject *nothing = Py_None;

    if (!object->done)
        Py_RETURN_NONE;
    if (object->status != STATUS_COMPLETED || object->disposed)
        return make_outcome(object, nothing, nothing);
    /* To look at a descriptor is not to take it. */
    if (object->value == NULL && object->request->error == 0
        && request_result_of((enum op)object->op) == RESULT_FD) {
        PyObject *outcome, *fd = PyLong_FromLongLong(object->request->value);
        outcome = fd == NULL ? NULL : make_outcome(object, fd, nothing);
        Py_XDECREF(fd);
        return outcome;
    }
    if (build(object) < 0)
        return NULL;
    return make_outcome(object, object->failed ? nothing : object->value, object->failed ? object->value : nothing);
}

/* A result that came too late for who waited for it: a descriptor is closed. */
static void
dispose(struct request_object *object)
{
    bool lock;

    if (!object->done || object->request == NULL || object->disposed)
        return;
    lock = grants_lock(object->request);
    if (!dispose_of(object->anchor, object->request))
        return;
    object->disposed = true;
    if (lock)
        object->status = STATUS_NEVER_RAN;
}

/* ---- methods ---- */

static void
tell_fewer(struct request_object *object)
{
    if (object->done)
        engine_tell_fewer(object->anchor->engine);
}

/* With the reference that the engine's list had; -1 with an exception that leaves the call. */
static int
tell_taken_back(struct request_object *object)
{
    request_tell_taken_back(object);
    tell_fewer(object);
    Py_DECREF(object);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
request_withdraw(struct request_object *object, PyObject *Py_UNUSED(ignored))
{
    if (anchor_check(object->anchor) < 0)
        return NULL;
    if (!take_back(object))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    Py_CLEAR(object->waiter);
    return tell_taken_back(object) < 0 ? NULL : Py_NewRef(Py_True);
}

static PyObject *
request_cancel(struct request_object *object, PyObject *Py_UNUSED(ignored))
{
    if (anchor_check(object->anchor) < 0)
        return NULL;
    if (!take_back(object))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    return tell_taken_back(object) < 0 ? NULL : Py_NewRef(Py_True);
}

static PyObject *
request_abandon_method(struct request_object *object, PyObject *Py_UNUSED(ignored))
{
    if (anchor_check(object->anchor) < 0)
        return NULL;
    request_abandon(object);
    tell_fewer(object);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *
request_attach(struct request_object *object, PyObject *waiter)
{
    if (anchor_check(object->anchor) < 0)
        return NULL;
    if (object->waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s is being waited for already", request_name((enum op)object->op));
        return NULL;
    }
    object->waiter = Py_NewRef(waiter);
    if (object->done)
        request_tell_taken_back(object);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* Set error.outcome, and error.__cause__ if the call failed. */
static int
tell_outcome(PyObject *error, PyObject *outcome)
{
    PyObject *cause = PyObject_GetAttrString(outcome, "error");

    if (cause == NULL)
        return -1;
    if (cause != Py_None && PyExceptionInstance_Check(error))
        PyException_SetCause(error, Py_NewRef(cause));
    Py_DECREF(cause);
    if (PyObject_SetAttrString(error, "outcome", outcome) == 0)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
        return -1;
    PyErr_Clear(); /* an exception with slots, say: there is nowhere to put it */
    return 0;
}

static PyObject *
request_settle(struct request_object *object, PyObject *error)
{
    PyObject *outcome = NULL;
    int result = -1;

    if (anchor_check(object->anchor) < 0)
        return NULL;
    Py_CLEAR(object->waiter);
    if (take_back(object))
        tell_taken_back(object);
    else if (!object->done) {
        request_abandon(object);
        tell_fewer(object);
    }
    if (PyErr_Occurred())
        return NULL;
    dispose(object);
    outcome = object->done ? request_outcome(object, NULL) : make_outcome(object, Py_None, Py_None);
    if (outcome != NULL)
        result = tell_outcome(error, outcome);
    Py_XDECREF(outcome);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- how it looks ---- */

static PyObject *
request_repr(struct request_object *object)
{
    return PyUnicode_FromFormat("<anyaio request %s %s>", request_name((enum op)object->op), request_state_name(object));
}

/* ---- life ---- */

static int
request_traverse(struct request_object *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(object->callback);
    Py_VISIT(object->context);
    Py_VISIT(object->waiter);
    Py_VISIT(object->group);
    Py_VISIT(object->paths);
    Py_VISIT(object->value);
    return 0;
}

static int
request_clear(struct request_object *object)
{
    Py_CLEAR(object->callback);
    Py_CLEAR(object->context);
    Py_CLEAR(object->waiter);
    Py_CLEAR(object->group);
    Py_CLEAR(object->paths);
    Py_CLEAR(object->value);
    return 0;
}

static void
request_dealloc(struct request_object *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    if (object->anchor != NULL && object->request != NULL && !anchor_inherited(object->anchor)
        && !grants_lock(object->request)) /* who drops the request may have taken the lock all the same */
        dispose(object);
    if (object->request != NULL)
        request_discard(object->request);
    request_clear(object);
    if (object->anchor != NULL)
        anchor_drop(object->anchor);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "cancel", (PyCFunction)request_cancel, METH_NOARGS,
      "cancel($self, /)\n--\n\nTake the request back if that is still possible: True if it will have no effect." },
    { "result", (PyCFunction)request_result, METH_NOARGS,
      "result($self, /)\n--\n\nReturn what the request returned, or raise its error." },
    { "attach", (PyCFunction)request_attach, METH_O,
      "attach($self, waiter, /)\n--\n\nHave the engine's wake called with the waiter when the request is done." },
    { "withdraw", (PyCFunction)request_withdraw, METH_NOARGS,
      "withdraw($self, /)\n--\n\nCancel on behalf of the waiter, which is forgotten if this returns True." },
    { "abandon", (PyCFunction)request_abandon_method, METH_NOARGS,
      "abandon($self, /)\n--\n\nWait no longer, whatever state it is in." },
    { "settle", (PyCFunction)request_settle, METH_O,
      "settle($self, error, /)\n--\n\nTell the cancellation what the request did, and give back its result." },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_dealloc, request_dealloc },
    { Py_tp_traverse, request_traverse },
    { Py_tp_clear, request_clear },
    { Py_tp_repr, request_repr },
    { Py_tp_getset, request_attributes },
    { Py_tp_methods, methods },
    { 0 },
};

PyType_Spec request_spec = {
    .name = "anyaio._engine.Request",
    .basicsize = sizeof(struct request_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
