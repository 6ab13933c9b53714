/*
 * STACK_TRACE. What bpf_get_stackid() would put there are call stacks of the kernel and of user space, of which a run's
 * world has none: the map is empty for ever, and answers as Linux's empty one does. Keys are numbers of buckets, of
 * which there are max_entries rounded up to a power of two.
 */
#include "vm/maps/types.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum { ADDRESS = 8, BUILD_ID = 32 /* struct bpf_stack_build_id */, MAX_FRAMES = 127 /* perf_event_max_stack */ };

static int check(const struct map_def *def, const struct log *log)
{
    uint32_t unit = def->flags & MAP_F_STACK_BUILD_ID ? BUILD_ID : ADDRESS;

    if (def->value_size % unit || def->value_size / unit > MAX_FRAMES)
        return log_fail(log, -EINVAL, "map '%s': a value of %u bytes is not 1 to %d frames of %u bytes", def->name,
                        def->value_size, MAX_FRAMES, unit);
    if (def->max_entries > 1u << 31)
        return log_fail(log, -E2BIG, "map '%s': more than 2^31 entries", def->name);
    return 0;
}

static int create(struct map *map, const struct log *log)
{
    (void)map;
    (void)log;
    return 0;
}

static void destroy(struct map *map)
{
    (void)map;
}

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)map;
    (void)key;
    (void)value;
    (void)flags;
    (void)cpu;
    return -EINVAL;
}

static int remove_stack(struct map *map, const void *key)
{
    uint64_t buckets = 1;
    uint32_t id;

    memcpy(&id, key, sizeof(id));
    while (buckets < map->def.max_entries)
        buckets *= 2;
    return id >= buckets ? -E2BIG : -ENOENT;
}

static int next_key(struct map *map, const void *key, void *next)
{
    (void)map;
    (void)key;
    (void)next;
    return -ENOENT;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)map;
    (void)key;
    (void)value;
    (void)flags;
    return -ENOENT;
}

const struct map_ops map_stack_trace_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = update,
    .remove = remove_stack,
    .next_key = next_key,
    .host_lookup = host_lookup,
    .find_region = map_no_region,
};
