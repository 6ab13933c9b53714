/*
 * ARENA: memory that programs and the host share, up to 4 GiB of it, of which pages come and go. A program names a byte
 * by the lower half of its address (what addr_space_cast(r, 0, 1) leaves of it); stored in memory are whole addresses
 * from map_arena_start() on, as a process of Linux that mapped the arena would see them. Pages that nobody allocated
 * read as zeroes, and what is written to them is gone; so does all that lies outside.
 *
 * The bytes lie in one piece of the process's memory, wherever that is: every access is an offset from the arena's
 * beginning that is held against its size and a table of pages.
 */
#ifndef VM_MAPS_ARENA_H
#define VM_MAPS_ARENA_H

#include "vm/maps/map.h"
#include "vm/maps/mem.h"

enum { ARENA_PAGE = 4096, ARENA_PAGE_SHIFT = 12 };

enum arena_page { ARENA_FREE, ARENA_PRESENT, ARENA_RESERVED /* not there, and not to be had */ };

struct map_arena {
    unsigned char *base;
    uint64_t size; /* bytes */
    uint64_t start;
    unsigned char *pages; /* atomic: enum arena_page of each */
    uint32_t n_pages;
    struct map_lock lock; /* whoever changes pages holds it */
    uint32_t present;     /* pages, under the lock */
};

/** Where the access to `size` bytes (at most 8) at base + off is made; NULL: some of it is not there. base counts in
 * its lower half alone. */
static inline unsigned char *map_arena_at(const struct map_arena *a, uint64_t base, int64_t off, uint32_t size)
{
    uint64_t at = (uint64_t)(uint32_t)base + (uint64_t)off - (uint32_t)a->start;

    if (at >= a->size || a->size - at < size ||
        __atomic_load_n(&a->pages[at >> ARENA_PAGE_SHIFT], __ATOMIC_RELAXED) != ARENA_PRESENT ||
        __atomic_load_n(&a->pages[(at + size - 1) >> ARENA_PAGE_SHIFT], __ATOMIC_RELAXED) != ARENA_PRESENT)
        return NULL;
    return a->base + at;
}

/** The address of the first byte. */
uint64_t map_arena_start(const struct map *map);

/* bpf_arena_alloc_pages(): zeroed pages at addr (0: anywhere). @return their address, 0: not to be had. */
uint64_t map_arena_alloc(struct map *map, uint64_t addr, uint32_t pages);
/* bpf_arena_free_pages() */
void map_arena_free(struct map *map, uint64_t addr, uint32_t pages);
/* bpf_arena_reserve_pages(): 0, -EINVAL, -EBUSY. */
int map_arena_reserve(struct map *map, uint64_t addr, uint32_t pages);

/** The host touches memory at an address of programs: pages that are not there come to be. NULL: outside, reserved,
 * without BPF_F_SEGV_ON_FAULT's leave, or memory is short. */
void *map_arena_touch(struct map *map, uint64_t addr, uint64_t size);

#endif
