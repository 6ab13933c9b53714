/*
 * What programs read where the kernel has a struct bpf_map: what a map says of itself, in the layout of the target's
 * types.
 */
#include "vm/btf/bits.h"
#include "vm/btf/show.h"
#include "vm/env.h"
#include "vm/prog.h"
#include <string.h>

static const struct btf *types_of(const struct skep_env *env)
{
    return env->code ? env->code->prog->kernel_btf : NULL;
}

struct shown {
    const struct btf *btf;
    unsigned char *mem;
    uint32_t size;
};

static void show(const struct shown *s, const char *type, const char *path, uint64_t value)
{
    uint32_t id = btf_find(s->btf, type, BTF_STRUCT);
    struct btf_place at;

    if (id && btf_find_place(s->btf, id, path, &at) && !at.bits && at.size && at.size <= 8 &&
        at.off + at.size <= s->size)
        bits_set(s->mem, at.off * 8, (unsigned)at.size * 8, value);
}

static void show_name(const struct shown *s, const char *name)
{
    uint32_t id = btf_find(s->btf, "bpf_map", BTF_STRUCT);
    size_t len = strlen(name);
    struct btf_place at;

    if (id && btf_find_place(s->btf, id, "name", &at) && at.size && at.off + at.size <= s->size)
        memcpy(s->mem + at.off, name, len < at.size ? len : at.size - 1);
}

static uint32_t next_power(uint32_t n)
{
    uint64_t power = 1;

    while (power < n)
        power *= 2;
    return (uint32_t)power;
}

/* What Linux's maps say beyond what is asked for when they are made. */
static void show_kind(const struct shown *s, const struct map_def *def)
{
    switch (def->type) {
    case MAP_TYPE_ARRAY:
    case MAP_TYPE_PERCPU_ARRAY:
        show(s, "bpf_array", "elem_size", ((uint64_t)def->value_size + 7) & ~7ull);
        show(s, "bpf_array", "index_mask", next_power(def->max_entries) - 1);
        break;
    case MAP_TYPE_HASH:
    case MAP_TYPE_LRU_HASH:
    case MAP_TYPE_PERCPU_HASH:
    case MAP_TYPE_LRU_PERCPU_HASH: show(s, "bpf_htab", "n_buckets", next_power(def->max_entries)); break;
    default: break;
    }
}

bool env_show_map(struct skep_env *env, const struct map *map, void *to, uint32_t size)
{
    struct shown s = {.btf = types_of(env), .mem = to, .size = size};

    memset(to, 0, size);
    if (!s.btf)
        return false;
    show(&s, "bpf_map", "map_type", map->def.type);
    show(&s, "bpf_map", "key_size", map->def.key_size);
    show(&s, "bpf_map", "value_size", map->def.value_size);
    show(&s, "bpf_map", "max_entries", map->def.max_entries);
    show(&s, "bpf_map", "map_flags", map->def.flags);
    show(&s, "bpf_map", "id", map->id);
    show_name(&s, map->def.name);
    show_kind(&s, &map->def);
    return true;
}
