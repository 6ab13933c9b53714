/* The running kernel as the oracle of maps of maps, batches and ring buffers. Skips where bpf(2) is not allowed. */
#include "tests/unit/kernel_maps.h"
#include "vm/maps/ringbuf.h"

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
    union bpf_attr a;
    int err;

    memset(&a, 0, sizeof(a)); /* an initializer leaves open what the rest of a union holds, and the kernel looks */
    a.batch.map_fd = (uint32_t)fd;
    a.batch.in_batch = (uintptr_t)in;
    a.batch.out_batch = (uintptr_t)out;
    a.batch.keys = (uintptr_t)keys;
    a.batch.values = (uintptr_t)values;
    a.batch.count = *count;
    a.batch.elem_flags = elem_flags;
    err = sys(cmd, &a);
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
    static const uint32_t some[] = {MAP_TYPE_HASH,  MAP_TYPE_PERCPU_HASH,  MAP_TYPE_LRU_HASH,
                                    MAP_TYPE_ARRAY, MAP_TYPE_PERCPU_ARRAY, MAP_TYPE_LRU_PERCPU_HASH};

    (void)state;
    need_bpf();
    if (n_cpus > 64)
        skip();
    for (size_t t = 0; t < COUNT(some); t++)
        for (uint32_t max = 1; max <= 48; max += 47) {
            static struct batch_side side;
            bool array = some[t] == MAP_TYPE_ARRAY || some[t] == MAP_TYPE_PERCPU_ARRAY;
            bool lru = some[t] == MAP_TYPE_LRU_HASH || some[t] == MAP_TYPE_LRU_PERCPU_HASH;
            struct map_def d = def_of(some[t], 4, 8, max * (lru ? 100 : 1), 0);
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
                a = b = lru ? n : n + 1;
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

/* Ours is empty for ever, as Linux's is until a program notes a stack. */
static void stack_traces(void **state)
{
    static const struct {
        uint32_t key, value, max, flags;
    } defs[] = {
        {4, 8, 3, 0},
        {4, 127 * 8, 3, 0},
        {4, 128 * 8, 3, 0},
        {4, 12, 3, 0},
        {8, 8, 3, 0},
        {4, 8, 0, 0},
        {4, 0, 3, 0},
        {4, 8, 3, MAP_F_STACK_BUILD_ID},
        {4, 32, 3, MAP_F_STACK_BUILD_ID},
        {4, 127 * 32, 3, MAP_F_STACK_BUILD_ID},
        {4, 128 * 32, 3, MAP_F_STACK_BUILD_ID},
        {4, 8, 3, MAP_F_NO_PREALLOC},
        {4, 8, 3, MAP_F_RDONLY_PROG},
        {4, 8, 5, MAP_F_RDONLY},
        {4, 8, 5, MAP_F_WRONLY},
    };

    (void)state;
    need_bpf();
    for (size_t i = 0; i < COUNT(defs); i++) {
        struct map_def d = def_of(MAP_TYPE_STACK_TRACE, defs[i].key, defs[i].value, defs[i].max, defs[i].flags);
        int fd = k_create(&d, -1), err;
        unsigned char value[127 * 32] = {0}, theirs[127 * 32] = {0};
        struct map *map = NULL;

        err = map_create(&d, n_cpus, NULL, &map);
        assert_int_equal(err, fd < 0 ? fd : 0);
        for (uint32_t key = 0; fd >= 0 && key < 10; key++) {
            uint32_t next;

            assert_int_equal(map_host_lookup(map, &key, value, 0), k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, theirs, 0));
            assert_int_equal(map_host_update(map, &key, value, 0), k_op(BPF_MAP_UPDATE_ELEM, fd, &key, theirs, 0));
            assert_int_equal(map_host_delete(map, &key), k_delete(fd, &key));
            assert_int_equal(map_host_next_key(map, &key, &next), k_op(BPF_MAP_GET_NEXT_KEY, fd, &key, &next, 0));
            assert_int_equal(map_host_next_key(map, NULL, &next), k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, &next, 0));
        }
        if (fd >= 0) {
            close(fd);
            map_put(map);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_of_maps),
        cmocka_unit_test(batches),
        cmocka_unit_test(ring_positions),
        cmocka_unit_test(stack_traces),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
