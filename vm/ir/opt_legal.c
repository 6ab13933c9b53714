/*
 * Legalising: after it every operation is one that the target has. A constant that does not stand in an operation gets
 * a register: inside loops one for the whole function, written in the entry block (an allocator that lacks registers
 * makes it anew where it is read), elsewhere one just before, which the rest of the block shares. An address that the
 * target cannot form is added up before.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct known {
    int64_t value;
    uint32_t vreg;
    uint32_t block; /* that it holds in; IR_NO_BLOCK: everywhere */
    uint8_t secret;
};

struct legal {
    struct opt *o;
    struct known *known; /* by hash of the value; a collision forgets the older one */
    struct ir_op *entry; /* CONSTs for the entry block */
    uint32_t n_entry, entry_cap;
};

enum { N_KNOWN = 256 };

static struct known *slot_of(struct legal *l, int64_t value)
{
    return &l->known[(uint64_t)value * 0x9e3779b97f4a7c15u >> 56];
}

static int add_entry(struct legal *l, const struct ir_op *op)
{
    if (l->n_entry == l->entry_cap) {
        uint32_t cap = l->entry_cap * 2 + 8;
        struct ir_op *entry = realloc(l->entry, cap * sizeof(*entry));

        if (!entry)
            return -ENOMEM;
        l->entry = entry;
        l->entry_cap = cap;
    }
    l->entry[l->n_entry++] = *op;
    return 0;
}

/* A register that holds the value here. IR_NONE: out of memory. */
static uint32_t constant(struct legal *l, const struct ir_op *of, int64_t value)
{
    struct opt *o = l->o;
    struct known *k = slot_of(l, value);
    bool loop = o->f->blocks[o->block].depth > 0;
    uint8_t secret = of->flags & IR_SECRET;
    struct ir_op op = {.kind = IR_CONST, .width = 8, .flags = secret, .slot = of->slot, .imm = value};

    if (k->vreg && k->value == value && k->secret == secret && (k->block == IR_NO_BLOCK || k->block == o->block))
        return k->vreg;
    *k = (struct known){.value = value, .secret = secret, .block = loop ? IR_NO_BLOCK : o->block};
    if (!loop) {
        k->vreg = opt_insert(o, op);
    } else {
        op.dst = ir_vreg(o->f);
        if (add_entry(l, &op))
            return IR_NONE;
        k->vreg = op.dst;
    }
    return k->vreg;
}

static int imm_to_register(struct legal *l, struct ir_op *op)
{
    uint32_t v = constant(l, op, op->width == 4 && op->kind != IR_STORE ? (int32_t)op->imm : op->imm);

    if (!v)
        return -ENOMEM;
    if (op->kind == IR_STORE || op->kind == IR_RMW)
        op->a = v;
    else
        op->b = v;
    op->flags &= (uint8_t) ~(IR_IMM | IR_SECRET);
    op->imm = 0;
    return 0;
}

static bool needs_imm(const struct ir_op *op)
{
    return (op->flags & IR_IMM) && op->kind != IR_CONST;
}

/* base + disp, and if that is not enough base + index, go to a register of their own. */
static int address_to_register(struct legal *l, struct ir_op *op)
{
    struct opt *o = l->o;
    struct ir_op add = {.kind = IR_ADD, .width = 8, .slot = op->slot, .a = op->base};
    struct ir_op shl = {.kind = IR_SHL, .width = 8, .slot = op->slot, .a = op->index, .flags = IR_IMM};

    if (op->disp && op->base) {
        add.imm = op->disp;
        add.flags = IR_IMM;
        if (!o->target->imm_ok(&add) && imm_to_register(l, &add))
            return -ENOMEM;
        op->base = opt_insert(o, add);
        op->disp = 0;
    } else if (op->disp) {
        op->base = constant(l, op, op->disp);
        op->disp = 0;
    }
    if (!op->base && op->index && !op->shift) {
        op->base = op->index;
        op->index = IR_NONE;
    }
    if (!op->base && !op->index)
        op->base = constant(l, op, 0);
    if (o->failed || (!op->base && !op->index))
        return -ENOMEM;
    if (op->kind != IR_LEA && o->target->mem_ok(op))
        return 0;
    if (op->index && op->shift) {
        shl.imm = op->shift;
        op->index = opt_insert(o, shl);
        op->shift = 0;
    }
    if (op->base && op->index && op->kind != IR_LEA) {
        add = (struct ir_op){.kind = IR_ADD, .width = 8, .slot = op->slot, .a = op->base, .b = op->index};
        op->base = opt_insert(o, add);
        op->index = IR_NONE;
    } else if (!op->base) {
        op->base = op->index;
        op->index = IR_NONE;
    }
    return o->failed ? -ENOMEM : 0;
}

static int lea_to_sum(struct legal *l, struct ir_op *op)
{
    if (address_to_register(l, op))
        return -ENOMEM;
    *op = (struct ir_op){.kind = op->index        ? IR_ADD
                                 : op->width == 4 ? IR_ZEXT
                                                  : IR_COPY,
                         .width = op->width,
                         .size = op->index ? 0 : 4,
                         .slot = op->slot,
                         .dst = op->dst,
                         .a = op->base,
                         .b = op->index};
    return 0;
}

static int operand_to_register(struct legal *l, struct ir_op *op)
{
    struct ir_op load = {.kind = IR_LOAD,
                         .width = 8,
                         .size = op->size,
                         .flags = op->flags & (IR_SIGNED | IR_SWAP),
                         .shift = op->shift,
                         .slot = op->slot,
                         .base = op->base,
                         .index = op->index,
                         .disp = op->disp};

    if (!l->o->target->mem_ok(&load) && address_to_register(l, &load))
        return -ENOMEM;
    op->b = opt_insert(l->o, load);
    op->flags &= (uint8_t) ~(IR_MEM | IR_SIGNED | IR_SWAP);
    op->base = op->index = IR_NONE;
    op->disp = 0;
    return op->b ? 0 : -ENOMEM;
}

static int make_legal(struct legal *l, struct ir_op *op)
{
    const struct ir_target *t = l->o->target;
    int err = 0;

    if ((op->flags & IR_MEM) && !(t->mem_operand(op->kind, op->width, op->size) && t->mem_ok(op)))
        err = operand_to_register(l, op);
    if (!err && op->kind == IR_LEA && !t->mem_ok(op))
        err = lea_to_sum(l, op);
    else if (!err && opt_has_mem(op) && !t->mem_ok(op))
        err = address_to_register(l, op);
    if (!err && needs_imm(op) && !t->imm_ok(op))
        err = imm_to_register(l, op);
    return err;
}

static int put_entry(struct legal *l)
{
    struct opt *o = l->o;
    struct ir_block *b = &o->f->blocks[0];
    struct ir_op *ops;

    if (!l->n_entry)
        return 0;
    ops = ARENA_ROOM(&o->f->ir->arena, struct ir_op, b->n + l->n_entry);
    if (!ops)
        return -ENOMEM;
    memcpy(ops, l->entry, l->n_entry * sizeof(*ops));
    memcpy(ops + l->n_entry, b->ops, b->n * sizeof(*ops));
    b->ops = ops;
    b->cap = b->n += l->n_entry;
    return 0;
}

int opt_legalise(struct opt *o)
{
    struct legal l = {.o = o, .known = ARENA_ARRAY(&o->f->ir->scratch, struct known, N_KNOWN)};
    int err = l.known ? ir_loops(o->f) : -ENOMEM;

    for (uint32_t i = 0; !err && i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        o->block = o->order[i];
        for (o->at = 0; !err && o->at < b->n; o->at++)
            err = make_legal(&l, &b->ops[o->at]);
    }
    if (!err)
        err = opt_put_in(o);
    if (!err)
        err = put_entry(&l);
    free(l.entry);
    return err;
}
