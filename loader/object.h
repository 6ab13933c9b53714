/*
 * An object: what an ELF file says, linked against a target's types: programs, maps, global variables. Immutable once
 * object_open() and object_link() are done; instances take map definitions, initial contents and programs from it.
 * Nothing after this knows ELF. Every size is checked before memory is taken, and a failure names the file, the section
 * and what is wrong.
 */
#ifndef LOADER_OBJECT_H
#define LOADER_OBJECT_H

#include "base/arena.h"
#include "base/log.h"
#include "vm/btf/btf.h"
#include "vm/prog.h"

/* What stands in a map before any program runs. */
struct object_map_init {
    uint32_t key;      /* index */
    int32_t map, prog; /* map-in-map: an object map's index; PROG_ARRAY: a program's index; -1 */
};

struct object_map {
    struct map_def def; /* as the object says; a PERF_EVENT_ARRAY of 0 entries has one a CPU, which its creator knows */
    const char *section; /* ".maps", ".rodata", ... */
    const char *pin_name;
    bool internal;    /* a data section */
    bool autocreate;  /* the user may clear it before loading */
    uint32_t ifindex; /* Linux: the device that is to hold it; 0: memory */
    void *data;       /* internal maps: initial contents, def.value_size bytes (may be edited before load); an arena's
                         first arena_size bytes; else NULL */
    uint64_t arena_size; /* bytes of the variables that the object puts there */
    uint32_t datasec_id; /* BTF of a data section; 0: none */
    const struct object_map_init *init;
    uint32_t n_init;
};

struct object_var { /* a global variable */
    const char *name, *section;
    uint32_t map; /* index of its map */
    uint32_t off, size;
    uint32_t btf_id; /* its type, 0: none */
    bool is_static, weak;
};

struct object_kconfig { /* extern of .kconfig; its value is patched into the map's data at open */
    const char *name;
    bool weak, found;
};

/* A function pointer of a struct_ops, and the program that it points to. */
struct object_method {
    const char *member;
    uint32_t off, prog; /* in the struct; index */
};

/* A struct of SEC(".struct_ops"): what Linux would call through it. It is no map of the object's until Linux makes one.
 */
struct object_ops {
    const char *name, *section;
    uint32_t type;                       /* BTF of the struct */
    uint32_t sec, off, size;             /* where it lies: ELF section, bytes */
    const unsigned char *data;           /* size bytes; function pointers are not in it */
    bool link;                           /* SEC(".struct_ops.link"): registered by a link, not for good */
    const struct object_method *methods; /* as they lie in the struct; members without a program are left out */
    uint32_t n_methods;
};

struct object_reloc { /* for `skep show` */
    const char *section;
    uint32_t insn;
    const char *kind;   /* "map", "data", "call", "func", "extern", or a CO-RE kind such as "field_byte_offset" */
    const char *symbol; /* name or CO-RE spec as text */
    bool resolved;
    uint64_t value; /* CO-RE: what it became */
};

struct object_prog {
    const char *name, *section;
    const struct section_def *sec; /* NULL: the section name means nothing to libbpf */
    const char *target;
    uint32_t type, attach_type; /* may be changed before linking */
    bool autoload;              /* false for SEC("?...") */
    uint32_t ifindex;           /* Linux: the device that is to run it; 0: the processor */
    uint32_t n_insns;           /* after linking: with its subprograms */
    struct prog *prog;          /* after object_link(); NULL when not autoload or failed */
};

struct object {
    struct arena arena;
    const char *name, *path; /* name as libbpf makes it, path as given */
    const char *license;     /* "" when there is no license section */
    uint32_t kern_version;
    struct btf *btf; /* NULL: none */
    struct object_map *maps;
    uint32_t n_maps;
    struct object_prog *progs;
    uint32_t n_progs;
    struct object_var *vars;
    uint32_t n_vars;
    struct object_kconfig *kconfig;
    uint32_t n_kconfig;
    struct object_ops *ops;
    uint32_t n_ops;
    struct object_reloc *relocs;
    uint32_t n_relocs;
    struct object_elf *elf; /* what linking still needs; loader's own */
};

struct object_open_opts {
    const char *name;    /* NULL: from the path */
    const char *kconfig; /* extra CONFIG_X=y lines that override the system's; NULL: none */
    size_t max_size;     /* of the file; 0: 256 MiB */
};

struct object_link_opts {
    /* Types to relocate CO-RE against: target when given; else btf_path; else the running kernel's when something needs
     * it and it is there; else the object's own. */
    const struct btf *target;
    const char *btf_path;
    const struct helper_set *helpers;
    uint64_t (*ksym)(void *ctx, const char *name,
                     bool *found); /* addresses of extern variables; NULL: /proc/kallsyms */
    void *ksym_ctx;
    bool ksym_also_here; /* what ksym does not know is looked for in /proc/kallsyms */
    bool lenient;
};

/** Reads an ELF file. @return 0 and *out; -EINVAL and a message for what is no BPF object, -ENOENT and the like,
 * -E2BIG. */
int object_open_file(const char *path, const struct object_open_opts *opts, const struct log *log, struct object **out);
int object_open_mem(const void *data, size_t size, const char *name, const struct object_open_opts *opts,
                    const struct log *log, struct object **out);

/** Relocates and decodes every program that is to be loaded. What cannot be resolved in a program becomes poison with a
 *  warning; what is malformed is a failure. Once per object. */
int object_link(struct object *obj, const struct object_link_opts *opts, const struct log *log);

/** Reads a number of at most 8 bytes that a data section will hold for ever once it is loaded.
 *  @return false: it may change, or it lies outside. */
bool object_map_constant(const struct object_map *map, uint64_t off, unsigned size, uint64_t *value);

/** The struct_ops of this name; NULL: none. */
const struct object_ops *object_ops_find(const struct object *obj, const char *name);

void object_free(struct object *obj);

#endif
