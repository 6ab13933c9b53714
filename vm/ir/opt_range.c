/*
 * Two branches that ask of one register whether it lies between two constants become one: what lies in [low, high] is
 * at most high - low above low, in unsigned numbers, whatever the bounds' sign. So do two that ask for one of two
 * constants, where these are neighbours or differ in a single bit. The second branch stands in a block of its own that
 * nobody else comes to:
 *
 *     br x < low -> out, B                      t = x - low
 *     B: br x > high -> out, in     becomes     br t > high - low -> out, in
 *
 * Compilers do the same for machines, and not for bytecode, since verifiers would not follow.
 */
#include "vm/ir/opt.h"

/* The numbers that a condition lets pass, as signed or unsigned ones; `any`: both are true of them. */
struct range {
    uint64_t low, high;
    bool is_signed, is_some;
};

/* In which order is a signed number like an unsigned one? */
static uint64_t flip(uint64_t v, bool is_signed, unsigned bits)
{
    return is_signed ? v ^ 1ull << (bits - 1) : v;
}

/* As unsigned numbers, signed ones with their highest bit flipped. */
static struct range range_of(unsigned cc, uint64_t imm, unsigned bits)
{
    bool is_signed = cc >= IR_SLT && cc <= IR_SGT;
    struct range r = {0, opt_ones(bits), is_signed, true};

    imm = flip(imm, is_signed, bits);
    switch (cc) {
    case IR_UGT:
    case IR_SGT:
        r.is_some = imm != r.high;
        r.low = imm + 1;
        break;
    case IR_UGE:
    case IR_SGE: r.low = imm; break;
    case IR_ULT:
    case IR_SLT:
        r.is_some = imm != 0;
        r.high = imm - 1;
        break;
    case IR_ULE:
    case IR_SLE: r.high = imm; break;
    default: r.is_some = false;
    }
    return r;
}

/* What the two ask for together: t = x + add, then t | with, compared. */
struct test {
    uint64_t add, with, imm;
    uint8_t cc; /* true of what goes on to where the second branch alone leads */
};

/* Both must be true. */
static bool between(const struct range *a, const struct range *b, unsigned bits, struct test *test)
{
    uint64_t low = a->low > b->low ? a->low : b->low, high = a->high < b->high ? a->high : b->high;

    if (!a->is_some || !b->is_some || a->is_signed != b->is_signed || low > high || !low || high == opt_ones(bits))
        return false;
    *test = (struct test){.add = -flip(low, a->is_signed, bits), .imm = high - low, .cc = IR_ULE};
    return true;
}

/* It must be neither. */
static bool neither(uint64_t a, uint64_t b, unsigned bits, struct test *test)
{
    uint64_t differ = a ^ b, least = a < b ? a : b;

    if (!differ)
        return false;
    if ((a > b ? a - b : b - a) == 1)
        *test = (struct test){.add = -least & opt_ones(bits), .imm = 1, .cc = IR_UGT};
    else if (!(differ & (differ - 1)))
        *test = (struct test){.with = differ, .imm = a | b, .cc = IR_NE};
    else
        return false;
    return true;
}

static bool is_plain(const struct ir_op *op)
{
    return op->kind == IR_BR && (op->flags & (IR_IMM | IR_MEM | IR_LIKELY | IR_UNLIKELY)) == IR_IMM;
}

/* A constant as an operation of this width has it. */
static int64_t fit(uint64_t v, unsigned bits)
{
    return bits == 32 ? (int32_t)v : (int64_t)v;
}

/* One branch for that of the block and the one that its successor `way` consists of. @return was there such? */
static bool merge(struct opt *o, struct ir_block *b, unsigned way)
{
    struct ir_op *br = &b->ops[b->n - 1], make;
    const struct ir_block *next = &o->f->blocks[b->succ[way]];
    const struct ir_op *second = &next->ops[next->n - 1];
    uint32_t out = b->succ[!way], in;
    unsigned bits = br->width == 4 ? 32 : 64, cc[2], back;
    uint64_t imm[2] = {(uint64_t)br->imm & opt_ones(bits), (uint64_t)second->imm & opt_ones(bits)};
    struct range range[2];
    struct test test;

    if (next == b || next->n != 1 || next->n_preds != 1 || !is_plain(second) || second->a != br->a ||
        second->width != br->width)
        return false;
    back = next->succ[1] == out;
    in = next->succ[!back];
    if (next->succ[back] != out || in == out || out == b->succ[way])
        return false;
    /* What must be true of both to come to `in`. */
    cc[0] = way ? br->cc ^ 1u : br->cc;
    cc[1] = back ? second->cc : second->cc ^ 1u;
    for (unsigned i = 0; i < 2; i++)
        range[i] = range_of(cc[i], imm[i], bits);
    if (!between(&range[0], &range[1], bits, &test) &&
        !(cc[0] == IR_NE && cc[1] == IR_NE && neither(imm[0], imm[1], bits, &test)))
        return false;
    make = (struct ir_op){.kind = test.with ? IR_OR : IR_ADD,
                          .width = br->width,
                          .flags = IR_IMM | ((br->flags | second->flags) & IR_SECRET),
                          .a = br->a,
                          .imm = fit(test.with ? test.with : test.add, bits)};
    make.dst = opt_insert(o, make);
    if (!make.dst)
        return false;
    opt_set(o, &br->a, make.dst);
    br->flags = make.flags;
    br->imm = fit(test.imm, bits);
    br->cc = test.cc;
    b->succ[0] = in;
    b->succ[1] = out;
    o->blocks_changed = true;
    return true;
}

int opt_range(struct opt *o)
{
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        if (!is_plain(&b->ops[b->n - 1]))
            continue;
        o->block = o->order[i];
        o->depth = 0;
        o->at = b->n - 1;
        if (!merge(o, b, 0))
            merge(o, b, 1);
    }
    return opt_put_in(o);
}
