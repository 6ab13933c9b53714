/*
 * Global variables: each data section is an array map with one value, its contents. Compilers leave offsets in a
 * DATASEC open (clang for global variables, gcc for all) and its size 0; symbols know them, so load_fix_datasecs()
 * writes them into the object's own copy of the BTF, as libbpf does, and sorts the entries by offset. Readers of the
 * BTF, ours or the user's, then see the truth. The table of variables comes from symbols, so it is complete without BTF
 * too.
 */
#include "loader/load.h"
#include "vm/abi/map_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BTF_VAR_STATIC = 0, BTF_VAR_GLOBAL = 1, LINUX_NAME = 16 };

static bool has_prefix(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return !strncmp(s, prefix, n) && (!s[n] || s[n] == '.');
}

static bool is_data(const struct elf_section *s)
{
    if (!s->size)
        return false;
    if (s->type == SHT_NOBITS)
        return has_prefix(s->name, ".bss");
    return s->type == SHT_PROGBITS && !elf_is_code(s) &&
           (has_prefix(s->name, ".data") || has_prefix(s->name, ".rodata"));
}

static int by_section_and_name(const void *a, const void *b)
{
    const struct load_var *x = a, *y = b;

    if (x->sec != y->sec)
        return x->sec < y->sec ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int collect_vars(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t n = 0;

    for (uint32_t i = 0; i < e->elf.n_symbols; i++)
        n += e->elf.symbols[i].type == STT_OBJECT;
    e->vars = ARENA_ARRAY(&obj->arena, struct load_var, n);
    if (!e->vars)
        return log_fail(log, -ENOMEM, "no memory for %u variables", n);
    for (uint32_t i = 0; i < e->elf.n_symbols; i++) {
        const struct elf_symbol *sym = &e->elf.symbols[i];

        if (sym->type == STT_OBJECT && sym->shndx && sym->shndx < e->elf.n_sections && *sym->name)
            e->vars[e->n_vars++] = (struct load_var){.sec = sym->shndx, .name = sym->name, .sym = sym};
    }
    qsort(e->vars, e->n_vars, sizeof(*e->vars), by_section_and_name);
    for (uint32_t i = 1; i < e->n_vars; i++)
        if (!by_section_and_name(&e->vars[i - 1], &e->vars[i]))
            e->vars[i - 1].twin = e->vars[i].twin = true;
    return 0;
}

static struct load_var *find_var(const struct object_elf *e, uint32_t sec, const char *name)
{
    struct load_var key = {.sec = sec, .name = name};

    return bsearch(&key, e->vars, e->n_vars, sizeof(key), by_section_and_name);
}

/* The same place in our own bytes; NULL when the parser did not leave the types there. */
static void *writable(const struct object *obj, const void *p)
{
    struct load_btf *b = obj->elf->btf;
    uintptr_t at = (uintptr_t)p - (uintptr_t)b->bytes;

    return at < b->size ? b->bytes + at : NULL;
}

static int by_var_offset(const void *a, const void *b)
{
    const struct btf_secinfo *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void fix_datasec(struct object *obj, uint32_t sec, struct btf_type *t)
{
    struct object_elf *e = obj->elf;
    struct btf_secinfo *info = writable(obj, btf_secinfos(t));
    uint64_t size = e->elf.sections[sec].size;

    for (uint32_t i = 0; i < btf_vlen(t); i++) {
        struct load_var *v = find_var(e, sec, btf_name(obj->btf, info[i].type));

        if (!v || v->twin)
            continue;
        if (!v->btf_id)
            v->btf_id = info[i].type;
        if (!t->size)
            info[i].offset = (uint32_t)v->sym->value;
    }
    if (!t->size && size <= UINT32_MAX)
        t->size = (uint32_t)size;
    qsort(info, btf_vlen(t), sizeof(*info), by_var_offset);
}

static int by_btf_id(const void *a, const void *b)
{
    const struct load_extern *x = *(const struct load_extern *const *)a, *y = *(const struct load_extern *const *)b;

    return x->btf_id < y->btf_id ? -1 : x->btf_id > y->btf_id;
}

static int id_to_extern(const void *id, const void *x)
{
    uint32_t a = *(const uint32_t *)id, b = (*(const struct load_extern *const *)x)->btf_id;

    return a < b ? -1 : a > b;
}

/* Externs have no section in the file: the map of .kconfig is laid out by us. */
static int fix_kconfig(struct object *obj, struct btf_type *t, const struct log *log)
{
    struct object_elf *e = obj->elf;
    struct btf_secinfo *info = writable(obj, btf_secinfos(t));
    struct load_extern **by_id = malloc(obj->n_kconfig * sizeof(struct load_extern *));

    if (!by_id)
        return log_fail(log, -ENOMEM, "no memory for %u externs", obj->n_kconfig);
    memcpy(by_id, e->kconfig_order, obj->n_kconfig * sizeof(struct load_extern *));
    qsort(by_id, obj->n_kconfig, sizeof(struct load_extern *), by_btf_id);
    for (uint32_t i = 0; i < btf_vlen(t); i++) {
        struct load_extern **x =
            bsearch(&info[i].type, by_id, obj->n_kconfig, sizeof(struct load_extern *), id_to_extern);

        if (x)
            info[i].offset = (*x)->off;
    }
    free(by_id);
    t->size = e->kconfig_size;
    qsort(info, btf_vlen(t), sizeof(*info), by_var_offset);
    return 0;
}

int load_fix_datasecs(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    int err = collect_vars(obj, log);

    for (uint32_t i = 1; !err && obj->btf && i < e->elf.n_sections; i++) {
        const struct elf_section *s = &e->elf.sections[i];
        uint32_t id;

        /* Only the first section of a name has a DATASEC. */
        if ((s->type != SHT_PROGBITS && s->type != SHT_NOBITS) || elf_section_by_name(&e->elf, s->name) != s)
            continue;
        id = btf_find(obj->btf, s->name, BTF_DATASEC);
        if (id && writable(obj, btf_type_at(obj->btf, id)))
            fix_datasec(obj, i, writable(obj, btf_type_at(obj->btf, id)));
    }
    if (!err && obj->n_kconfig) {
        uint32_t id = btf_find(obj->btf, ".kconfig", BTF_DATASEC);

        if (id && writable(obj, btf_type_at(obj->btf, id)))
            err = fix_kconfig(obj, writable(obj, btf_type_at(obj->btf, id)), log);
    }
    return err;
}

struct object_map *load_add_map(struct object *obj)
{
    struct object_map *map;

    if (obj->n_maps >= obj->elf->max_maps)
        return NULL;
    map = &obj->maps[obj->n_maps++];
    *map = (struct object_map){.autocreate = true};
    map->def.spin_lock_off = -1;
    return map;
}

void load_value_fields(const struct object *obj, struct map_def *def, uint32_t type_id, const struct log *log)
{
    const struct field *lock;
    int err = fields_read_value(obj->elf->btf->fields, obj->btf, type_id, &def->fields);

    if (err)
        log_warn(log,
                 "map '%s': special fields of its value are not as Linux wants them (%s), and count as plain memory",
                 def->name, strerror(-err));
    lock = fields_the(def->fields, FIELD_SPIN_LOCK);
    def->spin_lock_off = lock ? (int32_t)lock->off : -1;
}

/* libbpf maps a section into the process only when it has a variable that is not static. */
static bool has_global(const struct object *obj, uint32_t datasec)
{
    const struct btf_type *t = btf_type_at(obj->btf, datasec);

    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_type *var = btf_type_at(obj->btf, btf_secinfos(t)[i].type);

        if (btf_kind(var) == BTF_VAR && *(const uint32_t *)(var + 1) != BTF_VAR_STATIC)
            return true;
    }
    return false;
}

/* "fw.rodata": as much of the object's name as fits before the section's in Linux's 15 characters. A section with a
 * second dot keeps its own name. */
static void name_map(const struct object *obj, const char *section, char *out, size_t size)
{
    size_t sfx = strlen(section), pfx = strlen(obj->name);

    if (strchr(section + 1, '.')) {
        memcpy(out, section, sfx < size ? sfx : size - 1);
        return;
    }
    if (sfx < 7)
        sfx = 7;
    if (sfx > LINUX_NAME - 1)
        sfx = LINUX_NAME - 1;
    if (pfx > LINUX_NAME - sfx - 1)
        pfx = LINUX_NAME - sfx - 1;
    memcpy(out, obj->name, pfx);
    memcpy(out + pfx, section, strnlen(section, sfx));
    for (char *p = out; *p; p++)
        if (!((*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') || *p == '_' || *p == '.'))
            *p = '_';
}

static int add_data(struct object *obj, const char *section, uint64_t size, const unsigned char *data, bool read_only,
                    const struct log *log)
{
    struct object_elf *e = obj->elf;
    struct object_map *map;

    if (size > LOAD_MAX_DATA - e->data_bytes)
        return log_fail(log, -E2BIG, "section '%s': with its %llu bytes the global data exceed %d MiB", section,
                        (unsigned long long)size, LOAD_MAX_DATA >> 20);
    map = load_add_map(obj);
    if (!map)
        return log_fail(log, -E2BIG, "section '%s': more than %d maps", section, LOAD_MAX_MAPS);
    map->data = arena_alloc(&obj->arena, size);
    if (!map->data)
        return log_fail(log, -ENOMEM, "section '%s': no memory for %llu bytes", section, (unsigned long long)size);
    e->data_bytes += size;
    if (data)
        memcpy(map->data, data, size);
    map->section = section;
    map->internal = true;
    map->datasec_id = obj->btf ? btf_find(obj->btf, section, BTF_DATASEC) : 0;
    map->def.type = MAP_TYPE_ARRAY;
    map->def.key_size = 4;
    map->def.value_size = (uint32_t)size;
    map->def.max_entries = 1;
    map->def.flags = read_only ? MAP_F_RDONLY_PROG : 0;
    map->def.btf_value_id = map->datasec_id;
    name_map(obj, section, map->def.name, sizeof(map->def.name));
    if (map->datasec_id && has_global(obj, map->datasec_id))
        map->def.flags |= MAP_F_MMAPABLE;
    if (map->datasec_id)
        load_value_fields(obj, &map->def, map->datasec_id, log);
    return 0;
}

/* libbpf takes one arena an object. */
static int find_arena(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 0; i < obj->n_maps; i++) {
        if (obj->maps[i].def.type != MAP_TYPE_ARENA)
            continue;
        if (e->arena_map >= 0)
            return log_fail(log, -EINVAL, "maps '%s' and '%s' are both arenas, and an object has one",
                            obj->maps[e->arena_map].def.name, obj->maps[i].def.name);
        e->arena_map = (int32_t)i;
    }
    return 0;
}

/* Variables of address space 1 lie at the beginning of the arena, as libbpf puts them there. */
static int add_arena_data(struct object *obj, const struct elf_section *s, const struct log *log)
{
    enum { PAGE = 4096 };
    struct object_elf *e = obj->elf;
    struct object_map *map;

    if (e->arena_map < 0)
        return log_fail(log, -ENOENT, "section '%s': variables in an arena, and no map of type ARENA in '.maps'",
                        s->name);
    map = &obj->maps[e->arena_map];
    if (s->size > (uint64_t)map->def.max_entries * PAGE || s->size > LOAD_MAX_DATA - e->data_bytes)
        return log_fail(log, -E2BIG, "section '%s': its %llu bytes do not fit arena '%s' of %u pages", s->name,
                        (unsigned long long)s->size, map->def.name, map->def.max_entries);
    map->data = arena_alloc(&obj->arena, s->size);
    if (!map->data)
        return log_fail(log, -ENOMEM, "section '%s': no memory for %llu bytes", s->name, (unsigned long long)s->size);
    if (s->data)
        memcpy(map->data, s->data, s->size);
    map->arena_size = s->size;
    e->data_bytes += s->size;
    return 0;
}

int load_data(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    int err = find_arena(obj, log);

    if (err)
        return err;
    for (uint32_t i = 1; i < e->elf.n_sections; i++) {
        const struct elf_section *s = &e->elf.sections[i];

        if (!strcmp(s->name, LOAD_ARENA_SECTION) && s->size) {
            err = add_arena_data(obj, s, log);
            if (err)
                return err;
        }

        if (!is_data(s))
            continue;
        e->data_map[i] = (int32_t)obj->n_maps;
        err = add_data(obj, s->name, s->size, s->data, has_prefix(s->name, ".rodata"), log);
        if (err)
            return err;
    }
    if (!obj->n_kconfig)
        return 0;
    e->kconfig_map = (int32_t)obj->n_maps;
    return add_data(obj, ".kconfig", e->kconfig_size, NULL, true, log);
}

bool object_map_constant(const struct object_map *map, uint64_t off, unsigned size, uint64_t *value)
{
    const unsigned char *data = map->data;
    uint64_t n = 0;

    if (!map->internal || !data || !(map->def.flags & MAP_F_RDONLY_PROG) || off > map->def.value_size ||
        size > map->def.value_size - off || !size || size > sizeof(n))
        return false;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    memcpy((char *)&n + sizeof(n) - size, data + off, size);
#else
    memcpy(&n, data + off, size);
#endif
    *value = n;
    return true;
}

static int by_map_and_offset(const void *a, const void *b)
{
    const struct object_var *x = a, *y = b;

    if (x->map != y->map)
        return x->map < y->map ? -1 : 1;
    if (x->off != y->off)
        return x->off < y->off ? -1 : 1;
    return strcmp(x->name, y->name);
}

int load_vars(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t n = 0;

    obj->vars = ARENA_ARRAY(&obj->arena, struct object_var, (size_t)e->n_vars + obj->n_kconfig);
    if (!obj->vars)
        return log_fail(log, -ENOMEM, "no memory for %u variables", e->n_vars);
    for (uint32_t i = 0; i < e->n_vars; i++) {
        const struct load_var *v = &e->vars[i];
        const struct btf_type *t = v->btf_id ? btf_type_at(obj->btf, v->btf_id) : NULL;

        if (e->data_map[v->sec] < 0)
            continue;
        obj->vars[n++] = (struct object_var){
            .name = v->name,
            .section = e->elf.sections[v->sec].name,
            .map = (uint32_t)e->data_map[v->sec],
            .off = (uint32_t)v->sym->value,
            .size = (uint32_t)v->sym->size,
            .btf_id = t && btf_kind(t) == BTF_VAR ? t->type : 0,
            .is_static = v->sym->bind == STB_LOCAL || v->sym->vis == STV_HIDDEN || v->sym->vis == STV_INTERNAL,
            .weak = v->sym->bind == STB_WEAK,
        };
    }
    for (uint32_t i = 0; i < obj->n_kconfig; i++) {
        const struct load_extern *x = e->kconfig_order[i];

        obj->vars[n++] = (struct object_var){
            .name = x->name,
            .section = ".kconfig",
            .map = (uint32_t)e->kconfig_map,
            .off = x->off,
            .size = x->size,
            .btf_id = btf_type_at(obj->btf, x->btf_id)->type,
            .weak = x->weak,
        };
    }
    qsort(obj->vars, n, sizeof(*obj->vars), by_map_and_offset);
    obj->n_vars = n;
    return 0;
}
