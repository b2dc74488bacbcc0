/* Times at which notifiers are to be rung: one alarm a notifier at most. The standby keeps the time, see workers.h. */
#ifndef ANYAIO_ALARMS_H
#define ANYAIO_ALARMS_H

#include "workers.h"

/* With the pool's lock held: when is the next one due? CLOCK_NEVER without any. */
uint64_t alarms_next(const struct pool *pool);

/* With the lock held, which is released meanwhile: ring those that are due. */
void alarms_ring(struct pool *pool, uint64_t now);

/* When nobody has the pool any more. */
void alarms_free(struct pool *pool);

#endif
