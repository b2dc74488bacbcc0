/* Numbers, and words that stand for one. */
#include "convert.h"

#include <fcntl.h>
#include <math.h>

static int
take_int64(struct reader *reader, PyObject *argument, int64_t min, int64_t max, int64_t *value)
{
    PyObject *number;
    int overflow;

    if (PyLong_CheckExact(argument)) {
        *value = PyLong_AsLongLongAndOverflow(argument, &overflow);
        return overflow != 0 || *value < min || *value > max ? convert_out_of_range(reader) : 0;
    }
    if (!PyIndex_Check(argument)) {
        if (reader->op == OP_OPEN && PyUnicode_Check(argument)) {
            PyErr_Format(PyExc_TypeError,
                         "open: flags must be those of os.open, such as os.O_RDONLY, not the mode %R of the builtin open",
                         argument);
            return -1;
        }
        return convert_wrong_type(reader, "an int", argument);
    }
    if ((number = PyNumber_Index(argument)) == NULL)
        return -1;
    *value = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (*value == -1 && PyErr_Occurred())
        return -1;
    if (overflow != 0 || *value < min || *value > max)
        return convert_out_of_range(reader);
    return 0;
}

int
convert_fd(struct reader *reader, PyObject *argument)
{
    int64_t fd = -1;

    if (take_int64(reader, argument, INT_MIN, INT_MAX, &fd) < 0)
        return -1;
    reader->request->fd[reader->fds++] = (int)fd;
    return 0;
}

int
convert_dir_fd(struct reader *reader, PyObject *argument)
{
    if (argument != Py_None)
        return PyIndex_Check(argument) ? convert_fd(reader, argument) : convert_wrong_type(reader, "an int or None", argument);
    reader->request->fd[reader->fds++] = AT_FDCWD;
    return 0;
}

int
convert_int(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, INT_MIN, INT_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_unsigned(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, INT_MIN, UINT_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_id(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, -1, UINT32_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_device(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, 0, INT64_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_size(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, PY_SSIZE_T_MIN, PY_SSIZE_T_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_offset(struct reader *reader, PyObject *argument)
{
    return take_int64(reader, argument, INT64_MIN, INT64_MAX, &reader->request->n[reader->numbers++]);
}

int
convert_optional_offset(struct reader *reader, PyObject *argument)
{
    int64_t *offset = &reader->request->n[reader->numbers];

    if (argument == Py_None) {
        *offset = NO_OFFSET;
        reader->numbers++;
        return 0;
    }
    if (!PyIndex_Check(argument))
        return convert_wrong_type(reader, "an int or None", argument);
    if (convert_offset(reader, argument) < 0)
        return -1;
    if (*offset == NO_OFFSET)
        *offset = NO_OFFSET + 1; /* no offset either */
    return 0;
}

int
convert_seconds(struct reader *reader, PyObject *argument)
{
    const double longest = 1e9; /* seconds, some thirty years: its nanoseconds fit */
    double seconds;

    if (!PyFloat_Check(argument) && !PyIndex_Check(argument))
        return convert_wrong_type(reader, "a number of seconds", argument);
    seconds = PyFloat_AsDouble(argument);
    if (seconds == -1.0 && PyErr_Occurred())
        return -1;
    if (isnan(seconds))
        return convert_wrong_value(reader, PyExc_ValueError, "is not a number", argument);
    seconds = seconds < 0 ? 0 : seconds > longest ? longest : seconds;
    reader->request->n[reader->numbers++] = (int64_t)(seconds * 1e9);
    return 0;
}

int
convert_truth(struct reader *reader, PyObject *argument)
{
    int truth = PyObject_IsTrue(argument);

    if (truth < 0)
        return -1;
    reader->request->n[reader->numbers++] = truth;
    return 0;
}

int
convert_order(struct reader *reader, PyObject *argument)
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
    return convert_wrong_value(reader, PyExc_ValueError,
                       "must be \"kernel\", \"dirs_first\", \"stat\" or \"dirs_first+stat\", not", argument);
}
