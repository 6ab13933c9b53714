/*
 * Maps, with the meaning and the error codes of bpf(2).
 *
 * A map is safe for any number of threads, while programs run. Sizes are passed with every call, as in libbpf, and must
 * be exact: key_sz is the map's key size; value_sz is its value size, for per-CPU maps round_up(value_size, 8) times
 * the vm's CPUs (skep_map__host_value_size()). Maps of an object belong to it; those of skep_map_create() to the
 * caller.
 */
#ifndef SKEP_MAP_H
#define SKEP_MAP_H

#include <skep/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Linux's numbers (BPF_MAP_TYPE_*). */
enum skep_map_type {
    SKEP_MAP_TYPE_UNSPEC,
    SKEP_MAP_TYPE_HASH,
    SKEP_MAP_TYPE_ARRAY,
    SKEP_MAP_TYPE_PROG_ARRAY,
    SKEP_MAP_TYPE_PERF_EVENT_ARRAY,
    SKEP_MAP_TYPE_PERCPU_HASH,
    SKEP_MAP_TYPE_PERCPU_ARRAY,
    SKEP_MAP_TYPE_STACK_TRACE,
    SKEP_MAP_TYPE_CGROUP_ARRAY,
    SKEP_MAP_TYPE_LRU_HASH,
    SKEP_MAP_TYPE_LRU_PERCPU_HASH,
    SKEP_MAP_TYPE_LPM_TRIE,
    SKEP_MAP_TYPE_ARRAY_OF_MAPS,
    SKEP_MAP_TYPE_HASH_OF_MAPS,
    SKEP_MAP_TYPE_DEVMAP,
    SKEP_MAP_TYPE_SOCKMAP,
    SKEP_MAP_TYPE_CPUMAP,
    SKEP_MAP_TYPE_XSKMAP,
    SKEP_MAP_TYPE_SOCKHASH,
    SKEP_MAP_TYPE_CGROUP_STORAGE,
    SKEP_MAP_TYPE_REUSEPORT_SOCKARRAY,
    SKEP_MAP_TYPE_PERCPU_CGROUP_STORAGE,
    SKEP_MAP_TYPE_QUEUE,
    SKEP_MAP_TYPE_STACK,
    SKEP_MAP_TYPE_SK_STORAGE,
    SKEP_MAP_TYPE_DEVMAP_HASH,
    SKEP_MAP_TYPE_STRUCT_OPS,
    SKEP_MAP_TYPE_RINGBUF,
    SKEP_MAP_TYPE_INODE_STORAGE,
    SKEP_MAP_TYPE_TASK_STORAGE,
    SKEP_MAP_TYPE_BLOOM_FILTER,
    SKEP_MAP_TYPE_USER_RINGBUF,
    SKEP_MAP_TYPE_CGRP_STORAGE,
    SKEP_MAP_TYPE_ARENA,
};

/* Flags of an update, and of lookups (SKEP_F_LOCK). */
enum { SKEP_ANY = 0, SKEP_NOEXIST = 1, SKEP_EXIST = 2, SKEP_F_LOCK = 4 };

/* Flags of skep_map_create(): BPF_F_*. */
enum {
    SKEP_F_NO_PREALLOC = 1u << 0,
    SKEP_F_NO_COMMON_LRU = 1u << 1,
    SKEP_F_RDONLY = 1u << 3,      /* the host may not write */
    SKEP_F_WRONLY = 1u << 4,      /* the host may not read */
    SKEP_F_RDONLY_PROG = 1u << 7, /* programs may not write */
    SKEP_F_WRONLY_PROG = 1u << 8, /* programs may not read */
};

struct skep_map_create_opts {
    size_t sz;
    uint32_t map_flags; /* BPF_F_* */
    uint64_t map_extra;
    const struct skep_map *inner_map; /* map-in-map: what inner maps must look like; read during the call only */
};

/**
 * Creates a map in a vm.
 *
 * @param name         may be NULL; copied, at most 63 bytes are kept.
 * @param type         enum skep_map_type.
 * @param max_entries  for RINGBUF the size of its data, a power of two and a multiple of the page size.
 * @return NULL with errno EINVAL (sizes or flags that the type does not take), E2BIG, ENOMEM, EOPNOTSUPP (a type that
 * is missing here); the vm's log says more.
 */
SKEP_API struct skep_map *skep_map_create(struct skep_vm *vm, uint32_t type, const char *name, uint32_t key_size,
                                          uint32_t value_size, uint32_t max_entries,
                                          const struct skep_map_create_opts *opts);

/** Gives up a map of skep_map_create(); programs and outer maps that use it keep its contents alive. NULL is fine. For
 * a map of an object it does nothing. */
SKEP_API void skep_map__free(struct skep_map *map);

/** Reads the value of key. -ENOENT; -EINVAL (wrong size or flags), -EPERM (SKEP_F_WRONLY), -EOPNOTSUPP. */
SKEP_API int skep_map__lookup_elem(const struct skep_map *map, const void *key, size_t key_sz, void *value,
                                   size_t value_sz, uint64_t flags);
/** Writes the value of key. -EEXIST (SKEP_NOEXIST), -ENOENT (SKEP_EXIST), -E2BIG (full, or an index past the end),
 *  -EPERM (frozen or SKEP_F_RDONLY), -EINVAL, -ENOMEM. */
SKEP_API int skep_map__update_elem(const struct skep_map *map, const void *key, size_t key_sz, const void *value,
                                   size_t value_sz, uint64_t flags);
/** Removes key. -ENOENT; -EINVAL for arrays. flags must be 0. */
SKEP_API int skep_map__delete_elem(const struct skep_map *map, const void *key, size_t key_sz, uint64_t flags);
/** Reads and removes in one. */
SKEP_API int skep_map__lookup_and_delete_elem(const struct skep_map *map, const void *key, size_t key_sz, void *value,
                                              size_t value_sz, uint64_t flags);
/** Stores the key after cur_key in next_key; cur_key NULL or absent: the first. -ENOENT at the end. */
SKEP_API int skep_map__get_next_key(const struct skep_map *map, const void *cur_key, void *next_key, size_t key_sz);
struct skep_map_batch_opts {
    size_t sz;
    uint64_t elem_flags; /* SKEP_F_LOCK; of an update also what skep_map__update_elem() takes */
    uint64_t flags;      /* must be 0 */
};

/* Many elements in one call, as libbpf's bpf_map_*_batch(): keys and values side by side, each as long as elsewhere
 * (values: skep_map__host_value_size()). *count is how many there is room for, or how many are given; it becomes how
 * many were done, also when the call fails. -EOPNOTSUPP: this type has no such batch; -EINVAL, -EPERM as for single
 * elements.
 *
 * Lookups begin where in_batch says (NULL: at the start) and say in out_batch where to go on; both have room for a key
 * and at least 4 bytes, and may be one. -ENOENT: the end was reached, with *count elements read; -ENOSPC: a bucket
 * holds more than there is room for. */
SKEP_API int skep_map__lookup_batch(const struct skep_map *map, const void *in_batch, void *out_batch, void *keys,
                                    void *values, uint32_t *count, const struct skep_map_batch_opts *opts);
SKEP_API int skep_map__lookup_and_delete_batch(const struct skep_map *map, const void *in_batch, void *out_batch,
                                               void *keys, void *values, uint32_t *count,
                                               const struct skep_map_batch_opts *opts);
SKEP_API int skep_map__update_batch(const struct skep_map *map, const void *keys, const void *values, uint32_t *count,
                                    const struct skep_map_batch_opts *opts);
SKEP_API int skep_map__delete_batch(const struct skep_map *map, const void *keys, uint32_t *count,
                                    const struct skep_map_batch_opts *opts);
/** From now on the host may not write. */
SKEP_API int skep_map__freeze(struct skep_map *map);

/** Puts a program into a PROG_ARRAY: bpf_tail_call(ctx, map, index) goes there. The map keeps what it needs of prog.
 *  NULL deletes. -EINVAL: not a PROG_ARRAY, another vm or engine, or a program that is not loaded; -E2BIG. */
SKEP_API int skep_map__set_program(struct skep_map *map, uint32_t index, struct skep_program *prog);
/** Puts a map into an ARRAY_OF_MAPS or HASH_OF_MAPS; the outer map keeps a reference. inner NULL deletes. -EINVAL: no
 *  map-in-map, or an inner map that differs from the template; -E2BIG; flags as for skep_map__update_elem(). */
SKEP_API int skep_map__set_inner_map(struct skep_map *map, const void *key, size_t key_sz, struct skep_map *inner,
                                     uint64_t flags);

/** Of an ARENA of this process: the address that programs know its first byte by (map_extra, or one of skep's choice);
 * 0 for other maps. Pointers that programs leave in the arena are such addresses, whose lower 32 bits count. */
SKEP_API uint64_t skep_map__arena_start(const struct skep_map *map);
/** Where the size bytes at such an address are in the host's memory, for reading and writing as long as the map is
 * there and the pages are not freed. Pages that are not there come to be, as when a process of Linux touches them. NULL
 * with errno EINVAL (no ARENA of this process), EFAULT (outside; reserved; not there in a map with BPF_F_SEGV_ON_FAULT;
 * memory is short). Any thread; programs may access it meanwhile. */
SKEP_API void *skep_map__arena_memory(struct skep_map *map, uint64_t addr, size_t size);

/** A map in Linux: its descriptor, which stays the object's. -EOPNOTSUPP: a map of this process; -EINVAL: not created.
 */
SKEP_API int skep_map__fd(const struct skep_map *map);

SKEP_API const char *skep_map__name(const struct skep_map *map); /* never NULL */
SKEP_API uint32_t skep_map__type(const struct skep_map *map);    /* enum skep_map_type */
/** "percpu_hash", as bpftool writes it; NULL for an unknown number. */
SKEP_API const char *skep_map_type_str(uint32_t type);
SKEP_API uint32_t skep_map__key_size(const struct skep_map *map);
SKEP_API uint32_t skep_map__value_size(const struct skep_map *map);
SKEP_API uint32_t skep_map__max_entries(const struct skep_map *map);
SKEP_API uint32_t skep_map__map_flags(const struct skep_map *map);
SKEP_API uint64_t skep_map__map_extra(const struct skep_map *map);
/** Bytes that a lookup stores: the value size, or round_up(value size, 8) times the vm's CPUs for per-CPU maps. */
SKEP_API uint32_t skep_map__host_value_size(const struct skep_map *map);
/** Is there one value a virtual CPU? */
SKEP_API bool skep_map__is_percpu(const struct skep_map *map);

#ifdef __cplusplus
}
#endif

#endif
