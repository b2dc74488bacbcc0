/* Pool: the worker threads, as Python sees them. */
#include "native.h"

static PyObject *
new_pool(struct state *state, const struct pool_settings *settings, PyTypeObject *type)
{
    struct pool_object *self = (struct pool_object *)type->tp_alloc(type, 0);

    (void)state;
    if (self == NULL)
        return NULL;
    if ((self->pool = pool_new(settings)) == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->generation = pool_generation();
    self->held = settings->max_parallel == 0;
    return (PyObject *)self;
}

static const struct pool_settings defaults = {
    .max_parallel = 32,
    .max_stuck = STUCK_BY_PARALLEL,
    .max_idle = 4,
    .idle_timeout = 10ull * 1000000000u,
    .exit_timeout = 5ull * 1000000000u,
};

PyObject *
pool_default(struct state *state)
{
    struct pool_object *pool = (struct pool_object *)state->default_pool;

    /* A forked child leaves its parent's pool alone: not even the reference is dropped. */
    if (pool == NULL || pool->generation != pool_generation())
        state->default_pool = new_pool(state, &defaults, state->pool_type);
    return state->default_pool;
}

/* ---- settings ---- */

static int
read_count(PyObject *value, const char *name, unsigned *count)
{
    Py_ssize_t number;

    if (value == NULL || !PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int", name);
        return -1;
    }
    number = PyNumber_AsSsize_t(value, NULL);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number < 0) {
        PyErr_Format(PyExc_ValueError, "%s must be at least 0, not %R", name, value);
        return -1;
    }
    *count = number > 1 << 20 ? 1u << 20 : (unsigned)number;
    return 0;
}

static int
read_seconds(PyObject *value, const char *name, double *seconds)
{
    if (value == NULL) {
        PyErr_Format(PyExc_TypeError, "%s cannot be deleted", name);
        return -1;
    }
    *seconds = PyFloat_AsDouble(value);
    if (*seconds == -1.0 && PyErr_Occurred())
        return -1;
    if (!(*seconds >= 0)) {
        PyErr_Format(PyExc_ValueError, "%s must be at least 0 seconds, not %R", name, value);
        return -1;
    }
    *seconds = *seconds > 1e9 ? 1e9 : *seconds;
    return 0;
}

enum setting { MAX_PARALLEL, MAX_STUCK, MAX_IDLE, IDLE_TIMEOUT, EXIT_TIMEOUT };

static const char *const setting_names[] = { "max_parallel", "max_stuck", "max_idle", "idle_timeout", "exit_timeout" };

static int
read_setting(PyObject *value, enum setting which, struct pool_settings *settings)
{
    const char *name = setting_names[which];
    double seconds;

    switch (which) {
    case MAX_PARALLEL:
        return read_count(value, name, &settings->max_parallel);
    case MAX_STUCK:
        settings->max_stuck = STUCK_BY_PARALLEL;
        return value == Py_None ? 0 : read_count(value, name, &settings->max_stuck);
    case MAX_IDLE:
        return read_count(value, name, &settings->max_idle);
    case IDLE_TIMEOUT:
    case EXIT_TIMEOUT:
        break;
    }
    if (read_seconds(value, name, &seconds) < 0)
        return -1;
    *(which == IDLE_TIMEOUT ? &settings->idle_timeout : &settings->exit_timeout) = (uint64_t)(seconds * 1e9);
    return 0;
}

static int
check_pool(const struct pool_object *self)
{
    if (self->generation == pool_generation())
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this pool was made before fork; make a new one in the child");
    return -1;
}

static PyObject *
get_setting(struct pool_object *self, void *closure)
{
    struct pool_settings settings;

    if (check_pool(self) < 0)
        return NULL;
    pool_get(self->pool, &settings, NULL);
    switch ((enum setting)(intptr_t)closure) {
    case MAX_PARALLEL:
        return PyLong_FromUnsignedLong(settings.max_parallel);
    case MAX_STUCK:
        if (settings.max_stuck == STUCK_BY_PARALLEL)
            Py_RETURN_NONE;
        return PyLong_FromUnsignedLong(settings.max_stuck);
    case MAX_IDLE:
        return PyLong_FromUnsignedLong(settings.max_idle);
    case IDLE_TIMEOUT:
        return PyFloat_FromDouble((double)settings.idle_timeout * 1e-9);
    case EXIT_TIMEOUT:
        return PyFloat_FromDouble((double)settings.exit_timeout * 1e-9);
    }
    Py_UNREACHABLE();
}

static int
set_setting(struct pool_object *self, PyObject *value, void *closure)
{
    struct pool_settings settings, fresh = { 0 };
    enum setting which = (enum setting)(intptr_t)closure;

    if (check_pool(self) < 0 || read_setting(value, which, &fresh) < 0)
        return -1;
    pool_get(self->pool, &settings, NULL); /* behind the reading, which may run code that sets another one */
    switch (which) {
    case MAX_PARALLEL:
        settings.max_parallel = fresh.max_parallel;
        break;
    case MAX_STUCK:
        settings.max_stuck = fresh.max_stuck;
        break;
    case MAX_IDLE:
        settings.max_idle = fresh.max_idle;
        break;
    case IDLE_TIMEOUT:
        settings.idle_timeout = fresh.idle_timeout;
        break;
    case EXIT_TIMEOUT:
        settings.exit_timeout = fresh.exit_timeout;
        break;
    }
    pool_set(self->pool, &settings);
    self->held = settings.max_parallel == 0;
    return 0;
}

static PyObject *
pool_type_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "max_parallel", "max_stuck", "max_idle", "idle_timeout", NULL };
    PyObject *values[4] = { NULL };
    struct pool_settings settings = defaults;
    struct state *state = state_of(type);

    if (state == NULL
        || !PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOO:Pool", names, &values[0], &values[1], &values[2],
                                        &values[3]))
        return NULL;
    for (int i = 0; i < 4; i++)
        if (values[i] != NULL && read_setting(values[i], (enum setting)i, &settings) < 0)
            return NULL;
    return new_pool(state, &settings, type);
}

static void
pool_type_dealloc(struct pool_object *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (self->pool != NULL && self->generation == pool_generation())
        pool_drop(self->pool);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- counters ---- */

static PyObject *
get_nthreads(struct pool_object *self, void *Py_UNUSED(closure))
{
    struct pool_counts counts;

    if (check_pool(self) < 0)
        return NULL;
    pool_get(self->pool, NULL, &counts);
    return PyLong_FromUnsignedLong(counts.threads);
}

/* Calls that nobody waits for any more, or that last longer than a second. */
static PyObject *
stuck(struct pool *pool)
{
    static const uint64_t second = 1000000000u;
    size_t count = pool_running(pool, NULL, 0), room = count + 8;
    struct pool_running *rows = calloc(room, sizeof *rows);
    PyObject *list = rows == NULL ? PyErr_NoMemory() : PyList_New(0);
    uint64_t now = clock_now();

    if (list != NULL)
        count = pool_running(pool, rows, room);
    for (size_t i = 0; list != NULL && i < count && i < room; i++) {
        uint64_t age = now > rows[i].since ? now - rows[i].since : 0;
        PyObject *row;
        if (!rows[i].abandoned && age < second)
            continue;
        row = Py_BuildValue("{sssdsO}", "operation", request_name(rows[i].op), "seconds", (double)age * 1e-9,
                            "abandoned", rows[i].abandoned ? Py_True : Py_False);
        if (row == NULL || PyList_Append(list, row) < 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    free(rows);
    return list;
}

static PyObject *
pool_stats(struct pool_object *self, PyObject *Py_UNUSED(ignored))
{
    struct pool_settings settings;
    struct pool_counts counts;
    PyObject *rows;

    if (check_pool(self) < 0 || (rows = stuck(self->pool)) == NULL)
        return NULL;
    pool_get(self->pool, &settings, &counts);
    return Py_BuildValue("{sIsIsnsnsIsNsIsIsIsdsdsI}", "threads", counts.threads, "idle", counts.idle, "queued",
                         (Py_ssize_t)counts.queued, "waiting_locks", (Py_ssize_t)counts.waiting_locks, "running",
                         counts.running, "stuck", rows, "max_parallel", settings.max_parallel, "max_stuck",
                         pool_max_stuck(&settings), "max_idle", settings.max_idle, "idle_timeout",
                         (double)settings.idle_timeout * 1e-9, "longest_wait", (double)counts.longest_wait * 1e-9,
                         "start_failures", counts.start_failures);
}

static PyObject *
pool_repr(struct pool_object *self)
{
    struct pool_settings settings;
    struct pool_counts counts;

    if (self->generation != pool_generation())
        return PyUnicode_FromString("<anyaio pool made before fork>");
    pool_get(self->pool, &settings, &counts);
    return PyUnicode_FromFormat("<anyaio pool threads=%u/%u>", counts.threads, settings.max_parallel);
}

static PyGetSetDef getset[] = {
    { "max_parallel", (getter)get_setting, (setter)set_setting, "Requests that run at once at most.",
      (void *)(intptr_t)MAX_PARALLEL },
    { "max_stuck", (getter)get_setting, (setter)set_setting,
      "Calls of over 0.1 s at most that do not count against it; None: twice as many as it.",
      (void *)(intptr_t)MAX_STUCK },
    { "max_idle", (getter)get_setting, (setter)set_setting, "Idle threads that are kept.",
      (void *)(intptr_t)MAX_IDLE },
    { "idle_timeout", (getter)get_setting, (setter)set_setting, "Seconds after which a further idle one ends.",
      (void *)(intptr_t)IDLE_TIMEOUT },
    { "exit_timeout", (getter)get_setting, (setter)set_setting,
      "Seconds without a completion after which the exit waits no longer.", (void *)(intptr_t)EXIT_TIMEOUT },
    { "nthreads", (getter)get_nthreads, NULL, "Worker threads just now.", NULL },
    { 0 },
};

static PyMethodDef methods[] = {
    { "stats", (PyCFunction)pool_stats, METH_NOARGS, "stats($self, /)\n--\n\nCounters, and what is stuck." },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_new, pool_type_new },
    { Py_tp_dealloc, pool_type_dealloc },
    { Py_tp_repr, pool_repr },
    { Py_tp_getset, getset },
    { Py_tp_methods, methods },
    { Py_tp_doc, "Pool(*, max_parallel=32, max_stuck=None, max_idle=4, idle_timeout=10.0)\n--\n\nThe worker threads." },
    { 0 },
};

PyType_Spec pool_spec = {
    .name = "anyaio._engine.Pool",
    .basicsize = sizeof(struct pool_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
