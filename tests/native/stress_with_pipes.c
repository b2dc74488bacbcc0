/* The stress program where the kernel has no eventfd: notifiers and wake-ups are pipes. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/eventfd.h>

/* In place of the C library's. */
int
eventfd(unsigned int count, int flags)
{
    (void)count, (void)flags;
    errno = ENOSYS;
    return -1;
}

#include "stress.c"
