/*
 * USER_RINGBUF: RINGBUF the other way round. Positions only grow; a sample's place is its position modulo the size. A
 * sample is BUSY from its reservation until it is committed, and a drain stops at a BUSY one. Producers move `producer`
 * under a lock; `consumer` is moved by the one drain that holds `busy`. Who waits for room sleeps on `drained`, which
 * counts the drains that wake.
 */
#include "vm/maps/user_ringbuf.h"
#include "vm/maps/mem.h"
#include "vm/maps/ringbuf.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 8, MAX_SAMPLE = (1 << 24) - 1 /* what a dynptr can hold */ };
#define BUSY    (1u << 31)
#define DISCARD (1u << 30)

struct user_ringbuf {
    unsigned char *data;
    uint64_t mask;
    _Alignas(64) uint64_t consumer; /* atomic */
    uint32_t busy;                  /* atomic */
    uint32_t drained;               /* atomic */
    _Alignas(64) uint32_t lock;     /* of producer */
    uint64_t producer;              /* atomic */
    uint32_t waiting;               /* atomic: who sleeps on drained */
};

static int create(struct map *map, const struct log *log)
{
    struct user_ringbuf *r = NULL;

    if (posix_memalign((void **)&r, 64, sizeof(*r)))
        return log_fail(log, -ENOMEM, "map '%s': out of memory", map->def.name);
    memset(r, 0, sizeof(*r));
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
    struct user_ringbuf *r = map->priv;

    if (!r)
        return;
    map_ring_give(r->data, r->mask + 1);
    free(r);
    map->priv = NULL;
}

static uint32_t *header_at(const struct user_ringbuf *r, uint64_t pos)
{
    return (uint32_t *)(void *)(r->data + (pos & r->mask));
}

static uint64_t room_of(uint32_t len)
{
    return round_up8((uint64_t)(len & ~(BUSY | DISCARD)) + HEADER);
}

void *user_ringbuf_reserve(struct map *map, uint64_t size, int *err)
{
    struct user_ringbuf *r = map->priv;
    uint32_t *header = NULL;
    uint64_t end;

    if (size & ~(uint64_t)UINT32_MAX || size & (BUSY | DISCARD) || room_of((uint32_t)size) > r->mask + 1)
        return *err = -E2BIG, NULL;
    map_spin_lock(&r->lock);
    end = r->producer + room_of((uint32_t)size);
    if (end - __atomic_load_n(&r->consumer, __ATOMIC_ACQUIRE) <= r->mask + 1) {
        header = header_at(r, r->producer);
        __atomic_store_n(header, (uint32_t)size | BUSY, __ATOMIC_RELAXED);
        __atomic_store_n(header + 1, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&r->producer, end, __ATOMIC_RELEASE);
    }
    map_spin_unlock(&r->lock);
    *err = header ? 0 : -ENOSPC;
    return header ? (unsigned char *)header + HEADER : NULL;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sleeps until a drain has ended since `seen`, or the time is over. @return false: it is. */
static bool wait_for_room(struct user_ringbuf *r, uint32_t seen, int64_t until)
{
    int64_t left = until < 0 ? 0 : until - now_ms();
    struct timespec t = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

    if (until >= 0 && left <= 0)
        return false;
    __atomic_add_fetch(&r->waiting, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &r->drained, FUTEX_WAIT_PRIVATE, seen, until < 0 ? NULL : &t, NULL, 0);
    __atomic_sub_fetch(&r->waiting, 1, __ATOMIC_SEQ_CST);
    return true;
}

void *user_ringbuf_reserve_blocking(struct map *map, uint64_t size, int timeout_ms, int *err)
{
    struct user_ringbuf *r = map->priv;
    int64_t until = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

    for (;;) {
        uint32_t seen = __atomic_load_n(&r->drained, __ATOMIC_SEQ_CST);
        void *sample = user_ringbuf_reserve(map, size, err);

        if (sample || *err != -ENOSPC)
            return sample;
        if (!wait_for_room(r, seen, until))
            return *err = -ETIMEDOUT, NULL;
    }
}

void user_ringbuf_commit(struct map *map, void *sample, bool discard)
{
    uint32_t *header = (uint32_t *)(void *)((unsigned char *)sample - HEADER);
    uint32_t len = __atomic_load_n(header, __ATOMIC_RELAXED) & ~BUSY;

    (void)map;
    __atomic_exchange_n(header, discard ? len | DISCARD : len, __ATOMIC_SEQ_CST);
}

bool user_ringbuf_begin(struct map *map)
{
    struct user_ringbuf *r = map->priv;
    uint32_t idle = 0;

    return __atomic_compare_exchange_n(&r->busy, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

int user_ringbuf_take(struct map *map, void **sample, uint32_t *size)
{
    struct user_ringbuf *r = map->priv;
    uint64_t consumer = __atomic_load_n(&r->consumer, __ATOMIC_RELAXED);
    uint32_t len;

    if (consumer >= __atomic_load_n(&r->producer, __ATOMIC_ACQUIRE))
        return -ENODATA;
    len = __atomic_load_n(header_at(r, consumer), __ATOMIC_ACQUIRE);
    if ((len & ~(BUSY | DISCARD)) > MAX_SAMPLE)
        return -E2BIG;
    if (len & DISCARD) {
        user_ringbuf_give_back(map, len & ~DISCARD);
        return -EAGAIN;
    }
    if (len & BUSY)
        return -ENODATA;
    *sample = (unsigned char *)header_at(r, consumer) + HEADER;
    *size = len;
    return 0;
}

void user_ringbuf_give_back(struct map *map, uint32_t size)
{
    struct user_ringbuf *r = map->priv;

    __atomic_store_n(&r->consumer, __atomic_load_n(&r->consumer, __ATOMIC_RELAXED) + room_of(size), __ATOMIC_RELEASE);
}

void user_ringbuf_end(struct map *map, bool wake)
{
    struct user_ringbuf *r = map->priv;

    __atomic_store_n(&r->busy, 0, __ATOMIC_RELEASE);
    if (!wake)
        return;
    __atomic_add_fetch(&r->drained, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&r->waiting, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &r->drained, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

uint64_t user_ringbuf_pending(struct map *map)
{
    struct user_ringbuf *r = map->priv;

    return __atomic_load_n(&r->producer, __ATOMIC_ACQUIRE) - __atomic_load_n(&r->consumer, __ATOMIC_ACQUIRE);
}

const struct map_ops map_user_ringbuf_ops = {
    .check = ringbuf_check_size,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_no_update,
    .remove = map_no_remove,
    .next_key = map_no_next_key,
    .find_region = map_no_region,
};
