/*
 * What the files of lowering share. target.c says what operations ask for and goes over the blocks; lower_*.c turn one
 * operation each into instructions; frame.c makes what stands around and behind them.
 *
 * Registers: every one but rsp and r11 may hold a virtual register. r11 belongs to the operation that is being lowered:
 * it never holds anything from one operation to the next (but see x86_hold()). An operation has at most one use for it:
 * an operand that stays in its slot and has to be in a register, a result whose place is a slot, a constant that must
 * not stand in the code; where two of these could meet, needs() forbids one of them.
 *
 * Slot n of a function is the 8 bytes at rsp + 8 n; rsp stands still from the prologue to the epilogue.
 */
#ifndef JIT_X86_64_LOWER_H
#define JIT_X86_64_LOWER_H

#include "jit/target.h"
#include "jit/x86_64/encode.h"

#include <errno.h>

#define X86_SCRATCH X86_R11

/* Where a function of a program finds its parameters. */
#define X86_ENV X86_RDI
#define X86_FP  X86_RAX
extern const uint8_t x86_params[IR_PARAMS];
/* Where a C function finds its arguments. */
enum { X86_C_ARGS = 6 };
extern const uint8_t x86_c_args[X86_C_ARGS];

#define X86_CALLEE_SAVED (1u << X86_RBX | 1u << X86_RBP | 0xf000u)
/* How many tail calls were made, where one enters a program. */
#define X86_TAILS       X86_R9
#define X86_ALLOCATABLE (0xffffu & ~(1u << X86_RSP | 1u << X86_SCRATCH))

enum x86_feature { X86_HAS_BMI1 = 1, X86_HAS_BMI2 = 2, X86_HAS_MOVBE = 4 };
/** What this CPU has. */
uint32_t x86_features(void);

/* What stands behind the blocks of a function, since it seldom runs. */
enum x86_stub_kind {
    X86_STUB_CHECK,    /* a trap was noted: leave */
    X86_STUB_POLL,     /* the fuel is used up */
    X86_STUB_TAIL,     /* a tail call that the fast path does not make */
    X86_STUB_ZERO,     /* division by zero: the result into `reg` is 0 */
    X86_STUB_DIVIDEND, /* modulo zero: the result is what rax holds */
    X86_STUB_NEGATE,   /* division by -1 */
};

struct x86_stub {
    uint8_t kind, width, reg;
    uint32_t label, back;
    const struct ir_op *op;
    const struct jit_save *saves; /* TAIL */
    uint32_t n_saves;
};

/* A call of a C function, which x86_output_write() makes direct when it is near enough. */
struct x86_extern {
    uint32_t label; /* of the instruction */
    uint32_t pool;  /* which address */
};

struct x86_pooled {
    uint64_t address;
    uint32_t label;
};

struct x86_mark {
    uint32_t label, slot;
};

/* What one emit() makes; jit_output.state keeps it until the code is written. */
struct x86_output {
    struct x86_asm a;
    struct x86_extern *externs;
    uint32_t n_externs, extern_cap;
    struct x86_pooled *pool;
    uint32_t n_pool, pool_cap;
    struct x86_mark *marks; /* lines */
    uint32_t n_marks, mark_cap;
};

/* What the flags say as long as nothing was added to the code: an operation of this kind (IR_NOP: another) made dst of
 * the registers a and b in `width` bytes. */
struct x86_flags {
    uint8_t kind, width;
    uint32_t dst, a, b;
    size_t at;
};

struct lower {
    struct x86_asm *a; /* &out->a */
    struct x86_output *out;
    uint32_t features;
    const struct jit_opts *opts;
    uint64_t random;
    struct ir *ir;
    uint32_t func_label;  /* of function 0; the others follow */
    uint32_t tail_label;  /* where tail calls enter function 0 */
    bool entry_is_called; /* function 0 may be called within the program */
    uint32_t refuel_label;
    bool refuels;
    /* Of this function: */
    struct ir_func *f;
    const struct jit_alloc *alloc;
    const struct ir_block *block; /* that the operation stands in */
    uint32_t block_label;         /* of block 0; the others follow */
    uint32_t *laid_out;           /* of each block: its place in alloc->order */
    uint32_t next;                /* the block that is laid out next; IR_NO_BLOCK */
    uint32_t leave;               /* label of the epilogue for those who trap */
    bool leaves;                  /* it is used */
    bool counts_tails;            /* X86_TAILS holds env->tail_calls all the time */
    uint32_t saved;               /* callee-saved registers that are pushed */
    uint32_t frame;               /* bytes below them */
    uint32_t depth;               /* bytes between the return address and rsp */
    uint32_t late;                /* bytes that tail calls push when C has to decide; 0: they are part of the frame */
    uint32_t late_label;
    const struct jit_save *saves;
    uint32_t n_saves; /* of this operation */
    uint32_t held;    /* the slot whose value r11 holds as well; JIT_NO_SLOT: none that may be read there */
    uint32_t holding; /* the same for the next operation */
    struct x86_flags flags;
    struct x86_stub *stubs;
    uint32_t n_stubs, stub_cap;
};

/* ---- lower.c: operands ---- */

static inline enum x86_reg place_reg(const struct lower *l, uint32_t v)
{
    return v && l->alloc->place[v].reg != JIT_NO_REG ? (enum x86_reg)l->alloc->place[v].reg : X86_NONE;
}
static inline bool in_reg(const struct lower *l, uint32_t v)
{
    return place_reg(l, v) != X86_NONE;
}
struct x86_rm x86_slot(const struct lower *l, uint32_t slot);
/** Where v lies. */
struct x86_rm x86_place(const struct lower *l, uint32_t v);
/** v in a register: its own, or `scratch`, loaded. */
enum x86_reg x86_get(struct lower *l, uint32_t v, enum x86_reg scratch);
/** reg = v; width 4: its low half, zero-extended. */
void x86_get_into(struct lower *l, unsigned width, enum x86_reg reg, uint32_t v);
/** The register to make op's result in: its own, or r11 when its place is a slot. */
enum x86_reg x86_dst(const struct lower *l, const struct ir_op *op);
/** The result stands in `reg`: brings it to its place. */
void x86_put(struct lower *l, const struct ir_op *op, enum x86_reg reg);
/** What r11 was stored from into a slot it still holds when the next operation begins: says whether that may read it
 * there instead of waiting for the store. */
void x86_hold(struct lower *l, const struct ir_op *op);
/** reg = reg2, all 64 bits, unless they are the same. */
void x86_move(struct lower *l, enum x86_reg to, enum x86_reg from);
/** M. Takes r11 when base or index is in a slot, or the displacement must not stand in the code. */
struct x86_rm x86_mem(struct lower *l, const struct ir_op *op);
static inline bool x86_reads(struct x86_rm m, enum x86_reg r)
{
    return m.base == r || (m.kind != X86_RM_REG && m.index == r);
}
/** Must op's constant not stand in the code as it is? */
bool x86_is_blind(const struct lower *l, const struct ir_op *op);
/** reg = v; flags are destroyed. */
void x86_const(struct lower *l, enum x86_reg reg, int64_t v);
/** The same without v standing in the code. */
void x86_const_blind(struct lower *l, enum x86_reg reg, int64_t v);
void x86_const_of(struct lower *l, enum x86_reg reg, const struct ir_op *op);
/** A stub to be made. back: a new label that is to be bound where it comes back. @return its label. */
uint32_t x86_stub(struct lower *l, enum x86_stub_kind kind, const struct ir_op *op, enum x86_reg reg, uint32_t *back);

/* ---- lower_alu.c ---- */
void x86_lower_alu(struct lower *l, const struct ir_op *op);
void x86_lower_shift(struct lower *l, const struct ir_op *op);
void x86_lower_divide(struct lower *l, const struct ir_op *op);
void x86_lower_mulhi(struct lower *l, const struct ir_op *op);
void x86_lower_unary(struct lower *l, const struct ir_op *op);
void x86_stub_divide(struct lower *l, const struct x86_stub *stub);

/* ---- lower_mem.c ---- */
void x86_lower_lea(struct lower *l, const struct ir_op *op);
void x86_lower_load(struct lower *l, const struct ir_op *op);
void x86_lower_store(struct lower *l, const struct ir_op *op);
void x86_lower_rmw(struct lower *l, const struct ir_op *op);
void x86_lower_atomic(struct lower *l, const struct ir_op *op);

/* ---- lower_flow.c ---- */
/** Compares as op says. @return the condition that holds when op's does. */
enum x86_cc x86_compare(struct lower *l, const struct ir_op *op);
void x86_lower_set(struct lower *l, const struct ir_op *op);
void x86_lower_select(struct lower *l, const struct ir_op *op);
void x86_lower_carry(struct lower *l, const struct ir_op *op);
void x86_lower_branch(struct lower *l, const struct ir_op *op, const struct ir_block *b);
void x86_lower_jump(struct lower *l, uint32_t to);
void x86_lower_call(struct lower *l, const struct ir_op *op);
void x86_lower_tail_call(struct lower *l, const struct ir_op *op);
/** Does what is kept around this tail call stay where it is as long as C has not to decide? */
bool x86_tail_leaves(const struct lower *l, const struct jit_save *save);
void x86_lower_check(struct lower *l, const struct ir_op *op);
void x86_lower_poll(struct lower *l, const struct ir_op *op);
void x86_lower_trap(struct lower *l, const struct ir_op *op);
void x86_stub_flow(struct lower *l, const struct x86_stub *stub);
/** Calls the C function at `address`. */
void x86_call_c(struct lower *l, uint64_t address);

/* ---- frame.c ---- */
/** Decides on the frame. */
int x86_frame(struct lower *l);
void x86_prologue(struct lower *l);
/** Function 0, with X86_TAILS where it counts tail calls; binds both of its labels. */
void x86_enter_first(struct lower *l);
/** Undoes the frame; what follows returns or jumps. */
void x86_epilogue(struct lower *l);
void x86_lower_exit(struct lower *l, const struct ir_op *op);
/** Everything behind the blocks. */
void x86_stubs(struct lower *l);
/** The routine that all functions' POLLs share: r11 = jit_refuel(what was pushed last, r11); keeps all else. */
void x86_refuel(struct lower *l);
void x86_describe(const struct lower *l, struct jit_frame *frame);
size_t x86_trampoline(void *bytes, size_t room, struct jit_frame *frame);

/* ---- needs.c ---- */
void x86_needs(uint32_t features, const struct ir_op *op, struct jit_needs *needs);
/* As struct ir_target has them. */
bool x86_imm_ok(const struct ir_op *op);
bool x86_mem_ok(const struct ir_op *op);
bool x86_mem_operand(enum ir_kind kind, unsigned width, unsigned size);

/* ---- target.c ---- */
/** One operation of block b. */
void x86_lower_op(struct lower *l, const struct ir_op *op, const struct ir_block *b);
int x86_emit(uint32_t features, struct ir *ir, const struct jit_alloc *alloc, const struct jit_opts *opts,
             struct jit_output *out);
int x86_output_write(struct jit_output *out, void *bytes, uint64_t address);
void x86_output_free(struct jit_output *out);
/** The CPU that this runs on, and one that has nothing but what every x86-64 has. */
extern const struct jit_target x86_target, x86_target_plain;

#endif
