/* From a call to a queued request, or to what the inline lane makes of it. */
#include "native.h"

static struct request_object *
new_object(struct engine *engine, struct options options, enum op op)
{
    PyTypeObject *type = engine->anchor->state->request_type;
    struct request_object *object = engine->spare;

    engine->spare = NULL;
    if (object == NULL) {
        if ((object = (struct request_object *)type->tp_alloc(type, 0)) == NULL)
            return NULL;
        object->anchor = engine->anchor;
        object->anchor->references++;
    }
    object->op = (uint8_t)op;
    object->priority = options.priority;
    object->patience = (float)options.patience;
    return object;
}

/* It is under way: the engine's list has a reference. */
static void
enlist(struct engine *engine, struct request_object *object)
{
    object->next = engine->flying;
    if (object->next != NULL)
        object->next->prev = object;
    engine->flying = (struct request_object *)Py_NewRef(object);
    engine->nreqs++;
    engine->submitted[object->op]++;
}

/* It is under way, and stays so if the hook lets an interruption out. */
static struct request_object *
told(struct engine *engine, struct request_object *object)
{
    engine_tell_busy(engine);
    if (PyErr_Occurred())
        Py_CLEAR(object);
    return object;
}

static int
check_callback(enum op op, PyObject *callback)
{
    if (callback == Py_None || PyCallable_Check(callback))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s: callback must be callable or None, not %.200s", request_name(op),
                 Py_TYPE(callback)->tp_name);
    return -1;
}

static int
keep_callback(struct request_object *object, PyObject *callback)
{
    if (callback == Py_None)
        return 0;
    object->callback = Py_NewRef(callback);
    object->context = PyContext_CopyCurrent();
    return object->context == NULL ? -1 : 0;
}

/* It has ended before it was under way: the next poll hands it over. */
static struct request_object *
finish(struct engine *engine, struct request_object *object)
{
    struct request *request = object->request;

    request->state = REQUEST_FINISHED;
    enlist(engine, object);
    notifier_hold(engine->notifier);
    notifier_push(engine->notifier, request);
    return told(engine, object);
}

/* Nobody has seen it. */
static void
drop_unsubmitted(struct request_object *object)
{
    struct request *request = object->request;

    object->request = NULL;
    if (request != NULL)
        request_discard(request);
    Py_DECREF(object);
}

/* Nobody has seen it: the next one is made of it. */
static void
spare(struct engine *engine, struct request_object *object)
{
    request_empty(object->request);
    Py_CLEAR(object->paths);
    object->two_paths = object->bytes = false;
    if (engine->spare == NULL && !engine->closed)
        engine->spare = object;
    else
        drop_unsubmitted(object);
}

/* What the inline lane has answered: the result itself, or its OSError raised. */
static PyObject *
take_answer(struct engine *engine, struct request_object *object)
{
    PyObject *result = object->value;

    engine->submitted[object->op]++;
    object->value = NULL;
    if (result == NULL)
        result = results_build(engine->anchor->state, object);
    spare(engine, object);
    return result;
}

/* The number of an operation, or -1 with an exception. */
static int
read_operation(PyObject *number)
{
    int overflow;
    long op = PyLong_AsLongAndOverflow(number, &overflow);

    if (op >= 0 && op < OP_COUNT)
        return (int)op;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "there is no operation of this number");
    return -1;
}

/* A request that is not under way yet. NULL: an exception. */
static struct request_object *
prepare(struct engine *engine, struct options options, enum op op, PyObject *callback, PyObject *const *arguments,
        Py_ssize_t count)
{
    struct request_object *object = new_object(engine, options, op);

    if (object == NULL)
        return NULL;
    if (object->request != NULL)
        request_reset(object->request, op);
    else if ((object->request = request_new(op)) == NULL) {
        PyErr_NoMemory();
        goto fail;
    }
    if (convert_arguments(object, object->request, arguments, count) < 0 || keep_callback(object, callback) < 0)
        goto fail;
    /* Converting may have run code of the caller's: __fspath__, __index__, __buffer__. */
    if (engine_check_open(engine) < 0)
        goto fail;
    object->request->priority = options.priority;
    object->request->notifier = engine->notifier;
    object->request->owner = object;
    return object;
fail:
    drop_unsubmitted(object);
    return NULL;
}

/* Let the pool have it. New reference, or NULL with an exception: then it is gone. */
static struct request_object *
to_pool(struct engine *engine, struct request_object *object)
{
    int error = pool_submit(engine->anchor->pool, object->request);

    if (error == 0) {
        enlist(engine, object);
        return told(engine, object);
    }
    PyErr_Format(PyExc_RuntimeError, "no worker thread can be started: %s", strerror(error));
    drop_unsubmitted(object);
    return NULL;
}

/* Is it a result that nobody has to take? A descriptor is closed with its request, if nobody does. */
static bool
may_be_lost(const struct request *request)
{
    return request->error == 0 && request_result_of((enum op)request->op) != RESULT_FD;
}

PyObject *
submit_request(struct engine *engine, struct options options, enum at_once at_once, PyObject *number,
               PyObject *callback, PyObject *const *arguments, Py_ssize_t count)
{
    struct request_object *object;
    int op;

    if (engine_check_open(engine) < 0 || (op = read_operation(number)) < 0
        || check_callback((enum op)op, callback) < 0)
        return NULL;
    if ((object = prepare(engine, options, (enum op)op, callback, arguments, count)) == NULL)
        return NULL;
    if (!lane_serves(engine, options, (enum op)op))
        return (PyObject *)to_pool(engine, object);
    if (!lane_has_room(engine)) {
        lane_park(object);
        enlist(engine, object);
        return (PyObject *)told(engine, object);
    }
    if (!lane_try(object))
        return (PyObject *)to_pool(engine, object);
    if (at_once == EVERYTHING || (at_once == RESULTS && may_be_lost(object->request)))
        return take_answer(engine, object);
    return (PyObject *)finish(engine, object);
}

/* Nobody's code is run to have one of these as an argument. */
static bool
is_plain(PyObject *argument)
{
    return PyLong_Check(argument) || PyUnicode_CheckExact(argument) || PyBytes_CheckExact(argument) || argument == Py_None;
}

/* The request that there are most of, and whose call is shortest, does without one: plain numbers need no more checks
 * than the call makes. What is not so plain, or wrong, goes the long way. */
static PyObject *
pread_at_once(struct engine *engine, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *result;
    int64_t numbers[3];

    if (count != 3)
        return NULL;
    for (int i = 0; i < 3; i++) {
        int overflow;
        if (!PyLong_CheckExact(arguments[i]))
            return NULL;
        numbers[i] = PyLong_AsLongLongAndOverflow(arguments[i], &overflow);
        if (overflow != 0)
            return NULL;
    }
    if (numbers[0] < 0 || numbers[0] > INT_MAX)
        return NULL;
    if ((result = lane_pread(engine, (int)numbers[0], numbers[1], numbers[2])) != NULL)
        engine->submitted[OP_PREAD]++;
    return result;
}

/* See native.h. */
PyObject *
submit_at_once(struct engine *engine, struct options options, PyObject *const *arguments, Py_ssize_t count)
{
    struct request_object *object;
    int overflow;
    long op = count == 0 ? -1 : PyLong_AsLongAndOverflow(arguments[0], &overflow);

    if (op < 0 || op >= OP_COUNT || engine_full(engine) || !lane_serves(engine, options, (enum op)op)
        || !lane_has_room(engine)) {
        PyErr_Clear();
        return NULL;
    }
    if (op == OP_PREAD)
        return pread_at_once(engine, arguments + 1, count - 1);
    for (Py_ssize_t i = 1; i < count; i++)
        if (!is_plain(arguments[i]))
            return NULL;
    if ((object = prepare(engine, options, (enum op)op, Py_None, arguments + 1, count - 1)) == NULL)
        return NULL;
    if (lane_try(object))
        return take_answer(engine, object);
    spare(engine, object);
    return NULL;
}

PyObject *
submit_finished(struct engine *engine, struct options options, PyObject *callback)
{
    struct request_object *object;

    if (engine_check_open(engine) < 0 || check_callback(OP_NOP, callback) < 0)
        return NULL;
    object = prepare(engine, options, OP_NOP, callback, NULL, 0);
    return object == NULL ? NULL : (PyObject *)finish(engine, object);
}
