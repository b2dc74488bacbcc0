/* To sleep and to be woken costs both sides some microseconds, which is more than many a request: a worker that has
 * nothing to do looks a moment longer before it goes to sleep. One at a time, and only while that pays: after a miss the
 * next times are skipped, after more misses more of them.
 */
#ifndef ANYAIO_SPIN_H
#define ANYAIO_SPIN_H

#include "workers.h"

/* With the lock held, which is released meanwhile. */
void spin_a_moment(struct pool *pool);

#endif
