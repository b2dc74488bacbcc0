/* The end of a request: it leaves its engine's list, and waiter, callback and group are told, in this order. */
#include "native.h"

/* Off the engine's list, for whatever reason. The list's reference is given to the caller. */
static void
unlink_flying(struct request_object *object)
{
    struct engine *engine = object->anchor->engine;

    if (object->prev != NULL)
        object->prev->next = object->next;
    else
        engine->flying = object->next;
    if (object->next != NULL)
        object->next->prev = object->prev;
    object->next = object->prev = NULL;
    engine->nreqs--;
}

/* The list's reference is given to the caller. */
void
request_detach(struct request_object *object, enum status status)
{
    object->status = (uint8_t)status;
    object->done = true;
    object->deadline = 0;
    unlink_flying(object);
}

static void
call_waiter(struct request_object *object)
{
    struct engine *engine = object->anchor->engine;
    PyObject *waiter = object->waiter, *wake = engine == NULL ? NULL : Py_XNewRef(engine->wake), *result = NULL;

    object->waiter = NULL;
    if (waiter == NULL || wake == NULL)
        goto done;
    if ((result = PyObject_CallOneArg(wake, waiter)) == NULL)
        anchor_error(object->anchor, (PyObject *)object);
done:
    Py_XDECREF(result);
    Py_XDECREF(wake);
    Py_XDECREF(waiter);
}

static void
call_callback(struct request_object *object)
{
    PyObject *callback = object->callback, *context = object->context, *result = NULL;

    object->callback = object->context = NULL;
    if (callback == NULL)
        goto done;
    if (context != NULL && PyContext_Enter(context) < 0) {
        anchor_error(object->anchor, (PyObject *)object);
        goto done;
    }
    result = PyObject_CallOneArg(callback, (PyObject *)object);
    if (result == NULL)
        anchor_error(object->anchor, (PyObject *)object);
    if (context != NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (PyContext_Exit(context) < 0)
            anchor_error(object->anchor, (PyObject *)object);
        if (type != NULL)
            PyErr_Restore(type, value, traceback);
    }
done:
    Py_XDECREF(result);
    Py_XDECREF(callback);
    Py_XDECREF(context);
}

/* The group that it is a member of. */
static void
call_group(struct request_object *object)
{
    PyObject *group = object->group, *result;

    object->group = NULL;
    if (group == NULL)
        return;
    result = PyObject_CallMethodOneArg(group, object->anchor->state->member_done, (PyObject *)object);
    if (result == NULL)
        anchor_error(object->anchor, (PyObject *)object);
    Py_XDECREF(result);
    Py_DECREF(group);
}

/* The first exception that leaves poll, a KeyboardInterrupt say, keeps nobody from being told. */
static void
tell_all_the_same(struct request_object *object, void (*tell)(struct request_object *object))
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    tell(object);
    if (type == NULL)
        return;
    if (PyErr_Occurred())
        PyErr_WriteUnraisable((PyObject *)object);
    PyErr_Restore(type, value, traceback);
}

void
request_tell(struct request_object *object)
{
    call_waiter(object);
    tell_all_the_same(object, call_callback);
    tell_all_the_same(object, call_group);
}

void
request_tell_taken_back(struct request_object *object)
{
    call_waiter(object);
    tell_all_the_same(object, call_group);
}

/* Without or with one argument, whatever exception is set. */
static void
call_hook(struct engine *engine, PyObject *hook, PyObject *argument)
{
    PyObject *type, *value, *traceback, *result;

    PyErr_Fetch(&type, &value, &traceback);
    Py_INCREF(hook);
    result = argument == NULL ? PyObject_CallNoArgs(hook) : PyObject_CallOneArg(hook, argument);
    if (result == NULL)
        anchor_error(engine->anchor, hook);
    Py_XDECREF(result);
    Py_DECREF(hook);
    if (type == NULL)
        return;
    if (PyErr_Occurred())
        PyErr_WriteUnraisable((PyObject *)engine);
    PyErr_Restore(type, value, traceback);
}

/* Tell the logger of calls that do not end. */
static void
tell_stuck(struct engine *engine)
{
    PyObject *type, *value, *traceback, *logging, *logger = NULL, *result = NULL;
    struct pool_settings settings;
    struct pool_counts counts;
    struct pool_stuck stuck;

    if (!pool_take_stuck(engine->anchor->pool, &stuck))
        return;
    pool_get(engine->anchor->pool, &settings, &counts);
    PyErr_Fetch(&type, &value, &traceback);
    if ((logging = PyImport_ImportModule("logging")) != NULL)
        logger = PyObject_CallMethod(logging, "getLogger", "s", "anyaio");
    if (logger != NULL)
        result = PyObject_CallMethod(
            logger, "warning", "sIsKIIn",
            "%d calls are stuck, the longest of them, %s, for %d s; up to max_stuck=%d do not count against "
            "max_parallel=%d; %d requests wait for a thread",
            stuck.count, request_name(stuck.op), (unsigned long long)((clock_now() - stuck.since) / 1000000000u),
            pool_max_stuck(&settings), settings.max_parallel, (Py_ssize_t)counts.queued);
    if (result == NULL)
        PyErr_WriteUnraisable((PyObject *)engine);
    Py_XDECREF(result);
    Py_XDECREF(logger);
    Py_XDECREF(logging);
    PyErr_Restore(type, value, traceback);
}

void
engine_tell_room(struct engine *engine)
{
    if (engine->on_room != NULL && !engine->closed && !engine_full(engine))
        call_hook(engine, engine->on_room, NULL);
}

void
engine_tell_busy(struct engine *engine)
{
    bool busy = engine->nreqs > 0;

    if (busy == engine->told_busy || engine->on_busy == NULL)
        return;
    engine->told_busy = busy;
    call_hook(engine, engine->on_busy, busy ? Py_True : Py_False);
}

void
engine_tell_fewer(struct engine *engine)
{
    if (engine == NULL)
        return;
    Py_INCREF(engine);
    tell_stuck(engine);
    if (engine->max_outstanding > 0)
        engine_tell_room(engine);
    engine_tell_busy(engine);
    Py_DECREF(engine);
}
