/*
 * Maps under threads: readers without locks while others update, delete and walk. What must hold is what Linux
 * promises, and one thing more: a key that is never absent is never missed. Run under TSan by `make tsan-maps`.
 */
#include "vm/epoch.h"
#include "vm/maps/map.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 4, STEPS = 20000, STABLE = 16, WORDS = 4 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

struct load {
    struct map *map;
    uint32_t key_words, range, thread;
    bool may_vanish;
    uint32_t *stop;
};

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static void make_key(uint64_t *key, uint64_t n, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        key[i] = n;
}

/* A value's words are all the same, and tell the key: key << 32 | serial. */
static void make_value(uint64_t *value, uint64_t key, uint32_t serial)
{
    for (int i = 0; i < WORDS; i++)
        value[i] = key << 32 | serial;
}

/* Updates and deletes keys from STABLE on; updates those below, which are always there. */
static void *write_on(void *p)
{
    struct load *l = p;
    uint64_t rnd = 88172645463325252 + l->thread * 7919, key[4], value[WORDS];

    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t n = next_random(&rnd) % l->range;
        int err;

        make_key(key, n, l->key_words);
        make_value(value, n, i);
        if (n < STABLE || next_random(&rnd) % 2)
            err = map_host_update(l->map, key, value, MAP_ANY);
        else
            err = map_host_delete(l->map, key);
        must(!err || err == -ENOENT || err == -E2BIG || err == -ENOMEM, "an update succeeds or finds the map full");
        must(n >= STABLE || l->may_vanish || !err, "a key that is there can be updated");
    }
    return NULL;
}

static void *run_on(void *p)
{
    struct load *l = p;
    uint64_t rnd = 1181783497276652981 + l->thread * 104729, key[4];
    uint64_t found = 0;

    do {
        struct epoch_slot *s = epoch_enter();

        for (int i = 0; i < 50; i++) {
            uint64_t n = next_random(&rnd) % l->range;
            const uint64_t *value;

            make_key(key, n, l->key_words);
            value = l->map->ops->lookup(l->map, key, 0);
            must(value || n >= STABLE || l->may_vanish, "a key that is never absent is never missed");
            if (value) {
                uint64_t word = __atomic_load_n(&value[0], __ATOMIC_RELAXED);

                /* A recycled element may hold another key's value, but always one that was written. */
                must(word >> 32 < l->range && (uint32_t)word < STEPS, "a value is one that was written");
                found++;
            }
        }
        epoch_exit(s);
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    must(found > 0 || l->may_vanish, "readers find something");
    return NULL;
}

/* A host sees whole values of its key. */
static void *walk_on(void *p)
{
    struct load *l = p;
    uint64_t key[4], next[4], value[WORDS];

    while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED)) {
        int err = map_host_next_key(l->map, NULL, next);

        for (uint32_t i = 0; !err && i < 4 * l->range; i++) {
            memcpy(key, next, sizeof(key));
            for (uint32_t j = 1; j < l->key_words; j++)
                must(key[j] == key[0], "a key is whole");
            must(key[0] < l->range, "a key is one that was written");
            if (!map_host_lookup(l->map, key, value, 0)) {
                for (int j = 1; j < WORDS; j++)
                    must(value[j] == value[0], "a value is whole");
                must(value[0] >> 32 == key[0], "a value is its key's");
            }
            err = map_host_next_key(l->map, key, next);
        }
        must(!err || err == -ENOENT, "a walk ends");
    }
    return NULL;
}

static void stress(uint32_t type, uint32_t flags, uint32_t key_words, uint32_t max, uint32_t range, bool may_vanish)
{
    struct map_def d = {.name = "t",
                        .type = type,
                        .key_size = key_words * 8,
                        .value_size = WORDS * 8,
                        .max_entries = max,
                        .flags = flags,
                        .spin_lock_off = -1};
    pthread_t writers[THREADS], readers[THREADS], walker;
    struct load loads[THREADS];
    uint64_t key[4], value[WORDS];
    uint32_t stop = 0, n = 0;
    struct map *map;

    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    for (uint64_t i = 0; i < STABLE; i++) {
        make_key(key, i, key_words);
        make_value(value, i, 0);
        assert_int_equal(map_host_update(map, key, value, MAP_ANY), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (struct load){map, key_words, range, i, may_vanish, &stop};
        pthread_create(&writers[i], NULL, write_on, &loads[i]);
        pthread_create(&readers[i], NULL, run_on, &loads[i]);
    }
    pthread_create(&walker, NULL, walk_on, &loads[0]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(readers[i], NULL);
    pthread_join(walker, NULL);
    /* No element was lost: the map fills to the brim. */
    while (!map_host_next_key(map, NULL, key))
        assert_int_equal(map_host_delete(map, key), 0);
    for (uint64_t i = 0; i < 2 * max && type != MAP_TYPE_LRU_HASH; i++) {
        make_key(key, i, key_words);
        n += !map_host_update(map, key, value, MAP_NOEXIST);
    }
    assert_int_equal(n, type == MAP_TYPE_LRU_HASH ? 0 : max);
    map_put(map);
}

static void hash(void **state)
{
    (void)state;
    stress(MAP_TYPE_HASH, 0, 1, 256, 128, false);
    stress(MAP_TYPE_HASH, 0, 2, 256, 128, false);
    stress(MAP_TYPE_HASH, 0, 4, 256, 128, false);
}

static void hash_of_few_buckets(void **state)
{
    (void)state;
    stress(MAP_TYPE_HASH, 0, 1, 20, 32, false);
    stress(MAP_TYPE_HASH, MAP_F_NO_PREALLOC, 1, 20, 32, false);
}

static void hash_without_preallocation(void **state)
{
    (void)state;
    stress(MAP_TYPE_HASH, MAP_F_NO_PREALLOC, 1, 256, 128, false);
    stress(MAP_TYPE_HASH, MAP_F_NO_PREALLOC, 4, 256, 128, false);
}

static void lru(void **state)
{
    (void)state;
    stress(MAP_TYPE_LRU_HASH, 0, 1, 64, 128, true);
    stress(MAP_TYPE_LRU_HASH, 0, 3, 20, 128, true);
}

/* Without preallocation a value stays whole, and its key's, as long as the section that found it. */
static void *hold_on(void *p)
{
    struct load *l = p;
    uint64_t rnd = 1181783497276652981 + l->thread * 104729;

    while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED)) {
        struct epoch_slot *s = epoch_enter();
        const uint64_t *values[8];
        uint64_t first[8];

        for (int i = 0; i < 8; i++) {
            uint64_t n = next_random(&rnd) % l->range;

            values[i] = l->map->ops->lookup(l->map, &n, 0);
            first[i] = values[i] ? __atomic_load_n(values[i], __ATOMIC_RELAXED) : 0;
            must(!values[i] || first[i] >> 32 == n, "a value is its key's");
        }
        for (int round = 0; round < 20; round++)
            for (int i = 0; i < 8; i++)
                for (int j = 0; values[i] && j < WORDS; j++)
                    must(__atomic_load_n(&values[i][j], __ATOMIC_RELAXED) == first[i], "a value that is held stays");
        epoch_exit(s);
    }
    return NULL;
}

static void values_of_maps_without_preallocation_stay(void **state)
{
    struct map_def d = {.name = "t",
                        .type = MAP_TYPE_HASH,
                        .key_size = 8,
                        .value_size = WORDS * 8,
                        .max_entries = 64,
                        .flags = MAP_F_NO_PREALLOC,
                        .spin_lock_off = -1};
    pthread_t writers[THREADS], readers[THREADS];
    struct load loads[THREADS];
    uint32_t stop = 0;
    struct map *map;

    (void)state;
    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (struct load){map, 1, 40, i, true, &stop};
        pthread_create(&writers[i], NULL, write_on, &loads[i]);
        pthread_create(&readers[i], NULL, hold_on, &loads[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(readers[i], NULL);
    map_put(map);
}

/* BPF_F_LOCK: writers in place, readers under the lock, whole values. */
static void *write_locked(void *p)
{
    struct load *l = p;
    uint64_t value[WORDS] = {0};
    uint32_t key = 0;

    for (uint32_t i = 0; i < STEPS / 4; i++) {
        for (int j = 1; j < WORDS; j++)
            value[j] = (uint64_t)l->thread << 32 | i;
        must(!map_host_update(l->map, &key, value, MAP_LOCK), "a locked update succeeds");
        must(!map_host_lookup(l->map, &key, value, MAP_LOCK), "a locked lookup succeeds");
        must(value[0] == 0 && value[1] == value[2] && value[2] == value[3], "a locked value is whole");
    }
    return NULL;
}

static void locked_values_are_whole(void **state)
{
    (void)state;
    for (uint32_t type = MAP_TYPE_HASH; type <= MAP_TYPE_ARRAY; type++) {
        struct map_def d = {
            .name = "t", .type = type, .key_size = 4, .value_size = WORDS * 8, .max_entries = 2, .spin_lock_off = 0};
        struct load loads[THREADS];
        pthread_t t[THREADS];
        struct map *map;

        assert_int_equal(map_create(&d, 1, NULL, &map), 0);
        for (uint32_t i = 0; i < THREADS; i++) {
            loads[i] = (struct load){.map = map, .thread = i};
            pthread_create(&t[i], NULL, write_locked, &loads[i]);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
        map_put(map);
    }
}

/* Inner maps are taken out and given up while programs look into them. */
static void *look_inside(void *p)
{
    struct load *l = p;

    while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED))
        for (uint32_t key = 0; key < 4; key++) {
            struct epoch_slot *s = epoch_enter();
            struct map *inner = l->map->ops->lookup(l->map, &key, 0);
            uint32_t zero = 0;

            if (inner) {
                uint64_t *value = inner->ops->lookup(inner, &zero, 0);

                must(value && __atomic_load_n(value, __ATOMIC_RELAXED) == 4711, "an inner map is whole");
            }
            epoch_exit(s);
        }
    return NULL;
}

static void inner_maps_outlive_those_who_look(void **state)
{
    (void)state;
    for (uint32_t type = MAP_TYPE_ARRAY_OF_MAPS; type <= MAP_TYPE_HASH_OF_MAPS; type++) {
        struct map_def in = {.name = "in",
                             .type = MAP_TYPE_ARRAY,
                             .key_size = 4,
                             .value_size = 8,
                             .max_entries = 1,
                             .spin_lock_off = -1};
        struct map_def d = {.name = "out",
                            .type = type,
                            .key_size = 4,
                            .value_size = 4,
                            .max_entries = 4,
                            .inner = &in,
                            .spin_lock_off = -1};
        struct load l[2];
        pthread_t t[2];
        uint32_t stop = 0, zero = 0;
        uint64_t value = 4711;
        struct map *map;

        assert_int_equal(map_create(&d, 1, NULL, &map), 0);
        for (int i = 0; i < 2; i++) {
            l[i] = (struct load){.map = map, .stop = &stop};
            pthread_create(&t[i], NULL, look_inside, &l[i]);
        }
        for (uint32_t i = 0; i < 2000; i++) {
            uint32_t key = i % 4;
            struct map *inner;

            assert_int_equal(map_create(&in, 1, NULL, &inner), 0);
            assert_int_equal(map_host_update(inner, &zero, &value, MAP_ANY), 0);
            assert_int_equal(map_set_thing(map, &key, inner, MAP_ANY), 0);
            map_put(inner);
            if (i % 7 == 0)
                assert_int_equal(map_host_delete(map, &key), 0);
        }
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        map_put(map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash),
        cmocka_unit_test(hash_of_few_buckets),
        cmocka_unit_test(hash_without_preallocation),
        cmocka_unit_test(lru),
        cmocka_unit_test(values_of_maps_without_preallocation_stay),
        cmocka_unit_test(locked_values_are_whole),
        cmocka_unit_test(inner_maps_outlive_those_who_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
