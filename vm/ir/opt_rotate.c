/*
 * Rotations: x << n | x >> (width - n), with + or ^ in place of |, and n a constant or a register. clang merges the
 * left shift with a multiplication by a constant before it, which is undone: (x * (c << n)) | (x * c) >> (width - n).
 */
#include "vm/ir/opt.h"

/* The parts, as a SHL (or MUL) and a SHR that both still hold. */
struct parts {
    const struct ir_op *up, *down;
    uint32_t up_vreg, down_vreg;
};

static bool holds(const struct opt *o, const struct ir_op *d, uint32_t by)
{
    return opt_same(o, d->a, by) && (!opt_is_reg(d) || opt_same(o, d->b, by));
}

static bool find_parts(const struct opt *o, const struct ir_op *op, struct parts *p)
{
    *p = (struct parts){.up_vreg = op->a, .down_vreg = op->b};
    p->up = opt_def(o, op->a);
    p->down = opt_def(o, op->b);
    if (p->up && p->up->kind == IR_SHR)
        *p = (struct parts){.up = p->down, .down = p->up, .up_vreg = op->b, .down_vreg = op->a};
    return p->up && p->down && p->down->kind == IR_SHR && (p->up->kind == IR_SHL || p->up->kind == IR_MUL) &&
           holds(o, p->up, p->up_vreg) && holds(o, p->down, p->down_vreg);
}

/* The width that both parts rotate in; 0: they do not. */
static unsigned width_of(const struct opt *o, const struct ir_op *op, const struct parts *p)
{
    bool low = p->down->width == 4 || o->v[p->down->a].bits <= 32;

    if (p->up->width == 8 && p->down->width == 8 && op->width == 8)
        return 8;
    /* Of a wide left shift the low half counts, when that is all that is taken. */
    return low && (op->width == 4 || p->up->width == 4) ? 4 : 0;
}

/* Is n the negation of m, modulo the width? */
static bool is_negation(const struct opt *o, uint32_t n, uint32_t m, unsigned bits)
{
    const struct ir_op *d = opt_def(o, n);
    unsigned counts = bits == 32 ? 5 : 6;
    uint32_t of;
    uint64_t c;

    if (!d || (d->kind != IR_NEG && d->kind != IR_SUB) || !opt_is_reg(d))
        return false;
    of = d->kind == IR_NEG ? d->a : d->b;
    if (!opt_same(o, of, n) || opt_strip(o, of, counts) != opt_strip(o, m, counts))
        return false;
    return d->kind == IR_NEG || (opt_same(o, d->a, n) && opt_const(o, d->a, &c) && c % bits == 0);
}

static void rotate_by_register(struct opt *o, struct ir_op *op, const struct parts *p, unsigned width)
{
    uint32_t x = p->up->a, n = p->up->b;

    if (!opt_is_reg(p->up) || !opt_is_reg(p->down) || p->up->kind != IR_SHL || p->down->a != x)
        return;
    if (!is_negation(o, p->down->b, n, 8 * width) && !is_negation(o, n, p->down->b, 8 * width))
        return;
    o->v[x].uses++;
    o->v[n].uses++;
    opt_reset(o, op, IR_ROL);
    op->width = (uint8_t)width;
    op->a = x;
    op->b = n;
}

static void rotate_by(struct opt *o, struct ir_op *op, uint32_t x, unsigned width, unsigned n)
{
    o->v[x].uses++;
    opt_reset(o, op, IR_ROL);
    op->width = (uint8_t)width;
    op->a = x;
    op->flags = IR_IMM;
    op->imm = n;
}

/* x * (c << n) beside (x * c) >> (width - n). */
static bool product(const struct opt *o, const struct parts *p, unsigned width, unsigned n)
{
    const struct ir_op *d = opt_def(o, p->down->a);
    uint64_t all = opt_ones(8 * width);

    return opt_is_imm(p->up, IR_MUL) && opt_is_imm(d, IR_MUL) && d->width == width && p->up->width == width &&
           d->a == p->up->a && opt_same(o, d->a, p->down->a) &&
           ((uint64_t)d->imm << n & all) == ((uint64_t)p->up->imm & all);
}

void opt_rotate(struct opt *o, struct ir_op *op)
{
    struct parts p;
    unsigned width, n;

    if ((op->kind != IR_OR && op->kind != IR_ADD && op->kind != IR_XOR) || !opt_is_reg(op) || !find_parts(o, op, &p))
        return;
    width = width_of(o, op, &p);
    if (!width)
        return;
    if (!(p.down->flags & IR_IMM)) {
        rotate_by_register(o, op, &p, width);
        return;
    }
    n = 8 * width - (unsigned)p.down->imm;
    if (n == 0 || n >= 8 * width)
        return;
    if (opt_is_imm(p.up, IR_SHL) && (uint64_t)p.up->imm == n && p.up->a == p.down->a)
        rotate_by(o, op, p.up->a, width, n);
    else if (product(o, &p, width, n))
        rotate_by(o, op, p.down->a, width, n);
}
