/*
 * Calls: helpers by their rows (the arguments in call_args.c, the result in call_ret.c), local functions as new frames,
 * and the end of a function or of the program. Arguments are judged first; only then does the state change.
 */
#include "verifier/call.h"

#include "vm/helpers/dynptr.h"

#include <stdio.h>
#include <string.h>

enum { DYNPTR_WRITE = 202 /* bpf_dynptr_write, which may move a socket buffer's bytes */ };

static enum reason check_context(struct verifier *v, const struct state *s, const struct helper *h)
{
    if (h->effects & EFFECT_GPL && !is_gpl_compatible(v->prog->license))
        return refuse(v, REASON_helper_gpl, "bpf_%s is for GPL-compatible programs; the license is \"%s\"", h->name,
                      v->prog->license);
    if (h->effects & EFFECT_SLEEPS && !sleeps_here(v, s))
        return refuse(v, REASON_helper_not_allowed, "bpf_%s may sleep and this program may not", h->name);
    if (s->locked && !(h->effects & (EFFECT_LOCKS | EFFECT_UNLOCKS | EFFECT_UNDER_LOCK)))
        return refuse(v, REASON_lock_held, "bpf_%s is called while a spin lock is held", h->name);
    if (h->id == TAIL_CALL && state_refs_but(s, REF_IRQ))
        return refuse(v, REASON_reference_leak, "a tail call while a reference is held");
    if (h->id == TAIL_CALL || h->effects & EFFECT_SLEEPS)
        return kfunc_sections_end(v, s, h->id == TAIL_CALL ? "a tail call" : "a helper that may sleep is called");
    return REASON_ok;
}

/* Which pointers become void, and for whom. */
struct voided {
    bool privileged;
    uint32_t ref;   /* released */
    uint32_t frame; /* left */
};

static bool has_ref(const struct reg *r, const void *ctx)
{
    return r->ref && r->ref == ((const struct voided *)ctx)->ref;
}

static bool is_packet(const struct reg *r, const void *ctx)
{
    (void)ctx;
    return r->kind == REG_PACKET || r->kind == REG_PACKET_META || r->kind == REG_PACKET_END ||
           (r->kind == REG_MEM && r->flags & REG_OF_PACKET);
}

static bool points_to_dead_frame(const struct reg *r, const void *ctx)
{
    return r->kind == REG_STACK && r->frame >= ((const struct voided *)ctx)->frame;
}

/* What pointed there is a number to who may see addresses, and nothing to others. */
static void invalidate(struct reg *r, const void *ctx)
{
    *r = ((const struct voided *)ctx)->privileged ? reg_unknown() : (struct reg){.kind = REG_NONE};
}

bool call_forget_packet(struct verifier *v, struct state *s)
{
    const struct voided all = {.privileged = v->privileged};

    return state_change_regs(&v->pool, s, is_packet, invalidate, &all);
}

bool call_release(struct verifier *v, struct state *s, uint32_t ref)
{
    const struct voided dead = {.privileged = v->privileged, .ref = ref};

    return state_drop_ref(&v->pool, s, ref) && state_change_regs(&v->pool, s, has_ref, invalidate, &dead) &&
           dynptr_release(v, s, ref);
}

enum reason call_helper(struct verifier *v, struct state *s, const struct insn *insn, struct state **other)
{
    const struct helper *h =
        helper_for(v->prog->helpers, v->prog->type ? v->prog->type->id : PROG_TYPE_UNSPEC, (uint32_t)insn->imm);
    struct call_args c = {.helper = h};
    enum reason reason;
    struct frame *f;
    struct reg r0;

    if (!h)
        return refuse(v, REASON_helper_unknown, "there is no helper %lld", (long long)insn->imm);
    if (helper_is_linux(h)) {
        reason = policy_may_call(v, h->id);
        if (reason)
            return reason;
    }
    if (!h->body && !(h->effects & EFFECT_ENGINE)) {
        snprintf(v->missing_name, sizeof(v->missing_name), "helper bpf_%s", h->name);
        return unsupported(v, v->missing_name);
    }
    reason = check_context(v, s, h);
    for (unsigned i = 0; i < 5 && !reason; i++)
        reason = call_argument(v, s, &c, i);
    if (!reason && c.map)
        reason = policy_may_take(v, h, c.map);
    if (!reason && c.map && h->effects & EFFECT_WRITES_MAP && map_def_prog_flags(c.map) & MAP_F_RDONLY_PROG)
        reason = refuse(v, REASON_read_only_memory, "bpf_%s would write to map '%s', which is read-only for programs",
                        h->name, c.map->name);
    if (!reason && h->effects & EFFECT_RELEASES && (!c.ref || !state_has_ref(s, c.ref)))
        reason = refuse(v, REASON_reference_released, "argument 1 (r1) holds no reference");
    if (!reason && h->effects & EFFECT_VALUE_MEM && state_reg(s, 1)->kind != REG_MAP_VALUE)
        reason = call_wants(v, 1, state_reg(s, 1), "a map's value");
    if (!reason && h->ret == RET_BTF_ID_OR_NULL && !btf_kernel_type(v, helper_kernel_type(h, 0)))
        reason = unsupported(v, "kernel objects without the target's types");
    if (reason)
        return reason;
    for (unsigned i = 0; i < c.n_out; i++)
        if (c.out[i].base.kind == REG_STACK && !stack_write_unknown(v, s, &c.out[i].base, &c.out[i].a))
            return REASON_out_of_memory;
    if (c.made.kind != REG_NONE && !dynptr_make(v, s, &c.made, c.made_type, 0))
        return REASON_out_of_memory;
    if (h->effects & (EFFECT_LOCKS | EFFECT_UNLOCKS)) {
        reason = lock_step(v, s, state_reg(s, c.lock_reg), h->effects & EFFECT_LOCKS);
        if (reason)
            return reason;
    }
    if ((h->effects & EFFECT_RELEASES || (c.kptr && c.ref)) && !call_release(v, s, c.ref))
        return REASON_out_of_memory;
    if ((h->effects & EFFECT_CHANGES_PACKET || (h->id == DYNPTR_WRITE && c.dynptr.size == DYNPTR_SKB)) &&
        !call_forget_packet(v, s))
        return REASON_out_of_memory;
    if (h->effects & EFFECT_CALLS_BACK) {
        reason = callback_call(v, s, h, c.func, NULL, other);
        if (reason)
            return reason;
    }
    if (h->id == TAIL_CALL)
        v->func_tail_calls[state_top(s)->func] = true;
    r0 = call_result(v, &c);
    if (call_acquires(&c) && r0.ref &&
        !state_hold(&v->pool, s, r0.ref, c.kptr && !kptr_is_held(v, c.kptr) ? REF_KERNEL : REF_OBJECT))
        return REASON_out_of_memory;
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    f->regs[0] = r0;
    return REASON_ok;
}

static uint32_t func_index(const struct verifier *v, uint32_t start)
{
    for (uint32_t i = 0; i < v->prog->n_funcs; i++)
        if (v->prog->funcs[i].start == start)
            return i;
    return 0;
}

enum reason call_local(struct verifier *v, struct state *s, const struct insn *insn)
{
    struct reg args[6];
    struct frame *f;
    uint32_t func = func_index(v, insn->target);

    if (func && func == v->prog->exception_cb)
        return refuse(v, REASON_exception, "'%s' is for exceptions alone and is not to be called",
                      v->prog->funcs[func].name);
    if (v->info[s->insn].opaque)
        return global_call(v, s, func);
    if (s->n_frames == PROG_MAX_FRAMES)
        return refuse(v, REASON_call_depth, "this call would be frame %u", PROG_MAX_FRAMES + 1);
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memcpy(args, f->regs, sizeof(args));
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    if (!state_push_frame(&v->pool, s, func, s->insn))
        return REASON_out_of_memory;
    f = s->frames[s->n_frames - 1];
    if (!uses_enter(v, s, &f->inst))
        return REASON_out_of_memory;
    memcpy(&f->regs[1], &args[1], 5 * sizeof(args[0]));
    s->insn = insn->target;
    return REASON_ok;
}

static enum reason leave_function(struct verifier *v, struct state *s)
{
    const struct reg r0 = *state_reg(s, 0);
    uint32_t back = state_top(s)->callsite;
    struct reg *to;

    if (r0.kind == REG_STACK)
        return refuse(v, REASON_return_pointer, "a pointer to the function's own stack is returned");
    state_pop_frame(&v->pool, s);
    to = state_reg_mut(&v->pool, s, 0);
    if (!to)
        return REASON_out_of_memory;
    *to = r0;
    s->insn = back + 1;
    return REASON_ok;
}

/* Back in the caller; pointers into the frame that is gone are void. */
static enum reason return_to_caller(struct verifier *v, struct state *s)
{
    struct voided gone = {.privileged = v->privileged, .frame = s->n_frames - 1};
    enum reason reason = state_top(s)->callback ? callback_exit(v, s) : leave_function(v, s);

    if (!reason && !state_change_regs(&v->pool, s, points_to_dead_frame, invalidate, &gone))
        reason = REASON_out_of_memory;
    return reason;
}

enum reason leave_early(struct verifier *v, const struct state *s, const struct reg *r0, struct state **other)
{
    struct reg *to;

    if (s->n_frames < 2)
        return REASON_ok;
    *other = state_copy(&v->pool, s);
    to = *other ? state_reg_mut(&v->pool, *other, 0) : NULL;
    if (!to)
        return REASON_out_of_memory;
    *to = *r0;
    (*other)->past.steps[(*other)->past.n - 1].stack = STEP_LEAVES;
    return return_to_caller(v, *other);
}

enum reason tail_call_taken(struct verifier *v, const struct state *s, struct state **other)
{
    const struct reg any = reg_unknown();
    enum reason reason = leave_early(v, s, &any, other);

    /* What was called may have moved the packet. */
    if (!reason && *other && !call_forget_packet(v, *other))
        reason = REASON_out_of_memory;
    return reason;
}

enum reason call_resources_held(struct verifier *v, const struct state *s, bool gives, const char *what)
{
    uint32_t held = state_refs_but(s, REF_IRQ) - gives;

    if (s->locked)
        return refuse(v, REASON_lock_held, "%s with a spin lock held", what);
    if (held)
        return refuse(v, REASON_reference_leak, "%s with %u reference%s held", what, held, held > 1 ? "s" : "");
    return kfunc_sections_end(v, s, what);
}

enum reason exit_step(struct verifier *v, struct state *s, bool *done)
{
    const struct reg *r0 = state_reg(s, 0);
    enum reason reason;
    bool gives; /* what it holds to its caller */

    if (s->n_frames > 1)
        return return_to_caller(v, s);
    gives = !state_top(s)->func && struct_ops_gives(v, r0) && state_has_ref(s, r0->ref);
    reason = call_resources_held(v, s, gives, "the program ends");
    if (reason)
        return reason;
    if (state_top(s)->async) {
        *done = true;
        return callback_leaves(v, s);
    }
    if (gives || (!state_top(s)->func && btf_ctx_returns_void(v))) {
        *done = true;
        return REASON_ok;
    }
    if (r0->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r0 was not written on this path");
    if (reg_is_pointer(r0) && !v->privileged)
        return refuse(v, REASON_pointer_leak, "r0 is a %s", reg_kind_name(r0));
    if (state_top(s)->func && r0->kind != REG_SCALAR)
        return refuse(v, REASON_return_pointer, "r0 is a %s; a global function returns a number", reg_kind_name(r0));
    reason = v->opts->extends || (state_top(s)->func && state_top(s)->func != v->prog->exception_cb)
                 ? REASON_ok
                 : policy_return(v, s, 0);
    if (reason)
        return reason;
    *done = true;
    return REASON_ok;
}
