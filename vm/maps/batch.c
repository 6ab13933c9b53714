/*
 * Batches of the host, with bpf(2)'s meaning. A batch of lookups goes on where the one before it ended: an array's
 * token is the last index that was read, a trie's the last key, a hash table's the first bucket that was not. A bucket
 * is read whole under its lock or not at all, so that walking a hash table in batches neither misses nor repeats a key
 * that stays where it is.
 */
#include "vm/maps/htab.h"
#include "vm/maps/types.h"

#include <errno.h>

enum { MAX_TOKEN = 264 /* the longest key of a type whose batches go by key */ };

int map_batch_by_key(struct map *map, const struct map_batch *b, bool take)
{
    uint32_t value_size = map_host_value_size(map), key_size = map->def.key_size, n = 0;
    unsigned char at[MAX_TOKEN], next[MAX_TOKEN];
    unsigned char *keys = b->keys, *values = b->values;
    bool begun = b->in;
    int err = 0;

    (void)take;
    if (b->in)
        memcpy(at, b->in, key_size);
    while (n < *b->count) {
        err = map->ops->next_key(map, begun ? at : NULL, next);
        if (err)
            break;
        begun = true;
        memcpy(at, next, key_size);
        err = map->ops->host_lookup(map, at, values + (uint64_t)n * value_size, b->elem_flags);
        if (err == -ENOENT) /* an element that holds nothing */
            continue;
        memcpy(keys + (uint64_t)n * key_size, at, key_size);
        n++;
    }
    if (n)
        memcpy(b->out, at, key_size);
    *b->count = n;
    return err;
}

static struct elem *first_of(const struct htab *h, uint64_t bucket)
{
    return (struct elem *)(uintptr_t)__atomic_load_n(&h->buckets[bucket], __ATOMIC_ACQUIRE);
}

static struct elem *next_of(const struct elem *e)
{
    return (struct elem *)(uintptr_t)__atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
}

/* Reads one bucket behind the n elements that were read; elements that are taken out are chained in *taken. @return how
 * many it has, or -ENOSPC when there is no room for all. */
static int64_t read_bucket(struct map *map, uint64_t bucket, const struct map_batch *b, uint32_t n, uint32_t *taken)
{
    struct htab *h = htab_of(map);
    unsigned char *key = (unsigned char *)b->keys + (uint64_t)n * h->key_size;
    unsigned char *value = (unsigned char *)b->values + (uint64_t)n * map_host_value_size(map);
    uint32_t count = 0;
    struct elem *e;

    for (e = first_of(h, bucket); e; e = next_of(e))
        count++;
    if (count > *b->count - n)
        return -ENOSPC;
    for (e = first_of(h, bucket); e; e = next_of(e)) {
        copy_out(key, e->key, h->key_size);
        htab_read(map, e, value, b->elem_flags);
        key += h->key_size;
        value += map_host_value_size(map);
        if (taken) {
            htab_unlink(h, e, &h->buckets[bucket]);
            __atomic_store_n(&e->link, *taken, __ATOMIC_RELAXED);
            *taken = pool_number(&h->pool, e) + 1;
        }
    }
    return count;
}

/* Gives back what read_bucket() took out. */
static void drop_taken(struct map *map, uint32_t taken)
{
    struct htab *h = htab_of(map);

    while (taken) {
        struct elem *e = pool_at(&h->pool, taken - 1);

        taken = __atomic_load_n(&e->link, __ATOMIC_RELAXED);
        htab_drop(map, e);
    }
}

int htab_host_batch(struct map *map, const struct map_batch *b, bool take)
{
    struct htab *h = htab_of(map);
    uint32_t n = 0, from = 0;
    uint64_t bucket;
    int64_t got = 0;

    if (b->in)
        memcpy(&from, b->in, sizeof(from));
    bucket = from;
    if (bucket > h->mask) {
        *b->count = 0;
        return -ENOENT;
    }
    for (; bucket <= h->mask; bucket++) {
        uint32_t taken = 0;

        if (!first_of(h, bucket))
            continue;
        htab_lock(h, (uint32_t)bucket);
        got = read_bucket(map, bucket, b, n, take ? &taken : NULL);
        htab_unlock(h, (uint32_t)bucket);
        drop_taken(map, taken);
        if (got < 0)
            break;
        n += (uint32_t)got;
    }
    from = (uint32_t)bucket;
    memcpy(b->out, &from, sizeof(from));
    *b->count = n;
    if (bucket > h->mask)
        return -ENOENT;
    return n ? 0 : -ENOSPC;
}

static int check(const struct map *map, uint64_t elem_flags, bool reads, bool writes)
{
    int err = map_host_access(map, reads, writes);

    if (err)
        return err;
    if (!map->ops->host_batch)
        return -ENOTSUPP;
    if (elem_flags & ~(uint64_t)MAP_LOCK || (elem_flags & MAP_LOCK && map->def.spin_lock_off < 0))
        return -EINVAL;
    return 0;
}

int map_host_lookup_batch(struct map *map, const void *in, void *out, void *keys, void *values, uint32_t *count,
                          uint64_t elem_flags)
{
    struct map_batch b = {in, out, keys, values, count, elem_flags};
    int err = check(map, elem_flags, true, false);

    return err || !*count ? err : map->ops->host_batch(map, &b, false);
}

int map_host_lookup_and_delete_batch(struct map *map, const void *in, void *out, void *keys, void *values,
                                     uint32_t *count, uint64_t elem_flags)
{
    struct map_batch b = {in, out, keys, values, count, elem_flags};
    int err = map_host_access(map, true, true);

    if (!err && !map->ops->batch_takes)
        err = -ENOTSUPP;
    if (!err)
        err = check(map, elem_flags, true, true);
    return err || !*count ? err : map->ops->host_batch(map, &b, true);
}

int map_host_update_batch(struct map *map, const void *keys, const void *values, uint32_t *count, uint64_t elem_flags)
{
    const unsigned char *key = keys, *value = values;
    int err = check(map, elem_flags, false, true);
    uint32_t n = 0;

    if (err)
        return err;
    for (; n < *count && !err; n += !err, key += map->def.key_size, value += map_host_value_size(map))
        err = map_host_update(map, key, value, elem_flags);
    *count = n;
    return err;
}

int map_host_delete_batch(struct map *map, const void *keys, uint32_t *count, uint64_t elem_flags)
{
    const unsigned char *key = keys;
    int err = map_host_access(map, false, true);
    uint32_t n = 0;

    if (!err && !map->ops->batch_deletes)
        err = -ENOTSUPP;
    if (!err)
        err = check(map, elem_flags, false, true);
    if (err)
        return err;
    for (; n < *count && !err; n += !err, key += map->def.key_size)
        err = map_host_delete(map, key);
    *count = n;
    return err;
}
