/*
 * Maps as objects defined them before BTF did: structs of numbers in a section `maps`, each under a symbol. Three
 * layouts are in use, which differ in length alone: struct bpf_map_def of 20 bytes, the same with two numbers more
 * (which map the inner ones are like, by its place, and a NUMA node), and iproute2's struct bpf_elf_map of 36 (its
 * number, where it is pinned, the number of the map that the inner ones are like, and where in the outer one it goes).
 * libbpf left them behind with 1.0. Pinning is iproute2's affair and says nothing here.
 *
 * Types of keys and values may stand in a struct named ____btf_map_NAME with the members key and value.
 */
#include "loader/load.h"
#include "vm/abi/map_types.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN = 20, WITH_INNER = 28, IPROUTE2 = 36, MAX_DEF = 256, NOWHERE = UINT32_MAX };

/* The layouts side by side; the numbers of the longer ones are zero in the shorter. */
struct legacy_def {
    uint32_t type, key_size, value_size, max_entries, flags;
    uint32_t id, pinning, inner_id, inner_idx;
};

static bool is_definition(const struct elf_symbol *sym, uint32_t sec)
{
    return sym->shndx == sec && (sym->type == STT_OBJECT || sym->type == STT_NOTYPE) && sym->bind != STB_LOCAL &&
           sym->name && *sym->name;
}

uint32_t load_legacy_section(const struct object_elf *e)
{
    for (uint32_t i = 1; i < e->elf.n_sections; i++)
        if (!strcmp(e->elf.sections[i].name, "maps") && e->elf.sections[i].type == SHT_PROGBITS)
            return i;
    return 0;
}

uint32_t load_legacy_count(const struct object_elf *e)
{
    uint32_t sec = load_legacy_section(e), n = 0;

    for (uint32_t i = 1; sec && i < e->elf.n_symbols; i++)
        n += is_definition(&e->elf.symbols[i], sec);
    return n;
}

static int by_place(const void *a, const void *b)
{
    const struct elf_symbol *x = *(const struct elf_symbol *const *)a, *y = *(const struct elf_symbol *const *)b;

    return (x->value > y->value) - (x->value < y->value);
}

static bool is_map_in_map(uint32_t type)
{
    return type == MAP_TYPE_ARRAY_OF_MAPS || type == MAP_TYPE_HASH_OF_MAPS;
}

static void read_types(const struct object *obj, struct map_def *def, const struct log *log)
{
    char name[sizeof("____btf_map_") + sizeof(def->name)];
    const struct btf_type *t;
    uint32_t id;

    snprintf(name, sizeof(name), "____btf_map_%s", def->name);
    id = obj->btf ? btf_find(obj->btf, name, BTF_STRUCT) : 0;
    if (!id)
        return;
    t = btf_type_at(obj->btf, id);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_member *m = &btf_members(t)[i];
        const char *member = btf_str(obj->btf, m->name_off);

        if (!strcmp(member, "key") && btf_size(obj->btf, m->type) == (int64_t)def->key_size)
            def->btf_key_id = m->type;
        else if (!strcmp(member, "value") && btf_size(obj->btf, m->type) == (int64_t)def->value_size)
            def->btf_value_id = m->type;
    }
    if (def->btf_value_id)
        load_value_fields(obj, def, def->btf_value_id, log);
}

static int read_def(struct object *obj, const struct elf_symbol *sym, const unsigned char *at, uint64_t size,
                    struct legacy_def *l, const struct log *log)
{
    uint64_t known = size == WITH_INNER || size == IPROUTE2 ? size : PLAIN;
    struct object_map *map = load_add_map(obj);
    size_t n = strlen(sym->name);

    if (!map)
        return log_fail(log, -E2BIG, "map '%s': more than %d maps", sym->name, LOAD_MAX_MAPS);
    memset(l, 0, sizeof(*l));
    memcpy(l, at, known);
    for (uint64_t i = known; i < size; i++)
        if (at[i])
            return log_fail(
                log, -EINVAL,
                "map '%s': its definition has %llu bytes, and what stands at byte %llu means nothing; 20, 28 "
                "and 36 bytes are known",
                sym->name, (unsigned long long)size, (unsigned long long)i);
    map->section = "maps";
    map->def = (struct map_def){.type = l->type,
                                .key_size = l->key_size,
                                .value_size = l->value_size,
                                .max_entries = l->max_entries,
                                .flags = l->flags,
                                .spin_lock_off = -1};
    memcpy(map->def.name, sym->name, n < sizeof(map->def.name) ? n : sizeof(map->def.name) - 1);
    if (l->type == MAP_TYPE_UNSPEC)
        return log_fail(log, -EINVAL, "map '%s': its definition has no type", sym->name);
    read_types(obj, &map->def, log);
    return 0;
}

/* What the inner maps of map i are like: a map by its place, or by its number. @return its index, n: none */
static uint32_t inner_of(const struct legacy_def *defs, uint32_t n, uint32_t i, uint64_t size)
{
    uint32_t j = 0;

    if (size == WITH_INNER)
        return defs[i].id < n && defs[i].id != i ? defs[i].id : n;
    while (j < n && (!defs[i].inner_id || defs[j].id != defs[i].inner_id || j == i))
        j++;
    return j;
}

/* Maps that say by number which outer map they belong to, and where in it. */
static int read_inits(struct object *obj, const struct legacy_def *defs, uint32_t n, uint32_t outer,
                      const struct log *log)
{
    struct object_map *map = &obj->maps[outer];
    struct object_map_init *inits = ARENA_ARRAY(&obj->arena, struct object_map_init, n);
    uint32_t count = 0;

    if (!inits)
        return log_fail(log, -ENOMEM, "no memory for %u initialisers of maps", n);
    for (uint32_t i = 0; i < n; i++)
        if (defs[i].id && defs[i].id == defs[outer].inner_id && !defs[i].inner_id && defs[i].inner_idx != NOWHERE &&
            (defs[i].inner_idx < map->def.max_entries || map->def.type == MAP_TYPE_HASH_OF_MAPS))
            inits[count++] = (struct object_map_init){.key = defs[i].inner_idx, .map = (int32_t)i, .prog = -1};
    map->init = count ? inits : NULL;
    map->n_init = count;
    return 0;
}

static int join_maps(struct object *obj, const struct legacy_def *defs, uint32_t n, uint64_t size,
                     const struct log *log)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t inner = is_map_in_map(obj->maps[i].def.type) ? inner_of(defs, n, i, size) : n;
        int err;

        if (inner == n)
            continue;
        obj->maps[i].def.inner = &obj->maps[inner].def;
        err = size == IPROUTE2 ? read_inits(obj, defs, n, i, log) : 0;
        if (err)
            return err;
    }
    return 0;
}

int load_legacy_maps(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t sec = load_legacy_section(e), n = load_legacy_count(e), at = 0;
    const struct elf_section *section = &e->elf.sections[sec];
    const struct elf_symbol **order = ARENA_ARRAY(&obj->arena, const struct elf_symbol *, n ? n : 1);
    struct legacy_def *defs = ARENA_ARRAY(&obj->arena, struct legacy_def, n ? n : 1);
    uint64_t size;
    int err = 0;

    if (!n)
        return section->size ? log_fail(log, -EINVAL, "section 'maps': no symbol names a map there") : 0;
    e->maps_off = ARENA_ARRAY(&obj->arena, uint32_t, n);
    e->maps_size = ARENA_ARRAY(&obj->arena, uint32_t, n);
    e->values_off = ARENA_ARRAY(&obj->arena, uint32_t, n);
    if (!order || !defs || !e->maps_off || !e->maps_size || !e->values_off)
        return log_fail(log, -ENOMEM, "no memory for %u maps", n);
    size = section->size / n;
    if (section->size % n || size < PLAIN || size > MAX_DEF)
        return log_fail(log, -EINVAL,
                        "section 'maps': %u maps in %llu bytes; they must be of one length, 20 to %d bytes", n,
                        (unsigned long long)section->size, MAX_DEF);
    for (uint32_t i = 1; i < e->elf.n_symbols; i++)
        if (is_definition(&e->elf.symbols[i], sec))
            order[at++] = &e->elf.symbols[i];
    qsort(order, n, sizeof(*order), by_place);
    for (uint32_t i = 0; i < n && !err; i++) {
        if (order[i]->value != i * size)
            return log_fail(log, -EINVAL,
                            "map '%s': it lies at byte %llu of section 'maps', and definitions have %llu bytes",
                            order[i]->name, (unsigned long long)order[i]->value, (unsigned long long)size);
        err = read_def(obj, order[i], section->data + i * size, size, &defs[i], log);
        e->maps_off[i] = (uint32_t)(i * size);
        e->maps_size[i] = (uint32_t)size;
        e->values_off[i] = LOAD_NO_VALUES;
        e->n_btf_maps = i + 1;
    }
    e->maps_sec = sec;
    return err ? err : join_maps(obj, defs, n, size, log);
}
