/* The operations that read and write one descriptor. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "pool.h"

/* Memory for a read; its size, or -1. What was asked for may be far more than a file holds: malloc is not asked for
 * that. */
static int64_t
allocate(struct request *request, int64_t size, int64_t offset)
{
    const int64_t large = 1 << 20, slack = 1 << 16;
    struct stat st;

    if (size < 0) {
        request->error = EINVAL;
        return -1;
    }
    if (size > TRANSFER_MAX)
        size = TRANSFER_MAX;
    if (size > large && fstat(request->fd[0], &st) == 0 && S_ISREG(st.st_mode)) {
        int64_t left = st.st_size > offset ? st.st_size - (offset > 0 ? offset : 0) : 0;
        left = left < TRANSFER_MAX ? left + slack : TRANSFER_MAX;
        if (left < large) /* files of /proc say that they are empty, and some fail with ENOMEM if asked for 2 GB */
            left = large;
        size = left < size ? left : size;
    }
    if ((request->out = malloc(size > 0 ? (size_t)size : 1)) == NULL) {
        request->error = ENOMEM;
        return -1;
    }
    return size;
}

static bool
moves_nothing(const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len > 0)
            return false;
    return true;
}

/* Files, directories and disks are always "ready". */
bool
ops_can_wait(int fd, int access)
{
    struct stat st;
    int flags;

    if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return false;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK))
        return false;
    return (flags & O_ACCMODE) == access || (flags & O_ACCMODE) == O_RDWR;
}

ssize_t
ops_read_at_once(int fd, const struct iovec *iov, int count)
{
#ifdef RWF_NOWAIT
    return preadv2(fd, iov, count, -1, RWF_NOWAIT);
#else
    (void)fd, (void)iov, (void)count;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

/* Another reader may take what poll(2) promised: then wait again, do not sit in read(2). */
ssize_t
ops_read(struct request *request, int fd, const struct iovec *iov, int count)
{
    ssize_t result;

    if (moves_nothing(iov, count) || !ops_can_wait(fd, O_RDONLY))
        return readv(fd, iov, count);
    do {
        if (!pool_wait_ready(request, fd, POLLIN)) {
            errno = ECANCELED;
            return -1;
        }
        result = ops_read_at_once(fd, iov, count);
    } while (result < 0 && errno == EAGAIN);
    /* Not every driver knows how not to wait, nor does every sandbox let it be asked: the plain call tells. */
    return result >= 0 ? result : readv(fd, iov, count);
}

ssize_t
ops_write_at_once(int fd, const struct iovec *iov, int count)
{
#ifdef RWF_NOWAIT
    return pwritev2(fd, iov, count, -1, RWF_NOWAIT);
#else
    (void)fd, (void)iov, (void)count;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

/* Skip what was written. */
static void
advance(struct iovec **iov, int *count, size_t written)
{
    for (; *count > 0 && written >= (*iov)->iov_len; (*iov)++, (*count)--)
        written -= (*iov)->iov_len;
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + written;
        (*iov)->iov_len -= written;
    }
}

/* Where the call that does not wait is unknown, as of FIFOs: into a pipe that has room goes as much as it writes
 * atomically, and no more of it is tried; elsewhere the plain call tells. */
static ssize_t
write_with_room(int fd, const struct iovec *iov, int count)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
        return write(fd, iov->iov_base, iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF);
    return writev(fd, iov, count);
}

/* As write(2) does for who blocks, but it waits for room in poll(2). */
int
ops_write_all(struct request *request, int fd, struct iovec *iov, int count)
{
    bool at_once = true;

    for (advance(&iov, &count, 0); count > 0;) {
        ssize_t written;

        if (!pool_wait_ready(request, fd, POLLOUT))
            return ECANCELED;
        written = at_once ? ops_write_at_once(fd, iov, count) : write_with_room(fd, iov, count);
        if (written < 0 && errno == EAGAIN)
            continue;
        if (written < 0 && at_once && request->value == 0) { /* not every driver or sandbox knows this one */
            at_once = false;
            continue;
        }
        if (written < 0)
            return errno;
        request->value += written;
        advance(&iov, &count, (size_t)written);
    }
    return 0;
}

static void
write_stream(struct request *request)
{
    int fd = request->fd[0], error;

    if (!moves_nothing(request->iov, request->iovcnt) && ops_can_wait(fd, O_WRONLY)) {
        error = ops_write_all(request, fd, request->iov, request->iovcnt);
        request->error = request->value > 0 ? 0 : error; /* the next write tells the error */
    } else if (request->op == OP_WRITE) /* of nothing write(2) makes an empty datagram, writev(2) none */
        ops_set_result(request, write(fd, request->iov->iov_base, request->iov->iov_len));
    else
        ops_set_result(request, writev(fd, request->iov, request->iovcnt));
}

/* ---- operations ---- */

void
run_read(struct request *request)
{
    int64_t size = allocate(request, request->n[0], -1);

    if (size >= 0)
        ops_set_result(request, ops_read(request, request->fd[0], &(struct iovec){ request->out, (size_t)size }, 1));
}

void
run_pread(struct request *request)
{
    int64_t size = allocate(request, request->n[0], request->n[1]);

    if (size >= 0)
        ops_set_result(request, pread(request->fd[0], request->out, (size_t)size, request->n[1]));
}

void
run_readv(struct request *request)
{
    ops_set_result(request, ops_read(request, request->fd[0], request->iov, request->iovcnt));
}

void
run_preadv(struct request *request)
{
    int flags = (int)request->n[1];

    if (flags == 0 && request->n[0] >= 0) {
        ops_set_result(request, preadv(request->fd[0], request->iov, request->iovcnt, request->n[0]));
        return;
    }
#ifdef RWF_NOWAIT
    /* As os.preadv it takes -1 for the position, and moves that. */
    ops_set_result(request, preadv2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags));
#else
    ops_not_here(request);
#endif
}

void
run_write(struct request *request)
{
    write_stream(request);
}

void
run_pwrite(struct request *request)
{
    ops_set_result(request, pwrite(request->fd[0], request->iov[0].iov_base, request->iov[0].iov_len, request->n[0]));
}

void
run_writev(struct request *request)
{
    write_stream(request);
}

void
run_pwritev(struct request *request)
{
    int flags = (int)request->n[1];

    if (flags == 0 && request->n[0] >= 0) {
        ops_set_result(request, pwritev(request->fd[0], request->iov, request->iovcnt, request->n[0]));
        return;
    }
#ifdef RWF_NOWAIT
    /* As os.pwritev it takes -1 for the position, and moves that. */
    ops_set_result(request, pwritev2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags));
#else
    ops_not_here(request);
#endif
}
