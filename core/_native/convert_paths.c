/* Paths, descriptors in their place, and what is encoded as a path is. */
#include "convert.h"

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

/* A copy of the text for the worker, without a NUL in it. NULL: an exception. */
static char *
copy_text(const struct reader *reader, PyObject *encoded)
{
    Py_ssize_t size = PyBytes_GET_SIZE(encoded);
    const char *text = PyBytes_AS_STRING(encoded);
    char *copy;

    if (strlen(text) != (size_t)size) {
        PyErr_Format(PyExc_ValueError, "%s: embedded null character in path", request_name(reader->op));
        return NULL;
    }
    if ((copy = malloc((size_t)size + 1)) == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    return memcpy(copy, text, (size_t)size + 1);
}

/* As a path is: str, bytes or PathLike. Was it bytes? -1: an exception. */
static int
encode(struct reader *reader, PyObject *argument, char **text)
{
    PyObject *path = NULL, *encoded = NULL;
    int result = -1;

    if (!PyUnicode_Check(argument) && !PyBytes_Check(argument)
        && !PyObject_HasAttrString((PyObject *)Py_TYPE(argument), "__fspath__"))
        return convert_wrong_type(reader, "str, bytes or os.PathLike", argument);
    if ((path = PyOS_FSPath(argument)) == NULL)
        goto fail;
    encoded = PyBytes_Check(path) ? Py_NewRef(path) : PyUnicode_EncodeFSDefault(path);
    if (encoded != NULL && (*text = copy_text(reader, encoded)) != NULL)
        result = PyBytes_Check(path);
fail:
    Py_XDECREF(encoded);
    Py_XDECREF(path);
    return result;
}

int
convert_path(struct reader *reader, PyObject *argument)
{
    int bytes = encode(reader, argument, &reader->request->path[reader->paths]);

    if (bytes < 0)
        return -1;
    if (reader->paths++ == 0)
        reader->object->bytes = bytes;
    return keep_path(reader->object, argument);
}

int
convert_attribute(struct reader *reader, PyObject *argument)
{
    return encode(reader, argument, &reader->request->path[1]) < 0 ? -1 : 0;
}

int
convert_path_or_fd(struct reader *reader, PyObject *argument)
{
    if (PyIndex_Check(argument))
        return convert_fd(reader, argument) < 0 ? -1 : keep_path(reader->object, argument);
    reader->fds++; /* stays -1 */
    return convert_path(reader, argument);
}

int
convert_path_or_fd_or_none(struct reader *reader, PyObject *argument)
{
    if (argument != Py_None)
        return convert_path_or_fd(reader, argument);
    reader->fds++; /* stays -1 */
    if ((reader->request->path[reader->paths++] = strdup(".")) != NULL)
        return 0;
    PyErr_NoMemory();
    return -1;
}
