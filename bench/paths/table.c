/* The plain table and its loops: see table.h. A slot is free while its value is 0; values are stored plus one. */
#include "bench/paths/table.h"

#include <string.h>

enum { OPS = 64, FILLED = 1024, SLOTS = 8192 };

struct key64 {
    uint64_t word[8];
};

static uint64_t mix(uint64_t h, uint64_t word)
{
    __uint128_t product = (__uint128_t)(h ^ word) * 0x9e3779b97f4a7c15;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_8(const uint64_t *key)
{
    return mix(0x51ed270b, *key);
}

static inline uint64_t hash_64(const struct key64 *key)
{
    uint64_t h = 0x51ed270b;

    for (int i = 0; i < 8; i++)
        h = mix(h, key->word[i]);
    return h;
}

#define TABLE(bits, type)                                                                                              \
    struct slot_##bits {                                                                                               \
        type key;                                                                                                      \
        uint64_t value;                                                                                                \
    };                                                                                                                 \
    static struct slot_##bits slots_##bits[SLOTS];                                                                     \
                                                                                                                       \
    static __attribute__((noinline)) uint64_t *find_##bits(const type *key)                                            \
    {                                                                                                                  \
        for (uint64_t at = hash_##bits(key) % SLOTS;; at = (at + 1) % SLOTS) {                                         \
            struct slot_##bits *slot = &slots_##bits[at];                                                              \
                                                                                                                       \
            if (!slot->value)                                                                                          \
                return NULL;                                                                                           \
            if (!memcmp(&slot->key, key, sizeof(*key)))                                                                \
                return &slot->value;                                                                                   \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static __attribute__((noinline)) int set_##bits(const type *key, const uint64_t *value)                            \
    {                                                                                                                  \
        for (uint64_t at = hash_##bits(key) % SLOTS;; at = (at + 1) % SLOTS) {                                         \
            struct slot_##bits *slot = &slots_##bits[at];                                                              \
                                                                                                                       \
            if (slot->value && memcmp(&slot->key, key, sizeof(*key)))                                                  \
                continue;                                                                                              \
            slot->key = *key;                                                                                          \
            slot->value = *value + 1;                                                                                  \
            return 0;                                                                                                  \
        }                                                                                                              \
    }

TABLE(8, uint64_t)
TABLE(64, struct key64)

void table_fill(void)
{
    for (uint64_t i = 0; i < FILLED; i++) {
        struct key64 wide = {{i, 1, 2, 3, 4, 5, 6, 7}};

        set_8(&i, &i);
        set_64(&wide, &i);
    }
}

#define KEEP(at) __asm__ volatile("" : : "r"(at) : "memory")

#define LOOP(name, made, done)                                                                                         \
    uint64_t name(unsigned runs)                                                                                       \
    {                                                                                                                  \
        uint64_t n = 0;                                                                                                \
                                                                                                                       \
        while (runs--) {                                                                                               \
            n = 0;                                                                                                     \
            for (uint64_t i = 0; i < OPS; i++) {                                                                       \
                made;                                                                                                  \
                if (done)                                                                                              \
                    n++;                                                                                               \
            }                                                                                                          \
        }                                                                                                              \
        return n;                                                                                                      \
    }

#define KEY8(x)                                                                                                        \
    uint64_t key = (x);                                                                                                \
                                                                                                                       \
    KEEP(&key)

#define KEY64(x)                                                                                                       \
    struct key64 key = {{(x), 1, 2, 3, 4, 5, 6, 7}};                                                                   \
                                                                                                                       \
    KEEP(&key)

LOOP(table_hit_8, KEY8(i * 16), find_8(&key))
LOOP(table_miss_8, KEY8(i * 16 + FILLED), !find_8(&key))
LOOP(table_hit_64, KEY64(i * 16), find_64(&key))
LOOP(table_miss_64, KEY64(i * 16 + FILLED), !find_64(&key))
LOOP(table_update_8, KEY8(i * 16), !set_8(&key, &key))
LOOP(table_none_8, KEY8(i * 16), 1)
LOOP(table_none_64, KEY64(i * 16), 1)
