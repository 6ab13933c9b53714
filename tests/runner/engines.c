/*
 * A test on our engines. A run makes everything anew, maps, code and environment, so that one way of running leaves
 * nothing to the next; all of it hangs on a struct bench, which gives it back.
 */
#include "api/core/core.h"
#include "tests/ir/eval.h"
#include "tests/runner/jits.h"
#include "tests/runner/runner.h"
#include "verifier/contains.h"
#include "vm/abi/map_types.h"
#include "vm/code.h"
#include "vm/ctx/ctx.h"
#include "vm/env.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_INSNS = 50000000, FEW_INSNS = 20000, MAX_OUT = 4096 };

/* Who runs programs: an engine, with what it is to leave out. */
struct runner {
    const struct engine *engine;
    const char *name;
    uint32_t no_ir;
    struct jit *jit;
};

/* All of them: the interpreter, the JIT in its variants, the evaluator in its own. @return false after the last. */
static bool runner_at(size_t i, struct runner *out)
{
    unsigned n_jit, n_ir;
    const char *why;
    const struct jit_variant *jit = jit_variants(&n_jit, &why);
    const struct ir_engine *ir = ir_engines(&n_ir);

    if (i == 0)
        *out = (struct runner){.engine = &interp_engine, .name = interp_engine.name};
    else if (i <= n_jit)
        *out = (struct runner){&jit_engine, jit[i - 1].name, jit[i - 1].no_ir, jit[i - 1].jit};
    else if (i <= n_jit + n_ir)
        *out = (struct runner){.engine = &ir[i - 1 - n_jit].engine, .name = ir[i - 1 - n_jit].name};
    else
        return false;
    return true;
}

/* Those that check nothing, and have but few ways of running. */
static bool is_compiler(const struct engine *engine)
{
    return engine->passes && !(engine->passes & CODE_OPT_FUSE);
}

static const struct way {
    const char *name;
    bool checked, verified; /* verified: with the facts of a verifier that accepts it */
    uint32_t opts;
    bool counted;          /* instructions are counted though nothing else is checked */
    enum verify_keep keep; /* watched: every instruction's state must lie in what the verifier explored */
} ways[] = {
    {"checked", true, false, 0, false, VERIFY_KEEP_NONE},
    {"checked, optimised", true, false, CODE_OPT_ALL, false, VERIFY_KEEP_NONE},
    {"unchecked", false, false, 0, false, VERIFY_KEEP_NONE},
    {"optimised", false, false, CODE_OPT_ALL, false, VERIFY_KEEP_NONE},
    {"verified", false, true, CODE_OPT_ALL, false, VERIFY_KEEP_NONE},
    {"verified, no fusing", false, true, CODE_OPT_ALL & ~CODE_OPT_FUSE, false, VERIFY_KEEP_NONE},
    {"verified, no facts", false, true, CODE_OPT_ALL & ~CODE_OPT_FACTS, false, VERIFY_KEEP_NONE},
    {"verified, no inlining", false, true, CODE_OPT_ALL & ~CODE_OPT_INLINE, false, VERIFY_KEEP_NONE},
    {"verified, counted", false, true, CODE_OPT_ALL, true, VERIFY_KEEP_NONE},
    {"no special handlers", false, false, CODE_OPT_ALL & ~CODE_OPT_SPECIAL, false, VERIFY_KEEP_NONE},
    {"inside what was explored", true, true, 0, false, VERIFY_KEEP_EXACT},
    {"inside what was explored, pointers", true, true, 0, false, VERIFY_KEEP_POINTERS},
};

/* Is this engine run in this way? */
static bool has_way(const struct engine *engine, const struct way *way)
{
    return !is_compiler(engine) ||
           (!way->checked && (way->opts == 0 || way->verified) &&
            (!way->verified || way->opts == CODE_OPT_ALL || way->opts == (CODE_OPT_ALL & ~CODE_OPT_FACTS)));
}

struct bench {
    const struct test *test;
    const struct runner *runner;
    const struct way *way;
    struct arena arena;
    struct keeper keeper;
    struct log log;
    struct map *maps[TEST_MAX_MAPS];
    struct code *code;
    struct skep_env *env;
    struct verify_result verified;
    struct invariants invariants;
    bool trapped;
    uint64_t budget;
};

static int make_maps(struct bench *b)
{
    for (uint32_t i = 0; i < b->test->n_maps; i++) {
        int err = map_create(&b->test->maps[i], 1, &b->log, &b->maps[i]);

        if (err)
            return err;
        if (b->maps[i]->def.type == MAP_TYPE_PROG_ARRAY)
            b->maps[i]->elem_ops = &code_elem_ops;
    }
    for (uint32_t i = 0; i < b->test->n_sets; i++) {
        const struct test_elem *e = &b->test->sets[i];
        int err = map_host_update(b->maps[e->map], e->key.data, e->value.data, MAP_ANY);

        if (err)
            return log_fail(&b->log, err, "map-set: %s", strerror(-err));
    }
    return 0;
}

static int make_code(struct bench *b, const struct test *test, struct code **out)
{
    const struct code_opts opts = {.checked = b->way->checked,
                                   .opts = b->way->opts,
                                   .count_insns = b->way->checked || b->way->counted,
                                   .traced = b->way->keep,
                                   .no_ir = b->runner->no_ir,
                                   .jit = b->runner->jit,
                                   .engine = b->runner->engine->name};
    struct verify_opts verify = test_verify_opts(test);
    struct verify_result result = {0};
    struct prog *prog;
    int err;

    verify.keep_states = b->way->keep;
    err = test_make_prog(test, b->test, test->trap != TRAP_none, &b->log, &prog);
    if (err)
        return err;
    if (b->way->verified)
        err = verify_prog(prog, &verify, NULL, &result);
    if (!err)
        err = code_lower(prog, b->way->verified && result.verdict == VERDICT_ACCEPT ? &result.facts : NULL, b->maps,
                         &opts, b->runner->engine, &b->log, out);
    /* A program that is in its own program array is made twice. */
    if (test == b->test && !b->verified.facts.insns && !b->verified.explored)
        b->verified = result;
    else
        verify_result_free(&result);
    prog_put(prog);
    return err;
}

static int set_tails(struct bench *b)
{
    for (uint32_t i = 0; i < b->test->n_tails; i++) {
        const struct test_tail *t = &b->test->tails[i];
        struct code *code = NULL;
        int err = make_code(b, t->of, &code);

        if (err)
            return err;
        err = map_set_thing(b->maps[t->map], &t->index, code, MAP_ANY);
        code_put(code);
        if (err)
            return log_fail(&b->log, err, "tail: %s", strerror(-err));
    }
    return 0;
}

static struct bytes room(struct bench *b, uint32_t size)
{
    return (struct bytes){.data = arena_alloc(&b->arena, size), .size = size};
}

static int run(struct bench *b, struct outcome *o)
{
    const struct test *t = b->test;
    const struct bytes *data = t->type ? &t->data : &t->mem;
    struct bytes data_out = room(b, data->size + MAX_OUT), ctx_out = room(b, t->ctx.size + MAX_OUT);
    struct ctx_io io = {.data_in = data->data,
                        .data_size_in = data->size,
                        .ctx_in = t->ctx.data,
                        .ctx_size_in = t->ctx.size,
                        .data_out = data_out.data,
                        .data_size_out = data_out.size,
                        .ctx_out = ctx_out.data,
                        .ctx_size_out = ctx_out.size};
    int err = ctx_open(b->env, t->type, &io, &b->log);

    if (err)
        return log_fail(&b->log, err, "context: %s", strerror(-err));
    b->env->insn_budget = b->budget;
    if (b->verified.explored && !explored_unfit(b->verified.explored))
        invariants_watch(&b->invariants, b->verified.explored, b->code->prog, b->env);
    err = env_run(b->env, b->code, (uintptr_t)b->env->ctx, t->type ? 0 : b->env->ctx_size, &o->r0);
    if (err == -EFAULT) {
        o->trap = b->env->trap.kind;
        o->trap_line = b->env->trap.insn < t->n_insns ? t->lines[b->env->trap.insn] : 0;
        o->trap_text = arena_strdup(&b->arena, b->env->trap.text);
        err = 0;
    }
    if (!err)
        err = ctx_close(b->env, t->type, &io, o->r0);
    o->mem = o->data = (struct bytes){.data = data_out.data, .size = io.data_size_out};
    o->ctx = (struct bytes){.data = ctx_out.data, .size = io.ctx_size_out};
    return err ? log_fail(&b->log, err, "run: %s", strerror(-err)) : 0;
}

static void read_elems(struct bench *b, struct outcome *o)
{
    for (uint32_t i = 0; i < b->test->n_outs; i++) {
        const struct test_elem *e = &b->test->outs[i];
        uint8_t *value = arena_alloc(&b->arena, map_host_value_size(b->maps[e->map]));

        if (!map_host_lookup(b->maps[e->map], e->key.data, value, 0))
            o->elems[i] = value;
    }
}

static void run_once(struct bench *b, struct outcome *o)
{
    int err = make_maps(b);

    if (!err)
        err = make_code(b, b->test, &b->code);
    if (!err)
        err = set_tails(b);
    if (!err && !(b->env = env_new()))
        err = log_fail(&b->log, -ENOMEM, "out of memory");
    if (!err)
        err = run(b, o);
    if (!err)
        read_elems(b, o);
    if (err)
        o->failure = b->keeper.first ? b->keeper.first : strerror(-err);
    b->trapped = o->trap != TRAP_none;
}

static void clear(struct bench *b)
{
    env_free(b->env);
    verify_result_free(&b->verified);
    /* A program in its own program array holds itself: empty the arrays first. */
    for (uint32_t i = 0; i < b->test->n_tails; i++)
        if (b->maps[b->test->tails[i].map])
            map_set_thing(b->maps[b->test->tails[i].map], &b->test->tails[i].index, NULL, MAP_ANY);
    if (b->code)
        code_put(b->code);
    for (uint32_t i = 0; i < b->test->n_maps; i++)
        map_put(b->maps[i]);
    arena_free(&b->arena);
}

static void set_up(struct bench *b, const struct test *test, const struct runner *runner, const struct way *way)
{
    *b = (struct bench){.test = test, .runner = runner, .way = way, .budget = MAX_INSNS};
    b->keeper.arena = &b->arena;
    b->log = (struct log){.fn = keep, .ctx = &b->keeper, .max = SKEP_LOG_ERROR};
}

/* Runs once and judges. */
static bool run_way(struct bench *b, const char *how, struct buf *report)
{
    struct outcome o = {0};
    bool ok;

    run_once(b, &o);
    ok = judge(b->test, how, &o, report);
    clear(b);
    return ok;
}

enum trap_kind engines_survive(const struct test *test)
{
    enum trap_kind last = TRAP_none;

    struct runner r;

    for (size_t e = 0; runner_at(e, &r); e++)
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            struct outcome o = {0};
            struct bench b;

            if (!ways[w].checked || is_compiler(r.engine))
                continue;
            set_up(&b, test, &r, &ways[w]);
            b.budget = FEW_INSNS;
            run_once(&b, &o);
            last = o.trap;
            clear(&b);
        }
    return last;
}

/* Is runner i among those of this turn? */
static bool has_turn(size_t i, uint64_t turn)
{
    enum { ALWAYS = 3, EVERY = 16 };

    return !turn || i < ALWAYS || i % EVERY == turn % EVERY;
}

unsigned engines_run(const struct test *test, const char *only, uint64_t turn, struct buf *report)
{
    struct buf repeated = {0}; /* what further ways say is mostly the same again */
    unsigned failed = 0;
    bool trapped = test->trap != TRAP_none;

    struct runner r;

    for (size_t e = 0; runner_at(e, &r); e++)
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            struct bench b;
            char how[128];

            /* What traps, expected or not, has no meaning where nothing is checked. */
            if ((only && strncmp(only, r.name, strlen(only))) || (trapped && !ways[w].checked) ||
                !has_way(r.engine, &ways[w]) || !has_turn(e, turn))
                continue;
            set_up(&b, test, &r, &ways[w]);
            snprintf(how, sizeof(how), "%s, %s", r.name, ways[w].name);
            failed += !run_way(&b, how, failed ? &repeated : report);
            trapped |= b.trapped;
        }
    if (failed > 1)
        buf_printf(report, "    and %u other ways\n", failed - 1);
    buf_free(&repeated);
    return failed;
}
