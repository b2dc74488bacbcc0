/* What is known of mounts: whether what is cached of their files can be had without waiting for anything.
 *
 * The key is STATX_MNT_ID_UNIQUE (Linux 6.8), which is never used again: a st_dev and an ordinary mount id are, after a
 * remount. Where the kernel has none, no mount is ever known. The table is the process's; all of it is atomic, for any
 * thread may look, and a worker learns.
 */
#ifndef ANYAIO_MOUNTS_H
#define ANYAIO_MOUNTS_H

#include <stdint.h>

enum mount_kind {
    MOUNT_UNKNOWN, /* a worker has to ask fstatfs(2), for that can block */
    MOUNT_OTHER,   /* it may ask somebody: a server, a daemon; or it was slow a moment ago */
    MOUNT_LOCAL,   /* a file system on a device of this machine: its caches answer at once */
    MOUNT_MEMORY,  /* a local one that has nothing but caches */
};

enum mount_kind mounts_kind(uint64_t id);

/* In a worker: the descriptor is of a file of this mount. */
void mounts_learn(uint64_t id, int fd);

/* A call that should have had its answer from memory did not: until that time, CLOCK_MONOTONIC ns, the mount is as others
 * are. */
void mounts_avoid(uint64_t id, uint64_t until);

#endif
