/*
 * Operands in memory: a load that one operation alone reads becomes its operand, and a load, an operation and a store
 * to the same place become one. Nothing may have written memory in between, since the load moves down to where it is
 * read; and the registers of its address must still hold what they did.
 */
#include "vm/ir/opt.h"

/* The load that v comes from and that nothing else reads, when it may as well be done here. */
static struct ir_op *movable_load(const struct opt *o, uint32_t v)
{
    struct ir_op *d = opt_def(o, v);

    if (!d || d->kind != IR_LOAD || o->v[v].uses != 1 || !opt_same_memory(o, v) || !opt_same(o, d->base, v) ||
        !opt_same(o, d->index, v))
        return NULL;
    return d;
}

static bool same_place(const struct ir_op *x, const struct ir_op *y)
{
    return x->base == y->base && x->index == y->index && x->disp == y->disp && x->size == y->size &&
           (!x->index || x->shift == y->shift);
}

static bool has_operand(const struct ir_op *op)
{
    return (op->kind >= IR_ADD && op->kind <= IR_MULHI && op->kind != IR_NEG && op->kind != IR_NOT) ||
           op->kind == IR_SET || op->kind == IR_BR;
}

/* B's register becomes memory. */
static bool take_load(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = movable_load(o, op->b);
    struct ir_op to = *op;
    uint32_t b = op->b;

    if (!d || (d->flags & IR_SWAP) || (d->size < op->width && (d->flags & IR_SIGNED)) || d->size > op->width ||
        op->a == op->b || !o->target->mem_operand(op->kind, op->width, d->size))
        return false;
    to.flags |= IR_MEM;
    to.size = d->size;
    to.base = d->base;
    to.index = d->index;
    to.shift = d->shift;
    to.disp = d->disp;
    to.b = IR_NONE;
    if (!o->target->mem_ok(&to))
        return false;
    o->v[to.base].uses += to.base != IR_NONE;
    o->v[to.index].uses += to.index != IR_NONE;
    *op = to;
    opt_drop(o, &b);
    return true;
}

static void take_operand(struct opt *o, struct ir_op *op)
{
    bool compares = op->kind == IR_SET || op->kind == IR_BR;
    uint32_t a = op->a;

    if (take_load(o, op) || !(compares || (ir_kinds[op->kind].what & IR_W_COMM)))
        return;
    op->a = op->b;
    op->b = a;
    if (take_load(o, op)) {
        if (compares)
            op->cc = opt_swap_cc(op->cc);
        return;
    }
    op->b = op->a;
    op->a = a;
}

static void take_swap(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = movable_load(o, op->a);
    struct ir_op to;
    uint32_t a = op->a;

    if (!o->target->swap_mem || !d || d->size != op->size || d->size < 2 || (d->flags & (IR_SIGNED | IR_SWAP)))
        return;
    to = *d;
    to.dst = op->dst;
    to.flags |= IR_SWAP;
    if (!o->target->mem_ok(&to))
        return;
    o->v[to.base].uses += to.base != IR_NONE;
    o->v[to.index].uses += to.index != IR_NONE;
    *op = to;
    opt_drop(o, &a);
}

static void store_swapped(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = (op->flags & (IR_IMM | IR_SWAP)) ? NULL : opt_def(o, op->a);

    if (!o->target->swap_mem || !d || d->kind != IR_BSWAP || d->size != op->size || o->v[op->a].uses != 1 ||
        !opt_same(o, d->a, op->a))
        return;
    op->flags |= IR_SWAP;
    opt_set(o, &op->a, d->a);
}

static bool is_rmw(const struct ir_op *d)
{
    return d->kind == IR_ADD || d->kind == IR_SUB || d->kind == IR_AND || d->kind == IR_OR || d->kind == IR_XOR;
}

/* The operation d that wrote v has taken its load in already: as a load it is d itself. */
static const struct ir_op *took_load(const struct opt *o, const struct ir_op *d, uint32_t v)
{
    bool ok = d->kind != IR_SUB && opt_same_memory(o, v) && opt_same(o, d->base, v) && opt_same(o, d->index, v);

    return ok ? d : NULL;
}

static void make_rmw(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = (op->flags & (IR_IMM | IR_SWAP)) ? NULL : opt_def(o, op->a), *load;
    struct ir_op to;
    uint32_t v = op->a, x;
    bool fixed;

    if (!o->target->rmw || !d || !is_rmw(d) || o->v[v].uses != 1 || op->size > d->width)
        return;
    fixed = d->flags & IR_IMM;
    load = movable_load(o, d->a);
    x = d->b;
    if (d->flags & IR_MEM) {
        load = took_load(o, d, v);
        x = d->a;
    } else if (!(load && same_place(load, op)) && !fixed && d->kind != IR_SUB) {
        load = movable_load(o, d->b);
        x = d->a;
    }
    if (!load || !same_place(load, op) || (load->flags & IR_SWAP) || (!fixed && !opt_same(o, x, v)))
        return;
    /* The load must be what the operation read, and not what came to its register since. */
    if (!opt_same(o, load->dst, v) || !opt_same(o, load->base, load->dst) || (!fixed && x == load->dst))
        return;
    to = *op;
    to.kind = IR_RMW;
    to.aux = d->kind;
    to.width = op->size == 8 ? 8 : 4;
    to.a = fixed ? IR_NONE : x;
    to.imm = !fixed ? 0 : to.width == 4 ? (int32_t)d->imm : d->imm;
    to.flags = fixed ? (uint8_t)(IR_IMM | (d->flags & IR_SECRET)) : 0;
    if (!o->target->mem_ok(&to))
        return;
    if (!fixed)
        o->v[x].uses++;
    *op = to;
    opt_drop(o, &v);
}

void opt_memory(struct opt *o, struct ir_op *op)
{
    if (op->kind == IR_STORE) {
        store_swapped(o, op);
        make_rmw(o, op);
    } else if (op->kind == IR_BSWAP) {
        take_swap(o, op);
    } else if (has_operand(op) && opt_is_reg(op)) {
        take_operand(o, op);
    }
}
