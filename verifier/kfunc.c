/*
 * Calls of kernel functions, by the rows of vm/abi/kfuncs.def. As with helpers, all arguments are judged before the
 * state changes. What a function does besides (its `special`) is one arm of enter() or result().
 */
#include "verifier/object.h"
#include "vm/abi/callbacks.h"
#include "vm/btf/btf.h"
#include "vm/helpers/dynptr.h"

#include <stdio.h>
#include <string.h>

const struct kfunc *kfunc_at(const struct verifier *v, uint32_t at)
{
    const struct insn *insn = insn_at(v, at);

    if (insn->poisoned || insn->op != ISA_CALL_KFUNC || (uint64_t)insn->imm >= v->prog->n_externs)
        return NULL;
    return v->prog->externs[insn->imm].kfunc;
}

uint16_t kfunc_uses(const struct verifier *v, uint32_t at)
{
    const struct kfunc *k = kfunc_at(v, at);
    uint16_t uses = k ? 0 : 0x3e;

    for (unsigned i = 0; k && i < 5; i++)
        if (k->arg[i].kind != KARG_NONE)
            uses |= (uint16_t)(2u << i);
    return uses;
}

uint32_t kfunc_effects(const struct kfunc *k)
{
    uint32_t effects = 0;

    if (k && k->flags & KFUNC_SLEEPS)
        effects |= EFFECT_SLEEPS;
    if (k && k->special == KFUNC_THROW)
        effects |= EFFECT_THROWS;
    return effects;
}

enum reason kfunc_sections_end(struct verifier *v, const struct state *s, const char *what)
{
    if (s->rcu)
        return refuse(v, REASON_section_open, "%s inside bpf_rcu_read_lock()", what);
    if (s->preempt_off)
        return refuse(v, REASON_section_open, "%s while bpf_preempt_disable() holds", what);
    if (state_last_ref(s, REF_IRQ))
        return refuse(v, REASON_section_open, "%s while bpf_local_irq_save() holds", what);
    return REASON_ok;
}

static enum reason may_call(struct verifier *v, const struct state *s, const struct kfunc *k)
{
    const struct prog_type *type = v->prog->type;
    enum reason reason;

    if (!type || !(k->users >> type->id & 1))
        return refuse(v, REASON_helper_not_allowed, "programs of type %s may not call %s", type ? type->name : "raw",
                      k->name);
    if (!v->privileged)
        return refuse(v, REASON_helper_not_allowed, "unprivileged programs may not call %s", k->name);
    if (!is_gpl_compatible(v->prog->license))
        return refuse(v, REASON_helper_gpl, "kernel functions are for GPL-compatible programs; the license is \"%s\"",
                      v->prog->license);
    if (k->flags & KFUNC_SLEEPS && !sleeps_here(v, s))
        return refuse(v, REASON_helper_not_allowed, "%s may sleep and this program may not", k->name);
    reason = k->flags & KFUNC_SLEEPS ? kfunc_sections_end(v, s, "a function that may sleep is called") : REASON_ok;
    if (reason)
        return reason;
    if (s->locked && !(k->flags & KFUNC_UNDER_LOCK))
        return refuse(v, REASON_lock_held, "%s is called while a spin lock is held", k->name);
    if (k->flags & KFUNC_RCU_PROTECTED && !in_rcu_section(v, s))
        return refuse(v, REASON_section_missing, "%s is called outside of sections that RCU protects", k->name);
    return REASON_ok;
}

static enum reason want(struct verifier *v, const struct kcall *c, unsigned reg, const struct reg *r, const char *what)
{
    return refuse(v,
                  r->flags & REG_MAYBE_NULL && reg_is_pointer(r) ? REASON_null_check_missing : REASON_helper_argument,
                  "argument %u (r%u) of %s is a %s where %s is needed", reg, reg, c->k->name, reg_kind_name(r), what);
}

static bool is_null(const struct reg *r)
{
    return reg_is_const(r) && r->s.t.value == 0;
}

/* A kernel object that the function may rely on. */
static enum reason object(struct verifier *v, struct kcall *c, unsigned reg, const struct reg *r, const char *type)
{
    bool trusts = c->k->flags & (KFUNC_TRUSTED | KFUNC_RELEASE), rcu = c->k->flags & KFUNC_RCU;
    char what[96];

    snprintf(what, sizeof(what), "a pointer to struct %.60s", type);
    if (!btf_kernel_type(v, type)) {
        snprintf(v->missing_name, sizeof(v->missing_name), "the target's struct %.40s", type);
        return unsupported(v, v->missing_name);
    }
    if ((trusts || rcu) && (is_null(r) || r->flags & REG_MAYBE_NULL))
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) of %s may be NULL", reg, reg, c->k->name);
    if (r->kind != REG_BTF && !reg_is_socket(r))
        return want(v, c, reg, r, what);
    if (r->kind == REG_BTF && (trusts || rcu) && !btf_ptr_trusted(r) && !(rcu && r->trust & TRUST_RCU))
        return refuse(v, REASON_untrusted_pointer, "argument %u (r%u) of %s must be %s", reg, reg, c->k->name,
                      rcu ? "trusted, or protected by RCU" : "a pointer that is trusted, or holds a reference");
    if (r->kind == REG_BTF && r->trust & (TRUST_UNTRUSTED | TRUST_USER | TRUST_PERCPU | TRUST_ALLOC))
        return refuse(v, REASON_untrusted_pointer, "argument %u (r%u) of %s is a pointer that is not to be trusted",
                      reg, reg, c->k->name);
    if (!scalar_is_const(&r->s) || r->s.t.value || r->off < 0)
        return refuse(v, REASON_pointer_arithmetic, "argument %u (r%u) of %s is moved by what is not constant", reg,
                      reg, c->k->name);
    if (r->off && c->k->flags & KFUNC_RELEASE && r->ref)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) of %s is moved; it must be what was acquired", reg,
                      reg, c->k->name);
    if (!btf_ptr_is(v, r, type, c->k->flags & KFUNC_RELEASE && r->ref))
        return want(v, c, reg, r, what);
    return REASON_ok;
}

static enum reason memory(struct verifier *v, const struct state *s, struct kcall *c, unsigned reg, uint64_t size,
                          bool write)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn, .reg = reg, .size = (uint32_t)size, .helper = true, .zero_size_ok = true};
    enum reason reason;

    if (!reg_is_pointer(r) || r->kind == REG_PACKET_END || r->kind == REG_FUNC || r->kind == REG_MAP ||
        r->kind == REG_CTX || r->kind == REG_BTF || reg_is_socket(r))
        return want(v, c, reg, r, "memory");
    /* Linux wants both: what the function may write and what it may read. */
    reason = mem_check(v, s, r, &a);
    if (!reason && write) {
        a.write = true;
        reason = mem_check(v, s, r, &a);
    }
    if (reason)
        return reason;
    if (r->kind == REG_STACK)
        stack_escapes(v, s, r, &a);
    if (write) {
        c->out[c->n_out].base = *r;
        c->out[c->n_out++].a = a;
    }
    return REASON_ok;
}

static enum reason argument(struct verifier *v, struct state *s, struct kcall *c, unsigned i)
{
    const struct kfunc_arg *arg = &c->k->arg[i];
    unsigned reg = i + 1;
    const struct reg *r = state_reg(s, reg);
    enum reason reason;

    if (arg->kind == KARG_NONE || arg->kind == KARG_UNUSED) {
        if (arg->kind == KARG_UNUSED && r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return REASON_ok;
    }
    if (r->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "argument %u (r%u) was not written on this path", reg, reg);
    if (r->kind == REG_KERNEL)
        return unsupported(v, "sockets and kernel pointers");
    if (r->ref) {
        if (c->takes_ref && c->k->flags & KFUNC_RELEASE)
            return refuse(v, REASON_helper_argument, "two arguments of %s hold references", c->k->name);
        c->takes_ref = true;
        c->ref = r->ref;
    }
    switch ((enum kfunc_arg_kind)arg->kind) {
    case KARG_NUM: return r->kind == REG_SCALAR ? REASON_ok : want(v, c, reg, r, "a number");
    case KARG_CONST:
        if (!reg_is_const(r))
            return want(v, c, reg, r, "a constant");
        c->constant = r->s.t.value;
        return precision_mark_reg(v, s, reg);
    case KARG_PTR_OR_NULL:
        if (is_null(r))
            return precision_mark_reg(v, s, reg);
        /* fall through */
    case KARG_PTR: return object(v, c, reg, r, arg->type);
    case KARG_CTX:
        if (r->kind != REG_CTX || r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return want(v, c, reg, r, "the context, as it was given");
        return REASON_ok;
    case KARG_MEM_OUT: return memory(v, s, c, reg, arg->size, true);
    case KARG_MEM:
    case KARG_MEM_OR_NULL: return REASON_ok; /* judged with its size */
    case KARG_SIZE:
        if (r->kind != REG_SCALAR)
            return want(v, c, reg, r, "a size");
        if (r->s.r.smin < 0 || r->s.r.umax >= 1u << 29)
            return refuse(v, REASON_helper_size, "the size in r%u has no upper bound, or may be negative", reg);
        if (c->k->arg[i - 1].kind == KARG_MEM_OR_NULL && is_null(state_reg(s, reg - 1)))
            return precision_mark_reg(v, s, reg);
        return memory(v, s, c, reg - 1, r->s.r.umax, true);
    case KARG_CONST_SIZE:
        if (!reg_is_const(r) || r->s.t.value >= 1u << 29)
            return refuse(v, REASON_helper_size, "the size in r%u must be a constant", reg);
        c->constant = r->s.t.value;
        reason = precision_mark_reg(v, s, reg);
        if (reason)
            return reason;
        if (is_null(state_reg(s, reg - 1)))
            return precision_mark_reg(v, s, reg - 1);
        return memory(v, s, c, reg - 1, c->constant, true);
    case KARG_DYNPTR: return dynptr_check(v, s, reg, DYNPTR_NONE, &c->dynptr);
    case KARG_DYNPTR_NEW: c->made = *r; return dynptr_check_new(v, s, reg);
    case KARG_ITER:
        c->iter = iter_type_find(arg->type);
        c->iter_at = *r;
        return c->k->special == KFUNC_ITER_NEW || c->k->special == KFUNC_IRQ_SAVE
                   ? iter_check_new(v, s, reg, c->iter)
                   : iter_check(v, s, reg, c->iter, &c->ref);
    case KARG_ANY:
        c->any = *r;
        if (r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return REASON_ok;
    default: return object_argument(v, s, c, reg, (enum kfunc_arg_kind)arg->kind);
    }
}

/* Sections begin and end; pointers that one protected are not to be trusted after it. */
static bool is_protected(const struct reg *r, const void *ctx)
{
    (void)ctx;
    return r->kind == REG_BTF && r->trust & TRUST_RCU;
}

static void expose(struct reg *r, const void *ctx)
{
    (void)ctx;
    r->trust = (uint8_t)((r->trust & ~TRUST_RCU) | TRUST_UNTRUSTED);
    r->flags &= (uint8_t)~REG_MAYBE_NULL;
}

enum reason kfunc_may_throw(struct verifier *v, const struct state *s)
{
    for (uint32_t f = 1; f < s->n_frames; f++)
        if (s->frames[f]->callback)
            return refuse(v, REASON_exception, "a helper called '%s', which an exception would leave",
                          v->prog->funcs[s->frames[f]->func].name);
    return REASON_ok;
}

/* An exception ends the program, from any depth, with the cookie as its result. */
static enum reason throws(struct verifier *v, struct state *s)
{
    bool returned = !s->frames[0]->func && !v->prog->exception_cb;
    enum reason reason = returned ? policy_return(v, s, 1) : REASON_ok;

    if (!reason)
        reason = kfunc_may_throw(v, s);
    return reason ? reason : call_resources_held(v, s, false, "an exception ends the program");
}

static enum reason enter(struct verifier *v, struct state *s, const struct kcall *c)
{
    const struct kfunc *k = c->k;

    if ((k->special == KFUNC_RCU_LOCK || k->special == KFUNC_RCU_UNLOCK) && object_in_less(v))
        return refuse(v, REASON_section_open, "%s is called where nodes of a tree are compared", k->name);
    switch (k->special) {
    case KFUNC_RCU_LOCK:
        if (s->rcu)
            return refuse(v, REASON_section_open, "bpf_rcu_read_lock() inside a section that is protected already");
        s->rcu = true;
        return REASON_ok;
    case KFUNC_RCU_UNLOCK:
        if (!s->rcu)
            return refuse(v, REASON_section_closed, "bpf_rcu_read_unlock() without bpf_rcu_read_lock()");
        s->rcu = false;
        return state_change_regs(&v->pool, s, is_protected, expose, NULL) && iter_section_ends(v, s)
                   ? REASON_ok
                   : REASON_out_of_memory;
    case KFUNC_PREEMPT_OFF:
        if (s->preempt_off == UINT8_MAX)
            return unsupported(v, "bpf_preempt_disable() more than 255 times at once");
        s->preempt_off++;
        return REASON_ok;
    case KFUNC_PREEMPT_ON:
        if (!s->preempt_off)
            return refuse(v, REASON_section_closed, "bpf_preempt_enable() without bpf_preempt_disable()");
        s->preempt_off--;
        return REASON_ok;
    case KFUNC_IRQ_RESTORE:
        if (c->ref != state_last_ref(s, REF_IRQ))
            return refuse(v, REASON_section_closed, "the flags that were saved last are to be restored first");
        return REASON_ok;
    case KFUNC_THROW: return throws(v, s);
    case KFUNC_SLICE_RDWR:
        return policy_may_write_packet(v) ? REASON_ok
                                          : refuse(v, REASON_packet_access,
                                                   "programs of this type may not write packets, nor call "
                                                   "bpf_dynptr_slice_rdwr()");
    default: return REASON_ok;
    }
}

/* The kernel's own type of what a program sees as its context. */
static const char *kernel_ctx(const struct prog_type *type)
{
    switch (type->id) {
    case PROG_TYPE_XDP: return "xdp_buff";
    case PROG_TYPE_SOCKET_FILTER:
    case PROG_TYPE_SCHED_CLS:
    case PROG_TYPE_SCHED_ACT:
    case PROG_TYPE_CGROUP_SKB:
    case PROG_TYPE_LWT_IN:
    case PROG_TYPE_LWT_OUT:
    case PROG_TYPE_LWT_XMIT:
    case PROG_TYPE_LWT_SEG6LOCAL:
    case PROG_TYPE_SK_SKB: return "sk_buff";
    case PROG_TYPE_SOCK_OPS: return "bpf_sock_ops_kern";
    case PROG_TYPE_CGROUP_SOCK: return "sock";
    case PROG_TYPE_CGROUP_SOCK_ADDR: return "bpf_sock_addr_kern";
    case PROG_TYPE_SK_MSG: return "sk_msg";
    case PROG_TYPE_KPROBE: return "pt_regs";
    case PROG_TYPE_PERF_EVENT: return "bpf_perf_event_data_kern";
    default: return NULL;
    }
}

static enum reason rdonly_cast(struct verifier *v, uint64_t id, struct reg *out)
{
    const struct btf *btf = v->prog->kernel_btf;
    const struct btf_type *t = btf && id <= UINT32_MAX ? btf_type_at(btf, (uint32_t)id) : NULL;

    if (!btf)
        return unsupported(v, "kernel objects without the target's types");
    if (!t)
        return refuse(v, REASON_helper_argument, "there is no type %llu", (unsigned long long)id);
    *out = (struct reg){.kind = REG_MEM, .flags = REG_READ_ONLY, .trust = TRUST_UNTRUSTED, .s = scalar_const(0)};
    if (btf_kind(t) == BTF_VOID)
        return REASON_ok;
    if (btf_kind(t) != BTF_STRUCT)
        return refuse(v, REASON_helper_argument, "type %llu is no struct", (unsigned long long)id);
    *out =
        (struct reg){.kind = REG_BTF, .trust = TRUST_UNTRUSTED, .size = (uint32_t)id, .btf = btf, .s = scalar_const(0)};
    return REASON_ok;
}

static struct reg slice(const struct kcall *c)
{
    struct reg out = {.kind = REG_MEM, .size = (uint32_t)c->constant, .map_uid = c->dynptr.id, .s = scalar_const(0)};

    if (c->k->special == KFUNC_SLICE)
        out.flags |= REG_READ_ONLY;
    if (dynptr_is_packet(c->dynptr.size))
        out.flags |= REG_OF_PACKET;
    return out;
}

/* The dynptr that this call makes. */
static bool make_dynptr(struct verifier *v, struct state *s, const struct kcall *c)
{
    switch (c->k->special) {
    case KFUNC_DYNPTR_SKB: return dynptr_make(v, s, &c->made, DYNPTR_SKB, 0);
    case KFUNC_DYNPTR_XDP: return dynptr_make(v, s, &c->made, DYNPTR_XDP, 0);
    default: return dynptr_make(v, s, &c->made, c->dynptr.size, c->dynptr.ref);
    }
}

static enum reason pointer_result(struct verifier *v, const struct state *s, const struct kcall *c, struct reg *out)
{
    const struct kfunc *k = c->k;
    bool cast = k->special == KFUNC_CAST_KERN_CTX;
    const char *type = cast ? kernel_ctx(v->prog->type) : k->ret_type;

    if (k->special == KFUNC_RDONLY_CAST)
        return rdonly_cast(v, c->constant, out);
    if (!type || !btf_kernel_type(v, type))
        return unsupported(v, "kernel objects without the target's types");
    *out = btf_ptr_reg(v, type, cast ? TRUST_TRUSTED : k->special == KFUNC_ITER_NEXT ? iter_trust(s, &c->iter_at) : 0);
    return REASON_ok;
}

/* What shares an object that the program owns is sure to get it. */
static bool may_be_null(const struct kcall *c)
{
    return c->k->flags & KFUNC_RET_NULL && (c->k->special != KFUNC_OBJECT_SHARE || c->object.trust & TRUST_BORROWED);
}

static enum reason result(struct verifier *v, struct state *s, const struct kcall *c, struct reg *out)
{
    enum reason reason = REASON_ok;

    *out = reg_unknown();
    switch ((enum kfunc_ret_kind)c->k->ret) {
    case KRET_VOID: *out = (struct reg){.kind = REG_NONE}; return REASON_ok;
    case KRET_INT: return REASON_ok;
    case KRET_LOCAL:
    case KRET_NODE: reason = object_result(v, c, out); break;
    case KRET_MEM:
        *out = (struct reg){.kind = REG_MEM, .flags = REG_READ_ONLY, .size = c->k->ret_size, .s = scalar_const(0)};
        out->ref = c->iter ? c->ref : 0;
        break;
    case KRET_SLICE: *out = slice(c); break;
    default: reason = pointer_result(v, s, c, out); break;
    }
    if (reason)
        return reason;
    if (may_be_null(c)) {
        out->flags |= REG_MAYBE_NULL;
        out->id = ++v->next_id;
    }
    if (c->k->flags & KFUNC_ACQUIRE) {
        out->id = out->ref = ++v->next_id;
        if (!state_hold(&v->pool, s, out->ref,
                        c->k->flags & KFUNC_HELD || out->trust & TRUST_ALLOC ? REF_OBJECT : REF_KERNEL))
            return REASON_out_of_memory;
    }
    if (!out->id && reg_has_lock(v, out))
        out->id = ++v->next_id;
    return REASON_ok;
}

enum reason kfunc_call(struct verifier *v, struct state *s, const struct insn *insn, struct state **other, bool *done)
{
    const struct prog_extern *x = (uint64_t)insn->imm < v->prog->n_externs ? &v->prog->externs[insn->imm] : NULL;
    struct kcall c = {.k = x ? x->kfunc : NULL};
    enum reason reason;
    struct reg r0;
    struct frame *f;

    if (!c.k || !c.k->call.body) {
        snprintf(v->missing_name, sizeof(v->missing_name), "kernel function %.40s", x ? x->name : "of this number");
        return unsupported(v, v->missing_name);
    }
    reason = may_call(v, s, c.k);
    for (unsigned i = 0; i < 5 && !reason; i++)
        reason = argument(v, s, &c, i);
    if (!reason && c.k->flags & KFUNC_RELEASE && (!c.ref || !state_has_ref(s, c.ref)))
        reason = refuse(v, REASON_reference_released, "no argument of %s holds a reference", c.k->name);
    if (!reason)
        reason = enter(v, s, &c);
    if (reason)
        return reason;
    for (unsigned i = 0; i < c.n_out; i++)
        if (c.out[i].base.kind == REG_STACK && !stack_write_unknown(v, s, &c.out[i].base, &c.out[i].a))
            return REASON_out_of_memory;
    if (callback_find(&c.k->call)) {
        reason = callback_call(v, s, &c.k->call, c.func, c.root, other);
        if (reason)
            return reason;
    }
    if (c.k->flags & KFUNC_RELEASE && !call_release(v, s, c.ref))
        return REASON_out_of_memory;
    if (c.made.kind != REG_NONE && !make_dynptr(v, s, &c))
        return REASON_out_of_memory;
    if ((c.k->special == KFUNC_ITER_NEW || c.k->special == KFUNC_IRQ_SAVE) &&
        !iter_make(v, s, &c.iter_at, c.iter, c.k->flags & KFUNC_RCU_PROTECTED,
                   c.k->special == KFUNC_IRQ_SAVE ? REF_IRQ : REF_ITER))
        return REASON_out_of_memory;
    if ((c.k->special == KFUNC_ITER_DESTROY || c.k->special == KFUNC_IRQ_RESTORE) &&
        !iter_destroy(v, s, &c.iter_at, c.iter))
        return REASON_out_of_memory;
    if (c.k->special == KFUNC_NODE_ADD && !object_lend(v, s, c.added))
        return REASON_out_of_memory;
    reason = result(v, s, &c, &r0);
    if (reason)
        return reason;
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    f->regs[0] = r0;
    *done = c.k->special == KFUNC_THROW;
    return c.k->special == KFUNC_ITER_NEXT ? iter_next(v, s, &c.iter_at, other) : REASON_ok;
}
