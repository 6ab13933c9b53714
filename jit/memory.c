/*
 * A region is one memfd: `run` is its executable mapping, `write` its writable one (NULL when hardened: then
 * publication maps the pages that it needs, and unmaps them). Its bitmap has a bit for each granule of JITMEM_ALIGN
 * bytes, set while a block has it. A granule without a bit holds trap instructions, or will before the lock is released
 * that cleared the bit. The list of regions, the bitmaps and the counts are guarded by `lock`; the bytes of a block
 * belong to whoever holds the block.
 *
 * At most one region is empty; a second one to become so goes back to the system.
 */
#include "jit/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_LIMIT (256ul << 20)
#define LEAST_REGION  (64ul << 10)
#define USUAL_REGION  (1ul << 20)
#define MOST_ALIGN    4096u
#define WORD          64u

/* Newer than the headers of Debian 12. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct region {
    struct region *next;
    uint8_t *run, *write;
    size_t size;
    int fd;      /* kept when hardened, else -1 */
    pid_t owner; /* the process that may write */
    bool reused; /* something was given back: other CPUs may have seen other code here */
    size_t used; /* granules */
    uint64_t taken[];
};

struct jitmem {
    pthread_mutex_t lock;
    struct region *regions;
    size_t limit, mapped, used, page;
    size_t blocks, region_count;
    bool harden, closed;
    uint8_t trap[4];
};

struct jitmem_block {
    struct jitmem *jm;
    struct region *region;
    size_t at, size; /* bytes; size is a multiple of JITMEM_ALIGN */
    bool published;
};

/* ---- regions ---- */

static int draw(uint64_t *v)
{
    ssize_t n;

    do
        n = getrandom(v, sizeof(*v), 0);
    while (n < 0 && errno == EINTR);
    return n == sizeof(*v) ? 0 : n < 0 ? -errno : -EIO;
}

/* Address space with nothing in it: `size` bytes to map over, and a guard page at either end. */
static uint8_t *reserve(const struct jitmem *jm, size_t size, uintptr_t hint)
{
    void *p = mmap((void *)hint, size + 2 * jm->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : (uint8_t *)p + jm->page;
}

static void unreserve(const struct jitmem *jm, uint8_t *p, size_t size)
{
    if (p)
        munmap(p - jm->page, size + 2 * jm->page);
}

static int open_memfd(size_t size)
{
    int err, fd = memfd_create("skep-code", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("skep-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    return fd;
}

/* A mapping of a file that is open for reading only can never be made writable; without /proc it has to be this one. */
static int map_run(struct jitmem *jm, struct region *r)
{
    uint64_t hint = 0;
    char path[32];
    void *p = MAP_FAILED;
    int fd, err = 0;

    if (jm->harden && (err = draw(&hint)))
        return err;
    /* Below 2^46 on a page; where that is taken or no address, the kernel finds another. */
    r->run = reserve(jm, r->size, (uintptr_t)((hint & ((1ull << 46) - 1)) / jm->page * jm->page));
    if (!r->run)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        p = mmap(r->run, r->size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
        err = -errno;
        close(fd);
    } else {
        p = mmap(r->run, r->size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, r->fd, 0);
        err = -errno;
    }
    return p == MAP_FAILED ? err : 0;
}

static int map_write(struct jitmem *jm, struct region *r)
{
    int err;

    r->write = reserve(jm, r->size, 0);
    if (!r->write)
        return -errno;
    if (mmap(r->write, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0) == MAP_FAILED) {
        err = -errno;
        unreserve(jm, r->write, r->size);
        r->write = NULL;
        return err;
    }
    /* A child of a fork shares these pages with us: it must not have the way to write them. */
    madvise(r->write - jm->page, r->size + 2 * jm->page, MADV_DONTFORK);
    return 0;
}

static void unmap(struct jitmem *jm, struct region *r)
{
    /* What was not inherited is not there to unmap; something else may stand in its place. */
    if (r->owner == getpid())
        unreserve(jm, r->write, r->size);
    r->write = NULL;
}

static void close_region(struct jitmem *jm, struct region *r)
{
    unmap(jm, r);
    unreserve(jm, r->run, r->size);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

static void fill(const struct jitmem *jm, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += sizeof(jm->trap))
        memcpy(p + i, jm->trap, sizeof(jm->trap));
}

static int open_region(struct jitmem *jm, struct region **out, size_t size, const struct log *log)
{
    size_t granules = size / JITMEM_ALIGN;
    struct region *r = calloc(1, sizeof(*r) + (granules + WORD - 1) / WORD * sizeof(r->taken[0]));
    int err;

    if (!r)
        return log_fail(log, -ENOMEM, "no memory for a region of machine code");
    r->size = size;
    r->owner = getpid();
    r->fd = err = open_memfd(size);
    if (err < 0) {
        free(r);
        return log_fail(log, err, "no memory for machine code: memfd_create: %s", strerror(-err));
    }
    if ((err = map_write(jm, r))) {
        log_fail(log, err, "no memory for machine code: mapping %zu bytes: %s", size, strerror(-err));
        goto fail;
    }
    fill(jm, r->write, size);
    if (jm->harden)
        unmap(jm, r);
    else
        fcntl(r->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
    if ((err = map_run(jm, r))) {
        log_fail(log, err, "no memory for machine code: executable mapping: %s", strerror(-err));
        goto fail;
    }
    if (!jm->harden) {
        close(r->fd);
        r->fd = -1;
    }
    *out = r;
    return 0;
fail:
    close_region(jm, r);
    return err;
}

static int add_region(struct jitmem *jm, size_t need, const struct log *log)
{
    size_t size = USUAL_REGION, left = jm->limit - jm->mapped;
    struct region *r = NULL;
    int err;

    if (!jm->harden && jm->region_count < 4)
        size = LEAST_REGION << jm->region_count;
    need = (need + jm->page - 1) / jm->page * jm->page;
    if (size < jm->page)
        size = jm->page;
    if (size > left || size < need)
        size = need;
    if (size > left)
        return log_fail(log, -ENOSPC, "machine code would take more than %zu bytes", jm->limit);
    err = open_region(jm, &r, size, log);
    if (err)
        return err;
    r->next = jm->regions;
    jm->regions = r;
    jm->mapped += size;
    jm->region_count++;
    return 0;
}

/* ---- granules ---- */

static size_t granules_of(const struct region *r)
{
    return r->size / JITMEM_ALIGN;
}

static void mark(struct region *r, size_t from, size_t n, bool taken)
{
    for (size_t i = from; i < from + n; i++) {
        uint64_t bit = 1ull << i % WORD;

        r->taken[i / WORD] = taken ? r->taken[i / WORD] | bit : r->taken[i / WORD] & ~bit;
    }
    r->used = taken ? r->used + n : r->used - n;
}

/* The first granule from `i` on that is taken, or is not; `end` when there is none before it. */
static size_t next(const struct region *r, size_t i, size_t end, bool taken)
{
    while (i < end) {
        uint64_t w = taken ? r->taken[i / WORD] : ~r->taken[i / WORD];

        w >>= i % WORD;
        if (w) {
            i += (size_t)__builtin_ctzll(w);
            return i < end ? i : end;
        }
        i += WORD - i % WORD;
    }
    return end;
}

/* The first run of n free granules that begins in [from, to) on a multiple of `align` granules. */
static bool find(const struct region *r, size_t from, size_t to, size_t n, size_t align, size_t *at)
{
    size_t end = granules_of(r), i = from, stop;

    for (;;) {
        i = (next(r, i, end, false) + align - 1) / align * align;
        if (i >= to || i + n > end)
            return false;
        stop = next(r, i, i + n, true);
        if (stop == i + n) {
            *at = i;
            return true;
        }
        i = stop;
    }
}

static int search(struct jitmem *jm, struct jitmem_block *b, size_t n, size_t align)
{
    pid_t self = getpid();

    for (struct region *r = jm->regions; r; r = r->next) {
        size_t all = granules_of(r), start = 0, at;
        uint64_t v;
        int err;

        if (r->owner != self || all - r->used < n)
            continue;
        if (jm->harden) {
            if ((err = draw(&v)))
                return err;
            start = v % (all - n + 1);
        }
        if (!find(r, start, all, n, align, &at) && !find(r, 0, start, n, align, &at))
            continue;
        mark(r, at, n, true);
        b->region = r;
        b->at = at * JITMEM_ALIGN;
        return 0;
    }
    return -ENOENT;
}

/* ---- the interface ---- */

static void destroy(struct jitmem *jm)
{
    while (jm->regions) {
        struct region *r = jm->regions;

        jm->regions = r->next;
        close_region(jm, r);
    }
    pthread_mutex_destroy(&jm->lock);
    free(jm);
}

int jitmem_new(struct jitmem **out, const struct jitmem_opts *opts, const struct log *log)
{
    struct jitmem *jm = calloc(1, sizeof(*jm));
    int err;

    if (!jm)
        return log_fail(log, -ENOMEM, "no memory for machine code");
    jm->page = (size_t)sysconf(_SC_PAGESIZE);
    jm->limit = opts && opts->limit ? opts->limit : DEFAULT_LIMIT;
    jm->harden = opts && opts->harden;
    if (opts)
        memcpy(jm->trap, opts->trap, sizeof(jm->trap));
    err = pthread_mutex_init(&jm->lock, NULL);
    if (err) {
        free(jm);
        return log_fail(log, -err, "no memory for machine code: %s", strerror(err));
    }
    err = add_region(jm, 1, log);
    if (err) {
        destroy(jm);
        return err;
    }
    /* See settle(). Where the kernel lacks it, nothing is lost on CPUs whose caches are coherent. */
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    *out = jm;
    return 0;
}

void jitmem_free(struct jitmem *jm)
{
    bool last;

    if (!jm)
        return;
    pthread_mutex_lock(&jm->lock);
    jm->closed = true;
    last = !jm->blocks;
    pthread_mutex_unlock(&jm->lock);
    if (last)
        destroy(jm);
}

int jitmem_take(struct jitmem *jm, struct jitmem_block **out, size_t size, size_t align, const struct log *log)
{
    struct jitmem_block *b;
    size_t n;
    int err;

    if (!size || !align || (align & (align - 1)) || align > MOST_ALIGN)
        return log_fail(log, -EINVAL, "a block of %zu bytes, aligned to %zu, cannot be", size, align);
    if (size > jm->limit)
        return log_fail(log, -ENOSPC, "machine code would take more than %zu bytes", jm->limit);
    b = calloc(1, sizeof(*b));
    if (!b)
        return log_fail(log, -ENOMEM, "no memory for a block of machine code");
    n = (size + JITMEM_ALIGN - 1) / JITMEM_ALIGN;
    b->jm = jm;
    b->size = n * JITMEM_ALIGN;
    align = align > JITMEM_ALIGN ? align / JITMEM_ALIGN : 1;

    pthread_mutex_lock(&jm->lock);
    err = search(jm, b, n, align);
    if (err == -ENOENT) {
        err = add_region(jm, b->size, log);
        if (!err)
            err = search(jm, b, n, align);
    }
    if (!err) {
        jm->blocks++;
        jm->used += b->size;
    }
    pthread_mutex_unlock(&jm->lock);
    if (err) {
        free(b);
        return err;
    }
    *out = b;
    return 0;
}

void *jitmem_address(const struct jitmem_block *b)
{
    return b->region->run + b->at;
}

/* The bytes of a block to write to; give the same to unsee(). */
static int see(const struct jitmem_block *b, uint8_t **out)
{
    const struct region *r = b->region;
    size_t skip = b->at % b->jm->page;
    void *p;

    if (r->write) {
        *out = r->write + b->at;
        return 0;
    }
    p = mmap(NULL, skip + b->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)(b->at - skip));
    if (p == MAP_FAILED)
        return -errno;
    *out = (uint8_t *)p + skip;
    return 0;
}

static void unsee(const struct jitmem_block *b, uint8_t *p)
{
    size_t skip = b->at % b->jm->page;

    if (!b->region->write)
        munmap(p - skip, skip + b->size);
}

/* What was written becomes what is executed: on this CPU, and where other code stood here before, on the others too,
 * which may hold it decoded. */
static void settle(const struct jitmem_block *b)
{
    char *run = jitmem_address(b);

    __builtin___clear_cache(run, run + b->size);
    if (__atomic_load_n(&b->region->reused, __ATOMIC_RELAXED))
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

int jitmem_publish(struct jitmem_block *b, const void *code, size_t size, const struct log *log)
{
    struct jitmem *jm = b->jm;
    uint8_t *p = NULL;
    int err;

    if (b->published)
        return log_fail(log, -EINVAL, "a block of machine code is published once");
    if (size > b->size)
        return log_fail(log, -EINVAL, "%zu bytes of machine code for a block of %zu", size, b->size);
    if (b->region->owner != getpid())
        return log_fail(log, -EPERM, "this block of machine code belongs to the process that forked");
    err = see(b, &p);
    if (err)
        return log_fail(log, err, "machine code cannot be written: mmap: %s", strerror(-err));
    memcpy(p, code, size);
    size = (size + sizeof(jm->trap) - 1) / sizeof(jm->trap) * sizeof(jm->trap);
    fill(jm, p + size, b->size - size);
    unsee(b, p);
    settle(b);
    b->published = true;
    return 0;
}

/* Takes a region out of the list when it is empty and not the only empty one. */
static struct region *drop(struct jitmem *jm, struct region *r)
{
    struct region **link = &jm->regions, *other = jm->regions;

    while (other && (other == r || other->used || other->owner != r->owner))
        other = other->next;
    if (r->used || !other)
        return NULL;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    jm->mapped -= r->size;
    jm->region_count--;
    return r;
}

void jitmem_give(struct jitmem_block *b)
{
    struct jitmem *jm;
    struct region *r, *gone;
    uint8_t *p = NULL;
    bool last;

    if (!b)
        return;
    jm = b->jm;
    r = b->region;
    /* Where it cannot be written just now, the old code stays until something else comes here. */
    if (r->owner == getpid() && !see(b, &p)) {
        fill(jm, p, b->size);
        unsee(b, p);
    }
    pthread_mutex_lock(&jm->lock);
    mark(r, b->at / JITMEM_ALIGN, b->size / JITMEM_ALIGN, false);
    __atomic_store_n(&r->reused, true, __ATOMIC_RELAXED);
    jm->used -= b->size;
    jm->blocks--;
    gone = drop(jm, r);
    last = jm->closed && !jm->blocks;
    pthread_mutex_unlock(&jm->lock);
    free(b);
    if (gone)
        close_region(jm, gone);
    if (last)
        destroy(jm);
}

struct jitmem_usage jitmem_usage(struct jitmem *jm)
{
    struct jitmem_usage u;

    pthread_mutex_lock(&jm->lock);
    u = (struct jitmem_usage){jm->mapped, jm->used, jm->blocks, jm->region_count};
    pthread_mutex_unlock(&jm->lock);
    return u;
}
