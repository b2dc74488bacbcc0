/* The operations on a file's extended attributes. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/xattr.h>

/* What the kernel allows; its own limits are XATTR_SIZE_MAX and XATTR_LIST_MAX, both 64 KiB. */
enum { FIRST_SIZE = 256, LARGEST_SIZE = 16 * 1024 * 1024 };

/* How the file is named in the call: by `fd` if `path` is NULL. */
struct target {
    int fd;
    const char *path;
    bool follow;
    bool opened; /* `fd` is for `path` alone: a link to it */
    char link[OPS_LINK_SIZE];
};

/* These calls know no directory to start at: the file is opened, by O_PATH, and its descriptor's link is followed; to
 * a symlink itself if that was opened. */
static bool
find_target(struct request *request, bool follow, struct target *target)
{
    *target = (struct target){ .fd = request->fd[0], .path = request->path[0], .follow = follow };
    if (target->path == NULL && target->fd < 0) { /* Linux 6.18 takes AT_FDCWD for the current directory */
        request->error = EBADF;
        return false;
    }
    if (target->path == NULL || target->path[0] == '/' || request->fd[1] == AT_FDCWD)
        return true;
    target->fd = openat(request->fd[1], target->path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (target->fd < 0) {
        request->error = errno;
        return false;
    }
    ops_link_of(target->fd, target->link);
    target->path = target->link;
    target->follow = target->opened = true;
    return true;
}

static void
leave_target(struct request *request, struct target *target)
{
    if (!target->opened)
        return;
    if (request->error == ENOENT)
        request->error = ENOSYS; /* the file is there: it is /proc that is not */
    close(target->fd);
}

static ssize_t
get_or_list(const struct request *request, const struct target *target, char *out, size_t size)
{
    const char *name = request->path[1];

    if (request->op == OP_LISTXATTR) {
        if (target->path == NULL)
            return flistxattr(target->fd, out, size);
        return target->follow ? listxattr(target->path, out, size) : llistxattr(target->path, out, size);
    }
    if (target->path == NULL)
        return fgetxattr(target->fd, name, out, size);
    return target->follow ? getxattr(target->path, name, out, size) : lgetxattr(target->path, name, out, size);
}

void
run_getxattr(struct request *request)
{
    struct target target;

    if (!find_target(request, request->n[0], &target))
        return;
    for (size_t size = FIRST_SIZE; size <= LARGEST_SIZE; size *= 16) {
        free(request->out);
        if ((request->out = malloc(size)) == NULL) {
            request->error = ENOMEM;
            break;
        }
        ops_set_result(request, get_or_list(request, &target, request->out, size));
        if (request->error != ERANGE)
            break;
    }
    leave_target(request, &target);
}

void
run_listxattr(struct request *request)
{
    run_getxattr(request);
}

void
run_setxattr(struct request *request)
{
    const char *name = request->path[1];
    const void *value = request->iov[0].iov_base;
    size_t size = request->iov[0].iov_len;
    int flags = (int)request->n[0];
    struct target target;

    if (!find_target(request, request->n[1], &target))
        return;
    if (target.path == NULL)
        ops_set_result(request, fsetxattr(target.fd, name, value, size, flags));
    else if (target.follow)
        ops_set_result(request, setxattr(target.path, name, value, size, flags));
    else
        ops_set_result(request, lsetxattr(target.path, name, value, size, flags));
    leave_target(request, &target);
}

void
run_removexattr(struct request *request)
{
    const char *name = request->path[1];
    struct target target;

    if (!find_target(request, request->n[0], &target))
        return;
    if (target.path == NULL)
        ops_set_result(request, fremovexattr(target.fd, name));
    else
        ops_set_result(request, target.follow ? removexattr(target.path, name) : lremovexattr(target.path, name));
    leave_target(request, &target);
}

#else

void
run_getxattr(struct request *request)
{
    ops_not_here(request);
}

void
run_listxattr(struct request *request)
{
    ops_not_here(request);
}

void
run_setxattr(struct request *request)
{
    ops_not_here(request);
}

void
run_removexattr(struct request *request)
{
    ops_not_here(request);
}

#endif
