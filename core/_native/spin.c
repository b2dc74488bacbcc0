/* See spin.h. */
#define _GNU_SOURCE
#include "spin.h"

#include "clock.h"

static const uint64_t SPIN = 50 * 1000; /* ns */
enum { SPIN_BACKOFF_MAX = 31, PAUSES = 32 };

static void
pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void
spin_a_moment(struct pool *pool)
{
    uint64_t until;

    if (pool->spinning || pool->processors < 2 || pool->users == 0)
        return;
    if (pool->spin_skip > 0) {
        pool->spin_skip--;
        return;
    }
    pool->spinning = true;
    pthread_mutex_unlock(&pool->lock);
    until = clock_now() + SPIN;
    /* Without sched_yield(2): where others want this processor, that may give it to them for milliseconds. */
    while (!atomic_load_explicit(&pool->waiting, memory_order_relaxed) && clock_now() < until)
        for (int i = 0; i < PAUSES; i++)
            pause_processor(); /* the other thread of the same core has it meanwhile */
    pthread_mutex_lock(&pool->lock);
    pool->spinning = false;
    if (pool->queue.count > 0) {
        pool->spin_backoff = 0;
        return;
    }
    pool->spin_backoff = pool->spin_backoff < SPIN_BACKOFF_MAX ? 2 * pool->spin_backoff + 1 : SPIN_BACKOFF_MAX;
    pool->spin_skip = pool->spin_backoff;
}
