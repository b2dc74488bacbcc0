/* What pyuv 1.4.0, its last release, needs to be built for Python 3.11 and later:
 *
 *     CFLAGS="-include $PWD/tests/pyuv_compat.h" pip install pyuv==1.4.0
 *
 * It assigns to Py_REFCNT, and encodes a string by means that Python has dropped since.
 */
#include <Python.h>

#undef Py_REFCNT
#define Py_REFCNT(object) (((PyObject *)(object))->ob_refcnt)

#undef PyUnicode_AS_UNICODE
#undef PyUnicode_GET_SIZE
#define PyUnicode_AS_UNICODE(string) (string)
#define PyUnicode_GET_SIZE(string) 0
#define PyUnicode_EncodeUTF8(string, size, errors) PyUnicode_AsEncodedString((string), "utf-8", (errors))

#define PyEval_InitThreads()
