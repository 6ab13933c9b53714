/*
 * Random programs by the million: each on the interpreter as it stands and with operations fused, as machine code, and
 * as hardened machine code; one in EVERY besides as machine code over the verifier's facts, and in one of the JIT's
 * other variants by turns. The program is decoded once, and one environment and one memory serve all runs, which is all
 * that makes this faster than engines_run().
 */
#include "tests/runner/jits.h"
#include "tests/runner/runner.h"
#include "vm/env.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BASIC = 2 /* of the JIT's variants run each time */, EVERY = 8, BUDGET = 1 << 24 };

struct quick {
    const struct test *test;
    struct prog *prog;
    struct skep_env *env;
    struct keeper keeper;
    struct log log;
    struct buf *report;
    const struct facts *facts; /* for the way that is run next */
    unsigned failed;
};

static struct skep_env *shared_env(void)
{
    static struct skep_env *env;

    return env ? env : (env = env_new());
}

static void run(struct quick *q, const struct code *code, struct outcome *o)
{
    uint8_t mem[256];
    struct skep_env *env = q->env;
    int err;

    if (q->test->mem.size > sizeof(mem)) {
        o->failure = "its memory is too large";
        return;
    }
    memcpy(mem, q->test->mem.data, q->test->mem.size);
    env->checked = false;
    env->ctx = mem;
    env->ctx_size = q->test->mem.size;
    env->ctx_layout = NULL;
    env->insn_budget = BUDGET;
    err = env_run(env, code, (uintptr_t)mem, q->test->mem.size, &o->r0);
    if (err == -EFAULT) {
        o->trap = env->trap.kind;
        o->trap_line = 1;
        o->trap_text = arena_strdup(q->keeper.arena, env->trap.text);
    } else if (err) {
        o->failure = strerror(-err);
    }
    o->mem = (struct bytes){.data = mem, .size = q->test->mem.size};
    q->failed += !judge(q->test, code->opts.engine, o, q->report);
}

static void way(struct quick *q, const char *name, const struct engine *engine, uint32_t opts,
                const struct jit_variant *jit)
{
    const struct code_opts o = {
        .opts = opts, .engine = name, .no_ir = jit ? jit->no_ir : 0, .jit = jit ? jit->jit : NULL};
    struct outcome out = {0};
    struct code *code = NULL;

    if (code_lower(q->prog, q->facts, NULL, &o, engine, &q->log, &code)) {
        out.failure = q->keeper.first ? q->keeper.first : "no code";
        q->failed += !judge(q->test, name, &out, q->report);
        return;
    }
    run(q, code, &out);
    code_put(code);
}

static void with_facts(struct quick *q, const struct jit_variant *jit)
{
    struct verify_opts opts = test_verify_opts(q->test);
    struct verify_result result = {0};
    struct outcome out = {0};

    if (verify_prog(q->prog, &opts, NULL, &result) || result.verdict != VERDICT_ACCEPT) {
        out.failure = "the verifier does not accept it";
        q->failed += !judge(q->test, "verifier", &out, q->report);
    } else {
        q->facts = &result.facts;
        way(q, "jit, verified", &jit_engine, CODE_OPT_ALL, jit);
        q->facts = NULL;
    }
    verify_result_free(&result);
}

unsigned quick_run(const struct test *test, uint64_t turn, struct buf *report)
{
    struct arena arena = {0};
    struct quick q = {.test = test, .env = shared_env(), .keeper = {.arena = &arena}, .report = report};
    const char *why;
    unsigned n;
    const struct jit_variant *jit = jit_variants(&n, &why);

    q.log = (struct log){.fn = keep, .ctx = &q.keeper, .max = SKEP_LOG_ERROR};
    if (!q.env || test_make_prog(test, test, false, &q.log, &q.prog)) {
        struct outcome out = {.failure = q.keeper.first ? q.keeper.first : "out of memory"};

        return !judge(test, "quick", &out, report);
    }
    way(&q, "interp", &interp_engine, 0, NULL);
    way(&q, "interp, optimised", &interp_engine, CODE_OPT_ALL, NULL);
    for (unsigned i = 0; i < BASIC && i < n; i++)
        way(&q, jit[i].name, &jit_engine, CODE_OPT_ALL, &jit[i]);
    if (n && turn % EVERY == 0) {
        const struct jit_variant *other = &jit[BASIC + turn / EVERY % (n - BASIC)];

        with_facts(&q, &jit[turn / EVERY % BASIC]);
        way(&q, other->name, &jit_engine, CODE_OPT_ALL, other);
    }
    prog_put(q.prog);
    arena_free(&arena);
    return q.failed;
}
