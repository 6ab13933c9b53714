/*
 * What the driver asks of a target, and what it hands to it. A target is one folder under jit/ (encode: bytes; lower:
 * an operation to encode calls; frame: entry, exit, stubs) that exports one `struct jit_target`; nothing in the driver
 * knows more of it. Registers are numbers below 32 as the target has them; a set of them is a mask.
 *
 * How functions call one another. Each function of a program, the entry included, takes (env, fp, r1 .. r5) in
 * target->params, returns r0 in target->result, and preserves target->callee_saved; C code enters through a trampoline
 * that the target makes. So a tail call releases its frame and jumps, and a callback enters any function. The C
 * functions that code calls besides helpers stand in jit/runtime.h.
 */
#ifndef JIT_TARGET_H
#define JIT_TARGET_H

#include "vm/ir/ir.h"

enum { JIT_MAX_REGS = 32, JIT_NO_REG = 0xff };
#define JIT_NO_SLOT UINT32_MAX

/* What one operation asks of allocation. Registers that it names are wishes, not laws: lowering moves what lies
 * elsewhere. Clobbers and late operands are laws. */
struct jit_needs {
    uint32_t clobbers;        /* destroyed after the early operands were read and before dst is written */
    uint8_t dst;              /* where dst would be best; JIT_NO_REG: anywhere */
    uint8_t use[IR_MAX_USES]; /* the same for each operand, in the order of ir_uses() */
    uint8_t late;             /* operands (bits in that order) that are read after something was written: they share no
                                 register with dst or the clobbers */
    uint8_t in_slot;          /* operands (bits in that order) any ONE of which may stay in its spill slot */
    uint8_t any_slot;         /* operands that may stay in their slots whatever the others do: arguments of calls */
    bool dst_in_slot;         /* dst may be a spill slot, when no operand is one by in_slot */
    bool dst_is_a;            /* cheaper when dst lies where a does */
};

/* Where each register of a function lies, for all its life. */
struct jit_place {
    uint8_t reg;   /* JIT_NO_REG: in its slot */
    uint32_t slot; /* of 8 bytes; JIT_NO_SLOT besides JIT_NO_REG: it is never read or written (a parameter unused) */
};

/* Around this call these registers are kept in these slots by the caller. Sorted by block and op. */
struct jit_save {
    uint32_t block, op;
    uint8_t reg;
    uint32_t slot;
};

struct jit_alloc {
    struct jit_place *place; /* one a virtual register */
    uint32_t *origin;        /* the virtual register that allocation made each one from; others stand for themselves */
    uint32_t n_vregs;
    uint32_t n_slots;
    uint32_t used;   /* registers that are written */
    uint32_t params; /* parameters (bits by number) whose values are read: only these have their places at entry */
    const struct jit_save *saves;
    uint32_t n_saves;
    uint32_t *order; /* blocks as they are to be laid out, all that can be reached */
    uint32_t n_order;
};

/* What is being made of a whole program. */
struct jit_opts {
    uint32_t opts;     /* IR_OPT_* */
    bool no_alloc_opt; /* registers a block at a time: for the table of what each optimisation gains */
    bool no_layout;    /* blocks in the program's order */
    bool harden;       /* IR_SECRET constants blinded */
    bool poll;         /* back edges count against the budget */
    uint64_t random;   /* for blinding; anew for each program */
};

/* A place in machine code where the instruction (slot) changes; sorted by offset. */
struct jit_line {
    uint32_t offset, slot;
};

/* A function's frame, for unwinding: what a debugger must know between prologue and epilogue. Offsets in bytes. */
struct jit_frame {
    uint32_t begin, body, end; /* of the function in the code; body: first byte after the prologue */
    uint32_t size;             /* from the return address down to the stack pointer in the body */
    uint32_t late, late_size;  /* the same from here on to the end, where it is another; late == end: nowhere */
    struct {
        uint8_t reg;
        int32_t at; /* from the address above the return address */
    } saved[16];
    uint32_t n_saved;
};

struct jit_output {
    uint8_t
        *code; /* malloc'd by emit, freed by jit_output_free(); position-independent or made for `address` by finish */
    size_t size;
    uint32_t *entry;     /* offset of each function, in prog->funcs order */
    uint32_t tail_entry; /* where tail calls enter function 0, with r2 to r5 whatever they are */
    struct jit_line *lines;
    uint32_t n_lines;
    struct jit_frame *frames; /* one a function */
    void *state;              /* the target's, between emit and write */
};

struct jit_target {
    const char *name;
    struct ir_target ir;
    uint32_t allocatable; /* all others are the target's own */
    uint32_t callee_saved;
    uint8_t params[IR_PARAMS];   /* where a function finds env, fp, r1 .. r5; all but fp as in C functions */
    uint8_t result;              /* as in C functions */
    uint8_t dwarf[JIT_MAX_REGS]; /* numbers of registers in DWARF */
    uint8_t dwarf_sp, dwarf_ra;  /* of the stack pointer, and of the return address */
    uint16_t elf_machine;        /* EM_* */
    uint8_t trap[4];             /* jitmem_opts */
    /** Is this CPU one that the target can serve? Looks at its features once. NULL, or what it lacks. */
    const char *(*usable)(void);
    /** Fills in *needs, which holds no wish and no law when it is called. */
    void (*needs)(const struct ir_func *f, const struct ir_op *op, struct jit_needs *needs);
    /** Lowers the whole program to code of a known size. @return 0 with out filled in but for code's bytes; -ENOMEM,
     *  -E2BIG, -EINVAL (an operation that it does not have: a defect). */
    int (*emit)(struct ir *ir, const struct jit_alloc *alloc, const struct jit_opts *opts, struct jit_output *out);
    /** Writes out->size bytes as they must be to run at `address`. */
    int (*write)(struct jit_output *out, void *bytes, uint64_t address);
    void (*output_free)(struct jit_output *out);
    /** Makes the trampoline, position-independent: uint64_t enter(env, fp, const uint64_t args[5], const void
     * *function).
     *  @return its size, at most `room`; `frame` describes it. */
    size_t (*trampoline)(void *bytes, size_t room, struct jit_frame *frame);
};

/** The target of the machine that this was compiled for; NULL: there is none. Defined by the target's folder, or by
 *  jit/none.c. */
extern const struct jit_target *const jit_host_target;
/** The same without the instructions that some CPUs of this kind lack. */
extern const struct jit_target *const jit_host_plain_target;

/** Chooses a place for every register of a function, writing RELOAD and SPILL into it where operands must not stay in
 *  slots, and the order of blocks. Linear in the operations. What a CALL kind of operation destroys (all that is not
 *  callee_saved) need not be among its clobbers. @return 0 (jit_alloc_free()); -ENOMEM; -E2BIG: a frame would be too
 *  large; -EINVAL: an operation asks for more registers than there are. */
int jit_allocate(struct ir_func *f, const struct jit_target *target, const struct jit_opts *opts,
                 struct jit_alloc *out);
void jit_alloc_free(struct jit_alloc *alloc);

/* Moves that happen at once, made into a sequence. */
struct jit_move {
    uint8_t dst;  /* a register */
    uint8_t src;  /* a register; JIT_NO_REG: it comes from elsewhere (slot, constant), as `tag` says */
    uint32_t tag; /* the caller's */
};
/** Puts n <= 16 moves into an order in which each can be done alone; cycles are broken over `scratch` (a register that
 *  no move names), moves of a register to itself left out. out has room for 2 n. @return how many. */
unsigned jit_moves(const struct jit_move *moves, unsigned n, uint8_t scratch, struct jit_move *out);

#endif
