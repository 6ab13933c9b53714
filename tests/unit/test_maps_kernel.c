/*
 * The running kernel as the oracle: the same maps made here and with bpf(2), the same operations on both, and the same
 * errors and values expected of both. Skips where bpf(2) is not allowed.
 */
#include "tests/unit/kernel_maps.h"

static const uint32_t types[] = {
    MAP_TYPE_HASH,         MAP_TYPE_ARRAY,    MAP_TYPE_PROG_ARRAY,      MAP_TYPE_PERF_EVENT_ARRAY, MAP_TYPE_PERCPU_HASH,
    MAP_TYPE_PERCPU_ARRAY, MAP_TYPE_LRU_HASH, MAP_TYPE_LRU_PERCPU_HASH, MAP_TYPE_RINGBUF};

static void creation_sizes(void **state)
{
    static const uint32_t keys[] = {0, 1, 3, 4, 5, 8, 16, 511, 512, 513, 4096, 4194304 - 49, 4194304 - 48, 4194304};
    static const uint32_t values[] = {0, 1, 4, 5, 8, 4096, 32761, 32768, 32769, 4194304 - 53, 4194304 - 52, 4194304};
    static const uint32_t maxes[] = {0, 1, 2, 3, 4096, 8192, 12288};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t k = 0; k < COUNT(keys); k++)
            for (size_t v = 0; v < COUNT(values); v++)
                for (size_t m = 0; m < COUNT(maxes); m++) {
                    struct map_def d = def_of(types[t], keys[k], values[v], maxes[m], 0);

                    if ((uint64_t)d.max_entries * ((uint64_t)d.key_size + d.value_size) < 4 << 20 || m < 2)
                        same_creation(&d);
                }
}

static void creation_limits(void **state)
{
    static const uint32_t hashes[] = {MAP_TYPE_HASH, MAP_TYPE_PERCPU_HASH, MAP_TYPE_LRU_HASH, MAP_TYPE_LRU_PERCPU_HASH};
    struct map_def d;

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(hashes); t++)
        for (unsigned i = 0; i < 4; i++) {
            static const uint32_t maxes[] = {(1u << 27) + 1, 1u << 28, 1u << 31, UINT32_MAX};

            d = def_of(hashes[t], 4, 4, maxes[i], 0);
            same_creation(&d);
        }
    d = def_of(MAP_TYPE_ARRAY, 4, 1u << 31, 1, 0);
    same_creation(&d);
    d = def_of(MAP_TYPE_ARRAY, 4, UINT32_MAX, 1, 0);
    same_creation(&d);
    d = def_of(MAP_TYPE_PERCPU_ARRAY, 4, UINT32_MAX, 1, 0);
    same_creation(&d);
    d = def_of(MAP_TYPE_HASH, 4, UINT32_MAX, 1, 0);
    same_creation(&d);
    d = def_of(MAP_TYPE_HASH, UINT32_MAX, UINT32_MAX, 1, 0);
    same_creation(&d);
    for (uint32_t type = MAP_TYPE_HASH; type <= MAP_TYPE_RINGBUF; type += MAP_TYPE_RINGBUF - MAP_TYPE_HASH) {
        d = def_of(type, type == MAP_TYPE_HASH ? 4 : 0, type == MAP_TYPE_HASH ? 4 : 0, 4096, 0);
        d.extra = 1;
        same_creation(&d);
    }
    d = def_of(MAP_TYPE_UNSPEC, 4, 4, 1, 0);
    same_creation(&d);
    d = def_of(1000, 4, 4, 1, 0);
    assert_int_equal(k_create(&d, -1), -EINVAL);
    assert_int_equal(map_def_check(&d, NULL), -EINVAL);
}

static void creation_flags(void **state)
{
    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(types); t++)
        for (uint32_t flags = 0; flags < 1u << 13; flags++) {
            bool ring = types[t] == MAP_TYPE_RINGBUF;
            struct map_def d = def_of(types[t], ring ? 0 : 4, ring ? 0 : 4, ring ? 4096 : 4, flags);

            /* All single bits and pairs, and whatever else stands among the low ones. */
            if (__builtin_popcount(flags) <= 2 || flags < 1u << 6)
                same_creation(&d);
        }
    for (unsigned bit = 13; bit < 32; bit++) {
        struct map_def d = def_of(MAP_TYPE_ARRAY, 4, 4, 4, 1u << bit);

        if (bit < 14 || bit > 18) /* those of descriptors and objects, which mean nothing without one */
            same_creation(&d);
    }
}

static void creation_of_maps_of_maps(void **state)
{
    static const uint32_t outer[] = {MAP_TYPE_ARRAY_OF_MAPS, MAP_TYPE_HASH_OF_MAPS};

    (void)state;
    need_bpf();
    for (unsigned o = 0; o < 2; o++)
        for (size_t t = 0; t < COUNT(types); t++)
            for (uint32_t flags = 0; flags < 1u << 13; flags = flags ? flags << 1 : 1)
                for (uint32_t size = 4; size <= 8; size += 4) {
                    bool ring = types[t] == MAP_TYPE_RINGBUF;
                    struct map_def in = def_of(types[t], ring ? 0 : 4, ring ? 0 : 4, 4096, 0);
                    struct map_def d = def_of(outer[o], 4, size, 4, flags);
                    int inner = k_create(&in, -1), theirs, ours;
                    struct map *map = NULL;

                    assert_true(inner >= 0);
                    theirs = k_create(&d, inner);
                    d.inner = &in;
                    ours = map_create(&d, n_cpus, NULL, &map);
                    if (theirs >= 0) {
                        close(theirs);
                        theirs = 0;
                    }
                    close(inner);
                    if (theirs != ours)
                        fail_msg("%s of %s, value %u flags 0x%x: kernel %d, here %d", map_type_name(d.type),
                                 map_type_name(in.type), size, flags, theirs, ours);
                    if (map)
                        map_put(map);
                }
}

enum { KEYS = 24, MAX_VALUE = 64 * 64 };

static void same_operations(uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t max, uint32_t flags,
                            int rounds)
{
    static const uint64_t op_flags[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 8, 1ull << 32};
    static unsigned char in[MAX_VALUE], ours[MAX_VALUE], theirs[MAX_VALUE];
    struct map_def d = def_of(type, key_size, value_size, max, flags);
    struct map *map;
    int fd = k_create(&d, -1), a, b;
    uint32_t size;

    assert_true(fd >= 0);
    assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
    size = map_host_value_size(map);
    assert_true(size <= MAX_VALUE);
    for (int i = 0; i < rounds; i++) {
        uint32_t key[5] = {rnd(KEYS), 7, 7, 7, 7}, op = rnd(16);
        uint64_t fl = op_flags[rnd(COUNT(op_flags))];

        for (uint32_t j = 0; j < size; j++)
            in[j] = (unsigned char)rnd(256);
        memset(ours, 0x55, sizeof(ours));
        memset(theirs, 0x55, sizeof(theirs));
        switch (op) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
            a = map_host_update(map, key, in, fl);
            b = k_op(BPF_MAP_UPDATE_ELEM, fd, key, in, fl);
            break;
        case 6:
        case 7:
        case 8:
            a = map_host_delete(map, key);
            b = k_delete(fd, key);
            break;
        case 9:
            a = map_host_lookup_and_delete(map, key, ours, fl);
            b = k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, theirs, fl);
            break;
        case 10:
            a = keys_here(map) == keys_there(fd) ? 0 : 1;
            b = 0;
            break;
        default:
            fl = rnd(4) ? 0 : fl;
            a = map_host_lookup(map, key, ours, fl);
            b = k_op(BPF_MAP_LOOKUP_ELEM, fd, key, theirs, fl);
            break;
        }
        if (a != b || memcmp(ours, theirs, sizeof(ours)))
            fail_msg("%s key %u: operation %d (kind %u, flags %llx, key %u): kernel %d, here %d", map_type_name(type),
                     key_size, i, op, (unsigned long long)fl, key[0], b, a);
    }
    assert_int_equal(map_freeze(map), k_freeze(fd));
    assert_int_equal(map_freeze(map), k_freeze(fd));
    {
        uint32_t key[5] = {1, 7, 7, 7, 7};

        assert_int_equal(map_host_update(map, key, in, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, key, in, 0));
        assert_int_equal(map_host_update(map, key, in, 4), k_op(BPF_MAP_UPDATE_ELEM, fd, key, in, 4));
        assert_int_equal(map_host_delete(map, key), k_delete(fd, key));
        assert_int_equal(map_host_lookup_and_delete(map, key, ours, 0),
                         k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, theirs, 0));
    }
    map_put(map);
    close(fd);
}

static void operations(void **state)
{
    (void)state;
    need_bpf();
    if (n_cpus > 64)
        skip();
    for (uint32_t key_size = 4; key_size <= 20; key_size += 4) {
        same_operations(MAP_TYPE_HASH, key_size, 8, 16, 0, 3000);
        same_operations(MAP_TYPE_HASH, key_size, 13, 16, MAP_F_NO_PREALLOC, 3000);
        same_operations(MAP_TYPE_PERCPU_HASH, key_size, 12, 16, 0, 3000);
        same_operations(MAP_TYPE_PERCPU_HASH, key_size, 5, 16, MAP_F_NO_PREALLOC, 3000);
    }
    same_operations(MAP_TYPE_HASH, 5, 1, 1, 0, 3000);
    same_operations(MAP_TYPE_HASH, 8, 8, 3, 0, 3000);
    same_operations(MAP_TYPE_ARRAY, 4, 13, 16, 0, 3000);
    same_operations(MAP_TYPE_ARRAY, 4, 8, 1, 0, 1000);
    same_operations(MAP_TYPE_PERCPU_ARRAY, 4, 12, 16, 0, 3000);
    /* So large that the kernel evicts nothing. */
    same_operations(MAP_TYPE_LRU_HASH, 8, 8, 4096, 0, 3000);
    same_operations(MAP_TYPE_LRU_PERCPU_HASH, 8, 12, 4096, 0, 3000);
    same_operations(MAP_TYPE_LRU_PERCPU_HASH, 4, 8, 4096, MAP_F_NO_COMMON_LRU, 3000);
}

static void access_flags(void **state)
{
    static const uint32_t some[] = {MAP_TYPE_HASH, MAP_TYPE_ARRAY, MAP_TYPE_PERCPU_HASH};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(some); t++)
        for (uint32_t flag = MAP_F_RDONLY; flag <= MAP_F_WRONLY_PROG; flag <<= 1) {
            struct map_def d = def_of(some[t], 4, 8, 4, flag);
            unsigned char value[64 * 64] = {0};
            struct map *map;
            uint32_t key = 1;
            int fd;

            if (flag != MAP_F_RDONLY && flag != MAP_F_WRONLY && flag != MAP_F_RDONLY_PROG && flag != MAP_F_WRONLY_PROG)
                continue;
            fd = k_create(&d, -1);
            assert_true(fd >= 0);
            assert_int_equal(map_create(&d, n_cpus > 64 ? 64 : n_cpus, NULL, &map), 0);
            assert_int_equal(map_host_update(map, &key, value, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, &key, value, 0));
            assert_int_equal(map_host_lookup(map, &key, value, 0), k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, value, 0));
            assert_int_equal(map_host_lookup(map, &key, value, 8), k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, value, 8));
            assert_int_equal(map_host_lookup(map, &key, value, 4), k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, value, 4));
            assert_int_equal(map_host_next_key(map, NULL, value), k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, value, 0));
            assert_int_equal(map_host_lookup_and_delete(map, &key, value, 0),
                             k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, &key, value, 0));
            assert_int_equal(map_host_delete(map, &key), k_delete(fd, &key));
            assert_int_equal(map_freeze(map), k_freeze(fd));
            assert_int_equal(map_freeze(map), k_freeze(fd));
            map_put(map);
            close(fd);
        }
}

/* Types whose elements are no bytes: what each refuses, and how. */
static void operations_of_others(void **state)
{
    static const uint32_t some[] = {MAP_TYPE_RINGBUF, MAP_TYPE_PERF_EVENT_ARRAY, MAP_TYPE_PROG_ARRAY};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(some); t++) {
        bool ring = some[t] == MAP_TYPE_RINGBUF;
        struct map_def d = def_of(some[t], ring ? 0 : 4, ring ? 0 : 4, ring ? 4096 : 4, 0);
        struct map *map;
        int fd = k_create(&d, -1);

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        for (uint32_t i = 0; i < 6; i++) {
            uint32_t key = i, value = 0, next = 77, their_next = 77;
            const void *k = ring ? NULL : &key;
            void *v = ring ? NULL : &value;

            assert_int_equal(map_host_lookup(map, k, v, 0), k_op(BPF_MAP_LOOKUP_ELEM, fd, k, v, 0));
            assert_int_equal(map_host_delete(map, k), k_delete(fd, k));
            assert_int_equal(map_host_lookup_and_delete(map, k, v, 0),
                             k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, k, v, 0));
            assert_int_equal(map_host_next_key(map, k, ring ? NULL : &next),
                             k_op(BPF_MAP_GET_NEXT_KEY, fd, k, ring ? NULL : &their_next, 0));
            assert_int_equal(next, their_next);
            if (ring)
                assert_int_equal(map_host_update(map, k, v, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, k, v, 0));
        }
        map_put(map);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_sizes),           cmocka_unit_test(creation_limits), cmocka_unit_test(creation_flags),
        cmocka_unit_test(creation_of_maps_of_maps), cmocka_unit_test(operations),      cmocka_unit_test(access_flags),
        cmocka_unit_test(operations_of_others),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
