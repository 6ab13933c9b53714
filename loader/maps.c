/*
 * Maps as BTF defines them: a variable of .maps whose struct says in the types of its members what the map is. Numbers
 * stand as array lengths (`int (*max_entries)[128]`) or as the value of an anonymous enum (__ulong), types as pointers
 * to them. Rules and refusals follow libbpf 1.x with its strict reading; what the kernel would refuse is left to
 * map_create(). The maps of .maps come first among the object's maps, by offset. Static initialisers are relocations
 * into the `values` member, one slot of 8 bytes an element.
 */
#include "loader/load.h"
#include "vm/abi/map_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIN_NONE, PIN_BY_NAME };
enum { PAGE = 4096, BTF_VAR_GLOBAL = 1 };

/* What is being read, for messages. */
struct reader {
    struct object *obj;
    const struct log *log;
    const char *name; /* of the map */
    bool inner;       /* the definition inside another's `values` */
};

static bool is_map_in_map(uint32_t type)
{
    return type == MAP_TYPE_ARRAY_OF_MAPS || type == MAP_TYPE_HASH_OF_MAPS;
}

/* A number of __uint() or __ulong(). */
static int read_number(const struct reader *r, const struct btf_member *m, uint64_t *out)
{
    const struct btf *btf = r->obj->btf;
    const char *field = btf_str(btf, m->name_off);
    const struct btf_type *t = btf_type_at(btf, btf_resolve(btf, m->type));

    if (btf_kind(t) == BTF_ENUM && btf_vlen(t) == 1) {
        *out = btf_kflag(t) ? (uint64_t)btf_enums(t)[0].val : (uint32_t)btf_enums(t)[0].val;
        return 0;
    }
    if (btf_kind(t) == BTF_ENUM64 && btf_vlen(t) == 1) {
        *out = (uint64_t)btf_enums64(t)[0].val_hi32 << 32 | btf_enums64(t)[0].val_lo32;
        return 0;
    }
    if (btf_kind(t) != BTF_PTR)
        return log_fail(r->log, -EINVAL, "map '%s': field '%s' is no number; write __uint(%s, ...)", r->name, field,
                        field);
    t = btf_type_at(btf, btf_resolve(btf, t->type));
    if (btf_kind(t) != BTF_ARRAY)
        return log_fail(r->log, -EINVAL, "map '%s': field '%s' is no number; write __uint(%s, ...)", r->name, field,
                        field);
    *out = btf_array_of(t)->nelems;
    return 0;
}

static int read_u32(const struct reader *r, const struct btf_member *m, uint32_t *out)
{
    uint64_t v = 0;
    int err = read_number(r, m, &v);

    if (!err && v > UINT32_MAX)
        err = log_fail(r->log, -EINVAL, "map '%s': field '%s' does not fit into 32 bits", r->name,
                       btf_str(r->obj->btf, m->name_off));
    if (!err)
        *out = (uint32_t)v;
    return err;
}

/* key_size and key may both stand there as long as they agree; so may value_size and value. */
static int set_size(const struct reader *r, const char *what, uint32_t *to, uint64_t size)
{
    if (size > UINT32_MAX || (*to && *to != size))
        return log_fail(r->log, -EINVAL, "map '%s': conflicting %s sizes %u and %llu", r->name, what, *to,
                        (unsigned long long)size);
    *to = (uint32_t)size;
    return 0;
}

static int read_type(const struct reader *r, const struct btf_member *m, const char *what, uint32_t *size,
                     uint32_t *type_id)
{
    const struct btf *btf = r->obj->btf;
    const struct btf_type *t = btf_type_at(btf, m->type);
    int64_t bytes;

    if (btf_kind(t) != BTF_PTR)
        return log_fail(r->log, -EINVAL, "map '%s': '%s' is no pointer; write __type(%s, ...)", r->name, what, what);
    bytes = btf_size(btf, t->type);
    if (bytes < 0)
        return log_fail(r->log, -EINVAL, "map '%s': the type of its %s has no size", r->name, what);
    *type_id = t->type;
    return set_size(r, what, size, (uint64_t)bytes);
}

/* Linux takes these maps with types alone, and their keys are descriptors. */
static int check_storage(struct reader *r, const struct map_def *def)
{
    const struct btf *btf = r->obj->btf;
    const struct btf_type *key;

    switch (def->type) {
    case MAP_TYPE_SK_STORAGE:
    case MAP_TYPE_INODE_STORAGE:
    case MAP_TYPE_TASK_STORAGE:
    case MAP_TYPE_CGRP_STORAGE: break;
    default: return 0;
    }
    if (!def->btf_key_id || !def->btf_value_id)
        return log_fail(r->log, -EINVAL, "map '%s': a %s needs types; write __type(key, int) and __type(value, ...)",
                        r->name, map_type_name(def->type));
    key = btf_type_at(btf, btf_resolve(btf, def->btf_key_id));
    if (btf_kind(key) != BTF_INT || key->size != sizeof(int))
        return log_fail(r->log, -EINVAL, "map '%s': the key of a %s is an int", r->name, map_type_name(def->type));
    return 0;
}

static int read_def(struct reader *r, const struct btf_type *t, struct map_def *def, uint32_t *values_off);

static int read_inner(const struct reader *r, const struct btf_type *t, struct map_def *def)
{
    struct map_def *inner = ARENA_NEW(&r->obj->arena, struct map_def);
    struct reader in = {.obj = r->obj, .log = r->log, .inner = true};
    uint32_t none;
    int err;

    in.name = arena_printf(&r->obj->arena, "%s.inner", r->name);
    if (!inner || !in.name)
        return log_fail(r->log, -ENOMEM, "map '%s': no memory", r->name);
    err = read_def(&in, t, inner, &none);
    if (!err)
        def->inner = inner;
    return err;
}

static int read_values(const struct reader *r, const struct btf_type *parent, unsigned i, struct map_def *def,
                       uint32_t *values_off)
{
    const struct btf *btf = r->obj->btf;
    const struct btf_type *t = btf_type_at(btf, btf_members(parent)[i].type);
    int err;

    if (r->inner)
        return log_fail(r->log, -ENOTSUP, "map '%s': maps inside of inner maps are not supported", r->name);
    if (i + 1 != btf_vlen(parent))
        return log_fail(r->log, -EINVAL, "map '%s': 'values' must be its last member", r->name);
    if (!is_map_in_map(def->type) && def->type != MAP_TYPE_PROG_ARRAY)
        return log_fail(r->log, -ENOTSUP, "map '%s': only maps of maps and of programs have 'values'", r->name);
    err = set_size(r, "value", &def->value_size, 4);
    if (err)
        return err;
    if (btf_kind(t) != BTF_ARRAY || btf_array_of(t)->nelems)
        return log_fail(r->log, -EINVAL, "map '%s': 'values' is no array without length; write __array(values, ...)",
                        r->name);
    t = btf_type_at(btf, btf_resolve(btf, btf_array_of(t)->type));
    if (btf_kind(t) == BTF_PTR)
        t = btf_type_at(btf, btf_resolve(btf, t->type));
    else
        t = btf_type_at(btf, 0);
    *values_off = btf_member_bit_off(parent, i) / 8;
    if (def->type == MAP_TYPE_PROG_ARRAY)
        return btf_kind(t) == BTF_FUNC_PROTO
                   ? 0
                   : log_fail(r->log, -EINVAL, "map '%s': 'values' must point to functions", r->name);
    if (btf_kind(t) != BTF_STRUCT)
        return log_fail(r->log, -EINVAL, "map '%s': 'values' must point to a map's definition", r->name);
    return read_inner(r, t, def);
}

static int read_field(struct reader *r, const struct btf_type *parent, unsigned i, struct map_def *def,
                      uint32_t *values_off)
{
    const struct btf_member *m = &btf_members(parent)[i];
    const char *name = btf_str(r->obj->btf, m->name_off);
    uint32_t v = 0;
    int err;

    if (!strcmp(name, "type"))
        return read_u32(r, m, &def->type);
    if (!strcmp(name, "max_entries"))
        return read_u32(r, m, &def->max_entries);
    if (!strcmp(name, "map_flags"))
        return read_u32(r, m, &def->flags);
    if (!strcmp(name, "map_extra"))
        return read_number(r, m, &def->extra);
    if (!strcmp(name, "numa_node"))
        return read_u32(r, m, &v); /* every node is the same to us */
    if (!strcmp(name, "key"))
        return read_type(r, m, "key", &def->key_size, &def->btf_key_id);
    if (!strcmp(name, "value"))
        return read_type(r, m, "value", &def->value_size, &def->btf_value_id);
    if (!strcmp(name, "key_size")) {
        err = read_u32(r, m, &v);
        return err ? err : set_size(r, "key", &def->key_size, v);
    }
    if (!strcmp(name, "value_size")) {
        err = read_u32(r, m, &v);
        return err ? err : set_size(r, "value", &def->value_size, v);
    }
    if (!strcmp(name, "values"))
        return read_values(r, parent, i, def, values_off);
    if (!strcmp(name, "pinning")) {
        if (r->inner)
            return log_fail(r->log, -EINVAL, "map '%s': an inner map cannot be pinned", r->name);
        err = read_u32(r, m, &def->pinning);
        if (!err && def->pinning > PIN_BY_NAME)
            err = log_fail(r->log, -EINVAL, "map '%s': pinning %u is not LIBBPF_PIN_NONE or LIBBPF_PIN_BY_NAME",
                           r->name, def->pinning);
        return err;
    }
    return log_fail(r->log, -ENOTSUP, "map '%s': unknown field '%s'", r->name, name);
}

/* Linux wants a power of two of pages; libbpf rounds up for the user, but leaves 0 to be refused. */
static uint32_t ringbuf_size(uint32_t size)
{
    uint64_t up = PAGE;

    while (up < size)
        up <<= 1;
    return !size || up > UINT32_MAX ? size : (uint32_t)up;
}

static int read_def(struct reader *r, const struct btf_type *t, struct map_def *def, uint32_t *values_off)
{
    size_t n = strlen(r->name);

    *def = (struct map_def){.spin_lock_off = -1};
    *values_off = LOAD_NO_VALUES;
    memcpy(def->name, r->name, n < sizeof(def->name) ? n : sizeof(def->name) - 1);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        int err = read_field(r, t, i, def, values_off);

        if (err)
            return err;
    }
    if (def->type == MAP_TYPE_UNSPEC)
        return log_fail(r->log, -EINVAL, "map '%s': no type; write __uint(type, BPF_MAP_TYPE_...)", r->name);
    if (def->type == MAP_TYPE_RINGBUF || def->type == MAP_TYPE_USER_RINGBUF)
        def->max_entries = ringbuf_size(def->max_entries);
    if (def->btf_value_id)
        load_value_fields(r->obj, def, def->btf_value_id, r->log);
    return check_storage(r, def);
}

static int read_map(struct object *obj, const struct btf_secinfo *info, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct btf_type *var = btf_type_at(obj->btf, info->type), *t;
    struct reader r = {.obj = obj, .log = log, .name = btf_name(obj->btf, info->type)};
    uint64_t section = e->elf.sections[e->maps_sec].size;
    struct object_map *map;
    uint32_t i = obj->n_maps;
    int err;

    if (btf_kind(var) != BTF_VAR || !*r.name)
        return log_fail(log, -EINVAL, "section '.maps': entry at %u is no variable with a name", info->offset);
    if (*(const uint32_t *)(var + 1) != BTF_VAR_GLOBAL)
        return log_fail(log, -EOPNOTSUPP, "map '%s' is static, which libbpf does not support; drop `static`", r.name);
    if (info->offset > section || info->size > section - info->offset)
        return log_fail(log, -EINVAL, "map '%s': %u bytes at %u are past the end of section '.maps' (%llu bytes)",
                        r.name, info->size, info->offset, (unsigned long long)section);
    t = btf_type_at(obj->btf, btf_resolve(obj->btf, var->type));
    if (btf_kind(t) != BTF_STRUCT)
        return log_fail(log, -EINVAL, "map '%s': its definition is no struct", r.name);
    if (t->size > info->size)
        return log_fail(log, -EINVAL, "map '%s': its definition has %u bytes, the variable %u", r.name, t->size,
                        info->size);
    if (i && info->offset - e->maps_off[i - 1] < e->maps_size[i - 1])
        return log_fail(log, -EINVAL, "map '%s': overlaps map '%s' in section '.maps'", r.name,
                        obj->maps[i - 1].def.name);
    map = load_add_map(obj);
    if (!map)
        return log_fail(log, -E2BIG, "map '%s': more than %d maps", r.name, LOAD_MAX_MAPS);
    err = read_def(&r, t, &map->def, &e->values_off[i]);
    if (err)
        return err;
    map->section = e->elf.sections[e->maps_sec].name;
    map->pin_name = map->def.pinning == PIN_BY_NAME ? r.name : NULL;
    e->maps_off[i] = info->offset;
    e->maps_size[i] = info->size;
    e->n_btf_maps = obj->n_maps;
    return 0;
}

static int find_sections(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 1; i < e->elf.n_sections; i++) {
        const struct elf_section *s = &e->elf.sections[i];

        if (strcmp(s->name, ".maps") || s->type != SHT_PROGBITS)
            continue;
        if (e->maps_sec)
            return log_fail(log, -EINVAL, "two sections '.maps': %u and %u", e->maps_sec, i);
        e->maps_sec = i;
    }
    return 0;
}

int load_maps(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct btf_type *sec;
    uint32_t id, n;
    int err = find_sections(obj, log);

    if (!err && load_legacy_section(e) && e->maps_sec)
        err = log_fail(log, -ENOTSUP, "sections 'maps' and '.maps': definitions of both kinds in one object");
    else if (!err && load_legacy_section(e))
        return load_legacy_maps(obj, log);
    if (err || !e->maps_sec || !e->elf.sections[e->maps_sec].size)
        return err;
    if (!obj->btf)
        return log_fail(log, -EINVAL, "section '.maps': the object has no BTF that defines its maps; compile with -g");
    id = btf_find(obj->btf, ".maps", BTF_DATASEC);
    if (!id)
        return log_fail(log, -EINVAL, "section '.maps': the object's BTF does not describe it; compile with -g");
    sec = btf_type_at(obj->btf, id);
    n = btf_vlen(sec);
    e->maps_off = ARENA_ARRAY(&obj->arena, uint32_t, n);
    e->maps_size = ARENA_ARRAY(&obj->arena, uint32_t, n);
    e->values_off = ARENA_ARRAY(&obj->arena, uint32_t, n);
    if (!e->maps_off || !e->maps_size || !e->values_off)
        return log_fail(log, -ENOMEM, "no memory for %u maps", n);
    for (uint32_t i = 0; i < n && !err; i++)
        err = read_map(obj, &btf_secinfos(sec)[i], log);
    return err;
}

int32_t load_map_at(const struct object_elf *e, uint64_t off)
{
    uint32_t low = 0, high = e->n_btf_maps;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (off < e->maps_off[mid])
            high = mid;
        else if (off - e->maps_off[mid] >= e->maps_size[mid])
            low = mid + 1;
        else
            return (int32_t)mid;
    }
    return -1;
}

/* What an initialiser points to. */
static int init_target(struct object *obj, uint32_t map, const struct elf_symbol *sym, int64_t addend,
                       struct object_map_init *init, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const char *name = obj->maps[map].def.name, *what = elf_symbol_name(&e->elf, sym);
    uint64_t off = sym->value + (uint64_t)addend;

    init->map = init->prog = -1;
    if (obj->maps[map].def.type == MAP_TYPE_PROG_ARRAY) {
        const struct load_func *f = NULL;

        if (sym->shndx && sym->shndx < e->elf.n_sections && off % 8 == 0 && off / 8 <= UINT32_MAX)
            f = load_func_at(e, sym->shndx, (uint32_t)(off / 8));
        if (!f || f->prog < 0)
            return log_fail(log, -EINVAL, "map '%s', entry %u: '%s' is no program of this object", name, init->key,
                            what);
        init->prog = f->prog;
        return 0;
    }
    if (sym->shndx == e->maps_sec)
        init->map = load_map_at(e, off);
    if (init->map < 0)
        return log_fail(log, -EINVAL, "map '%s', entry %u: '%s' is no map of this object", name, init->key, what);
    return 0;
}

static int read_init(struct object *obj, const struct elf_reloc *reloc, struct object_map_init *init, uint32_t *map,
                     const struct log *log)
{
    struct object_elf *e = obj->elf;
    int32_t i = load_map_at(e, reloc->off);
    uint64_t in;
    int64_t addend = reloc->addend;

    if (i < 0)
        return log_fail(log, -EINVAL, "section '.maps': a relocation at %llu is in no map",
                        (unsigned long long)reloc->off);
    in = reloc->off - e->maps_off[i];
    if (e->values_off[i] == LOAD_NO_VALUES || in < e->values_off[i] || (in - e->values_off[i]) % 8 ||
        e->maps_size[i] - in < 8)
        return log_fail(log, -EINVAL, "map '%s': a relocation at byte %llu of its definition is no entry of 'values'",
                        obj->maps[i].def.name, (unsigned long long)in);
    if (!reloc->has_addend)
        memcpy(&addend, e->elf.sections[e->maps_sec].data + reloc->off, sizeof(addend));
    init->key = (uint32_t)((in - e->values_off[i]) / 8);
    *map = (uint32_t)i;
    if (obj->maps[i].def.max_entries && init->key >= obj->maps[i].def.max_entries &&
        obj->maps[i].def.type != MAP_TYPE_HASH_OF_MAPS)
        return log_fail(log, -EINVAL, "map '%s': entry %u of 'values' is past its max_entries %u",
                        obj->maps[i].def.name, init->key, obj->maps[i].def.max_entries);
    return init_target(obj, (uint32_t)i, &e->elf.symbols[reloc->sym], addend, init, log);
}

int load_map_inits(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;

    bool seen = false;

    for (uint32_t s = 1; e->n_btf_maps && s < e->elf.n_sections; s++) {
        const struct elf_section *section = &e->elf.sections[s];
        struct object_map_init *inits;
        struct elf_reloc *relocs;
        uint32_t n, map = 0;
        int err;

        if (elf_reloc_target(&e->elf, section) != e->maps_sec)
            continue;
        if (seen)
            return log_fail(log, -EINVAL, "section '.maps': two sections of relocations apply to it");
        seen = true;
        err = elf_read_relocs(&obj->arena, &e->elf, section, log, &relocs, &n);
        if (err)
            return err;
        inits = ARENA_ARRAY(&obj->arena, struct object_map_init, n);
        if (!inits)
            return log_fail(log, -ENOMEM, "no memory for %u initialisers of maps", n);
        /* Sorted by offset, so the entries of one map stand together. */
        for (uint32_t i = 0; i < n; i++) {
            err = read_init(obj, &relocs[i], &inits[i], &map, log);
            if (err)
                return err;
            if (!obj->maps[map].init)
                obj->maps[map].init = &inits[i];
            obj->maps[map].n_init = (uint32_t)(&inits[i] - obj->maps[map].init) + 1;
        }
    }
    return 0;
}
