/* LRU_HASH: what a user may rely on. */
#include "vm/epoch.h"
#include "vm/maps/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct map *make(uint32_t max)
{
    struct map_def d = {.name = "lru",
                        .type = MAP_TYPE_LRU_HASH,
                        .key_size = 8,
                        .value_size = 8,
                        .max_entries = max,
                        .spin_lock_off = -1};
    struct map *map = NULL;

    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    return map;
}

static int put(struct map *map, uint64_t key, uint64_t flags)
{
    uint64_t value = key * 3;

    return map->ops->update(map, &key, &value, flags, 0);
}

/* As a host: leaves no mark. */
static bool has(struct map *map, uint64_t key)
{
    uint64_t value;
    int err = map_host_lookup(map, &key, &value, 0);

    if (!err)
        assert_int_equal(value, key * 3);
    else
        assert_int_equal(err, -ENOENT);
    return !err;
}

static bool look_up(struct map *map, uint64_t key)
{
    struct epoch_slot *s = epoch_enter();
    uint64_t *value = map->ops->lookup(map, &key, 0);

    if (value)
        assert_int_equal(*value, key * 3);
    epoch_exit(s);
    return value;
}

static uint32_t count(struct map *map)
{
    uint64_t key, next;
    uint32_t n = 0;

    for (int err = map_host_next_key(map, NULL, &next); !err; err = map_host_next_key(map, &key, &next)) {
        key = next;
        n++;
    }
    return n;
}

static void a_full_map_takes_more(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 10, 64, 1000};

    (void)state;
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct map *map = make(sizes[s]);

        for (uint64_t i = 0; i < 5 * sizes[s]; i++) {
            assert_int_equal(put(map, i, MAP_NOEXIST), 0);
            assert_true(has(map, i));
            if (sizes[s] < 100 || i % 17 == 0)
                assert_int_equal(count(map), i < sizes[s] ? i + 1 : sizes[s]);
        }
        map_put(map);
    }
}

static void what_is_looked_up_stays(void **state)
{
    struct map *map = make(100);

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(put(map, i, MAP_ANY), 0);
    for (uint64_t i = 0; i < 50; i++)
        assert_true(look_up(map, 2 * i));
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(put(map, 1000 + i, MAP_ANY), 0);
    for (uint64_t i = 0; i < 50; i++) {
        assert_true(has(map, 2 * i));
        assert_false(has(map, 2 * i + 1));
    }
    map_put(map);
}

static void a_hot_key_survives_a_flood(void **state)
{
    struct map *map = make(64);

    (void)state;
    assert_int_equal(put(map, 7, MAP_ANY), 0);
    for (uint64_t i = 0; i < 100000; i++) {
        assert_int_equal(put(map, 1000 + i, MAP_ANY), 0);
        if (i % 16 == 0)
            assert_true(look_up(map, 7));
    }
    map_put(map);
}

static void a_host_leaves_no_mark(void **state)
{
    struct map *map = make(10);
    int left = 0;

    (void)state;
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(put(map, i, MAP_ANY), 0);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(has(map, 0));
        assert_int_equal(put(map, 100 + i, MAP_ANY), 0);
        left = has(map, 0);
        if (!left)
            break;
    }
    assert_false(left);
    map_put(map);
}

static void updates_of_what_is_there_drop_nothing(void **state)
{
    struct map *map = make(20);

    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(put(map, i, MAP_ANY), 0);
    for (int round = 0; round < 50; round++)
        for (uint64_t i = 0; i < 20; i++)
            assert_int_equal(put(map, i, round % 2 ? MAP_EXIST : MAP_ANY), 0);
    assert_int_equal(count(map), 20);
    map_put(map);
}

static void errors(void **state)
{
    struct map *map = make(2);
    uint64_t key = 1, value = 3;

    (void)state;
    assert_int_equal(put(map, 1, MAP_EXIST), -ENOENT);
    assert_int_equal(put(map, 1, MAP_NOEXIST), 0);
    assert_int_equal(put(map, 1, MAP_NOEXIST), -EEXIST);
    assert_int_equal(put(map, 1, 3), -EINVAL);
    assert_int_equal(put(map, 1, MAP_LOCK), -EINVAL);
    assert_int_equal(map_host_lookup_and_delete(map, &key, &value, 0), 0);
    assert_int_equal(value, 3);
    assert_int_equal(map_host_delete(map, &key), -ENOENT);
    /* A refused update drops nothing. */
    assert_int_equal(put(map, 1, MAP_ANY), 0);
    assert_int_equal(put(map, 2, MAP_ANY), 0);
    assert_int_equal(put(map, 3, MAP_EXIST), -ENOENT);
    assert_int_equal(put(map, 2, MAP_NOEXIST), -EEXIST);
    assert_int_equal(count(map), 2);
    map_put(map);
}

/* Over a skewed load the map answers nearly as often as an exact LRU would. */
static void hits_are_near_those_of_an_exact_lru(void **state)
{
    enum { SIZE = 128, KEYS = 1024, STEPS = 200000 };
    static uint64_t used[KEYS];
    struct map *map = make(SIZE);
    uint64_t rnd = 88172645463325252;
    uint32_t hits = 0, exact_hits = 0, held = 0;

    (void)state;
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint64_t a, key;

        rnd ^= rnd << 13;
        rnd ^= rnd >> 7;
        rnd ^= rnd << 17;
        a = (rnd >> 20) % KEYS;
        key = a * a / KEYS * a / KEYS;
        if (look_up(map, key))
            hits++;
        else
            assert_int_equal(put(map, key, MAP_ANY), 0);
        if (used[key]) {
            exact_hits++;
        } else if (held < SIZE) {
            held++;
        } else {
            uint64_t oldest = 0;

            while (!used[oldest])
                oldest++;
            for (uint64_t i = oldest; i < KEYS; i++)
                if (used[i] && used[i] < used[oldest])
                    oldest = i;
            used[oldest] = 0;
        }
        used[key] = step;
    }
    assert_true(exact_hits > STEPS / 4);
    assert_true(hits > exact_hits - exact_hits / 20);
    map_put(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_map_takes_more),
        cmocka_unit_test(what_is_looked_up_stays),
        cmocka_unit_test(a_hot_key_survives_a_flood),
        cmocka_unit_test(a_host_leaves_no_mark),
        cmocka_unit_test(updates_of_what_is_there_drop_nothing),
        cmocka_unit_test(errors),
        cmocka_unit_test(hits_are_near_those_of_an_exact_lru),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
