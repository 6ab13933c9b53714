/*
 * One instruction: what it needs is judged, then the state becomes its successor's. step() notes the instruction in the
 * path's history first; while it works, v->in_step tells the precision walk to begin before that record.
 */
#include "verifier/verifier.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "1 bytes" is said "1 byte". */
static void singular(char *text)
{
    for (char *p = text; (p = strstr(p, "1 bytes")); p += 6)
        if (p == text || p[-1] == ' ')
            memmove(p + 6, p + 7, strlen(p + 7) + 1);
}

enum reason refuse(struct verifier *v, enum reason reason, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(v->why, sizeof(v->why), fmt, ap);
    va_end(ap);
    singular(v->why);
    return reason;
}

enum reason unsupported(struct verifier *v, const char *what)
{
    v->missing = what;
    return refuse(v, REASON_unsupported, "%s", what);
}

/* Does Linux rewrite what is accessed through this kind of pointer? */
static bool is_rewritten(unsigned kind)
{
    return kind == REG_CTX || (kind >= REG_SOCK_COMMON && kind <= REG_XDP_SOCK) || kind == REG_BTF || kind == REG_ARENA;
}

/* One instruction may not reach different kinds of memory on different paths where Linux rewrites the access by kind.
 * Kernel objects may differ in how far they are trusted, and from memory, where they are loaded: that becomes a probe.
 */
static enum reason same_kind(struct verifier *v, const struct state *s, const struct reg *base, bool write)
{
    struct insn_info *info = &v->info[s->insn];
    bool differs = info->ptr_kind && (base->kind != info->ptr_kind || base->trust != info->ptr_trust);
    bool loads = !write && (base->kind == REG_BTF || base->kind == REG_MEM) &&
                 (info->ptr_kind == REG_BTF || info->ptr_kind == REG_MEM);

    if (differs && !loads && (is_rewritten(base->kind) || is_rewritten(info->ptr_kind)))
        return refuse(v, REASON_pointer_kind_differs,
                      "this instruction accessed another kind of memory than a %s on another path",
                      reg_kind_name(base));
    info->ptr_kind = base->kind;
    info->ptr_trust = base->trust;
    return REASON_ok;
}

static void note_fact(struct verifier *v, const struct state *s, const struct reg *base, int64_t off, uint32_t size)
{
    static const uint8_t kinds[REG_KIND_COUNT] = {
        [REG_CTX] = FACT_MEM_CTX,       [REG_STACK] = FACT_MEM_STACK,        [REG_MAP_VALUE] = FACT_MEM_MAP_VALUE,
        [REG_PACKET] = FACT_MEM_PACKET, [REG_PACKET_META] = FACT_MEM_PACKET, [REG_MAP_KEY] = FACT_MEM_OTHER,
        [REG_MEM] = FACT_MEM_OTHER,     [REG_FLOW_KEYS] = FACT_MEM_OTHER,    [REG_SOCK_COMMON] = FACT_MEM_KERNEL,
        [REG_SOCKET] = FACT_MEM_KERNEL, [REG_TCP_SOCK] = FACT_MEM_KERNEL,    [REG_XDP_SOCK] = FACT_MEM_KERNEL,
        [REG_BTF] = FACT_MEM_KERNEL,    [REG_MAP] = FACT_MEM_KERNEL,         [REG_BUFFER] = FACT_MEM_OTHER,
        [REG_ARENA] = FACT_MEM_OTHER,
    };
    bool object = base->kind == REG_BTF && base->trust & TRUST_ALLOC; /* which lies in our own memory */
    struct insn_info *info = &v->info[s->insn];
    uint8_t kind = (base->kind == REG_MEM && base->trust) || base->trust & TRUST_UNTRUSTED ? FACT_MEM_KERNEL
                   : object                                                                ? FACT_MEM_OTHER
                                                                                           : kinds[base->kind];
    bool probes = kind == FACT_MEM_KERNEL || (info->mem_seen && info->mem == FACT_MEM_KERNEL);

    if (info->mem_seen && (info->mem != kind || (kind == FACT_MEM_CTX && info->ctx_off != (uint16_t)off)))
        kind = FACT_MEM_ANY;
    info->mem = probes ? FACT_MEM_KERNEL : kind;
    info->mem_seen = true;
    if (base->kind == REG_CTX) {
        info->ctx_off = (uint16_t)off;
        if ((uint64_t)off + size > v->ctx_size)
            v->ctx_size = (uint32_t)off + size;
    }
}

static enum reason judge_access(struct verifier *v, struct state *s, const struct reg *base, const struct access *a)
{
    enum reason reason = mem_check(v, s, base, a);

    if (!reason)
        reason = same_kind(v, s, base, a->write);
    if (reason)
        return reason;
    note_fact(v, s, base, a->off, a->size);
    if (base->kind == REG_ARENA)
        v->info[s->insn].arena = true;
    if (base->kind == REG_STACK) {
        s->past.steps[s->past.n - 1].stack = stack_step(base, a);
        if (a->reg != 10)
            stack_escapes(v, s, base, a);
    }
    return REASON_ok;
}

static enum reason load(struct verifier *v, struct state *s, const struct insn *insn, bool sign)
{
    struct reg base = *state_reg(s, insn->src), value, *dst;
    struct access a = {
        .insn = s->insn,
        .reg = insn->src,
        .off = insn->off,
        .size = isa_access_size((enum isa_op)insn->op),
        .atomic = isa_rows[insn->op].form == ISA_FORM_LOAD_ACQ,
        .sign = sign,
    };
    enum reason reason;

    if (insn->dst == 10)
        return refuse(v, REASON_frame_pointer_write, "r10 is written");
    if (sign && (base.kind == REG_CTX || base.kind == REG_PACKET_END) && v->prog->type && v->prog->type->ctx &&
        v->prog->type->ctx->n_fields) {
        const struct ctx_field *field = ctx_field_at(v->prog->type->ctx, (uint32_t)insn->off);

        if (field && field->kind != CTX_PLAIN)
            return refuse(v, REASON_ctx_access, "field '%s' is not to be loaded with sign extension", field->name);
    }
    reason = judge_access(v, s, &base, &a);
    if (reason)
        return reason;
    value = base.kind == REG_STACK ? stack_read(v, s, &base, &a, sign) : mem_value(v, s, &base, &a, sign);
    dst = state_reg_mut(&v->pool, s, insn->dst);
    if (!dst)
        return REASON_out_of_memory;
    *dst = value;
    return REASON_ok;
}

static enum reason store_value(struct verifier *v, struct state *s, const struct reg *base, const struct access *a,
                               const struct reg *value, int value_reg)
{
    enum reason reason;

    if (base->kind != REG_STACK) {
        if (reg_is_pointer(value) && !v->privileged)
            return refuse(v, REASON_pointer_leak, "a %s is stored where it can be read from outside",
                          reg_kind_name(value));
        if (value->kind == REG_STACK)
            stack_escapes_whole(v, s, value);
        return REASON_ok;
    }
    if (value->kind == REG_STACK && base->frame + 1u != s->n_frames)
        return refuse(v, REASON_stack_pointer_corrupted, "a stack pointer is stored into the stack frame of a caller");
    if (value->kind == REG_KERNEL && a->size != SLOT)
        return unsupported(v, "sockets and kernel pointers");
    if (reg_is_pointer(value) && a->size != SLOT) {
        if (!v->privileged || scalar_is_const(&base->s))
            return refuse(v, REASON_stack_pointer_corrupted, "%u bytes of a %s are stored to the stack", a->size,
                          reg_kind_name(value));
    }
    if (reg_is_pointer(value) && (!scalar_is_const(&base->s) || (base->off + a->off) % SLOT))
        return refuse(v, REASON_stack_pointer_corrupted, "a %s is stored to the stack at an offset that is %s",
                      reg_kind_name(value), scalar_is_const(&base->s) ? "not a multiple of 8" : "not known");
    /* A zero that becomes zero bytes, rather than a spilled register, must be zero on every path. */
    if (value_reg >= 0 && reg_is_const(value) && !value->s.t.value &&
        (!scalar_is_const(&base->s) || (base->off + a->off + (int64_t)base->s.t.value) % SLOT)) {
        reason = precision_mark_reg(v, s, (unsigned)value_reg);
        if (reason)
            return reason;
    }
    return stack_write_reg(v, s, base, a, value) ? REASON_ok : REASON_out_of_memory;
}

/* A pointer that owns nothing is NULL or of its type, whoever stores it. */
static enum reason store_kptr(struct verifier *v, struct state *s, const struct reg *base, const struct access *a,
                              const struct reg *value, int value_reg)
{
    const struct field *f = field_loaded(v, base, a);

    if (!f)
        return REASON_ok;
    if (reg_is_const(value) && !value->s.t.value)
        return value_reg < 0 ? REASON_ok : precision_mark_reg(v, s, (unsigned)value_reg);
    if (value_reg < 0)
        return refuse(v, REASON_kptr, "the only number that is stored to a kptr is 0");
    return kptr_check_value(v, s, f, (unsigned)value_reg, false);
}

static enum reason store(struct verifier *v, struct state *s, const struct insn *insn, bool from_reg)
{
    struct reg base = *state_reg(s, insn->dst), value = reg_const((uint64_t)insn->imm);
    struct access a = {.insn = s->insn,
                       .reg = insn->dst,
                       .off = insn->off,
                       .size = isa_access_size((enum isa_op)insn->op),
                       .atomic = isa_rows[insn->op].form == ISA_FORM_STORE_REL,
                       .write = true};
    enum reason reason;

    if (from_reg) {
        value = *state_reg(s, insn->src);
        if (value.kind == REG_NONE)
            return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    } else {
        value.s = scalar_cast(&value.s, a.size, false);
    }
    reason = judge_access(v, s, &base, &a);
    if (reason)
        return reason;
    if (from_reg && value.kind == REG_SCALAR && base.kind == REG_STACK && !value.id && !scalar_is_const(&value.s) &&
        value.s.r.umax <= UINT64_MAX >> (64 - 8 * a.size)) {
        /* The spill is a copy: link it. */
        struct reg *w = state_reg_mut(&v->pool, s, insn->src);

        if (!w)
            return REASON_out_of_memory;
        w->id = ++v->next_id;
        w->off = 0;
        w->flags &= (uint8_t)~REG_LINK_OFF;
        value = *w;
    }
    reason = store_kptr(v, s, &base, &a, &value, from_reg ? insn->src : -1);
    return reason ? reason : store_value(v, s, &base, &a, &value, from_reg ? insn->src : -1);
}

static bool fetches(enum isa_op op)
{
    return op >= ISA_ATOMIC_FETCH_ADD64 && op <= ISA_ATOMIC_CMPXCHG32;
}

static enum reason atomic(struct verifier *v, struct state *s, const struct insn *insn)
{
    enum isa_op op = (enum isa_op)insn->op;
    struct reg base = *state_reg(s, insn->dst), old;
    const struct reg *value = state_reg(s, insn->src), *r0 = state_reg(s, 0);
    struct access a = {
        .insn = s->insn, .reg = insn->dst, .off = insn->off, .size = isa_access_size(op), .atomic = true};
    bool cmpxchg = op == ISA_ATOMIC_CMPXCHG64 || op == ISA_ATOMIC_CMPXCHG32;
    struct reg *dst;
    enum reason reason;

    if (value->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    if (cmpxchg && r0->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r0 was not written on this path");
    if (reg_is_pointer(value) && !v->privileged)
        return refuse(v, REASON_pointer_leak, "r%u, a %s, is an operand of an atomic operation", insn->src,
                      reg_kind_name(value));
    if (cmpxchg && reg_is_pointer(r0) && !v->privileged)
        return refuse(v, REASON_pointer_leak, "r0, a %s, is an operand of an atomic operation", reg_kind_name(r0));
    reason = judge_access(v, s, &base, &a);
    if (!reason) {
        a.write = true;
        reason = judge_access(v, s, &base, &a);
    }
    if (reason)
        return reason;
    old = base.kind == REG_STACK ? stack_read(v, s, &base, &a, false) : mem_value(v, s, &base, &a, false);
    if (reg_is_pointer(&old) && !v->privileged)
        return refuse(v, REASON_pointer_leak, "the %s spilled there is used as a number", reg_kind_name(&old));
    if (base.kind == REG_STACK && !stack_write_unknown(v, s, &base, &a))
        return REASON_out_of_memory;
    if (!fetches(op))
        return REASON_ok;
    dst = state_reg_mut(&v->pool, s, cmpxchg ? 0 : insn->src);
    if (!dst)
        return REASON_out_of_memory;
    *dst = old;
    return REASON_ok;
}

static enum reason load_wide(struct verifier *v, struct state *s, const struct insn *insn)
{
    struct reg value = reg_const((uint64_t)insn->imm), *dst;
    uint32_t index;

    switch (insn->op) {
    case ISA_LD_IMM64: {
        const struct prog_ksym *sym = prog_ksym_at(v->prog, s->insn);
        enum reason reason = sym ? btf_ptr_variable(v, sym, &value) : REASON_ok;

        if (reason)
            return reason;
        break;
    }
    case ISA_LD_MAP_FD:
    case ISA_LD_MAP_IDX:
        value = (struct reg){.kind = REG_MAP, .map = v->prog->maps[insn->imm], .s = scalar_const(0)};
        break;
    case ISA_LD_MAP_VALUE:
    case ISA_LD_MAP_IDX_VALUE:
        index = (uint32_t)((uint64_t)insn->imm >> 32);
        if (v->prog->maps[index]->type == MAP_TYPE_ARENA) {
            value = reg_unknown();
            break;
        }
        value = (struct reg){
            .kind = REG_MAP_VALUE, .map = v->prog->maps[index], .off = (int32_t)insn->imm, .s = scalar_const(0)};
        break;
    case ISA_LD_FUNC: {
        enum reason reason = callback_take(v, insn->target, &value);

        if (reason)
            return reason;
        break;
    }
    default: return unsupported(v, "kernel variables by the numbers of their types");
    }
    dst = state_reg_mut(&v->pool, s, insn->dst);
    if (!dst)
        return REASON_out_of_memory;
    *dst = value;
    return REASON_ok;
}

static enum reason load_packet(struct verifier *v, struct state *s, const struct insn *insn, bool indirect,
                               struct state **other)
{
    const struct prog_type *type = v->prog->type;
    struct reg zero;
    struct frame *f;

    if (!type || !(type->traits & PROG_LD_ABS))
        return refuse(v, REASON_packet_access, "programs of type %s have no BPF_LD_ABS", type ? type->name : "raw");
    if (state_reg(s, 6)->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r6 was not written on this path; it must be the context");
    if (state_reg(s, 6)->kind != REG_CTX || state_reg(s, 6)->off)
        return refuse(v, REASON_helper_argument, "r6 must be the context for this load");
    if (s->locked)
        return refuse(v, REASON_lock_held, "packet loads end the program when they fail, with the lock held");
    if (state_refs_but(s, REF_IRQ))
        return refuse(v, REASON_reference_leak, "packet loads end the program when they fail, with a reference held");
    if (s->rcu || s->preempt_off || state_last_ref(s, REF_IRQ))
        return kfunc_sections_end(v, s, "packet loads end the program when they fail,");
    if (indirect && state_reg(s, insn->src)->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    f->regs[0] = reg_unknown(); /* as in Linux, though it is narrow */
    zero = reg_const(0);
    return leave_early(v, s, &zero, other);
}

/* To the program's own space a number becomes a pointer into its arena, whatever it was; to the user's, a number. */
static enum reason cast_space(struct verifier *v, struct state *s, const struct insn *insn)
{
    struct reg *dst;

    if (!v->arena_map)
        return refuse(v, REASON_address_space, "the program names no arena");
    if (state_reg(s, insn->src)->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    if (state_reg(s, insn->src)->kind == REG_STACK)
        stack_escapes_whole(v, s, state_reg(s, insn->src));
    if (insn->dst == 10)
        return refuse(v, REASON_frame_pointer_write, "r10 is written");
    dst = state_reg_mut(&v->pool, s, insn->dst);
    if (!dst)
        return REASON_out_of_memory;
    *dst = insn->imm == 1 ? (struct reg){.kind = REG_ARENA, .s = scalar_const(0)} : reg_unknown();
    return REASON_ok;
}

static enum reason execute(struct verifier *v, struct state *s, const struct insn *insn, struct state **other,
                           bool *done)
{
    enum reason reason;
    bool taken;

    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX:
    case ISA_FORM_NEG:
    case ISA_FORM_END: reason = alu_step(v, s, insn); break;
    case ISA_FORM_LDX: reason = load(v, s, insn, insn->op >= ISA_LDSX_W && insn->op <= ISA_LDSX_B); break;
    case ISA_FORM_LOAD_ACQ: reason = load(v, s, insn, false); break;
    case ISA_FORM_ST: reason = store(v, s, insn, false); break;
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL: reason = store(v, s, insn, true); break;
    case ISA_FORM_ATOMIC: reason = atomic(v, s, insn); break;
    case ISA_FORM_LD_ABS: reason = load_packet(v, s, insn, false, other); break;
    case ISA_FORM_LD_IND: reason = load_packet(v, s, insn, true, other); break;
    case ISA_FORM_LDIMM:
        reason = load_wide(v, s, insn);
        s->insn++;
        break;
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X: return branch_step(v, s, insn, other, &taken);
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM: s->insn = insn->target; return REASON_ok;
    case ISA_FORM_MAY_GOTO:
        *other = state_copy(&v->pool, s);
        if (!*other)
            return REASON_out_of_memory;
        (*other)->insn++;
        (*other)->may_goto_depth++;
        if (!loop_widen(v, *other, s->parent->state)) /* saved just now */
            return REASON_out_of_memory;
        s->insn = insn->target;
        return REASON_ok;
    case ISA_FORM_CALL:
        if (insn->op == ISA_CALL_LOCAL)
            return call_local(v, s, insn);
        reason = insn->op == ISA_CALL_HELPER ? call_helper(v, s, insn, other) : kfunc_call(v, s, insn, other, done);
        if (!reason && insn->op == ISA_CALL_HELPER && insn->imm == TAIL_CALL)
            reason = tail_call_taken(v, s, other);
        break;
    case ISA_FORM_NO_OPERANDS: return exit_step(v, s, done);
    case ISA_FORM_CAST: reason = cast_space(v, s, insn); break;
    default: return refuse(v, REASON_bad_instruction, "no such instruction");
    }
    s->insn++;
    return reason;
}

static enum reason poisoned(struct verifier *v, const struct insn *insn)
{
    const struct prog_poison *p = &v->prog->poison[insn->imm];
    enum reason reason = p->kind == TRAP_core_unresolved  ? REASON_core_unresolved
                         : p->kind == TRAP_frame_pointer  ? REASON_frame_pointer_write
                         : p->kind == TRAP_kfunc_missing  ? REASON_kfunc_missing
                         : p->kind == TRAP_helper_missing ? REASON_helper_unknown
                                                          : REASON_bad_instruction;

    if (p->helper) {
        enum reason refused = policy_may_call(v, p->helper);

        if (refused)
            return refused;
    }
    /* What Linux has and we have not is no fault of the program. */
    if (reason == REASON_helper_unknown || reason == REASON_kfunc_missing)
        return unsupported(v, p->reason);
    return refuse(v, reason, "%s", p->reason);
}

enum reason step(struct verifier *v, struct state *s, struct state **other, bool *done)
{
    const struct insn *insn = insn_at(v, s->insn);
    uint32_t at = s->insn, inst = state_top(s)->inst;
    enum reason reason;

    *other = NULL;
    *done = false;
    v->info[s->insn].seen = true;
    if (insn->poisoned)
        return poisoned(v, insn);
    if (!history_add(&s->past, (struct step_record){.insn = s->insn}, NULL))
        return REASON_out_of_memory;
    v->in_step = true;
    v->now = s;
    uses_begin(v);
    reason = execute(v, s, insn, other, done);
    uses_end(v, inst, at);
    v->in_step = false;
    if (v->pool.failed && !reason)
        reason = REASON_out_of_memory;
    return reason;
}
