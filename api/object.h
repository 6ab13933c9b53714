/*
 * An object as the public API sees it: the loader's object, which all instances share and which is immutable once it is
 * loaded, and an instance's wrappers of maps and programs, in the loader's order. The CLI looks inside for what it
 * shows.
 */
#ifndef API_OBJECT_H
#define API_OBJECT_H

#include "api/core/core.h"
#include "loader/object.h"
#include <skep/link.h>

/* What instances share. */
struct object_share {
    atomic_uint refs;
    struct object *obj;
    struct judgement *judged; /* obj->n_progs, made by the first instance's load; NULL before */
};

struct kernel_object;

/* An attachment begins with its table. */
struct link_backend {
    const char *(*text)(const struct skep_link *link);
    int (*fd)(const struct skep_link *link);
    int (*pin)(struct skep_link *link, const char *path);
    int (*open_iter)(const struct skep_link *link);
    int (*destroy)(struct skep_link *link);
};

struct skep_link {
    const struct link_backend *ops;
};

/* Where an object's maps and programs come to be. */
struct object_backend {
    uint32_t id; /* enum skep_backend */
    const struct map_backend *maps;
    /** Makes maps and programs of an opened object, or of a clone of `from`. */
    int (*load)(struct skep_object *o, const struct log *log);
    int (*clone)(struct skep_object *o, const struct skep_object *from, const struct log *log);
    /** other exists and is of the same vm, backend and kind. */
    int (*reuse)(struct skep_map *map, const struct skep_map *other);
    void (*close)(struct skep_object *o);
    struct skep_link *(*attach)(struct skep_program *prog, const struct skep_attach_opts *opts); /* NULL: cannot */
    struct skep_link *(*attach_struct_ops)(struct skep_object *o, const char *name);
    int (*stats)(const struct skep_program *prog, struct skep_program_stats *out);
    int (*enable_stats)(void);
    struct skep_map *(*open_map)(struct skep_vm *vm, const char *path, uint32_t id);
    int (*prog_maps)(const char *prog, uint32_t *ids, uint32_t room);
};

extern const struct object_backend user_backend;
extern const struct object_backend kernel_backend; /* where it is built in */
/** NULL: not built in. */
const struct object_backend *backend_find(uint32_t id);

struct skep_object {
    const struct object_backend *backend;
    struct kernel_object *kernel; /* Linux's: what libbpf holds, once it is loaded */
    char *kconfig, *pin_root;     /* Linux's: for libbpf; NULL: none */
    bool refused;                 /* load failed because a verifier said no */
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

/** Is it a data section that nobody may change once it is loaded? */
bool object_map_is_constant(const struct object_map *m);

/**
 * Writes text into (a part of) a value through its type.
 *
 * @param path  what follows the variable's name: "", ".a[2]", "[1].x".
 * @param data  the variable's bytes; untouched on failure.
 */
int value_set(const struct btf *btf, uint32_t type, const char *name, const char *path, const char *text, void *data,
              size_t size, const struct log *log);

#endif
