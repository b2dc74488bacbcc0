/* From Python's objects to a request: arguments, by the shape of the operation. Results are results.c's. */
#include "native.h"

#include <fcntl.h>
#include <math.h>

static const struct {
    const char *name, *shape, *parameters;
} table[OP_COUNT] = {
#define OPS_ROW(NUMBER, name, request_class, shape, result, parameters) { #name, shape, parameters },
    OPS(OPS_ROW)
#undef OPS_ROW
};

struct pins {
    Py_ssize_t count;
    Py_buffer views[];
};

/* Where the arguments of one call go. */
struct reader {
    struct request_object *object;
    struct request *request;
    enum op op;
    int fds, numbers, paths; /* how many of each have been read */
    Py_ssize_t at;           /* which argument is being read */
};

/* ---- errors that name the parameter ---- */

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

static int
wrong_type(const struct reader *reader, const char *wanted, PyObject *given)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(PyExc_TypeError, "%s: %U must be %s, not '%.200s'", table[reader->op].name, name, wanted,
                     Py_TYPE(given)->tp_name);
    Py_XDECREF(name);
    return -1;
}

static int
wrong_value(const struct reader *reader, PyObject *error, const char *what, PyObject *given)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(error, "%s: %U %s: %R", table[reader->op].name, name, what, given);
    Py_XDECREF(name);
    return -1;
}

/* Without the number: Python refuses to print a very long one. */
static int
out_of_range(const struct reader *reader)
{
    PyObject *name = parameter_name(reader);

    if (name != NULL)
        PyErr_Format(PyExc_OverflowError, "%s: %U is out of range", table[reader->op].name, name);
    Py_XDECREF(name);
    return -1;
}

/* ---- numbers ---- */

static int
read_int64(struct reader *reader, PyObject *argument, int64_t min, int64_t max, int64_t *value)
{
    PyObject *number;
    int overflow;

    if (!PyIndex_Check(argument)) {
        if (reader->op == OP_OPEN && PyUnicode_Check(argument)) {
            PyErr_Format(PyExc_TypeError,
                         "open: flags must be those of os.open, such as os.O_RDONLY, not the mode %R of the builtin open",
                         argument);
            return -1;
        }
        return wrong_type(reader, "an int", argument);
    }
    if ((number = PyNumber_Index(argument)) == NULL)
        return -1;
    *value = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (*value == -1 && PyErr_Occurred())
        return -1;
    if (overflow != 0 || *value < min || *value > max)
        return out_of_range(reader);
    return 0;
}

static int
read_fd(struct reader *reader, PyObject *argument)
{
    int64_t fd = -1;

    if (read_int64(reader, argument, INT_MIN, INT_MAX, &fd) < 0)
        return -1;
    reader->request->fd[reader->fds++] = (int)fd;
    return 0;
}

static int
read_dir_fd(struct reader *reader, PyObject *argument)
{
    if (argument != Py_None)
        return PyIndex_Check(argument) ? read_fd(reader, argument) : wrong_type(reader, "an int or None", argument);
    reader->request->fd[reader->fds++] = AT_FDCWD;
    return 0;
}

static int
read_int(struct reader *reader, PyObject *argument)
{
    return read_int64(reader, argument, INT_MIN, INT_MAX, &reader->request->n[reader->numbers++]);
}

static int
read_size(struct reader *reader, PyObject *argument)
{
    return read_int64(reader, argument, PY_SSIZE_T_MIN, PY_SSIZE_T_MAX, &reader->request->n[reader->numbers++]);
}

static int
read_offset(struct reader *reader, PyObject *argument)
{
    return read_int64(reader, argument, INT64_MIN, INT64_MAX, &reader->request->n[reader->numbers++]);
}

static int
read_seconds(struct reader *reader, PyObject *argument)
{
    const double longest = 1e9; /* seconds, some thirty years: its nanoseconds fit */
    double seconds;

    if (!PyFloat_Check(argument) && !PyIndex_Check(argument))
        return wrong_type(reader, "a number of seconds", argument);
    seconds = PyFloat_AsDouble(argument);
    if (seconds == -1.0 && PyErr_Occurred())
        return -1;
    if (isnan(seconds))
        return wrong_value(reader, PyExc_ValueError, "is not a number", argument);
    seconds = seconds < 0 ? 0 : seconds > longest ? longest : seconds;
    reader->request->n[reader->numbers++] = (int64_t)(seconds * 1e9);
    return 0;
}

static int
read_truth(struct reader *reader, PyObject *argument)
{
    int truth = PyObject_IsTrue(argument);

    if (truth < 0)
        return -1;
    reader->request->n[reader->numbers++] = truth;
    return 0;
}

static int
read_order(struct reader *reader, PyObject *argument)
{
    static const char *const orders[] = {
        [ORDER_KERNEL] = "kernel",
        [ORDER_DIRS_FIRST] = "dirs_first",
        [ORDER_STAT] = "stat",
        [ORDER_DIRS_FIRST_STAT] = "dirs_first+stat",
    };

    for (size_t i = 0; PyUnicode_Check(argument) && i < sizeof orders / sizeof *orders; i++)
        if (PyUnicode_CompareWithASCIIString(argument, orders[i]) == 0) {
            reader->request->n[reader->numbers++] = (int64_t)i;
            return 0;
        }
    return wrong_value(reader, PyExc_ValueError,
                       "must be \"kernel\", \"dirs_first\", \"stat\" or \"dirs_first+stat\", not", argument);
}

/* ---- paths ---- */

static int
keep_path(struct request_object *object, PyObject *path)
{
    PyObject *both;

    if (object->paths == NULL) {
        object->paths = Py_NewRef(path);
        return 0;
    }
    if ((both = PyTuple_Pack(2, object->paths, path)) == NULL)
        return -1;
    Py_SETREF(object->paths, both);
    object->two_paths = true;
    return 0;
}

static int
copy_path(struct reader *reader, PyObject *encoded)
{
    Py_ssize_t size = PyBytes_GET_SIZE(encoded);
    const char *text = PyBytes_AS_STRING(encoded);
    char *copy;

    if (strlen(text) != (size_t)size) {
        PyErr_Format(PyExc_ValueError, "%s: embedded null character in path", table[reader->op].name);
        return -1;
    }
    if ((copy = malloc((size_t)size + 1)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(copy, text, (size_t)size + 1);
    reader->request->path[reader->paths++] = copy;
    return 0;
}

static int
read_path(struct reader *reader, PyObject *argument)
{
    PyObject *path = NULL, *encoded = NULL;
    int result = -1;

    if (!PyUnicode_Check(argument) && !PyBytes_Check(argument)
        && !PyObject_HasAttrString((PyObject *)Py_TYPE(argument), "__fspath__"))
        return wrong_type(reader, "str, bytes or os.PathLike", argument);
    if ((path = PyOS_FSPath(argument)) == NULL)
        goto fail;
    encoded = PyBytes_Check(path) ? Py_NewRef(path) : PyUnicode_EncodeFSDefault(path);
    if (encoded == NULL)
        goto fail;
    if (reader->paths == 0)
        reader->object->bytes = PyBytes_Check(path);
    if (copy_path(reader, encoded) < 0)
        goto fail;
    result = keep_path(reader->object, argument);
fail:
    Py_XDECREF(encoded);
    Py_XDECREF(path);
    return result;
}

static int
read_path_or_fd(struct reader *reader, PyObject *argument)
{
    if (PyIndex_Check(argument))
        return read_fd(reader, argument) < 0 ? -1 : keep_path(reader->object, argument);
    reader->fds++; /* stays -1 */
    return read_path(reader, argument);
}

/* ---- buffers ---- */

static struct pins *
new_pins(struct reader *reader, Py_ssize_t count)
{
    struct request *request = reader->request;
    struct pins *pins = calloc(1, sizeof *pins + (size_t)count * sizeof *pins->views);

    request->pins = pins;
    request->iov = calloc((size_t)count + 1, sizeof *request->iov);
    if (pins != NULL && request->iov != NULL)
        return pins;
    PyErr_NoMemory();
    return NULL;
}

static int
pin(struct reader *reader, PyObject *buffer, int flags)
{
    struct request *request = reader->request;
    struct pins *pins = request->pins;
    Py_buffer *view = &pins->views[pins->count];

    if (!PyObject_CheckBuffer(buffer))
        return wrong_type(reader, "bytes-like", buffer);
    if (PyObject_GetBuffer(buffer, view, flags) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError))
            return -1;
        PyErr_Clear();
        return wrong_value(reader, PyExc_BufferError,
                           flags == PyBUF_WRITABLE ? "must be writable and contiguous" : "must be contiguous", buffer);
    }
    pins->count++;
    request->iov[request->iovcnt++] = (struct iovec){ view->buf, (size_t)view->len };
    return 0;
}

static int
read_data(struct reader *reader, PyObject *argument)
{
    return new_pins(reader, 1) == NULL ? -1 : pin(reader, argument, PyBUF_SIMPLE);
}

static int
read_buffers(struct reader *reader, PyObject *argument, int flags)
{
    PyObject *sequence;
    Py_ssize_t count;
    int result = -1;

    if (!PySequence_Check(argument) || PyObject_CheckBuffer(argument))
        return wrong_type(reader, "a sequence of bytes-like objects", argument);
    if ((sequence = PySequence_Tuple(argument)) == NULL) /* own: it cannot change while buffers are asked for */
        return -1;
    count = PyTuple_GET_SIZE(sequence);
    if (count > INT_MAX) {
        wrong_value(reader, PyExc_OverflowError, "has too many buffers", argument);
        goto fail;
    }
    if (new_pins(reader, count) == NULL)
        goto fail;
    for (Py_ssize_t i = 0; i < count; i++)
        if (pin(reader, PyTuple_GET_ITEM(sequence, i), flags) < 0)
            goto fail;
    result = 0;
fail:
    Py_DECREF(sequence);
    return result;
}

static int
read_datas(struct reader *reader, PyObject *argument)
{
    return read_buffers(reader, argument, PyBUF_SIMPLE);
}

static int
read_writable(struct reader *reader, PyObject *argument)
{
    return read_buffers(reader, argument, PyBUF_WRITABLE);
}

void
convert_unpin(struct request *request)
{
    struct pins *pins = request->pins;

    request->pins = NULL;
    if (pins == NULL)
        return;
    while (pins->count > 0)
        PyBuffer_Release(&pins->views[--pins->count]);
    free(pins);
}

/* ---- arguments ---- */

static int (*const readers[128])(struct reader *reader, PyObject *argument) = {
    ['f'] = read_fd,     ['d'] = read_dir_fd,     ['p'] = read_path,  ['P'] = read_path_or_fd,
    ['i'] = read_int,    ['z'] = read_size,       ['o'] = read_offset, ['s'] = read_seconds,
    ['b'] = read_truth,  ['c'] = read_order,      ['D'] = read_data,  ['W'] = read_datas,
    ['B'] = read_writable,
};

/* What no argument shows alone. */
static int
check_together(const struct request *request, enum op op)
{
    bool by_fd = table[op].shape[0] == 'P' && request->path[0] == NULL;

    if (by_fd && request->fd[1] != AT_FDCWD) {
        PyErr_Format(PyExc_ValueError, "%s: can't specify dir_fd without matching path", table[op].name);
        return -1;
    }
    if (by_fd && op == OP_STAT && !request->n[0]) {
        PyErr_SetString(PyExc_ValueError, "stat: cannot use fd and follow_symlinks together");
        return -1;
    }
    return 0;
}

/* An open that makes or empties a file is a change. */
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

int
convert_arguments(struct request_object *object, struct request *request, PyObject *const *arguments, Py_ssize_t count)
{
    struct reader reader = { .object = object, .request = request, .op = (enum op)request->op };
    const char *shape = table[request->op].shape;

    if ((size_t)count != strlen(shape)) {
        PyErr_Format(PyExc_TypeError, "%s takes %zu arguments, not %zd", table[request->op].name, strlen(shape),
                     count);
        return -1;
    }
    for (; reader.at < count; reader.at++)
        if (readers[(unsigned char)shape[reader.at]](&reader, arguments[reader.at]) < 0)
            return -1;
    if (request->op == OP_OPEN && creates(request))
        request->request_class = CLASS_CHANGE;
    return check_together(request, reader.op);
}
