/* The two times of utime, as seconds and nanoseconds each: rounded as os.utime rounds them. */
#include "convert.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>

static int
bad_pair(const struct reader *reader, PyObject *argument)
{
    (void)argument;
    PyErr_Format(PyExc_TypeError, "utime: '%s' must be %s", reader->times ? "ns" : "times",
                 reader->times ? "a tuple of two ints" : "either a tuple of two ints or None");
    return -1;
}

/* Towards the past, as os.utime. */
static int
split_float(const struct reader *reader, PyObject *number, int64_t time[2])
{
    double value = PyFloat_AsDouble(number), seconds, fraction;

    if (value == -1.0 && PyErr_Occurred())
        return -1;
    if (isnan(value)) {
        PyErr_SetString(PyExc_ValueError, "Invalid value NaN (not a number)");
        return -1;
    }
    fraction = floor(modf(value, &seconds) * 1e9);
    if (fraction >= 1e9) {
        fraction -= 1e9;
        seconds += 1.0;
    }
    else if (fraction < 0) {
        fraction += 1e9;
        seconds -= 1.0;
    }
    if (!(seconds >= -0x1p63 && seconds < 0x1p63)) {
        PyErr_Format(PyExc_OverflowError, "%s: times are out of range", request_name(reader->op));
        return -1;
    }
    time[0] = (int64_t)seconds;
    time[1] = (int64_t)fraction;
    return 0;
}

static int
split_seconds(const struct reader *reader, PyObject *number, int64_t time[2])
{
    PyObject *index;
    int overflow;

    if (PyFloat_Check(number))
        return split_float(reader, number, time);
    if ((index = PyNumber_Index(number)) == NULL)
        return -1;
    time[0] = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (overflow != 0) {
        PyErr_Format(PyExc_OverflowError, "%s: times are out of range", request_name(reader->op));
        return -1;
    }
    time[1] = 0;
    return time[0] == -1 && PyErr_Occurred() ? -1 : 0;
}

/* UTIME_NOW and UTIME_OMIT are anyaio's: 2**63 seconds, which no time_t holds, and the kernel's own nanoseconds, which
 * are more than a second. */
static int
split_nanoseconds(const struct reader *reader, PyObject *number, int64_t time[2])
{
    PyObject *billion = NULL, *pair = NULL, *limit = NULL, *seconds;
    int overflow, special, result = -1;

    if (!PyIndex_Check(number))
        return convert_wrong_type(reader, "a tuple of two ints", number);
    if ((billion = PyLong_FromLong(1000000000)) == NULL || (pair = PyNumber_Divmod(number, billion)) == NULL)
        goto fail;
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyLong_Check(PyTuple_GET_ITEM(pair, 0))
        || !PyLong_Check(PyTuple_GET_ITEM(pair, 1))) {
        convert_wrong_type(reader, "a tuple of two ints", number);
        goto fail;
    }
    seconds = PyTuple_GET_ITEM(pair, 0);
    time[1] = PyLong_AsLongLong(PyTuple_GET_ITEM(pair, 1));
    if (time[1] == -1 && PyErr_Occurred())
        goto fail;
    time[0] = PyLong_AsLongLongAndOverflow(seconds, &overflow);
    if (overflow == 0) {
        result = time[0] == -1 && PyErr_Occurred() ? -1 : 0;
        goto fail;
    }
    if ((limit = PyLong_FromUnsignedLongLong((1ULL << 63) + 1)) == NULL)
        goto fail;
    if ((special = PyObject_RichCompareBool(seconds, limit, Py_EQ)) < 0)
        goto fail;
    time[0] = 0;
    if (special && time[1] == 0x3fffffff - 1000000000) {
        time[1] = UTIME_NOW;
        result = 0;
    }
    else if (special && time[1] == 0x3ffffffe - 1000000000) {
        time[1] = UTIME_OMIT;
        result = 0;
    }
    else
        convert_out_of_range(reader);
fail:
    Py_XDECREF(limit);
    Py_XDECREF(pair);
    Py_XDECREF(billion);
    return result;
}

static int
take_pair(struct reader *reader, PyObject *argument,
          int (*split)(const struct reader *reader, PyObject *number, int64_t time[2]))
{
    int64_t *times = reader->request->n;

    if (!PyTuple_CheckExact(argument) || PyTuple_GET_SIZE(argument) != 2)
        return bad_pair(reader, argument);
    if (split(reader, PyTuple_GET_ITEM(argument, 0), times) < 0)
        return -1;
    return split(reader, PyTuple_GET_ITEM(argument, 1), times + 2);
}

int
convert_times(struct reader *reader, PyObject *argument)
{
    int64_t *times = reader->request->n;

    reader->numbers += 4;
    times[1] = times[3] = UTIME_NOW;
    if (argument == Py_None)
        return 0;
    if (take_pair(reader, argument, split_seconds) < 0)
        return -1;
    reader->times = true;
    return 0;
}

int
convert_nanoseconds(struct reader *reader, PyObject *argument)
{
    if (argument == Py_None)
        return 0;
    reader->two_pairs = reader->times; /* told when the other arguments have been looked at, as os.utime */
    reader->times = true;
    return take_pair(reader, argument, split_nanoseconds);
}
