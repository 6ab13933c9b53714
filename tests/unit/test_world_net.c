/*
 * The network of a world: how the file says it, and what is wrong with a file. Lookups stand beside Linux's in
 * tests/cli.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "tests/unit/env.h"
#include "vm/world/world.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct world *world;

static int free_both(void **state)
{
    (void)state;
    world_put(world);
    world = NULL;
    return free_env(state);
}

static int build(const char *text)
{
    world_put(world);
    world = NULL;
    return world_build(text, strlen(text), NULL, NULL, &said_errors, &world);
}

static void enter(const char *text)
{
    if (build(text))
        fail_msg("%s", said);
    world_enter(env, world, NULL);
    assert_true(sock_set_world(env, world->socks, world->n_socks));
}

/* ---- The file ---- */

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"interfaces\": [{\"name\": \"a\"}]}", "ifindex"},
        {"{\"interfaces\": [{\"ifindex\": 0}]}", "above 0"},
        {"{\"interfaces\": [{\"ifindex\": 1}, {\"ifindex\": 1}]}", "interfaces[1]"},
        {"{\"interfaces\": [{\"ifindex\": 1, \"mac\": \"0102\"}]}", "6 bytes"},
        {"{\"interfaces\": [{\"ifindex\": 1, \"name\": \"0123456789abcdef\"}]}", "15 characters"},
        {"{\"routes\": [{\"to\": \"10.0.0.0/8\", \"dev\": 1}]}", "no such interface"},
        {"{\"interfaces\": [{\"ifindex\": 1}], \"routes\": [{\"to\": \"10.0.0.0/33\", \"dev\": 1}]}", "32 bits"},
        {"{\"interfaces\": [{\"ifindex\": 1}], \"routes\": [{\"to\": \"10.0.0\", \"dev\": 1}]}", "no IP address"},
        {"{\"routes\": [{\"to\": \"10.0.0.0/8\"}]}", "leads to a dev"},
        {"{\"neighbours\": [{\"ip\": \"10.0.0.1\"}]}", "dev"},
        {"{\"sockets\": [{\"protocol\": \"tcp\", \"local\": \"10.0.0.1\"}]}", "has a port"},
        {"{\"sockets\": [{\"protocol\": \"sctp\", \"local\": \":1\"}]}", "none of the words"},
        {"{\"sockets\": [{\"protocol\": \"tcp\", \"local\": \"10.0.0.1:70000\"}]}", "no port"},
        {"{\"sockets\": [{\"protocol\": \"tcp\", \"local\": \"10.0.0.1:7\", \"remote\": \"[::1]:5\"}]}", "family"},
        {"{\"sockets\": [{\"protocol\": \"tcp\", \"local\": \":7\", \"cookie\": 5}, {\"protocol\": \"udp\", \"local\": "
         "\":7\", \"cookie\": 5}]}",
         "cookie 5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(build(bad[i].text), -EINVAL);
        if (!strstr(said, bad[i].says))
            fail_msg("'%s' does not say '%s'", said, bad[i].says);
    }
}

static void sockets_are_as_the_file_says(void **state)
{
    (void)state;
    enter("{\"sockets\": [{\"protocol\": \"tcp\", \"local\": \":80\"},"
          "{\"protocol\": \"tcp\", \"local\": \"10.0.0.1:80\", \"remote\": \"10.0.0.2:4000\", \"cookie\": 9, "
          "\"mark\": 3, \"tcp\": {\"snd_cwnd\": 44, \"bytes_acked\": 5}},"
          "{\"protocol\": \"udp\", \"local\": \"[2001:db8::1]:53\"}]}");
    assert_int_equal(env->n_socks, 4);
    assert_int_equal(env->socks[1].view.state, SOCK_LISTEN);
    assert_int_equal(env->socks[1].cookie, 1);
    assert_int_equal(env->socks[2].view.state, SOCK_ESTABLISHED);
    assert_int_equal(env->socks[2].view.src_ip4, htonl(0x0a000001));
    assert_int_equal(env->socks[2].view.dst_port, htons(4000));
    assert_int_equal(env->socks[2].view.mark, 3);
    assert_int_equal(env->socks[2].tcp.snd_cwnd, 44);
    assert_int_equal(env->socks[2].tcp.bytes_acked, 5);
    assert_int_equal(env->socks[3].view.family, SOCK_INET6);
    assert_int_equal(env->socks[3].view.type, SOCK_TYPE_DGRAM);
    assert_int_equal(env->socks[3].view.state, SOCK_CLOSE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_env, free_both)
    const struct CMUnitTest tests[] = {
        TEST(what_is_wrong_is_named),
        TEST(sockets_are_as_the_file_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
