/*
 * PERF_EVENT_ARRAY. Each entry is an atomic pointer to a ring or NULL; a ring that is closed waits for an epoch, since
 * programs may be writing into it. A ring holds records as perf's do (PERF_RECORD_SAMPLE with a raw part, and
 * PERF_RECORD_LOST), so that room and sizes are Linux's: a sample reads as long as its size rounded up so that it and
 * the 4 bytes of its length fill whole words, padded with zeros. What did not fit is counted, and told before the next
 * sample that does; the consumer is also told when it finds the ring empty.
 */
#include "vm/maps/perf_array.h"
#include "vm/epoch.h"
#include "vm/maps/array.h"
#include "vm/maps/mem.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAGE = 4096, RECORD_LOST = 2, RECORD_SAMPLE = 9 };
#define INDEX_MASK  0xffffffffull
#define CURRENT_CPU 0xffffffffull

struct perf_ring {
    unsigned char *data;
    uint64_t size;
    int fd;
    uint32_t signalled;                /* atomic: fd was written since the consumer last began */
    _Alignas(64) uint64_t tail;        /* atomic: the consumer's */
    _Alignas(64) struct map_lock lock; /* of head and lost */
    uint64_t head;                     /* atomic */
    uint64_t lost;
};

struct record {
    uint32_t type;
    uint16_t misc, size;
};

struct lost_record {
    struct record head;
    uint64_t id, lost;
};

struct sample {
    struct record head;
    uint32_t raw_size;
    unsigned char raw[];
};

static struct perf_ring **entry(const struct map *map, uint32_t i)
{
    return (struct perf_ring **)array_at(map->priv, i);
}

static void free_ring(void *p)
{
    struct perf_ring *r = p;

    if (r->fd >= 0)
        close(r->fd);
    map_ring_give(r->data, r->size);
    free(r);
}

static int make_ring(uint64_t size, struct perf_ring **out)
{
    struct perf_ring *r = NULL;

    if (posix_memalign((void **)&r, 64, sizeof(*r)))
        return -ENOMEM;
    memset(r, 0, sizeof(*r));
    r->size = size;
    r->data = map_ring_take(size);
    r->fd = r->data ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (r->fd < 0) {
        int err = r->data ? -errno : -ENOMEM;

        free_ring(r);
        return err;
    }
    *out = r;
    return 0;
}

int perf_array_open(struct map *map, uint32_t index, uint32_t pages)
{
    struct perf_ring *r = NULL, *none = NULL;
    int err;

    if (map->def.type != MAP_TYPE_PERF_EVENT_ARRAY || !pages || pages & (pages - 1) || index >= map->def.max_entries)
        return -EINVAL;
    if (__atomic_load_n(entry(map, index), __ATOMIC_ACQUIRE))
        return -EEXIST;
    err = make_ring((uint64_t)pages * PAGE, &r);
    if (err)
        return err;
    if (!__atomic_compare_exchange_n(entry(map, index), &none, r, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        free_ring(r);
        return -EEXIST;
    }
    return 0;
}

static int close_entry(struct map *map, uint32_t index)
{
    struct perf_ring *r;

    if (index >= map->def.max_entries)
        return -E2BIG;
    r = __atomic_exchange_n(entry(map, index), NULL, __ATOMIC_ACQ_REL);
    if (!r)
        return -ENOENT;
    epoch_retire(r, free_ring);
    return 0;
}

void perf_array_close(struct map *map, uint32_t index)
{
    close_entry(map, index);
}

static int remove_entry(struct map *map, const void *key)
{
    uint32_t i;

    memcpy(&i, key, 4);
    return close_entry(map, i);
}

static void destroy(struct map *map)
{
    struct array *a = map->priv;

    for (uint32_t i = 0; a && i < a->n; i++)
        if (*entry(map, i))
            free_ring(*entry(map, i));
    array_destroy(map);
}

/* Begins a record of size bytes at head; only the lock's holder, once there is room. */
static struct record *begin(struct perf_ring *r, uint64_t at, uint32_t type, uint64_t size)
{
    struct record *rec = (struct record *)(r->data + (at & (r->size - 1)));

    *rec = (struct record){.type = type, .size = (uint16_t)size};
    return rec;
}

static void write_sample(struct sample *s, uint32_t raw_size, const void *data, uint64_t size, const void *more,
                         uint64_t more_size)
{
    s->raw_size = raw_size;
    if (size)
        memcpy(s->raw, data, size);
    if (more_size)
        memcpy(s->raw + size, more, more_size);
    memset(s->raw + size + more_size, 0, raw_size - size - more_size);
}

static int write_locked(struct perf_ring *r, const void *data, uint64_t size, const void *more, uint64_t more_size)
{
    uint64_t raw = round_up8(sizeof(uint32_t) + size + more_size), need = sizeof(struct record) + raw;
    uint64_t lost_room = r->lost ? sizeof(struct lost_record) : 0, at = r->head;

    /* perf keeps one byte free, so that full and empty differ. */
    if (at - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) + need + lost_room > r->size - 1) {
        r->lost++;
        return -ENOSPC;
    }
    if (r->lost) {
        struct lost_record *l = (struct lost_record *)begin(r, at, RECORD_LOST, lost_room);

        l->id = 0;
        l->lost = r->lost;
        r->lost = 0;
        at += lost_room;
    }
    write_sample((struct sample *)begin(r, at, RECORD_SAMPLE, need), (uint32_t)(raw - sizeof(uint32_t)), data, size,
                 more, more_size);
    __atomic_store_n(&r->head, at + need, __ATOMIC_RELEASE);
    return 0;
}

int perf_array_output(struct map *map, uint64_t flags, uint32_t cpu, const void *data, uint64_t size, const void *more,
                      uint64_t more_size)
{
    uint64_t index = flags & INDEX_MASK;
    struct perf_ring *r;
    int err;

    if (map->def.type != MAP_TYPE_PERF_EVENT_ARRAY || flags & ~INDEX_MASK)
        return -EINVAL;
    if (index == CURRENT_CPU)
        index = cpu;
    if (index >= map->def.max_entries)
        return -E2BIG;
    r = __atomic_load_n(entry(map, (uint32_t)index), __ATOMIC_ACQUIRE);
    if (!r)
        return -ENOENT;
    if (index != cpu)
        return -EOPNOTSUPP;
    /* A record's size has 16 bits. */
    if (size > UINT16_MAX || more_size > UINT16_MAX ||
        round_up8(sizeof(uint32_t) + size + more_size) + sizeof(struct record) > UINT16_MAX)
        return -E2BIG;
    map_lock(&r->lock);
    err = write_locked(r, data, size, more, more_size);
    map_unlock(&r->lock);
    if (!__atomic_exchange_n(&r->signalled, 1, __ATOMIC_SEQ_CST))
        eventfd_write(r->fd, 1);
    return err;
}

/* What was lost after the record before `at`; when more records stand there, the loss comes after them and is told
 * then. */
static uint64_t take_lost(struct perf_ring *r, uint64_t at)
{
    uint64_t lost = 0;

    map_lock(&r->lock);
    if (r->head == at) {
        lost = r->lost;
        r->lost = 0;
    }
    map_unlock(&r->lock);
    return lost;
}

struct consumer {
    int (*fn)(void *ctx, uint32_t cpu, void *data, uint32_t size);
    void (*lost)(void *ctx, uint32_t cpu, uint64_t count);
    void *ctx;
    uint32_t cpu;
};

static int64_t consume(struct perf_ring *r, const struct consumer *to)
{
    uint64_t at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED), lost;
    int64_t handed = 0;

    __atomic_exchange_n(&r->signalled, 0, __ATOMIC_SEQ_CST);
    while (at != __atomic_load_n(&r->head, __ATOMIC_ACQUIRE)) {
        struct record *rec = (struct record *)(r->data + (at & (r->size - 1)));
        struct sample *s = (struct sample *)rec;
        int err = 0;

        if (rec->type == RECORD_SAMPLE) {
            err = to->fn(to->ctx, to->cpu, s->raw, s->raw_size);
            handed++;
        } else if (to->lost) {
            to->lost(to->ctx, to->cpu, ((struct lost_record *)rec)->lost);
        }
        at += rec->size;
        __atomic_store_n(&r->tail, at, __ATOMIC_RELEASE);
        if (err < 0)
            return err;
    }
    lost = take_lost(r, at);
    if (lost && to->lost)
        to->lost(to->ctx, to->cpu, lost);
    return handed;
}

/* The ring of this entry, which stays until epoch_exit(*epoch); NULL: why. */
static struct perf_ring *ring_enter(const struct map *map, uint32_t index, struct epoch_slot **epoch, int *why)
{
    struct perf_ring *r;

    *why = -EINVAL;
    if (map->def.type != MAP_TYPE_PERF_EVENT_ARRAY || index >= map->def.max_entries)
        return NULL;
    *why = -ENOMEM;
    *epoch = epoch_enter();
    if (!*epoch)
        return NULL;
    *why = -ENOENT;
    r = __atomic_load_n(entry(map, index), __ATOMIC_ACQUIRE);
    if (!r)
        epoch_exit(*epoch);
    return r;
}

int64_t perf_array_consume(struct map *map, uint32_t index,
                           int (*fn)(void *ctx, uint32_t cpu, void *data, uint32_t size),
                           void (*lost)(void *ctx, uint32_t cpu, uint64_t count), void *ctx)
{
    struct consumer to = {.fn = fn, .lost = lost, .ctx = ctx, .cpu = index};
    struct epoch_slot *epoch;
    int why;
    struct perf_ring *r = ring_enter(map, index, &epoch, &why);
    int64_t n;

    if (!r)
        return why;
    n = consume(r, &to);
    epoch_exit(epoch);
    return n;
}

int perf_array_fd(struct map *map, uint32_t index)
{
    struct epoch_slot *epoch;
    int why;
    struct perf_ring *r = ring_enter(map, index, &epoch, &why);
    int fd;

    if (!r)
        return why;
    fd = r->fd;
    epoch_exit(epoch);
    return fd;
}

const struct map_ops map_perf_array_ops = {
    .check = array_check,
    .create = array_create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = remove_entry,
    .next_key = array_next_key,
    .host_update = map_no_bytes,
    .find_region = map_no_region,
};
