/*
 * A scalar is what is known of a 64-bit value that is no pointer: its bits, its range as 64 bits, and the range of its
 * low 32 bits. All three always hold of every value that it stands for; scalar_sync() lets them inform one another, and
 * every function here returns synced scalars. Pure: values in, values out, no log.
 */
#ifndef VERIFIER_SCALAR_H
#define VERIFIER_SCALAR_H

#include "verifier/range.h"
#include "verifier/tnum.h"
#include "vm/isa/isa.h"

struct scalar {
    struct tnum t;
    struct range64 r;
    struct range32 w; /* of the low half */
};

struct scalar scalar_unknown(void);
struct scalar scalar_const(uint64_t v);
/** Any value of [min, max], unsigned. */
struct scalar scalar_unsigned(uint64_t min, uint64_t max);
/** Any value of [min, max], signed. */
struct scalar scalar_signed(int64_t min, int64_t max);

static inline bool scalar_is_const(const struct scalar *s)
{
    return s->t.mask == 0;
}

/** Does it stand for x? */
bool scalar_has(const struct scalar *s, uint64_t x);
/** Does outer stand for everything that inner stands for? */
bool scalar_within(const struct scalar *outer, const struct scalar *inner);
bool scalar_equal(const struct scalar *a, const struct scalar *b);
/** The least scalar that we can name which holds both. */
struct scalar scalar_join(const struct scalar *a, const struct scalar *b);

/** Bits and ranges inform one another until nothing changes. @return false: it stands for no value. */
bool scalar_sync(struct scalar *s);

/** The result of an ALU operation (isa.h: forms ALU_K, ALU_X, MOVSX, NEG, END) on a (the destination) and b (the source
 *  or the sign-extended immediate). */
struct scalar scalar_alu(enum isa_op op, const struct scalar *a, const struct scalar *b);

/** What a conditional jump leaves of its operands when it is taken, or not. @return false: that arm is dead (a and b
 * are then as they were). */
bool scalar_branch(enum isa_op op, bool taken, struct scalar *a, struct scalar *b);

/** The value after it was cut to `bytes` bytes (stored and loaded again), zero-extended or sign-extended. */
struct scalar scalar_cast(const struct scalar *s, unsigned bytes, bool sign);

#endif
