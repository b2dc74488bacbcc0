/* The monotonic clock, and condition variables that wait by it. */
#ifndef ANYAIO_CLOCK_H
#define ANYAIO_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX

/* Nanoseconds. */
static inline uint64_t
clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void
clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Until `when`, a signal, or for no reason. */
static inline void
clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t when)
{
    struct timespec time;

    if (when == CLOCK_NEVER) {
        pthread_cond_wait(cond, lock);
        return;
    }
#ifdef __APPLE__ /* condition variables know only the other clock there */
    uint64_t now = clock_now(), left = when > now ? when - now : 0;
    clock_gettime(CLOCK_REALTIME, &time);
    when = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec + left;
#endif
    time.tv_sec = (time_t)(when / 1000000000u);
    time.tv_nsec = (long)(when % 1000000000u);
    pthread_cond_timedwait(cond, lock, &time);
}

#endif
