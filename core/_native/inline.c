/* See inline.h. What stands for something in the kernel's words is in openat2(2), statx(2) and preadv2(2). */
#define _GNU_SOURCE
#include "inline.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mounts.h"

#if defined(__linux__) && defined(RWF_NOWAIT)

#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* ---- the kernel's calls ---- */

#ifndef SYS_openat2 /* the same number on all machines */
#define SYS_openat2 437
#endif

/* openat2(2), Linux 5.6, and RESOLVE_CACHED of 5.12: headers may be older. */
struct how {
    uint64_t flags, mode, resolve;
};
static const uint64_t FROM_CACHE = 0x20;

/* statx(2)'s, as the kernel has it: that of libc may be older, and so may be its function, which makes up for a kernel
 * without it by calls that wait. */
struct status_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t unused;
};

struct status {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, unused;
    uint64_t ino, size, blocks, attributes_mask;
    struct status_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount;
    uint64_t later[13];
};
static_assert(sizeof(struct status) == 256, "as statx(2) fills it");

enum { BASIC = 0x7ff, UNIQUE_MOUNT_ID = 0x4000, DONT_SYNC = 0x4000 };

static int
open_cached(int dir_fd, const char *path, int flags)
{
    struct how how = { .flags = (uint64_t)flags | O_CLOEXEC, .resolve = FROM_CACHE };

    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

/* `mount` is 0 where the kernel has none. */
static bool
get_status(int fd, struct status *status)
{
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | DONT_SYNC, BASIC | UNIQUE_MOUNT_ID, status) < 0)
        return false;
    if (!(status->mask & UNIQUE_MOUNT_ID))
        status->mount = 0;
    return (status->mask & BASIC) == BASIC;
}

/* ---- which calls are there ---- */

static struct inline_calls calls;
static pthread_once_t probed = PTHREAD_ONCE_INIT;

static void
probe(void)
{
    struct status status;
    char byte;
    int saved = errno, fd = open("/", O_PATH | O_CLOEXEC), cached;

    calls.statx = fd >= 0 && get_status(fd, &status);
    calls.unique_mount_ids = calls.statx && status.mount != 0;
    cached = open_cached(AT_FDCWD, "/", O_PATH);
    calls.openat2 = cached >= 0 || errno == EAGAIN;
    /* Of one that cannot be read it is EBADF; of a call that is not there, or forbidden, never. */
    calls.preadv2 = fd >= 0 && preadv2(fd, &(struct iovec){ &byte, 1 }, 1, 0, RWF_NOWAIT) < 0 && errno == EBADF;
    if (cached >= 0)
        close(cached);
    if (fd >= 0)
        close(fd);
    errno = saved;
}

struct inline_calls
inline_calls(void)
{
    pthread_once(&probed, probe);
    return calls;
}

/* ---- what is known of a file ---- */

/* May what is cached of it be had at once? If nobody knows, the worker that gets the request asks. */
static enum mount_kind
kind_of(struct request *request, const struct status *status)
{
    enum mount_kind kind = mounts_kind(status->mount);

    request->mount = status->mount;
    request->learn = kind == MOUNT_UNKNOWN;
    return kind;
}

static bool
is_local(struct request *request, const struct status *status)
{
    return kind_of(request, status) >= MOUNT_LOCAL;
}

/* A path was not walked to its end: is that the answer? */
static bool
is_final(struct request *request)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case ELOOP:
    case ENAMETOOLONG:
        request->error = errno;
        request->value = -1;
        return true;
    default:
        return false;
    }
}

/* ---- status ---- */

static struct timespec
as_timespec(struct status_time time)
{
    return (struct timespec){ (time_t)time.seconds, (long)time.nanoseconds };
}

static bool
answer_status(struct request *request, const struct status *status)
{
    struct stat *st = calloc(1, sizeof *st);

    if (st == NULL)
        return false;
    st->st_dev = makedev(status->dev_major, status->dev_minor);
    st->st_rdev = makedev(status->rdev_major, status->rdev_minor);
    st->st_ino = (ino_t)status->ino;
    st->st_mode = status->mode;
    st->st_nlink = (nlink_t)status->nlink;
    st->st_uid = status->uid;
    st->st_gid = status->gid;
    st->st_size = (off_t)status->size;
    st->st_blksize = (blksize_t)status->blksize;
    st->st_blocks = (blkcnt_t)status->blocks;
    st->st_atim = as_timespec(status->atime);
    st->st_mtim = as_timespec(status->mtime);
    st->st_ctim = as_timespec(status->ctime);
    request->out = st;
    return true;
}

static bool
status_of_fd(struct request *request, int fd)
{
    struct status status;

    return fd >= 0 && get_status(fd, &status) && is_local(request, &status) && answer_status(request, &status);
}

static bool
status_of_path(struct request *request, int dir_fd, const char *path, int flags)
{
    int fd = open_cached(dir_fd, path, O_PATH | flags);
    bool answered;

    if (fd < 0)
        return is_final(request);
    answered = status_of_fd(request, fd);
    close(fd);
    return answered;
}

static bool
try_stat(struct request *request, int64_t most, inline_room room, void *owner)
{
    (void)most, (void)room, (void)owner;
    if (request->path[0] == NULL)
        return status_of_fd(request, request->fd[0]);
    return status_of_path(request, request->fd[1], request->path[0], request->n[0] ? 0 : O_NOFOLLOW);
}

static bool
try_lstat(struct request *request, int64_t most, inline_room room, void *owner)
{
    (void)most, (void)room, (void)owner;
    return status_of_path(request, request->fd[0], request->path[0], O_NOFOLLOW);
}

static bool
try_fstat(struct request *request, int64_t most, inline_room room, void *owner)
{
    (void)most, (void)room, (void)owner;
    return status_of_fd(request, request->fd[0]);
}

/* ---- reading ---- */

static ssize_t
read_cached(struct request *request, int fd, void *bytes, size_t size, off_t offset)
{
    struct status status;
    ssize_t count = preadv2(fd, &(struct iovec){ bytes, size }, 1, offset, RWF_NOWAIT);

    if (count >= 0 || errno != EOPNOTSUPP)
        return count;
    /* tmpfs does not know how not to wait, and never has to. */
    if (!calls.statx || !get_status(fd, &status) || kind_of(request, &status) != MOUNT_MEMORY || !S_ISREG(status.mode))
        return -1;
    return pread(fd, bytes, size, offset);
}

static bool
is_at_end(int fd, int64_t position)
{
    struct status status;

    return calls.statx && get_status(fd, &status) && S_ISREG(status.mode) && position >= (int64_t)status.size;
}

static bool
try_pread(struct request *request, int64_t most, inline_room room, void *owner)
{
    int64_t size = request->n[0], offset = request->n[1];
    ssize_t count;
    void *bytes;

    if (size < 0 || size > most || offset < 0 || offset > INT64_MAX - size || (bytes = room(owner, (size_t)size)) == NULL)
        return false;
    count = read_cached(request, request->fd[0], bytes, (size_t)size, offset);
    /* What was short may go on where the cache ends. */
    if (count < 0 || (count < size && !is_at_end(request->fd[0], offset + count)))
        return false;
    request->value = count;
    return true;
}

/* ---- opening and closing ---- */

/* Open what is a regular file or a directory of a local mount. A lease of somebody makes an open wait unless it is by
 * O_NONBLOCK, and what is named may have become another file since it was looked at: a FIFO, even, which O_NONBLOCK
 * opens at once as well. -1: it cannot be done here, unless `error` is set. */
static int
open_at_once(struct request *request, int dir_fd, const char *path, int flags, struct status *status)
{
    int fd = open_cached(dir_fd, path, O_PATH | (flags & (O_NOFOLLOW | O_DIRECTORY)));
    bool suits;

    if (fd < 0) {
        is_final(request);
        return -1;
    }
    suits = get_status(fd, status) && (S_ISREG(status->mode) || S_ISDIR(status->mode)) && is_local(request, status);
    close(fd);
    if (!suits)
        return -1;
    if ((fd = open_cached(dir_fd, path, flags | O_NONBLOCK)) < 0) {
        is_final(request);
        return -1;
    }
    suits = get_status(fd, status) && (S_ISREG(status->mode) || S_ISDIR(status->mode)) && is_local(request, status);
    if (suits)
        return fd;
    close(fd);
    return -1;
}

static bool
try_open(struct request *request, int64_t most, inline_room room, void *owner)
{
    const int64_t known = O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY | O_NONBLOCK | O_NOATIME | O_NOCTTY | O_LARGEFILE;
    int flags = (int)request->n[0], fd;
    struct status status;

    (void)most, (void)room, (void)owner;
    if ((request->n[0] & ~known) != 0) /* O_RDONLY is 0 */
        return false;
    fd = open_at_once(request, request->fd[0], request->path[0], flags, &status);
    if (fd < 0)
        return request->error != 0;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags & O_NOATIME) < 0) {
        close(fd);
        return false;
    }
    request->value = fd;
    return true;
}

static bool
try_read_bytes(struct request *request, int64_t most, inline_room room, void *owner)
{
    int64_t offset = request->n[0], length = request->n[1], left, size;
    struct status status;
    ssize_t count = -1;
    void *bytes;
    int fd;

    if (offset < 0 || (length < 0 && length != NO_OFFSET))
        return false;
    fd = open_at_once(request, request->fd[0], request->path[0], O_NOCTTY, &status);
    if (fd < 0)
        return request->error != 0;
    left = (int64_t)status.size > offset ? (int64_t)status.size - offset : 0;
    size = length == NO_OFFSET || length > left ? left + 1 : length; /* one more shows that it is the end */
    if (S_ISREG(status.mode) && size <= most && (bytes = room(owner, (size_t)size)) != NULL)
        count = read_cached(request, fd, bytes, (size_t)size, offset);
    close(fd);
    if (count < 0 || count != (size > left ? left : size))
        return false;
    request->value = count;
    return true;
}

/* The last close of an unlinked file frees its blocks; that of one that was written to may flush it. */
static bool
try_close(struct request *request, int64_t most, inline_room room, void *owner)
{
    struct status status;
    int fd = request->fd[0], flags = fcntl(fd, F_GETFL);

    (void)most, (void)room, (void)owner;
    if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || !get_status(fd, &status))
        return false;
    if (!S_ISREG(status.mode) || status.nlink == 0 || !is_local(request, &status))
        return false;
    request->value = close(fd);
    request->error = request->value < 0 ? errno : 0;
    return true;
}

static bool
try_lseek(struct request *request, int64_t most, inline_room room, void *owner)
{
    struct status status;
    int whence = (int)request->n[1];

    (void)most, (void)room, (void)owner;
    if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END)
        return false;
    if (!get_status(request->fd[0], &status) || !S_ISREG(status.mode) || !is_local(request, &status))
        return false;
    request->value = lseek(request->fd[0], request->n[0], whence);
    request->error = request->value < 0 ? errno : 0;
    return true;
}

/* ---- the table ---- */

enum { NEEDS_PREADV2 = 1, NEEDS_OPENAT2 = 2, NEEDS_STATX = 4 };

static const struct {
    bool (*run)(struct request *request, int64_t most, inline_room room, void *owner);
    int needs;
} ways[OP_COUNT] = {
    [OP_PREAD] = { try_pread, NEEDS_PREADV2 },
    [OP_STAT] = { try_stat, NEEDS_OPENAT2 | NEEDS_STATX },
    [OP_LSTAT] = { try_lstat, NEEDS_OPENAT2 | NEEDS_STATX },
    [OP_FSTAT] = { try_fstat, NEEDS_STATX },
    [OP_OPEN] = { try_open, NEEDS_OPENAT2 | NEEDS_STATX },
    [OP_CLOSE] = { try_close, NEEDS_STATX },
    [OP_LSEEK] = { try_lseek, NEEDS_STATX },
    [OP_READ_BYTES] = { try_read_bytes, NEEDS_PREADV2 | NEEDS_OPENAT2 | NEEDS_STATX },
};

bool
inline_has(enum op op)
{
    struct inline_calls there;
    int needs = ways[op].needs;

    if (ways[op].run == NULL)
        return false;
    there = inline_calls();
    /* What is known of mounts is known by their unique ids. */
    return (there.preadv2 || !(needs & NEEDS_PREADV2)) && (there.openat2 || !(needs & NEEDS_OPENAT2))
           && (there.unique_mount_ids || !(needs & NEEDS_STATX));
}

bool
inline_run(struct request *request, int64_t most, inline_room room, void *owner)
{
    request->learn = false;
    request->mount = 0;
    return ways[request->op].run(request, most, room, owner);
}

void
inline_was_slow(const struct request *request, uint64_t until)
{
    struct status status = { .mount = request->mount };

    if (status.mount != 0 || (request->op == OP_PREAD && calls.statx && get_status(request->fd[0], &status)))
        mounts_avoid(status.mount, until);
}

void
inline_learn(const struct request *request)
{
    bool by_path = request->path[0] != NULL;
    int fd = request->fd[0];
    struct status status;

    if (by_path) {
        int dir_fd = request->op == OP_STAT ? request->fd[1] : request->fd[0];
        fd = openat(dir_fd, request->path[0], O_PATH | O_CLOEXEC);
    }
    if (fd >= 0 && get_status(fd, &status))
        mounts_learn(status.mount, fd);
    if (by_path && fd >= 0)
        close(fd);
}

#else /* an operating system without these calls */

bool
inline_has(enum op op)
{
    (void)op;
    return false;
}

struct inline_calls
inline_calls(void)
{
    return (struct inline_calls){ 0 };
}

bool
inline_run(struct request *request, int64_t most, inline_room room, void *owner)
{
    (void)request, (void)most, (void)room, (void)owner;
    return false;
}

void
inline_was_slow(const struct request *request, uint64_t until)
{
    (void)request, (void)until;
}

void
inline_learn(const struct request *request)
{
    (void)request;
}

#endif
