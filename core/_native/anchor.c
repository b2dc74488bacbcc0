/* What a request keeps of its engine: who may use it, where its errors and its leftovers go. */
#include "native.h"

#include <unistd.h>

struct anchor *
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

int
engine_check_open(const struct engine *engine)
{
    if (anchor_check(engine->anchor) < 0)
        return -1;
    if (!engine->closed)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this engine was shut down");
    return -1;
}

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
