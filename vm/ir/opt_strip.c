/*
 * Bits that do not count are looked through: an operation of width 4 reads through extensions from 32 bits, a store of
 * a byte through those from 8, a shift's count through what leaves its lowest bits alone.
 */
#include "vm/ir/opt.h"

/* A register whose low `bits` bits are those of v here, as far back as a few steps lead. */
uint32_t opt_strip(const struct opt *o, uint32_t v, unsigned bits)
{
    for (int i = 0; i < 8; i++) {
        const struct ir_op *d = opt_def(o, v);
        bool same;

        if (!d)
            break;
        switch (d->kind) {
        case IR_COPY: same = true; break;
        case IR_ZEXT:
        case IR_SEXT: same = 8u * d->size >= bits; break;
        case IR_AND:
            same = (d->flags & IR_IMM) && bits <= 8u * d->width && !(~(uint64_t)d->imm & opt_ones(bits));
            break;
        default: same = false;
        }
        if (!same || !opt_same(o, d->a, v))
            break;
        v = d->a;
    }
    return v;
}

static void strip_operand(struct opt *o, uint32_t *operand, unsigned bits)
{
    const uint64_t through = 1ull << IR_COPY | 1ull << IR_ZEXT | 1ull << IR_SEXT | 1ull << IR_AND;
    const struct ir_op *d = *operand ? opt_def(o, *operand) : NULL;
    uint32_t v;

    if (!d || !(through >> d->kind & 1))
        return;
    v = opt_strip(o, *operand, bits);
    if (v != *operand)
        opt_set(o, operand, v);
}
_Static_assert(IR_KIND_COUNT <= 64, "kinds are bits of a mask");

/* How many low bits of a the operation reads. */
static unsigned bits_read(const struct ir_op *op)
{
    switch (op->kind) {
    case IR_COPY: return 64;
    case IR_ZEXT:
    case IR_SEXT:
    case IR_BSWAP:
    case IR_STORE:
    case IR_RMW:
    case IR_STORE_REL:
    case IR_ATOMIC:
    case IR_FETCH:
    case IR_XCHG:
    case IR_CMPXCHG: return 8 * op->size;
    case IR_CHECK:
    case IR_POLL:
    case IR_EXIT:
    case IR_TRAP: return 64;
    default: return op->width == 4 ? 32 : 64;
    }
}

void opt_strip_all(struct opt *o, struct ir_op *op)
{
    bool shift = op->kind == IR_SHL || op->kind == IR_SHR || op->kind == IR_SAR || op->kind == IR_ROL;
    unsigned bits = op->a ? bits_read(op) : 0;

    strip_operand(o, &op->a, bits);
    if (op->b)
        strip_operand(o, &op->b, shift ? (op->width == 4 ? 5 : 6) : op->kind == IR_POLL ? 64 : bits);
    bits = op->kind == IR_LEA && op->width == 4 ? 32 : 64;
    strip_operand(o, &op->base, bits);
    strip_operand(o, &op->index, bits);
    for (unsigned i = 0; i < op->n_args; i++)
        strip_operand(o, &o->f->args[op->args + i], 64);
}
