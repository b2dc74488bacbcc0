/* The operations that open a file, read or write all of it, and close it. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t CHUNK = 16 * 1024 * 1024; /* between two looks at whether it is still wanted */
static const int64_t FIRST_ROOM = 64 * 1024;

/* What is read, and where it goes. */
struct content {
    int fd;
    bool regular;
    int64_t size; /* as fstat(2) has it, which may be wrong: of files in /proc it is 0 */
    char *bytes;
    int64_t count, room;
};

/* Room for one byte more. 0 or ENOMEM. */
static int
grow(struct content *content, int64_t expected)
{
    int64_t room = content->room == 0 ? expected : 2 * content->room;
    char *larger;

    if (content->count < content->room)
        return 0;
    if ((larger = realloc(content->bytes, (size_t)room)) == NULL)
        return ENOMEM;
    content->bytes = larger;
    content->room = room;
    return 0;
}

/* Read on until the end, or until there are `length` bytes. `expected`: that many are likely. 0 or an errno. */
static int
read_on(struct request *request, struct content *content, int64_t expected, int64_t length)
{
    /* One more, so that a file that is as it says takes no second allocation to find its end. */
    int64_t first = expected < FIRST_ROOM ? FIRST_ROOM : expected < TRANSFER_MAX ? expected + 1 : TRANSFER_MAX;

    while (content->count < length) {
        struct iovec iov;
        ssize_t got;
        int error = grow(content, length < first ? length : first);

        if (error != 0)
            return error;
        iov.iov_base = content->bytes + content->count;
        iov.iov_len = (size_t)(content->room - content->count);
        if ((int64_t)iov.iov_len > length - content->count)
            iov.iov_len = (size_t)(length - content->count);
        if ((int64_t)iov.iov_len > CHUNK)
            iov.iov_len = (size_t)CHUNK;
        got = content->regular ? read(content->fd, iov.iov_base, iov.iov_len) : ops_read(request, content->fd, &iov, 1);
        if (got < 0)
            return errno;
        if (got == 0)
            return 0;
        content->count += got;
        if (request->abandoned)
            return ECANCELED;
    }
    return 0;
}

/* Keep what is from `start` on, at most `length` bytes. */
static void
cut(struct content *content, int64_t start, int64_t length)
{
    content->count = content->count - start < length ? content->count - start : length;
    if (start > 0)
        memmove(content->bytes, content->bytes + start, (size_t)content->count);
}

/* The size is not known: read all, and keep the last `last` bytes. */
static int
read_last(struct request *request, struct content *content, int64_t last, int64_t length)
{
    int error;

    if (lseek(content->fd, 0, SEEK_SET) < 0)
        return errno;
    if ((error = read_on(request, content, content->size, INT64_MAX)) != 0)
        return error;
    if (content->count < last)
        return EINVAL;
    cut(content, content->count - last, length);
    return 0;
}

static int
read_content(struct request *request, struct content *content, int64_t offset, int64_t length)
{
    int64_t start = offset, end;
    int error;

    if (offset < 0) {
        end = content->regular ? content->size : lseek(content->fd, 0, SEEK_END);
        if (end < 0)
            return errno;
        if (content->regular && end == 0)
            return read_last(request, content, -offset, length);
        if ((start = end + offset) < 0)
            return EINVAL;
    }
    if (start != 0 && lseek(content->fd, start, SEEK_SET) < 0)
        return errno;
    error = read_on(request, content, content->size > start ? content->size - start : 0, length);
    /* The end is not where the file says, as in /sys. */
    if (error == 0 && offset < 0 && content->regular && content->count == 0 && length > 0)
        return read_last(request, content, -offset, length);
    return error;
}

/* Give back what was not needed. */
static void
trim(struct content *content)
{
    char *smaller;

    if (content->room - content->count <= FIRST_ROOM)
        return;
    if ((smaller = realloc(content->bytes, content->count > 0 ? (size_t)content->count : 1)) != NULL)
        content->bytes = smaller;
}

void
run_read_bytes(struct request *request)
{
    int64_t offset = request->n[0], length = request->n[1] == NO_OFFSET ? INT64_MAX : request->n[1];
    struct content content = { .fd = -1 };
    struct stat st;

    if (length < 0 || offset == INT64_MIN) {
        request->error = EINVAL;
        return;
    }
    content.fd = openat(request->fd[0], request->path[0], O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (content.fd < 0 || fstat(content.fd, &st) < 0) {
        request->error = errno;
        goto fail;
    }
    content.regular = S_ISREG(st.st_mode);
    content.size = content.regular ? st.st_size : 0;
    request->error = S_ISDIR(st.st_mode) ? EISDIR : read_content(request, &content, offset, length);
    if (request->error == 0)
        trim(&content);
    request->out = content.bytes;
    request->value = content.count;
fail:
    if (content.fd >= 0)
        close(content.fd);
}

/* 0 or an errno. */
static int
write_content(struct request *request, int fd)
{
    struct iovec left = request->iov[0];

    if (left.iov_len > 0 && ops_can_wait(fd, O_WRONLY)) {
        int error = ops_write_all(request, fd, &left, 1);
        return error == ECANCELED && request->value > 0 ? 0 : error;
    }
    while (left.iov_len > 0) {
        int64_t size = (int64_t)left.iov_len < TRANSFER_MAX ? (int64_t)left.iov_len : TRANSFER_MAX;
        ssize_t written = write(fd, left.iov_base, (size_t)size);

        if (written <= 0)
            return written < 0 ? errno : EIO;
        request->value += written;
        left.iov_base = (char *)left.iov_base + written;
        left.iov_len -= (size_t)written;
    }
    return 0;
}

void
run_write_bytes(struct request *request)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;
    int fd = openat(request->fd[0], request->path[0], flags, 0666);

    if (fd < 0) {
        request->error = errno;
        return;
    }
    request->error = write_content(request, fd);
    if (close(fd) < 0 && request->error == 0)
        request->error = errno;
}
