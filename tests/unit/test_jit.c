/*
 * The JIT as an engine: which programs it gets, what ends a run and where, and what its code outlives: other threads,
 * tail calls out of it, a fork, a process that may make no memory executable.
 */
#include "tests/unit/run.h"
#include "tests/unit/said.h"

#include "jit/jit.h"
#include "vm/epoch.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <skep/insn.h>
#include <skep/program.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

enum { HOST_HELPER = 1 << 16 };

static uint64_t host_trap(struct skep_env *env, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    (void)a, (void)b, (void)c, (void)d, (void)e;
    return env_trap(env, TRAP_host, 0, 0, "as asked");
}

static const struct helper own_helper = {.id = HOST_HELPER, .name = "trap", .body = host_trap, .ret = RET_INT};
static const struct helper_set own_helpers = {.own = &own_helper, .n_own = 1};

static struct code *jitted(const char *text, struct map *const *maps, uint32_t n_maps, struct code_opts opts)
{
    struct asm_out out = assemble(text);
    const struct map_def *defs[16];
    struct prog *prog;
    struct code *code;
    struct prog_spec spec = {.name = "test",
                             .insns = out.insns,
                             .n_insns = out.n_insns,
                             .maps = defs,
                             .n_maps = n_maps,
                             .helpers = &own_helpers};

    for (uint32_t i = 0; i < n_maps; i++)
        defs[i] = &maps[i]->def;
    opts.opts = CODE_OPT_ALL;
    if (prog_new(&spec, false, &said_all, &prog) || code_lower(prog, NULL, maps, &opts, &jit_engine, &said_all, &code))
        fail_msg("%s", said);
    prog_put(prog);
    asm_free(&out);
    return code;
}

static struct skep_env *env;

static int setup(void **state)
{
    struct jit *jit;

    (void)state;
    env = env_new();
    if (jit_new(&jit, NULL, &said_all)) {
        print_message("no machine code here: %s\n", said);
#ifdef __x86_64__
        return -1;
#endif
    } else {
        jit_put(jit);
    }
    return env ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    env_free(env);
    return 0;
}

static uint64_t result_of(const struct code *code)
{
    uint64_t r0 = 0;

    if (env_run(env, code, 0, 0, &r0))
        fail_msg("trap at %u: %s", env->trap.insn, env->trap.text);
    return r0;
}

static void expect_trap(const struct code *code, enum trap_kind kind, uint32_t insn)
{
    uint64_t r0;

    assert_int_equal(env_run(env, code, 0, 0, &r0), -EFAULT);
    assert_string_equal(trap_name(env->trap.kind), trap_name(kind));
    assert_int_equal(env->trap.insn, insn);
}

/* ---- Which programs it gets ---- */

static const struct skep_insn returns_7[] = {SKEP_MOV64_IMM(SKEP_R0, 7), SKEP_EXIT_INSN()};

static struct skep_vm *new_vm(void)
{
    SKEP_OPTS(skep_vm_opts, opts, .cpus = 1, .log = said_keep, .log_level = SKEP_LOG_INFO);
    struct skep_vm *vm = skep_vm__new(&opts);

    assert_non_null(vm);
    *said = 0;
    return vm;
}

static struct skep_program *load(struct skep_vm *vm, const struct skep_exec_opts *exec)
{
    SKEP_OPTS(skep_prog_load_opts, opts, .exec = exec);
    return skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "test", "GPL", returns_7, 2, &opts);
}

static void expect_engine(struct skep_vm *vm, const struct skep_exec_opts *exec, const char *engine)
{
    struct skep_program *p = load(vm, exec);
    SKEP_OPTS(skep_run_opts, run);

    if (!p)
        fail_msg("%s", said);
    assert_string_equal(skep_program__engine(p), engine);
    assert_int_equal(skep_program__run(p, &run), 0);
    assert_int_equal(run.r0, 7);
    skep_program__free(p);
}

static void verified_programs_become_machine_code(void **state)
{
    struct skep_vm *vm = new_vm();
    SKEP_OPTS(skep_exec_opts, jit, .engine = "jit");
    SKEP_OPTS(skep_exec_opts, interp, .engine = "interp");

    (void)state;
    expect_engine(vm, NULL, "jit");
    expect_engine(vm, &jit, "jit");
    expect_engine(vm, &interp, "interp");
    assert_string_equal(said, "");
    skep_vm__free(vm);
}

static void what_is_checked_is_interpreted(void **state)
{
    struct skep_vm *vm = new_vm();
    SKEP_OPTS(skep_exec_opts, checked, .checked = true);
    SKEP_OPTS(skep_exec_opts, both, .checked = true, .engine = "jit");
    SKEP_OPTS(skep_exec_opts, watched, .check_invariants = true);

    (void)state;
    expect_engine(vm, &checked, "interp");
    assert_non_null(strstr(said, "checked"));
    expect_engine(vm, &watched, "interp");
    assert_non_null(strstr(said, "watched"));
    assert_null(load(vm, &both));
    assert_int_equal(errno, EOPNOTSUPP);
    skep_vm__free(vm);
}

static void unverified_programs_need_a_word(void **state)
{
    struct skep_vm *vm = new_vm();
    SKEP_OPTS(skep_exec_opts, trusted, .unchecked = true);
    SKEP_OPTS(skep_exec_opts, refused, .unchecked = true, .engine = "jit");
    SKEP_OPTS(skep_exec_opts, asked, .unchecked = true, .jit_unverified = true);

    (void)state;
    expect_engine(vm, &trusted, "interp");
    assert_null(load(vm, &refused));
    assert_int_equal(errno, EPERM);
    assert_non_null(strstr(said, "jit_unverified"));
    expect_engine(vm, &asked, "jit");
    skep_vm__free(vm);
}

static void without_room_the_interpreter_runs_it(void **state)
{
    SKEP_OPTS(skep_vm_opts, opts, .cpus = 1, .log = said_keep, .log_level = SKEP_LOG_INFO, .code_limit = 1);
    struct skep_vm *vm = skep_vm__new(&opts);

    (void)state;
    assert_non_null(vm);
    expect_engine(vm, NULL, "interp");
    assert_non_null(strstr(said, "interpreted"));
    skep_vm__free(vm);
}

/* ---- Processes that may not, or no longer ---- */

static void expect_child(int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int refuse_memfd(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    SKEP_OPTS(skep_exec_opts, jit, .engine = "jit");
    SKEP_OPTS(skep_run_opts, run);
    struct skep_vm *vm = new_vm();
    struct skep_program *p;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
        return 77;
    if (!(p = load(vm, NULL)) || strcmp(skep_program__engine(p), "interp") || skep_program__run(p, &run) || run.r0 != 7)
        return 1;
    if (!strstr(said, "memfd"))
        return 2;
    if (load(vm, &jit) || errno != EPERM)
        return 3;
    return 0;
}

static void where_memory_is_refused_the_interpreter_runs_it(void **state)
{
    (void)state;
    expect_child(refuse_memfd);
}

static int no_new_executable(void)
{
    struct skep_vm *vm = new_vm();
    struct skep_program *p;
    SKEP_OPTS(skep_exec_opts, jit, .engine = "jit");
    SKEP_OPTS(skep_run_opts, run);

    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
        return 77;
    return !(p = load(vm, &jit)) || skep_program__run(p, &run) || run.r0 != 7;
}

static void memory_that_must_not_become_executable_is_no_hindrance(void **state)
{
    (void)state;
    expect_child(no_new_executable);
}

static struct skep_vm *parents_vm;
static struct skep_program *parents;

static int run_parents(void)
{
    struct skep_program *own;
    SKEP_OPTS(skep_run_opts, run);

    if (skep_program__run(parents, &run) || run.r0 != 7)
        return 1;
    own = load(parents_vm, NULL);
    if (!own || strcmp(skep_program__engine(own), "jit") || skep_program__run(own, &run) || run.r0 != 7)
        return 2;
    skep_program__free(own);
    skep_program__free(parents);
    return 0;
}

static void a_child_runs_its_parents_programs_and_its_own(void **state)
{
    SKEP_OPTS(skep_run_opts, run);

    (void)state;
    parents_vm = new_vm();
    parents = load(parents_vm, NULL);
    assert_non_null(parents);
    expect_child(run_parents);
    assert_int_equal(skep_program__run(parents, &run), 0);
    assert_int_equal(run.r0, 7);
    skep_program__free(parents);
    skep_vm__free(parents_vm);
}

/* ---- What ends a run ---- */

static void a_budget_ends_a_loop_and_says_where(void **state)
{
    struct code *code = jitted("  r0 = 0\n1:\n  r0 += 1\n  r1 = r0\n  if r1 != 0 goto 1b\n  exit\n", NULL, 0,
                               (struct code_opts){.count_insns = true});

    (void)state;
    env->insn_budget = 1000000;
    expect_trap(code, TRAP_insn_limit, 3);
    assert_in_range(env->insns_run, 1000000 - 16384, 1000000 + 16384);
    env->insn_budget = UINT64_MAX;
    code_put(code);
}

static void a_budget_that_is_enough_is_no_hindrance(void **state)
{
    struct code *code = jitted("  r0 = 0\n1:\n  r0 += 1\n  if r0 < 100000 goto 1b\n  exit\n", NULL, 0,
                               (struct code_opts){.count_insns = true});

    (void)state;
    env->insn_budget = 300000;
    assert_int_equal(result_of(code), 100000);
    assert_in_range(env->insns_run, 190000, 210000);
    env->insn_budget = UINT64_MAX;
    code_put(code);
}

/* Runs code from begin to end. @return whether it came to an end. */
static bool count_up(struct code *code, uint64_t begin, uint64_t end, uint64_t *r0)
{
    uint64_t numbers[2] = {begin, end};
    int err;

    env->insn_budget = 200000;
    err = env_run(env, code, (uintptr_t)numbers, 0, r0);
    env->insn_budget = UINT64_MAX;
    if (err)
        assert_int_equal(env->trap.kind, TRAP_insn_limit);
    return !err;
}

/* Counters that are paid for in chunks turn as often as the program says, wherever they begin and end, and those that
 * never come to their end are stopped. */
static void counters_of_every_kind_turn_as_often_as_they_should(void **state)
{
    static const char *const conditions[] = {"<", "<=", ">", ">=", "!=", "s<", "s<=", "s>", "s>="};
    static const int steps[] = {1, -1, 2, -4, 8};
    static const uint64_t numbers[] = {0,
                                       1,
                                       7,
                                       1000,
                                       20000,
                                       INT32_MAX,
                                       (uint64_t)INT32_MAX + 1,
                                       UINT32_MAX - 2,
                                       UINT32_MAX,
                                       (uint64_t)UINT32_MAX + 1,
                                       INT64_MAX - 5,
                                       (uint64_t)INT64_MAX + 1,
                                       UINT64_MAX - 3000,
                                       UINT64_MAX};
    enum { N = sizeof(numbers) / sizeof(numbers[0]), KINDS = 9 * 5 * 3 };

    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const char *cc = conditions[kind % 9];
        int step = steps[kind / 9 % 5];
        char text[256], step_by = kind / 45 == 1 ? 'w' : 'r', compare = kind / 45 ? 'w' : 'r';

        snprintf(text, sizeof(text),
                 "  r6 = *(u64 *)(r1 + 0)\n  r7 = *(u64 *)(r1 + 8)\n  r0 = 0\n1:\n  r0 *= 3\n  r0 ^= r6\n"
                 "  r0 += 1\n  %c6 += %d\n  if %c6 %s %c7 goto 1b\n  exit\n",
                 step_by, step, compare, cc, compare);
        struct code *plain = lowered(text, NULL, 0, (struct code_opts){.count_insns = true});
        struct code *fast = jitted(text, NULL, 0, (struct code_opts){.count_insns = true});
        for (unsigned i = 0; i < N * N; i++) {
            uint64_t a = 0, b = 0, used;
            bool ends = count_up(plain, numbers[i / N], numbers[i % N], &a);

            used = env->insns_run;
            assert_int_equal(count_up(fast, numbers[i / N], numbers[i % N], &b), ends);
            if (!ends)
                continue;
            assert_int_equal(a, b);
            assert_in_range(env->insns_run + 16384, used, used + 2 * 16384);
        }
        code_put(plain);
        code_put(fast);
    }
}

/* Whatever a loop looks like, it is paid for, and more or less what it does. */
static void loops_of_every_shape_use_up_the_budget(void **state)
{
    static const char *const loops[] = {
        "1:\n  goto 1b\n",
        "  r0 = 0\n1:\n  r0 += 3\n  if r0 != 1000 goto 1b\n  goto -3\n",
        /* Two ways in. */
        "  r0 = *(u32 *)(r1 + 0)\n  if r0 == 0 goto 2f\n1:\n  r0 += 1\n2:\n  r0 *= 3\n  goto 1b\n",
        /* Two jumps back. */
        "  r0 = 0\n1:\n  r0 += 1\n  r2 = r0\n  r2 &= 1\n  if r2 == 0 goto 1b\n  r0 ^= 5\n  goto 1b\n",
        /* Known numbers of turns, in one another: 1000000000 in all. */
        "  r0 = 0\n  r2 = 0\n1:\n  r3 = 0\n2:\n  r4 = 0\n3:\n  r0 += r4\n  r0 ^= r3\n  r4 += 1\n"
        "  if r4 != 1000 goto 3b\n  r3 += 1\n  if r3 < 1000 goto 2b\n  r2 += 1\n  if r2 s< 1000 goto 1b\n  exit\n",
        /* A counter that misses its end. */
        "  r0 = 0\n  r2 = 0\n1:\n  r0 += r2\n  r2 += 3\n  if r2 != 1000 goto 1b\n  goto -5\n",
        "  r0 = 0\n  r2 = 1001\n1:\n  r0 += r2\n  r2 -= 2\n  if r2 != 0 goto 1b\n  exit\n",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        struct code *code = jitted(loops[i], NULL, 0, (struct code_opts){.count_insns = true});
        unsigned char zeros[8] = {0};
        uint64_t r0;

        env->insn_budget = 1000000;
        assert_int_equal(env_run(env, code, (uintptr_t)zeros, 0, &r0), -EFAULT);
        assert_string_equal(trap_name(env->trap.kind), "insn_limit");
        assert_in_range(env->insns_run, 1000000 - 32768, 1000000 + 32768);
        code_put(code);
    }
    env->insn_budget = UINT64_MAX;
}

/* What is paid before a loop is what its turns are worth, not more. */
static void a_known_number_of_turns_is_what_is_paid(void **state)
{
    static const char *const loops[] = {
        "  r0 = 0\n  r2 = 0\n1:\n  r0 += r2\n  r0 ^= 7\n  r2 += 1\n  if r2 != 700 goto 1b\n  exit\n",
        "  r0 = 0\n  r2 = 1400\n1:\n  r0 += r2\n  r0 ^= 7\n  r2 += -2\n  if r2 s> 0 goto 1b\n  exit\n",
        "  r0 = 0\n  w2 = 5\n1:\n  r0 += r2\n  r0 ^= 7\n  w2 += 3\n  if w2 < 2105 goto 1b\n  exit\n",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        struct code *code = jitted(loops[i], NULL, 0, (struct code_opts){.count_insns = true});

        env->insn_budget = 4000;
        result_of(code);
        assert_in_range(env->insns_run, 2700, 2900);
        code_put(code);
    }
    env->insn_budget = UINT64_MAX;
}

static volatile uint32_t stop_flag;

static void *stop_soon(void *unused)
{
    usleep(20000);
    stop_flag = 1;
    return unused;
}

static void another_thread_stops_a_loop(void **state)
{
    struct code *code = jitted("  r0 = 0\n  r1 = 0\n1:\n  r0 += 3\n  r1 ^= r0\n  goto 1b\n", NULL, 0,
                               (struct code_opts){.count_insns = true});
    pthread_t thread;

    (void)state;
    stop_flag = 0;
    env->stop = &stop_flag;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    expect_trap(code, TRAP_stopped, 4);
    pthread_join(thread, NULL);
    env->stop = NULL;
    code_put(code);
}

static void another_thread_stops_repetitions_that_count_nothing(void **state)
{
    struct skep_vm *vm = new_vm();
    struct skep_program *p = load(vm, NULL);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, run, .repeat = INT32_MAX, .stop = &stop_flag, .trap = &trap);
    pthread_t thread;

    (void)state;
    assert_non_null(p);
    stop_flag = 0;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    assert_int_equal(skep_program__run(p, &run), -EFAULT);
    pthread_join(thread, NULL);
    assert_string_equal(trap.kind, "stopped");
    skep_program__free(p);
    skep_vm__free(vm);
}

static void a_loop_under_a_lock_is_not_ended(void **state)
{
    struct map *maps[1];
    struct map_def def = {
        .name = "a", .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1, .spin_lock_off = 0};
    uint32_t zero = 0;
    uint64_t value[2];
    struct code *code;

    (void)state;
    assert_int_equal(map_create(&def, 1, &said_all, &maps[0]), 0);
    code = jitted("  r6 = map[a][0]+0\n"
                  "  r1 = r6\n"
                  "  call spin_lock\n"
                  "  r1 = 0\n"
                  "1:\n"
                  "  r1 += 1\n"
                  "  *(u64 *)(r6 + 8) = r1\n"
                  "  if r1 != 100000 goto 1b\n"
                  "  r1 = r6\n"
                  "  call spin_unlock\n"
                  "2:\n"
                  "  r1 = r6\n"
                  "  goto 2b\n",
                  maps, 1, (struct code_opts){.count_insns = true});
    env->insn_budget = 1000;
    expect_trap(code, TRAP_insn_limit, 11);
    assert_int_equal(map_host_lookup(maps[0], &zero, value, 0), 0);
    assert_int_equal(value[1], 100000);
    assert_int_equal((uint32_t)value[0], 0);
    env->insn_budget = UINT64_MAX;
    code_put(code);
    map_put(maps[0]);
}

static void a_trap_in_a_callback_ends_the_run(void **state)
{
    struct code *code = jitted("  r1 = 5\n"
                               "  r2 = subprog[cb]\n"
                               "  r3 = 0\n"
                               "  r4 = 0\n"
                               "  call loop\n"
                               "  r0 = 1\n"
                               "  exit\n"
                               "cb:\n"
                               "  r0 = 0\n"
                               "  if r1 != 3 goto 1f\n"
                               "  call 65536\n"
                               "1:\n"
                               "  r0 = 0\n"
                               "  exit\n",
                               NULL, 0, (struct code_opts){0});

    (void)state;
    expect_trap(code, TRAP_host, 10);
    code_put(code);
}

static void a_trap_in_a_function_ends_the_run(void **state)
{
    struct code *code =
        jitted("  call f\n  r0 = 1\n  exit\nf:\n  call g\n  r0 = 2\n  exit\ng:\n  call 65536\n  r0 = 3\n"
               "  exit\n",
               NULL, 0, (struct code_opts){0});

    (void)state;
    expect_trap(code, TRAP_host, 6);
    code_put(code);
}

static void callbacks_without_end_use_up_the_budget(void **state)
{
    struct code *code = jitted("  r1 = 8388608\n"
                               "  r2 = subprog[cb]\n"
                               "  r3 = 0\n"
                               "  r4 = 0\n"
                               "  call loop\n"
                               "  r0 = 1\n"
                               "  exit\n"
                               "cb:\n"
                               "  r0 = 0\n"
                               "  exit\n",
                               NULL, 0, (struct code_opts){.count_insns = true});

    (void)state;
    env->insn_budget = 10000;
    expect_trap(code, TRAP_insn_limit, 8);
    env->insn_budget = UINT64_MAX;
    code_put(code);
}

/* ---- Tail calls ---- */

static void put(struct map *progs, uint32_t index, struct code *code)
{
    assert_int_equal(map_set_thing(progs, &index, code, MAP_ANY), 0);
    code_put(code);
}

/* Eight frames, the last of which calls another program with eight frames of its own; and so on. */
static const char *const deep = "  r6 = 1000\n"
                                "  r2 = r1\n"
                                "  call f1\n  r0 += r6\n  exit\n"
                                "f1:\n  r6 = 1\n  call f2\n  r0 += r6\n  exit\n"
                                "f2:\n  r6 = 2\n  call f3\n  r0 += r6\n  exit\n"
                                "f3:\n  r6 = 3\n  call f4\n  r0 += r6\n  exit\n"
                                "f4:\n  r6 = 4\n  call f5\n  r0 += r6\n  exit\n"
                                "f5:\n  r6 = 5\n  call f6\n  r0 += r6\n  exit\n"
                                "f6:\n  r6 = 6\n  call f7\n  r0 += r6\n  exit\n"
                                "f7:\n  *(u64 *)(r10 - 8) = 7\n  r1 = r2\n  r2 = map[a]\n  r3 = 0\n  call tail_call\n"
                                "  r0 = *(u64 *)(r10 - 8)\n  exit\n";

static void eight_frames_that_end_in_tail_calls(void **state)
{
    struct map *progs = new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0);
    struct code *code = jitted(deep, &progs, 1, (struct code_opts){0});
    uint32_t zero = 0;

    (void)state;
    assert_int_equal(map_set_thing(progs, &zero, code, MAP_ANY), 0);
    assert_int_equal(result_of(code), 34 * (1000 + 1 + 2 + 3 + 4 + 5 + 6) + 7);
    assert_int_equal(env->tail_calls, 33);
    map_set_thing(progs, &zero, NULL, MAP_ANY);
    code_put(code);
    map_put(progs);
}

static void tail_calls_between_engines(void **state)
{
    struct map *progs = new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 2, 0);
    const char *to_1 = "  r2 = map[a]\n  r3 = 1\n  call tail_call\n  r0 = 1\n  exit\n";
    const char *in_function = "  r6 = 100\n  call f\n  r0 += r6\n  exit\n"
                              "f:\n  r2 = map[a]\n  r3 = 0\n  call tail_call\n  r0 = 1\n  exit\n";
    struct code *code;

    (void)state;
    put(progs, 0, lowered(to_1, &progs, 1, (struct code_opts){0}));
    put(progs, 1, jitted("  r0 = 42\n  exit\n", NULL, 0, (struct code_opts){0}));
    code = jitted(in_function, &progs, 1, (struct code_opts){0});
    assert_int_equal(result_of(code), 142); /* machine code, interpreter, machine code */
    code_put(code);
    code = lowered(in_function, &progs, 1, (struct code_opts){0});
    put(progs, 0, jitted(to_1, &progs, 1, (struct code_opts){0}));
    put(progs, 1, lowered("  r0 = 43\n  exit\n", NULL, 0, (struct code_opts){0}));
    assert_int_equal(result_of(code), 143);
    code_put(code);
    map_clear_things(progs);
    map_put(progs);
}

static void a_tail_call_needs_the_context_it_was_proved_for(void **state)
{
    struct map *progs = new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0);
    struct code *to = jitted("  r0 = 42\n  exit\n", NULL, 0, (struct code_opts){0});
    struct code *code =
        jitted("  r2 = map[a]\n  r3 = 0\n  call tail_call\n  r0 = 1\n  exit\n", &progs, 1, (struct code_opts){0});

    (void)state;
    to->ctx_needed = 64;
    put(progs, 0, to);
    expect_trap(code, TRAP_bad_call, 3);
    env->ctx_size = 64;
    assert_int_equal(result_of(code), 42);
    env->ctx_size = 0;
    code_put(code);
    map_clear_things(progs);
    map_put(progs);
}

/* ---- Code that goes while it runs ---- */

struct waiter {
    struct code *code;
    uint64_t r0;
    int err;
};

static void *wait_inside(void *p)
{
    struct waiter *w = p;
    struct skep_env *own = env_new();

    w->err = env_run(own, w->code, 0, 0, &w->r0);
    env_free(own);
    return NULL;
}

static void code_is_freed_after_its_last_run(void **state)
{
    struct map *maps[2] = {new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0), new_map(MAP_TYPE_ARRAY, 4, 16, 1, 0)};
    uint64_t *value = maps[1]->ops->direct(maps[1]);
    struct waiter w = {0};
    struct jit *jit;
    pthread_t thread;

    (void)state;
    assert_int_equal(jit_new(&jit, NULL, &said_all), 0);
    put(maps[0], 0,
        jitted("  r1 = map[b][0]+0\n"
               "  *(u64 *)(r1 + 0) = 1\n"
               "1:\n"
               "  r2 = *(u64 *)(r1 + 8)\n"
               "  if r2 == 0 goto 1b\n"
               "  r0 = 77\n"
               "  exit\n",
               maps, 2, (struct code_opts){.jit = jit}));
    w.code = jitted("  r2 = map[a]\n  r3 = 0\n  call tail_call\n  r0 = 1\n  exit\n", maps, 2,
                    (struct code_opts){.jit = jit});
    assert_int_equal(jit_usage(jit).blocks, 2);
    assert_int_equal(pthread_create(&thread, NULL, wait_inside, &w), 0);
    while (!__atomic_load_n(&value[0], __ATOMIC_ACQUIRE))
        usleep(100);
    map_clear_things(maps[0]); /* the array was the last to hold it */
    usleep(1000);
    assert_int_equal(jit_usage(jit).blocks, 2);
    __atomic_store_n(&value[1], 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_int_equal(w.err, 0);
    assert_int_equal(w.r0, 77);
    epoch_drain();
    assert_int_equal(jit_usage(jit).blocks, 1);
    code_put(w.code);
    epoch_drain();
    assert_int_equal(jit_usage(jit).blocks, 0);
    map_put(maps[0]);
    map_put(maps[1]);
    jit_put(jit);
}

static void code_outlives_who_made_its_place(void **state)
{
    struct jit *jit;
    struct code *code;

    (void)state;
    assert_int_equal(jit_new(&jit, NULL, &said_all), 0);
    code = jitted("  r0 = 9\n  exit\n", NULL, 0, (struct code_opts){.jit = jit});
    jit_put(jit);
    assert_int_equal(result_of(code), 9);
    code_put(code);
}

static unsigned secrets_in(struct jit *jit, uint32_t no_ir)
{
    /* Each constant meets a value that is known only when it runs, and the result depends on all of them. */
    const char *text = "  r7 = 0x1122334455667788 ll\n  r7 ^= r1\n  w8 = 0x5a6b7c8d\n  r8 ^= r1\n"
                       "  *(u32 *)(r10 - 4) = 0x12345678\n  call get_prandom_u32\n  r6 = r0\n  r6 &= 0x6789abcd\n"
                       "  if r6 == 0x13572468 goto +1\n  r6 += 0x24681357\n  r0 = *(u32 *)(r10 - 4)\n  r0 += r6\n"
                       "  r0 ^= r7\n  r0 += r8\n  exit\n";
    static const uint32_t secrets[] = {0x11223344, 0x55667788, 0x5a6b7c8d, 0x12345678,
                                       0x6789abcd, 0x13572468, 0x24681357};
    struct code *code = jitted(text, NULL, 0, (struct code_opts){.jit = jit, .no_ir = no_ir});
    struct jit_view view;
    unsigned found = 0;

    result_of(code);
    assert_true(jit_view(code, &view));
    for (unsigned i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
        found += memmem(view.code, view.size, &secrets[i], 4) != NULL;
    code_put(code);
    return found;
}

static void hardened_code_holds_no_constant_of_the_program(void **state)
{
    const struct jit_config config = {.harden = true};
    struct jit *plain, *hard;

    (void)state;
    assert_int_equal(jit_new(&plain, NULL, &said_all), 0);
    assert_int_equal(jit_new(&hard, &config, &said_all), 0);
    assert_in_range(secrets_in(plain, 0), 5, 7);
    assert_int_equal(secrets_in(plain, JIT_NO_ALL), 7);
    assert_int_equal(secrets_in(hard, 0), 0);
    assert_int_equal(secrets_in(hard, JIT_NO_ALL), 0);
    jit_put(plain);
    jit_put(hard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verified_programs_become_machine_code),
        cmocka_unit_test(what_is_checked_is_interpreted),
        cmocka_unit_test(unverified_programs_need_a_word),
        cmocka_unit_test(without_room_the_interpreter_runs_it),
        cmocka_unit_test(where_memory_is_refused_the_interpreter_runs_it),
        cmocka_unit_test(memory_that_must_not_become_executable_is_no_hindrance),
        cmocka_unit_test(a_child_runs_its_parents_programs_and_its_own),
        cmocka_unit_test(a_budget_ends_a_loop_and_says_where),
        cmocka_unit_test(a_budget_that_is_enough_is_no_hindrance),
        cmocka_unit_test(loops_of_every_shape_use_up_the_budget),
        cmocka_unit_test(counters_of_every_kind_turn_as_often_as_they_should),
        cmocka_unit_test(a_known_number_of_turns_is_what_is_paid),
        cmocka_unit_test(another_thread_stops_a_loop),
        cmocka_unit_test(another_thread_stops_repetitions_that_count_nothing),
        cmocka_unit_test(a_loop_under_a_lock_is_not_ended),
        cmocka_unit_test(a_trap_in_a_callback_ends_the_run),
        cmocka_unit_test(a_trap_in_a_function_ends_the_run),
        cmocka_unit_test(callbacks_without_end_use_up_the_budget),
        cmocka_unit_test(eight_frames_that_end_in_tail_calls),
        cmocka_unit_test(tail_calls_between_engines),
        cmocka_unit_test(a_tail_call_needs_the_context_it_was_proved_for),
        cmocka_unit_test(code_is_freed_after_its_last_run),
        cmocka_unit_test(code_outlives_who_made_its_place),
        cmocka_unit_test(hardened_code_holds_no_constant_of_the_program),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
