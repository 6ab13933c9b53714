/*
 * Functions of the program that helpers call. How often is not known, so that a call of such a helper is explored as a
 * loop: from the call, one path goes on behind it, and another into the callback, which comes back to the call; states
 * are saved at the call and compared in every number, and once no new one turns up all rounds are covered. The frame of
 * a callback is marked; its caller's registers stay as they were, since the call is not over.
 *
 * What is put off (timers, work queues) is no part of the path: it is explored from its start, as if by itself, with
 * nothing held.
 *
 * A frame's `rounds` counts how often its call went into a callback on this path: bpf_loop() comes no more often than
 * its first argument says, and a path that has reached this goes on behind the call alone.
 */
#include "verifier/verifier.h"
#include "vm/abi/callbacks.h"
#include "vm/abi/kfuncs.h"

static const struct callback *calls_back(const struct verifier *v, const struct insn *insn)
{
    const struct kfunc *k = NULL;
    const struct helper *h = NULL;

    if (insn->poisoned)
        return NULL;
    if (insn->op == ISA_CALL_HELPER)
        h = helper_set_find(v->prog->helpers, (uint32_t)insn->imm);
    else if (insn->op == ISA_CALL_KFUNC)
        k = kfunc_at(v, (uint32_t)(insn - v->prog->insns));
    if (k)
        h = &k->call;
    return h ? callback_find(h) : NULL;
}

bool callback_is_called_by(const struct verifier *v, const struct insn *insn)
{
    const struct callback *cb = calls_back(v, insn);

    return cb && cb->when & CALLBACK_SYNC;
}

bool callback_is_put_off_by(const struct verifier *v, const struct insn *insn)
{
    const struct callback *cb = calls_back(v, insn);

    return cb && cb->when & CALLBACK_LATER;
}

static struct reg gets(struct verifier *v, enum callback_gets what, const struct frame *caller,
                       const struct field *root)
{
    const struct reg *map = &caller->regs[1]; /* or what stands in it */
    struct reg r = {.s = scalar_const(0)};

    switch (what) {
    case GETS_NOTHING: return (struct reg){.kind = REG_NONE};
    case GETS_NUMBER: return reg_unknown();
    case GETS_CALLERS_R3: return caller->regs[3];
    case GETS_CALLERS_R4: return caller->regs[4];
    case GETS_TASK: return btf_ptr_reg(v, "task_struct", 0);
    case GETS_AREA: return btf_ptr_reg(v, "vm_area_struct", 0);
    case GETS_DYNPTR: return dynptr_handed_over(v);
    case GETS_NODE:
        r.kind = REG_BTF;
        r.trust = TRUST_ALLOC | TRUST_BORROWED;
        if (root->of && root->of->kinds & FIELD_BIT(REFCOUNT))
            r.trust |= TRUST_RCU;
        r.btf = v->prog->btf;
        r.size = root->type;
        r.off = (int32_t)root->node_off;
        return r;
    case GETS_MAP: r.kind = REG_MAP; break;
    case GETS_MAP_KEY: r.kind = REG_MAP_KEY; break;
    case GETS_MAP_VALUE: r.kind = REG_MAP_VALUE; break;
    }
    r.map = map->map;
    r.map_uid = map->map_uid;
    if (r.kind == REG_MAP_VALUE && reg_has_lock(v, &r))
        r.id = ++v->next_id;
    return r;
}

/* *other: a copy of s inside the callback. */
static enum reason enter(struct verifier *v, const struct state *s, const struct callback *cb, uint32_t func,
                         const struct field *root, struct state **other)
{
    struct frame *caller, *callee;
    struct state *o;

    if (s->n_frames == PROG_MAX_FRAMES)
        return refuse(v, REASON_call_depth, "this call's callback would be frame %u", PROG_MAX_FRAMES + 1);
    *other = o = state_copy(&v->pool, s);
    caller = o ? state_frame_mut(&v->pool, o, o->n_frames - 1) : NULL;
    if (!caller || !state_push_frame(&v->pool, o, func, s->insn))
        return REASON_out_of_memory;
    caller->rounds++;
    callee = o->frames[o->n_frames - 1];
    callee->callback = true;
    for (unsigned i = 0; i < 5; i++)
        callee->regs[i + 1] = gets(v, (enum callback_gets)cb->gets[i], caller, root);
    o->insn = v->prog->funcs[func].start;
    o->callback_depth++;
    o->past.steps[o->past.n - 1].stack = STEP_ENTERS;
    return uses_enter(v, o, &callee->inst) ? REASON_ok : REASON_out_of_memory;
}

/* *other: a path of its own, which begins where the function does, and holds nothing. */
static enum reason put_off(struct verifier *v, const struct state *s, const struct callback *cb, uint32_t func,
                           struct state **other)
{
    struct state *o = state_new(&v->pool);
    const struct frame *caller = state_top(s);
    struct frame *f;

    *other = NULL;
    if (!o || !state_push_frame(&v->pool, o, func, UINT32_MAX))
        return REASON_out_of_memory;
    f = o->frames[0];
    f->async = true;
    for (unsigned i = 0; i < 5; i++)
        f->regs[i + 1] = gets(v, (enum callback_gets)cb->gets[i], caller, NULL);
    o->insn = v->prog->funcs[func].start;
    o->sleeps = cb->when & CALLBACK_SLEEPS;
    v->func_async[func] = true;
    *other = o;
    return uses_enter(v, o, &f->inst) ? REASON_ok : REASON_out_of_memory;
}

enum reason callback_call(struct verifier *v, struct state *s, const struct helper *h, uint32_t func,
                          const struct field *root, struct state **other)
{
    const struct callback *cb = callback_find(h);
    unsigned bound = cb ? cb->when >> CALLBACK_BOUND_SHIFT : 0;
    struct frame *f;
    enum reason reason;

    if (!cb)
        return unsupported(v, "callbacks of this helper");
    if (cb->when & CALLBACK_LATER)
        return put_off(v, s, cb, func, other);
    if (bound) {
        if (state_reg(s, bound)->kind != REG_SCALAR)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a number is needed", bound, bound,
                          reg_kind_name(state_reg(s, bound)));
        reason = precision_mark_reg(v, s, bound);
        if (reason)
            return reason;
    }
    if (!bound || state_top(s)->rounds < state_reg(s, bound)->s.r.umax) {
        reason = enter(v, s, cb, func, root, other);
        if (reason)
            return reason;
    }
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    f->rounds = 0;
    return REASON_ok;
}

enum reason callback_exit(struct verifier *v, struct state *s)
{
    const struct reg *r0 = state_reg(s, 0);
    uint32_t call = state_top(s)->callsite;
    enum reason reason;

    if (r0->kind != REG_SCALAR)
        return refuse(v, REASON_callback_return, "r0 is a %s; it must be 0 or 1", reg_kind_name(r0));
    reason = precision_mark_reg(v, s, 0);
    if (reason)
        return reason;
    r0 = state_reg(s, 0);
    if (r0->s.r.smin < 0 || r0->s.r.smax > 1)
        return refuse(v, REASON_callback_return, "r0 is between %lld and %lld; it must be 0 or 1",
                      (long long)r0->s.r.smin, (long long)r0->s.r.smax);
    s->past.steps[s->past.n - 1].stack = STEP_RETURNS;
    state_pop_frame(&v->pool, s);
    s->insn = call;
    return loop_widen(v, s, s) ? REASON_ok : REASON_out_of_memory;
}

enum reason callback_leaves(struct verifier *v, struct state *s)
{
    const struct reg *r0 = state_reg(s, 0);
    enum reason reason;

    if (r0->kind != REG_SCALAR)
        return refuse(v, r0->kind == REG_NONE ? REASON_uninitialized_register : REASON_callback_return,
                      "r0 is a %s; it must be 0", reg_kind_name(r0));
    reason = precision_mark_reg(v, s, 0);
    if (reason)
        return reason;
    r0 = state_reg(s, 0);
    if (r0->s.r.smin || r0->s.r.smax)
        return refuse(v, REASON_callback_return, "r0 is between %lld and %lld; it must be 0", (long long)r0->s.r.smin,
                      (long long)r0->s.r.smax);
    return REASON_ok;
}

enum reason callback_take(struct verifier *v, uint32_t start, struct reg *out)
{
    const struct prog *p = v->prog;

    for (uint32_t i = 0; i < p->n_funcs; i++) {
        if (p->funcs[i].start != start)
            continue;
        if (p->btf && !p->funcs[i].btf_id)
            return refuse(v, REASON_callback_function, "nothing is known of the types of function %u", i);
        if (p->funcs[i].global)
            return refuse(v, REASON_callback_function, "'%s' is a global function", p->funcs[i].name);
        *out = (struct reg){.kind = REG_FUNC, .size = i, .s = scalar_const(0)};
    }
    return REASON_ok;
}
