/* See listing.h. */
#define _GNU_SOURCE
#include "listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK_SIZE = 64 * 1024 };

struct growing {
    struct listing *listing;
    size_t entries_room, names_used;
};

static bool
grow(void **memory, size_t *room, size_t needed, size_t size)
{
    size_t wanted = *room == 0 ? 16 : *room;
    void *larger;

    if (needed <= *room)
        return true;
    while (wanted < needed)
        wanted *= 2;
    if ((larger = realloc(*memory, wanted * size)) == NULL)
        return false;
    *memory = larger;
    *room = wanted;
    return true;
}

/* 0 or an errno. */
static int
add(struct growing *growing, const char *name, uint64_t inode, uint8_t type)
{
    struct listing *listing = growing->listing;
    size_t length = strlen(name);
    void *entries = listing->entries, *names = listing->names;
    bool grown;

    if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
        return 0;
    if (growing->names_used + length + 1 > UINT32_MAX || length > UINT16_MAX)
        return EOVERFLOW;
    grown = grow(&entries, &growing->entries_room, listing->count + 1, sizeof *listing->entries)
            && grow(&names, &listing->names_size, growing->names_used + length + 1, 1);
    listing->entries = entries;
    listing->names = names;
    if (!grown)
        return ENOMEM;
    listing->entries[listing->count++] = (struct entry){
        .inode = inode,
        .name = (uint32_t)growing->names_used,
        .length = (uint16_t)length,
        .type = type,
        .own_type = type,
    };
    memcpy(listing->names + growing->names_used, name, length + 1);
    growing->names_used += length + 1;
    return 0;
}

#ifdef SYS_getdents64

/* getdents64(2) */
struct kernel_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static int
read_blocks(int fd, const atomic_bool *abandoned, struct growing *growing)
{
    _Alignas(struct kernel_entry) char block[BLOCK_SIZE];

    for (;;) {
        long size = syscall(SYS_getdents64, fd, block, sizeof block);
        if (size <= 0)
            return size < 0 ? errno : 0;
        for (long at = 0; at < size;) {
            const struct kernel_entry *entry = (const void *)(block + at);
            int error = add(growing, entry->name, entry->inode, entry->type);
            if (error != 0)
                return error;
            at += entry->size;
        }
        if (atomic_load_explicit(abandoned, memory_order_relaxed))
            return ECANCELED;
    }
}

#else

static int
read_blocks(int fd, const atomic_bool *abandoned, struct growing *growing)
{
    int own = dup(fd), error = 0;
    DIR *stream = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;

    if (stream == NULL) {
        error = errno;
        if (own >= 0)
            close(own);
        return error;
    }
    while (errno = 0, error == 0 && (entry = readdir(stream)) != NULL)
        error = atomic_load_explicit(abandoned, memory_order_relaxed)
                    ? ECANCELED
                    : add(growing, entry->d_name, entry->d_ino, entry->d_type);
    if (error == 0)
        error = errno;
    closedir(stream);
    return error;
}

#endif

static uint8_t
type_of(const struct stat *st)
{
    return (uint8_t)((st->st_mode & S_IFMT) >> 12); /* DT_* are these bits */
}

/* Where the kernel's types do not tell, ask. An entry that is gone meanwhile keeps what is known of it. */
static void
resolve(int fd, struct listing *listing, const atomic_bool *abandoned)
{
    for (size_t i = 0; i < listing->count && !atomic_load_explicit(abandoned, memory_order_relaxed); i++) {
        struct entry *entry = &listing->entries[i];
        const char *name = listing->names + entry->name;
        struct stat st;

        if (entry->own_type == DT_UNKNOWN && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            entry->own_type = type_of(&st);
        if (entry->own_type != DT_LNK)
            continue;
        if (fstatat(fd, name, &st, 0) == 0)
            entry->target_type = type_of(&st);
        else if (errno != ENOENT)
            entry->target_error = errno;
    }
    listing->resolved = true;
}

/* ---- order ---- */

/* How likely it is no directory, from 0 (it is one) to 7: a name with an ending is rarely one. */
static int
score(const struct entry *entry, const char *name)
{
    static const int by_length[] = { 2, 2, 4, 4, 5, 5, 5, 6 };

    if (entry->own_type != DT_UNKNOWN)
        return entry->own_type == DT_DIR ? 0 : 7;
    if (name[0] == '.')
        return 1;
    if (strchr(name, '.') != NULL)
        return 7;
    return by_length[entry->length < 7 ? entry->length : 7];
}

struct key {
    uint64_t major, minor;
    size_t index;
};

static int
compare(const void *a, const void *b)
{
    const struct key *left = a, *right = b;

    if (left->major != right->major)
        return left->major < right->major ? -1 : 1;
    if (left->minor != right->minor)
        return left->minor < right->minor ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* 0 or ENOMEM. */
static int
sort(struct listing *listing, enum order order)
{
    size_t count = listing->count;
    struct entry *sorted = NULL;
    struct key *keys = NULL;
    bool unknown = false;
    int error = ENOMEM;

    if (order == ORDER_KERNEL || count < 2)
        return 0;
    for (size_t i = 0; i < count; i++)
        unknown |= listing->entries[i].own_type == DT_UNKNOWN;
    if ((keys = malloc(count * sizeof *keys)) == NULL)
        goto fail;
    if ((sorted = malloc(count * sizeof *sorted)) == NULL)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &listing->entries[i];
        int entry_score = order == ORDER_STAT ? 0 : score(entry, listing->names + entry->name);
        /* When all types are known, "dirs_first" leaves the rest as the kernel had it. */
        bool by_inode = order != ORDER_DIRS_FIRST || unknown || entry_score == 0;
        keys[i] = (struct key){ (uint64_t)entry_score, by_inode ? entry->inode : 0, i };
    }
    qsort(keys, count, sizeof *keys, compare);
    for (size_t i = 0; i < count; i++)
        sorted[i] = listing->entries[keys[i].index];
    free(listing->entries);
    listing->entries = sorted;
    sorted = NULL;
    error = 0;
fail:
    free(keys);
    free(sorted);
    return error;
}

/* 0 or ENOMEM; each stat's own errno is its entry's. */
static int
stat_all(int fd, struct listing *listing, bool follow_symlinks, const atomic_bool *abandoned)
{
    int flags = follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW;

    if ((listing->stats = calloc(listing->count + 1, sizeof *listing->stats)) == NULL)
        return ENOMEM;
    listing->follow_symlinks = follow_symlinks;
    for (size_t i = 0; i < listing->count && !atomic_load_explicit(abandoned, memory_order_relaxed); i++) {
        struct entry *entry = &listing->entries[i];
        if (fstatat(fd, listing->names + entry->name, &listing->stats[i], flags) < 0)
            entry->error = errno;
    }
    return 0;
}

int
listing_read(int fd, const struct listing_wish *wish, const atomic_bool *abandoned, struct listing **out)
{
    struct listing *listing = calloc(1, sizeof *listing);
    struct growing growing = { .listing = listing };
    int error;

    if (listing == NULL)
        return ENOMEM;
    if ((error = read_blocks(fd, abandoned, &growing)) != 0)
        goto fail;
    if (wish->resolve)
        resolve(fd, listing, abandoned);
    if ((error = sort(listing, wish->order)) != 0)
        goto fail;
    if (wish->stat && (error = stat_all(fd, listing, wish->follow_symlinks, abandoned)) != 0)
        goto fail;
    *out = listing;
    return 0;
fail:
    listing_free(listing);
    return error;
}

void
listing_free(struct listing *listing)
{
    if (listing == NULL)
        return;
    free(listing->entries);
    free(listing->stats);
    free(listing->names);
    free(listing);
}
