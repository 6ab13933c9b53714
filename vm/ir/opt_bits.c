/*
 * How many low bits the values of a register need. The bound of a register is that of the largest value of any of its
 * writes; bounds start at nothing and grow until no write asks for more, so that a counter which is a 32-bit number on
 * every way round a loop is known as one. Registers with several writes grow in steps of register sizes, which bounds
 * how often one may change; when even so there is no end in sight, nothing is known of those.
 */
#include "vm/ir/opt.h"

enum { MAX_SWEEPS = 12 };

static unsigned at_most(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned at_least(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* The same for B, which is a register, a constant or memory. */
static unsigned bits_of_b(const struct opt *o, const struct ir_op *op)
{
    if (op->flags & IR_MEM)
        return 8 * op->size;
    if (op->flags & IR_IMM)
        return opt_length(op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm);
    return o->v[op->b].bits;
}

static unsigned of_shift(const struct ir_op *op, unsigned a, unsigned width)
{
    unsigned n = (unsigned)op->imm & (width - 1);
    bool fixed = op->flags & IR_IMM;

    a = at_most(a, width);
    switch (op->kind) {
    case IR_SHL: return fixed ? (a ? at_most(a + n, width) : 0) : width;
    case IR_SAR:
        if (a == width)
            return width;
        /* fallthrough */
    default: return fixed ? (a > n ? a - n : 0) : a;
    }
}

static unsigned of_division(const struct ir_op *op, unsigned a, unsigned b, unsigned width)
{
    bool is_signed = op->kind == IR_SDIV || op->kind == IR_SMOD;
    bool fixed = op->flags & IR_IMM;

    if (is_signed && (a >= width || b >= width))
        return width;
    a = at_most(a, width);
    if (op->kind == IR_UDIV || op->kind == IR_SDIV)
        return fixed && op->imm ? (a >= b ? a - b + 1 : 0) : a;
    return fixed && op->imm ? at_most(a, b) : a;
}

unsigned opt_bits(const struct opt *o, const struct ir_op *op)
{
    unsigned width = op->width == 4 ? 32 : 64, a, b;

    switch (op->kind) {
    case IR_CONST: return opt_length((uint64_t)op->imm);
    case IR_LOAD: return op->flags & IR_SIGNED ? 64 : 8 * op->size;
    case IR_LOAD_ACQ:
    case IR_FETCH:
    case IR_XCHG:
    case IR_CMPXCHG:
    case IR_BSWAP: return 8 * op->size;
    case IR_SET: return 1;
    case IR_SELECT: return at_least(o->v[op->yes].bits, o->v[op->no].bits);
    case IR_LEA: return width;
    case IR_CARRY: return 8 * op->size;
    default: break;
    }
    if (!(ir_kinds[op->kind].what & IR_W_PURE) || op->a == IR_NONE)
        return 64;
    a = o->v[op->a].bits;
    switch (op->kind) {
    case IR_COPY: return a;
    case IR_ZEXT: return at_most(a, 8 * op->size);
    case IR_SEXT: return a < 8 * op->size ? a : width;
    case IR_NEG:
    case IR_NOT:
    case IR_ROL: return width;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR: return of_shift(op, a, width);
    default: break;
    }
    b = bits_of_b(o, op);
    switch (op->kind) {
    case IR_ADD: return at_most(at_least(a, b) + 1, width);
    case IR_SUB: return width;
    case IR_MUL: return at_most(a + b, width);
    case IR_AND: return at_most(at_most(a, b), width);
    case IR_OR:
    case IR_XOR: return at_most(at_least(a, b), width);
    case IR_ANDN: return at_most(b, width);
    case IR_UDIV:
    case IR_SDIV:
    case IR_UMOD:
    case IR_SMOD: return of_division(op, a, b, width);
    case IR_MULHI: return a + b > 64 ? a + b - 64 : 0;
    default: return width;
    }
}

static uint8_t round_up(unsigned bits)
{
    return bits <= 1 ? (uint8_t)bits : bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64;
}

/* @return did a bound grow that may have been asked for before? */
static bool sweep(struct opt *o)
{
    bool grew = false;

    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct opt_vreg *r = &o->v[b->ops[j].dst];
            unsigned bits;

            if (r->bits == 64)
                continue;
            bits = opt_bits(o, &b->ops[j]);
            if (r->writes > 1)
                bits = round_up(bits);
            if (bits > r->bits) {
                r->bits = (uint8_t)bits;
                grew |= r->round;
            }
        }
    }
    return grew;
}

void opt_find_bits(struct opt *o)
{
    for (uint32_t v = 0; v < o->f->n_vregs; v++)
        o->v[v].bits = v <= IR_PARAMS ? 64 : 0;
    for (int i = 0; i < MAX_SWEEPS; i++)
        if (!sweep(o))
            return;
    for (uint32_t v = 1; v < o->f->n_vregs; v++)
        o->v[v].bits = 64;
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++)
            if (b->ops[j].dst && o->v[b->ops[j].dst].writes == 1)
                o->v[b->ops[j].dst].bits = (uint8_t)opt_bits(o, &b->ops[j]);
    }
}
