/* Maps of things: programs and inner maps, their references and their ends. */
#include "vm/epoch.h"
#include "vm/maps/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct thing {
    int refs;
    bool dying;
    uint32_t id;
};

static void *get(void *p)
{
    struct thing *t = p;

    if (t->dying)
        return NULL;
    t->refs++;
    return t;
}

static void put(void *p)
{
    ((struct thing *)p)->refs--;
}

static uint32_t id(void *p)
{
    return ((struct thing *)p)->id;
}

static const struct map_elem_ops thing_ops = {.get = get, .put = put, .id = id};

static struct map *make(uint32_t type, uint32_t value, uint32_t max, const struct map_def *inner)
{
    struct map_def d = {.name = "t",
                        .type = type,
                        .key_size = 4,
                        .value_size = value,
                        .max_entries = max,
                        .inner = inner,
                        .spin_lock_off = -1};
    struct map *map = NULL;

    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    return map;
}

static void a_prog_array_holds_what_it_was_given(void **state)
{
    struct map *map = make(MAP_TYPE_PROG_ARRAY, 4, 4, NULL);
    struct thing a = {.id = 11}, b = {.id = 22}, dead = {.dying = true};
    uint32_t key = 1, far = 4, value = 0;

    (void)state;
    /* Without operations nothing can be held. */
    assert_int_equal(map_set_thing(map, &key, &a, MAP_ANY), -EINVAL);
    map->elem_ops = &thing_ops;
    assert_int_equal(map_set_thing(map, &key, &a, MAP_ANY), 0);
    assert_int_equal(a.refs, 1);
    assert_ptr_equal(map_prog_array_at(map, 1), &a);
    assert_null(map_prog_array_at(map, 0));
    assert_null(map_prog_array_at(map, 4));
    assert_null(map_prog_array_at(map, UINT32_MAX));
    assert_int_equal(map_host_lookup(map, &key, &value, 0), 0);
    assert_int_equal(value, 11);
    assert_int_equal(map_host_lookup(map, &far, &value, 0), -ENOENT);
    assert_int_equal(map_host_update(map, &key, &value, 0), -EBADF);
    assert_int_equal(map_set_thing(map, &far, &a, MAP_ANY), -E2BIG);
    assert_int_equal(map_set_thing(map, &key, &a, MAP_NOEXIST), -EINVAL);
    assert_int_equal(map_set_thing(map, &key, &dead, MAP_ANY), -EINVAL);
    assert_int_equal(a.refs, 1);
    assert_int_equal(map_set_thing(map, &key, &b, MAP_ANY), 0);
    assert_int_equal(a.refs, 0);
    assert_int_equal(b.refs, 1);
    assert_int_equal(map_set_thing(map, &key, NULL, MAP_ANY), 0);
    assert_int_equal(b.refs, 0);
    assert_int_equal(map_set_thing(map, &key, NULL, MAP_ANY), -ENOENT);
    assert_int_equal(map_host_delete(map, &far), -E2BIG);
    /* Cleared, and used again, and destroyed. */
    for (key = 0; key < 4; key++)
        assert_int_equal(map_set_thing(map, &key, &a, MAP_ANY), 0);
    assert_int_equal(a.refs, 4);
    map_clear_things(map);
    assert_int_equal(a.refs, 0);
    key = 2;
    assert_int_equal(map_set_thing(map, &key, &b, MAP_ANY), 0);
    map_put(map);
    assert_int_equal(b.refs, 0);
}

static void a_frozen_map_takes_nothing(void **state)
{
    struct map *map = make(MAP_TYPE_PROG_ARRAY, 4, 4, NULL);
    struct thing a = {0};
    uint32_t key = 0;

    (void)state;
    map->elem_ops = &thing_ops;
    assert_int_equal(map_set_thing(map, &key, &a, MAP_ANY), 0);
    assert_int_equal(map_freeze(map), 0);
    assert_int_equal(map_set_thing(map, &key, &a, MAP_ANY), -EPERM);
    assert_int_equal(map_host_delete(map, &key), -EPERM);
    map_put(map);
    assert_int_equal(a.refs, 0);
}

static void inner_maps_are_found_and_let_go(void **state)
{
    (void)state;
    for (uint32_t type = MAP_TYPE_ARRAY_OF_MAPS; type <= MAP_TYPE_HASH_OF_MAPS; type++) {
        struct map *inner = make(MAP_TYPE_ARRAY, 8, 2, NULL), *other = make(MAP_TYPE_ARRAY, 8, 3, NULL);
        struct map *map = make(type, 4, 3, &inner->def);
        uint32_t key = 1, value = 0, zero = 0;
        struct epoch_slot *s;
        struct map *found;
        struct map_region r;

        inner->id = 33;
        assert_int_equal(map_set_thing(map, &key, other, MAP_ANY), -EINVAL);
        assert_int_equal(map_set_thing(map, &key, inner, MAP_ANY), 0);
        assert_int_equal(inner->refs, 2);
        assert_int_equal(map_host_lookup(map, &key, &value, 0), 0);
        assert_int_equal(value, 33);
        assert_int_equal(map_host_update(map, &key, &value, 0), -EBADF);
        assert_false(map->ops->find_region(map, (uintptr_t)inner, &r));
        s = epoch_enter();
        assert_ptr_equal(map->ops->lookup(map, &key, 0), inner);
        assert_null(map->ops->lookup(map, &zero, 0));
        /* Taken out and given up while this section goes on: it is still there for it. */
        found = map->ops->lookup(map, &key, 0);
        assert_int_equal(map_host_delete(map, &key), 0);
        map_put(inner);
        assert_null(map->ops->lookup(map, &key, 0));
        assert_non_null(found->ops->lookup(found, &zero, 0));
        assert_int_equal(found->def.max_entries, 2);
        epoch_exit(s);
        epoch_drain();
        /* One that stays inside goes with the outer one. */
        inner = make(MAP_TYPE_ARRAY, 8, 2, NULL);
        for (key = 0; key < 3; key++)
            assert_int_equal(map_set_thing(map, &key, inner, MAP_ANY), 0);
        key = 7;
        if (type == MAP_TYPE_HASH_OF_MAPS) {
            assert_int_equal(map_set_thing(map, &key, inner, MAP_ANY), -E2BIG);
            assert_int_equal(map_set_thing(map, &key, inner, MAP_EXIST), -ENOENT);
            key = 2;
            assert_int_equal(map_set_thing(map, &key, inner, MAP_NOEXIST), -EEXIST);
            assert_int_equal(map_set_thing(map, &key, inner, MAP_EXIST), 0);
        }
        assert_int_equal(inner->refs, 4);
        map_put(inner);
        map_put(other);
        map_put(map);
    }
    epoch_drain();
}

static void inner_definitions(void **state)
{
    struct map_def in = {.type = MAP_TYPE_HASH_OF_MAPS, .key_size = 4, .value_size = 4, .max_entries = 1};
    struct map_def d = {.name = "o",
                        .type = MAP_TYPE_ARRAY_OF_MAPS,
                        .key_size = 4,
                        .value_size = 4,
                        .max_entries = 1,
                        .inner = &in,
                        .spin_lock_off = -1};

    (void)state;
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
    in.type = MAP_TYPE_PROG_ARRAY;
    assert_int_equal(map_def_check(&d, NULL), -ENOTSUPP);
    in.type = MAP_TYPE_UNSPEC;
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
    in.type = MAP_TYPE_RINGBUF;
    assert_int_equal(map_def_check(&d, NULL), 0);
    d.inner = NULL;
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prog_array_holds_what_it_was_given),
        cmocka_unit_test(a_frozen_map_takes_nothing),
        cmocka_unit_test(inner_maps_are_found_and_let_go),
        cmocka_unit_test(inner_definitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
