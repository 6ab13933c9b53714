/*
 * The policy tables of vm/abi against the running kernel: for each program type and attach type, which helpers its
 * verifier knows, what a program may return, and which helpers take packet pointers as memory. A type that the kernel
 * does not load here (another configuration, no permission) is left out; without bpf(2) all of it is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "base/buf.h"
#include "tests/unit/kernel_btf.h"
#include "tests/unit/kernel_maps.h"
#include "vm/abi/map_types.h"
#include "vm/abi/policy.h"
#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HELPERS = 211, SLEEPABLE = 16 /* BPF_F_SLEEPABLE */, MAX_INSNS = 64 };

/* Program types with the attach types that may make a difference. btf: what the kernel attaches it to. */
static const struct row {
    uint32_t type, attach_type;
    const char *btf;
    enum btf_kind kind;
    uint32_t flags;
} rows[] = {
    {.type = PROG_TYPE_SOCKET_FILTER},
    {.type = PROG_TYPE_KPROBE},
    {.type = PROG_TYPE_KPROBE, .attach_type = ATTACH_TRACE_KPROBE_SESSION},
    {.type = PROG_TYPE_KPROBE, .attach_type = ATTACH_TRACE_UPROBE_SESSION},
    {.type = PROG_TYPE_SCHED_CLS},
    {.type = PROG_TYPE_SCHED_ACT},
    {.type = PROG_TYPE_TRACEPOINT},
    {.type = PROG_TYPE_XDP, .attach_type = ATTACH_XDP},
    {.type = PROG_TYPE_PERF_EVENT},
    {.type = PROG_TYPE_CGROUP_SKB, .attach_type = ATTACH_CGROUP_INET_INGRESS},
    {.type = PROG_TYPE_CGROUP_SKB, .attach_type = ATTACH_CGROUP_INET_EGRESS},
    {.type = PROG_TYPE_CGROUP_SOCK, .attach_type = ATTACH_CGROUP_INET_SOCK_CREATE},
    {.type = PROG_TYPE_CGROUP_SOCK, .attach_type = ATTACH_CGROUP_INET_SOCK_RELEASE},
    {.type = PROG_TYPE_CGROUP_SOCK, .attach_type = ATTACH_CGROUP_INET4_POST_BIND},
    {.type = PROG_TYPE_LWT_IN},
    {.type = PROG_TYPE_LWT_OUT},
    {.type = PROG_TYPE_LWT_XMIT},
    {.type = PROG_TYPE_SOCK_OPS, .attach_type = ATTACH_CGROUP_SOCK_OPS},
    {.type = PROG_TYPE_SK_SKB, .attach_type = ATTACH_SK_SKB_STREAM_PARSER},
    {.type = PROG_TYPE_SK_SKB, .attach_type = ATTACH_SK_SKB_STREAM_VERDICT},
    {.type = PROG_TYPE_CGROUP_DEVICE, .attach_type = ATTACH_CGROUP_DEVICE},
    {.type = PROG_TYPE_SK_MSG, .attach_type = ATTACH_SK_MSG_VERDICT},
    {.type = PROG_TYPE_RAW_TRACEPOINT},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET4_BIND},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET6_BIND},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET4_CONNECT},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET6_CONNECT},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UDP4_SENDMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UDP6_SENDMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UDP4_RECVMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UDP6_RECVMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET4_GETPEERNAME},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET6_GETPEERNAME},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET4_GETSOCKNAME},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_INET6_GETSOCKNAME},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UNIX_CONNECT},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UNIX_SENDMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UNIX_RECVMSG},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UNIX_GETPEERNAME},
    {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_CGROUP_UNIX_GETSOCKNAME},
    {.type = PROG_TYPE_LWT_SEG6LOCAL},
    {.type = PROG_TYPE_LIRC_MODE2, .attach_type = ATTACH_LIRC_MODE2},
    {.type = PROG_TYPE_SK_REUSEPORT, .attach_type = ATTACH_SK_REUSEPORT_SELECT},
    {.type = PROG_TYPE_FLOW_DISSECTOR, .attach_type = ATTACH_FLOW_DISSECTOR},
    {.type = PROG_TYPE_CGROUP_SYSCTL, .attach_type = ATTACH_CGROUP_SYSCTL},
    {.type = PROG_TYPE_RAW_TRACEPOINT_WRITABLE},
    {.type = PROG_TYPE_CGROUP_SOCKOPT, .attach_type = ATTACH_CGROUP_GETSOCKOPT},
    {.type = PROG_TYPE_CGROUP_SOCKOPT, .attach_type = ATTACH_CGROUP_SETSOCKOPT},
    {PROG_TYPE_TRACING, ATTACH_TRACE_RAW_TP, "btf_trace_sched_switch", BTF_TYPEDEF, 0},
    {PROG_TYPE_TRACING, ATTACH_TRACE_FENTRY, "vfs_read", BTF_FUNC, 0},
    {PROG_TYPE_TRACING, ATTACH_TRACE_FEXIT, "vfs_read", BTF_FUNC, 0},
    {PROG_TYPE_TRACING, ATTACH_MODIFY_RETURN, "security_file_open", BTF_FUNC, 0},
    {PROG_TYPE_TRACING, ATTACH_TRACE_ITER, "bpf_iter_task", BTF_FUNC, 0},
    {PROG_TYPE_STRUCT_OPS, 0, "tcp_congestion_ops", BTF_STRUCT, 0},
    {PROG_TYPE_LSM, ATTACH_LSM_MAC, "bpf_lsm_file_open", BTF_FUNC, 0},
    {PROG_TYPE_LSM, ATTACH_LSM_CGROUP, "bpf_lsm_socket_bind", BTF_FUNC, 0},
    {.type = PROG_TYPE_SK_LOOKUP, .attach_type = ATTACH_SK_LOOKUP},
    {.type = PROG_TYPE_SYSCALL, .flags = SLEEPABLE},
    {.type = PROG_TYPE_NETFILTER, .attach_type = ATTACH_NETFILTER},
};

static char kernel_log[1 << 16];

/* @return 0 or the errno of a refusal; the words are in kernel_log. */
static int load(const struct row *row, const struct bpf_insn *insns, uint32_t n)
{
    union bpf_attr attr;
    int fd;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = row->type;
    attr.expected_attach_type = row->attach_type;
    attr.prog_flags = row->flags;
    attr.attach_btf_id = row->btf && kernel_btf ? btf_find(kernel_btf, row->btf, row->kind) : 0;
    attr.insns = (uintptr_t)insns;
    attr.insn_cnt = n;
    attr.license = (uintptr_t) "GPL";
    attr.log_buf = (uintptr_t)kernel_log;
    attr.log_size = sizeof(kernel_log);
    attr.log_level = 1;
    kernel_log[0] = 0;
    fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static const struct bpf_insn returns_one[] = {{.code = 0xb7, .imm = 1}, {.code = 0x95}};

/* Does the kernel's verifier look at such programs at all? */
static bool is_judged(const struct row *row)
{
    return !load(row, returns_one, 2) || kernel_log[0];
}

/* Helpers that a kernel may be built or booted without. */
static bool is_optional(uint32_t id)
{
    static const char *const names[] = {"probe_write_user", "override_return", "rc_repeat", "rc_keydown",
                                        "rc_pointer_rel"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(helper_find(id)->name, names[i]))
            return true;
    return false;
}

static void helpers_of_each_type_are_the_kernels(void **state)
{
    unsigned judged = 0, wrong = 0;

    (void)state;
    need_bpf();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct prog_type *type = prog_type_find(rows[i].type);

        if (!is_judged(&rows[i]))
            continue;
        for (uint32_t id = 1; id <= HELPERS; id++) {
            const struct bpf_insn insns[] = {
                {.code = 0xb7}, {.code = 0x85, .imm = (int32_t)id}, {.code = 0xb7}, {.code = 0x95}};
            int err = load(&rows[i], insns, 4);
            bool knows = !err || !(strstr(kernel_log, "cannot use helper") || strstr(kernel_log, "unknown func"));
            bool ours = policy_helper(type, rows[i].attach_type, false, id);

            judged++;
            if (knows == ours || (ours && is_optional(id)))
                continue;
            wrong++;
            print_message("%s, %s: bpf_%s: Linux %s it, the table %s\n", type->name,
                          attach_type_name(rows[i].attach_type), helper_find(id)->name, knows ? "knows" : "refuses",
                          ours ? "too lets it" : "does not");
        }
    }
    print_message("%u pairs of helper and program type\n", judged);
    assert_int_equal(wrong, 0);
    assert_true(judged > 5000);
}

static void return_ranges_are_the_kernels(void **state)
{
    unsigned wrong = 0;

    (void)state;
    need_bpf();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct prog_type *type = prog_type_find(rows[i].type);
        struct prog_range range = prog_type_returns(type, rows[i].attach_type);

        if (!is_judged(&rows[i]))
            continue;
        for (int v = -2; v <= 5; v++) {
            const struct bpf_insn insns[] = {{.code = 0xb7, .imm = v}, {.code = 0x95}};
            bool accepts = !load(&rows[i], insns, 2);
            bool ours = range.min > range.max || (v >= range.min && v <= range.max);

            if (accepts == ours)
                continue;
            wrong++;
            print_message("%s, %s: Linux %s a return of %d\n", type->name, attach_type_name(rows[i].attach_type),
                          accepts ? "allows" : "refuses", v);
        }
    }
    assert_int_equal(wrong, 0);
}

struct made {
    struct bpf_insn insns[MAX_INSNS];
    uint32_t n;
};

static void put(struct made *m, uint8_t code, unsigned dst, unsigned src, int off, int imm)
{
    m->insns[m->n++] =
        (struct bpf_insn){.code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = (int16_t)off, .imm = imm};
}

static bool is_memory(enum arg_kind kind)
{
    return kind == ARG_MAP_KEY || kind == ARG_MAP_VALUE || kind == ARG_MEM || kind == ARG_MEM_OR_NULL ||
           kind == ARG_MEM_UNINIT || kind == ARG_MEM_UNINIT_OR_NULL || kind == ARG_MEM_RDWR;
}

/* A call that has the packet for its memory argument `which` and the stack for the others. @return false: the helper
 * has arguments that need more than that. */
static bool call_on_packet(struct made *m, const struct helper *h, int which, int map_fd)
{
    m->n = 0;
    put(m, 0xbf, 6, 1, 0, 0);  /* r6 = ctx */
    put(m, 0x61, 7, 1, 76, 0); /* r7 = skb->data */
    put(m, 0x61, 8, 1, 80, 0); /* r8 = skb->data_end */
    put(m, 0xbf, 1, 7, 0, 0);
    put(m, 0x07, 1, 0, 0, 64);
    put(m, 0x3d, 8, 1, 2, 0); /* if r8 >= r1 goto +2 */
    put(m, 0xb7, 0, 0, 0, 0);
    put(m, 0x95, 0, 0, 0, 0);
    for (int off = -64; off < 0; off += 8)
        put(m, 0x7a, 10, 0, off, 0);
    for (int i = 0; i < 5 && h->arg[i] != ARG_NONE; i++) {
        enum arg_kind kind = (enum arg_kind)h->arg[i];
        unsigned r = (unsigned)i + 1;

        if (is_memory(kind)) {
            put(m, 0xbf, r, i == which ? 7 : 10, 0, 0);
            if (i != which)
                put(m, 0x07, r, 0, 0, -64);
        } else if (kind == ARG_MAP) {
            put(m, 0x18, r, 1, 0, map_fd);
            put(m, 0, 0, 0, 0, 0);
        } else if (kind == ARG_CTX) {
            put(m, 0xbf, r, 6, 0, 0);
        } else if (kind == ARG_LONG_PTR || kind == ARG_INT_PTR) {
            put(m, 0xbf, r, 10, 0, 0);
            put(m, 0x07, r, 0, 0, -64);
        } else if (kind == ARG_ANYTHING || kind == ARG_SIZE || kind == ARG_SIZE_OR_ZERO) {
            put(m, 0xb7, r, 0, 0, 4);
        } else {
            return false;
        }
    }
    put(m, 0x85, 0, 0, 0, (int)h->id);
    put(m, 0xb7, 0, 0, 0, 0);
    put(m, 0x95, 0, 0, 0, 0);
    return true;
}

static void packet_memory_is_the_kernels(void **state)
{
    const struct row row = {.type = PROG_TYPE_SCHED_CLS};
    unsigned asked = 0, wrong = 0;
    struct made m;
    union bpf_attr attr;
    int map;

    (void)state;
    need_bpf();
    memset(&attr, 0, sizeof(attr));
    attr.map_type = MAP_TYPE_HASH;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
    assert_true(map >= 0);
    for (uint32_t id = 1; id <= HELPERS; id++) {
        const struct helper *h = helper_find(id);

        if (!policy_helper(prog_type_find(row.type), 0, false, id))
            continue;
        for (int i = 0; i < 5; i++) {
            bool refuses, ours = h->effects & EFFECT_PACKET_MEM;

            if (h->effects & EFFECT_SLEEPS || !is_memory((enum arg_kind)h->arg[i]) || !call_on_packet(&m, h, i, map))
                continue;
            load(&row, m.insns, m.n);
            refuses = strstr(kernel_log, "helper access to the packet is not allowed");
            asked++;
            if (refuses != ours)
                continue;
            wrong++;
            print_message("bpf_%s, argument %d: Linux %s the packet\n", h->name, i + 1, refuses ? "refuses" : "takes");
        }
    }
    close(map);
    print_message("%u memory arguments\n", asked);
    assert_int_equal(wrong, 0);
    assert_true(asked > 20);
}

/* The tables among themselves: what unprivileged programs may call, privileged ones may too. */
static void fewer_privileges_never_allow_more(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < PROG_TYPE_COUNT; t++)
        for (uint32_t a = 0; a < ATTACH_TYPE_COUNT; a++)
            for (uint32_t id = 0; id < 300; id++)
                if (policy_helper(prog_type_find(t), a, true, id))
                    assert_true(policy_helper(prog_type_find(t), a, false, id));
}

static void maps_go_with_their_helpers(void **state)
{
    const uint32_t lookup = helper_by_name("map_lookup_elem")->id, tail = helper_by_name("tail_call")->id,
                   update = helper_by_name("map_update_elem")->id,
                   percpu = helper_by_name("map_lookup_percpu_elem")->id;

    (void)state;
    assert_true(policy_map_helper(MAP_TYPE_HASH, lookup));
    assert_true(policy_map_helper(MAP_TYPE_PERCPU_ARRAY, lookup));
    assert_true(policy_map_helper(MAP_TYPE_PERCPU_ARRAY, percpu));
    assert_false(policy_map_helper(MAP_TYPE_ARRAY, percpu));
    assert_true(policy_map_helper(MAP_TYPE_ARRAY_OF_MAPS, lookup));
    assert_false(policy_map_helper(MAP_TYPE_ARRAY_OF_MAPS, update));
    assert_true(policy_map_helper(MAP_TYPE_PROG_ARRAY, tail));
    assert_false(policy_map_helper(MAP_TYPE_PROG_ARRAY, lookup));
    assert_false(policy_map_helper(MAP_TYPE_HASH, tail));
    assert_true(policy_map_helper(MAP_TYPE_SOCKMAP, update));
    assert_false(policy_map_helper(MAP_TYPE_RINGBUF, update));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_of_each_type_are_the_kernels), cmocka_unit_test(return_ranges_are_the_kernels),
        cmocka_unit_test(packet_memory_is_the_kernels),         cmocka_unit_test(fewer_privileges_never_allow_more),
        cmocka_unit_test(maps_go_with_their_helpers),
    };
    return cmocka_run_group_tests(tests, load_btf, drop_btf);
}
