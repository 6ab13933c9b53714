/* Arrays of things (see thing_array.h), and PROG_ARRAY, whose things are code. */
#include "vm/epoch.h"
#include "vm/maps/array.h"
#include "vm/maps/mem.h"
#include "vm/maps/thing_array.h"
#include "vm/maps/types.h"

#include <errno.h>

static void **slot(const struct map *map, uint32_t i)
{
    return (void **)array_at(map->priv, i);
}

static uint32_t index_of(const void *key)
{
    uint32_t i;

    memcpy(&i, key, 4);
    return i;
}

int thing_array_set(struct map *map, const void *key, void *thing, uint64_t flags)
{
    uint32_t i = index_of(key);
    void *old;

    if (!thing)
        return thing_array_remove(map, key);
    if (flags != MAP_ANY)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    if (!map->elem_ops || !(thing = map->elem_ops->get(thing)))
        return -EINVAL;
    old = __atomic_exchange_n(slot(map, i), thing, __ATOMIC_ACQ_REL);
    if (old)
        map->elem_ops->put(old);
    return 0;
}

int thing_array_remove(struct map *map, const void *key)
{
    uint32_t i = index_of(key);
    void *old;

    if (i >= map->def.max_entries)
        return -E2BIG;
    old = __atomic_exchange_n(slot(map, i), NULL, __ATOMIC_ACQ_REL);
    if (!old)
        return -ENOENT;
    map->elem_ops->put(old);
    return 0;
}

void *thing_array_lookup(struct map *map, const void *key, uint32_t cpu)
{
    uint32_t i = index_of(key);

    (void)cpu;
    return i < map->def.max_entries ? __atomic_load_n(slot(map, i), __ATOMIC_ACQUIRE) : NULL;
}

int thing_array_host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct epoch_slot *epoch = epoch_enter();
    uint32_t id = 0;
    void *thing;

    (void)flags;
    if (!epoch)
        return -ENOMEM;
    thing = thing_array_lookup(map, key, 0);
    if (thing)
        id = map->elem_ops->id(thing);
    epoch_exit(epoch);
    if (!thing)
        return -ENOENT;
    memcpy(value, &id, 4);
    return 0;
}

void thing_array_clear(struct map *map)
{
    for (uint32_t i = 0; i < map->def.max_entries; i++) {
        void *old;

        /* An element that was never set stays untouched memory. */
        if (__atomic_load_n(slot(map, i), __ATOMIC_RELAXED) &&
            (old = __atomic_exchange_n(slot(map, i), NULL, __ATOMIC_ACQ_REL)))
            map->elem_ops->put(old);
    }
}

void thing_array_destroy(struct map *map)
{
    if (!map->priv)
        return;
    thing_array_clear(map);
    array_destroy(map);
}

void *map_prog_array_at(struct map *map, uint32_t index)
{
    return index < map->def.max_entries ? __atomic_load_n(slot(map, index), __ATOMIC_ACQUIRE) : NULL;
}

const struct map_ops map_prog_array_ops = {
    .check = array_check,
    .create = array_create,
    .destroy = thing_array_destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = thing_array_remove,
    .next_key = array_next_key,
    .host_lookup = thing_array_host_lookup,
    .host_update = map_no_bytes,
    .set_thing = thing_array_set,
    .clear_things = thing_array_clear,
    .find_region = map_no_region,
};
