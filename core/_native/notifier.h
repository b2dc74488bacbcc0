/* Where finished requests wait for the engine's thread, and the descriptor that tells of them.
 *
 * The descriptor is readable exactly while something waits. It is written once a batch: when nothing waited before.
 * A notifier is counted: each request on its way holds one reference, so that a late worker finds it.
 */
#ifndef ANYAIO_NOTIFIER_H
#define ANYAIO_NOTIFIER_H

#include "queue.h"

struct notifier;

/* NULL with errno when no descriptor can be had. */
struct notifier *notifier_new(void);
void notifier_hold(struct notifier *notifier);
void notifier_drop(struct notifier *notifier);
int notifier_fileno(const struct notifier *notifier);

/* For workers: hand a request over, with the reference it holds; false if nobody will poll any more. */
bool notifier_push(struct notifier *notifier, struct request *request);

/* Free a finished request that nobody wants, with the reference it holds. If it has pins it becomes an orphan. */
void notifier_bury(struct request *request);

/* For the pool's timer: make the engine poll, and look at its patience. */
void notifier_ring(struct notifier *notifier);

/* For the engine's thread. */
void notifier_wake(struct notifier *notifier);                        /* it has something to do of its own */
void notifier_collect(struct notifier *notifier, struct queue *into); /* move what is finished there */
bool notifier_rung(struct notifier *notifier);                        /* was it rung since the last call? */
void notifier_clear(struct notifier *notifier); /* nothing waits any more: the descriptor is readable no longer */
size_t notifier_count(struct notifier *notifier);

/* Nobody will poll any more. What is finished goes to `into`, what finishes later is freed by its worker. */
void notifier_close(struct notifier *notifier, struct queue *into);

/* In a forked child: close the child's copy of the descriptor, and touch nothing else. */
void notifier_close_copy(struct notifier *notifier);

/* Requests whose engine is gone but whose pins only a thread with Python may release; a list by `next`. */
struct request *notifier_take_orphans(void);
void notifier_forget_orphans(void); /* in a forked child: they are its parent's */

#endif
