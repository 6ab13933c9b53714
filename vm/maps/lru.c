/*
 * LRU_HASH and LRU_PERCPU_HASH: a hash table that makes room by itself. Each element carries a mark before it, set when
 * a program looks it up (and when an update replaces it), and written only when it is not set. Who needs room sends a
 * hand round the elements: a marked one loses its mark, an unmarked one goes. That approximates what Linux keeps in two
 * lists; what a user may rely on is the same: inserting into a full map succeeds and drops an element that was not
 * looked up of late. A host's lookup sets no mark, as in Linux.
 *
 * Victims are sought without a lock held, since they stand under the locks of other stripes.
 */
#include "vm/maps/htab.h"
#include "vm/maps/types.h"

#include <errno.h>

enum { ROUNDS = 4 /* of the hand before it gives up */ };

static void clear_mark(struct elem *e)
{
    __atomic_store_n(htab_lru_word(e), 0, __ATOMIC_RELAXED);
}

static int create(struct map *map, const struct log *log)
{
    return htab_create(map, HTAB_LRU_PREFIX, log);
}

/* Takes e out of its bucket, unless it is in none. */
static bool take_out(struct htab *h, struct elem *e)
{
    uint32_t hash = __atomic_load_n(&e->hash, __ATOMIC_RELAXED);
    uint64_t *link = &h->buckets[hash & h->mask], at;

    htab_lock(h, hash);
    while ((at = __atomic_load_n(link, __ATOMIC_ACQUIRE)) && at != (uintptr_t)e)
        link = &((struct elem *)(uintptr_t)at)->next;
    if (at)
        htab_unlink(h, e, link);
    htab_unlock(h, hash);
    return at;
}

static struct elem *evict(struct map *map)
{
    struct htab *h = htab_of(map);
    uint32_t total = h->pool.max;

    for (uint64_t n = (uint64_t)total * ROUNDS; n; n--) {
        struct elem *e = pool_at(&h->pool, __atomic_fetch_add(&h->hand, 1, __ATOMIC_RELAXED) % total);

        if (__atomic_load_n(htab_lru_word(e), __ATOMIC_RELAXED)) {
            clear_mark(e);
        } else if (take_out(h, e)) {
            htab_release(map, e);
            return e;
        }
    }
    return NULL;
}

/* An element for an insertion: a free one, or the victim. */
static struct elem *make_room(struct map *map)
{
    struct htab *h = htab_of(map);
    struct elem *e = pool_take(&h->pool);

    if (!e)
        e = evict(map);
    if (!e)
        e = pool_take(&h->pool);
    return e;
}

static void replace(struct map *map, struct elem *old, uint64_t *link, const void *key, uint32_t hash,
                    const void *value)
{
    struct htab *h = htab_of(map);
    struct elem *e = htab_spare(h, hash);

    htab_write(map, e, key, hash, value, 0);
    htab_lru_mark(e);
    htab_replace(h, old, link, e);
    clear_mark(old);
    htab_release(map, old);
    htab_replaced(h, old, hash);
}

/* room is NULL at first: where the key is not there it takes -EAGAIN, and comes again with room for it. On success with
 * a room that was not needed *room stays. */
static int set_locked(struct map *map, const void *key, uint32_t hash, const void *value, uint64_t flags, int cpu,
                      struct elem **room)
{
    struct htab *h = htab_of(map);
    uint64_t *link;
    struct elem *old = htab_find_locked(h, key, hash, &link);
    int err = htab_check_flags(old, flags);

    if (err)
        return err;
    if (old && map_type_is_percpu(map->def.type)) {
        htab_write_percpu(map, old, value, cpu);
        htab_lru_mark(old);
        return 0;
    }
    if (old) {
        replace(map, old, link, key, hash, value);
        return 0;
    }
    if (!*room)
        return -EAGAIN;
    clear_mark(*room);
    htab_write(map, *room, key, hash, value, cpu);
    htab_insert(h, *room, hash);
    *room = NULL;
    return 0;
}

static int set(struct map *map, const void *key, const void *value, uint64_t flags, int cpu)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    struct elem *room = NULL;
    int err;

    if (flags > MAP_EXIST)
        return -EINVAL;
    for (int i = 0; i < 2; i++) {
        htab_lock(h, hash);
        err = set_locked(map, key, hash, value, flags, cpu, &room);
        htab_unlock(h, hash);
        if (err != -EAGAIN)
            break;
        room = make_room(map);
        if (!room)
            return -ENOMEM;
    }
    if (room)
        htab_give(h, room);
    return err;
}

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)cpu;
    return set(map, key, value, flags, 0);
}

static int percpu_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    return cpu < map->n_cpus ? set(map, key, value, flags, (int)cpu) : -EINVAL;
}

static int percpu_host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    return set(map, key, value, flags, HTAB_ALL_CPUS);
}

const struct map_ops map_lru_hash_ops = {
    .check = htab_check,
    .create = create,
    .destroy = htab_destroy,
    .lookup = htab_lookup,
    .fast_lookup = htab_lru_lookup,
    .update = update,
    .remove = htab_remove,
    .next_key = htab_next_key,
    .host_lookup = htab_host_lookup,
    .host_take = htab_host_take,
    .host_batch = htab_host_batch,
    .batch_deletes = true,
    .batch_takes = true,
    .find_region = htab_find_region,
    .key_of = htab_key_of,
};

const struct map_ops map_lru_percpu_ops = {
    .check = htab_check,
    .create = create,
    .destroy = htab_destroy,
    .lookup = htab_lookup,
    .fast_lookup = htab_lru_percpu_lookup,
    .update = percpu_update,
    .remove = htab_remove,
    .next_key = htab_next_key,
    .host_lookup = htab_host_lookup,
    .host_update = percpu_host_update,
    .host_take = htab_host_take,
    .host_batch = htab_host_batch,
    .batch_deletes = true,
    .batch_takes = true,
    .find_region = htab_find_region,
};
