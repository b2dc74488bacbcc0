/* The module anyaio._engine: the native backend. */
#include "native.h"

#include "flow.h"

static struct PyModuleDef module_def;

struct state *
state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &module_def);

    return module == NULL ? NULL : PyModule_GetState(module);
}

static PyObject *
default_pool(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return Py_XNewRef(pool_default(PyModule_GetState(module)));
}

static PyObject *
drain(PyObject *Py_UNUSED(module), PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "timeout", NULL };
    static const uint64_t slice = 50 * 1000 * 1000; /* so that signals are looked at */
    PyObject *timeout = Py_None;
    double seconds = -1; /* each pool's own */
    uint64_t finished = UINT64_MAX, since = 0, limit;
    struct pool_leaving now;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:drain", names, &timeout))
        return NULL;
    if (timeout != Py_None) {
        seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
            return NULL;
        if (!(seconds >= 0))
            return PyErr_Format(PyExc_ValueError, "timeout must be None or at least 0 seconds, not %R", timeout);
        seconds = seconds > 1e9 ? 1e9 : seconds;
    }
    do {
        pool_drop_looks();
        Py_BEGIN_ALLOW_THREADS
        now = pool_wait_changes(finished == UINT64_MAX ? 0 : slice);
        Py_END_ALLOW_THREADS
        if (now.finished != finished) {
            finished = now.finished;
            since = clock_now();
        }
        if (PyErr_CheckSignals() < 0)
            return NULL;
        limit = seconds < 0 ? now.timeout : (uint64_t)(seconds * 1e9);
    } while (now.changes > 0 && clock_now() - since < limit);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    { "default_pool", default_pool, METH_NOARGS,
      "default_pool()\n--\n\nThe pool that engines share; a new one after fork." },
    { "drain", (PyCFunction)(void (*)(void))drain, METH_VARARGS | METH_KEYWORDS,
      "drain(timeout=None)\n--\n\nDrop queued looks, wait for changes while completions arrive." },
    { 0 },
};

static int
add_type(PyObject *module, PyType_Spec *spec, PyObject *base, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, base);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

static PyObject *
import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *object = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return object;
}

/* results.c fills in os.stat_result by position: refuse to guess if a Python has other fields. */
static int
check_stat_result(struct state *state)
{
    PyObject *count = PyObject_GetAttrString((PyObject *)state->stat_result, "n_fields");
    long fields = count == NULL ? -1 : PyLong_AsLong(count);

    Py_XDECREF(count);
    if (fields == 19)
        return 0;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ImportError, "os.stat_result has %ld fields here: anyaio knows the 19 of Linux", fields);
    return -1;
}

static int
module_exec(PyObject *module)
{
    struct state *state = PyModule_GetState(module);
    PyObject *request = NULL, *direntry = NULL, *flow = NULL;
    int result = -1;

    if ((state->stat_result = (PyTypeObject *)import_from("os", "stat_result")) == NULL)
        goto fail;
    if (check_stat_result(state) < 0)
        goto fail;
    if ((state->statvfs_result = (PyTypeObject *)import_from("os", "statvfs_result")) == NULL)
        goto fail;
    if ((state->member_done = PyUnicode_InternFromString("_member_done")) == NULL)
        goto fail;
    if ((state->statx = import_from("anyaio._results", "Statx")) == NULL)
        goto fail;
    if ((state->extent = import_from("anyaio._results", "Extent")) == NULL)
        goto fail;
    if ((request = import_from("anyaio._request", "Request")) == NULL)
        goto fail;
    if ((state->cancelled = import_from("anyaio._request", "Cancelled")) == NULL)
        goto fail;
    if ((state->outcome = import_from("anyaio._request", "Outcome")) == NULL)
        goto fail;
    if ((direntry = import_from("anyaio._direntry", "DirEntry")) == NULL)
        goto fail;
    if (add_type(module, &pool_spec, NULL, &state->pool_type) < 0
        || add_type(module, &engine_spec, NULL, &state->engine_type) < 0
        || add_type(module, &submitter_spec, NULL, &state->submitter_type) < 0
        || add_type(module, &request_spec, request, &state->request_type) < 0
        || add_type(module, &route_spec, NULL, &state->route_type) < 0
        || add_type(module, &direntry_spec, direntry, &state->direntry_type) < 0)
        goto fail;
    if ((flow = PyType_FromModuleAndSpec(module, &flow_spec, NULL)) == NULL
        || PyModule_AddType(module, (PyTypeObject *)flow) < 0)
        goto fail;
    if (PyModule_AddStringConstant(module, "FINGERPRINT", OPS_FINGERPRINT) < 0)
        goto fail;
    result = PyModule_AddStringConstant(module, "NAME", "native");
fail:
    Py_XDECREF(request);
    Py_XDECREF(direntry);
    Py_XDECREF(flow);
    return result;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct state *state = PyModule_GetState(module);

    Py_VISIT(state->pool_type);
    Py_VISIT(state->engine_type);
    Py_VISIT(state->submitter_type);
    Py_VISIT(state->request_type);
    Py_VISIT(state->route_type);
    Py_VISIT(state->direntry_type);
    Py_VISIT(state->stat_result);
    Py_VISIT(state->statvfs_result);
    Py_VISIT(state->member_done);
    Py_VISIT(state->statx);
    Py_VISIT(state->extent);
    Py_VISIT(state->cancelled);
    Py_VISIT(state->outcome);
    Py_VISIT(state->default_pool);
    return 0;
}

static int
module_clear(PyObject *module)
{
    struct state *state = PyModule_GetState(module);

    Py_CLEAR(state->pool_type);
    Py_CLEAR(state->engine_type);
    Py_CLEAR(state->submitter_type);
    Py_CLEAR(state->request_type);
    Py_CLEAR(state->route_type);
    Py_CLEAR(state->direntry_type);
    Py_CLEAR(state->stat_result);
    Py_CLEAR(state->statvfs_result);
    Py_CLEAR(state->member_done);
    Py_CLEAR(state->statx);
    Py_CLEAR(state->extent);
    Py_CLEAR(state->cancelled);
    Py_CLEAR(state->outcome);
    Py_CLEAR(state->default_pool);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot slots[] = {
    { Py_mod_exec, module_exec },
#ifdef Py_mod_multiple_interpreters
    { Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED },
#endif
#ifdef Py_mod_gil
    { Py_mod_gil, Py_MOD_GIL_USED },
#endif
    { 0 },
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "anyaio._engine",
    .m_doc = "The native backend: see _engine.pyi.",
    .m_size = sizeof(struct state),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    return PyModuleDef_Init(&module_def);
}
