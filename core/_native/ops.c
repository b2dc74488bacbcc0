/* See ops.h. The table of operations, and the requests that are made by it.
 *
 * What an operation does is its run_*, in a worker, without the interpreter: ops_streams.c, ops_transfers.c,
 * ops_descriptors.c, ops_fiemap.c, ops_locks.c, ops_files.c, ops_attributes.c, ops_paths.c, ops_realpath.c, ops_whole.c
 * and ops_memory.c.
 */
#define _GNU_SOURCE
#include "ops.h"

#include <errno.h>
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

struct request *
request_new(enum op op)
{
    struct request *request = malloc(sizeof *request);

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
    free(request);
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
