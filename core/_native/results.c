/* From a request to Python's objects: what it returned, by the kind of the operation's result, or its OSError. */
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <sys/statvfs.h>
#ifdef __linux__
#include <sys/sysmacros.h>
#endif

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

/* Some file systems have times beyond the year 2262, whose nanoseconds are more than 64 bits. */
static PyObject *
nanoseconds(long long seconds, long rest)
{
    PyObject *result = NULL, *billion = NULL, *product = NULL, *whole = NULL, *part = NULL;

    if (seconds > -9000000000 && seconds < 9000000000)
        return PyLong_FromLongLong(seconds * 1000000000 + rest);
    if ((whole = PyLong_FromLongLong(seconds)) == NULL || (billion = PyLong_FromLong(1000000000)) == NULL)
        goto fail;
    if ((part = PyLong_FromLong(rest)) == NULL || (product = PyNumber_Multiply(whole, billion)) == NULL)
        goto fail;
    result = PyNumber_Add(product, part);
fail:
    Py_XDECREF(product);
    Py_XDECREF(part);
    Py_XDECREF(billion);
    Py_XDECREF(whole);
    return result;
}

#ifdef __APPLE__
#define ST_TIME(st, which) (&(st)->st_##which##timespec)
#else
#define ST_TIME(st, which) (&(st)->st_##which##tim)
#endif

/* Numbers in the order of a type's fields; takes them over, also where one is NULL. */
static PyObject *
fill_tuple(PyObject *tuple, PyObject *const *fields, Py_ssize_t count,
           void (*set)(PyObject *tuple, Py_ssize_t place, PyObject *field))
{
    bool complete = tuple != NULL;

    for (Py_ssize_t i = 0; i < count; i++)
        complete &= fields[i] != NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (complete)
            set(tuple, i, fields[i]);
        else
            Py_XDECREF(fields[i]);
    }
    if (!complete)
        Py_CLEAR(tuple);
    return tuple;
}

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

    for (int i = 0; i < 3; i++) {
        fields[7 + i] = PyLong_FromLongLong(times[i]->tv_sec);
        fields[10 + i] = PyFloat_FromDouble((double)times[i]->tv_sec + 1e-9 * (double)times[i]->tv_nsec);
        fields[13 + i] = nanoseconds(times[i]->tv_sec, times[i]->tv_nsec);
    }
    fields[16] = PyLong_FromLong((long)st->st_blksize);
    fields[17] = PyLong_FromLongLong(st->st_blocks);
    fields[18] = PyLong_FromUnsignedLongLong(st->st_rdev);
    return fill_tuple(PyStructSequence_New(state->stat_result), fields, 19, PyStructSequence_SetItem);
}

static void
set_plain(PyObject *tuple, Py_ssize_t place, PyObject *field)
{
    PyTuple_SET_ITEM(tuple, place, field);
}

/* The fields of os.statvfs_result in their order. */
static PyObject *
statvfs_result(const struct state *state, const struct statvfs *st)
{
    PyObject *fields[] = {
        PyLong_FromUnsignedLong(st->f_bsize),      PyLong_FromUnsignedLong(st->f_frsize),
        PyLong_FromUnsignedLongLong(st->f_blocks), PyLong_FromUnsignedLongLong(st->f_bfree),
        PyLong_FromUnsignedLongLong(st->f_bavail), PyLong_FromUnsignedLongLong(st->f_files),
        PyLong_FromUnsignedLongLong(st->f_ffree),  PyLong_FromUnsignedLongLong(st->f_favail),
        PyLong_FromUnsignedLong(st->f_flag),       PyLong_FromUnsignedLong(st->f_namemax),
        PyLong_FromUnsignedLong(st->f_fsid),
    };

    return fill_tuple(PyStructSequence_New(state->statvfs_result), fields, sizeof fields / sizeof *fields,
                      PyStructSequence_SetItem);
}

/* Call a NamedTuple of _results.py. */
static PyObject *
named_tuple(PyObject *type, PyObject *const *fields, Py_ssize_t count)
{
    PyObject *arguments = fill_tuple(PyTuple_New(count), fields, count, set_plain);
    PyObject *result = arguments == NULL ? NULL : PyObject_CallObject(type, arguments);

    Py_XDECREF(arguments);
    return result;
}

static PyObject *
extents(const struct state *state, const struct extent *extents, int64_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    if (list == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < (Py_ssize_t)count; i++) {
        PyObject *fields[] = {
            PyLong_FromUnsignedLongLong(extents[i].logical), PyLong_FromUnsignedLongLong(extents[i].physical),
            PyLong_FromUnsignedLongLong(extents[i].length), PyLong_FromUnsignedLong(extents[i].flags),
        };
        PyObject *extent = named_tuple(state->extent, fields, 4);
        if (extent == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, extent);
    }
    return list;
}

#ifdef STATX_BTIME
static PyObject *
statx_time(const struct statx_timestamp *time)
{
    return nanoseconds(time->tv_sec, (long)time->tv_nsec);
}

/* What older headers call spare has its place in the kernel's structure all the same. */
struct later_fields {
    char before[0x90];
    uint64_t mnt_id;
    uint32_t dio_mem_align, dio_offset_align;
};

static PyObject *
statx_result(const struct state *state, const struct statx *st)
{
    struct later_fields later;

    static_assert(sizeof later <= sizeof *st, "statx(2) fills 256 bytes");
    memcpy(&later, st, sizeof later);
    PyObject *fields[] = {
        PyLong_FromUnsignedLong(st->stx_mask),
        PyLong_FromUnsignedLong(st->stx_blksize),
        PyLong_FromUnsignedLongLong(st->stx_attributes),
        PyLong_FromUnsignedLong(st->stx_nlink),
        PyLong_FromUnsignedLong(st->stx_uid),
        PyLong_FromUnsignedLong(st->stx_gid),
        PyLong_FromUnsignedLong(st->stx_mode),
        PyLong_FromUnsignedLongLong(st->stx_ino),
        PyLong_FromUnsignedLongLong(st->stx_size),
        PyLong_FromUnsignedLongLong(st->stx_blocks),
        PyLong_FromUnsignedLongLong(st->stx_attributes_mask),
        statx_time(&st->stx_atime),
        statx_time(&st->stx_btime),
        statx_time(&st->stx_ctime),
        statx_time(&st->stx_mtime),
        PyLong_FromUnsignedLongLong(makedev(st->stx_rdev_major, st->stx_rdev_minor)),
        PyLong_FromUnsignedLongLong(makedev(st->stx_dev_major, st->stx_dev_minor)),
        PyLong_FromUnsignedLongLong(later.mnt_id),
        PyLong_FromUnsignedLong(later.dio_mem_align),
        PyLong_FromUnsignedLong(later.dio_offset_align),
    };

    return named_tuple(state->statx, fields, sizeof fields / sizeof *fields);
}
#else
static PyObject *
statx_result(const struct state *state, const void *st)
{
    (void)state, (void)st;
    PyErr_SetString(PyExc_NotImplementedError, "statx is Linux's");
    return NULL;
}
#endif

static PyObject *
attributes(const char *names, int64_t size)
{
    PyObject *list = PyList_New(0);

    for (const char *name = names; list != NULL && name < names + size; name += strlen(name) + 1) {
        PyObject *text = PyUnicode_DecodeFSDefault(name);
        if (text == NULL || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

/* fcntl's and ioctl's: a buffer that can be written to was changed in place, of another the caller gets the copy. */
static PyObject *
control(const struct request *request)
{
    if (request->iovcnt == 0 || request->n[CONTROL_IN_PLACE])
        return PyLong_FromLongLong(request->value);
    return PyBytes_FromStringAndSize(request->out, (Py_ssize_t)request->iov->iov_len);
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
    case RESULT_TRUTH:
        return PyBool_FromLong(value != 0);
    case RESULT_ATTRIBUTES:
        return attributes(request->out, value);
    case RESULT_CONTROL:
        return control(request);
    case RESULT_STATVFS:
        return statvfs_result(state, request->out);
    case RESULT_STATX:
        return statx_result(state, request->out);
    case RESULT_EXTENTS:
        return extents(state, request->out, value);
    }
    Py_UNREACHABLE();
}
