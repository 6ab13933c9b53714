/*
 * Memory, locks and copies of maps: see mem.h. Small memory comes from malloc, so that sanitizers guard its ends;
 * larger from mmap without reservation, so that a map of a million entries takes pages only as it fills.
 */
#include "vm/maps/mem.h"
#include "vm/object.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 1 << 14, SPINS = 100, MANY_SPINS = 100 * SPINS };
/* Above this, huge pages are welcome; below, one touched byte must not make 2 MB resident. */
#define HUGE_WELCOME (64ull << 20)

static uint64_t limit = 4ull << 30; /* atomic */

void map_set_limit(uint64_t bytes)
{
    __atomic_store_n(&limit, bytes, __ATOMIC_RELAXED);
}

bool map_mem_fits(uint64_t size)
{
    return size <= __atomic_load_n(&limit, __ATOMIC_RELAXED) && size <= SIZE_MAX / 4;
}

void *map_mem_take(uint64_t size)
{
    void *p;

    if (!map_mem_fits(size))
        return NULL;
    if (size <= SMALL) {
        size = (size + 63) & ~63ull;
        p = aligned_alloc(64, size ? size : 64);
        if (p)
            memset(p, 0, size);
        return p;
    }
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (size < HUGE_WELCOME)
        madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

void map_mem_give(void *p, uint64_t size)
{
    if (!p)
        return;
    if (size <= SMALL)
        free(p);
    else
        munmap(p, size);
}

/* Both halves of the range show the same pages of a file in memory. */
static bool map_twice(unsigned char *at, uint64_t size)
{
    int fd = memfd_create("skep-ring", MFD_CLOEXEC);
    bool done;

    if (fd < 0)
        return false;
    done = !ftruncate(fd, (off_t)size) &&
           mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
           mmap(at + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
    close(fd);
    return done;
}

void *map_ring_take(uint64_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    unsigned char *p;

    if (!map_mem_fits(2 * size))
        return NULL;
    p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    /* What failed half-way is mapped over with plain memory. */
    if (!map_twice(p, size) && mmap(p, 2 * size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == MAP_FAILED) {
        munmap(p, 2 * size);
        return NULL;
    }
    return p;
}

void map_ring_give(void *p, uint64_t size)
{
    if (p)
        munmap(p, 2 * size);
}

static void futex(uint32_t *word, int op, uint32_t value)
{
    syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

void map_lock_slow(struct map_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t free = 0;

        if (__atomic_compare_exchange_n(&lock->state, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
    }
    while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE))
        futex(&lock->state, FUTEX_WAIT_PRIVATE, 2);
}

void map_unlock_slow(struct map_lock *lock)
{
    futex(&lock->state, FUTEX_WAKE_PRIVATE, 1);
}

/* Whoever waits yields, since the word has no room to note that somebody waits; and sleeps when that does not help,
 * because who holds the lock cannot run before who waits. */
void map_spin_lock_slow(void *lock)
{
    const struct timespec a_while = {.tv_nsec = 50000};
    uint32_t *word = lock;

    for (unsigned i = 1;; i += i <= MANY_SPINS) {
        uint32_t free = 0;

        if (__atomic_compare_exchange_n(word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        if (i > MANY_SPINS)
            nanosleep(&a_while, NULL);
        else if (i % SPINS == 0)
            sched_yield();
    }
}

/* Special fields, of which the lock is one, may be 4 bytes in a word of 8: the halves beside them are stored by
 * themselves, so that what changes a field meanwhile survives. */
static void part_in(unsigned char *to, const unsigned char *from, uint32_t off, uint32_t end)
{
    uint32_t half = 0;

    if (off < end && off & 4) {
        memcpy(&half, from + off, end - off < 4 ? end - off : 4);
        __atomic_store_n((uint32_t *)(to + off), half, __ATOMIC_RELAXED);
        off += 4;
    }
    if (off < end)
        copy_in(to + off, from + off, (end - off) & ~7u);
    off += off < end ? (end - off) & ~7u : 0;
    if (off < end) {
        half = 0;
        memcpy(&half, from + off, end - off < 4 ? end - off : 4);
        __atomic_store_n((uint32_t *)(to + off), half, __ATOMIC_RELAXED);
    }
    if (off + 4 < end) {
        half = 0;
        memcpy(&half, from + off + 4, end - off - 4);
        __atomic_store_n((uint32_t *)(to + off + 4), half, __ATOMIC_RELAXED);
    }
}

/* The lock of a value whose types nobody told. */
static struct field lone_lock(const struct map *map)
{
    return (struct field){.off = (uint32_t)map->def.spin_lock_off, .size = 4, .kind = FIELD_SPIN_LOCK};
}

static uint32_t special(const struct map *map, const struct field *lone, const struct field **at)
{
    *at = map->def.fields ? map->def.fields->at : lone;
    return map->def.fields ? map->def.fields->n : map->def.spin_lock_off >= 0;
}

void value_in(const struct map *map, void *map_mem, const void *from)
{
    const struct field lone = lone_lock(map), *at;
    uint32_t n = special(map, &lone, &at), off = 0;

    if (!n) {
        copy_in(map_mem, from, map->def.value_size);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        part_in(map_mem, from, off, at[i].off);
        off = at[i].off + at[i].size;
    }
    part_in(map_mem, from, off, map->def.value_size);
}

void value_out(const struct map *map, void *out, const void *map_mem)
{
    const struct field lone = lone_lock(map), *at;
    uint32_t n = special(map, &lone, &at);

    copy_out(out, map_mem, map->def.value_size);
    for (uint32_t i = 0; i < n; i++)
        memset((unsigned char *)out + at[i].off, 0, at[i].size);
}

void value_room_in(const struct map *map, void *map_mem, const void *from)
{
    if (map->def.fields)
        value_in(map, map_mem, from);
    else
        copy_in(map_mem, from, round_up8(map->def.value_size));
}

void value_room_out(const struct map *map, void *out, const void *map_mem)
{
    copy_out(out, map_mem, round_up8(map->def.value_size));
    for (uint32_t i = 0; map->def.fields && i < map->def.fields->n; i++)
        memset((unsigned char *)out + map->def.fields->at[i].off, 0, map->def.fields->at[i].size);
}

void value_release(const struct map *map, void *map_mem)
{
    if (map->def.fields && map->def.fields->kinds & ~(uint32_t)FIELD_LOCKS)
        fields_release(map->def.fields, map_mem);
}

void value_in_locked(const struct map *map, void *map_mem, const void *from)
{
    unsigned char *lock = (unsigned char *)map_mem + map->def.spin_lock_off;

    map_spin_lock(lock);
    value_in(map, map_mem, from);
    map_spin_unlock(lock);
}

void value_out_locked(const struct map *map, void *out, void *map_mem)
{
    unsigned char *lock = (unsigned char *)map_mem + map->def.spin_lock_off;

    map_spin_lock(lock);
    value_out(map, out, map_mem);
    map_spin_unlock(lock);
}
