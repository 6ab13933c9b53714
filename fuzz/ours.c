/*
 * A program on our side: judged as usual; then judged once more with pruning that looks at every number, which must not
 * find anything to refuse that pruning hid; then run on each input, watched against both explorations, checked, trusted
 * with the facts, as the intermediate form and as machine code. All ways start from the same contents of the same maps
 * and must leave the same.
 */
#include "fuzz/world.h"
#include "tests/ir/eval.h"
#include "tests/runner/jits.h"
#include "verifier/contains.h"
#include "vm/ctx/ctx.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GARBAGE: what the stack is full of before each run, lest what must be cleared be clean by chance. */
enum { GARBAGE = 0xa5, BUDGET = 30000, EXACT_LIMIT = 20000, LIMIT = 100000, IMPATIENT = 10 };

struct ours {
    struct world world;
    struct skep_env *env;
    bool interp; /* alone */
};

struct way {
    const char *name;
    bool checked, facts, watched;
    uint32_t opts;
    const struct jit_variant *jit; /* NULL: it is not the JIT that runs */
    const struct engine *form;     /* the evaluator of the intermediate form; both NULL: the interpreter */
};

static const struct way ways[] = {
    {"watched", true, false, true, 0, NULL, NULL},
    {"checked", true, true, false, CODE_OPT_ALL, NULL, NULL},
    {"trusted", false, true, false, CODE_OPT_ALL, NULL, NULL},
};

/* A program that is being tried. */
struct trial {
    struct prog *prog;
    const struct gen_prog *p;
    uint32_t named; /* maps */
    const struct input *inputs;
    const struct facts *facts;
    const struct explored *explored, *exact; /* exact: NULL when that did not come to an end */
    struct verdict_of_us *v;
};

struct ours *ours_new(bool interp)
{
    struct ours *o = calloc(1, sizeof(*o));

    if (o)
        o->interp = interp;
    if (!o || !(o->env = env_new()) || world_make(&o->world)) {
        ours_free(o);
        return NULL;
    }
    return o;
}

void ours_free(struct ours *o)
{
    if (!o)
        return;
    env_free(o->env);
    world_free(&o->world);
    free(o);
}

static uint64_t limit(const struct gen_prog *p, uint64_t most)
{
    return p->patient ? most : most / IMPATIENT;
}

static int run(struct ours *o, const struct trial *t, const struct code *code, const struct input *in, uint64_t budget,
               struct result *out)
{
    struct ctx_io io = {.data_in = in->packet, .data_size_in = t->p->type ? in->size : GEN_RAW};
    unsigned char(*frames)[PROG_STACK_FRAME] =
        (void *)((unsigned char *)o->env->stack + (PROG_MAX_DEPTH - PROG_MAX_FRAMES) * (size_t)PROG_STACK_FRAME);
    uint64_t r0 = 0;
    int err = ctx_open(o->env, t->p->type, &io, NULL);

    if (err)
        return err;
    o->env->insn_budget = budget;
    memset(frames, GARBAGE, sizeof(frames[0]) * PROG_MAX_FRAMES);
    err = env_run(o->env, code, (uintptr_t)o->env->ctx, t->p->type ? 0 : o->env->ctx_size, &r0);
    ctx_close(o->env, t->p->type, &io, r0);
    memset(out, 0, sizeof(*out));
    out->retval = (uint32_t)r0;
    world_read(&o->world, t->named, out);
    return err;
}

static bool fails(struct verdict_of_us *v, enum fate fate)
{
    v->fate = fate;
    return false;
}

static bool trapped(struct ours *o, const struct trial *t, const struct way *way, unsigned n, int err)
{
    const struct trap *trap = &o->env->trap;

    if (err == -EFAULT && trap->kind == TRAP_insn_limit && t->p->unsteady)
        return true;
    t->v->insn = trap->insn;
    snprintf(t->v->text, sizeof(t->v->text), "%s, input %u: at %u: trap %d: %s", way->name, n, trap->insn, trap->kind,
             err == -EFAULT ? trap->text : strerror(-err));
    return fails(t->v, err != -EFAULT ? FATE_BROKEN : trap->kind == TRAP_invariant ? FATE_VIOLATED : FATE_TRAPPED);
}

/* Runs once, watched by whatever was explored. @return false when something is wrong, which the verdict then says. */
static bool try_input(struct ours *o, const struct trial *t, const struct way *way, const struct code *code, unsigned n)
{
    struct invariants inv = {0};
    uint64_t budget = limit(t->p, BUDGET);
    struct result result;
    int err;

    o->env->on_insn = NULL;
    if (way->watched && !explored_unfit(t->explored)) {
        invariants_watch(&inv, t->explored, t->prog, o->env);
        if (!explored_unfit(t->exact))
            invariants_watch_also(&inv, t->exact);
    }
    err = run(o, t, code, &t->inputs[n], budget, &result);
    if (err == -EFAULT && o->env->trap.kind == TRAP_insn_limit && !t->p->unsteady && budget < BUDGET) /* it must end */
        err =
            world_reset(&o->world, t->named, &t->inputs[n]) ? run(o, t, code, &t->inputs[n], BUDGET, &result) : -ENOMEM;
    t->v->insns_watched += inv.checked;
    if (err)
        return trapped(o, t, way, n, err);
    if (way == ways) {
        t->v->results[n] = result;
    } else if (!t->p->unsteady && memcmp(&t->v->results[n], &result, sizeof(result))) {
        snprintf(t->v->text, sizeof(t->v->text), "%s, input %u: returned %#x, before %#x", way->name, n, result.retval,
                 t->v->results[n].retval);
        return fails(t->v, FATE_DIFFERS);
    }
    return true;
}

static bool try_way(struct ours *o, const struct trial *t, const struct way *way)
{
    const struct code_opts opts = {.checked = way->checked,
                                   .opts = way->opts,
                                   .count_insns = true,
                                   .traced = way->watched,
                                   .no_ir = way->jit ? way->jit->no_ir : 0,
                                   .jit = way->jit ? way->jit->jit : NULL};
    const struct engine *engine = way->jit ? &jit_engine : way->form ? way->form : &interp_engine;
    bool ring = t->named >> GEN_RING & 1, ok = world_set_tails(&o->world, t->named, &opts, engine);
    struct code *code = NULL;

    if (!ok)
        return fails(t->v, FATE_BROKEN);
    for (unsigned n = 0; n < 2 && ok; n++) {
        ok = world_reset(&o->world, t->named, &t->inputs[n]) && (!ring || world_fresh_ring(&o->world));
        if (ring) { /* code names its maps */
            code_put(code);
            code = NULL;
        }
        if (!ok ||
            (!code && code_lower(t->prog, way->facts ? t->facts : NULL, o->world.maps, &opts, engine, NULL, &code))) {
            code_put(code);
            return fails(t->v, FATE_BROKEN);
        }
        ok = try_input(o, t, way, code, n);
    }
    code_put(code);
    return ok;
}

/* Which of many ways a program is to be run in: each program has its own, whatever came before it. */
static unsigned turn_of(const struct gen_prog *p)
{
    const unsigned char *bytes = (const unsigned char *)p->insns;
    uint32_t h = 2166136261;

    for (size_t i = 0; i < p->n * sizeof(p->insns[0]); i++)
        h = (h ^ bytes[i]) * 16777619;
    return h >> 4;
}

/* As it is, and in one of its other variants, each in its turn; with and without facts. */
static void try_jit(struct ours *o, const struct trial *t)
{
    unsigned n, other;
    const char *why;
    const struct jit_variant *all = jit_variants(&n, &why);
    struct way way = {.facts = true, .opts = CODE_OPT_ALL};

    if (!n)
        return;
    way.name = all[0].name;
    way.jit = &all[0];
    if (!try_way(o, t, &way) || n == 1)
        return;
    other = 1 + turn_of(t->p) % (n - 1);
    way.name = all[other].name;
    way.jit = &all[other];
    way.facts = turn_of(t->p) / (n - 1) & 1;
    try_way(o, t, &way);
}

/* The form between code and machine code, as one of its engines has it, each in its turn. */
static bool try_form(struct ours *o, const struct trial *t)
{
    unsigned n;
    const struct ir_engine *all = ir_engines(&n);
    unsigned turn = turn_of(t->p);
    const struct ir_engine *e = &all[turn % n];
    const struct way way = {.name = e->name, .facts = turn / n & 1, .opts = CODE_OPT_ALL, .form = &e->engine};

    return try_way(o, t, &way);
}

static struct verify_opts options(const struct gen_prog *p, enum verify_keep keep, uint64_t most)
{
    return (struct verify_opts){.keep_states = keep,
                                .max_insns = limit(p, most),
                                .unprivileged = p->unprivileged,
                                .raw_mem_size = p->type ? 0 : GEN_RAW,
                                .raw_mem_writable = p->raw_writable};
}

static struct prog *make(const struct gen_prog *p)
{
    const struct map_def *defs[GEN_MAPS];
    struct prog_spec spec = {.name = "random",
                             .section = "",
                             .file = "",
                             .license = "GPL",
                             .attach_target = "",
                             .type = p->type,
                             .insns = p->insns,
                             .n_insns = p->n,
                             .maps = defs,
                             .n_maps = GEN_MAPS};
    struct prog *prog = NULL;

    for (unsigned i = 0; i < GEN_MAPS; i++)
        defs[i] = &gen_maps[i];
    return prog_new(&spec, false, NULL, &prog) ? NULL : prog;
}

/* Does the refusal come of walking further, and say nothing of what pruning may hide? Limits do; for programs without
 * rights, Linux compares what an instruction does to pointers on different paths, however possible they are; and what
 * they overwrite in part without reading it later was not compared, as nothing that is dead is. */
static bool is_limit(const struct verify_result *r)
{
    return r->reason == REASON_too_complex || r->reason == REASON_out_of_memory || r->reason == REASON_infinite_loop ||
           (r->reason == REASON_unprivileged && strstr(r->message, "on different paths")) ||
           (r->reason == REASON_stack_pointer_corrupted && strstr(r->message, "attempt to overwrite part"));
}

/* Is what pruning hid a pointer where an older state had unknown bytes, a number to whoever may see pointers? Then it
 * shows as well when pruning tells these apart and is as usual otherwise. */
static bool parts_of_pointers(struct prog *prog, const struct gen_prog *p, enum reason reason)
{
    struct verify_opts opts = options(p, VERIFY_KEEP_NONE, LIMIT);
    struct verify_result result = {0};
    bool same;

    opts.numbers_apart = true;
    same = !verify_prog(prog, &opts, NULL, &result) && result.verdict == VERDICT_REJECT && result.reason == reason;

    verify_result_free(&result);
    return same;
}

/* Accepted: everything that must hold of it. */
static void test(struct ours *o, struct prog *prog, struct verify_result *verified, const struct gen_prog *p,
                 const struct input inputs[2], struct verdict_of_us *v)
{
    const struct verify_opts exact_opts = options(p, VERIFY_KEEP_EXACT, EXACT_LIMIT);
    struct verify_result exact = {0};
    bool ok = true;
    struct trial t = {.prog = prog,
                      .p = p,
                      .named = gen_maps_named(p),
                      .inputs = inputs,
                      .facts = &verified->facts,
                      .explored = verified->explored,
                      .v = v};

    if (verify_prog(prog, &exact_opts, NULL, &exact)) {
        v->fate = FATE_BROKEN;
        return;
    }
    v->exact = exact.verdict == VERDICT_ACCEPT;
    if (exact.verdict != VERDICT_ACCEPT && !is_limit(&exact))
        v->unwritten = parts_of_pointers(prog, p, exact.reason);
    if (exact.verdict != VERDICT_ACCEPT && !is_limit(&exact) && !v->unwritten) {
        v->fate = FATE_PRUNED;
        v->insn = exact.insn;
        snprintf(v->text, sizeof(v->text), "without pruning by precision: %s at %u: %s", reason_name(exact.reason),
                 exact.insn, exact.message);
        verify_result_free(&exact);
        return;
    }
    v->fate = FATE_RAN;
    t.exact = exact.explored;
    for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]) && ok; w++)
        ok = try_way(o, &t, &ways[w]);
    if (ok && !o->interp && try_form(o, &t))
        try_jit(o, &t);
    verify_result_free(&exact);
}

bool ours_accepts_plainly(const struct gen_prog *p)
{
    struct verify_opts opts = options(p, VERIFY_KEEP_NONE, LIMIT);
    struct verify_result result = {0};
    struct prog *prog = make(p);
    bool accepts;

    opts.linux_numbers = true;
    accepts = prog && !verify_prog(prog, &opts, NULL, &result) && result.verdict == VERDICT_ACCEPT;
    verify_result_free(&result);
    prog_put(prog);
    return accepts;
}

void ours_judge(struct ours *o, const struct gen_prog *p, const struct input inputs[2], struct verdict_of_us *v)
{
    const struct verify_opts opts = options(p, VERIFY_KEEP_POINTERS, LIMIT);
    struct verify_result verified = {0};
    struct prog *prog = make(p);

    memset(v, 0, sizeof(*v));
    if (!prog) {
        v->fate = FATE_REFUSED;
        v->reason = REASON_bad_instruction;
        return;
    }
    if (verify_prog(prog, &opts, NULL, &verified)) {
        v->fate = FATE_BROKEN;
    } else {
        v->reason = verified.reason;
        v->insn = verified.insn;
        v->insns_processed = verified.insns_processed;
        snprintf(v->text, sizeof(v->text), "%s", verified.message);
        v->fate = verified.verdict == VERDICT_UNSUPPORTED ? FATE_UNSUPPORTED : FATE_REFUSED;
        if (verified.verdict == VERDICT_ACCEPT)
            test(o, prog, &verified, p, inputs, v);
        verify_result_free(&verified);
    }
    prog_put(prog);
}
