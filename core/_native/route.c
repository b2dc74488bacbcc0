/* Route: from the running loop to its front end's submitter, without a step in Python. */
#include "native.h"

#include <structmember.h>

struct route {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *running; /* returns the running loop, or raises that none runs */
    PyObject *fronts;  /* a dict: by the loop's id its reference, its front end, that one's thread, its submitter */
    PyObject *start;   /* makes the front end of a loop */
    struct anchor *last; /* of the engine that was asked last; NULL without one */
    int checks;        /* `running` is called in any case: it may raise that nobody can wait here */
};

enum { ENTRY_THREAD = 2, ENTRY_SUBMIT, ENTRY_SIZE };

/* New reference. */
static PyObject *
find_submit(struct route *self)
{
    PyObject *loop = PyObject_CallNoArgs(self->running), *key, *entry = NULL, *front, *submit = NULL;

    if (loop == NULL)
        return NULL;
    if ((key = PyLong_FromVoidPtr(loop)) != NULL)
        entry = PyDict_GetItemWithError(self->fronts, key);
    Py_XDECREF(key);
    if (entry != NULL && PyTuple_Check(entry) && PyTuple_GET_SIZE(entry) == ENTRY_SIZE
        && PyLong_AsUnsignedLong(PyTuple_GET_ITEM(entry, ENTRY_THREAD)) == PyThread_get_thread_ident())
        submit = Py_NewRef(PyTuple_GET_ITEM(entry, ENTRY_SUBMIT));
    else if (!PyErr_Occurred() && (front = PyObject_CallOneArg(self->start, loop)) != NULL) {
        submit = PyObject_GetAttrString(front, "_submit");
        Py_DECREF(front);
    }
    Py_DECREF(loop);
    return submit;
}

/* What the inline lane answers is the same whichever loop asks: the engine that was asked last will do, if it is this
 * thread's, and nobody has to find out which loop it is that runs. Before Python 3.12 that takes a system call. */
static PyObject *
ask_last(struct route *self, PyObject *const *arguments, Py_ssize_t count)
{
    struct anchor *last = self->last;
    struct engine *engine = last == NULL ? NULL : last->engine;
    PyObject *result;

    if (engine == NULL || engine->closed || anchor_inherited(last) || last->thread != PyThread_get_thread_ident())
        return NULL;
    Py_INCREF(engine);
    result = submit_at_once(engine, submit_defaults, arguments, count);
    Py_DECREF(engine);
    return result;
}

static void
remember(struct route *self, PyObject *submit)
{
    struct anchor *anchor = submitter_anchor(submit), *before = self->last;

    if (anchor == before)
        return;
    if (anchor != NULL)
        anchor->references++;
    self->last = anchor;
    if (before != NULL)
        anchor_drop(before);
}

static PyObject *
route_call(struct route *self, PyObject *const *arguments, size_t count_and_flag, PyObject *keywords)
{
    PyObject *result, *submit;

    if (self->checks) {
        PyObject *loop = PyObject_CallNoArgs(self->running);
        if (loop == NULL)
            return NULL;
        Py_DECREF(loop);
    }
    result = ask_last(self, arguments, PyVectorcall_NARGS(count_and_flag));
    if (result != NULL || PyErr_Occurred() || (submit = find_submit(self)) == NULL)
        return result;
    remember(self, submit);
    result = PyObject_Vectorcall(submit, arguments, count_and_flag, keywords);
    Py_DECREF(submit);
    return result;
}

static PyObject *
route_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "running", "fronts", "start", "checks", NULL };
    PyObject *running, *fronts, *start;
    struct route *self;
    int checks = false;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!O|p:Route", names, &running, &PyDict_Type, &fronts, &start,
                                     &checks))
        return NULL;
    if ((self = (struct route *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    self->vectorcall = (vectorcallfunc)route_call;
    self->running = Py_NewRef(running);
    self->fronts = Py_NewRef(fronts);
    self->start = Py_NewRef(start);
    self->checks = checks;
    return (PyObject *)self;
}

static int
route_traverse(struct route *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->running);
    Py_VISIT(self->fronts);
    Py_VISIT(self->start);
    return 0;
}

static void
route_dealloc(struct route *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->running);
    Py_XDECREF(self->fronts);
    Py_XDECREF(self->start);
    if (self->last != NULL)
        anchor_drop(self->last);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef route_members[] = {
    { "__vectorcalloffset__", T_PYSSIZET, offsetof(struct route, vectorcall), READONLY, NULL },
    { 0 },
};

static PyType_Slot route_slots[] = {
    { Py_tp_new, route_new },
    { Py_tp_dealloc, route_dealloc },
    { Py_tp_traverse, route_traverse },
    { Py_tp_call, PyVectorcall_Call },
    { Py_tp_members, route_members },
    { Py_tp_doc, "Route(running, fronts, start, checks=False)\n--\n\nThe submitter of whichever loop is running." },
    { 0 },
};

PyType_Spec route_spec = {
    .name = "anyaio._engine.Route",
    .basicsize = sizeof(struct route),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = route_slots,
};
