/*
 * Readers of ring buffers and perf buffers. A reader is a list of sources, one a RINGBUF map or one a virtual CPU of a
 * PERF_EVENT_ARRAY, and an epoll instance whose events carry the index of their source. The eventfds belong to the
 * maps: a wakeup only says "look", so that reading it and consuming may come in any order without losing anything.
 */
#include "api/core/core.h"
#include "vm/abi/map_types.h"
#include "vm/maps/perf_array.h"
#include "vm/maps/ringbuf.h"
#include <errno.h>
#include <limits.h>
#include <skep/buffer.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { POLL_EVENTS = 64 };

/* What the two readers have in common: an epoll instance over eventfds. */
static int watch(int epoll_fd, int fd, uint32_t index)
{
    if (fd < 0)
        return fd;
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = index};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void quiet(int fd)
{
    uint64_t count;
    if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
        return; /* nobody woke us meanwhile: fine, eventfds do not block */
}

static int wait_events(int epoll_fd, struct epoll_event *events, int timeout_ms)
{
    int n = epoll_wait(epoll_fd, events, POLL_EVENTS, timeout_ms);
    return n < 0 ? -errno : n;
}

static int clamp(int64_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* ---- Ring buffers ---- */

struct ring {
    struct map *map;
    skep_ring_buffer_sample_fn fn;
    void *ctx;
};

struct skep_ring_buffer {
    struct ring *rings;
    uint32_t n;
    int epoll_fd;
};

int skep_ring_buffer__add(struct skep_ring_buffer *rb, struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx)
{
    if (!rb || !map || !map->map || map->def->type != MAP_TYPE_RINGBUF || !fn)
        return -EINVAL;
    struct ring *rings = realloc(rb->rings, (rb->n + 1) * sizeof(*rings));
    if (!rings)
        return -ENOMEM;
    rb->rings = rings;
    int err = watch(rb->epoll_fd, ringbuf_fd(map->map), rb->n);
    if (err)
        return err;
    rings[rb->n++] = (struct ring){.map = map_get(map->map), .fn = fn, .ctx = ctx};
    return 0;
}

struct skep_ring_buffer *skep_ring_buffer__new(struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx,
                                               const struct skep_ring_buffer_opts *user)
{
    struct skep_ring_buffer_opts opts;
    if (!opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    struct skep_ring_buffer *rb = calloc(1, sizeof(*rb));
    if (!rb)
        return fail_null(-ENOMEM);
    rb->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int err = rb->epoll_fd < 0 ? -errno : skep_ring_buffer__add(rb, map, fn, ctx);
    if (err) {
        skep_ring_buffer__free(rb);
        return fail_null(err);
    }
    return rb;
}

void skep_ring_buffer__free(struct skep_ring_buffer *rb)
{
    if (!rb)
        return;
    for (uint32_t i = 0; i < rb->n; i++)
        map_put(rb->rings[i].map);
    if (rb->epoll_fd >= 0)
        close(rb->epoll_fd);
    free(rb->rings);
    free(rb);
}

static int64_t consume_ring(struct ring *r)
{
    return ringbuf_consume(r->map, r->fn, r->ctx, 0);
}

int skep_ring_buffer__consume(struct skep_ring_buffer *rb)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < rb->n; i++) {
        int64_t n = consume_ring(&rb->rings[i]);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return clamp(total);
}

int skep_ring_buffer__poll(struct skep_ring_buffer *rb, int timeout_ms)
{
    struct epoll_event events[POLL_EVENTS];
    int ready = wait_events(rb->epoll_fd, events, timeout_ms);
    int64_t total = 0;
    for (int i = 0; i < ready; i++) {
        struct ring *r = &rb->rings[events[i].data.u32];
        quiet(ringbuf_fd(r->map));
        int64_t n = consume_ring(r);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return ready < 0 ? ready : clamp(total);
}

int skep_ring_buffer__epoll_fd(const struct skep_ring_buffer *rb)
{
    return rb->epoll_fd;
}

/* ---- Perf buffers ---- */

struct skep_perf_buffer {
    struct map *map;
    uint32_t n; /* rings, one a virtual CPU */
    int epoll_fd;
    skep_perf_buffer_sample_fn sample;
    skep_perf_buffer_lost_fn lost;
    void *ctx;
};

static int on_sample(void *ctx, uint32_t cpu, void *data, uint32_t size)
{
    struct skep_perf_buffer *pb = ctx;
    pb->sample(pb->ctx, (int)cpu, data, size);
    return 0;
}

static void on_lost(void *ctx, uint32_t cpu, uint64_t count)
{
    struct skep_perf_buffer *pb = ctx;
    if (pb->lost)
        pb->lost(pb->ctx, (int)cpu, count);
}

static int open_rings(struct skep_perf_buffer *pb, uint32_t n, size_t pages)
{
    int err = 0;
    for (pb->n = 0; pb->n < n && !err; pb->n++) {
        err = perf_array_open(pb->map, pb->n, pages);
        if (err)
            return err;
        err = watch(pb->epoll_fd, perf_array_fd(pb->map, pb->n), pb->n);
    }
    return err;
}

struct skep_perf_buffer *skep_perf_buffer__new(struct skep_map *map, size_t page_cnt,
                                               skep_perf_buffer_sample_fn sample_cb, skep_perf_buffer_lost_fn lost_cb,
                                               void *ctx, const struct skep_perf_buffer_opts *user)
{
    struct skep_perf_buffer_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || !map || !map->map || map->def->type != MAP_TYPE_PERF_EVENT_ARRAY ||
        !sample_cb || !page_cnt || page_cnt > UINT32_MAX || (page_cnt & (page_cnt - 1)))
        return fail_null(-EINVAL);
    struct skep_perf_buffer *pb = calloc(1, sizeof(*pb));
    if (!pb)
        return fail_null(-ENOMEM);
    pb->map = map_get(map->map);
    pb->sample = sample_cb;
    pb->lost = lost_cb;
    pb->ctx = ctx;
    pb->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint32_t cpus = map->vm->n_cpus, entries = map->def->max_entries;
    int err = pb->epoll_fd < 0 ? -errno : open_rings(pb, cpus < entries ? cpus : entries, page_cnt);
    if (err) {
        skep_perf_buffer__free(pb);
        return fail_null(err);
    }
    return pb;
}

void skep_perf_buffer__free(struct skep_perf_buffer *pb)
{
    if (!pb)
        return;
    if (pb->epoll_fd >= 0)
        close(pb->epoll_fd);
    for (uint32_t i = 0; i < pb->n; i++)
        perf_array_close(pb->map, i);
    map_put(pb->map);
    free(pb);
}

static int64_t consume_cpu(struct skep_perf_buffer *pb, uint32_t cpu)
{
    return perf_array_consume(pb->map, cpu, on_sample, on_lost, pb);
}

int skep_perf_buffer__consume(struct skep_perf_buffer *pb)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < pb->n; i++) {
        int64_t n = consume_cpu(pb, i);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return clamp(total);
}

int skep_perf_buffer__poll(struct skep_perf_buffer *pb, int timeout_ms)
{
    struct epoll_event events[POLL_EVENTS];
    int ready = wait_events(pb->epoll_fd, events, timeout_ms);
    int64_t total = 0;
    for (int i = 0; i < ready; i++) {
        quiet(perf_array_fd(pb->map, events[i].data.u32));
        int64_t n = consume_cpu(pb, events[i].data.u32);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return ready < 0 ? ready : clamp(total);
}

int skep_perf_buffer__epoll_fd(const struct skep_perf_buffer *pb)
{
    return pb->epoll_fd;
}

size_t skep_perf_buffer__buffer_cnt(const struct skep_perf_buffer *pb)
{
    return pb->n;
}
