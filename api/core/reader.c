/* Readers of ring and perf buffers, wherever the maps live: what is asked is checked here, then the map's table serves.
 */
#include "api/core/core.h"
#include "vm/abi/map_types.h"
#include <errno.h>

int skep_ring_buffer__add(struct skep_ring_buffer *rb, struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx)
{
    if (!rb || !map || !map->ops || map->def->type != MAP_TYPE_RINGBUF || !fn)
        return -EINVAL;
    return rb->ops->add(rb, map, fn, ctx);
}

struct skep_ring_buffer *skep_ring_buffer__new(struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx,
                                               const struct skep_ring_buffer_opts *user)
{
    struct skep_ring_buffer_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || !map || !map->ops)
        return fail_null(-EINVAL);
    struct skep_ring_buffer *rb = map->ops->ring_reader();
    int err = rb ? skep_ring_buffer__add(rb, map, fn, ctx) : 0;
    if (err) {
        skep_ring_buffer__free(rb);
        return fail_null(err);
    }
    return rb;
}

int skep_ring_buffer__poll(struct skep_ring_buffer *rb, int timeout_ms)
{
    return rb->ops->poll(rb, timeout_ms);
}

int skep_ring_buffer__consume(struct skep_ring_buffer *rb)
{
    return rb->ops->consume(rb);
}

int skep_ring_buffer__epoll_fd(const struct skep_ring_buffer *rb)
{
    return rb->ops->epoll_fd(rb);
}

void skep_ring_buffer__free(struct skep_ring_buffer *rb)
{
    if (rb)
        rb->ops->free(rb);
}

struct skep_perf_buffer *skep_perf_buffer__new(struct skep_map *map, size_t page_cnt,
                                               skep_perf_buffer_sample_fn sample_cb, skep_perf_buffer_lost_fn lost_cb,
                                               void *ctx, const struct skep_perf_buffer_opts *user)
{
    struct skep_perf_buffer_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || !map || !map->ops || map->def->type != MAP_TYPE_PERF_EVENT_ARRAY ||
        !sample_cb || !page_cnt || page_cnt > UINT32_MAX || (page_cnt & (page_cnt - 1)))
        return fail_null(-EINVAL);
    return map->ops->perf_reader(map, page_cnt, sample_cb, lost_cb, ctx);
}

int skep_perf_buffer__poll(struct skep_perf_buffer *pb, int timeout_ms)
{
    return pb->ops->poll(pb, timeout_ms);
}

int skep_perf_buffer__consume(struct skep_perf_buffer *pb)
{
    return pb->ops->consume(pb);
}

int skep_perf_buffer__epoll_fd(const struct skep_perf_buffer *pb)
{
    return pb->ops->epoll_fd(pb);
}

size_t skep_perf_buffer__buffer_cnt(const struct skep_perf_buffer *pb)
{
    return pb->ops->count(pb);
}

void skep_perf_buffer__free(struct skep_perf_buffer *pb)
{
    if (pb)
        pb->ops->free(pb);
}
