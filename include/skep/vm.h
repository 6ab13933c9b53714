/*
 * A vm: virtual CPUs, and what a host lends to the programs that run on them.
 *
 * Everything of skep belongs to a vm: maps and programs are created in one, and only maps and programs of the same vm
 * work together. There is no global state: two vms in a process know nothing of each other. A vm is reference counted
 * by its maps, programs and objects, so that skep_vm__free() may come before or after theirs.
 *
 * A run owns one virtual CPU from beginning to end, and two runs never share one, as on Linux with migration disabled:
 * per-CPU values need no locks. A vm with n CPUs runs n programs at a time; a further run waits for a CPU.
 *
 * Errors: functions that return int return 0 or a negative errno; functions that return a pointer return NULL and set
 * errno. Options structs begin with `sz`, the size that the caller knows the struct to have (SKEP_OPTS() fills it in);
 * members past it count as zero, and NULL stands for all zero. Bytes past the
 * members that this library knows must be zero (-EINVAL otherwise).
 *
 * Threads: functions here may be called by any thread at any time, except that nobody may use what is being freed.
 */
#ifndef SKEP_VM_H
#define SKEP_VM_H

#include <skep/types.h>
#include <stdarg.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An options struct of this type on the stack with sz filled in: `SKEP_OPTS(skep_vm_opts, opts, .cpus = 4);` */
#define SKEP_OPTS(type, name, ...) struct type name = {.sz = sizeof(struct type), ##__VA_ARGS__}

struct skep_vm;
struct skep_map;
struct skep_program;
struct skep_world_file;

/** "0.1.0" */
SKEP_API const char *skep_version_string(void);

/* ---- Helpers of the host --------------------------------------------------------------------------------------- */

/* What an argument must be. Checked execution tests it before the helper runs; a memory argument is followed by the
 * size argument that bounds it, as in Linux. */
enum skep_arg_kind {
    SKEP_ARG_NONE,               /* no such argument */
    SKEP_ARG_ANYTHING,           /* any value */
    SKEP_ARG_CTX,                /* what the program got in r1 */
    SKEP_ARG_MAP,                /* a map */
    SKEP_ARG_MAP_KEY,            /* readable, key_size of the map argument before it */
    SKEP_ARG_MAP_VALUE,          /* readable, value_size of the map argument */
    SKEP_ARG_MAP_VALUE_UNINIT,   /* writable, value_size of the map argument */
    SKEP_ARG_MEM,                /* readable; the next argument is its size */
    SKEP_ARG_MEM_OR_NULL,        /* the same, or NULL with size 0 */
    SKEP_ARG_MEM_UNINIT,         /* writable; the next argument is its size */
    SKEP_ARG_MEM_RDWR,           /* readable and writable; the next argument is its size */
    SKEP_ARG_SIZE,               /* size of the memory before it, at least 1 */
    SKEP_ARG_SIZE_OR_ZERO,       /* size of the memory before it */
    SKEP_ARG_CONST_SIZE_OR_ZERO, /* a constant size: bounds the memory that the helper returns */
    SKEP_ARG_CONST_STR,          /* a NUL-terminated string in read-only memory */
    SKEP_ARG_STR,                /* a NUL-terminated string */
    SKEP_ARG_INT_PTR,            /* 4 writable bytes */
    SKEP_ARG_LONG_PTR,           /* 8 writable bytes */
    SKEP_ARG_FUNC,               /* a function of the program, for skep_env__call() */
};

/* What a helper returns. */
enum skep_ret_kind {
    SKEP_RET_INT,               /* a number */
    SKEP_RET_VOID,              /* nothing: r0 is unreadable afterwards */
    SKEP_RET_MAP_VALUE_OR_NULL, /* a value of the map argument */
};

/* What a helper does besides. */
enum skep_helper_effect {
    SKEP_HELPER_CALLS_BACK = 32, /* calls functions of the program through skep_env__call() */
};

/** A helper of the host. It stands before Linux's helper of the same number, if there is one. */
struct skep_helper_def {
    uint32_t id;       /* what `call` names; 1 << 16 and above never collide with Linux's */
    const char *name;  /* for messages and disassembly; copied */
    skep_helper_fn fn; /* called on the thread that runs the program, many at a time */
    uint8_t ret;       /* enum skep_ret_kind */
    uint8_t arg[5];    /* enum skep_arg_kind */
    uint16_t effects;  /* enum skep_helper_effect, or-ed */
};

/* ---- The vm ---------------------------------------------------------------------------------------------------- */

struct skep_vm_opts {
    size_t sz;
    uint32_t cpus;                         /* virtual CPUs, 1 to 4096; 0: as many as the machine has online */
    const struct skep_helper_def *helpers; /* the host's own; copied */
    uint32_t helper_cnt;
    bool helpers_only;             /* programs may call nothing else: no helper of Linux */
    skep_log_fn log;               /* messages about maps, programs and objects of this vm; NULL: silent */
    void *log_ctx;                 /* handed to log */
    enum skep_log_level log_level; /* messages above this level are dropped; default: errors alone */
    /* Machine code. It is never writable and executable at once; with `harden`, which costs a little time and memory,
     * constants of programs do not stand in it as they are, it lies at addresses that nobody knows, and it can be
     * written to nowhere except while a program is being added. */
    bool harden;
    bool perf_map;       /* names for `perf report`, in /tmp/perf-PID.map */
    bool gdb;            /* names, lines and frames for debuggers, by gdb's interface for such code */
    const char *jitdump; /* code and lines for `perf inject --jit`, as jit-PID.dump in this directory; NULL: none */
    uint64_t code_limit; /* bytes of machine code; 0: 256 MiB. What has no room is interpreted */
    /* Every helper may be mocked and watched by a run (skep_run_opts.mocks, .on_call): none is inlined, and each call
     * costs a little more. Without this, only what `world` has mocks for can be. */
    bool mockable;
    struct skep_world_file *world; /* what its runs find (skep/world.h); the vm keeps a reference. NULL: none */
};

/** Creates a vm. @return NULL with errno EINVAL (a helper without function or name, twice the same number, a size
 *  argument without memory before it), ENOMEM. */
SKEP_API struct skep_vm *skep_vm__new(const struct skep_vm_opts *opts);

/** Gives the caller's reference back. NULL is fine. */
SKEP_API void skep_vm__free(struct skep_vm *vm);

/** How many virtual CPUs it has. */
SKEP_API uint32_t skep_vm__cpus(const struct skep_vm *vm);

/** Does Linux's helper of this name ("map_lookup_elem", with or without "bpf_") or the host's exist in this vm? */
SKEP_API bool skep_vm__has_helper(const struct skep_vm *vm, const char *name);

/* ---- What a helper may ask of the run that called it ----------------------------------------------------------- */

enum skep_access { SKEP_READ = 1, SKEP_WRITE = 2 };

/**
 * Memory of the program that a helper got an address of: stack, context, packet, map values, memory lent by the host.
 *
 * An argument that the prototype already describes as memory was tested before; this is for addresses inside
 * structures.
 * @param addr    as the program knows it.
 * @param size    bytes, all of which must be inside one region.
 * @param access  enum skep_access, or-ed.
 * @return the host's address, valid until the helper returns; NULL when the program may not touch it: the run is then
 *         going to end with a trap, and the helper should return at once.
 */
SKEP_API void *skep_env__mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access);

/** Like skep_env__mem(), but NULL has no consequence. */
SKEP_API void *skep_env__try_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access);

/** The value of a key in the map that an argument of kind SKEP_ARG_MAP names (of the run's CPU, for per-CPU maps), or
 * NULL. Valid until the run ends. key: key_size bytes of the host. */
SKEP_API void *skep_env__map_lookup(struct skep_env *env, uint64_t map, const void *key);
/** Writes a value into such a map, as bpf_map_update_elem() does. 0 or a negative errno. */
SKEP_API int skep_env__map_update(struct skep_env *env, uint64_t map, const void *key, const void *value,
                                  uint64_t flags);

/** For a function that stands in a helper's place (struct skep_mock): calls the helper itself. */
SKEP_API uint64_t skep_env__call_helper(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                        uint64_t a5);

/** Ends the run with the trap `host` and this message once the helper returns. @return 0, for the helper to return. */
SKEP_API uint64_t skep_env__trap(struct skep_env *env, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Calls back a function of the program, given by the address that the program passed. The helper must be declared with
 *  SKEP_HELPER_CALLS_BACK, and must return at once when skep_env__trapped() afterwards. */
SKEP_API uint64_t skep_env__call(struct skep_env *env, uint64_t func, uint64_t a1, uint64_t a2, uint64_t a3,
                                 uint64_t a4, uint64_t a5);
/** Is the run about to end with a trap? */
SKEP_API bool skep_env__trapped(const struct skep_env *env);

/** The pointer that the run's options gave. */
SKEP_API void *skep_env__user(const struct skep_env *env);
/** The virtual CPU that the run owns. */
SKEP_API uint32_t skep_env__cpu(const struct skep_env *env);
/** The run's clock, ns. */
SKEP_API uint64_t skep_env__ktime(struct skep_env *env);
/** Says something where bpf_trace_printk() of this run goes: len bytes, one line without its newline. */
SKEP_API void skep_env__print(struct skep_env *env, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
