/*
 * What the files of register allocation share: read.c notes what operations ask, live.c finds where each virtual
 * register is live, coalesce.c joins what should lie in one place, color.c gives those that fit a machine register,
 * lend.c has loops borrow what is free, spill.c rewrites operations whose operands have none, alloc.c calls them in
 * rounds until nothing is left to rewrite, check.c proves the result.
 *
 * Time is counted in points, three an operation in the order of layout: at POINT_READ it reads, at POINT_CLOBBER it
 * destroys, at POINT_WRITE it writes. Operation 0 is the function's entry, which writes the parameters. A virtual
 * register is live in segments of points, both ends included; two that share no point may share a machine register.
 * What an operation destroys is taken at its middle point, so that neither its operands (unless they are read late) nor
 * its result mind.
 */
#ifndef JIT_ALLOC_H
#define JIT_ALLOC_H

#include "jit/target.h"

enum { POINT_READ, POINT_CLOBBER, POINT_WRITE, POINTS };

/* How a virtual register is treated. Only ANY and PIECE may get no register in a round. */
enum alloc_kind {
    ALLOC_ANY,
    ALLOC_PIECE, /* holds the value of a SLOT within a block or in a loop, where that is worth it */
    ALLOC_TINY,  /* the same for a single operation: always gets a register */
    ALLOC_SLOT,  /* lives in its spill slot */
    ALLOC_CONST, /* a constant that is made anew before each use: written nowhere */
    ALLOC_GONE,  /* a PIECE that was given up: its uses read the slot */
};

struct alloc_segment {
    uint32_t from, to;
    uint32_t next; /* the next later one of this register; 0: none */
    uint32_t vreg;
};

/* What operands and results say about where a virtual register would be best. */
struct alloc_wish {
    uint32_t with; /* a virtual register, or ALLOC_WISH_REG | machine register */
    float gain;
    uint32_t next; /* of the same virtual register; 0: none */
};
#define ALLOC_WISH_REG 0x80000000u

/* An operation as far as allocation goes. It reads a->uses[use] up to the use of the next one. */
struct alloc_op {
    uint32_t dst, use;
    uint8_t late; /* which of them it reads late */
    uint8_t tied; /* the number (from 1) of the one that dst had best share a machine register with; 0: none */
    bool copy;    /* it is a COPY */
};

/* A piece that is loaded at the end of a block (lend.c). */
struct alloc_loan {
    uint32_t vreg;
    uint32_t next; /* of the same block; 0: none */
};

/* A list in an array that grows; element 0 is no one's, so that 0 can end lists. */
struct alloc_list {
    void *at;
    uint32_t n, room;
};

enum { ALLOC_USES, ALLOC_CALLS, ALLOC_CLOBBERS, ALLOC_WRITTEN, ALLOC_LIVE_IN, ALLOC_LISTS };

struct alloc {
    struct ir_func *f;
    const struct jit_target *target;
    uint32_t caller_saved; /* those of the allocatable that calls destroy */
    uint32_t *order;       /* of blocks */
    uint32_t n_order;
    float *freq; /* how often each block runs for each call of the function; by guess */
    /* One each for every virtual register, over all rounds. */
    uint8_t *kind;
    uint32_t *origin; /* the register of the program whose value it holds */
    uint32_t *home;   /* of a PIECE: whose slot has it */
    uint32_t room;
    /* Of this round: */
    struct arena *arena; /* scratch */
    uint32_t *first;     /* of each block: the number of its first operation; 0: cannot be reached */
    uint32_t n_ops;      /* one more than the highest number */
    struct alloc_op *ops;
    uint32_t *uses;
    struct alloc_list wishes, exposed;    /* of struct alloc_wish; of blocks that read before they write (live.c) */
    struct alloc_list lists[ALLOC_LISTS]; /* of uses, calls, clobbers; of pairs in live.c */
    uint32_t *wish;                       /* of each virtual register: its first */
    uint32_t *exposed_in;                 /* the same; not 0: lives over a block's border */
    float *cost;                          /* of having no machine register: reads and writes of memory for each call */
    const struct ir_op **makes;           /* the constant that is its only write, or NULL */
    uint8_t *flags;                       /* ALLOC_F_* */
    uint8_t *want;                        /* the machine register where its value goes in the end; JIT_NO_REG: none */
    uint32_t *calls;                      /* numbers of the operations that destroy what is caller_saved */
    uint32_t *call_block;                 /* where they stand */
    uint32_t n_calls;
    uint32_t *calls_before; /* of each operation number: how many calls have smaller ones */
    uint32_t *clobbers;     /* numbers of operations that destroy registers besides, and which */
    uint32_t n_clobbers;
    uint32_t *head; /* of each virtual register: its first segment; 0: it is never live */
    uint32_t *tail; /* its last one, and the last point at which it is live; of a unit (coalesce.c) those of all */
    uint32_t *end;
    struct alloc_list segments;
    uint32_t *unit, *member; /* coalesce.c */
    struct alloc_row *taken; /* color.c */
    unsigned rows;
    bool by_block;  /* registers a block at a time: nothing is lent, since nothing lives in one from turn to turn */
    uint32_t *loan; /* lend.c: of each block, the first that it loads for a loop that it leads into; 0: none */
    struct alloc_list loans;
    struct jit_place *place; /* JIT_NO_REG: got none */
    uint32_t used;           /* machine registers written */
};

enum {
    ALLOC_F_WRITTEN = 1,
    ALLOC_F_LATE = 2, /* some operation reads it late */
};

/* A move between machine registers, in reads and writes of memory. */
#define ALLOC_MOVE_COST 0.5f

static inline struct alloc_segment *alloc_segment(const struct alloc *a, uint32_t i)
{
    return (struct alloc_segment *)a->segments.at + i;
}

static inline struct alloc_loan *alloc_loan(const struct alloc *a, uint32_t i)
{
    return (struct alloc_loan *)a->loans.at + i;
}

static inline struct alloc_wish *alloc_wish(const struct alloc *a, uint32_t i)
{
    return (struct alloc_wish *)a->wishes.at + i;
}

/* The calls that a segment lives across: how many, and the first as an index into a->calls. */
static inline uint32_t alloc_crossed(const struct alloc *a, uint32_t segment, uint32_t *from)
{
    const struct alloc_segment *s = alloc_segment(a, segment);
    uint32_t first = (s->from + POINTS - 1 - POINT_CLOBBER) / POINTS, last = (s->to + POINTS - POINT_CLOBBER) / POINTS;

    *from = a->calls_before[first];
    return last > first ? a->calls_before[last] - *from : 0;
}

int alloc_grow(struct alloc_list *l, uint32_t n, size_t size);

/** Room for n more elements. @return 0 or -ENOMEM. */
static inline int alloc_room(struct alloc_list *l, uint32_t n, size_t size)
{
    return l->n + n < l->room ? 0 : alloc_grow(l, n, size);
}

/** Numbers the operations and notes what each says: operands, costs, wishes, what is destroyed, what each block reads
 *  before it writes it. @return 0, -ENOMEM, -E2BIG. */
int alloc_read(struct alloc *a);

/** Finds where everything is live. @return 0, -ENOMEM, or -E2BIG: at too many blocks' borders. */
int alloc_live(struct alloc *a);

/** Makes units of what should share a machine register. @return 0 or -ENOMEM. */
int alloc_coalesce(struct alloc *a);
/** The member that stands for the unit of v, whose segments are those of all. */
uint32_t alloc_unit(const struct alloc *a, uint32_t v);
/** Every member stands for itself again, with its own segments. */
void alloc_dissolve(struct alloc *a, uint32_t unit);

/** Gives machine registers. @return 0 or -ENOMEM, -EINVAL: something that must have a register found none. */
int alloc_color(struct alloc *a);

/** Machine registers that are free at all of these points. alloc_color() has run. */
uint32_t alloc_spare(const struct alloc *a, uint32_t from, uint32_t to);

/** Has loops of one block use pieces of what lives in slots, where machine registers are free; what must be done
 * besides (loads before, stores of what they write) is left to alloc_rewrite(). @return 0 or -ENOMEM. */
int alloc_lend(struct alloc *a);

/** Makes every operation legal for what has no register (kind SLOT, CONST or GONE): in the slot itself where the target
 *  allows that, otherwise over new registers. pieces: these may serve several operations. *changed: it did anything.
 *  @return 0 or -ENOMEM. */
int alloc_rewrite(struct alloc *a, bool pieces, bool *changed);
/** Gives slots to what needs one, and writes the saves around calls. @return 0, -ENOMEM, -E2BIG. */
int alloc_slots(struct alloc *a, struct jit_alloc *out);

/** A new virtual register that holds what `origin` does, and whose slot is that of `home` (IR_NONE: its own).
 *  @return IR_NONE: out of memory. */
uint32_t alloc_vreg(struct alloc *a, enum alloc_kind kind, uint32_t origin, uint32_t home);

/** What the target says of an operation; the laws of calls added. */
void alloc_needs(const struct alloc *a, const struct ir_op *op, struct jit_needs *needs);

/** The order in which blocks are laid out (plain: the program's own), and in freq, one a block, how often each runs for
 *  each call of the function, by guess. ir_loops() has run. @return 0 and *order, malloc'd; -ENOMEM. */
int jit_layout(const struct ir_func *f, bool plain, float *freq, uint32_t **order, uint32_t *n);

/** Sorts by the upper 32 bits, rising; stable. tmp: room for n. */
void alloc_sort(uint64_t *v, uint64_t *tmp, size_t n);

/** Does the allocation keep every value? Runs all paths with names instead of values. @return NULL, or what is wrong,
 * in f->ir's arena. */
const char *jit_alloc_check(struct ir_func *f, const struct jit_target *target, const struct jit_alloc *alloc);

#endif
