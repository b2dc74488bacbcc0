/* The inline lane's budget, and what is parked over it. What the lane does is inline.c's.
 *
 * The budget is the engine's, whoever submits, and is refilled at each poll. What comes when it is spent is parked: the
 * notifier is made readable, and the next poll runs it within the new budget and wakes who waits. So no worker has to,
 * and whatever else the loop has to do gets its turn.
 */
#define _GNU_SOURCE
#include "native.h"

#include <sys/resource.h>

#include "inline.h"
#include "ops.h"

static const uint64_t SLOW = 1000 * 1000;              /* ns that no answer from memory takes */
static const uint64_t AVOIDED = UINT64_C(10000000000); /* ns that the mount of a slow one is the pool's */
/* To be woken costs a task several times what its read does. So a poll wakes only some of those whose requests are parked,
 * and leaves most of the budget to them, who go on at once; the last have their turn some polls later. */
enum { TURNS = 16, FEWEST = 4 };
/* To copy more than this may take all the time of a budget, and the loop had better do something else meanwhile. */
static const Py_ssize_t LARGEST = 1024 * 1024;
static const uint64_t MOMENT = 100 * 1000;             /* ns in which a thread that only submits does not sleep */

/* An lseek waits for whoever reads or writes by the position just then, in a worker say. */
static bool
may_wait_for_position(enum op op, Py_ssize_t others)
{
    return op == OP_LSEEK && others > 0;
}

/* A close gives locks back, and a worker that closes tells who waits for one. */
static bool
may_free_locks(const struct engine *engine, enum op op)
{
    struct pool_counts counts;

    if (op != OP_CLOSE)
        return false;
    pool_get(engine->anchor->pool, NULL, &counts);
    return counts.waiting_locks > 0;
}

/* Besides so many other requests of the engine. */
static bool
suits(const struct engine *engine, enum op op, Py_ssize_t others)
{
    return !engine->pool->held && !may_wait_for_position(op, others) && !may_free_locks(engine, op);
}

bool
lane_serves(const struct engine *engine, struct options options, enum op op)
{
    return !options.pool_only && engine->budget.reqs > 0 && inline_has(op) && suits(engine, op, engine->nreqs);
}

bool
lane_still_serves(const struct request_object *object)
{
    const struct engine *engine = object->anchor->engine;

    return suits(engine, (enum op)object->op, engine->nreqs - 1);
}


bool
lane_has_room(const struct engine *engine)
{
    const struct budget *budget = &engine->budget, *spent = &engine->spent;

    return spent->reqs < budget->reqs && spent->bytes < budget->bytes && spent->time < budget->time;
}

void
lane_refill(struct engine *engine)
{
    size_t share = engine->parked.count / TURNS;

    engine->spent = (struct budget){ 0 };
    engine->unparkings = share > FEWEST ? share : FEWEST;
}

/* ---- one call ---- */

/* Room for bytes is the result itself: `owner` is where it is kept. */
static void *
give_room(void *owner, size_t size)
{
    PyObject **bytes = owner;

    if ((*bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size)) != NULL)
        return PyBytes_AS_STRING(*bytes);
    PyErr_Clear();
    return NULL;
}

static long
count_sleeps(void)
{
#ifdef RUSAGE_THREAD
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) == 0)
        return usage.ru_nvcsw;
#endif
    return 0;
}

/* A call that was slow has waited for somebody, unless it was the processor that it waited for. */
static void
look_at_slow(struct engine *engine, const struct request *request)
{
    long sleeps = count_sleeps();

    if (sleeps == engine->sleeps)
        return;
    engine->sleeps = sleeps;
    engine->slow_inline++;
    inline_was_slow(request, engine->inline_end + AVOIDED);
}

/* Was it answered? Then `*bytes` is the result, if that is bytes; else it is NULL. */
static bool
run(struct engine *engine, struct request *request, PyObject **bytes)
{
    Py_ssize_t most = engine->budget.bytes < LARGEST ? engine->budget.bytes : LARGEST;
    uint64_t began = clock_now();
    bool answered;

    if (began - engine->inline_end > MOMENT)
        engine->sleeps = count_sleeps();
    answered = inline_run(request, most, give_room, bytes);
    engine->inline_end = clock_now();
    engine->spent.reqs++;
    engine->spent.time += (double)(engine->inline_end - began) * 1e-9;
    if (engine->inline_end - began > SLOW)
        look_at_slow(engine, request);
    if (!answered || request->error != 0)
        Py_CLEAR(*bytes);
    else if (*bytes != NULL) {
        engine->spent.bytes += (Py_ssize_t)request->value;
        if (request->value != PyBytes_GET_SIZE(*bytes) && _PyBytes_Resize(bytes, (Py_ssize_t)request->value) < 0) {
            PyErr_Clear(); /* without memory: the pool may have more luck */
            answered = false;
        }
    }
    engine->inlined += answered;
    return answered;
}

bool
lane_try(struct request_object *object)
{
    return run(object->anchor->engine, object->request, &object->value);
}

PyObject *
lane_pread(struct engine *engine, int fd, int64_t size, int64_t offset)
{
    struct request request = { .op = OP_PREAD, .fd = { fd, -1 }, .n = { size, offset } };
    PyObject *bytes = NULL;

    return run(engine, &request, &bytes) ? bytes : NULL;
}

/* ---- parking ---- */

void
lane_park(struct request_object *object)
{
    struct engine *engine = object->anchor->engine;

    object->parked = true;
    queue_push(&engine->parked, object->request);
    engine->parkings++;
    notifier_wake(engine->notifier);
}

/* What must run does so, by a worker or, without one, here. */
bool
lane_leave(struct request_object *object)
{
    struct request *request = object->request;

    object->parked = false;
    queue_remove(&object->anchor->engine->parked, request);
    if (request->request_class != CLASS_MUST)
        return true;
    if (pool_submit(object->anchor->pool, request) == 0)
        return false;
    ops_run(request);
    return true;
}

struct request_object *
lane_next(struct engine *engine)
{
    struct request *request = engine->unparkings > 0 && lane_has_room(engine) ? queue_pop(&engine->parked) : NULL;
    struct request_object *object = request == NULL ? NULL : request->owner;

    if (object == NULL)
        return NULL;
    engine->unparkings--;
    object->parked = false;
    return object;
}
