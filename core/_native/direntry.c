/* DirEntry: one entry of a listing, which all entries of a directory share. Names are decoded when they are asked for. */
#include "native.h"

#include <errno.h>

/* A listing and the directory it is of, counted by its entries. The GIL guards the count. */
struct shared {
    Py_ssize_t references;
    struct listing *listing;
    char *directory; /* with a slash at its end, if it is not empty; owned */
    bool bytes;
};

struct direntry {
    PyObject_HEAD
    struct shared *shared;
    PyObject *name; /* NULL until it is asked for */
    size_t index;
};

static void
shared_drop(struct shared *shared)
{
    if (--shared->references > 0)
        return;
    listing_free(shared->listing);
    free(shared->directory);
    free(shared);
}

static struct shared *
shared_new(struct request *request, bool bytes)
{
    const char *path = request->path[0] == NULL ? "" : request->path[0];
    size_t length = strlen(path);
    struct shared *shared = calloc(1, sizeof *shared);
    char *directory = malloc(length + 2);

    if (shared == NULL || directory == NULL) {
        free(shared);
        free(directory);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(directory, path, length + 1);
    if (length > 0 && path[length - 1] != '/')
        memcpy(directory + length, "/", 2);
    *shared = (struct shared){ .references = 1, .listing = request->out, .directory = directory, .bytes = bytes };
    request->out = NULL;
    return shared;
}

PyObject *
direntry_list(struct state *state, struct request *request, bool bytes)
{
    struct listing *listing = request->out;
    PyObject *list = PyList_New((Py_ssize_t)listing->count);
    struct shared *shared = list == NULL ? NULL : shared_new(request, bytes);

    if (shared == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    for (size_t i = 0; i < listing->count; i++) {
        struct direntry *entry = (struct direntry *)state->direntry_type->tp_alloc(state->direntry_type, 0);
        if (entry == NULL) {
            Py_CLEAR(list);
            break;
        }
        entry->shared = shared;
        entry->index = i;
        shared->references++;
        PyList_SET_ITEM(list, (Py_ssize_t)i, (PyObject *)entry);
    }
    shared_drop(shared);
    return list;
}

static void
direntry_dealloc(struct direntry *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(self->name);
    shared_drop(self->shared);
    type->tp_free(self);
    Py_DECREF(type);
}

static const struct entry *
get_entry(const struct direntry *self)
{
    return &self->shared->listing->entries[self->index];
}

static PyObject *
get_name(struct direntry *self, void *Py_UNUSED(closure))
{
    const struct entry *entry = get_entry(self);

    if (self->name == NULL)
        self->name = results_name(self->shared->listing->names + entry->name, entry->length, self->shared->bytes);
    return Py_XNewRef(self->name);
}

static PyObject *
get_path(struct direntry *self, void *Py_UNUSED(closure))
{
    PyObject *path = NULL, *name = get_name(self, NULL);
    const char *directory = self->shared->directory;
    PyObject *prefix = results_name(directory, (Py_ssize_t)strlen(directory), self->shared->bytes);

    if (name != NULL && prefix != NULL)
        path = PySequence_Concat(prefix, name);
    Py_XDECREF(prefix);
    Py_XDECREF(name);
    return path;
}

static PyObject *
fspath(struct direntry *self, PyObject *Py_UNUSED(ignored))
{
    return get_path(self, NULL);
}

static PyObject *
get_type(struct direntry *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(get_entry(self)->type);
}

static PyObject *
inode(struct direntry *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(get_entry(self)->inode);
}

/* The one keyword argument that these methods take; -1 with an exception. */
static int
follow_symlinks(const char *format, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = { "follow_symlinks", NULL };
    int follow = 1;

    return PyArg_ParseTupleAndKeywords(arguments, keywords, format, names, &follow) ? follow : -1;
}

static PyObject *
not_fetched(struct direntry *self, const char *what, const char *argument)
{
    PyObject *name = get_name(self, NULL);

    if (name != NULL)
        PyErr_Format(PyExc_RuntimeError, "%s of %R was not fetched: call scandir with %s", what, name, argument);
    Py_XDECREF(name);
    return NULL;
}

static PyObject *
raise_error(struct direntry *self, int error)
{
    PyObject *path = get_path(self, NULL);

    if (path != NULL) {
        errno = error;
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
        Py_DECREF(path);
    }
    return NULL;
}

static PyObject *
is_type(struct direntry *self, uint8_t type, int follow)
{
    const struct entry *entry = get_entry(self);
    bool resolved = self->shared->listing->resolved;

    if (follow < 0)
        return NULL;
    if (!resolved && (entry->own_type == DT_UNKNOWN || (follow && entry->own_type == DT_LNK)))
        return not_fetched(self, "the type", "resolve=True");
    if (follow && entry->target_error != 0)
        return raise_error(self, entry->target_error);
    return PyBool_FromLong((follow && entry->own_type == DT_LNK ? entry->target_type : entry->own_type) == type);
}

static PyObject *
is_dir(struct direntry *self, PyObject *arguments, PyObject *keywords)
{
    return is_type(self, DT_DIR, follow_symlinks("|$p:is_dir", arguments, keywords));
}

static PyObject *
is_file(struct direntry *self, PyObject *arguments, PyObject *keywords)
{
    return is_type(self, DT_REG, follow_symlinks("|$p:is_file", arguments, keywords));
}

static PyObject *
is_symlink(struct direntry *self, PyObject *Py_UNUSED(ignored))
{
    return is_type(self, DT_LNK, 0);
}

static PyObject *
get_stat(struct direntry *self, PyObject *arguments, PyObject *keywords)
{
    const struct listing *listing = self->shared->listing;
    const struct entry *entry = get_entry(self);
    int follow = follow_symlinks("|$p:stat", arguments, keywords);
    struct state *state = state_of(Py_TYPE(self));

    if (follow < 0 || state == NULL)
        return NULL;
    if (listing->stats == NULL)
        return not_fetched(self, "the status", "stat=True");
    if (follow != listing->follow_symlinks && (entry->own_type == DT_LNK || entry->own_type == DT_UNKNOWN))
        return not_fetched(self, "the status", follow ? "follow_symlinks=True" : "follow_symlinks=False");
    if (entry->error != 0)
        return raise_error(self, entry->error);
    return results_stat(state, &listing->stats[self->index]);
}

static PyObject *
direntry_repr(struct direntry *self)
{
    PyObject *text = NULL, *name = get_name(self, NULL);

    if (name != NULL)
        text = PyUnicode_FromFormat("<DirEntry %R>", name);
    Py_XDECREF(name);
    return text;
}

static PyGetSetDef getset[] = {
    { "name", (getter)get_name, NULL, "The entry's name.", NULL },
    { "path", (getter)get_path, NULL, "The path given to scandir joined with the name.", NULL },
    { "type", (getter)get_type, NULL, "The d_type as the kernel gave it.", NULL },
    { 0 },
};

static PyMethodDef methods[] = {
    { "inode", (PyCFunction)inode, METH_NOARGS, "inode($self, /)\n--\n\nThe inode number." },
    { "is_dir", (PyCFunction)(void (*)(void))is_dir, METH_VARARGS | METH_KEYWORDS,
      "is_dir($self, /, *, follow_symlinks=True)\n--\n\nIs it a directory, or a symlink to one?" },
    { "is_file", (PyCFunction)(void (*)(void))is_file, METH_VARARGS | METH_KEYWORDS,
      "is_file($self, /, *, follow_symlinks=True)\n--\n\nIs it a regular file, or a symlink to one?" },
    { "is_symlink", (PyCFunction)is_symlink, METH_NOARGS, "is_symlink($self, /)\n--\n\nIs it a symbolic link?" },
    { "stat", (PyCFunction)(void (*)(void))get_stat, METH_VARARGS | METH_KEYWORDS,
      "stat($self, /, *, follow_symlinks=True)\n--\n\nThe entry's status, if scandir was told to fetch it." },
    { "__fspath__", (PyCFunction)fspath, METH_NOARGS, "__fspath__($self, /)\n--\n\nThe path." },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_dealloc, direntry_dealloc },
    { Py_tp_repr, direntry_repr },
    { Py_tp_getset, getset },
    { Py_tp_methods, methods },
    { 0 },
};

PyType_Spec direntry_spec = {
    .name = "anyaio._engine.DirEntry",
    .basicsize = sizeof(struct direntry),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
