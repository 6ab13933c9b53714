/*
 * Mocks through the public API: functions of the host, values, sequences, errors and the n-th call from a world, and
 * every call recorded; on each engine, in programs that are verified, where the helper would be inlined, and for kernel
 * functions.
 */
#include "tests/unit/compile.h"
#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static const char *const engines[] = {"interp", "jit"};
static unsigned char packet[64];

static int compile(void **state)
{
    (void)state;
    compile_one("mocks", path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    remove_one(path);
    return 0;
}

static bool has_types(void)
{
    return !access("/sys/kernel/btf/vmlinux", R_OK);
}

static struct skep_world_file *world_of(const char *text)
{
    struct skep_world_file *w = skep_world__open_mem(text, strlen(text), NULL);

    assert_non_null(w);
    return w;
}

static struct skep_object *open_object(bool mockable, struct skep_world_file *world)
{
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 1, .mockable = mockable, .world = world);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm);
    struct skep_object *o;

    if (!*path || !has_types())
        skip();
    o = skep_object__open_file(path, &opts);
    assert_non_null(o);
    return o;
}

/* engine NULL: checked. The one program is loaded, the others are not. */
static const struct skep_program *load(struct skep_object *o, const char *name, const char *engine)
{
    SKEP_OPTS(skep_exec_opts, exec, .engine = engine, .checked = !engine);
    struct skep_program *p, *wanted = skep_object__find_program_by_name(o, name);

    skep_object__for_each_program(p, o) skep_program__set_autoload(p, p == wanted);
    assert_int_equal(skep_object__load_opts(o, &exec), 0);
    if (engine)
        assert_string_equal(skep_program__engine(wanted), engine);
    return wanted;
}

static int run(const struct skep_program *p, struct skep_run_opts *o)
{
    unsigned char ctx[128] = {0};

    if (!strncmp(skep_program__section_name(p), "tc", 2)) {
        o->data_in = packet;
        o->data_size_in = sizeof(packet);
    } else {
        o->ctx_in = ctx;
        o->ctx_size_in = 16;
    }
    return skep_program__run(p, o);
}

static uint64_t got(struct skep_object *o, unsigned i)
{
    const struct skep_variable *v = skep_object__find_variable(o, "got");
    uint64_t all[8];

    assert_non_null(v);
    assert_int_equal(skep_variable__get(o, v, all, sizeof(all)), 0);
    return all[i];
}

/* ---- Functions of the host ---- */

struct script {
    uint32_t calls, fail_at;
};

static uint64_t time_is_5(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    (void)env, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
    return 5;
}

static uint64_t cpu_is_2(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    (void)env, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
    return 2;
}

/* One after the other: 10, 11 ... */
static uint64_t counts(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct script *s = skep_env__user(env);

    (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
    return 10 + s->calls++;
}

static uint64_t fails_once(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct script *s = skep_env__user(env);

    if (++s->calls == s->fail_at)
        return (uint64_t)-ENOMEM;
    return skep_env__call_helper(env, a1, a2, a3, a4, a5);
}

static uint64_t finds_nothing(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    (void)env, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
    return 0;
}

static uint64_t doubles(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    (void)env, (void)a2, (void)a3, (void)a4, (void)a5;
    return a1 * 2;
}

static void what_is_inlined_is_mocked(void **state)
{
    static const struct skep_mock mocks[] = {
        {"bpf_ktime_get_ns", time_is_5}, {"get_smp_processor_id", cpu_is_2}, {"get_prandom_u32", counts}};

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(true, NULL);
        const struct skep_program *p = load(o, "inlined", engines[e]);
        struct script script = {0};
        SKEP_OPTS(skep_run_opts, opts, .mocks = mocks, .mock_cnt = 3, .user = &script);
        SKEP_OPTS(skep_run_opts, plain, .flags = 0);

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), 5);
        assert_int_equal(got(o, 1), 10);
        assert_int_equal(got(o, 2), 2);
        assert_int_equal(got(o, 3), 1000);
        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 1), 11);
        assert_int_equal(run(p, &plain), 0); /* a run without mocks */
        assert_int_equal(got(o, 2), 0);
        assert_true(got(o, 0) != 5);
        skep_object__close(o);
    }
}

static void lookups_are_mocked(void **state)
{
    (void)state;
    for (unsigned e = 0; e < 3; e++) { /* 2: checked */
        struct skep_object *o = open_object(true, NULL);
        const struct skep_program *p = load(o, "inlined", e < 2 ? engines[e] : NULL);
        const struct skep_mock mock = {"map_lookup_elem", finds_nothing};
        struct skep_trap trap = {.sz = sizeof(trap)};
        SKEP_OPTS(skep_run_opts, opts, .mocks = &mock, .mock_cnt = 1, .trap = &trap);
        uint32_t key = 7;
        uint64_t value = 44;

        assert_int_equal(skep_map__update_elem(skep_object__find_map_by_name(o, "table"), &key, 4, &value, 8, 0), 0);
        /* an array finds every index inside of it, which the verifier relied on */
        assert_int_equal(run(p, &opts), e < 2 ? -EFAULT : 0);
        if (e == 2)
            assert_int_equal(got(o, 3), 1000);
        skep_object__close(o);
    }
}

static void a_call_fails_and_the_others_do_not(void **state)
{
    const struct skep_mock mock = {"bpf_map_update_elem", fails_once};

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(true, NULL);
        const struct skep_program *p = load(o, "updates", engines[e]);
        struct script script = {.fail_at = 3};
        SKEP_OPTS(skep_run_opts, opts, .mocks = &mock, .mock_cnt = 1, .user = &script);
        uint32_t key = 2;
        uint64_t value;

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(opts.retval, 1 << 2);
        assert_int_equal(script.calls, 4);
        assert_int_equal(skep_map__lookup_elem(skep_object__find_map_by_name(o, "table"), &key, 4, &value, 8, 0),
                         -ENOENT);
        key = 3;
        assert_int_equal(skep_map__lookup_elem(skep_object__find_map_by_name(o, "table"), &key, 4, &value, 8, 0), 0);
        assert_int_equal(value, 3);
        skep_object__close(o);
    }
}

static void kernel_functions_are_mocked(void **state)
{
    const struct skep_mock null = {"bpf_task_from_pid", finds_nothing};
    struct skep_world_file *w = has_types() ? world_of("{\"tasks\": [{\"pid\": 77, \"flags\": 0}]}") : NULL;

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(true, w);
        const struct skep_program *p = load(o, "function", engines[e]);
        SKEP_OPTS(skep_run_opts, opts, .flags = 0);

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), 1);
        opts.mocks = &null;
        opts.mock_cnt = 1;
        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), 0);
        skep_object__close(o);
    }
    skep_world__free(w);
}

/* What nobody has a body for runs checked; without a mock it traps. */
static void what_is_not_there_is_mocked(void **state)
{
    const struct skep_mock twice = {"skep_no_such_function", doubles};
    struct skep_object *o = open_object(true, NULL);
    const struct skep_program *p = load(o, "unknown", NULL);
    SKEP_OPTS(skep_run_opts, opts, .mocks = &twice, .mock_cnt = 1);

    (void)state;
    assert_int_equal(run(p, &opts), 0);
    assert_int_equal(opts.retval, 10);
    opts.mock_cnt = 0;
    assert_int_equal(run(p, &opts), -EFAULT);
    skep_object__close(o);
}

static void mocks_need_a_vm_for_them(void **state)
{
    const struct skep_mock mock = {"bpf_ktime_get_ns", time_is_5}, nameless = {NULL, time_is_5}, empty = {"x", NULL};
    struct skep_object *o = open_object(false, NULL);
    const struct skep_program *p = load(o, "inlined", "interp");
    SKEP_OPTS(skep_run_opts, opts, .mocks = &mock, .mock_cnt = 1);

    (void)state;
    assert_int_equal(run(p, &opts), -EINVAL);
    skep_object__close(o);
    o = open_object(true, NULL);
    p = load(o, "inlined", "interp");
    opts.mocks = &nameless;
    assert_int_equal(run(p, &opts), -EINVAL);
    opts.mocks = &empty;
    assert_int_equal(run(p, &opts), -EINVAL);
    opts.mocks = NULL;
    assert_int_equal(run(p, &opts), -EINVAL);
    skep_object__close(o);
}

/* ---- Out of a world ---- */

static void a_worlds_values_come_in_turn(void **state)
{
    struct skep_world_file *w = world_of("{\"mocks\": {\"ktime_get_ns\": 6, \"bpf_get_prandom_u32\": [1, null, 3], "
                                         "\"get_smp_processor_id\": {\"return\": 3}}}");

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(false, w);
        const struct skep_program *p = load(o, "inlined", engines[e]);
        SKEP_OPTS(skep_run_opts, opts, .repeat = 3);

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), 6);
        assert_int_equal(got(o, 2), 3);
        skep_object__close(o);
    }
    skep_world__free(w);
}

static void a_world_fails_the_nth_call(void **state)
{
    static const struct {
        const char *text;
        uint32_t failed;
    } cases[] = {
        {"{\"mocks\": {\"map_update_elem\": {\"error\": \"ENOSPC\", \"nth\": 2}}}", 2},
        {"{\"mocks\": {\"map_update_elem\": {\"error\": 28, \"from\": 3}}}", 12},
        {"{\"mocks\": {\"map_update_elem\": [null, -1, 0]}}", 2},
        {"{\"mocks\": {\"map_update_elem\": -12}}", 15},
    };

    (void)state;
    for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
        for (unsigned e = 0; e < 2; e++) {
            struct skep_world_file *w = world_of(cases[c].text);
            struct skep_object *o = open_object(false, w);
            const struct skep_program *p = load(o, "updates", engines[e]);
            SKEP_OPTS(skep_run_opts, opts, .flags = 0);

            for (unsigned again = 0; again < 2; again++) { /* calls count from 1 in each run */
                assert_int_equal(run(p, &opts), 0);
                assert_int_equal(opts.retval, cases[c].failed);
            }
            skep_object__close(o);
            skep_world__free(w);
        }
}

static void a_world_fills_memory(void **state)
{
    struct skep_world_file *w = world_of("{\"mocks\": {\"skb_load_bytes\": {\"return\": -14, \"out\": \"0a0b\"}}}");

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(false, w);
        const struct skep_program *p = load(o, "filled", engines[e]);
        SKEP_OPTS(skep_run_opts, opts, .flags = 0);

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), (uint64_t)-14);
        assert_int_equal(got(o, 1), 0x0b0a);
        skep_object__close(o);
    }
    skep_world__free(w);
}

static void a_world_mocks_kernel_functions(void **state)
{
    struct skep_world_file *w =
        has_types() ? world_of("{\"tasks\": [{\"pid\": 77, \"flags\": 0}], \"mocks\": {\"bpf_task_from_pid\": 0}}")
                    : NULL;

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(false, w);
        const struct skep_program *p = load(o, "function", engines[e]);
        SKEP_OPTS(skep_run_opts, opts, .flags = 0);

        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(got(o, 0), 0);
        skep_object__close(o);
    }
    skep_world__free(w);
}

/* ---- Recording ---- */

struct record {
    unsigned n, mocked;
    char text[512];
};

static void on_call(void *ctx, const struct skep_call *call)
{
    struct record *r = ctx;
    size_t len = strlen(r->text);

    r->n++;
    r->mocked += call->mocked;
    snprintf(r->text + len, sizeof(r->text) - len, "%s/%u%s%s ", call->name, call->arg_cnt, call->map ? ":" : "",
             call->map ? call->map : "");
    if (!strcmp(call->name, "map_update_elem")) {
        assert_int_equal(call->mem_size[1], 4);
        assert_int_equal(call->mem_size[2], 8);
        assert_true(*(const uint32_t *)call->mem[1] == *(const uint64_t *)call->mem[2]);
    }
}

static void every_call_is_told(void **state)
{
    const struct skep_mock mock = {"ktime_get_ns", time_is_5};

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(true, NULL);
        const struct skep_program *p = load(o, "inlined", engines[e]);
        struct record record = {0};
        SKEP_OPTS(skep_run_opts, opts, .mocks = &mock, .mock_cnt = 1, .on_call = on_call, .call_ctx = &record);

        assert_int_equal(run(p, &opts), 0);
        assert_string_equal(record.text, "get_smp_processor_id/0 map_lookup_elem/2:numbers ktime_get_ns/0 "
                                         "get_prandom_u32/0 map_lookup_elem/2:table ");
        assert_int_equal(record.mocked, 1);
        skep_object__close(o);
        o = open_object(true, NULL);
        p = load(o, "updates", engines[e]);
        memset(&record, 0, sizeof(record));
        opts.mock_cnt = 0;
        assert_int_equal(run(p, &opts), 0);
        assert_int_equal(record.n, 4);
        skep_object__close(o);
    }
}

static void only_what_a_world_mocks_is_told_elsewhere(void **state)
{
    struct skep_world_file *w = world_of("{\"mocks\": {\"ktime_get_ns\": 6}}");

    (void)state;
    for (unsigned e = 0; e < 2; e++) {
        struct skep_object *o = open_object(false, w);
        const struct skep_program *p = load(o, "inlined", engines[e]);
        struct record record = {0};
        SKEP_OPTS(skep_run_opts, opts, .on_call = on_call, .call_ctx = &record);

        assert_int_equal(run(p, &opts), 0);
        assert_string_equal(record.text, "ktime_get_ns/0 ");
        skep_object__close(o);
    }
    skep_world__free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inlined_is_mocked),
        cmocka_unit_test(lookups_are_mocked),
        cmocka_unit_test(a_call_fails_and_the_others_do_not),
        cmocka_unit_test(kernel_functions_are_mocked),
        cmocka_unit_test(what_is_not_there_is_mocked),
        cmocka_unit_test(mocks_need_a_vm_for_them),
        cmocka_unit_test(a_worlds_values_come_in_turn),
        cmocka_unit_test(a_world_fails_the_nth_call),
        cmocka_unit_test(a_world_fills_memory),
        cmocka_unit_test(a_world_mocks_kernel_functions),
        cmocka_unit_test(every_call_is_told),
        cmocka_unit_test(only_what_a_world_mocks_is_told_elsewhere),
    };

    return cmocka_run_group_tests(tests, compile, clean);
}
