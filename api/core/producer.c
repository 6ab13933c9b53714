/*
 * Producers of USER_RINGBUF maps, wherever the maps live: what is asked is checked here, then the producer's table
 * serves. One of this process's maps is kept alive by its producer.
 */
#include "api/core/core.h"
#include "vm/abi/map_types.h"
#include "vm/maps/user_ringbuf.h"
#include <errno.h>
#include <skep/buffer.h>
#include <stdlib.h>

struct skep_user_ring_buffer *skep_user_ring_buffer__new(struct skep_map *map,
                                                         const struct skep_user_ring_buffer_opts *user)
{
    struct skep_user_ring_buffer_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || !map || !map->ops || map->def->type != MAP_TYPE_USER_RINGBUF)
        return fail_null(-EINVAL);
    return map->ops->user_ring(map);
}

void *skep_user_ring_buffer__reserve(struct skep_user_ring_buffer *rb, uint32_t size)
{
    return rb->ops->reserve(rb, size);
}

void *skep_user_ring_buffer__reserve_blocking(struct skep_user_ring_buffer *rb, uint32_t size, int timeout_ms)
{
    return rb->ops->reserve_blocking(rb, size, timeout_ms);
}

void skep_user_ring_buffer__submit(struct skep_user_ring_buffer *rb, void *sample)
{
    rb->ops->commit(rb, sample, false);
}

void skep_user_ring_buffer__discard(struct skep_user_ring_buffer *rb, void *sample)
{
    rb->ops->commit(rb, sample, true);
}

void skep_user_ring_buffer__free(struct skep_user_ring_buffer *rb)
{
    if (rb)
        rb->ops->free(rb);
}

/* ---- Maps of this process ---- */

struct producer {
    struct skep_user_ring_buffer public;
    struct map *map;
};

static struct map *map_of(const struct skep_user_ring_buffer *rb)
{
    return ((const struct producer *)rb)->map;
}

static void *reserve(struct skep_user_ring_buffer *rb, uint32_t size)
{
    int err;
    void *sample = user_ringbuf_reserve(map_of(rb), size, &err);
    return sample ? sample : fail_null(err);
}

static void *reserve_blocking(struct skep_user_ring_buffer *rb, uint32_t size, int timeout_ms)
{
    int err;
    void *sample = user_ringbuf_reserve_blocking(map_of(rb), size, timeout_ms, &err);
    return sample ? sample : fail_null(err);
}

static void commit(struct skep_user_ring_buffer *rb, void *sample, bool discard)
{
    user_ringbuf_commit(map_of(rb), sample, discard);
}

static void release(struct skep_user_ring_buffer *rb)
{
    map_put(map_of(rb));
    free(rb);
}

struct skep_user_ring_buffer *user_ring_producer(struct skep_map *map)
{
    static const struct user_ring_backend ops = {
        .reserve = reserve, .reserve_blocking = reserve_blocking, .commit = commit, .free = release};
    struct producer *p = malloc(sizeof(*p));
    if (!p)
        return fail_null(-ENOMEM);
    *p = (struct producer){.public = {.ops = &ops}, .map = map_get(map->map)};
    return &p->public;
}
