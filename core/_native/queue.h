/* Nine first-in-first-out lists, one for each priority, emptied from the highest down. */
#ifndef ANYAIO_QUEUE_H
#define ANYAIO_QUEUE_H

#include "request.h"

struct queue {
    struct request *head[PRIORITIES]; /* oldest first; index 0 is the highest priority */
    struct request *tail[PRIORITIES];
    unsigned filled; /* bit i is set while list i has requests */
    size_t count;
};

static inline int
queue_list(const struct request *request)
{
    return PRIORITY_MAX - request->priority;
}

static inline void
queue_push(struct queue *queue, struct request *request)
{
    int list = queue_list(request);

    request->next = NULL;
    request->prev = queue->tail[list];
    if (request->prev != NULL)
        request->prev->next = request;
    else
        queue->head[list] = request;
    queue->tail[list] = request;
    queue->filled |= 1u << list;
    queue->count++;
}

static inline void
queue_remove(struct queue *queue, struct request *request)
{
    int list = queue_list(request);

    if (request->prev != NULL)
        request->prev->next = request->next;
    else
        queue->head[list] = request->next;
    if (request->next != NULL)
        request->next->prev = request->prev;
    else
        queue->tail[list] = request->prev;
    if (queue->head[list] == NULL)
        queue->filled &= ~(1u << list);
    request->next = request->prev = NULL;
    queue->count--;
}

/* The oldest of the highest priority, or NULL. */
static inline struct request *
queue_pop(struct queue *queue)
{
    struct request *request;

    if (queue->filled == 0)
        return NULL;
    request = queue->head[__builtin_ctz(queue->filled)];
    queue_remove(queue, request);
    return request;
}

/* Append all of `from`, which is empty afterwards, to `queue`. */
static inline void
queue_splice(struct queue *queue, struct queue *from)
{
    for (int list = 0; list < PRIORITIES; list++) {
        if (from->head[list] == NULL)
            continue;
        from->head[list]->prev = queue->tail[list];
        if (queue->tail[list] != NULL)
            queue->tail[list]->next = from->head[list];
        else
            queue->head[list] = from->head[list];
        queue->tail[list] = from->tail[list];
        from->head[list] = from->tail[list] = NULL;
    }
    queue->filled |= from->filled;
    queue->count += from->count;
    from->filled = 0;
    from->count = 0;
}

/* When the longest waiting one was queued, or 0 if there is none. */
static inline uint64_t
queue_oldest(const struct queue *queue)
{
    uint64_t oldest = 0;

    for (unsigned left = queue->filled; left != 0; left &= left - 1) {
        uint64_t since = queue->head[__builtin_ctz(left)]->since;
        if (oldest == 0 || since < oldest)
            oldest = since;
    }
    return oldest;
}

#endif
