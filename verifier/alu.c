/*
 * Arithmetic: numbers through scalar.c, pointers by Linux's rules: a bounded number may be added to or subtracted from
 * pointers that have an extent; everything else about pointers is refused, or, where a privileged program may see
 * addresses, gives an unknown number.
 */
#include "verifier/verifier.h"

enum { MAX_VAR_OFF = 1 << 29 };

/* ADD64_K and so on, in fours (isa.def): which of the row's operations it is. */
static bool is_op(enum isa_op op, enum isa_op first)
{
    return op >= first && op < first + 4;
}

static const char *pointer_name(const struct reg *r)
{
    return reg_kind_name(r);
}

/* May numbers be added to this kind of pointer? */
static enum reason may_move(struct verifier *v, const struct reg *ptr, unsigned reg, const struct scalar *by)
{
    bool known = scalar_is_const(by);

    if (ptr->flags & REG_MAYBE_NULL)
        return refuse(v, REASON_null_check_missing, "r%u is a %s: compare it with NULL before arithmetic", reg,
                      pointer_name(ptr));
    switch (ptr->kind) {
    case REG_STACK:
    case REG_MAP_VALUE:
    case REG_MAP_KEY:
    case REG_PACKET:
    case REG_PACKET_META:
    case REG_MEM:
    case REG_BUFFER:
    case REG_DYNPTR: return REASON_ok;
    case REG_CTX: /* moved it may be, though not accessed then: probe_read takes such addresses (USDT) */
        return REASON_ok;
    case REG_MAP: /* nothing moves by nothing */
        if (known && !by->t.value)
            return REASON_ok;
        return refuse(v, REASON_pointer_arithmetic, "arithmetic on the map pointer r%u", reg);
    case REG_BTF: return REASON_ok;
    case REG_FLOW_KEYS:
        if (known)
            return REASON_ok;
        return refuse(v, REASON_pointer_arithmetic, "arithmetic on the %s r%u with a number that is not constant",
                      pointer_name(ptr), reg);
    case REG_KERNEL: return unsupported(v, "sockets and kernel pointers");
    default: return refuse(v, REASON_pointer_arithmetic, "arithmetic on the %s r%u", pointer_name(ptr), reg);
    }
}

static enum reason check_offset(struct verifier *v, const struct reg *ptr, const struct scalar *by)
{
    bool known = scalar_is_const(by);
    int64_t val = (int64_t)by->t.value;

    if (known && (val >= MAX_VAR_OFF || val <= -MAX_VAR_OFF))
        return refuse(v, REASON_pointer_unbounded, "math between a %s and the number %lld", pointer_name(ptr),
                      (long long)val);
    if (by->r.smin == INT64_MIN)
        return refuse(v, REASON_pointer_unbounded, "math between a %s and a number without a lower bound",
                      pointer_name(ptr));
    if (by->r.smin <= -MAX_VAR_OFF || by->r.smin >= MAX_VAR_OFF)
        return refuse(v, REASON_pointer_unbounded, "the offset %lld is too large for a %s", (long long)by->r.smin,
                      pointer_name(ptr));
    return REASON_ok;
}

/* The pointer after the move is in bounds that later sums cannot wrap. */
static enum reason check_result(struct verifier *v, const struct reg *ptr)
{
    if (ptr->off >= MAX_VAR_OFF || ptr->off <= -MAX_VAR_OFF)
        return refuse(v, REASON_pointer_unbounded, "the %s was moved by %d", pointer_name(ptr), ptr->off);
    if (ptr->s.r.smin == INT64_MIN)
        return refuse(v, REASON_pointer_unbounded, "the offset of the %s has no lower bound", pointer_name(ptr));
    if (ptr->s.r.smin <= -MAX_VAR_OFF || ptr->s.r.smin >= MAX_VAR_OFF)
        return refuse(v, REASON_pointer_unbounded, "the offset of the %s may be %lld", pointer_name(ptr),
                      (long long)ptr->s.r.smin);
    return REASON_ok;
}

/* ptr moved by a number; `minus`: against it. */
static enum reason move_pointer(struct verifier *v, const struct reg *ptr, unsigned reg, const struct scalar *by,
                                bool minus, struct reg *out)
{
    bool known = scalar_is_const(by);
    int64_t off, val = (int64_t)by->t.value;
    enum reason reason = may_move(v, ptr, reg, by);

    if (!reason && ptr->kind == REG_MEM && ptr->trust & TRUST_UNTRUSTED) {
        *out = *ptr; /* loads are probes, wherever it leads */
        return REASON_ok;
    }
    if (!reason)
        reason = check_offset(v, ptr, by);
    if (reason)
        return reason;
    if (minus && ptr->kind == REG_STACK)
        return refuse(v, REASON_pointer_arithmetic, "numbers are not subtracted from the stack pointer r%u", reg);
    *out = *ptr;
    if (!known || val) /* elsewhere it may be on the other side of the packet's end */
        out->flags &= (uint8_t) ~(REG_AT_END | REG_BEYOND_END);
    off = (int64_t)ptr->off + (minus ? -val : val);
    if (known && off == (int32_t)off && off > -MAX_VAR_OFF && off < MAX_VAR_OFF) {
        out->off = (int32_t)off;
    } else {
        out->s = scalar_alu(minus ? ISA_SUB64_X : ISA_ADD64_X, &ptr->s, by);
        if (ptr->kind == REG_PACKET || ptr->kind == REG_PACKET_META) {
            /* A new base: what was proved of the old one holds for it only when it moved back. */
            out->id = ++v->next_id;
            out->size = 0;
        }
    }
    return check_result(v, out);
}

static enum reason pointer_alu(struct verifier *v, struct state *s, const struct insn *insn, const struct reg *a,
                               const struct reg *b, struct reg *out)
{
    enum isa_op op = (enum isa_op)insn->op;
    bool wide = isa_rows[op].width == 64, add = is_op(op, ISA_ADD64_K), sub = is_op(op, ISA_SUB64_K);
    enum reason reason;

    if (a->kind == REG_KERNEL || b->kind == REG_KERNEL) /* arguments by BTF may be numbers */
        return unsupported(v, "sockets and kernel pointers");
    if (reg_is_pointer(a) && reg_is_pointer(b)) {
        if (sub && v->privileged) {
            *out = reg_unknown();
            if (!wide)
                out->s = scalar_cast(&out->s, 4, false);
            return REASON_ok;
        }
        return refuse(v, REASON_pointer_arithmetic, "'%s' of the %s r%u and the %s r%u", isa_rows[op].text,
                      pointer_name(a), insn->dst, pointer_name(b), insn->src);
    }
    if (!add && !sub)
        return refuse(v, REASON_pointer_arithmetic, "'%s' on the %s r%u", isa_rows[op].text,
                      pointer_name(reg_is_pointer(a) ? a : b), reg_is_pointer(a) ? insn->dst : insn->src);
    if (!wide) {
        if (sub && v->privileged) {
            *out = reg_unknown();
            out->s = scalar_cast(&out->s, 4, false);
            return REASON_ok;
        }
        return refuse(v, REASON_pointer_arithmetic, "32-bit arithmetic on the %s",
                      pointer_name(reg_is_pointer(a) ? a : b));
    }
    if (reg_is_pointer(b)) {
        if (sub)
            return refuse(v, REASON_pointer_subtraction, "the %s r%u is subtracted from a number", pointer_name(b),
                          insn->src);
        reason = precision_mark_reg(v, s, insn->dst);
        if (!reason)
            reason = move_pointer(v, b, insn->src, &a->s, false, out);
        return reason ? reason
                      : speculation_move(
                            v, s->insn,
                            &(struct move){.from = b, .to = out, .by = &a->s, .reg = insn->src, .by_register = true});
    }
    if (isa_rows[op].form == ISA_FORM_ALU_X) {
        reason = precision_mark_reg(v, s, insn->src);
        if (reason)
            return reason;
    }
    reason = move_pointer(v, a, insn->dst, &b->s, sub, out);
    return reason ? reason
                  : speculation_move(v, s->insn,
                                     &(struct move){.from = a,
                                                    .to = out,
                                                    .by = &b->s,
                                                    .reg = insn->dst,
                                                    .minus = sub,
                                                    .by_register = isa_rows[op].form == ISA_FORM_ALU_X,
                                                    .pointer_is_dst = true});
}

/* Copies of a scalar are linked by an id, so that a test of one speaks of all. */
static bool link_source(struct verifier *v, struct state *s, unsigned src)
{
    const struct reg *r = state_reg(s, src);
    struct reg *w;

    if (r->kind != REG_SCALAR || r->id || scalar_is_const(&r->s))
        return true;
    w = state_reg_mut(&v->pool, s, src);
    if (!w)
        return false;
    w->id = ++v->next_id;
    w->off = 0;
    w->flags &= (uint8_t)~REG_LINK_OFF;
    return true;
}

static void unlink_value(struct reg *r)
{
    r->id = 0;
    r->off = 0;
    r->flags &= (uint8_t)~REG_LINK_OFF;
}

static enum reason mov(struct verifier *v, struct state *s, const struct insn *insn, struct reg *out)
{
    enum isa_op op = (enum isa_op)insn->op;
    const struct reg *b = state_reg(s, insn->src);
    bool pointer = reg_is_pointer(b);
    bool keeps;

    if (op == ISA_MOV64_X) {
        if (!link_source(v, s, insn->src))
            return REASON_out_of_memory;
        *out = *state_reg(s, insn->src);
        return REASON_ok;
    }
    if (pointer) {
        if (!v->privileged)
            return refuse(v, REASON_pointer_leak, "a part of the %s r%u is copied", pointer_name(b), insn->src);
        if (op != ISA_MOV32_X)
            return refuse(v, REASON_pointer_arithmetic, "sign extension of the %s r%u", pointer_name(b), insn->src);
        *out = reg_unknown();
        out->s = scalar_cast(&out->s, 4, false);
        return REASON_ok;
    }
    /* Where the extension changes nothing, the copy is a copy. */
    *out = *b;
    out->s = scalar_alu(op, &b->s, &b->s);
    keeps = op == ISA_MOV32_X ? b->s.r.umax <= UINT32_MAX : false;
    if (op == ISA_MOVSX8_64)
        keeps = b->s.r.smin >= INT8_MIN && b->s.r.smax <= INT8_MAX;
    if (op == ISA_MOVSX16_64)
        keeps = b->s.r.smin >= INT16_MIN && b->s.r.smax <= INT16_MAX;
    if (op == ISA_MOVSX32_64)
        keeps = b->s.r.smin >= INT32_MIN && b->s.r.smax <= INT32_MAX;
    if (!keeps) {
        unlink_value(out);
        return REASON_ok;
    }
    if (!link_source(v, s, insn->src))
        return REASON_out_of_memory;
    b = state_reg(s, insn->src);
    out->id = b->id;
    out->off = b->off;
    out->flags = b->flags;
    return REASON_ok;
}

/* Shifts by a register: the machine takes the amount modulo the width, Linux takes the result for anything unless the
 * amount is one constant below the width, and what it refuses for that is refused here. */
static bool shifts_by_unknown(enum isa_op op, const struct reg *b)
{
    bool shift = is_op(op, ISA_LSH64_K) || is_op(op, ISA_RSH64_K) || is_op(op, ISA_ARSH64_K);

    return shift && isa_rows[op].form == ISA_FORM_ALU_X &&
           (!scalar_is_const(&b->s) || b->s.r.umax >= isa_rows[op].width);
}

/* What Linux does not know, and we do: anything of a quotient or remainder, not even where both operands are constants;
 * the sign of what was shifted to the left, unless it follows from the unsigned range. */
static void know_less(enum isa_op op, const struct scalar *a, struct scalar *out)
{
    if (is_op(op, ISA_DIV64_K) || is_op(op, ISA_MOD64_K) || is_op(op, ISA_SDIV64_K) || is_op(op, ISA_SMOD64_K)) {
        *out = scalar_unknown();
    } else if (is_op(op, ISA_LSH64_K)) {
        bool wide = isa_rows[op].width == 64;

        if (wide ? a->r.smin < 0 : a->w.smin < 0) {
            struct tnum t = out->t;

            *out = scalar_unknown();
            out->t = t;
            scalar_sync(out);
        }
    }
}

static void number_alu(const struct verifier *v, const struct insn *insn, const struct reg *a, const struct reg *b,
                       struct reg *out)
{
    enum isa_op op = (enum isa_op)insn->op;

    *out = *a;
    out->s = scalar_alu(op, &a->s, &b->s);
    if (shifts_by_unknown(op, b))
        out->s = scalar_unknown(); /* the upper half included, where 32 bits were asked for */
    if (v->opts->linux_numbers)
        know_less(op, &a->s, &out->s);
    /* A linked copy that is moved by a constant stays linked, at that distance. */
    if (op == ISA_ADD64_K && a->id && insn->imm != INT32_MIN && !(a->flags & REG_LINK_OFF)) {
        out->off = (int32_t)insn->imm;
        out->flags |= REG_LINK_OFF;
        return;
    }
    unlink_value(out);
}

static enum reason check_constant(struct verifier *v, const struct insn *insn)
{
    enum isa_op op = (enum isa_op)insn->op;

    if (isa_rows[op].form != ISA_FORM_ALU_K)
        return REASON_ok;
    if ((is_op(op, ISA_LSH64_K) || is_op(op, ISA_RSH64_K) || is_op(op, ISA_ARSH64_K)) &&
        (insn->imm < 0 || insn->imm >= isa_rows[op].width))
        return refuse(v, REASON_shift_amount, "shift by %lld of %u bits", (long long)insn->imm, isa_rows[op].width);
    if ((is_op(op, ISA_DIV64_K) || is_op(op, ISA_MOD64_K) || is_op(op, ISA_SDIV64_K) || is_op(op, ISA_SMOD64_K)) &&
        insn->imm == 0)
        return refuse(v, REASON_division_by_zero, "division by the constant 0");
    return REASON_ok;
}

static bool in_arena(enum isa_form form, const struct reg *a, const struct reg *b)
{
    if (form == ISA_FORM_NEG || form == ISA_FORM_END)
        return false;
    return a->kind == REG_ARENA || b->kind == REG_ARENA;
}

/* 64-bit arithmetic is narrowed where it is on an arena's pointers, and then it is so on every path: a number's upper
 * half would be lost. */
static enum reason narrow(struct verifier *v, uint32_t at, bool arena)
{
    struct insn_info *info = &v->info[at];

    if (arena ? info->not_arena : info->arena)
        return refuse(v, REASON_pointer_kind_differs,
                      "this instruction calculates with a pointer into the arena on one path, and not on another");
    info->arena |= arena;
    info->not_arena |= !arena;
    return REASON_ok;
}

enum reason alu_step(struct verifier *v, struct state *s, const struct insn *insn)
{
    enum isa_op op = (enum isa_op)insn->op;
    enum isa_form form = isa_rows[op].form;
    bool has_src = form == ISA_FORM_ALU_X || form == ISA_FORM_MOVSX,
         is_mov = is_op(op, ISA_MOV64_K) || form == ISA_FORM_MOVSX;
    const struct reg *a = state_reg(s, insn->dst), *b = state_reg(s, insn->src);
    struct reg imm = reg_const((uint64_t)insn->imm), out, *dst;
    enum reason reason = check_constant(v, insn);

    if (reason)
        return reason;
    if (insn->dst == 10)
        return refuse(v, REASON_frame_pointer_write, "r10 is written");
    if (has_src && b->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    if (!is_mov && a->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->dst);
    if (!has_src)
        b = &imm;
    if (is_mov)
        if (has_src)
            reason = mov(v, s, insn, &out);
        else
            out = reg_const(op == ISA_MOV32_K ? (uint32_t)insn->imm : (uint64_t)insn->imm);
    else if (in_arena(form, a, b)) {
        /* Any arithmetic will do: it is done on the lower halves. */
        if (a->kind == REG_STACK || b->kind == REG_STACK)
            stack_escapes_whole(v, s, a->kind == REG_STACK ? a : b);
        out = a->kind == REG_ARENA ? *a : *b;
        reason = narrow(v, s->insn, true);
    } else if (form == ISA_FORM_NEG || form == ISA_FORM_END) {
        if (reg_is_pointer(a) && !v->privileged)
            return refuse(v, REASON_pointer_arithmetic, "'%s' on the %s r%u", isa_rows[op].text, pointer_name(a),
                          insn->dst);
        out = reg_unknown();
        if (reg_is_pointer(a))
            out.s = scalar_alu(op, &out.s, &out.s);
        else
            number_alu(v, insn, a, a, &out);
    } else if (reg_is_pointer(a) || reg_is_pointer(b))
        reason = pointer_alu(v, s, insn, a, b, &out);
    else {
        number_alu(v, insn, a, b, &out);
        if (form == ISA_FORM_ALU_X && (is_op(op, ISA_ADD64_K) || is_op(op, ISA_SUB64_K)))
            reason = speculation_numbers(v, s->insn, insn->dst);
    }
    if (!reason && !is_mov && v->arena_map && !in_arena(form, a, b) && isa_rows[op].width == 64)
        reason = narrow(v, s->insn, false);
    if (reason)
        return reason;
    dst = state_reg_mut(&v->pool, s, insn->dst);
    if (!dst)
        return REASON_out_of_memory;
    *dst = out;
    return REASON_ok;
}
