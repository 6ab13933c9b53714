/* Hooks on sockets and cgroups: what their contexts hold, what comes out, and what the hook's caller gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "tests/unit/env.h"
#include "vm/abi/ctx.h"
#include "vm/abi/helper_bodies.h"
#include "vm/abi/prog_types.h"
#include "vm/ctx/ctx.h"
#include "vm/ctx/packet.h"
#include "vm/sock.h"
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int open_as(const char *type, const struct ctx_io *io)
{
    return ctx_open(env, prog_type_by_name(type), io, &said_errors);
}

static int close_as(const char *type, struct ctx_io *io, uint64_t r0)
{
    return ctx_close(env, prog_type_by_name(type), io, r0);
}

static uint64_t ctx64(unsigned off)
{
    uint64_t v;

    memcpy(&v, (char *)env->ctx + off, 8);
    return v;
}

static uint32_t ctx32(unsigned off)
{
    uint32_t v;

    memcpy(&v, (char *)env->ctx + off, 4);
    return v;
}

static void set32(unsigned off, uint32_t v)
{
    memcpy((char *)env->ctx + off, &v, 4);
}

static const struct sock listener = {.view = {.family = SOCK_INET,
                                              .type = SOCK_TYPE_STREAM,
                                              .protocol = SOCK_TCP,
                                              .src_port = 80,
                                              .state = SOCK_LISTEN,
                                              .rx_queue_mapping = -1},
                                     .cookie = 7};
static const struct sock connected = {.view = {.family = SOCK_INET,
                                               .type = SOCK_TYPE_STREAM,
                                               .protocol = SOCK_TCP,
                                               .src_ip4 = 0x0100007f,
                                               .src_port = 80,
                                               .dst_ip4 = 0x0200007f,
                                               .dst_port = 0x1234,
                                               .state = SOCK_ESTABLISHED},
                                      .tcp = {.snd_cwnd = 10, .sacked_out = 99, .bytes_acked = 5},
                                      .cookie = 8};

static void populate(void)
{
    const struct sock both[] = {listener, connected};

    assert_true(sock_set_world(env, both, 2));
}

static void a_message_lies_between_the_contexts_pointers(void **state)
{
    char out[8] = {0};
    struct ctx_io io = {.data_in = "abcd", .data_size_in = 4, .data_out = out, .data_size_out = 8};

    (void)state;
    assert_int_equal(open_as("sk_msg", &io), 0);
    assert_int_equal(ctx64(8) - ctx64(0), 4);
    assert_int_equal(ctx64(0), (uintptr_t)env->packet.data);
    assert_int_equal(ctx32(68), 4);
    assert_int_equal(ctx64(72), (uintptr_t)&env->socks[0].view);
    env->packet.data[1] = 'X';
    assert_int_equal(close_as("sk_msg", &io, 1), 0);
    assert_memory_equal(out, "aXcd", 4);
}

static void addresses_of_this_process_do_not_come_out(void **state)
{
    uint64_t ctx[10] = {0}, out[10];
    struct ctx_io io = {
        .data_in = "abcd", .data_size_in = 4, .ctx_in = ctx, .ctx_size_in = 80, .ctx_out = out, .ctx_size_out = 80};

    (void)state;
    assert_int_equal(open_as("sk_msg", &io), 0);
    assert_int_equal(close_as("sk_msg", &io, 1), 0);
    assert_int_equal(out[0] | out[1] | out[9], 0);
}

static void a_context_names_a_socket_by_its_cookie(void **state)
{
    uint64_t ctx[28] = {[23] = 8};
    struct ctx_io io = {.ctx_in = ctx, .ctx_size_in = sizeof(ctx)};

    (void)state;
    populate();
    assert_int_equal(open_as("sock_ops", &io), 0);
    assert_int_equal(ctx64(184), (uintptr_t)&env->socks[2].view);
    assert_int_equal(ctx32(20), SOCK_INET);
    assert_int_equal(ctx32(24), 0x0200007f);
    assert_int_equal(ctx32(64), 0x12340000);
    assert_int_equal(ctx32(68), 80);
    assert_int_equal(ctx32(76), 10);
    assert_int_equal(ctx32(88), SOCK_ESTABLISHED);
    assert_int_equal(ctx32(160), 99);
    assert_int_equal(ctx64(176), 5);
    assert_int_equal(close_as("sock_ops", &io, 1), 0);
    ctx[23] = 9;
    assert_int_equal(open_as("sock_ops", &io), -EINVAL);
    assert_non_null(strstr(said, "no socket with the cookie 9"));
}

static void lookups_prefer_what_is_connected(void **state)
{
    /* 127.0.0.2:0x3412 to 127.0.0.1:80, then from another port */
    unsigned char tuple[12] = {127, 0, 0, 2, 127, 0, 0, 1, 0x34, 0x12, 0, 80};
    struct ctx_io io = {.data_in = "\0\0\0\0\0\0\0\0\0\0\0\0\x88\xb5", .data_size_in = 14};
    uint64_t sk;

    (void)state;
    populate();
    assert_int_equal(open_as("sched_cls", &io), 0);
    sk = helper_skc_lookup_tcp(env, 0, (uintptr_t)tuple, sizeof(tuple), (uint64_t)-1, 0);
    assert_int_equal(sk, (uintptr_t)&env->socks[2].view);
    assert_int_equal(env->socks[2].held, 1);
    assert_int_equal(helper_sk_release(env, sk, 0, 0, 0, 0), 0);
    assert_int_equal(env->socks[2].held, 0);
    tuple[8]++;
    sk = helper_sk_lookup_tcp(env, 0, (uintptr_t)tuple, sizeof(tuple), (uint64_t)-1, 0);
    assert_int_equal(sk, (uintptr_t)&env->socks[1].view);
    assert_int_equal(helper_get_listener_sock(env, sk, 0, 0, 0, 0), sk);
    assert_int_equal(helper_tcp_sock(env, sk, 0, 0, 0, 0), (uintptr_t)&env->socks[1].tcp);
    assert_int_equal(helper_sk_release(env, sk, 0, 0, 0, 0), 0);
    assert_int_equal(helper_sk_lookup_udp(env, 0, (uintptr_t)tuple, sizeof(tuple), (uint64_t)-1, 0), 0);
    assert_int_equal(helper_sk_lookup_tcp(env, 0, (uintptr_t)tuple, sizeof(tuple), 3, 0), 0);
    assert_int_equal(helper_sk_lookup_tcp(env, 0, (uintptr_t)tuple, sizeof(tuple), (uint64_t)-1, 1), 0);
    assert_int_equal(helper_sk_lookup_tcp(env, 0, (uintptr_t)tuple, 11, (uint64_t)-1, 0), 0);
    tuple[11]++;
    assert_int_equal(helper_sk_lookup_tcp(env, 0, (uintptr_t)tuple, sizeof(tuple), (uint64_t)-1, 0), 0);
    assert_int_equal(env->n_refs, 0);
    assert_int_equal(close_as("sched_cls", &io, 0), 0);
}

static void sk_lookup_gives_out_the_cookie_of_its_choice(void **state)
{
    enum { ESOCKTNOSUPPORT_ = ESOCKTNOSUPPORT };
    uint32_t ctx[18] = {[2] = SOCK_INET, [3] = SOCK_TCP}, out[18];
    struct ctx_io io = {.ctx_in = ctx, .ctx_size_in = 72, .ctx_out = out, .ctx_size_out = 72};
    uint64_t cookie;

    (void)state;
    populate();
    assert_int_equal(open_as("sk_lookup", &io), 0);
    assert_int_equal((int64_t)helper_sk_assign(env, 0, (uintptr_t)&env->socks[2].view, 0, 0, 0), -ESOCKTNOSUPPORT_);
    assert_int_equal(helper_sk_assign(env, 0, (uintptr_t)&env->socks[1].view, 0, 0, 0), 0);
    assert_int_equal(ctx64(0), (uintptr_t)&env->socks[1].view);
    assert_int_equal((int64_t)helper_sk_assign(env, 0, (uintptr_t)&env->socks[1].view, 0, 0, 0), -EEXIST);
    assert_int_equal(close_as("sk_lookup", &io, 1), 0);
    memcpy(&cookie, out, 8);
    assert_int_equal(cookie, 7);
}

static void a_cgroup_hooks_caller_gets_an_error(void **state)
{
    struct ctx_io io = {0};

    (void)state;
    assert_int_equal(open_as("cgroup_device", &io), 0);
    assert_int_equal(close_as("cgroup_device", &io, 1), 0);
    assert_int_equal(io.result, 0);
    assert_int_equal(open_as("cgroup_device", &io), 0);
    assert_int_equal(close_as("cgroup_device", &io, 0), 0);
    assert_int_equal(io.result, -EPERM);
    assert_int_equal(open_as("cgroup_sock_addr", &io), 0);
    helper_set_retval(env, (uint64_t)-ECONNREFUSED, 0, 0, 0, 0);
    assert_int_equal(close_as("cgroup_sock_addr", &io, 0), 0);
    assert_int_equal(io.result, -ECONNREFUSED);
}

static void an_options_length_decides(void **state)
{
    int32_t ctx[10] = {[6] = 1, [7] = 2}, out[10];
    char data[32];
    struct ctx_io io = {.data_in = "\1\2\3\4",
                        .data_size_in = 4,
                        .ctx_in = ctx,
                        .ctx_size_in = 40,
                        .ctx_out = out,
                        .ctx_size_out = 40,
                        .data_out = data,
                        .data_size_out = sizeof(data)};

    (void)state;
    assert_int_equal(open_as("cgroup_sockopt", &io), 0);
    assert_int_equal(ctx64(16) - ctx64(8), 16);
    assert_int_equal(ctx32(32), 4);
    set32(24, 6);
    set32(32, 8);
    env->packet.data[7] = 9;
    assert_int_equal(close_as("cgroup_sockopt", &io, 1), 0);
    assert_int_equal(io.result, 0);
    assert_int_equal(io.data_size_out, 8);
    assert_memory_equal(data, "\1\2\3\4\0\0\0\x9", 8);
    assert_int_equal(out[6], 6);
    assert_int_equal(open_as("cgroup_sockopt", &io), 0);
    set32(32, (uint32_t)-1);
    assert_int_equal(close_as("cgroup_sockopt", &io, 1), 0);
    assert_int_equal(io.result, 1);
    assert_int_equal(open_as("cgroup_sockopt", &io), 0);
    set32(32, 17);
    assert_int_equal(close_as("cgroup_sockopt", &io, 1), 0);
    assert_int_equal(io.result, -EFAULT);
    assert_int_equal(open_as("cgroup_sockopt", &io), 0);
    helper_set_retval(env, (uint64_t)-EINVAL, 0, 0, 0, 0);
    assert_int_equal((int32_t)ctx32(36), -EINVAL);
    assert_int_equal(close_as("cgroup_sockopt", &io, 1), 0);
    assert_int_equal(io.result, -EINVAL);
}

static void a_sysctls_new_value_comes_out(void **state)
{
    char data[16];
    struct ctx_io io = {.data_in = "1", .data_size_in = 1, .data_out = data, .data_size_out = sizeof(data)};

    (void)state;
    env->sysctl_name = "net/ipv4/ip_forward";
    env->sysctl_value = "0\n";
    assert_int_equal(open_as("cgroup_sysctl", &io), 0);
    assert_int_equal(ctx32(0), 1);
    assert_int_equal(close_as("cgroup_sysctl", &io, 1), 0);
    assert_int_equal(io.data_size_out, 1);
    assert_int_equal(data[0], '1');
    io.data_size_in = 4096;
    io.data_in = env->stack;
    assert_int_equal(open_as("cgroup_sysctl", &io), -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_env, free_env)
    const struct CMUnitTest tests[] = {
        TEST(a_message_lies_between_the_contexts_pointers),
        TEST(addresses_of_this_process_do_not_come_out),
        TEST(a_context_names_a_socket_by_its_cookie),
        TEST(lookups_prefer_what_is_connected),
        TEST(sk_lookup_gives_out_the_cookie_of_its_choice),
        TEST(a_cgroup_hooks_caller_gets_an_error),
        TEST(an_options_length_decides),
        TEST(a_sysctls_new_value_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
