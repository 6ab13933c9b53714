/*
 * HASH and PERCPU_HASH. An update of a key that is there puts a new element in the old one's place, as Linux does, so
 * that a program which holds the old value's address never sees half of a new one come; only BPF_F_LOCK, and a
 * program's update of its CPU's value of a PERCPU_HASH, write into the element that stands.
 */
#include "vm/maps/htab.h"
#include "vm/maps/types.h"

#include <errno.h>

static int create(struct map *map, const struct log *log)
{
    return htab_create(map, 0, log);
}

/* Writes into the element that stands where the kind of update allows it. */
static bool write_in_place(struct map *map, struct elem *old, const void *value, uint64_t flags, int cpu)
{
    if (flags & MAP_LOCK) {
        value_in_locked(map, elem_value(htab_of(map), old), value);
        htab_release(map, old);
        return true;
    }
    if (!map_type_is_percpu(map->def.type))
        return false;
    htab_write_percpu(map, old, value, cpu);
    return true;
}

static int set_locked(struct map *map, const void *key, uint32_t hash, const void *value, uint64_t flags, int cpu)
{
    struct htab *h = htab_of(map);
    uint64_t *link;
    struct elem *old = htab_find_locked(h, key, hash, &link), *e;
    int err = htab_check_flags(old, flags);

    if (err)
        return err;
    if (!old) {
        e = htab_take(h, map, &err);
        if (!e)
            return err;
        htab_write(map, e, key, hash, value, cpu);
        htab_insert(h, e, hash);
        return 0;
    }
    if (write_in_place(map, old, value, flags, cpu))
        return 0;
    e = htab_spare(h, hash);
    if (!e)
        return -ENOMEM;
    htab_write(map, e, key, hash, value, cpu);
    htab_replace(h, old, link, e);
    htab_release(map, old);
    htab_replaced(h, old, hash);
    return 0;
}

static int set(struct map *map, const void *key, const void *value, uint64_t flags, int cpu)
{
    struct htab *h = htab_of(map);
    uint32_t hash = htab_hash(h, key);
    int err;

    htab_lock(h, hash);
    err = set_locked(map, key, hash, value, flags, cpu);
    htab_unlock(h, hash);
    return err;
}

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)cpu;
    if ((flags & ~(uint64_t)MAP_LOCK) > MAP_EXIST || (flags & MAP_LOCK && map->def.spin_lock_off < 0))
        return -EINVAL;
    return set(map, key, value, flags, 0);
}

static int percpu_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    if (flags > MAP_EXIST || cpu >= map->n_cpus)
        return -EINVAL;
    return set(map, key, value, flags, (int)cpu);
}

static int percpu_host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    if (flags > MAP_EXIST)
        return -EINVAL;
    return set(map, key, value, flags, HTAB_ALL_CPUS);
}

const struct map_ops map_hash_ops = {
    .check = htab_check,
    .create = create,
    .destroy = htab_destroy,
    .lookup = htab_lookup,
    .fast_lookup = htab_hash_lookup,
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

const struct map_ops map_percpu_hash_ops = {
    .check = htab_check,
    .create = create,
    .destroy = htab_destroy,
    .lookup = htab_lookup,
    .fast_lookup = htab_percpu_lookup,
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
