/* Submitter: an engine's way in with the options of one view. */
#include "native.h"

#include <structmember.h>
#include <sys/file.h>

#include "ops.h"

const struct options submit_defaults = { .patience = 5.0, .priority = 0 };

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
    return submit_request(self->engine, self->options, at_once, arguments[0], Py_None, arguments + 1, count - 1);
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
    return submit_request(engine, options, NOTHING, arguments[0], arguments[1], arguments + 2, count - 2);
}

static PyObject *
submitter_queue(struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    return queue(self->engine, self->options, arguments, count);
}

static PyObject *
submitter_post(struct submitter *self, PyObject *callback)
{
    return submit_finished(self->engine, self->options, callback);
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
