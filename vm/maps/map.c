/*
 * Creation, references and the host's view of every map. What a definition may say stands in map_types.def; what bpf(2)
 * refuses before a map's own operation runs (permissions, unknown flags, operations that a type lacks) is refused here,
 * in bpf(2)'s order. A map's operations see only arguments that passed.
 */
#include "vm/maps/map.h"
#include "vm/epoch.h"
#include "vm/maps/mem.h"
#include "vm/maps/types.h"
#include "vm/timer.h"

#include <errno.h>
#include <stdlib.h>

/* The words of the table. */
enum {
    NO_PREALLOC = MAP_F_NO_PREALLOC,
    NO_COMMON_LRU = MAP_F_NO_COMMON_LRU,
    NUMA_NODE = MAP_F_NUMA_NODE,
    STACK_BUILD_ID = MAP_F_STACK_BUILD_ID,
    ZERO_SEED = MAP_F_ZERO_SEED,
    CLONE = MAP_F_CLONE,
    SEGV_ON_FAULT = MAP_F_SEGV_ON_FAULT,
    NO_USER_CONV = MAP_F_NO_USER_CONV,
    MMAPABLE = MAP_F_MMAPABLE,
    PRESERVE_ELEMS = MAP_F_PRESERVE_ELEMS,
    INNER_MAP = MAP_F_INNER_MAP,
    HOST_ACCESS = MAP_F_RDONLY | MAP_F_WRONLY,
    ACCESS = HOST_ACCESS | MAP_F_RDONLY_PROG | MAP_F_WRONLY_PROG,
    NOT_INNER = 1 << 30,
    PERCPU = 1 << 29,
    EXTRA = 1 << 28,
    SIZE_FIRST = 1 << 27,
    READ_ONLY = 1 << 26,
    SOCKETS = 1 << 25,
    UNCOUNTED = 1 << 24,
    TRAITS = NOT_INNER | PERCPU | EXTRA | SIZE_FIRST | READ_ONLY | SOCKETS | UNCOUNTED,
};

enum size_rule { ANY, U32, ZERO };

static const struct map_ops NONE;

static const struct row {
    const struct map_ops *ops;
    enum size_rule key, value;
    uint32_t flags;
} rows[MAP_TYPE_COUNT] = {
#define MAP_TYPE(id, name, text, ops, key, value, flags) [id] = {&ops, key, value, flags},
#include "vm/abi/map_types.def"
};

bool map_type_is_here(uint32_t type)
{
    return type < MAP_TYPE_COUNT && rows[type].ops != &NONE;
}

bool map_type_is_percpu(uint32_t type)
{
    return type < MAP_TYPE_COUNT && rows[type].flags & PERCPU;
}

uint32_t map_def_prog_flags(const struct map_def *def)
{
    return def->type < MAP_TYPE_COUNT && rows[def->type].flags & READ_ONLY ? def->flags | MAP_F_RDONLY_PROG
                                                                           : def->flags;
}

bool map_type_holds_sockets(uint32_t type)
{
    return type < MAP_TYPE_COUNT && rows[type].flags & SOCKETS;
}

static bool size_fits(uint32_t size, enum size_rule rule)
{
    switch (rule) {
    case U32: return size == 4;
    case ZERO: return size == 0;
    case ANY: break;
    }
    return size > 0;
}

bool map_def_sizes_fit(const struct map_def *def)
{
    const struct row *row = def->type < MAP_TYPE_COUNT ? &rows[def->type] : NULL;

    return row && (row->ops == &NONE || (size_fits(def->key_size, row->key) && size_fits(def->value_size, row->value)));
}

static bool both(uint32_t flags, uint32_t a, uint32_t b)
{
    return flags & a && flags & b;
}

static bool holds_maps(uint32_t type)
{
    return type == MAP_TYPE_ARRAY_OF_MAPS || type == MAP_TYPE_HASH_OF_MAPS;
}

static int check_inner(const struct map_def *def, const struct log *log)
{
    const struct map_def *inner = def->inner;

    if (!holds_maps(def->type))
        return 0;
    if (!inner)
        return log_fail(log, -EINVAL, "map '%s': a map of maps needs the definition of its inner maps", def->name);
    if (inner->type >= MAP_TYPE_COUNT || inner->type == MAP_TYPE_UNSPEC || holds_maps(inner->type))
        return log_fail(log, -EINVAL, "map '%s': inner maps of type %u are not possible", def->name, inner->type);
    if (rows[inner->type].flags & NOT_INNER)
        return log_fail(log, -ENOTSUPP, "map '%s': a %s cannot be an inner map", def->name, map_type_name(inner->type));
    return 0;
}

static int check_fields(const struct map_def *def, const struct log *log)
{
    const struct fields *f = def->fields;
    const struct field lock = {.off = (uint32_t)def->spin_lock_off, .size = 4, .kind = FIELD_SPIN_LOCK};
    const struct field *at = f ? f->at : &lock;
    uint32_t n = f ? f->n : def->spin_lock_off >= 0;

    for (uint32_t i = 0; i < n; i++) {
        const char *name = field_name((enum field_kind)at[i].kind);

        if (!(field_maps((enum field_kind)at[i].kind) >> def->type & 1))
            return log_fail(log, -EOPNOTSUPP, "map '%s': a %s cannot hold a %s", def->name, map_type_name(def->type),
                            name);
        if ((uint64_t)at[i].off + at[i].size > def->value_size || at[i].off % 4)
            return log_fail(log, -EINVAL, "map '%s': %s at byte %u of a value of %u bytes", def->name, name, at[i].off,
                            def->value_size);
    }
    if (n && def->flags & (MAP_F_RDONLY_PROG | MAP_F_WRONLY_PROG))
        return log_fail(log, -EACCES, "map '%s': a %s needs programs that may read and write", def->name,
                        field_name((enum field_kind)at[0].kind));
    return 0;
}

int map_def_check(const struct map_def *def, const struct log *log)
{
    const struct row *row;
    uint32_t unknown;
    int err;

    if (def->type >= MAP_TYPE_COUNT || def->type == MAP_TYPE_UNSPEC)
        return log_fail(log, -EINVAL, "map '%s': there is no map type %u", def->name, def->type);
    row = &rows[def->type];
    if (row->ops == &NONE)
        return log_fail(log, -ENOTSUPP, "map '%s': maps of type %s are not available", def->name,
                        map_type_name(def->type));
    if (row->flags & SIZE_FIRST && def->value_size > MAP_KMALLOC_MAX)
        return log_fail(log, -E2BIG, "map '%s': a value of %u bytes is too large", def->name, def->value_size);
    unknown = def->flags & ~(row->flags & ~(uint32_t)TRAITS);
    if (unknown)
        return log_fail(log, -EINVAL, "map '%s': flags 0x%x do not fit a %s", def->name, unknown,
                        map_type_name(def->type));
    if (both(def->flags, MAP_F_RDONLY, MAP_F_WRONLY) || both(def->flags, MAP_F_RDONLY_PROG, MAP_F_WRONLY_PROG))
        return log_fail(log, -EINVAL, "map '%s': flags 0x%x say read-only and write-only at once", def->name,
                        def->flags);
    if (def->extra && !(row->flags & EXTRA))
        return log_fail(log, -EINVAL, "map '%s': a %s takes no map_extra", def->name, map_type_name(def->type));
    if (!size_fits(def->key_size, row->key))
        return log_fail(log, -EINVAL, "map '%s': a %s cannot have keys of %u bytes", def->name,
                        map_type_name(def->type), def->key_size);
    if (!size_fits(def->value_size, row->value))
        return log_fail(log, -EINVAL, "map '%s': a %s cannot have values of %u bytes", def->name,
                        map_type_name(def->type), def->value_size);
    if (row->flags & UNCOUNTED && def->max_entries)
        return log_fail(log, -EINVAL, "map '%s': a %s has as many entries as there are owners; max_entries is 0",
                        def->name, map_type_name(def->type));
    if (!def->max_entries && !(row->flags & UNCOUNTED))
        return log_fail(
            log, -EINVAL,
            "map '%s': max_entries is 0: its loader is to size it (skep_map__set_max_entries(), --set %s.max_entries=N)",
            def->name, def->name);
    err = row->ops->check ? row->ops->check(def, log) : 0;
    if (!err)
        err = check_inner(def, log);
    return err ? err : check_fields(def, log);
}

static void free_map(struct map *map)
{
    if (map->def.fields)
        field_table_put(map->def.fields->table);
    if (map->def.inner && map->def.inner->fields)
        field_table_put(map->def.inner->fields->table);
    free((void *)map->def.inner);
    free(map);
}

int map_create(const struct map_def *def, uint32_t n_cpus, const struct log *log, struct map **out)
{
    int err = map_def_check(def, log);
    struct map *map;

    if (err)
        return err;
    if (!n_cpus || n_cpus > MAP_MAX_CPUS)
        return log_fail(log, -EINVAL, "map '%s': %u CPUs; there may be 1 to %d", def->name, n_cpus, MAP_MAX_CPUS);
    map = calloc(1, MAP_OBJECT_ROOM);
    if (!map)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    map->def = *def;
    map->def.inner = NULL;
    if (def->fields)
        field_table_get(def->fields->table);
    map->refs = 1;
    map->n_cpus = n_cpus;
    map->ops = rows[def->type].ops;
    if (holds_maps(def->type)) {
        struct map_def *inner = malloc(sizeof(*inner));

        if (!inner) {
            free_map(map);
            return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
        }
        *inner = *def->inner;
        inner->inner = NULL;
        if (inner->fields)
            field_table_get(inner->fields->table);
        map->def.inner = inner;
    }
    err = map->ops->create(map, log);
    if (err) {
        free_map(map);
        return err;
    }
    map->lookup = map->ops->fast_lookup ? map->ops->fast_lookup(map) : map->ops->lookup;
    *out = map;
    return 0;
}

map_lookup_fn map_fast_lookup(const struct map *map)
{
    return map->lookup;
}

struct map *map_get(struct map *map)
{
    __atomic_fetch_add(&map->refs, 1, __ATOMIC_RELAXED);
    return map;
}

static void destroy(void *p)
{
    struct map *map = p;

    timers_forget(map);
    map->ops->destroy(map);
    free_map(map);
}

/* A run may have found the map inside another one: it goes when such runs have ended. */
void map_put(struct map *map)
{
    if (map && __atomic_fetch_sub(&map->refs, 1, __ATOMIC_ACQ_REL) == 1)
        epoch_retire(map, destroy);
}

void map_clear_things(struct map *map)
{
    if (map->ops->clear_things)
        map->ops->clear_things(map);
    __atomic_store_n(&map->closed, true, __ATOMIC_RELEASE);
    timers_forget(map);
}

static bool host_may_read(const struct map *map)
{
    return !(map->def.flags & MAP_F_WRONLY);
}

static bool host_may_write(const struct map *map)
{
    return !(map->def.flags & MAP_F_RDONLY) && !__atomic_load_n(&map->frozen, __ATOMIC_ACQUIRE);
}

int map_host_access(const struct map *map, bool reads, bool writes)
{
    return (reads && !host_may_read(map)) || (writes && !host_may_write(map)) ? -EPERM : 0;
}

static bool lock_is_missing(const struct map *map, uint64_t flags)
{
    return flags & MAP_LOCK && map->def.spin_lock_off < 0;
}

int map_host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    if (flags & ~(uint64_t)MAP_LOCK)
        return -EINVAL;
    if (!host_may_read(map))
        return -EPERM;
    if (lock_is_missing(map, flags))
        return -EINVAL;
    return map->ops->host_lookup ? map->ops->host_lookup(map, key, value, flags) : -ENOTSUPP;
}

int map_host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    if (!host_may_write(map))
        return -EPERM;
    if (lock_is_missing(map, flags))
        return -EINVAL;
    if (map->ops->host_update)
        return map->ops->host_update(map, key, value, flags);
    return map->ops->update(map, key, value, flags, 0);
}

int map_host_delete(struct map *map, const void *key)
{
    if (!host_may_write(map))
        return -EPERM;
    return map->ops->remove(map, key);
}

int map_host_lookup_and_delete(struct map *map, const void *key, void *value, uint64_t flags)
{
    if (flags & ~(uint64_t)MAP_LOCK)
        return -EINVAL;
    if (map_host_access(map, true, true))
        return -EPERM;
    if (lock_is_missing(map, flags))
        return -EINVAL;
    return map->ops->host_take ? map->ops->host_take(map, key, value, flags) : -ENOTSUPP;
}

int map_host_next_key(struct map *map, const void *key, void *next)
{
    if (!host_may_read(map))
        return -EPERM;
    return map->ops->next_key(map, key, next);
}

void *map_no_lookup(struct map *map, const void *key, uint32_t cpu)
{
    (void)map, (void)key, (void)cpu;
    return NULL;
}

int map_no_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)map, (void)key, (void)value, (void)flags, (void)cpu;
    return -ENOTSUPP;
}

int map_no_remove(struct map *map, const void *key)
{
    (void)map, (void)key;
    return -ENOTSUPP;
}

int map_no_next_key(struct map *map, const void *key, void *next)
{
    (void)map, (void)key, (void)next;
    return -ENOTSUPP;
}

int map_bad_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)map, (void)key, (void)value, (void)flags, (void)cpu;
    return -EINVAL;
}

int map_bad_remove(struct map *map, const void *key)
{
    (void)map, (void)key;
    return -EINVAL;
}

int map_bad_next_key(struct map *map, const void *key, void *next)
{
    (void)map, (void)key, (void)next;
    return -EINVAL;
}

bool map_no_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    (void)map, (void)addr, (void)out;
    return false;
}

int map_no_bytes(struct map *map, const void *key, const void *value, uint64_t flags)
{
    (void)map, (void)key, (void)value, (void)flags;
    return -EBADF;
}

int map_freeze(struct map *map)
{
    if (map->def.spin_lock_off >= 0 || map->def.fields)
        return -ENOTSUPP;
    /* Who may not write may not freeze; a second time is the same (Linux 6.18; it was -EBUSY before). */
    if (!host_may_write(map) || __atomic_exchange_n(&map->frozen, true, __ATOMIC_ACQ_REL))
        return -EPERM;
    return 0;
}

uint32_t map_host_value_size(const struct map *map)
{
    if (map_type_is_percpu(map->def.type))
        return (uint32_t)round_up8(map->def.value_size) * map->n_cpus;
    return map->def.value_size;
}

int map_set_thing(struct map *map, const void *key, void *thing, uint64_t flags)
{
    if (!host_may_write(map))
        return -EPERM;
    if (lock_is_missing(map, flags))
        return -EINVAL;
    return map->ops->set_thing ? map->ops->set_thing(map, key, thing, flags) : -ENOTSUPP;
}

bool map_def_meta_equal(const struct map_def *a, const struct map_def *b)
{
    if (a->type != b->type || a->key_size != b->key_size || a->value_size != b->value_size || a->flags != b->flags ||
        a->spin_lock_off != b->spin_lock_off || !fields_equal(a->fields, b->fields))
        return false;
    /* Programs may have the size of an inner array built in, unless its flag says that it varies. */
    return a->type != MAP_TYPE_ARRAY || a->flags & MAP_F_INNER_MAP || a->max_entries == b->max_entries;
}
