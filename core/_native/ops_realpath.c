/* realpath: step by step what posixpath.realpath of Python 3.11 does. See ops_run.h.
 *
 * Paths are resolved as the kernel does it, part by part; ".." takes the last part away, which is no symlink any more.
 */
#define _GNU_SOURCE
#include "ops_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* what the kernel follows; path_resolution(7) */

/* A symlink that was met, with what it leads to: to itself, as long as that is not known. */
struct known {
    struct known *next;
    char *path;
    char *target; /* NULL while it is being resolved */
};

/* What is left of a path; below it what is left of those whose symlinks led here. */
struct rest {
    struct rest *below;
    struct known *link; /* it is this one's target; NULL for the path itself */
    char *text, *at;
};

struct walk {
    struct request *request;
    int dir_fd;
    bool strict;
    char *path; /* resolved so far: absolute, or from dir_fd */
    size_t room;
    struct rest *rest;
    struct known *known;
    int links;
};

/* ---- text ---- */

static bool
reserve(struct walk *walk, size_t size)
{
    size_t room = walk->room * 2 > size ? walk->room * 2 : size + PATH_MAX;
    char *larger;

    if (size <= walk->room)
        return true;
    if ((larger = realloc(walk->path, room)) == NULL)
        return false;
    walk->path = larger;
    walk->room = room;
    return true;
}

static bool
assign(struct walk *walk, const char *path)
{
    size_t length = strlen(path);

    if (!reserve(walk, length + 1))
        return false;
    memmove(walk->path, path, length + 1);
    return true;
}

/* Join a part, or several, as written. */
static bool
append(struct walk *walk, const char *part, size_t length)
{
    size_t before = strlen(walk->path);
    bool slash = before > 0 && walk->path[before - 1] != '/';

    if (!reserve(walk, before + length + 2))
        return false;
    if (slash)
        walk->path[before++] = '/';
    memcpy(walk->path + before, part, length);
    walk->path[before + length] = '\0';
    return true;
}

static bool
is_part(const char *part, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(part, text, length) == 0;
}

/* ".." */
static bool
go_up(struct walk *walk)
{
    char *last = strrchr(walk->path, '/');
    char *name = last == NULL ? walk->path : last + 1;

    if (walk->path[0] == '\0' || strcmp(name, "..") == 0) /* above where a relative path starts */
        return append(walk, "..", 2);
    if (last == walk->path)
        last++; /* the root stays */
    *(last == NULL ? walk->path : last) = '\0';
    return true;
}

/* Take away ".", ".." and double slashes, of what could not be resolved and of the directory it starts at. */
static void
normalize(char *path)
{
    char *out = path;

    for (char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");

        if (is_part(at, length, "..")) {
            while (out > path && *--out != '/')
                ;
        } else if (length > 0 && !is_part(at, length, ".")) {
            *out++ = '/';
            memmove(out, at, length);
            out += length;
        }
        at += length + (at[length] == '/');
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

/* ---- symlinks ---- */

/* The text of a symlink, or NULL with an errno: EINVAL for what is none. */
static char *
read_link(int dir_fd, const char *path)
{
    char *text = NULL;

    for (size_t size = 256;; size *= 2) {
        char *larger = realloc(text, size);
        ssize_t length;

        if (larger == NULL) {
            free(text);
            errno = ENOMEM;
            return NULL;
        }
        text = larger;
        length = readlinkat(dir_fd, path, text, size);
        if (length < 0) {
            int error = errno;
            free(text);
            errno = error;
            return NULL;
        }
        if ((size_t)length < size) {
            text[length] = '\0';
            return text;
        }
    }
}

static struct known *
find_known(const struct walk *walk)
{
    struct known *known = walk->known;

    while (known != NULL && strcmp(known->path, walk->path) != 0)
        known = known->next;
    return known;
}

/* Go on with `text`, which becomes the walk's, and then with the present rest. */
static bool
enter(struct walk *walk, char *text, struct known *link)
{
    struct rest *rest = malloc(sizeof *rest);

    if (rest == NULL) {
        free(text);
        return false;
    }
    *rest = (struct rest){ .below = walk->rest, .link = link, .text = text, .at = text };
    walk->rest = rest;
    return *text != '/' || assign(walk, "/");
}

static void
leave(struct walk *walk)
{
    struct rest *rest = walk->rest;

    walk->rest = rest->below;
    free(rest->text);
    free(rest);
}

/* A loop, not strict: nothing of the rests is resolved. */
static bool
give_up(struct walk *walk)
{
    for (; walk->rest != NULL; leave(walk)) {
        const char *at = walk->rest->at + strspn(walk->rest->at, "/");
        if (*at != '\0' && !append(walk, at, strlen(at)))
            return false;
    }
    return true;
}

/* The path so far is a symlink, with this text, in the directory whose path has `parent` bytes. 0 or an errno. */
static int
follow(struct walk *walk, char *text, size_t parent)
{
    struct known *known;

    if (++walk->links > LINKS_MAX && walk->strict) {
        free(text);
        return ELOOP;
    }
    if ((known = find_known(walk)) != NULL) {
        free(text);
        if (known->target != NULL)
            return assign(walk, known->target) ? 0 : ENOMEM;
        return walk->strict ? ELOOP : give_up(walk) ? 0 : ENOMEM;
    }
    if ((known = calloc(1, sizeof *known)) == NULL || (known->path = strdup(walk->path)) == NULL) {
        free(known);
        free(text);
        return ENOMEM;
    }
    known->next = walk->known;
    walk->known = known;
    walk->path[parent] = '\0';
    return enter(walk, text, known) ? 0 : ENOMEM;
}

/* ---- the walk ---- */

/* One part more. 0 or an errno. */
static int
step(struct walk *walk, const char *part, size_t length)
{
    size_t parent = strlen(walk->path);
    char *text;

    if (length == 0 || is_part(part, length, "."))
        return 0;
    if (is_part(part, length, ".."))
        return go_up(walk) ? 0 : ENOMEM;
    if (!append(walk, part, length))
        return ENOMEM;
    if ((text = read_link(walk->dir_fd, walk->path)) != NULL)
        return follow(walk, text, parent);
    if (errno == ENOMEM || (walk->strict && errno != EINVAL))
        return errno;
    return 0;
}

static int
walk_all(struct walk *walk)
{
    while (walk->rest != NULL) {
        struct rest *rest = walk->rest;
        char *part = rest->at + strspn(rest->at, "/");
        size_t length = strcspn(part, "/");
        int error;

        rest->at = part + length;
        if (length == 0) {
            if (rest->link != NULL && (rest->link->target = strdup(walk->path)) == NULL)
                return ENOMEM;
            leave(walk);
            continue;
        }
        if ((error = step(walk, part, length)) != 0)
            return error;
        if (walk->request->abandoned)
            return ECANCELED;
    }
    return 0;
}

/* Where a relative path starts; NULL with an errno. */
static char *
find_base(int dir_fd)
{
    static const char deleted[] = " (deleted)";
    char link[OPS_LINK_SIZE], *base;
    struct stat st;
    size_t length, tail = sizeof deleted - 1;
    bool removed;

    if (dir_fd == AT_FDCWD)
        return getcwd(NULL, 0);
    if (fstat(dir_fd, &st) < 0)
        return NULL;
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return NULL;
    }
    ops_link_of(dir_fd, link);
    if ((base = read_link(AT_FDCWD, link)) == NULL)
        return NULL;
    length = strlen(base);
    removed = st.st_nlink == 0 && length > tail && strcmp(base + length - tail, deleted) == 0;
    if (base[0] == '/' && !removed)
        return base;
    free(base);
    errno = ENOENT; /* it was removed, or is not below our root: as getcwd(3) has it */
    return NULL;
}

static int
resolve(struct walk *walk, const char *path)
{
    char *base, *text = strdup(path);
    int error;

    if (text == NULL || !assign(walk, "")) {
        free(text);
        return ENOMEM;
    }
    if (!enter(walk, text, NULL))
        return ENOMEM;
    if ((error = walk_all(walk)) != 0)
        return error;
    if (walk->path[0] != '/') {
        if ((base = find_base(walk->dir_fd)) == NULL)
            return errno;
        if ((text = strdup(walk->path)) == NULL || !assign(walk, base) || !append(walk, text, strlen(text)))
            error = ENOMEM;
        free(base);
        free(text);
    }
    if (error == 0)
        normalize(walk->path);
    return error;
}

void
run_realpath(struct request *request)
{
    struct walk walk = { .request = request, .dir_fd = request->fd[0], .strict = request->n[0] };

    request->error = resolve(&walk, request->path[0]);
    while (walk.rest != NULL)
        leave(&walk);
    while (walk.known != NULL) {
        struct known *known = walk.known;
        walk.known = known->next;
        free(known->path);
        free(known->target);
        free(known);
    }
    request->out = walk.path;
    request->value = request->error == 0 ? (int64_t)strlen(walk.path) : 0;
}
