/* A request, as the pool, the operations and the notifier know it. No Python here: a worker cannot touch it.
 *
 * It has one owner at a time: the submitter until it is queued, the engine while it is parked, the pool while it is
 * queued or running, the notifier while it is finished, the engine when it was taken from there. The owner alone touches the fields, except those that
 * say which lock guards them.
 */
#ifndef ANYAIO_REQUEST_H
#define ANYAIO_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ops_table.h"

struct notifier;
struct worker;

#define NO_OFFSET INT64_MIN /* what an O is that the caller left out */

enum { PRIORITY_MIN = -4, PRIORITY_MAX = 4, PRIORITIES = PRIORITY_MAX - PRIORITY_MIN + 1 };

enum request_class { CLASS_LOOK, CLASS_MAKE, CLASS_CHANGE, CLASS_MUST };

enum request_state { REQUEST_NEW, REQUEST_QUEUED, REQUEST_RUNNING, REQUEST_FINISHED };

enum request_result {
    RESULT_NONE,    /* nothing */
    RESULT_INT,     /* `value`: a count or an offset */
    RESULT_FD,      /* `value`: a descriptor, closed if nobody takes it */
    RESULT_BYTES,   /* `value` bytes at `out` */
    RESULT_STAT,    /* struct stat at `out` */
    RESULT_PATH,    /* `value` bytes at `out`, a path */
    RESULT_NAMES,   /* struct listing at `out`, of which only the names count */
    RESULT_ENTRIES, /* struct listing at `out` */
    RESULT_TRUTH,   /* `value` */
    RESULT_ATTRIBUTES, /* `value` bytes at `out`: names, each with its NUL */
    RESULT_CONTROL, /* `value`; of a buffer argument also its copy at `out`, as the call has left it */
    RESULT_STATVFS, /* struct statvfs at `out` */
    RESULT_STATX,   /* struct statx at `out` */
    RESULT_EXTENTS, /* `value` struct extents at `out` */
};

struct extent {
    uint64_t logical, physical, length;
    uint32_t flags;
};

#define OPS_ENUM(NUMBER, name, request_class, shape, result, parameters) OP_##NUMBER,
enum op { OPS(OPS_ENUM) OP_COUNT };
#undef OPS_ENUM

struct request {
    struct request *next, *prev; /* in the pool's queue or the notifier's list */
    struct notifier *notifier;   /* where it goes when it has finished; counted */
    struct worker *worker;       /* who runs it; guarded by the pool's lock */
    void *owner;                 /* the engine's object for it, NULL when abandoned; guarded by the pool's lock */
    void *pins;                  /* what holds the caller's buffers; only the engine may release it */
    uint64_t mount;              /* STATX_MNT_ID_UNIQUE of its file, if the inline lane has asked; else 0 */
    uint64_t since;              /* CLOCK_MONOTONIC ns when it was queued, then when it was begun */
    uint8_t op;                  /* enum op */
    uint8_t request_class;       /* enum request_class */
    int8_t priority;
    uint8_t state;               /* enum request_state; guarded by the pool's lock until it is finished */
    atomic_bool abandoned;       /* nobody waits for it; set under the pool's lock, looked at by long operations */
    bool interruptible;          /* its worker sits in poll(2) for it; guarded by the pool's lock */
    bool reading;                /* that is to read: without anybody who wants the bytes it must not */
    bool unwanted;               /* a cancel came while it ran; guarded by the pool's lock */
    bool interrupted;            /* it was told so in time, or dropped at exit, and did nothing */
    bool set_aside;              /* the lock that it wants is another's: it is to be tried again */
    bool waits;                  /* it is among the pool's waiting locks; guarded by the pool's lock */
    bool waited;                 /* it has been there */
    bool learn;                  /* the worker is to find out what its mount is */
    int error;                   /* errno of the failed call, or 0 */

    /* Arguments: the n-th of its kind in the operation's shape. */
    int fd[2];     /* f, d, and P or Q (-1 when it is a path) */
    int64_t n[5];  /* i, u, z, o, b, c, g, v, a; O with NO_OFFSET; s in ns; t and n as seconds and ns of both times */
    char *path[2]; /* p, and P or Q (NULL when it is a descriptor); owned. An attribute's name (x) is the second */
    struct iovec *iov; /* D, W, B, a; owned, what it points to is pinned */
    int iovcnt;

    int64_t value; /* what the call returned; what has been written so far while the rest waits for room */
    void *out;     /* result memory, owned; see enum request_result */
};

/* Every request starts zeroed; NULL without memory. */
struct request *request_new(enum op op);

/* Free what it owns, its result included: an untaken descriptor is closed. `pins` must be released before. */
void request_free(struct request *request);

/* The same, but for the request itself, of which another operation's may be made. */
void request_empty(struct request *request);
void request_reset(struct request *request, enum op op);

const char *request_name(enum op op);
enum request_result request_result_of(enum op op);

#endif
