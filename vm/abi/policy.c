/*
 * helper_users.def as one record a helper, found by number: a bit a program type. map_helpers.def as one record a map
 * type: what it takes, and whether it takes ordinary helpers, those that no TAKES row names.
 */
#include "vm/abi/policy.h"
#include "vm/abi/map_types.h"

#include <stddef.h>
#include <string.h>

enum helper_number {
    HELPER_NONE,
#define HELPER(id, name, state, ret, args, effects) HELPER_##name = id,
#include "vm/abi/helpers.def"
    HELPER_COUNT
};

enum need { NEED_NONE, NEED_BPF, NEED_PERFMON };

#define BIT(type)               ((uint64_t)1 << PROG_TYPE_##type)
#define SOCKET_FILTER           BIT(SOCKET_FILTER)
#define KPROBE                  BIT(KPROBE)
#define SCHED_CLS               BIT(SCHED_CLS)
#define SCHED_ACT               BIT(SCHED_ACT)
#define TRACEPOINT              BIT(TRACEPOINT)
#define XDP                     BIT(XDP)
#define PERF_EVENT              BIT(PERF_EVENT)
#define CGROUP_SKB              BIT(CGROUP_SKB)
#define CGROUP_SOCK             BIT(CGROUP_SOCK)
#define LWT_IN                  BIT(LWT_IN)
#define LWT_OUT                 BIT(LWT_OUT)
#define LWT_XMIT                BIT(LWT_XMIT)
#define SOCK_OPS                BIT(SOCK_OPS)
#define SK_SKB                  BIT(SK_SKB)
#define CGROUP_DEVICE           BIT(CGROUP_DEVICE)
#define SK_MSG                  BIT(SK_MSG)
#define RAW_TRACEPOINT          BIT(RAW_TRACEPOINT)
#define CGROUP_SOCK_ADDR        BIT(CGROUP_SOCK_ADDR)
#define LWT_SEG6LOCAL           BIT(LWT_SEG6LOCAL)
#define LIRC_MODE2              BIT(LIRC_MODE2)
#define SK_REUSEPORT            BIT(SK_REUSEPORT)
#define FLOW_DISSECTOR          BIT(FLOW_DISSECTOR)
#define CGROUP_SYSCTL           BIT(CGROUP_SYSCTL)
#define RAW_TRACEPOINT_WRITABLE BIT(RAW_TRACEPOINT_WRITABLE)
#define CGROUP_SOCKOPT          BIT(CGROUP_SOCKOPT)
#define TRACING                 BIT(TRACING)
#define STRUCT_OPS              BIT(STRUCT_OPS)
#define LSM                     BIT(LSM)
#define SK_LOOKUP               BIT(SK_LOOKUP)
#define SYSCALL                 BIT(SYSCALL)
#define NETFILTER               BIT(NETFILTER)

#define EVERY   (((uint64_t)1 << PROG_TYPE_COUNT) - 1)
#define BASE    (EVERY & ~LIRC_MODE2)
#define TRACERS (KPROBE | TRACEPOINT | PERF_EVENT | RAW_TRACEPOINT | RAW_TRACEPOINT_WRITABLE | TRACING | LSM | SYSCALL)
#define TC      (SCHED_CLS | SCHED_ACT)
#define LWT     (LWT_IN | LWT_OUT | LWT_XMIT | LWT_SEG6LOCAL)
#define CGROUPS                                                                                                        \
    (CGROUP_SKB | CGROUP_SOCK | SOCK_OPS | CGROUP_DEVICE | CGROUP_SOCK_ADDR | CGROUP_SYSCTL | CGROUP_SOCKOPT | LSM)
/* Those for which a struct sock can be seen as one of its kinds. */
#define SK_CASTERS                                                                                                     \
    (LWT | TC | SOCKET_FILTER | XDP | CGROUP_SKB | SOCK_OPS | SK_SKB | SK_MSG | CGROUP_SOCK_ADDR | FLOW_DISSECTOR |    \
     SK_LOOKUP | SYSCALL | TRACING | LSM)

/* Programs of type TRACING that are iterators, where it matters. */
#define ITERATORS ((uint64_t)1 << 63)

static const struct {
    uint64_t types;
    uint8_t need;
} users[HELPER_COUNT] = {
#define USERS(helper, needs, who) [HELPER_##helper] = {who, NEED_##needs},
#include "vm/abi/helper_users.def"
};

enum {
    POSITION_NONE,
#define USERS(helper, needs, who) POSITION_##helper,
#include "vm/abi/helper_users.def"
    POSITIONS
};
#define USERS(helper, needs, who)                                                                                      \
    _Static_assert((int)POSITION_##helper == (int)HELPER_##helper, "helper_users.def: one row a helper, in order");
#include "vm/abi/helper_users.def"
_Static_assert((int)POSITIONS == (int)HELPER_COUNT, "helper_users.def: no helper is left out");

static const struct {
    uint8_t helper, type, attach;
} at[] = {
#define AT(helper, type, attach) {HELPER_##helper, PROG_TYPE_##type, ATTACH_##attach},
#include "vm/abi/helper_users.def"
};

struct pair {
    uint8_t type, helper;
};

static const struct pair takes[] = {
#define TAKES(type, helper) {MAP_TYPE_##type, HELPER_##helper},
#define ALSO(type, helper)
#define OPEN(type)
#define READS(type, helper)
#define FINDS(type, what)
#define BY(type, helper, who)
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
};

static const struct pair also[] = {
#define TAKES(type, helper)
#define ALSO(type, helper) {MAP_TYPE_##type, HELPER_##helper},
#define OPEN(type)
#define READS(type, helper)
#define FINDS(type, what)
#define BY(type, helper, who)
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
};

static const struct pair reads[] = {
#define TAKES(type, helper)
#define ALSO(type, helper)
#define OPEN(type)
#define READS(type, helper) {MAP_TYPE_##type, HELPER_##helper},
#define FINDS(type, what)
#define BY(type, helper, who)
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
};

static const uint8_t open[] = {
#define TAKES(type, helper)
#define ALSO(type, helper)
#define OPEN(type) MAP_TYPE_##type,
#define READS(type, helper)
#define FINDS(type, what)
#define BY(type, helper, who)
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool policy_helper(const struct prog_type *type, uint32_t attach_type, bool unprivileged, uint32_t helper)
{
    bool narrowed = false;

    if (helper >= HELPER_COUNT || !(users[helper].types >> type->id & 1))
        return false;
    if (unprivileged && users[helper].need != NEED_NONE)
        return false;
    for (size_t i = 0; i < COUNT(at); i++) {
        if (at[i].helper != helper || at[i].type != type->id)
            continue;
        if (at[i].attach == attach_type)
            return true;
        narrowed = true;
    }
    return !narrowed;
}

bool policy_iterator(const char *target, uint32_t helper)
{
    static const struct {
        uint8_t helper;
        const char *target;
    } rows[] = {
#define ITERATOR(helper, target) {HELPER_##helper, #target},
#include "vm/abi/helper_users.def"
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].helper == helper && !strcmp(rows[i].target, target))
            return true;
    return false;
}

static const struct {
    uint8_t type;
    uint16_t from, to;
    bool stores; /* only stores are restricted */
    uint64_t attach;
} fields[] = {
#define R                                    false
#define W                                    true
#define UNSET                                ((uint64_t)1)
#define A(attach)                            ((uint64_t)1 << ATTACH_##attach)
#define CTX_AT(type, from, to, what, attach) {PROG_TYPE_##type, from, to, what, attach},
#include "vm/abi/ctx_users.def"
#undef R
#undef W
#undef A
#undef UNSET
};

bool policy_ctx(const struct prog_type *type, uint32_t attach_type, uint32_t off, bool write)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].type == type->id && off >= fields[i].from && off < fields[i].to && (write || !fields[i].stores))
            return attach_type < 64 && fields[i].attach >> attach_type & 1;
    return true;
}

static bool holds(const struct pair *pairs, size_t n, uint32_t map_type, uint32_t helper)
{
    for (size_t i = 0; i < n; i++)
        if (pairs[i].type == map_type && pairs[i].helper == helper)
            return true;
    return false;
}

bool policy_map_helper(uint32_t map_type, uint32_t helper)
{
    bool bound = false;

    if (holds(takes, COUNT(takes), map_type, helper) || holds(also, COUNT(also), map_type, helper))
        return true;
    for (size_t i = 0; i < COUNT(takes); i++) {
        if (takes[i].helper == helper)
            return false;
        bound |= takes[i].type == map_type;
    }
    for (size_t i = 0; i < COUNT(open); i++)
        bound &= open[i] != map_type;
    return !bound;
}

bool policy_map_reads_value(uint32_t map_type, uint32_t helper)
{
    return holds(reads, COUNT(reads), map_type, helper);
}

enum map_finds policy_map_finds(uint32_t map_type)
{
    static const uint8_t finds[MAP_TYPE_COUNT] = {
#define TAKES(type, helper)
#define ALSO(type, helper)
#define OPEN(type)
#define READS(type, helper)
#define FINDS(type, what) [MAP_TYPE_##type] = MAP_FINDS_##what,
#define BY(type, helper, who)
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
    };

    return map_type < MAP_TYPE_COUNT ? (enum map_finds)finds[map_type] : MAP_FINDS_VALUE;
}

bool policy_map_sleepable(uint32_t map_type)
{
#define SLEEPS(type) ((uint64_t)1 << MAP_TYPE_##type)
    static const uint64_t types = SLEEPS(HASH) | SLEEPS(LRU_HASH) | SLEEPS(ARRAY) | SLEEPS(PERCPU_HASH) |
                                  SLEEPS(PERCPU_ARRAY) | SLEEPS(LRU_PERCPU_HASH) | SLEEPS(ARRAY_OF_MAPS) |
                                  SLEEPS(HASH_OF_MAPS) | SLEEPS(RINGBUF) | SLEEPS(USER_RINGBUF) |
                                  SLEEPS(INODE_STORAGE) | SLEEPS(SK_STORAGE) | SLEEPS(TASK_STORAGE) |
                                  SLEEPS(CGRP_STORAGE) | SLEEPS(QUEUE) | SLEEPS(STACK) | SLEEPS(ARENA);
#undef SLEEPS

    return map_type < 64 && types >> map_type & 1;
}

static const struct {
    uint8_t map, helper;
    uint64_t who;
} by[] = {
#define TAKES(type, helper)
#define ALSO(type, helper)
#define OPEN(type)
#define READS(type, helper)
#define FINDS(type, what)
#define BY(type, helper, who) {MAP_TYPE_##type, HELPER_##helper, who},
#define STRUCT(type, kernel)
#include "vm/abi/map_helpers.def"
};

bool policy_map_user(const struct prog_type *type, uint32_t attach_type, uint32_t map_type, uint32_t helper)
{
    uint64_t is =
        type->id == PROG_TYPE_TRACING && attach_type == ATTACH_TRACE_ITER ? ITERATORS : (uint64_t)1 << type->id;

    for (size_t i = 0; i < COUNT(by); i++)
        if (by[i].map == map_type && by[i].helper == helper)
            return by[i].who & is;
    return true;
}

const char *policy_map_struct(uint32_t map_type)
{
    static const char *const structs[MAP_TYPE_COUNT] = {
#define TAKES(type, helper)
#define ALSO(type, helper)
#define OPEN(type)
#define READS(type, helper)
#define FINDS(type, what)
#define BY(type, helper, who)
#define STRUCT(type, kernel) [MAP_TYPE_##type] = #kernel,
#include "vm/abi/map_helpers.def"
    };

    return map_type < MAP_TYPE_COUNT ? structs[map_type] : NULL;
}
