/* The operations: one small function each. Knows nothing of threads but that a wait can be cancelled (pool.h). */
#ifndef ANYAIO_OPS_H
#define ANYAIO_OPS_H

#include "request.h"

/* Make the call: sets `value`, `out` and `error`; `set_aside` of a lock that another holds. */
void ops_run(struct request *request);

/* flock, lockf and ofd_lock. */
bool ops_is_lock(enum op op);

/* Is it one of these that gives a lock back? */
bool ops_unlocks(const struct request *request);

/* Give back what a lock request was granted. false if that failed, as when its descriptor was closed meanwhile. */
bool ops_unlock(struct request *request);

/* Which file the request's descriptor is of; false if it is of none. */
struct file_id {
    uint64_t device, inode;
};
bool ops_file(const struct request *request, struct file_id *file);

/* Which file a lock that was set aside is for. */
struct file_id ops_lock_file(const struct request *request);

#endif
