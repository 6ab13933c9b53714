/*
 * Lookups of programs in maps over the hash table, one function for each type and each size of key that is frequent:
 * with the size known, hashing and comparing are a few instructions. All of them do what the type's general lookup
 * does.
 */
#include "vm/maps/htab_find.h"
#include "vm/maps/types.h"

/* What the type makes of the element that was found; size of the key, so that the value's place is known. */
static inline unsigned char *value_of(struct elem *e, uint32_t size)
{
    return e->key + round_up8(size);
}

static inline void *hash_value(const struct htab *h, struct elem *e, uint32_t size, uint32_t cpu)
{
    (void)h;
    (void)cpu;
    return value_of(e, size);
}

static inline void *percpu_value(const struct htab *h, struct elem *e, uint32_t size, uint32_t cpu)
{
    return cpu < h->n_values ? value_of(e, size) + (uint64_t)cpu * h->value_room : NULL;
}

static inline void *lru_value(const struct htab *h, struct elem *e, uint32_t size, uint32_t cpu)
{
    (void)h;
    (void)cpu;
    htab_lru_mark(e);
    return value_of(e, size);
}

static inline void *lru_percpu_value(const struct htab *h, struct elem *e, uint32_t size, uint32_t cpu)
{
    if (cpu >= h->n_values)
        return NULL;
    htab_lru_mark(e);
    return value_of(e, size) + (uint64_t)cpu * h->value_room;
}

static inline void *inner_map(const struct htab *h, struct elem *e, uint32_t size, uint32_t cpu)
{
    (void)cpu;
    (void)size;
    return htab_inner(h, e);
}

#define LOOKUP(type, name, key_size, made)                                                                             \
    static void *type##_##name(struct map *map, const void *key, uint32_t cpu)                                         \
    {                                                                                                                  \
        struct htab *h = htab_of(map);                                                                                 \
        uint32_t size = key_size;                                                                                      \
        struct elem *e = htab_find_sized(h, key, size);                                                                \
                                                                                                                       \
        return e ? made(h, e, size, cpu) : NULL;                                                                       \
    }

#define LOOKUPS(type, made)                                                                                            \
    LOOKUP(type, 4, 4, made)                                                                                           \
    LOOKUP(type, 8, 8, made)                                                                                           \
    LOOKUP(type, 16, 16, made)                                                                                         \
    LOOKUP(type, 64, 64, made)                                                                                         \
    LOOKUP(type, any, h->key_size, made)                                                                               \
    map_lookup_fn htab_##type##_lookup(const struct map *map)                                                          \
    {                                                                                                                  \
        switch (map->def.key_size) {                                                                                   \
        case 4: return type##_4;                                                                                       \
        case 8: return type##_8;                                                                                       \
        case 16: return type##_16;                                                                                     \
        case 64: return type##_64;                                                                                     \
        default: return type##_any;                                                                                    \
        }                                                                                                              \
    }

/* For who looked at the first element itself, and has the key as a number. */
#define SLOWLY(type, made)                                                                                             \
    static void *type##_slowly(struct map *map, uint64_t key, uint32_t hash, uint32_t cpu)                             \
    {                                                                                                                  \
        struct htab *h = htab_of(map);                                                                                 \
        uint32_t size = h->key_size;                                                                                   \
        struct elem *e = htab_walk_word(h, key, hash);                                                                 \
                                                                                                                       \
        return e ? made(h, e, size, cpu) : NULL;                                                                       \
    }

/* As htab_walk(): what stands in an element is one word, zeros behind a shorter key. */
static inline struct elem *htab_walk_word(struct htab *h, uint64_t key, uint32_t hash)
{
    return htab_walk(h, (const unsigned char *)&key, sizeof(key), hash);
}

void *htab_lookup(struct map *map, const void *key, uint32_t cpu)
{
    return map->lookup(map, key, cpu);
}

LOOKUPS(hash, hash_value)
LOOKUPS(percpu, percpu_value)
LOOKUPS(lru, lru_value)
LOOKUPS(lru_percpu, lru_percpu_value)
LOOKUPS(inner, inner_map)
SLOWLY(hash, hash_value)
SLOWLY(percpu, percpu_value)
SLOWLY(lru, lru_value)

bool map_hash_layout(const struct map *map, struct map_hash_layout *out)
{
    const struct htab *h = map->priv;
    uint32_t size = map->def.key_size;

    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || (size != 1 && size != 2 && size != 4 && size != 8))
        return false;
    *out = (struct map_hash_layout){.key_off = offsetof(struct elem, key)};
    switch (map->def.type) {
    case MAP_TYPE_HASH: out->slowly = hash_slowly; break;
    case MAP_TYPE_PERCPU_HASH: out->slowly = percpu_slowly; break;
    case MAP_TYPE_LRU_HASH: out->slowly = lru_slowly; break;
    default: return false;
    }
    out->buckets = h->buckets;
    out->mask = h->mask;
    out->value_off = h->value_off;
    out->mixed = size < 4 ? h->seed[1] : h->seed[0];
    out->factor = size < 4 ? h->seed[0] : HTAB_FACTOR;
    out->marks = map->def.type == MAP_TYPE_LRU_HASH;
    if (map->def.type == MAP_TYPE_PERCPU_HASH) {
        out->cpu_stride = h->value_room;
        out->n_cpus = h->n_values;
    }
    return true;
}
