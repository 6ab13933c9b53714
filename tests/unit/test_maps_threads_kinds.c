/*
 * Tries, queues, filters and targets under threads: readers without locks while others update, delete and walk. What
 * must hold: a prefix that is always there is never missed, nor is a shorter one found in its place; what was pushed
 * comes out once; what is in a filter is never denied. Run under TSan by `make tsan-maps`.
 */
#include "vm/epoch.h"
#include "vm/maps/map.h"
#include "vm/maps/storage.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 3, STEPS = 6000, DATA = 8, STABLE = 8 };

struct load {
    struct map *map;
    uint32_t thread;
    uint32_t *stop;
    uint32_t *seen; /* atomic, by value */
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static struct map *make(uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags, uint32_t cpus)
{
    struct map_def d = {.name = "t",
                        .type = type,
                        .key_size = key,
                        .value_size = value,
                        .max_entries = max,
                        .flags = flags,
                        .spin_lock_off = -1};
    struct map *map = NULL;

    assert_int_equal(map_create(&d, cpus, NULL, &map), 0);
    return map;
}

/* Writers and readers until the writers are done. */
static void run(struct map *map, void *(*write)(void *), void *(*read)(void *), uint32_t *seen)
{
    pthread_t writers[THREADS], readers[THREADS];
    struct load loads[THREADS];
    uint32_t stop = 0;

    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (struct load){map, i, &stop, seen};
        assert_int_equal(pthread_create(&writers[i], NULL, write, &loads[i]), 0);
        assert_int_equal(pthread_create(&readers[i], NULL, read, &loads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(readers[i], NULL);
}

struct prefix {
    uint32_t len;
    unsigned char data[DATA];
};

/* Whole keys 0 to STABLE - 1, which stay; those between change all the time, at every length. */
static struct prefix stable_prefix(uint32_t i)
{
    struct prefix p = {.len = DATA * 8, .data = {10, 0, (unsigned char)(i * 31), 0, 0, 0, 0, (unsigned char)i}};

    return p;
}

static void *change_prefixes(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 88172645463325252 + l->thread * 7919;

    for (uint32_t i = 0; i < STEPS; i++) {
        struct prefix p = stable_prefix(next_random(&rnd) % STABLE);
        /* Changes never begin with 1 in the upper half: readers tell them by it. */
        uint64_t value = next_random(&rnd) >> 1;
        int err;

        p.len = next_random(&rnd) % (DATA * 8);
        if (next_random(&rnd) % 2)
            p.data[next_random(&rnd) % DATA] ^= (unsigned char)(1u << next_random(&rnd) % 8);
        if (next_random(&rnd) % 16 == 0) {
            struct prefix stays = stable_prefix(next_random(&rnd) % STABLE);

            value = 1ull << 63 | stays.data[DATA - 1];
            err = map_host_update(l->map, &stays, &value, MAP_EXIST);
            must(!err, "a prefix that is there can be updated");
        } else if (next_random(&rnd) % 3) {
            err = map_host_update(l->map, &p, &value, MAP_ANY);
            must(!err || err == -ENOSPC, "an update succeeds or finds the trie full");
        } else {
            err = map_host_delete(l->map, &p);
            must(!err || err == -ENOENT, "a prefix goes or is not there");
        }
    }
    return NULL;
}

static void *look_up_prefixes(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 1181783497276652981 + l->thread * 104729;
    struct prefix key, next;
    bool begun = false;

    do {
        struct epoch_slot *s = epoch_enter();

        for (int i = 0; i < 50; i++) {
            struct prefix p = stable_prefix(next_random(&rnd) % STABLE);
            const uint64_t *value = map_fast_lookup(l->map)(l->map, &p, 0);

            must(value && __atomic_load_n(value, __ATOMIC_RELAXED) == (1ull << 63 | p.data[DATA - 1]),
                 "the longest prefix is the one that is always there");
        }
        epoch_exit(s);
        if (map_host_next_key(l->map, begun ? &key : NULL, &next)) {
            begun = false;
        } else {
            must(next.len <= DATA * 8, "a key is whole");
            key = next;
            begun = true;
        }
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    return NULL;
}

static void tries(void **state)
{
    struct map *map = make(MAP_TYPE_LPM_TRIE, sizeof(struct prefix), 8, 300, MAP_F_NO_PREALLOC, 1);
    struct prefix key;

    (void)state;
    for (uint32_t i = 0; i < STABLE; i++) {
        struct prefix p = stable_prefix(i);
        uint64_t value = 1ull << 63 | i;

        assert_int_equal(map_host_update(map, &p, &value, MAP_NOEXIST), 0);
    }
    run(map, change_prefixes, look_up_prefixes, NULL);
    while (!map_host_next_key(map, NULL, &key))
        assert_int_equal(map_host_delete(map, &key), 0);
    map_put(map);
}

/* ---- What is pushed comes out once ---- */

static void *push_values(void *arg)
{
    struct load *l = arg;

    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t value = (uint64_t)l->thread * STEPS + i;

        while (l->map->ops->push(l->map, &value, MAP_ANY) == -E2BIG)
            ;
    }
    return NULL;
}

static void *pop_values(void *arg)
{
    struct load *l = arg;
    uint64_t value, last[THREADS] = {0};
    bool queue = l->map->def.type == MAP_TYPE_QUEUE;

    for (;;) {
        /* Asked before: what was pushed until then is there. */
        bool done = __atomic_load_n(l->stop, __ATOMIC_ACQUIRE);

        if (l->map->ops->pop(l->map, &value)) {
            must(value == 0, "nothing is zero");
            if (done)
                return NULL;
            continue;
        }
        must(value < THREADS * STEPS, "a value is one that was pushed");
        must(__atomic_fetch_add(&l->seen[value], 1, __ATOMIC_RELAXED) == 0, "a value comes out once");
        must(!queue || value >= last[value / STEPS], "a queue keeps the order of each who pushes");
        last[value / STEPS] = value;
    }
}

static void queues(void **state)
{
    (void)state;
    for (uint32_t type = MAP_TYPE_QUEUE; type <= MAP_TYPE_STACK; type++) {
        struct map *map = make(type, 0, 8, 64, 0, 1);
        uint32_t *seen = calloc(THREADS * STEPS, sizeof(*seen));

        assert_non_null(seen);
        run(map, push_values, pop_values, seen);
        for (uint32_t i = 0; i < THREADS * STEPS; i++)
            assert_int_equal(seen[i], 1);
        free(seen);
        map_put(map);
    }
}

/* ---- Filters ---- */

static void *put_into_filter(void *arg)
{
    struct load *l = arg;

    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t value = (uint64_t)l->thread * STEPS + i;

        must(!l->map->ops->push(l->map, &value, MAP_ANY), "a filter takes everything");
        __atomic_store_n(&l->seen[value], 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *ask_filter(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 88172645463325252 + l->thread * 31;

    do {
        uint64_t value = next_random(&rnd) % (THREADS * STEPS);

        if (__atomic_load_n(&l->seen[value], __ATOMIC_ACQUIRE))
            must(!l->map->ops->peek(l->map, &value), "what was put in is there");
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    return NULL;
}

static void filters(void **state)
{
    struct map *map = make(MAP_TYPE_BLOOM_FILTER, 0, 8, THREADS * STEPS, 0, 1);
    uint32_t *seen = calloc(THREADS * STEPS, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    run(map, put_into_filter, ask_filter, seen);
    free(seen);
    map_put(map);
}

/* ---- Targets, and values a CPU ---- */

static void *change_targets(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 88172645463325252 + l->thread * 7919, values[4];

    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t key = next_random(&rnd) % 16;

        for (int j = 0; j < 4; j++)
            values[j] = key + 1;
        if (next_random(&rnd) % 4)
            map_host_update(l->map, &key, values, MAP_ANY);
        else
            map_host_delete(l->map, &key);
    }
    return NULL;
}

static void *look_up_targets(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 1181783497276652981 + l->thread * 104729, values[4];

    do {
        struct epoch_slot *s = epoch_enter();
        uint32_t key = next_random(&rnd) % 16;
        const uint64_t *value = map_fast_lookup(l->map)(l->map, &key, l->thread);

        must(!value ||
                 (__atomic_load_n(value, __ATOMIC_RELAXED) >= 1 && __atomic_load_n(value, __ATOMIC_RELAXED) <= 16),
             "a value is one that was written");
        epoch_exit(s);
        if (!map_host_lookup(l->map, &key, values, 0))
            must(values[0] >= 1 && values[0] <= 16, "a host's value is one that was written");
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    return NULL;
}

static void targets(void **state)
{
    (void)state;
    static const uint32_t types[] = {MAP_TYPE_DEVMAP, MAP_TYPE_DEVMAP_HASH, MAP_TYPE_CPUMAP, MAP_TYPE_SOCKMAP,
                                     MAP_TYPE_SOCKHASH};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct map *map = make(types[i], 4, 8, 16, 0, 16);

        run(map, change_targets, look_up_targets, NULL);
        map_put(map);
    }
}

static void values_a_cpu_in_lru_maps(void **state)
{
    struct map *map = make(MAP_TYPE_LRU_PERCPU_HASH, 4, 8, 8, 0, 4);

    (void)state;
    run(map, change_targets, look_up_targets, NULL);
    map_put(map);
}

/* ---- Storage: what is found belongs to its owner ---- */

static void *change_storage(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 88172645463325252 + l->thread * 7919, values[4];

    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t owner = next_random(&rnd) % 16;

        for (int j = 0; j < 4; j++)
            values[j] = owner + 1;
        if (next_random(&rnd) % 4)
            map_host_update(l->map, &owner, values, next_random(&rnd) % 3);
        else
            storage_delete(l->map, owner);
    }
    return NULL;
}

static void *keep_storage(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 1181783497276652981 + l->thread * 104729;
    uint32_t key, next;
    bool begun = false;

    do {
        struct epoch_slot *s = epoch_enter();

        for (int i = 0; i < 50; i++) {
            uint64_t owner = next_random(&rnd) % 16, first[4] = {owner + 1, owner + 1, owner + 1, owner + 1};
            const uint64_t *value = storage_get(l->map, owner, first, next_random(&rnd) % 2);

            must(!value || __atomic_load_n(value, __ATOMIC_RELAXED) == owner + 1, "a value is its owner's");
        }
        epoch_exit(s);
        begun = !map_host_next_key(l->map, begun ? &key : NULL, &next);
        must(!begun || next < 16, "an owner is one that there was");
        key = next;
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    return NULL;
}

static void *use_cgroups(void *arg)
{
    struct load *l = arg;
    uint64_t rnd = 88172645463325252 + l->thread * 7919;

    for (uint32_t i = 0; i < STEPS; i++) {
        struct epoch_slot *s = epoch_enter();
        uint64_t *value = storage_of_cgroup(l->map, next_random(&rnd) % 8, 0, l->thread);

        must(value != NULL, "a cgroup has a value");
        __atomic_fetch_add(value, 1, __ATOMIC_RELAXED);
        epoch_exit(s);
    }
    return NULL;
}

static void *read_cgroups(void *arg)
{
    struct load *l = arg;
    uint64_t values[16], key;

    do {
        for (key = 0; key < 8; key++)
            map_host_lookup(l->map, &key, values, 0);
    } while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED));
    return NULL;
}

static void storages(void **state)
{
    (void)state;
    for (uint32_t percpu = 0; percpu < 2; percpu++) {
        struct map *map =
            make(percpu ? MAP_TYPE_PERCPU_CGROUP_STORAGE : MAP_TYPE_CGROUP_STORAGE, 8, 8, 0, 0, percpu ? 8 : 1);
        uint64_t all = 0, values[8] = {0};

        run(map, use_cgroups, read_cgroups, NULL);
        for (uint64_t key = 0; key < 8; key++) {
            assert_int_equal(map_host_lookup(map, &key, values, 0), 0);
            for (int i = 0; i < 8; i++)
                all += values[i];
        }
        assert_int_equal(all, THREADS * STEPS);
        map_put(map);
    }
    for (uint32_t type = MAP_TYPE_INODE_STORAGE; type <= MAP_TYPE_TASK_STORAGE; type++) {
        struct map *map = make(type, 4, 32, 0, MAP_F_NO_PREALLOC, 1);

        run(map, change_storage, keep_storage, NULL);
        map_put(map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storages), cmocka_unit_test(tries),   cmocka_unit_test(queues),
        cmocka_unit_test(filters),  cmocka_unit_test(targets), cmocka_unit_test(values_a_cpu_in_lru_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
