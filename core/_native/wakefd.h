/* A descriptor that can be made readable: an eventfd, or a pipe where there is none. Nothing here blocks. */
#ifndef ANYAIO_WAKEFD_H
#define ANYAIO_WAKEFD_H

#include <stdbool.h>

struct wakefd {
    int read_fd, write_fd; /* the same for an eventfd; -1 when not open */
};

#define WAKEFD_CLOSED { -1, -1 }

bool wakefd_open(struct wakefd *wakefd); /* false with errno */
void wakefd_close(struct wakefd *wakefd);
void wakefd_set(const struct wakefd *wakefd);
void wakefd_clear(const struct wakefd *wakefd);

#endif
