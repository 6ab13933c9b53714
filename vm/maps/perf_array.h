/*
 * PERF_EVENT_ARRAY: entry i holds a ring for virtual CPU i, once a reader opened it; output to an entry without a
 * reader is -ENOENT, as in Linux, and output to one that is full is counted as lost (-ENOSPC to the program).
 */
#ifndef VM_MAPS_PERF_ARRAY_H
#define VM_MAPS_PERF_ARRAY_H

#include "vm/maps/map.h"

/** Opens entry index with room for `pages` pages (a power of two). 0, -EINVAL, -EEXIST, -ENOMEM. */
int perf_array_open(struct map *map, uint32_t index, uint32_t pages);
/** bpf_perf_event_output: flags hold the index, or BPF_F_CURRENT_CPU (0xffffffff: the run's cpu); data are two pieces,
 * the second (packet bytes) may be empty. 0, -E2BIG, -EINVAL, -ENOENT, -EOPNOTSUPP (another CPU's entry), -ENOSPC. */
int perf_array_output(struct map *map, uint64_t flags, uint32_t cpu, const void *data, uint64_t size, const void *more,
                      uint64_t more_size);
/** Hands each sample of an entry, in order, to fn, lost counts to lost. One consumer an entry. @return samples handed
 * on. */
int64_t perf_array_consume(struct map *map, uint32_t index,
                           int (*fn)(void *ctx, uint32_t cpu, void *data, uint32_t size),
                           void (*lost)(void *ctx, uint32_t cpu, uint64_t count), void *ctx);
int perf_array_fd(struct map *map, uint32_t index);
/** Closes entry index: output to it is -ENOENT again. */
void perf_array_close(struct map *map, uint32_t index);

#endif
