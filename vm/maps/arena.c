/* The pages of arenas: see arena.h. A page's bytes are zero from when it is free until it is allocated. */
#include "vm/maps/arena.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MAX_PAGES = 1 << 20 /* 4 GiB */ };

/* Where an arena begins when its map_extra does not say: an address that a process might have got for it. */
static const uint64_t default_start = 1ull << 44;

static int check(const struct map_def *def, const struct log *log)
{
    uint64_t size = (uint64_t)def->max_entries * ARENA_PAGE, start = def->extra;

    if (!(def->flags & MAP_F_MMAPABLE))
        return log_fail(log, -EINVAL, "map '%s': an arena needs BPF_F_MMAPABLE", def->name);
    if (start % ARENA_PAGE)
        return log_fail(log, -EINVAL, "map '%s': the arena's address 0x%llx (map_extra) is not that of a page",
                        def->name, (unsigned long long)start);
    if (def->max_entries > MAX_PAGES)
        return log_fail(log, -E2BIG, "map '%s': an arena has at most %d pages, not %u", def->name, MAX_PAGES,
                        def->max_entries);
    if (start >> 32 != (start + size - 1) >> 32)
        return log_fail(log, -ERANGE, "map '%s': an arena of %llu bytes at 0x%llx would cross a border of 4 GiB",
                        def->name, (unsigned long long)size, (unsigned long long)start);
    return 0;
}

static struct map_arena *arena_of(const struct map *map)
{
    return map->priv;
}

static void destroy(struct map *map)
{
    struct map_arena *a = map->priv;

    if (!a)
        return;
    if (a->base)
        munmap(a->base, a->size);
    map_mem_give(a->pages, a->n_pages);
    free(a);
    map->priv = NULL;
}

static int create(struct map *map, const struct log *log)
{
    struct map_arena *a = calloc(1, sizeof(*a));

    if (!a)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    map->priv = a;
    a->start = map->def.extra ? map->def.extra : default_start;
    a->n_pages = map->def.max_entries;
    a->size = (uint64_t)a->n_pages * ARENA_PAGE;
    a->pages = map_mem_take(a->n_pages);
    a->base = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->base == MAP_FAILED)
        a->base = NULL;
    if (a->pages && a->base) {
        madvise(a->base, a->size, MADV_NOHUGEPAGE);
        return 0;
    }
    destroy(map);
    return log_fail(log, -ENOMEM, "map '%s': no room for an arena of %u pages", map->def.name, map->def.max_entries);
}

uint64_t map_arena_start(const struct map *map)
{
    return arena_of(map)->start;
}

static enum arena_page page_at(const struct map_arena *a, uint32_t page)
{
    return (enum arena_page)__atomic_load_n(&a->pages[page], __ATOMIC_RELAXED);
}

static bool are_free(const struct map_arena *a, uint32_t page, uint32_t n)
{
    while (n && page_at(a, page) == ARENA_FREE)
        page++, n--;
    return !n;
}

/* The first n free pages in a row. @return false: there are none. */
static bool find_free(const struct map_arena *a, uint32_t n, uint32_t *page)
{
    uint32_t run = 0;

    for (uint32_t i = 0; i < a->n_pages; i++) {
        run = page_at(a, i) == ARENA_FREE ? run + 1 : 0;
        if (run == n)
            return *page = i + 1 - n, true;
    }
    return false;
}

static void set_pages(struct map_arena *a, uint32_t page, uint32_t n, enum arena_page what)
{
    for (uint32_t i = page; i < page + n; i++)
        __atomic_store_n(&a->pages[i], (unsigned char)what, __ATOMIC_RELEASE);
}

/* Under the lock. Zeroed once more: who saw a page before it was freed may have written since. */
static bool bring(struct map_arena *a, uint32_t page, uint32_t n)
{
    if (!map_mem_fits(((uint64_t)a->present + n) * ARENA_PAGE))
        return false;
    if (madvise(a->base + (uint64_t)page * ARENA_PAGE, (uint64_t)n * ARENA_PAGE, MADV_DONTNEED))
        return false;
    a->present += n;
    set_pages(a, page, n, ARENA_PRESENT);
    return true;
}

/* The page of an address, by its lower half as in Linux; it may lie outside. */
static uint32_t page_of(const struct map_arena *a, uint64_t addr)
{
    return ((uint32_t)addr - (uint32_t)a->start) >> ARENA_PAGE_SHIFT;
}

uint64_t map_arena_alloc(struct map *map, uint64_t addr, uint32_t pages)
{
    struct map_arena *a = arena_of(map);
    uint32_t page = page_of(a, addr);
    bool done;

    if (!pages || pages > a->n_pages || addr % ARENA_PAGE || (addr && page > a->n_pages - pages))
        return 0;
    map_lock(&a->lock);
    done = (addr ? are_free(a, page, pages) : find_free(a, pages, &page)) && bring(a, page, pages);
    map_unlock(&a->lock);
    return done ? a->start + (uint64_t)page * ARENA_PAGE : 0;
}

void map_arena_free(struct map *map, uint64_t addr, uint32_t pages)
{
    struct map_arena *a = arena_of(map);
    uint32_t page = page_of(a, addr & ~(uint64_t)(ARENA_PAGE - 1));

    if ((uint32_t)addr < (uint32_t)a->start || page >= a->n_pages)
        return;
    if (pages > a->n_pages - page)
        pages = a->n_pages - page;
    map_lock(&a->lock);
    for (uint32_t i = page; i < page + pages; i++)
        a->present -= page_at(a, i) == ARENA_PRESENT;
    set_pages(a, page, pages, ARENA_FREE);
    madvise(a->base + (uint64_t)page * ARENA_PAGE, (uint64_t)pages * ARENA_PAGE, MADV_DONTNEED);
    map_unlock(&a->lock);
}

int map_arena_reserve(struct map *map, uint64_t addr, uint32_t pages)
{
    struct map_arena *a = arena_of(map);
    uint32_t page = page_of(a, addr);
    int err = 0;

    if (!pages || addr % ARENA_PAGE)
        return 0;
    if ((uint64_t)page + pages > a->n_pages)
        return -EINVAL;
    map_lock(&a->lock);
    if (are_free(a, page, pages))
        set_pages(a, page, pages, ARENA_RESERVED);
    else
        err = -EBUSY;
    map_unlock(&a->lock);
    return err;
}

void *map_arena_touch(struct map *map, uint64_t addr, uint64_t size)
{
    struct map_arena *a = arena_of(map);
    uint64_t at = addr - a->start;
    bool there = true;

    if (at >= a->size || size > a->size - at || !size)
        return NULL;
    map_lock(&a->lock);
    for (uint32_t i = (uint32_t)(at >> ARENA_PAGE_SHIFT); there && i <= (at + size - 1) >> ARENA_PAGE_SHIFT; i++)
        if (page_at(a, i) != ARENA_PRESENT)
            there = page_at(a, i) == ARENA_FREE && !(map->def.flags & MAP_F_SEGV_ON_FAULT) && bring(a, i, 1);
    map_unlock(&a->lock);
    return there ? a->base + at : NULL;
}

/* In Linux an arena's elements are not to be had one by one. */
static int no_value(struct map *map, const void *key, const void *value, uint64_t flags)
{
    (void)map, (void)key, (void)value, (void)flags;
    return -EOPNOTSUPP;
}

static int no_removal(struct map *map, const void *key)
{
    (void)map, (void)key;
    return -EOPNOTSUPP;
}

static int no_key(struct map *map, const void *key, void *next)
{
    (void)map, (void)key, (void)next;
    return -EOPNOTSUPP;
}

static int no_read(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)map, (void)key, (void)value, (void)flags;
    return -EINVAL;
}

const struct map_ops map_arena_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = no_removal,
    .next_key = no_key,
    .host_lookup = no_read,
    .host_update = no_value,
    .find_region = map_no_region,
};
