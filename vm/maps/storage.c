/*
 * SK_STORAGE, INODE_STORAGE, TASK_STORAGE, CGRP_STORAGE, and the older CGROUP_STORAGE and PERCPU_CGROUP_STORAGE. In
 * Linux a value hangs on its owner and the map lists them; here the map holds them all, in a hash of its own by the
 * owner's number, so that they last as long as the map. That hash keeps values as Linux does: an update puts a new
 * value in the old one's place, and what was taken out stays readable until the runs that may see it have ended.
 *
 * The host names owners by four bytes, where Linux takes descriptors of them: an owner whose number needs more is known
 * to programs alone. Values of cgroups are named by id as in Linux; there attaching makes them, here the first run in
 * that cgroup does, or the host's first update.
 */
#include "vm/maps/storage.h"
#include "vm/epoch.h"
#include "vm/maps/mem.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX_OWNERS = 1 << 20 };

/* struct bpf_cgroup_storage_key */
struct cgroup_key {
    uint64_t cgroup;
    uint32_t attach_type, pad;
};

struct storage {
    struct map *values; /* HASH or PERCPU_HASH */
    void *zeroes;       /* a new value, as the host would write it */
};

static bool of_cgroup(const struct map *map)
{
    return map->def.type == MAP_TYPE_CGROUP_STORAGE || map->def.type == MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

static struct map *values_of(const struct map *map)
{
    return ((const struct storage *)map->priv)->values;
}

/* Linux's: U16_MAX less what an element has of its own; for each CPU, the smallest unit of such memory. */
static uint32_t max_value(uint32_t type)
{
    enum { LARGEST = 65407, LARGEST_PERCPU = 32 << 10 };

    return type == MAP_TYPE_PERCPU_CGROUP_STORAGE ? LARGEST_PERCPU : LARGEST;
}

static int check_value(const struct map_def *def, const struct log *log)
{
    if (def->value_size > max_value(def->type))
        return log_fail(log, -E2BIG, "map '%s': a value of %u bytes is too large for a %s", def->name, def->value_size,
                        map_type_name(def->type));
    return 0;
}

static int check(const struct map_def *def, const struct log *log)
{
    if (!(def->flags & MAP_F_NO_PREALLOC))
        return log_fail(log, -EINVAL, "map '%s': a %s needs BPF_F_NO_PREALLOC", def->name, map_type_name(def->type));
    return check_value(def, log);
}

static int check_cgroup(const struct map_def *def, const struct log *log)
{
    if (def->key_size != sizeof(uint64_t) && def->key_size != sizeof(struct cgroup_key))
        return log_fail(log, -EINVAL,
                        "map '%s': keys of a %s are a __u64 or a struct bpf_cgroup_storage_key, not %u bytes",
                        def->name, map_type_name(def->type), def->key_size);
    return check_value(def, log);
}

static int create(struct map *map, const struct log *log)
{
    struct map_def def = map->def;
    struct storage *s = calloc(1, sizeof(*s));
    int err;

    if (!s)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    def.type = map_type_is_percpu(def.type) ? MAP_TYPE_PERCPU_HASH : MAP_TYPE_HASH;
    def.key_size = of_cgroup(map) ? def.key_size : sizeof(uint64_t);
    def.max_entries = MAX_OWNERS;
    def.flags = MAP_F_NO_PREALLOC;
    def.inner = NULL;
    err = map_create(&def, map->n_cpus, log, &s->values);
    if (err) {
        free(s);
        return err;
    }
    s->zeroes = calloc(1, map_host_value_size(s->values));
    if (!s->zeroes) {
        map_put(s->values);
        free(s);
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    }
    map->priv = s;
    return 0;
}

static void destroy(struct map *map)
{
    struct storage *s = map->priv;

    if (!s)
        return;
    map_put(s->values);
    free(s->zeroes);
    free(s);
    map->priv = NULL;
}

/* Finds a value or makes it. Whoever comes second to make it finds the first's. */
static void *find_or_make(const struct storage *s, const void *key, const void *init, uint32_t cpu)
{
    void *value = s->values->lookup(s->values, key, cpu);
    int err = 0;

    while (!value && (!err || err == -EEXIST)) {
        err = map_host_update(s->values, key, init, MAP_NOEXIST);
        value = s->values->lookup(s->values, key, cpu);
    }
    return value;
}

void *storage_get(struct map *map, uint64_t owner, const void *init, bool create)
{
    const struct storage *s = map->priv;

    return create ? find_or_make(s, &owner, init ? init : s->zeroes, 0) : s->values->lookup(s->values, &owner, 0);
}

int storage_delete(struct map *map, uint64_t owner)
{
    return map_host_delete(values_of(map), &owner);
}

void *storage_of_cgroup(struct map *map, uint64_t cgroup, uint32_t attach_type, uint32_t cpu)
{
    const struct cgroup_key key = {.cgroup = cgroup, .attach_type = attach_type};
    const struct storage *s = map->priv;

    return find_or_make(s, &key, s->zeroes, cpu);
}

/* ---- The host ---- */

/* The key as the values have it. */
static struct cgroup_key inner_key(const struct map *map, const void *key)
{
    struct cgroup_key k = {0};

    memcpy(&k, key, map->def.key_size);
    k.pad = 0;
    return k;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    const struct cgroup_key k = inner_key(map, key);

    return map_host_lookup(values_of(map), &k, value, flags);
}

static int host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    const struct cgroup_key k = inner_key(map, key);

    return map_host_update(values_of(map), &k, value, flags);
}

static int update_cgroup(struct map *map, const void *key, const void *value, uint64_t flags)
{
    const struct cgroup_key k = inner_key(map, key);
    uint64_t known = map_type_is_percpu(map->def.type) ? MAP_EXIST : MAP_EXIST | MAP_LOCK;

    if (flags & ~known)
        return -EINVAL;
    return map_host_update(values_of(map), &k, value, flags & MAP_LOCK ? MAP_EXIST | MAP_LOCK : flags);
}

static int remove_owner(struct map *map, const void *key)
{
    const struct cgroup_key k = inner_key(map, key);

    return map_host_delete(values_of(map), &k);
}

static int remove_cgroup(struct map *map, const void *key)
{
    (void)map, (void)key;
    return -EINVAL;
}

/* Linux does not list owners to the host; here all are listed whose numbers fit the key. */
static int next_owner(struct map *map, const void *key, void *next)
{
    uint64_t at = key ? inner_key(map, key).cgroup : 0;
    const void *from = key ? &at : NULL;
    int err;

    do {
        err = map_host_next_key(values_of(map), from, &at);
        from = &at;
    } while (!err && at > UINT32_MAX);
    if (!err)
        memcpy(next, &at, sizeof(uint32_t));
    return err;
}

static bool is_there(const struct map *map, const struct cgroup_key *key)
{
    struct map *values = values_of(map);
    struct epoch_slot *slot = epoch_enter();
    bool found = slot && values->lookup(values, key, 0);

    if (slot)
        epoch_exit(slot);
    return found;
}

static int next_cgroup(struct map *map, const void *key, void *next)
{
    struct cgroup_key k = {0};
    int err;

    if (key) {
        k = inner_key(map, key);
        if (!is_there(map, &k))
            return -ENOENT;
    }
    err = map_host_next_key(values_of(map), key ? &k : NULL, &k);
    if (!err)
        memcpy(next, &k, map->def.key_size);
    return err;
}

static bool find_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    return values_of(map)->ops->find_region(values_of(map), addr, out);
}

const struct map_ops map_local_storage_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = remove_owner,
    .next_key = next_owner,
    .host_lookup = host_lookup,
    .host_update = host_update,
    .find_region = find_region,
};

const struct map_ops map_cgroup_storage_ops = {
    .check = check_cgroup,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = remove_cgroup,
    .next_key = next_cgroup,
    .host_lookup = host_lookup,
    .host_update = update_cgroup,
    .find_region = find_region,
};
