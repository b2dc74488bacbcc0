/* Millions of requests with random operations, priorities, cancels and thread limits, from several engines' threads on
 * one pool, checked to come back exactly once each. Run under ThreadSanitizer and AddressSanitizer:
 *
 *     stress [REQUESTS [ENGINES [SEED]]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "notifier.h"
#include "ops.h"
#include "pool.h"

enum { IN_FLIGHT = 256, LOCKS = 4 };

static struct pool *pool;
static int file, quiet_pipe[2];
static char path[] = "/tmp/anyaio-stress-XXXXXX";

static void
check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "stress: %s (errno %d)\n", what, errno);
    abort();
}

struct slot {
    struct request *request; /* NULL when the slot is free */
    bool waiting;            /* it must come back through the notifier */
};

/* A descriptor to lock the file by, with one request at a time. */
struct lock {
    int fd;
    bool busy;
};

static atomic_int holders; /* of the lock: one at most */

struct engine {
    struct notifier *notifier;
    struct lock locks[LOCKS];
    long granted;
    struct slot slots[IN_FLIGHT];
    size_t in_flight;
    uint64_t random;
    long left;
    long counts[CANCEL_FINISHED + 1], done;
};

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct lock *
lock_of(struct engine *engine, const struct request *request)
{
    for (int i = 0; i < LOCKS; i++)
        if (ops_is_lock((enum op)request->op) && engine->locks[i].fd == request->fd[0])
            return &engine->locks[i];
    return NULL;
}

static struct request *
make_lock_request(struct engine *engine, struct lock *lock, int operation)
{
    struct request *request = request_new(OP_FLOCK);

    check(request != NULL, "out of memory");
    request->notifier = engine->notifier;
    request->fd[0] = lock->fd;
    request->n[0] = operation;
    if (operation == LOCK_UN)
        request->request_class = CLASS_MUST;
    return request;
}

static struct request *
make_request(struct engine *engine)
{
    static const enum op often[] = { OP_NOP, OP_NOP, OP_NOP, OP_PREAD, OP_STAT, OP_OPEN, OP_PWRITE, OP_NOP };
    static const enum op seldom[] = { OP_LISTDIR, OP_BUSY, OP_READ, OP_SPLICE, OP_READ_BYTES, OP_REALPATH };
    uint64_t random = next_random(&engine->random);
    enum op op = (random >> 16) % 64 == 0 ? seldom[(random >> 32) % 6] : often[(random >> 32) % 8];
    struct lock *lock = &engine->locks[(random >> 48) % LOCKS];
    struct request *request;

    if ((random >> 24) % 64 == 0 && !lock->busy && engine->left > 0) {
        lock->busy = true;
        return make_lock_request(engine, lock, LOCK_EX);
    }
    request = request_new(op);
    check(request != NULL, "out of memory");
    request->priority = (int8_t)((random >> 8) % PRIORITIES) - PRIORITY_MAX;
    request->notifier = engine->notifier;
    if (op == OP_PREAD || op == OP_PWRITE)
        request->fd[0] = file;
    if (op == OP_PREAD)
        request->n[0] = 512;
    if (op == OP_BUSY)
        request->n[0] = (int64_t)(random >> 40) % 50000;
    if (op == OP_READ || op == OP_SPLICE) { /* ends by being cancelled only */
        request->fd[0] = quiet_pipe[0];
        request->fd[1] = file;
        request->n[0] = 512;
        request->n[1] = NO_OFFSET;
    }
    if (op == OP_READ_BYTES || op == OP_REALPATH) {
        request->path[0] = strdup(path);
        request->fd[0] = AT_FDCWD;
        request->n[1] = NO_OFFSET;
    }
    if (op == OP_PWRITE) {
        static char data[512];
        request->iov = malloc(sizeof *request->iov);
        request->iov[0] = (struct iovec){ data, sizeof data };
        request->iovcnt = 1;
    }
    if (op == OP_STAT || op == OP_OPEN || op == OP_LISTDIR) {
        request->path[0] = strdup(op == OP_LISTDIR ? "/proc/self/fd" : path);
        request->fd[0] = op == OP_OPEN ? AT_FDCWD : -1;
        request->fd[1] = AT_FDCWD;
        request->n[0] = op == OP_OPEN ? O_RDONLY : 1;
    }
    return request;
}

static void
submit_in(struct engine *engine, struct slot *slot, struct request *request)
{
    slot->request = request;
    slot->request->owner = slot;
    check(pool_submit(pool, slot->request) == 0, "no thread");
    slot->waiting = true;
    engine->in_flight++;
}

static void
submit(struct engine *engine)
{
    struct slot *slot = &engine->slots[next_random(&engine->random) % IN_FLIGHT];

    if (slot->request != NULL)
        return;
    submit_in(engine, slot, make_request(engine));
    engine->left--;
}

/* A lock request has come back to the slot, which is free: unlock if it was granted. */
static void
after_lock(struct engine *engine, struct slot *slot, const struct request *request)
{
    struct lock *lock = lock_of(engine, request);

    check(lock != NULL && lock->busy, "whose lock is it?");
    if (request->interrupted || request->n[0] == LOCK_UN) {
        lock->busy = false;
        return;
    }
    check(atomic_fetch_add(&holders, 1) == 0, "two hold the lock");
    engine->granted++;
    sched_yield();
    atomic_fetch_sub(&holders, 1);
    submit_in(engine, slot, make_lock_request(engine, lock, LOCK_UN));
}

static void
cancel(struct engine *engine, struct slot *slot)
{
    bool whatever = next_random(&engine->random) % 4 == 0;
    enum cancelled result;
    struct lock *lock;

    if (slot->request == NULL)
        return;
    lock = lock_of(engine, slot->request);
    result = whatever ? pool_abandon(pool, slot->request) : pool_cancel(pool, slot->request);
    engine->counts[result]++;
    if (result == CANCEL_FINISHED || result == CANCEL_REFUSED)
        return;
    if (lock != NULL && result != CANCEL_TAKEN_BACK) /* it may still be locked, and unlocked, by this descriptor */
        lock->fd = open(path, O_RDWR | O_CLOEXEC);
    if (lock != NULL)
        lock->busy = false;
    if (result == CANCEL_TAKEN_BACK)
        request_free(slot->request);
    slot->request = NULL;
    engine->in_flight--;
}

static bool
is_quiet(uint8_t op)
{
    return op == OP_READ || op == OP_SPLICE;
}

static void
cancel_quiet_reads(struct engine *engine)
{
    for (int i = 0; i < IN_FLIGHT; i++)
        if (engine->slots[i].request != NULL && is_quiet(engine->slots[i].request->op))
            cancel(engine, &engine->slots[i]);
}

static void
poll_all(struct engine *engine)
{
    struct queue ready = { 0 };
    struct request *request;

    notifier_collect(engine->notifier, &ready);
    notifier_clear(engine->notifier);
    while ((request = queue_pop(&ready)) != NULL) {
        struct slot *slot = request->owner;
        check(slot != NULL, "an abandoned request without pins came back");
        check(slot->request == request && slot->waiting, "a request came back twice");
        check(request->error == 0 || request->interrupted || request->op == OP_LISTDIR, "a request failed");
        check(request->op != OP_PREAD || request->value == 512, "a read was short");
        slot->request = NULL;
        slot->waiting = false;
        engine->in_flight--;
        engine->done++;
        if (ops_is_lock((enum op)request->op))
            after_lock(engine, slot, request);
        notifier_drop(request->notifier);
        request_free(request);
    }
}

static void
sleep_until_ready(struct engine *engine)
{
    struct pollfd fd = { .fd = notifier_fileno(engine->notifier), .events = POLLIN };

    check(poll(&fd, 1, 60 * 1000) == 1, "nothing finished within a minute");
}

static void
change_limits(struct engine *engine)
{
    uint64_t random = next_random(&engine->random);
    struct pool_settings settings = {
        .max_parallel = 1 + random % 8,
        .max_stuck = (random >> 24) % 8,
        .max_idle = (random >> 8) % 4,
        .idle_timeout = (random >> 16) % 1000000,
    };

    pool_set(pool, &settings);
}

static void *
run(void *argument)
{
    struct engine *engine = argument;

    pool_enter(pool);
    engine->notifier = notifier_new();
    check(engine->notifier != NULL, "no descriptor");
    for (int i = 0; i < LOCKS; i++)
        check((engine->locks[i].fd = open(path, O_RDWR | O_CLOEXEC)) >= 0, "no descriptor");
    while (engine->left > 0 || engine->in_flight > 0) {
        uint64_t random = next_random(&engine->random) % 1000;
        if (random == 0)
            change_limits(engine);
        else if (random < 100)
            cancel(engine, &engine->slots[next_random(&engine->random) % IN_FLIGHT]);
        else if (random < 990 && engine->left > 0)
            submit(engine);
        else {
            /* Quiet reads may hold all workers, and those of the other engines too: everybody gives up his own. */
            cancel_quiet_reads(engine);
            if (engine->in_flight > IN_FLIGHT / 2 || (engine->left == 0 && engine->in_flight > 0))
                sleep_until_ready(engine);
            poll_all(engine);
        }
    }
    /* Close with requests on their way: who finishes late must not find freed memory. */
    for (int i = 0; i < 8; i++)
        submit(engine);
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct slot *slot = &engine->slots[i];
        if (slot->request != NULL && pool_release(pool, slot->request) == CANCEL_TAKEN_BACK)
            request_free(slot->request);
    }
    struct queue late = { 0 };
    notifier_close(engine->notifier, &late);
    for (struct request *request; (request = queue_pop(&late)) != NULL;) {
        notifier_drop(request->notifier);
        request_free(request);
    }
    notifier_drop(engine->notifier);
    pool_leave(pool);
    return NULL;
}

static long
total(const struct engine *engines, int count, enum cancelled which)
{
    long sum = 0;

    for (int i = 0; i < count; i++)
        sum += engines[i].counts[which];
    return sum;
}

int
main(int count, char **arguments)
{
    long granted = 0;
    long requests = count > 1 ? atol(arguments[1]) : 1000000;
    int engines = count > 2 ? atoi(arguments[2]) : 2;
    uint64_t seed = count > 3 ? (uint64_t)atoll(arguments[3]) : 42;
    struct pool_settings settings = { .max_parallel = 4, .max_idle = 2, .idle_timeout = 1000000 };
    struct engine *all = calloc((size_t)engines, sizeof *all);
    pthread_t *threads = calloc((size_t)engines, sizeof *threads);
    char block[4096] = { 0 };
    long done = 0;

    check(all != NULL && threads != NULL, "out of memory");
    file = mkstemp(path);
    check(pipe(quiet_pipe) == 0, "no pipe");
    check(file >= 0 && write(file, block, sizeof block) == sizeof block, "no temporary file");
    pool = pool_new(&settings);
    check(pool != NULL, "out of memory");
    for (int i = 0; i < engines; i++) {
        all[i].random = seed * 0x9e3779b97f4a7c15u + (uint64_t)i + 1;
        all[i].left = requests / engines;
        check(pthread_create(&threads[i], NULL, run, &all[i]) == 0, "no thread");
    }
    for (int i = 0; i < engines; i++) {
        pthread_join(threads[i], NULL);
        done += all[i].done;
        granted += all[i].granted;
    }
    /* The last engine has left: the workers go home. */
    for (struct pool_counts counts = { .threads = 1 }; counts.threads > 0; usleep(1000))
        pool_get(pool, NULL, &counts);
    pool_drop(pool);
    unlink(path);
    close(file);
    check(granted > 0 || requests < 10000, "no lock was granted");
    printf("%ld locks, %ld requests, %ld handed over, cancelled: %ld taken back, %ld interrupted, %ld abandoned, %ld refused, %ld too late\n",
           granted, requests / engines * engines, done, total(all, engines, CANCEL_TAKEN_BACK),
           total(all, engines, CANCEL_INTERRUPTED), total(all, engines, CANCEL_ABANDONED),
           total(all, engines, CANCEL_REFUSED), total(all, engines, CANCEL_FINISHED));
    free(all);
    free(threads);
    return 0;
}
