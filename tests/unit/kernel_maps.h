/*
 * bpf(2) for tests that compare maps with the running kernel's: calls as plain functions that return negative errors,
 * and a skip where they are not allowed.
 */
#ifndef TESTS_UNIT_KERNEL_MAPS_H
#define TESTS_UNIT_KERNEL_MAPS_H

#include "vm/maps/map.h"

#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t n_cpus;

static inline int sys(int cmd, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

    return r < 0 ? -errno : (int)r;
}

static inline int k_create(const struct map_def *def, int inner)
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

static inline int k_op(int cmd, int fd, const void *key, void *value, uint64_t flags)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd, .key = (uintptr_t)key, .value = (uintptr_t)value, .flags = flags};

    return sys(cmd, &a);
}

static inline int k_delete(int fd, const void *key)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd, .key = (uintptr_t)key};

    return sys(BPF_MAP_DELETE_ELEM, &a);
}

static inline int k_freeze(int fd)
{
    union bpf_attr a = {.map_fd = (uint32_t)fd};

    return sys(BPF_MAP_FREEZE, &a);
}

/* The reference is Linux 6.18 with all rights; an older kernel gives some other answers. */
static inline void need_bpf(void)
{
    struct map_def d = {
        .type = MAP_TYPE_LRU_HASH, .key_size = 4, .value_size = 4, .max_entries = 1, .flags = MAP_F_ZERO_SEED};
    int fd = k_create(&d, -1);
    unsigned major = 0, minor = 0;
    struct utsname name;

    if (fd < 0) {
        print_message("skipped: bpf(2) is not allowed here: %s\n", strerror(-fd));
        skip();
    }
    close(fd);
    if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2 || major * 1000 + minor < 6018) {
        print_message("skipped: the kernel is older than Linux 6.18, the reference\n");
        skip();
    }
}

/* Linux's idea of possible CPUs, which sizes values of per-CPU maps. */
static inline int setup(void **state)
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

static inline struct map_def def_of(uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags)
{
    return (struct map_def){.name = "t",
                            .type = type,
                            .key_size = key,
                            .value_size = value,
                            .max_entries = max,
                            .flags = flags,
                            .spin_lock_off = -1};
}

/* The definition is taken or refused alike. */
static inline void same_creation(const struct map_def *d)
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

static uint64_t rnd_state = 88172645463325252;

static inline uint32_t rnd(uint32_t below)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return (uint32_t)(rnd_state >> 33) % below;
}

/* All keys that iteration yields, as a set; true when it ends. */
static inline uint64_t keys_here(struct map *map)
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

static inline uint64_t keys_there(int fd)
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

#endif
