/*
 * The public API of the core: options structs, vms and their CPUs, helpers of the host, maps, runs, traps, readers of
 * events, and all of it from several threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <skep/buffer.h>
#include <skep/insn.h>
#include <skep/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N(insns) (sizeof(insns) / sizeof(*(insns)))

struct messages {
    int count;
    char last[512];
};

static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    struct messages *m = ctx;
    (void)level;
    m->count++;
    snprintf(m->last, sizeof(m->last), "%s", text);
}

static struct skep_vm *new_vm(uint32_t cpus)
{
    SKEP_OPTS(skep_vm_opts, opts, .cpus = cpus);
    struct skep_vm *vm = skep_vm__new(&opts);
    assert_non_null(vm);
    return vm;
}

static const struct skep_exec_opts checked = {.sz = sizeof(checked), .checked = true};

/* Checked, unless the test asks otherwise: what runs do about wrong programs is what most tests here are about. */
static struct skep_program *load_raw(struct skep_vm *vm, const struct skep_insn *insns, size_t n,
                                     const struct skep_prog_load_opts *user)
{
    SKEP_OPTS(skep_prog_load_opts, with);
    const struct skep_prog_load_opts *opts = &with;
    if (user && user->sz != sizeof(with))
        opts = user;
    else if (user)
        with = *user;
    if (!with.exec)
        with.exec = &checked;
    return skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "test", "GPL", insns, n, opts);
}

/* ---- Options structs ---- */

static void an_older_caller_has_a_shorter_struct(void **state)
{
    (void)state;
    struct {
        size_t sz;
        uint32_t cpus;
    } old = {.sz = sizeof(old), .cpus = 3};
    struct skep_vm *vm = skep_vm__new((const struct skep_vm_opts *)(const void *)&old);
    assert_non_null(vm);
    assert_int_equal(skep_vm__cpus(vm), 3);
    skep_vm__free(vm);
}

static void a_newer_caller_may_have_zeros_behind(void **state)
{
    (void)state;
    struct {
        struct skep_vm_opts known;
        uint64_t more;
    } new = {.known = {.sz = sizeof(new), .cpus = 1}};
    struct skep_vm *vm = skep_vm__new(&new.known);
    assert_non_null(vm);
    skep_vm__free(vm);
    new.more = 1;
    assert_null(skep_vm__new(&new.known));
    assert_int_equal(errno, EINVAL);
}

static void a_struct_without_size_is_refused(void **state)
{
    (void)state;
    struct skep_vm_opts none = {0};
    assert_null(skep_vm__new(&none));
    assert_int_equal(errno, EINVAL);
}

static void results_stay_inside_the_callers_struct(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_MOV64_IMM(SKEP_R0, 7), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_program *p = load_raw(vm, insns, N(insns), NULL);
    struct {
        unsigned char opts[offsetof(struct skep_run_opts, repeat)];
        unsigned char behind[256];
    } mem;
    memset(&mem, 0, sizeof(mem));
    memset(mem.behind, 0xa5, sizeof(mem.behind));
    size_t sz = sizeof(mem.opts);
    memcpy(mem.opts, &sz, sizeof(sz));
    assert_int_equal(skep_program__run(p, (struct skep_run_opts *)(void *)mem.opts), 0);
    for (size_t i = 0; i < sizeof(mem.behind); i++)
        assert_int_equal(mem.behind[i], 0xa5);
    uint32_t retval;
    memcpy(&retval, mem.opts + offsetof(struct skep_run_opts, retval), sizeof(retval));
    assert_int_equal(retval, 7);
    skep_program__free(p);
    skep_vm__free(vm);
}

/* ---- Helpers of the host ---- */

static uint64_t add(struct skep_env *env, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    (void)c, (void)d, (void)e;
    return a + b + *(uint64_t *)skep_env__user(env);
}

static uint64_t sum_bytes(struct skep_env *env, uint64_t addr, uint64_t size, uint64_t c, uint64_t d, uint64_t e)
{
    (void)c, (void)d, (void)e;
    const unsigned char *p = skep_env__mem(env, addr, size, SKEP_READ);
    uint64_t sum = 0;
    for (uint64_t i = 0; p && i < size; i++)
        sum += p[i];
    return sum;
}

static uint64_t reach_out(struct skep_env *env, uint64_t addr, uint64_t size, uint64_t c, uint64_t d, uint64_t e)
{
    (void)c, (void)d, (void)e;
    if (skep_env__try_mem(env, addr, size, SKEP_WRITE))
        return 1;
    return skep_env__mem(env, addr, size, SKEP_WRITE) ? 2 : 3;
}

static uint64_t give_up(struct skep_env *env, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    (void)a, (void)b, (void)c, (void)d, (void)e;
    return skep_env__trap(env, "nothing more to do on cpu %u", skep_env__cpu(env));
}

static uint64_t bump(struct skep_env *env, uint64_t map, uint64_t key, uint64_t c, uint64_t d, uint64_t e)
{
    (void)c, (void)d, (void)e;
    uint32_t k = (uint32_t)key;
    uint64_t *v = skep_env__map_lookup(env, map, &k), one = 1;
    if (v)
        return ++*v;
    return skep_env__map_update(env, map, &k, &one, SKEP_NOEXIST) ? 0 : 1;
}

static uint64_t twice(struct skep_env *env, uint64_t func, uint64_t arg, uint64_t c, uint64_t d, uint64_t e)
{
    (void)c, (void)d, (void)e;
    uint64_t first = skep_env__call(env, func, arg, 0, 0, 0, 0);
    return skep_env__trapped(env) ? 0 : first + skep_env__call(env, func, arg + 1, 0, 0, 0, 0);
}

enum { ADD = 70000, SUM_BYTES, REACH_OUT, GIVE_UP, BUMP, TWICE };

static const struct skep_helper_def helpers[] = {
    {.id = ADD, .name = "add", .fn = add, .arg = {SKEP_ARG_ANYTHING, SKEP_ARG_ANYTHING}},
    {.id = SUM_BYTES, .name = "sum_bytes", .fn = sum_bytes, .arg = {SKEP_ARG_MEM, SKEP_ARG_SIZE}},
    {.id = REACH_OUT, .name = "reach_out", .fn = reach_out, .arg = {SKEP_ARG_ANYTHING, SKEP_ARG_ANYTHING}},
    {.id = GIVE_UP, .name = "give_up", .fn = give_up},
    {.id = BUMP, .name = "bump", .fn = bump, .arg = {SKEP_ARG_MAP, SKEP_ARG_ANYTHING}},
    {.id = TWICE,
     .name = "twice",
     .fn = twice,
     .arg = {SKEP_ARG_FUNC, SKEP_ARG_ANYTHING},
     .effects = SKEP_HELPER_CALLS_BACK},
};

static struct skep_vm *vm_with_helpers(bool only)
{
    SKEP_OPTS(skep_vm_opts, opts, .cpus = 2, .helpers = helpers, .helper_cnt = N(helpers), .helpers_only = only);
    struct skep_vm *vm = skep_vm__new(&opts);
    assert_non_null(vm);
    return vm;
}

static int run_insns(struct skep_vm *vm, const struct skep_insn *insns, size_t n, struct skep_run_opts *opts)
{
    struct skep_program *p = load_raw(vm, insns, n, NULL);
    assert_non_null(p);
    int err = skep_program__run(p, opts);
    skep_program__free(p);
    return err;
}

static void a_helper_gets_arguments_and_the_hosts_pointer(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_MOV64_IMM(SKEP_R1, 30), SKEP_MOV64_IMM(SKEP_R2, 10),
                                             SKEP_CALL_HELPER(ADD), SKEP_EXIT_INSN()};
    struct skep_vm *vm = vm_with_helpers(true);
    uint64_t two = 2;
    SKEP_OPTS(skep_run_opts, opts, .user = &two);
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), 0);
    assert_int_equal(opts.r0, 42);
    assert_true(skep_vm__has_helper(vm, "add"));
    assert_false(skep_vm__has_helper(vm, "bpf_map_lookup_elem"));
    skep_vm__free(vm);
}

static void memory_arguments_are_checked_before_the_helper_runs(void **state)
{
    (void)state;
    static const struct skep_insn good[] = {SKEP_CALL_HELPER(SUM_BYTES), SKEP_EXIT_INSN()};
    static const struct skep_insn bad[] = {SKEP_ALU64_IMM(SKEP_ADD, SKEP_R2, 1), SKEP_CALL_HELPER(SUM_BYTES),
                                           SKEP_EXIT_INSN()};
    struct skep_vm *vm = vm_with_helpers(false);
    unsigned char data[] = {1, 2, 3, 4};
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = data, .data_size_in = sizeof(data), .trap = &trap);
    assert_int_equal(run_insns(vm, good, N(good), &opts), 0);
    assert_int_equal(opts.r0, 10);
    assert_int_equal(run_insns(vm, bad, N(bad), &opts), -EFAULT);
    assert_int_equal(trap.insn, 1);
    skep_vm__free(vm);
}

static void a_helper_cannot_reach_what_the_program_may_not_touch(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_MOV64_IMM(SKEP_R1, 4096), SKEP_MOV64_IMM(SKEP_R2, 8),
                                             SKEP_CALL_HELPER(REACH_OUT), SKEP_EXIT_INSN()};
    struct skep_vm *vm = vm_with_helpers(false);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .trap = &trap);
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), -EFAULT);
    assert_int_equal(trap.addr, 4096);
    assert_int_equal(trap.size, 8);
    assert_int_equal(trap.insn, 2);
    trap.sz = 0;
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), -EINVAL);
    skep_vm__free(vm);
}

static void a_helper_may_end_the_run(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_CALL_HELPER(GIVE_UP), SKEP_MOV64_IMM(SKEP_R0, 1), SKEP_EXIT_INSN()};
    struct skep_vm *vm = vm_with_helpers(false);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .trap = &trap, .flags = SKEP_RUN_CPU, .cpu = 1);
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), -EFAULT);
    assert_string_equal(trap.kind, "host");
    assert_string_equal(trap.detail, "nothing more to do on cpu 1");
    assert_string_equal(trap.prog, "test");
    skep_vm__free(vm);
}

static void a_helper_uses_maps_and_calls_back(void **state)
{
    (void)state;
    static const struct skep_insn use_map[] = {SKEP_LD_MAP(SKEP_R1, 0), SKEP_MOV64_IMM(SKEP_R2, 5),
                                               SKEP_CALL_HELPER(BUMP), SKEP_EXIT_INSN()};
    static const struct skep_insn call_back[] = {
        SKEP_LD_FUNC(SKEP_R1, 4), SKEP_MOV64_IMM(SKEP_R2, 10),      SKEP_CALL_HELPER(TWICE),
        SKEP_EXIT_INSN(),         SKEP_MOV64_REG(SKEP_R0, SKEP_R1), SKEP_ALU64_IMM(SKEP_MUL, SKEP_R0, 2),
        SKEP_EXIT_INSN()};
    struct skep_vm *vm = vm_with_helpers(false);
    struct skep_map *map = skep_map_create(vm, SKEP_MAP_TYPE_HASH, "m", 4, 8, 4, NULL);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &map, .map_cnt = 1);
    struct skep_program *p = load_raw(vm, use_map, N(use_map), &load);
    assert_non_null(p);
    SKEP_OPTS(skep_run_opts, opts);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(skep_program__run(p, &opts), 0);
        assert_int_equal(opts.r0, i);
    }
    skep_program__free(p);
    skep_map__free(map);
    assert_int_equal(run_insns(vm, call_back, N(call_back), &opts), 0);
    assert_int_equal(opts.r0, 2 * 10 + 2 * 11);
    skep_vm__free(vm);
}

static void bad_prototypes_are_refused(void **state)
{
    (void)state;
    static const struct skep_helper_def bad[] = {
        {.id = 1, .name = "no_function"},
        {.id = 1, .fn = add},
        {.id = 1, .name = "size_alone", .fn = add, .arg = {SKEP_ARG_SIZE}},
        {.id = 1, .name = "memory_alone", .fn = add, .arg = {SKEP_ARG_ANYTHING, SKEP_ARG_MEM}},
        {.id = 1, .name = "key_alone", .fn = add, .arg = {SKEP_ARG_MAP_KEY}},
        {.id = 1, .name = "gap", .fn = add, .arg = {SKEP_ARG_NONE, SKEP_ARG_ANYTHING}},
        {.id = 1, .name = "kind", .fn = add, .arg = {200}},
        {.id = 1, .name = "value", .fn = add, .ret = SKEP_RET_MAP_VALUE_OR_NULL},
    };
    struct messages m = {0};
    for (size_t i = 0; i < N(bad); i++) {
        SKEP_OPTS(skep_vm_opts, opts, .helpers = &bad[i], .helper_cnt = 1, .log = on_log, .log_ctx = &m);
        assert_null(skep_vm__new(&opts));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(m.count, i + 1);
    }
    struct skep_helper_def same[] = {helpers[0], helpers[0]};
    SKEP_OPTS(skep_vm_opts, opts, .helpers = same, .helper_cnt = 2);
    assert_null(skep_vm__new(&opts));
}

/* ---- Loading ---- */

static void what_is_malformed_is_refused_with_its_instruction(void **state)
{
    (void)state;
    static const struct skep_insn bad[] = {SKEP_MOV64_IMM(SKEP_R0, 0), SKEP_INSN(0xff, 0, 0, 0, 0), SKEP_EXIT_INSN()};
    struct messages m = {0};
    SKEP_OPTS(skep_vm_opts, vm_opts, .log = on_log, .log_ctx = &m);
    struct skep_vm *vm = skep_vm__new(&vm_opts);
    assert_null(load_raw(vm, bad, N(bad), NULL));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(m.last, "1"));
    assert_null(skep_prog_load(vm, 9999, "x", NULL, bad, N(bad), NULL));
    assert_int_equal(errno, EINVAL);
    assert_null(skep_prog_load(vm, 0, "x", NULL, bad, 0, NULL));

    SKEP_OPTS(skep_exec_opts, exec, .engine = "steam");
    SKEP_OPTS(skep_prog_load_opts, load, .exec = &exec);
    assert_null(load_raw(vm, bad + 2, 1, &load));
    assert_non_null(strstr(m.last, "steam"));

    exec = (struct skep_exec_opts){.sz = sizeof(exec), .lenient = true};
    struct skep_program *p = load_raw(vm, bad, N(bad), &load);
    assert_non_null(p);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .trap = &trap);
    assert_int_equal(skep_program__run(p, &opts), -EFAULT);
    assert_string_equal(trap.kind, "bad_insn");
    assert_int_equal(trap.insn, 1);
    skep_program__free(p);
    skep_vm__free(vm);
}

static void a_map_of_another_vm_is_refused(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_LD_MAP(SKEP_R1, 0), SKEP_MOV64_IMM(SKEP_R0, 0), SKEP_EXIT_INSN()};
    struct skep_vm *a = new_vm(1), *b = new_vm(1);
    struct skep_map *map = skep_map_create(a, SKEP_MAP_TYPE_ARRAY, "m", 4, 8, 1, NULL);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &map, .map_cnt = 1);
    assert_null(load_raw(b, insns, N(insns), &load));
    assert_int_equal(errno, EINVAL);
    skep_vm__free(a); /* the map keeps it */
    struct skep_program *p = load_raw(a, insns, N(insns), &load);
    assert_non_null(p);
    skep_map__free(map); /* the program keeps the contents */
    assert_int_equal(skep_program__run(p, NULL), 0);
    skep_program__free(p);
    skep_vm__free(b);
}

/* ---- Maps ---- */

static void maps_follow_bpf2(void **state)
{
    (void)state;
    struct skep_vm *vm = new_vm(3);
    struct skep_map *hash = skep_map_create(vm, SKEP_MAP_TYPE_HASH, "h", 4, 8, 2, NULL);
    uint32_t key = 1, next;
    uint64_t value = 10, got = 0;
    assert_int_equal(skep_map__update_elem(hash, &key, 4, &value, 8, SKEP_EXIST), -ENOENT);
    assert_int_equal(skep_map__update_elem(hash, &key, 4, &value, 8, SKEP_NOEXIST), 0);
    assert_int_equal(skep_map__update_elem(hash, &key, 4, &value, 8, SKEP_NOEXIST), -EEXIST);
    assert_int_equal(skep_map__update_elem(hash, &key, 3, &value, 8, 0), -EINVAL);
    assert_int_equal(skep_map__update_elem(hash, &key, 4, &value, 4, 0), -EINVAL);
    assert_int_equal(skep_map__lookup_elem(hash, &key, 4, &got, 8, 0), 0);
    assert_int_equal(got, 10);
    assert_int_equal(skep_map__get_next_key(hash, NULL, &next, 4), 0);
    assert_int_equal(next, 1);
    assert_int_equal(skep_map__get_next_key(hash, &next, &next, 4), -ENOENT);
    got = 0;
    assert_int_equal(skep_map__lookup_and_delete_elem(hash, &key, 4, &got, 8, 0), 0);
    assert_int_equal(got, 10);
    assert_int_equal(skep_map__delete_elem(hash, &key, 4, 0), -ENOENT);
    assert_int_equal(skep_map__freeze(hash), 0);
    assert_int_equal(skep_map__update_elem(hash, &key, 4, &value, 8, 0), -EPERM);
    skep_map__free(hash);

    struct skep_map *percpu = skep_map_create(vm, SKEP_MAP_TYPE_PERCPU_ARRAY, "p", 4, 4, 2, NULL);
    assert_true(skep_map__is_percpu(percpu));
    assert_int_equal(skep_map__host_value_size(percpu), 8 * 3);
    assert_string_equal(skep_map_type_str(skep_map__type(percpu)), "percpu_array");
    skep_map__free(percpu);

    assert_null(skep_map_create(vm, SKEP_MAP_TYPE_ARRAY, "a", 3, 8, 2, NULL));
    assert_int_equal(errno, EINVAL);
    skep_vm__free(vm);
}

static void maps_hold_maps_and_programs(void **state)
{
    (void)state;
    static const struct skep_insn call[] = {SKEP_LD_MAP(SKEP_R2, 0), SKEP_MOV64_IMM(SKEP_R3, 1), SKEP_CALL_HELPER(12),
                                            SKEP_MOV64_IMM(SKEP_R0, 5), SKEP_EXIT_INSN()};
    static const struct skep_insn target[] = {SKEP_MOV64_IMM(SKEP_R0, 77), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_map *table = skep_map_create(vm, SKEP_MAP_TYPE_PROG_ARRAY, "t", 4, 4, 4, NULL);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &table, .map_cnt = 1, .exec = &checked);
    SKEP_OPTS(skep_prog_load_opts, alike, .exec = &checked);
    enum { XDP = SKEP_PROG_TYPE_XDP };
    struct skep_program *caller = skep_prog_load(vm, XDP, "caller", NULL, call, N(call), &load);
    struct skep_program *callee = skep_prog_load(vm, XDP, "callee", NULL, target, N(target), &alike);
    struct skep_program *other = skep_prog_load(vm, SKEP_PROG_TYPE_SCHED_CLS, "other", NULL, target, N(target), &alike);
    assert_non_null(caller);
    assert_non_null(callee);
    unsigned char packet[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
    assert_int_equal(skep_program__run(caller, &opts), 0);
    assert_int_equal(opts.retval, 5);
    assert_int_equal(skep_map__set_program(table, 1, other), -EINVAL);
    SKEP_OPTS(skep_exec_opts, exec, .unchecked = true);
    SKEP_OPTS(skep_prog_load_opts, trusting, .exec = &exec);
    struct skep_program *unchecked = skep_prog_load(vm, XDP, "unchecked", NULL, target, N(target), &trusting);
    assert_non_null(unchecked);
    assert_int_equal(skep_map__set_program(table, 1, unchecked), -EINVAL);
    skep_program__free(unchecked);
    assert_int_equal(skep_map__set_program(table, 9, callee), -E2BIG);
    assert_int_equal(skep_map__set_program(table, 1, callee), 0);
    assert_int_equal(skep_program__run(caller, &opts), 0);
    assert_int_equal(opts.retval, 77);
    skep_program__free(callee); /* the table keeps it */
    assert_int_equal(skep_program__run(caller, &opts), 0);
    assert_int_equal(opts.retval, 77);
    assert_int_equal(skep_map__set_program(table, 1, caller), 0); /* a ring of references */
    skep_program__free(caller);
    skep_program__free(other);
    skep_map__free(table);

    struct skep_map *inner = skep_map_create(vm, SKEP_MAP_TYPE_ARRAY, "i", 4, 8, 2, NULL);
    struct skep_map *odd = skep_map_create(vm, SKEP_MAP_TYPE_ARRAY, "o", 4, 16, 2, NULL);
    SKEP_OPTS(skep_map_create_opts, outer_opts, .inner_map = inner);
    struct skep_map *outer = skep_map_create(vm, SKEP_MAP_TYPE_HASH_OF_MAPS, "outer", 4, 4, 2, &outer_opts);
    assert_non_null(outer);
    uint32_t key = 3, id = 0;
    assert_int_equal(skep_map__set_inner_map(outer, &key, 4, odd, 0), -EINVAL);
    assert_int_equal(skep_map__set_inner_map(outer, &key, 4, inner, 0), 0);
    assert_int_equal(skep_map__lookup_elem(outer, &key, 4, &id, 4, 0), 0);
    assert_int_not_equal(id, 0);
    assert_int_equal(skep_map__set_inner_map(outer, &key, 4, NULL, 0), 0);
    assert_int_equal(skep_map__lookup_elem(outer, &key, 4, &id, 4, 0), -ENOENT);
    skep_map__free(odd);
    skep_map__free(inner);
    skep_map__free(outer);
    skep_vm__free(vm);
}

/* ---- Verification ---- */

/* By default a program is proved before it runs: a wrong one does not load, and the log says where and why. */
static void what_is_wrong_is_refused_before_it_runs(void **state)
{
    (void)state;
    static const struct skep_insn wild[] = {SKEP_MOV64_IMM(SKEP_R1, 4096), SKEP_LDX_MEM(SKEP_DW, SKEP_R0, SKEP_R1, 0),
                                            SKEP_EXIT_INSN()};
    static const struct skep_insn reads[] = {SKEP_LDX_MEM(SKEP_DW, SKEP_R0, SKEP_R1, 8), SKEP_EXIT_INSN()};
    static const struct skep_insn leaks[] = {SKEP_MOV64_REG(SKEP_R0, SKEP_R1), SKEP_EXIT_INSN()};
    struct messages m = {0};
    SKEP_OPTS(skep_vm_opts, vm_opts, .log = on_log, .log_ctx = &m);
    struct skep_vm *vm = skep_vm__new(&vm_opts);
    SKEP_OPTS(skep_prog_load_opts, load, .mem_size = 15);
    SKEP_OPTS(skep_exec_opts, privileged, .privilege = SKEP_PRIVILEGED);

    assert_null(skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "wild", NULL, wild, N(wild), NULL));
    assert_int_equal(errno, EACCES);
    assert_non_null(strstr(m.last, "not_a_pointer"));
    assert_null(skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "reads", NULL, reads, N(reads), &load));
    assert_int_equal(errno, EACCES);
    assert_non_null(strstr(m.last, "mem_out_of_bounds"));
    assert_null(skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "leaks", NULL, leaks, N(leaks), &load));
    assert_int_equal(errno, EACCES);
    load.exec = &privileged;
    struct skep_program *p = skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "leaks", NULL, leaks, N(leaks), &load);
    assert_non_null(p);
    skep_program__free(p);

    load = (struct skep_prog_load_opts){.sz = sizeof(load), .mem_size = 16};
    p = skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "reads", NULL, reads, N(reads), &load);
    assert_non_null(p);
    uint64_t mem[2] = {1, 42};
    SKEP_OPTS(skep_run_opts, opts, .data_in = mem, .data_size_in = 16);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal(opts.r0, 42);
    opts.data_size_in = 15; /* less than it was proved with */
    assert_int_equal(skep_program__run(p, &opts), -EINVAL);
    skep_program__free(p);
    skep_vm__free(vm);
}

/* ---- Runs ---- */

static void a_raw_program_works_on_a_copy_or_in_place(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_ST_MEM(SKEP_B, SKEP_R1, 0, 9), SKEP_MOV64_REG(SKEP_R0, SKEP_R2),
                                             SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_program *p = load_raw(vm, insns, N(insns), NULL);
    unsigned char in[4] = {1, 2, 3, 4}, out[4] = {0}, small[2];
    SKEP_OPTS(skep_run_opts, opts, .data_in = in, .data_size_in = 4, .data_out = out, .data_size_out = 4);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal(opts.r0, 4);
    assert_int_equal(in[0], 1);
    assert_int_equal(out[0], 9);
    assert_int_equal(out[3], 4);
    opts.data_out = small;
    opts.data_size_out = 2;
    assert_int_equal(skep_program__run(p, &opts), -ENOSPC);
    assert_int_equal(opts.data_size_out, 4);
    assert_int_equal(small[0], 9);
    opts = (struct skep_run_opts){.sz = sizeof(opts), .data_in = in, .data_size_in = 4, .flags = SKEP_RUN_IN_PLACE};
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal(in[0], 9);
    opts.flags = 1u << 31;
    assert_int_equal(skep_program__run(p, &opts), -EINVAL);
    opts.flags = SKEP_RUN_CPU;
    opts.cpu = 1;
    assert_int_equal(skep_program__run(p, &opts), -EINVAL);
    skep_program__free(p);
    skep_vm__free(vm);
}

static void arguments_of_a_function_are_no_more_than_its_context(void **state)
{
    (void)state;
    enum { GET_FUNC_ARG = 183 };
    static const struct skep_insn insns[] = {
        SKEP_ST_MEM(SKEP_DW, SKEP_R10, -8, 0), SKEP_MOV64_IMM(SKEP_R2, 11),    SKEP_MOV64_REG(SKEP_R3, SKEP_R10),
        SKEP_ALU64_IMM(SKEP_ADD, SKEP_R3, -8), SKEP_CALL_HELPER(GET_FUNC_ARG), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_program *p = load_raw(vm, insns, N(insns), NULL);
    unsigned char *mem = malloc(8), ctx[96] = {0};
    assert_non_null(mem);
    memset(mem, 1, 8);
    SKEP_OPTS(skep_run_opts, opts, .data_in = mem, .data_size_in = 8, .ctx_in = ctx, .ctx_size_in = sizeof(ctx));
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal((int64_t)opts.r0, -EINVAL);
    opts = (struct skep_run_opts){.sz = sizeof(opts), .data_in = mem, .data_size_in = 8, .flags = SKEP_RUN_IN_PLACE};
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal((int64_t)opts.r0, -EINVAL);
    free(mem);
    skep_program__free(p);
    skep_vm__free(vm);
}

static void nothing_is_left_of_a_run_for_one_in_place(void **state)
{
    (void)state;
    enum { GET_RETVAL = 186, SET_RETVAL = 187 };
    static const struct skep_insn set[] = {SKEP_MOV64_IMM(SKEP_R1, 7), SKEP_CALL_HELPER(SET_RETVAL), SKEP_EXIT_INSN()};
    static const struct skep_insn get[] = {SKEP_CALL_HELPER(GET_RETVAL), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_program *p = load_raw(vm, set, N(set), NULL), *q = load_raw(vm, get, N(get), NULL);
    unsigned char mem[8] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = mem, .data_size_in = 8, .flags = SKEP_RUN_IN_PLACE);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal(skep_program__run(q, &opts), 0);
    assert_int_equal(opts.r0, 0);
    skep_program__free(p);
    skep_program__free(q);
    skep_vm__free(vm);
}

static void lent_memory_is_found_at_its_address(void **state)
{
    (void)state;
    static const struct skep_insn insns[] = {SKEP_LD_IMM64(SKEP_R1, 0x123400000000),
                                             SKEP_LDX_MEM(SKEP_DW, SKEP_R0, SKEP_R1, 8), SKEP_EXIT_INSN()};
    static const struct skep_insn writes[] = {SKEP_LD_IMM64(SKEP_R1, 0x123400000000),
                                              SKEP_ST_MEM(SKEP_DW, SKEP_R1, 8, 1), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    uint64_t table[2] = {1, 99};
    struct skep_mem mem = {
        .host = table, .addr = 0x123400000000, .size = sizeof(table), .access = SKEP_READ, .name = "the table"};
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .mems = &mem, .mem_cnt = 1, .trap = &trap);
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), 0);
    assert_int_equal(opts.r0, 99);
    assert_int_equal(run_insns(vm, writes, N(writes), &opts), -EFAULT);
    assert_string_equal(trap.kind, "mem_read_only");
    opts.mem_cnt = 0;
    assert_int_equal(run_insns(vm, insns, N(insns), &opts), -EFAULT);
    skep_vm__free(vm);
}

static void the_world_is_what_the_host_says(void **state)
{
    (void)state;
    enum { KTIME = 5, RANDOM = 7, CPU = 8, PID_TGID = 14, UID_GID = 15 };
    static const struct skep_insn time[] = {SKEP_CALL_HELPER(KTIME), SKEP_EXIT_INSN()};
    static const struct skep_insn pid[] = {SKEP_CALL_HELPER(PID_TGID), SKEP_EXIT_INSN()};
    static const struct skep_insn uid[] = {SKEP_CALL_HELPER(UID_GID), SKEP_EXIT_INSN()};
    static const struct skep_insn random[] = {SKEP_CALL_HELPER(RANDOM), SKEP_EXIT_INSN()};
    static const struct skep_insn two[] = {SKEP_CALL_HELPER(RANDOM), SKEP_CALL_HELPER(RANDOM), SKEP_EXIT_INSN()};
    static const struct skep_insn cpu[] = {SKEP_CALL_HELPER(CPU), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(4);
    struct skep_world world = {.sz = sizeof(world),
                               .fix_time = true,
                               .time = 5000,
                               .fix_task = true,
                               .pid = 7,
                               .tgid = 6,
                               .uid = 5,
                               .gid = 4,
                               .fix_seed = true,
                               .seed = 42};
    SKEP_OPTS(skep_run_opts, opts, .world = &world, .flags = SKEP_RUN_CPU, .cpu = 2);
    assert_int_equal(run_insns(vm, time, N(time), &opts), 0);
    assert_int_equal(opts.r0, 5000);
    assert_int_equal(run_insns(vm, pid, N(pid), &opts), 0);
    assert_int_equal(opts.r0, 6ull << 32 | 7);
    assert_int_equal(run_insns(vm, uid, N(uid), &opts), 0);
    assert_int_equal(opts.r0, 4ull << 32 | 5);
    assert_int_equal(run_insns(vm, cpu, N(cpu), &opts), 0);
    assert_int_equal(opts.r0, 2);
    assert_int_equal(run_insns(vm, random, N(random), &opts), 0);
    uint64_t first = opts.r0;
    assert_int_equal(run_insns(vm, random, N(random), &opts), 0);
    assert_int_equal(opts.r0, first);
    world.seed = 43;
    assert_int_equal(run_insns(vm, random, N(random), &opts), 0);
    assert_int_not_equal(opts.r0, first);
    assert_int_equal(run_insns(vm, two, N(two), &opts), 0);
    uint64_t second = opts.r0;
    assert_int_equal(run_insns(vm, random, N(random), &opts), 0);
    opts.world = NULL;
    /* The sequence of a seed does not go on in who did not ask for it. */
    assert_int_equal(run_insns(vm, random, N(random), &opts), 0);
    assert_int_not_equal(opts.r0, second);
    assert_int_equal(run_insns(vm, pid, N(pid), &opts), 0);
    assert_int_equal(opts.r0, (uint64_t)getpid() << 32 | (uint32_t)gettid());
    skep_vm__free(vm);
}

static void limits_and_stop_flags_end_a_run(void **state)
{
    (void)state;
    static const struct skep_insn loop[] = {SKEP_JA(-1), SKEP_EXIT_INSN()};
    struct skep_vm *vm = new_vm(1);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .max_insns = 50000, .trap = &trap);
    assert_int_equal(run_insns(vm, loop, N(loop), &opts), -EFAULT);
    assert_string_equal(trap.kind, "insn_limit");

    SKEP_OPTS(skep_exec_opts, exec, .unchecked = true, .count_insns = true);
    SKEP_OPTS(skep_prog_load_opts, load, .exec = &exec);
    struct skep_program *p = load_raw(vm, loop, N(loop), &load);
    assert_int_equal(skep_program__run(p, &opts), -EFAULT);
    assert_string_equal(trap.kind, "insn_limit");
    volatile uint32_t stop = 1;
    opts.stop = &stop;
    opts.max_insns = 0;
    assert_int_equal(skep_program__run(p, &opts), -EFAULT);
    assert_string_equal(trap.kind, "stopped");
    skep_program__free(p);
    skep_vm__free(vm);
}

static void types_have_names_and_verdicts(void **state)
{
    (void)state;
    assert_string_equal(skep_prog_type_str(SKEP_PROG_TYPE_XDP), "xdp");
    assert_string_equal(skep_prog_type_str(SKEP_PROG_TYPE_RAW), "raw");
    assert_null(skep_prog_type_str(12345));
    assert_int_equal(skep_prog_type_by_name("kprobe"), SKEP_PROG_TYPE_KPROBE);
    assert_int_equal(skep_prog_type_by_name("kprobes"), -EINVAL);
    assert_string_equal(skep_prog_type_verdict(SKEP_PROG_TYPE_XDP, 1), "XDP_DROP");
    assert_null(skep_prog_type_verdict(SKEP_PROG_TYPE_XDP, 77));
    assert_null(skep_prog_type_verdict(SKEP_PROG_TYPE_KPROBE, 0));
}

/* ---- CPUs and threads ---- */

/* Counts without atomics in a per-CPU value: right only when no two runs share a CPU. */
static const struct skep_insn count[] = {
    SKEP_ST_MEM(SKEP_W, SKEP_R10, -4, 0),
    SKEP_LD_MAP(SKEP_R1, 0),
    SKEP_MOV64_REG(SKEP_R2, SKEP_R10),
    SKEP_ALU64_IMM(SKEP_ADD, SKEP_R2, -4),
    SKEP_CALL_HELPER(1),
    SKEP_JMP_IMM(SKEP_JEQ, SKEP_R0, 0, 3),
    SKEP_LDX_MEM(SKEP_DW, SKEP_R1, SKEP_R0, 0),
    SKEP_ALU64_IMM(SKEP_ADD, SKEP_R1, 1),
    SKEP_STX_MEM(SKEP_DW, SKEP_R0, SKEP_R1, 0),
    SKEP_MOV64_IMM(SKEP_R0, 0),
    SKEP_EXIT_INSN(),
};

enum { THREADS = 6, RUNS = 3000, CPUS = 2 };

static void *count_often(void *prog)
{
    for (int i = 0; i < RUNS; i++) {
        SKEP_OPTS(skep_run_opts, opts, .flags = i % 3 ? 0 : SKEP_RUN_CPU, .cpu = (uint32_t)i % CPUS);
        if (skep_program__run(prog, &opts))
            return "a run failed";
    }
    return NULL;
}

static void runs_own_their_cpu(void **state)
{
    (void)state;
    struct skep_vm *vm = new_vm(CPUS);
    struct skep_map *map = skep_map_create(vm, SKEP_MAP_TYPE_PERCPU_ARRAY, "n", 4, 8, 1, NULL);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &map, .map_cnt = 1);
    struct skep_program *p = load_raw(vm, count, N(count), &load);
    assert_non_null(p);
    pthread_t threads[THREADS];
    void *why;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, p), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &why);
        assert_null(why);
    }
    uint32_t key = 0;
    uint64_t values[CPUS];
    assert_int_equal(skep_map__lookup_elem(map, &key, 4, values, sizeof(values), 0), 0);
    assert_int_equal(values[0] + values[1], THREADS * RUNS);
    skep_program__free(p);
    skep_map__free(map);
    skep_vm__free(vm);
}

static uint64_t run_inner(struct skep_env *env, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    (void)a, (void)b, (void)c, (void)d, (void)e;
    SKEP_OPTS(skep_run_opts, opts, .flags = SKEP_RUN_NOWAIT);
    int err = skep_program__run(skep_env__user(env), &opts);
    return err ? (uint64_t)err : opts.r0;
}

static void a_run_inside_a_run_needs_a_cpu_of_its_own(void **state)
{
    (void)state;
    static const struct skep_helper_def helper = {.id = 80000, .name = "inner", .fn = run_inner};
    static const struct skep_insn outer[] = {SKEP_CALL_HELPER(80000), SKEP_EXIT_INSN()};
    static const struct skep_insn inner[] = {SKEP_MOV64_IMM(SKEP_R0, 11), SKEP_EXIT_INSN()};
    for (uint32_t cpus = 1; cpus <= 2; cpus++) {
        SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = cpus, .helpers = &helper, .helper_cnt = 1);
        struct skep_vm *vm = skep_vm__new(&vm_opts);
        struct skep_program *in = load_raw(vm, inner, N(inner), NULL);
        SKEP_OPTS(skep_run_opts, opts, .user = in);
        assert_int_equal(run_insns(vm, outer, N(outer), &opts), 0);
        assert_int_equal((int64_t)opts.r0, cpus == 1 ? -EBUSY : 11);
        skep_program__free(in);
        skep_vm__free(vm);
    }
}

/* ---- Events ---- */

struct seen {
    int records;
    uint64_t last;
    int stop_after;
};

static int on_record(void *ctx, void *data, size_t size)
{
    struct seen *s = ctx;
    assert_int_equal(size, 8);
    memcpy(&s->last, data, 8);
    s->records++;
    return s->stop_after && s->records >= s->stop_after ? -ECANCELED : 0;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
    (void)cpu;
    assert_true(size >= 8);
    on_record(ctx, data, 8);
}

static void ring_buffers_are_read(void **state)
{
    (void)state;
    enum { RINGBUF_OUTPUT = 130 };
    static const struct skep_insn send[] = {
        SKEP_ST_MEM(SKEP_DW, SKEP_R10, -8, 123), SKEP_LD_MAP(SKEP_R1, 0),    SKEP_MOV64_REG(SKEP_R2, SKEP_R10),
        SKEP_ALU64_IMM(SKEP_ADD, SKEP_R2, -8),   SKEP_MOV64_IMM(SKEP_R3, 8), SKEP_MOV64_IMM(SKEP_R4, 0),
        SKEP_CALL_HELPER(RINGBUF_OUTPUT),        SKEP_EXIT_INSN(),
    };
    struct skep_vm *vm = new_vm(1);
    struct skep_map *map = skep_map_create(vm, SKEP_MAP_TYPE_RINGBUF, "r", 0, 0, 4096, NULL);
    struct skep_map *hash = skep_map_create(vm, SKEP_MAP_TYPE_HASH, "h", 4, 4, 1, NULL);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &map, .map_cnt = 1);
    struct skep_program *p = load_raw(vm, send, N(send), &load);
    assert_non_null(p);
    struct seen seen = {0};
    assert_null(skep_ring_buffer__new(hash, on_record, &seen, NULL));
    struct skep_ring_buffer *rb = skep_ring_buffer__new(map, on_record, &seen, NULL);
    assert_non_null(rb);
    assert_int_equal(skep_ring_buffer__poll(rb, 0), 0);
    assert_int_equal(skep_program__run(p, NULL), 0);
    assert_int_equal(skep_ring_buffer__poll(rb, 1000), 1);
    assert_int_equal(seen.last, 123);
    for (int i = 0; i < 3; i++)
        assert_int_equal(skep_program__run(p, NULL), 0);
    assert_int_equal(skep_ring_buffer__consume(rb), 3);
    assert_int_equal(seen.records, 4);
    seen.stop_after = 5;
    assert_int_equal(skep_program__run(p, NULL), 0);
    assert_int_equal(skep_ring_buffer__consume(rb), -ECANCELED);
    assert_true(skep_ring_buffer__epoll_fd(rb) >= 0);
    skep_ring_buffer__free(rb);
    skep_program__free(p);
    skep_map__free(map);
    skep_map__free(hash);
    skep_vm__free(vm);
}

static void perf_buffers_are_read(void **state)
{
    (void)state;
    enum { PERF_EVENT_OUTPUT = 25 };
    static const struct skep_insn send[] = {
        SKEP_ST_MEM(SKEP_DW, SKEP_R10, -8, 5), SKEP_LD_MAP(SKEP_R2, 0),
        SKEP_LD_IMM64(SKEP_R3, 0xffffffff),    SKEP_MOV64_REG(SKEP_R4, SKEP_R10),
        SKEP_ALU64_IMM(SKEP_ADD, SKEP_R4, -8), SKEP_MOV64_IMM(SKEP_R5, 8),
        SKEP_CALL_HELPER(PERF_EVENT_OUTPUT),   SKEP_EXIT_INSN(),
    };
    struct skep_vm *vm = new_vm(2);
    struct skep_map *map = skep_map_create(vm, SKEP_MAP_TYPE_PERF_EVENT_ARRAY, "p", 4, 4, 2, NULL);
    assert_non_null(map);
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &map, .map_cnt = 1);
    struct skep_program *p = skep_prog_load(vm, SKEP_PROG_TYPE_KPROBE, "send", "GPL", send, N(send), &load);
    assert_non_null(p);
    unsigned char regs[168] = {0};
    SKEP_OPTS(skep_run_opts, opts, .ctx_in = regs, .ctx_size_in = sizeof(regs), .flags = SKEP_RUN_CPU, .cpu = 1);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal((int32_t)opts.retval, -ENOENT); /* nobody reads yet */
    struct seen seen = {0};
    assert_null(skep_perf_buffer__new(map, 3, on_sample, NULL, &seen, NULL));
    struct skep_perf_buffer *pb = skep_perf_buffer__new(map, 4, on_sample, NULL, &seen, NULL);
    assert_non_null(pb);
    assert_int_equal(skep_perf_buffer__buffer_cnt(pb), 2);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal(opts.retval, 0);
    assert_int_equal(skep_perf_buffer__poll(pb, 1000), 1);
    assert_int_equal(seen.last, 5);
    assert_int_equal(skep_perf_buffer__consume(pb), 0);
    skep_perf_buffer__free(pb);
    assert_int_equal(skep_program__run(p, &opts), 0);
    assert_int_equal((int32_t)opts.retval, -ENOENT);
    skep_program__free(p);
    skep_map__free(map);
    skep_vm__free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_caller_has_a_shorter_struct),
        cmocka_unit_test(a_newer_caller_may_have_zeros_behind),
        cmocka_unit_test(a_struct_without_size_is_refused),
        cmocka_unit_test(results_stay_inside_the_callers_struct),
        cmocka_unit_test(a_helper_gets_arguments_and_the_hosts_pointer),
        cmocka_unit_test(memory_arguments_are_checked_before_the_helper_runs),
        cmocka_unit_test(a_helper_cannot_reach_what_the_program_may_not_touch),
        cmocka_unit_test(a_helper_may_end_the_run),
        cmocka_unit_test(a_helper_uses_maps_and_calls_back),
        cmocka_unit_test(bad_prototypes_are_refused),
        cmocka_unit_test(what_is_malformed_is_refused_with_its_instruction),
        cmocka_unit_test(a_map_of_another_vm_is_refused),
        cmocka_unit_test(maps_follow_bpf2),
        cmocka_unit_test(maps_hold_maps_and_programs),
        cmocka_unit_test(what_is_wrong_is_refused_before_it_runs),
        cmocka_unit_test(a_raw_program_works_on_a_copy_or_in_place),
        cmocka_unit_test(arguments_of_a_function_are_no_more_than_its_context),
        cmocka_unit_test(nothing_is_left_of_a_run_for_one_in_place),
        cmocka_unit_test(lent_memory_is_found_at_its_address),
        cmocka_unit_test(the_world_is_what_the_host_says),
        cmocka_unit_test(limits_and_stop_flags_end_a_run),
        cmocka_unit_test(types_have_names_and_verdicts),
        cmocka_unit_test(runs_own_their_cpu),
        cmocka_unit_test(a_run_inside_a_run_needs_a_cpu_of_its_own),
        cmocka_unit_test(ring_buffers_are_read),
        cmocka_unit_test(perf_buffers_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
