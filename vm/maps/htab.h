/*
 * The hash table below HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH and HASH_OF_MAPS: buckets of singly linked
 * elements, at most one element for two buckets.
 *
 * Elements are linked at the head of a bucket, replaced in their place, and unlinked, always under the lock of the
 * bucket's stripe; each replacing and unlinking moves the stripe's version before the element may be used again.
 * Readers walk without locks. A reader may stand on an element that is unlinked and used anew, even in another bucket;
 * what it finds there with its key is its key's, and what it does not find it looks for again when the version has
 * moved.
 */
#ifndef VM_MAPS_HTAB_H
#define VM_MAPS_HTAB_H

#include "vm/maps/pool.h"

struct stripe {
    struct map_lock lock;
    struct elem *spare; /* replaces the next element of this stripe that is updated */
} __attribute__((aligned(64)));

struct htab {
    uint64_t *buckets;  /* atomic: address of the first element, 0: none */
    uint32_t *versions; /* atomic, one a stripe */
    uint32_t mask;      /* buckets - 1 */
    uint32_t stripe_mask;
    uint32_t key_size;
    uint32_t value_off; /* from the element */
    uint64_t seed[2];
    uint32_t value_room; /* of one CPU's value, a multiple of 8 */
    uint32_t n_values;   /* 1, or one a CPU */
    bool recycle_later;  /* BPF_F_NO_PREALLOC: elements wait for readers before they are used again */
    struct stripe *stripes;
    uint32_t count; /* atomic: elements in use, where recycle_later */
    uint32_t hand;  /* atomic, LRU: where the search for a victim goes on */
    struct pool pool;
};

/* What goes into an element: a host's value (all CPUs), or a program's (one CPU). */
enum { HTAB_ALL_CPUS = -1 };

/** Creates the table of a map. prefix: bytes before each element. @return 0 with map->priv, -E2BIG, -ENOMEM. */
int htab_create(struct map *map, uint32_t prefix, const struct log *log);
void htab_destroy(struct map *map);
/** htab_map_alloc_check() after the table's checks. */
int htab_check(const struct map_def *def, const struct log *log);

static inline struct htab *htab_of(const struct map *map)
{
    return map->priv;
}

static inline unsigned char *elem_value(const struct htab *h, struct elem *e)
{
    return (unsigned char *)e + h->value_off;
}

uint32_t htab_hash(const struct htab *h, const void *key);
void htab_lock(struct htab *h, uint32_t hash);
void htab_unlock(struct htab *h, uint32_t hash);

/* Under the lock of hash's stripe: */
/** @param link  where the element is linked, when it is there. */
struct elem *htab_find_locked(struct htab *h, const void *key, uint32_t hash, uint64_t **link);
void htab_insert(struct htab *h, struct elem *e, uint32_t hash);
void htab_replace(struct htab *h, struct elem *old, uint64_t *link, struct elem *by);
void htab_unlink(struct htab *h, struct elem *e, uint64_t *link);
/** The element that is to replace another one of this stripe; htab_replaced() takes the other. NULL: out of memory. */
struct elem *htab_spare(struct htab *h, uint32_t hash);
void htab_replaced(struct htab *h, struct elem *old, uint32_t hash);

/** A new element for an insertion. NULL and *err: -E2BIG (full) or -ENOMEM. */
struct elem *htab_take(struct htab *h, const struct map *map, int *err);
/** Gives back an element that is not linked. */
void htab_give(struct htab *h, struct elem *e);

/** Lets go of what the special fields of its values hold. */
void htab_release(struct map *map, struct elem *e);
/** As htab_give(), and lets go of what it holds. */
void htab_drop(struct map *map, struct elem *e);

/** The map that an element of a HASH_OF_MAPS holds. */
struct map *htab_inner(const struct htab *h, struct elem *e);

/** Writes key, hash and value into an element that is not linked; of a HASH_OF_MAPS the value is a 64-bit address. */
void htab_write(struct map *map, struct elem *e, const void *key, uint32_t hash, const void *value, int cpu);
/** Writes a value of a per-CPU map into an element that stands: one CPU's, or all. */
void htab_write_percpu(struct map *map, struct elem *e, const void *value, int cpu);
/** Reads the host's view of a value. */
void htab_read(struct map *map, struct elem *e, void *value, uint64_t flags);

/** check_flags of Linux: 0, -EEXIST, -ENOENT. */
int htab_check_flags(const struct elem *old, uint64_t flags);

/* A program's lookup: that which was made for the map's sizes, and who makes it (see map_ops.fast_lookup). */
void *htab_lookup(struct map *map, const void *key, uint32_t cpu);
map_lookup_fn htab_hash_lookup(const struct map *map);
map_lookup_fn htab_percpu_lookup(const struct map *map);
map_lookup_fn htab_lru_lookup(const struct map *map);
map_lookup_fn htab_lru_percpu_lookup(const struct map *map);
map_lookup_fn htab_inner_lookup(const struct map *map);

/* LRU maps: whether an element was used since the hand came by stands before it, and is written only when it changes.
 */
enum { HTAB_LRU_PREFIX = 8 };

static inline uint32_t *htab_lru_word(struct elem *e)
{
    return (uint32_t *)((unsigned char *)e - HTAB_LRU_PREFIX);
}

static inline void htab_lru_mark(struct elem *e)
{
    if (!__atomic_load_n(htab_lru_word(e), __ATOMIC_RELAXED))
        __atomic_store_n(htab_lru_word(e), 1, __ATOMIC_RELAXED);
}

/* Operations that the types share. */
int htab_remove(struct map *map, const void *key);
int htab_next_key(struct map *map, const void *key, void *next);
int htab_host_lookup(struct map *map, const void *key, void *value, uint64_t flags);
int htab_host_take(struct map *map, const void *key, void *value, uint64_t flags);
bool htab_find_region(struct map *map, uintptr_t addr, struct map_region *out);
const void *htab_key_of(const struct map *map, const void *value, uint32_t *index);

#endif
