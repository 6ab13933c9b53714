/*
 * RINGBUF as programs and consumers see it: the layout is Linux's (8-byte record headers with BUSY and DISCARD bits,
 * power-of-two data area mapped twice so that no record wraps), so that positions, sizes and failures are the same.
 */
#ifndef VM_MAPS_RINGBUF_H
#define VM_MAPS_RINGBUF_H

#include "vm/maps/map.h"

/** The sizes that a ring may have; also a USER_RINGBUF's. */
int ringbuf_check_size(const struct map_def *def, const struct log *log);

/** Reserves a record. @return its memory, or NULL: no room, size above 2^30 - 1 or the area. Any thread. */
void *ringbuf_reserve(struct map *map, uint64_t size);
/** Ends a reservation; flags: BPF_RB_NO_WAKEUP (1), BPF_RB_FORCE_WAKEUP (2). */
void ringbuf_submit(struct map *map, void *record, uint64_t flags);
void ringbuf_discard(struct map *map, void *record, uint64_t flags);
/** bpf_ringbuf_output: 0, -EAGAIN, -EINVAL. */
int ringbuf_output(struct map *map, const void *data, uint64_t size, uint64_t flags);
/** bpf_ringbuf_query: BPF_RB_AVAIL_DATA 0, RING_SIZE 1, CONS_POS 2, PROD_POS 3; 0 for others. */
uint64_t ringbuf_query(struct map *map, uint64_t what);

/** Hands each record that is ready, in order, to fn; stops when fn returns below 0 (its value is the result) or after
 * max (0: all). One consumer at a time. @return how many were handed on. */
int64_t ringbuf_consume(struct map *map, int (*fn)(void *ctx, void *data, size_t size), void *ctx, uint64_t max);
/** An eventfd that is readable when a submit woke the consumer; owned by the map. -errno on failure. */
int ringbuf_fd(struct map *map);

#endif
