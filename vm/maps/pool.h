/*
 * A pool hands out elements of one size and takes them back; it never gives memory to the system before it is
 * destroyed, so that a reader that holds a stale element always reads an element. Elements are numbered; they stand in
 * chunks, the first of which holds `first` elements and each later one twice as many as the one before. Memory is
 * touched when an element is first handed out, in the order of numbers.
 *
 * An element's head is the pool's only while it is free: `link` holds the next free element's number. Everything else
 * in it is left as it was.
 *
 * pool_give() makes an element available at once; pool_give_later() when every epoch section that runs now has ended.
 */
#ifndef VM_MAPS_POOL_H
#define VM_MAPS_POOL_H

#include "vm/maps/mem.h"

enum { POOL_CHUNKS = 32 };

/* A hash map's element; what follows it (key, value) is its owner's. */
struct elem {
    uint64_t next; /* atomic: the next element of its bucket, 0 at the end; stays when the element is taken out */
    uint32_t hash; /* atomic */
    uint32_t link; /* atomic */
    unsigned char key[];
};

struct pool_chunk {
    unsigned char *base;
    uint32_t start, count; /* numbers of its elements */
};

struct pool {
    uint64_t stride;
    uint32_t prefix;     /* bytes of an element's room before the element itself */
    uint32_t shift;      /* stride = odd << shift */
    uint64_t inverse;    /* of odd, modulo 2^64 */
    uint64_t taken;      /* bytes, with those that the owner took */
    uint32_t first, max; /* elements in the first chunk; in all */
    uint32_t bound;      /* numbers below this are handed out; those above are the owner's (pool_at) */
    uint32_t fresh;      /* atomic: numbers from here on were never handed out */
    uint32_t n_chunks;   /* atomic */
    struct pool_chunk chunks[POOL_CHUNKS];
    _Alignas(64) uint64_t free; /* atomic: stack of free elements: count of changes << 32 | number + 1 */
    /* Those given back for later: a batch that waits for its stamp, and a batch that gathers. */
    _Alignas(64) struct map_lock lock;
    uint32_t waiting, gathering; /* number + 1 of the first; linked through `link` */
    uint32_t gathering_last, waiting_last, n_waiting, n_gathering;
    uint64_t stamp;
};

/** A pool of at most max elements of size bytes (header included, a multiple of 8) with prefix bytes before each.
 * first: elements in the first chunk; it is taken now. bound <= max: how many pool_take() hands out. taken: bytes that
 * the map took otherwise, which count against its limit. 0, -ENOMEM. */
int pool_init(struct pool *p, uint64_t size, uint32_t prefix, uint32_t first, uint32_t max, uint32_t bound,
              uint64_t taken);
void pool_destroy(struct pool *p);

/** NULL: all are in use, or out of memory (errno-free; the caller knows which by its own count). */
struct elem *pool_take(struct pool *p);
void pool_give(struct pool *p, struct elem *e);
void pool_give_later(struct pool *p, struct elem *e);

struct elem *pool_at(const struct pool *p, uint32_t number);
uint32_t pool_number(const struct pool *p, const struct elem *e);
/** The chunk that holds this address, NULL: none. */
const struct pool_chunk *pool_chunk_of(const struct pool *p, uintptr_t addr);

#endif
