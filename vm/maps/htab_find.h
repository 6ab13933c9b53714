/*
 * A reader's search, to be compiled for each size of key that deserves its own code: what is shared by the table itself
 * and by the lookups of its types. See htab.h for what holds between readers and writers.
 *
 * The hash of a key is that of its words, zeros after its end: pairs of words are multiplied, both factors of each
 * product hidden by a secret, in two chains that a processor follows side by side.
 */
#ifndef VM_MAPS_HTAB_FIND_H
#define VM_MAPS_HTAB_FIND_H

#include "vm/maps/htab.h"

enum {
    HTAB_MAX_RETRIES = 64, /* of a reader whose misses are overtaken, before it asks for the lock */
    HTAB_HOPS = 1024,      /* after so many elements a reader looks whether it was led astray */
};

/* What keys of one word are multiplied by: any odd number with bits of both kinds everywhere. */
#define HTAB_FACTOR UINT64_C(0xa0761d6478bd642f)

/* 64 times 64 bits, folded: each bit of the product's halves depends on all of both factors. */
static inline uint64_t htab_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = (unsigned __int128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t key_read64(const void *p)
{
    uint64_t w;

    memcpy(&w, p, 8);
    return w;
}

static inline uint64_t key_read32(const void *p)
{
    uint32_t w;

    memcpy(&w, p, 4);
    return w;
}

/* The last word of a key at p as it stands in the map, `size` bytes and zeros. A key of 8 bytes and more is read from
 * its end, so that no copy of a few bytes is needed. */
static inline uint64_t key_tail(const unsigned char *p, uint32_t size, bool long_key)
{
    uint64_t w = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == 4)
        return key_read32(p);
    if (long_key)
        return key_read64(p + size - 8) >> (64 - 8 * size);
#endif
    (void)long_key;
    for (uint32_t i = 0; i < size; i++)
        ((unsigned char *)&w)[i] = p[i];
    return w;
}

/* size is a constant where it is one of the sizes that have a search of their own. */
static inline __attribute__((always_inline)) uint32_t htab_hash_sized(const struct htab *h, const unsigned char *key,
                                                                      uint32_t size)
{
    uint64_t a = h->seed[0], b = h->seed[1], secret = b;
    bool long_key = size > 8;

    if (size == 4)
        return (uint32_t)htab_fold(key_read32(key) ^ a, HTAB_FACTOR);
    if (size == 8)
        return (uint32_t)htab_fold(key_read64(key) ^ a, HTAB_FACTOR);
    for (; size > 16; size -= 16, key += 16) {
        uint64_t next = htab_fold(key_read64(key) ^ a, key_read64(key + 8) ^ secret);

        a = b;
        b = next;
    }
    if (size > 8) {
        a ^= key_read64(key);
        size -= 8;
        key += 8;
    }
    return (uint32_t)htab_fold(a, b ^ (size == 8 ? key_read64(key) : key_tail(key, size, long_key)));
}

static inline __attribute__((always_inline)) bool key_is(const struct elem *e, const unsigned char *key, uint32_t size)
{
    const unsigned char *have = e->key;
    bool long_key = size > 8;

    if (size == 4)
        return __atomic_load_n((const uint64_t *)have, __ATOMIC_ACQUIRE) == key_read32(key);
    for (; size >= 8; size -= 8, have += 8, key += 8)
        if (__atomic_load_n((const uint64_t *)have, __ATOMIC_ACQUIRE) != key_read64(key))
            return false;
    return !size || __atomic_load_n((const uint64_t *)have, __ATOMIC_ACQUIRE) == key_tail(key, size, long_key);
}

static inline struct elem *htab_link(const uint64_t *link)
{
    return (struct elem *)(uintptr_t)__atomic_load_n(link, __ATOMIC_ACQUIRE);
}

/** The search under the lock, for who was overtaken too often. */
struct elem *htab_find_slowly(struct htab *h, const void *key, uint32_t hash);

static inline __attribute__((always_inline)) bool htab_is(const struct elem *e, const unsigned char *key, uint32_t size,
                                                          uint32_t hash)
{
    bool same_hash = size == 4 || size == 8 || __atomic_load_n(&e->hash, __ATOMIC_RELAXED) == hash;

    return same_hash && key_is(e, key, size);
}

/* The whole bucket, again when the stripe moved meanwhile. */
static inline __attribute__((always_inline)) struct elem *htab_walk(struct htab *h, const unsigned char *key,
                                                                    uint32_t size, uint32_t hash)
{
    const uint32_t *at = &h->versions[hash & h->stripe_mask];
    uint32_t version, hops = 0;

    for (int tries = 0; tries < HTAB_MAX_RETRIES; tries++) {
        version = __atomic_load_n(at, __ATOMIC_ACQUIRE);
        for (struct elem *e = htab_link(&h->buckets[hash & h->mask]); e; e = htab_link(&e->next)) {
            if (htab_is(e, key, size, hash))
                return e;
            if (__builtin_expect(++hops % HTAB_HOPS == 0, 0) && __atomic_load_n(at, __ATOMIC_ACQUIRE) != version)
                break;
        }
        if (__builtin_expect(__atomic_load_n(at, __ATOMIC_RELAXED) == version, 1))
            return NULL;
    }
    return htab_find_slowly(h, key, hash);
}

/* A bucket that is empty, or begins with the key, needs no version: nothing was followed that may lead elsewhere. */
static inline __attribute__((always_inline)) struct elem *htab_find_sized(struct htab *h, const unsigned char *key,
                                                                          uint32_t size)
{
    uint32_t hash = htab_hash_sized(h, key, size);
    struct elem *e = htab_link(&h->buckets[hash & h->mask]);

    if (!e || htab_is(e, key, size, hash))
        return e;
    return htab_walk(h, key, size, hash);
}

#endif
