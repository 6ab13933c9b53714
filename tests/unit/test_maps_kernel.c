/*
 * The running kernel as the oracle: the same maps made here and with bpf(2), the same operations on both, and the same
 * errors and values expected of both. Skips where bpf(2) is not allowed.
 */
#include "vm/maps/map.h"
#include "vm/maps/ringbuf.h"

#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t n_cpus;

static int sys(int cmd, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

    return r < 0 ? -errno : (int)r;
}

static int k_create(const struct map_def *def, int inner)
{
    union bpf_attr a = {.map_type = def->type,
                        .key_size = def->key_size,
                        .value_size = def->value_size,
                        .max_entries = def->max_entries,
                        .map_flags = def->flags,
                        .map_extra = def->extra};

    if (inner >= 0)
        a.inner_map_fd = (uint32_t)inner;
    return sys(BPF_MAP_CREATE, &a);
}

static int k_op(int cmd, int fd, const void *key, void *value, uint64_t flags)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd, .key = (uintptr_t)key, .value = (uintptr_t)value, .flags = flags};

    return sys(cmd, &a);
}

static int k_delete(int fd, const void *key)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd, .key = (uintptr_t)key};

    return sys(BPF_MAP_DELETE_ELEM, &a);
}

static int k_freeze(int fd)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd};

    return sys(BPF_MAP_FREEZE, &a);
}

static void need_bpf(void)
{
    struct map_def d = {.type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    int fd = k_create(&d, -1);

    if (fd < 0) {
        print_message("skipped: bpf(2) is not allowed here: %s\n", strerror(-fd));
        skip();
    }
    close(fd);
}

/* Linux's idea of possible CPUs, which sizes values of per-CPU maps. */
static int setup(void **state)
{
    FILE *f = fopen("/sys/devices/system/cpu/possible", "r");
    unsigned first = 0, last = 0;

    (void)state;
    if (f && fscanf(f, "%u-%u", &first, &last) < 2)
        last = first;
    if (f)
        fclose(f);
    n_cpus = last + 1;
    return 0;
}

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

static void same_creation(const struct map_def *d)
{
    struct map *map = NULL;
    int theirs = k_create(d, -1), ours = map_create(d, n_cpus, NULL, &map);

    if (theirs >= 0) {
        close(theirs);
        theirs = 0;
    }
    if (theirs != ours)
        fail_msg("type %s key %u value %u max %u flags 0x%x: kernel %d, here %d", map_type_name(d->type), d->key_size,
                 d->value_size, d->max_entries, d->flags, theirs, ours);
    if (map)
        map_put(map);
}

static const uint32_t types[] = {
    MAP_TYPE_HASH,        MAP_TYPE_ARRAY,        MAP_TYPE_PROG_ARRAY, MAP_TYPE_PERF_EVENT_ARRAY,
    MAP_TYPE_PERCPU_HASH, MAP_TYPE_PERCPU_ARRAY, MAP_TYPE_LRU_HASH,   MAP_TYPE_RINGBUF};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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
    static const uint32_t hashes[] = {MAP_TYPE_HASH, MAP_TYPE_PERCPU_HASH, MAP_TYPE_LRU_HASH};
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

static uint64_t rnd_state = 88172645463325252;

static uint32_t rnd(uint32_t below)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return (uint32_t)(rnd_state >> 33) % below;
}

enum { KEYS = 24, MAX_VALUE = 64 * 64 };

/* All keys that iteration yields, as a set; true when it ends. */
static uint64_t keys_here(struct map *map)
{
    uint32_t key[5] = {0}, next[5] = {0};
    uint64_t set = 0;
    int err = map_host_next_key(map, NULL, next);

    for (int i = 0; !err && i < 1000; i++) {
        set |= 1ull << next[0] % 64;
        memcpy(key, next, sizeof(key));
        err = map_host_next_key(map, key, next);
    }
    assert_int_equal(err, -ENOENT);
    return set;
}

static uint64_t keys_there(int fd)
{
    uint32_t key[5] = {0}, next[5] = {0};
    uint64_t set = 0;
    int err = k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, next, 0);

    for (int i = 0; !err && i < 1000; i++) {
        set |= 1ull << next[0] % 64;
        memcpy(key, next, sizeof(key));
        err = k_op(BPF_MAP_GET_NEXT_KEY, fd, key, next, 0);
    }
    assert_int_equal(err, -ENOENT);
    return set;
}

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

static void maps_of_maps(void **state)
{
    static const uint32_t outer[] = {MAP_TYPE_ARRAY_OF_MAPS, MAP_TYPE_HASH_OF_MAPS};
    static const struct {
        uint32_t type, value, max, flags;
    } inner[] = {
        {MAP_TYPE_ARRAY, 8, 4, 0},
        {MAP_TYPE_ARRAY, 8, 5, 0},
        {MAP_TYPE_ARRAY, 8, 4, MAP_F_INNER_MAP},
        {MAP_TYPE_ARRAY, 4, 4, 0},
        {MAP_TYPE_ARRAY, 8, 9, MAP_F_INNER_MAP},
        {MAP_TYPE_HASH, 8, 4, 0},
        {MAP_TYPE_HASH, 8, 9, 0},
        {MAP_TYPE_HASH, 8, 4, MAP_F_NO_PREALLOC},
        {MAP_TYPE_PERCPU_ARRAY, 8, 4, 0},
        {MAP_TYPE_PERCPU_ARRAY, 8, 5, 0},
    };
    static const uint64_t flags[] = {0, 0, 0, 1, 2, 3, 4, 8};
    struct map *maps[COUNT(inner)];
    int fds[COUNT(inner)];

    (void)state;
    need_bpf();
    for (size_t i = 0; i < COUNT(inner); i++) {
        struct map_def d = def_of(inner[i].type, 4, inner[i].value, inner[i].max, inner[i].flags);

        fds[i] = k_create(&d, -1);
        assert_true(fds[i] >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &maps[i]), 0);
        maps[i]->id = (uint32_t)i + 100;
    }
    for (unsigned o = 0; o < 2; o++)
        for (size_t templ = 0; templ < COUNT(inner); templ++) {
            struct map_def d = def_of(outer[o], 4, 4, 3, 0);
            int fd = k_create(&d, fds[templ]);
            struct map *map;

            d.inner = &maps[templ]->def;
            assert_true(fd >= 0);
            assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
            for (int i = 0; i < 600; i++) {
                uint32_t key = rnd(5), which = rnd(COUNT(inner)), id, value = 0, their_value = 0;
                uint64_t fl = flags[rnd(COUNT(flags))];
                int a, b;

                switch (rnd(3)) {
                case 0:
                    a = map_host_delete(map, &key);
                    b = k_delete(fd, &key);
                    break;
                case 1:
                    a = map_host_lookup(map, &key, &value, 0);
                    b = k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, &their_value, 0);
                    assert_true(!b == !a);
                    if (!a) {
                        union bpf_attr at = {.map_id = their_value};
                        struct bpf_map_info info = {0};
                        int got = sys(BPF_MAP_GET_FD_BY_ID, &at);
                        union bpf_attr by = {
                            .info = {.bpf_fd = (uint32_t)got, .info_len = sizeof(info), .info = (uintptr_t)&info}};

                        assert_true(got >= 0);
                        assert_int_equal(sys(BPF_OBJ_GET_INFO_BY_FD, &by), 0);
                        assert_int_equal(info.type, maps[value - 100]->def.type);
                        assert_int_equal(info.max_entries, maps[value - 100]->def.max_entries);
                        close(got);
                    }
                    break;
                default:
                    a = map_set_thing(map, &key, maps[which], fl);
                    id = (uint32_t)fds[which];
                    b = k_op(BPF_MAP_UPDATE_ELEM, fd, &key, &id, fl);
                    break;
                }
                if (a != b)
                    fail_msg("%s of #%zu: #%u at %u, flags %llx: kernel %d, here %d", map_type_name(d.type), templ,
                             which, key, (unsigned long long)fl, b, a);
            }
            map_put(map);
            close(fd);
        }
    for (size_t i = 0; i < COUNT(inner); i++) {
        map_put(maps[i]);
        close(fds[i]);
    }
}

static int k_batch(int cmd, int fd, uint32_t *in, uint32_t *out, void *keys, void *values, uint32_t *count,
                   uint64_t elem_flags)
{
    union bpf_attr a = {.batch = {.map_fd = (uint32_t)fd,
                                  .in_batch = (uintptr_t)in,
                                  .out_batch = (uintptr_t)out,
                                  .keys = (uintptr_t)keys,
                                  .values = (uintptr_t)values,
                                  .count = *count,
                                  .elem_flags = elem_flags}};
    int err = sys(cmd, &a);

    *count = a.batch.count;
    return err;
}

enum { BATCH_ROOM = 64 };

struct batch_side {
    uint32_t keys[BATCH_ROOM], count, token;
    unsigned char values[BATCH_ROOM * 64 * 8];
    bool seen[BATCH_ROOM];
    uint64_t sum;
};

static void note(struct batch_side *s, uint32_t value_size)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t value;

        assert_true(s->keys[i] < BATCH_ROOM && !s->seen[s->keys[i]]);
        s->seen[s->keys[i]] = true;
        memcpy(&value, s->values + i * value_size, 8);
        assert_int_equal(value, s->keys[i] * 5);
        s->sum += s->keys[i] + 1;
    }
}

/* All elements in batches of this room, from both sides: the same set, each once, the same end. */
static void same_walk(struct map *map, int fd, uint32_t room, bool take)
{
    static struct batch_side ours, theirs;
    uint32_t size = map_host_value_size(map);
    int a = 0, b = 0;

    memset(&ours, 0, sizeof(ours));
    memset(&theirs, 0, sizeof(theirs));
    for (int i = 0; i < 200 && !a; i++) {
        ours.count = room;
        a = (take ? map_host_lookup_and_delete_batch : map_host_lookup_batch)(map, i ? &ours.token : NULL, &ours.token,
                                                                              ours.keys, ours.values, &ours.count, 0);
        if (a != -ENOTSUPP)
            note(&ours, size);
    }
    for (int i = 0; i < 200 && !b; i++) {
        theirs.count = room;
        b = k_batch(take ? BPF_MAP_LOOKUP_AND_DELETE_BATCH : BPF_MAP_LOOKUP_BATCH, fd, i ? &theirs.token : NULL,
                    &theirs.token, theirs.keys, theirs.values, &theirs.count, 0);
        if (b != -ENOTSUPP)
            note(&theirs, size);
    }
    /* What a bucket holds differs, since hashes do: a room that one bucket exceeds may be met on one side alone. */
    if (a == -ENOSPC || b == -ENOSPC) {
        assert_true(room < 8);
        return;
    }
    assert_int_equal(a, b);
    assert_int_equal(ours.sum, theirs.sum);
    assert_memory_equal(ours.seen, theirs.seen, sizeof(ours.seen));
}

static void batches(void **state)
{
    static const uint32_t some[] = {MAP_TYPE_HASH, MAP_TYPE_PERCPU_HASH, MAP_TYPE_LRU_HASH, MAP_TYPE_ARRAY,
                                    MAP_TYPE_PERCPU_ARRAY};

    (void)state;
    need_bpf();
    if (n_cpus > 64)
        skip();
    for (size_t t = 0; t < COUNT(some); t++)
        for (uint32_t max = 1; max <= 48; max += 47) {
            static struct batch_side side;
            bool array = some[t] == MAP_TYPE_ARRAY || some[t] == MAP_TYPE_PERCPU_ARRAY;
            struct map_def d = def_of(some[t], 4, 8, max * (some[t] == MAP_TYPE_LRU_HASH ? 100 : 1), 0);
            struct map *map;
            uint32_t a, b, n = max, rooms[] = {1, 2, 7, 16, max, 64}, none = 0;
            int fd = k_create(&d, -1);

            assert_true(fd >= 0);
            assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
            for (uint32_t round = 0; round < 2; round++) {
                memset(&side, 0, sizeof(side));
                for (uint32_t i = 0; i < BATCH_ROOM; i++) {
                    uint64_t value = i * 5;

                    side.keys[i] = i;
                    for (uint32_t at = 0; at < map_host_value_size(map); at += 8)
                        memcpy(side.values + i * map_host_value_size(map) + at, &value, 8);
                }
                /* One more than fits. */
                a = b = some[t] == MAP_TYPE_LRU_HASH ? n : n + 1;
                assert_int_equal(map_host_update_batch(map, side.keys, side.values, &a, 0),
                                 k_batch(BPF_MAP_UPDATE_BATCH, fd, NULL, NULL, side.keys, side.values, &b, 0));
                assert_int_equal(a, b);
                a = b = 3;
                assert_int_equal(map_host_update_batch(map, side.keys, side.values, &a, 1),
                                 k_batch(BPF_MAP_UPDATE_BATCH, fd, NULL, NULL, side.keys, side.values, &b, 1));
                assert_int_equal(map_host_update_batch(map, side.keys, side.values, &a, 4),
                                 k_batch(BPF_MAP_UPDATE_BATCH, fd, NULL, NULL, side.keys, side.values, &b, 4));
                assert_int_equal(map_host_lookup_batch(map, NULL, &none, side.keys, side.values, &a, 4),
                                 k_batch(BPF_MAP_LOOKUP_BATCH, fd, NULL, &none, side.keys, side.values, &b, 4));
                a = b = 0;
                assert_int_equal(map_host_lookup_batch(map, NULL, &none, side.keys, side.values, &a, 0),
                                 k_batch(BPF_MAP_LOOKUP_BATCH, fd, NULL, &none, side.keys, side.values, &b, 0));
                for (size_t r = 0; r < COUNT(rooms); r++)
                    same_walk(map, fd, rooms[r], false);
                if (!round && !array) {
                    /* Some that are there, one that is not, and one behind it. */
                    uint32_t keys[] = {0, 63, 1};

                    a = b = 3;
                    assert_int_equal(map_host_delete_batch(map, keys, &a, 0),
                                     k_batch(BPF_MAP_DELETE_BATCH, fd, NULL, NULL, keys, NULL, &b, 0));
                    assert_int_equal(a, b);
                }
                a = b = 1;
                if (array)
                    assert_int_equal(map_host_delete_batch(map, side.keys, &a, 0),
                                     k_batch(BPF_MAP_DELETE_BATCH, fd, NULL, NULL, side.keys, NULL, &b, 0));
                same_walk(map, fd, 64, true);
                same_walk(map, fd, 64, false);
            }
            none = 1u << 30;
            a = b = 1;
            assert_int_equal(map_host_lookup_batch(map, &none, &none, side.keys, side.values, &a, 0),
                             array ? 0
                                   : k_batch(BPF_MAP_LOOKUP_BATCH, fd, &none, &none, side.keys, side.values, &b, 0));
            map_put(map);
            close(fd);
        }
}

/* A program that calls bpf_ringbuf_output(ring, args + 16, args[0] & 8191, args[1]), args being an array's one value.
 */
static int ring_prog(int ring, int args)
{
    const struct bpf_insn insns[] = {
        {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 6, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = args},
        {0},
        {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 3, .src_reg = 6},
        {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 3, .imm = 8191},
        {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 4, .src_reg = 6, .off = 8},
        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 6},
        {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = 16},
        {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = ring},
        {0},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_output},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr a = {.prog_type = BPF_PROG_TYPE_XDP,
                        .insns = (uintptr_t)insns,
                        .insn_cnt = COUNT(insns),
                        .license = (uintptr_t) "GPL"};

    return sys(BPF_PROG_LOAD, &a);
}

static int run_there(int prog)
{
    unsigned char packet[64] = {0};
    union bpf_attr a = {
        .test = {.prog_fd = (uint32_t)prog, .data_in = (uintptr_t)packet, .data_size_in = sizeof(packet), .repeat = 1}};
    int err = sys(BPF_PROG_TEST_RUN, &a);

    assert_int_equal(err, 0);
    return (int)a.test.retval;
}

static int keep(void *ctx, void *data, size_t size)
{
    unsigned char *out = ctx;
    uint32_t len = (uint32_t)size;

    memcpy(out, &len, 4);
    memcpy(out + 4, data, size);
    return 0;
}

/* The same records of random sizes into both rings: the same answers, positions and bytes. */
static void ring_positions(void **state)
{
    enum { SIZE = 4096, ARGS = 16 + 8192 };
    static unsigned char args[ARGS], record[ARGS];
    struct map_def d = def_of(MAP_TYPE_RINGBUF, 0, 0, SIZE, 0), v = def_of(MAP_TYPE_ARRAY, 4, ARGS, 1, 0);
    int ring, values, prog;
    struct map *map;
    uint64_t *consumer, *producer;
    unsigned char *data;

    (void)state;
    need_bpf();
    ring = k_create(&d, -1);
    values = k_create(&v, -1);
    assert_true(ring >= 0 && values >= 0);
    prog = ring_prog(ring, values);
    assert_true(prog >= 0);
    consumer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    producer = mmap(NULL, 4096 + 2 * SIZE, PROT_READ, MAP_SHARED, ring, 4096);
    assert_true(consumer != MAP_FAILED && producer != MAP_FAILED);
    data = (unsigned char *)producer + 4096;
    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    for (int i = 0; i < 5000; i++) {
        uint64_t size = rnd(8) ? rnd(600) : rnd(4200), flags = rnd(8) ? 0 : rnd(6);
        uint32_t zero = 0;

        if (rnd(8) == 0)
            size = SIZE - 16 + rnd(3) - 1;
        memcpy(args, &size, 8);
        memcpy(args + 8, &flags, 8);
        for (uint64_t j = 0; j < size; j++)
            args[16 + j] = (unsigned char)rnd(256);
        assert_int_equal(k_op(BPF_MAP_UPDATE_ELEM, values, &zero, args, 0), 0);
        assert_int_equal(ringbuf_output(map, args + 16, size, flags), run_there(prog));
        assert_int_equal(ringbuf_query(map, 3), *producer);
        assert_int_equal(ringbuf_query(map, 2), *consumer);
        for (uint32_t k = rnd(4); k && *consumer < *producer; k--) {
            unsigned char *head = data + *consumer % SIZE;
            uint32_t len;

            assert_int_equal(ringbuf_consume(map, keep, record, 1), 1);
            memcpy(&len, head, 4);
            assert_memory_equal(record, &len, 4);
            assert_memory_equal(record + 4, head + 8, len);
            __atomic_store_n(consumer, *consumer + ((len + 8 + 7) & ~7u), __ATOMIC_RELEASE);
            assert_int_equal(ringbuf_query(map, 2), *consumer);
        }
    }
    map_put(map);
    munmap(consumer, 4096);
    munmap(producer, 4096 + 2 * SIZE);
    close(prog);
    close(values);
    close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_sizes),           cmocka_unit_test(creation_limits), cmocka_unit_test(creation_flags),
        cmocka_unit_test(creation_of_maps_of_maps), cmocka_unit_test(operations),      cmocka_unit_test(access_flags),
        cmocka_unit_test(operations_of_others),     cmocka_unit_test(maps_of_maps),    cmocka_unit_test(batches),
        cmocka_unit_test(ring_positions),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
