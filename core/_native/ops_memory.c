/* The operations on mapped memory: iov[0] is the range, which is widened to whole pages. See ops_run.h. */
#define _GNU_SOURCE
#include "ops_run.h"
#include "pool.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    MODIFY = 1,        /* anyaio.MT_MODIFY */
    BATCH = 256,       /* pages between two looks at whether it is still wanted */
    POPULATE_READ = 22, /* madvise(2), Linux 5.14, for older headers */
    POPULATE_WRITE = 23,
};

struct range {
    char *start;
    size_t size; /* both in whole pages */
    size_t page;
};

/* False for an empty range, of which nothing is to be done. */
static bool
find_range(const struct request *request, struct range *range)
{
    uintptr_t start = (uintptr_t)request->iov[0].iov_base, end = start + request->iov[0].iov_len;
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t mask = (uintptr_t)page - 1;

    range->page = (size_t)page;
    range->start = (char *)(start & ~mask);
    range->size = ((end + mask) & ~mask) - (start & ~mask);
    return request->iov[0].iov_len > 0;
}

void
run_msync(struct request *request)
{
    struct range range;

    if (find_range(request, &range))
        ops_set_result(request, msync(range.start, range.size, (int)request->n[2]));
}

void
run_mlock(struct request *request)
{
    struct range range;

    if (find_range(request, &range))
        ops_set_result(request, mlock(range.start, range.size));
}

void
run_mlockall(struct request *request)
{
    ops_set_result(request, mlockall((int)request->n[0]));
}

#ifdef __linux__

/* Does the kernel know the advice? Of nothing it says only whether the advice is one. */
static bool
can_populate(void)
{
    void *anywhere = (void *)(uintptr_t)sysconf(_SC_PAGESIZE);

    return madvise(anywhere, 0, POPULATE_READ) == 0;
}

/* Read a byte of each page, by a call that fails where a load would be a SIGBUS. 0 or an errno. */
static int
read_pages(const char *start, size_t count, size_t page)
{
    char bytes[BATCH];
    struct iovec to = { bytes, count }, from[BATCH];
    ssize_t result;

    for (size_t i = 0; i < count; i++)
        from[i] = (struct iovec){ (char *)start + i * page, 1 };
    result = process_vm_readv(getpid(), &to, 1, from, count, 0);
    if (result < 0)
        return errno;
    return (size_t)result == count ? 0 : EFAULT;
}

static int
touch(const struct range *range, size_t done, bool modify, bool populate)
{
    size_t left = (range->size - done) / range->page;
    size_t count = left < BATCH ? left : BATCH;
    char *start = range->start + done;

    if (populate)
        return madvise(start, count * range->page, modify ? POPULATE_WRITE : POPULATE_READ) < 0 ? errno : 0;
    return modify ? ENOSYS : read_pages(start, count, range->page);
}

void
run_mtouch(struct request *request)
{
    bool populate = can_populate();
    struct range range;

    if (request->n[2] & ~(int64_t)MODIFY) {
        request->error = EINVAL;
        return;
    }
    if (!find_range(request, &range))
        return;
    for (size_t done = 0; done < range.size && request->error == 0; done += BATCH * range.page) {
        if (!pool_wanted(request))
            request->error = ECANCELED;
        else
            request->error = touch(&range, done, request->n[2], populate);
    }
}

#else

void
run_mtouch(struct request *request)
{
    ops_not_here(request);
}

#endif
