/*
 * ARRAY and PERCPU_ARRAY. All elements exist from creation on, zeroed; they are written in place and never removed. An
 * ARRAY's values stand side by side, each in its value_size rounded up to 8; a PERCPU_ARRAY has one such block for each
 * CPU, the blocks on cache lines of their own.
 */
#include "vm/maps/array.h"
#include "vm/maps/mem.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { PCPU_MAX = 32 << 10 /* PCPU_MIN_UNIT_SIZE: largest value of a per-CPU map */ };

int array_check(const struct map_def *def, const struct log *log)
{
    if (def->value_size > INT_MAX)
        return log_fail(log, -E2BIG, "map '%s': a value of %u bytes is too large", def->name, def->value_size);
    if (def->type == MAP_TYPE_PERCPU_ARRAY && round_up8(def->value_size) > PCPU_MAX)
        return log_fail(log, -E2BIG, "map '%s': a per-CPU value has at most %d bytes", def->name, PCPU_MAX);
    return 0;
}

int array_create(struct map *map, const struct log *log)
{
    const struct map_def *def = &map->def;
    struct array *a = calloc(1, sizeof(*a));
    uint32_t n_blocks = def->type == MAP_TYPE_PERCPU_ARRAY ? map->n_cpus : 1;

    if (!a)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    a->stride = (uint32_t)round_up8(def->value_size);
    a->n = def->max_entries;
    a->block = ((uint64_t)a->stride * a->n + 63) & ~63ull;
    if (!__builtin_mul_overflow(a->block, n_blocks, &a->size))
        a->values = map_mem_take(a->size);
    if (!a->values) {
        free(a);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u entries of %u bytes", def->name, def->max_entries,
                        def->value_size);
    }
    map->priv = a;
    return 0;
}

void array_destroy(struct map *map)
{
    struct array *a = map->priv;

    if (!a)
        return;
    for (uint64_t off = 0; map->def.fields && off < a->size; off += a->block)
        for (uint32_t i = 0; i < a->n; i++)
            value_release(map, a->values + off + (uint64_t)i * a->stride);
    map_mem_give(a->values, a->size);
    free(a);
    map->priv = NULL;
}

static void *lookup(struct map *map, const void *key, uint32_t cpu)
{
    const struct array *a = map->priv;
    uint32_t i;

    (void)cpu;
    memcpy(&i, key, 4);
    return i < a->n ? array_at(a, i) : NULL;
}

static void *percpu_lookup(struct map *map, const void *key, uint32_t cpu)
{
    const struct array *a = map->priv;
    uint32_t i;

    memcpy(&i, key, 4);
    return i < a->n && cpu < map->n_cpus ? array_at(a, i) + cpu * a->block : NULL;
}

/* What array_map_update_elem() refuses, in its order. */
static int check_update(const struct map *map, uint32_t i, uint64_t flags)
{
    if ((flags & ~(uint64_t)MAP_LOCK) > MAP_EXIST)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    if (flags & MAP_NOEXIST)
        return -EEXIST;
    if (flags & MAP_LOCK && map->def.spin_lock_off < 0)
        return -EINVAL;
    return 0;
}

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    struct array *a = map->priv;
    uint32_t i;
    int err;

    (void)cpu;
    memcpy(&i, key, 4);
    err = check_update(map, i, flags);
    if (err)
        return err;
    if (flags & MAP_LOCK)
        value_in_locked(map, array_at(a, i), value);
    else
        value_in(map, array_at(a, i), value);
    value_release(map, array_at(a, i));
    return 0;
}

static int percpu_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    struct array *a = map->priv;
    uint32_t i;
    int err;

    memcpy(&i, key, 4);
    err = check_update(map, i, flags);
    if (err)
        return err;
    if (cpu >= map->n_cpus)
        return -EINVAL;
    value_in(map, array_at(a, i) + cpu * a->block, value);
    value_release(map, array_at(a, i) + cpu * a->block);
    return 0;
}

static int percpu_host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    struct array *a = map->priv;
    const unsigned char *from = value;
    uint32_t i;

    memcpy(&i, key, 4);
    if (flags > MAP_EXIST)
        return -EINVAL;
    if (i >= a->n)
        return -E2BIG;
    if (flags == MAP_NOEXIST)
        return -EEXIST;
    for (uint32_t cpu = 0; cpu < map->n_cpus; cpu++, from += a->stride) {
        value_room_in(map, array_at(a, i) + cpu * a->block, from);
        value_release(map, array_at(a, i) + cpu * a->block);
    }
    return 0;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct array *a = map->priv;
    uint32_t i;

    memcpy(&i, key, 4);
    if (i >= a->n)
        return -ENOENT;
    if (flags & MAP_LOCK)
        value_out_locked(map, value, array_at(a, i));
    else
        value_out(map, value, array_at(a, i));
    return 0;
}

static int percpu_host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct array *a = map->priv;
    unsigned char *to = value;
    uint32_t i;

    (void)flags;
    memcpy(&i, key, 4);
    if (i >= a->n)
        return -ENOENT;
    for (uint32_t cpu = 0; cpu < map->n_cpus; cpu++, to += a->stride)
        value_room_out(map, to, array_at(a, i) + cpu * a->block);
    return 0;
}

int array_next_key(struct map *map, const void *key, void *next)
{
    uint32_t i = UINT32_MAX, n = map->def.max_entries;

    if (key)
        memcpy(&i, key, 4);
    if (i >= n)
        i = 0;
    else if (++i == n)
        return -ENOENT;
    memcpy(next, &i, 4);
    return 0;
}

static bool find_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    const struct array *a = map->priv;
    uintptr_t base = (uintptr_t)a->values;

    if (addr - base >= a->size)
        return false;
    if (map->def.type == MAP_TYPE_PERCPU_ARRAY)
        base += (addr - base) / a->block * a->block;
    *out = (struct map_region){
        .base = base,
        .size = (uint64_t)a->stride * a->n,
        .stride = a->stride,
        .elem_size = map->def.value_size,
        .read_only = map->def.flags & MAP_F_RDONLY_PROG,
    };
    return addr - base < out->size;
}

static const void *key_of(const struct map *map, const void *value, uint32_t *index)
{
    const struct array *a = map->priv;

    *index = (uint32_t)((uint64_t)((const unsigned char *)value - a->values) / a->stride);
    return index;
}

/* As Linux: only an array of one element has a value that can be named without a key. */
static void *direct(struct map *map)
{
    const struct array *a = map->priv;

    return a->n == 1 ? a->values : NULL;
}

bool map_array_layout(const struct map *map, struct map_array_layout *out)
{
    const struct array *a = map->priv;

    if (map->def.type != MAP_TYPE_ARRAY && map->def.type != MAP_TYPE_PERCPU_ARRAY)
        return false;
    *out = (struct map_array_layout){.values = a->values, .n = a->n, .stride = a->stride};
    if (map->def.type == MAP_TYPE_PERCPU_ARRAY)
        out->cpu_stride = a->block;
    return true;
}

const struct map_ops map_array_ops = {
    .check = array_check,
    .create = array_create,
    .destroy = array_destroy,
    .lookup = lookup,
    .update = update,
    .remove = map_bad_remove,
    .next_key = array_next_key,
    .host_lookup = host_lookup,
    .host_batch = map_batch_by_key,
    .find_region = find_region,
    .key_of = key_of,
    .direct = direct,
};

const struct map_ops map_percpu_array_ops = {
    .check = array_check,
    .create = array_create,
    .destroy = array_destroy,
    .lookup = percpu_lookup,
    .update = percpu_update,
    .remove = map_bad_remove,
    .next_key = array_next_key,
    .host_lookup = percpu_host_lookup,
    .host_update = percpu_host_update,
    .host_batch = map_batch_by_key,
    .find_region = find_region,
};
