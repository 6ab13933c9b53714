/*
 * What the passes of ir_optimize share: what is known of each virtual register, and a walk over a function's operations
 * during which it is known which write a read sees.
 *
 * A register with a single write is as good as a value: its write dominates its reads, so what wrote it may be looked
 * at from anywhere (opt_def), and whatever single-write registers that operation read still hold the same. Others are
 * told apart by position: the walk numbers operations, and remembers for each register the latest write that it came
 * over. A region is a run of blocks, each the only predecessor of the next; inside one the latest write is the one
 * that a read sees, and a register is the same as at an earlier position of the region when it was not written since
 * (opt_same).
 *
 * Counts of reads and writes are right at all times: operands are changed by opt_set and its like only. Register
 * IR_NONE stands for no operand, and what is counted of it says nothing. An operation
 * that nobody reads any more and that does nothing else becomes a NOP at once when its register has that single write;
 * opt_sweep removes the rest.
 */
#ifndef VM_IR_OPT_H
#define VM_IR_OPT_H

#include "vm/ir/ir.h"

struct opt_vreg {
    struct ir_op *def; /* the latest write that the walk came over, when pos says that it came over one */
    uint32_t pos;      /* its position; at most that where the walk began: a parameter, or no write yet */
    uint32_t uses;     /* operands that read it */
    uint32_t writes;   /* a parameter's arrival is one */
    uint32_t over;     /* while a block is swept from its end: the sweep's stamp when it is written before it is read */
    uint32_t in_memory; /* how many of the uses are in addresses; opt_address counts them */
    uint16_t depth;     /* loops around the latest write, at most OPT_DEPTH */
    bool round;         /* when reads and writes were counted, a write came after a read in the order */
    uint8_t bits;       /* all of its values are below 2^bits */
};
enum { OPT_DEPTH = UINT16_MAX };

/* An operation to be put before another once the walk is over. */
struct opt_insert {
    uint32_t block, at;
    struct ir_op *op; /* in the arena: it may be looked at, and go, like others until then */
};

struct opt {
    struct ir_func *f;
    const struct ir_target *target;
    uint32_t opts;
    struct opt_vreg *v;
    uint32_t cap;             /* of v */
    uint32_t *order, n_order; /* blocks in reverse postorder */
    /* The walk. */
    uint32_t pos;    /* of the operation that is looked at; it goes on from walk to walk */
    uint32_t start;  /* where it stood when this walk began */
    uint32_t region; /* first position of the region */
    uint32_t begin;  /* of the block */
    uint32_t stored; /* position of the latest operation that may write memory */
    uint32_t block;  /* index of the block */
    uint16_t depth;  /* loops around it, when ir_loops() was asked, at most OPT_DEPTH */
    uint32_t at;     /* index of the operation in it */
    void *pass;      /* what a pass keeps beside */
    struct opt_insert *inserts;
    uint32_t n_inserts, insert_cap;
    uint32_t stamp;      /* of the latest sweep over a block */
    bool round;          /* some register is: a value may go round a loop */
    bool keeps_bits;     /* walks take bounds as they are */
    bool blocks_changed; /* edges came or went: ir_clean, and the order anew */
    bool failed;         /* out of memory */
};

/** The write that a read of v sees here, when that is known. */
static inline struct ir_op *opt_def(const struct opt *o, uint32_t v)
{
    const struct opt_vreg *r = &o->v[v];

    return r->pos > o->start && (r->writes == 1 || r->pos >= o->region) ? r->def : NULL;
}

/** Does x hold here what the operation that wrote `by` read in it? */
static inline bool opt_same(const struct opt *o, uint32_t x, uint32_t by)
{
    const struct opt_vreg *r = &o->v[x];

    return x == IR_NONE || r->writes == 1 || (o->v[by].pos >= o->region && r->pos < o->v[by].pos);
}

/** Does memory hold here what it held when `by` was written? */
static inline bool opt_same_memory(const struct opt *o, uint32_t by)
{
    return o->v[by].pos >= o->region && o->stored < o->v[by].pos;
}

static inline uint64_t opt_ones(unsigned bits)
{
    return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

static inline unsigned opt_length(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

/** Is it CONST? *value is what it is then. */
static inline bool opt_const(const struct opt *o, uint32_t v, uint64_t *value)
{
    const struct ir_op *def = v == IR_NONE ? NULL : opt_def(o, v);

    if (!def || def->kind != IR_CONST)
        return false;
    *value = (uint64_t)def->imm;
    return true;
}

/** Is it an operation of this kind and width with a constant as B? */
static inline bool opt_is_imm(const struct ir_op *op, enum ir_kind kind)
{
    return op && op->kind == kind && (op->flags & IR_IMM);
}

/** May its constant stand in an address? What fits an instruction's offset may, as the author can put it there anyway.
 */
static inline bool opt_may_show(const struct opt *o, const struct ir_op *op)
{
    return !(op->flags & IR_SECRET) || !(o->opts & IR_KEEP_SECRETS) || op->imm == (int16_t)op->imm;
}

/** Is B a register? */
static inline bool opt_is_reg(const struct ir_op *op)
{
    return !(op->flags & (IR_IMM | IR_MEM));
}

/** Does this kind have M as operand, in base and index? */
static inline bool opt_has_mem(const struct ir_op *op)
{
    return (op->kind >= IR_LOAD && op->kind <= IR_CMPXCHG) || op->kind == IR_LEA || (op->flags & IR_MEM);
}

/** May what it does be left out when its result is not read? */
static inline bool opt_droppable(const struct ir_op *op)
{
    return op->dst && !(ir_kinds[op->kind].what & ~(IR_W_PURE | IR_W_READ | IR_W_COMM));
}

/* opt.c */
int opt_begin(struct opt *o, struct ir_func *f, const struct ir_target *target, uint32_t opts);
void opt_end(struct opt *o);
/** v was renamed everywhere: what is counted of it. */
void opt_become(struct opt *o, uint32_t v, uint32_t to);
/** Shows each operation to visit, with positions as said above, then puts in what opt_insert took. @return 0 or
 *  -ENOMEM. */
int opt_walk(struct opt *o, void (*visit)(struct opt *o, struct ir_op *op));
/** Makes an operand another register. */
void opt_set(struct opt *o, uint32_t *operand, uint32_t v);
/** Makes an operand IR_NONE. */
void opt_drop(struct opt *o, uint32_t *operand);
/** Drops all operands: the operation is then filled anew, keeping dst and slot. */
void opt_reset(struct opt *o, struct ir_op *op, enum ir_kind kind);
void opt_to_const(struct opt *o, struct ir_op *op, uint64_t value, bool secret);
/** dst = the low half (width 4) or all of v. */
void opt_to_copy(struct opt *o, struct ir_op *op, uint32_t v);
/** A new register, written by `op` (whose dst it becomes) before the operation that is looked at. IR_NONE: no memory.
 */
uint32_t opt_insert(struct opt *o, struct ir_op op);
/** Puts in what opt_insert took. @return 0 or -ENOMEM. */
int opt_put_in(struct opt *o);

/* opt_sweep.c */
/** Removes what nobody reads, what is written again before it is read, and NOPs. */
void opt_sweep(struct opt *o);
/** What reads nothing but itself, round a loop, becomes NOP. @return 0 or -ENOMEM. */
int opt_drop_idle(struct opt *o);

/* opt_bits.c */
/** How many bits the result needs at most, from what is known of the operands. */
unsigned opt_bits(const struct opt *o, const struct ir_op *op);
/** Fills in v[].bits for all registers. */
void opt_find_bits(struct opt *o);

/* opt_fold.c */
/** Evaluates arithmetic on two operands (of one: on a). */
uint64_t opt_eval(const struct ir_op *op, uint64_t a, uint64_t b);
bool opt_eval_cc(enum ir_cc cc, unsigned width, uint64_t a, uint64_t b);
/** The condition with its sides exchanged. */
enum ir_cc opt_swap_cc(enum ir_cc cc);

/* Passes, each in the file of its name. */
void opt_simplify(struct opt *o, struct ir_op *op);
void opt_rotate(struct opt *o, struct ir_op *op);
void opt_wide(struct opt *o, struct ir_op *op);
void opt_address(struct opt *o, struct ir_op *op);
void opt_count_addresses(struct opt *o);
void opt_memory(struct opt *o, struct ir_op *op);
void opt_divide(struct opt *o, struct ir_op *op);
/** A register whose low `bits` bits are those of v here, as far back as a few steps lead. */
uint32_t opt_strip(const struct opt *o, uint32_t v, unsigned bits);
/** Every operand of the operation becomes such a register. */
void opt_strip_all(struct opt *o, struct ir_op *op);
/** Comparisons: what opt_simplify does to BR, SET and SELECT. */
void opt_condition(struct opt *o, struct ir_op *op);
/** x + SET and x - SET: CARRY. */
void opt_carry(struct opt *o, struct ir_op *op);
int opt_select(struct opt *o);
int opt_range(struct opt *o);
int opt_unroll(struct opt *o);
int opt_count(struct opt *o);

/* opt_chunk.c, for opt_count(). A loop with one way in, from `before`, one jump back, and no way out but there. */
enum { OPT_LOOP_BLOCKS = 24 };
struct opt_loop {
    uint32_t head, latch, before;
    uint32_t blocks[OPT_LOOP_BLOCKS], n;
};
/* How it counts: it goes on while counter cc bound (IR_NONE: imm) in `width` bytes. */
struct opt_chunk {
    uint32_t head, latch, before, counter, bound;
    int64_t imm, step;
    uint64_t by; /* |step| */
    unsigned width;
    enum ir_cc cc;
    bool narrow_step; /* the counter wraps earlier than the comparison says */
    uint8_t secret;   /* IR_SECRET, when imm is the author's */
    uint32_t depth;   /* of the innermost loop in it */
    int behind;       /* what is added to the bound, by opt_may_chunk() */
    uint32_t worth;   /* instructions a turn */
    uint32_t slot;    /* of what is paid for */
};
/** Does it count so? Then *c is filled in, but for worth and slot. */
bool opt_counts(const struct opt *o, const struct opt_loop *l, struct opt_chunk *c);
/** May it be paid for in chunks? */
bool opt_may_chunk(const struct opt *o, struct opt_chunk *c);
/** Has it pay for as many turns at once as `most` instructions allow. Edges change. @return 0 or -ENOMEM. */
int opt_chunk(struct opt *o, const struct opt_chunk *c, uint32_t most);
int opt_copies(struct opt *o);
int opt_coalesce(struct opt *o);
int opt_legalise(struct opt *o);

#endif
