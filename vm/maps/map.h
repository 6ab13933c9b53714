/*
 * Maps. A `struct map` is created once, shared by reference count, and safe for any number of threads: programs look up
 * without locks while programs and hosts update. A pointer that a lookup returned stays readable until the run (or the
 * host's epoch section) that got it ends, though a preallocated element may by then hold another key's value, as in
 * Linux. Sizes and flags are checked at creation and hold for ever.
 *
 * A program's view and a host's view differ for per-CPU maps: a program sees the slot of its virtual CPU, a host reads
 * and writes all of them, each rounded up to 8 bytes, as bpf(2) does.
 */
#ifndef VM_MAPS_MAP_H
#define VM_MAPS_MAP_H

#include "base/log.h"
#include "vm/abi/map_types.h"
#include "vm/fields.h"
#include <stdbool.h>
#include <stdint.h>

enum { MAP_NAME_LEN = 16, MAP_MAX_CPUS = 8192 /* Linux's largest NR_CPUS */ };
enum { MAP_KMALLOC_MAX = 4 << 20 /* what bpf(2) can copy at once */ };

/* Linux returns it to user space though no header of user space names it. */
#ifndef ENOTSUPP
#define ENOTSUPP 524
#endif

/* BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK have Linux's values; ours because old headers lack some. */
enum { MAP_ANY = 0, MAP_NOEXIST = 1, MAP_EXIST = 2, MAP_LOCK = 4 };

/* BPF_F_* of map_create. */
enum {
    MAP_F_NO_PREALLOC = 1u << 0,
    MAP_F_NO_COMMON_LRU = 1u << 1,
    MAP_F_NUMA_NODE = 1u << 2,
    MAP_F_RDONLY = 1u << 3, /* for the host */
    MAP_F_WRONLY = 1u << 4,
    MAP_F_STACK_BUILD_ID = 1u << 5,
    MAP_F_ZERO_SEED = 1u << 6,
    MAP_F_RDONLY_PROG = 1u << 7, /* for programs */
    MAP_F_WRONLY_PROG = 1u << 8,
    MAP_F_CLONE = 1u << 9,
    MAP_F_MMAPABLE = 1u << 10,
    MAP_F_PRESERVE_ELEMS = 1u << 11,
    MAP_F_INNER_MAP = 1u << 12,
    MAP_F_SEGV_ON_FAULT = 1u << 17, /* arenas: the host's touch brings no pages */
    MAP_F_NO_USER_CONV = 1u << 18,  /* nobody looks at its pointers from outside */
};

/* What a map is. Immutable; loader, verifier and creation share it. */
struct map_def {
    char name[64]; /* as in the object; longer than Linux's 15 characters, so that .rodata.str1.1 stays itself */
    uint32_t type; /* BPF_MAP_TYPE_* */
    uint32_t key_size, value_size, max_entries, flags;
    uint64_t extra;                    /* map_extra */
    const struct map_def *inner;       /* for map-in-map: what every inner map must look like; NULL otherwise */
    uint32_t btf_key_id, btf_value_id; /* in the object's BTF; 0: none */
    uint32_t pinning;
    int32_t spin_lock_off;       /* of a struct bpf_spin_lock in the value; -1: none */
    const struct fields *fields; /* special fields of the value, that lock among them; NULL: none are known */
};

/* Memory that belongs to a map and that a program may touch: elements of `stride` bytes from base, of which each
 * `elem_off` .. `elem_off + elem_size` may be touched. */
struct map_region {
    uintptr_t base;
    uint64_t size;
    uint32_t stride, elem_off, elem_size;
    bool read_only;
};

struct map;
struct map_batch;
struct timer;

/* A lock of one word, zero when free; waiters sleep (vm/maps/mem.h). */
struct map_lock {
    uint32_t state; /* 0 free, 1 held, 2 held and waited for */
};

/* A program's lookup: pointer to the value of the virtual CPU, to be used under an epoch; NULL: no such key. */
typedef void *(*map_lookup_fn)(struct map *map, const void *key, uint32_t cpu);

enum map_target { MAP_TARGET_NONE, MAP_TARGET_DEVICE, MAP_TARGET_OTHER };

struct map_ops {
    /* What the table cannot say about a definition; NULL: nothing. */
    int (*check)(const struct map_def *def, const struct log *log);
    /* Fills in map->priv. def is checked by the table already. */
    int (*create)(struct map *map, const struct log *log);
    void (*destroy)(struct map *map);
    /* The lookup that fits this map's sizes best; NULL: there is one for all. */
    map_lookup_fn (*fast_lookup)(const struct map *map);
    /* The program's view; no type leaves one of these out. */
    map_lookup_fn lookup;
    int (*update)(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu);
    int (*remove)(struct map *map, const void *key);
    /* key NULL: the first. -ENOENT at the end. */
    int (*next_key)(struct map *map, const void *key, void *next);
    /* For types whose values have no keys: bpf_map_push_elem() and its like. pop and peek leave zeros where there is
     * nothing, but for a filter, whose peek reads the value. NULL: the type has no such operation. */
    int (*push)(struct map *map, const void *value, uint64_t flags);
    int (*pop)(struct map *map, void *value);
    int (*peek)(struct map *map, void *value);
    /* The host's view; NULL: made from the program's. */
    int (*host_lookup)(struct map *map, const void *key, void *value, uint64_t flags);
    int (*host_update)(struct map *map, const void *key, const void *value, uint64_t flags);
    int (*host_take)(struct map *map, const void *key, void *value, uint64_t flags); /* lookup and delete */
    int (*host_batch)(struct map *map, const struct map_batch *batch, bool take);
    bool batch_deletes, batch_takes; /* which batches besides reading and writing there are */
    enum map_target target;          /* where bpf_redirect_map() sends packets through it */
    uint32_t redirect_flags;         /* that it takes then, besides an action */
    bool sockets;                    /* values are cookies of sockets; programs see the sockets */
    /* For maps of things: thing NULL deletes. */
    int (*set_thing)(struct map *map, const void *key, void *thing, uint64_t flags);
    void (*clear_things)(struct map *map);
    /* Finds the region that holds addr. @return false when the map has none there. */
    bool (*find_region)(struct map *map, uintptr_t addr, struct map_region *out);
    /* The key of a value that stands in the map; *index is room for one that does not stand beside it. NULL: values of
     * this type hold nothing that asks. */
    const void *(*key_of)(const struct map *map, const void *value, uint32_t *index);
    /* Address of the one value of an array-like map (BPF_PSEUDO_MAP_VALUE); NULL: not such a map. */
    void *(*direct)(struct map *map);
};

/* Programs may read fields of a struct bpf_map where a map stands: no other memory lies that near behind one. */
enum { MAP_OBJECT_ROOM = 1024 };

struct map {
    struct map_def def;
    const struct map_ops *ops;
    map_lookup_fn lookup;       /* as ops->lookup, made for this map's sizes */
    uint32_t refs;              /* atomic */
    uint32_t users;             /* atomic: handles of the host among the references; the API's */
    uint32_t id;                /* unique in the process's run as far as the creator gives them; 0: none */
    uint32_t n_cpus;            /* virtual CPUs */
    bool frozen;                /* the host may not write (atomic) */
    bool closed;                /* no handle of the host is left (atomic): nothing is put off any longer */
    struct map_lock later_lock; /* of what follows (vm/timer.h) */
    struct timer *later;        /* what its values put off; NULL: nothing */
    uint64_t later_order;
    const struct map_elem_ops *elem_ops; /* for maps whose values are things: programs, inner maps; else NULL */
    void *priv;
};

/* How a map holds things it does not know (PROG_ARRAY: code). Set before the first update. */
struct map_elem_ops {
    void *(*get)(void *thing);   /* takes a reference; NULL refuses (dying) */
    void (*put)(void *thing);    /* gives it back, possibly from an epoch */
    uint32_t (*id)(void *thing); /* what a host's lookup reads */
};

/**
 * Creates a map with Linux's checks and error codes (map_alloc_check of each type).
 *
 * @param def     copied; inner is copied too.
 * @param n_cpus  virtual CPUs, 1 to MAP_MAX_CPUS.
 * @return 0 and *out with one reference; -EINVAL, -E2BIG, -ENOMEM, -ENOTSUPP (a type that is missing here).
 */
int map_create(const struct map_def *def, uint32_t n_cpus, const struct log *log, struct map **out);

/** Is this type of map here, and not only known by name? */
bool map_type_is_here(uint32_t type);

/** Has this type a value for each virtual CPU? */
bool map_type_is_percpu(uint32_t type);

/** Its flags with what programs may do with values of this type anyway. */
uint32_t map_def_prog_flags(const struct map_def *def);
/** Are its values sockets to programs? */
bool map_type_holds_sockets(uint32_t type);

/** The checks of map_create() alone. */
int map_def_check(const struct map_def *def, const struct log *log);

struct map *map_get(struct map *map);
/** Gives back a reference; the last one destroys the map, after an epoch. NULL is fine. */
void map_put(struct map *map);

/** Takes every thing out of a PROG_ARRAY, and ends what values put off for later, as Linux does when the last
 * descriptor of a map is closed: their programs hold the maps that they use, this one too, and would keep one another
 * for ever. */
void map_clear_things(struct map *map);

/* The host's view: whole values (all CPUs of a per-CPU map, see map_host_value_size). Errors are bpf(2)'s: -ENOENT,
 * -EEXIST, -E2BIG, -EINVAL, -EPERM (frozen, or RDONLY/WRONLY), -ENOTSUPP. Any thread, no epoch needed. */
int map_host_lookup(struct map *map, const void *key, void *value, uint64_t flags);
int map_host_update(struct map *map, const void *key, const void *value, uint64_t flags);
int map_host_delete(struct map *map, const void *key);
int map_host_lookup_and_delete(struct map *map, const void *key, void *value, uint64_t flags);
int map_host_next_key(struct map *map, const void *key, void *next);
int map_freeze(struct map *map);

/* Batches: *count elements side by side in keys and values; *count becomes how many were done, whatever the result.
 * Lookups begin where `in` says (NULL: at the start), go on as far as there is room, and say in out where to go on, in
 * 4 bytes or as many as a key has, whatever is more;
 * -ENOENT at the end (with *count elements read), -ENOSPC when a bucket has more elements than there is room for. */
int map_host_lookup_batch(struct map *map, const void *in, void *out, void *keys, void *values, uint32_t *count,
                          uint64_t elem_flags);
int map_host_lookup_and_delete_batch(struct map *map, const void *in, void *out, void *keys, void *values,
                                     uint32_t *count, uint64_t elem_flags);
int map_host_update_batch(struct map *map, const void *keys, const void *values, uint32_t *count, uint64_t elem_flags);
int map_host_delete_batch(struct map *map, const void *keys, uint32_t *count, uint64_t elem_flags);
/** Bytes of a value in the host's view: value_size, or round_up(value_size, 8) * n_cpus. */
uint32_t map_host_value_size(const struct map *map);

/** Puts a thing (code, an inner map) into a map of things; the map takes its own reference. NULL thing deletes. */
int map_set_thing(struct map *map, const void *key, void *thing, uint64_t flags);
/** The function that looks up in this map, for who calls it directly: it holds as long as the map and needs no more
 * than lookups do. */
map_lookup_fn map_fast_lookup(const struct map *map);

/** The thing at this index of a PROG_ARRAY, to be used under the run's epoch; NULL: none. Inline speed matters. */
void *map_prog_array_at(struct map *map, uint32_t index);
/** The number of the socket that stands in a map of sockets, 0 for none. */
uint64_t map_socket_at(struct map *map, const void *key);
/** The number of the cgroup in a CGROUP_ARRAY's slot, 0 for none. index is below max_entries. */
uint32_t map_cgroup_at(const struct map *map, uint32_t index);

/* How the values of an ARRAY or PERCPU_ARRAY stand, for who looks them up without a call: the value of index i < n on a
 * CPU is at values + i * stride + cpu * cpu_stride. Holds as long as the map. */
struct map_array_layout {
    unsigned char *values;
    uint32_t n, stride;
    uint64_t cpu_stride; /* 0 for an ARRAY */
};
/** @return false for maps of other types. */
bool map_array_layout(const struct map *map, struct map_array_layout *out);

/* How elements of a hash stand, for who looks them up without a call: keys of 1, 2, 4 or 8 bytes, read as a number.
 * m = (key ^ mixed) * factor is of 128 bits, hash the low 32 bits of its upper half ^ its lower one; buckets[hash &
 * mask] is the address of an element, 0 for none. What stands there at key_off is 8 bytes: this key, then the value is
 * at value_off (and cpu * cpu_stride for cpu < n_cpus, where cpu_stride is not 0); or another one, then slowly() says.
 * Readers acquire the bucket and the key. Holds as long as the map. */
struct map_hash_layout {
    const uint64_t *buckets;
    uint64_t mixed, factor, cpu_stride;
    uint32_t mask, n_cpus, key_off, value_off;
    bool marks; /* a 32-bit word 8 bytes before the element is not to be 0 from now on */
    void *(*slowly)(struct map *map, uint64_t key, uint32_t hash, uint32_t cpu);
};
/** @return false for maps of other types and sizes. */
bool map_hash_layout(const struct map *map, struct map_hash_layout *out);

/** No map may take more memory than this from now on (default 4 GiB): -ENOMEM at creation or growth. */
void map_set_limit(uint64_t bytes);

/** Do two definitions agree as an inner map must with its template (map_meta_equal)? */
bool map_def_meta_equal(const struct map_def *a, const struct map_def *b);

#endif
