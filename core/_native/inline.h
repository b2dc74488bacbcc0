/* The inline lane: what the kernel can answer from memory is done in the caller, without a worker.
 *
 * Each operation that has an inline way tries it and gives up at the first surprise: then nothing has happened, and the
 * pool gives the real answer. Nothing here waits, but for what interferes with any call: security modules, fanotify. So
 * the caller times each call, and tells of one that was slow.
 */
#ifndef ANYAIO_INLINE_H
#define ANYAIO_INLINE_H

#include "request.h"

/* Has it an inline way, in this kernel and this sandbox? Asked of the kernel once, never concluded from an errno. */
bool inline_has(enum op op);

/* Which of the three calls that it needs are there, for people. */
struct inline_calls {
    bool preadv2, openat2, statx, unique_mount_ids;
};
struct inline_calls inline_calls(void);

/* Memory for a result of that many bytes, and one more. NULL: there is none. */
typedef void *(*inline_room)(void *owner, size_t size);

/* Try it. true: `value`, `error`, and `out` of a status are set; bytes are in the room that was given. false: it is for
 * the pool, as it is for a result of more than `most` bytes. */
bool inline_run(struct request *request, int64_t most, inline_room room, void *owner);

/* It slept: its mount is for the pool until that time. */
void inline_was_slow(const struct request *request, uint64_t until);

/* In a worker, for a request whose mount was not known: ask. */
void inline_learn(const struct request *request);

#endif
