/*
 * Storages beside the running kernel's: what makes one, what the host may do with it. Linux names owners by descriptors
 * where we name them by numbers, so that each side gets its own. Skips where bpf(2) is not allowed.
 */
#include "tests/unit/kernel_maps.h"
#include "vm/epoch.h"
#include "vm/maps/storage.h"

#include <fcntl.h>
#include <linux/btf.h>
#include <sys/socket.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { LOCK_AT = 4 };

/* Types: 1 a key, 2 bytes, 3 an array of them as long as the value; 4 u32, 5 a lock, 6 a value that holds one. */
static int types_of(uint32_t key_size, uint32_t value_size)
{
    static const char strings[] = "\0int\0val\0bpf_spin_lock\0lock\0v";
    struct {
        struct btf_header h;
        uint32_t t[34];
        char s[sizeof(strings)];
    } all = {
        .h = {.magic = BTF_MAGIC,
              .version = 1,
              .hdr_len = sizeof(struct btf_header),
              .type_len = sizeof(all.t),
              .str_off = sizeof(all.t),
              .str_len = sizeof(strings)},
        .t = {1,
              BTF_KIND_INT << 24,
              key_size,
              key_size * 8, /* 1 */
              1,
              BTF_KIND_INT << 24,
              1,
              8, /* 2 */
              0,
              BTF_KIND_ARRAY << 24,
              0,
              2,
              1,
              value_size, /* 3 */
              1,
              BTF_KIND_INT << 24,
              4,
              32, /* 4 */
              9,
              BTF_KIND_STRUCT << 24 | 1,
              4,
              28,
              4,
              0, /* 5 */
              5,
              BTF_KIND_STRUCT << 24 | 1,
              value_size < 8 ? 8 : value_size,
              23,
              5,
              LOCK_AT * 8, /* 6 */
              1,
              BTF_KIND_INT << 24,
              4,
              32}, /* 7 */
    };
    union bpf_attr a;

    memcpy(all.s, strings, sizeof(strings));
    memset(&a, 0, sizeof(a));
    a.btf = (uintptr_t)&all;
    a.btf_size = (uint32_t)(sizeof(all.h) + sizeof(all.t) + sizeof(strings));
    return sys(BPF_BTF_LOAD, &a);
}

static int make_there(const struct map_def *d)
{
    int types = types_of(d->key_size, d->value_size), fd;
    union bpf_attr a = {.map_type = d->type,
                        .key_size = d->key_size,
                        .value_size = d->value_size,
                        .max_entries = d->max_entries,
                        .map_flags = d->flags};

    if (types >= 0) {
        a.btf_fd = (uint32_t)types;
        a.btf_key_type_id = 1;
        a.btf_value_type_id = d->spin_lock_off >= 0 ? 6 : 3;
    }
    fd = sys(BPF_MAP_CREATE, &a);
    if (types >= 0)
        close(types);
    return fd;
}

static void same_making(const struct map_def *d)
{
    struct map *map = NULL;
    int theirs = make_there(d), ours = map_create(d, n_cpus, NULL, &map);

    if (theirs >= 0) {
        close(theirs);
        theirs = 0;
    }
    if (map)
        map_put(map);
    /* Without an LSM for BPF there is no storage of inodes. */
    if (theirs == -EOPNOTSUPP && d->type == MAP_TYPE_INODE_STORAGE)
        return;
    if (theirs != ours)
        fail_msg("%s: key %u, value %u, max %u, flags 0x%x: kernel %d, here %d", map_type_name(d->type), d->key_size,
                 d->value_size, d->max_entries, d->flags, theirs, ours);
}

static const uint32_t owners[] = {MAP_TYPE_SK_STORAGE, MAP_TYPE_INODE_STORAGE, MAP_TYPE_TASK_STORAGE,
                                  MAP_TYPE_CGRP_STORAGE};
static const uint32_t cgroups[] = {MAP_TYPE_CGROUP_STORAGE, MAP_TYPE_PERCPU_CGROUP_STORAGE};

static void making(void **state)
{
    static const uint32_t values[] = {1, 8, 4096, 32768, 32769, 65407, 65408, 65536, 1 << 20};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(owners); t++) {
        struct map_def d = def_of(owners[t], 4, 8, 0, MAP_F_NO_PREALLOC);

        same_making(&d);
        for (unsigned bit = 0; bit < 19; bit++) {
            d = def_of(owners[t], 4, 8, 0, MAP_F_NO_PREALLOC ^ 1u << bit);
            same_making(&d);
        }
        for (size_t v = 0; v < COUNT(values); v++) {
            d = def_of(owners[t], 4, values[v], 0, MAP_F_NO_PREALLOC | MAP_F_CLONE);
            same_making(&d);
            d.max_entries = 1;
            same_making(&d);
        }
        d = def_of(owners[t], 8, 8, 0, MAP_F_NO_PREALLOC);
        same_making(&d);
        d = def_of(owners[t], 4, 0, 0, MAP_F_NO_PREALLOC);
        same_making(&d);
        d = def_of(owners[t], 4, 16, 0, MAP_F_NO_PREALLOC);
        d.spin_lock_off = LOCK_AT;
        same_making(&d);
    }
    for (size_t t = 0; t < COUNT(cgroups); t++) {
        struct map_def d;

        for (unsigned bit = 0; bit < 18; bit++) {
            d = def_of(cgroups[t], 8, 8, 0, 1u << bit);
            same_creation(&d);
        }
        for (size_t v = 0; v < COUNT(values); v++) {
            d = def_of(cgroups[t], v % 2 ? 8 : 16, values[v], 0, 0);
            same_creation(&d);
        }
        for (uint32_t key = 0; key < 20; key++) {
            d = def_of(cgroups[t], key, 8, 0, 0);
            same_creation(&d);
        }
        d = def_of(cgroups[t], 8, 0, 0, 0);
        same_creation(&d);
        d = def_of(cgroups[t], 8, 8, 1, 0);
        same_creation(&d);
    }
}

/* The owners: a socket each, this task, files, cgroups. */
static int open_owner(uint32_t type, int i)
{
    int fd;

    switch (type) {
    case MAP_TYPE_SK_STORAGE: return socket(AF_INET, SOCK_DGRAM, 0);
    case MAP_TYPE_TASK_STORAGE: return i ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0);
    case MAP_TYPE_CGRP_STORAGE:
        fd = i ? -1 : open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY);
        return fd < 0 && !i ? open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY) : fd;
    default: return i ? -1 : memfd_create("t", 0);
    }
}

static void host(void **state)
{
    static const uint64_t flags[] = {0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 1ull << 32};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < 2 * COUNT(owners); t++) {
        struct map_def d = def_of(owners[t % COUNT(owners)], 4, 16, 0, MAP_F_NO_PREALLOC);
        int owner[3], n = 0, fd, a, b;
        uint32_t in[4];
        struct map *map;

        d.spin_lock_off = t < COUNT(owners) ? -1 : LOCK_AT;
        while (n < 3 && (owner[n] = open_owner(d.type, n)) >= 0)
            n++;
        fd = make_there(&d);
        /* An owner that is no such thing here: no hierarchy of cgroups v2. */
        if (fd >= 0 && n && k_op(BPF_MAP_LOOKUP_ELEM, fd, &owner[0], in, 0) == -EBADF)
            n = 0;
        if (fd < 0 || !n || map_create(&d, n_cpus, NULL, &map)) {
            assert_true(d.type == MAP_TYPE_INODE_STORAGE || d.type == MAP_TYPE_CGRP_STORAGE);
            print_message("skipped: no %s here\n", map_type_name(d.type));
            if (fd >= 0)
                close(fd);
            continue;
        }
        for (int i = 0; i < 2000; i++) {
            uint32_t key = rnd((uint32_t)n);
            uint32_t ours[4] = {0}, theirs[4] = {0};
            uint64_t fl = flags[rnd(COUNT(flags))];

            memcpy(in, (uint32_t[]){rnd(100), 0, rnd(100), rnd(100)}, sizeof(in));
            switch (rnd(4)) {
            case 0:
                a = map_host_delete(map, &key);
                b = k_delete(fd, &owner[key]);
                break;
            case 1:
                a = map_host_update(map, &key, in, fl);
                b = k_op(BPF_MAP_UPDATE_ELEM, fd, &owner[key], in, fl);
                break;
            default:
                fl = rnd(4) ? 0 : fl;
                a = map_host_lookup(map, &key, ours, fl);
                b = k_op(BPF_MAP_LOOKUP_ELEM, fd, &owner[key], theirs, fl);
                break;
            }
            if (a != b || memcmp(ours, theirs, sizeof(ours)))
                fail_msg("%s, lock %d: step %d, owner %u, flags %llx: kernel %d, here %d", map_type_name(d.type),
                         d.spin_lock_off, i, key, (unsigned long long)fl, b, a);
        }
        a = map_host_lookup_and_delete(map, &(uint32_t){0}, &(uint32_t[4]){0}, 0);
        assert_int_equal(a, k_op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, &owner[0], &(uint32_t[4]){0}, 0));
        map_put(map);
        close(fd);
        while (n)
            close(owner[--n]);
    }
}

/* What is in no cgroup's storage yet, in Linux before attaching. */
static void cgroups_before_they_have_any(void **state)
{
    static const uint64_t flags[] = {1, 2, 3, 4, 8, 1ull << 32};

    (void)state;
    need_bpf();
    for (size_t t = 0; t < COUNT(cgroups); t++) {
        struct map_def d = def_of(cgroups[t], 8, 8, 0, 0);
        unsigned char value[8 * 64] = {0};
        uint64_t key = 1;
        struct map *map;
        int fd = k_create(&d, -1);

        assert_true(fd >= 0);
        assert_int_equal(map_create(&d, n_cpus, NULL, &map), 0);
        assert_true(map_host_value_size(map) <= sizeof(value));
        assert_int_equal(map_host_lookup(map, &key, value, 0), k_op(BPF_MAP_LOOKUP_ELEM, fd, &key, value, 0));
        assert_int_equal(map_host_delete(map, &key), k_delete(fd, &key));
        assert_int_equal(map_host_next_key(map, NULL, &key), k_op(BPF_MAP_GET_NEXT_KEY, fd, NULL, &key, 0));
        assert_int_equal(map_host_next_key(map, &key, &key), k_op(BPF_MAP_GET_NEXT_KEY, fd, &key, &key, 0));
        for (size_t f = 0; f < COUNT(flags); f++)
            assert_int_equal(map_host_update(map, &key, value, flags[f]),
                             k_op(BPF_MAP_UPDATE_ELEM, fd, &key, value, flags[f]));
        map_put(map);
        close(fd);
    }
}

/* What Linux has no way to show: numbers that need more than a key has, owners in a list. */
static void owners_by_number(void **state)
{
    struct map_def d = def_of(MAP_TYPE_TASK_STORAGE, 4, 8, 0, MAP_F_NO_PREALLOC);
    uint64_t first = 7, *value, seen = 0;
    uint32_t key = 5, next;
    struct epoch_slot *slot;
    struct map *map;

    (void)state;
    assert_int_equal(map_create(&d, 1, NULL, &map), 0);
    slot = epoch_enter();
    assert_null(storage_get(map, 5, NULL, false));
    value = storage_get(map, 5, &first, true);
    assert_true(value && *value == 7);
    assert_ptr_equal(storage_get(map, 5, NULL, true), value);
    value = storage_get(map, 0xffff888100000000, NULL, true);
    assert_true(value && *value == 0);
    assert_true(storage_get(map, 9, NULL, true) != NULL);
    assert_int_equal(map_host_lookup(map, &key, &seen, 0), 0);
    assert_int_equal(seen, 7);
    assert_int_equal(map_host_next_key(map, NULL, &next), 0);
    assert_true(next == 5 || next == 9);
    key = next;
    assert_int_equal(map_host_next_key(map, &key, &next), 0);
    assert_int_equal(key + next, 14);
    key = next;
    assert_int_equal(map_host_next_key(map, &key, &next), -ENOENT);
    assert_int_equal(storage_delete(map, 0xffff888100000000), 0);
    assert_int_equal(storage_delete(map, 0xffff888100000000), -ENOENT);
    epoch_exit(slot);
    map_put(map);
}

static void cgroups_by_number(void **state)
{
    struct map_def d = def_of(MAP_TYPE_PERCPU_CGROUP_STORAGE, 16, 4, 0, 0);
    struct {
        uint64_t cgroup;
        uint32_t attach_type, pad;
    } key = {77, 3, 0xffff}, next;
    uint64_t values[2] = {1, 2};
    struct epoch_slot *slot;
    uint32_t *value;
    struct map *map;

    (void)state;
    assert_int_equal(map_create(&d, 2, NULL, &map), 0);
    assert_int_equal(map_host_update(map, &key, values, 0), 0);
    slot = epoch_enter();
    value = storage_of_cgroup(map, 77, 3, 1);
    assert_true(value && *value == 2);
    *value = 9;
    value = storage_of_cgroup(map, 77, 4, 1);
    assert_true(value && *value == 0);
    epoch_exit(slot);
    assert_int_equal(map_host_lookup(map, &key, values, 0), 0);
    assert_int_equal(values[0], 1);
    assert_int_equal(values[1], 9);
    assert_int_equal(map_host_next_key(map, NULL, &next), 0);
    assert_int_equal(next.cgroup, 77);
    assert_int_equal(map_host_next_key(map, &next, &next), 0);
    assert_int_equal(map_host_next_key(map, &next, &next), -ENOENT);
    assert_int_equal(map_host_delete(map, &key), -EINVAL);
    map_put(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making),
        cmocka_unit_test(host),
        cmocka_unit_test(owners_by_number),
        cmocka_unit_test(cgroups_before_they_have_any),
        cmocka_unit_test(cgroups_by_number),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
