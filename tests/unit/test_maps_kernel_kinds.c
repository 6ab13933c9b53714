/*
 * The running kernel as the oracle of maps that are no plain tables: what may be created, and what each operation says.
 * Skips where bpf(2) is not allowed.
 */
#include "tests/unit/kernel_maps.h"

/* A definition of each type that is taken. */
static const struct kind {
    uint32_t type, key, value, max, flags;
} kinds[] = {
    {MAP_TYPE_QUEUE, 0, 8, 8, 0},
    {MAP_TYPE_STACK, 0, 8, 8, 0},
    {MAP_TYPE_BLOOM_FILTER, 0, 8, 8, 0},
};

static struct map_def def_of_kind(const struct kind *k)
{
    return def_of(k->type, k->key, k->value, k->max, k->flags);
}

static void creation_sizes(void **state)
{
    static const uint32_t keys[] = {0, 1, 4, 5, 8, 16, 260, 261, 512, 513};
    static const uint32_t values[] = {0, 1, 4, 5, 8, 16, 4096, 4194304, 4194305};
    static const uint32_t maxes[] = {0, 1, 2, 3, 4096, 8192, 12288};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(kinds); t++)
        for (size_t k = 0; k < COUNT(keys); k++)
            for (size_t v = 0; v < COUNT(values); v++)
                for (size_t m = 0; m < COUNT(maxes); m++) {
                    struct map_def d = def_of(kinds[t].type, keys[k], values[v], maxes[m], kinds[t].flags);

                    if ((uint64_t)d.max_entries * ((uint64_t)d.key_size + d.value_size) < 16 << 20)
                        same_creation(&d);
                }
}

static void creation_flags(void **state)
{
    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(kinds); t++)
        for (uint32_t flags = 0; flags < 1u << 14; flags++) {
            struct map_def d = def_of_kind(&kinds[t]);

            d.flags = flags;
            /* All single bits and pairs, and whatever else stands among the low ones. */
            if (__builtin_popcount(flags) <= 2 || flags < 1u << 5)
                same_creation(&d);
        }
}

static void creation_extra(void **state)
{
    static const uint64_t extras[] = {1, 5, 15, 16, 1ull << 32, UINT64_MAX};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(kinds); t++)
        for (size_t i = 0; i < COUNT(extras); i++) {
            struct map_def d = def_of_kind(&kinds[t]);

            d.extra = extras[i];
            same_creation(&d);
        }
}

/* What a map inside another must be. */
static void creation_of_maps_of_maps(void **state)
{
    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(kinds); t++) {
        struct map_def in = def_of_kind(&kinds[t]), d = def_of(MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 4, 0);
        int inner = k_create(&in, -1), theirs, ours;
        struct map *map = NULL;

        assert_true(inner >= 0);
        theirs = k_create(&d, inner);
        d.inner = &in;
        ours = map_create(&d, n_cpus, NULL, &map);
        if (theirs >= 0)
            close(theirs);
        close(inner);
        map_put(map);
        if ((theirs < 0 ? theirs : 0) != ours)
            fail_msg("array of %s: kernel %d, here %d", map_type_name(in.type), theirs, ours);
    }
}

/* QUEUE and STACK: the same values come out in the same order. */
static void queues(void **state)
{
    static const uint32_t types[] = {MAP_TYPE_QUEUE, MAP_TYPE_STACK}, sizes[] = {1, 4, 8, 13}, maxes[] = {1, 2, 5};
    static const uint64_t all_flags[] = {0, 0, 0, 0, 1, 2, 2, 3, 4, 8, 1ull << 32, (1ull << 32) + 2};

    (void)state;
    need_bpf();
    for (unsigned i = 0; i < COUNT(types) * COUNT(sizes) * COUNT(maxes); i++) {
        struct map_def d = def_of(types[i % 2], 0, sizes[i / 2 % 4], maxes[i / 8], 0);
        int fd = k_create(&d, -1), a = 0, b = 0;
        struct map *map;

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        for (int step = 0; step < 2000; step++) {
            uint64_t value[2] = {rnd(1u << 30), rnd(1u << 30)}, ours[2] = {7, 7}, theirs[2] = {7, 7};
            uint64_t flags = all_flags[rnd(COUNT(all_flags))];
            uint32_t op = rnd(8);

            switch (op) {
            case 0:
            case 1:
            case 2:
                a = map_host_update(map, NULL, value, flags);
                b = k_op(BPF_MAP_UPDATE_ELEM, fd, NULL, value, flags);
                break;
            case 3:
            case 4:
                flags = rnd(4) ? 0 : flags;
                a = map_host_lookup_and_delete(map, NULL, ours, flags);
                b = k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, NULL, theirs, flags);
                break;
            case 5:
                a = map_host_delete(map, NULL);
                b = k_delete(fd, NULL);
                break;
            case 6:
                a = map_host_next_key(map, NULL, ours);
                b = k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, theirs, 0);
                break;
            default:
                flags = rnd(4) ? 0 : flags;
                a = map_host_lookup(map, NULL, ours, flags);
                b = k_op(BPF_MAP_LOOKUP_ELEM, fd, NULL, theirs, flags);
                break;
            }
            if (a != b || memcmp(ours, theirs, sizeof(ours)))
                fail_msg("%s of %u values of %u bytes: step %d (kind %u, flags %llx): kernel %d, here %d",
                         map_type_name(d.type), d.max_entries, d.value_size, step, op, (unsigned long long)flags, b, a);
        }
        assert_int_equal(map_freeze(map), k_freeze(fd));
        assert_int_equal(map_host_update(map, NULL, &d, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, NULL, &d, 0));
        map_put(map);
        close(fd);
    }
}

/* A filter never denies what was put in, and seldom affirms what was not. */
static void filters(void **state)
{
    static const uint32_t sizes[] = {1, 4, 7, 8, 9, 16, 30};
    static const uint64_t flags[] = {0, 1, 2, 4, 1ull << 32};

    (void)state;
    need_bpf();
    for (unsigned s = 0; s < COUNT(sizes); s++)
        for (uint64_t extra = 0; extra < 16; extra += 5) {
            struct map_def d = def_of(MAP_TYPE_BLOOM_FILTER, 0, sizes[s], 1000, 0);
            unsigned char value[32] = {0}, next[8];
            unsigned wrong = 0;
            struct map *map;
            int fd;

            d.extra = extra;
            fd = k_create(&d, -1);
            assert_true(fd >= 0);
            assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
            for (unsigned i = 0; i < COUNT(flags); i++) {
                memset(value, 0xee, sizeof(value));
                assert_int_equal(map_host_update(map, NULL, value, flags[i]),
                                 k_op(BPF_MAP_UPDATE_ELEM, fd, NULL, value, flags[i]));
                assert_int_equal(map_host_lookup(map, NULL, value, flags[i]),
                                 k_op(BPF_MAP_LOOKUP_ELEM, fd, NULL, value, flags[i]));
            }
            assert_int_equal(map_host_delete(map, NULL), k_delete(fd, NULL));
            assert_int_equal(map_host_lookup_and_delete(map, NULL, value, 0),
                             k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, NULL, value, 0));
            assert_int_equal(map_host_next_key(map, NULL, next), k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, next, 0));
            memset(value, 0, sizeof(value));
            for (uint32_t i = 0; i < 1000 && (d.value_size > 1 || i < 100); i++) {
                memcpy(value + (d.value_size > 4 ? d.value_size - 4 : 0), &i, d.value_size < 4 ? 1 : 4);
                assert_int_equal(map_host_update(map, NULL, value, 0), 0);
                assert_int_equal(map_host_lookup(map, NULL, value, 0), 0);
            }
            for (uint32_t i = 1000; i < 3000 && d.value_size > 1; i++) {
                memcpy(value + (d.value_size > 4 ? d.value_size - 4 : 0), &i, 4);
                wrong += !map_host_lookup(map, NULL, value, 0);
            }
            if (wrong > (extra == 0 ? 100 : 400))
                fail_msg("values of %u bytes, %llu bits each: %u of 2000 are said to be there", d.value_size,
                         (unsigned long long)extra, wrong);
            map_put(map);
            close(fd);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_sizes),           cmocka_unit_test(creation_flags), cmocka_unit_test(creation_extra),
        cmocka_unit_test(creation_of_maps_of_maps), cmocka_unit_test(queues),         cmocka_unit_test(filters),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
