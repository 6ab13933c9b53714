/*
 * Addresses: what adds up base + (index << shift) + disp goes into the loads and stores that read the sum, as far as
 * the target's form of M has room, and the rest of such sums becomes LEA.
 *
 * An added constant goes in always. A sum of two registers goes in when everything that reads it is an address, so that
 * the sum itself vanishes, and not into a deeper loop: there two registers would be held where one does.
 */
#include "vm/ir/opt.h"

enum { MAX_FOLDS = 6 };

void opt_count_addresses(struct opt *o)
{
    for (uint32_t v = 0; v < o->f->n_vregs; v++)
        o->v[v].in_memory = 0;
    for (uint32_t i = 0; i < o->n_order; i++) {
        const struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            const struct ir_op *op = &b->ops[j];

            if (!opt_has_mem(op) || op->kind == IR_LEA)
                continue;
            o->v[op->base].in_memory++;
            o->v[op->index].in_memory++;
        }
    }
}

/* Would the sum v vanish, or cost nothing more? */
static bool worth(const struct opt *o, uint32_t v)
{
    const struct opt_vreg *r = &o->v[v];

    return (r->uses == 1 || r->uses <= r->in_memory) && o->depth <= r->depth;
}

/* Is the result of this addition or left shift what 64 bits would give? */
static bool is_wide(const struct opt *o, const struct ir_op *d)
{
    unsigned a, b;

    if (d->width == 8)
        return true;
    if (d->flags & IR_MEM || (d->kind != IR_ADD && d->kind != IR_SHL))
        return false;
    a = o->v[d->a].bits;
    if (d->kind == IR_SHL)
        return (d->flags & IR_IMM) && a + (uint64_t)d->imm <= 32;
    b = d->flags & IR_IMM ? opt_length((uint64_t)d->imm) : o->v[d->b].bits;
    return a < 32 && b < 32;
}

static bool add_disp(struct ir_op *op, int64_t imm, unsigned shift)
{
    int64_t sum;

    if (imm > INT32_MAX || imm < INT32_MIN)
        return false;
    sum = (int64_t)op->disp + imm * (1 << shift);
    if (sum > INT32_MAX || sum < INT32_MIN)
        return false;
    op->disp = (int32_t)sum;
    return true;
}

/* What op->base is the sum of goes into op; to is a copy of op to fill in. */
static bool fold_base(const struct opt *o, const struct ir_op *op, struct ir_op *to)
{
    const struct ir_op *d = opt_def(o, op->base);
    uint32_t v = op->base;

    if (!d || !is_wide(o, d))
        return false;
    switch (d->kind) {
    case IR_ADD:
        if (d->flags & IR_MEM || !opt_same(o, d->a, v))
            return false;
        to->base = d->a;
        if (d->flags & IR_IMM)
            return opt_may_show(o, d) && add_disp(to, d->imm, 0);
        if (op->index || !opt_same(o, d->b, v) || !worth(o, v))
            return false;
        to->index = d->b;
        to->shift = 0;
        return true;
    case IR_LEA:
        if ((op->index && d->index) || !opt_same(o, d->base, v) || !opt_same(o, d->index, v))
            return false;
        if (d->index && !worth(o, v))
            return false;
        to->base = d->base;
        if (d->index) {
            to->index = d->index;
            to->shift = d->shift;
        }
        return add_disp(to, d->disp, 0);
    default: return false;
    }
}

static bool fold_index(const struct opt *o, const struct ir_op *op, struct ir_op *to)
{
    const struct ir_op *d = opt_def(o, op->index);

    if (!d || !is_wide(o, d) || !(d->flags & IR_IMM) || !opt_may_show(o, d) || d->kind == IR_CONST ||
        !opt_same(o, d->a, op->index))
        return false;
    to->index = d->a;
    if (d->kind == IR_ADD)
        return add_disp(to, d->imm, op->shift);
    if (d->kind != IR_SHL || op->shift + (uint64_t)d->imm > 3)
        return false;
    to->shift = (uint8_t)(op->shift + d->imm);
    return true;
}

/* Puts in the address of `to`, if the target has it. */
static bool take(struct opt *o, struct ir_op *op, const struct ir_op *to)
{
    uint32_t base = op->base, index = op->index;

    if (!o->target->mem_ok(to))
        return false;
    o->v[to->base].uses += to->base != IR_NONE;
    o->v[to->index].uses += to->index != IR_NONE;
    o->v[to->base].in_memory++;
    o->v[to->index].in_memory++;
    o->v[base].in_memory -= o->v[base].in_memory != 0;
    o->v[index].in_memory -= o->v[index].in_memory != 0;
    *op = *to;
    if (base)
        opt_drop(o, &base);
    if (index)
        opt_drop(o, &index);
    return true;
}

static bool fold(struct opt *o, struct ir_op *op)
{
    struct ir_op to = *op;
    uint32_t base = op->base;

    if (op->base && fold_base(o, op, &to) && take(o, op, &to))
        return true;
    to = *op;
    if (op->index && fold_index(o, op, &to) && take(o, op, &to))
        return true;
    if (!op->base || !op->index || op->shift)
        return false;
    /* The other way about: the first is the one to be scaled. */
    to = *op;
    to.base = op->index;
    to.index = base;
    if (fold_index(o, &to, &to))
        return take(o, op, &to);
    return false;
}

/* The parts of a sum, as an LEA. */
static bool sum_of(const struct opt *o, const struct ir_op *op, struct ir_op *lea)
{
    const struct ir_op *a = opt_def(o, op->a);

    if (op->flags & IR_IMM) {
        if (!a || o->v[op->a].uses != 1 || a->width != op->width || !opt_may_show(o, op))
            return false;
        if (a->kind == IR_ADD && opt_is_reg(a) && opt_same(o, a->a, op->a) && opt_same(o, a->b, op->a)) {
            lea->base = a->a;
            lea->index = a->b;
        } else if (a->kind == IR_LEA && opt_same(o, a->base, op->a) && opt_same(o, a->index, op->a)) {
            lea->base = a->base;
            lea->index = a->index;
            lea->shift = a->shift;
            lea->disp = a->disp;
        } else {
            return false;
        }
        return add_disp(lea, op->imm, 0);
    }
    lea->base = op->a;
    lea->index = op->b;
    return true;
}

/* One of the two registers is scaled, or carries a constant, for this sum alone. */
static bool look_into_sum(const struct opt *o, struct ir_op *lea)
{
    for (int i = 0; i < 2; i++) {
        const struct ir_op *d = lea->index ? opt_def(o, lea->index) : NULL;
        uint32_t v = lea->index;

        if (d && (d->width == lea->width || (lea->width == 8 && is_wide(o, d))) && (d->flags & IR_IMM) &&
            opt_may_show(o, d) && o->v[v].uses == 1 && opt_same(o, d->a, v)) {
            if (d->kind == IR_SHL && lea->shift + (uint64_t)d->imm <= 3) {
                lea->index = d->a;
                lea->shift = (uint8_t)(lea->shift + d->imm);
                return true;
            }
            if (d->kind == IR_ADD && add_disp(lea, d->imm, lea->shift)) {
                lea->index = d->a;
                return true;
            }
        }
        if (lea->shift)
            break;
        lea->index = lea->base;
        lea->base = v;
    }
    return false;
}

static void make_lea(struct opt *o, struct ir_op *op)
{
    struct ir_op lea = {.kind = IR_LEA, .width = op->width, .slot = op->slot, .dst = op->dst};
    bool found, more;

    if (op->flags & IR_MEM || !sum_of(o, op, &lea))
        return;
    found = op->flags & IR_IMM;
    do {
        more = look_into_sum(o, &lea);
        found |= more;
    } while (more && !(lea.shift && lea.disp));
    if (!found || !o->target->mem_ok(&lea))
        return;
    o->v[lea.base].uses += lea.base != IR_NONE;
    o->v[lea.index].uses += lea.index != IR_NONE;
    opt_reset(o, op, IR_LEA);
    *op = lea;
}

/* x * (2^n - 1) = (x << n) - x; x * (2^n + 1) = (x << n) + x. */
static void make_shifted_sum(struct opt *o, struct ir_op *op, uint64_t imm)
{
    uint64_t all = op->width == 4 ? UINT32_MAX : UINT64_MAX;
    bool less = !(imm & (imm + 1)) && imm != all && imm > 1, more = imm > 2 && !((imm - 1) & (imm - 2));
    struct ir_op up = {.kind = IR_SHL, .width = op->width, .a = op->a};
    uint32_t v;

    if (!less && !more)
        return;
    up.flags = IR_IMM | (op->flags & IR_SECRET);
    up.imm = less ? __builtin_ctzll(imm + 1) : __builtin_ctzll(imm - 1);
    v = opt_insert(o, up);
    if (!v)
        return;
    o->v[v].uses++;
    op->b = op->a;
    op->a = v;
    op->kind = less ? IR_SUB : IR_ADD;
    op->flags = 0;
    op->imm = 0;
}

/* x * 3, 5, 9 = x + (x << 1, 2, 3); times a power of two after that. */
static void make_product(struct opt *o, struct ir_op *op)
{
    uint64_t imm = op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;
    unsigned up = imm ? (unsigned)__builtin_ctzll(imm) : 0;
    struct ir_op lea = {.kind = IR_LEA, .width = op->width, .slot = op->slot, .dst = op->dst};

    if (imm > 9)
        make_shifted_sum(o, op, imm);
    if (op->kind != IR_MUL)
        return;
    imm >>= up;
    if (imm != 3 && imm != 5 && imm != 9)
        return;
    lea.base = lea.index = op->a;
    lea.shift = imm == 3 ? 1 : imm == 5 ? 2 : 3;
    if (!o->target->mem_ok(&lea))
        return;
    if (!up) {
        o->v[op->a].uses += 2;
        opt_reset(o, op, IR_LEA);
        *op = lea;
        return;
    }
    lea.dst = opt_insert(o, lea);
    if (!lea.dst)
        return;
    opt_set(o, &op->a, lea.dst);
    op->kind = IR_SHL;
    op->imm = up;
}

void opt_address(struct opt *o, struct ir_op *op)
{
    if (op->kind == IR_ADD && opt_has_mem(op) == false) {
        make_lea(o, op);
        return;
    }
    if (opt_is_imm(op, IR_MUL)) {
        make_product(o, op);
        return;
    }
    if (!opt_has_mem(op) || op->kind == IR_LEA)
        return;
    for (int i = 0; i < MAX_FOLDS && fold(o, op); i++)
        ;
}
