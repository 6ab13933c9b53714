/*
 * Counters of perf events and recorded branches: what the run's world says of them. How often a counter was read is
 * counted in the run, so that a sequence begins anew with each.
 */
#include "vm/helpers/helper.h"
#include "vm/maps/perf_array.h"
#include "vm/world/world.h"
#include <stdlib.h>

#define INDEX_MASK  UINT64_C(0xffffffff)
#define CURRENT_CPU INDEX_MASK

_Static_assert(sizeof(struct world_reading) == 24, "struct bpf_perf_event_value");
_Static_assert(sizeof(struct world_branch) == 24, "struct perf_branch_entry");

static int next_reading(struct skep_env *env, const struct world_counter *c, struct world_reading *out)
{
    uint32_t n = env->world->n_counters, *reads, at;

    if (c->cpu != UINT32_MAX && c->cpu != env->cpu)
        return -EINVAL;
    if (env->n_counter_reads < n) {
        reads = realloc(env->counter_reads, n * sizeof(*reads));
        if (!reads)
            return -ENOMEM;
        memset(reads + env->n_counter_reads, 0, (n - env->n_counter_reads) * sizeof(*reads));
        env->counter_reads = reads;
        env->n_counter_reads = n;
    }
    at = env->counter_reads[c->id];
    env->counter_reads[c->id] += at < c->n - 1;
    *out = c->values[at];
    return 0;
}

/* An entry that a reader of samples opened is an event that counts nothing. */
static int read_entry(struct skep_env *env, const struct map *map, uint64_t flags, struct world_reading *out)
{
    uint64_t index = flags & INDEX_MASK;
    const struct world_counter *c;

    if (flags & ~INDEX_MASK)
        return -EINVAL;
    if (index == CURRENT_CPU)
        index = env->cpu;
    if (index >= map->def.max_entries)
        return -E2BIG;
    c = env->world ? world_counter(env->world, map->def.name, (uint32_t)index) : NULL;
    if (c)
        return next_reading(env, c, out);
    if (perf_array_fd((struct map *)(uintptr_t)map, (uint32_t)index) < 0)
        return -ENOENT;
    *out = (struct world_reading){.enabled = 1, .running = 1};
    return index == env->cpu ? 0 : -EINVAL;
}

HELPER_BODY(perf_event_read)
{
    struct world_reading value;
    int err = read_entry(env, helper_map(a1), a2, &value);

    return err ? helper_error(err) : value.counter;
}

static uint64_t put_reading(uint64_t buf, uint32_t size, int err, const struct world_reading *value)
{
    if (err)
        memset(helper_ptr(buf), 0, size);
    else
        memcpy(helper_ptr(buf), value, sizeof(*value));
    return helper_error(err);
}

HELPER_BODY(perf_event_read_value)
{
    struct world_reading value;
    int err = (uint32_t)a4 == sizeof(value) ? read_entry(env, helper_map(a1), a2, &value) : -EINVAL;

    return put_reading(a3, (uint32_t)a4, err, &value);
}

/* A program of this type runs because of an event: without a world it has counted nothing. */
HELPER_BODY(perf_prog_read_value)
{
    struct world_reading value = {.enabled = 1, .running = 1};
    int err = (uint32_t)a3 == sizeof(value) ? 0 : -EINVAL;

    if (!err && env->world && env->world->prog_counter.n)
        err = next_reading(env, &env->world->prog_counter, &value);
    return put_reading(a2, (uint32_t)a3, err, &value);
}

HELPER_BODY(read_branch_records)
{
    enum { ASK_SIZE = 1 };
    uint32_t n = env->world ? env->world->n_branches : 0, size = (uint32_t)a3, each = sizeof(struct world_branch);

    if (a4 & ~(uint64_t)ASK_SIZE)
        return helper_error(-EINVAL);
    if (!n)
        return helper_error(-ENOENT);
    if (a4 & ASK_SIZE)
        return n * each;
    if (!a2 || size % each)
        return helper_error(-EINVAL);
    size = size < n * each ? size : n * each;
    memcpy(helper_ptr(a2), env->world->branches, size);
    return size;
}

HELPER_BODY(get_branch_snapshot)
{
    uint32_t n = env->world ? env->world->n_branches : 0, room = (uint32_t)a2 / sizeof(struct world_branch);

    n = n < room ? n : room;
    if (n)
        memcpy(helper_ptr(a1), env->world->branches, n * sizeof(struct world_branch));
    if (a3)
        return helper_error(-EINVAL);
    return n ? n * sizeof(struct world_branch) : helper_error(-ENOENT);
}
