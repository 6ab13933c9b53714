/*
 * CGROUP_ARRAY: cgroups to compare a task's with. In Linux the host puts file descriptors of cgroups there; here it
 * puts the numbers that the run's world knows them by (1 is the root), and 0 stands for an empty slot.
 */
#include "vm/maps/array.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <string.h>

static uint32_t *slot(const struct map *map, uint32_t i)
{
    return (uint32_t *)array_at(map->priv, i);
}

uint32_t map_cgroup_at(const struct map *map, uint32_t index)
{
    return __atomic_load_n(slot(map, index), __ATOMIC_RELAXED);
}

static int set(struct map *map, const void *key, const void *value, uint64_t flags)
{
    uint32_t i, number;

    memcpy(&i, key, sizeof(i));
    memcpy(&number, value, sizeof(number));
    if (flags != MAP_ANY)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    if (!number)
        return -EBADF;
    __atomic_store_n(slot(map, i), number, __ATOMIC_RELAXED);
    return 0;
}

static int remove_cgroup(struct map *map, const void *key)
{
    uint32_t i;

    memcpy(&i, key, sizeof(i));
    if (i >= map->def.max_entries)
        return -E2BIG;
    return __atomic_exchange_n(slot(map, i), 0, __ATOMIC_RELAXED) ? 0 : -ENOENT;
}

static int get(struct map *map, const void *key, void *value, uint64_t flags)
{
    uint32_t i, number;

    (void)flags;
    memcpy(&i, key, sizeof(i));
    number = i < map->def.max_entries ? map_cgroup_at(map, i) : 0;
    if (!number)
        return -ENOENT;
    memcpy(value, &number, sizeof(number));
    return 0;
}

const struct map_ops map_cgroup_array_ops = {
    .check = array_check,
    .create = array_create,
    .destroy = array_destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = remove_cgroup,
    .next_key = array_next_key,
    .host_lookup = get,
    .host_update = set,
    .find_region = map_no_region,
};
