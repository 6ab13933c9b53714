/*
 * Objects: the .bpf.o files that clang and gcc make. The verbs are libbpf's: open, adjust, load, use, close.
 *
 * Between open and load one thread owns the object and may change map sizes, initial values, program types and which
 * programs and maps there are to be. skep_object__load() creates the maps, relocates and prepares the programs. From
 * then on any number of threads may run programs and use maps. skep_object__clone() starts another instance: maps of
 * its own with the same initial contents, the same programs, without linking again.
 *
 * What the target does not have (a helper, a kernel function, a CO-RE relocation that nothing satisfies) is a warning
 * at load and a trap when it is executed.
 */
#ifndef SKEP_OBJECT_H
#define SKEP_OBJECT_H

#include <skep/program.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skep_object;
struct skep_variable;

/**
 * Where an object's maps and programs live. In Linux (through libbpf) load creates the maps and hands the programs to
 * the kernel's verifier; maps, variables, readers and skep_program__run() (BPF_PROG_TEST_RUN) then work through the
 * same calls, and programs can be attached (skep/link.h). What differs: per-CPU values are as many as the machine's
 * possible CPUs (skep_map__host_value_size()); what programs print goes to Linux's trace; runs are not counted, stopped
 * or traced, and do not trap; choice of engine, optimisations and limits of a run have no meaning. What would change a
 * result is refused by name with -EOPNOTSUPP: checked or lenient execution, privilege and limit of the verifier,
 * worlds, memory of the host. skep_map_create() and skep_prog_load() make maps and programs of this process alone.
 */
enum skep_backend { SKEP_BACKEND_USER, SKEP_BACKEND_KERNEL };
/** Was this library built with it? */
SKEP_API bool skep_has_backend(uint32_t backend);

struct skep_object_open_opts {
    size_t sz;
    const char *object_name;     /* NULL: the file's name */
    const char *kconfig;         /* lines CONFIG_X=y that stand before the system's; NULL: none */
    const char *btf_custom_path; /* BTF of the target, for CO-RE; NULL: the running kernel's, else the object's own */
    struct skep_vm *vm;          /* NULL: a vm of its own, made from vm_opts */
    const struct skep_vm_opts *vm_opts; /* used when vm is NULL; NULL: defaults. Its log tells of opening, too */
    size_t max_size;                    /* bytes that the file may have; 0: 256 MiB */
    uint32_t backend;                   /* enum skep_backend */
    /* Linux: a directory of a bpffs where maps that ask for pinning are found or made; NULL: they are not pinned. */
    const char *pin_root_path;
};

/** Reads an object. @return NULL with errno: that of open(2) or read(2), EINVAL (no BPF object, or a damaged one: the
 * log names the section and what is wrong), EFBIG, ENOMEM, EOPNOTSUPP (built without the backend). */
SKEP_API struct skep_object *skep_object__open_file(const char *path, const struct skep_object_open_opts *opts);
SKEP_API struct skep_object *skep_object__open(const char *path);
/** Reads an object from memory, which is not used afterwards. */
SKEP_API struct skep_object *skep_object__open_mem(const void *obj_buf, size_t obj_buf_sz,
                                                   const struct skep_object_open_opts *opts);

/** Creates maps and prepares programs, once, with checked execution and the default engine.
 *  @return 0; -EINVAL and others with a message; the object can then only be closed. */
SKEP_API int skep_object__load(struct skep_object *obj);
/** The same, executed as exec says; NULL: defaults. */
SKEP_API int skep_object__load_opts(struct skep_object *obj, const struct skep_exec_opts *exec);

/** Another instance of a loaded object: its maps start anew (maps that were reused are shared), programs are the same.
 *  The two may be closed in any order. @return NULL with errno EINVAL (not loaded), ENOMEM. */
SKEP_API struct skep_object *skep_object__clone(const struct skep_object *obj);

/** Frees the object, its programs and maps; none may be in use. NULL is fine. */
SKEP_API void skep_object__close(struct skep_object *obj);

SKEP_API const char *skep_object__name(const struct skep_object *obj);
SKEP_API const char *skep_object__license(const struct skep_object *obj); /* "" for none */
SKEP_API unsigned skep_object__kversion(const struct skep_object *obj);
SKEP_API struct skep_vm *skep_object__vm(const struct skep_object *obj); /* the object's reference */
SKEP_API uint32_t skep_object__backend(const struct skep_object *obj);
SKEP_API bool skep_object__has_btf(const struct skep_object *obj);

/* ---- Programs -------------------------------------------------------------------------------------------------- */

/** NULL with errno ENOENT when there is none. */
SKEP_API struct skep_program *skep_object__find_program_by_name(const struct skep_object *obj, const char *name);
/** The program after prog (NULL: the first); NULL at the end. */
SKEP_API struct skep_program *skep_object__next_program(const struct skep_object *obj, const struct skep_program *prog);
SKEP_API struct skep_program *skep_object__prev_program(const struct skep_object *obj, const struct skep_program *prog);
#define skep_object__for_each_program(pos, obj)                                                                        \
    for ((pos) = skep_object__next_program((obj), NULL); (pos); (pos) = skep_object__next_program((obj), (pos)))

SKEP_API const char *skep_program__section_name(const struct skep_program *prog); /* "" for raw programs */
/** "eth0" of SEC("tp/..."): what follows the type in the section name, "" for nothing. */
SKEP_API const char *skep_program__attach_target(const struct skep_program *prog);
/** Before load. -EINVAL: no such type; -EBUSY: loaded. */
SKEP_API int skep_program__set_type(struct skep_program *prog, uint32_t type);
SKEP_API uint32_t skep_program__expected_attach_type(const struct skep_program *prog); /* BPF_* attach type */
SKEP_API int skep_program__set_expected_attach_type(struct skep_program *prog, uint32_t type);
/** Is it to be loaded? false at first for SEC("?..."). */
SKEP_API bool skep_program__autoload(const struct skep_program *prog);
SKEP_API int skep_program__set_autoload(struct skep_program *prog, bool autoload);
/** Before load, of Linux's backend: the device's driver is to run it (XDP, SKEP_XDP_OFFLOAD), and keeps the maps that
 * it uses, which are told so too. 0: the processor runs it. -EBUSY: loaded; -EOPNOTSUPP: of this process. */
SKEP_API int skep_program__set_ifindex(struct skep_program *prog, uint32_t ifindex);
SKEP_API int skep_map__set_ifindex(struct skep_map *map, uint32_t ifindex);
/** Can it be run? */
SKEP_API bool skep_program__loaded(const struct skep_program *prog);

/* ---- Maps ------------------------------------------------------------------------------------------------------ */

/** NULL with errno ENOENT when there is none. */
SKEP_API struct skep_map *skep_object__find_map_by_name(const struct skep_object *obj, const char *name);
/** The map after map (NULL: the first); NULL at the end. */
SKEP_API struct skep_map *skep_object__next_map(const struct skep_object *obj, const struct skep_map *map);
SKEP_API struct skep_map *skep_object__prev_map(const struct skep_object *obj, const struct skep_map *map);
#define skep_object__for_each_map(pos, obj)                                                                            \
    for ((pos) = skep_object__next_map((obj), NULL); (pos); (pos) = skep_object__next_map((obj), (pos)))

/** Is it a data section (.data, .rodata, .bss, .kconfig ...)? */
SKEP_API bool skep_map__is_internal(const struct skep_map *map);
/** Types of key and value in the object's BTF, 0: none. */
SKEP_API uint32_t skep_map__btf_key_type_id(const struct skep_map *map);
SKEP_API uint32_t skep_map__btf_value_type_id(const struct skep_map *map);
/** Contents of a data section at load, to be changed in place before it; NULL for other maps. */
SKEP_API void *skep_map__initial_value(const struct skep_map *map, size_t *psize);
/** Before load; size must be the section's. -EINVAL, -EBUSY (loaded). */
SKEP_API int skep_map__set_initial_value(struct skep_map *map, const void *data, size_t size);
/** Before load: -EBUSY after it. */
SKEP_API int skep_map__set_max_entries(struct skep_map *map, uint32_t max_entries);
SKEP_API int skep_map__set_map_flags(struct skep_map *map, uint32_t flags);
SKEP_API int skep_map__set_key_size(struct skep_map *map, uint32_t size);
SKEP_API int skep_map__set_value_size(struct skep_map *map, uint32_t size);
/** Is it to be created? A program that uses a map that is not will not load. */
SKEP_API bool skep_map__autocreate(const struct skep_map *map);
SKEP_API int skep_map__set_autocreate(struct skep_map *map, bool autocreate);
/** Before load: uses the map behind `other` (of the same vm, with the same sizes, type and flags) instead of creating
 *  one; what libbpf does with pinned maps. -EINVAL: they differ. */
SKEP_API int skep_map__reuse(struct skep_map *map, const struct skep_map *other);
/** LIBBPF_PIN_BY_NAME asked for: the name to pin by; NULL: not pinned. */
SKEP_API const char *skep_map__pin_name(const struct skep_map *map);

/** Opens a map that lives in Linux already, by its file on a bpffs or, path NULL, by its number. It can be used as an
 *  object's, also by skep_map__reuse() of objects of Linux's backend on the same vm; skep_map__free() gives it back.
 *  @return NULL with errno: that of bpf(2), EOPNOTSUPP (built without the backend). */
SKEP_API struct skep_map *skep_map__open_linux(struct skep_vm *vm, const char *path, uint32_t id);
/** Numbers of the maps that a program in Linux uses, found by its number or its name as text (the youngest of that
 *  name). @return how many stand in ids, at most room; -ENOENT; -EOPNOTSUPP. */
SKEP_API int skep_linux_prog_maps(const char *prog, uint32_t *ids, uint32_t room);

/* ---- struct_ops -----------------------------------------------------------------------------------------------
 * Variables of SEC(".struct_ops") and SEC(".struct_ops.link"): structs of Linux's whose function pointers are programs.
 * In Linux skep_object__attach_struct_ops() (skep/link.h) registers one, and Linux calls its programs. Here the host
 * calls them, with skep_program__run() and the arguments, 64 bits each, as ctx_in. */

/** The name of the object's i-th struct_ops; NULL: there are no more. */
SKEP_API const char *skep_object__struct_ops_name(const struct skep_object *obj, uint32_t i);
/** The program that stands in a member of the struct_ops of this name, of either backend. @return NULL with errno
 * ENOENT: no such struct_ops, no such member, or none in it. */
SKEP_API struct skep_program *skep_object__struct_ops_program(const struct skep_object *obj, const char *name,
                                                              const char *member);

/* ---- Global variables ------------------------------------------------------------------------------------------ */

/** The variable of this name; NULL with errno ENOENT. Valid until the object is closed. */
SKEP_API const struct skep_variable *skep_object__find_variable(const struct skep_object *obj, const char *name);
/** The variable after var (NULL: the first); NULL at the end. */
SKEP_API const struct skep_variable *skep_object__next_variable(const struct skep_object *obj,
                                                                const struct skep_variable *var);
SKEP_API const char *skep_variable__name(const struct skep_variable *var);
SKEP_API uint32_t skep_variable__size(const struct skep_variable *var);
/** The map that holds it, and where. */
SKEP_API struct skep_map *skep_variable__map(const struct skep_object *obj, const struct skep_variable *var);
SKEP_API uint32_t skep_variable__offset(const struct skep_variable *var);
/** Reads it: before load its initial value, afterwards what it holds now. size must be the variable's. -EINVAL. */
SKEP_API int skep_variable__get(const struct skep_object *obj, const struct skep_variable *var, void *value,
                                size_t size);
/** Writes it. -EINVAL; -EPERM after load when it is constant (.rodata, .kconfig). */
SKEP_API int skep_variable__set(struct skep_object *obj, const struct skep_variable *var, const void *value,
                                size_t size);
/** Writes a variable, or a part of one (`cfg.ports[2]`), from text through its type: integers in C's notation,
 * characters, booleans, names of enumerators, strings for arrays of char, JSON for structs and arrays.
 *  @return 0; -ENOENT: no such variable or member; -EINVAL: text that the type does not take; -ERANGE: a number that
 * does not fit; -EPERM. The vm's log says more. */
SKEP_API int skep_object__set_variable(struct skep_object *obj, const char *lvalue, const char *text);

#ifdef __cplusplus
}
#endif

#endif
