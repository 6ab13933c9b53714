/* Elements that are handed out and taken back: see pool.h. */
#include "vm/maps/pool.h"

#include "vm/epoch.h"
#include <errno.h>

enum { BATCH = 64 /* elements that wait before it is worth looking at all threads */ };

/* Newton's step doubles the correct low bits; an odd number is its own inverse modulo 8. */
static uint64_t invert(uint64_t odd)
{
    uint64_t x = odd;

    for (int i = 0; i < 5; i++)
        x *= 2 - odd * x;
    return x;
}

static bool take_chunk(struct pool *p)
{
    uint32_t n = p->n_chunks, start = n ? p->chunks[n - 1].start + p->chunks[n - 1].count : 0;
    uint64_t count = (uint64_t)p->first << n, size, all;
    struct pool_chunk *c;

    if (n == POOL_CHUNKS || start >= p->max)
        return false;
    if (count > p->max - start)
        count = p->max - start;
    c = &p->chunks[n];
    if (__builtin_mul_overflow(count, p->stride, &size) || __builtin_add_overflow(size, p->taken, &all) ||
        !map_mem_fits(all) || !(c->base = map_mem_take(size)))
        return false;
    p->taken = all;
    c->start = start;
    c->count = (uint32_t)count;
    __atomic_store_n(&p->n_chunks, n + 1, __ATOMIC_RELEASE);
    return true;
}

int pool_init(struct pool *p, uint64_t size, uint32_t prefix, uint32_t first, uint32_t max, uint32_t bound,
              uint64_t taken)
{
    memset(p, 0, sizeof(*p));
    p->stride = size + prefix;
    p->prefix = prefix;
    p->shift = (uint32_t)__builtin_ctzll(p->stride);
    p->inverse = invert(p->stride >> p->shift);
    p->first = first;
    p->max = max;
    p->bound = bound;
    p->taken = taken;
    return take_chunk(p) ? 0 : -ENOMEM;
}

void pool_destroy(struct pool *p)
{
    for (uint32_t i = 0; i < p->n_chunks; i++)
        map_mem_give(p->chunks[i].base, (uint64_t)p->chunks[i].count * p->stride);
    p->n_chunks = 0;
}

const struct pool_chunk *pool_chunk_of(const struct pool *p, uintptr_t addr)
{
    uint32_t n = __atomic_load_n(&p->n_chunks, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < n; i++)
        if (addr - (uintptr_t)p->chunks[i].base < (uint64_t)p->chunks[i].count * p->stride)
            return &p->chunks[i];
    return NULL;
}

struct elem *pool_at(const struct pool *p, uint32_t number)
{
    const struct pool_chunk *c = p->chunks;

    while (number - c->start >= c->count)
        c++;
    return (struct elem *)(c->base + (number - c->start) * p->stride + p->prefix);
}

uint32_t pool_number(const struct pool *p, const struct elem *e)
{
    uintptr_t addr = (uintptr_t)e - p->prefix;
    const struct pool_chunk *c = pool_chunk_of(p, addr);

    return c->start + (uint32_t)(((addr - (uintptr_t)c->base) >> p->shift) * p->inverse);
}

static struct elem *pop(struct pool *p)
{
    uint64_t old = __atomic_load_n(&p->free, __ATOMIC_ACQUIRE), new;
    struct elem *e;

    do {
        if (!(uint32_t)old)
            return NULL;
        e = pool_at(p, (uint32_t)old - 1);
        new = ((old >> 32) + 1) << 32 | __atomic_load_n(&e->link, __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(&p->free, &old, new, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return e;
}

/* Puts a chain of free elements on the stack. */
static void push(struct pool *p, uint32_t number, struct elem *last)
{
    uint64_t old = __atomic_load_n(&p->free, __ATOMIC_RELAXED), new;

    do {
        __atomic_store_n(&last->link, (uint32_t)old, __ATOMIC_RELAXED);
        new = ((old >> 32) + 1) << 32 | (number + 1);
    } while (!__atomic_compare_exchange_n(&p->free, &old, new, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* The next one that was never handed out, growing when the chunks are used up. */
static struct elem *fresh(struct pool *p)
{
    uint32_t n = __atomic_load_n(&p->fresh, __ATOMIC_RELAXED), chunks;

    for (;;) {
        const struct pool_chunk *c;

        if (n >= p->bound)
            return NULL;
        chunks = __atomic_load_n(&p->n_chunks, __ATOMIC_ACQUIRE);
        c = &p->chunks[chunks - 1];
        if (n - c->start >= c->count && n >= c->start) {
            bool grown;

            map_lock(&p->lock);
            grown = chunks != p->n_chunks || take_chunk(p);
            map_unlock(&p->lock);
            if (!grown)
                return NULL;
            continue;
        }
        if (__atomic_compare_exchange_n(&p->fresh, &n, n + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return pool_at(p, n);
    }
}

static void gathered_waits(struct pool *p)
{
    __atomic_store_n(&p->waiting, p->gathering, __ATOMIC_RELAXED);
    p->waiting_last = p->gathering_last;
    p->n_waiting = p->n_gathering;
    p->gathering = p->gathering_last = p->n_gathering = 0;
    p->stamp = epoch_stamp();
}

/* Makes the waiting batch available if its time has come. */
static bool ripen(struct pool *p, bool hard)
{
    bool ripe = false;

    map_lock(&p->lock);
    if (!p->waiting && p->gathering)
        gathered_waits(p);
    if (p->waiting) {
        ripe = epoch_passed(p->stamp);
        if (!ripe && (hard || p->n_waiting >= BATCH)) {
            epoch_advance();
            ripe = epoch_passed(p->stamp);
        }
        if (ripe) {
            push(p, p->waiting - 1, pool_at(p, p->waiting_last - 1));
            __atomic_store_n(&p->waiting, 0, __ATOMIC_RELAXED);
            p->waiting_last = p->n_waiting = 0;
            if (p->gathering)
                gathered_waits(p);
        }
    }
    map_unlock(&p->lock);
    return ripe;
}

struct elem *pool_take(struct pool *p)
{
    struct elem *e = pop(p);

    if (!e && __atomic_load_n(&p->waiting, __ATOMIC_RELAXED) && ripen(p, false))
        e = pop(p);
    if (!e)
        e = fresh(p);
    if (!e && ripen(p, true))
        e = pop(p);
    return e;
}

void pool_give(struct pool *p, struct elem *e)
{
    push(p, pool_number(p, e), e);
}

void pool_give_later(struct pool *p, struct elem *e)
{
    uint32_t number = pool_number(p, e);

    map_lock(&p->lock);
    __atomic_store_n(&e->link, p->gathering, __ATOMIC_RELAXED);
    p->gathering = number + 1;
    if (!p->gathering_last)
        p->gathering_last = number + 1;
    p->n_gathering++;
    if (!p->waiting)
        gathered_waits(p);
    map_unlock(&p->lock);
}
