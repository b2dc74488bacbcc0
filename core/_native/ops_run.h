/* What the files of operations share. A run_* sets the request's `value`, `out` and `error`.
 *
 * Workers block all signals, so no call here is interrupted (EINTR).
 */
#ifndef ANYAIO_OPS_RUN_H
#define ANYAIO_OPS_RUN_H

#include <errno.h>
#include <sys/types.h>

#include "request.h"

#define OPS_PROTOTYPE(NUMBER, name, request_class, shape, result, parameters) void run_##name(struct request *request);
OPS(OPS_PROTOTYPE)
#undef OPS_PROTOTYPE

/* What one read(2) moves at most on Linux. */
static const int64_t TRANSFER_MAX = 0x7ffff000;

/* What a call returned: its errno if that is negative. */
static inline void
ops_set_result(struct request *request, int64_t result)
{
    request->value = result;
    request->error = result < 0 ? errno : 0;
}

/* For a call that is not there. */
static inline void
ops_not_here(struct request *request)
{
    request->error = ENOSYS;
}

/* Must a transfer be waited for in poll(2)? Not if the descriptor is not open for that `access` (O_RDONLY, O_WRONLY):
 * then the call fails at once, and poll(2) would wait. */
bool ops_can_wait(int fd, int access);

/* For one that can be waited for: the call that does not wait but ends with EAGAIN. Not every driver knows it, nor does
 * every sandbox let it through: then it is EOPNOTSUPP, ENOSYS, EINVAL or ESPIPE. */
ssize_t ops_read_at_once(int fd, const struct iovec *iov, int count);
ssize_t ops_write_at_once(int fd, const struct iovec *iov, int count);

/* Read from the position on, or -1: with ECANCELED if the request was cancelled before there was anything. */
ssize_t ops_read(struct request *request, int fd, const struct iovec *iov, int count);

/* Write the whole of `iov`, which is used up, to a descriptor that can be waited for. 0, or the errno that stopped it,
 * ECANCELED for a cancel. `value` is what went. */
int ops_write_all(struct request *request, int fd, struct iovec *iov, int count);

enum { OPS_LINK_SIZE = 32 };

/* The way to a file by its descriptor, even by an O_PATH one. */
void ops_link_of(int fd, char link[OPS_LINK_SIZE]);

#endif
