/*
 * ARRAY_OF_MAPS and HASH_OF_MAPS. A program's lookup yields the inner map itself, a host's its id. An inner map is held
 * by a reference, and map_put() defers its end until runs that may have found it are over, so that removing it needs no
 * more than giving the reference back. Every inner map agrees with the definition that the outer one was made with.
 */
#include "vm/maps/array.h"
#include "vm/maps/htab.h"
#include "vm/maps/thing_array.h"
#include "vm/maps/types.h"

#include <errno.h>

static void *get(void *thing)
{
    return map_get(thing);
}

static void put(void *thing)
{
    map_put(thing);
}

static uint32_t id(void *thing)
{
    return ((struct map *)thing)->id;
}

static const struct map_elem_ops inner_ops = {.get = get, .put = put, .id = id};

static bool fits(const struct map *map, const struct map *inner)
{
    return map_def_meta_equal(map->def.inner, &inner->def);
}

static int create_array(struct map *map, const struct log *log)
{
    map->elem_ops = &inner_ops;
    return array_create(map, log);
}

static int set_in_array(struct map *map, const void *key, void *thing, uint64_t flags)
{
    uint32_t i;

    memcpy(&i, key, 4);
    /* Linux looks at flags and index before it looks at the inner map. */
    if (thing && flags == MAP_ANY && i < map->def.max_entries && !fits(map, thing))
        return -EINVAL;
    return thing_array_set(map, key, thing, flags);
}

static int create_hash(struct map *map, const struct log *log)
{
    map->elem_ops = &inner_ops;
    return htab_create(map, 0, log);
}

static void destroy_hash(struct map *map)
{
    struct htab *h = htab_of(map);

    for (uint64_t b = 0; h && b <= h->mask; b++)
        for (struct elem *e = (struct elem *)(uintptr_t)h->buckets[b]; e; e = (struct elem *)(uintptr_t)e->next)
            map_put(htab_inner(h, e));
    htab_destroy(map);
}

/* Puts inner at key. @return 0 and in *old the map that stood there, or NULL. */
static int set_locked(struct map *map, const void *key, uint32_t hash, struct map *inner, uint64_t flags,
                      struct map **old)
{
    struct htab *h = htab_of(map);
    uint64_t value = (uintptr_t)inner, *link;
    struct elem *was = htab_find_locked(h, key, hash, &link), *e;
    int err = htab_check_flags(was, flags);

    if (err)
        return err;
    if (was) {
        err = -ENOMEM;
        e = htab_spare(h, hash);
    } else {
        e = htab_take(h, map, &err);
    }
    if (!e)
        return err;
    htab_write(map, e, key, hash, &value, 0);
    if (was) {
        *old = htab_inner(h, was);
        htab_replace(h, was, link, e);
        htab_replaced(h, was, hash);
    } else {
        htab_insert(h, e, hash);
    }
    return 0;
}

static int set_in_hash(struct map *map, const void *key, void *thing, uint64_t flags)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    struct map *old = NULL;
    int err;

    if (!thing)
        return htab_remove(map, key);
    if (!fits(map, thing) || flags > MAP_EXIST)
        return -EINVAL;
    map_get(thing);
    htab_lock(h, hash);
    err = set_locked(map, key, hash, thing, flags, &old);
    htab_unlock(h, hash);
    map_put(err ? thing : old);
    return err;
}

const struct map_ops map_array_of_maps_ops = {
    .check = array_check,
    .create = create_array,
    .destroy = thing_array_destroy,
    .lookup = thing_array_lookup,
    .update = map_no_update,
    .remove = thing_array_remove,
    .next_key = array_next_key,
    .host_lookup = thing_array_host_lookup,
    .host_batch = map_batch_by_key,
    .host_update = map_no_bytes,
    .set_thing = set_in_array,
    .find_region = map_no_region,
};

const struct map_ops map_hash_of_maps_ops = {
    .check = htab_check,
    .create = create_hash,
    .destroy = destroy_hash,
    .lookup = htab_lookup,
    .fast_lookup = htab_inner_lookup,
    .update = map_no_update,
    .remove = htab_remove,
    .next_key = htab_next_key,
    .host_lookup = htab_host_lookup,
    .host_batch = htab_host_batch,
    .batch_deletes = true,
    .batch_takes = true,
    .host_update = map_no_bytes,
    .set_thing = set_in_hash,
    .find_region = map_no_region,
};
