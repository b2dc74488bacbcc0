/* See notifier.h. A notifier's lock is taken last.
 *
 * The descriptor is read, written and closed with the lock held, which is otherwise never done during a system call:
 * only so is `signalled` exactly what a poll(2) would see. None of the three can block, and there is one a batch.
 */
#include "notifier.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "wakefd.h"

struct notifier {
    pthread_mutex_t lock;  /* guards every field down to `closed` */
    struct queue finished;
    bool signalled;        /* the descriptor is readable */
    bool rung;
    bool closed;

    struct wakefd wakefd;
    atomic_int references;
};

static struct {
    pthread_mutex_t lock; /* guards `head` */
    struct request *head;
    atomic_bool any;      /* a hint that saves taking the lock */
} orphans = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct notifier *
notifier_new(void)
{
    struct notifier *notifier = calloc(1, sizeof *notifier);

    if (notifier == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (!wakefd_open(&notifier->wakefd)) {
        int error = errno;
        free(notifier);
        errno = error;
        return NULL;
    }
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
    return notifier->wakefd.read_fd;
}

/* Make the descriptor readable. Called with the lock held. */
static void
signal_fd(struct notifier *notifier)
{
    if (notifier->signalled || notifier->closed)
        return;
    notifier->signalled = true;
    wakefd_set(&notifier->wakefd);
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
    if (open) {
        queue_push(&notifier->finished, request);
        signal_fd(notifier);
    }
    pthread_mutex_unlock(&notifier->lock);
    return open;
}

void
notifier_wake(struct notifier *notifier)
{
    pthread_mutex_lock(&notifier->lock);
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
    pthread_mutex_lock(&notifier->lock);
    if (notifier->signalled && notifier->finished.count == 0 && !notifier->rung && !notifier->closed) {
        wakefd_clear(&notifier->wakefd);
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
        wakefd_close(&notifier->wakefd);
    notifier->closed = true;
    pthread_mutex_unlock(&notifier->lock);
}

void
notifier_close_copy(struct notifier *notifier)
{
    wakefd_close(&notifier->wakefd);
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
