/*
 * Arenas and rings that the host fills: what makes one, beside the running kernel's; pages, and memory that is not
 * there; and an arena under threads that allocate, free, write and look. Comparisons skip where bpf(2) is not allowed.
 */
#include "tests/unit/kernel_maps.h"
#include "vm/maps/arena.h"
#include "vm/maps/user_ringbuf.h"

#include <pthread.h>

static void making(void **state)
{
    static const uint64_t starts[] = {
        0, 4096, 4095, 1ull << 32, (1ull << 44) + 1, (1ull << 44) + (3u << 30), 0xfffff000ull, 1ull << 44};
    static const uint32_t sizes[] = {0, 1, 2, 4096, 1 << 18, (1 << 18) + 1, 1 << 20, (1 << 20) + 1, UINT32_MAX};
    struct map_def d;

    (void)state;
    need_bpf();
    for (size_t i = 0; i < COUNT(starts); i++)
        for (size_t j = 0; j < COUNT(sizes); j++) {
            d = def_of(MAP_TYPE_ARENA, 0, 0, sizes[j], MAP_F_MMAPABLE);
            d.extra = starts[i];
            same_creation(&d);
        }
    for (unsigned bit = 0; bit < 19; bit++) {
        d = def_of(MAP_TYPE_ARENA, 0, 0, 4, MAP_F_MMAPABLE ^ 1u << bit);
        same_creation(&d);
    }
    d = def_of(MAP_TYPE_ARENA, 4, 0, 4, MAP_F_MMAPABLE);
    same_creation(&d);
    d = def_of(MAP_TYPE_ARENA, 0, 4, 4, MAP_F_MMAPABLE);
    same_creation(&d);
    for (uint32_t size = 0; size <= 16384; size += 2048)
        for (unsigned bit = 0; bit < 14; bit++) {
            d = def_of(MAP_TYPE_USER_RINGBUF, 0, 0, size, bit ? 1u << (bit - 1) : 0);
            same_creation(&d);
        }
    d = def_of(MAP_TYPE_USER_RINGBUF, 4, 0, 4096, 0);
    same_creation(&d);
    d = def_of(MAP_TYPE_USER_RINGBUF, 0, 4, 4096, 0);
    same_creation(&d);
}

/* Neither has elements to be had one by one. */
static void elements(void **state)
{
    static const uint32_t types[] = {MAP_TYPE_ARENA, MAP_TYPE_USER_RINGBUF};
    uint32_t key = 0, value[2] = {0};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(types); t++) {
        bool arena = types[t] == MAP_TYPE_ARENA;
        struct map_def d = def_of(types[t], 0, 0, arena ? 4 : 4096, arena ? MAP_F_MMAPABLE : 0);
        int fd = k_create(&d, -1);
        struct map *map;

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        assert_int_equal(map_host_lookup(map, &key, value, 0), k_op(BPF_MAP_LOOKUP_ELEM, fd, NULL, value, 0));
        assert_int_equal(map_host_update(map, &key, value, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, NULL, value, 0));
        assert_int_equal(map_host_delete(map, &key), k_delete(fd, NULL));
        assert_int_equal(map_host_next_key(map, NULL, value), k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, value, 0));
        map_put(map);
        close(fd);
    }
}

static struct map *make(uint32_t pages, uint32_t flags, uint64_t start)
{
    struct map_def d = def_of(MAP_TYPE_ARENA, 0, 0, pages, MAP_F_MMAPABLE | flags);
    struct map *map;

    d.extra = start;
    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    return map;
}

static void pages(void **state)
{
    const uint64_t start = (7ull << 32) + (1u << 31);
    struct map *map = make(8, 0, start);
    const struct map_arena *a = map->priv;
    unsigned char *p;

    (void)state;
    assert_int_equal(map_arena_start(map), start);
    assert_null(map_arena_at(a, start, 0, 1));
    assert_int_equal(map_arena_alloc(map, 0, 3), start);
    assert_int_equal(map_arena_alloc(map, start + ARENA_PAGE, 1), 0);
    assert_int_equal(map_arena_alloc(map, start + 3 * ARENA_PAGE + 1, 1), 0);
    assert_int_equal(map_arena_alloc(map, start + 4 * ARENA_PAGE, 1), start + 4 * ARENA_PAGE);
    assert_int_equal(map_arena_alloc(map, 0, 2), start + 5 * ARENA_PAGE);
    assert_int_equal(map_arena_alloc(map, 0, 2), 0);
    assert_int_equal(map_arena_alloc(map, 0, 0), 0);
    assert_int_equal(map_arena_alloc(map, start + 7 * ARENA_PAGE, 2), 0);
    assert_int_equal(map_arena_alloc(map, start - ARENA_PAGE, 1), 0);
    /* Lower halves are what counts, and the two ends of an access. */
    assert_ptr_equal(map_arena_at(a, start, 5, 1), a->base + 5);
    assert_ptr_equal(map_arena_at(a, (uint32_t)start, 5, 1), a->base + 5);
    assert_ptr_equal(map_arena_at(a, start + ARENA_PAGE, -8, 8), a->base + ARENA_PAGE - 8);
    assert_non_null(map_arena_at(a, start, ARENA_PAGE - 4, 8));
    assert_null(map_arena_at(a, start, 3 * ARENA_PAGE - 4, 8));
    assert_null(map_arena_at(a, start, 4 * ARENA_PAGE - 4, 8));
    assert_null(map_arena_at(a, start, -1, 1));
    assert_null(map_arena_at(a, start + 8 * ARENA_PAGE, -4, 8));
    assert_null(map_arena_at(a, 0, 0, 1));
    assert_null(map_arena_at(a, UINT32_MAX, 32767, 8));
    /* What was freed is zero when it comes back. */
    p = map_arena_at(a, start, 100, 1);
    *p = 7;
    map_arena_free(map, start, 1);
    assert_null(map_arena_at(a, start, 100, 1));
    assert_int_equal(map_arena_alloc(map, start, 1), start);
    assert_int_equal(*p, 0);
    assert_int_equal(map_arena_reserve(map, start + ARENA_PAGE, 1), -EBUSY);
    assert_int_equal(map_arena_reserve(map, start + 7 * ARENA_PAGE, 2), -EINVAL);
    assert_int_equal(map_arena_reserve(map, start + 7 * ARENA_PAGE, 1), 0);
    assert_int_equal(map_arena_reserve(map, start + 7 * ARENA_PAGE, 1), -EBUSY);
    assert_int_equal(map_arena_reserve(map, start + 7 * ARENA_PAGE + 1, 1), 0); /* as Linux says of no page's address */
    assert_int_equal(map_arena_alloc(map, start + 7 * ARENA_PAGE, 1), 0);
    assert_null(map_arena_touch(map, start + 7 * ARENA_PAGE, 1));
    map_arena_free(map, start + 6 * ARENA_PAGE, 100);
    assert_int_equal(map_arena_alloc(map, start + 7 * ARENA_PAGE, 1), start + 7 * ARENA_PAGE);
    map_put(map);
}

static void touching(void **state)
{
    struct map *map = make(4, 0, 0), *strict = make(4, MAP_F_SEGV_ON_FAULT, 1ull << 32);
    uint64_t start = map_arena_start(map);
    unsigned char *p = map_arena_touch(map, start + 100, ARENA_PAGE);

    (void)state;
    assert_non_null(p);
    p[0] = 1;
    p[ARENA_PAGE - 1] = 2;
    assert_int_equal(*map_arena_at(map->priv, start, 100, 1), 1);
    assert_int_equal(map_arena_alloc(map, 0, 1), start + 2 * ARENA_PAGE);
    assert_null(map_arena_touch(map, start + 4 * ARENA_PAGE, 1));
    assert_null(map_arena_touch(map, start, 0));
    assert_null(map_arena_touch(map, start, 1ull << 40));
    assert_null(map_arena_touch(strict, 1ull << 32, 1));
    assert_int_equal(map_arena_alloc(strict, 0, 1), 1ull << 32);
    assert_non_null(map_arena_touch(strict, 1ull << 32, 1));
    map_put(map);
    map_put(strict);
}

/* Pages count against what a map may take, not the room for them. */
static void memory(void **state)
{
    struct map *map;

    (void)state;
    map_set_limit(16 * ARENA_PAGE);
    map = make(1 << 15, 0, 0);
    assert_true(map_arena_alloc(map, 0, 16) != 0);
    assert_int_equal(map_arena_alloc(map, 0, 1), 0);
    assert_null(map_arena_touch(map, map_arena_start(map) + 100 * ARENA_PAGE, 1));
    map_arena_free(map, map_arena_start(map), 4);
    assert_true(map_arena_alloc(map, 0, 4) != 0);
    map_put(map);
    map_set_limit(4ull << 30);
}

struct worker {
    struct map *map;
    uint64_t seed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    uint64_t start = map_arena_start(w->map);

    for (int i = 0; i < 20000; i++) {
        uint64_t r = w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull, page = r >> 60;
        unsigned char *p;

        switch (r >> 40 & 3) {
        case 0:
            map_arena_alloc(w->map, r & 1 << 20 ? start + page * ARENA_PAGE : 0, 1 + (uint32_t)(r >> 30 & 1));
            break;
        case 1: map_arena_free(w->map, start + page * ARENA_PAGE, 1); break;
        default:
            p = map_arena_at(w->map->priv, start, (int64_t)(page * ARENA_PAGE + (r >> 20 & 0xff8)), 8);
            if (p)
                __atomic_fetch_add((uint64_t *)(void *)p, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void threads(void **state)
{
    struct worker w[3];
    pthread_t t[3];

    (void)state;
    w[0].map = make(16, 0, 0);
    for (int i = 0; i < 3; i++) {
        w[i] = (struct worker){w[0].map, (uint64_t)i + 1};
        assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    map_put(w[0].map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making),   cmocka_unit_test(elements), cmocka_unit_test(pages),
        cmocka_unit_test(touching), cmocka_unit_test(memory),   cmocka_unit_test(threads),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
