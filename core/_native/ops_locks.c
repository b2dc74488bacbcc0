/* The locks. An attempt never waits: who does not get a lock is set aside, and is tried again. See ops_run.h. */
#define _GNU_SOURCE
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "ops_run.h"

bool
ops_is_lock(enum op op)
{
    return op == OP_FLOCK || op == OP_LOCKF || op == OP_OFD_LOCK;
}

bool
ops_unlocks(const struct request *request)
{
    return ops_is_lock((enum op)request->op) && (request->n[0] & LOCK_UN);
}

bool
ops_file(const struct request *request, struct file_id *file)
{
    struct stat st;

    if (fstat(request->fd[0], &st) < 0)
        return false;
    *file = (struct file_id){ st.st_dev, st.st_ino };
    return true;
}

/* Where a lock keeps it that was set aside: no lock has a result, nor a fifth number. */
struct file_id
ops_lock_file(const struct request *request)
{
    return (struct file_id){ (uint64_t)request->value, (uint64_t)request->n[4] };
}

/* POSIX allows fcntl(2) both; on Linux EACCES is a security module's refusal. */
static bool
is_taken(int error)
{
#ifdef __linux__
    return error == EWOULDBLOCK || error == EAGAIN;
#else
    return error == EWOULDBLOCK || error == EAGAIN || error == EACCES;
#endif
}

/* Was the descriptor closed while its request waited, and is it another file's now? */
static bool
is_another(struct request *request)
{
    struct file_id now, then;

    if (!request->waited || !ops_file(request, &now))
        return false; /* the call tells the error */
    then = ops_lock_file(request);
    if (now.device == then.device && now.inode == then.inode)
        return false;
    request->error = EBADF;
    request->set_aside = false;
    return true;
}

static void
end_attempt(struct request *request, int result)
{
    struct file_id file;

    ops_set_result(request, result);
    request->set_aside = false;
    if (result == 0 || !is_taken(errno))
        return;
    if (request->n[0] & LOCK_NB) {
        request->error = EAGAIN;
        return;
    }
    if (ops_file(request, &file)) {
        request->value = (int64_t)file.device;
        request->n[4] = (int64_t)file.inode;
    }
    request->set_aside = true;
    request->error = 0;
}

void
run_flock(struct request *request)
{
    if (!is_another(request))
        end_attempt(request, flock(request->fd[0], (int)request->n[0] | LOCK_NB));
}

/* Where the range starts is settled when the lock is first tried: it must be the same when it is given back. */
static void
settle_start(struct request *request)
{
    struct stat st;
    int64_t base;

    if (request->n[3] == SEEK_CUR)
        base = lseek(request->fd[0], 0, SEEK_CUR);
    else if (request->n[3] == SEEK_END && fstat(request->fd[0], &st) == 0)
        base = st.st_size;
    else
        return;
    if (base < 0 || request->n[2] > INT64_MAX - base)
        return; /* the call tells the error */
    request->n[2] += base;
    request->n[3] = SEEK_SET;
}

static int
lock_range(struct request *request, int operation)
{
    struct flock lock = {
        .l_type = operation & LOCK_UN ? F_UNLCK : operation & LOCK_SH ? F_RDLCK : F_WRLCK,
        .l_whence = (short)request->n[3],
        .l_start = request->n[2],
        .l_len = request->n[1],
    };

    if (request->n[3] != (short)request->n[3]) {
        errno = EINVAL;
        return -1;
    }
    if (request->op == OP_LOCKF)
        return fcntl(request->fd[0], F_SETLK, &lock);
#ifdef F_OFD_SETLK
    return fcntl(request->fd[0], F_OFD_SETLK, &lock);
#else
    errno = ENOSYS;
    return -1;
#endif
}

void
run_lockf(struct request *request)
{
    if (is_another(request))
        return;
    settle_start(request);
    end_attempt(request, lock_range(request, (int)request->n[0]));
}

void
run_ofd_lock(struct request *request)
{
    run_lockf(request);
}

bool
ops_unlock(struct request *request)
{
    if (request->op == OP_FLOCK)
        return flock(request->fd[0], LOCK_UN) == 0;
    return lock_range(request, LOCK_UN) == 0;
}
