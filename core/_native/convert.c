/* From Python's objects to a request: arguments, by the shape of the operation. Results are results.c's. */
#include "convert.h"

#include <fcntl.h>
#include <sys/file.h>

static const struct {
    const char *name, *shape, *parameters;
    Py_ssize_t count;
} table[OP_COUNT] = {
#define OPS_ROW(NUMBER, name, request_class, shape, result, parameters) { #name, shape, parameters, sizeof shape - 1 },
    OPS(OPS_ROW)
#undef OPS_ROW
};

/* ---- errors ---- */

static PyObject *
parameter_name(const struct reader *reader)
{
    PyObject *name = NULL, *names = PyUnicode_FromString(table[reader->op].parameters);
    PyObject *list = names == NULL ? NULL : PyUnicode_Split(names, NULL, -1);

    if (list != NULL)
        name = Py_XNewRef(PyList_GetItem(list, reader->at));
    Py_XDECREF(list);
    Py_XDECREF(names);
    return name;
}

int
convert_wrong_type(const struct reader *reader, const char *wanted, PyObject *given)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(PyExc_TypeError, "%s: %U must be %s, not '%.200s'", table[reader->op].name, name, wanted,
                     Py_TYPE(given)->tp_name);
    Py_XDECREF(name);
    return -1;
}

int
convert_wrong_value(const struct reader *reader, PyObject *error, const char *what, PyObject *given)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(error, "%s: %U %s: %R", table[reader->op].name, name, what, given);
    Py_XDECREF(name);
    return -1;
}

/* Without the number: Python refuses to print a very long one. */
int
convert_out_of_range(const struct reader *reader)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(PyExc_OverflowError, "%s: %U is out of range", table[reader->op].name, name);
    Py_XDECREF(name);
    return -1;
}

/* ---- arguments ---- */

static const read_argument readers[128] = {
    ['f'] = convert_fd,        ['d'] = convert_dir_fd,          ['p'] = convert_path,
    ['P'] = convert_path_or_fd, ['Q'] = convert_path_or_fd_or_none, ['x'] = convert_attribute,
    ['i'] = convert_int,       ['u'] = convert_unsigned,        ['g'] = convert_id,
    ['v'] = convert_device,    ['z'] = convert_size,            ['o'] = convert_offset,
    ['O'] = convert_optional_offset, ['s'] = convert_seconds,   ['b'] = convert_truth,
    ['c'] = convert_order,     ['t'] = convert_times,           ['n'] = convert_nanoseconds,
    ['a'] = convert_control,   ['D'] = convert_data,            ['W'] = convert_datas,
    ['B'] = convert_writable,
};

/* ---- what no argument shows alone ---- */

static int
check_path(const struct request *request, enum op op)
{
    /* Where follow_symlinks is among the numbers, of operations that cannot do both. */
    static const int8_t follow[OP_COUNT] = {
        [OP_STAT] = 1, [OP_STATX] = 3, [OP_CHOWN] = 3, [OP_CHMOD] = 2, [OP_UTIME] = 5,
        [OP_GETXATTR] = 1, [OP_LISTXATTR] = 1, [OP_SETXATTR] = 2, [OP_REMOVEXATTR] = 1,
    };

    if ((table[op].shape[0] != 'P' && table[op].shape[0] != 'Q') || request->path[0] != NULL)
        return 0;
    if (request->fd[1] != AT_FDCWD) {
        PyErr_Format(PyExc_ValueError, "%s: can't specify dir_fd without matching path", table[op].name);
        return -1;
    }
    if (follow[op] > 0 && !request->n[follow[op] - 1]) {
        PyErr_Format(PyExc_ValueError, "%s: cannot use fd and follow_symlinks together", table[op].name);
        return -1;
    }
    return 0;
}

static int
check_range(struct request *request, enum op op)
{
    return convert_range(table[op].name, request);
}

static int
check_lock(struct request *request, enum op op)
{
    int64_t lock = request->n[0] & ~(int64_t)LOCK_NB;

    if (lock == LOCK_SH || lock == LOCK_EX || lock == LOCK_UN)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: %s must be LOCK_SH, LOCK_EX or LOCK_UN, with or without LOCK_NB, not %lld",
                 table[op].name, op == OP_LOCKF ? "cmd" : "operation", (long long)request->n[0]);
    return -1;
}

static int
check_extents(struct request *request, enum op op)
{
    static const struct {
        int place;
        const char *name;
    } numbers[] = { { 0, "start" }, { 1, "length" }, { 3, "count" } };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t number = request->n[numbers[i].place];
        if (number >= 0 || (number == NO_OFFSET && i > 0))
            continue;
        PyErr_Format(PyExc_ValueError, "%s: %s must not be negative: %lld", table[op].name, numbers[i].name,
                     (long long)number);
        return -1;
    }
    return 0;
}

static int (*const checks[OP_COUNT])(struct request *request, enum op op) = {
    [OP_MSYNC] = check_range,  [OP_MTOUCH] = check_range,  [OP_MLOCK] = check_range,
    [OP_LOCKF] = check_lock,   [OP_OFD_LOCK] = check_lock, [OP_FIEMAP] = check_extents,
};

/* ---- what makes another class of a request ---- */

static bool
creates(const struct request *request)
{
    int64_t flags = request->n[0];

#ifdef O_TMPFILE
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return true;
#endif
    return (flags & (O_CREAT | O_TRUNC)) != 0;
}

static bool
unlocks(const struct request *request)
{
    return (request->n[0] & LOCK_UN) != 0;
}

static bool
modifies(const struct request *request)
{
    return (request->n[2] & 1) != 0; /* MT_MODIFY */
}

static const struct {
    bool (*when)(const struct request *request);
    enum request_class request_class;
} unless[OP_COUNT] = {
    [OP_OPEN] = { creates, CLASS_CHANGE },  [OP_MTOUCH] = { modifies, CLASS_CHANGE },
    [OP_FLOCK] = { unlocks, CLASS_MUST },   [OP_LOCKF] = { unlocks, CLASS_MUST },
    [OP_OFD_LOCK] = { unlocks, CLASS_MUST },
};

int
convert_arguments(struct request_object *object, struct request *request, PyObject *const *arguments, Py_ssize_t count)
{
    struct reader reader = { .object = object, .request = request, .op = (enum op)request->op };
    const char *shape = table[request->op].shape;

    if (count != table[request->op].count) {
        PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", table[request->op].name,
                     table[request->op].count, count);
        return -1;
    }
    for (; reader.at < count; reader.at++)
        if (readers[(unsigned char)shape[reader.at]](&reader, arguments[reader.at]) < 0)
            return -1;
    if (unless[request->op].when != NULL && unless[request->op].when(request))
        request->request_class = (uint8_t)unless[request->op].request_class;
    if (reader.two_pairs) {
        PyErr_SetString(PyExc_ValueError, "utime: you may specify either 'times' or 'ns' but not both");
        return -1;
    }
    if (check_path(request, reader.op) < 0)
        return -1;
    return checks[request->op] == NULL ? 0 : checks[request->op](request, reader.op);
}
