/*
 * One test, two backends: each of these runs on an object in this process and on the same object in Linux, through the
 * same calls, and expects the same. Linux's half is skipped where bpf(2) is not allowed or libbpf was not built in.
 */
#include "tests/unit/compile.h"
#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char both_path[64], bad_path[64];
static char messages[8192];

static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    size_t len = strlen(messages);
    snprintf(messages + len, sizeof(messages) - len, "%s\n", text);
}

static int compile(void **state)
{
    (void)state;
    compile_one("both", both_path);
    compile_one("bad", bad_path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    remove_one(both_path);
    remove_one(bad_path);
    return 0;
}

/* What the tests get: which backend they run on. */
static uint32_t user = SKEP_BACKEND_USER, linux_one = SKEP_BACKEND_KERNEL;

static struct skep_object *open_at(const char *path, void **state)
{
    uint32_t backend = *(uint32_t *)*state;
    if (!*path)
        skip();
    *messages = 0;
    SKEP_OPTS(skep_vm_opts, vm_opts, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts, .object_name = "obj", .backend = backend);
    struct skep_object *o = skep_object__open_file(path, &opts);
    if (!o && errno == EOPNOTSUPP && backend == SKEP_BACKEND_KERNEL) {
        print_message("skip: built without libbpf\n");
        skip();
    }
    assert_non_null(o);
    assert_int_equal(skep_object__backend(o), backend);
    return o;
}

static bool forbidden(int err)
{
    return err == -EPERM && (geteuid() || !strstr(messages, "refuses"));
}

static struct skep_object *load(void **state)
{
    struct skep_object *o = open_at(both_path, state);
    int err = skep_object__load(o);
    if (err && forbidden(err)) {
        print_message("skip: bpf(2) is not allowed here\n");
        skep_object__close(o);
        skip();
    }
    if (err)
        print_message("%s", messages);
    assert_int_equal(err, 0);
    return o;
}

static struct skep_map *map_of(struct skep_object *o, const char *name)
{
    struct skep_map *map = skep_object__find_map_by_name(o, name);
    assert_non_null(map);
    return map;
}

static uint32_t run_len(struct skep_object *o, const char *prog, uint32_t len)
{
    unsigned char packet[256] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = len);
    assert_int_equal(skep_program__run(skep_object__find_program_by_name(o, prog), &opts), 0);
    return opts.retval;
}

/* ---- Tests ---- */

static void elements(void **state)
{
    struct skep_object *o = load(state);
    struct skep_map *lens = map_of(o, "lens"), *slots = map_of(o, "slots");
    uint32_t key, next, found = 0, sum = 0;
    uint64_t value;

    for (key = 10; key < 14; key++) {
        value = key * 2;
        assert_int_equal(skep_map__update_elem(lens, &key, 4, &value, 8, SKEP_NOEXIST), 0);
    }
    assert_int_equal(skep_map__update_elem(lens, &key, 4, &value, 8, SKEP_ANY), -E2BIG);
    assert_int_equal(skep_map__update_elem(lens, &key, 4, &value, 8, SKEP_EXIST), -ENOENT);
    key = 11;
    assert_int_equal(skep_map__update_elem(lens, &key, 4, &value, 8, SKEP_NOEXIST), -EEXIST);
    assert_int_equal(skep_map__lookup_elem(lens, &key, 4, &value, 8, 0), 0);
    assert_int_equal(value, 22);
    assert_int_equal(skep_map__lookup_and_delete_elem(lens, &key, 4, &value, 8, 0), 0);
    assert_int_equal(skep_map__lookup_elem(lens, &key, 4, &value, 8, 0), -ENOENT);
    assert_int_equal(skep_map__delete_elem(lens, &key, 4, 0), -ENOENT);
    for (void *at = NULL; !skep_map__get_next_key(lens, at, &next, 4); at = &key) {
        key = next;
        sum += key;
        found++;
    }
    assert_int_equal(found, 3);
    assert_int_equal(sum, 10 + 12 + 13);
    key = 3;
    assert_int_equal(skep_map__lookup_elem(slots, &key, 4, &value, 8, 0), -ENOENT);
    assert_int_equal(skep_map__update_elem(slots, &key, 4, &value, 8, 0), -E2BIG);
    key = 1;
    assert_int_equal(skep_map__delete_elem(slots, &key, 4, 0), -EINVAL);
    assert_int_equal(skep_map__lookup_elem(slots, &key, 8, &value, 8, 0), -EINVAL);
    assert_int_equal(skep_map__lookup_elem(slots, &key, 4, &value, 4, 0), -EINVAL);
    assert_int_equal(skep_map__freeze(slots), 0);
    assert_int_equal(skep_map__update_elem(slots, &key, 4, &value, 8, 0), -EPERM);
    skep_object__close(o);
}

static void running(void **state)
{
    struct skep_object *o = load(state);
    uint32_t key = 0;
    uint64_t value = 0;

    assert_int_equal(run_len(o, "judge", 60), 2);
    assert_int_equal(run_len(o, "judge", 61), 1);
    assert_int_equal(run_len(o, "judge", 61), 1);
    key = 61;
    assert_int_equal(skep_map__lookup_elem(map_of(o, "lens"), &key, 4, &value, 8, 0), 0);
    assert_int_equal(value, 2);

    struct skep_map *counts = map_of(o, "counts");
    uint32_t size = skep_map__host_value_size(counts), total = 0;
    unsigned char *values = malloc(size);
    key = 0;
    assert_true(skep_map__is_percpu(counts) && size % 8 == 0);
    assert_int_equal(skep_map__lookup_elem(counts, &key, 4, values, size, 0), 0);
    for (uint32_t at = 0; at < size; at += 8) {
        uint32_t count;
        memcpy(&count, values + at, 4);
        total += count;
    }
    assert_int_equal(total, 3);
    free(values);
    skep_object__close(o);
}

static void repeating(void **state)
{
    struct skep_object *o = load(state);
    unsigned char packet[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = 64, .repeat = 10, .flags = SKEP_RUN_CPU);
    const struct skep_variable *runs = skep_object__find_variable(o, "runs");
    uint64_t n = 0;
    assert_int_equal(skep_program__run(skep_object__find_program_by_name(o, "judge"), &opts), 0);
    assert_int_equal(skep_variable__get(o, runs, &n, 8), 0);
    assert_int_equal(n, 10);
    skep_object__close(o);
}

static void data_out(void **state)
{
    struct skep_object *o = load(state);
    unsigned char packet[20] = {1, 2, 3}, out[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = 20, .data_out = out, .data_size_out = 64);
    struct skep_program *change = skep_object__find_program_by_name(o, "change");
    assert_int_equal(skep_program__run(change, &opts), 0);
    assert_int_equal(opts.retval, 3);
    assert_int_equal(opts.data_size_out, 28);
    assert_int_equal(out[8], 0xfe);
    assert_int_equal(out[9], 2);
    opts.data_size_out = 10;
    assert_int_equal(skep_program__run(change, &opts), -ENOSPC);
    assert_int_equal(opts.data_size_out, 28);
    skep_object__close(o);
}

static void variables(void **state)
{
    struct skep_object *o = open_at(both_path, state);
    uint32_t limit = 30;
    int one = 0;
    assert_int_equal(skep_variable__set(o, skep_object__find_variable(o, "limit"), &limit, 4), 0);
    assert_int_equal(skep_object__set_variable(o, "signed_one", "-77"), 0);
    int err = skep_object__load(o);
    if (err && forbidden(err)) {
        skep_object__close(o);
        skip();
    }
    assert_int_equal(err, 0);
    assert_int_equal(skep_variable__get(o, skep_object__find_variable(o, "limit"), &limit, 4), 0);
    assert_int_equal(limit, 30);
    assert_int_equal(skep_variable__get(o, skep_object__find_variable(o, "signed_one"), &one, 4), 0);
    assert_int_equal(one, -77);
    assert_int_equal(run_len(o, "judge", 31), 1);
    assert_int_equal(skep_variable__set(o, skep_object__find_variable(o, "limit"), &limit, 4), -EPERM);
    assert_int_equal(skep_object__set_variable(o, "runs", "100"), 0);
    run_len(o, "judge", 31);
    uint64_t runs = 0;
    assert_int_equal(skep_variable__get(o, skep_object__find_variable(o, "runs"), &runs, 8), 0);
    assert_int_equal(runs, 101);
    skep_object__close(o);
}

struct got {
    unsigned n;
    uint32_t len, mark;
};

static int on_record(void *ctx, void *data, size_t size)
{
    struct got *g = ctx;
    assert_int_equal(size, 8);
    memcpy(&g->len, data, 4);
    memcpy(&g->mark, (char *)data + 4, 4);
    g->n++;
    return 0;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
    (void)cpu;
    assert_true(size >= 8);
    on_record(ctx, data, 8);
}

static void ring(void **state)
{
    struct skep_object *o = load(state);
    struct got got = {0};
    struct skep_ring_buffer *rb = skep_ring_buffer__new(map_of(o, "events"), on_record, &got, NULL);
    assert_non_null(rb);
    assert_null(skep_ring_buffer__new(map_of(o, "lens"), on_record, &got, NULL));
    assert_int_equal(skep_ring_buffer__consume(rb), 0);
    run_len(o, "send", 40);
    run_len(o, "send", 50);
    assert_true(skep_ring_buffer__epoll_fd(rb) >= 0);
    assert_int_equal(skep_ring_buffer__poll(rb, 1000), 2);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.len, 50);
    assert_int_equal(got.mark, 7);
    run_len(o, "send", 51);
    assert_int_equal(skep_ring_buffer__consume(rb), 1);
    assert_int_equal(got.len, 51);
    skep_ring_buffer__free(rb);
    skep_object__close(o);
}

static void perf(void **state)
{
    struct skep_object *o = load(state);
    struct got got = {0};
    struct skep_perf_buffer *pb = skep_perf_buffer__new(map_of(o, "samples"), 4, on_sample, NULL, &got, NULL);
    assert_non_null(pb);
    assert_true(skep_perf_buffer__buffer_cnt(pb) >= 1);
    run_len(o, "send", 44);
    assert_true(skep_perf_buffer__poll(pb, 1000) >= 0);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.len, 44);
    assert_int_equal(got.mark, 8);
    skep_perf_buffer__free(pb);
    skep_object__close(o);
}

static void things(void **state)
{
    struct skep_object *o = load(state);
    uint32_t zero = 0, one = 1;
    struct skep_program *judge = skep_object__find_program_by_name(o, "judge");
    assert_int_equal(run_len(o, "leap", 20), 0);
    assert_int_equal(skep_map__set_program(map_of(o, "jumps"), 1, judge), 0);
    assert_int_equal(run_len(o, "leap", 20), 0);
    assert_int_equal(skep_map__update_elem(map_of(o, "second"), &zero, 4, &one, 4, 0), 0);
    assert_int_equal(skep_map__set_inner_map(map_of(o, "outer"), &zero, 4, map_of(o, "second"), 0), 0);
    assert_int_equal(run_len(o, "leap", 20), 2);
    assert_int_equal(run_len(o, "leap", 100), 1);
    assert_int_equal(skep_map__set_program(map_of(o, "jumps"), 1, NULL), 0);
    assert_int_equal(run_len(o, "leap", 20), 0);
    assert_int_equal(skep_map__set_program(map_of(o, "lens"), 1, judge), -EINVAL);
    skep_object__close(o);
}

static void clones(void **state)
{
    struct skep_object *o = load(state);
    run_len(o, "judge", 33);
    struct skep_object *c = skep_object__clone(o);
    uint64_t runs = 9;
    assert_non_null(c);
    assert_int_equal(skep_object__backend(c), skep_object__backend(o));
    assert_int_equal(skep_variable__get(c, skep_object__find_variable(c, "runs"), &runs, 8), 0);
    assert_int_equal(runs, 0);
    skep_object__close(o);
    run_len(c, "judge", 33);
    assert_int_equal(skep_variable__get(c, skep_object__find_variable(c, "runs"), &runs, 8), 0);
    assert_int_equal(runs, 1);
    skep_object__close(c);
}

/* Another object on the same vm shares a map; one of the other backend cannot. */
static void reuse(void **state)
{
    struct skep_object *o = load(state);
    uint32_t backend = *(uint32_t *)*state;
    SKEP_OPTS(skep_object_open_opts, opts, .vm = skep_object__vm(o), .backend = backend);
    struct skep_object *p = skep_object__open_file(both_path, &opts);
    uint32_t key = 33;
    uint64_t value = 0;
    assert_non_null(p);
    assert_int_equal(skep_map__reuse(map_of(p, "lens"), map_of(o, "lens")), 0);
    assert_int_equal(skep_object__load(p), 0);
    run_len(p, "judge", 33);
    assert_int_equal(skep_map__lookup_elem(map_of(o, "lens"), &key, 4, &value, 8, 0), 0);
    struct skep_object *c = skep_object__clone(p);
    assert_non_null(c);
    run_len(c, "judge", 33);
    assert_int_equal(skep_map__lookup_elem(map_of(o, "lens"), &key, 4, &value, 8, 0), 0);
    assert_int_equal(value, 2);
    skep_object__close(c);
    skep_object__close(p);

    opts.backend = !backend;
    p = skep_object__open_file(both_path, &opts);
    if (p)
        assert_int_equal(skep_map__reuse(map_of(p, "lens"), map_of(o, "lens")), -EINVAL);
    skep_object__close(p);
    skep_object__close(o);
}

static void sizes(void **state)
{
    struct skep_object *o = open_at(both_path, state);
    uint32_t key = 99;
    uint64_t value = 1;
    assert_int_equal(skep_map__set_max_entries(map_of(o, "slots"), 100), 0);
    assert_int_equal(skep_program__set_autoload(skep_object__find_program_by_name(o, "probe"), false), 0);
    int err = skep_object__load(o);
    if (err && forbidden(err)) {
        skep_object__close(o);
        skip();
    }
    assert_int_equal(err, 0);
    assert_int_equal(skep_map__max_entries(map_of(o, "slots")), 100);
    assert_int_equal(skep_map__update_elem(map_of(o, "slots"), &key, 4, &value, 8, 0), 0);
    assert_int_equal(skep_map__set_max_entries(map_of(o, "slots"), 100), -EBUSY);
    assert_false(skep_program__loaded(skep_object__find_program_by_name(o, "probe")));
    assert_true(skep_program__loaded(skep_object__find_program_by_name(o, "judge")));
    skep_object__close(o);
}

static void refusal(void **state)
{
    struct skep_object *o = open_at(bad_path, state);
    int err = skep_object__load(o);
    if (err && !strstr(messages, "bad.bpf.c:10:") && (err == -EPERM || geteuid())) {
        skep_object__close(o);
        skip();
    }
    assert_int_equal(err, -EACCES);
    assert_non_null(strstr(messages, "bad.bpf.c:10:12: "));
    assert_non_null(strstr(messages, "return p[3] + 1;"));
    skep_object__close(o);
}

/* What only one side can do is said by name. */
static void bounds(void **state)
{
    struct skep_object *o = load(state);
    SKEP_OPTS(skep_world, world, .fix_time = true);
    unsigned char packet[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = 64, .world = &world);
    int err = skep_program__run(skep_object__find_program_by_name(o, "judge"), &opts);
    bool there = skep_object__backend(o) == SKEP_BACKEND_KERNEL;
    assert_int_equal(err, there ? -EOPNOTSUPP : 0);
    assert_true(!there || strstr(messages, "clock"));
    if (there) {
        const struct {
            struct skep_world world;
            const char *word;
        } worlds[] = {{{.sz = sizeof(world), .fix_seed = true}, "random"},
                      {{.sz = sizeof(world), .fix_task = true, .pid = 1}, "task"},
                      {{.sz = sizeof(world), .cgroup_id = 2}, "cgroup"},
                      {{.sz = sizeof(world), .func_ip = 2}, "address"},
                      {{.sz = sizeof(world), .task = 1}, "from a file"}};
        for (size_t i = 0; i < sizeof(worlds) / sizeof(*worlds); i++) {
            opts.world = &worlds[i].world;
            assert_int_equal(skep_program__run(skep_object__find_program_by_name(o, "judge"), &opts), -EOPNOTSUPP);
            assert_non_null(strstr(messages, worlds[i].word));
        }
        struct skep_map *here = skep_map_create(skep_object__vm(o), SKEP_MAP_TYPE_ARRAY, "here", 4, 4, 1, NULL);
        uint32_t zero = 0;
        assert_int_equal(skep_map__set_inner_map(map_of(o, "outer"), &zero, 4, here, 0), -EINVAL);
        assert_non_null(strstr(messages, "'here' lives in this process"));
        skep_map__free(here);
        assert_int_equal(skep_program__run(skep_object__find_program_by_name(o, "probe"), NULL), -EOPNOTSUPP);
        assert_non_null(strstr(messages, "no test run for programs of type kprobe"));
        assert_true(skep_program__fd(skep_object__find_program_by_name(o, "judge")) >= 0);
        assert_true(skep_map__fd(map_of(o, "lens")) >= 0);
    } else {
        assert_int_equal(skep_map__fd(map_of(o, "lens")), -EOPNOTSUPP);
        assert_null(skep_program__attach(skep_object__find_program_by_name(o, "judge"), NULL));
        assert_int_equal(errno, EOPNOTSUPP);
    }
    skep_object__close(o);
}

static void verifying(void **state)
{
    SKEP_OPTS(skep_exec_opts, exec, .privilege = SKEP_UNPRIVILEGED);
    struct skep_object *o = open_at(both_path, state);
    bool there = skep_object__backend(o) == SKEP_BACKEND_KERNEL;
    /* Only Linux gives programs and maps to a device. */
    assert_int_equal(skep_program__set_ifindex(skep_object__next_program(o, NULL), 0), there ? 0 : -EOPNOTSUPP);
    assert_int_equal(skep_map__set_ifindex(map_of(o, "lens"), 0), there ? 0 : -EOPNOTSUPP);
    int err = skep_object__load_opts(o, &exec);
    assert_int_equal(err, there ? -EOPNOTSUPP : -EACCES);
    assert_true(!there || strstr(messages, "rights of this process"));
    skep_object__close(o);
}

int main(void)
{
#define BOTH(test)                                                                                                     \
    {#test, test, NULL, NULL, &user},                                                                                  \
    {                                                                                                                  \
#test "/linux", test, NULL, NULL, &linux_one                                                                   \
    }
    const struct CMUnitTest tests[] = {
        BOTH(elements), BOTH(running), BOTH(repeating), BOTH(data_out), BOTH(variables), BOTH(ring),      BOTH(perf),
        BOTH(things),   BOTH(clones),  BOTH(reuse),     BOTH(sizes),    BOTH(refusal),   BOTH(verifying), BOTH(bounds),
    };
    return cmocka_run_group_tests(tests, compile, clean);
}
