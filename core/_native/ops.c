/* See ops.h. Each run_* is what one operation of the table does, in a worker, without the interpreter.
 *
 * Workers block all signals, so no call here is interrupted (EINTR).
 */
#define _GNU_SOURCE
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "listing.h"
#include "pool.h"

/* What one read(2) moves at most on Linux. */
static const int64_t TRANSFER_MAX = 0x7ffff000;

/* ---- what several of them do ---- */

static void
set_result(struct request *request, int64_t result)
{
    request->value = result;
    request->error = result < 0 ? errno : 0;
}

/* Memory for a read; its size, or -1. What was asked for may be far more than a file holds: do not ask malloc for that. */
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

/* Must the transfer be waited for in poll(2)? Files, directories and disks are always "ready". What moves nothing, or
 * fails since the descriptor is not open for that `access` (O_RDONLY or O_WRONLY), ends at once: poll(2) would wait.
 */
static bool
can_wait(int fd, int access, const struct iovec *iov, int count)
{
    struct stat st;
    int flags;

    if (moves_nothing(iov, count))
        return false;
    if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return false;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK))
        return false;
    return (flags & O_ACCMODE) == access || (flags & O_ACCMODE) == O_RDWR;
}

static ssize_t
read_at_once(int fd, const struct iovec *iov, int count)
{
#ifdef RWF_NOWAIT
    return preadv2(fd, iov, count, -1, RWF_NOWAIT);
#else
    (void)fd, (void)iov, (void)count;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

/* Read from the position on. Another reader may take what poll(2) promised: then wait again, do not sit in read(2). */
static void
read_stream(struct request *request, const struct iovec *iov, int count)
{
    ssize_t result;

    if (!can_wait(request->fd[0], O_RDONLY, iov, count)) {
        set_result(request, readv(request->fd[0], iov, count));
        return;
    }
    do {
        if (!pool_wait_ready(request, request->fd[0], POLLIN)) {
            request->error = ECANCELED;
            return;
        }
        result = read_at_once(request->fd[0], iov, count);
    } while (result < 0 && errno == EAGAIN);
    /* Not every driver knows how not to wait, nor does every sandbox let it be asked: the plain call tells. */
    set_result(request, result >= 0 ? result : readv(request->fd[0], iov, count));
}

static ssize_t
write_at_once(int fd, const struct iovec *iov, int count)
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

static void
write_plainly(struct request *request)
{
    /* Of nothing write(2) makes an empty datagram, writev(2) none. */
    if (request->op == OP_WRITE)
        set_result(request, write(request->fd[0], request->iov->iov_base, request->iov->iov_len));
    else
        set_result(request, writev(request->fd[0], request->iov, request->iovcnt));
}

/* Write all, as write(2) does for who blocks, but wait for room in poll(2): a cancel ends it there, with what went. */
static void
write_stream(struct request *request)
{
    struct iovec *iov = request->iov;
    int count = request->iovcnt;

    if (!can_wait(request->fd[0], O_WRONLY, iov, count)) {
        write_plainly(request);
        return;
    }
    while (count > 0) {
        ssize_t written;

        if (!pool_wait_ready(request, request->fd[0], POLLOUT)) {
            request->error = request->value > 0 ? 0 : ECANCELED;
            return;
        }
        written = write_at_once(request->fd[0], iov, count);
        if (written < 0 && errno == EAGAIN)
            continue;
        if (written < 0 && request->value > 0)
            return; /* the next write tells the error */
        if (written < 0) { /* of the call, or because not every driver or sandbox knows this one: the plain call tells */
            write_plainly(request);
            return;
        }
        request->value += written;
        advance(&iov, &count, (size_t)written);
    }
}

static void
status(struct request *request, int fd, const char *path, int flags)
{
    struct stat *st = malloc(sizeof *st);

    if (st == NULL) {
        request->error = ENOMEM;
        return;
    }
    request->out = st;
    set_result(request, path == NULL ? fstat(fd, st) : fstatat(fd, path, st, flags));
}

static void
list(struct request *request, const struct listing_wish *wish)
{
    struct listing *listing = NULL;
    int dir_fd = request->path[0] != NULL ? request->fd[1] : request->fd[0];
    const char *path = request->path[0] != NULL ? request->path[0] : ".";
    int fd = -1;

    if (request->path[0] == NULL && dir_fd == AT_FDCWD) /* a wrong descriptor, not the current directory */
        errno = EBADF;
    else
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        request->error = errno;
        return;
    }
    request->error = listing_read(fd, wish, &request->abandoned, &listing);
    request->out = listing;
    close(fd);
}

/* ---- special ---- */

static void
run_nop(struct request *request)
{
    request->value = 0;
}

static void
run_busy(struct request *request)
{
    struct timespec left = { (time_t)(request->n[0] / 1000000000), (long)(request->n[0] % 1000000000) };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* ---- descriptors ---- */

static void
run_open(struct request *request)
{
    int flags = (int)request->n[0] | O_CLOEXEC;

    set_result(request, openat(request->fd[0], request->path[0], flags, (mode_t)request->n[1]));
}

static void
run_close(struct request *request)
{
    /* close(2) is not retried on EINTR: on Linux the descriptor is gone all the same. */
    set_result(request, close(request->fd[0]));
}

static void
run_lseek(struct request *request)
{
    set_result(request, lseek(request->fd[0], request->n[0], (int)request->n[1]));
}

static void
run_read(struct request *request)
{
    int64_t size = allocate(request, request->n[0], -1);

    if (size >= 0)
        read_stream(request, &(struct iovec){ request->out, (size_t)size }, 1);
}

static void
run_pread(struct request *request)
{
    int64_t size = allocate(request, request->n[0], request->n[1]);

    if (size >= 0)
        set_result(request, pread(request->fd[0], request->out, (size_t)size, request->n[1]));
}

static void
run_readv(struct request *request)
{
    read_stream(request, request->iov, request->iovcnt);
}

static void
run_preadv(struct request *request)
{
    int flags = (int)request->n[1];

    if (flags == 0 && request->n[0] >= 0) {
        set_result(request, preadv(request->fd[0], request->iov, request->iovcnt, request->n[0]));
        return;
    }
#ifdef RWF_NOWAIT
    /* As os.preadv it takes -1 for the position, and moves that. */
    set_result(request, preadv2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags));
#else
    request->error = ENOSYS;
#endif
}

static void
run_write(struct request *request)
{
    write_stream(request);
}

static void
run_pwrite(struct request *request)
{
    set_result(request, pwrite(request->fd[0], request->iov[0].iov_base, request->iov[0].iov_len, request->n[0]));
}

static void
run_writev(struct request *request)
{
    write_stream(request);
}

static void
run_pwritev(struct request *request)
{
    int flags = (int)request->n[1];

    if (flags == 0 && request->n[0] >= 0) {
        set_result(request, pwritev(request->fd[0], request->iov, request->iovcnt, request->n[0]));
        return;
    }
#ifdef RWF_NOWAIT
    /* As os.pwritev it takes -1 for the position, and moves that. */
    set_result(request, pwritev2(request->fd[0], request->iov, request->iovcnt, request->n[0], flags));
#else
    request->error = ENOSYS;
#endif
}

static void
run_fsync(struct request *request)
{
    set_result(request, fsync(request->fd[0]));
}

static void
run_fdatasync(struct request *request)
{
#ifdef __APPLE__
    set_result(request, fsync(request->fd[0]));
#else
    set_result(request, fdatasync(request->fd[0]));
#endif
}

/* ---- handle or path ---- */

static void
run_stat(struct request *request)
{
    bool by_path = request->path[0] != NULL;

    status(request, request->fd[by_path], request->path[0], request->n[0] ? 0 : AT_SYMLINK_NOFOLLOW);
}

static void
run_lstat(struct request *request)
{
    status(request, request->fd[0], request->path[0], AT_SYMLINK_NOFOLLOW);
}

static void
run_fstat(struct request *request)
{
    status(request, request->fd[0], NULL, 0);
}

/* ---- paths ---- */

static void
run_listdir(struct request *request)
{
    list(request, &(struct listing_wish){ .order = ORDER_KERNEL });
}

static void
run_scandir(struct request *request)
{
    list(request, &(struct listing_wish){
                      .order = (enum order)request->n[0],
                      .stat = request->n[1],
                      .follow_symlinks = request->n[2],
                      .resolve = request->n[3],
                  });
}

static void
run_readlink(struct request *request)
{
    for (size_t size = 256;; size *= 2) {
        char *target = realloc(request->out, size);
        if (target == NULL) {
            request->error = ENOMEM;
            return;
        }
        request->out = target;
        set_result(request, readlinkat(request->fd[0], request->path[0], target, size));
        if (request->value < (int64_t)size)
            return;
    }
}

static void
run_unlink(struct request *request)
{
    set_result(request, unlinkat(request->fd[0], request->path[0], 0));
}

static void
run_mkdir(struct request *request)
{
    set_result(request, mkdirat(request->fd[0], request->path[0], (mode_t)request->n[0]));
}

static void
run_rmdir(struct request *request)
{
    set_result(request, unlinkat(request->fd[0], request->path[0], AT_REMOVEDIR));
}

static void
run_rename(struct request *request)
{
    unsigned flags = (unsigned)request->n[0];

    if (flags == 0) {
        set_result(request, renameat(request->fd[0], request->path[0], request->fd[1], request->path[1]));
        return;
    }
#ifdef SYS_renameat2
    set_result(request,
               syscall(SYS_renameat2, request->fd[0], request->path[0], request->fd[1], request->path[1], flags));
#else
    request->error = ENOSYS;
#endif
}

static void
run_pathsync(struct request *request)
{
    int fd = openat(request->fd[0], request->path[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    set_result(request, fd);
    if (fd < 0)
        return;
    set_result(request, fsync(fd));
    if (close(fd) < 0 && request->error == 0)
        request->error = errno;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    void (*run)(struct request *request);
    enum request_class request_class;
    enum request_result result;
} table[OP_COUNT] = {
#define OPS_ROW(NUMBER, name, request_class, shape, result, parameters) { #name, run_##name, request_class, result },
    OPS(OPS_ROW)
#undef OPS_ROW
};

void
ops_run(struct request *request)
{
    table[request->op].run(request);
}

struct request *
request_new(enum op op)
{
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return NULL;
    request->op = (uint8_t)op;
    request->request_class = (uint8_t)table[op].request_class;
    request->fd[0] = request->fd[1] = -1;
    return request;
}

void
request_free(struct request *request)
{
    enum request_result result = table[request->op].result;

    if (request->state == REQUEST_FINISHED && request->error == 0 && result == RESULT_FD && request->value >= 0)
        close((int)request->value);
    if (result == RESULT_NAMES || result == RESULT_ENTRIES)
        listing_free(request->out);
    else
        free(request->out);
    free(request->path[0]);
    free(request->path[1]);
    free(request->iov);
    free(request);
}

const char *
request_name(enum op op)
{
    return table[op].name;
}

enum request_result
request_result_of(enum op op)
{
    return table[op].result;
}
