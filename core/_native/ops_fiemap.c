/* fiemap: where on the disk a file is. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#ifdef __linux__

#include <linux/fiemap.h>
#include <linux/fs.h>

/* Most files have few extents: the first call asks for few. */
enum { FIRST_BATCH = 8, BATCH = 256 };

/* A struct fiemap, with room at its end. */
union map {
    struct fiemap head;
    char memory[sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent)];
};

struct found {
    struct extent *extents;
    size_t count, room;
};

static bool
add(struct found *found, const struct fiemap_extent *extent)
{
    if (found->count == found->room) {
        size_t room = found->room == 0 ? FIRST_BATCH : 2 * found->room;
        struct extent *larger = realloc(found->extents, room * sizeof *larger);
        if (larger == NULL)
            return false;
        found->extents = larger;
        found->room = room;
    }
    found->extents[found->count++] = (struct extent){
        .logical = extent->fe_logical,
        .physical = extent->fe_physical,
        .length = extent->fe_length,
        .flags = extent->fe_flags,
    };
    return true;
}

/* Ask for what follows, from `*start` on, which is moved; 0 or an errno. `*last`: there is no more. */
static int
ask(struct request *request, union map *map, struct found *found, uint64_t *start, uint64_t end, bool *last)
{
    uint64_t before = *start;

    memset(&map->head, 0, sizeof map->head);
    map->head.fm_start = before;
    map->head.fm_length = end - before;
    map->head.fm_flags = (uint32_t)request->n[2];
    if (found->count > 0)
        map->head.fm_flags &= ~(uint32_t)FIEMAP_FLAG_SYNC; /* once is enough */
    map->head.fm_extent_count = found->count == 0 ? FIRST_BATCH : BATCH;
    if (request->n[3] != NO_OFFSET && (uint64_t)request->n[3] - found->count < map->head.fm_extent_count)
        map->head.fm_extent_count = (uint32_t)((uint64_t)request->n[3] - found->count);
    if (ioctl(request->fd[0], FS_IOC_FIEMAP, &map->head) < 0)
        return errno;
    *last = map->head.fm_extent_count == 0 || map->head.fm_mapped_extents == 0;
    if (*last)
        return 0;
    for (uint32_t i = 0; i < map->head.fm_mapped_extents && i < BATCH; i++) {
        const struct fiemap_extent *extent = &map->head.fm_extents[i];
        if (!add(found, extent))
            return ENOMEM;
        *last |= (extent->fe_flags & FIEMAP_EXTENT_LAST) != 0;
        *start = extent->fe_logical + extent->fe_length;
    }
    /* A kernel that does not get on would be asked for ever. */
    *last |= *start <= before || *start >= end;
    return 0;
}

void
run_fiemap(struct request *request)
{
    uint64_t start = (uint64_t)request->n[0];
    uint64_t end = request->n[1] == NO_OFFSET ? FIEMAP_MAX_OFFSET : start + (uint64_t)request->n[1];
    struct found found = { 0 };
    union map map;
    bool last = false;

    while (!last && request->error == 0) {
        request->error = ask(request, &map, &found, &start, end, &last);
        if (request->n[3] != NO_OFFSET && found.count >= (uint64_t)request->n[3])
            last = true;
        if (!last && request->error == 0 && request->abandoned)
            request->error = ECANCELED;
    }
    request->out = found.extents;
    request->value = (int64_t)found.count;
}

#else

void
run_fiemap(struct request *request)
{
    ops_not_here(request);
}

#endif
