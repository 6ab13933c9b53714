/*
 * What map types share below their meaning: memory, locks, and copying between a map's memory and anybody else's.
 *
 * A map's memory is touched by readers that hold no lock, so that the map's side of each copy is read and written in
 * aligned 8-byte words with relaxed atomics: what a reader sees may be older in one word than in another, as in Linux,
 * but no word is torn. Keys and values in maps therefore begin at multiples of 8 and their rooms are rounded up to 8;
 * bytes past a size inside its room are zero.
 */
#ifndef VM_MAPS_MEM_H
#define VM_MAPS_MEM_H

#include "vm/maps/map.h"
#include <string.h>

static inline uint64_t round_up8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

static inline uint64_t word_load(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}

static inline void word_store(void *p, uint64_t v)
{
    __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED);
}

/* Copies size bytes into a map's memory; the rest of the last word becomes zero. */
static inline void copy_in(void *map_mem, const void *from, uint64_t size)
{
    unsigned char *to = map_mem;
    const unsigned char *src = from;
    uint64_t w;

    for (; size >= 8; size -= 8, to += 8, src += 8) {
        memcpy(&w, src, 8);
        word_store(to, w);
    }
    if (size) {
        w = 0;
        memcpy(&w, src, size);
        word_store(to, w);
    }
}

static inline void copy_out(void *out, const void *map_mem, uint64_t size)
{
    unsigned char *to = out;
    const unsigned char *src = map_mem;
    uint64_t w;

    for (; size >= 8; size -= 8, to += 8, src += 8) {
        w = word_load(src);
        memcpy(to, &w, 8);
    }
    if (size) {
        w = word_load(src);
        memcpy(to, &w, size);
    }
}

static inline void zero_out(void *map_mem, uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 8)
        word_store((unsigned char *)map_mem + i, 0);
}

/* Copies a whole value into a map, around the special fields that may stand in it. */
void value_in(const struct map *map, void *map_mem, const void *from);
/* The same to the outside, where those read as zero. */
void value_out(const struct map *map, void *out, const void *map_mem);
/* The same of one CPU's value, in its room of a multiple of 8 bytes: where there are no special fields, a host's bytes
 * behind the value are kept, as Linux keeps them. */
void value_room_in(const struct map *map, void *map_mem, const void *from);
void value_room_out(const struct map *map, void *out, const void *map_mem);
/* Lets go of what the value's special fields hold: it was written anew, or goes. */
void value_release(const struct map *map, void *map_mem);
/* value_in() and value_out() while holding the value's lock (BPF_F_LOCK). */
void value_in_locked(const struct map *map, void *map_mem, const void *from);
void value_out_locked(const struct map *map, void *out, void *map_mem);

/* Leaf locks only: nobody takes a second while holding one, except where a map type's file says in which order; the
 * locks of lists of timers come last. */
void map_lock_slow(struct map_lock *lock);
void map_unlock_slow(struct map_lock *lock);

static inline void map_lock(struct map_lock *lock)
{
    uint32_t free = 0;

    if (__builtin_expect(
            !__atomic_compare_exchange_n(&lock->state, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 0))
        map_lock_slow(lock);
}

static inline void map_unlock(struct map_lock *lock)
{
    if (__builtin_expect(__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2, 0))
        map_unlock_slow(lock);
}

/* The lock in a value (struct bpf_spin_lock): one word, 0 when free and 1 when held, as bpf_spin_lock() takes it. */
void map_spin_lock_slow(void *lock);

static inline void map_spin_lock(void *lock)
{
    uint32_t free = 0;

    if (__builtin_expect(
            !__atomic_compare_exchange_n((uint32_t *)lock, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 0))
        map_spin_lock_slow(lock);
}

static inline void map_spin_unlock(void *lock)
{
    __atomic_store_n((uint32_t *)lock, 0, __ATOMIC_RELEASE);
}

/* Zeroed memory that costs nothing before it is touched, aligned to 64 bytes (pages when large). @return NULL: none, or
 * more than the limit of map_set_limit(). */
void *map_mem_take(uint64_t size);
void map_mem_give(void *p, uint64_t size);
/* May one map take so many bytes? */
bool map_mem_fits(uint64_t size);

/* A ring's memory: size bytes (a power of two) that may be read and written past their end as far again, so that no
 * record need be split. Mapped twice where the system lets us; else twice as large, which serves as well for who
 * addresses each record by its beginning alone. */
void *map_ring_take(uint64_t size);
void map_ring_give(void *p, uint64_t size);

#endif
