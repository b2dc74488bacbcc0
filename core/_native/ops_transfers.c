/* The operations that move bytes from one descriptor to another. See ops_run.h.
 *
 * Where the kernel would sit and wait for somebody, for data in a pipe or for room in a socket, they wait in poll(2)
 * before, where a cancel reaches them, and then make calls that do not wait.
 */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sendfile.h>
#endif

#include "pool.h"

enum {
    ROUND = 64 * 1024,  /* what is read and written at a time */
    SMALL = 4096,       /* a pipe that poll(2) says is ready takes as much at once */
    SOCKET_PIECE = 16 * 1024,
    TRIES = 16,         /* times that somebody else may have been faster, until the plain call decides */
};

static bool
is_fifo(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static bool
is_open_for(int fd, int access)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && ((flags & O_ACCMODE) == access || (flags & O_ACCMODE) == O_RDWR);
}

static bool
is_ready(int fd, short events)
{
    return poll(&(struct pollfd){ .fd = fd, .events = events }, 1, 0) != 0;
}

static off_t *
position(int64_t offset, off_t *memory)
{
    *memory = offset;
    return offset == NO_OFFSET ? NULL : memory;
}

/* ---- sendfile ---- */

struct transfer {
    int out, in;
    int64_t offset; /* in `in`, or NO_OFFSET: at its position */
    int64_t left;
    bool wait_out, wait_in; /* in poll(2) */
};

/* It ended with an error, or a cancel: but what went, went. */
static void
end_transfer(struct request *request, int error)
{
    request->error = request->value > 0 ? 0 : error;
}

static void
count_sent(struct request *request, struct transfer *transfer, ssize_t sent)
{
    request->value += sent;
    transfer->left -= sent;
    if (transfer->offset != NO_OFFSET)
        transfer->offset += sent;
}

/* sendfile(2) with an offset that it does not change. */
static ssize_t
kernel_sendfile(const struct transfer *transfer, size_t count)
{
#ifdef __linux__
    off_t memory;

    return sendfile(transfer->out, transfer->in, position(transfer->offset, &memory), count);
#else
    (void)transfer, (void)count;
    errno = ENOSYS;
    return -1;
#endif
}

/* As much of the rest as goes into a pipe without waiting. */
static ssize_t
fill_pipe(const struct transfer *transfer)
{
#ifdef SPLICE_F_NONBLOCK
    size_t count = (size_t)(transfer->left < TRANSFER_MAX ? transfer->left : TRANSFER_MAX);
    off_t memory;

    return splice(transfer->in, position(transfer->offset, &memory), transfer->out, NULL, count, SPLICE_F_NONBLOCK);
#else
    (void)transfer;
    errno = ENOSYS;
    return -1;
#endif
}

static bool
is_beyond_the_kernel(int error)
{
    return error == EINVAL || error == ENOSYS || error == ENOTSUP || error == EOPNOTSUPP || error == ENOTSOCK;
}

/* Who blocks gets all that he asked for, unless the input ends: so more than what one call moves is continued. */
static void
send_by_kernel(struct request *request, struct transfer *transfer)
{
    while (transfer->left > 0) {
        int64_t count = transfer->left < TRANSFER_MAX ? transfer->left : TRANSFER_MAX;
        ssize_t sent = kernel_sendfile(transfer, (size_t)count);

        if (sent < 0) {
            end_transfer(request, errno);
            return;
        }
        count_sent(request, transfer, sent);
        if (sent < count)
            return;
    }
}

static void
send_to_pipe(struct request *request, struct transfer *transfer)
{
    int tries = 0;

    while (transfer->left > 0) {
        ssize_t sent;

        if (!pool_wait_ready(request, transfer->out, POLLOUT)) {
            end_transfer(request, ECANCELED);
            return;
        }
        sent = fill_pipe(transfer);
        if (sent < 0 && errno == EAGAIN && ++tries < TRIES)
            continue;
        if (sent <= 0) {
            if (sent < 0)
                end_transfer(request, errno);
            return;
        }
        tries = 0;
        count_sent(request, transfer, sent);
    }
}

static ssize_t
read_round(struct transfer *transfer, char *buffer, size_t size)
{
    ssize_t got;

    if (transfer->offset != NO_OFFSET)
        return pread(transfer->in, buffer, size, transfer->offset);
    if (!transfer->wait_in)
        return read(transfer->in, buffer, size);
    got = ops_read_at_once(transfer->in, &(struct iovec){ buffer, size }, 1);
    return got >= 0 || errno == EAGAIN ? got : read(transfer->in, buffer, size);
}

static ssize_t
write_round(struct transfer *transfer, char *buffer, size_t size)
{
    ssize_t written;

    if (!transfer->wait_out)
        return write(transfer->out, buffer, size);
    written = ops_write_at_once(transfer->out, &(struct iovec){ buffer, size }, 1);
    return written >= 0 || errno == EAGAIN ? written : write(transfer->out, buffer, size < SMALL ? size : SMALL);
}

/* Write what was read; false if not all of it went: the rest is given back, where that is possible. */
static bool
write_all(struct request *request, struct transfer *transfer, char *buffer, size_t size)
{
    size_t done = 0;
    int error = 0;

    while (done < size) {
        ssize_t written;

        if (transfer->wait_out && !pool_wait_ready(request, transfer->out, POLLOUT)) {
            error = ECANCELED;
            break;
        }
        written = write_round(transfer, buffer + done, size - done);
        if (written < 0 && errno == EAGAIN && transfer->wait_out)
            continue;
        if (written < 0) {
            error = errno;
            break;
        }
        done += (size_t)written;
        count_sent(request, transfer, written);
    }
    if (error == 0)
        return true;
    if (transfer->offset == NO_OFFSET)
        (void)lseek(transfer->in, (off_t)done - (off_t)size, SEEK_CUR);
    end_transfer(request, error);
    return false;
}

/* Read and write. An input that may keep us waiting gives what it has: it is not waited for once something went. */
static void
send_by_hand(struct request *request, struct transfer *transfer)
{
    bool lasting = transfer->offset != NO_OFFSET || lseek(transfer->in, 0, SEEK_CUR) >= 0;
    char buffer[ROUND];

    while (transfer->left > 0) {
        /* What was read of a pipe cannot be put back: take only what is sure to go. */
        int64_t size = transfer->wait_out && !lasting ? SMALL : ROUND;
        ssize_t got;

        if (transfer->wait_in && request->value > 0 && !is_ready(transfer->in, POLLIN))
            return;
        if ((transfer->wait_in && !pool_wait_ready(request, transfer->in, POLLIN))
            || (transfer->wait_out && !pool_wait_ready(request, transfer->out, POLLOUT))) {
            end_transfer(request, ECANCELED);
            return;
        }
        got = read_round(transfer, buffer, (size_t)(transfer->left < size ? transfer->left : size));
        if (got < 0 && errno == EAGAIN && transfer->wait_in)
            continue;
        if (got < 0)
            end_transfer(request, errno);
        if (got <= 0 || !write_all(request, transfer, buffer, (size_t)got))
            return;
    }
}

/* What is wrong with the descriptors, before anybody waits for them: 0 or an errno. */
static int
find_fault(const struct transfer *transfer)
{
    if (transfer->left < 0 || (transfer->offset != NO_OFFSET && transfer->offset < 0))
        return EINVAL;
    if (!is_open_for(transfer->in, O_RDONLY) || !is_open_for(transfer->out, O_WRONLY))
        return EBADF;
    return transfer->offset != NO_OFFSET && lseek(transfer->in, 0, SEEK_CUR) < 0 ? errno : 0;
}

void
run_sendfile(struct request *request)
{
    struct transfer transfer = { request->fd[0], request->fd[1], request->n[0], request->n[1], false, false };

    if ((request->error = find_fault(&transfer)) != 0)
        return;
    transfer.wait_out = ops_can_wait(transfer.out, O_WRONLY);
    transfer.wait_in = transfer.offset == NO_OFFSET && ops_can_wait(transfer.in, O_RDONLY);
    if (!transfer.wait_out && !transfer.wait_in)
        send_by_kernel(request, &transfer);
    else if (!transfer.wait_in && is_fifo(transfer.out))
        send_to_pipe(request, &transfer);
    else
        request->error = EINVAL;
    if (!is_beyond_the_kernel(request->error))
        return;
    request->error = 0;
    send_by_hand(request, &transfer);
}

/* ---- copy_file_range ---- */

void
run_copy_file_range(struct request *request)
{
#ifdef SYS_copy_file_range
    int64_t count = request->n[0] < TRANSFER_MAX ? request->n[0] : TRANSFER_MAX;
    int64_t src = request->n[1], dst = request->n[2];

    if (count < 0) {
        request->error = EINVAL;
        return;
    }
    ops_set_result(request, syscall(SYS_copy_file_range, request->fd[0], src == NO_OFFSET ? NULL : &src, request->fd[1],
                                    dst == NO_OFFSET ? NULL : &dst, (size_t)count, 0u));
#else
    ops_not_here(request);
#endif
}

/* ---- splice and tee ---- */

#ifdef SPLICE_F_NONBLOCK

/* An end of a splice: a pipe is waited for when the call found it not ready. It does not tell of other things. */
struct end {
    int fd;
    short events;
    bool pipe, wait;
};

static ssize_t
splice_once(const struct request *request, int64_t count, unsigned flags)
{
    off_t src, dst;

    if (request->op == OP_TEE)
        return tee(request->fd[0], request->fd[1], (size_t)count, flags);
    return splice(request->fd[0], position(request->n[1], &src), request->fd[1], position(request->n[2], &dst),
                  (size_t)count, flags);
}

/* Before a call that would sit and wait. */
static bool
wait_before(struct request *request, const struct end *end)
{
    return !end->wait || end->pipe || pool_wait_ready(request, end->fd, end->events);
}

/* After a call that found a pipe not ready. */
static bool
wait_after(struct request *request, const struct end *end, bool *waited)
{
    if (!end->wait || !end->pipe || is_ready(end->fd, end->events))
        return true;
    *waited = true;
    return pool_wait_ready(request, end->fd, end->events);
}

static void
splice_or_tee(struct request *request, unsigned flags)
{
    struct end in = { request->fd[0], POLLIN, is_fifo(request->fd[0]), ops_can_wait(request->fd[0], O_RDONLY) };
    struct end out = { request->fd[1], POLLOUT, is_fifo(request->fd[1]), ops_can_wait(request->fd[1], O_WRONLY) };
    int64_t count = request->n[0] < TRANSFER_MAX ? request->n[0] : TRANSFER_MAX;
    bool misplaced = request->op == OP_SPLICE
                     && ((in.wait && request->n[1] != NO_OFFSET) || (out.wait && request->n[2] != NO_OFFSET));

    if (count < 0) {
        request->error = EINVAL;
        return;
    }
    if (in.pipe && out.pipe) /* one that does not block makes the whole call so */
        in.wait = out.wait = in.wait && out.wait;
    /* What is wrong, or is not to wait, ends at once. */
    if (count == 0 || misplaced || (flags & SPLICE_F_NONBLOCK) || (!in.pipe && !out.pipe) || (!in.wait && !out.wait)
        || !is_open_for(in.fd, O_RDONLY) || !is_open_for(out.fd, O_WRONLY)) {
        ops_set_result(request, splice_once(request, count, flags));
        return;
    }
    if (out.wait && !out.pipe && count > SOCKET_PIECE) /* SPLICE_F_NONBLOCK says nothing to a socket */
        count = SOCKET_PIECE;
    for (int tries = 0; tries < TRIES;) {
        bool waited = false;
        ssize_t result;

        if (!wait_before(request, &in) || !wait_before(request, &out)) {
            request->error = ECANCELED;
            return;
        }
        result = splice_once(request, count, flags | SPLICE_F_NONBLOCK);
        if (result >= 0 || errno != EAGAIN) {
            ops_set_result(request, result);
            return;
        }
        if (!wait_after(request, &in, &waited) || !wait_after(request, &out, &waited)) {
            request->error = ECANCELED;
            return;
        }
        tries += !waited;
    }
    ops_set_result(request, splice_once(request, count, flags));
}

#endif

void
run__copy_range(struct request *request)
{
#ifdef __linux__
    const int64_t step = 16 << 20; /* bytes that are copied before a cancellation is looked for */
    off_t offset = request->n[0];
    int64_t left = request->n[1];

    while (left > 0 && pool_wanted(request)) {
        ssize_t moved = copy_file_range(request->fd[0], &offset, request->fd[1], NULL, (size_t)(left < step ? left : step), 0);

        if (moved < 0 && request->value == 0)
            request->error = errno;
        if (moved <= 0)
            return; /* the next one tells the error */
        request->value += moved;
        left -= moved;
    }
    if (left > 0 && request->value == 0)
        request->error = ECANCELED;
#else
    ops_not_here(request);
#endif
}

void
run_splice(struct request *request)
{
#ifdef SPLICE_F_NONBLOCK
    splice_or_tee(request, (unsigned)request->n[3]);
#else
    ops_not_here(request);
#endif
}

void
run_tee(struct request *request)
{
#ifdef SPLICE_F_NONBLOCK
    splice_or_tee(request, (unsigned)request->n[1]);
#else
    ops_not_here(request);
#endif
}
