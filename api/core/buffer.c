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

struct rings {
    struct skep_ring_buffer public;
    struct ring *rings;
    uint32_t n;
    int epoll_fd;
};

static struct rings *rings_of(const struct skep_ring_buffer *rb)
{
    return (struct rings *)rb;
}

static int add_ring(struct skep_ring_buffer *public, struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx)
{
    struct rings *rb = rings_of(public);
    if (!map->map)
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

static void free_rings(struct skep_ring_buffer *public)
{
    struct rings *rb = rings_of(public);
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

static int consume_rings(struct skep_ring_buffer *public)
{
    struct rings *rb = rings_of(public);
    int64_t total = 0;
    for (uint32_t i = 0; i < rb->n; i++) {
        int64_t n = consume_ring(&rb->rings[i]);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return clamp(total);
}

static int poll_rings(struct skep_ring_buffer *public, int timeout_ms)
{
    struct rings *rb = rings_of(public);
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

static int rings_fd(const struct skep_ring_buffer *public)
{
    return rings_of(public)->epoll_fd;
}

struct skep_ring_buffer *user_ring_reader(void)
{
    static const struct ring_backend ops = {
        .add = add_ring, .poll = poll_rings, .consume = consume_rings, .epoll_fd = rings_fd, .free = free_rings};
    struct rings *rb = calloc(1, sizeof(*rb));
    if (!rb)
        return fail_null(-ENOMEM);
    rb->public.ops = &ops;
    rb->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (rb->epoll_fd >= 0)
        return &rb->public;
    int err = -errno;
    free(rb);
    return fail_null(err);
}

/* ---- Perf buffers ---- */

struct perf_rings {
    struct skep_perf_buffer public;
    struct map *map;
    uint32_t n; /* rings, one a virtual CPU */
    int epoll_fd;
    skep_perf_buffer_sample_fn sample;
    skep_perf_buffer_lost_fn lost;
    void *ctx;
};

static struct perf_rings *perf_of(const struct skep_perf_buffer *pb)
{
    return (struct perf_rings *)pb;
}

static int on_sample(void *ctx, uint32_t cpu, void *data, uint32_t size)
{
    struct perf_rings *pb = ctx;
    pb->sample(pb->ctx, (int)cpu, data, size);
    return 0;
}

static void on_lost(void *ctx, uint32_t cpu, uint64_t count)
{
    struct perf_rings *pb = ctx;
    if (pb->lost)
        pb->lost(pb->ctx, (int)cpu, count);
}

static int open_rings(struct perf_rings *pb, uint32_t n, size_t pages)
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

static void free_perf(struct skep_perf_buffer *public)
{
    struct perf_rings *pb = perf_of(public);
    if (pb->epoll_fd >= 0)
        close(pb->epoll_fd);
    for (uint32_t i = 0; i < pb->n; i++)
        perf_array_close(pb->map, i);
    map_put(pb->map);
    free(pb);
}

static int64_t consume_cpu(struct perf_rings *pb, uint32_t cpu)
{
    return perf_array_consume(pb->map, cpu, on_sample, on_lost, pb);
}

static int consume_perf(struct skep_perf_buffer *public)
{
    struct perf_rings *pb = perf_of(public);
    int64_t total = 0;
    for (uint32_t i = 0; i < pb->n; i++) {
        int64_t n = consume_cpu(pb, i);
        if (n < 0)
            return (int)n;
        total += n;
    }
    return clamp(total);
}

static int poll_perf(struct skep_perf_buffer *public, int timeout_ms)
{
    struct perf_rings *pb = perf_of(public);
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

static int perf_fd(const struct skep_perf_buffer *public)
{
    return perf_of(public)->epoll_fd;
}

static size_t count_perf(const struct skep_perf_buffer *public)
{
    return perf_of(public)->n;
}

struct skep_perf_buffer *user_perf_reader(struct skep_map *map, size_t pages, skep_perf_buffer_sample_fn sample,
                                          skep_perf_buffer_lost_fn lost, void *ctx)
{
    static const struct perf_backend ops = {
        .poll = poll_perf, .consume = consume_perf, .epoll_fd = perf_fd, .count = count_perf, .free = free_perf};
    struct perf_rings *pb = calloc(1, sizeof(*pb));
    if (!pb)
        return fail_null(-ENOMEM);
    *pb = (struct perf_rings){
        .public = {.ops = &ops}, .map = map_get(map->map), .sample = sample, .lost = lost, .ctx = ctx};
    pb->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint32_t cpus = map->vm->n_cpus, entries = map->def->max_entries;
    int err = pb->epoll_fd < 0 ? -errno : open_rings(pb, cpus < entries ? cpus : entries, pages);
    if (err) {
        free_perf(&pb->public);
        return fail_null(err);
    }
    return &pb->public;
}
