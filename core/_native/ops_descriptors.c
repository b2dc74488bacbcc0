/* The operations on one descriptor that are one system call. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void
run_open(struct request *request)
{
    int flags = (int)request->n[0] | O_CLOEXEC;

    ops_set_result(request, openat(request->fd[0], request->path[0], flags, (mode_t)request->n[1]));
}

void
run_close(struct request *request)
{
    /* close(2) is not retried on EINTR: on Linux the descriptor is gone all the same. */
    ops_set_result(request, close(request->fd[0]));
}

void
run_lseek(struct request *request)
{
    ops_set_result(request, lseek(request->fd[0], request->n[0], (int)request->n[1]));
}

void
run_readahead(struct request *request)
{
#ifdef __linux__
    if (request->n[1] < 0)
        request->error = EINVAL;
    else
        ops_set_result(request, readahead(request->fd[0], request->n[0], (size_t)request->n[1]));
#else
    ops_not_here(request);
#endif
}

void
run_posix_fadvise(struct request *request)
{
#ifdef POSIX_FADV_NORMAL
    request->error = posix_fadvise(request->fd[0], request->n[0], request->n[1], (int)request->n[2]);
#else
    ops_not_here(request);
#endif
}

void
run_fallocate(struct request *request)
{
#ifdef __linux__
    ops_set_result(request, fallocate(request->fd[0], (int)request->n[0], request->n[1], request->n[2]));
#else
    ops_not_here(request);
#endif
}

void
run_ftruncate(struct request *request)
{
    ops_set_result(request, ftruncate(request->fd[0], request->n[0]));
}

/* Only -1 is an error: the owner that F_GETOWN tells is negative for a process group (fcntl(2)). */
static void
set_control(struct request *request, int result)
{
    request->value = result;
    request->error = result == -1 ? errno : 0;
}

void
run_fcntl(struct request *request)
{
    int fd = request->fd[0], cmd = (int)request->n[0];

    if (request->iovcnt == 1)
        set_control(request, fcntl(fd, cmd, request->out));
    else
        set_control(request, fcntl(fd, cmd, (long)request->n[1]));
}

void
run_ioctl(struct request *request)
{
    unsigned long number = (uint32_t)request->n[0];

    if (request->iovcnt == 1)
        set_control(request, ioctl(request->fd[0], number, request->out));
    else
        set_control(request, ioctl(request->fd[0], number, (long)request->n[1]));
}

void
run_fchmod(struct request *request)
{
    ops_set_result(request, fchmod(request->fd[0], (mode_t)request->n[0]));
}

void
run_fchown(struct request *request)
{
    ops_set_result(request, fchown(request->fd[0], (uid_t)request->n[0], (gid_t)request->n[1]));
}

void
run_fsync(struct request *request)
{
    ops_set_result(request, fsync(request->fd[0]));
}

void
run_fdatasync(struct request *request)
{
#ifdef __APPLE__
    ops_set_result(request, fsync(request->fd[0]));
#else
    ops_set_result(request, fdatasync(request->fd[0]));
#endif
}

void
run_syncfs(struct request *request)
{
#ifdef __linux__
    ops_set_result(request, syncfs(request->fd[0]));
#else
    ops_not_here(request);
#endif
}

void
run_sync_file_range(struct request *request)
{
#ifdef __linux__
    ops_set_result(request, sync_file_range(request->fd[0], request->n[0], request->n[1], (unsigned)request->n[2]));
#else
    ops_not_here(request);
#endif
}

void
run_sync(struct request *request)
{
    sync();
    request->value = 0;
}
