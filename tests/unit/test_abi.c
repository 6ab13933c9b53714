/* The tables of vm/abi against themselves and, where it shows its types, against the running kernel's BTF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "tests/unit/kernel_btf.h"
#include "vm/abi/ctx.h"
#include "vm/abi/helpers.h"
#include "vm/abi/map_types.h"
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* The name, without prefix, of an enum's value in the kernel; `ours` where the kernel is too old to have it. */
static const char *kernel_enum(const char *type, const char *prefix, int value, const char *ours)
{
    uint32_t id = btf_find(kernel_btf, type, BTF_ENUM);
    const struct btf_type *t = btf_type_at(kernel_btf, id);
    const struct btf_enum *e;

    assert_int_not_equal(id, 0);
    e = btf_enums(t);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const char *name = btf_str(kernel_btf, e[i].name_off);
        if (e[i].val == value && !strncmp(name, prefix, strlen(prefix)))
            return name + strlen(prefix);
    }
    return ours;
}

static void need_btf(void)
{
    if (!kernel_btf) {
        print_message("no /sys/kernel/btf/vmlinux to compare with\n");
        skip();
    }
}

static void helpers_are_found_by_number_and_name(void **state)
{
    (void)state;
    assert_null(helper_find(0));
    assert_null(helper_find(212));
    assert_null(helper_find(UINT32_MAX));
    for (uint32_t id = 1; id < 212; id++) {
        const struct helper *h = helper_find(id);
        assert_non_null(h);
        assert_int_equal(h->id, id);
        assert_ptr_equal(helper_by_name(h->name), h);
        if (h->effects & EFFECT_ENGINE)
            assert_null(h->body);
    }
    assert_null(helper_by_name("map_lookup"));
    assert_int_equal(helper_by_name("ringbuf_reserve")->map_type, MAP_TYPE_RINGBUF);
    assert_int_equal(helper_by_name("ringbuf_reserve")->effects, EFFECT_ACQUIRES);
    assert_int_equal(helper_by_name("tail_call")->effects, EFFECT_ENGINE);
}

/* Linux allows a size argument only after the memory that it bounds. */
static void sizes_follow_memory(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 212; id++) {
        const struct helper *h = helper_find(id);
        bool ended = false;

        for (int i = 0; i < 5; i++) {
            bool mem = h->arg[i] >= ARG_MEM && h->arg[i] <= ARG_MEM_RDWR;
            bool size = h->arg[i] == ARG_SIZE || h->arg[i] == ARG_SIZE_OR_ZERO;
            bool mem_before = i > 0 && h->arg[i - 1] >= ARG_MEM && h->arg[i - 1] <= ARG_MEM_RDWR;

            assert_true(!mem || i < 4);
            assert_int_equal(size, mem_before);
            assert_false(ended && h->arg[i] != ARG_NONE);
            ended |= h->arg[i] == ARG_NONE;
        }
    }
}

static void helpers_bear_the_kernels_names(void **state)
{
    (void)state;
    need_btf();
    for (uint32_t id = 1; id < 212; id++)
        assert_string_equal(helper_find(id)->name,
                            kernel_enum("bpf_func_id", "BPF_FUNC_", (int)id, helper_find(id)->name));
}

static void assert_same_ignoring_case(const char *a, const char *b)
{
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(strlen(a), strlen(b));
    for (; *a; a++, b++)
        assert_int_equal(tolower((unsigned char)*a), tolower((unsigned char)*b));
}

static void types_bear_the_kernels_names(void **state)
{
    (void)state;
    need_btf();
    for (uint32_t id = 0; id < PROG_TYPE_COUNT; id++) {
        const char *name = prog_type_find(id)->name;
        assert_same_ignoring_case(name, kernel_enum("bpf_prog_type", "BPF_PROG_TYPE_", (int)id, name));
    }
    for (uint32_t id = 0; id < ATTACH_TYPE_COUNT; id++) {
        const char *name = attach_type_name(id);
        assert_same_ignoring_case(name, kernel_enum("bpf_attach_type", "BPF_", (int)id, name));
    }
}

static void program_types_are_found(void **state)
{
    (void)state;
    assert_null(prog_type_find(PROG_TYPE_COUNT));
    assert_null(prog_type_by_name("xpd"));
    for (uint32_t id = 0; id < PROG_TYPE_COUNT; id++) {
        assert_int_equal(prog_type_find(id)->id, id);
        assert_ptr_equal(prog_type_by_name(prog_type_find(id)->name), prog_type_find(id));
        assert_non_null(prog_type_find(id)->ctx);
    }
    assert_null(attach_type_name(ATTACH_TYPE_COUNT));
}

static void verdicts_have_names(void **state)
{
    const struct prog_type *xdp = prog_type_by_name("xdp"), *tc = prog_type_by_name("sched_cls");

    (void)state;
    assert_string_equal(prog_type_verdict(xdp, 2), "XDP_PASS");
    assert_null(prog_type_verdict(xdp, 5));
    assert_null(prog_type_verdict(xdp, -1));
    assert_string_equal(prog_type_verdict(tc, -1), "TC_ACT_UNSPEC");
    assert_string_equal(prog_type_verdict(tc, 7), "TC_ACT_REDIRECT");
    assert_null(prog_type_verdict(prog_type_by_name("kprobe"), 0));
}

static void sections_mean_what_libbpf_says(void **state)
{
    static const struct {
        const char *name;
        int type, attach; /* type -1: no such section */
        const char *target;
        bool sleepable;
    } rows[] = {
        {"xdp", PROG_TYPE_XDP, ATTACH_XDP, "", false},
        {"xdp/devmap", PROG_TYPE_XDP, ATTACH_XDP_DEVMAP, "", false},
        {"xdp.frags", PROG_TYPE_XDP, ATTACH_XDP, "", false},
        {"xdp/other", -1, 0, NULL, false},
        {"xdp_prog", -1, 0, NULL, false},
        {"kprobe/do_unlinkat", PROG_TYPE_KPROBE, 0, "do_unlinkat", false},
        {"kprobe", PROG_TYPE_KPROBE, 0, "", false},
        {"kprobes", -1, 0, NULL, false},
        {"kprobe.multi/tcp_*", PROG_TYPE_KPROBE, ATTACH_TRACE_KPROBE_MULTI, "tcp_*", false},
        {"uprobe.s//bin/sh:main", PROG_TYPE_KPROBE, 0, "/bin/sh:main", true},
        {"usdt.s/x:a:b", PROG_TYPE_KPROBE, 0, "x:a:b", true},
        {"tp/sched/sched_switch", PROG_TYPE_TRACEPOINT, 0, "sched/sched_switch", false},
        {"tp_btf/sched_switch", PROG_TYPE_TRACING, ATTACH_TRACE_RAW_TP, "sched_switch", false},
        {"raw_tp.w/x", PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, "x", false},
        {"fentry.s/f", PROG_TYPE_TRACING, ATTACH_TRACE_FENTRY, "f", true},
        {"lsm/file_open", PROG_TYPE_LSM, ATTACH_LSM_MAC, "file_open", false},
        {"lsm_cgroup/x", PROG_TYPE_LSM, ATTACH_LSM_CGROUP, "x", false},
        {"iter/task", PROG_TYPE_TRACING, ATTACH_TRACE_ITER, "task", false},
        {"syscall", PROG_TYPE_SYSCALL, 0, "", true},
        {"syscall/x", -1, 0, NULL, false},
        {"tc", PROG_TYPE_SCHED_CLS, 0, "", false},
        {"tc/ingress", PROG_TYPE_SCHED_CLS, ATTACH_TCX_INGRESS, "", false},
        {"tc/other", -1, 0, NULL, false},
        {"classifier", PROG_TYPE_SCHED_CLS, 0, "", false},
        {"cgroup/skb", PROG_TYPE_CGROUP_SKB, 0, "", false},
        {"cgroup_skb/egress", PROG_TYPE_CGROUP_SKB, ATTACH_CGROUP_INET_EGRESS, "", false},
        {"cgroup/connect4", PROG_TYPE_CGROUP_SOCK_ADDR, ATTACH_CGROUP_INET4_CONNECT, "", false},
        {"struct_ops/init", PROG_TYPE_STRUCT_OPS, 0, "init", false},
        {"freplace/f", PROG_TYPE_EXT, 0, "f", false},
        {"sk_reuseport/migrate", PROG_TYPE_SK_REUSEPORT, ATTACH_SK_REUSEPORT_SELECT_OR_MIGRATE, "", false},
        {"netfilter", PROG_TYPE_NETFILTER, ATTACH_NETFILTER, "", false},
        {"", -1, 0, NULL, false},
        {"license", -1, 0, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *target = NULL;
        const struct section_def *def = section_find(rows[i].name, &target);

        if (rows[i].type < 0) {
            assert_null(def);
            continue;
        }
        assert_non_null(def);
        assert_int_equal(def->type, rows[i].type);
        assert_int_equal(def->attach_type, rows[i].attach);
        assert_int_equal(def->sleepable, rows[i].sleepable);
        assert_string_equal(target, rows[i].target);
    }
    assert_true(section_find("xdp.frags", NULL)->frags);
}

static void older_sections_are_guessed_by_their_beginning(void **state)
{
    (void)state;
    assert_int_equal(section_guess("xdp_prog")->type, PROG_TYPE_XDP);
    assert_int_equal(section_guess("classifier/ingress")->type, PROG_TYPE_SCHED_CLS);
    assert_int_equal(section_guess("cgroup/connect4x")->type, PROG_TYPE_CGROUP_SOCK_ADDR);
    assert_null(section_guess("from-container"));
}

static void fields_are_found_by_offset(void **state)
{
    (void)state;
    assert_string_equal(ctx_field_at(&ctx_xdp_md, 0)->name, "data");
    assert_string_equal(ctx_field_at(&ctx_xdp_md, 7)->name, "data_end");
    assert_null(ctx_field_at(&ctx_xdp_md, 24));
    assert_string_equal(ctx_field_at(&ctx_skb_tc, 67)->name, "cb");
    assert_null(ctx_field_at(&ctx_skb_tc, 181));
    assert_null(ctx_field_at(&ctx_skb_tc, 192));
    assert_null(ctx_field_at(&ctx_record, 0));
}

static bool allows(const struct ctx_layout *layout, uint32_t off, uint32_t size, unsigned access)
{
    const struct ctx_field *f = ctx_field_at(layout, off);
    return f && ctx_field_allows(f, off, size, access);
}

static void access_follows_the_family(void **state)
{
    (void)state;
    /* mark: read everywhere but sk_skb, written by tc, not by socket filters; loads may be narrow, stores not */
    assert_true(allows(&ctx_skb_tc, 8, 4, CTX_READ));
    assert_true(allows(&ctx_skb_tc, 9, 1, CTX_READ));
    assert_false(allows(&ctx_skb_tc, 9, 2, CTX_READ));
    assert_true(allows(&ctx_skb_tc, 8, 4, CTX_WRITE));
    assert_false(allows(&ctx_skb_tc, 8, 1, CTX_WRITE));
    assert_false(allows(&ctx_skb_filter, 8, 4, CTX_WRITE));
    assert_false(allows(&ctx_skb_sk, 8, 4, CTX_READ));
    /* cb: any size, both ways, not past its end */
    assert_true(allows(&ctx_skb_filter, 51, 1, CTX_WRITE));
    assert_true(allows(&ctx_skb_tc, 48, 8, CTX_WRITE));
    assert_false(allows(&ctx_skb_tc, 64, 8, CTX_WRITE));
    /* data is whole; a socket filter has none */
    assert_false(allows(&ctx_skb_tc, 76, 2, CTX_READ));
    assert_false(allows(&ctx_skb_filter, 76, 4, CTX_READ));
    /* 8 bytes may not span two fields */
    assert_false(allows(&ctx_skb_tc, 0, 8, CTX_READ));
    assert_true(allows(&ctx_skb_tc, 152, 8, CTX_WRITE));
    assert_false(allows(&ctx_xdp_md, 16, 4, CTX_WRITE));
    assert_false(allows(&ctx_xdp_md, 12, 2, CTX_READ));
    assert_true(allows(&ctx_sock_addr, 8, 8, CTX_WRITE));
    assert_false(allows(&ctx_sock_addr, 8, 2, CTX_WRITE));
    assert_true(allows(&ctx_sock_addr, 8, 2, CTX_READ));
}

/* Each field stands where the kernel's struct has it. */
static void layouts_match_the_kernels_structs(void **state)
{
    static const struct ctx_layout *const layouts[] = {
        &ctx_xdp_md,    &ctx_skb_tc,     &ctx_sock,   &ctx_sock_addr, &ctx_sock_ops,       &ctx_sk_msg_md,
        &ctx_sk_lookup, &ctx_cgroup_dev, &ctx_sysctl, &ctx_sockopt,   &ctx_sk_reuseport_md};

    struct utsname name;

    (void)state;
    need_btf();
    /* Structs grow, but what they have stays where it is. */
    for (size_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]); l++) {
        const struct ctx_layout *layout = layouts[l];
        uint32_t id = btf_find(kernel_btf, layout->name, BTF_STRUCT);
        const struct btf_type *t = btf_type_at(kernel_btf, id);

        assert_int_not_equal(id, 0);
        if (!uname(&name) && !strncmp(name.release, "6.18.", 5))
            assert_int_equal(t->size, layout->size);
        for (uint32_t i = 0; i < layout->n_fields; i++) {
            const struct ctx_field *f = &layout->fields[i];
            size_t stem = strcspn(f->name, "[");

            assert_true(i == 0 || f->off >= layout->fields[i - 1].off + layout->fields[i - 1].size);
            for (unsigned m = 0; m < btf_vlen(t); m++) {
                const char *name = btf_str(kernel_btf, btf_members(t)[m].name_off);
                uint32_t off = btf_member_bit_off(t, m) / 8;

                if (strlen(name) != stem || strncmp(name, f->name, stem))
                    continue;
                if (f->name[stem])
                    off += 4 * (uint32_t)strtoul(f->name + stem + 1, NULL, 10);
                assert_int_equal(f->off, off);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_are_found_by_number_and_name),
        cmocka_unit_test(sizes_follow_memory),
        cmocka_unit_test(helpers_bear_the_kernels_names),
        cmocka_unit_test(types_bear_the_kernels_names),
        cmocka_unit_test(program_types_are_found),
        cmocka_unit_test(verdicts_have_names),
        cmocka_unit_test(sections_mean_what_libbpf_says),
        cmocka_unit_test(older_sections_are_guessed_by_their_beginning),
        cmocka_unit_test(fields_are_found_by_offset),
        cmocka_unit_test(access_follows_the_family),
        cmocka_unit_test(layouts_match_the_kernels_structs),
    };
    return cmocka_run_group_tests(tests, load_btf, drop_btf);
}
