/* What the CPython part shares: the module's state, the objects, and who makes and frees them. */
#ifndef ANYAIO_NATIVE_H
#define ANYAIO_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "clock.h"
#include "listing.h"
#include "notifier.h"
#include "pool.h"
#include "request.h"

struct state {
    PyTypeObject *pool_type, *engine_type, *submitter_type, *request_type, *route_type, *direntry_type;
    PyTypeObject *stat_result, *statvfs_result; /* of os */
    PyObject *statx, *extent;  /* anyaio._results' */
    PyObject *member_done;     /* the name of a group's method */
    PyObject *cancelled;       /* anyaio._request.Cancelled */
    PyObject *outcome;         /* anyaio._request.Outcome */
    PyObject *default_pool;    /* NULL until it is asked for */
    bool start_failure_told;   /* a warning is given once */
};

struct pool_object {
    PyObject_HEAD
    struct pool *pool;
    unsigned generation;
    bool held; /* max_parallel is 0, which holds everything: the inline lane too */
};

/* What requests keep of their engine: not the engine, which would never go while one of them is under way. The GIL
 * guards the count. */
struct anchor {
    Py_ssize_t references;
    struct engine *engine; /* NULL once it is gone; it is there while the request is not done */
    struct state *state;   /* lives as long as the types */
    struct pool *pool;     /* counted */
    unsigned long thread;
    unsigned generation;
};

/* What the inline lane may do, or has done, between two polls. */
struct budget {
    Py_ssize_t reqs, bytes;
    double time; /* seconds */
};

struct engine {
    PyObject_HEAD
    struct anchor *anchor;
    struct pool_object *pool;
    struct notifier *notifier;
    struct queue ready;            /* collected from the notifier, not handed over yet */
    struct request_object *flying; /* what is not done; each counted */
    PyObject *wake, *on_error, *on_room, *on_busy; /* NULL for None */
    bool closed, told_busy;
    Py_ssize_t nreqs;
    Py_ssize_t max_poll_reqs, max_outstanding; /* 0: no limit */
    double max_poll_time;
    struct request_object *spare;  /* was a request that the inline lane has answered; NULL without one */
    struct budget budget, spent;
    struct queue parked;           /* over the budget: the next poll runs them. While there are any, the notifier is readable */
    size_t unparkings;             /* how many of those this poll may still run */
    uint64_t submitted[OP_COUNT];
    uint64_t inlined, parkings, slow_inline;
    uint64_t inline_end;           /* when the last inline call had ended, CLOCK_MONOTONIC ns */
    long sleeps;                   /* how often the thread had slept before the inline calls of this moment */
    PyObject *weak_references;
};

struct options {
    double patience; /* seconds; negative: for ever */
    int8_t priority;
    bool pool_only;  /* lane="pool" */
};

struct submitter {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct engine *engine;
    PyObject *lane;
    PyObject *hold; /* called in place of a submit while the engine is full; NULL for None */
    struct options options;
};

enum status { STATUS_PENDING, STATUS_COMPLETED, STATUS_NEVER_RAN, STATUS_ABANDONED, STATUS_UNKNOWN };

struct request_object {
    PyObject_HEAD
    struct request_object *next, *prev; /* the engine's list */
    struct anchor *anchor;
    struct request *request; /* NULL when it is the pool's alone, or its result was built */
    PyObject *callback, *context;
    PyObject *waiter;
    PyObject *group;
    PyObject *paths;   /* the caller's path object, or a tuple of two; NULL without */
    PyObject *value;   /* the result or the exception, once built */
    uint64_t deadline; /* of the patience with a cancelled change; 0 without */
    float patience;    /* seconds; negative: for ever */
    uint8_t op;
    int8_t priority;
    uint8_t status;    /* enum status */
    bool done : 1;
    bool parked : 1;   /* in its engine's list of these */
    bool failed : 1;   /* `value` is an exception */
    bool building : 1; /* `value` is being made */
    bool disposed : 1; /* nobody took the descriptor: it was closed */
    bool two_paths : 1; /* `paths` is a tuple */
    bool bytes : 1;    /* the path was bytes: so are the results */
};

/* convert.c */
int convert_arguments(struct request_object *object, struct request *request, PyObject *const *arguments,
                      Py_ssize_t count);

/* convert_buffers.c */
enum { CONTROL_IN_PLACE = 4 }; /* which number tells that the buffer of fcntl and ioctl is changed in place */
void convert_copy_back(struct request *request); /* what the kernel wrote, to the caller's buffer, while it is pinned */
void convert_unpin(struct request *request);

/* results.c */
PyObject *results_build(struct state *state, struct request_object *object); /* new reference, or the OSError raised */
PyObject *results_stat(struct state *state, const struct stat *st);
PyObject *results_name(const char *name, Py_ssize_t length, bool bytes);

/* request_type.c */
extern PyType_Spec request_spec;
void request_abandon(struct request_object *object);
void request_discard(struct request *request); /* free one that nobody waits for */
PyObject *request_outcome(struct request_object *object, void *closure);

/* request_attributes.c */
extern PyGetSetDef request_attributes[];
const char *request_state_name(const struct request_object *object);

/* tell.c. A KeyboardInterrupt and its like may be set after those that tell. */
void request_detach(struct request_object *object, enum status status); /* done, without a call of anybody */
void request_tell(struct request_object *object);                       /* waiter, callback, group */
void request_tell_taken_back(struct request_object *object);            /* waiter, group */
void engine_tell_room(struct engine *engine);                           /* if there is some */
void engine_tell_busy(struct engine *engine);                           /* if that has changed */
void engine_tell_fewer(struct engine *engine);                          /* both, after requests have ended */

/* anchor.c */
struct anchor *anchor_new(struct engine *engine, struct state *state, struct pool *pool); /* NULL without memory */
void anchor_drop(struct anchor *anchor);
bool anchor_inherited(const struct anchor *anchor); /* is it a forked child's parent's? */
int anchor_check(const struct anchor *anchor);      /* 0, or RuntimeError: another thread's or another process's */
void anchor_error(struct anchor *anchor, PyObject *where); /* deal with the exception that a callback raised */
void anchor_dispose(struct anchor *anchor, int fd);        /* close a descriptor that nobody took, in a worker */
int engine_check_open(const struct engine *engine);

static inline bool
engine_full(const struct engine *engine)
{
    return engine->max_outstanding > 0 && engine->nreqs >= engine->max_outstanding;
}

/* lane.c: the inline lane */
bool lane_serves(const struct engine *engine, struct options options, enum op op);
bool lane_still_serves(const struct request_object *object); /* one that was parked meanwhile */
bool lane_has_room(const struct engine *engine);
PyObject *lane_pread(struct engine *engine, int fd, int64_t size, int64_t offset); /* NULL: it is for the pool */
bool lane_try(struct request_object *object); /* the request's result is there; bytes are `value` already */
void lane_park(struct request_object *object);
bool lane_leave(struct request_object *object); /* no longer parked: true if it will not run, else it is the pool's */
struct request_object *lane_next(struct engine *engine); /* one that was parked, and may be tried now; or NULL */
void lane_refill(struct engine *engine);

/* submit.c */

/* What the inline lane may give the caller at once; all else comes with a request. */
enum at_once { EVERYTHING, RESULTS, NOTHING };

/* New reference, to a result or to a request. */
PyObject *submit_request(struct engine *engine, struct options options, enum at_once at_once, PyObject *number,
                         PyObject *callback, PyObject *const *arguments, Py_ssize_t count);

/* A nop that is finished already: it goes to the notifier, and no worker sees it. */
PyObject *submit_finished(struct engine *engine, struct options options, PyObject *callback);

/* The result, if the inline lane has it at once, whichever loop of this thread asks. NULL, and maybe an exception: without
 * one nothing has happened, and it is to be submitted as ever. `arguments` begin with the operation's number. */
PyObject *submit_at_once(struct engine *engine, struct options options, PyObject *const *arguments, Py_ssize_t count);

/* submitter.c */
extern PyType_Spec submitter_spec;
extern const struct options submit_defaults;
struct anchor *submitter_anchor(PyObject *object); /* its engine's, if it is a submitter with nothing of its own */
PyObject *engine_queue(struct engine *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *engine_submitter(struct engine *self, PyObject *arguments, PyObject *keywords);

/* route.c */
extern PyType_Spec route_spec;

/* engine_settings.c */
extern PyGetSetDef engine_settings[];
PyObject *engine_stats(struct engine *self, PyObject *ignored);

/* poll.c */
PyObject *engine_poll(struct engine *self, PyObject *ignored);
PyObject *engine_wait(struct engine *self, PyObject *arguments, PyObject *keywords);
PyObject *engine_flush(struct engine *self, PyObject *ignored);
void engine_unlist(struct engine *engine, struct request *request); /* one that is finished: it is the caller's */
void engine_free_orphans(void);

/* engine.c */
extern PyType_Spec engine_spec;

/* pool_type.c */
extern PyType_Spec pool_spec;
PyObject *pool_default(struct state *state); /* borrowed reference */

/* direntry.c */
extern PyType_Spec direntry_spec;
PyObject *direntry_list(struct state *state, struct request *request, bool bytes); /* takes the listing over */

/* module.c */
struct state *state_of(PyTypeObject *type);

#endif
