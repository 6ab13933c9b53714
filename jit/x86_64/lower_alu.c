/*
 * Arithmetic. Two-operand instructions destroy their first operand, so each form looks first whether the result lies
 * where an operand does; where it would destroy one that is still to be read, r11 takes it.
 */
#include "jit/x86_64/lower.h"

/* The second operand as instructions take it. */
struct second {
    bool imm; /* v fits into the instruction */
    int64_t v;
    struct x86_rm rm;
};

static bool fits(int64_t v)
{
    return v == (int32_t)v;
}

/* A constant that the instruction cannot hold goes through r11; when that holds the result too (whose place is a slot,
 * and then no operand is in one), through the result's slot. */
static struct second constant(struct lower *l, const struct ir_op *op, enum x86_reg d, bool encodable)
{
    if (encodable && !x86_is_blind(l, op))
        return (struct second){.imm = true, .v = op->imm};
    x86_const_of(l, X86_SCRATCH, op);
    if (d != X86_SCRATCH)
        return (struct second){.rm = x86_r(X86_SCRATCH)};
    x86_mov_to(l->a, 8, x86_place(l, op->dst), X86_SCRATCH);
    return (struct second){.rm = x86_place(l, op->dst)};
}

static struct second second(struct lower *l, const struct ir_op *op, enum x86_reg d, bool encodable)
{
    struct second s = {0};

    if (op->flags & IR_IMM)
        return constant(l, op, d, encodable);
    if (!(op->flags & IR_MEM)) {
        s.rm = x86_place(l, op->b);
        return s;
    }
    s.rm = x86_mem(l, op);
    if (place_reg(l, op->a) != d && x86_reads(s.rm, d)) {
        x86_mov(l->a, op->width, X86_SCRATCH, s.rm);
        s.rm = x86_r(X86_SCRATCH);
    }
    return s;
}

static bool is_reg(const struct second *s, enum x86_reg r)
{
    return !s->imm && s->rm.kind == X86_RM_REG && s->rm.base == r;
}

/* d = a, which an operation of this width is to change. */
static void begin(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    if (place_reg(l, op->a) != d)
        x86_mov(l->a, op->width, d, x86_place(l, op->a));
}

/* The operation stands in d, and the last instruction's flags say what came out of it. */
static void note_flags(struct lower *l, const struct ir_op *op, unsigned width, enum ir_kind kind)
{
    l->flags = (struct x86_flags){.kind = (uint8_t)kind,
                                  .width = (uint8_t)width,
                                  .dst = op->dst,
                                  .a = op->a,
                                  .b = op->flags & (IR_IMM | IR_MEM) ? IR_NONE : op->b,
                                  .at = l->a->len};
}

static bool add_by_lea(struct lower *l, const struct ir_op *op, enum x86_reg d, const struct second *s)
{
    enum x86_reg a = place_reg(l, op->a);

    if (a == X86_NONE || a == d)
        return false;
    if (s->imm && fits(s->v)) {
        x86_lea(l->a, op->width, d, x86_at(a, (int32_t)s->v));
        return true;
    }
    if (s->imm || s->rm.kind != X86_RM_REG || s->rm.base == d)
        return false;
    x86_lea(l->a, op->width, d, x86_indexed(a, s->rm.base, 1, 0));
    return true;
}

/* As few bytes as possible: 128 is one more than a byte holds. */
static void add_imm(struct lower *l, unsigned width, enum x86_reg d, int64_t v)
{
    if (v == 128 || v == 0x80000000)
        x86_alu_imm(l->a, X86_SUB, width, x86_r(d), -v);
    else
        x86_alu_imm(l->a, X86_ADD, width, x86_r(d), v);
}

static void add(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    struct second s = second(l, op, d, fits(op->imm) || op->imm == 0x80000000);

    if (add_by_lea(l, op, d, &s))
        return;
    if (is_reg(&s, d) && place_reg(l, op->a) != d) {
        x86_alu(l->a, X86_ADD, op->width, d, x86_place(l, op->a));
        note_flags(l, op, op->width, IR_ADD);
        return;
    }
    begin(l, op, d);
    if (s.imm)
        add_imm(l, op->width, d, s.v);
    else
        x86_alu(l->a, X86_ADD, op->width, d, s.rm);
    note_flags(l, op, op->width, s.imm ? IR_NOP : IR_ADD);
}

static void sub(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    struct second s = second(l, op, d, fits(op->imm));

    if (s.imm && s.v != INT32_MIN) {
        s.v = -s.v;
        if (add_by_lea(l, op, d, &s))
            return;
        begin(l, op, d);
        x86_alu_imm(l->a, X86_SUB, op->width, x86_r(d), -s.v);
        note_flags(l, op, op->width, IR_NOP);
    } else if (s.imm) {
        begin(l, op, d);
        x86_alu_imm(l->a, X86_SUB, op->width, x86_r(d), s.v);
    } else if (is_reg(&s, d) && place_reg(l, op->a) != d) {
        x86_unary(l->a, X86_NEG, op->width, x86_r(d));
        x86_alu(l->a, X86_ADD, op->width, d, x86_place(l, op->a));
        note_flags(l, op, op->width, IR_NOP);
    } else {
        begin(l, op, d);
        x86_alu(l->a, X86_SUB, op->width, d, s.rm);
        note_flags(l, op, op->width, IR_SUB);
    }
}

static unsigned bit_of(uint64_t v)
{
    return (unsigned)__builtin_ctzll(v);
}

static bool is_bit(uint64_t v)
{
    return v && !(v & (v - 1));
}

/* Constants that have a better form than the general one: parts of a register, and single high bits. */
static bool mask(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    uint64_t v = (uint64_t)op->imm;

    if (op->kind == IR_AND && (v == 0xff || v == 0xffff || (v == 0xffffffff && op->width == 8))) {
        x86_movzx(l->a, v == 0xff ? 1 : v == 0xffff ? 2 : 4, d, x86_place(l, op->a));
        return true;
    }
    if (op->width == 4 || fits(op->imm))
        return false;
    if (op->kind == IR_AND && v == (uint32_t)v) {
        if (place_reg(l, op->a) != d)
            x86_mov(l->a, 4, d, x86_place(l, op->a));
        x86_alu_imm(l->a, X86_AND, 4, x86_r(d), (int64_t)v);
        return true;
    }
    if (!is_bit(op->kind == IR_AND ? ~v : v))
        return false;
    begin(l, op, d);
    x86_bit_imm(l->a,
                op->kind == IR_AND  ? X86_BTR
                : op->kind == IR_OR ? X86_BTS
                                    : X86_BTC,
                8, x86_r(d), (uint8_t)bit_of(op->kind == IR_AND ? ~v : v));
    return true;
}

static void logic(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    enum x86_alu alu = op->kind == IR_AND ? X86_AND : op->kind == IR_OR ? X86_OR : X86_XOR;
    unsigned width = op->width;
    struct second s;

    if (op->flags & IR_IMM && !x86_is_blind(l, op) && mask(l, op, d))
        return;
    s = second(l, op, d, fits(op->imm));
    if (is_reg(&s, d) && place_reg(l, op->a) != d) {
        x86_alu(l->a, alu, op->width, d, x86_place(l, op->a));
        note_flags(l, op, op->width, IR_NOP);
        return;
    }
    begin(l, op, d);
    if (!s.imm) {
        x86_alu(l->a, alu, op->width, d, s.rm);
    } else { /* where the upper half comes out zero, the short form does */
        width = alu == X86_AND && s.v >= 0 ? 4 : op->width;
        x86_alu_imm(l->a, alu, width, x86_r(d), s.v);
    }
    note_flags(l, op, width, IR_NOP);
}

static void mul(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    struct second s = second(l, op, d, fits(op->imm));

    if (s.imm) {
        x86_imul_imm(l->a, op->width, d, x86_place(l, op->a), s.v);
    } else if (is_reg(&s, d) && place_reg(l, op->a) != d) {
        x86_imul(l->a, op->width, d, x86_place(l, op->a));
    } else {
        begin(l, op, d);
        x86_imul(l->a, op->width, d, s.rm);
    }
}

/* Multiplication by a power of two. */
static bool mul_by_shift(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    uint64_t v = op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;

    if (!(op->flags & IR_IMM) || x86_is_blind(l, op) || !is_bit(v) || v == 1)
        return false;
    begin(l, op, d);
    x86_shift(l->a, X86_SHL, op->width, x86_r(d), (uint8_t)bit_of(v));
    return true;
}

static void andn(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    struct second s = second(l, op, d, fits(op->imm));
    enum x86_reg a;

    if (!s.imm && l->features & X86_HAS_BMI1 && (in_reg(l, op->a) || !is_reg(&s, X86_SCRATCH))) {
        a = x86_get(l, op->a, X86_SCRATCH);
        x86_andn(l->a, op->width, d, a, s.rm);
        return;
    }
    if (is_reg(&s, d)) {
        x86_get_into(l, 8, X86_SCRATCH, op->a);
        x86_unary(l->a, X86_NOT, 8, x86_r(X86_SCRATCH));
        x86_alu(l->a, X86_AND, op->width, d, x86_r(X86_SCRATCH));
        return;
    }
    /* Memory whose address the result is part of. */
    if (!s.imm && s.rm.kind == X86_RM_MEM && x86_reads(s.rm, d)) {
        x86_mov(l->a, op->width, X86_SCRATCH, s.rm);
        s.rm = x86_r(X86_SCRATCH);
    }
    begin(l, op, d);
    x86_unary(l->a, X86_NOT, op->width, x86_r(d));
    if (s.imm)
        x86_alu_imm(l->a, X86_AND, op->width, x86_r(d), s.v);
    else
        x86_alu(l->a, X86_AND, op->width, d, s.rm);
}

void x86_lower_alu(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);

    switch (op->kind) {
    case IR_ADD: add(l, op, d); break;
    case IR_SUB: sub(l, op, d); break;
    case IR_MUL:
        if (!mul_by_shift(l, op, d))
            mul(l, op, d);
        break;
    case IR_ANDN: andn(l, op, d); break;
    default: logic(l, op, d);
    }
    x86_put(l, op, d);
}

/* ---- Shifts ---- */

static enum x86_shift shift_of(unsigned kind)
{
    return kind == IR_SHL ? X86_SHL : kind == IR_SHR ? X86_SHR : kind == IR_SAR ? X86_SAR : X86_ROL;
}

static void shift_imm(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    uint8_t count = (uint8_t)(op->imm & (op->width * 8 - 1));

    if (op->kind == IR_ROL && place_reg(l, op->a) != d && count && l->features & X86_HAS_BMI2) {
        x86_rorx(l->a, op->width, d, x86_place(l, op->a), (uint8_t)(op->width * 8 - count));
        return;
    }
    if (place_reg(l, op->a) != d || (!count && op->width == 4))
        x86_mov(l->a, op->width, d, x86_place(l, op->a));
    if (count)
        x86_shift(l->a, shift_of(op->kind), op->width, x86_r(d), count);
}

/* By cl. rcx may hold operands; it is destroyed. */
static void shift_cl(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    enum x86_reg t = d;

    if (d == X86_RCX || place_reg(l, op->b) == d || (!in_reg(l, op->b) && d == X86_SCRATCH))
        t = X86_SCRATCH;
    x86_get_into(l, 8, t, op->a);
    x86_get_into(l, 8, X86_RCX, op->b);
    x86_shift_cl(l->a, shift_of(op->kind), op->width, x86_r(t));
    x86_move(l, d, t);
}

void x86_lower_shift(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);

    if (op->flags & IR_IMM) {
        shift_imm(l, op, d);
    } else if (op->kind != IR_ROL && l->features & X86_HAS_BMI2) {
        enum x86_shiftx sx = op->kind == IR_SHL ? X86_SHLX : op->kind == IR_SHR ? X86_SHRX : X86_SARX;

        x86_shiftx(l->a, sx, op->width, d, x86_place(l, op->a), x86_get(l, op->b, X86_SCRATCH));
    } else {
        shift_cl(l, op, d);
    }
    x86_put(l, op, d);
}

/* ---- Division ---- */

static bool is_signed(const struct ir_op *op)
{
    return op->kind == IR_SDIV || op->kind == IR_SMOD;
}

static bool is_modulo(const struct ir_op *op)
{
    return op->kind == IR_UMOD || op->kind == IR_SMOD;
}

static void divide(struct lower *l, const struct ir_op *op, unsigned width, enum x86_reg by)
{
    if (is_signed(op))
        x86_plain(l->a, width == 8 ? X86_CQO : X86_CDQ);
    else
        x86_alu(l->a, X86_XOR, 4, X86_RDX, x86_r(X86_RDX));
    x86_unary(l->a, is_signed(op) ? X86_IDIV : X86_DIV, width, x86_r(by));
}

/* By 0 and -1, of which the operand says at once what comes out. */
static bool divide_by_known(struct lower *l, const struct ir_op *op)
{
    if (!(op->flags & IR_IMM) || (op->imm && (op->imm != -1 || !is_signed(op))))
        return false;
    x86_get_into(l, op->width, X86_RAX, op->a);
    x86_mov(l->a, op->width, X86_RDX, x86_r(X86_RAX));
    if (op->imm)
        x86_alu(l->a, X86_XOR, 4, X86_RDX, x86_r(X86_RDX));
    if (op->imm)
        x86_unary(l->a, X86_NEG, op->width, x86_r(X86_RAX));
    else
        x86_alu(l->a, X86_XOR, 4, X86_RAX, x86_r(X86_RAX));
    return true;
}

void x86_lower_divide(struct lower *l, const struct ir_op *op)
{
    enum x86_reg result = is_modulo(op) ? X86_RDX : X86_RAX, by = place_reg(l, op->b);
    uint32_t back;

    if (divide_by_known(l, op)) {
        x86_put(l, op, result);
        return;
    }
    if (op->flags & IR_IMM) {
        by = X86_SCRATCH;
        x86_const_of(l, by, op);
    } else if (by == X86_NONE || by == X86_RAX || by == X86_RDX) {
        by = X86_SCRATCH;
        x86_mov(l->a, op->width, by, x86_place(l, op->b));
    }
    x86_get_into(l, op->width == 4 && place_reg(l, op->a) == X86_RAX ? 8 : op->width, X86_RAX, op->a);
    if (!(op->flags & IR_IMM)) {
        uint32_t label = x86_stub(l, is_modulo(op) ? X86_STUB_DIVIDEND : X86_STUB_ZERO, op, result, &back);

        x86_test(l->a, op->width, x86_r(by), by);
        x86_jcc(l->a, X86_E, label);
        if (is_signed(op)) {
            uint32_t back2;

            label = x86_stub(l, X86_STUB_NEGATE, op, result, &back2);
            x86_alu_imm(l->a, X86_CMP, op->width, x86_r(by), -1);
            x86_jcc(l->a, X86_E, label);
            divide(l, op, op->width, by);
            x86_bind(l->a, back2);
        } else {
            divide(l, op, op->width, by);
        }
        x86_bind(l->a, back);
    } else {
        divide(l, op, op->width, by);
    }
    x86_put(l, op, result);
}

void x86_stub_divide(struct lower *l, const struct x86_stub *stub)
{
    x86_bind(l->a, stub->label);
    if (stub->kind == X86_STUB_DIVIDEND)
        x86_mov(l->a, stub->width, X86_RDX, x86_r(X86_RAX));
    else if (stub->kind == X86_STUB_NEGATE && !is_modulo(stub->op))
        x86_unary(l->a, X86_NEG, stub->width, x86_r(X86_RAX));
    else
        x86_alu(l->a, X86_XOR, 4, stub->reg, x86_r(stub->reg));
    x86_jmp(l->a, stub->back);
}

void x86_lower_mulhi(struct lower *l, const struct ir_op *op)
{
    bool bmi2 = l->features & X86_HAS_BMI2;
    enum x86_reg fixed = bmi2 ? X86_RDX : X86_RAX, d = x86_dst(l, op);
    uint32_t a = op->a;
    struct x86_rm b;

    if (op->flags & IR_IMM) {
        x86_const_of(l, X86_SCRATCH, op);
        b = x86_r(X86_SCRATCH);
    } else if (op->flags & IR_MEM) {
        b = x86_mem(l, op);
        if (x86_reads(b, fixed) && place_reg(l, a) != fixed) {
            x86_mov(l->a, 8, X86_SCRATCH, b);
            b = x86_r(X86_SCRATCH);
        }
    } else {
        b = x86_place(l, op->b);
        if (place_reg(l, op->b) == fixed) {
            b = x86_place(l, a);
            a = op->b;
        }
    }
    x86_get_into(l, 8, fixed, a);
    if (bmi2) {
        /* Both halves in one register: the upper one stays. */
        x86_mulx(l->a, 8, d, d, b);
        x86_put(l, op, d);
    } else {
        x86_unary(l->a, X86_MUL, 8, b);
        x86_put(l, op, X86_RDX);
    }
}

/* ---- One operand ---- */

static void bswap(struct lower *l, const struct ir_op *op, enum x86_reg d)
{
    struct x86_rm a = x86_place(l, op->a);

    if (op->size == 2) {
        x86_movzx(l->a, 2, d, a);
        x86_shift(l->a, X86_ROL, 2, x86_r(d), 8);
    } else if (a.kind == X86_RM_MEM && l->features & X86_HAS_MOVBE) {
        x86_movbe(l->a, op->size, d, a);
    } else {
        if (place_reg(l, op->a) != d)
            x86_mov(l->a, op->size, d, a);
        x86_bswap(l->a, op->size, d);
    }
}

void x86_lower_unary(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);

    switch (op->kind) {
    case IR_NEG:
    case IR_NOT:
        begin(l, op, d);
        x86_unary(l->a, op->kind == IR_NEG ? X86_NEG : X86_NOT, op->width, x86_r(d));
        break;
    case IR_ZEXT: x86_movzx(l->a, op->size, d, x86_place(l, op->a)); break;
    case IR_SEXT: x86_movsx(l->a, op->width, op->size, d, x86_place(l, op->a)); break;
    default: bswap(l, op, d);
    }
    x86_put(l, op, d);
}
