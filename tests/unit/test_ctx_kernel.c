/* Contexts and packet helpers against the running kernel: what its verifier lets through and what its test runs say. */
#include "tests/unit/both.h"
#include "vm/abi/ctx.h"

static const uint32_t skb_types[] = {BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SCHED_ACT,
                                     BPF_PROG_TYPE_CGROUP_SKB,    BPF_PROG_TYPE_LWT_IN,    BPF_PROG_TYPE_LWT_OUT,
                                     BPF_PROG_TYPE_LWT_XMIT};

enum { N_SKB_TYPES = sizeof(skb_types) / sizeof(skb_types[0]), FRAME = 98 };

/* Frames of several kinds: addresses and bytes behind them differ everywhere. */
static void make_frame(unsigned char *f, size_t size, const char *dst, uint16_t type)
{
    for (size_t i = 0; i < size; i++)
        f[i] = (unsigned char)(i * 37 + 11);
    memcpy(f, dst, 6);
    f[12] = (unsigned char)(type >> 8);
    f[13] = (unsigned char)type;
    if (type == 0x0800)
        f[14] = 0x45;
    if (type == 0x86dd)
        f[14] = 0x60;
}

static const struct {
    const char *name, *dst;
    uint16_t type;
} frames[] = {
    {"IPv4 to us", "\0\0\0\0\0\0", 0x0800},
    {"IPv4 to others", "\2\0\0\0\0\1", 0x0800},
    {"IPv6 to all", "\xff\xff\xff\xff\xff\xff", 0x86dd},
    {"IPv6 multicast", "\x33\x33\0\0\0\1", 0x86dd},
    {"ARP", "\xff\xff\xff\xff\xff\xff", 0x0806},
    {"VLAN", "\2\0\0\0\0\1", 0x8100},
    {"802.3", "\1\x80\xc2\0\0\0", 0x0026},
};

enum { N_FRAMES = sizeof(frames) / sizeof(frames[0]) };

static bool kernel_takes(uint32_t type, const char *text)
{
    static struct both_out out;
    const struct both_in in = {.text = text, .type = type};
    int fd = both_kernel_load(&in, NULL, &out);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void check_access(uint32_t type, uint32_t off, uint32_t size, bool write)
{
    const struct ctx_layout *layout = prog_type_find(type)->ctx;
    const struct ctx_field *f = ctx_field_at(layout, off);
    bool ours = f && ctx_field_allows(f, off, size, write ? CTX_WRITE : CTX_READ), theirs;
    char text[128];

    /* egress_ifindex is for programs of a DEVMAP, which are no type of their own. */
    if (f && !strcmp(f->name, "egress_ifindex"))
        return;
    if (write)
        snprintf(text, sizeof(text), "r2 = 0\n*(u%u *)(r1 + %u) = r2\nr0 = 0\nexit\n", size * 8, off);
    else
        snprintf(text, sizeof(text), "r0 = *(u%u *)(r1 + %u)\nr0 = 0\nexit\n", size * 8, off);
    theirs = kernel_takes(type, text);
    if (ours != theirs)
        fail_msg("%s: %s of %u bytes at %u (%s): we %s it, the kernel does %s", prog_type_find(type)->name,
                 write ? "write" : "read", size, off, f ? f->name : "no field", ours ? "allow" : "refuse",
                 theirs ? "allow" : "not");
}

static void access_is_what_the_verifier_allows(void **state)
{
    static const uint32_t types[] = {
        BPF_PROG_TYPE_XDP,         BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS,
        BPF_PROG_TYPE_LWT_IN,      BPF_PROG_TYPE_CGROUP_SKB,    BPF_PROG_TYPE_SK_SKB,
        BPF_PROG_TYPE_SK_MSG,      BPF_PROG_TYPE_SOCK_OPS,      BPF_PROG_TYPE_FLOW_DISSECTOR,
        BPF_PROG_TYPE_SK_REUSEPORT};

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (uint32_t off = 0; off < prog_type_find(types[t])->ctx->size; off++)
            for (uint32_t size = 1; size <= 8; size *= 2) {
                if (off % size)
                    continue;
                check_access(types[t], off, size, false);
                check_access(types[t], off, size, true);
            }
}

/* Every field that a family may read says the same about every frame. */
static void skb_fields_say_the_same(void **state)
{
    unsigned char frame[FRAME];
    char text[64], what[96];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t t = 0; t < N_SKB_TYPES; t++)
        for (size_t k = 0; k < N_FRAMES; k++) {
            const struct ctx_layout *layout = prog_type_find(skb_types[t])->ctx;

            make_frame(frame, sizeof(frame), frames[k].dst, frames[k].type);
            for (uint32_t i = 0; i < layout->n_fields; i++) {
                const struct ctx_field *f = &layout->fields[i];
                struct both_in in = {.text = text, .type = skb_types[t], .data = frame, .size = sizeof(frame)};

                if (!(f->access & CTX_READ) || f->kind != CTX_PLAIN || f->size > 8)
                    continue;
                snprintf(text, sizeof(text), "r0 = *(u%u *)(r1 + %u)\n%sexit\n", f->size * 8, f->off,
                         skb_types[t] == BPF_PROG_TYPE_CGROUP_SKB ? "if r0 != 0 goto +1\nexit\nr0 = 1\n" : "");
                snprintf(what, sizeof(what), "%s of %s, %s", f->name, prog_type_find(skb_types[t])->name,
                         frames[k].name);
                both_compare(what, &in);
            }
        }
}

/* A cgroup program may not return more than one bit; read its fields bit by bit. */
static void cgroup_skb_addresses_are_the_packets(void **state)
{
    unsigned char frame[FRAME];
    char text[128];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (uint32_t off = 88; off < 140; off += 4)
        for (uint32_t bit = 0; bit < 32; bit++) {
            struct both_in in = {.text = text, .type = BPF_PROG_TYPE_CGROUP_SKB, .data = frame, .size = sizeof(frame)};

            snprintf(text, sizeof(text), "r0 = *(u32 *)(r1 + %u)\nr0 >>= %u\nr0 &= 1\nexit\n", off, bit);
            both_compare(text, &in);
        }
}

static void skb_sizes_are_judged_alike(void **state)
{
    static const uint16_t types[] = {0x0800, 0x86dd, 0x0806};
    unsigned char frame[FRAME];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t t = 0; t < N_SKB_TYPES; t++)
        for (size_t k = 0; k < 3; k++) {
            make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", types[k]);
            for (uint32_t size = 0; size < 60; size++) {
                struct both_in in = {.text = "r0 = 1\nexit\n", .type = skb_types[t], .data = frame, .size = size};
                both_compare(prog_type_find(skb_types[t])->name, &in);
            }
        }
}

static void skb_contexts_come_in_and_out_alike(void **state)
{
    static const uint32_t values[] = {1, 60, 65535, 65537, UINT32_MAX};
    unsigned char frame[FRAME];
    uint32_t ctx[50];
    char what[64];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (uint32_t word = 0; word < 50; word++)
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            struct both_in in = {.text = "r0 = 0\nexit\n",
                                 .type = BPF_PROG_TYPE_SCHED_CLS,
                                 .data = frame,
                                 .size = sizeof(frame),
                                 .ctx = ctx,
                                 .ctx_size = sizeof(ctx),
                                 .want_ctx = true};

            if (word == 10 && values[v] > 1)
                continue; /* ifindex: the kernel has few devices */
            memset(ctx, 0, sizeof(ctx));
            ctx[word] = values[v];
            snprintf(what, sizeof(what), "context word %u = %u", word, values[v]);
            both_compare(what, &in);
        }
}

/* What a program stores into its context reads back and comes out. */
static void skb_stores_come_out_alike(void **state)
{
    static const uint32_t offs[] = {8, 12, 32, 44, 48, 52, 64, 72};
    unsigned char frame[FRAME];
    char text[160];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        struct both_in in = {
            .text = text, .type = BPF_PROG_TYPE_SCHED_CLS, .data = frame, .size = sizeof(frame), .want_ctx = true};

        snprintf(text, sizeof(text), "r2 = 7\n*(u32 *)(r1 + %u) = r2\nr0 = *(u32 *)(r1 + %u)\nexit\n", offs[i],
                 offs[i]);
        both_compare(text, &in);
    }
    {
        struct both_in in = {.text = "r2 = 0x123456789a ll\n*(u64 *)(r1 + 152) = r2\nr0 = *(u64 *)(r1 + 152)\nexit\n",
                             .type = BPF_PROG_TYPE_SCHED_CLS,
                             .data = frame,
                             .size = sizeof(frame),
                             .want_ctx = true};
        both_compare("tstamp", &in);
    }
}

static void xdp_contexts_are_judged_alike(void **state)
{
    static unsigned char data[5000];
    static const char text[] = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = *(u32 *)(r1 + 8)\n"
                               "r3 -= r2\nr2 -= r4\nr0 = r3\nr0 <<= 12\nr0 += r2\nr2 = *(u32 *)(r1 + 12)\n"
                               "r0 <<= 4\nr0 += r2\nr2 = *(u32 *)(r1 + 16)\nr0 += r2\nexit\n";
    char what[96];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (uint32_t meta = 0; meta <= 260; meta += meta < 12 ? 1 : 4)
        for (uint32_t extra = 12; extra < 16; extra++) {
            uint32_t ctx[6] = {meta, meta + extra};
            struct both_in in = {.text = text, .type = BPF_PROG_TYPE_XDP, .data = data, .size = meta + extra};

            in.ctx = ctx;
            in.ctx_size = sizeof(ctx);
            in.want_ctx = true;
            snprintf(what, sizeof(what), "metadata %u, packet %u", meta, extra);
            both_compare(what, &in);
        }
    for (uint32_t word = 0; word < 6; word++)
        for (uint32_t value = 0; value < 100; value += 9) {
            uint32_t ctx[6] = {0, 80};
            struct both_in in = {.text = text, .type = BPF_PROG_TYPE_XDP, .data = data, .size = 80};

            if (word == 3 && value > 1)
                continue;
            ctx[word] = value;
            in.ctx = ctx;
            in.ctx_size = sizeof(ctx);
            in.want_ctx = true;
            snprintf(what, sizeof(what), "xdp_md word %u = %u", word, value);
            both_compare(what, &in);
        }
    for (uint32_t size = 0; size < 5000; size += size < 20 ? 1 : size > 3400 && size < 3600 ? 7 : 400) {
        struct both_in in = {.text = text, .type = BPF_PROG_TYPE_XDP, .data = data, .size = size};

        snprintf(what, sizeof(what), "XDP packet of %u", size);
        both_compare(what, &in);
    }
}

/* The three ways to move XDP's ends, by many steps, with and without metadata; the packet shows what became of it. */
static void xdp_ends_move_alike(void **state)
{
    static const char *const helpers[] = {"xdp_adjust_head", "xdp_adjust_meta", "xdp_adjust_tail"};
    static const int steps[] = {-300, -256, -220, -216, -212, -200, -64, -36, -33, -32,  -8,   -4,   -1,   0,
                                1,    4,    14,   49,   50,   51,   64,  100, 256, 3000, 3456, 3457, 3500, 4000};
    static unsigned char data[4200];
    char text[256], what[128];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + 1);
    for (size_t h = 0; h < 3; h++)
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
            for (uint32_t meta = 0; meta <= 32; meta += 16)
                for (uint32_t size = 64; size <= 4200; size += size == 64 ? 4036 : 100) {
                    uint32_t ctx[6] = {meta, size};
                    struct both_in in = {.text = text, .type = BPF_PROG_TYPE_XDP, .data = data, .size = size};

                    in.ctx = ctx;
                    in.ctx_size = sizeof(ctx);
                    in.want_ctx = true;
                    snprintf(text, sizeof(text), "r2 = %d\ncall %s\nexit\n", steps[s], helpers[h]);
                    snprintf(what, sizeof(what), "%s %d, metadata %u, size %u", helpers[h], steps[s], meta, size);
                    both_compare(what, &in);
                }
}

static void xdp_bytes_are_reached_alike(void **state)
{
    static unsigned char data[8000];
    static const uint32_t offs[] = {0,    1,    60,   63,   64,    3500,  3519,      3520,
                                    3521, 7990, 7995, 7996, 65535, 65536, 0x7fffffff};
    char text[400], what[96];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + 1);
    for (size_t o = 0; o < sizeof(offs) / sizeof(offs[0]); o++)
        for (uint32_t size = 64; size <= 8000; size += 7936) {
            struct both_in in = {.text = text, .type = BPF_PROG_TYPE_XDP, .data = data, .size = size};

            snprintf(text, sizeof(text),
                     "r6 = r1\nr2 = %u\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 5\ncall xdp_load_bytes\n"
                     "if r0 != 0 goto out\nr1 = r6\nr2 = 20\nr3 = r10\nr3 += -8\nr4 = 5\ncall xdp_store_bytes\n"
                     "r1 = r6\nr2 = %u\nr3 = r10\nr3 += -7\nr4 = 3\ncall xdp_store_bytes\n"
                     "r1 = r6\ncall xdp_get_buff_len\nout:\nexit\n",
                     offs[o], offs[o]);
            snprintf(what, sizeof(what), "5 bytes at %u of %u", offs[o], size);
            both_compare(what, &in);
        }
}

/* A tc program that makes one call on the packet and returns its result; packet, length, protocol show what it did. */
static void compare_tc(const char *calls)
{
    static unsigned char frame[200];
    char text[1024];

    for (size_t k = 0; k < N_FRAMES; k++) {
        struct both_in in = {.text = text, .type = BPF_PROG_TYPE_SCHED_CLS, .data = frame, .size = sizeof(frame)};

        in.want_ctx = true;
        make_frame(frame, sizeof(frame), frames[k].dst, frames[k].type);
        if (frames[k].type == 0x8100)
            memcpy(frame + 16, "\x81\x00\x20\x05\x08\x00", 6);
        snprintf(text, sizeof(text),
                 "r6 = r1\n%s\nr7 = r0\nr0 = *(u32 *)(r6 + 0)\n*(u32 *)(r6 + 48) = r0\nr0 = *(u32 *)(r6 + 16)\n"
                 "*(u32 *)(r6 + 52) = r0\nr0 = *(u32 *)(r6 + 20)\n*(u32 *)(r6 + 56) = r0\nr0 = *(u32 *)(r6 + 24)\n"
                 "*(u32 *)(r6 + 60) = r0\nr0 = *(u32 *)(r6 + 28)\n*(u32 *)(r6 + 64) = r0\nr0 = *(u32 *)(r6 + 4)\n"
                 "*(u32 *)(r6 + 8) = r0\nr0 = r7\nexit\n",
                 calls);
        both_compare(calls, &in);
    }
}

static void skb_room_changes_alike(void **state)
{
    static const int sizes[] = {0, 1, 13, 14, 20, 33, 34, 100, 200, 201, 500, 4000, 16064, 16065, -1};
    static const int diffs[] = {0, 4, 20, 28, 50, 4095, 4096, -4, -20, -40, -126, -146, -166, -186, -4096};
    static const uint64_t flags[] = {0,
                                     1,
                                     2,
                                     4,
                                     6,
                                     8,
                                     0xa,
                                     0xc,
                                     0x12,
                                     0x14,
                                     0x18,
                                     0x1a,
                                     0x20,
                                     0x22,
                                     0x42,
                                     0x80,
                                     0x100,
                                     0x180,
                                     0x200,
                                     0x0e00000000000042,
                                     0x0800000000000042,
                                     0x3200000000000002};
    char text[256];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int flag = 0; flag < 2; flag++) {
            snprintf(text, sizeof(text), "r2 = %d\nr3 = %d\ncall skb_change_tail", sizes[i], flag);
            compare_tc(text);
            snprintf(text, sizeof(text), "r2 = %d\nr3 = %d\ncall skb_change_head", sizes[i], flag);
            compare_tc(text);
        }
    for (size_t d = 0; d < sizeof(diffs) / sizeof(diffs[0]); d++)
        for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
            for (int mode = 0; mode < 3; mode++) {
                snprintf(text, sizeof(text), "r2 = %d\nr3 = %d\nr4 = 0x%llx ll\ncall skb_adjust_room", diffs[d], mode,
                         (unsigned long long)flags[f]);
                compare_tc(text);
            }
}

static void skb_protocols_change_alike(void **state)
{
    static const char *const calls[] = {
        "r2 = 0xdd86\nr3 = 0\ncall skb_change_proto",
        "r2 = 0x0008\nr3 = 0\ncall skb_change_proto",
        "r2 = 0x0608\nr3 = 0\ncall skb_change_proto",
        "r2 = 0xdd86\nr3 = 1\ncall skb_change_proto",
        "r2 = 0\ncall skb_change_type",
        "r2 = 3\ncall skb_change_type",
        "r2 = 4\ncall skb_change_type",
        "call skb_vlan_pop",
        "call skb_vlan_pop\nr1 = r6\ncall skb_vlan_pop",
        "call skb_vlan_pop\nr1 = r6\ncall skb_vlan_pop\nr1 = r6\ncall skb_vlan_pop",
        "r2 = 0x0081\nr3 = 5\ncall skb_vlan_push",
        "r2 = 0xa888\nr3 = 0x2005\ncall skb_vlan_push",
        "r2 = 7\nr3 = 0xffff\ncall skb_vlan_push",
        "r2 = 0x0081\nr3 = 5\ncall skb_vlan_push\nr1 = r6\nr2 = 0xa888\nr3 = 6\ncall skb_vlan_push",
        ("r2 = 0x0081\nr3 = 5\ncall skb_vlan_push\nr1 = r6\nr2 = 0xa888\nr3 = 6\ncall skb_vlan_push\nr1 = r6\n"
         "r2 = 0x0081\nr3 = 7\ncall skb_vlan_push\nr1 = r6\ncall skb_vlan_pop"),
        "r2 = 0x0081\nr3 = 5\ncall skb_vlan_push\nr1 = r6\ncall skb_vlan_pop",
        "r2 = 0x0081\nr3 = 5\ncall skb_vlan_push\nr1 = r6\nr2 = 20\nr3 = 0\nr4 = 0\ncall skb_adjust_room",
        "r2 = 12345\ncall set_hash\nr1 = r6\ncall get_hash_recalc",
        "r2 = 12345\ncall set_hash\nr1 = r6\ncall set_hash_invalid\nr0 = *(u32 *)(r6 + 68)",
        "r2 = 0x10000\nr3 = 0\ncall skb_set_tstamp\nr8 = r0\nr0 = *(u64 *)(r6 + 152)\nr0 += r8",
        "r2 = 0x10000\nr3 = 1\ncall skb_set_tstamp\nr8 = r0\nr0 = *(u64 *)(r6 + 152)\nr0 += r8",
        "r2 = 0\nr3 = 1\ncall skb_set_tstamp",
        "r2 = 0\nr3 = 0\ncall skb_set_tstamp",
        "r2 = 5\nr3 = 2\ncall skb_set_tstamp\nr0 = *(u8 *)(r6 + 180)",
        "r2 = 5\nr3 = 3\ncall skb_set_tstamp",
        "r2 = 3\ncall csum_level",
        "r2 = 0\ncall csum_level",
        "r2 = 1\ncall csum_level\nr1 = r6\nr2 = 0\ncall csum_level",
        "r2 = 1\ncall csum_level\nr1 = r6\nr2 = 1\ncall csum_level\nr1 = r6\nr2 = 0\ncall csum_level",
        "r2 = 1\ncall csum_level\nr1 = r6\nr2 = 2\ncall csum_level\nr1 = r6\nr2 = 0\ncall csum_level",
        "r2 = 9\ncall csum_level",
        "r2 = 9\ncall csum_update",
        "call get_cgroup_classid",
        "call get_route_realm",
        "r2 = 0\ncall skb_pull_data",
        "r2 = 200\ncall skb_pull_data",
        "r2 = 201\ncall skb_pull_data",
        "r1 = 1\nr2 = 0\ncall redirect",
        "r1 = 1\nr2 = 1\ncall redirect",
        "r1 = 1\nr2 = 2\ncall redirect",
        "r1 = 1\nr2 = 0\ncall redirect_peer",
        "r1 = 1\nr2 = 1\ncall redirect_peer",
        "r1 = 1\nr2 = 0\nr3 = 0\nr4 = 0\ncall redirect_neigh",
        "r1 = 1\nr2 = 0\nr3 = 0\nr4 = 1\ncall redirect_neigh",
        "r2 = 1\nr3 = 2\ncall clone_redirect",
        "r2 = 0\nr3 = 0\ncall clone_redirect",
    };

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        compare_tc(calls[i]);
}

static void skb_bytes_are_reached_alike(void **state)
{
    static const int64_t offs[] = {0, 1, 13, 14, 50, 192, 193, 200, 201, 0xffff, 0x10000, 0x7fffffff, 0x80000000};
    char text[400];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t o = 0; o < sizeof(offs) / sizeof(offs[0]); o++) {
        snprintf(text, sizeof(text),
                 "r2 = 0x%llx ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 8\ncall skb_load_bytes\n"
                 "if r0 != 0 goto +1\nr0 = *(u64 *)(r10 - 8)",
                 (unsigned long long)offs[o]);
        compare_tc(text);
        for (int from = 0; from < 3; from++) {
            snprintf(text, sizeof(text),
                     "r2 = 0x%llx ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 8\nr5 = %d\n"
                     "call skb_load_bytes_relative\nif r0 != 0 goto +1\nr0 = *(u64 *)(r10 - 8)",
                     (unsigned long long)offs[o], from);
            compare_tc(text);
        }
        for (int flags = 0; flags < 5; flags++) {
            snprintf(text, sizeof(text),
                     "r2 = 0x%llx ll\nr3 = 0x1122334455667788 ll\n*(u64 *)(r10 - 8) = r3\nr3 = r10\nr3 += -8\nr4 = 8\n"
                     "r5 = %d\ncall skb_store_bytes",
                     (unsigned long long)offs[o], flags);
            compare_tc(text);
        }
    }
}

static void checksums_are_replaced_alike(void **state)
{
    static const uint64_t values[] = {0, 1, 0xff00, 0xffff, 0x10000, 0x12345678, 0xffffffff, 0x123456789abcdef0};
    static const char *const places[] = {"24", "25", "0x10000", "199"};
    static const int flags[] = {0, 2, 4, 3, 0x10, 0x12, 0x14, 0x20, 0x22, 0x24, 0x62, 0x64, 0x84, 0x100};
    char text[300];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (int layer = 3; layer <= 4; layer++)
        for (size_t p = 0; p < 4; p++)
            for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
                for (size_t a = 0; a < (p ? 1 : 8); a++)
                    for (size_t b = 0; b < (p ? 1 : 8); b++) {
                        snprintf(text, sizeof(text),
                                 "r2 = %s\nr3 = 0x%llx ll\nr4 = 0x%llx ll\nr5 = %d\ncall l%d_csum_replace", places[p],
                                 (unsigned long long)values[a], (unsigned long long)values[b], flags[f], layer);
                        compare_tc(text);
                    }
}

static int pick(const int *from, int n)
{
    return from[rand() % n];
}

/* One call of a sequence; what it returns is folded into r7. */
/* *grown: bytes that were asked for at the head so far. Once Linux had to move a packet to a larger buffer, it takes
 * the offset of a transport header that was never set for one that was (docs/linux-differences.md), and refuses tails
 * by it. */
static int random_call(char *to, size_t room, bool xdp, int *grown)
{
    static const int steps[] = {-260, -64, -40, -20, -8, -4, 0, 4, 8, 14, 20, 28, 40, 64, 200};
    static const int sizes[] = {14, 20, 34, 54, 60, 100, 200, 300, 900};
    static const int protocols[] = {0x0008, 0xdd86}, tags[] = {0x0081, 0xa888},
                     flags[] = {0, 0, 2, 4, 0x20, 0x80, 0x100};
    enum { GROWS_IN_PLACE = 32 };
    int step = pick(steps, 15), size = pick(sizes, 9), mac = rand() % 2, n;

    if (xdp) {
        static const char *const names[] = {"xdp_adjust_head", "xdp_adjust_tail", "xdp_adjust_meta"};
        n = snprintf(to, room, "r1 = r6\nr2 = %d\ncall %s\n", step, names[rand() % 3]);
    } else {
        switch (rand() % 8) {
        case 0:
            if (*grown > GROWS_IN_PLACE)
                return 0;
            /* Not into the headers: room made there moves what lies behind the packet. */
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = 0\ncall skb_change_tail\n", size < 100 ? 100 : size);
            break;
        case 1:
            *grown += step & 31;
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = 0\ncall skb_change_head\n", step & 31);
            break;
        case 2:
            *grown += step > 0 ? step : 0;
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = %d\nr4 = %d\ncall skb_adjust_room\n", step, mac,
                         pick(flags, 7));
            break;
        case 3:
            *grown += 20;
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = 0\ncall skb_change_proto\n", pick(protocols, 2));
            break;
        case 4:
            *grown += 4;
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = %d\ncall skb_vlan_push\n", pick(tags, 2), size);
            break;
        case 5: n = snprintf(to, room, "r1 = r6\ncall skb_vlan_pop\n"); break;
        case 6: n = snprintf(to, room, "r1 = r6\nr2 = %d\ncall skb_pull_data\n", size); break;
        default:
            n = snprintf(to, room, "r1 = r6\nr2 = %d\nr3 = 1\nr4 = 2\nr5 = 2\ncall l3_csum_replace\n", size);
            break;
        }
    }
    return n + snprintf(to + n, room - (size_t)n, "r7 *= 31\nr7 += r0\n");
}

/* What one call leaves behind shows in what the next ones do. */
static void sequences_of_calls_act_alike(void **state)
{
    static unsigned char frame[200];
    char text[4096];

    (void)state;
    if (!both_kernel_ok())
        skip();
    srand(3);
    for (int round = 0; round < 600; round++) {
        bool xdp = round % 3 == 0;
        int k = rand() % N_FRAMES, n = snprintf(text, sizeof(text), "r6 = r1\nr7 = 0\n"), grown = 0;
        uint32_t md[6] = {0, sizeof(frame)};
        struct both_in in = {.text = text,
                             .type = xdp ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS,
                             .data = frame,
                             .size = sizeof(frame),
                             .want_ctx = true};

        if (xdp) {
            md[0] = (uint32_t)(rand() % 3) * 16;
            in.ctx = md;
            in.ctx_size = sizeof(md);
        }
        make_frame(frame, sizeof(frame), frames[k].dst, frames[k].type);
        if (frames[k].type == 0x8100)
            memcpy(frame + 16, "\x81\x00\x20\x05\x08\x00", 6);
        for (int call = 0; call < 6; call++)
            n += random_call(text + n, sizeof(text) - (size_t)n, xdp, &grown);
        if (!xdp)
            n += snprintf(text + n, sizeof(text) - (size_t)n,
                          "r0 = *(u32 *)(r6 + 0)\n*(u32 *)(r6 + 48) = r0\nr0 = *(u32 *)(r6 + 16)\n"
                          "*(u32 *)(r6 + 52) = r0\nr0 = *(u32 *)(r6 + 20)\n*(u32 *)(r6 + 56) = r0\n"
                          "r0 = *(u32 *)(r6 + 24)\n*(u32 *)(r6 + 60) = r0\nr0 = *(u32 *)(r6 + 28)\n"
                          "*(u32 *)(r6 + 64) = r0\n");
        snprintf(text + n, sizeof(text) - (size_t)n, "r0 = r7\nexit\n");
        both_compare(text, &in);
    }
}

static void other_contexts_come_in_and_out_alike(void **state)
{
    uint64_t args[13] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (uint32_t size = 0; size <= sizeof(args); size += 8) {
        struct both_in in = {.text = "r0 = 5\nexit\n", .type = BPF_PROG_TYPE_RAW_TRACEPOINT};

        in.ctx = size ? args : NULL;
        in.ctx_size = size;
        both_compare("raw tracepoint", &in);
        in.type = BPF_PROG_TYPE_RAW_TRACEPOINT;
        in.text = "r0 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 16)\nr0 += r2\nexit\n";
        if (size >= 24)
            both_compare("raw tracepoint arguments", &in);
    }
}

static void packets_of_lwt_and_cgroup_begin_at_the_network_header(void **state)
{
    static const uint32_t types[] = {BPF_PROG_TYPE_LWT_IN, BPF_PROG_TYPE_LWT_XMIT};
    static const char text[] = "r0 = 0\nr2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 20\n"
                               "if r4 > r3 goto +1\nr0 = *(u32 *)(r2 + 12)\nexit\n";
    unsigned char frame[FRAME];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (size_t t = 0; t < 2; t++) {
        struct both_in in = {.text = text, .type = types[t], .data = frame, .size = sizeof(frame), .want_ctx = true};
        both_compare(prog_type_find(types[t])->name, &in);
        in.text = "r2 = 14\nr3 = 0\ncall skb_change_head\nexit\n";
        if (types[t] == BPF_PROG_TYPE_LWT_XMIT)
            both_compare("change_head", &in);
    }
}

/* Who may store into the packet itself, and who may read it at all. */
static void packets_are_written_by_the_same_types(void **state)
{
    static const char *const accesses[] = {"r0 = *(u8 *)(r2 + 19)\nr0 &= 1", "*(u8 *)(r2 + 19) = 7\nr0 = 1"};
    unsigned char frame[FRAME];
    char text[256];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (size_t t = 0; t <= N_SKB_TYPES; t++)
        for (int a = 0; a < 2; a++) {
            bool xdp = t == N_SKB_TYPES;
            struct both_in in = {
                .text = text, .type = xdp ? BPF_PROG_TYPE_XDP : skb_types[t], .data = frame, .size = sizeof(frame)};

            snprintf(text, sizeof(text),
                     "r0 = 0\nr2 = *(u32 *)(r1 + %d)\nr3 = *(u32 *)(r1 + %d)\nr4 = r2\nr4 += 20\n"
                     "if r4 > r3 goto out\n%s\nout:\nexit\n",
                     xdp ? 0 : 76, xdp ? 4 : 80, accesses[a]);
            both_compare(prog_type_find(in.type)->name, &in);
        }
}

static void flows_are_dissected_alike(void **state)
{
    static const char text[] = "r2 = *(u64 *)(r1 + 144)\nr3 = %u\n*(u16 *)(r2 + 0) = r3\nr3 = %u\n"
                               "*(u16 *)(r2 + 2) = r3\nr3 = *(u32 *)(r2 + 48)\n*(u32 *)(r2 + 16) = r3\n"
                               "r0 = *(u16 *)(r2 + 12)\nexit\n";
    unsigned char frame[FRAME];
    uint32_t keys[14] = {0};
    char program[512];

    (void)state;
    if (!both_kernel_ok())
        skip();
    make_frame(frame, sizeof(frame), "\0\0\0\0\0\0", 0x0800);
    for (uint32_t nhoff = 0; nhoff < 200; nhoff += 33)
        for (uint32_t word = 0; word < 14; word++) {
            struct both_in in = {.text = program,
                                 .type = BPF_PROG_TYPE_FLOW_DISSECTOR,
                                 .attach = BPF_FLOW_DISSECTOR,
                                 .data = frame,
                                 .size = sizeof(frame),
                                 .ctx = keys,
                                 .ctx_size = sizeof(keys),
                                 .want_ctx = true};

            memset(keys, 0, sizeof(keys));
            keys[word] = 1;
            snprintf(program, sizeof(program), text, nhoff, nhoff / 2);
            both_compare(program, &in);
            in.ctx = NULL;
            in.ctx_size = 0;
            in.size = word;
            both_compare("small packets", &in);
        }
}

static void socket_lookups_are_judged_alike(void **state)
{
    uint32_t ctx[20];
    char text[128], what[64];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (uint32_t word = 0; word < 20; word++)
        for (uint32_t value = 0; value < 6; value++) {
            static const uint32_t values[] = {2, 65535, 65536};
            struct both_in in = {.text = text, .type = BPF_PROG_TYPE_SK_LOOKUP, .attach = BPF_SK_LOOKUP, .ctx = ctx};

            memset(ctx, 0, sizeof(ctx));
            ctx[2] = value < 3 ? 2 : 10;
            ctx[word] = values[value % 3];
            in.ctx_size = sizeof(ctx);
            in.want_ctx = true;
            snprintf(text, sizeof(text), "r0 = *(u32 *)(r1 + %u)\nr0 &= 1\nexit\n",
                     word < 2 || word > 16 ? 8 : word * 4);
            snprintf(what, sizeof(what), "sk_lookup word %u = %u", word, values[value % 3]);
            both_compare(what, &in);
        }
    for (int flags = 0; flags < 5; flags++) {
        struct both_in in = {.text = text, .type = BPF_PROG_TYPE_SK_LOOKUP, .attach = BPF_SK_LOOKUP, .ctx = ctx};

        memset(ctx, 0, sizeof(ctx));
        ctx[2] = 2;
        in.ctx_size = sizeof(ctx);
        snprintf(text, sizeof(text), "r2 = 0\nr3 = %d\ncall sk_assign\nr0 &= 1\nexit\n", flags);
        both_compare(text, &in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_is_what_the_verifier_allows),
        cmocka_unit_test(skb_fields_say_the_same),
        cmocka_unit_test(cgroup_skb_addresses_are_the_packets),
        cmocka_unit_test(skb_sizes_are_judged_alike),
        cmocka_unit_test(skb_contexts_come_in_and_out_alike),
        cmocka_unit_test(skb_stores_come_out_alike),
        cmocka_unit_test(xdp_contexts_are_judged_alike),
        cmocka_unit_test(xdp_ends_move_alike),
        cmocka_unit_test(xdp_bytes_are_reached_alike),
        cmocka_unit_test(skb_room_changes_alike),
        cmocka_unit_test(skb_protocols_change_alike),
        cmocka_unit_test(skb_bytes_are_reached_alike),
        cmocka_unit_test(checksums_are_replaced_alike),
        cmocka_unit_test(sequences_of_calls_act_alike),
        cmocka_unit_test(other_contexts_come_in_and_out_alike),
        cmocka_unit_test(packets_are_written_by_the_same_types),
        cmocka_unit_test(flows_are_dissected_alike),
        cmocka_unit_test(socket_lookups_are_judged_alike),
        cmocka_unit_test(packets_of_lwt_and_cgroup_begin_at_the_network_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
