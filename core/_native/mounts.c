/* See mounts.h. */
#define _GNU_SOURCE
#include "mounts.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#include "clock.h"

/* Who has more mounts than these in use forgets and learns again. */
enum { SLOTS = 256, PROBES = 8 };

static struct slot {
    atomic_uint_fast64_t id; /* 0: free */
    atomic_int kind;
    atomic_uint_fast64_t avoided_until;
} table[SLOTS];

static size_t
place_of(uint64_t id)
{
    return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 56) % SLOTS;
}

static struct slot *
find(uint64_t id)
{
    for (size_t i = 0, place = place_of(id); i < PROBES; i++) {
        struct slot *slot = &table[(place + i) % SLOTS];
        if (atomic_load_explicit(&slot->id, memory_order_acquire) == id)
            return slot;
    }
    return NULL;
}

enum mount_kind
mounts_kind(uint64_t id)
{
    struct slot *slot = id == 0 ? NULL : find(id);
    uint64_t until;
    int kind;

    if (slot == NULL)
        return id == 0 ? MOUNT_OTHER : MOUNT_UNKNOWN;
    kind = atomic_load_explicit(&slot->kind, memory_order_relaxed);
    until = atomic_load_explicit(&slot->avoided_until, memory_order_relaxed);
    if (until != 0 && until > clock_now())
        kind = MOUNT_OTHER;
    /* The slot may have been given away while it was read. */
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&slot->id, memory_order_relaxed) == id ? (enum mount_kind)kind : MOUNT_UNKNOWN;
}

#ifdef __linux__

/* The magic numbers of statfs(2); not all are in every linux/magic.h. overlayfs is missing on purpose: what lies below it
 * may be anything. */
static enum mount_kind
kind_of(uint64_t type)
{
    switch (type) {
    case 0x01021994: /* tmpfs */
    case 0x858458f6: /* ramfs */
        return MOUNT_MEMORY;
    case 0xef53:     /* ext2, ext3, ext4 */
    case 0x58465342: /* XFS */
    case 0x9123683e: /* Btrfs */
    case 0xf2f52010: /* F2FS */
    case 0xca451a4e: /* bcachefs */
    case 0x2fc12fc1: /* ZFS */
    case 0x73717368: /* SquashFS */
    case 0xe0f5e1e2: /* EROFS */
    case 0x4d44:     /* FAT */
    case 0x2011bab0: /* exFAT */
    case 0x9660:     /* ISO 9660 */
    case 0x15013346: /* UDF */
        return MOUNT_LOCAL;
    default:
        return MOUNT_OTHER;
    }
}

/* No id is this one: nobody finds a slot while it changes, and only who put it there changes the slot. */
static const uint64_t CHANGING = UINT64_MAX;

static bool
claim(struct slot *slot, uint64_t before)
{
    uint_fast64_t expected = before;

    return before != CHANGING && atomic_compare_exchange_strong(&slot->id, &expected, CHANGING);
}

/* A free one, or else the first, whichever mount it is of. NULL: somebody else is about to change it. */
static struct slot *
claim_any(uint64_t id)
{
    struct slot *first = &table[place_of(id)];

    for (size_t i = 0; i < PROBES; i++) {
        struct slot *slot = &table[(place_of(id) + i) % SLOTS];
        if (claim(slot, 0))
            return slot;
    }
    return claim(first, atomic_load(&first->id)) ? first : NULL;
}

void
mounts_learn(uint64_t id, int fd)
{
    struct statfs st;
    struct slot *slot;

    if (id == 0 || find(id) != NULL || fstatfs(fd, &st) < 0 || (slot = claim_any(id)) == NULL)
        return;
    atomic_store(&slot->kind, kind_of((uint64_t)st.f_type & UINT32_MAX));
    atomic_store(&slot->avoided_until, 0);
    atomic_store_explicit(&slot->id, id, memory_order_release);
}

#else

void
mounts_learn(uint64_t id, int fd)
{
    (void)id, (void)fd;
}

#endif

void
mounts_avoid(uint64_t id, uint64_t until)
{
    struct slot *slot = id == 0 ? NULL : find(id);

    if (slot != NULL)
        atomic_store_explicit(&slot->avoided_until, until, memory_order_relaxed);
}
