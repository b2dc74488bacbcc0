/* See wakefd.h. */
#define _GNU_SOURCE
#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

static bool
open_pipe(struct wakefd *wakefd)
{
    int fds[2];

#ifdef __linux__
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
        return false;
#else
    if (pipe(fds) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
#endif
    wakefd->read_fd = fds[0];
    wakefd->write_fd = fds[1];
    return true;
}

bool
wakefd_open(struct wakefd *wakefd)
{
    wakefd->read_fd = wakefd->write_fd = -1;
#ifdef __linux__
    /* Anything but success means a pipe: sandboxes refuse eventfd with various errors. */
    wakefd->read_fd = wakefd->write_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
#endif
    return wakefd->read_fd >= 0 || open_pipe(wakefd);
}

void
wakefd_close(struct wakefd *wakefd)
{
    if (wakefd->read_fd >= 0)
        close(wakefd->read_fd);
    if (wakefd->write_fd != wakefd->read_fd)
        close(wakefd->write_fd);
    wakefd->read_fd = wakefd->write_fd = -1;
}

void
wakefd_set(const struct wakefd *wakefd)
{
    uint64_t one = 1; /* an eventfd takes eight bytes, and one byte is enough for a pipe */
    size_t size = wakefd->write_fd == wakefd->read_fd ? sizeof one : 1;

    while (write(wakefd->write_fd, &one, size) < 0 && errno == EINTR)
        ;
}

void
wakefd_clear(const struct wakefd *wakefd)
{
    char sink[64];
    ssize_t count;

    do
        count = read(wakefd->read_fd, sink, sizeof sink);
    while (count == (ssize_t)sizeof sink || (count < 0 && errno == EINTR));
}
