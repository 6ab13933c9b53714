/* The operations of each map type, which map_types.def names. */
#ifndef VM_MAPS_TYPES_H
#define VM_MAPS_TYPES_H

#include "vm/maps/map.h"

extern const struct map_ops map_hash_ops, map_percpu_hash_ops, map_lru_hash_ops, map_lru_percpu_ops;
extern const struct map_ops map_hash_of_maps_ops, map_queue_ops, map_stack_ops, map_bloom_filter_ops, map_lpm_trie_ops;
extern const struct map_ops map_devmap_ops, map_devmap_hash_ops, map_cpumap_ops, map_xskmap_ops;
extern const struct map_ops map_sockmap_ops, map_sockhash_ops, map_reuseport_ops;
extern const struct map_ops map_array_ops, map_percpu_array_ops, map_prog_array_ops, map_array_of_maps_ops;
extern const struct map_ops map_perf_array_ops, map_ringbuf_ops, map_stack_trace_ops, map_cgroup_array_ops;
extern const struct map_ops map_local_storage_ops, map_cgroup_storage_ops, map_user_ringbuf_ops;
extern const struct map_ops map_arena_ops;

/* A batch of lookups, as map.h says of its arguments. */
struct map_batch {
    const void *in;
    void *out;
    void *keys, *values;
    uint32_t *count;
    uint64_t elem_flags;
};

int map_batch_by_key(struct map *map, const struct map_batch *b, bool take);
int htab_host_batch(struct map *map, const struct map_batch *b, bool take);

/* Are key and value of sizes that this type may have at all? */
bool map_def_sizes_fit(const struct map_def *def);

/* May the host do this now? 0, -EPERM. */
int map_host_access(const struct map *map, bool reads, bool writes);

/* What a type has that lacks the operation: no value, -ENOTSUPP, no region. */
void *map_no_lookup(struct map *map, const void *key, uint32_t cpu);
int map_no_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu);
int map_no_remove(struct map *map, const void *key);
int map_no_next_key(struct map *map, const void *key, void *next);
/* Likewise, where Linux says -EINVAL. */
int map_bad_update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu);
int map_bad_remove(struct map *map, const void *key);
int map_bad_next_key(struct map *map, const void *key, void *next);
bool map_no_region(struct map *map, uintptr_t addr, struct map_region *out);
/* A host's update of a map of things with plain bytes: -EBADF, as for a number that is no descriptor. */
int map_no_bytes(struct map *map, const void *key, const void *value, uint64_t flags);

#endif
