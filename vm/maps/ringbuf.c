/*
 * RINGBUF. Positions only grow; a record's place is its position modulo the size. Producers reserve under a lock and
 * finish without one, in any order; a record is BUSY from its reservation until it is submitted or discarded, and the
 * one consumer stops at a BUSY one. `pending` is the position before which no record is BUSY, as far as a producer has
 * looked: a reservation never reaches so far round that it meets a record which is still being written.
 *
 * The consumer is woken by who finishes the record that it waits for, and by nobody else: both sides put a full barrier
 * between writing their own position and reading the other's.
 */
#include "vm/maps/ringbuf.h"
#include "vm/maps/mem.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HEADER = 8, PAGE = 4096, NO_WAKEUP = 1, FORCE_WAKEUP = 2 };
#define BUSY       (1u << 31)
#define DISCARD    (1u << 30)
#define MAX_RECORD (UINT32_MAX / 4)

struct ringbuf {
    unsigned char *data;
    uint64_t mask;
    int fd; /* atomic: eventfd, -1: nobody asked for it */
    struct map_lock fd_lock;
    _Alignas(64) uint64_t consumer; /* atomic */
    _Alignas(64) uint32_t lock;     /* of producer and pending; held for a few instructions, as Linux's spin lock is */
    uint64_t producer, pending;     /* producer: atomic */
};

/* A record's header, as Linux has it: length and state, and how many pages it lies behind the ring's own. */
struct header {
    uint32_t len, page_off;
};

int ringbuf_check_size(const struct map_def *def, const struct log *log)
{
    if (def->max_entries % PAGE || def->max_entries & (def->max_entries - 1))
        return log_fail(log, -EINVAL, "map '%s': a ring buffer's size must be a power of two and whole pages, not %u",
                        def->name, def->max_entries);
    return 0;
}

static int create(struct map *map, const struct log *log)
{
    struct ringbuf *r = NULL;

    if (posix_memalign((void **)&r, 64, sizeof(*r)))
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    memset(r, 0, sizeof(*r));
    r->fd = -1;
    r->mask = map->def.max_entries - 1;
    r->data = map_ring_take(map->def.max_entries);
    if (!r->data) {
        free(r);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u bytes", map->def.name, map->def.max_entries);
    }
    map->priv = r;
    return 0;
}

static void destroy(struct map *map)
{
    struct ringbuf *r = map->priv;

    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    map_ring_give(r->data, r->mask + 1);
    free(r);
    map->priv = NULL;
}

static struct ringbuf *ring_of(struct map *map)
{
    return map->def.type == MAP_TYPE_RINGBUF ? map->priv : NULL;
}

static struct header *header_at(const struct ringbuf *r, uint64_t pos)
{
    return (struct header *)(r->data + (pos & r->mask));
}

static uint64_t room_of(uint32_t len)
{
    return round_up8((uint64_t)(len & ~(BUSY | DISCARD)) + HEADER);
}

/* Moves pending over what is finished. */
static void look_back(struct ringbuf *r)
{
    while (r->pending < r->producer) {
        uint32_t len = __atomic_load_n(&header_at(r, r->pending)->len, __ATOMIC_ACQUIRE);

        if (len & BUSY)
            break;
        r->pending += room_of(len);
    }
}

static struct header *reserve_locked(struct ringbuf *r, uint32_t size)
{
    uint64_t consumer = __atomic_load_n(&r->consumer, __ATOMIC_ACQUIRE), end = r->producer + room_of(size);
    struct header *h = header_at(r, r->producer);

    look_back(r);
    /* At most size - 1 bytes ahead of the consumer, and of the oldest record that is not finished. */
    if (end - consumer > r->mask || end - r->pending > r->mask)
        return NULL;
    __atomic_store_n(&h->len, size | BUSY, __ATOMIC_RELAXED);
    /* Linux has three pages of its own before the data. */
    h->page_off = 3 + (uint32_t)((r->producer & r->mask) / PAGE);
    __atomic_store_n(&r->producer, end, __ATOMIC_RELEASE);
    return h;
}

void *ringbuf_reserve(struct map *map, uint64_t size)
{
    struct ringbuf *r = ring_of(map);
    struct header *h;

    if (!r || size > MAX_RECORD || room_of((uint32_t)size) > r->mask + 1)
        return NULL;
    map_spin_lock(&r->lock);
    h = reserve_locked(r, (uint32_t)size);
    map_spin_unlock(&r->lock);
    return h ? h + 1 : NULL;
}

static void wake(struct ringbuf *r)
{
    int fd = __atomic_load_n(&r->fd, __ATOMIC_ACQUIRE);

    if (fd >= 0)
        eventfd_write(fd, 1);
}

static void finish(struct map *map, void *record, uint64_t flags, uint32_t state)
{
    struct ringbuf *r = ring_of(map);
    struct header *h = (struct header *)record - 1;
    uint32_t len = __atomic_load_n(&h->len, __ATOMIC_RELAXED);
    uint64_t consumer;

    __atomic_exchange_n(&h->len, (len & ~BUSY) | state, __ATOMIC_SEQ_CST);
    consumer = __atomic_load_n(&r->consumer, __ATOMIC_SEQ_CST);
    if (flags & FORCE_WAKEUP || ((unsigned char *)h == r->data + (consumer & r->mask) && !(flags & NO_WAKEUP)))
        wake(r);
}

void ringbuf_submit(struct map *map, void *record, uint64_t flags)
{
    finish(map, record, flags, 0);
}

void ringbuf_discard(struct map *map, void *record, uint64_t flags)
{
    finish(map, record, flags, DISCARD);
}

int ringbuf_output(struct map *map, const void *data, uint64_t size, uint64_t flags)
{
    void *record;

    if (flags & ~(uint64_t)(NO_WAKEUP | FORCE_WAKEUP))
        return -EINVAL;
    record = ringbuf_reserve(map, size);
    if (!record)
        return -EAGAIN;
    if (size)
        memcpy(record, data, size);
    ringbuf_submit(map, record, flags);
    return 0;
}

uint64_t ringbuf_query(struct map *map, uint64_t what)
{
    const struct ringbuf *r = ring_of(map);
    uint64_t consumer, producer;

    if (!r)
        return 0;
    consumer = __atomic_load_n(&r->consumer, __ATOMIC_ACQUIRE);
    producer = __atomic_load_n(&r->producer, __ATOMIC_ACQUIRE);
    switch (what) {
    case 0: return producer - consumer;
    case 1: return r->mask + 1;
    case 2: return consumer;
    case 3: return producer;
    default: return 0;
    }
}

int64_t ringbuf_consume(struct map *map, int (*fn)(void *ctx, void *data, size_t size), void *ctx, uint64_t max)
{
    struct ringbuf *r = ring_of(map);
    uint64_t at, handed = 0;

    if (!r)
        return -EINVAL;
    at = __atomic_load_n(&r->consumer, __ATOMIC_RELAXED);
    while (at < __atomic_load_n(&r->producer, __ATOMIC_SEQ_CST)) {
        struct header *h = header_at(r, at);
        uint32_t len = __atomic_load_n(&h->len, __ATOMIC_SEQ_CST);
        int err = 0;

        if (len & BUSY)
            break;
        if (!(len & DISCARD))
            err = fn(ctx, h + 1, len);
        at += room_of(len);
        __atomic_exchange_n(&r->consumer, at, __ATOMIC_SEQ_CST);
        if (err < 0)
            return err;
        if (!(len & DISCARD) && ++handed == max)
            break;
    }
    return (int64_t)handed;
}

int ringbuf_fd(struct map *map)
{
    struct ringbuf *r = ring_of(map);
    int fd;

    if (!r)
        return -EINVAL;
    map_lock(&r->fd_lock);
    fd = r->fd;
    if (fd < 0) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            fd = -errno;
        else
            __atomic_store_n(&r->fd, fd, __ATOMIC_SEQ_CST);
        /* What came before anybody could be woken. */
        if (fd >= 0 && ringbuf_query(map, 0))
            wake(r);
    }
    map_unlock(&r->fd_lock);
    return fd;
}

const struct map_ops map_ringbuf_ops = {
    .check = ringbuf_check_size,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = map_no_remove,
    .next_key = map_no_next_key,
    .find_region = map_no_region,
};
