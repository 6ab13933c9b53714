/*
 * The public view of a map: sizes are compared with the definition before anything is touched, then the host's view of
 * vm/maps does the work. A wrapper of an object's map has no `map` until the object is loaded; every operation on
 * elements then says -EINVAL.
 */
#include "api/core/core.h"
#include "vm/abi/map_types.h"
#include "vm/maps/arena.h"
#include <errno.h>
#include <skep/map.h>
#include <stdlib.h>

#define SAME(name) _Static_assert((int)SKEP_MAP_TYPE_##name == (int)MAP_TYPE_##name, "map type " #name)
SAME(HASH);
SAME(ARRAY);
SAME(PROG_ARRAY);
SAME(PERF_EVENT_ARRAY);
SAME(PERCPU_HASH);
SAME(PERCPU_ARRAY);
SAME(LRU_HASH);
SAME(LPM_TRIE);
SAME(ARRAY_OF_MAPS);
SAME(HASH_OF_MAPS);
SAME(RINGBUF);
SAME(ARENA);
#undef SAME

void vm_adopt(struct skep_vm *vm, struct map *map)
{
    map->id = vm_next_id(vm);
    if (map->def.type == MAP_TYPE_PROG_ARRAY)
        map->elem_ops = &code_elem_ops;
}

void map_use(struct skep_map *map, struct map *used)
{
    map->map = map_get(used);
    map->ops = &user_map;
    __atomic_add_fetch(&used->users, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&used->closed, false, __ATOMIC_RELEASE);
}

void map_unuse(struct skep_map *map)
{
    struct map *used = map->map;
    if (!used)
        return;
    map->map = NULL;
    map->ops = NULL;
    if (__atomic_sub_fetch(&used->users, 1, __ATOMIC_ACQ_REL) == 0)
        map_clear_things(used);
    map_put(used);
}

/* Linux says ENOTSUPP, which no libc has a name for. */
static int public_err(int err)
{
    return err == -ENOTSUPP ? -EOPNOTSUPP : err;
}

struct skep_map *skep_map_create(struct skep_vm *vm, uint32_t type, const char *name, uint32_t key_size,
                                 uint32_t value_size, uint32_t max_entries, const struct skep_map_create_opts *user)
{
    struct skep_map_create_opts opts;
    if (!vm || !opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    struct map_def def = {.type = type,
                          .key_size = key_size,
                          .value_size = value_size,
                          .max_entries = max_entries,
                          .flags = opts.map_flags,
                          .extra = opts.map_extra,
                          .spin_lock_off = -1};
    if (name)
        strncpy(def.name, name, sizeof(def.name) - 1);
    if (opts.inner_map)
        def.inner = opts.inner_map->def;

    struct skep_map *map = calloc(1, sizeof(*map));
    if (!map)
        return fail_null(-ENOMEM);
    struct map *created;
    int err = map_create(&def, vm->n_cpus, &vm->log, &created);
    if (err) {
        free(map);
        return fail_null(public_err(err));
    }
    vm_adopt(vm, created);
    map_use(map, created);
    map_put(created);
    map->def = &created->def;
    map->vm = vm_get(vm);
    return map;
}

void skep_map__free(struct skep_map *map)
{
    if (!map || map->object)
        return;
    struct skep_vm *vm = map->vm;
    map->ops->release(map);
    free(map);
    skep_vm__free(vm);
}

/* ---- Elements ---- */

static bool key_fits(const struct skep_map *map, const void *key, size_t key_sz)
{
    return map && map->ops && key_sz == map->def->key_size && (key || !key_sz);
}

static bool value_fits(const struct skep_map *map, const void *value, size_t value_sz)
{
    return value_sz == map->ops->host_value_size(map) && (value || !value_sz);
}

int skep_map__lookup_elem(const struct skep_map *map, const void *key, size_t key_sz, void *value, size_t value_sz,
                          uint64_t flags)
{
    if (!key_fits(map, key, key_sz) || !value_fits(map, value, value_sz))
        return -EINVAL;
    return public_err(map->ops->lookup(map, key, value, flags));
}

int skep_map__update_elem(const struct skep_map *map, const void *key, size_t key_sz, const void *value,
                          size_t value_sz, uint64_t flags)
{
    if (!key_fits(map, key, key_sz) || !value_fits(map, value, value_sz))
        return -EINVAL;
    return public_err(map->ops->update(map, key, value, flags));
}

int skep_map__delete_elem(const struct skep_map *map, const void *key, size_t key_sz, uint64_t flags)
{
    if (!key_fits(map, key, key_sz) || flags)
        return -EINVAL;
    return public_err(map->ops->delete_key(map, key));
}

int skep_map__lookup_and_delete_elem(const struct skep_map *map, const void *key, size_t key_sz, void *value,
                                     size_t value_sz, uint64_t flags)
{
    if (!key_fits(map, key, key_sz) || !value_fits(map, value, value_sz))
        return -EINVAL;
    return public_err(map->ops->lookup_and_delete(map, key, value, flags));
}

int skep_map__get_next_key(const struct skep_map *map, const void *cur_key, void *next_key, size_t key_sz)
{
    if (!key_fits(map, next_key, key_sz))
        return -EINVAL;
    return public_err(map->ops->next_key(map, cur_key, next_key));
}

static int do_batch(const struct skep_map *map, struct batch *b, const struct skep_map_batch_opts *user)
{
    struct skep_map_batch_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || opts.flags || !map || !map->ops || !b->count)
        return -EINVAL;
    b->elem_flags = opts.elem_flags;
    return public_err(map->ops->batch(map, b));
}

int skep_map__lookup_batch(const struct skep_map *map, const void *in, void *out, void *keys, void *values,
                           uint32_t *count, const struct skep_map_batch_opts *opts)
{
    struct batch b = {BATCH_LOOKUP, in, out, keys, values, count, 0};
    return out && keys && values ? do_batch(map, &b, opts) : -EINVAL;
}

int skep_map__lookup_and_delete_batch(const struct skep_map *map, const void *in, void *out, void *keys, void *values,
                                      uint32_t *count, const struct skep_map_batch_opts *opts)
{
    struct batch b = {BATCH_TAKE, in, out, keys, values, count, 0};
    return out && keys && values ? do_batch(map, &b, opts) : -EINVAL;
}

int skep_map__update_batch(const struct skep_map *map, const void *keys, const void *values, uint32_t *count,
                           const struct skep_map_batch_opts *opts)
{
    struct batch b = {BATCH_UPDATE, NULL, NULL, (void *)keys, (void *)values, count, 0};
    return keys && values ? do_batch(map, &b, opts) : -EINVAL;
}

int skep_map__delete_batch(const struct skep_map *map, const void *keys, uint32_t *count,
                           const struct skep_map_batch_opts *opts)
{
    struct batch b = {BATCH_DELETE, NULL, NULL, (void *)keys, NULL, count, 0};
    return keys ? do_batch(map, &b, opts) : -EINVAL;
}

int skep_map__freeze(struct skep_map *map)
{
    return map && map->ops ? public_err(map->ops->freeze(map)) : -EINVAL;
}

int skep_map__fd(const struct skep_map *map)
{
    return map && map->ops ? map->ops->fd(map) : -EINVAL;
}

int skep_map__set_program(struct skep_map *map, uint32_t index, struct skep_program *prog)
{
    if (!map || !map->ops || map->def->type != MAP_TYPE_PROG_ARRAY)
        return -EINVAL;
    return public_err(map->ops->set_program(map, index, prog));
}

int skep_map__set_inner_map(struct skep_map *map, const void *key, size_t key_sz, struct skep_map *inner,
                            uint64_t flags)
{
    if (!key_fits(map, key, key_sz) ||
        (map->def->type != MAP_TYPE_ARRAY_OF_MAPS && map->def->type != MAP_TYPE_HASH_OF_MAPS))
        return -EINVAL;
    return public_err(map->ops->set_inner(map, key, inner, flags));
}

/* ---- Arenas ---- */

static bool is_arena(const struct skep_map *map)
{
    return map && map->map && map->map->def.type == MAP_TYPE_ARENA;
}

uint64_t skep_map__arena_start(const struct skep_map *map)
{
    return is_arena(map) ? map_arena_start(map->map) : 0;
}

void *skep_map__arena_memory(struct skep_map *map, uint64_t addr, size_t size)
{
    if (!is_arena(map))
        return fail_null(-EINVAL);
    void *at = map_arena_touch(map->map, addr, size);
    return at ? at : fail_null(-EFAULT);
}

/* ---- Maps of this process ---- */

int map_claim(struct skep_map *map, const struct code *code)
{
    if (map->def->type != MAP_TYPE_PROG_ARRAY)
        return 0;
    uint32_t type = code->prog->type ? code->prog->type->id : 0;
    bool fits = true;
    pthread_mutex_lock(&map->vm->lock);
    if (map->claimed) {
        fits = map->engine == code->engine && map->prog_type == type && map->checked == code->opts.checked;
    } else {
        map->claimed = true;
        map->engine = code->engine;
        map->prog_type = type;
        map->checked = code->opts.checked;
    }
    pthread_mutex_unlock(&map->vm->lock);
    return fits ? 0
                : log_fail(
                      &map->vm->log, -EINVAL,
                      "program '%s' does not fit map '%s', whose programs are of another type or executed otherwise",
                      code->prog->name, map->def->name);
}

static int lookup(const struct skep_map *map, const void *key, void *value, uint64_t flags)
{
    return map_host_lookup(map->map, key, value, flags);
}

static int update(const struct skep_map *map, const void *key, const void *value, uint64_t flags)
{
    return map_host_update(map->map, key, value, flags);
}

static int delete_key(const struct skep_map *map, const void *key)
{
    return map_host_delete(map->map, key);
}

static int lookup_and_delete(const struct skep_map *map, const void *key, void *value, uint64_t flags)
{
    return map_host_lookup_and_delete(map->map, key, value, flags);
}

static int next_key(const struct skep_map *map, const void *key, void *next)
{
    return map_host_next_key(map->map, key, next);
}

static int batch(const struct skep_map *map, const struct batch *b)
{
    switch (b->kind) {
    case BATCH_LOOKUP:
        return map_host_lookup_batch(map->map, b->in, b->out, b->keys, b->values, b->count, b->elem_flags);
    case BATCH_TAKE:
        return map_host_lookup_and_delete_batch(map->map, b->in, b->out, b->keys, b->values, b->count, b->elem_flags);
    case BATCH_UPDATE: return map_host_update_batch(map->map, b->keys, b->values, b->count, b->elem_flags);
    case BATCH_DELETE: break;
    }
    return map_host_delete_batch(map->map, b->keys, b->count, b->elem_flags);
}

static int freeze(struct skep_map *map)
{
    return map_freeze(map->map);
}

static bool frozen(const struct skep_map *map)
{
    return __atomic_load_n(&map->map->frozen, __ATOMIC_ACQUIRE);
}

static int set_program(struct skep_map *map, uint32_t index, struct skep_program *prog)
{
    if (!prog)
        return map_set_thing(map->map, &index, NULL, 0);
    if (!prog->code || prog->vm != map->vm)
        return -EINVAL;
    int err = map_claim(map, prog->code);
    return err ? err : map_set_thing(map->map, &index, prog->code, 0);
}

static int set_inner(struct skep_map *map, const void *key, struct skep_map *inner, uint64_t flags)
{
    if (inner && (!inner->map || inner->vm != map->vm))
        return -EINVAL;
    return map_set_thing(map->map, key, inner ? inner->map : NULL, flags);
}

static uint32_t host_value_size(const struct skep_map *map)
{
    return map_host_value_size(map->map);
}

static void *direct(const struct skep_map *map)
{
    return map->map->ops->direct ? map->map->ops->direct(map->map) : NULL;
}

static int no_fd(const struct skep_map *map)
{
    (void)map;
    return -EOPNOTSUPP;
}

const struct map_backend user_map = {
    .lookup = lookup,
    .update = update,
    .delete_key = delete_key,
    .lookup_and_delete = lookup_and_delete,
    .next_key = next_key,
    .batch = batch,
    .freeze = freeze,
    .frozen = frozen,
    .set_program = set_program,
    .set_inner = set_inner,
    .host_value_size = host_value_size,
    .direct = direct,
    .ring_reader = user_ring_reader,
    .perf_reader = user_perf_reader,
    .user_ring = user_ring_producer,
    .fd = no_fd,
    .release = map_unuse,
};

/* ---- What it is ---- */

const char *skep_map__name(const struct skep_map *map)
{
    return map->def->name;
}

uint32_t skep_map__type(const struct skep_map *map)
{
    return map->def->type;
}

const char *skep_map_type_str(uint32_t type)
{
    return map_type_name(type);
}

uint32_t skep_map__key_size(const struct skep_map *map)
{
    return map->def->key_size;
}

uint32_t skep_map__value_size(const struct skep_map *map)
{
    return map->def->value_size;
}

uint32_t skep_map__max_entries(const struct skep_map *map)
{
    return map->def->max_entries;
}

uint32_t skep_map__map_flags(const struct skep_map *map)
{
    return map->def->flags;
}

uint64_t skep_map__map_extra(const struct skep_map *map)
{
    return map->def->extra;
}

bool skep_map__is_percpu(const struct skep_map *map)
{
    return map_type_is_percpu(map->def->type);
}

uint32_t skep_map__host_value_size(const struct skep_map *map)
{
    if (map->ops)
        return map->ops->host_value_size(map);
    return skep_map__is_percpu(map) ? (map->def->value_size + 7) / 8 * 8 * map->vm->n_cpus : map->def->value_size;
}
