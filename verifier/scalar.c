#include "verifier/scalar.h"

#include <string.h>

#define SIGN64 ((uint64_t)1 << 63)
#define SIGN32 ((uint32_t)1 << 31)

struct scalar scalar_unknown(void)
{
    return (struct scalar){TNUM_UNKNOWN, range64_any(), range32_any()};
}

struct scalar scalar_const(uint64_t v)
{
    return (struct scalar){tnum_const(v), range64_const(v), range32_const((uint32_t)v)};
}

struct scalar scalar_unsigned(uint64_t min, uint64_t max)
{
    struct scalar s = scalar_unknown();

    s.r = range64_unsigned(min, max);
    scalar_sync(&s);
    return s;
}

struct scalar scalar_signed(int64_t min, int64_t max)
{
    struct scalar s = scalar_unknown();

    s.r = range64_signed(min, max);
    scalar_sync(&s);
    return s;
}

bool scalar_has(const struct scalar *s, uint64_t x)
{
    return tnum_has(s->t, x) && range64_has(s->r, x) && range32_has(s->w, (uint32_t)x);
}

bool scalar_within(const struct scalar *outer, const struct scalar *inner)
{
    return tnum_within(outer->t, inner->t) && range64_within(outer->r, inner->r) && range32_within(outer->w, inner->w);
}

bool scalar_equal(const struct scalar *a, const struct scalar *b)
{
    return scalar_within(a, b) && scalar_within(b, a);
}

struct scalar scalar_join(const struct scalar *a, const struct scalar *b)
{
    return (struct scalar){tnum_join(a->t, b->t), range64_join(a->r, b->r), range32_join(a->w, b->w)};
}

/* What the known bits say of the ranges. */
static bool bits_to_ranges(struct scalar *s)
{
    uint64_t v = s->t.value, m = s->t.mask;
    uint32_t lv = (uint32_t)v, lm = (uint32_t)m;
    struct range64 r = {v, v | m, (int64_t)(v | (m & SIGN64)), (int64_t)(v | (m & ~SIGN64))};
    struct range32 w = {lv, lv | lm, (int32_t)(lv | (lm & SIGN32)), (int32_t)(lv | (lm & ~SIGN32))};

    return range64_meet(&s->r, r) && range32_meet(&s->w, w);
}

/* Where all values share their high half, the low half's range follows. */
static bool whole_to_half(struct scalar *s)
{
    struct range32 w = range32_any();

    if (s->r.umin >> 32 == s->r.umax >> 32) {
        w.umin = (uint32_t)s->r.umin;
        w.umax = (uint32_t)s->r.umax;
    }
    if (!range32_meet(&s->w, w))
        return false;
    w = range32_any();
    if (s->r.smin >> 31 == s->r.smax >> 31 || s->r.smin >> 32 == s->r.smax >> 32) {
        int32_t lo = (int32_t)s->r.smin, hi = (int32_t)s->r.smax;

        if (lo <= hi)
            w.smin = lo, w.smax = hi;
    }
    if (s->r.smin >= INT32_MIN && s->r.smax <= INT32_MAX) {
        w.smin = (int32_t)s->r.smin;
        w.smax = (int32_t)s->r.smax;
    }
    return range32_meet(&s->w, w);
}

/* The ends of the 64-bit range move inwards to the next value whose low half is in the half's range. */
static bool half_to_whole(struct scalar *s)
{
    const uint64_t low = UINT32_MAX;
    uint64_t lo = s->r.umin, hi = s->r.umax;

    if ((uint32_t)lo < s->w.umin)
        lo = (lo & ~low) | s->w.umin;
    else if ((uint32_t)lo > s->w.umax && __builtin_add_overflow((lo & ~low) | s->w.umin, low + 1, &lo))
        return false;
    if ((uint32_t)hi > s->w.umax)
        hi = (hi & ~low) | s->w.umax;
    else if ((uint32_t)hi < s->w.umin && __builtin_sub_overflow((hi & ~low) | s->w.umax, low + 1, &hi))
        return false;
    if (!range64_meet(&s->r, range64_unsigned(lo, hi)))
        return false;
    if (s->r.smin >= INT32_MIN && s->r.smax <= INT32_MAX)
        return range64_meet(&s->r, range64_signed(s->w.smin, s->w.smax));
    return true;
}

static bool ranges_to_bits(struct scalar *s)
{
    struct tnum half = tnum_range(s->w.umin, s->w.umax);

    half.mask |= ~(uint64_t)UINT32_MAX;
    return tnum_meet(s->t, tnum_range(s->r.umin, s->r.umax), &s->t) && tnum_meet(s->t, half, &s->t);
}

static bool sync_once(struct scalar *s)
{
    return bits_to_ranges(s) && range64_sync(&s->r) && range32_sync(&s->w) && whole_to_half(s) && half_to_whole(s) &&
           range64_sync(&s->r) && range32_sync(&s->w) && ranges_to_bits(s);
}

/* Each round only shrinks; three reach the fixed point but for odd shapes, where stopping early is sound. */
bool scalar_sync(struct scalar *s)
{
    for (int round = 0; round < 4; round++) {
        struct scalar before = *s;

        if (!sync_once(s)) {
            *s = before;
            return false;
        }
        if (!memcmp(&before, s, sizeof(before)))
            break;
    }
    return true;
}

/* A value of 32 bits, zero-extended. */
static struct scalar from_half(struct tnum t, struct range32 w)
{
    return (struct scalar){tnum_trunc(t, 32), range64_unsigned(0, UINT32_MAX), w};
}

/* b's possible shift amounts, as the width masks them: [lo, hi]. */
static void shift_amounts(const struct scalar *b, unsigned width, unsigned *lo, unsigned *hi)
{
    bool small = b->r.umax < width;

    if (scalar_is_const(b)) {
        *lo = *hi = (unsigned)(b->t.value & (width - 1));
        return;
    }
    *lo = small ? (unsigned)b->r.umin : 0;
    *hi = small ? (unsigned)b->r.umax : width - 1;
}

enum shift { LSH, RSH, ARSH };

static struct scalar shift64(enum shift kind, const struct scalar *a, unsigned by)
{
    struct scalar out = scalar_unknown();

    switch (kind) {
    case LSH:
        out.t = tnum_lsh(a->t, by);
        out.r = range64_lsh(a->r, by);
        if (by < 32)
            out.w = range32_lsh(a->w, by);
        break;
    case RSH:
        out.t = tnum_rsh(a->t, by);
        out.r = range64_rsh(a->r, by);
        break;
    case ARSH:
        out.t = tnum_arsh(a->t, by, 64);
        out.r = range64_arsh(a->r, by);
        break;
    }
    scalar_sync(&out);
    return out;
}

static struct scalar shift32(enum shift kind, const struct scalar *a, unsigned by)
{
    struct tnum t = tnum_trunc(a->t, 32);
    struct scalar out;

    switch (kind) {
    case LSH: out = from_half(tnum_lsh(t, by), range32_lsh(a->w, by)); break;
    case RSH: out = from_half(tnum_rsh(t, by), range32_rsh(a->w, by)); break;
    default: out = from_half(tnum_arsh(t, by, 32), range32_arsh(a->w, by)); break;
    }
    scalar_sync(&out);
    return out;
}

/* A shift by an amount that is not known is the join over all amounts. */
static struct scalar shift(enum shift kind, unsigned width, const struct scalar *a, const struct scalar *b)
{
    unsigned lo, hi;
    struct scalar out = scalar_unknown();

    shift_amounts(b, width, &lo, &hi);
    for (unsigned by = lo; by <= hi; by++) {
        struct scalar one = width == 64 ? shift64(kind, a, by) : shift32(kind, a, by);

        out = by == lo ? one : scalar_join(&out, &one);
    }
    return out;
}

static struct scalar sign_extend(const struct scalar *a, unsigned bits, unsigned width)
{
    struct scalar out = scalar_unknown();
    int64_t top = (int64_t)1 << (bits - 1);

    if (bits == 32)
        out.r = range64_signed(a->w.smin, a->w.smax);
    else if (a->w.smin >= -top && a->w.smax < top)
        out.r = range64_signed(a->w.smin, a->w.smax);
    else
        out.r = range64_signed(-top, top - 1);
    out.t = tnum_sext(a->t, bits);
    scalar_sync(&out);
    if (width == 32) {
        out = from_half(out.t, out.w);
        scalar_sync(&out);
    }
    return out;
}

struct scalar scalar_cast(const struct scalar *s, unsigned bytes, bool sign)
{
    struct scalar out;

    if (bytes == 8)
        return *s;
    if (sign)
        return sign_extend(s, bytes * 8, 64);
    out = scalar_unknown();
    out.t = tnum_trunc(s->t, bytes * 8);
    if (bytes == 4)
        out.w = s->w;
    else if (s->w.umax < (uint32_t)1 << (bytes * 8))
        out.w = s->w;
    scalar_sync(&out);
    return out;
}

static struct scalar byte_order(enum isa_op op, const struct scalar *a)
{
    unsigned bits = isa_rows[op].width;
    bool is_le = op == ISA_LE16 || op == ISA_LE32 || op == ISA_LE64;
    bool is_be = op == ISA_BE16 || op == ISA_BE32 || op == ISA_BE64;
    bool host_le = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    struct scalar out = scalar_cast(a, bits / 8, false);

    if ((is_le && host_le) || (is_be && !host_le))
        return out;
    out = scalar_unknown();
    out.t = tnum_bswap(a->t, bits);
    scalar_sync(&out);
    return out;
}

/* An operation whose low half depends on the low halves alone (all but division, and shifts to the right). */
#define ARITH(name)                                                                                                    \
    case ISA_##name##64_K:                                                                                             \
    case ISA_##name##64_X:                                                                                             \
        out.t = tnum_##name##_(a->t, b->t);                                                                            \
        out.r = range64_##name##_(a->r, b->r);                                                                         \
        out.w = range32_##name##_(a->w, b->w);                                                                         \
        break;                                                                                                         \
    case ISA_##name##32_K:                                                                                             \
    case ISA_##name##32_X:                                                                                             \
        out = from_half(tnum_##name##_(tnum_trunc(a->t, 32), tnum_trunc(b->t, 32)), range32_##name##_(a->w, b->w));    \
        break;

#define tnum_ADD_    tnum_add
#define tnum_SUB_    tnum_sub
#define tnum_MUL_    tnum_mul
#define tnum_AND_    tnum_and
#define tnum_OR_     tnum_or
#define tnum_XOR_    tnum_xor
#define range64_ADD_ range64_add
#define range64_SUB_ range64_sub
#define range64_MUL_ range64_mul
#define range64_AND_ range64_and
#define range64_OR_  range64_or
#define range64_XOR_ range64_xor
#define range32_ADD_ range32_add
#define range32_SUB_ range32_sub
#define range32_MUL_ range32_mul
#define range32_AND_ range32_and
#define range32_OR_  range32_or
#define range32_XOR_ range32_xor

#define QUAD(name, out64, out32)                                                                                       \
    case ISA_##name##64_K:                                                                                             \
    case ISA_##name##64_X: out64; break;                                                                               \
    case ISA_##name##32_K:                                                                                             \
    case ISA_##name##32_X: out32; break;

struct scalar scalar_alu(enum isa_op op, const struct scalar *a, const struct scalar *b)
{
    struct scalar out = scalar_unknown();
    enum isa_form form = isa_rows[op].form;
    bool unary = form == ISA_FORM_NEG || form == ISA_FORM_END;
    const struct scalar zero = scalar_const(0);

    if ((unary || scalar_is_const(b)) && (form == ISA_FORM_MOVSX || scalar_is_const(a)))
        return scalar_const(isa_eval_alu(op, a->t.value, b->t.value));
    switch (op) {
        ARITH(ADD)
        ARITH(SUB)
        ARITH(MUL)
        ARITH(AND)
        ARITH(OR)
        ARITH(XOR)
        QUAD(DIV, out.r = range64_udiv(a->r, b->r), out = from_half(TNUM_UNKNOWN, range32_udiv(a->w, b->w)))
        QUAD(MOD, out.r = range64_umod(a->r, b->r), out = from_half(TNUM_UNKNOWN, range32_umod(a->w, b->w)))
        QUAD(SDIV, , out = from_half(TNUM_UNKNOWN, range32_any()))
        QUAD(SMOD, , out = from_half(TNUM_UNKNOWN, range32_any()))
        QUAD(LSH, return shift(LSH, 64, a, b), return shift(LSH, 32, a, b))
        QUAD(RSH, return shift(RSH, 64, a, b), return shift(RSH, 32, a, b))
        QUAD(ARSH, return shift(ARSH, 64, a, b), return shift(ARSH, 32, a, b))
        QUAD(MOV, return *b, return scalar_cast(b, 4, false))
    case ISA_NEG64: return scalar_alu(ISA_SUB64_X, &zero, a);
    case ISA_NEG32: return scalar_alu(ISA_SUB32_X, &zero, a);
    case ISA_MOVSX8_64: return sign_extend(b, 8, 64);
    case ISA_MOVSX16_64: return sign_extend(b, 16, 64);
    case ISA_MOVSX32_64: return sign_extend(b, 32, 64);
    case ISA_MOVSX8_32: return sign_extend(b, 8, 32);
    case ISA_MOVSX16_32: return sign_extend(b, 16, 32);
    default: return form == ISA_FORM_END ? byte_order(op, a) : out;
    }
    scalar_sync(&out);
    return out;
}

/* What a comparison means: a < b or a <= b, unsigned or signed, perhaps with its operands exchanged. */
struct order {
    bool exchanged, or_equal, is_signed;
};

static bool refine_order(struct order o, bool half, struct scalar *a, struct scalar *b)
{
    if (o.exchanged) {
        struct scalar *t = a;

        a = b;
        b = t;
    }
    if (half)
        return o.is_signed ? range32_refine_slt(&a->w, &b->w, o.or_equal)
                           : range32_refine_ult(&a->w, &b->w, o.or_equal);
    return o.is_signed ? range64_refine_slt(&a->r, &b->r, o.or_equal) : range64_refine_ult(&a->r, &b->r, o.or_equal);
}

static bool refine_equal(bool half, struct scalar *a, struct scalar *b)
{
    struct tnum both;

    if (half) {
        const uint64_t high = ~(uint64_t)UINT32_MAX;

        if (!range32_meet(&a->w, b->w) || !tnum_meet(tnum_trunc(a->t, 32), tnum_trunc(b->t, 32), &both))
            return false;
        b->w = a->w;
        a->t = (struct tnum){(a->t.value & high) | both.value, (a->t.mask & high) | both.mask};
        b->t = (struct tnum){(b->t.value & high) | both.value, (b->t.mask & high) | both.mask};
        return true;
    }
    if (!range64_meet(&a->r, b->r) || !range32_meet(&a->w, b->w) || !tnum_meet(a->t, b->t, &both))
        return false;
    a->t = both;
    *b = *a;
    return true;
}

static bool is_half_const(const struct scalar *s)
{
    return range32_is_const(s->w);
}

static bool refine_unequal(bool half, struct scalar *a, struct scalar *b)
{
    if (half)
        return (!is_half_const(b) || range32_without(&a->w, b->w.umin)) &&
               (!is_half_const(a) || range32_without(&b->w, a->w.umin));
    return (!range64_is_const(b->r) || range64_without(&a->r, b->r.umin)) &&
           (!range64_is_const(a->r) || range64_without(&b->r, a->r.umin));
}

/* a & b is zero: what is one in either is zero in the other. */
static bool refine_disjoint(bool half, struct scalar *a, struct scalar *b)
{
    uint64_t within = half ? UINT32_MAX : UINT64_MAX, a_ones = a->t.value & within, b_ones = b->t.value & within;

    if (a_ones & b_ones)
        return false;
    a->t.mask &= ~b_ones;
    b->t.mask &= ~a_ones;
    return true;
}

/* a & b is not zero: where only one bit can be common, it is one in both. */
static bool refine_common(bool half, struct scalar *a, struct scalar *b)
{
    uint64_t within = half ? UINT32_MAX : UINT64_MAX, common = tnum_umax(a->t) & tnum_umax(b->t) & within;

    if (!common)
        return false;
    if (common & (common - 1))
        return true;
    a->t.value |= common;
    b->t.value |= common;
    a->t.mask &= ~common;
    b->t.mask &= ~common;
    return true;
}

static bool refine(enum isa_op op, bool taken, struct scalar *a, struct scalar *b)
{
    bool half = isa_rows[op].width == 32;

    switch (op) {
#define ROW(name, when_taken, when_not)                                                                                \
    case ISA_##name##64_K:                                                                                             \
    case ISA_##name##64_X:                                                                                             \
    case ISA_##name##32_K:                                                                                             \
    case ISA_##name##32_X:                                                                                             \
        return taken ? when_taken : when_not;
#define ORDER(...) refine_order((struct order){__VA_ARGS__}, half, a, b)
        ROW(JEQ, refine_equal(half, a, b), refine_unequal(half, a, b))
        ROW(JNE, refine_unequal(half, a, b), refine_equal(half, a, b))
        ROW(JSET, refine_common(half, a, b), refine_disjoint(half, a, b))
        /*        exchanged, or equal, signed */
        ROW(JLT, ORDER(0, 0, 0), ORDER(1, 1, 0))
        ROW(JLE, ORDER(0, 1, 0), ORDER(1, 0, 0))
        ROW(JGT, ORDER(1, 0, 0), ORDER(0, 1, 0))
        ROW(JGE, ORDER(1, 1, 0), ORDER(0, 0, 0))
        ROW(JSLT, ORDER(0, 0, 1), ORDER(1, 1, 1))
        ROW(JSLE, ORDER(0, 1, 1), ORDER(1, 0, 1))
        ROW(JSGT, ORDER(1, 0, 1), ORDER(0, 1, 1))
        ROW(JSGE, ORDER(1, 1, 1), ORDER(0, 0, 1))
    default: return true;
    }
}

bool scalar_branch(enum isa_op op, bool taken, struct scalar *a, struct scalar *b)
{
    struct scalar na = *a, nb = *b;

    if (!refine(op, taken, &na, &nb) || !scalar_sync(&na) || !scalar_sync(&nb))
        return false;
    *a = na;
    *b = nb;
    return true;
}
