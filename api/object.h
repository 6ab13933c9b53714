/*
 * An object as the public API sees it: the loader's object, which all instances share and which is immutable once it is
 * loaded, and an instance's wrappers of maps and programs, in the loader's order. The CLI looks inside for what it
 * shows.
 */
#ifndef API_OBJECT_H
#define API_OBJECT_H

#include "api/core/core.h"
#include "loader/object.h"
#include <skep/object.h>

/* What instances share. */
struct object_share {
    atomic_uint refs;
    struct object *obj;
    struct judgement *judged; /* obj->n_progs, made by the first instance's load; NULL before */
};

struct skep_object {
    struct object_share *share;
    struct object *obj; /* share->obj */
    struct skep_vm *vm;
    struct skep_map *maps;      /* obj->n_maps */
    struct skep_program *progs; /* obj->n_progs */
    char *btf_path;             /* types of the target, NULL: the running kernel's */
    enum { OBJECT_OPEN, OBJECT_LOADED, OBJECT_BROKEN } state;
    /* How it is executed; the engine's name is one of ours. */
    struct skep_exec_opts exec;
};

static inline struct object_map *map_of(const struct skep_map *map)
{
    return &map->object->obj->maps[map->index];
}

static inline struct object_prog *prog_of(const struct skep_program *prog)
{
    return &prog->object->obj->progs[prog->index];
}

/** Where a variable's bytes are: initial contents before load, the map's value after it. NULL: its map does not exist.
 */
void *variable_at(const struct skep_object *obj, const struct object_var *var);

/**
 * Writes text into (a part of) a value through its type.
 *
 * @param path  what follows the variable's name: "", ".a[2]", "[1].x".
 * @param data  the variable's bytes; untouched on failure.
 */
int value_set(const struct btf *btf, uint32_t type, const char *name, const char *path, const char *text, void *data,
              size_t size, const struct log *log);

#endif
