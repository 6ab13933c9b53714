/*
 * Watched runs: what stays inside the states that were explored runs to its end, and what was assumed wrongly about the
 * world shows as a trap at the instruction where it first does.
 */
#include "verifier/contains.h"
#include "vm/ctx/ctx.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* r0 = *(u64 *)(r1 + 0); r0 &= 7; r0 += 1; exit */
static struct prog *make(void)
{
    const struct skep_insn insns[] = {isa_encode(ISA_LDX_DW, 0, 1, 0, 0), isa_encode(ISA_AND64_K, 0, 0, 0, 7),
                                      isa_encode(ISA_ADD64_K, 0, 0, 0, 1), isa_encode(ISA_EXIT, 0, 0, 0, 0)};
    const struct prog_spec spec = {.name = "watched",
                                   .section = "",
                                   .file = "",
                                   .license = "GPL",
                                   .attach_target = "",
                                   .insns = insns,
                                   .n_insns = 4};
    struct prog *prog = NULL;

    assert_int_equal(prog_new(&spec, false, NULL, &prog), 0);
    return prog;
}

/* Verified for `promised` bytes of memory, run with 8. */
static int watch(uint32_t promised, enum verify_keep keep, struct skep_env *env, uint64_t *checked)
{
    const struct verify_opts opts = {.raw_mem_size = promised, .keep_states = keep};
    const struct code_opts traced = {.traced = true, .checked = true, .count_insns = true};
    const uint8_t bytes[8] = {0xff, 1, 2};
    struct ctx_io io = {.data_in = bytes, .data_size_in = sizeof(bytes)};
    struct prog *prog = make();
    struct verify_result result;
    struct invariants inv;
    struct code *code;
    uint64_t r0 = 0;
    int err;

    assert_int_equal(verify_prog(prog, &opts, NULL, &result), 0);
    assert_int_equal(result.verdict, VERDICT_ACCEPT);
    assert_null(explored_unfit(result.explored));
    assert_int_equal(code_lower(prog, NULL, NULL, &traced, &interp_engine, NULL, &code), 0);
    assert_int_equal(ctx_open(env, NULL, &io, NULL), 0);
    invariants_watch(&inv, result.explored, prog, env);
    env->insn_budget = 1000;
    err = env_run(env, code, (uintptr_t)env->ctx, env->ctx_size, &r0);
    ctx_close(env, NULL, &io, r0);
    if (!err)
        assert_int_equal(r0, 8);
    *checked = inv.checked;
    code_put(code);
    verify_result_free(&result);
    prog_put(prog);
    return err;
}

static void inside(void **state)
{
    struct skep_env *env = env_new();
    uint64_t checked;

    (void)state;
    assert_non_null(env);
    assert_int_equal(watch(8, VERIFY_KEEP_EXACT, env, &checked), 0);
    assert_int_equal(checked, 4);
    assert_int_equal(watch(8, VERIFY_KEEP_POINTERS, env, &checked), 0);
    assert_int_equal(checked, 4);
    env_free(env);
}

static void outside(void **state)
{
    struct skep_env *env = env_new();
    uint64_t checked;

    (void)state;
    assert_non_null(env);
    assert_int_equal(watch(16, VERIFY_KEEP_POINTERS, env, &checked), -EFAULT);
    assert_int_equal(env->trap.kind, TRAP_invariant);
    assert_int_equal(env->trap.insn, 0);
    assert_int_equal(checked, 1);
    env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inside), cmocka_unit_test(outside)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
