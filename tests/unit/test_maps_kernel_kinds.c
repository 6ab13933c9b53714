/*
 * The running kernel as the oracle of maps that are no plain tables: what may be created, and what each operation says.
 * Skips where bpf(2) is not allowed.
 */
#include "tests/unit/kernel_maps.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* A definition of each type that is taken. */
static const struct kind {
    uint32_t type, key, value, max, flags;
} kinds[] = {
    {MAP_TYPE_QUEUE, 0, 8, 8, 0},
    {MAP_TYPE_STACK, 0, 8, 8, 0},
    {MAP_TYPE_BLOOM_FILTER, 0, 8, 8, 0},
    {MAP_TYPE_LPM_TRIE, 8, 8, 8, MAP_F_NO_PREALLOC},
    {MAP_TYPE_DEVMAP, 4, 8, 8, 0},
    {MAP_TYPE_DEVMAP_HASH, 4, 8, 8, 0},
    {MAP_TYPE_CPUMAP, 4, 8, 8, 0},
    {MAP_TYPE_XSKMAP, 4, 4, 8, 0},
    {MAP_TYPE_SOCKMAP, 4, 8, 8, 0},
    {MAP_TYPE_SOCKHASH, 4, 8, 8, 0},
    {MAP_TYPE_REUSEPORT_SOCKARRAY, 4, 8, 8, 0},
};

static struct map_def def_of_kind(const struct kind *k)
{
    return def_of(k->type, k->key, k->value, k->max, k->flags);
}

static void creation_sizes(void **state)
{
    static const uint32_t keys[] = {0, 1, 4, 5, 8, 16, 260, 261, 512, 513};
    static const uint32_t values[] = {0, 1, 4, 5, 8, 16, 4096, 4194304 - 280, 4194304 - 279, 4194304, 4194305};
    static const uint32_t maxes[] = {0, 1, 2, 3, 4096, 8192, 12288};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(kinds); t++)
        for (size_t k = 0; k < COUNT(keys); k++)
            for (size_t v = 0; v < COUNT(values); v++)
                for (size_t m = 0; m < COUNT(maxes); m++) {
                    struct map_def d = def_of(kinds[t].type, keys[k], values[v], maxes[m], kinds[t].flags);

                    /* How many CPUs there may be is the kernel's configuration. */
                    if (d.type == MAP_TYPE_CPUMAP && d.max_entries > 3)
                        continue;
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

/* A prefix of up to 8 * size bits, mostly among a few, so that prefixes nest and part at every bit. */
static void make_prefix(unsigned char *key, uint32_t size, uint32_t round)
{
    uint32_t prefix = rnd(16) ? rnd(size * 8 + 1) : size * 8 + rnd(3);

    if (round % 4 == 1)
        prefix = size * 8;
    memcpy(key, &prefix, 4);
    memset(key + 4, rnd(8) ? 0 : 0xff, size);
    for (uint32_t i = rnd(4); i > 0; i--) {
        uint32_t bit = rnd(2) ? rnd(size * 8) : rnd(12);

        key[4 + bit / 8] ^= (unsigned char)(0x80 >> bit % 8);
    }
}

/* All keys in the order in which both yield them. */
static void same_order(struct map *map, int fd, uint32_t key_size)
{
    unsigned char key[260], ours[260], theirs[260];
    bool begun = false;
    int a, b;

    for (int i = 0; i < 2000; i++) {
        memset(ours, 0, sizeof(ours));
        memset(theirs, 0, sizeof(theirs));
        a = map_host_next_key(map, begun ? key : NULL, ours);
        b = k_op(BPF_MAP_GET_NEXT_KEY, fd, begun ? key : NULL, theirs, 0);
        if (a != b || memcmp(ours, theirs, key_size))
            fail_msg("key %d: kernel %d (/%d), here %d (/%d)", i, b, *(int *)theirs, a, *(int *)ours);
        if (a)
            return;
        memcpy(key, ours, key_size);
        begun = true;
    }
    fail_msg("no end");
}

static void tries_of(uint32_t size, uint32_t max, uint32_t rounds)
{
    static const uint64_t flags[] = {0, 0, 0, 0, 1, 2, 3, 4, 8, 1ull << 32};
    struct map_def d = def_of(MAP_TYPE_LPM_TRIE, size + 4, 8, max, MAP_F_NO_PREALLOC);
    int fd = k_create(&d, -1), a = 0, b = 0;
    struct map *map;

    assert_true(fd >= 0);
    assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        unsigned char key[260], next[260] = {0}, their_next[260] = {0};
        uint64_t value = rnd(1u << 30), ours = 7, theirs = 7, fl = flags[rnd(COUNT(flags))];
        uint32_t op = rnd(12);

        make_prefix(key, size, i);
        switch (op) {
        case 0:
        case 1:
        case 2:
        case 3:
            a = map_host_update(map, key, &value, fl);
            b = k_op(BPF_MAP_UPDATE_ELEM, fd, key, &value, fl);
            break;
        case 4:
        case 5:
        case 6:
            a = map_host_delete(map, key);
            b = k_delete(fd, key);
            break;
        case 7:
            a = map_host_next_key(map, key, next);
            b = k_op(BPF_MAP_GET_NEXT_KEY, fd, key, their_next, 0);
            break;
        default:
            a = map_host_lookup(map, key, &ours, 0);
            b = k_op(BPF_MAP_LOOKUP_ELEM, fd, key, &theirs, 0);
            break;
        }
        if (a != b || ours != theirs || memcmp(next, their_next, sizeof(next)))
            fail_msg("trie of %u bytes: step %u (kind %u, /%d, flags %llx): kernel %d, %llx, here %d, %llx", size, i,
                     op, *(int *)key, (unsigned long long)fl, b, (unsigned long long)theirs, a,
                     (unsigned long long)ours);
        if (i % 100 == 0)
            same_order(map, fd, size + 4);
    }
    same_order(map, fd, size + 4);
    /* All go again, and with them every node. */
    for (;;) {
        unsigned char key[260];

        if (map_host_next_key(map, NULL, key))
            break;
        assert_int_equal(map_host_delete(map, key), 0);
        assert_int_equal(k_delete(fd, key), 0);
    }
    same_order(map, fd, size + 4);
    map_put(map);
    close(fd);
}

static void tries(void **state)
{
    static const uint32_t sizes[] = {1, 2, 4, 5, 7, 8, 9, 16, 20, 24, 256};

    (void)state;
    need_bpf();
    for (size_t i = 0; i < COUNT(sizes); i++) {
        tries_of(sizes[i], 1000, 4000);
        tries_of(sizes[i], 20, 1000);
    }
}

/* Batches go on from a key. */
static void batches_of_tries(void **state)
{
    struct map_def d = def_of(MAP_TYPE_LPM_TRIE, 8, 8, 100, MAP_F_NO_PREALLOC);
    unsigned char keys[100][8], ours[100][8], theirs[100][8], token[260], their_token[8];
    uint64_t values[100], our_values[100], their_values[100];
    uint32_t a_count, b_count;
    union bpf_attr a;
    struct map *map;
    int fd, x, y = 0;

    (void)state;
    need_bpf();
    fd = k_create(&d, -1);
    assert_true(fd >= 0);
    assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t prefix = 8 + i % 25;

        memcpy(keys[i], &prefix, 4);
        memcpy(keys[i] + 4, (unsigned char[]){10, (unsigned char)(i * 37), (unsigned char)i, 0}, 4);
        values[i] = i;
        assert_int_equal(map_host_update(map, keys[i], &values[i], 0),
                         k_op(BPF_MAP_UPDATE_ELEM, fd, keys[i], &values[i], 0));
    }
    for (int round = 0; !y && round < 50; round++) {
        a_count = b_count = 7;
        memset(ours, 0, sizeof(ours));
        memset(theirs, 0, sizeof(theirs));
        x = map_host_lookup_batch(map, round ? token : NULL, token, ours, our_values, &a_count, 0);
        memset(&a, 0, sizeof(a));
        a.batch.map_fd = (uint32_t)fd;
        a.batch.in_batch = round ? (uintptr_t)their_token : 0;
        a.batch.out_batch = (uintptr_t)their_token;
        a.batch.keys = (uintptr_t)theirs;
        a.batch.values = (uintptr_t)their_values;
        a.batch.count = b_count;
        y = sys(BPF_MAP_LOOKUP_BATCH, &a);
        assert_int_equal(x, y);
        assert_int_equal(a_count, a.batch.count);
        assert_memory_equal(ours, theirs, 8 * a_count);
        assert_memory_equal(our_values, their_values, 8 * a_count);
    }
    assert_int_equal(y, -ENOENT);
    a_count = 3;
    assert_int_equal(map_host_lookup_and_delete_batch(map, NULL, token, ours, our_values, &a_count, 0), -ENOTSUPP);
    a.batch.count = 3;
    a.batch.in_batch = 0;
    assert_int_equal(sys(BPF_MAP_LOOKUP_AND_DELETE_BATCH, &a), -ENOTSUPP);
    a_count = 3;
    assert_int_equal(map_host_delete_batch(map, keys, &a_count, 0), 0);
    assert_int_equal(a_count, 3);
    map_put(map);
    close(fd);
}

/* Interfaces and CPUs: what is taken, what is read back, what is gone. */
static void targets(void **state)
{
    static const struct kind some[] = {
        {MAP_TYPE_DEVMAP, 4, 4, 4, 0},      {MAP_TYPE_DEVMAP, 4, 8, 4, 0}, {MAP_TYPE_DEVMAP_HASH, 4, 4, 2, 0},
        {MAP_TYPE_DEVMAP_HASH, 4, 8, 2, 0}, {MAP_TYPE_CPUMAP, 4, 4, 4, 0}, {MAP_TYPE_CPUMAP, 4, 8, 4, 0},
    };
    static const uint64_t flags[] = {0, 0, 0, 0, 1, 2, 3, 4, 8, 1ull << 32};
    static const uint32_t queues[] = {0, 1, 64, 16384, 16385};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(some); t++) {
        struct map_def d = def_of_kind(&some[t]);
        bool hash = d.type == MAP_TYPE_DEVMAP_HASH;
        int fd = k_create(&d, -1), a, b;
        struct map *map;

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        for (int i = 0; i < 3000; i++) {
            uint32_t key = rnd(6), ours[2] = {7, 7}, theirs[2] = {7, 7};
            /* Interface 1 is there everywhere; no program goes with it. */
            uint32_t value[2] = {d.type == MAP_TYPE_CPUMAP ? queues[rnd(COUNT(queues))] : rnd(2),
                                 rnd(2) ? 0 : UINT32_MAX};
            uint64_t fl = flags[rnd(COUNT(flags))];

            switch (rnd(5)) {
            case 0:
                a = map_host_delete(map, &key);
                b = k_delete(fd, &key);
                break;
            case 1:
                a = map_host_next_key(map, &key, ours);
                b = k_op(BPF_MAP_GET_NEXT_KEY, fd, &key, theirs, 0);
                /* The order of a hash is its own. */
                if (hash) {
                    a = keys_here(map) == keys_there(fd) ? 0 : 1;
                    b = 0;
                    theirs[0] = ours[0];
                }
                break;
            case 2:
                a = map_host_update(map, &key, value, fl);
                b = k_op(BPF_MAP_UPDATE_ELEM, fd, &key, value, fl);
                break;
            default:
                fl = rnd(4) ? 0 : fl;
                a = map_host_lookup(map, &key, ours, fl);
                b = k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, theirs, fl);
                break;
            }
            if (a != b || memcmp(ours, theirs, sizeof(ours)))
                fail_msg("%s, value %u: step %d, key %u, flags %llx, {%u, %d}: kernel %d, {%u, %u}, here %d, {%u, %u}",
                         map_type_name(d.type), d.value_size, i, key, (unsigned long long)fl, value[0], (int)value[1],
                         b, theirs[0], theirs[1], a, ours[0], ours[1]);
        }
        map_put(map);
        close(fd);
    }
}

static int tcp_socket(bool listen_)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;

    assert_true(fd >= 0);
    if (listen_) {
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
        assert_int_equal(listen(fd, 1), 0);
    }
    return fd;
}

/* Sockets: Linux gets a descriptor where we get a number, and shows a cookie. */
static void sockets(void **state)
{
    static const struct kind some[] = {
        {MAP_TYPE_SOCKMAP, 4, 8, 4, 0},
        {MAP_TYPE_SOCKMAP, 4, 4, 4, 0},
        {MAP_TYPE_SOCKHASH, 4, 8, 2, 0},
        {MAP_TYPE_SOCKHASH, 4, 4, 2, 0},
        {MAP_TYPE_REUSEPORT_SOCKARRAY, 4, 8, 4, 0},
    };
    static const uint64_t flags[] = {0, 0, 0, 0, 1, 2, 3, 4, 1ull << 32};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(some); t++) {
        struct map_def d = def_of_kind(&some[t]);
        bool one_place = d.type == MAP_TYPE_REUSEPORT_SOCKARRAY; /* a socket may stand in one place alone */
        int fd = k_create(&d, -1), socks[6], a, b;
        struct map *map;

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        for (int i = 0; i < 6; i++)
            socks[i] = tcp_socket(true);
        for (int i = 0; i < 2000; i++) {
            uint32_t key = rnd(6);
            uint64_t value = (uint64_t)socks[key], ours = 7, theirs = 7, fl = flags[rnd(COUNT(flags))];
            int op = (int)rnd(5);

            switch (op) {
            case 0:
                a = map_host_delete(map, &key);
                b = k_delete(fd, &key);
                break;
            case 1:
                a = keys_here(map) == keys_there(fd) ? 0 : 1;
                b = 0;
                break;
            case 2:
                /* Putting a socket where it stands already is refused by one type. */
                if (one_place && !map_host_lookup(map, &key, &ours, 0))
                    continue;
                a = map_host_update(map, &key, &value, fl);
                b = k_op(BPF_MAP_UPDATE_ELEM, fd, &key, &value, fl);
                break;
            default:
                a = map_host_lookup(map, &key, &ours, 0);
                b = k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, &theirs, 0);
                break;
            }
            if (a != b)
                fail_msg("%s, value %u: step %d (kind %d), key %u, flags %llx: kernel %d, here %d",
                         map_type_name(d.type), d.value_size, i, op, key, (unsigned long long)fl, b, a);
        }
        map_put(map);
        close(fd);
        for (int i = 0; i < 6; i++)
            close(socks[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_sizes), cmocka_unit_test(creation_flags),
        cmocka_unit_test(creation_extra), cmocka_unit_test(creation_of_maps_of_maps),
        cmocka_unit_test(queues),         cmocka_unit_test(filters),
        cmocka_unit_test(tries),          cmocka_unit_test(batches_of_tries),
        cmocka_unit_test(targets),        cmocka_unit_test(sockets),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
