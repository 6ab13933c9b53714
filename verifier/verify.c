/*
 * The entry: sets up a verification, runs its stages in order (form of the control flow, liveness, exploration, stack
 * depth) and turns what came out into a verdict and facts.
 */
#include "verifier/verify.h"
#include "verifier/contains.h"
#include "verifier/explain.h"
#include "verifier/trace.h"
#include "verifier/verifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reason_row {
    const char *name, *rule, *cure;
};

static const struct reason_row rows[REASON_COUNT] = {
#define REASON(name, rule, cure) {#name, rule, cure},
#include "verifier/reasons.def"
};

const char *reason_name(enum reason r)
{
    return rows[r].name;
}

const char *reason_rule(enum reason r)
{
    return rows[r].rule;
}

const char *reason_cure(enum reason r)
{
    return rows[r].cure;
}

/* Frames take their size in steps of 16, as under Linux's JIT. */
static uint32_t rounded(uint32_t depth)
{
    return ((depth ? depth : 1) + 15) & ~15u;
}

/* The deepest chain of calls below a function, in bytes. */
static enum reason chain_depth(struct verifier *v, uint32_t func, uint32_t above, uint32_t frames, bool tail_above,
                               uint32_t *bad)
{
    const struct prog_func *f = &v->prog->funcs[func];
    uint32_t depth = above + rounded(v->func_depth[func]);
    enum reason reason = REASON_ok;

    *bad = f->start;
    if (depth > PROG_STACK_FRAME)
        return refuse(v, REASON_stack_depth, "%u functions in a chain of calls use %u bytes of stack", frames, depth);
    if (depth > v->out->stack_depth)
        v->out->stack_depth = depth;
    for (uint32_t i = f->start; i < f->end && !reason; i++) {
        const struct insn *insn = insn_at(v, i);

        if ((insn->op != ISA_CALL_LOCAL && insn->op != ISA_LD_FUNC) || insn->poisoned)
            continue;
        *bad = i;
        if (frames == PROG_MAX_FRAMES)
            return refuse(v, REASON_call_depth, "the chain of calls has more than %u frames", PROG_MAX_FRAMES);
        for (uint32_t c = 0; c < v->prog->n_funcs; c++) {
            if (v->prog->funcs[c].start != insn->target || (insn->op == ISA_LD_FUNC && v->func_async[c]))
                continue;
            if (v->func_tail_calls[c] && depth >= 256)
                return refuse(
                    v, REASON_tail_call_mixed,
                    "%u bytes of stack are in use where a function that makes tail calls is called; 256 are allowed",
                    depth);
            reason = chain_depth(v, c, depth, frames + 1, tail_above, bad);
        }
    }
    return reason;
}

static bool first_state(struct verifier *v)
{
    struct state *s = state_new(&v->pool);
    struct reg *regs;

    if (!s || !state_push_frame(&v->pool, s, 0, UINT32_MAX))
        return false;
    if (!uses_enter(v, s, &s->frames[0]->inst))
        return false;
    regs = s->frames[0]->regs;
    if (!struct_ops_hold(v, s))
        return false;
    if (v->prog->type) {
        regs[1] = (struct reg){.kind = REG_CTX, .s = scalar_const(0)};
    } else {
        regs[1] = (struct reg){.kind = REG_MEM,
                               .size = v->opts->raw_mem_size,
                               .s = scalar_const(0),
                               .flags = v->opts->raw_mem_writable ? 0 : REG_READ_ONLY};
        regs[2] = reg_scalar(scalar_unsigned(v->opts->raw_mem_size, UINT32_MAX));
    }
    v->work = s;
    v->n_work = 1;
    return true;
}

/* Whether or not it is ever reached. */
static enum reason check_maps(struct verifier *v, uint32_t *bad)
{
    enum reason reason = REASON_ok;
    struct policy_maps named = {0};

    for (uint32_t i = 0; i < v->prog->n_insns && !reason; i++) {
        const struct insn *insn = insn_at(v, i);

        if (insn->poisoned)
            continue;
        *bad = i;
        if (insn->op == ISA_LD_MAP_FD || insn->op == ISA_LD_MAP_IDX)
            reason = policy_may_name(v, v->prog->maps[insn->imm], &named);
        else if (insn->op == ISA_LD_MAP_VALUE || insn->op == ISA_LD_MAP_IDX_VALUE)
            reason = policy_may_name(v, v->prog->maps[(uint64_t)insn->imm >> 32], &named);
    }
    v->arena_map = named.arena;
    if (!reason && v->arena_map && !v->privileged)
        reason = refuse(v, REASON_unprivileged, "unprivileged programs have no arenas");
    return reason;
}

static enum reason run(struct verifier *v, uint32_t *insn)
{
    enum reason reason;

    for (uint32_t i = 0; i < v->prog->n_insns; i++)
        if (insn_at(v, i)->op == ISA_INVALID && !insn_at(v, i)->wide_tail && !insn_at(v, i)->poisoned) {
            *insn = i;
            return refuse(v, REASON_bad_instruction, "no such instruction");
        }
    reason = check_maps(v, insn);
    if (!reason)
        reason = policy_functions(v, insn);
    if (reason)
        return reason;
    if (!global_init(v))
        return REASON_out_of_memory;
    reason = cfg_check(v, insn);
    if (!reason) {
        *insn = 0;
        reason = v->opts->extends ? ext_begin(v) : btf_ctx_begin(v);
    }
    if (reason)
        return reason;
    if (!liveness_compute(v) || !scc_compute(v) || !loop_init(v) || !uses_init(v) || !first_state(v))
        return REASON_out_of_memory;
    if (v->opts->extends && (reason = global_arguments(v, 0, v->work)))
        return reason;
    if (v->opts->keep_states && !(v->out->explored = explored_new(v)))
        return REASON_out_of_memory;
    if (v->trace)
        trace_begin(v);
    reason = explore(v, insn);
    if (!reason)
        reason = global_verify_called(v, insn);
    if (!reason)
        reason = chain_depth(v, 0, 0, 1, false, insn);
    for (uint32_t f = 1; f < v->prog->n_funcs && !reason; f++)
        if (v->func_async[f])
            reason = chain_depth(v, f, 0, 1, false, insn);
    return reason;
}

static bool make_facts(const struct verifier *v, struct facts *facts)
{
    size_t escaped_at = (v->prog->n_insns * sizeof(struct fact) + 7) & ~(size_t)7;
    struct fact *insns = calloc(1, escaped_at + v->prog->n_funcs * sizeof(uint64_t));
    uint64_t *escaped;

    if (!insns)
        return false;
    escaped = (uint64_t *)(void *)((char *)insns + escaped_at);
    memcpy(escaped, v->func_escaped, v->prog->n_funcs * sizeof(uint64_t));
    facts->escaped = escaped;
    facts->n_funcs = v->prog->n_funcs;
    facts->reads_unwritten_stack = v->reads_unwritten_stack;
    facts->wants_checks = v->wants_checks || v->opts->extends;
    for (uint32_t i = 0; i < v->prog->n_insns; i++)
        insns[i] = (struct fact){.reached = v->info[i].seen,
                                 .mem = v->info[i].mem,
                                 .arena = v->info[i].arena,
                                 .ctx_off = v->info[i].ctx_off};
    facts->ctx_size = v->ctx_size;
    facts->insns = insns;
    facts->n_insns = v->prog->n_insns;
    return true;
}

/* States go with the pool; what they came by does not lie in it. */
static void free_all(struct verifier *v)
{
    struct state *s;

    for (s = v->work; s; s = s->next) {
        struct checkpoint *c = s->parent;

        while (c) {
            struct checkpoint *up = c->state->parent;

            if (--c->branches)
                break;
            if (c->retired) {
                history_free(&c->state->past);
                free(c);
            }
            c = up;
        }
        history_free(&s->past);
    }
    for (uint32_t i = 0; v->at && i < v->prog->n_insns; i++)
        for (struct checkpoint *c = v->at[i], *next; c; c = next) {
            next = c->next;
            history_free(&c->state->past);
            free(c);
        }
    loop_free(v);
    global_free(v);
    uses_free(v);
    pool_free(&v->pool);
    free(v->info);
    free(v->at);
    free(v->func_depth);
    free(v->func_async);
    free(v->func_tail_calls);
    free(v->func_escaped);
}

int verify_prog(const struct prog *prog, const struct verify_opts *opts, const struct log *log,
                struct verify_result *out)
{
    static const struct verify_opts defaults;
    struct verifier v = {.prog = prog, .opts = opts ? opts : &defaults, .log = log, .out = out};
    struct prog as_target = *prog; /* what extends another program may do what that one may */
    enum reason reason;
    uint32_t insn = 0;

    memset(out, 0, sizeof(*out));
    if (v.opts->extends) {
        as_target.type = v.opts->extends->type;
        as_target.attach_type = v.opts->extends->attach_type;
        as_target.attach_target = v.opts->extends->attach_target;
        v.prog = &as_target;
    }
    v.privileged = !v.opts->unprivileged;
    v.pool.limit = v.opts->max_memory ? v.opts->max_memory : (size_t)1 << 30;
    v.info = calloc(prog->n_insns + 2, sizeof(*v.info));
    v.at = calloc(prog->n_insns + 1, sizeof(*v.at));
    v.func_depth = calloc(prog->n_funcs + 1, sizeof(*v.func_depth));
    v.func_async = calloc(prog->n_funcs + 1, sizeof(*v.func_async));
    v.func_tail_calls = calloc(prog->n_funcs + 1, sizeof(*v.func_tail_calls));
    v.func_escaped = calloc(prog->n_funcs + 1, sizeof(*v.func_escaped));
    if (!v.info || !v.at || !v.func_depth || !v.func_async || !v.func_tail_calls || !v.func_escaped) {
        free_all(&v);
        return -ENOMEM;
    }
    v.trace = trace_new(&v);
    reason = run(&v, &insn);
    if (v.trace)
        trace_end(&v, reason);
    out->memory_peak = v.pool.peak;
    if (reason == REASON_out_of_memory && v.pool.peak < v.pool.limit / 2) {
        verify_result_free(out);
        free_all(&v);
        return -ENOMEM;
    }
    if (!reason && !make_facts(&v, &out->facts)) {
        verify_result_free(out);
        free_all(&v);
        return -ENOMEM;
    }
    if (reason)
        verify_result_free(out);
    else if (out->explored)
        explored_take(out->explored, &v.pool);
    out->reason = reason;
    out->insn = insn;
    out->verdict = !reason ? VERDICT_ACCEPT : reason == REASON_unsupported ? VERDICT_UNSUPPORTED : VERDICT_REJECT;
    snprintf(out->message, sizeof(out->message), "%s", reason ? v.why : "");
    if (reason)
        explain(&v, v.work, reason);
    free_all(&v);
    return 0;
}

void verify_result_free(struct verify_result *result)
{
    explored_free(result->explored);
    result->explored = NULL;
    free((void *)result->facts.insns);
    result->facts = (struct facts){0};
}
