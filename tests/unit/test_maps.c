/* Arrays and hash tables as programs and hosts see them; errors stand in test_maps_kernel.c, next to the kernel's. */
#include "tests/unit/said.h"
#include "vm/epoch.h"
#include "vm/maps/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CPUS = 3 };

static struct map_def def_of(uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags)
{
    return (struct map_def){.name = "t",
                            .type = type,
                            .key_size = key,
                            .value_size = value,
                            .max_entries = max,
                            .flags = flags,
                            .spin_lock_off = -1};
}

static struct map *make(uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags)
{
    struct map_def d = def_of(type, key, value, max, flags);
    struct map *map = NULL;

    assert_int_equal(map_create(&d, CPUS, NULL, &map), 0);
    return map;
}

static const uint32_t hash_types[][2] = {
    {MAP_TYPE_HASH, 0},        {MAP_TYPE_HASH, MAP_F_NO_PREALLOC},        {MAP_TYPE_HASH, MAP_F_ZERO_SEED},
    {MAP_TYPE_PERCPU_HASH, 0}, {MAP_TYPE_PERCPU_HASH, MAP_F_NO_PREALLOC}, {MAP_TYPE_LRU_HASH, 0},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Keys of every size differ in one byte at any place. */
static void keys_of_every_size(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(hash_types); t++)
        for (uint32_t size = 1; size <= 40; size++) {
            struct map *map = make(hash_types[t][0], size, 8, 64, hash_types[t][1]);
            unsigned char room[48];
            struct epoch_slot *s = epoch_enter();

            for (unsigned shift = 0; shift < 8; shift++) {
                unsigned char *key = room + shift;

                for (uint32_t at = 0; at < size; at++) {
                    uint64_t value = at, *found;

                    memset(key, 0xa5, size);
                    key[at] = 1;
                    assert_int_equal(map->ops->update(map, key, &value, MAP_ANY, 1), 0);
                    found = map->ops->lookup(map, key, 1);
                    assert_non_null(found);
                    assert_int_equal(*found, at);
                }
                for (uint32_t at = 0; at < size; at++) {
                    memset(key, 0xa5, size);
                    key[at] = 1;
                    assert_int_equal(*(uint64_t *)map->ops->lookup(map, key, 1), at);
                    key[at] = 2;
                    assert_null(map->ops->lookup(map, key, 1));
                }
            }
            epoch_exit(s);
            map_put(map);
        }
    epoch_drain();
}

static void fills_to_the_last_element_and_again(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(hash_types); t++) {
        struct map *map = make(hash_types[t][0], 4, 8, 1000, hash_types[t][1]);
        uint64_t value[CPUS] = {1, 2, 3};

        if (hash_types[t][0] == MAP_TYPE_LRU_HASH) {
            map_put(map);
            continue;
        }
        for (int round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(map_host_update(map, &i, value, MAP_NOEXIST), 0);
            for (uint32_t i = 1000; i < 1010; i++)
                assert_int_equal(map_host_update(map, &i, value, MAP_ANY), -E2BIG);
            /* What is there may be updated though the map is full. */
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(map_host_update(map, &i, value, MAP_EXIST), 0);
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(map_host_delete(map, &i), 0);
            assert_int_equal(map_host_next_key(map, NULL, value), -ENOENT);
        }
        map_put(map);
    }
}

static void iteration_visits_each_key_once(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(hash_types); t++) {
        struct map *map = make(hash_types[t][0], 8, 8, 500, hash_types[t][1]);
        unsigned char seen[500] = {0};
        uint64_t value[CPUS] = {0}, key, next;
        int n = 0;

        for (uint64_t i = 0; i < 500; i++)
            assert_int_equal(map_host_update(map, &i, value, MAP_ANY), 0);
        for (int err = map_host_next_key(map, NULL, &next); !err; err = map_host_next_key(map, &key, &next)) {
            key = next;
            assert_true(key < 500 && !seen[key]);
            seen[key] = 1;
            n++;
        }
        assert_int_equal(n, 500);
        /* A key that is not there begins again. */
        key = 12345;
        assert_int_equal(map_host_next_key(map, &key, &next), 0);
        assert_int_equal(map_host_next_key(map, NULL, &key), 0);
        assert_int_equal(key, next);
        map_put(map);
    }
}

static void programs_see_their_cpu(void **state)
{
    static const uint32_t types[] = {MAP_TYPE_PERCPU_ARRAY, MAP_TYPE_PERCPU_HASH};

    (void)state;
    for (size_t t = 0; t < COUNT(types); t++) {
        struct map *map = make(types[t], 4, 12, 4, 0);
        unsigned char all[CPUS * 16], value[12];
        struct epoch_slot *s = epoch_enter();
        uint32_t key = 2;

        assert_int_equal(map_host_value_size(map), sizeof(all));
        memset(value, 7, sizeof(value));
        /* A program's update writes its CPU's value; those of others are zero. */
        assert_int_equal(map->ops->update(map, &key, value, MAP_ANY, 1), 0);
        memset(all, 0xff, sizeof(all));
        assert_int_equal(map_host_lookup(map, &key, all, 0), 0);
        for (size_t i = 0; i < sizeof(all); i++)
            assert_int_equal(all[i], i / 16 == 1 && i % 16 < 12 ? 7 : 0);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
            unsigned char *v = map->ops->lookup(map, &key, cpu);

            assert_non_null(v);
            assert_int_equal((uintptr_t)v % 8, 0);
            assert_int_equal(v[0], cpu == 1 ? 7 : 0);
        }
        assert_null(map->ops->lookup(map, &key, CPUS));
        /* A host writes all. */
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            memset(all + cpu * 16, (int)cpu + 40, 16);
        assert_int_equal(map_host_update(map, &key, all, MAP_EXIST), 0);
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            assert_int_equal(((unsigned char *)map->ops->lookup(map, &key, cpu))[11], cpu + 40);
        epoch_exit(s);
        map_put(map);
    }
}

/* A program's first update of a key that another element had before leaves nothing of it on other CPUs. */
static void recycled_percpu_elements_are_clean(void **state)
{
    struct map *map = make(MAP_TYPE_PERCPU_HASH, 4, 8, 1, 0);
    uint64_t all[CPUS], one = 1;

    (void)state;
    for (uint32_t key = 0; key < 100; key++) {
        for (int i = 0; i < CPUS; i++)
            all[i] = 99;
        assert_int_equal(map_host_update(map, &key, all, MAP_ANY), 0);
        assert_int_equal(map_host_delete(map, &key), 0);
        assert_int_equal(map->ops->update(map, &key, &one, MAP_ANY, 2), 0);
        assert_int_equal(map_host_lookup(map, &key, all, 0), 0);
        assert_true(all[0] == 0 && all[1] == 0 && all[2] == 1);
        assert_int_equal(map_host_delete(map, &key), 0);
    }
    map_put(map);
}

/* Every byte around: inside a region exactly the bytes of values. */
static void check_regions(struct map *map, unsigned char *value, uint32_t size)
{
    for (int64_t off = -256; off < (int64_t)size + 256; off++) {
        uintptr_t addr = (uintptr_t)value + (uintptr_t)off;
        struct map_region r;
        bool in_value = off >= 0 && off < (int64_t)size, admitted = false;

        if (map->ops->find_region(map, addr, &r)) {
            uint64_t in = (addr - r.base) % r.stride;

            assert_true(addr - r.base < r.size);
            assert_true(r.size % r.stride == 0);
            assert_true(r.elem_off + r.elem_size <= r.stride);
            assert_int_equal(r.elem_size, size);
            admitted = in >= r.elem_off && in < r.elem_off + r.elem_size;
            /* What is admitted is this value, or one that begins a whole element away. */
            if (admitted && !in_value)
                assert_int_equal((addr - in + r.elem_off - (uintptr_t)value) % 8, 0);
        }
        if (in_value)
            assert_true(admitted);
        else if (off >= -8 && off < (int64_t)((size + 7) & ~7u))
            assert_false(admitted && size % 8 && off >= (int64_t)size);
    }
}

static void regions_are_values_and_nothing_else(void **state)
{
    static const uint32_t types[] = {MAP_TYPE_HASH, MAP_TYPE_LRU_HASH, MAP_TYPE_PERCPU_HASH, MAP_TYPE_PERCPU_ARRAY,
                                     MAP_TYPE_ARRAY};

    (void)state;
    for (size_t t = 0; t < COUNT(types); t++)
        for (uint32_t flags = 0; flags <= MAP_F_NO_PREALLOC; flags++)
            for (uint32_t size = 1; size <= 33; size += size < 9 ? 1 : 8) {
                unsigned char value[40] = {0};
                struct map_def d = def_of(types[t], 4, size, 700, flags);
                struct map_region r;
                struct map *map;

                if (map_def_check(&d, NULL))
                    continue;
                map = make(types[t], 4, size, 700, flags);
                for (uint32_t key = 0; key < 700; key++) {
                    assert_int_equal(map->ops->update(map, &key, value, MAP_ANY, 0), 0);
                    if (key % 97 == 0)
                        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
                            check_regions(map, map->ops->lookup(map, &key, cpu), size);
                }
                assert_false(map->ops->find_region(map, 0, &r));
                assert_false(map->ops->find_region(map, (uintptr_t)map, &r));
                assert_false(map->ops->find_region(map, UINTPTR_MAX, &r));
                map_put(map);
            }
}

static void only_one_element_has_a_direct_value(void **state)
{
    struct map *one = make(MAP_TYPE_ARRAY, 4, 100, 1, MAP_F_MMAPABLE), *two = make(MAP_TYPE_ARRAY, 4, 100, 2, 0);
    struct map_array_layout layout;
    uint32_t key = 0;

    (void)state;
    assert_ptr_equal(one->ops->direct(one), one->ops->lookup(one, &key, 0));
    assert_null(two->ops->direct(two));
    assert_true(map_array_layout(two, &layout));
    key = 1;
    assert_ptr_equal(layout.values + layout.stride, two->ops->lookup(two, &key, 2));
    assert_int_equal(layout.cpu_stride, 0);
    map_put(one);
    map_put(two);
    one = make(MAP_TYPE_PERCPU_ARRAY, 4, 100, 2, 0);
    assert_true(map_array_layout(one, &layout));
    assert_ptr_equal(layout.values + layout.stride + 2 * layout.cpu_stride, one->ops->lookup(one, &key, 2));
    map_put(one);
    one = make(MAP_TYPE_HASH, 4, 100, 2, 0);
    assert_false(map_array_layout(one, &layout));
    map_put(one);
}

static void locks_in_values_are_not_copied(void **state)
{
    (void)state;
    for (uint32_t type = MAP_TYPE_HASH; type <= MAP_TYPE_ARRAY; type++)
        for (int32_t off = 0; off <= 20; off += 4) {
            struct map_def d = def_of(type, 4, 24, 4, 0);
            unsigned char value[24], out[24], *there;
            uint32_t key = 1;
            struct map *map;

            d.spin_lock_off = off;
            assert_int_equal(map_create(&d, 1, NULL, &map), 0);
            memset(value, 0x77, sizeof(value));
            assert_int_equal(map_host_update(map, &key, value, MAP_ANY), 0);
            there = map->ops->lookup(map, &key, 0);
            for (int32_t i = 0; i < 24; i++)
                assert_int_equal(there[i], i >= off && i < off + 4 ? 0 : 0x77);
            /* A lock that is held stays held under an array's update, and reads as zero. */
            *(uint32_t *)(there + off) = 1;
            memset(value, 0x66, sizeof(value));
            if (type == MAP_TYPE_ARRAY)
                assert_int_equal(map_host_update(map, &key, value, MAP_EXIST), 0);
            assert_int_equal(*(uint32_t *)(there + off), 1);
            assert_int_equal(map_host_lookup(map, &key, out, 0), 0);
            for (int32_t i = 0; i < 24; i++)
                assert_int_equal(out[i], i >= off && i < off + 4 ? 0 : type == MAP_TYPE_ARRAY ? 0x66 : 0x77);
            /* BPF_F_LOCK writes in place and leaves the lock open. */
            *(uint32_t *)(there + off) = 0;
            memset(value, 0x55, sizeof(value));
            assert_int_equal(map_host_update(map, &key, value, MAP_LOCK | MAP_EXIST), 0);
            assert_ptr_equal(map->ops->lookup(map, &key, 0), there);
            assert_int_equal(map_host_lookup(map, &key, out, MAP_LOCK), 0);
            for (int32_t i = 0; i < 24; i++)
                assert_int_equal(out[i], i >= off && i < off + 4 ? 0 : 0x55);
            assert_int_equal(*(uint32_t *)(there + off), 0);
            assert_int_equal(map_freeze(map), -ENOTSUPP);
            if (type == MAP_TYPE_HASH) {
                key = 3;
                assert_int_equal(map_host_update(map, &key, value, MAP_LOCK | MAP_EXIST), -ENOENT);
                assert_int_equal(map_host_update(map, &key, value, MAP_LOCK), 0);
            }
            map_put(map);
        }
}

static void locks_have_their_place(void **state)
{
    struct map_def d = def_of(MAP_TYPE_HASH, 4, 24, 4, 0);

    (void)state;
    d.spin_lock_off = 2;
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
    d.spin_lock_off = 24;
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
    d.spin_lock_off = 8;
    d.flags = MAP_F_RDONLY_PROG;
    assert_int_equal(map_def_check(&d, NULL), -EACCES);
    d.flags = 0;
    d.type = MAP_TYPE_LRU_HASH;
    assert_int_equal(map_def_check(&d, NULL), -EOPNOTSUPP);
}

/* KiB. */
static long resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size, pages = 0;

    if (f) {
        assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void memory_is_taken_as_it_is_used(void **state)
{
    struct map *maps[4];
    uint64_t key = 1, value[8] = {0};
    long before = resident();

    (void)state;
    maps[0] = make(MAP_TYPE_HASH, 8, 64, 1 << 20, 0);
    maps[1] = make(MAP_TYPE_LRU_HASH, 8, 8, 1 << 20, 0);
    maps[2] = make(MAP_TYPE_ARRAY, 4, 64, 1 << 20, 0);
    maps[3] = make(MAP_TYPE_PERCPU_HASH, 8, 8, 1 << 20, MAP_F_NO_PREALLOC);
    for (int i = 0; i < 4; i++)
        if (i != 2)
            assert_int_equal(map_host_update(maps[i], &key, value, MAP_ANY), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(resident() - before < 512);
#endif
    (void)before;
    for (int i = 0; i < 4; i++)
        map_put(maps[i]);
}

static void a_limit_bounds_memory(void **state)
{
    struct map_def d = def_of(MAP_TYPE_ARRAY, 4, 1 << 20, 1 << 20, 0);
    struct map *map;

    (void)state;
    assert_int_equal(map_create(&d, 1, NULL, &map), -ENOMEM);
    d = def_of(MAP_TYPE_HASH, 4, 1 << 20, 1 << 20, 0);
    assert_int_equal(map_create(&d, 1, NULL, &map), -ENOMEM);
    d = def_of(MAP_TYPE_ARRAY, 4, UINT32_MAX >> 1, UINT32_MAX, 0);
    assert_int_equal(map_create(&d, MAP_MAX_CPUS, NULL, &map), -ENOMEM);
    d = def_of(MAP_TYPE_ARRAY, 4, 4, 4, 0);
    assert_int_equal(map_create(&d, 0, NULL, &map), -EINVAL);
    assert_int_equal(map_create(&d, MAP_MAX_CPUS + 1, NULL, &map), -EINVAL);
    /* Where elements are taken as they are needed, it is the growing that fails. */
    map_set_limit(12 << 20);
    map = make(MAP_TYPE_HASH, 4, 1000, 1 << 18, MAP_F_NO_PREALLOC);
    {
        unsigned char value[1000] = {0};
        uint32_t n = 0;
        int err;

        while (!(err = map_host_update(map, &n, value, MAP_ANY)))
            n++;
        assert_int_equal(err, -ENOMEM);
        assert_true(n >= 1000 && n < 8 << 10);
        /* What was there stays, and what is deleted makes room. */
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(map_host_delete(map, &i), 0);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(map_host_update(map, &i, value, MAP_ANY), 0);
    }
    map_put(map);
    map_set_limit(4ull << 30);
}

static void refusals_say_why(void **state)
{
    static const struct {
        struct map_def def;
        const char *words;
    } cases[] = {
        {{.name = "m", .type = 99, .spin_lock_off = -1}, "no map type 99"},
        {{.name = "m", .type = 33, .max_entries = 1}, "arena"},
        {{.name = "m", .type = MAP_TYPE_HASH, .value_size = 4, .max_entries = 1}, "keys of 0"},
        {{.name = "m", .type = MAP_TYPE_HASH, .key_size = 4, .max_entries = 1}, "values of 0"},
        {{.name = "m", .type = MAP_TYPE_HASH, .key_size = 4, .value_size = 4}, "max_entries"},
        {{.name = "m", .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1, .flags = 1}, "0x1"},
        {{.name = "m", .type = MAP_TYPE_RINGBUF, .max_entries = 5000}, "power of two"},
        {{.name = "m", .type = MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4, .max_entries = 1}, "inner"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_def d = cases[i].def;

        d.spin_lock_off = -1;
        said[0] = 0;
        assert_true(map_def_check(&d, &said_all) < 0);
        assert_non_null(strstr(said, cases[i].words));
    }
}

static void names_of_types(void **state)
{
    (void)state;
    assert_string_equal(map_type_name(MAP_TYPE_HASH), "hash");
    assert_string_equal(map_type_name(MAP_TYPE_PERF_EVENT_ARRAY), "perf_event_array");
    assert_null(map_type_name(MAP_TYPE_COUNT));
    for (unsigned id = 1; id < MAP_TYPE_COUNT; id++)
        assert_int_equal(map_type_by_name(map_type_name(id)), id);
    assert_int_equal(map_type_by_name("nothing"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_every_size),
        cmocka_unit_test(fills_to_the_last_element_and_again),
        cmocka_unit_test(iteration_visits_each_key_once),
        cmocka_unit_test(programs_see_their_cpu),
        cmocka_unit_test(recycled_percpu_elements_are_clean),
        cmocka_unit_test(regions_are_values_and_nothing_else),
        cmocka_unit_test(only_one_element_has_a_direct_value),
        cmocka_unit_test(locks_in_values_are_not_copied),
        cmocka_unit_test(locks_have_their_place),
        cmocka_unit_test(memory_is_taken_as_it_is_used),
        cmocka_unit_test(a_limit_bounds_memory),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(names_of_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
