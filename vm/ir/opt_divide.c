/*
 * Division by constants without dividing. An unsigned quotient of a number below 2^n by d is
 *     x * m >> s,  m = ceil(2^s / d),
 * exactly, when m * d - 2^s <= 2^(s - n) (Granlund and Montgomery): with 64-bit products as long as m < 2^(64 - n),
 * with MULHI otherwise. Signed division rounds towards zero: 1 is added to what is rounded down when the dividend is
 * negative. A remainder is what quotient times divisor leaves.
 */
#include "vm/ir/opt.h"

/* An operation before the one looked at. */
static uint32_t binary(struct opt *o, enum ir_kind kind, unsigned width, uint32_t a, uint32_t b)
{
    return opt_insert(o, (struct ir_op){.kind = (uint8_t)kind, .width = (uint8_t)width, .a = a, .b = b});
}

static uint32_t with_imm(struct opt *o, enum ir_kind kind, unsigned width, uint32_t a, uint64_t imm)
{
    return opt_insert(o, (struct ir_op){.kind = (uint8_t)kind,
                                        .width = (uint8_t)width,
                                        .flags = IR_IMM | (o->f->blocks[o->block].ops[o->at].flags & IR_SECRET),
                                        .a = a,
                                        .imm = width == 4 ? (int32_t)imm : (int64_t)imm});
}

static uint32_t sign_extend(struct opt *o, uint32_t a)
{
    return opt_insert(o, (struct ir_op){.kind = IR_SEXT, .width = 8, .size = 4, .a = a});
}

/* m and s for numbers below 2^n by d, neither a power of two nor above 2^n, with s as small as it can be.
 * False: m has more than 64 bits. */
static bool find_magic(uint64_t d, unsigned n, uint64_t *m, unsigned *s)
{
    for (unsigned k = n; k < 64 + opt_length(d); k++) {
        unsigned __int128 two = (unsigned __int128)1 << k, q = (two + d - 1) / d;

        if (q * d - two > (unsigned __int128)1 << (k - n))
            continue;
        *m = (uint64_t)q;
        *s = k;
        return q <= UINT64_MAX;
    }
    return false;
}

/* The quotient of x (below 2^n) by d as a register; IR_NONE: not without what the target lacks. */
static uint32_t quotient(struct opt *o, uint32_t x, unsigned n, uint64_t d)
{
    uint64_t m;
    unsigned s;
    uint32_t t;
    bool exact = find_magic(d, n, &m, &s);

    if (exact && (n == 64 ? m == 1 : m <= opt_ones(64 - n)) && s < 64)
        return with_imm(o, IR_SHR, 8, with_imm(o, IR_MUL, 8, x, m), s);
    if (!o->target->mulhi)
        return IR_NONE;
    if (!exact && !(d & 1)) {
        unsigned even = (unsigned)__builtin_ctzll(d);

        return quotient(o, with_imm(o, IR_SHR, 8, x, even), n - even, d >> even);
    }
    if (exact) {
        /* Room above for s below 64: the same m, moved up. */
        if (s < 64) {
            m <<= 64 - s;
            s = 64;
        }
        t = with_imm(o, IR_MULHI, 8, x, m);
        return s == 64 ? t : with_imm(o, IR_SHR, 8, t, s - 64);
    }
    /* m has 65 bits: its highest one is added apart, halving first lest it overflow. */
    s = 64 + opt_length(d - 1);
    m = (uint64_t)((((unsigned __int128)1 << (s - 1)) / d * 2) +
                   ((((unsigned __int128)1 << (s - 1)) % d * 2 + d - 1) / d));
    t = with_imm(o, IR_MULHI, 8, x, m);
    return with_imm(o, IR_SHR, 8, binary(o, IR_ADD, 8, with_imm(o, IR_SHR, 8, binary(o, IR_SUB, 8, x, t), 1), t),
                    s - 65);
}

/* The last operation of a sequence takes the place of the division. */
static void finish(struct opt *o, struct ir_op *op, enum ir_kind kind, unsigned width, uint32_t a, uint32_t b)
{
    if (!a || (!b && kind != IR_COPY && kind != IR_NEG)) {
        o->failed = true;
        return;
    }
    o->v[a].uses++;
    o->v[b].uses += b != IR_NONE;
    opt_reset(o, op, kind);
    op->width = (uint8_t)width;
    op->a = a;
    op->b = b;
}

static void unsigned_division(struct opt *o, struct ir_op *op, uint64_t d)
{
    unsigned width = 8u * op->width, n = o->v[op->a].bits < width ? o->v[op->a].bits : width;
    uint32_t x = op->a, q;
    bool divides = op->kind == IR_UDIV;

    if (d > opt_ones(n)) {
        if (divides)
            opt_to_const(o, op, 0, false);
        else
            opt_to_copy(o, op, x);
        return;
    }
    if (n > 32 && !o->target->mulhi)
        return;
    if (op->width == 4 && o->v[x].bits > 32)
        x = opt_insert(o, (struct ir_op){.kind = IR_ZEXT, .width = 8, .size = 4, .a = x});
    q = x ? quotient(o, x, n, d) : IR_NONE;
    if (!q)
        return;
    if (divides)
        finish(o, op, IR_COPY, 8, q, IR_NONE);
    else
        finish(o, op, IR_SUB, op->width, op->a, with_imm(o, IR_MUL, op->width, q, d));
}

/* All ones when x is negative, else 0. */
static uint32_t sign_of(struct opt *o, uint32_t x, unsigned width)
{
    return with_imm(o, IR_SAR, width, x, 8 * width - 1);
}

static uint32_t signed_power(struct opt *o, uint32_t x, unsigned width, unsigned log)
{
    unsigned bits = 8 * width;
    uint32_t up = log == 1 ? with_imm(o, IR_SHR, width, x, bits - 1)
                           : with_imm(o, IR_SHR, width, sign_of(o, x, width), bits - log);

    return with_imm(o, IR_SAR, width, binary(o, IR_ADD, width, x, up), log);
}

static uint32_t signed_narrow(struct opt *o, uint32_t x, uint64_t d)
{
    uint32_t wide = sign_extend(o, x), t;
    uint64_t m;
    unsigned s;

    if (!find_magic(d, 31, &m, &s))
        return IR_NONE;
    t = with_imm(o, IR_SAR, 8, with_imm(o, IR_MUL, 8, wide, m), s);
    return binary(o, IR_SUB, 4, t, sign_of(o, x, 4));
}

/* |x| / d, with the sign put back. */
static uint32_t signed_wide(struct opt *o, uint32_t x, uint64_t d)
{
    uint32_t sign = sign_of(o, x, 8), q;

    q = quotient(o, binary(o, IR_SUB, 8, binary(o, IR_XOR, 8, x, sign), sign), 64, d);
    return binary(o, IR_SUB, 8, binary(o, IR_XOR, 8, q, sign), sign);
}

static void signed_division(struct opt *o, struct ir_op *op, uint64_t imm)
{
    unsigned width = op->width;
    bool negative = imm >> (8 * width - 1), divides = op->kind == IR_SDIV;
    uint64_t d = negative ? (width == 4 ? (uint32_t)-imm : -imm) : imm;
    uint32_t q;

    if (d == 1) {
        if (divides)
            finish(o, op, IR_NEG, width, op->a, IR_NONE);
        else
            opt_to_const(o, op, 0, false);
        return;
    }
    if (!(d & (d - 1)))
        q = signed_power(o, op->a, width, (unsigned)__builtin_ctzll(d));
    else if (width == 4)
        q = signed_narrow(o, op->a, d);
    else
        q = o->target->mulhi ? signed_wide(o, op->a, d) : IR_NONE;
    if (!q)
        return;
    if (!divides)
        finish(o, op, IR_SUB, width, op->a, with_imm(o, IR_MUL, width, q, d));
    else
        finish(o, op, negative ? IR_NEG : IR_COPY, 8, q, IR_NONE);
    if (divides && negative)
        op->width = (uint8_t)width;
}

void opt_divide(struct opt *o, struct ir_op *op)
{
    bool is_signed = op->kind == IR_SDIV || op->kind == IR_SMOD;
    uint64_t d = op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;

    if ((!is_signed && op->kind != IR_UDIV && op->kind != IR_UMOD) || !(op->flags & IR_IMM) || d <= 1)
        return;
    if (is_signed)
        signed_division(o, op, d);
    else if (d & (d - 1))
        unsigned_division(o, op, d);
}
