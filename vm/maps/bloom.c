/*
 * BLOOM_FILTER: a field of bits, a power of two of them, that only ever become set. A value is one that was put in when
 * all of its bits are set; map_extra of them (5 when it is 0), at places that two halves of one hash give. Bits are set
 * and read without a lock.
 */
#include "vm/maps/htab_find.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

enum { DEFAULT_BITS = 5, MAX_BITS = 15 /* a value */ };

struct bloom {
    uint64_t *words; /* atomic */
    uint64_t mask;   /* bits - 1 */
    uint64_t seed;
    uint32_t bits; /* a value */
};

static int check(const struct map_def *def, const struct log *log)
{
    if (def->extra > MAX_BITS)
        return log_fail(log, -EINVAL, "map '%s': map_extra says how many hashes a value has, at most %d", def->name,
                        MAX_BITS);
    return 0;
}

static uint64_t field_size(const struct bloom *b)
{
    return (b->mask + 1) / 8;
}

static int create(struct map *map, const struct log *log)
{
    const struct map_def *def = &map->def;
    struct bloom *b = calloc(1, sizeof(*b));
    uint64_t bits = 64;

    if (!b)
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    b->bits = def->extra ? (uint32_t)def->extra : DEFAULT_BITS;
    /* n * k / ln 2 make the fewest mistakes; Linux ends at 2^32. */
    while (bits < 1ull << 32 && bits < (uint64_t)def->max_entries * b->bits * 7 / 5)
        bits <<= 1;
    b->mask = bits - 1;
    if (!(def->flags & MAP_F_ZERO_SEED) && getrandom(&b->seed, sizeof(b->seed), GRND_NONBLOCK) != sizeof(b->seed))
        b->seed = (uintptr_t)b;
    b->words = map_mem_take(field_size(b));
    if (!b->words) {
        free(b);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u entries", def->name, def->max_entries);
    }
    map->priv = b;
    return 0;
}

static void destroy(struct map *map)
{
    struct bloom *b = map->priv;

    if (!b)
        return;
    map_mem_give(b->words, field_size(b));
    free(b);
    map->priv = NULL;
}

static uint64_t hash(uint64_t seed, const unsigned char *value, uint32_t size)
{
    uint64_t h = seed ^ size;

    for (; size > 8; size -= 8, value += 8)
        h = htab_fold(h ^ key_read64(value), 0xa0761d6478bd642full);
    return htab_fold(h ^ (size == 8 ? key_read64(value) : key_tail(value, size, false)), 0xe7037ed1a0b428dbull);
}

static int push(struct map *map, const void *value, uint64_t flags)
{
    const struct bloom *b = map->priv;
    uint64_t at, step;

    if (flags != MAP_ANY)
        return -EINVAL;
    at = hash(b->seed, value, map->def.value_size);
    step = htab_fold(at, 0x8ebc6af09c88c6e3ull) | 1;
    for (uint32_t i = 0; i < b->bits; i++, at += step) {
        uint64_t *word = &b->words[(at & b->mask) / 64], bit = 1ull << at % 64;

        /* A bit that is set already costs other CPUs nothing. */
        if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
            __atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
    }
    return 0;
}

static int peek(struct map *map, void *value)
{
    const struct bloom *b = map->priv;
    uint64_t at = hash(b->seed, value, map->def.value_size), step = htab_fold(at, 0x8ebc6af09c88c6e3ull) | 1;

    for (uint32_t i = 0; i < b->bits; i++, at += step)
        if (!(__atomic_load_n(&b->words[(at & b->mask) / 64], __ATOMIC_ACQUIRE) >> at % 64 & 1))
            return -ENOENT;
    return 0;
}

static int host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    (void)key;
    return push(map, value, flags);
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)key;
    (void)flags;
    return peek(map, value);
}

static int no_remove(struct map *map, const void *key)
{
    (void)map, (void)key;
    return -EOPNOTSUPP;
}

static int no_next_key(struct map *map, const void *key, void *next)
{
    (void)map, (void)key, (void)next;
    return -EOPNOTSUPP;
}

const struct map_ops map_bloom_filter_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_bad_update,
    .remove = no_remove,
    .next_key = no_next_key,
    .push = push,
    .peek = peek,
    .host_lookup = host_lookup,
    .host_update = host_update,
    .find_region = map_no_region,
};
