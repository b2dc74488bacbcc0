/* From a call to a queued request; and Submitter, an engine's way in with the options of one view. */
#include "native.h"

#include <structmember.h>
#include <sys/file.h>

#include "ops.h"

const struct options submit_defaults = { .patience = 5.0, .priority = 0 };

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

/* What the inline lane may give the caller at once; all else comes with a request. */
enum at_once { EVERYTHING, RESULTS, NOTHING };

/* Is it a result that nobody has to take? A descriptor is closed with its request, if nobody does. */
static bool
may_be_lost(const struct request *request)
{
    return request->error == 0 && request_result_of((enum op)request->op) != RESULT_FD;
}

/* New reference, to a result or to a request. */
static PyObject *
submit(struct engine *engine, struct options options, enum at_once at_once, PyObject *number, PyObject *callback,
       PyObject *const *arguments, Py_ssize_t count)
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

enum { MOST_ARGUMENTS = 15 };

static const uint8_t classes[OP_COUNT] = {
#define OPS_ROW(NUMBER, name, request_class, shape, result, parameters) [OP_##NUMBER] = request_class,
    OPS(OPS_ROW)
#undef OPS_ROW
};

/* Of what the caller gave, which may be anything. */
static long
as_long(PyObject *number)
{
    long value = PyLong_Check(number) ? PyLong_AsLong(number) : -1;

    if (value == -1)
        PyErr_Clear();
    return value;
}

/* Shall the front end wait before it submits? What must run is submitted in any case: so is unlocking. */
static bool
holds(const struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    long op, lock;

    if (self->hold == NULL || !engine_full(self->engine))
        return false;
    op = as_long(arguments[0]);
    if (op < 0 || op >= OP_COUNT || classes[op] == CLASS_MUST)
        return false;
    if (!ops_is_lock((enum op)op) || count < 3)
        return true;
    lock = as_long(arguments[2]);
    return lock < 0 || !(lock & LOCK_UN);
}

static PyObject *
call_hold(struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *all[MOST_ARGUMENTS + 1] = { (PyObject *)self };

    if (engine_check_open(self->engine) < 0)
        return NULL;
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    return PyObject_Vectorcall(self->hold, all, (size_t)count + 1, NULL);
}

static PyObject *
submit_or_hold(struct submitter *self, enum at_once at_once, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 1 || count > MOST_ARGUMENTS) {
        PyErr_SetString(PyExc_TypeError, "submit takes an operation and its arguments by position");
        return NULL;
    }
    if (holds(self, arguments, count))
        return call_hold(self, arguments, count);
    return submit(self->engine, self->options, at_once, arguments[0], Py_None, arguments + 1, count - 1);
}

static PyObject *
submitter_call(struct submitter *self, PyObject *const *arguments, size_t count_and_flag, PyObject *keywords)
{
    bool named = keywords != NULL && PyTuple_GET_SIZE(keywords) > 0;

    return submit_or_hold(self, EVERYTHING, arguments, named ? 0 : PyVectorcall_NARGS(count_and_flag));
}

static PyObject *
submitter_start(struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    return submit_or_hold(self, RESULTS, arguments, count);
}

static PyObject *
queue(struct engine *engine, struct options options, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "queue takes an operation, a callback and the operation's arguments");
        return NULL;
    }
    return submit(engine, options, NOTHING, arguments[0], arguments[1], arguments + 2, count - 2);
}

static PyObject *
submitter_queue(struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    return queue(self->engine, self->options, arguments, count);
}

/* A nop that is finished already: it goes to the notifier, and no worker sees it. */
static PyObject *
submitter_post(struct submitter *self, PyObject *callback)
{
    struct engine *engine = self->engine;
    struct request_object *object;

    if (engine_check_open(engine) < 0 || check_callback(OP_NOP, callback) < 0)
        return NULL;
    object = prepare(engine, self->options, OP_NOP, callback, NULL, 0);
    return object == NULL ? NULL : (PyObject *)finish(engine, object);
}

/* With the default options, and without a submitter: the engine must not refer to one that refers to it. */
PyObject *
engine_queue(struct engine *self, PyObject *const *arguments, Py_ssize_t count)
{
    return queue(self, submit_defaults, arguments, count);
}

static PyObject *
submitter_patience(struct submitter *self, void *Py_UNUSED(closure))
{
    return self->options.patience < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(self->options.patience);
}

static int
submitter_traverse(struct submitter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    Py_VISIT(self->hold);
    return 0;
}

static int
submitter_clear(struct submitter *self)
{
    Py_CLEAR(self->hold); /* another cycle the engine breaks */
    return 0;
}

static void
submitter_dealloc(struct submitter *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->engine);
    Py_XDECREF(self->lane);
    Py_XDECREF(self->hold);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef submitter_methods[] = {
    { "start", (PyCFunction)(void (*)(void))submitter_start, METH_FASTCALL,
      "start($self, operation, /, *arguments)\n--\n\nAs a call, but of what fails, and of a descriptor, a Request." },
    { "queue", (PyCFunction)(void (*)(void))submitter_queue, METH_FASTCALL,
      "queue($self, operation, callback, /, *arguments)\n--\n\nAlways return a Request; the callback gets it later." },
    { "post", (PyCFunction)submitter_post, METH_O,
      "post($self, callback, /)\n--\n\nReturn a nop that is finished already: the next poll hands it over." },
    { 0 },
};

static PyMemberDef submitter_members[] = {
    { "__vectorcalloffset__", T_PYSSIZET, offsetof(struct submitter, vectorcall), READONLY, NULL },
    { "priority", T_BYTE, offsetof(struct submitter, options.priority), READONLY, "Of its requests, from -4 to 4." },
    { "engine", T_OBJECT, offsetof(struct submitter, engine), READONLY, "Whose way in it is." },
    { "lane", T_OBJECT, offsetof(struct submitter, lane), READONLY, "\"auto\" or \"pool\"." },
    { 0 },
};

static PyGetSetDef submitter_getset[] = {
    { "patience", (getter)submitter_patience, NULL, "Seconds, or None.", NULL },
    { 0 },
};

static PyType_Slot submitter_slots[] = {
    { Py_tp_dealloc, submitter_dealloc },
    { Py_tp_traverse, submitter_traverse },
    { Py_tp_clear, submitter_clear },
    { Py_tp_call, PyVectorcall_Call },
    { Py_tp_methods, submitter_methods },
    { Py_tp_members, submitter_members },
    { Py_tp_getset, submitter_getset },
    { Py_tp_doc, "An engine's way in, with the options of one view: priority, patience, lane." },
    { 0 },
};

PyType_Spec submitter_spec = {
    .name = "anyaio._engine.Submitter",
    .basicsize = sizeof(struct submitter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = submitter_slots,
};

static int
read_patience(PyObject *object, double *patience)
{
    const double longest = 1e9;

    *patience = -1;
    if (object == Py_None)
        return 0;
    *patience = PyFloat_AsDouble(object);
    if (*patience == -1.0 && PyErr_Occurred())
        return -1;
    if (*patience >= 0) {
        *patience = *patience > longest ? longest : *patience;
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "patience must be None or at least 0 seconds, not %R", object);
    return -1;
}

/* NULL if it is none: a front end may have put a step before it. */
struct anchor *
submitter_anchor(PyObject *object)
{
    struct submitter *self = (struct submitter *)object;

    if (Py_TYPE(object)->tp_dealloc != (destructor)submitter_dealloc || self->options.pool_only)
        return NULL;
    return self->engine->anchor;
}

PyObject *
engine_submitter(struct engine *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "priority", "patience", "lane", "hold", NULL };
    PyObject *patience_object = NULL, *lane = NULL, *hold = Py_None;
    int priority = submit_defaults.priority;
    double patience = submit_defaults.patience;
    struct submitter *submitter;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$iOUO:submitter", names, &priority, &patience_object,
                                     &lane, &hold))
        return NULL;
    if (hold != Py_None && !PyCallable_Check(hold))
        return PyErr_Format(PyExc_TypeError, "hold must be callable or None, not %.200s", Py_TYPE(hold)->tp_name);
    if (priority < PRIORITY_MIN || priority > PRIORITY_MAX)
        return PyErr_Format(PyExc_ValueError, "priority must be from -4 to 4, not %d", priority);
    if (patience_object != NULL && read_patience(patience_object, &patience) < 0)
        return NULL;
    if (lane != NULL && PyUnicode_CompareWithASCIIString(lane, "auto") != 0
        && PyUnicode_CompareWithASCIIString(lane, "pool") != 0)
        return PyErr_Format(PyExc_ValueError, "lane must be \"auto\" or \"pool\", not %R", lane);
    submitter = (struct submitter *)self->anchor->state->submitter_type->tp_alloc(self->anchor->state->submitter_type, 0);
    if (submitter == NULL)
        return NULL;
    submitter->vectorcall = (vectorcallfunc)submitter_call;
    submitter->engine = (struct engine *)Py_NewRef(self);
    submitter->options = (struct options){
        .patience = patience,
        .priority = (int8_t)priority,
        .pool_only = lane != NULL && PyUnicode_CompareWithASCIIString(lane, "pool") == 0,
    };
    submitter->hold = hold == Py_None ? NULL : Py_NewRef(hold);
    submitter->lane = lane == NULL ? PyUnicode_FromString("auto") : Py_NewRef(lane);
    return (PyObject *)submitter;
}
