/*
 * The intermediate form between level-0 code and machine code: a program's functions as basic blocks of operations over
 * any number of virtual registers. It knows no target; passes ask `struct ir_target` what one operation can hold.
 *
 * Invariants, checked by ir_check() after every pass in debug builds and tests:
 * - A virtual register holds 64 bits. It may be written in several places (it stands for a web of the program's
 *   registers or stack slots); every use is reached by writes on all paths. What a program reads before it writes it is
 *   written as 0 in the entry block.
 * - Registers are numbered from 1; IR_NONE (0) is no register. The first ones are the function's parameters.
 * - Block 0 is the entry, has no predecessors, and the parameters are written when it begins. The last operation of a
 *   block, and no other, is an END. Critical edges are allowed.
 * - What leaves (LEAVES, TRAP) goes to the caller with any result; the caller sees env->trap.
 * - Operands are read before the result is written.
 * - An operation's slot is the instruction that traps, calls and lines are told for.
 */
#ifndef VM_IR_IR_H
#define VM_IR_IR_H

#include "base/arena.h"
#include "base/buf.h"
#include "vm/code.h"

enum ir_kind {
#define IR(name, text, family, what) IR_##name,
#include "vm/ir/ir.def"
    IR_KIND_COUNT
};

enum ir_family {
#define IR_FAMILY(name, shape) IR_F_##name,
#include "vm/ir/ir.def"
    IR_FAMILY_COUNT
};

enum ir_what {
    IR_W_PURE = 1,
    IR_W_READ = 2,
    IR_W_WRITE = 4,
    IR_W_CALL = 8,
    IR_W_END = 16,
    IR_W_LEAVES = 32,
    IR_W_COMM = 64,
};

/* Which operands an operation has. */
enum ir_shape {
    IR_S_DST = 1,
    IR_S_DST_OR_NONE = 2,
    IR_S_A = 4,
    IR_S_A_OR_IMM = 8, /* a, unless IR_IMM */
    IR_S_B = 16,       /* B: register, constant or memory */
    IR_S_B_REG = 32,
    IR_S_MEM = 64, /* M */
    IR_S_PICK = 128,
    IR_S_ARGS = 256,
    IR_S_CC = 512,
    IR_S_SIZE = 1024,
    IR_S_TO = 2048, /* yes alone; no is IR_NONE */
};

struct ir_kind_row {
    const char *text;
    uint8_t what;   /* IR_W_* */
    uint8_t family; /* enum ir_family */
    uint16_t shape; /* IR_S_* */
};
extern const struct ir_kind_row ir_kinds[IR_KIND_COUNT];

/* Conditions; a condition and its negation differ in the lowest bit. TZ, TNZ: a & B is, is not zero. */
enum ir_cc { IR_EQ, IR_NE, IR_ULT, IR_UGE, IR_ULE, IR_UGT, IR_SLT, IR_SGE, IR_SLE, IR_SGT, IR_TZ, IR_TNZ };

enum ir_flag {
    IR_IMM = 1,       /* B (or what a store writes) is imm; at width 4 its low half counts, kept sign-extended */
    IR_MEM = 2,       /* B is M */
    IR_SIGNED = 4,    /* LOAD */
    IR_SWAP = 8,      /* LOAD, STORE */
    IR_LIKELY = 16,   /* BR: succ[0] is the usual one */
    IR_UNLIKELY = 32, /* BR: succ[1] is the usual one */
    IR_SECRET = 64,   /* imm comes from the program's author: to be blinded when that is asked for */
};

#define IR_NONE 0u
enum { IR_FIELDS = 4 };

struct ir_op {
    uint8_t kind;   /* enum ir_kind */
    uint8_t width;  /* 4 or 8: of arithmetic and comparison */
    uint8_t size;   /* 1, 2, 4, 8: of memory and extensions */
    uint8_t cc;     /* enum ir_cc */
    uint8_t flags;  /* enum ir_flag */
    uint8_t shift;  /* of the index, 0..3 */
    uint8_t aux;    /* RMW, ATOMIC, FETCH, CARRY: enum ir_kind of the operation */
    uint8_t n_args; /* 0 unless it is a CALL, CALL_LOCAL or TAIL_CALL */
    uint32_t slot;
    uint32_t dst;
    union {
        struct {
            uint32_t a, b;
            union {
                struct {
                    uint32_t base, index; /* of M and LEA; either may be IR_NONE */
                };
                struct {
                    uint32_t yes, no; /* SELECT, CARRY; they have no memory operand */
                };
            };
        };
        uint32_t use[IR_FIELDS]; /* all of these; what a kind does not have is IR_NONE */
    };
    union {
        int32_t disp;
        uint32_t args; /* the first in func->args */
    };
    int64_t imm;
};

struct ir_block {
    struct ir_op *ops; /* in the arena; a pass that needs more room takes a new array */
    uint32_t n, cap;
    uint32_t succ[2]; /* of JMP and BR; IR_NO_BLOCK otherwise. Both may be the same block */
    uint32_t *preds;  /* by ir_preds(); one entry an edge */
    uint32_t n_preds;
    uint32_t depth; /* loops around it, by ir_loops() */
    bool cold;      /* ends in TRAP, or comes only before such */
    bool loop_head; /* by ir_loops() */
    uint8_t turns;  /* of its loop, several of which unrolling put into it; 0: one */
    uint16_t calls; /* instructions of what a turn of its loop calls, which are counted with it */
};
#define IR_NO_BLOCK UINT32_MAX

/* How the parameters are numbered: vreg 1 is the environment, 2 the frame (the address just above the 512 bytes of the
 * program's frame: r10), 3..7 are r1..r5. */
enum { IR_ENV = 1, IR_FP = 2, IR_R1 = 3, IR_PARAMS = 7 };

struct ir_func {
    struct ir *ir;
    uint32_t index; /* in prog->funcs */
    struct ir_block *blocks;
    uint32_t n_blocks, block_cap;
    bool looped;      /* depth, loop_head and cold of its blocks are right: ir_loops() was asked since they changed */
    uint32_t n_vregs; /* one more than the highest number */
    uint32_t *args;
    uint32_t n_args, arg_cap;
    uint32_t frame_clear; /* bytes below fp that have to be zero when it begins (by build: as stores or as this) */
    bool uses_frame;      /* it reads fp, or calls (also deep down) what does: callers must pass it */
    bool calls, calls_local, tail_calls;
    bool leaves;   /* it may come back with a trap noted: callers look */
    uint32_t fuel; /* the register that holds the run's fuel, which loops take from; IR_NONE: nothing is counted */
};

struct ir {
    struct arena arena;
    struct arena scratch; /* of the pass or the round of allocation under way, which nothing outlives */
    const struct code *code;
    struct ir_func *funcs; /* in prog->funcs order */
    uint32_t n_funcs;
};

/* What passes may ask about who runs it. All pointers are set. */
struct ir_target {
    /* May this operation's imm stand in it (IR_IMM)? Asked with the op as it would be. */
    bool (*imm_ok)(const struct ir_op *op);
    /* May M be base + (index << shift) + disp for this LOAD, STORE, RMW, LEA or operation with IR_MEM? */
    bool (*mem_ok)(const struct ir_op *op);
    /* May B of this kind be memory, of this size and width (IR_MEM)? */
    bool (*mem_operand)(enum ir_kind kind, unsigned width, unsigned size);
    bool rmw;      /* RMW */
    bool swap_mem; /* IR_SWAP in loads and stores */
    bool andn;
    bool carry; /* CARRY */
    bool mulhi;
    bool fast_unaligned; /* wide loads at any address */
};

/* Optimisations that switch off one by one; what a pass is for stands at its function. */
enum ir_opt {
    IR_OPT_PROMOTE = 1 << 0,  /* stack slots to registers */
    IR_OPT_WEBS = 1 << 1,     /* a register a web, not one for each of the eleven */
    IR_OPT_SIMPLIFY = 1 << 2, /* copies, constants, extensions, what nobody reads */
    IR_OPT_ROTATE = 1 << 3,
    IR_OPT_ADDRESS = 1 << 4, /* base + index << shift + disp */
    IR_OPT_WIDE = 1 << 5,    /* bytes gathered by shifts to one load */
    IR_OPT_MEMORY = 1 << 6,  /* operands in memory, RMW */
    IR_OPT_SELECT = 1 << 7,  /* branches that pick a value, or ask for a range */
    IR_OPT_DIVIDE = 1 << 8,  /* division by constants, widening multiplication */
    IR_OPT_UNROLL = 1 << 9,  /* several turns of small loops at once */
    IR_OPT_ALL = (1 << 10) - 1,
    /* Not one of them: constants that come from the program's author stay where they can be blinded. */
    IR_KEEP_SECRETS = 1 << 30,
};

/**
 * Builds the form of level-0 code (before fusing), with its facts where there are any.
 * @return 0 and *out (ir_free()); -ENOMEM; -E2BIG.
 */
int ir_build(const struct code *code, const struct facts *facts, uint32_t opts, struct ir **out);
void ir_free(struct ir *ir);

/** Runs the passes of vm/ir/opt*.c over every function, and at last makes every operation one that the target has
 *  (constants that do not fit get a register). @return 0 or -ENOMEM. */
int ir_optimize(struct ir *ir, const struct ir_target *target, uint32_t opts);

/* For passes. */
/** A new virtual register. */
static inline uint32_t ir_vreg(struct ir_func *f)
{
    return f->n_vregs++;
}
enum { IR_MAX_USES = 8 };
/** Fills uses[] (room for IR_MAX_USES) with pointers to the operands that are registers: a, b, base, index (or yes,
 * no), arguments. Passes that only count or rename go over op->use and the arguments instead, with register IR_NONE as
 * one that does not matter: that asks for no decisions. @return how many. */
static inline unsigned ir_uses(struct ir_func *f, struct ir_op *op, uint32_t **uses)
{
    unsigned n = 0;

    for (unsigned i = 0; i < IR_FIELDS; i++) {
        uses[n] = &op->use[i];
        n += op->use[i] != IR_NONE;
    }
    for (unsigned i = 0; i < op->n_args; i++)
        uses[n++] = &f->args[op->args + i];
    return n;
}
/** Fills in preds of all blocks. @return 0 or -ENOMEM. */
int ir_preds(struct ir_func *f);
/** Fills in preds, depth, loop_head and cold (irreducible loops count once), unless they are right (looped). Linear.
 *  @return 0 or -ENOMEM. */
int ir_loops(struct ir_func *f);
/** Blocks in reverse postorder from the entry, unreachable ones left out. @return scratch; NULL: out of memory. */
uint32_t *ir_order(const struct ir_func *f, uint32_t *n);
/** Drops blocks that cannot be reached or only jump, and joins a block with its only successor when that has no other
 *  predecessor. Blocks keep their order; preds are right afterwards. order: NULL, or where ir_order() of what is left
 * goes (all blocks; scratch). @return 0 or -ENOMEM. */
int ir_clean(struct ir_func *f, uint32_t **order);
/** A text for people and tests: one line an operation. */
void ir_print(const struct ir *ir, struct buf *out);
/** One operation, without what it jumps to. */
void ir_print_op(const struct ir_func *f, const struct ir_op *op, struct buf *out);
/** Do the invariants hold? @return NULL, or what is wrong (in the arena). */
const char *ir_check(struct ir *ir);

#endif
