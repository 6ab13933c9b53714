/*
 * Events that programs send: readers of RINGBUF and PERF_EVENT_ARRAY maps; and samples that programs get: producers of
 * USER_RINGBUF maps. As in libbpf.
 *
 * A reader belongs to one thread at a time, and a map has one reader at a time; programs may send meanwhile. The maps
 * must outlive their reader.
 */
#ifndef SKEP_BUFFER_H
#define SKEP_BUFFER_H

#include <skep/map.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skep_ring_buffer;
struct skep_perf_buffer;

/** Gets one record, valid during the call. A value below 0 stops and becomes the result of consume or poll. */
typedef int (*skep_ring_buffer_sample_fn)(void *ctx, void *data, size_t size);

struct skep_ring_buffer_opts {
    size_t sz;
};

/** A reader of a RINGBUF map. @return NULL with errno EINVAL (another type), ENOMEM, EMFILE. */
SKEP_API struct skep_ring_buffer *skep_ring_buffer__new(struct skep_map *map, skep_ring_buffer_sample_fn sample_cb,
                                                        void *ctx, const struct skep_ring_buffer_opts *opts);
/** Reads a further map with the same reader. */
SKEP_API int skep_ring_buffer__add(struct skep_ring_buffer *rb, struct skep_map *map,
                                   skep_ring_buffer_sample_fn sample_cb, void *ctx);
/** Waits for a wakeup, at most timeout_ms (-1: for ever), then consumes the maps that had one. @return records, or
 * below 0: what the callback returned, -EINTR ... */
SKEP_API int skep_ring_buffer__poll(struct skep_ring_buffer *rb, int timeout_ms);
/** Consumes everything that is there, without waiting. @return records, or what the callback returned below 0. */
SKEP_API int skep_ring_buffer__consume(struct skep_ring_buffer *rb);
/** For an event loop of the host: readable when poll would not wait. */
SKEP_API int skep_ring_buffer__epoll_fd(const struct skep_ring_buffer *rb);
SKEP_API void skep_ring_buffer__free(struct skep_ring_buffer *rb);

/** Gets one sample, valid during the call. */
typedef void (*skep_perf_buffer_sample_fn)(void *ctx, int cpu, void *data, uint32_t size);
/** Learns that so many samples were dropped for want of room. */
typedef void (*skep_perf_buffer_lost_fn)(void *ctx, int cpu, uint64_t cnt);

struct skep_perf_buffer_opts {
    size_t sz;
};

/** A reader of a PERF_EVENT_ARRAY map: one ring a virtual CPU, for as many CPUs as the map has entries.
 *  @param page_cnt  pages of 4096 bytes for each ring, a power of two.
 *  @return NULL with errno EINVAL, EEXIST (the map has a reader), ENOMEM. */
SKEP_API struct skep_perf_buffer *skep_perf_buffer__new(struct skep_map *map, size_t page_cnt,
                                                        skep_perf_buffer_sample_fn sample_cb,
                                                        skep_perf_buffer_lost_fn lost_cb, void *ctx,
                                                        const struct skep_perf_buffer_opts *opts);
/** Waits, then consumes. @return samples, or below 0 an errno. */
SKEP_API int skep_perf_buffer__poll(struct skep_perf_buffer *pb, int timeout_ms);
/** Consumes everything that is there. @return samples, or below 0 an errno. */
SKEP_API int skep_perf_buffer__consume(struct skep_perf_buffer *pb);
SKEP_API int skep_perf_buffer__epoll_fd(const struct skep_perf_buffer *pb);
/** How many rings there are. */
SKEP_API size_t skep_perf_buffer__buffer_cnt(const struct skep_perf_buffer *pb);
SKEP_API void skep_perf_buffer__free(struct skep_perf_buffer *pb);

struct skep_user_ring_buffer;

struct skep_user_ring_buffer_opts {
    size_t sz;
};

/** A producer of a USER_RINGBUF map, whose samples programs get from bpf_user_ringbuf_drain(). Of a map of this process
 *  several threads may share one, and there may be many; of one in Linux there is one, for one thread at a time.
 *  @return NULL with errno EINVAL (another type), ENOMEM. */
SKEP_API struct skep_user_ring_buffer *skep_user_ring_buffer__new(struct skep_map *map,
                                                                  const struct skep_user_ring_buffer_opts *opts);
/** Room for a sample of size bytes, at 8-byte alignment; programs see it, and those behind it, once it is submitted or
 *  discarded. @return NULL with errno ENOSPC (no room now), E2BIG (there never is so much). */
SKEP_API void *skep_user_ring_buffer__reserve(struct skep_user_ring_buffer *rb, uint32_t size);
/** The same, waiting for programs to drain: at most timeout_ms (-1: for ever). NULL with errno also ETIMEDOUT. */
SKEP_API void *skep_user_ring_buffer__reserve_blocking(struct skep_user_ring_buffer *rb, uint32_t size, int timeout_ms);
SKEP_API void skep_user_ring_buffer__submit(struct skep_user_ring_buffer *rb, void *sample);
/** Programs skip it. */
SKEP_API void skep_user_ring_buffer__discard(struct skep_user_ring_buffer *rb, void *sample);
SKEP_API void skep_user_ring_buffer__free(struct skep_user_ring_buffer *rb);

#ifdef __cplusplus
}
#endif

#endif
