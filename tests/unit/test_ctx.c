/* Contexts that no kernel is needed for: records, registers, errors and their words, buffers that are used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "tests/unit/env.h"
#include "vm/abi/helper_bodies.h"
#include "vm/abi/prog_types.h"
#include "vm/ctx/ctx.h"
#include "vm/ctx/packet.h"
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_as(const char *type, const struct ctx_io *io)
{
    return ctx_open(env, prog_type_by_name(type), io, &said_errors);
}

static int close_as(const char *type, struct ctx_io *io)
{
    return ctx_close(env, prog_type_by_name(type), io, 0);
}

static void registers_are_zero_where_not_given(void **state)
{
    uint64_t regs[3] = {1, 2, 3};
    struct ctx_io io = {.ctx_in = regs, .ctx_size_in = sizeof(regs)};
    uint32_t size = prog_type_by_name("kprobe")->ctx->size;

    (void)state;
    assert_int_equal(open_as("kprobe", &io), 0);
    assert_int_equal(env->ctx_size, size);
    assert_memory_equal(env->ctx, regs, sizeof(regs));
    for (uint32_t i = sizeof(regs); i < size; i++)
        assert_int_equal(((unsigned char *)env->ctx)[i], 0);
    assert_int_equal(close_as("kprobe", &io), 0);
    io = (struct ctx_io){0};
    assert_int_equal(open_as("kprobe", &io), 0);
    assert_int_equal(*(uint64_t *)env->ctx, 0);
    assert_int_equal(close_as("kprobe", &io), 0);
    assert_null(env->ctx);
}

static void what_follows_a_context_must_be_zero(void **state)
{
    unsigned char regs[300] = {0};
    struct ctx_io io = {.ctx_in = regs, .ctx_size_in = sizeof(regs)};

    (void)state;
    assert_int_equal(open_as("kprobe", &io), 0);
    assert_int_equal(close_as("kprobe", &io), 0);
    regs[299] = 1;
    assert_int_equal(open_as("kprobe", &io), -E2BIG);
    assert_non_null(strstr(said, "300 bytes"));
    assert_null(env->ctx);
}

static void records_are_as_long_as_given(void **state)
{
    unsigned char record[40], out[64];
    struct ctx_io io = {.ctx_in = record, .ctx_size_in = sizeof(record), .ctx_out = out, .ctx_size_out = sizeof(out)};

    (void)state;
    memset(record, 9, sizeof(record));
    assert_int_equal(open_as("tracepoint", &io), 0);
    assert_int_equal(env->ctx_size, 40);
    assert_int_equal(close_as("tracepoint", &io), 0);
    assert_int_equal(io.ctx_size_out, 40);
    assert_memory_equal(out, record, 40);
    io = (struct ctx_io){0};
    assert_int_equal(open_as("tracepoint", &io), 0);
    assert_int_equal(env->ctx_size, 8192);
    assert_int_equal(close_as("tracepoint", &io), 0);
}

static void syscall_contexts_are_written_back(void **state)
{
    uint32_t args[4] = {1, 2, 3, 4}, out[4] = {0};
    struct ctx_io io = {.ctx_in = args, .ctx_size_in = 16, .ctx_out = out, .ctx_size_out = 16};
    static unsigned char big[65536];

    (void)state;
    assert_int_equal(open_as("syscall", &io), 0);
    assert_int_equal(env->ctx_layout->access, CTX_READ | CTX_WRITE);
    ((uint32_t *)env->ctx)[2] = 77;
    assert_int_equal(close_as("syscall", &io), 0);
    assert_int_equal(out[2], 77);
    assert_int_equal(args[2], 3);
    io = (struct ctx_io){.ctx_in = big, .ctx_size_in = sizeof(big)};
    assert_int_equal(open_as("syscall", &io), -EINVAL);
    io.ctx_size_in--;
    assert_int_equal(open_as("syscall", &io), 0);
    assert_int_equal(close_as("syscall", &io), 0);
}

static void tracing_types_take_no_packet(void **state)
{
    static const char *const types[] = {"kprobe", "tracepoint", "perf_event", "raw_tracepoint", "tracing", "syscall"};
    struct ctx_io io = {.data_in = "x", .data_size_in = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_int_equal(open_as(types[i], &io), -EINVAL);
        assert_non_null(strstr(said, "no data_in"));
    }
}

static void sizes_need_bytes(void **state)
{
    struct ctx_io io = {.data_size_in = 64};

    (void)state;
    assert_int_equal(open_as("xdp", &io), -EINVAL);
    io = (struct ctx_io){.ctx_size_in = 8};
    assert_int_equal(open_as("kprobe", &io), -EINVAL);
}

static void outputs_say_their_full_length(void **state)
{
    unsigned char frame[64] = {0}, out[64];
    struct ctx_io io = {.data_in = frame, .data_size_in = 64, .data_out = out, .data_size_out = 10};

    (void)state;
    assert_int_equal(open_as("xdp", &io), 0);
    assert_int_equal(close_as("xdp", &io), -ENOSPC);
    assert_int_equal(io.data_size_out, 64);
    io = (struct ctx_io){.data_in = frame, .data_size_in = 64};
    assert_int_equal(open_as("xdp", &io), 0);
    assert_int_equal(close_as("xdp", &io), 0);
    assert_int_equal(io.data_size_out, 64);
}

/* Nothing of a packet stays in the buffer for the next one. */
static void buffers_are_clean_each_time(void **state)
{
    static unsigned char secret[3000], frame[64], out[4096];
    struct ctx_io io = {.data_in = secret, .data_size_in = sizeof(secret)};

    (void)state;
    memset(secret, 0x5a, sizeof(secret));
    assert_int_equal(open_as("xdp", &io), 0);
    assert_int_equal(close_as("xdp", &io), 0);
    io = (struct ctx_io){.data_in = frame, .data_size_in = 64, .data_out = out, .data_size_out = sizeof(out)};
    assert_int_equal(open_as("xdp", &io), 0);
    assert_int_equal(helper_xdp_adjust_head(env, (uintptr_t)env->ctx, (uint64_t)-200, 0, 0, 0), 0);
    assert_int_equal(helper_xdp_adjust_tail(env, (uintptr_t)env->ctx, 3000, 0, 0, 0), 0);
    assert_int_equal(close_as("xdp", &io), 0);
    assert_int_equal(io.data_size_out, 3264);
    for (int i = 0; i < 3264; i++)
        assert_int_equal(out[i], 0);
}

static void long_frames_are_pulled_in(void **state)
{
    static unsigned char frame[20000];
    unsigned char byte;
    struct ctx_io io = {.data_in = frame, .data_size_in = sizeof(frame)};

    (void)state;
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (unsigned char)(i >> 4);
    frame[12] = 8;
    frame[13] = 0;
    assert_int_equal(open_as("sched_cls", &io), 0);
    assert_int_equal(packet_linear(env), 3712);
    assert_int_equal(packet_len(env), 20000);
    assert_int_equal(helper_skb_load_bytes(env, 0, 15000, (uintptr_t)&byte, 1, 0), 0);
    assert_int_equal(byte, frame[15000]);
    assert_int_equal(helper_skb_pull_data(env, 0, 16000, 0, 0, 0), 0);
    assert_int_equal(packet_linear(env), 16000);
    assert_int_equal(env->packet.data[15000], frame[15000]);
    assert_int_equal(helper_skb_pull_data(env, 0, 20001, 0, 0, 0), (uint64_t)-ENOMEM);
    assert_int_equal(close_as("sched_cls", &io), 0);
    assert_int_equal(io.data_size_out, 20000);
    io.data_size_in = 3712 + 17 * 4096 + 1;
    io.data_in = calloc(1, io.data_size_in);
    assert_int_equal(open_as("sched_cls", &io), -EINVAL);
    free((void *)io.data_in);
}

/* Room beyond what the buffer has: the packet moves, its bytes and headers with it. */
static void buffers_grow_with_the_packet(void **state)
{
    unsigned char frame[64] = {[12] = 8, [14] = 0x45, [63] = 0xee};
    struct ctx_io io = {.data_in = frame, .data_size_in = 64};

    (void)state;
    assert_int_equal(open_as("sched_cls", &io), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(helper_skb_change_head(env, 0, 1000, 0, 0, 0), 0);
    assert_int_equal(packet_len(env), 5064);
    assert_int_equal(env->packet.data[5063], 0xee);
    assert_int_equal(env->packet.net - env->packet.data, 5014);
    assert_int_equal(env->packet.net[0], 0x45);
    assert_int_equal(helper_skb_change_tail(env, 0, 16064, 0, 0, 0), 0);
    assert_int_equal(packet_len(env), 16064);
    assert_int_equal(env->packet.data[5063], 0xee);
    assert_int_equal(env->packet.data[16063], 0);
    assert_int_equal(close_as("sched_cls", &io), 0);
}

static void socket_lookups_are_judged(void **state)
{
    uint32_t ctx[18] = {[2] = 2}, out[18];
    struct ctx_io io = {.ctx_in = ctx, .ctx_size_in = sizeof(ctx), .ctx_out = out, .ctx_size_out = sizeof(out)};
    struct ctx_io none = {0};

    (void)state;
    ctx[15] = 80;
    assert_int_equal(open_as("sk_lookup", &io), 0);
    assert_int_equal(((uint32_t *)env->ctx)[15], 80);
    assert_int_equal(close_as("sk_lookup", &io), 0);
    assert_memory_equal(out, ctx, sizeof(ctx));
    ctx[15] = 65536;
    assert_int_equal(open_as("sk_lookup", &io), -ERANGE);
    ctx[15] = 80;
    ctx[2] = 3;
    assert_int_equal(open_as("sk_lookup", &io), -EAFNOSUPPORT);
    ctx[2] = 2;
    ctx[0] = 1;
    assert_int_equal(open_as("sk_lookup", &io), -EINVAL);
    assert_int_equal(open_as("sk_lookup", &none), -EINVAL);
}

static void flows_are_dissected_into_data_out(void **state)
{
    unsigned char frame[64] = {[12] = 8, [14] = 0x45};
    uint16_t keys[28];
    struct ctx_io io = {.data_in = frame, .data_size_in = 64, .data_out = keys, .data_size_out = sizeof(keys)};
    uint16_t *inside;

    (void)state;
    assert_int_equal(open_as("flow_dissector", &io), 0);
    assert_int_equal(env->n_mems, 1);
    inside = (uint16_t *)(uintptr_t) * (uint64_t *)((char *)env->ctx + 144);
    assert_int_equal(inside[0], 14);
    inside[1] = 1000; /* thoff, past the packet */
    assert_int_equal(close_as("flow_dissector", &io), 0);
    assert_int_equal(env->n_mems, 0);
    assert_int_equal(io.data_size_out, 56);
    assert_int_equal(keys[0], 14);
    assert_int_equal(keys[1], 64);
}

static void traced_arguments_are_counted_by_the_context(void **state)
{
    uint64_t args[3] = {10, 20, 30}, got = 0;
    struct ctx_io io = {.ctx_in = args, .ctx_size_in = sizeof(args)};
    struct prog prog = {.attach_type = ATTACH_TRACE_FENTRY};
    struct code code = {.prog = &prog};

    (void)state;
    env->code = &code;
    assert_int_equal(open_as("tracing", &io), 0);
    assert_int_equal(helper_get_func_arg_cnt(env, 0, 0, 0, 0, 0), 3);
    assert_int_equal(helper_get_func_arg(env, 0, 2, (uintptr_t)&got, 0, 0), 0);
    assert_int_equal(got, 30);
    assert_int_equal(helper_get_func_arg(env, 0, 3, (uintptr_t)&got, 0, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_get_func_ret(env, 0, (uintptr_t)&got, 0, 0, 0), (uint64_t)-EOPNOTSUPP);
    prog.attach_type = ATTACH_TRACE_FEXIT;
    assert_int_equal(helper_get_func_arg_cnt(env, 0, 0, 0, 0, 0), 2);
    got = 0;
    assert_int_equal(helper_get_func_ret(env, 0, (uintptr_t)&got, 0, 0, 0), 0);
    assert_int_equal(got, 30);
    assert_int_equal(close_as("tracing", &io), 0);
    env->code = NULL;
}

/* Any type with any small input opens or refuses, and leaves a clean environment. */
static void every_type_takes_or_refuses_anything(void **state)
{
    unsigned char bytes[300];

    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        const struct prog_type *type = prog_type_find((uint32_t)rand() % PROG_TYPE_COUNT);
        unsigned char out[64], ctx_out[64];
        struct ctx_io io = {.data_in = bytes, .data_size_in = (uint32_t)rand() % 200, .ctx_in = bytes + 100};

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = rand() % 4 ? 0 : (unsigned char)rand();
        io.ctx_size_in = rand() % 2 ? 0 : (uint32_t)rand() % 200;
        if (!io.ctx_size_in && rand() % 2)
            io.ctx_in = NULL;
        io.data_out = out;
        io.data_size_out = (uint32_t)rand() % sizeof(out);
        io.ctx_out = rand() % 2 ? ctx_out : NULL;
        io.ctx_size_out = sizeof(ctx_out);
        if (!ctx_open(env, type, &io, NULL))
            ctx_close(env, type, &io, 0);
        assert_null(env->ctx);
        assert_null(env->packet.data);
        assert_int_equal(env->n_mems, 0);
    }
}

static uint64_t odd_number(void)
{
    static const uint64_t borders[] = {0,     1,     2,          4,          13,         14,         20,     40,
                                       64,    255,   256,        300,        3000,       3520,       4095,   16064,
                                       65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX, 0x0081, 0xdd86};
    uint64_t v = borders[(size_t)rand() % (sizeof(borders) / sizeof(borders[0]))];

    return rand() % 3 ? v : rand() % 2 ? -v : (uint64_t)rand() % 100;
}

static void packet_is_whole(const char *after)
{
    const struct env_packet *p = &env->packet;

    if (p->buf > p->data_meta || p->data_meta > p->data || p->data > p->data_end ||
        p->data_end + p->paged > p->buf + p->cap)
        fail_msg("after %s the packet is outside of its buffer", after);
    if (env->skb && (p->mac < p->buf || p->mac > p->net))
        fail_msg("after %s the headers are out of order", after);
}

/* Any packet helpers in any order with any numbers keep the packet inside its buffer; sanitizers see the rest. */
static void packet_helpers_stay_inside_the_buffer(void **state)
{
    static const char *const skb_helpers[] = {
        "skb_store_bytes",  "l3_csum_replace", "l4_csum_replace",         "skb_vlan_push",   "skb_vlan_pop",
        "skb_change_proto", "skb_change_tail", "skb_change_head",         "skb_adjust_room", "skb_pull_data",
        "get_hash_recalc",  "skb_load_bytes",  "skb_load_bytes_relative", "set_hash_invalid"};
    static const char *const xdp_helpers[] = {"xdp_adjust_head", "xdp_adjust_tail", "xdp_adjust_meta",
                                              "xdp_load_bytes",  "xdp_store_bytes", "xdp_get_buff_len"};
    static const char *const types[] = {"xdp", "sched_cls", "lwt_xmit", "cgroup_skb"};
    static const uint16_t protocols[] = {0x0008, 0xdd86, 0x0081, 0x0608};
    static unsigned char frame[9000], room[65536];

    (void)state;
    srand(2);
    for (int round = 0; round < 3000; round++) {
        const char *type = types[rand() % 4];
        bool xdp = type == types[0];
        struct ctx_io io = {.data_in = frame, .data_size_in = 54 + (uint32_t)rand() % (rand() % 8 ? 100 : 8000)};

        memcpy(frame + 12, &protocols[rand() % 4], 2);
        frame[14] = (unsigned char)rand();
        memcpy(frame + 16, &protocols[rand() % 4], 2);
        assert_int_equal(open_as(type, &io), 0);
        for (int call = 0; call < 30; call++) {
            const char *name = xdp ? xdp_helpers[rand() % 6] : skb_helpers[rand() % 14];
            const struct helper *h = helper_by_name(name);
            uint64_t args[5] = {(uintptr_t)env->ctx};

            for (int i = 1; i < 5; i++)
                args[i] = h->arg[i] == ARG_ANYTHING                             ? odd_number()
                          : h->arg[i] == ARG_MEM || h->arg[i] == ARG_MEM_UNINIT ? (uintptr_t)room
                                                                                : (uint64_t)rand() % 300 + 1;
            h->body(env, args[0], args[1], args[2], args[3], args[4]);
            packet_is_whole(name);
        }
        assert_int_equal(env->trap.kind, TRAP_none);
        close_as(type, &io);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_env, free_env)
    const struct CMUnitTest tests[] = {
        TEST(registers_are_zero_where_not_given),
        TEST(what_follows_a_context_must_be_zero),
        TEST(records_are_as_long_as_given),
        TEST(syscall_contexts_are_written_back),
        TEST(tracing_types_take_no_packet),
        TEST(sizes_need_bytes),
        TEST(outputs_say_their_full_length),
        TEST(buffers_are_clean_each_time),
        TEST(long_frames_are_pulled_in),
        TEST(buffers_grow_with_the_packet),
        TEST(socket_lookups_are_judged),
        TEST(flows_are_dissected_into_data_out),
        TEST(traced_arguments_are_counted_by_the_context),
        TEST(every_type_takes_or_refuses_anything),
        TEST(packet_helpers_stay_inside_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
