/*
 * Simplifying comparisons: of BR, SET and SELECT. What is always so or never so is decided; what compares the result of
 * a difference, a mask or another comparison with zero compares that itself. A comparison that is only counted, as the
 * carry of a sum is, becomes one operation with what counts it.
 */
#include "vm/ir/opt.h"

static void decide(struct opt *o, struct ir_op *op, bool yes)
{
    struct ir_block *b = &o->f->blocks[o->block];
    uint32_t v;

    if (op->kind == IR_SET) {
        opt_to_const(o, op, yes, false);
    } else if (op->kind == IR_SELECT) {
        v = yes ? op->yes : op->no;
        op->width = 8;
        opt_to_copy(o, op, v);
    } else {
        opt_reset(o, op, IR_JMP);
        b->succ[0] = b->succ[yes ? 0 : 1];
        b->succ[1] = IR_NO_BLOCK;
        o->blocks_changed = true;
    }
}

static void set_imm(struct ir_op *op, uint64_t value)
{
    op->flags |= IR_IMM;
    op->imm = op->width == 4 ? (int32_t)value : (int64_t)value;
}

static uint64_t imm_of(const struct ir_op *op)
{
    return op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;
}

/* The comparisons with 1 and 0 that ask for zero. */
static void ask_for_zero(struct ir_op *op)
{
    uint64_t imm = imm_of(op);

    if ((op->cc == IR_ULT && imm == 1) || (op->cc == IR_ULE && imm == 0)) {
        op->cc = IR_EQ;
        op->imm = 0;
    } else if ((op->cc == IR_UGE && imm == 1) || (op->cc == IR_UGT && imm == 0)) {
        op->cc = IR_NE;
        op->imm = 0;
    }
}

/* What the bits of a and the constant decide alone. -1: nothing. */
static int known(const struct opt *o, const struct ir_op *op)
{
    unsigned width = op->width == 4 ? 32 : 64;
    unsigned bits = o->v[op->a].bits < width ? o->v[op->a].bits : width;
    uint64_t max = opt_ones(bits), imm = imm_of(op);
    bool negative = imm >> (width - 1);

    switch (op->cc) {
    case IR_EQ: return imm > max ? 0 : -1;
    case IR_NE: return imm > max ? 1 : -1;
    case IR_ULT: return imm > max ? 1 : imm == 0 ? 0 : -1;
    case IR_UGE: return imm > max ? 0 : imm == 0 ? 1 : -1;
    case IR_ULE: return imm >= max ? 1 : -1;
    case IR_UGT: return imm >= max ? 0 : -1;
    case IR_TZ: return !(imm & max) ? 1 : -1;
    case IR_TNZ: return !(imm & max) ? 0 : -1;
    default: break;
    }
    if (bits == width)
        return -1;
    switch (op->cc) {
    case IR_SLT: return negative || imm == 0 ? 0 : imm > max ? 1 : -1;
    case IR_SGE: return negative || imm == 0 ? 1 : imm > max ? 0 : -1;
    case IR_SLE: return negative ? 0 : imm >= max ? 1 : -1;
    case IR_SGT: return negative ? 1 : imm >= max ? 0 : -1;
    default: return -1;
    }
}

static bool equality(const struct ir_op *op)
{
    return op->cc == IR_EQ || op->cc == IR_NE;
}

/* (x op y) compared with a constant. True: something changed. */
static bool look_into(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = opt_def(o, op->a);
    uint64_t imm = imm_of(op);
    uint32_t x, y;
    bool fixed;

    if (!d || o->v[op->a].uses != 1 || d->width != op->width || (d->flags & IR_MEM) || !opt_same(o, d->a, op->a))
        return false;
    fixed = d->flags & IR_IMM;
    if (!fixed && (d->b == IR_NONE || !opt_same(o, d->b, op->a)))
        return false;
    if (!equality(op))
        return false;
    switch (d->kind) {
    case IR_ADD:
    case IR_XOR:
        if (fixed) {
            set_imm(op, d->kind == IR_ADD ? imm - (uint64_t)d->imm : imm ^ (uint64_t)d->imm);
            op->flags |= d->flags & IR_SECRET;
            opt_set(o, &op->a, d->a);
            return true;
        }
        if (d->kind == IR_ADD || imm)
            return false;
        break;
    case IR_SUB:
        if (imm || fixed)
            return false;
        break;
    case IR_AND:
        if (imm && !(fixed && (d->imm & (d->imm - 1)) == 0 && imm == imm_of(d)))
            return false;
        op->cc = (op->cc == IR_EQ) == (imm == 0) ? IR_TZ : IR_TNZ;
        if (fixed) {
            set_imm(op, (uint64_t)d->imm);
            op->flags |= d->flags & IR_SECRET;
            opt_set(o, &op->a, d->a);
            return true;
        }
        break;
    default: return false;
    }
    x = d->a;
    y = d->b;
    o->v[y].uses++;
    opt_set(o, &op->a, x);
    op->b = y;
    op->flags &= (uint8_t)~IR_IMM;
    op->imm = 0;
    return true;
}

/* A comparison's 0 or 1 compared with 0 or 1 is that comparison. */
static bool take_comparison(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = opt_def(o, op->a);
    struct ir_op set;

    if (!equality(op) || (op->imm != 0 && op->imm != 1) || !d || d->kind != IR_SET || (d->flags & IR_MEM) ||
        !opt_same(o, d->a, op->a))
        return false;
    if (!(d->flags & IR_IMM) && !opt_same(o, d->b, op->a))
        return false;
    set = *d;
    if (!(set.flags & IR_IMM))
        o->v[set.b].uses++;
    opt_set(o, &op->a, set.a);
    op->b = set.b;
    op->cc = (op->cc == IR_EQ) == (op->imm == 0) ? set.cc ^ 1 : set.cc;
    op->width = set.width;
    op->flags = (uint8_t)((op->flags & ~(IR_IMM | IR_SECRET)) | (set.flags & (IR_IMM | IR_SECRET)));
    op->imm = set.imm;
    return true;
}

/* Width 4 where it says the same: shorter. */
static void narrow(const struct opt *o, struct ir_op *op)
{
    bool is_signed = op->cc >= IR_SLT && op->cc <= IR_SGT;
    unsigned bits = is_signed ? 31 : 32;

    if (op->width != 8)
        return;
    if ((op->cc == IR_TZ || op->cc == IR_TNZ) && (op->flags & IR_IMM) && opt_length((uint64_t)op->imm) <= 32) {
        op->width = 4;
    } else if (o->v[op->a].bits <= bits &&
               (op->flags & IR_IMM ? opt_length((uint64_t)op->imm) <= bits : o->v[op->b].bits <= bits)) {
        op->width = 4;
    }
    if (op->width == 4)
        op->imm = (int32_t)op->imm;
}

void opt_condition(struct opt *o, struct ir_op *op)
{
    uint64_t a;
    int yes = -1;

    if (op->flags & IR_MEM)
        return;
    for (int i = 0; i < 4 && (op->flags & IR_IMM); i++) {
        if (opt_const(o, op->a, &a))
            yes = opt_eval_cc(op->cc, op->width, a, (uint64_t)op->imm);
        else
            yes = known(o, op);
        if (yes >= 0)
            break;
        ask_for_zero(op);
        if (!take_comparison(o, op) && !look_into(o, op))
            break;
    }
    if (!(op->flags & IR_IMM) && op->a == op->b && op->cc != IR_TZ && op->cc != IR_TNZ)
        yes = op->cc == IR_EQ || op->cc == IR_UGE || op->cc == IR_ULE || op->cc == IR_SGE || op->cc == IR_SLE;
    if (yes >= 0)
        decide(o, op, yes);
    else
        narrow(o, op);
}

/* The comparison as one below or not below, which is what carries. */
static bool as_below(struct ir_op *op)
{
    uint64_t imm = imm_of(op);
    uint32_t a = op->a;

    if (op->cc == IR_ULT || op->cc == IR_UGE)
        return true;
    if (op->flags & IR_IMM) {
        if (equality(op) ? imm != 0 : imm == (op->width == 4 ? UINT32_MAX : UINT64_MAX))
            return false;
        set_imm(op, imm + 1);
    } else {
        op->a = op->b;
        op->b = a;
    }
    switch (op->cc) {
    case IR_EQ: op->cc = IR_ULT; return op->flags & IR_IMM;
    case IR_NE: op->cc = IR_UGE; return op->flags & IR_IMM;
    case IR_ULE: op->cc = op->flags & IR_IMM ? IR_ULT : IR_UGE; return true;
    case IR_UGT: op->cc = op->flags & IR_IMM ? IR_UGE : IR_ULT; return true;
    default: return false;
    }
}

static bool count(struct opt *o, struct ir_op *op, uint32_t to, uint32_t v)
{
    const struct ir_op *d = opt_def(o, v);
    struct ir_op carry;

    if (!d || d->kind != IR_SET || d->flags & IR_MEM || v == to || o->v[v].uses != 1 || o->v[v].pos < o->begin ||
        !opt_same(o, d->a, v) || (!(d->flags & IR_IMM) && !opt_same(o, d->b, v)))
        return false;
    carry = *d;
    if (!as_below(&carry))
        return false;
    carry.kind = IR_CARRY;
    carry.aux = op->kind;
    carry.size = op->width;
    carry.slot = op->slot;
    carry.dst = op->dst;
    carry.yes = to;
    carry.no = IR_NONE;
    o->v[carry.a].uses++;
    if (!(carry.flags & IR_IMM))
        o->v[carry.b].uses++;
    o->v[to].uses++;
    opt_reset(o, op, IR_CARRY);
    *op = carry;
    return true;
}

void opt_carry(struct opt *o, struct ir_op *op)
{
    if ((op->kind != IR_ADD && op->kind != IR_SUB) || !opt_is_reg(op) || count(o, op, op->a, op->b))
        return;
    if (op->kind == IR_ADD)
        count(o, op, op->b, op->a);
}
