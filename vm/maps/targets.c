/*
 * Maps of where packets and connections go: DEVMAP, CPUMAP, XSKMAP, REUSEPORT_SOCKARRAY and SOCKMAP are arrays whose
 * elements are there or not, DEVMAP_HASH and SOCKHASH hash tables. Values are what the host gives: the index of an
 * interface, the length of a CPU's queue, the number of a queue or a socket as the run's world knows it; in Linux some
 * of these are descriptors. What Linux says of a value that it can judge by itself is said here too; whether there is
 * such an interface or socket is for the world to say.
 *
 * Programs do not see the numbers of sockets: their lookups give nothing here, and helpers make sockets of them.
 *
 * An array's element is one word for its value and one that says whether it is there; the value is written first.
 */
#include "vm/maps/htab.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>

enum {
    EXCLUDE_INGRESS = 16,
    BROADCAST = 8,
    MAX_QUEUE = 16384, /* of a CPU */
    MAX_STACK = 512,   /* MAX_BPF_STACK: longest key of a SOCKHASH */
    MAX_BUCKETS = 1 << 27,
    ALL_CPUS_OF_LINUX = MAP_MAX_CPUS,
};

struct slot {
    uint64_t value, there; /* atomic */
};

struct targets {
    struct slot *slots;
    uint64_t size;
};

static bool is_size(uint32_t size)
{
    return size == 4 || size == 8;
}

static int refuse_size(const struct map_def *def, const struct log *log)
{
    return log_fail(log, -EINVAL, "map '%s': a %s has values of 4 or 8 bytes, not %u", def->name,
                    map_type_name(def->type), def->value_size);
}

static int check(const struct map_def *def, const struct log *log)
{
    if (!is_size(def->value_size))
        return refuse_size(def, log);
    if (def->type == MAP_TYPE_CPUMAP && def->max_entries > ALL_CPUS_OF_LINUX)
        return log_fail(log, -E2BIG, "map '%s': %u CPUs are too many", def->name, def->max_entries);
    return 0;
}

static int create(struct map *map, const struct log *log)
{
    struct targets *t = calloc(1, sizeof(*t));

    if (!t)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    t->size = (uint64_t)map->def.max_entries * sizeof(*t->slots);
    t->slots = map_mem_take(t->size);
    if (!t->slots) {
        free(t);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u entries", map->def.name, map->def.max_entries);
    }
    map->priv = t;
    return 0;
}

static void destroy(struct map *map)
{
    struct targets *t = map->priv;

    if (!t)
        return;
    map_mem_give(t->slots, t->size);
    free(t);
    map->priv = NULL;
}

static uint32_t index_of(const void *key)
{
    uint32_t i;

    memcpy(&i, key, sizeof(i));
    return i;
}

static struct slot *slot_at(const struct map *map, uint32_t i)
{
    const struct targets *t = map->priv;

    return &t->slots[i];
}

static void *lookup(struct map *map, const void *key, uint32_t cpu)
{
    uint32_t i = index_of(key);

    (void)cpu;
    if (i >= map->def.max_entries || !__atomic_load_n(&slot_at(map, i)->there, __ATOMIC_ACQUIRE))
        return NULL;
    return &slot_at(map, i)->value;
}

/* A value as its word; of 4 bytes the other half is zero. */
static uint64_t read_value(const struct map *map, const void *value)
{
    uint64_t word = 0;

    memcpy(&word, value, map->def.value_size);
    return word;
}

static void set(const struct map *map, uint32_t i, uint64_t word)
{
    __atomic_store_n(&slot_at(map, i)->value, word, __ATOMIC_RELAXED);
    __atomic_store_n(&slot_at(map, i)->there, 1, __ATOMIC_RELEASE);
}

/* @return whether there was one */
static bool unset(const struct map *map, uint32_t i)
{
    return __atomic_exchange_n(&slot_at(map, i)->there, 0, __ATOMIC_ACQ_REL);
}

/* struct bpf_devmap_val: an interface, and a program that runs on packets that go there, above 0 when there is one. */
static int check_device(const struct map *map, uint64_t *word)
{
    uint32_t halves[2];
    int32_t fd;

    memcpy(halves, word, sizeof(halves));
    fd = (int32_t)halves[1];
    if (map->def.value_size == 8 && !halves[0] && fd > 0)
        return -EINVAL;
    if (fd <= 0)
        halves[1] = 0;
    memcpy(word, halves, sizeof(halves));
    return 0;
}

static bool is_nothing(uint64_t word)
{
    uint32_t first;

    memcpy(&first, &word, sizeof(first));
    return !first;
}

static int device_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    uint64_t word = read_value(map, value);
    uint32_t i = index_of(key);
    int err;

    if (flags > MAP_EXIST)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    if (flags == MAP_NOEXIST)
        return -EEXIST;
    err = check_device(map, &word);
    if (err)
        return err;
    if (is_nothing(word))
        unset(map, i);
    else
        set(map, i, word);
    return 0;
}

static int cpu_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    uint64_t word = read_value(map, value);
    uint32_t i = index_of(key), length;

    memcpy(&length, &word, sizeof(length));
    if (flags > MAP_EXIST)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    if (flags == MAP_NOEXIST)
        return -EEXIST;
    if (length > MAX_QUEUE)
        return -EOVERFLOW;
    if (i >= map->n_cpus)
        return -ENODEV;
    check_device(map, &word);
    if (is_nothing(word))
        unset(map, i);
    else
        set(map, i, word);
    return 0;
}

/* A socket: any number. */
static int socket_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    uint32_t i = index_of(key);
    bool there;

    if (flags > MAP_EXIST)
        return -EINVAL;
    if (i >= map->def.max_entries)
        return -E2BIG;
    there = lookup(map, key, 0) != NULL;
    if (there && flags == MAP_NOEXIST)
        return -EEXIST;
    if (!there && flags == MAP_EXIST)
        return -ENOENT;
    set(map, i, read_value(map, value));
    return 0;
}

static int put_socket(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)cpu;
    return socket_update(map, key, value, flags);
}

static map_lookup_fn nothing(const struct map *map)
{
    (void)map;
    return map_no_lookup;
}

static int device_remove(struct map *map, const void *key)
{
    if (index_of(key) >= map->def.max_entries)
        return -EINVAL;
    unset(map, index_of(key));
    return 0;
}

static int sockmap_remove(struct map *map, const void *key)
{
    return index_of(key) < map->def.max_entries && unset(map, index_of(key)) ? 0 : -EINVAL;
}

static int reuseport_remove(struct map *map, const void *key)
{
    if (index_of(key) >= map->def.max_entries)
        return -E2BIG;
    return unset(map, index_of(key)) ? 0 : -ENOENT;
}

static int next_key(struct map *map, const void *key, void *next)
{
    uint32_t i = key ? index_of(key) : UINT32_MAX, to = i < map->def.max_entries ? i + 1 : 0;

    if (to == map->def.max_entries)
        return -ENOENT;
    memcpy(next, &to, sizeof(to));
    return 0;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    const uint64_t *word = lookup(map, key, 0);

    (void)flags;
    if (!word)
        return -ENOENT;
    copy_out(value, word, map->def.value_size);
    return 0;
}

/* Linux shows a socket's cookie where there is room for it. */
static int socket_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    return map->def.value_size == 8 ? host_lookup(map, key, value, flags) : -ENOSPC;
}

static int no_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)map, (void)key, (void)value, (void)flags;
    return -EOPNOTSUPP;
}

static int no_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)map, (void)key, (void)value, (void)flags, (void)cpu;
    return -EOPNOTSUPP;
}

static bool find_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    const struct targets *t = map->priv;

    *out = (struct map_region){.base = (uintptr_t)t->slots,
                               .size = t->size,
                               .stride = sizeof(*t->slots),
                               .elem_size = map->def.value_size,
                               .read_only = true};
    return addr - out->base < out->size;
}

const struct map_ops map_devmap_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .update = no_update,
    .remove = device_remove,
    .next_key = next_key,
    .host_lookup = host_lookup,
    .host_update = device_update,
    .find_region = find_region,
    .target = MAP_TARGET_DEVICE,
    .redirect_flags = BROADCAST | EXCLUDE_INGRESS,
};

const struct map_ops map_cpumap_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .update = no_update,
    .remove = device_remove,
    .next_key = next_key,
    .host_lookup = host_lookup,
    .host_update = cpu_update,
    .find_region = map_no_region,
    .target = MAP_TARGET_OTHER,
};

const struct map_ops map_xskmap_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .update = no_update,
    .remove = device_remove,
    .next_key = next_key,
    .host_lookup = no_lookup,
    .host_update = socket_update,
    .find_region = find_region,
    .target = MAP_TARGET_OTHER,
};

const struct map_ops map_reuseport_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .fast_lookup = nothing,
    .update = put_socket,
    .remove = reuseport_remove,
    .next_key = next_key,
    .host_lookup = socket_lookup,
    .host_update = socket_update,
    .sockets = true,
    .find_region = map_no_region,
};

const struct map_ops map_sockmap_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .fast_lookup = nothing,
    .update = put_socket,
    .remove = sockmap_remove,
    .next_key = next_key,
    .host_lookup = socket_lookup,
    .host_update = socket_update,
    .sockets = true,
    .find_region = map_no_region,
};

/* ---- Hash tables ---- */

static int hash_check(const struct map_def *def, const struct log *log)
{
    if (!is_size(def->value_size))
        return refuse_size(def, log);
    if (def->type == MAP_TYPE_SOCKHASH && def->key_size > MAX_STACK)
        return log_fail(log, -E2BIG, "map '%s': a key of %u bytes is too long", def->name, def->key_size);
    if (def->type == MAP_TYPE_SOCKHASH && def->max_entries > MAX_BUCKETS)
        return log_fail(log, -EINVAL, "map '%s': %u entries are too many", def->name, def->max_entries);
    if (def->max_entries > 1u << 31)
        return log_fail(log, -EINVAL, "map '%s': %u entries are too many", def->name, def->max_entries);
    return 0;
}

static int hash_create(struct map *map, const struct log *log)
{
    return htab_create(map, 0, log);
}

/* BPF_EXIST asks for nothing here. */
static int device_hash_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    uint64_t word = read_value(map, value);
    int err;

    if (flags > MAP_EXIST || is_nothing(word))
        return -EINVAL;
    err = check_device(map, &word);
    return err ? err : map_hash_ops.update(map, key, &word, flags & MAP_NOEXIST, 0);
}

static int sock_hash_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    return flags > MAP_EXIST ? -EINVAL : map_hash_ops.update(map, key, value, flags, 0);
}

static int put_hashed_socket(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)cpu;
    return sock_hash_update(map, key, value, flags);
}

static void *htab_lookup_any(struct map *map, const void *key, uint32_t cpu)
{
    return htab_hash_lookup(map)(map, key, cpu);
}

static int sock_hash_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    return map->def.value_size == 8 ? htab_host_lookup(map, key, value, flags) : -ENOSPC;
}

static bool hash_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    bool found = htab_find_region(map, addr, out);

    out->read_only = true;
    return found;
}

const struct map_ops map_devmap_hash_ops = {
    .check = hash_check,
    .create = hash_create,
    .destroy = htab_destroy,
    .lookup = htab_lookup,
    .fast_lookup = htab_hash_lookup,
    .update = no_update,
    .remove = htab_remove,
    .next_key = htab_next_key,
    .host_lookup = htab_host_lookup,
    .host_update = device_hash_update,
    .find_region = hash_region,
    .target = MAP_TARGET_DEVICE,
    .redirect_flags = BROADCAST | EXCLUDE_INGRESS,
};

const struct map_ops map_sockhash_ops = {
    .check = hash_check,
    .create = hash_create,
    .destroy = htab_destroy,
    .lookup = htab_lookup_any,
    .fast_lookup = nothing,
    .update = put_hashed_socket,
    .remove = htab_remove,
    .next_key = htab_next_key,
    .host_lookup = sock_hash_lookup,
    .host_update = sock_hash_update,
    .sockets = true,
    .find_region = map_no_region,
};

uint64_t map_socket_at(struct map *map, const void *key)
{
    const unsigned char *value = NULL;
    uint64_t number = 0;

    switch (map->def.type) {
    case MAP_TYPE_SOCKMAP:
    case MAP_TYPE_REUSEPORT_SOCKARRAY: value = lookup(map, key, 0); break;
    case MAP_TYPE_SOCKHASH: value = htab_lookup(map, key, 0); break;
    default: return 0;
    }
    if (value && map->def.type == MAP_TYPE_SOCKHASH && map->def.value_size == 4)
        return *(const uint32_t *)value;
    if (value)
        memcpy(&number, value, sizeof(number));
    return number;
}
