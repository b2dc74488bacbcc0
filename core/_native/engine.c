/* Engine: one thread's requests. Submitting is submit.c's, polling poll.c's, attributes engine_settings.c's. */
#include "native.h"

#include <structmember.h>

/* ---- its life ---- */

static void
discard_all(struct queue *queue)
{
    for (struct request *request; (request = queue_pop(queue)) != NULL;) {
        notifier_drop(request->notifier);
        request->notifier = NULL;
        request_discard(request);
    }
}

/* Off the list, with the list's reference. The pool keeps what runs, and what must; what has finished keeps its result. */
static struct request_object *
let_go(struct engine *engine)
{
    struct request_object *object = engine->flying;
    struct request *request = object->request, *freed = NULL;
    enum status status = request->request_class >= CLASS_CHANGE ? STATUS_UNKNOWN : STATUS_ABANDONED;

    switch (object->parked && lane_leave(object) ? CANCEL_TAKEN_BACK : pool_release(engine->anchor->pool, request)) {
    case CANCEL_TAKEN_BACK:
        freed = request;
        status = STATUS_NEVER_RAN;
        break;
    case CANCEL_FINISHED:
        engine_unlist(engine, request);
        request_detach(object, request->interrupted ? STATUS_NEVER_RAN : STATUS_COMPLETED);
        convert_unpin(request);
        return object;
    case CANCEL_INTERRUPTED:
        status = STATUS_NEVER_RAN;
        break;
    case CANCEL_ABANDONED:
    case CANCEL_REFUSED:
        break;
    }
    object->request = NULL;
    request_detach(object, status);
    if (freed != NULL)
        request_discard(freed);
    return object;
}

/* Tell of one that was let go; the first exception that is none of a callback's is kept for the caller. */
static void
tell_let_go(struct request_object *object, PyObject *kept[3])
{
    if (object->waiter == NULL && object->group == NULL)
        return;
    request_tell(object);
    if (!PyErr_Occurred())
        return;
    if (kept[0] == NULL)
        PyErr_Fetch(&kept[0], &kept[1], &kept[2]);
    else
        PyErr_WriteUnraisable((PyObject *)object);
}

/* Close it; `told`: the waiters are woken, and an exception may be set afterwards. */
static void
shut(struct engine *engine, bool told)
{
    struct request_object *woken = NULL, *object;
    PyObject *kept[3] = { NULL, NULL, NULL };

    if (engine->closed)
        return;
    engine->closed = true;
    Py_CLEAR(engine->spare);
    if (anchor_inherited(engine->anchor)) {
        notifier_close_copy(engine->notifier);
        return; /* all else is the parent's, and its locks may be held */
    }
    while (engine->flying != NULL) {
        PyObject *callback, *context;
        object = let_go(engine);
        callback = object->callback;
        context = object->context;
        object->callback = object->context = NULL;
        object->next = woken;
        woken = object;
        Py_XDECREF(callback);
        Py_XDECREF(context);
    }
    notifier_close(engine->notifier, &engine->ready);
    discard_all(&engine->ready);
    while ((object = woken) != NULL) {
        woken = object->next;
        object->next = NULL;
        if (told)
            tell_let_go(object, kept);
        Py_DECREF(object);
    }
    engine_free_orphans();
    if (!anchor_inherited(engine->anchor)) { /* a waiter may have forked */
        pool_leave(engine->anchor->pool);
        if (told)
            engine_tell_busy(engine);
    }
    if (kept[0] != NULL)
        PyErr_Restore(kept[0], kept[1], kept[2]);
}

static PyObject *
engine_shutdown(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    if (!anchor_inherited(self->anchor) && anchor_check(self->anchor) < 0)
        return NULL;
    shut(self, true);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *
engine_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "pool", NULL };
    struct state *state = state_of(type);
    PyObject *pool = Py_None;
    struct engine *engine;

    if (state == NULL || !PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:Engine", names, &pool))
        return NULL;
    if (pool == Py_None && (pool = pool_default(state)) == NULL)
        return NULL;
    if (!PyObject_TypeCheck(pool, state->pool_type))
        return PyErr_Format(PyExc_TypeError, "pool must be a Pool or None, not %.200s", Py_TYPE(pool)->tp_name);
    if (((struct pool_object *)pool)->generation != pool_generation()) {
        PyErr_SetString(PyExc_RuntimeError, "this pool was made before fork; make a new one in the child");
        return NULL;
    }
    if ((engine = (struct engine *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    engine->closed = true; /* until it has something to close */
    engine->pool = (struct pool_object *)Py_NewRef(pool);
    engine->max_poll_time = 0.005;
    engine->budget = (struct budget){ .reqs = 512, .bytes = 4 * 1024 * 1024, .time = 0.0005 };
    if ((engine->anchor = anchor_new(engine, state, engine->pool->pool)) == NULL) {
        Py_DECREF(engine);
        return PyErr_NoMemory();
    }
    if ((engine->notifier = notifier_new()) == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(engine);
        return NULL;
    }
    pool_enter(engine->anchor->pool);
    engine->closed = false;
    engine_free_orphans();
    return (PyObject *)engine;
}

static int
engine_traverse(struct engine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->pool);
    Py_VISIT(self->wake);
    Py_VISIT(self->on_error);
    Py_VISIT(self->on_room);
    Py_VISIT(self->on_busy);
    if (!self->closed && !anchor_inherited(self->anchor))
        for (struct request_object *object = self->flying; object != NULL; object = object->next)
            Py_VISIT(object);
    return 0;
}

static int
engine_clear(struct engine *self)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback); /* it may be one that propagates just now */
    shut(self, false);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->on_error);
    Py_CLEAR(self->on_room);
    Py_CLEAR(self->on_busy);
    Py_CLEAR(self->spare);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void
engine_dealloc(struct engine *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (self->weak_references != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    engine_clear(self);
    if (self->notifier != NULL && !anchor_inherited(self->anchor))
        notifier_drop(self->notifier);
    if (self->anchor != NULL) {
        self->anchor->engine = NULL;
        anchor_drop(self->anchor);
    }
    Py_XDECREF(self->pool);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- the rest of its face ---- */

static PyObject *
engine_fileno(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->closed)
        return PyLong_FromLong(notifier_fileno(self->notifier));
    PyErr_SetString(PyExc_ValueError, "this engine was shut down");
    return NULL;
}

static PyObject *
engine_repr(struct engine *self)
{
    if (self->closed)
        return PyUnicode_FromString("<anyaio engine shut down>");
    return PyUnicode_FromFormat("<anyaio engine fd=%d nreqs=%zd>", notifier_fileno(self->notifier), self->nreqs);
}

static PyMethodDef engine_methods[] = {
    { "fileno", (PyCFunction)engine_fileno, METH_NOARGS,
      "fileno($self, /)\n--\n\nThe notifier: readable exactly while something waits to be polled." },
    { "poll", (PyCFunction)engine_poll, METH_NOARGS,
      "poll($self, /)\n--\n\nHand over what is finished, for at most max_poll_time; return how many." },
    { "wait", (PyCFunction)(void (*)(void))engine_wait, METH_VARARGS | METH_KEYWORDS,
      "wait($self, /, timeout=None)\n--\n\n"
      "Block until something waits to be polled (True), nothing is outstanding, or timeout seconds passed." },
    { "flush", (PyCFunction)engine_flush, METH_NOARGS,
      "flush($self, /)\n--\n\nWait and poll until nothing is outstanding." },
    { "shutdown", (PyCFunction)engine_shutdown, METH_NOARGS,
      "shutdown($self, /)\n--\n\nDrop what only looks, leave changes to the pool, close the descriptor." },
    { "queue", (PyCFunction)(void (*)(void))engine_queue, METH_FASTCALL,
      "queue($self, operation, callback, /, *arguments)\n--\n\nA submitter's queue, with the default options." },
    { "submitter", (PyCFunction)(void (*)(void))engine_submitter, METH_VARARGS | METH_KEYWORDS,
      "submitter($self, /, *, priority=0, patience=5.0, lane='auto', hold=None)\n--\n\nA way in with these options." },
    { "stats", (PyCFunction)engine_stats, METH_NOARGS, "stats($self, /)\n--\n\nCounters." },
    { 0 },
};

static PyMemberDef engine_members[] = {
    { "nreqs", T_PYSSIZET, offsetof(struct engine, nreqs), READONLY, "Requests that are not done." },
    { "closed", T_BOOL, offsetof(struct engine, closed), READONLY, "Was it shut down?" },
    { "__weaklistoffset__", T_PYSSIZET, offsetof(struct engine, weak_references), READONLY, NULL },
    { 0 },
};

static PyType_Slot engine_slots[] = {
    { Py_tp_new, engine_new },
    { Py_tp_dealloc, engine_dealloc },
    { Py_tp_traverse, engine_traverse },
    { Py_tp_clear, engine_clear },
    { Py_tp_repr, engine_repr },
    { Py_tp_methods, engine_methods },
    { Py_tp_members, engine_members },
    { Py_tp_getset, engine_settings },
    { Py_tp_doc, "Engine(pool=None)\n--\n\nA notifier descriptor and the requests of one thread." },
    { 0 },
};

PyType_Spec engine_spec = {
    .name = "anyaio._engine.Engine",
    .basicsize = sizeof(struct engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = engine_slots,
};
