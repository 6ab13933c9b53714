/* Runs: every trap, frames, tail calls, callbacks, budget and stop, and that checked execution is a sandbox. */
#include "tests/unit/run.h"

#include <pthread.h>
#include <unistd.h>

static struct skep_env *env_of(unsigned char *mem, size_t size)
{
    struct skep_env *env = env_new();

    assert_non_null(env);
    if (mem) {
        env->mems[0] = (struct env_mem){(uintptr_t)mem, mem, size, ENV_READ | ENV_WRITE, ENV_MEM_RAW, "mem"};
        env->n_mems = 1;
    }
    return env;
}

/* Runs a text in every way; each must give this result. */
static void gives(const char *text, struct map *const *maps, uint32_t n_maps, uint64_t want)
{
    for (unsigned w = 0; w < WAYS; w++) {
        struct code *code = lowered(text, maps, n_maps, every_way[w]);
        unsigned char mem[64] = {0};
        struct skep_env *env = env_of(mem, sizeof(mem));
        uint64_t got = ~want;

        if (env_run(env, code, (uintptr_t)mem, sizeof(mem), &got))
            fail_msg("way %u: trap %s at %u: %s\n%s", w, trap_name(env->trap.kind), env->trap.insn, env->trap.text,
                     text);
        if (got != want)
            fail_msg("way %u: %llu instead of %llu\n%s", w, (unsigned long long)got, (unsigned long long)want, text);
        env_free(env);
        code_put(code);
    }
}

static const struct {
    enum trap_kind kind;
    uint32_t insn;
    const char *near; /* part of the trap's text */
    const char *text;
} trapping[] = {
    {TRAP_mem_out_of_bounds, 0, "1 bytes past the end of mem of 64 bytes", "  r0 = *(u8 *)(r1 + 65)\n  exit\n"},
    {TRAP_mem_out_of_bounds, 0, "at byte 60 of mem", "  r0 = *(u64 *)(r1 + 60)\n  exit\n"},
    {TRAP_mem_out_of_bounds, 0, "before the start of mem", "  *(u8 *)(r1 - 1) = 1\n  exit\n"},
    {TRAP_mem_out_of_bounds, 0, "stack", "  *(u64 *)(r10 - 520) = 1\n  exit\n"},
    {TRAP_mem_out_of_bounds, 0, "stack", "  r0 = *(u64 *)(r10 - 4)\n  exit\n"},
    {TRAP_mem_out_of_bounds, 2, "value of 8 bytes", "  r1 = map[a][0]+0\n  r0 = *(u64 *)(r1 + 4)\n  exit\n"},
    {TRAP_mem_read_only, 2, "map 'm2' value", "  r1 = map[b][0]+0\n  *(u32 *)(r1 + 0) = 1\n  exit\n"},
    {TRAP_null_pointer, 1, "read of 4 bytes at 0x8", "  r1 = 0\n  r0 = *(u32 *)(r1 + 8)\n  exit\n"},
    {TRAP_mem_out_of_bounds, 4, "read of 4 bytes",
     "  r2 = r1\n  r2 += 61\n  r1 = map[a]\n  call map_lookup_elem\n  exit\n"},
    {TRAP_mem_out_of_bounds, 4, "3 bytes past the end of mem",
     "  r2 = 67\n  r3 = r1\n  r3 += r2\n  r2 = 0\n  r0 = *(u8 *)(r3 + 0)\n  exit\n"},
    {TRAP_misaligned, 1, "", "  r2 = 1\n  lock *(u32 *)(r1 + 1) += r2\n  exit\n"},
    {TRAP_stack_overflow, 0, "frame 9", "again:\n  call again\n  exit\n"},
    {TRAP_bad_insn, 0, "unknown opcode", "  .insn 0xff\n  exit\n"},
    {TRAP_bad_jump, 0, "past the last", "  r0 = 1\n"},
    {TRAP_bad_call, 0, "", "  .insn 0x8d\n  exit\n"},
    {TRAP_frame_pointer, 0, "read only", "  r10 = 1\n  exit\n"},
    {TRAP_helper_missing, 0, "99999", "  call 99999\n  exit\n"},
    {TRAP_helper_argument, 1, "a map of the program", "  r1 = 5\n  call map_lookup_elem\n  exit\n"},
    {TRAP_mem_out_of_bounds, 3, "read of 4 bytes", "  r1 = map[a]\n  r2 = r10\n  call map_lookup_elem\n  exit\n"},
    {TRAP_helper_argument, 2, "of type ringbuf", "  r1 = map[a]\n  call ringbuf_reserve\n  exit\n"},
    {TRAP_kfunc_missing, 0, "kernel function", "  .insn 0x0000000500002085\n  exit\n"},
    {TRAP_address_space, 0, "", "  .insn 0x00000001000100bf\n  exit\n"},
};

static void traps(void **state)
{
    struct map *maps[2] = {new_map(MAP_TYPE_ARRAY, 4, 8, 1, 0), new_map(MAP_TYPE_ARRAY, 4, 8, 1, MAP_F_RDONLY_PROG)};

    (void)state;
    for (size_t i = 0; i < sizeof(trapping) / sizeof(trapping[0]); i++)
        for (unsigned w = 0; w < 3; w++) { /* the checked ways */
            struct code *code = lowered(trapping[i].text, maps, 2, every_way[w]);
            unsigned char mem[64];
            struct skep_env *env = env_of(mem, sizeof(mem));
            uint64_t got;

            assert_int_equal(env_run(env, code, (uintptr_t)mem, sizeof(mem), &got), -EFAULT);
            if (env->trap.kind != trapping[i].kind || env->trap.insn != trapping[i].insn ||
                !strstr(env->trap.text, trapping[i].near))
                fail_msg("case %zu way %u: %s at %u: %s", i, w, trap_name(env->trap.kind), env->trap.insn,
                         env->trap.text);
            env_free(env);
            code_put(code);
        }
    map_put(maps[0]);
    map_put(maps[1]);
}

static void frames(void **state)
{
    (void)state;
    /* r6 to r9 survive a call, r10 is the frame's own, a callee's frame is zero though another one wrote there. */
    gives("  r6 = 6\n"
          "  r7 = 7\n"
          "  call dirty\n"
          "  call clean\n"
          "  r0 += r6\n"
          "  r0 += r7\n"
          "  exit\n"
          "dirty:\n"
          "  r6 = 99\n"
          "  r7 = 99\n"
          "  *(u64 *)(r10 - 8) = -1\n"
          "  *(u64 *)(r10 - 256) = -1\n"
          "  exit\n"
          "clean:\n"
          "  r0 = *(u64 *)(r10 - 8)\n"
          "  r1 = *(u64 *)(r10 - 256)\n"
          "  r0 += r1\n"
          "  exit\n",
          NULL, 0, 13);
    /* A callee reaches the caller's frame through a pointer. Eight frames are allowed. */
    gives("  r1 = r10\n"
          "  r1 += -8\n"
          "  r2 = 7\n"
          "  call down\n"
          "  r0 = *(u64 *)(r10 - 8)\n"
          "  exit\n"
          "down:\n"
          "  r3 = *(u64 *)(r1 + 0)\n"
          "  r3 += 1\n"
          "  *(u64 *)(r1 + 0) = r3\n"
          "  r2 += -1\n"
          "  if r2 == 0 goto +1\n"
          "  call down\n"
          "  exit\n",
          NULL, 0, 7);
    /* may_goto leaves after 8388608 rounds. */
    gives("  r0 = 0\n"
          "loop:\n"
          "  may_goto done\n"
          "  r0 += 1\n"
          "  goto loop\n"
          "done:\n"
          "  exit\n",
          NULL, 0, 8388608);
}

static void popped_frames_are_gone(void **state)
{
    struct code *code = lowered("  call leak\n"
                                "  r0 = *(u64 *)(r0 - 8)\n"
                                "  exit\n"
                                "leak:\n"
                                "  *(u64 *)(r10 - 8) = 5\n"
                                "  r1 = *(u64 *)(r10 - 8)\n"
                                "  r0 = r10\n"
                                "  r2 = *(u64 *)(r0 - 8)\n"
                                "  exit\n",
                                NULL, 0, (struct code_opts){.checked = true});
    struct skep_env *env = env_of(NULL, 0);
    uint64_t got;

    (void)state;
    assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
    assert_int_equal(env->trap.kind, TRAP_mem_out_of_bounds);
    assert_int_equal(env->trap.insn, 1);
    env_free(env);
    code_put(code);
}

static void tail_calls(void **state)
{
    (void)state;
    for (unsigned w = 0; w < WAYS; w++) {
        struct map *maps[2] = {new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 2, 0), new_map(MAP_TYPE_ARRAY, 4, 8, 1, 0)};
        /* Counts its entries, calls itself from a local function, and says 7 when that fell through. */
        struct code *code = lowered("  r6 = r1\n"
                                    "  call jump\n"
                                    "  r0 += 1\n"
                                    "  exit\n"
                                    "jump:\n"
                                    "  r3 = map[b][0]+0\n"
                                    "  r4 = *(u64 *)(r3 + 0)\n"
                                    "  r4 += 1\n"
                                    "  *(u64 *)(r3 + 0) = r4\n"
                                    "  r2 = map[a]\n"
                                    "  r3 = 1\n"
                                    "  call tail_call\n"
                                    "  r0 = 7\n"
                                    "  exit\n",
                                    maps, 2, every_way[w]);
        struct code *flat = lowered("  r3 = map[b][0]+0\n"
                                    "  r4 = *(u64 *)(r3 + 0)\n"
                                    "  r4 += 1\n"
                                    "  *(u64 *)(r3 + 0) = r4\n"
                                    "  r2 = map[a]\n"
                                    "  r3 = 1\n"
                                    "  call tail_call\n"
                                    "  r0 = 7\n"
                                    "  exit\n",
                                    maps, 2, every_way[w]);
        struct skep_env *env = env_of(NULL, 0);
        uint32_t key = 1;
        uint64_t got = 0, *count = maps[1]->ops->direct(maps[1]);

        assert_int_equal(map_set_thing(maps[0], &key, flat, 0), 0);
        assert_int_equal(env_run(env, flat, 0, 0, &got), 0);
        assert_int_equal(got, 7);
        assert_int_equal(*count, 34);
        *count = 0;
        assert_int_equal(env_run(env, code, 0, 0, &got), 0);
        assert_int_equal(got, 8);
        assert_int_equal(*count, 34);
        assert_int_equal(env->tail_calls, 33);
        assert_int_equal(map_set_thing(maps[0], &key, NULL, 0), 0);
        *count = 0;
        assert_int_equal(env_run(env, code, 0, 0, &got), 0);
        assert_int_equal(got, 8);
        assert_int_equal(*count, 1);
        env_free(env);
        code_put(code);
        code_put(flat);
        map_put(maps[0]);
        map_put(maps[1]);
    }
}

static void a_tail_call_needs_as_much_context_as_its_target(void **state)
{
    unsigned char small[8] = {0}, large[64] = {0};

    (void)state;
    for (unsigned w = 0; w < WAYS; w++) {
        struct map *progs = new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0);
        struct code *target = lowered("  r0 = *(u64 *)(r1 + 56)\n  exit\n", NULL, 0, every_way[w]);
        struct code *code = lowered("  r2 = map[a]\n  r3 = 0\n  call tail_call\n  exit\n", &progs, 1, every_way[w]);
        struct skep_env *env = env_of(NULL, 0);
        uint32_t key = 0;
        uint64_t got;

        env->ctx = small;
        env->ctx_size = sizeof(small);
        target->ctx_needed = 64;
        large[56] = 5;
        assert_int_equal(map_set_thing(progs, &key, target, 0), 0);
        assert_int_equal(env_run(env, code, (uintptr_t)small, 0, &got), -EFAULT);
        assert_int_equal(env->trap.kind, TRAP_bad_call);
        assert_non_null(strstr(env->trap.text, "uses 64 bytes"));
        env->ctx = large;
        env->ctx_size = sizeof(large);
        assert_int_equal(env_run(env, code, (uintptr_t)large, 0, &got), 0);
        assert_int_equal(got, 5);
        env_free(env);
        code_put(code);
        code_put(target);
        map_put(progs);
    }
}

/* Another thread may hold the bucket's lock and wait for the value's. */
static void a_lock_holder_calls_no_helper(void **state)
{
    const struct code_opts checked = {.checked = true};
    struct map *map = new_map(MAP_TYPE_ARRAY, 4, 8, 1, 0);
    struct code *code = lowered("  *(u32 *)(r10 - 4) = 0\n"
                                "  r1 = r10\n"
                                "  r1 += -4\n"
                                "  call spin_lock\n"
                                "  *(u32 *)(r10 - 8) = 0\n"
                                "  *(u64 *)(r10 - 16) = 0\n"
                                "  r1 = map[a]\n"
                                "  r2 = r10\n"
                                "  r2 += -8\n"
                                "  r3 = r10\n"
                                "  r3 += -16\n"
                                "  r4 = 0\n"
                                "  call map_update_elem\n"
                                "  exit\n",
                                &map, 1, checked);
    struct skep_env *env = env_of(NULL, 0);
    uint64_t got;

    (void)state;
    assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
    assert_int_equal(env->trap.kind, TRAP_deadlock);
    assert_int_equal(env->trap.insn, 13);
    assert_null(env->spin_lock);
    env_free(env);
    code_put(code);
    map_put(map);
}

static void checked_never_becomes_unchecked(void **state)
{
    struct map *progs = new_map(MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0);
    struct code *bad = lowered("  r0 = 1\n  exit\n", NULL, 0, (struct code_opts){.checked = false});
    struct code *code =
        lowered("  r2 = map[a]\n  r3 = 0\n  call tail_call\n  exit\n", &progs, 1, (struct code_opts){.checked = true});
    struct skep_env *env = env_of(NULL, 0);
    uint32_t key = 0;
    uint64_t got;

    (void)state;
    assert_int_equal(map_set_thing(progs, &key, bad, 0), 0);
    assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
    assert_int_equal(env->trap.kind, TRAP_bad_call);
    env_free(env);
    code_put(code);
    code_put(bad);
    map_put(progs);
}

static void lookups(void **state)
{
    struct map *maps[3] = {new_map(MAP_TYPE_ARRAY, 4, 12, 3, 0), new_map(MAP_TYPE_PERCPU_ARRAY, 4, 8, 2, 0),
                           new_map(MAP_TYPE_HASH, 4, 8, 2, 0)};
    static const char *const found = "  *(u32 *)(r10 - 4) = %u\n"
                                     "  r2 = r10\n"
                                     "  r2 += -4\n"
                                     "  r1 = map[%c]\n"
                                     "  call map_lookup_elem\n"
                                     "  if r0 == 0 goto +4\n"
                                     "  r1 = 77\n"
                                     "  *(u64 *)(r0 + 0) = r1\n"
                                     "  r0 = *(u64 *)(r0 + 0)\n"
                                     "  exit\n"
                                     "  call get_smp_processor_id\n"
                                     "  r0 += 5\n"
                                     "  exit\n";
    static const struct {
        char map;
        unsigned index;
        uint64_t want;
    } cases[] = {{'a', 0, 77}, {'a', 2, 77}, {'a', 3, 5}, {'b', 1, 77}, {'b', 2, 5}, {'b', 0xffffffff, 5}, {'c', 0, 5}};

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text), found, cases[i].index, cases[i].map);
        gives(text, maps, 3, cases[i].want);
    }
    /* The constant in r1 counts only where no other way leads to the call. */
    gives("  *(u32 *)(r10 - 4) = 0\n"
          "  r2 = r10\n"
          "  r2 += -4\n"
          "  r3 = 1\n"
          "  r1 = map[c]\n"
          "  if r3 == 1 goto call\n"
          "  r1 = map[a]\n"
          "call:\n"
          "  call map_lookup_elem\n"
          "  exit\n",
          maps, 3, 0);
    for (unsigned i = 0; i < 3; i++)
        map_put(maps[i]);
}

static void callbacks(void **state)
{
    (void)state;
    /* r6 of the caller survives; the callback sees the caller's stack through its context. */
    gives("  r6 = 5\n"
          "  *(u64 *)(r10 - 8) = 0\n"
          "  r1 = 10\n"
          "  r2 = subprog[each]\n"
          "  r3 = r10\n"
          "  r3 += -8\n"
          "  r4 = 0\n"
          "  call loop\n"
          "  r0 = *(u64 *)(r10 - 8)\n"
          "  r0 += r6\n"
          "  exit\n"
          "each:\n"
          "  r6 = *(u64 *)(r2 + 0)\n"
          "  r6 += r1\n"
          "  *(u64 *)(r2 + 0) = r6\n"
          "  r0 = 0\n"
          "  exit\n",
          NULL, 0, 50);
}

static void a_trap_inside_a_callback_ends_the_run(void **state)
{
    struct code *code = lowered("  r1 = 10\n"
                                "  r2 = subprog[each]\n"
                                "  r3 = 0\n"
                                "  r4 = 0\n"
                                "  call loop\n"
                                "  r0 = 0\n"
                                "  exit\n"
                                "each:\n"
                                "  r0 = *(u64 *)(r2 + 0)\n"
                                "  exit\n",
                                NULL, 0, (struct code_opts){.checked = true});
    struct skep_env *env = env_of(NULL, 0);
    uint64_t got;

    (void)state;
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
        assert_int_equal(env->trap.kind, TRAP_null_pointer);
        assert_int_equal(env->trap.insn, 8);
    }
    env_free(env);
    code_put(code);
}

static unsigned released;

static void release(struct skep_env *env, struct env_ref *ref)
{
    (void)env, (void)ref;
    released++;
}

static uint64_t acquire(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    (void)a2, (void)a3, (void)a4, (void)a5;
    return env_ref_add(env, (struct env_ref){.addr = a1, .release = release});
}

static void leaks_trap_and_are_released(void **state)
{
    static const struct helper own[] = {{.id = 70000, .name = "acquire", .body = acquire, .arg = {ARG_ANYTHING}}};
    static const struct helper_set set = {.own = own, .n_own = 1, .own_only = true};
    struct asm_out out = assemble("  r1 = 4096\n  call 70000\n  r1 = 8192\n  call 70000\n  r0 = 0\n  exit\n");
    struct prog_spec spec = {.name = "leak", .insns = out.insns, .n_insns = out.n_insns, .helpers = &set};
    const struct code_opts opts = {.checked = true};
    struct skep_env *env = env_of(NULL, 0);
    struct prog *prog;
    struct code *code;
    uint64_t got;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
    assert_int_equal(code_lower(prog, NULL, NULL, &opts, &interp_engine, &said_all, &code), 0);
    assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
    assert_int_equal(env->trap.kind, TRAP_reference_leak);
    assert_int_equal(env->trap.insn, 5);
    assert_non_null(strstr(env->trap.text, "2 references"));
    assert_int_equal(released, 2);
    assert_int_equal(env->n_refs, 0);
    env_free(env);
    code_put(code);
    prog_put(prog);
    asm_free(&out);
}

static const char forever[] = "  r0 = 0\nloop:\n  r0 += 1\n  goto loop\n";

static void budgets(void **state)
{
    (void)state;
    for (unsigned w = 0; w < WAYS; w++) {
        struct code *code = lowered(forever, NULL, 0, every_way[w]);
        struct skep_env *env = env_of(NULL, 0);
        uint64_t got;

        env->insn_budget = 1000;
        assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
        assert_int_equal(env->trap.kind, TRAP_insn_limit);
        assert_int_equal(env->insn_budget, 0);
        env->insn_budget = 1000000;
        code_put(code);
        /* What is not used comes back; callbacks are charged from the same budget. */
        code = lowered("  r1 = 100\n  r2 = subprog[each]\n  r3 = 0\n  r4 = 0\n  call loop\n  exit\n"
                       "each:\n  r0 = 0\n  exit\n",
                       NULL, 0, every_way[w]);
        assert_int_equal(env_run(env, code, 0, 0, &got), 0);
        assert_int_equal(got, 100);
        assert_in_range(env->insn_budget, 999000, 999900);
        env->insn_budget = 50;
        assert_int_equal(env_run(env, code, 0, 0, &got), -EFAULT);
        assert_int_equal(env->trap.kind, TRAP_insn_limit);
        env_free(env);
        code_put(code);
    }
}

struct runner {
    struct code *code;
    struct skep_env *env;
    int err;
    uint64_t got;
};

static void *run_one(void *arg)
{
    struct runner *r = arg;

    r->err = env_run(r->env, r->code, 1000000, 0, &r->got);
    return NULL;
}

static void stops_from_another_thread(void **state)
{
    (void)state;
    for (unsigned w = 0; w < WAYS; w++) {
        volatile uint32_t stop = 0;
        struct runner r = {.code = lowered(forever, NULL, 0, every_way[w]), .env = env_of(NULL, 0)};
        pthread_t thread;

        r.env->stop = &stop;
        assert_int_equal(pthread_create(&thread, NULL, run_one, &r), 0);
        usleep(2000);
        stop = 1;
        pthread_join(thread, NULL);
        assert_int_equal(r.err, -EFAULT);
        assert_int_equal(r.env->trap.kind, TRAP_stopped);
        env_free(r.env);
        code_put(r.code);
    }
}

static void threads_share_code(void **state)
{
    struct map *map = new_map(MAP_TYPE_ARRAY, 4, 8, 1, 0);

    (void)state;
    for (unsigned w = 0; w < WAYS; w++) {
        struct code *code = lowered("  r2 = map[a][0]+0\n"
                                    "  r0 = 0\n"
                                    "  r3 = 1\n"
                                    "loop:\n"
                                    "  lock *(u64 *)(r2 + 0) += r3\n"
                                    "  *(u64 *)(r10 - 8) = r0\n"
                                    "  r0 = *(u64 *)(r10 - 8)\n"
                                    "  r0 += 1\n"
                                    "  r1 += -20\n"
                                    "  if r1 s> 0 goto loop\n"
                                    "  exit\n",
                                    &map, 1, every_way[w]);
        struct runner r[4];
        pthread_t thread[4];
        uint64_t *count = map->ops->direct(map);

        *count = 0;
        for (unsigned i = 0; i < 4; i++) {
            r[i] = (struct runner){.code = code, .env = env_of(NULL, 0)};
            assert_int_equal(pthread_create(&thread[i], NULL, run_one, &r[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(thread[i], NULL);
            assert_int_equal(r[i].err, 0);
            assert_int_equal(r[i].got, 50000);
            env_free(r[i].env);
        }
        assert_int_equal(*count, 200000);
        code_put(code);
    }
    map_put(map);
}

static void sees_every_instruction(struct skep_env *env, void *ctx, uint32_t slot, const uint64_t *regs)
{
    char *text = ctx;

    (void)env;
    sprintf(text + strlen(text), "%u:%llu ", slot, (unsigned long long)regs[0]);
}

static void traces(void **state)
{
    struct code *code = lowered("  r0 = 1\n  r0 += 2\n  if r0 == 3 goto +1\n  r0 = 9\n  exit\n", NULL, 0,
                                (struct code_opts){.traced = true, .opts = CODE_OPT_ALL});
    struct skep_env *env = env_of(NULL, 0);
    char text[256] = "";
    uint64_t got;

    (void)state;
    env->on_insn = sees_every_instruction;
    env->on_insn_ctx = text;
    assert_int_equal(env_run(env, code, 0, 0, &got), 0);
    assert_string_equal(text, "0:0 1:1 2:3 4:3 ");
    env_free(env);
    code_put(code);
}

/*
 * Random programs under checked execution, with all that they may touch between canaries: whatever the bytes, no canary
 * changes. Instructions are drawn so that most are sensible and addresses lie near what may be touched.
 */
static uint64_t seed;

static uint64_t draw(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % n;
}

static struct skep_insn random_insn(uint32_t at, uint32_t n)
{
    static const uint8_t memory[] = {0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91, 0x62, 0x6a, 0x72,
                                     0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xdb, 0xcb, 0xd3};
    static const int32_t atomics[] = {0, 1, 0x40, 0x41, 0x50, 0xa1, 0xe1, 0xf1, 0x100, 0x110};
    static const uint8_t alu[] = {0x07, 0x0f, 0x17, 0x1f, 0xbf, 0xb7, 0x57, 0x67, 0x77, 0x04, 0xbc, 0xb4};
    static const int32_t calls[] = {1, 2, 3, 5, 12, 14, 28, 131, 132, 181, 164, 25, 182};
    struct skep_insn i = {.dst_reg = (uint8_t)draw(11), .src_reg = (uint8_t)draw(11)};

    i.off = (int16_t)(draw(2) ? (int64_t)draw(80) - 8 : -(int64_t)draw(530));
    i.imm = (int32_t)(draw(4) ? draw(16) : draw(1u << 31));
    switch (draw(8)) {
    case 0:
    case 1:
    case 2:
        i.code = memory[draw(sizeof(memory))];
        if ((i.code & 7) == 3)
            i.imm = (i.code & 0xe0) == 0xc0 ? atomics[draw(10)] : 0;
        else if ((i.code & 7) == 1)
            i.imm = 0;
        else
            i.src_reg = 0;
        break;
    case 3:
    case 4:
        i.code = alu[draw(sizeof(alu))];
        i.off = 0;
        if (i.code & 8)
            i.imm = 0;
        else
            i.src_reg = 0;
        break;
    case 5:
        i.code = (uint8_t)(draw(14) << 4 | (draw(2) ? 5 : 6) | (draw(2) ? 8 : 0));
        i.off = (int16_t)((int64_t)draw(n) - at - 1);
        if (i.code & 8)
            i.imm = 0;
        else
            i.src_reg = 0;
        if (i.code == 0x85) {
            i = (struct skep_insn){.code = 0x85, .imm = calls[draw(13)]};
            if (!draw(4))
                i = (struct skep_insn){.code = 0x85, .src_reg = 1, .imm = (int32_t)draw(n) - (int32_t)at - 1};
        }
        break;
    case 6: i = (struct skep_insn){.code = 0x85, .imm = calls[draw(13)]}; break;
    default:
        if (draw(4))
            i = (struct skep_insn){.code = 0xbf, .dst_reg = (uint8_t)draw(10), .src_reg = draw(2) ? 10 : 6};
        else
            for (unsigned b = 0; b < 8; b++)
                ((uint8_t *)&i)[b] = (uint8_t)draw(256);
    }
    return i;
}

enum { CANARY = 256, MEM = 64 };

static void set_canaries(unsigned char *mem)
{
    memset(mem, 0xc5, CANARY);
    memset(mem + CANARY + MEM, 0xc5, CANARY);
}

static bool canaries_live(const unsigned char *mem)
{
    for (unsigned i = 0; i < CANARY; i++)
        if (mem[i] != 0xc5 || mem[CANARY + MEM + i] != 0xc5)
            return false;
    return true;
}

static void random_program(uint64_t number, struct map *const *maps, uint32_t n_maps)
{
    static unsigned char raw[MEM + 2 * CANARY], packet[MEM + 2 * CANARY], fixed[MEM + 2 * CANARY];
    static const struct map_def *defs[8];
    struct skep_insn insns[48];
    struct prog_spec spec = {.name = "random", .insns = insns, .maps = defs, .n_maps = n_maps};
    struct code_opts opts = {.checked = true, .opts = number & 1 ? CODE_OPT_ALL : 0};
    struct skep_env *env = env_of(raw + CANARY, MEM);
    uint32_t n = 0;
    struct prog *prog;
    struct code *code;
    uint64_t got;

    seed = number * 0x9e3779b97f4a7c15 + 1;
    for (uint32_t i = 0; i < n_maps; i++)
        defs[i] = &maps[i]->def;
    insns[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = 6, .src_reg = 1};
    for (unsigned k = 0; k < 3; k++) { /* registers with a map, a value and a function */
        insns[n++] = (struct skep_insn){.code = 0x18,
                                        .dst_reg = (uint8_t)(7 + k),
                                        .src_reg = k == 0   ? 5
                                                   : k == 1 ? 6
                                                            : 4,
                                        .imm = k == 2   ? (int32_t)draw(40) - 4
                                               : k == 1 ? 0
                                                        : (int32_t)draw(n_maps)};
        insns[n++] = (struct skep_insn){0};
    }
    while (n < 46) {
        insns[n] = random_insn(n, 48);
        n++;
    }
    insns[n++] = (struct skep_insn){.code = 0xb7};
    insns[n++] = (struct skep_insn){.code = 0x95};
    spec.n_insns = n;
    set_canaries(raw);
    set_canaries(packet);
    set_canaries(fixed);
    memset(fixed + CANARY, 0x3c, MEM);
    env->mems[1] = (struct env_mem){0x10000, fixed + CANARY, MEM, ENV_READ, ENV_MEM_RAW, "fixed"};
    env->n_mems = 2;
    env->packet.buf = env->packet.data = packet + CANARY;
    env->packet.data_end = packet + CANARY + MEM;
    env->packet.cap = MEM;
    env->insn_budget = 3000;
    assert_int_equal(prog_new(&spec, true, NULL, &prog), 0);
    assert_int_equal(code_lower(prog, NULL, maps, &opts, &interp_engine, NULL, &code), 0);
    uint64_t first = draw(4);
    env_run(env, code,
            (uintptr_t)(first == 0   ? packet + CANARY
                        : first == 1 ? (unsigned char *)0x10000
                                     : raw + CANARY),
            MEM, &got);
    assert_int_equal(env->n_refs, 0);
    if (!canaries_live(raw) || !canaries_live(packet) || !canaries_live(fixed))
        fail_msg("program %llu wrote where it may not", (unsigned long long)number);
    for (unsigned i = 0; i < MEM; i++)
        if (fixed[CANARY + i] != 0x3c)
            fail_msg("program %llu wrote to read-only memory", (unsigned long long)number);
    memset(&env->packet, 0, sizeof(env->packet)); /* not the environment's to free */
    env_free(env);
    code_put(code);
    prog_put(prog);
}

static void sandbox(void **state)
{
    struct map *maps[4] = {new_map(MAP_TYPE_ARRAY, 4, 24, 1, 0), new_map(MAP_TYPE_HASH, 4, 8, 4, 0),
                           new_map(MAP_TYPE_RINGBUF, 0, 0, 4096, 0), new_map(MAP_TYPE_PERCPU_ARRAY, 4, 8, 2, 0)};
    const char *count = getenv("SANDBOX_PROGRAMS");
    unsigned long n = count ? strtoul(count, NULL, 0) : 30000;

    (void)state;
    for (unsigned long i = 0; i < n; i++)
        random_program(i, maps, 4);
    for (unsigned i = 0; i < 4; i++)
        map_put(maps[i]);
    epoch_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traps),
        cmocka_unit_test(frames),
        cmocka_unit_test(popped_frames_are_gone),
        cmocka_unit_test(tail_calls),
        cmocka_unit_test(a_tail_call_needs_as_much_context_as_its_target),
        cmocka_unit_test(a_lock_holder_calls_no_helper),
        cmocka_unit_test(checked_never_becomes_unchecked),
        cmocka_unit_test(lookups),
        cmocka_unit_test(callbacks),
        cmocka_unit_test(a_trap_inside_a_callback_ends_the_run),
        cmocka_unit_test(leaks_trap_and_are_released),
        cmocka_unit_test(budgets),
        cmocka_unit_test(stops_from_another_thread),
        cmocka_unit_test(threads_share_code),
        cmocka_unit_test(traces),
        cmocka_unit_test(sandbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
