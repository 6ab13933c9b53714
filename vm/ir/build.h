/*
 * Building, as its files share it. A function is first built with one virtual register for each of r0 to r9 (r10 is the
 * parameter IR_FP, which nothing writes), so that an operation is translated without looking at its neighbours; what
 * makes of them one register a web, and of stack slots registers, are passes over the form (webs.c, promote.c).
 */
#ifndef VM_IR_BUILD_H
#define VM_IR_BUILD_H

#include "vm/env.h"
#include "vm/ir/shape.h"
#include "vm/maps/map.h"
#include <stddef.h>

/* r1 to r5 are parameters. The others follow, so that all ten lie side by side. */
enum { IR_R0 = IR_PARAMS + 1, IR_R6 = IR_R0 + 1, IR_R9 = IR_R6 + 3, IR_FUEL, IR_MAY_GOTO, IR_FIRST_FREE };

/* What is known of a function before any is built. */
struct func_info {
    uint32_t begin, end;  /* its ops; past its own when it may run on into the next one */
    bool calls_out;       /* it or what it calls calls helpers that may look at env->frame, or tail calls */
    bool tail_calls;      /* it or what it calls may end in another program */
    bool may_go_too_deep; /* its local calls have to ask for their frames */
};

struct builder {
    struct ir *ir;
    const struct code *code;
    const struct facts *facts; /* NULL: none */
    uint32_t opts;
    struct func_info *info;
    bool failed; /* out of memory: what is emitted goes to scrap */
    struct ir_op scrap;
    /* The function under way. */
    struct ir_func *f;
    uint32_t index;
    uint32_t *block_at; /* for each op of the program: the block that it begins, or IR_NO_BLOCK */
    uint32_t cur;       /* the block that operations go to */
    uint32_t slot;
    bool fuel;     /* it has loops, which are counted, and keeps its fuel in IR_FUEL */
    bool may_goto; /* it counts in IR_MAY_GOTO */
};

/** An operation of this kind at the end of the block, empty but for its slot. Never NULL. */
struct ir_op *build_op(struct builder *b, enum ir_kind kind);
/** A new block, in which nothing goes on yet. */
uint32_t build_block(struct builder *b, uint32_t room);
/** Ends the block: jumps to another. */
void build_jump(struct builder *b, uint32_t to);
/** Ends the block: two ways. */
struct ir_op *build_branch(struct builder *b, enum ir_cc cc, uint32_t yes, uint32_t no);

/* Single operations. */
void build_const(struct builder *b, uint32_t dst, uint64_t value);
void build_copy(struct builder *b, uint32_t dst, uint32_t src);
void build_imm(struct builder *b, enum ir_kind kind, unsigned width, uint32_t dst, uint32_t a, int64_t imm);
void build_reg(struct builder *b, enum ir_kind kind, unsigned width, uint32_t dst, uint32_t a, uint32_t other);
void build_load(struct builder *b, unsigned size, uint32_t dst, uint32_t base, int32_t disp);
void build_store(struct builder *b, unsigned size, uint32_t base, int32_t disp, uint32_t src);
/** A call of a C function with n arguments. */
struct ir_op *build_call(struct builder *b, enum ir_kind kind, uint32_t dst, uint64_t imm, const uint32_t *args,
                         unsigned n);
/** Leaves when a trap is noted. */
void build_check(struct builder *b);

/* A field of the environment. */
#define ENV_AT(field) ((int32_t)offsetof(struct skep_env, field))

/** Which register stands for this one of the program's. */
static inline uint32_t build_loc(unsigned reg)
{
    return reg == 0 ? IR_R0 : reg <= 5 ? IR_R1 + reg - 1 : reg == 10 ? IR_FP : IR_R6 + reg - 6;
}

/** Where control goes after op i: the block that it begins, or none when it belongs to the same one. */
static inline uint32_t build_target(const struct builder *b, uint32_t i)
{
    return b->block_at[i];
}

/** Does this op jump to op->target? */
bool build_jumps(const struct op *op);
/** Does control never come to what stands after this op? */
bool build_ends(const struct op *op);
/** Is it surely never reached? */
static inline bool build_dead(const struct builder *b, uint32_t i)
{
    return b->facts && i < b->facts->n_insns && !b->facts->insns[i].reached;
}

/** Translates op i, whatever it is. The block is ended when the op ends one. */
void build_one(struct builder *b, uint32_t i);
/* Those that are more than a few operations. */
void build_helper(struct builder *b, const struct op *op);
void build_local(struct builder *b, const struct op *op);
/** A local call of this function, r1 to r5 being these registers, and all that goes around it. */
void build_call_func(struct builder *b, uint32_t dst, uint32_t func, const uint32_t args[5]);
void build_tail(struct builder *b, const struct op *op);
void build_packet(struct builder *b, const struct op *op, uint32_t next);
void build_lookup(struct builder *b, uint32_t i);
void build_exit(struct builder *b);

/** Fills in b->info. */
int build_info(struct builder *b);

/** Liveness of 64 things: in[] holds what each block reads before it writes it, and becomes what is live where it
 *  begins. preds must be right. @return 0 or -ENOMEM. */
int build_live(const struct ir_func *f, uint64_t *in, const uint64_t *writes);
uint64_t build_live_out(const struct ir_func *f, const uint64_t *in, uint32_t block);
/** A register for each web of n <= 64 registers from `first` on. Linear. @return 0 or -ENOMEM. */
int build_webs(struct ir_func *f, uint32_t first, unsigned n);
/** Arguments that a local function does not read are not passed. @return 0 or -ENOMEM. */
int build_trim_args(struct ir *ir);
/** Leaves out what local calls need not do: frames that nobody uses, looking for traps that cannot be. */
void build_settle_calls(struct ir *ir);
/* Which operation. */
struct place {
    uint32_t block, op;
};

/* A register, as far as addresses and constants in it are known. */
enum { KNOWN_NOWHERE = INT32_MIN };
struct known {
    uint32_t writes;       /* a parameter's count one more */
    struct place write[2]; /* the first two; of a counter: where it begins, where it is stepped */
    int32_t at;            /* KNOWN_NOWHERE, or: it is the frame's address plus at least this ... */
    uint32_t span;         /* ... and at most as much more */
    bool is_const, narrow; /* narrow: its upper half is zero */
    bool counter;          /* most, most_before and rounds are known */
    int64_t value;         /* when is_const */
    uint64_t most, most_before, rounds;
};
struct knowledge {
    struct ir_func *f;
    struct known *of; /* one a register */
    uint64_t budget;  /* what may be looked at yet */
    bool again;       /* something was asked for before it was known */
};
/** Finds out what there is to know of a function, whose preds are right; k->of is scratch. @return false: out of
 * memory.
 */
bool build_known(struct knowledge *k, struct ir_func *f);
/** The program's map that this is, or NULL. */
const struct map *build_map_of(const struct builder *b, const struct known *k);

/* In op->aux of a CALL: it calls a map's own function, with the helper's arguments and then the CPU. */
enum { BUILD_MAP_CALL = 1 };
/** Is it one of Linux's helpers that build_special() knows? */
bool build_may_be_special(const struct helper *helper, const struct op *op);
/** Calls of helpers whose arguments are known become what the helpers would do. preds must be right, and are so
 *  afterwards. @return 0 or -ENOMEM. */
int build_special(struct builder *b, struct ir_func *f);

/* A helper's call that gives way to several blocks: what is built goes on in `cur`, and in the end jumps to `rest`, in
 * which stands all that came behind it. */
struct opened {
    uint32_t dst;     /* what the call writes */
    uint32_t args[5]; /* the helper's */
    uint32_t rest;
};
/** A lookup in a map whose elements are known to stand so. */
void build_hash_lookup(struct builder *b, const struct map *map, const struct map_hash_layout *layout,
                       const struct opened *call);
/** Does bpf_loop() with these arguments become a loop? *func: the callback's number. */
bool build_is_loop(const struct builder *b, const struct known *from, const uint32_t *args, uint32_t *func);
void build_loop(struct builder *b, const struct known *from, const struct opened *call, uint32_t func);
/** Stack slots to registers. @return 0 or -ENOMEM. */
int build_promote(struct builder *b, struct ir_func *f);

#endif
