#include "verifier/tnum.h"

struct tnum tnum_range(uint64_t min, uint64_t max)
{
    uint64_t differ = min ^ max;
    uint64_t low = differ ? UINT64_MAX >> __builtin_clzll(differ) : 0;

    return (struct tnum){min & ~low, low};
}

/* The carries of the largest sum and of the smallest differ just where a carry is not known. */
struct tnum tnum_add(struct tnum a, struct tnum b)
{
    uint64_t least = a.value + b.value;
    uint64_t most = (a.value | a.mask) + (b.value | b.mask);
    uint64_t unknown = (least ^ most) | a.mask | b.mask;

    return (struct tnum){least & ~unknown, unknown};
}

struct tnum tnum_sub(struct tnum a, struct tnum b)
{
    uint64_t most = (a.value | a.mask) - b.value;
    uint64_t least = a.value - (b.value | b.mask);
    uint64_t unknown = (least ^ most) | a.mask | b.mask;

    return (struct tnum){(a.value - b.value) & ~unknown, unknown};
}

struct tnum tnum_neg(struct tnum a)
{
    return tnum_sub(tnum_const(0), a);
}

struct tnum tnum_and(struct tnum a, struct tnum b)
{
    uint64_t one = a.value & b.value;
    uint64_t maybe = tnum_umax(a) & tnum_umax(b);

    return (struct tnum){one, maybe & ~one};
}

struct tnum tnum_or(struct tnum a, struct tnum b)
{
    uint64_t one = a.value | b.value;
    uint64_t maybe = a.mask | b.mask;

    return (struct tnum){one, maybe & ~one};
}

struct tnum tnum_xor(struct tnum a, struct tnum b)
{
    uint64_t unknown = a.mask | b.mask;

    return (struct tnum){(a.value ^ b.value) & ~unknown, unknown};
}

/*
 * Long multiplication: the known bits multiply exactly; each bit of a that is or may be one adds what b does not know,
 * at its place. All uncertainty is summed as a tnum with value 0, which cannot lose a known bit to a wrong order of
 * carries.
 */
struct tnum tnum_mul(struct tnum a, struct tnum b)
{
    uint64_t known = a.value * b.value;
    struct tnum unsure = {0, 0};

    for (; a.value || a.mask; a.value >>= 1, a.mask >>= 1, b.value <<= 1, b.mask <<= 1) {
        if (a.value & 1)
            unsure = tnum_add(unsure, (struct tnum){0, b.mask});
        else if (a.mask & 1)
            unsure = tnum_add(unsure, (struct tnum){0, tnum_umax(b)});
    }
    return tnum_add(tnum_const(known), unsure);
}

struct tnum tnum_lsh(struct tnum a, unsigned shift)
{
    return (struct tnum){a.value << shift, a.mask << shift};
}

struct tnum tnum_rsh(struct tnum a, unsigned shift)
{
    return (struct tnum){a.value >> shift, a.mask >> shift};
}

/* Sign bits come from value and mask alike: an unknown sign makes all bits that it fills unknown. */
struct tnum tnum_arsh(struct tnum a, unsigned shift, unsigned bits)
{
    struct tnum wide = tnum_sext(a, bits);

    wide.value = (uint64_t)((int64_t)wide.value >> shift);
    wide.mask = (uint64_t)((int64_t)wide.mask >> shift);
    return tnum_trunc(wide, bits);
}

struct tnum tnum_trunc(struct tnum a, unsigned bits)
{
    uint64_t keep = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;

    return (struct tnum){a.value & keep, a.mask & keep};
}

struct tnum tnum_sext(struct tnum a, unsigned bits)
{
    unsigned up = 64 - bits;

    return (struct tnum){(uint64_t)((int64_t)(a.value << up) >> up), (uint64_t)((int64_t)(a.mask << up) >> up)};
}

struct tnum tnum_bswap(struct tnum a, unsigned bits)
{
    return (struct tnum){__builtin_bswap64(a.value) >> (64 - bits), __builtin_bswap64(a.mask) >> (64 - bits)};
}

bool tnum_meet(struct tnum a, struct tnum b, struct tnum *out)
{
    uint64_t unknown = a.mask & b.mask;

    if ((a.value ^ b.value) & ~a.mask & ~b.mask)
        return false;
    *out = (struct tnum){(a.value | b.value) & ~unknown, unknown};
    return true;
}

struct tnum tnum_join(struct tnum a, struct tnum b)
{
    uint64_t unknown = a.mask | b.mask | (a.value ^ b.value);

    return (struct tnum){a.value & ~unknown, unknown};
}

bool tnum_within(struct tnum outer, struct tnum inner)
{
    return (inner.mask & ~outer.mask) == 0 && (inner.value & ~outer.mask) == outer.value;
}

bool tnum_is_aligned(struct tnum t, uint64_t size)
{
    return (tnum_umax(t) & (size - 1)) == 0;
}
