/*
 * What stands behind the opaque types of the public API. A map or a program is either the host's own (made by
 * skep_map_create(), skep_prog_load(); `object` is NULL) or part of an object, which then owns the wrapper; `map` and
 * `code` are NULL until the object is loaded. Every wrapper holds a reference to its vm.
 */
#ifndef API_CORE_CORE_H
#define API_CORE_CORE_H

#include "base/log.h"
#include "jit/jit.h"
#include "verifier/verify.h"
#include "vm/code.h"
#include "vm/env.h"
#include "vm/maps/map.h"
#include "vm/mock.h"
#include "vm/prog.h"
#include "vm/world/world.h"
#include <pthread.h>
#include <skep/buffer.h>
#include <skep/program.h>
#include <stdatomic.h>
#include <string.h>

struct skep_object;

/* One virtual CPU. Whoever sets `busy` from 0 to 1 owns it and its environment, which is made on first use. */
struct vm_cpu {
    _Alignas(64) atomic_uint busy;
    struct skep_env *env;
};

struct skep_vm {
    atomic_uint refs;
    uint32_t n_cpus;
    struct vm_cpu *cpus;
    struct helper_set helpers; /* the host's; names and rows live in `arena` */
    struct arena arena;
    struct log log;
    bool mockable;       /* every helper's calls go through mocks */
    struct world *world; /* what runs find, a reference; NULL: none */
    atomic_uint ids;     /* the last number that a map or a program got */
    /* Runs that wait for a CPU: they count themselves, look once more, and sleep. */
    atomic_uint waiters;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    /* Where machine code goes: made for the first program that wants some, under the lock; what went wrong then stands.
     */
    struct jit_config jit_config;
    struct jit *jit;
    int jit_err;
    char jit_why[200];
};

struct skep_vm *vm_get(struct skep_vm *vm);

/** Owns a virtual CPU: this one, or UINT32_MAX for any that is free. @return NULL and *err: -EBUSY (nowait), -ENOMEM.
 */
struct skep_env *vm_take_cpu(struct skep_vm *vm, uint32_t cpu, bool nowait, int *err);
void vm_give_cpu(struct skep_vm *vm, struct skep_env *env);

/*
 * Where a map, a program or a reader lives: in this process or in Linux. A handle gets its table when the thing comes
 * to be, so that NULL means that there is none yet. Sizes of keys and values were compared before an operation is
 * called; all return 0 or a negative errno of Linux's.
 */
/* A batch of operations on a map: which, and what the public functions were given. */
enum batch_kind { BATCH_LOOKUP, BATCH_TAKE, BATCH_UPDATE, BATCH_DELETE };

struct batch {
    enum batch_kind kind;
    const void *in;
    void *out;
    void *keys, *values; /* only read by updates and deletions */
    uint32_t *count;
    uint64_t elem_flags;
};

struct map_backend {
    int (*lookup)(const struct skep_map *map, const void *key, void *value, uint64_t flags);
    int (*update)(const struct skep_map *map, const void *key, const void *value, uint64_t flags);
    int (*delete_key)(const struct skep_map *map, const void *key);
    int (*lookup_and_delete)(const struct skep_map *map, const void *key, void *value, uint64_t flags);
    int (*next_key)(const struct skep_map *map, const void *key, void *next);
    int (*batch)(const struct skep_map *map, const struct batch *b);
    int (*freeze)(struct skep_map *map);
    bool (*frozen)(const struct skep_map *map);
    int (*set_program)(struct skep_map *map, uint32_t index, struct skep_program *prog);             /* NULL deletes */
    int (*set_inner)(struct skep_map *map, const void *key, struct skep_map *inner, uint64_t flags); /* NULL deletes */
    uint32_t (*host_value_size)(const struct skep_map *map);
    void *(*direct)(const struct skep_map *map); /* the bytes of a data section; NULL: not to be had */
    struct skep_ring_buffer *(*ring_reader)(void);
    struct skep_perf_buffer *(*perf_reader)(struct skep_map *map, size_t pages, skep_perf_buffer_sample_fn sample,
                                            skep_perf_buffer_lost_fn lost, void *ctx);
    struct skep_user_ring_buffer *(*user_ring)(struct skep_map *map);
    int (*fd)(const struct skep_map *map);
    void (*release)(struct skep_map *map); /* of a map that is no object's */
};

struct program_backend {
    int (*run)(const struct skep_program *prog, struct skep_run_opts *opts); /* opts: complete, and written back */
    int (*fd)(const struct skep_program *prog);
    const char *(*engine)(const struct skep_program *prog);
};

struct skep_ring_buffer *user_ring_reader(void);
struct skep_perf_buffer *user_perf_reader(struct skep_map *map, size_t pages, skep_perf_buffer_sample_fn sample,
                                          skep_perf_buffer_lost_fn lost, void *ctx);
struct skep_user_ring_buffer *user_ring_producer(struct skep_map *map);
extern const struct map_backend user_map;
extern const struct program_backend user_program;

struct skep_map {
    const struct map_backend *ops; /* NULL: not created yet */
    struct skep_vm *vm;
    struct map *map;            /* one of this process's, once it is created; else NULL */
    int fd;                     /* one of Linux's, once it is created; counts only where ops says so */
    void *memory;               /* of Linux's: a data section, mapped when it is first asked for */
    struct map_def *def;        /* what it is or is to be: the map's own, or the object's until it is loaded */
    struct skep_object *object; /* NULL: the host's own */
    uint32_t index;             /* in the object */
    bool reused;                /* `map` came from skep_map__reuse() */
    /* PROG_ARRAY: all its users share one program type and engine, that of the first; guarded by the vm's lock. */
    const struct engine *engine;
    uint32_t prog_type;
    bool checked;
    bool claimed;
};

struct skep_program {
    const struct program_backend *ops; /* NULL: not loaded */
    struct skep_vm *vm;
    const char *name; /* the object's, or the program's own */
    uint32_t type;
    uint32_t n_insns;                /* before it is loaded */
    struct code *code;               /* one of this process's, once it is loaded; else NULL */
    int fd;                          /* one of Linux's; counts only where ops says so */
    const struct explored *explored; /* runs are watched against it; NULL: they are not */
    struct skep_object *object;      /* NULL: the host's own, as is explored then */
    uint32_t index;
};

/* Readers begin with their table, which is that of their first map. */
struct ring_backend {
    int (*add)(struct skep_ring_buffer *rb, struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx);
    int (*poll)(struct skep_ring_buffer *rb, int timeout_ms);
    int (*consume)(struct skep_ring_buffer *rb);
    int (*epoll_fd)(const struct skep_ring_buffer *rb);
    void (*free)(struct skep_ring_buffer *rb);
};

struct skep_ring_buffer {
    const struct ring_backend *ops;
};

/* Producers of USER_RINGBUF maps begin with theirs. */
struct user_ring_backend {
    void *(*reserve)(struct skep_user_ring_buffer *rb, uint32_t size); /* NULL with errno */
    void *(*reserve_blocking)(struct skep_user_ring_buffer *rb, uint32_t size, int timeout_ms);
    void (*commit)(struct skep_user_ring_buffer *rb, void *sample, bool discard);
    void (*free)(struct skep_user_ring_buffer *rb);
};

struct skep_user_ring_buffer {
    const struct user_ring_backend *ops;
};

struct perf_backend {
    int (*poll)(struct skep_perf_buffer *pb, int timeout_ms);
    int (*consume)(struct skep_perf_buffer *pb);
    int (*epoll_fd)(const struct skep_perf_buffer *pb);
    size_t (*count)(const struct skep_perf_buffer *pb);
    void (*free)(struct skep_perf_buffer *pb);
};

struct skep_perf_buffer {
    const struct perf_backend *ops;
};

/** A number that no other map or program of this vm has, as Linux gives them out; what a lookup in a map of maps reads.
 */
uint32_t vm_next_id(struct skep_vm *vm);
/** What a map that was just created must know before anybody uses it: its number, how it holds programs. */
void vm_adopt(struct skep_vm *vm, struct map *map);

/** Makes a wrapper a user of a map, and no longer one. When the last user of a PROG_ARRAY goes, its entries go, as in
 * Linux: programs that it holds may hold it, and would keep one another alive for ever. */
void map_use(struct skep_map *map, struct map *used);
void map_unuse(struct skep_map *map);

static inline bool map_exists(const struct skep_map *map)
{
    return map->ops;
}

/** Notes that a program uses or enters a PROG_ARRAY; fine for any other map. -EINVAL: the map serves another type,
 * engine or kind of execution already, as in Linux. */
int map_claim(struct skep_map *map, const struct code *code);

/** The engine of this name; NULL: none. */
const struct engine *engine_find(const char *name);

/* What stands behind the choice of how a program runs. */
struct judgement {
    bool checked;
    bool verified;             /* accepted */
    uint32_t ctx_needed;       /* of an accepted program: see struct code */
    struct facts facts;        /* of an accepted program; freed with judgement_free() */
    struct explored *explored; /* to watch runs against, when that was asked for; freed likewise */
};

/**
 * Verifies a program as exec asks (NULL: by default) and says how it runs.
 * @param opts  what the verifier must know beyond exec: memory of raw programs, constants; privilege is exec's or, by
 *              default, opts'.
 * @return 0; -EACCES: refused, the log has the report; -ENOMEM; -EINVAL.
 */
int program_judge(const struct prog *prog, const struct skep_exec_opts *exec, const struct verify_opts *opts,
                  const struct log *log, struct judgement *out);
void judgement_free(struct judgement *j);

/** The vm's place for machine code, a reference of the vm's. @return 0; why there is none, with words in *why. */
int vm_jit(struct skep_vm *vm, struct jit **out, const char **why);

/** Runs an iterator over what its target names. out: the text that it wrote, the caller's to free, also on failure.
 *  @return 0; what env_run() returns; -EINVAL: there is nothing that it could go over, said. */
int run_iterator(struct skep_env *env, const struct code *code, struct skep_run_opts *o, struct buf *out,
                 const struct log *log);
/** Runs what is put off in the maps of the program that has run. 0, -EFAULT: env->trap says why. */
int run_later(struct skep_env *env, const struct code *code, struct skep_run_opts *o);

/** Makes code for a program: exec's choices become code_opts. exec may be NULL. */
int program_lower(struct skep_vm *vm, struct prog *prog, struct map *const *maps, const struct skep_exec_opts *exec,
                  const struct judgement *how, const struct log *log, struct code **out);

/**
 * Options structs. opts_read() copies what the caller has of a struct into a full one, whose further members are zero.
 * @return false: sz is too small to be one, or the caller set something that this library does not know.
 */
bool opts_read(void *known, size_t known_sz, const void *opts);
/** Copies results back, as far as the caller has the members. `sz` itself stays. */
void opts_write(void *opts, const void *known, size_t known_sz);

/* Sets errno from a negative error. @return NULL */
void *fail_null(int err);

#endif
