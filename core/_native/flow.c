/* The part of an `each` that runs for every item: core/_flow.py has the rest, and the same in Python.
 *
 * The fields are those of `Flow`, under the same names. Whatever is out of the ordinary is left to its methods: here are
 * the items that come from an iterator and the results that are there.
 */
#include "flow.h"

#include <structmember.h>

enum name { FULL, GROUP, RESULT, APPEND, APPENDLEFT, POPLEFT, NAMES };

static const char *const spelled[NAMES] = { "full", "group", "result", "append", "appendleft", "popleft" };

struct flow {
    PyObject_HEAD
    PyObject *names[NAMES]; /* of what is used for every item */
    PyObject *engine;
    PyObject *start;     /* makes the request of an item */
    PyObject *source;    /* an iterator; None when nothing is left in it */
    PyObject *under_way; /* a dict of requests and their items */
    PyObject *done;      /* a deque of pairs of an item and its request */
    PyObject *waiter, *bell;
    Py_ssize_t limit, held;
    char ordered, waited, closed;
};

/* Was everything set by `__init__`, and left there? */
static int
check(const struct flow *self)
{
    if (self->engine != NULL && self->start != NULL && self->source != NULL && self->under_way != NULL
        && PyDict_CheckExact(self->under_way) && self->done != NULL && self->waiter != NULL && self->bell != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this each was not made");
    return -1;
}

/* ---- small things ---- */

/* Call a method whose result does not matter: 0, or -1 with an exception. */
static int
tell(struct flow *self, const char *method)
{
    PyObject *result = PyObject_CallMethod((PyObject *)self, method, NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* The exception that is set, with its traceback, if it is an Exception: the caller owns it, and none is set. Else NULL,
 * and it stays. */
static PyObject *
take_exception(void)
{
    PyObject *type, *value, *traceback;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* 1, 0, or -1 with an exception. */
static int
engine_is_full(struct flow *self)
{
    PyObject *full;
    int result;

    if (PyDict_GET_SIZE(self->under_way) == 0)
        return 0; /* for one there is always room */
    if ((full = PyObject_GetAttr(self->engine, self->names[FULL])) == NULL)
        return -1;
    result = PyObject_IsTrue(full);
    Py_DECREF(full);
    return result;
}

static int
add_done(struct flow *self, enum name method, PyObject *item, PyObject *request)
{
    PyObject *pair = PyTuple_Pack(2, item, request), *result = NULL;

    if (pair != NULL)
        result = PyObject_CallMethodOneArg(self->done, self->names[method], pair);
    Py_XDECREF(pair);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* ---- items ---- */

/* The request of an item could not be made. */
static int
refuse(struct flow *self, PyObject *item)
{
    PyObject *error = take_exception(), *result;

    if (error == NULL)
        return -1;
    result = PyObject_CallMethod((PyObject *)self, "_refuse", "OO", item, error);
    Py_DECREF(error);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
submit(struct flow *self, PyObject *item)
{
    PyObject *start, *request, *result;
    int failed;

    if (self->closed) /* by the source, while it made the item */
        return 0;
    start = Py_NewRef(self->start);
    request = PyObject_CallOneArg(start, item);
    Py_DECREF(start);
    if (request == NULL)
        return refuse(self, item);
    if (self->closed) { /* by the item, while it was looked at */
        result = PyObject_CallMethod(request, "cancel", NULL);
        failed = result == NULL;
        Py_XDECREF(result);
    } else {
        self->held++;
        failed = PyObject_SetAttr(request, self->names[GROUP], (PyObject *)self) < 0
                 || PyDict_SetItem(self->under_way, request, item) < 0
                 || (self->ordered && add_done(self, APPEND, item, request) < 0);
    }
    Py_DECREF(request);
    return failed ? -1 : 0;
}

/* Take an item from the source, which is not None. */
static int
take(struct flow *self)
{
    PyObject *source = Py_NewRef(self->source), *item = NULL, *error, *result;
    int failed = -1;

    if (PyIter_Check(source))
        item = Py_TYPE(source)->tp_iternext(source);
    else
        PyErr_Format(PyExc_TypeError, "%R is no iterator", source);
    Py_DECREF(source);
    if (item != NULL) {
        failed = submit(self, item);
        Py_DECREF(item);
        return failed;
    }
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
        Py_SETREF(self->source, Py_NewRef(Py_None));
        return 0;
    }
    if ((error = take_exception()) == NULL)
        return -1;
    result = PyObject_CallMethod((PyObject *)self, "fail", "O", error);
    Py_DECREF(error);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
take_what_there_is_room_for(struct flow *self)
{
    while (self->source != Py_None && self->held < self->limit) {
        int full = engine_is_full(self);
        if (full != 0)
            return full < 0 ? -1 : 0;
        if (take(self) < 0)
            return -1;
    }
    return 0;
}

/* ---- results ---- */

/* There was an error instead of a result: have it raised, or returned, by the rules of `_deliver`. */
static PyObject *
deliver_error(struct flow *self, PyObject *item, PyObject *request)
{
    PyObject *type, *value, *traceback, *error = take_exception();

    if (error == NULL) {
        PyErr_Fetch(&type, &value, &traceback);
        if (tell(self, "close") < 0)
            PyErr_WriteUnraisable((PyObject *)self);
        PyErr_Restore(type, value, traceback);
        return NULL;
    }
    PyException_SetTraceback(error, Py_None);
    Py_DECREF(error);
    if (add_done(self, APPENDLEFT, item, request) < 0)
        return NULL;
    self->held++;
    return PyObject_CallMethod((PyObject *)self, "_deliver", NULL); /* it asks for the result again */
}

/* There is room now, at once: the loop of the consumer may take its time. */
static int
refill(struct flow *self)
{
    int full;

    if (self->source == Py_None)
        return self->bell == Py_None ? 0 : tell(self, "_ring");
    full = engine_is_full(self);
    return full != 0 ? (full < 0 ? -1 : 0) : take(self);
}

/* The pair of an item and its request, which has a result; takes `pair` over. */
static PyObject *
deliver(struct flow *self, PyObject *pair)
{
    PyObject *item, *request, *value, *result = NULL;

    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
        Py_DECREF(pair);
        PyErr_SetString(PyExc_RuntimeError, "this each was not made");
        return NULL;
    }
    item = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
    request = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    Py_DECREF(pair);
    self->held--;
    value = PyObject_CallMethodNoArgs(request, self->names[RESULT]);
    if (value == NULL) {
        result = deliver_error(self, item, request);
        goto done;
    }
    if (refill(self) == 0)
        result = PyTuple_Pack(2, item, value);
    else { /* an interruption: the pair is delivered next time */
        PyObject *type, *error, *traceback, *kept;
        PyErr_Fetch(&type, &error, &traceback);
        kept = PyObject_CallMethod((PyObject *)self, "_keep", "OO", item, value);
        if (kept == NULL)
            PyErr_WriteUnraisable((PyObject *)self);
        Py_XDECREF(kept);
        PyErr_Restore(type, error, traceback);
    }
done:
    Py_XDECREF(value);
    Py_DECREF(request);
    Py_DECREF(item);
    return result;
}

/* Is the first of those that ended, or ordered of all, ready? 1, 0, or -1 with an exception. */
static int
first_is_ready(struct flow *self)
{
    Py_ssize_t count = PyObject_Size(self->done);
    PyObject *pair;
    int result = -1;

    if (count <= 0 || !self->ordered)
        return count < 0 ? -1 : count > 0;
    if ((pair = PySequence_GetItem(self->done, 0)) == NULL)
        return -1;
    if (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2) {
        result = PyDict_Contains(self->under_way, PyTuple_GET_ITEM(pair, 1));
        result = result < 0 ? -1 : !result;
    } else
        PyErr_SetString(PyExc_RuntimeError, "this each was not made");
    Py_DECREF(pair);
    return result;
}

static PyObject *
flow_advance(struct flow *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *pair;
    int ready;

    if (check(self) < 0)
        return NULL;
    if (self->closed || self->waited)
        return PyObject_CallMethod((PyObject *)self, "_refuse_to_advance", NULL);
    if (take_what_there_is_room_for(self) < 0)
        return NULL;
    if ((ready = first_is_ready(self)) < 0)
        return NULL;
    if (!ready)
        return PyObject_CallMethod((PyObject *)self, "_end_or_wait", NULL);
    pair = PyObject_CallMethodNoArgs(self->done, self->names[POPLEFT]);
    return pair == NULL ? NULL : deliver(self, pair);
}

static PyObject *
flow_member_done(struct flow *self, PyObject *request)
{
    PyObject *item;

    if (check(self) < 0)
        return NULL;
    item = Py_XNewRef(PyDict_GetItemWithError(self->under_way, request));
    if (item == NULL && PyErr_Occurred())
        return NULL;
    if (item == NULL)
        item = Py_NewRef(Py_None);
    else if (PyDict_DelItem(self->under_way, request) < 0)
        goto fail;
    if (!self->ordered && !self->closed && add_done(self, APPEND, item, request) < 0)
        goto fail;
    if (self->waiter != Py_None && tell(self, "_tell") < 0)
        goto fail;
    if (self->bell != Py_None && tell(self, "_ring") < 0)
        goto fail;
    Py_DECREF(item);
    Py_RETURN_NONE;
fail:
    Py_DECREF(item);
    return NULL;
}

/* ---- the type ---- */

static PyObject *
flow_new(PyTypeObject *type, PyObject *Py_UNUSED(arguments), PyObject *Py_UNUSED(keywords))
{
    struct flow *self = (struct flow *)type->tp_alloc(type, 0);

    if (self == NULL)
        return NULL;
    for (int i = 0; i < NAMES; i++)
        if ((self->names[i] = PyUnicode_InternFromString(spelled[i])) == NULL) {
            Py_DECREF(self);
            return NULL;
        }
    return (PyObject *)self;
}

static int
flow_traverse(struct flow *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    Py_VISIT(self->start);
    Py_VISIT(self->source);
    Py_VISIT(self->under_way);
    Py_VISIT(self->done);
    Py_VISIT(self->waiter);
    Py_VISIT(self->bell);
    return 0;
}

static int
flow_clear(struct flow *self)
{
    Py_CLEAR(self->engine);
    Py_CLEAR(self->start);
    Py_CLEAR(self->source);
    Py_CLEAR(self->under_way);
    Py_CLEAR(self->done);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->bell);
    return 0;
}

static void
flow_dealloc(struct flow *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    flow_clear(self);
    for (int i = 0; i < NAMES; i++)
        Py_XDECREF(self->names[i]);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    { "_engine", T_OBJECT_EX, offsetof(struct flow, engine), 0, NULL },
    { "_start", T_OBJECT_EX, offsetof(struct flow, start), 0, NULL },
    { "_source", T_OBJECT_EX, offsetof(struct flow, source), 0, NULL },
    { "_under_way", T_OBJECT_EX, offsetof(struct flow, under_way), 0, NULL },
    { "_done", T_OBJECT_EX, offsetof(struct flow, done), 0, NULL },
    { "_waiter", T_OBJECT_EX, offsetof(struct flow, waiter), 0, NULL },
    { "_bell", T_OBJECT_EX, offsetof(struct flow, bell), 0, NULL },
    { "_limit", T_PYSSIZET, offsetof(struct flow, limit), 0, NULL },
    { "_held", T_PYSSIZET, offsetof(struct flow, held), 0, NULL },
    { "_ordered", T_BOOL, offsetof(struct flow, ordered), 0, NULL },
    { "_waited", T_BOOL, offsetof(struct flow, waited), 0, NULL },
    { "closed", T_BOOL, offsetof(struct flow, closed), 0, NULL },
    { 0 },
};

static PyMethodDef methods[] = {
    { "advance", (PyCFunction)flow_advance, METH_NOARGS,
      "advance($self, /)\n--\n\nTake what there is room for; return the next pair, None if it must be waited for." },
    { "_member_done", (PyCFunction)flow_member_done, METH_O,
      "_member_done($self, request, /)\n--\n\nA request has ended." },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_new, flow_new },
    { Py_tp_dealloc, flow_dealloc },
    { Py_tp_traverse, flow_traverse },
    { Py_tp_clear, flow_clear },
    { Py_tp_members, members },
    { Py_tp_methods, methods },
    { Py_tp_doc, "What of an each runs for every item." },
    { 0 },
};

PyType_Spec flow_spec = {
    .name = "anyaio._engine.FlowCore",
    .basicsize = sizeof(struct flow),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
