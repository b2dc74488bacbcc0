/* See ops.h. The table of operations, and the requests that are made by it.
 *
 * What an operation does is its run_*, in a worker, without the interpreter: ops_streams.c, ops_transfers.c,
 * ops_descriptors.c, ops_fiemap.c, ops_locks.c, ops_files.c, ops_attributes.c, ops_paths.c, ops_realpath.c, ops_whole.c
 * and ops_memory.c.
 */
#define _GNU_SOURCE
#include "ops.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inline.h"
#include "listing.h"
#include "ops_run.h"

/* ---- special ---- */

void
run_nop(struct request *request)
{
    request->value = 0;
}

void
run_busy(struct request *request)
{
    struct timespec left = { (time_t)(request->n[0] / 1000000000), (long)(request->n[0] % 1000000000) };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    void (*run)(struct request *request);
    enum request_class request_class;
    enum request_result result;
} table[OP_COUNT] = {
#define OPS_ROW(NUMBER, name, request_class, shape, result, parameters) { #name, run_##name, request_class, result },
    OPS(OPS_ROW)
#undef OPS_ROW
};

void
ops_run(struct request *request)
{
    if (request->learn)
        inline_learn(request); /* before a descriptor is closed */
    table[request->op].run(request);
}

/* ---- requests ---- */

/* Most are made and freed by one thread, an engine's, which keeps some of them: the allocator takes twice as long.
 * Nothing of this is shared, so a forked child just goes on with what its thread had. */
static _Thread_local struct {
    struct request *head;
    unsigned count;
} spare;

static pthread_key_t spare_key; /* for its destructor */
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

/* The sanitizer shall see each request's own life. */
#if defined(__SANITIZE_ADDRESS__)
enum { MOST_SPARE = 0 };
#elif defined(__has_feature)
enum { MOST_SPARE = __has_feature(address_sanitizer) ? 0 : 128 };
#else
enum { MOST_SPARE = 128 };
#endif

/* The thread ends. */
static void
free_spare(void *unused)
{
    (void)unused;
    for (struct request *request; (request = spare.head) != NULL;) {
        spare.head = request->next;
        free(request);
    }
    spare.count = MOST_SPARE; /* what another destructor frees is not kept */
}

static void
make_spare_key(void)
{
    pthread_key_create(&spare_key, free_spare);
}

static void
keep_spare(struct request *request)
{
    if (spare.count >= MOST_SPARE) {
        free(request);
        return;
    }
    if (spare.head == NULL) {
        pthread_once(&spare_once, make_spare_key);
        pthread_setspecific(spare_key, &spare);
    }
    request->next = spare.head;
    spare.head = request;
    spare.count++;
}

static struct request *
take_spare(void)
{
    struct request *request = spare.head;

    if (request == NULL)
        return malloc(sizeof *request);
    spare.head = request->next;
    spare.count--;
    return request;
}

struct request *
request_new(enum op op)
{
    struct request *request = take_spare();

    if (request != NULL)
        request_reset(request, op);
    return request;
}

void
request_reset(struct request *request, enum op op)
{
    memset(request, 0, sizeof *request);
    request->op = (uint8_t)op;
    request->request_class = (uint8_t)table[op].request_class;
    request->fd[0] = request->fd[1] = -1;
}

void
request_empty(struct request *request)
{
    enum request_result result = table[request->op].result;

    if (request->state == REQUEST_FINISHED && request->error == 0 && result == RESULT_FD && request->value >= 0)
        close((int)request->value);
    if (result == RESULT_NAMES || result == RESULT_ENTRIES)
        listing_free(request->out);
    else
        free(request->out);
    free(request->path[0]);
    free(request->path[1]);
    free(request->iov);
    request->out = request->iov = NULL;
    request->path[0] = request->path[1] = NULL;
}

void
request_free(struct request *request)
{
    request_empty(request);
    keep_spare(request);
}

const char *
request_name(enum op op)
{
    return table[op].name;
}

enum request_result
request_result_of(enum op op)
{
    return table[op].result;
}
