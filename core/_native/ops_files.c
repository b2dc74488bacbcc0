/* The operations on a file by its path or descriptor, but for its extended attributes. See ops_run.h.
 *
 * The descriptor's calls are those that take nothing else, so that AT_FDCWD as a descriptor is a wrong one.
 */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What is opened only to be named. */
#ifdef O_PATH
static const int OPEN_PATH = O_PATH | O_CLOEXEC;
#else
static const int OPEN_PATH = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
#endif

void
ops_link_of(int fd, char link[OPS_LINK_SIZE])
{
    snprintf(link, OPS_LINK_SIZE, "/proc/self/fd/%d", fd);
}

static bool
by_descriptor(const struct request *request)
{
    return request->path[0] == NULL;
}

/* Does the path start where any path does? */
static bool
is_plain(const struct request *request)
{
    return request->fd[1] == AT_FDCWD || request->path[0][0] == '/';
}

/* Result memory. */
static void *
allocate(struct request *request, size_t size)
{
    if ((request->out = calloc(1, size)) == NULL)
        request->error = ENOMEM;
    return request->out;
}

static int
nofollow_unless(int64_t follow_symlinks)
{
    return follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW;
}

/* ---- status ---- */

static void
status(struct request *request, int fd, const char *path, int flags)
{
    struct stat *st = allocate(request, sizeof *st);

    if (st != NULL)
        ops_set_result(request, path == NULL ? fstat(fd, st) : fstatat(fd, path, st, flags));
}

void
run_stat(struct request *request)
{
    bool by_path = !by_descriptor(request);

    status(request, request->fd[by_path], request->path[0], request->n[0] ? 0 : AT_SYMLINK_NOFOLLOW);
}

void
run_lstat(struct request *request)
{
    status(request, request->fd[0], request->path[0], AT_SYMLINK_NOFOLLOW);
}

void
run_fstat(struct request *request)
{
    status(request, request->fd[0], NULL, 0);
}

void
run_statx(struct request *request)
{
#ifdef STATX_BASIC_STATS
    int flags = (int)request->n[1] | nofollow_unless(request->n[2]);
    struct statx *st;

    if (by_descriptor(request) && request->fd[0] < 0) {
        request->error = EBADF;
        return;
    }
    if ((st = allocate(request, sizeof *st)) == NULL)
        return;
    if (by_descriptor(request))
        ops_set_result(request, statx(request->fd[0], "", flags | AT_EMPTY_PATH, (unsigned)request->n[0], st));
    else
        ops_set_result(request, statx(request->fd[1], request->path[0], flags, (unsigned)request->n[0], st));
#else
    ops_not_here(request);
#endif
}

/* statvfs(2) itself needs no permission to read, and knows no directory to start at. */
void
run_statvfs(struct request *request)
{
    struct statvfs *st = allocate(request, sizeof *st);
    int fd;

    if (st == NULL)
        return;
    if (by_descriptor(request)) {
        ops_set_result(request, fstatvfs(request->fd[0], st));
        return;
    }
    if (is_plain(request)) {
        ops_set_result(request, statvfs(request->path[0], st));
        return;
    }
    fd = openat(request->fd[1], request->path[0], OPEN_PATH);
    ops_set_result(request, fd < 0 ? -1 : fstatvfs(fd, st));
    if (fd >= 0)
        close(fd);
}

void
run_access(struct request *request)
{
    int flags = (request->n[1] ? AT_EACCESS : 0) | nofollow_unless(request->n[2]);

    request->value = faccessat(request->fd[0], request->path[0], (int)request->n[0], flags) == 0;
}

/* ---- changes ---- */

void
run_utime(struct request *request)
{
    struct timespec times[2] = {
        { (time_t)request->n[0], (long)request->n[1] },
        { (time_t)request->n[2], (long)request->n[3] },
    };

    if (by_descriptor(request))
        ops_set_result(request, futimens(request->fd[0], times));
    else
        ops_set_result(request, utimensat(request->fd[1], request->path[0], times, nofollow_unless(request->n[4])));
}

void
run_chmod(struct request *request)
{
    mode_t mode = (mode_t)request->n[0];

    if (by_descriptor(request))
        ops_set_result(request, fchmod(request->fd[0], mode));
    else
        ops_set_result(request, fchmodat(request->fd[1], request->path[0], mode, nofollow_unless(request->n[1])));
}

void
run_chown(struct request *request)
{
    uid_t uid = (uid_t)request->n[0];
    gid_t gid = (gid_t)request->n[1];

    if (by_descriptor(request))
        ops_set_result(request, fchown(request->fd[0], uid, gid));
    else
        ops_set_result(request, fchownat(request->fd[1], request->path[0], uid, gid, nofollow_unless(request->n[2])));
}

void
run_lchown(struct request *request)
{
    uid_t uid = (uid_t)request->n[0];
    gid_t gid = (gid_t)request->n[1];

    ops_set_result(request, fchownat(request->fd[0], request->path[0], uid, gid, AT_SYMLINK_NOFOLLOW));
}

/* truncate(2) of a path that starts at a directory's descriptor. */
static int
truncate_at(int dir_fd, const char *path, off_t length)
{
    char link[OPS_LINK_SIZE];
    int fd = openat(dir_fd, path, OPEN_PATH), result;

    if (fd < 0)
        return -1;
    ops_link_of(fd, link);
    result = truncate(link, length);
    close(fd);
    if (result == 0 || (errno != ENOENT && errno != ENOTDIR))
        return result;
    /* There is no /proc. */
    if ((fd = openat(dir_fd, path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0)
        return -1;
    result = ftruncate(fd, length);
    if (close(fd) < 0)
        return -1;
    return result;
}

void
run_truncate(struct request *request)
{
    off_t length = request->n[0];

    if (by_descriptor(request))
        ops_set_result(request, ftruncate(request->fd[0], length));
    else if (is_plain(request))
        ops_set_result(request, truncate(request->path[0], length));
    else
        ops_set_result(request, truncate_at(request->fd[1], request->path[0], length));
}
