/* What the files that take arguments share. A reader takes one argument of one kind: 0, or -1 with an exception. */
#ifndef ANYAIO_CONVERT_H
#define ANYAIO_CONVERT_H

#include "native.h"

/* Where the arguments of one call go. */
struct reader {
    struct request_object *object;
    struct request *request;
    enum op op;
    int fds, numbers, paths; /* how many of each have been read */
    Py_ssize_t at;           /* which argument is being read */
    bool times, two_pairs;   /* a pair of times was given; one more */
};

typedef int (*read_argument)(struct reader *reader, PyObject *argument);

/* convert.c: errors that name the operation and the parameter. All return -1. */
int convert_wrong_type(const struct reader *reader, const char *wanted, PyObject *given);
int convert_wrong_value(const struct reader *reader, PyObject *error, const char *what, PyObject *given);
int convert_out_of_range(const struct reader *reader);

/* convert_numbers.c */
int convert_fd(struct reader *reader, PyObject *argument);
int convert_dir_fd(struct reader *reader, PyObject *argument);
int convert_int(struct reader *reader, PyObject *argument);
int convert_unsigned(struct reader *reader, PyObject *argument);
int convert_id(struct reader *reader, PyObject *argument);
int convert_device(struct reader *reader, PyObject *argument);
int convert_size(struct reader *reader, PyObject *argument);
int convert_offset(struct reader *reader, PyObject *argument);
int convert_optional_offset(struct reader *reader, PyObject *argument);
int convert_seconds(struct reader *reader, PyObject *argument);
int convert_truth(struct reader *reader, PyObject *argument);
int convert_order(struct reader *reader, PyObject *argument);

/* convert_times.c */
int convert_times(struct reader *reader, PyObject *argument);
int convert_nanoseconds(struct reader *reader, PyObject *argument);

/* convert_paths.c */
int convert_path(struct reader *reader, PyObject *argument);
int convert_path_or_fd(struct reader *reader, PyObject *argument);
int convert_path_or_fd_or_none(struct reader *reader, PyObject *argument);
int convert_attribute(struct reader *reader, PyObject *argument);

/* convert_buffers.c */
int convert_data(struct reader *reader, PyObject *argument);
int convert_datas(struct reader *reader, PyObject *argument);
int convert_writable(struct reader *reader, PyObject *argument);
int convert_control(struct reader *reader, PyObject *argument);
int convert_range(const char *name, struct request *request); /* narrow the buffer to an offset and a length */

#endif
