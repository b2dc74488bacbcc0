/* The operations on names: in directories, by paths. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "listing.h"

/* ---- looking ---- */

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

/* Unlink all but directories, and keep what is left. */
static void
unlink_entries(struct request *request, int fd, struct listing *listing)
{
    size_t left = 0;

    for (size_t i = 0; i < listing->count; i++) {
        struct entry *entry = &listing->entries[i];

        if (i % 16 == 0 && !pool_wanted(request)) {
            request->error = ECANCELED;
            return;
        }
        if (entry->type != DT_DIR) {
            if (unlinkat(fd, listing->names + entry->name, 0) == 0 || errno == ENOENT)
                continue;
            if (errno == EISDIR)
                entry->type = entry->own_type = DT_DIR;
        }
        listing->entries[left++] = *entry;
    }
    listing->count = left;
}

void
run__sweep(struct request *request)
{
    struct listing *listing = NULL;
    int dir_fd = request->path[0] != NULL ? request->fd[1] : request->fd[0];
    const char *path = request->path[0] != NULL ? request->path[0] : ".";
    int fd = -1;

    if (request->path[0] == NULL && dir_fd == AT_FDCWD)
        errno = EBADF;
    else
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        request->error = errno;
        return;
    }
    request->error = listing_read(fd, &(struct listing_wish){ .order = ORDER_KERNEL }, &request->abandoned, &listing);
    request->out = listing;
    if (request->error == 0)
        unlink_entries(request, fd, listing);
    close(fd);
}

void
run_listdir(struct request *request)
{
    list(request, &(struct listing_wish){ .order = ORDER_KERNEL });
}

void
run_scandir(struct request *request)
{
    list(request, &(struct listing_wish){
                      .order = (enum order)request->n[0],
                      .stat = request->n[1],
                      .follow_symlinks = request->n[2],
                      .resolve = request->n[3],
                  });
}

void
run_readlink(struct request *request)
{
    for (size_t size = 256;; size *= 2) {
        char *target = realloc(request->out, size);
        if (target == NULL) {
            request->error = ENOMEM;
            return;
        }
        request->out = target;
        ops_set_result(request, readlinkat(request->fd[0], request->path[0], target, size));
        if (request->value < (int64_t)size)
            return;
    }
}

/* ---- making ---- */

void
run_mkdir(struct request *request)
{
    ops_set_result(request, mkdirat(request->fd[0], request->path[0], (mode_t)request->n[0]));
}

/* os.path.split: where the last part begins, and the length of what is before it, without the slashes between. */
static size_t
split(const char *path, size_t length, size_t *tail)
{
    size_t head;

    for (*tail = length; *tail > 0 && path[*tail - 1] != '/'; (*tail)--)
        ;
    for (head = *tail; head > 0 && path[head - 1] == '/'; head--)
        ;
    return head > 0 ? head : *tail; /* the root keeps its slashes */
}

/* One more directory to make: as much of the path as `length` says. */
struct step {
    size_t length;
    bool here; /* its last part is ".": made by making what is above */
};

/* What is to be made, the last first, down to one whose parent is there. Returns how many. */
static size_t
plan_directories(int dir_fd, char *path, struct step *steps)
{
    size_t length = strlen(path), count = 0;

    for (;;) {
        size_t tail, end = length, head = split(path, length, &tail);
        struct stat st;
        bool there;
        char cut;

        if (tail == length) { /* slashes at the end */
            end = head;
            head = split(path, end, &tail);
        }
        steps[count++] = (struct step){ length, false };
        if (head == 0 || tail == end)
            return count;
        cut = path[head];
        path[head] = '\0';
        there = fstatat(dir_fd, path, &st, 0) == 0;
        path[head] = cut;
        if (there)
            return count;
        steps[count - 1].here = end - tail == 1 && path[tail] == '.';
        length = head;
    }
}

/* 0 or an errno. Another may have made it meanwhile: of a directory above that is no error. */
static int
make_directory(int dir_fd, const char *path, mode_t mode, bool exist_ok, bool above)
{
    struct stat st;
    int error;

    if (mkdirat(dir_fd, path, mode) == 0)
        return 0;
    /* EEXIST is not to be relied on: the kernel may put EACCES or EROFS first. */
    error = errno;
    if (exist_ok && fstatat(dir_fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return above && error == EEXIST ? 0 : error;
}

/* Step by step what os.makedirs does, without its recursion. */
void
run_makedirs(struct request *request)
{
    size_t size = strlen(request->path[0]);
    struct step *steps = calloc(size / 2 + 2, sizeof *steps); /* a part has a character and a slash at least */
    char *path = malloc(size + 1);
    size_t count;

    if (steps == NULL || path == NULL) {
        request->error = ENOMEM;
        goto fail;
    }
    memcpy(path, request->path[0], size + 1);
    count = plan_directories(request->fd[0], path, steps);
    while (count-- > 0 && request->error == 0) {
        char cut = path[steps[count].length];

        if (steps[count].here)
            continue;
        path[steps[count].length] = '\0';
        request->error = make_directory(request->fd[0], path, count == 0 ? (mode_t)request->n[0] : 0777,
                                        request->n[1], count > 0);
        path[steps[count].length] = cut;
    }
fail:
    free(path);
    free(steps);
}

static int
make_node(int dir_fd, const char *path, mode_t mode, dev_t device)
{
#ifdef __APPLE__
    if (dir_fd == AT_FDCWD)
        return S_ISFIFO(mode) ? mkfifo(path, mode & 07777) : mknod(path, mode, device);
    errno = ENOSYS;
    return -1;
#else
    return mknodat(dir_fd, path, mode, device);
#endif
}

void
run_mknod(struct request *request)
{
    ops_set_result(request,
                   make_node(request->fd[0], request->path[0], (mode_t)request->n[0], (dev_t)request->n[1]));
}

void
run_mkfifo(struct request *request)
{
    ops_set_result(request, make_node(request->fd[0], request->path[0], (mode_t)request->n[0] | S_IFIFO, 0));
}

void
run_link(struct request *request)
{
    int flags = request->n[0] ? AT_SYMLINK_FOLLOW : 0;

    ops_set_result(request, linkat(request->fd[0], request->path[0], request->fd[1], request->path[1], flags));
}

void
run_symlink(struct request *request)
{
    ops_set_result(request, symlinkat(request->path[0], request->fd[0], request->path[1]));
}

/* ---- removing and renaming ---- */

void
run_unlink(struct request *request)
{
    ops_set_result(request, unlinkat(request->fd[0], request->path[0], 0));
}

void
run_remove(struct request *request)
{
    run_unlink(request);
}

void
run_rmdir(struct request *request)
{
    ops_set_result(request, unlinkat(request->fd[0], request->path[0], AT_REMOVEDIR));
}

void
run_rename(struct request *request)
{
    unsigned flags = (unsigned)request->n[0];

    if (flags == 0) {
        ops_set_result(request, renameat(request->fd[0], request->path[0], request->fd[1], request->path[1]));
        return;
    }
#ifdef SYS_renameat2
    ops_set_result(request,
               syscall(SYS_renameat2, request->fd[0], request->path[0], request->fd[1], request->path[1], flags));
#else
    ops_not_here(request);
#endif
}

void
run_replace(struct request *request)
{
    run_rename(request); /* it has no flags */
}

/* ---- syncing ---- */

void
run_pathsync(struct request *request)
{
    int fd = openat(request->fd[0], request->path[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    ops_set_result(request, fd);
    if (fd < 0)
        return;
    ops_set_result(request, fsync(fd));
    if (close(fd) < 0 && request->error == 0)
        request->error = errno;
}
