/* What pyuv 1.4.0, its last release, needs to be built for Python 3.11 and later:
 *
 *     CFLAGS="-include $PWD/tests/pyuv_compat.h" pip install pyuv==1.4.0
 *
 * It assigns to Py_REFCNT, and calls what Python has dropped since.
 */
#include <Python.h>

#undef Py_REFCNT
#define Py_REFCNT(object) (((PyObject *)(object))->ob_refcnt)

#define PyUnicode_EncodeUTF8(string, length, errors) \
    PyUnicode_AsEncodedString(PyUnicode_FromWideChar((string), (length)), "utf-8", (errors))

#define PyEval_InitThreads()
