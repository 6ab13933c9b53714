/*
 * The public API of objects, on one that clang makes now: finding and changing parts, variables through their types,
 * loading, running, instances that share nothing but code, reused maps, wrong uses.
 */
#include "tests/unit/compile.h"
#include <errno.h>
#include <pthread.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char object_path[64], constants_path[64];
static struct {
    int count;
    char last[512];
} messages;

static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    messages.count++;
    snprintf(messages.last, sizeof(messages.last), "%s", text);
}

static int compile(void **state)
{
    (void)state;
    compile_one("object", object_path);
    compile_one("constants", constants_path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    remove_one(object_path);
    remove_one(constants_path);
    return 0;
}

static struct skep_object *open_cpus(uint32_t cpus)
{
    if (!*object_path)
        skip();
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = cpus, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts, .object_name = "obj");
    struct skep_object *o = skep_object__open_file(object_path, &opts);
    assert_non_null(o);
    return o;
}

/* Checked: the object has programs that are wrong on purpose. */
static int load_checked(struct skep_object *o)
{
    SKEP_OPTS(skep_exec_opts, exec, .checked = true);
    return skep_object__load_opts(o, &exec);
}

static struct skep_object *load_cpus(uint32_t cpus)
{
    struct skep_object *o = open_cpus(cpus);
    assert_int_equal(load_checked(o), 0);
    return o;
}

static int run_packet(struct skep_object *o, const char *name, const void *data, uint32_t size)
{
    struct skep_program *p = skep_object__find_program_by_name(o, name);
    assert_non_null(p);
    SKEP_OPTS(skep_run_opts, opts, .data_in = data, .data_size_in = size);
    assert_int_equal(skep_program__run(p, &opts), 0);
    return (int)opts.retval;
}

static void get(struct skep_object *o, const char *name, void *value, size_t size)
{
    const struct skep_variable *v = skep_object__find_variable(o, name);
    assert_non_null(v);
    assert_int_equal(skep_variable__get(o, v, value, size), 0);
}

/* ---- Opening and looking ---- */

static void what_is_no_object_is_refused_with_a_message(void **state)
{
    (void)state;
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts);
    messages.count = 0;
    assert_null(skep_object__open_file("/does/not/exist.o", &opts));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(messages.count, 1);
    assert_non_null(strstr(messages.last, "/does/not/exist.o"));
    assert_null(skep_object__open_mem("no ELF", 6, &opts));
    assert_int_equal(messages.count, 2);
    assert_null(skep_object__open_mem("", 0, NULL));
}

static void methods_of_a_struct_ops_are_found_by_name(void **state)
{
    (void)state;
    struct skep_object *o = load_cpus(1);
    const uint64_t args[] = {7, 3};
    assert_string_equal(skep_object__struct_ops_name(o, 0), "polite");
    assert_null(skep_object__struct_ops_name(o, 1));
    struct skep_program *greet = skep_object__struct_ops_program(o, "polite", "greet");
    assert_ptr_equal(greet, skep_object__find_program_by_name(o, "greet"));
    SKEP_OPTS(skep_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));
    assert_int_equal(skep_program__run(greet, &opts), 0);
    assert_int_equal(opts.retval, 703);
    assert_null(skep_object__struct_ops_program(o, "polite", "leave"));
    assert_int_equal(errno, ENOENT);
    assert_null(skep_object__struct_ops_program(o, "rude", "greet"));
    assert_int_equal(errno, ENOENT);
    assert_null(skep_object__attach_struct_ops(o, "polite"));
    assert_int_equal(errno, EOPNOTSUPP);
    skep_object__close(o);
}

static void parts_are_found_and_walked(void **state)
{
    (void)state;
    struct skep_object *o = open_cpus(1);
    struct skep_program *p, *last = NULL;
    struct skep_map *m;
    int progs = 0, maps = 0, vars = 0;
    skep_object__for_each_program(p, o)
    {
        assert_ptr_equal(skep_object__prev_program(o, p), last);
        last = p;
        progs++;
    }
    assert_int_equal(progs, 7);
    assert_ptr_equal(skep_object__prev_program(o, NULL), last);
    skep_object__for_each_map(m, o) maps++;
    assert_true(maps >= 7 + 3);
    for (const struct skep_variable *v = NULL; (v = skep_object__next_variable(o, v));)
        vars++;
    assert_int_equal(vars, 6);

    p = skep_object__find_program_by_name(o, "optional");
    assert_non_null(p);
    assert_string_equal(skep_program__section_name(p), "kprobe/do_sys_open");
    assert_string_equal(skep_program__attach_target(p), "do_sys_open");
    assert_int_equal(skep_program__type(p), SKEP_PROG_TYPE_KPROBE);
    assert_false(skep_program__autoload(p));
    assert_null(skep_object__find_program_by_name(o, "nothing"));
    assert_int_equal(errno, ENOENT);

    m = skep_object__find_map_by_name(o, "pinned");
    assert_non_null(m);
    assert_int_equal(skep_map__type(m), SKEP_MAP_TYPE_HASH);
    assert_int_equal(skep_map__max_entries(m), 8);
    assert_string_equal(skep_map__pin_name(m), "pinned");
    assert_int_not_equal(skep_map__btf_value_type_id(m), 0);
    assert_null(skep_map__pin_name(skep_object__find_map_by_name(o, "counts")));
    m = skep_object__find_map_by_name(o, ".data");
    assert_non_null(m);
    assert_true(skep_map__is_internal(m));
    assert_string_equal(skep_object__license(o), "Dual BSD/GPL");
    assert_string_equal(skep_object__name(o), "obj");
    assert_true(skep_object__has_btf(o));
    skep_object__close(o);
}

/* ---- Changing before load ---- */

static void maps_and_programs_change_until_load(void **state)
{
    (void)state;
    struct skep_object *o = open_cpus(3);
    struct skep_map *counts = skep_object__find_map_by_name(o, "counts");
    struct skep_map *data = skep_object__find_map_by_name(o, ".data");
    struct skep_program *optional = skep_object__find_program_by_name(o, "optional");
    uint64_t values[3];
    uint32_t key = 9;
    assert_int_equal(skep_map__lookup_elem(counts, &key, 4, values, sizeof(values), 0), -EINVAL);
    assert_int_equal(skep_map__set_max_entries(counts, 10), 0);
    assert_int_equal(skep_map__set_max_entries(data, 10), -EOPNOTSUPP);
    assert_int_equal(skep_program__set_type(optional, SKEP_PROG_TYPE_TRACEPOINT), 0);
    assert_int_equal(skep_program__set_type(optional, 4711), -EINVAL);
    assert_int_equal(skep_program__run(optional, NULL), -ENOENT);
    size_t size;
    assert_non_null(skep_map__initial_value(data, &size));
    assert_int_equal(skep_map__set_initial_value(data, &key, size + 1), -EINVAL);
    assert_null(skep_map__initial_value(counts, &size));

    assert_int_equal(load_checked(o), 0);
    assert_int_equal(load_checked(o), -EBUSY);
    assert_int_equal(skep_map__set_max_entries(counts, 11), -EBUSY);
    assert_int_equal(skep_program__set_autoload(optional, true), -EBUSY);
    assert_int_equal(skep_map__lookup_elem(counts, &key, 4, values, sizeof(values), 0), 0);
    assert_false(skep_program__loaded(optional));
    assert_true(skep_program__loaded(skep_object__find_program_by_name(o, "count")));
    assert_int_equal(skep_map__max_entries(skep_object__find_map_by_name(o, "perf")), 3);
    skep_object__close(o);
}

/* ---- Variables ---- */

static void variables_are_set_through_their_types(void **state)
{
    (void)state;
    struct {
        int a;
        struct {
            unsigned low : 3, high : 13;
            signed char c;
        } in;
        uint64_t whole;
        uint16_t ports[4];
        char name[8];
        int mode;
        bool on;
    } cfg;
    struct skep_object *o = open_cpus(1);
    assert_int_equal(skep_object__set_variable(o, "cfg.a", "-5"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.in.low", "5"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.in.high", "0x1fff"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.in.c", "'x'"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.half[1]", "1"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.ports[2]", "65535"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.name", "eth0"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.mode", "MODE_STRICT"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.on", "true"), 0);
    assert_int_equal(skep_object__set_variable(o, "wide", "WIDE_BIG"), 0);
    assert_int_equal(skep_object__set_variable(o, "small", "-128"), 0);
    get(o, "cfg", &cfg, sizeof(cfg));
    assert_int_equal(cfg.a, -5);
    assert_int_equal(cfg.in.low, 5);
    assert_int_equal(cfg.in.high, 0x1fff);
    assert_int_equal(cfg.in.c, 'x');
    assert_int_equal(cfg.whole, 1ull << 32);
    assert_int_equal(cfg.ports[2], 65535);
    assert_int_equal(cfg.ports[1], 0);
    assert_string_equal(cfg.name, "eth0");
    assert_int_equal(cfg.mode, 7);
    assert_true(cfg.on);
    uint64_t wide;
    get(o, "wide", &wide, sizeof(wide));
    assert_int_equal(wide, 0x100000001);

    assert_int_equal(skep_object__set_variable(o, "cfg.ports", "[1, 2, 3, 4]"), 0);
    assert_int_equal(skep_object__set_variable(o, "cfg.in", "{\"low\": 1, \"c\": 2}"), 0);
    get(o, "cfg", &cfg, sizeof(cfg));
    assert_int_equal(cfg.ports[3], 4);
    assert_int_equal(cfg.in.low, 1);
    assert_int_equal(cfg.in.high, 0);
    skep_object__close(o);
}

static void wrong_settings_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int err;
    } wrong[] = {
        {"nothing", "1", -ENOENT},
        {"cfg.nothing", "1", -ENOENT},
        {"cfg.ports[4]", "1", -EINVAL},
        {"cfg.ports[x]", "1", -EINVAL},
        {"cfg.ports[1", "1", -EINVAL},
        {"cfg.a.b", "1", -EINVAL},
        {"cfg.a[0]", "1", -EINVAL},
        {"cfg.ports[1]", "65536", -ERANGE},
        {"cfg.in.low", "8", -ERANGE},
        {"cfg.a", "", -EINVAL},
        {"cfg.a", "1x", -EINVAL},
        {"cfg.a", "99999999999999999999999", -EINVAL},
        {"cfg.mode", "MODE_NONE", -EINVAL},
        {"cfg.on", "2", -ERANGE},
        {"cfg.name", "much too long", -ERANGE},
        {"cfg.ports", "[1, 2, 3, 4, 5]", -EINVAL},
        {"cfg", "{\"nothing\": 1}", -EINVAL},
        {"cfg", "{", -EINVAL},
        {"small", "-129", -ERANGE},
    };
    struct skep_object *o = open_cpus(1);
    struct skep_map *data = skep_object__find_map_by_name(o, ".data"), *bss = skep_object__find_map_by_name(o, ".bss");
    size_t n_data, n_bss;
    void *data_now = skep_map__initial_value(data, &n_data), *bss_now = skep_map__initial_value(bss, &n_bss);
    void *data_was = malloc(n_data), *bss_was = malloc(n_bss);
    memcpy(data_was, data_now, n_data);
    memcpy(bss_was, bss_now, n_bss);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        messages.count = 0;
        int err = skep_object__set_variable(o, wrong[i].name, wrong[i].text);
        if (err != wrong[i].err || messages.count != 1)
            fail_msg("%s=%s gave %d and %d messages (%s)", wrong[i].name, wrong[i].text, err, messages.count,
                     messages.last);
        assert_memory_equal(data_was, data_now, n_data);
        assert_memory_equal(bss_was, bss_now, n_bss);
    }
    free(data_was);
    free(bss_was);
    skep_object__close(o);
}

static void variables_after_load_are_the_maps(void **state)
{
    (void)state;
    unsigned char packet[64] = {0};
    struct skep_object *o = open_cpus(1);
    assert_int_equal(skep_object__set_variable(o, "limit", "100"), 0);
    assert_int_equal(load_checked(o), 0);
    assert_int_equal(run_packet(o, "target", packet, 64), 2);
    assert_int_equal(skep_object__set_variable(o, "limit", "10"), -EPERM);
    uint32_t limit = 10;
    const struct skep_variable *v = skep_object__find_variable(o, "limit");
    assert_int_equal(skep_variable__set(o, v, &limit, 4), -EPERM);
    assert_int_equal(skep_variable__set(o, v, &limit, 3), -EINVAL);

    assert_int_equal(skep_object__set_variable(o, "cfg.a", "40"), 0);
    assert_int_equal(skep_object__set_variable(o, "small", "-1"), 0);
    assert_int_equal(run_packet(o, "count", packet, 64), 40 + 3 - 1);
    int a;
    struct skep_map *data = skep_variable__map(o, skep_object__find_variable(o, "cfg"));
    unsigned char value[512];
    uint32_t zero = 0;
    assert_true(skep_map__value_size(data) <= sizeof(value));
    assert_int_equal(skep_map__lookup_elem(data, &zero, 4, value, skep_map__value_size(data), 0), 0);
    memcpy(&a, value + skep_variable__offset(skep_object__find_variable(o, "cfg")), sizeof(a));
    assert_int_equal(a, 43);
    skep_object__close(o);
}

/* ---- Running ---- */

static void tail_calls_and_inner_maps_work_from_their_initialisers(void **state)
{
    (void)state;
    unsigned char packet[64] = {2};
    struct skep_object *o = load_cpus(1);
    assert_int_equal(run_packet(o, "jump", packet, 64), 1);
    uint64_t runs;
    get(o, "runs", &runs, sizeof(runs));
    assert_int_equal(runs, 1);

    uint32_t zero = 0, value = 1234, one = 1;
    struct skep_map *second = skep_object__find_map_by_name(o, "second");
    struct skep_map *outer = skep_object__find_map_by_name(o, "outer");
    assert_int_equal(skep_map__update_elem(second, &zero, 4, &value, 4, 0), 0);
    assert_int_equal(run_packet(o, "inner", packet, 64), 1234);
    packet[0] = 1;
    assert_int_equal(run_packet(o, "inner", packet, 64), -2);
    assert_int_equal(skep_map__set_inner_map(outer, &one, 4, second, 0), 0);
    assert_int_equal(run_packet(o, "inner", packet, 64), 1234);

    struct skep_map *jumps = skep_object__find_map_by_name(o, "jumps");
    assert_int_equal(skep_map__set_program(jumps, 1, NULL), 0);
    assert_int_equal(run_packet(o, "jump", packet, 64), 0);
    assert_int_equal(skep_map__set_program(jumps, 1, skep_object__find_program_by_name(o, "optional")), -EINVAL);
    skep_object__close(o);
}

static void instances_have_maps_of_their_own(void **state)
{
    (void)state;
    unsigned char packet[64] = {0};
    uint32_t key = 1;
    uint64_t n;
    struct skep_object *a = load_cpus(1);
    assert_null(skep_object__clone(NULL));
    assert_int_equal(run_packet(a, "count", packet, 64), 4);
    struct skep_object *b = skep_object__clone(a);
    assert_non_null(b);
    assert_int_equal(run_packet(b, "count", packet, 64), 4);
    assert_int_equal(run_packet(b, "count", packet, 64), 7);
    skep_map__lookup_elem(skep_object__find_map_by_name(a, "counts"), &key, 4, &n, 8, 0);
    assert_int_equal(n, 1);
    skep_map__lookup_elem(skep_object__find_map_by_name(b, "counts"), &key, 4, &n, 8, 0);
    assert_int_equal(n, 2);
    skep_object__close(a);
    assert_int_equal(run_packet(b, "jump", packet, 64), 1); /* its own table, its own program */
    struct skep_object *c = skep_object__clone(b);
    assert_non_null(c);
    skep_object__close(b);
    assert_int_equal(run_packet(c, "count", packet, 64), 4);
    skep_object__close(c);
}

static void reused_maps_are_shared(void **state)
{
    (void)state;
    if (!*object_path)
        skip();
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1);
    struct skep_vm *vm = skep_vm__new(&vm_opts);
    SKEP_OPTS(skep_object_open_opts, opts, .vm = vm);
    struct skep_object *a = skep_object__open_file(object_path, &opts), *b = skep_object__open_file(object_path, &opts);
    struct skep_object *alien = open_cpus(1);
    struct skep_map *mine = skep_object__find_map_by_name(b, "counts");
    assert_int_equal(skep_map__reuse(mine, skep_object__find_map_by_name(a, "counts")), -EINVAL); /* not there yet */
    assert_int_equal(load_checked(a), 0);
    assert_int_equal(load_checked(alien), 0);
    assert_int_equal(skep_map__reuse(mine, skep_object__find_map_by_name(alien, "counts")), -EINVAL);
    assert_int_equal(skep_map__reuse(mine, skep_object__find_map_by_name(a, "first")), -EINVAL);
    assert_int_equal(skep_map__reuse(mine, skep_object__find_map_by_name(a, "counts")), 0);
    assert_int_equal(load_checked(b), 0);
    unsigned char packet[64] = {0};
    run_packet(a, "count", packet, 64);
    skep_object__close(a);
    run_packet(b, "count", packet, 64);
    struct skep_object *c = skep_object__clone(b);
    run_packet(c, "count", packet, 64);
    uint32_t key = 1;
    uint64_t n;
    assert_int_equal(skep_map__lookup_elem(mine, &key, 4, &n, 8, 0), 0);
    assert_int_equal(n, 3);
    skep_object__close(c);
    skep_object__close(b);
    skep_object__close(alien);
    skep_vm__free(vm);
}

enum { THREADS = 4, RUNS = 500, CPUS = 3 };

static void *run_often(void *arg)
{
    unsigned char packet[64] = {0};
    for (int i = 0; i < RUNS; i++) {
        SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = 64);
        if (skep_program__run(arg, &opts))
            return arg;
    }
    return NULL;
}

static void threads_share_an_object(void **state)
{
    (void)state;
    struct skep_object *o = load_cpus(CPUS);
    struct skep_program *p = skep_object__find_program_by_name(o, "count");
    pthread_t threads[THREADS];
    void *failed;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, p), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    uint32_t key = 1;
    uint64_t values[CPUS], sum = 0;
    assert_int_equal(
        skep_map__lookup_elem(skep_object__find_map_by_name(o, "counts"), &key, 4, values, sizeof(values), 0), 0);
    for (int i = 0; i < CPUS; i++)
        sum += values[i];
    assert_int_equal(sum, THREADS * RUNS);
    skep_object__close(o);
}

static void an_object_runs_unchecked_and_without_optimisations(void **state)
{
    (void)state;
    unsigned char packet[64] = {0};
    for (unsigned no_opts = 0; no_opts < 8; no_opts++)
        for (int unchecked = 0; unchecked < 2; unchecked++) {
            struct skep_object *o = open_cpus(1);
            SKEP_OPTS(skep_exec_opts, exec, .unchecked = unchecked, .checked = !unchecked, .no_opts = no_opts);
            assert_int_equal(skep_object__load_opts(o, &exec), 0);
            assert_int_equal(run_packet(o, "count", packet, 64), 4);
            assert_int_equal(run_packet(o, "jump", packet, 64), 1);
            skep_object__close(o);
        }
    struct skep_object *o = open_cpus(1);
    SKEP_OPTS(skep_exec_opts, exec, .engine = "steam");
    assert_int_equal(skep_object__load_opts(o, &exec), -EINVAL);
    skep_object__close(o);
}

static void a_trap_names_the_line(void **state)
{
    (void)state;
    struct skep_object *o = load_cpus(1);
    struct skep_program *p = skep_object__find_program_by_name(o, "trap");
    struct skep_trap trap = {.sz = sizeof(trap)};
    unsigned char packet[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = 64, .trap = &trap);
    assert_int_equal(skep_program__run(p, &opts), -EFAULT);
    assert_string_equal(trap.kind, "mem_out_of_bounds");
    assert_string_equal(trap.prog, "trap");
    assert_non_null(strstr(trap.file, "object.bpf.c"));
    assert_non_null(strstr(trap.source, "data[5000]"));
    assert_true(trap.line > 0);
    assert_int_equal(trap.size, 1);
    skep_object__close(o);
}

/* ---- Constants ---- */

static struct skep_object *open_constants(void)
{
    if (!*constants_path)
        skip();
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts);
    struct skep_object *o = skep_object__open_file(constants_path, &opts);
    assert_non_null(o);
    return o;
}

static void the_verifier_knows_what_constants_are(void **state)
{
    (void)state;
    unsigned char packet[64] = {0};
    struct skep_object *o = open_constants();
    assert_int_equal(skep_object__load(o), 0);
    assert_int_equal(run_packet(o, "guarded", packet, sizeof(packet)), 2);
    skep_object__close(o);

    o = open_constants();
    assert_int_equal(skep_object__set_variable(o, "mode", "2"), 0);
    assert_int_equal(skep_object__load(o), -EACCES);
    skep_object__close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verifier_knows_what_constants_are),
        cmocka_unit_test(what_is_no_object_is_refused_with_a_message),
        cmocka_unit_test(parts_are_found_and_walked),
        cmocka_unit_test(maps_and_programs_change_until_load),
        cmocka_unit_test(variables_are_set_through_their_types),
        cmocka_unit_test(wrong_settings_change_nothing),
        cmocka_unit_test(variables_after_load_are_the_maps),
        cmocka_unit_test(tail_calls_and_inner_maps_work_from_their_initialisers),
        cmocka_unit_test(methods_of_a_struct_ops_are_found_by_name),
        cmocka_unit_test(instances_have_maps_of_their_own),
        cmocka_unit_test(reused_maps_are_shared),
        cmocka_unit_test(threads_share_an_object),
        cmocka_unit_test(an_object_runs_unchecked_and_without_optimisations),
        cmocka_unit_test(a_trap_names_the_line),
    };
    return cmocka_run_group_tests(tests, compile, clean);
}
