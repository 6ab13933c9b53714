/*
 * A program on our side: judged as usual; then judged once more with pruning that looks at every number, which must not
 * find anything to refuse that pruning hid; then run on each input, watched against both explorations, checked, trusted
 * with the facts, and as machine code. All ways start from the same contents of the same maps and must leave the same.
 */
#include "fuzz/vfuzz.h"
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
    struct map *maps[GEN_MAPS];
    struct skep_env *env;
    unsigned turn, form_turn; /* of the JIT's variants, and of the form's engines */
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
    const struct input *inputs;
    const struct facts *facts;
    const struct explored *explored, *exact; /* exact: NULL when that did not come to an end */
    struct verdict_of_us *v;
};

struct ours *ours_new(void)
{
    struct ours *o = calloc(1, sizeof(*o));

    if (!o || !(o->env = env_new())) {
        ours_free(o);
        return NULL;
    }
    for (unsigned i = 0; i < GEN_MAPS; i++)
        if (map_create(&gen_maps[i], 1, NULL, &o->maps[i])) {
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
    for (unsigned i = 0; i < GEN_MAPS; i++)
        map_put(o->maps[i]);
    free(o);
}

static bool reset(struct ours *o, const struct input *in)
{
    uint32_t zero = 0;
    int err = map_host_update(o->maps[GEN_ONE], &zero, in->one, MAP_ANY);

    for (uint32_t k = 0; k < 4; k++)
        err |= map_host_update(o->maps[GEN_ARRAY], &k, in->array[k], MAP_ANY);
    for (uint32_t k = 0; k < 8; k++)
        map_host_delete(o->maps[GEN_HASH], &k);
    for (uint32_t k = 0; k < 3; k++)
        err |= map_host_update(o->maps[GEN_HASH], &k, in->hash[k], MAP_ANY);
    return !err;
}

/* What one run leaves in the ring another must not find. */
static bool fresh_ring(struct ours *o)
{
    map_put(o->maps[GEN_RING]);
    o->maps[GEN_RING] = NULL;
    return !map_create(&gen_maps[GEN_RING], 1, NULL, &o->maps[GEN_RING]);
}

static void collect(struct ours *o, struct result *out)
{
    uint32_t zero = 0;

    map_host_lookup(o->maps[GEN_ONE], &zero, out->one, 0);
    for (uint32_t k = 0; k < 4; k++)
        map_host_lookup(o->maps[GEN_ARRAY], &k, out->array[k], 0);
    for (uint32_t k = 0; k < 6; k++)
        out->hash_has[k] = !map_host_lookup(o->maps[GEN_HASH], &k, out->hash[k], 0);
}

static uint64_t limit(const struct gen_prog *p, uint64_t most)
{
    return p->patient ? most : most / IMPATIENT;
}

static int run(struct ours *o, const struct code *code, const struct gen_prog *p, const struct input *in,
               uint64_t budget, struct result *out)
{
    struct ctx_io io = {.data_in = in->packet, .data_size_in = in->size};
    unsigned char(*frames)[PROG_STACK_FRAME] =
        (void *)((unsigned char *)o->env->stack + (PROG_MAX_DEPTH - PROG_MAX_FRAMES) * (size_t)PROG_STACK_FRAME);
    uint64_t r0 = 0;
    int err = ctx_open(o->env, p->type, &io, NULL);

    if (err)
        return err;
    o->env->insn_budget = budget;
    memset(frames, GARBAGE, sizeof(frames[0]) * PROG_MAX_FRAMES);
    err = env_run(o->env, code, (uintptr_t)o->env->ctx, 0, &r0);
    ctx_close(o->env, p->type, &io, r0);
    memset(out, 0, sizeof(*out));
    out->retval = (uint32_t)r0;
    collect(o, out);
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
    err = run(o, code, t->p, &t->inputs[n], budget, &result);
    if (err == -EFAULT && o->env->trap.kind == TRAP_insn_limit && !t->p->unsteady && budget < BUDGET) /* it must end */
        err = reset(o, &t->inputs[n]) ? run(o, code, t->p, &t->inputs[n], BUDGET, &result) : -ENOMEM;
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

static bool try_way(struct ours *o, const struct trial *t, const struct way *way, bool ring)
{
    const struct code_opts opts = {.checked = way->checked,
                                   .opts = way->opts,
                                   .count_insns = true,
                                   .traced = way->watched,
                                   .no_ir = way->jit ? way->jit->no_ir : 0,
                                   .jit = way->jit ? way->jit->jit : NULL};
    const struct engine *engine = way->jit ? &jit_engine : way->form ? way->form : &interp_engine;
    struct code *code = NULL;
    bool ok = true;

    for (unsigned n = 0; n < 2 && ok; n++) {
        ok = reset(o, &t->inputs[n]) && (!ring || fresh_ring(o));
        if (ring) { /* code names its maps */
            code_put(code);
            code = NULL;
        }
        if (!ok || (!code && code_lower(t->prog, way->facts ? t->facts : NULL, o->maps, &opts, engine, NULL, &code))) {
            code_put(code);
            return fails(t->v, FATE_BROKEN);
        }
        ok = try_input(o, t, way, code, n);
    }
    code_put(code);
    return ok;
}

/* As it is, and in one of its other variants, each in its turn; with and without facts. */
static void try_jit(struct ours *o, const struct trial *t, bool ring)
{
    unsigned n, other;
    const char *why;
    const struct jit_variant *all = jit_variants(&n, &why);
    struct way way = {.facts = true, .opts = CODE_OPT_ALL};

    if (!n)
        return;
    way.name = all[0].name;
    way.jit = &all[0];
    if (!try_way(o, t, &way, ring) || n == 1)
        return;
    other = 1 + o->turn++ % (n - 1);
    way.name = all[other].name;
    way.jit = &all[other];
    way.facts = o->turn & 1;
    try_way(o, t, &way, ring);
}

/* The form between code and machine code, as one of its engines has it, each in its turn. */
static bool try_form(struct ours *o, const struct trial *t, bool ring)
{
    unsigned n;
    const struct ir_engine *all = ir_engines(&n);
    unsigned turn = o->form_turn++;
    const struct ir_engine *e = &all[turn % n];
    const struct way way = {.name = e->name, .facts = turn / n & 1, .opts = CODE_OPT_ALL, .form = &e->engine};

    return try_way(o, t, &way, ring);
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

static bool is_limit(enum reason r)
{
    return r == REASON_too_complex || r == REASON_out_of_memory || r == REASON_infinite_loop;
}

/* Is what pruning hid a pointer where an older state had written nothing, a number to whoever may see pointers? Then it
 * shows as well when pruning tells these apart and is as usual otherwise. */
static bool parts_of_pointers(struct prog *prog, enum reason reason)
{
    const struct verify_opts opts = {.unwritten_apart = true, .max_insns = LIMIT};
    struct verify_result result = {0};
    bool same = !verify_prog(prog, &opts, NULL, &result) && result.verdict == VERDICT_REJECT &&
                result.reason == reason && reason == REASON_stack_pointer_corrupted;

    verify_result_free(&result);
    return same;
}

/* Accepted: everything that must hold of it. */
static void test(struct ours *o, struct prog *prog, struct verify_result *verified, const struct gen_prog *p,
                 const struct input inputs[2], struct verdict_of_us *v)
{
    const struct verify_opts exact_opts = {.keep_states = VERIFY_KEEP_EXACT, .max_insns = limit(p, EXACT_LIMIT)};
    struct verify_result exact = {0};
    struct trial t = {
        .prog = prog, .p = p, .inputs = inputs, .facts = &verified->facts, .explored = verified->explored, .v = v};
    bool ring = gen_names_map(p, GEN_RING);

    if (verify_prog(prog, &exact_opts, NULL, &exact)) {
        v->fate = FATE_BROKEN;
        return;
    }
    v->exact = exact.verdict == VERDICT_ACCEPT;
    if (exact.verdict != VERDICT_ACCEPT && !is_limit(exact.reason))
        v->unwritten = parts_of_pointers(prog, exact.reason);
    if (exact.verdict != VERDICT_ACCEPT && !is_limit(exact.reason) && !v->unwritten) {
        v->fate = FATE_PRUNED;
        v->insn = exact.insn;
        snprintf(v->text, sizeof(v->text), "without pruning by precision: %s at %u: %s", reason_name(exact.reason),
                 exact.insn, exact.message);
        verify_result_free(&exact);
        return;
    }
    v->fate = FATE_RAN;
    t.exact = exact.explored;
    bool ok = true;
    for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]) && ok; w++)
        ok = try_way(o, &t, &ways[w], ring);
    if (ok)
        ok = try_form(o, &t, ring);
    if (ok)
        try_jit(o, &t, ring);
    verify_result_free(&exact);
}

void ours_judge(struct ours *o, const struct gen_prog *p, const struct input inputs[2], struct verdict_of_us *v)
{
    const struct verify_opts opts = {.keep_states = VERIFY_KEEP_POINTERS, .max_insns = limit(p, LIMIT)};
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
