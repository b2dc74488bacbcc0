/* Engine and Submitter: one thread's requests, from the call that makes them to the poll that hands them over. */
#include "native.h"

#include <errno.h>
#include <poll.h>
#include <structmember.h>

/* ---- who may use it ---- */

static struct anchor *
anchor_new(struct engine *engine, struct state *state, struct pool *pool)
{
    struct anchor *anchor = malloc(sizeof *anchor);

    if (anchor == NULL)
        return NULL;
    *anchor = (struct anchor){
        .references = 1,
        .engine = engine,
        .state = state,
        .pool = pool,
        .thread = PyThread_get_thread_ident(),
        .generation = pool_generation(),
    };
    pool_hold(pool);
    return anchor;
}

void
anchor_drop(struct anchor *anchor)
{
    if (--anchor->references > 0)
        return;
    if (!anchor_inherited(anchor))
        pool_drop(anchor->pool);
    free(anchor);
}

bool
anchor_inherited(const struct anchor *anchor)
{
    return anchor->generation != pool_generation();
}

int
anchor_check(const struct anchor *anchor)
{
    if (anchor_inherited(anchor)) {
        PyErr_SetString(PyExc_RuntimeError, "this engine was made before fork; make a new one in the child");
        return -1;
    }
    if (anchor->thread != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "this engine belongs to another thread; make one for each");
        return -1;
    }
    return 0;
}

static int
check_open(const struct engine *engine)
{
    if (anchor_check(engine->anchor) < 0)
        return -1;
    if (!engine->closed)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this engine was shut down");
    return -1;
}

/* ---- submitting ---- */

static const struct options default_options = { .patience = 5.0, .priority = 0 };

/* Through the pool, since a close can block. Without a worker it is closed here. */
void
anchor_dispose(struct anchor *anchor, int fd)
{
    bool usable = anchor->engine != NULL && !anchor_inherited(anchor);
    struct request *request = usable ? request_new(OP_CLOSE) : NULL;

    if (request != NULL) {
        request->fd[0] = fd;
        request->notifier = anchor->engine->notifier;
        atomic_store(&request->abandoned, true);
        if (pool_submit(anchor->pool, request) == 0)
            return;
        request_free(request);
    }
    close(fd);
}

void
engine_drop(struct engine *engine, struct request *request)
{
    notifier_collect(engine->notifier, &engine->ready);
    queue_remove(&engine->ready, request);
    if (engine->ready.count == 0)
        notifier_clear(engine->notifier);
    if (request->error == 0 && request_result_of((enum op)request->op) == RESULT_FD) {
        anchor_dispose(engine->anchor, (int)request->value);
        request->value = -1;
    }
    notifier_drop(request->notifier);
    request_discard(request);
}

static struct request_object *
new_object(struct engine *engine, struct options options, enum op op)
{
    PyTypeObject *type = engine->anchor->state->request_type;
    struct request_object *object = (struct request_object *)type->tp_alloc(type, 0);

    if (object == NULL)
        return NULL;
    object->anchor = engine->anchor;
    object->anchor->references++;
    object->op = (uint8_t)op;
    object->priority = options.priority;
    object->patience = (float)options.patience;
    return object;
}

/* New reference. */
static struct request_object *
submit(struct engine *engine, struct options options, PyObject *number, PyObject *callback,
       PyObject *const *arguments, Py_ssize_t count)
{
    struct request_object *object = NULL;
    struct request *request = NULL;
    int overflow, error;
    long op;

    if (check_open(engine) < 0)
        return NULL;
    op = PyLong_AsLongAndOverflow(number, &overflow);
    if (op == -1 && PyErr_Occurred())
        return NULL;
    if (op < 0 || op >= OP_COUNT)
        return (void *)PyErr_Format(PyExc_ValueError, "there is no operation %R", number);
    if (callback != Py_None && !PyCallable_Check(callback))
        return (void *)PyErr_Format(PyExc_TypeError, "%s: callback must be callable or None, not %.200s",
                                    request_name((enum op)op), Py_TYPE(callback)->tp_name);

    if ((object = new_object(engine, options, (enum op)op)) == NULL)
        goto fail;
    if ((request = request_new((enum op)op)) == NULL) {
        PyErr_NoMemory();
        goto fail;
    }
    if (convert_arguments(object, request, arguments, count) < 0)
        goto fail;
    if (callback != Py_None) {
        object->callback = Py_NewRef(callback);
        if ((object->context = PyContext_CopyCurrent()) == NULL)
            goto fail;
    }
    /* Converting may have run code of the caller's: __fspath__, __index__, __buffer__. */
    if (check_open(engine) < 0)
        goto fail;
    request->priority = options.priority;
    request->notifier = engine->notifier;
    request->owner = object;
    object->request = request;
    if ((error = pool_submit(engine->anchor->pool, request)) != 0) {
        object->request = NULL;
        PyErr_Format(PyExc_RuntimeError, "no worker thread can be started: %s", strerror(error));
        goto fail;
    }
    object->next = engine->flying;
    if (object->next != NULL)
        object->next->prev = object;
    engine->flying = (struct request_object *)Py_NewRef(object);
    engine->nreqs++;
    engine->submitted[op]++;
    return object;
fail:
    if (request != NULL)
        request_discard(request);
    Py_XDECREF(object);
    return NULL;
}

static PyObject *
submitter_call(struct submitter *self, PyObject *const *arguments, size_t count_and_flag, PyObject *keywords)
{
    Py_ssize_t count = PyVectorcall_NARGS(count_and_flag);

    if (count < 1 || (keywords != NULL && PyTuple_GET_SIZE(keywords) > 0)) {
        PyErr_SetString(PyExc_TypeError, "submit takes an operation and its arguments by position");
        return NULL;
    }
    return (PyObject *)submit(self->engine, self->options, arguments[0], Py_None, arguments + 1, count - 1);
}

static PyObject *
queue(struct engine *engine, struct options options, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "queue takes an operation, a callback and the operation's arguments");
        return NULL;
    }
    return (PyObject *)submit(engine, options, arguments[0], arguments[1], arguments + 2, count - 2);
}

static PyObject *
submitter_queue(struct submitter *self, PyObject *const *arguments, Py_ssize_t count)
{
    return queue(self->engine, self->options, arguments, count);
}

/* With the default options, and without a submitter: the engine must not refer to one that refers to it. */
static PyObject *
engine_queue(struct engine *self, PyObject *const *arguments, Py_ssize_t count)
{
    return queue(self, default_options, arguments, count);
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
    return 0;
}

static int
submitter_clear(struct submitter *self)
{
    (void)self; /* the engine breaks the cycle */
    return 0;
}

static void
submitter_dealloc(struct submitter *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->engine);
    Py_XDECREF(self->lane);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef submitter_methods[] = {
    { "queue", (PyCFunction)(void (*)(void))submitter_queue, METH_FASTCALL,
      "queue($self, operation, callback, /, *arguments)\n--\n\nAlways return a Request; the callback gets it later." },
    { 0 },
};

static PyMemberDef submitter_members[] = {
    { "__vectorcalloffset__", T_PYSSIZET, offsetof(struct submitter, vectorcall), READONLY, NULL },
    { "priority", T_BYTE, offsetof(struct submitter, options.priority), READONLY, "Of its requests, from -4 to 4." },
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

static PyObject *
engine_submitter(struct engine *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "priority", "patience", "lane", NULL };
    PyObject *patience_object = NULL, *lane = NULL;
    int priority = default_options.priority;
    double patience = default_options.patience;
    struct submitter *submitter;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$iOU:submitter", names, &priority, &patience_object,
                                     &lane))
        return NULL;
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
    submitter->options = (struct options){ .patience = patience, .priority = (int8_t)priority };
    submitter->lane = lane == NULL ? PyUnicode_FromString("auto") : Py_NewRef(lane);
    return (PyObject *)submitter;
}

/* ---- polling ---- */

/* Exceptions go to on_error; what is none (KeyboardInterrupt, SystemExit, …) stays set and leaves poll. */
void
anchor_error(struct anchor *anchor, PyObject *where)
{
    PyObject *type, *value, *traceback, *result, *on_error;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return;
    on_error = anchor->engine == NULL ? NULL : Py_XNewRef(anchor->engine->on_error);
    if (on_error == NULL) {
        PyErr_WriteUnraisable(where);
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    result = PyObject_CallFunctionObjArgs(on_error, value, where, NULL);
    Py_XDECREF(result);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_WriteUnraisable(on_error);
    Py_DECREF(on_error);
}

/* Buffers whose engine was gone when their request ended. */
static void
free_orphans(void)
{
    struct request *request = notifier_take_orphans();

    while (request != NULL) {
        struct request *next = request->next;
        request_discard(request);
        request = next;
    }
}

/* Hand over one that was finished; was there anybody to have it? */
static bool
deliver(struct request *request)
{
    struct request_object *object = request->owner;

    notifier_drop(request->notifier);
    request->notifier = NULL;
    if (object == NULL) {
        request_discard(request);
        return false;
    }
    convert_unpin(request);
    request_detach(object, request->interrupted ? STATUS_NEVER_RAN : STATUS_COMPLETED);
    request_tell(object);
    Py_DECREF(object);
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

    while ((object = find_expired(engine, monotonic_ns(), &next)) != NULL) {
        Py_INCREF(object);
        object->deadline = 0;
        request_abandon(object);
        Py_DECREF(object);
        count++;
        if (PyErr_Occurred())
            return -1;
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

static PyObject *
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
        until = monotonic_ns() + (uint64_t)(self->max_poll_time * 1e9);
    free_orphans();
    tell_start_failure(self);
    if (notifier_rung(self->notifier) && (count = expire(self)) < 0)
        goto fail;
    while (!self->closed) {
        struct request *request;
        if (self->ready.count == 0)
            notifier_collect(self->notifier, &self->ready);
        request = queue_pop(&self->ready);
        /* Before the last one's callback, so that the descriptor tells the truth inside it. */
        if (self->ready.count == 0) {
            notifier_collect(self->notifier, &self->ready);
            if (self->ready.count == 0)
                notifier_clear(self->notifier);
        }
        if (request == NULL)
            break;
        count += deliver(request);
        if (PyErr_Occurred())
            goto fail;
        if (self->max_poll_reqs > 0 && count >= self->max_poll_reqs)
            break;
        if (until != 0 && monotonic_ns() >= until)
            break;
    }
    Py_DECREF(self);
    return PyLong_FromSsize_t(count);
fail:
    Py_DECREF(self);
    return NULL;
}

/* 1: something waits to be polled; 0: not in this time; -1: an exception. */
static int
wait_readable(struct engine *engine, uint64_t until)
{
    struct pollfd fd = { .fd = notifier_fileno(engine->notifier), .events = POLLIN };

    for (;;) {
        uint64_t now = monotonic_ns();
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
        if (PyErr_CheckSignals() < 0)
            return -1;
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

static PyObject *
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
            until = monotonic_ns() + (uint64_t)(seconds * 1e9);
    }
    result = engine_wait_until(self, until);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

static PyObject *
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

/* ---- ending ---- */

static void
discard_all(struct queue *queue)
{
    for (struct request *request; (request = queue_pop(queue)) != NULL;) {
        notifier_drop(request->notifier);
        request->notifier = NULL;
        request_discard(request);
    }
}

/* Off the list, with the list's reference. The pool keeps what runs, and what must. */
static struct request_object *
let_go(struct engine *engine)
{
    struct request_object *object = engine->flying;
    struct request *request = object->request;
    bool changes = request->request_class >= CLASS_CHANGE;
    enum status status = changes ? STATUS_UNKNOWN : STATUS_ABANDONED;

    if (pool_release(engine->anchor->pool, request) == CANCEL_TAKEN_BACK) {
        request_discard(request);
        status = STATUS_NEVER_RAN;
    }
    object->request = NULL;
    request_detach(object, status);
    return object;
}

/* Close it; `told`: the waiters are woken. */
static void
shut(struct engine *engine, bool told)
{
    struct request_object *woken = NULL, *object;

    if (engine->closed)
        return;
    engine->closed = true;
    if (anchor_inherited(engine->anchor)) {
        notifier_close_copy(engine->notifier);
        return; /* all else is the parent's, and its locks may be held */
    }
    while (engine->flying != NULL) {
        object = let_go(engine);
        Py_CLEAR(object->callback);
        Py_CLEAR(object->context);
        object->next = woken;
        woken = object;
    }
    notifier_close(engine->notifier, &engine->ready);
    discard_all(&engine->ready);
    while ((object = woken) != NULL) {
        woken = object->next;
        object->next = NULL;
        if (told && object->waiter != NULL)
            request_tell(object);
        if (PyErr_Occurred())
            PyErr_WriteUnraisable((PyObject *)object);
        Py_DECREF(object);
    }
    pool_leave(engine->anchor->pool);
}

static PyObject *
engine_shutdown(struct engine *self, PyObject *Py_UNUSED(ignored))
{
    if (!anchor_inherited(self->anchor) && anchor_check(self->anchor) < 0)
        return NULL;
    shut(self, true);
    Py_RETURN_NONE;
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
    return (PyObject *)engine;
}

static int
engine_traverse(struct engine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->pool);
    Py_VISIT(self->wake);
    Py_VISIT(self->on_error);
    if (!self->closed && !anchor_inherited(self->anchor))
        for (struct request_object *object = self->flying; object != NULL; object = object->next)
            Py_VISIT(object);
    return 0;
}

static int
engine_clear(struct engine *self)
{
    shut(self, false);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->on_error);
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

static PyObject *
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
    return Py_BuildValue("{sNsnsnsns{sKsi}sd}", "requests", requests, "queued", (Py_ssize_t)states[REQUEST_QUEUED],
                         "running", (Py_ssize_t)states[REQUEST_RUNNING], "finished",
                         (Py_ssize_t)states[REQUEST_FINISHED], "lanes", "pool", (unsigned long long)total, "inline", 0,
                         "longest_wait", (double)counts.longest_wait * 1e-9);
}

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

static PyObject *
get_max_poll_reqs(struct engine *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->max_poll_reqs);
}

static int
set_max_poll_reqs(struct engine *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_ssize_t number = value == NULL ? 0 : PyNumber_AsSsize_t(value, PyExc_OverflowError);

    if (value == NULL || (number == -1 && PyErr_Occurred()))
        return value == NULL ? (PyErr_SetString(PyExc_TypeError, "cannot be deleted"), -1) : -1;
    if (number < 0) {
        PyErr_Format(PyExc_ValueError, "max_poll_reqs must be at least 0, not %zd", number);
        return -1;
    }
    self->max_poll_reqs = number;
    return 0;
}

static PyObject *
get_max_poll_time(struct engine *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(self->max_poll_time);
}

static int
set_max_poll_time(struct engine *self, PyObject *value, void *Py_UNUSED(closure))
{
    double seconds = value == NULL ? 0 : PyFloat_AsDouble(value);

    if (value == NULL || (seconds == -1.0 && PyErr_Occurred()))
        return value == NULL ? (PyErr_SetString(PyExc_TypeError, "cannot be deleted"), -1) : -1;
    if (!(seconds >= 0)) {
        PyErr_Format(PyExc_ValueError, "max_poll_time must be at least 0 seconds, not %R", value);
        return -1;
    }
    self->max_poll_time = seconds > 1e9 ? 1e9 : seconds;
    return 0;
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
      "submitter($self, /, *, priority=0, patience=5.0, lane='auto')\n--\n\nA way in with these options." },
    { "stats", (PyCFunction)engine_stats, METH_NOARGS, "stats($self, /)\n--\n\nCounters." },
    { 0 },
};

static PyGetSetDef engine_getset[] = {
    { "pool", (getter)get_pool, NULL, "The pool it uses.", NULL },
    { "nready", (getter)get_nready, NULL, "Requests in the queue.", NULL },
    { "npending", (getter)get_npending, NULL, "Requests that wait to be polled.", NULL },
    { "wake", (getter)get_callable, (setter)set_callable, "Called with a request's waiter when it is done.",
      (void *)offsetof(struct engine, wake) },
    { "on_error", (getter)get_callable, (setter)set_callable, "Called with a callback's exception and its request.",
      (void *)offsetof(struct engine, on_error) },
    { "max_poll_reqs", (getter)get_max_poll_reqs, (setter)set_max_poll_reqs, "Results a poll hands over at most.",
      NULL },
    { "max_poll_time", (getter)get_max_poll_time, (setter)set_max_poll_time, "Seconds a poll works for at most.",
      NULL },
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
    { Py_tp_getset, engine_getset },
    { Py_tp_doc, "Engine(pool=None)\n--\n\nA notifier descriptor and the requests of one thread." },
    { 0 },
};

PyType_Spec engine_spec = {
    .name = "anyaio._engine.Engine",
    .basicsize = sizeof(struct engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = engine_slots,
};
