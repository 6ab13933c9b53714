/* The hash table: see htab.h for what holds between readers and writers. */
#include "vm/maps/htab_find.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum {
    MAX_STRIPES = 128,
    FIRST_CHUNK = 256,   /* elements, where they are taken as they are needed */
    PCPU_MAX = 32 << 10, /* PCPU_MIN_UNIT_SIZE: largest value of a per-CPU map */
    LINUX_ELEM = 48,     /* sizeof(struct htab_elem), which Linux counts against it */
};

int htab_check(const struct map_def *def, const struct log *log)
{
    uint64_t value = round_up8(def->value_size);

    if ((def->type == MAP_TYPE_LRU_HASH || def->type == MAP_TYPE_LRU_PERCPU_HASH) && def->flags & MAP_F_NO_PREALLOC)
        return log_fail(log, -ENOTSUPP, "map '%s': an LRU map is always preallocated", def->name);
    if (def->flags & MAP_F_NUMA_NODE && (def->flags & MAP_F_NO_COMMON_LRU || map_type_is_percpu(def->type)))
        return log_fail(log, -EINVAL, "map '%s': values or LRU lists a CPU do not go with a NUMA node", def->name);
    if ((uint64_t)def->key_size + def->value_size >= MAP_KMALLOC_MAX - LINUX_ELEM)
        return log_fail(log, -E2BIG, "map '%s': key and value of %u and %u bytes are too large", def->name,
                        def->key_size, def->value_size);
    if (map_type_is_percpu(def->type) && value > PCPU_MAX)
        return log_fail(log, -E2BIG, "map '%s': a per-CPU value has at most %d bytes", def->name, PCPU_MAX);
    /* Linux counts 16 bytes a bucket in 32 bits. */
    if (def->max_entries > 1u << 27)
        return log_fail(log, -E2BIG, "map '%s': %u entries are too many", def->name, def->max_entries);
    return 0;
}

static void seed(struct htab *h, const struct map_def *def)
{
    struct timespec now;

    h->seed[0] = 0x9e3779b97f4a7c15;
    h->seed[1] = 0xd1b54a32d192ed03;
    if (def->flags & MAP_F_ZERO_SEED)
        return;
    if (getrandom(h->seed, sizeof(h->seed), GRND_NONBLOCK) == sizeof(h->seed))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    h->seed[0] ^= (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
    h->seed[1] ^= (uintptr_t)h;
}

static uint64_t buckets_size(const struct htab *h)
{
    return ((uint64_t)h->mask + 1) * sizeof(*h->buckets);
}

static int take_memory(struct htab *h, const struct map_def *def, uint32_t prefix)
{
    uint32_t n_stripes = h->stripe_mask + 1;
    uint64_t size = h->value_off + (uint64_t)h->value_room * h->n_values;

    h->buckets = map_mem_take(buckets_size(h));
    h->versions = map_mem_take(n_stripes * sizeof(*h->versions));
    h->stripes = map_mem_take(n_stripes * sizeof(*h->stripes));
    if (!h->buckets || !h->versions || !h->stripes)
        return -ENOMEM;
    if (h->recycle_later) {
        uint32_t first = def->max_entries < FIRST_CHUNK ? def->max_entries : FIRST_CHUNK;

        return pool_init(&h->pool, size, prefix, first, UINT32_MAX - 1, UINT32_MAX - 1, buckets_size(h));
    }
    /* One element a stripe above max_entries serves updates of keys that are there, when the map is full. */
    return pool_init(&h->pool, size, prefix, def->max_entries + n_stripes, def->max_entries + n_stripes,
                     def->max_entries, buckets_size(h));
}

int htab_create(struct map *map, uint32_t prefix, const struct log *log)
{
    const struct map_def *def = &map->def;
    struct htab *h = NULL;
    uint32_t n = 1;

    if (posix_memalign((void **)&h, 64, sizeof(*h)))
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    memset(h, 0, sizeof(*h));
    /* Two buckets an element: a processor then mostly guesses right that the first element is the one. */
    while (n < 2 * def->max_entries)
        n <<= 1;
    h->mask = n - 1;
    h->stripe_mask = (n < MAX_STRIPES ? n : MAX_STRIPES) - 1;
    h->key_size = def->key_size;
    h->value_off = (uint32_t)(sizeof(struct elem) + round_up8(def->key_size));
    h->value_room = (uint32_t)round_up8(def->value_size);
    h->n_values = map_type_is_percpu(def->type) ? map->n_cpus : 1;
    /* What packets are sent to stays as it was while a program holds it. */
    h->recycle_later = def->flags & MAP_F_NO_PREALLOC || def->type == MAP_TYPE_DEVMAP_HASH;
    seed(h, def);
    map->priv = h;
    if (take_memory(h, def, prefix)) {
        htab_destroy(map);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u entries of %u + %u bytes", def->name,
                        def->max_entries, def->key_size, def->value_size);
    }
    return 0;
}

void htab_release(struct map *map, struct elem *e)
{
    struct htab *h = htab_of(map);

    for (uint32_t i = 0; map->def.fields && i < h->n_values; i++)
        value_release(map, elem_value(h, e) + (uint64_t)i * h->value_room);
}

/* Elements that were ever used, linked or not, and those that replace others. */
static void release_all(struct map *map)
{
    struct htab *h = htab_of(map);

    for (uint32_t i = 0; i < h->pool.fresh; i++)
        htab_release(map, pool_at(&h->pool, i));
    for (uint32_t i = h->pool.bound; !h->recycle_later && i < h->pool.max; i++)
        htab_release(map, pool_at(&h->pool, i));
}

void htab_destroy(struct map *map)
{
    struct htab *h = map->priv;

    if (!h)
        return;
    if (map->def.fields)
        release_all(map);
    pool_destroy(&h->pool);
    map_mem_give(h->buckets, buckets_size(h));
    map_mem_give(h->versions, (h->stripe_mask + 1) * sizeof(*h->versions));
    map_mem_give(h->stripes, (h->stripe_mask + 1) * sizeof(*h->stripes));
    free(h);
    map->priv = NULL;
}

/* A key's words are released after the value and the hash, so that whoever sees the key sees those. */
static void write_key(struct elem *e, const unsigned char *key, uint32_t size)
{
    unsigned char *to = e->key;
    bool long_key = size > 8;

    for (; size >= 8; size -= 8, to += 8, key += 8)
        __atomic_store_n((uint64_t *)to, key_read64(key), __ATOMIC_RELEASE);
    if (size)
        __atomic_store_n((uint64_t *)to, key_tail(key, size, long_key), __ATOMIC_RELEASE);
}

uint32_t htab_hash(const struct htab *h, const void *key)
{
    switch (h->key_size) {
    case 4: return htab_hash_sized(h, key, 4);
    case 8: return htab_hash_sized(h, key, 8);
    case 16: return htab_hash_sized(h, key, 16);
    default: return htab_hash_sized(h, key, h->key_size);
    }
}

static inline void store_link(uint64_t *link, const struct elem *e)
{
    __atomic_store_n(link, (uintptr_t)e, __ATOMIC_RELEASE);
}

static struct stripe *stripe_of(const struct htab *h, uint32_t hash)
{
    return &h->stripes[hash & h->stripe_mask];
}

void htab_lock(struct htab *h, uint32_t hash)
{
    map_lock(&stripe_of(h, hash)->lock);
}

void htab_unlock(struct htab *h, uint32_t hash)
{
    map_unlock(&stripe_of(h, hash)->lock);
}

struct elem *htab_find_slowly(struct htab *h, const void *key, uint32_t hash)
{
    struct elem *e;
    uint64_t *link;

    htab_lock(h, hash);
    e = htab_find_locked(h, key, hash, &link);
    htab_unlock(h, hash);
    return e;
}

struct elem *htab_find_locked(struct htab *h, const void *key, uint32_t hash, uint64_t **link)
{
    struct elem *e;

    for (*link = &h->buckets[hash & h->mask]; (e = htab_link(*link)); *link = &e->next)
        if (__atomic_load_n(&e->hash, __ATOMIC_RELAXED) == hash && key_is(e, key, h->key_size))
            return e;
    return NULL;
}

void htab_insert(struct htab *h, struct elem *e, uint32_t hash)
{
    uint64_t *bucket = &h->buckets[hash & h->mask];

    store_link(&e->next, htab_link(bucket));
    store_link(bucket, e);
}

/* The stores of links before it are released with it, so that a reader who comes by an element's next use sees it. Only
 * who holds the stripe's lock writes. */
static void move_version(struct htab *h, uint32_t hash)
{
    uint32_t *version = &h->versions[hash & h->stripe_mask];

    __atomic_store_n(version, __atomic_load_n(version, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

void htab_replace(struct htab *h, struct elem *old, uint64_t *link, struct elem *by)
{
    store_link(&by->next, htab_link(&old->next));
    store_link(link, by);
    move_version(h, __atomic_load_n(&old->hash, __ATOMIC_RELAXED));
}

void htab_unlink(struct htab *h, struct elem *e, uint64_t *link)
{
    store_link(link, htab_link(&e->next));
    move_version(h, __atomic_load_n(&e->hash, __ATOMIC_RELAXED));
}

struct elem *htab_spare(struct htab *h, uint32_t hash)
{
    struct stripe *s = stripe_of(h, hash);
    struct elem *e = s->spare;

    if (h->recycle_later)
        return pool_take(&h->pool);
    s->spare = NULL;
    return e ? e : pool_at(&h->pool, h->pool.bound + (hash & h->stripe_mask));
}

void htab_replaced(struct htab *h, struct elem *old, uint32_t hash)
{
    if (h->recycle_later)
        pool_give_later(&h->pool, old);
    else
        stripe_of(h, hash)->spare = old;
}

struct elem *htab_take(struct htab *h, const struct map *map, int *err)
{
    struct elem *e;

    *err = -E2BIG;
    if (!h->recycle_later)
        return pool_take(&h->pool);
    if (__atomic_fetch_add(&h->count, 1, __ATOMIC_RELAXED) < map->def.max_entries) {
        *err = -ENOMEM;
        if ((e = pool_take(&h->pool)))
            return e;
    }
    __atomic_fetch_sub(&h->count, 1, __ATOMIC_RELAXED);
    return NULL;
}

void htab_give(struct htab *h, struct elem *e)
{
    if (!h->recycle_later) {
        pool_give(&h->pool, e);
        return;
    }
    __atomic_fetch_sub(&h->count, 1, __ATOMIC_RELAXED);
    pool_give_later(&h->pool, e);
}

struct map *htab_inner(const struct htab *h, struct elem *e)
{
    return (struct map *)(uintptr_t)__atomic_load_n((uint64_t *)elem_value(h, e), __ATOMIC_ACQUIRE);
}

void htab_drop(struct map *map, struct elem *e)
{
    struct htab *h = htab_of(map);
    struct map *inner = map->def.type == MAP_TYPE_HASH_OF_MAPS ? htab_inner(h, e) : NULL;

    htab_release(map, e);
    htab_give(h, e);
    map_put(inner);
}

void htab_write(struct map *map, struct elem *e, const void *key, uint32_t hash, const void *value, int cpu)
{
    struct htab *h = htab_of(map);
    unsigned char *to = elem_value(h, e);

    if (map->def.type == MAP_TYPE_HASH_OF_MAPS) {
        /* A reader may come to this word by the element's former place: the map that it finds must be whole. */
        __atomic_store_n((uint64_t *)to, *(const uint64_t *)value, __ATOMIC_RELEASE);
    } else if (h->n_values == 1 && cpu == 0) {
        /* Special fields are as the element was left: empty. */
        value_in(map, to, value);
    } else if (cpu == HTAB_ALL_CPUS) {
        for (uint32_t i = 0; i < h->n_values; i++)
            value_room_in(map, to + (uint64_t)i * h->value_room,
                          (const unsigned char *)value + (uint64_t)i * h->value_room);
    } else {
        /* What other CPUs find is zero, not what a former element left (Linux since 5.10). */
        for (uint32_t i = 0; i < h->n_values; i++)
            if ((int)i != cpu)
                zero_out(to + (uint64_t)i * h->value_room, h->value_room);
        value_in(map, to + (uint64_t)(uint32_t)cpu * h->value_room, value);
    }
    __atomic_store_n(&e->hash, hash, __ATOMIC_RELAXED);
    write_key(e, key, h->key_size);
}

void htab_write_percpu(struct map *map, struct elem *e, const void *value, int cpu)
{
    struct htab *h = htab_of(map);

    if (cpu != HTAB_ALL_CPUS) {
        value_in(map, elem_value(h, e) + (uint64_t)(uint32_t)cpu * h->value_room, value);
        return;
    }
    for (uint32_t i = 0; i < h->n_values; i++)
        value_room_in(map, elem_value(h, e) + (uint64_t)i * h->value_room,
                      (const unsigned char *)value + (uint64_t)i * h->value_room);
}

void htab_read(struct map *map, struct elem *e, void *value, uint64_t flags)
{
    struct htab *h = htab_of(map);
    unsigned char *from = elem_value(h, e);

    if (map_type_is_percpu(map->def.type))
        for (uint32_t i = 0; i < h->n_values; i++)
            value_room_out(map, (unsigned char *)value + (uint64_t)i * h->value_room,
                           from + (uint64_t)i * h->value_room);
    else if (map->def.type == MAP_TYPE_HASH_OF_MAPS)
        memcpy(value, &htab_inner(h, e)->id, sizeof(uint32_t));
    else if (flags & MAP_LOCK)
        value_out_locked(map, value, from);
    else
        value_out(map, value, from);
}

int htab_check_flags(const struct elem *old, uint64_t flags)
{
    if (old && (flags & ~(uint64_t)MAP_LOCK) == MAP_NOEXIST)
        return -EEXIST;
    if (!old && (flags & ~(uint64_t)MAP_LOCK) == MAP_EXIST)
        return -ENOENT;
    return 0;
}

int htab_remove(struct map *map, const void *key)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    uint64_t *link;
    struct elem *e;

    htab_lock(h, hash);
    e = htab_find_locked(h, key, hash, &link);
    if (e)
        htab_unlink(h, e, link);
    htab_unlock(h, hash);
    if (!e)
        return -ENOENT;
    htab_drop(map, e);
    return 0;
}

/* The first key of the first bucket from here on that has one. */
static int first_from(struct htab *h, uint64_t bucket, void *next)
{
    for (; bucket <= h->mask; bucket++) {
        struct elem *e;

        if (!htab_link(&h->buckets[bucket]))
            continue;
        htab_lock(h, (uint32_t)bucket);
        e = htab_link(&h->buckets[bucket]);
        if (e)
            copy_out(next, e->key, h->key_size);
        htab_unlock(h, (uint32_t)bucket);
        if (e)
            return 0;
    }
    return -ENOENT;
}

int htab_next_key(struct map *map, const void *key, void *next)
{
    struct htab *h = htab_of(map);
    struct elem *e, *after = NULL;
    uint64_t *link;
    uint32_t hash;

    if (!key)
        return first_from(h, 0, next);
    hash = htab_hash(h, key);
    htab_lock(h, hash);
    e = htab_find_locked(h, key, hash, &link);
    if (e && (after = htab_link(&e->next)))
        copy_out(next, after->key, h->key_size);
    htab_unlock(h, hash);
    if (after)
        return 0;
    /* A key that is gone: from the start again, as Linux does. */
    return first_from(h, e ? (uint64_t)(hash & h->mask) + 1 : 0, next);
}

int htab_host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    uint64_t *link;
    struct elem *e;

    htab_lock(h, hash);
    e = htab_find_locked(h, key, hash, &link);
    if (e)
        htab_read(map, e, value, flags);
    htab_unlock(h, hash);
    return e ? 0 : -ENOENT;
}

int htab_host_take(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    uint64_t *link;
    struct elem *e;

    htab_lock(h, hash);
    e = htab_find_locked(h, key, hash, &link);
    if (e) {
        htab_read(map, e, value, flags);
        htab_unlink(h, e, link);
    }
    htab_unlock(h, hash);
    if (!e)
        return -ENOENT;
    htab_release(map, e);
    htab_give(h, e);
    return 0;
}

bool htab_find_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    struct htab *h = htab_of(map);
    const struct pool_chunk *c = pool_chunk_of(&h->pool, addr);
    uint32_t before = h->pool.prefix + h->value_off;
    uintptr_t elem;

    if (!c)
        return false;
    *out = (struct map_region){.read_only = map->def.flags & MAP_F_RDONLY_PROG, .elem_size = map->def.value_size};
    if (h->n_values == 1) {
        out->base = (uintptr_t)c->base;
        out->size = (uint64_t)c->count * h->pool.stride;
        out->stride = (uint32_t)h->pool.stride;
        out->elem_off = before;
        return true;
    }
    /* Values of one element, a CPU each. */
    elem = (uintptr_t)c->base + (addr - (uintptr_t)c->base) / h->pool.stride * h->pool.stride + before;
    out->base = elem;
    out->size = (uint64_t)h->n_values * h->value_room;
    out->stride = h->value_room;
    return addr - elem < out->size;
}

const void *htab_key_of(const struct map *map, const void *value, uint32_t *index)
{
    const struct htab *h = htab_of(map);

    (void)index;
    return ((const struct elem *)((const unsigned char *)value - h->value_off))->key;
}
