/* See notifier.h. A notifier's lock is taken last.
 *
 * The descriptor is read, written and closed with the lock held, which is otherwise never done during a system call:
 * only so is `signalled` exactly what a poll(2) would see. None of the three can block, and there is one a batch.
 */
#define _GNU_SOURCE
#include "notifier.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

struct notifier {
    pthread_mutex_t lock;  /* guards every field down to `closed` */
    struct queue finished;
    bool signalled;        /* the descriptor is readable */
    bool rung;
    bool closed;

    int read_fd, write_fd; /* the same for an eventfd */
    atomic_int references;
};

static struct {
    pthread_mutex_t lock; /* guards `head` */
    struct request *head;
    atomic_bool any;      /* a hint that saves taking the lock */
} orphans = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int
open_pipe(int fds[2])
{
#ifdef __linux__
    return pipe2(fds, O_NONBLOCK | O_CLOEXEC);
#else
    if (pipe(fds) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
#endif
}

struct notifier *
notifier_new(void)
{
    struct notifier *notifier = calloc(1, sizeof *notifier);
    int fds[2] = { -1, -1 };

    if (notifier == NULL) {
        errno = ENOMEM;
        return NULL;
    }
#ifdef __linux__
    /* Anything but success means a pipe: sandboxes refuse eventfd with various errors. */
    fds[0] = fds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
#endif
    if (fds[0] < 0 && open_pipe(fds) < 0) {
        int error = errno;
        free(notifier);
        errno = error;
        return NULL;
    }
    notifier->read_fd = fds[0];
    notifier->write_fd = fds[1];
    pthread_mutex_init(&notifier->lock, NULL);
    atomic_init(&notifier->references, 1);
    return notifier;
}

void
notifier_hold(struct notifier *notifier)
{
    atomic_fetch_add_explicit(&notifier->references, 1, memory_order_relaxed);
}

void
notifier_drop(struct notifier *notifier)
{
    if (atomic_fetch_sub_explicit(&notifier->references, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}

int
notifier_fileno(const struct notifier *notifier)
{
    return notifier->read_fd;
}

const char *
notifier_kind(const struct notifier *notifier)
{
    return notifier->read_fd == notifier->write_fd ? "eventfd" : "pipe";
}

static void
close_fds(const struct notifier *notifier)
{
    close(notifier->read_fd);
    if (notifier->write_fd != notifier->read_fd)
        close(notifier->write_fd);
}

/* Make the descriptor readable. Called with the lock held. */
static void
signal_fd(struct notifier *notifier)
{
    uint64_t one = 1;
    size_t size = notifier->write_fd == notifier->read_fd ? sizeof one : 1;

    if (notifier->signalled || notifier->closed)
        return;
    notifier->signalled = true;
    while (write(notifier->write_fd, &one, size) < 0 && errno == EINTR)
        ;
}

void
notifier_bury(struct request *request)
{
    struct notifier *notifier = request->notifier;

    request->notifier = NULL;
    if (request->pins == NULL)
        request_free(request);
    else {
        pthread_mutex_lock(&orphans.lock);
        request->next = orphans.head;
        orphans.head = request;
        atomic_store(&orphans.any, true);
        pthread_mutex_unlock(&orphans.lock);
    }
    notifier_drop(notifier);
}

bool
notifier_push(struct notifier *notifier, struct request *request)
{
    bool open;

    pthread_mutex_lock(&notifier->lock);
    open = !notifier->closed;
    if (open)
        queue_push(&notifier->finished, request);
    pthread_mutex_unlock(&notifier->lock);
    return open;
}

void
notifier_signal(struct notifier *notifier)
{
    pthread_mutex_lock(&notifier->lock);
    if (notifier->finished.count > 0)
        signal_fd(notifier);
    pthread_mutex_unlock(&notifier->lock);
}

void
notifier_ring(struct notifier *notifier)
{
    pthread_mutex_lock(&notifier->lock);
    notifier->rung = true;
    signal_fd(notifier);
    pthread_mutex_unlock(&notifier->lock);
}

bool
notifier_rung(struct notifier *notifier)
{
    bool rung;

    pthread_mutex_lock(&notifier->lock);
    rung = notifier->rung;
    notifier->rung = false;
    pthread_mutex_unlock(&notifier->lock);
    return rung;
}

void
notifier_collect(struct notifier *notifier, struct queue *into)
{
    pthread_mutex_lock(&notifier->lock);
    queue_splice(into, &notifier->finished);
    pthread_mutex_unlock(&notifier->lock);
}

void
notifier_clear(struct notifier *notifier)
{
    char sink[64];

    pthread_mutex_lock(&notifier->lock);
    if (notifier->signalled && notifier->finished.count == 0 && !notifier->rung && !notifier->closed) {
        while (read(notifier->read_fd, sink, sizeof sink) < 0 && errno == EINTR)
            ;
        notifier->signalled = false;
    }
    pthread_mutex_unlock(&notifier->lock);
}

size_t
notifier_count(struct notifier *notifier)
{
    size_t count;

    pthread_mutex_lock(&notifier->lock);
    count = notifier->finished.count;
    pthread_mutex_unlock(&notifier->lock);
    return count;
}

void
notifier_close(struct notifier *notifier, struct queue *into)
{
    pthread_mutex_lock(&notifier->lock);
    queue_splice(into, &notifier->finished);
    if (!notifier->closed)
        close_fds(notifier);
    notifier->closed = true;
    pthread_mutex_unlock(&notifier->lock);
}

void
notifier_close_copy(struct notifier *notifier)
{
    close_fds(notifier);
}

struct request *
notifier_take_orphans(void)
{
    struct request *head;

    if (!atomic_load_explicit(&orphans.any, memory_order_relaxed))
        return NULL;
    pthread_mutex_lock(&orphans.lock);
    head = orphans.head;
    orphans.head = NULL;
    atomic_store(&orphans.any, false);
    pthread_mutex_unlock(&orphans.lock);
    return head;
}

void
notifier_forget_orphans(void)
{
    pthread_mutex_init(&orphans.lock, NULL);
    orphans.head = NULL;
    atomic_store(&orphans.any, false);
}
