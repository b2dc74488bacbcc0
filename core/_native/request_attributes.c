/* Request's attributes. What ends it, and its results, are request_type.c's. */
#include "native.h"

static PyObject *
get_operation(struct request_object *object, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(request_name((enum op)object->op));
}

static PyObject *
get_priority(struct request_object *object, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(object->priority);
}

const char *
request_state_name(const struct request_object *object)
{
    static const char *const names[] = {
        [REQUEST_NEW] = "queued",
        [REQUEST_QUEUED] = "queued",
        [REQUEST_RUNNING] = "running",
        [REQUEST_FINISHED] = "finished",
    };

    if (object->done)
        return "done";
    if (object->parked)
        return "parked";
    if (anchor_inherited(object->anchor))
        return "queued"; /* for ever: it is the parent's */
    return names[pool_state(object->anchor->pool, object->request)];
}

static PyObject *
get_state(struct request_object *object, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(request_state_name(object));
}

static PyObject *
get_callback(struct request_object *object, void *Py_UNUSED(closure))
{
    return Py_NewRef(object->callback == NULL ? Py_None : object->callback);
}

static int
set_callback(struct request_object *object, PyObject *callback, void *Py_UNUSED(closure))
{
    if (callback == NULL || (callback != Py_None && !PyCallable_Check(callback))) {
        PyErr_Format(PyExc_TypeError, "callback must be callable or None, not %.200s",
                     callback == NULL ? "deleted" : Py_TYPE(callback)->tp_name);
        return -1;
    }
    if (object->done) {
        PyErr_Format(PyExc_RuntimeError, "%s is done: a callback would never run",
                     request_name((enum op)object->op));
        return -1;
    }
    if (object->context == NULL && callback != Py_None && (object->context = PyContext_CopyCurrent()) == NULL)
        return -1;
    Py_XSETREF(object->callback, callback == Py_None ? NULL : Py_NewRef(callback));
    return 0;
}

static PyObject *
get_engine(struct request_object *object, void *Py_UNUSED(closure))
{
    struct engine *engine = object->anchor->engine;

    if (engine == NULL || engine->closed) /* one that is just being freed is closed too */
        Py_RETURN_NONE;
    return Py_NewRef((PyObject *)engine);
}

static PyObject *
get_group(struct request_object *object, void *Py_UNUSED(closure))
{
    return Py_NewRef(object->group == NULL ? Py_None : object->group);
}

static int
set_group(struct request_object *object, PyObject *group, void *Py_UNUSED(closure))
{
    Py_XSETREF(object->group, group == NULL || group == Py_None ? NULL : Py_NewRef(group));
    return 0;
}

PyGetSetDef request_attributes[] = {
    { "operation", (getter)get_operation, NULL, "The operation's name.", NULL },
    { "priority", (getter)get_priority, NULL, "From -4 to 4; higher ones run first.", NULL },
    { "state", (getter)get_state, NULL, "Where it is: queued, parked, running, finished or done.", NULL },
    { "outcome", (getter)request_outcome, NULL, "What it did, once it is done; None before that.", NULL },
    { "callback", (getter)get_callback, (setter)set_callback, "Called with this request when it is polled.", NULL },
    { "engine", (getter)get_engine, NULL, "Whose request it is; None once it was shut down.", NULL },
    { "group", (getter)get_group, (setter)set_group, "The group that it is a member of, while it is not done.", NULL },
    { 0 },
};
