/*
 * Programs and maps of an object: finding them, asking them, and changing what they are to be before the object is
 * loaded. After that every change says -EBUSY.
 */
#include "api/object.h"
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include <errno.h>

static bool is_open(const struct skep_object *o)
{
    return o && o->state == OBJECT_OPEN;
}

/* ---- Programs ---- */

struct skep_program *skep_object__find_program_by_name(const struct skep_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->obj->n_progs; i++)
        if (!strcmp(o->progs[i].name, name))
            return &o->progs[i];
    return fail_null(-ENOENT);
}

struct skep_program *skep_object__next_program(const struct skep_object *o, const struct skep_program *prog)
{
    uint32_t next = prog ? prog->index + 1 : 0;
    return next < o->obj->n_progs ? &o->progs[next] : NULL;
}

struct skep_program *skep_object__prev_program(const struct skep_object *o, const struct skep_program *prog)
{
    uint32_t at = prog ? prog->index : o->obj->n_progs;
    return at ? &o->progs[at - 1] : NULL;
}

const char *skep_program__section_name(const struct skep_program *prog)
{
    return prog->object ? prog_of(prog)->section : "";
}

const char *skep_program__attach_target(const struct skep_program *prog)
{
    const char *target = prog->object ? prog_of(prog)->target : NULL;
    return target ? target : "";
}

int skep_program__set_type(struct skep_program *prog, uint32_t type)
{
    if (!is_open(prog->object))
        return -EBUSY;
    if (type && !prog_type_find(type))
        return -EINVAL;
    prog_of(prog)->type = type;
    prog->type = type;
    return 0;
}

uint32_t skep_program__expected_attach_type(const struct skep_program *prog)
{
    return prog->object ? prog_of(prog)->attach_type : 0;
}

int skep_program__set_expected_attach_type(struct skep_program *prog, uint32_t type)
{
    if (!is_open(prog->object))
        return -EBUSY;
    prog_of(prog)->attach_type = type;
    return 0;
}

bool skep_program__autoload(const struct skep_program *prog)
{
    return prog->object ? prog_of(prog)->autoload : true;
}

int skep_program__set_autoload(struct skep_program *prog, bool autoload)
{
    if (!is_open(prog->object))
        return -EBUSY;
    prog_of(prog)->autoload = autoload;
    return 0;
}

/* Whether something of an object may be given to a device. */
static int may_offload(const struct skep_object *o)
{
    return !is_open(o) ? -EBUSY : o->backend->attach ? 0 : -EOPNOTSUPP;
}

int skep_program__set_ifindex(struct skep_program *prog, uint32_t ifindex)
{
    int err = may_offload(prog->object);
    if (!err)
        prog_of(prog)->ifindex = ifindex;
    return err;
}

int skep_map__set_ifindex(struct skep_map *map, uint32_t ifindex)
{
    int err = may_offload(map->object);
    if (!err)
        map_of(map)->ifindex = ifindex;
    return err;
}

bool skep_program__loaded(const struct skep_program *prog)
{
    return prog->ops != NULL;
}

/* ---- Maps ---- */

struct skep_map *skep_object__find_map_by_name(const struct skep_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        if (!strcmp(o->maps[i].def->name, name))
            return &o->maps[i];
    /* A data section answers to its section's name too, as in libbpf. */
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        if (o->obj->maps[i].internal && !strcmp(o->obj->maps[i].section, name))
            return &o->maps[i];
    return fail_null(-ENOENT);
}

struct skep_map *skep_object__next_map(const struct skep_object *o, const struct skep_map *map)
{
    uint32_t next = map ? map->index + 1 : 0;
    return next < o->obj->n_maps ? &o->maps[next] : NULL;
}

struct skep_map *skep_object__prev_map(const struct skep_object *o, const struct skep_map *map)
{
    uint32_t at = map ? map->index : o->obj->n_maps;
    return at ? &o->maps[at - 1] : NULL;
}

bool skep_map__is_internal(const struct skep_map *map)
{
    return map->object && map_of(map)->internal;
}

uint32_t skep_map__btf_key_type_id(const struct skep_map *map)
{
    return map->def->btf_key_id;
}

uint32_t skep_map__btf_value_type_id(const struct skep_map *map)
{
    return map->def->btf_value_id;
}

void *skep_map__initial_value(const struct skep_map *map, size_t *psize)
{
    if (!skep_map__is_internal(map) || !map_of(map)->data)
        return NULL;
    if (psize)
        *psize = map->def->value_size;
    return map_of(map)->data;
}

int skep_map__set_initial_value(struct skep_map *map, const void *data, size_t size)
{
    size_t room;
    void *value = skep_map__initial_value(map, &room);
    if (!value || !data || size != room)
        return -EINVAL;
    if (!is_open(map->object))
        return -EBUSY;
    memcpy(value, data, size);
    return 0;
}

/* What is to be changed must be an object's, not yet loaded, and no data section, whose size is its contents'. */
static int may_define(const struct skep_map *map)
{
    if (!is_open(map->object) || map->ops || map->reused)
        return -EBUSY;
    return map_of(map)->internal ? -EOPNOTSUPP : 0;
}

int skep_map__set_max_entries(struct skep_map *map, uint32_t max_entries)
{
    int err = may_define(map);
    if (!err)
        map->def->max_entries = max_entries;
    return err;
}

int skep_map__set_map_flags(struct skep_map *map, uint32_t flags)
{
    int err = may_define(map);
    if (!err)
        map->def->flags = flags;
    return err;
}

int skep_map__set_key_size(struct skep_map *map, uint32_t size)
{
    int err = may_define(map);
    if (!err)
        map->def->key_size = size;
    return err;
}

int skep_map__set_value_size(struct skep_map *map, uint32_t size)
{
    int err = may_define(map);
    if (!err)
        map->def->value_size = size;
    return err;
}

bool skep_map__autocreate(const struct skep_map *map)
{
    return !map->object || map_of(map)->autocreate;
}

int skep_map__set_autocreate(struct skep_map *map, bool autocreate)
{
    if (!is_open(map->object))
        return -EBUSY;
    map_of(map)->autocreate = autocreate;
    return 0;
}

const char *skep_map__pin_name(const struct skep_map *map)
{
    return map->object && map_of(map)->def.pinning ? map_of(map)->pin_name : NULL;
}

int skep_map__reuse(struct skep_map *map, const struct skep_map *other)
{
    if (!is_open(map->object))
        return -EBUSY;
    if (!other || !other->ops || other->vm != map->vm)
        return -EINVAL;
    if (other->ops != map->object->backend->maps)
        return log_fail(&map->vm->log, -EINVAL, "map '%s' cannot share map '%s', which lives elsewhere", map->def->name,
                        other->def->name);
    const struct map_def *want = map->def, *have = other->def;
    if (want->type != have->type || want->key_size != have->key_size || want->value_size != have->value_size ||
        want->max_entries != have->max_entries || want->flags != have->flags || want->extra != have->extra)
        return log_fail(&map->vm->log, -EINVAL, "map '%s' differs from map '%s' that it is to share", want->name,
                        have->name);
    int err = map->object->backend->reuse(map, other);
    map->reused = !err;
    return err;
}
