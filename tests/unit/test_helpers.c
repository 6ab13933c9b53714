/* Bodies of helpers on an environment made by hand: what they return, write, hold and refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "vm/abi/helper_bodies.h"
#include "vm/abi/map_types.h"
#include "vm/ctx/ctx.h"
#include "vm/interp/interp.h"
#include "vm/isa/asm.h"
#include "vm/maps/perf_array.h"
#include "vm/maps/ringbuf.h"
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define P(p) ((uint64_t)(uintptr_t)(p))

static struct skep_env *env;

static int make_env(void **state)
{
    (void)state;
    env = env_new();
    return env ? 0 : -1;
}

static int free_env(void **state)
{
    (void)state;
    env_free(env);
    return 0;
}

static struct map *make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries)
{
    struct map_def def = {.name = "m", .type = type, .key_size = key, .value_size = value, .spin_lock_off = -1};
    struct map *map;

    def.max_entries = entries;
    assert_int_equal(map_create(&def, 2, NULL, &map), 0);
    return map;
}

static void maps_are_looked_up_written_and_emptied(void **state)
{
    struct map *map = make_map(MAP_TYPE_HASH, 4, 8, 4);
    uint32_t key = 7;
    uint64_t value = 42, *found;
    struct epoch_slot *slot = epoch_enter();

    (void)state;
    assert_int_equal(helper_map_lookup_elem(env, P(map), P(&key), 0, 0, 0), 0);
    assert_int_equal(helper_map_update_elem(env, P(map), P(&key), P(&value), MAP_EXIST, 0), (uint64_t)-ENOENT);
    assert_int_equal(helper_map_update_elem(env, P(map), P(&key), P(&value), MAP_ANY, 0), 0);
    found = (uint64_t *)(uintptr_t)helper_map_lookup_elem(env, P(map), P(&key), 0, 0, 0);
    assert_non_null(found);
    assert_int_equal(*found, 42);
    assert_int_equal(helper_map_update_elem(env, P(map), P(&key), P(&value), MAP_NOEXIST, 0), (uint64_t)-EEXIST);
    assert_int_equal(helper_map_delete_elem(env, P(map), P(&key), 0, 0, 0), 0);
    assert_int_equal(helper_map_delete_elem(env, P(map), P(&key), 0, 0, 0), (uint64_t)-ENOENT);
    epoch_exit(slot);
    map_put(map);
}

static void tasks_are_under_their_cgroup_and_the_root(void **state)
{
    struct map *map = make_map(MAP_TYPE_CGROUP_ARRAY, 4, 4, 4);
    uint32_t key = 0, value = 0;

    (void)state;
    env->cgroup_id = 77;
    assert_int_equal(map_host_update(map, &key, &value, MAP_ANY), -EBADF);
    for (value = 1; key < 3; key++, value = key == 1 ? 77 : 78)
        assert_int_equal(map_host_update(map, &key, &value, MAP_ANY), 0);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 0, 0, 0, 0), 1);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 1, 0, 0, 0), 1);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 2, 0, 0, 0), 0);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 3, 0, 0, 0), (uint64_t)-EAGAIN);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 4, 0, 0, 0), (uint64_t)-E2BIG);
    key = 1;
    assert_int_equal(map_host_lookup(map, &key, &value, 0), 0);
    assert_int_equal(value, 77);
    assert_int_equal(map_host_delete(map, &key), 0);
    assert_int_equal(map_host_delete(map, &key), -ENOENT);
    assert_int_equal(helper_current_task_under_cgroup(env, P(map), 1, 0, 0, 0), (uint64_t)-EAGAIN);
    map_put(map);
}

static void per_cpu_values_are_the_cpus(void **state)
{
    struct map *map = make_map(MAP_TYPE_PERCPU_ARRAY, 4, 8, 1);
    uint32_t key = 0;
    struct epoch_slot *slot = epoch_enter();
    uint64_t mine, other;

    (void)state;
    env->cpu = 1;
    mine = helper_map_lookup_elem(env, P(map), P(&key), 0, 0, 0);
    other = helper_map_lookup_percpu_elem(env, P(map), P(&key), 0, 0, 0);
    assert_int_not_equal(mine, 0);
    assert_int_not_equal(other, 0);
    assert_int_not_equal(mine, other);
    assert_int_equal(helper_map_lookup_percpu_elem(env, P(map), P(&key), 1, 0, 0), mine);
    assert_int_equal(helper_map_lookup_percpu_elem(env, P(map), P(&key), 2, 0, 0), 0);
    epoch_exit(slot);
    map_put(map);
}

static void a_map_without_the_operation_ends_the_run(void **state)
{
    struct map *map = make_map(MAP_TYPE_RINGBUF, 0, 0, 4096);
    uint32_t key = 0;

    (void)state;
    assert_int_equal(helper_map_lookup_elem(env, P(map), P(&key), 0, 0, 0), 0);
    if (map->ops->lookup == NULL)
        assert_int_equal(env->trap.kind, TRAP_helper_argument);
    map_put(map);
}

static void records_are_held_until_they_are_given_back(void **state)
{
    struct map *map = make_map(MAP_TYPE_RINGBUF, 0, 0, 4096);
    uint64_t record;

    (void)state;
    record = helper_ringbuf_reserve(env, P(map), 16, 0, 0, 0);
    assert_int_not_equal(record, 0);
    assert_int_equal(env->n_refs, 1);
    assert_int_equal(env->refs[0].size, 16);
    memset((void *)(uintptr_t)record, 7, 16);
    helper_ringbuf_submit(env, record, 0, 0, 0, 0);
    assert_int_equal(env->n_refs, 0);
    assert_int_equal(env->trap.kind, TRAP_none);
    assert_int_equal(helper_ringbuf_query(env, P(map), 0, 0, 0, 0), 24);
    assert_int_equal(helper_ringbuf_query(env, P(map), 1, 0, 0, 0), 4096);
    /* flags must be zero, sizes fit */
    assert_int_equal(helper_ringbuf_reserve(env, P(map), 16, 1, 0, 0), 0);
    assert_int_equal(helper_ringbuf_reserve(env, P(map), 5000, 0, 0, 0), 0);
    assert_int_equal(helper_ringbuf_output(env, P(map), P("abcdefgh"), 8, 0, 0), 0);
    helper_ringbuf_submit(env, record, 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_helper_argument);
    map_put(map);
}

static void more_records_than_a_run_may_hold_fail(void **state)
{
    struct map *map = make_map(MAP_TYPE_RINGBUF, 0, 0, 1 << 21);
    static uint64_t records[ENV_MAX_REFS + 1];

    (void)state;
    for (int i = 0; i <= ENV_MAX_REFS; i++)
        records[i] = helper_ringbuf_reserve(env, P(map), 8, 0, 0, 0);
    assert_int_not_equal(records[ENV_MAX_REFS - 1], 0);
    assert_int_equal(records[ENV_MAX_REFS], 0);
    for (int i = ENV_MAX_REFS; i-- > 0;)
        helper_ringbuf_discard(env, records[i], 0, 0, 0, 0);
    assert_int_equal(env->n_refs, 0);
    assert_int_equal(env->trap.kind, TRAP_none);
    map_put(map);
}

static int keep(void *ctx, uint32_t cpu, void *data, uint32_t size)
{
    struct buf *b = ctx;

    (void)cpu;
    buf_add(b, data, size);
    return 0;
}

static void perf_samples_carry_packet_bytes(void **state)
{
    struct map *map = make_map(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2);
    unsigned char frame[64];
    struct ctx_io io = {.data_in = frame, .data_size_in = sizeof(frame)};
    struct buf got = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (unsigned char)i;
    assert_int_equal(helper_perf_event_output(env, 0, P(map), 0xffffffff, P("12345678"), 8), (uint64_t)-ENOENT);
    assert_int_equal(perf_array_open(map, 0, 1), 0);
    /* no packet: the upper bits must be zero */
    assert_int_equal(helper_perf_event_output(env, 0, P(map), 0xffffffff | 4ull << 32, P("12345678"), 8),
                     (uint64_t)-EINVAL);
    assert_int_equal(ctx_open(env, prog_type_find(PROG_TYPE_XDP), &io, NULL), 0);
    assert_int_equal(helper_perf_event_output(env, P(env->ctx), P(map), 0xffffffff | 65ull << 32, P("12345678"), 8),
                     (uint64_t)-EFAULT);
    assert_int_equal(helper_perf_event_output(env, P(env->ctx), P(map), 0xffffffff | 4ull << 32, P("12345678"), 8), 0);
    assert_int_equal(perf_array_consume(map, 0, keep, NULL, &got), 1);
    assert_true(got.len >= 12);
    assert_memory_equal(got.data, "12345678\0\1\2\3", 12);
    buf_free(&got);
    ctx_close(env, prog_type_find(PROG_TYPE_XDP), &io, 0);
    map_put(map);
}

static void the_task_is_the_worlds(void **state)
{
    char comm[16];
    uint32_t ids[2];

    (void)state;
    env->task = (struct env_task){.pid = 11, .tgid = 12, .uid = 13, .gid = 14, .comm = "worker", .addr = 0x1000};
    assert_int_equal(helper_get_current_pid_tgid(env, 0, 0, 0, 0, 0), 12ull << 32 | 11);
    assert_int_equal(helper_get_current_uid_gid(env, 0, 0, 0, 0, 0), 14ull << 32 | 13);
    assert_int_equal(helper_get_current_task(env, 0, 0, 0, 0, 0), 0x1000);
    memset(comm, 'x', sizeof(comm));
    assert_int_equal(helper_get_current_comm(env, P(comm), 16, 0, 0, 0), 0);
    assert_memory_equal(comm, "worker\0\0\0\0\0\0\0\0\0\0", 16);
    assert_int_equal(helper_get_current_comm(env, P(comm), 4, 0, 0, 0), 0);
    assert_memory_equal(comm, "wor\0er", 4);
    assert_int_equal(helper_get_ns_current_pid_tgid(env, 1, 2, P(ids), 8, 0), 0);
    assert_int_equal(ids[0], 11);
    assert_int_equal(ids[1], 12);
    assert_int_equal(helper_get_ns_current_pid_tgid(env, 1, 2, P(ids), 4, 0), (uint64_t)-EINVAL);
    assert_int_equal(ids[0], 0);
}

static void clocks_stand_still_when_told(void **state)
{
    (void)state;
    env->clock = (struct env_clock){.fixed = true, .now = 1000000000, .step = 5};
    assert_int_equal(helper_ktime_get_ns(env, 0, 0, 0, 0, 0), 1000000000);
    assert_int_equal(helper_ktime_get_boot_ns(env, 0, 0, 0, 0, 0), 1000000005);
    env->clock = (struct env_clock){.fixed = true, .now = 1000000000};
    assert_int_equal(helper_jiffies64(env, 0, 0, 0, 0, 0), 4294967296ull - 75000 + 250);
}

static void seeded_random_repeats(void **state)
{
    uint64_t a, b;

    (void)state;
    env->random_fixed = true;
    env->random = 1;
    a = helper_get_prandom_u32(env, 0, 0, 0, 0, 0);
    env->random = 1;
    b = helper_get_prandom_u32(env, 0, 0, 0, 0, 0);
    assert_int_equal(a, b);
    assert_int_equal(a >> 32, 0);
}

/* A world with a page at a recorded kernel address and a page of user memory. */
static unsigned char kernel_page[64], user_page[64];
static const struct env_mem world[] = {
    {0x7f0000001000, user_page, sizeof(user_page), ENV_READ | ENV_WRITE, ENV_MEM_USER, "user"},
    {0xffff888000001000, kernel_page, sizeof(kernel_page), ENV_READ, ENV_MEM_KERNEL, "kernel"},
};

static void probes_read_what_the_world_holds(void **state)
{
    char out[16];

    (void)state;
    env->world_mems = world;
    env->n_world_mems = 2;
    memcpy(kernel_page, "kernel memory", 14);
    memset(kernel_page + 60, 'e', 4);
    memcpy(user_page, "user memory", 12);
    assert_int_equal(helper_probe_read_kernel(env, P(out), 6, 0xffff888000001000, 0, 0), 0);
    assert_memory_equal(out, "kernel", 6);
    /* across its end: all or nothing */
    assert_int_equal(helper_probe_read_kernel(env, P(out), 8, 0xffff88800000103c, 0, 0), (uint64_t)-EFAULT);
    assert_memory_equal(out, "\0\0\0\0\0\0\0\0", 8);
    /* the other kind of memory */
    assert_int_equal(helper_probe_read_user(env, P(out), 6, 0xffff888000001000, 0, 0), (uint64_t)-EFAULT);
    assert_int_equal(helper_probe_read_kernel(env, P(out), 6, 0x7f0000001000, 0, 0), (uint64_t)-ERANGE);
    assert_int_equal(helper_probe_read(env, P(out), 6, 0x7f0000001000, 0, 0), 0);
    assert_memory_equal(out, "user m", 6);
    /* strings: length with NUL, cut with a NUL, -EFAULT when memory ends first */
    assert_int_equal(helper_probe_read_kernel_str(env, P(out), 16, 0xffff888000001000, 0, 0), 14);
    assert_string_equal(out, "kernel memory");
    assert_int_equal(helper_probe_read_kernel_str(env, P(out), 4, 0xffff888000001000, 0, 0), 4);
    assert_string_equal(out, "ker");
    assert_int_equal(helper_probe_read_kernel_str(env, P(out), 16, 0xffff88800000103c, 0, 0), (uint64_t)-EFAULT);
    assert_int_equal(out[0], 0);
    kernel_page[63] = 0;
    assert_int_equal(helper_probe_read_kernel_str(env, P(out), 16, 0xffff88800000103c, 0, 0), 4);
    assert_string_equal(out, "eee");
    assert_int_equal(helper_copy_from_user(env, P(out), 4, 0x7f0000001000, 0, 0), 0);
}

static void user_memory_is_written_where_it_may_be(void **state)
{
    char out[4];

    (void)state;
    env->world_mems = world;
    env->n_world_mems = 2;
    assert_int_equal(helper_probe_write_user(env, 0x7f0000001000, P("USER"), 4, 0, 0), 0);
    assert_int_equal(helper_probe_write_user(env, 0x7f0000001002, P("ES"), 2, 0, 0), 0);
    assert_int_equal(helper_probe_read_user(env, P(out), 4, 0x7f0000001000, 0, 0), 0);
    assert_memory_equal(out, "USES", 4);
    assert_memory_equal(user_page, "user", 4); /* the world is that of other runs too */
    assert_int_equal(helper_probe_write_user(env, 0x7f000000103e, P("USER"), 4, 0, 0), (uint64_t)-EFAULT);
    assert_int_equal(helper_probe_write_user(env, 0xffff888000001000, P("USER"), 4, 0, 0), (uint64_t)-EFAULT);
}

static void keep_line(void *ctx, const char *text, size_t len)
{
    buf_add(ctx, text, len);
    buf_putc(ctx, '|');
}

static void printed_text_reaches_the_world(void **state)
{
    struct buf said = {0};
    uint64_t args[4] = {1, (uint64_t)-2, 3, 4};
    char longer[40];

    (void)state;
    env->out.ctx = &said;
    env->out.printk = keep_line;
    assert_int_equal(helper_trace_printk(env, P("a %d b %x\n"), 11, 5, 255, 0), 9);
    assert_int_equal(helper_trace_vprintk(env, P("%d %d %d %d"), 12, P(args), 32, 0), 8);
    assert_int_equal(helper_trace_vprintk(env, P("%d"), 3, P(args), 7, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_trace_vprintk(env, P("%d"), 3, P(args), 104, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_trace_printk(env, P("no end"), 6, 0, 0, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_trace_printk(env, P("%1500d"), 7, 1, 0, 0), 1500);
    assert_memory_equal(buf_text(&said), "a 5 b ff\n|1 -2 3 4|   ", 22);
    assert_int_equal(said.len, 10 + 9 + 1023 + 1);
    assert_int_equal(helper_snprintf(env, P(longer), 6, P("%d and %d"), P(args), 16), 9);
    assert_string_equal(longer, "1 and");
    assert_int_equal(helper_snprintf(env, 0, 0, P("%d and %d"), P(args), 16), 9);
    buf_free(&said);
}

static void locks_are_held_once(void **state)
{
    uint32_t lock = 0, other = 0;

    (void)state;
    helper_spin_lock(env, P(&lock), 0, 0, 0, 0);
    assert_int_equal(lock, 1);
    assert_ptr_equal(env->spin_lock, &lock);
    helper_spin_unlock(env, P(&lock), 0, 0, 0, 0);
    assert_int_equal(lock, 0);
    assert_null(env->spin_lock);
    assert_int_equal(env->trap.kind, TRAP_none);
    helper_spin_lock(env, P(&lock), 0, 0, 0, 0);
    helper_spin_lock(env, P(&other), 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_deadlock);
    assert_int_equal(other, 0);
    env->spin_lock = NULL;
}

static void a_lock_that_never_opens_can_be_stopped(void **state)
{
    uint32_t lock = 1;
    volatile uint32_t stop = 1;

    (void)state;
    env->stop = &stop;
    helper_spin_lock(env, P(&lock), 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_stopped);
    assert_null(env->spin_lock);
}

static void waiting_for_a_lock_is_charged(void **state)
{
    uint32_t lock = 1;

    (void)state;
    env->insn_budget = 10000;
    helper_spin_lock(env, P(&lock), 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_insn_limit);
    assert_null(env->spin_lock);
}

static void a_run_does_not_wait_for_itself(void **state)
{
    struct map *map = make_map(MAP_TYPE_ARRAY, 4, 8, 1);
    uint32_t key = 0, lock = 0;
    uint64_t value = 1;

    (void)state;
    helper_spin_lock(env, P(&lock), 0, 0, 0, 0);
    helper_map_update_elem(env, P(map), P(&key), P(&value), MAP_LOCK, 0);
    assert_int_equal(env->trap.kind, TRAP_deadlock);
    helper_spin_unlock(env, P(&lock), 0, 0, 0, 0);
    map_put(map);
}

static void packet_helpers_refuse_other_contexts(void **state)
{
    (void)state;
    helper_xdp_adjust_head(env, 0, 4, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_helper_argument);
    env->trap.kind = TRAP_none;
    helper_skb_load_bytes(env, 0, 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_helper_argument);
    env->trap.kind = TRAP_none;
    helper_sock_ops_cb_flags_set(env, 0, 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_helper_argument);
    env->trap.kind = TRAP_none;
}

/* Every skb helper on a context that is none says so instead of touching it. */
static void no_skb_helper_trusts_its_context(void **state)
{
    unsigned char room[64];
    static const char *const names[] = {
        "skb_store_bytes",    "l3_csum_replace",    "l4_csum_replace",        "clone_redirect",   "skb_vlan_push",
        "skb_vlan_pop",       "skb_get_tunnel_key", "skb_set_tunnel_key",     "skb_change_proto", "skb_change_type",
        "get_hash_recalc",    "skb_change_tail",    "skb_pull_data",          "csum_update",      "set_hash_invalid",
        "skb_change_head",    "set_hash",           "skb_adjust_room",        "csum_level",       "skb_set_tstamp",
        "get_cgroup_classid", "get_route_realm",    "xdp_adjust_tail",        "xdp_adjust_meta",  "xdp_get_buff_len",
        "xdp_load_bytes",     "xdp_store_bytes",    "skb_load_bytes_relative"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        env->trap.kind = TRAP_none;
        helper_by_name(names[i])->body(env, 0, P(room), P(room), 4, 0);
        assert_int_equal(env->trap.kind, TRAP_helper_argument);
    }
    env->trap.kind = TRAP_none;
}

static void the_rest_of_a_tunnel_key_reads_back(void **state)
{
    unsigned char frame[64] = {[12] = 8, [14] = 0x45};
    struct ctx_io io = {.data_in = frame, .data_size_in = sizeof(frame)};
    uint32_t key[11] = {77, 0x01020304}, got[11];

    (void)state;
    key[7] = 0x05060708; /* local_ipv4 */
    assert_int_equal(ctx_open(env, prog_type_find(PROG_TYPE_SCHED_CLS), &io, NULL), 0);
    assert_int_equal(helper_skb_get_tunnel_key(env, P(env->ctx), P(got), 44, 0, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_skb_set_tunnel_key(env, P(env->ctx), P(key), 44, 0, 0), 0);
    assert_int_equal(helper_skb_get_tunnel_key(env, P(env->ctx), P(got), 44, 0, 0), 0);
    assert_int_equal(got[0], 77);
    assert_int_equal(got[1], 0x05060708);
    assert_int_equal(got[7], 0x01020304);
    assert_int_equal(helper_skb_get_tunnel_key(env, P(env->ctx), P(got), 44, 1, 0), (uint64_t)-EPROTO);
    assert_int_equal(helper_skb_set_tunnel_key(env, P(env->ctx), P(key), 43, 0, 0), (uint64_t)-EINVAL);
    ctx_close(env, prog_type_find(PROG_TYPE_SCHED_CLS), &io, 0);
}

static void redirections_are_noted(void **state)
{
    unsigned char frame[64] = {0};
    struct ctx_io io = {.data_in = frame, .data_size_in = sizeof(frame)};

    (void)state;
    assert_int_equal(ctx_open(env, prog_type_find(PROG_TYPE_XDP), &io, NULL), 0);
    assert_int_equal(helper_redirect(env, 9, 1, 0, 0, 0), 0);
    assert_int_equal(env->redirect.ifindex, 0);
    assert_int_equal(helper_redirect(env, 9, 0, 0, 0, 0), 4);
    assert_int_equal(env->redirect.ifindex, 9);
    assert_int_equal(ctx_close(env, prog_type_find(PROG_TYPE_XDP), &io, 4), 0);
    assert_int_equal(env->redirect.ifindex, 9);
}

static void a_world_without_routes_and_sockets_says_so(void **state)
{
    unsigned char frame[1600] = {[12] = 8, [14] = 0x45}, params[64] = {2};
    struct ctx_io io = {.data_in = frame, .data_size_in = 64};
    uint64_t stack[4] = {1, 1, 1, 1};
    uint32_t mtu = 0;

    (void)state;
    assert_int_equal(ctx_open(env, prog_type_find(PROG_TYPE_XDP), &io, NULL), 0);
    assert_int_equal(helper_fib_lookup(env, 0, P(params), 64, 0, 0), 4);
    assert_int_equal(helper_fib_lookup(env, 0, P(params), 63, 0, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_fib_lookup(env, 0, P(params), 64, 64, 0), (uint64_t)-EINVAL);
    params[0] = 3;
    assert_int_equal(helper_fib_lookup(env, 0, P(params), 64, 0, 0), (uint64_t)-EAFNOSUPPORT);
    assert_int_equal(helper_sk_lookup_tcp(env, 0, P(params), 12, 0, 0), 0);
    assert_int_equal(helper_check_mtu(env, 0, 0, P(&mtu), 0, 0), 0);
    assert_int_equal(mtu, 1500);
    assert_int_equal(helper_check_mtu(env, 0, 0, P(&mtu), 1, 0), 1);
    mtu = 0;
    assert_int_equal(helper_check_mtu(env, 0, 0, P(&mtu), 1450, 0), 0);
    mtu = 0;
    assert_int_equal(helper_check_mtu(env, 0, 0, P(&mtu), 1451, 0), 1);
    assert_int_equal(helper_check_mtu(env, 0, 0, P(&mtu), 0, 1), (uint64_t)-EINVAL);
    assert_int_equal(mtu, 0);
    assert_int_equal(helper_get_stack(env, 0, P(stack), 32, 0, 0), (uint64_t)-EFAULT);
    assert_int_equal(stack[3], 0);
    assert_int_equal(helper_get_stack(env, 0, P(stack), 31, 0, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_get_stack(env, 0, P(stack), 32, 1 << 11, 0), (uint64_t)-EINVAL);
    assert_int_equal(helper_override_return(env, 0, (uint64_t)-5, 0, 0, 0), 0);
    assert_int_equal(env->retval, -5);
    assert_int_equal(env->trap.kind, TRAP_none);
    helper_sk_release(env, 0, 0, 0, 0, 0);
    assert_int_equal(env->trap.kind, TRAP_helper_argument);
    ctx_close(env, prog_type_find(PROG_TYPE_XDP), &io, 0);
}

/* Callbacks: a program that loops and one that walks a map, through the interpreter. */
static enum trap_kind trapped; /* what the last run() that might ended with */

static uint64_t run_to_trap(const char *text, struct map *map, bool may_trap)
{
    const struct map_def *def = map ? &map->def : NULL;
    struct prog_spec spec = {.name = "t", .section = "t", .file = "t", .license = "GPL", .attach_target = ""};
    struct code_opts opts = {.checked = true};
    struct asm_out out;
    struct prog *prog;
    struct code *code;
    uint64_t r0 = 0;

    assert_int_equal(asm_text(text, strlen(text), NULL, NULL, &out), 0);
    for (uint32_t i = 0; i < out.n_insns; i++)
        if (out.insns[i].code == 0x18 && out.insns[i].src_reg == 1) {
            out.insns[i].src_reg = 5;
            out.insns[i].imm = 0;
        }
    spec.insns = out.insns;
    spec.n_insns = out.n_insns;
    spec.maps = &def;
    spec.n_maps = map != NULL;
    assert_int_equal(prog_new(&spec, false, NULL, &prog), 0);
    assert_int_equal(code_lower(prog, NULL, &map, &opts, &interp_engine, NULL, &code), 0);
    if (env_run(env, code, 0, 0, &r0) && !may_trap)
        fail_msg("%s: %s", trap_name(env->trap.kind), env->trap.text);
    trapped = env->trap.kind;
    code_put(code);
    prog_put(prog);
    asm_free(&out);
    return r0;
}

static uint64_t run(const char *text, struct map *map)
{
    return run_to_trap(text, map, false);
}

#define LOOP(rounds, flags, stop)                                                                                      \
    "r1 = " rounds "\nr2 = subprog[body]\n*(u64 *)(r10 - 8) = 0\nr3 = r10\nr3 += -8\nr4 = " flags                      \
    "\ncall 181\nr1 = *(u64 *)(r10 - 8)\nr1 <<= 32\nw0 = w0\nr0 |= r1\nexit\n"                                         \
    "body:\nr3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nif r1 < " stop " goto +1\nr0 = 1\nexit\n"

static void loops_call_back(void **state)
{
    (void)state;
    assert_int_equal(run(LOOP("10", "0", "100"), NULL), 10ull << 32 | 10);
    assert_int_equal(run(LOOP("10", "0", "3"), NULL), 4ull << 32 | 4);
    assert_int_equal(run(LOOP("0", "0", "3"), NULL), 0);
    assert_int_equal((int32_t)run(LOOP("10", "1", "3"), NULL), -EINVAL);
    assert_int_equal((int32_t)run(LOOP("8388609", "0", "3"), NULL), -E2BIG);
}

static void walks_see_every_element_once(void **state)
{
    static const char text[] = "r1 = map[id:0]\nr2 = subprog[body]\n*(u64 *)(r10 - 8) = 0\nr3 = r10\nr3 += -8\nr4 = 0\n"
                               "call 164\nr1 = *(u64 *)(r10 - 8)\nr1 <<= 32\nr0 |= r1\nexit\n"
                               "body:\nr5 = *(u64 *)(r3 + 0)\nr0 = *(u64 *)(r4 + 0)\nr0 += r5\n*(u64 *)(r4 + 0) = r0\n"
                               "call 3\nr0 = 0\nexit\n"; /* r1 and r2 still hold map and key: it is deleted */
    struct map *map = make_map(MAP_TYPE_HASH, 4, 8, 64);
    uint64_t sum = 0;

    (void)state;
    for (uint32_t key = 0; key < 50; key++) {
        uint64_t value = key * 3;
        assert_int_equal(map_host_update(map, &key, &value, 0), 0);
        sum += value;
    }
    assert_int_equal(run(text, map), sum << 32 | 50);
    assert_int_equal(run(text, map), 0);
    map_put(map);
}

#define VALUE(then)                                                                                                    \
    "*(u32 *)(r10 - 4) = 0\nr1 = map[id:0]\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr6 = r0\n" then           \
    "\nr0 = 1\nout:\nexit\n"

/* The lock of a value is for the two helpers; what lies around it is the program's. */
static void locks_of_values_are_kept_off(void **state)
{
    struct map_def def = {.name = "m", .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1};
    struct map *map;

    (void)state;
    def.spin_lock_off = 4;
    assert_int_equal(map_create(&def, 1, NULL, &map), 0);
    assert_int_equal(run(VALUE("r1 = r6\nr1 += 4\ncall 93\n*(u32 *)(r6 + 0) = 7\n*(u64 *)(r6 + 8) = 7\n"
                               "r1 = r6\nr1 += 4\ncall 94"),
                         map),
                     1);
    run_to_trap(VALUE("*(u32 *)(r6 + 4) = 1"), map, true);
    assert_int_equal(trapped, TRAP_mem_read_only);
    run_to_trap(VALUE("r1 = *(u64 *)(r6 + 0)"), map, true);
    assert_int_equal(trapped, TRAP_mem_out_of_bounds);
    run_to_trap(VALUE("r1 = *(u8 *)(r6 + 7)"), map, true);
    assert_int_not_equal(trapped, TRAP_none);
    run_to_trap(VALUE("r1 = r6\nr1 += 2\ncall 93"), map, true);
    assert_int_equal(trapped, TRAP_helper_argument);
    map_put(map);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_env, free_env)
    const struct CMUnitTest tests[] = {
        TEST(maps_are_looked_up_written_and_emptied),
        TEST(tasks_are_under_their_cgroup_and_the_root),
        TEST(per_cpu_values_are_the_cpus),
        TEST(a_map_without_the_operation_ends_the_run),
        TEST(records_are_held_until_they_are_given_back),
        TEST(more_records_than_a_run_may_hold_fail),
        TEST(perf_samples_carry_packet_bytes),
        TEST(the_task_is_the_worlds),
        TEST(clocks_stand_still_when_told),
        TEST(seeded_random_repeats),
        TEST(probes_read_what_the_world_holds),
        TEST(user_memory_is_written_where_it_may_be),
        TEST(printed_text_reaches_the_world),
        TEST(locks_are_held_once),
        TEST(a_lock_that_never_opens_can_be_stopped),
        TEST(waiting_for_a_lock_is_charged),
        TEST(a_run_does_not_wait_for_itself),
        TEST(packet_helpers_refuse_other_contexts),
        TEST(no_skb_helper_trusts_its_context),
        TEST(the_rest_of_a_tunnel_key_reads_back),
        TEST(redirections_are_noted),
        TEST(a_world_without_routes_and_sockets_says_so),
        TEST(loops_call_back),
        TEST(walks_see_every_element_once),
        TEST(locks_of_values_are_kept_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
