/* Buffers: pinned, which keeps them from being resized or unmapped, until the worker is done with them. */
#include "convert.h"

#ifdef __linux__
#include <linux/ioctl.h>
#endif

struct pins {
    Py_ssize_t count;
    Py_buffer views[];
};

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
        return convert_wrong_type(reader, "bytes-like", buffer);
    if (PyObject_GetBuffer(buffer, view, flags) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError))
            return -1;
        PyErr_Clear();
        return convert_wrong_value(reader, PyExc_BufferError,
                           flags == PyBUF_WRITABLE ? "must be writable and contiguous" : "must be contiguous", buffer);
    }
    pins->count++;
    request->iov[request->iovcnt++] = (struct iovec){ view->buf, (size_t)view->len };
    return 0;
}

int
convert_data(struct reader *reader, PyObject *argument)
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
        return convert_wrong_type(reader, "a sequence of bytes-like objects", argument);
    if ((sequence = PySequence_Tuple(argument)) == NULL) /* own: it cannot change while buffers are asked for */
        return -1;
    count = PyTuple_GET_SIZE(sequence);
    if (count > INT_MAX) {
        convert_wrong_value(reader, PyExc_OverflowError, "has too many buffers", argument);
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

int
convert_datas(struct reader *reader, PyObject *argument)
{
    return read_buffers(reader, argument, PyBUF_SIMPLE);
}

int
convert_writable(struct reader *reader, PyObject *argument)
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

/* fcntl's and ioctl's: the kernel writes what it likes, so it gets a copy with room. */
static int
copy_control(struct reader *reader)
{
    struct request *request = reader->request;
    size_t length = request->iov->iov_len, room = length > 1024 ? length : 1024;

#ifdef _IOC_SIZE
    if (reader->op == OP_IOCTL && _IOC_SIZE((uint32_t)request->n[0]) > room)
        room = _IOC_SIZE((uint32_t)request->n[0]);
#endif
    if ((request->out = calloc(1, room)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(request->out, request->iov->iov_base, length);
    return 0;
}

int
convert_control(struct reader *reader, PyObject *argument)
{
    int writable;

    if (PyIndex_Check(argument))
        return convert_unsigned(reader, argument);
    if (!PyObject_CheckBuffer(argument))
        return convert_wrong_type(reader, "an int or a bytes-like object", argument);
    if (new_pins(reader, 1) == NULL)
        return -1;
    writable = pin(reader, argument, PyBUF_WRITABLE);
    if (writable < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError))
            return -1;
        PyErr_Clear();
        if (pin(reader, argument, PyBUF_SIMPLE) < 0)
            return -1;
    }
    reader->request->n[CONTROL_IN_PLACE] = writable == 0;
    return copy_control(reader);
}

void
convert_copy_back(struct request *request)
{
    if (request->error == 0 && request->iovcnt == 1 && request->n[CONTROL_IN_PLACE])
        memcpy(request->iov->iov_base, request->out, request->iov->iov_len);
}

/* msync, mtouch, mlock: a negative offset counts from the end. */
int
convert_range(const char *name, struct request *request)
{
    struct iovec *iov = request->iov;
    int64_t size = (int64_t)iov->iov_len, offset = request->n[0], length = request->n[1];

    if (offset < -size || offset > size) {
        PyErr_Format(PyExc_ValueError, "%s: offset is outside of the buffer of %lld bytes: %lld", name, (long long)size,
                     (long long)offset);
        return -1;
    }
    if (offset < 0)
        offset += size;
    if (length < 0 && length != NO_OFFSET) {
        PyErr_Format(PyExc_ValueError, "%s: length must not be negative: %lld", name, (long long)length);
        return -1;
    }
    if (length == NO_OFFSET || length > size - offset)
        length = size - offset;
    *iov = (struct iovec){ (char *)iov->iov_base + offset, (size_t)length };
    return 0;
}
