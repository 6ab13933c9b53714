/*
 * The ring of a USER_RINGBUF map: the host writes samples, programs drain them. Its producers may be any threads; one
 * drain at a time reads it.
 */
#ifndef VM_MAPS_USER_RINGBUF_H
#define VM_MAPS_USER_RINGBUF_H

#include "vm/maps/map.h"

/** Room for a sample of size bytes, aligned to 8, which stays unseen until it is committed; all that follow wait for
 * it. @return NULL and *err: -E2BIG (it can never fit), -ENOSPC (it does not fit now). */
void *user_ringbuf_reserve(struct map *map, uint64_t size, int *err);
/** The same, waiting for room at most timeout_ms (-1: for ever): -ETIMEDOUT then. Woken by drains as flags of theirs
 * say. */
void *user_ringbuf_reserve_blocking(struct map *map, uint64_t size, int timeout_ms, int *err);
/** Gives a sample to programs; discard: they skip it. */
void user_ringbuf_commit(struct map *map, void *sample, bool discard);

/* A drain: begin, then take and give back samples, then end.
 * begin: false when another one is at it. take: 0; -ENODATA: nothing (more) is there; -EAGAIN: one was skipped; -E2BIG:
 * a sample is larger than dynptrs can be, and stays. end: wakes who waits for room. */
bool user_ringbuf_begin(struct map *map);
int user_ringbuf_take(struct map *map, void **sample, uint32_t *size);
void user_ringbuf_give_back(struct map *map, uint32_t size);
void user_ringbuf_end(struct map *map, bool wake);

/** Bytes that are written and not yet drained, headers and all. */
uint64_t user_ringbuf_pending(struct map *map);

#endif
