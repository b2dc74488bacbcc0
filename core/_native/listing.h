/* What is in a directory, read whole with getdents64(2) and put in order as IO::AIO's readdirx does. */
#ifndef ANYAIO_LISTING_H
#define ANYAIO_LISTING_H

#include <dirent.h>

#include "request.h"

/* The values of a table operation's `order`, in the order of convert.c's names. */
enum order { ORDER_KERNEL, ORDER_DIRS_FIRST, ORDER_STAT, ORDER_DIRS_FIRST_STAT };

struct entry {
    uint64_t inode;
    uint32_t name;        /* where it starts in `names` */
    uint16_t length;      /* of the name, without its NUL */
    uint8_t type;         /* DT_*, as the kernel gave it */
    uint8_t own_type;     /* DT_*, resolved: never DT_UNKNOWN when `resolve` was asked for */
    uint8_t target_type;  /* DT_* of what a symlink leads to; DT_UNKNOWN: to nothing, or it was not asked for */
    int error;            /* errno of the stat */
    int target_error;     /* errno of looking at a symlink's target; a missing one is none */
};

struct listing {
    size_t count;
    struct entry *entries;
    struct stat *stats; /* one an entry when they were asked for, else NULL */
    char *names;
    size_t names_size;
    bool resolved, follow_symlinks;
};

struct listing_wish {
    enum order order;
    bool stat, follow_symlinks, resolve;
};

/* Read the directory `fd`. 0 or an errno; ECANCELED once *abandoned is set. */
int listing_read(int fd, const struct listing_wish *wish, const atomic_bool *abandoned, struct listing **out);
void listing_free(struct listing *listing);

#endif
