/*
 * A tristate number: of each of 64 bits it is known to be 0, known to be 1, or not known. `mask` has the unknown bits,
 * `value` the known ones; no bit is set in both, in any tnum that a function here takes or gives. It stands for every
 * number that agrees with the known bits: gamma(t) = { x : (x & ~mask) == value }.
 *
 * The operations are sound: for x in gamma(a) and y in gamma(b), x op y is in gamma(tnum_op(a, b)). Pure, no errors.
 * The idea, and the algorithms for addition and multiplication, are those of "Sound, Precise, and Fast Abstract
 * Interpretation with Tristate Numbers" (Vishwanathan et al., CGO 2022).
 */
#ifndef VERIFIER_TNUM_H
#define VERIFIER_TNUM_H

#include <stdbool.h>
#include <stdint.h>

struct tnum {
    uint64_t value, mask;
};

#define TNUM_UNKNOWN ((struct tnum){0, UINT64_MAX})

static inline struct tnum tnum_const(uint64_t v)
{
    return (struct tnum){v, 0};
}

static inline bool tnum_is_const(struct tnum t)
{
    return t.mask == 0;
}

/** Is x in gamma(t)? */
static inline bool tnum_has(struct tnum t, uint64_t x)
{
    return (x & ~t.mask) == t.value;
}

/** The smallest and the largest number it stands for, unsigned. */
static inline uint64_t tnum_umin(struct tnum t)
{
    return t.value;
}

static inline uint64_t tnum_umax(struct tnum t)
{
    return t.value | t.mask;
}

/** The least tnum that holds every number of [min, max]; min <= max. */
struct tnum tnum_range(uint64_t min, uint64_t max);

struct tnum tnum_add(struct tnum a, struct tnum b);
struct tnum tnum_sub(struct tnum a, struct tnum b);
struct tnum tnum_neg(struct tnum a);
struct tnum tnum_and(struct tnum a, struct tnum b);
struct tnum tnum_or(struct tnum a, struct tnum b);
struct tnum tnum_xor(struct tnum a, struct tnum b);
struct tnum tnum_mul(struct tnum a, struct tnum b);
/* Shifts by a constant below 64. Arithmetic: of a number `bits` wide (32 or 64), the result that wide. */
struct tnum tnum_lsh(struct tnum a, unsigned shift);
struct tnum tnum_rsh(struct tnum a, unsigned shift);
struct tnum tnum_arsh(struct tnum a, unsigned shift, unsigned bits);
/** The low `bits` bits, zero-extended; bits from 0 to 64. */
struct tnum tnum_trunc(struct tnum a, unsigned bits);
/** The low `bits` bits (1 to 64), sign-extended to 64. */
struct tnum tnum_sext(struct tnum a, unsigned bits);
struct tnum tnum_bswap(struct tnum a, unsigned bits);

/** Numbers in both. @return false when there are none that either knows of (a bit known differently). */
bool tnum_meet(struct tnum a, struct tnum b, struct tnum *out);
/** The least tnum that holds both. */
struct tnum tnum_join(struct tnum a, struct tnum b);
/** Is gamma(inner) within gamma(outer)? */
bool tnum_within(struct tnum outer, struct tnum inner);
/** Are all numbers of it multiples of size, a power of two? */
bool tnum_is_aligned(struct tnum t, uint64_t size);

#endif
