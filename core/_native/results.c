/* From a request to Python's objects: what it returned, by the kind of the operation's result, or its OSError. */
#include "native.h"

#include <errno.h>

PyObject *
results_name(const char *name, Py_ssize_t length, bool bytes)
{
    return bytes ? PyBytes_FromStringAndSize(name, length) : PyUnicode_DecodeFSDefaultAndSize(name, length);
}

static PyObject *
names(const struct listing *listing, bool bytes)
{
    PyObject *list = PyList_New((Py_ssize_t)listing->count);

    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < listing->count; i++) {
        const struct entry *entry = &listing->entries[i];
        PyObject *name = results_name(listing->names + entry->name, entry->length, bytes);
        if (name == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, name);
    }
    return list;
}

static PyObject *
nanoseconds(const struct timespec *time)
{
    return PyLong_FromLongLong((long long)time->tv_sec * 1000000000 + time->tv_nsec);
}

#ifdef __APPLE__
#define ST_TIME(st, which) (&(st)->st_##which##timespec)
#else
#define ST_TIME(st, which) (&(st)->st_##which##tim)
#endif

/* The fields of os.stat_result in their order, as CPython's own posixmodule.c fills them in on Linux. */
PyObject *
results_stat(struct state *state, const struct stat *st)
{
    const struct timespec *times[] = { ST_TIME(st, a), ST_TIME(st, m), ST_TIME(st, c) };
    PyObject *fields[19] = {
        PyLong_FromUnsignedLong(st->st_mode),    PyLong_FromUnsignedLongLong(st->st_ino),
        PyLong_FromUnsignedLongLong(st->st_dev), PyLong_FromUnsignedLongLong(st->st_nlink),
        PyLong_FromLong((long)(st->st_uid == (uid_t)-1 ? -1 : (long)st->st_uid)),
        PyLong_FromLong((long)(st->st_gid == (gid_t)-1 ? -1 : (long)st->st_gid)),
        PyLong_FromLongLong(st->st_size),
    };
    PyObject *result = NULL;
    bool complete = true;

    for (int i = 0; i < 3; i++) {
        fields[7 + i] = PyLong_FromLongLong(times[i]->tv_sec);
        fields[10 + i] = PyFloat_FromDouble((double)times[i]->tv_sec + 1e-9 * (double)times[i]->tv_nsec);
        fields[13 + i] = nanoseconds(times[i]);
    }
    fields[16] = PyLong_FromLong((long)st->st_blksize);
    fields[17] = PyLong_FromLongLong(st->st_blocks);
    fields[18] = PyLong_FromUnsignedLongLong(st->st_rdev);
    for (int i = 0; i < 19; i++)
        complete &= fields[i] != NULL;
    if (complete)
        result = PyStructSequence_New(state->stat_result);
    for (int i = 0; i < 19; i++) {
        if (result != NULL)
            PyStructSequence_SetItem(result, i, fields[i]);
        else
            Py_XDECREF(fields[i]);
    }
    return result;
}

static PyObject *
raise_error(const struct request_object *object)
{
    PyObject *paths = object->paths, *second = NULL;

    if (object->two_paths) {
        second = PyTuple_GET_ITEM(paths, 1);
        paths = PyTuple_GET_ITEM(paths, 0);
    }
    errno = object->request->error;
    return PyErr_SetFromErrnoWithFilenameObjects(PyExc_OSError, paths, second);
}

PyObject *
results_build(struct state *state, struct request_object *object)
{
    struct request *request = object->request;
    int64_t value = request->value;

    if (request->error != 0)
        return raise_error(object);
    switch (request_result_of((enum op)request->op)) {
    case RESULT_NONE:
        return Py_NewRef(Py_None);
    case RESULT_INT:
        return PyLong_FromLongLong(value);
    case RESULT_FD:
        request->value = -1; /* the caller's from now on */
        return PyLong_FromLongLong(value);
    case RESULT_BYTES:
        return PyBytes_FromStringAndSize(request->out, (Py_ssize_t)value);
    case RESULT_PATH:
        return results_name(request->out, (Py_ssize_t)value, object->bytes);
    case RESULT_STAT:
        return results_stat(state, request->out);
    case RESULT_NAMES:
        return names(request->out, object->bytes);
    case RESULT_ENTRIES:
        return direntry_list(state, request, object->bytes);
    }
    Py_UNREACHABLE();
}
