/*
 * A model says of each register and 8-byte stack slot what kind of thing it holds, and of pointers which offsets may be
 * accessed: [lo, hi) from where they point. It is the generator's opinion, not the verifier's; where the two differ,
 * the program is near the border. All that is made at random is drawn from one state, in one order: whoever draws once
 * more changes every program.
 */
#ifndef FUZZ_GEN_INTERNAL_H
#define FUZZ_GEN_INTERNAL_H

#include "fuzz/gen.h"
#include "vm/isa/isa.h"

enum kind { NONE, NUM, CTX, STACK, VALUE, VALUE_OR_NULL, PACKET, PACKET_END, RECORD, RECORD_OR_NULL };

enum { MEMORY = 1 << STACK | 1 << VALUE | 1 << PACKET | 1 << RECORD };

enum { USED_STACK = 96, SLOTS = USED_STACK / 8, MAX_FUNCS = 3, MAX_OUTS = 64, MAX_DEPTH = 3, RECORD_SIZE = 24 };

struct thing {
    uint8_t kind, map;
    bool var;     /* pointer: a number was added */
    bool foreign; /* stack pointer: of a caller */
    int32_t lo, hi;
    int32_t off;  /* stack pointer: from r10 */
    uint64_t max; /* number: no more than this, unsigned */
};

struct model {
    struct thing r[11], slot[SLOTS];
    bool held; /* a record */
};

struct func {
    struct thing args[6];
    bool small;                 /* returns a number of 0 to 15 */
    bool callback;              /* bpf_loop() calls it: returns 0 or 1 */
    uint32_t calls[8], n_calls; /* slots of the calls, or of loads of its address, to be settled */
};

struct maker {
    struct gen_prog *out;
    uint64_t state;
    struct model m;
    uint32_t outs[MAX_OUTS], n_outs; /* jumps to the end of this function */
    struct func funcs[MAX_FUNCS];
    unsigned n_funcs, func; /* func: 0 the entry, else 1 + index */
    unsigned locked;        /* registers that a loop needs */
    unsigned careless;      /* of 1000 */
    unsigned loops;
    bool clears; /* functions begin by filling their stack */
    bool skb;
    bool more; /* gen_more.c */
};

static inline uint32_t below(struct maker *g, uint32_t n)
{
    return (uint32_t)(gen_draw(&g->state) >> 33) % n;
}

static inline bool careless(struct maker *g)
{
    return below(g, 1000) < g->careless;
}

static inline void put(struct maker *g, enum isa_op op, unsigned dst, unsigned src, int off, int64_t imm)
{
    if (g->out->n < GEN_MAX_INSNS - 64)
        g->out->insns[g->out->n++] = isa_encode(op, (uint8_t)dst, (uint8_t)src, (int16_t)off, (int32_t)imm);
}

static inline void put_wide(struct maker *g, enum isa_op op, unsigned dst, uint32_t lo, uint32_t hi)
{
    put(g, op, dst, 0, 0, (int32_t)lo);
    if (g->out->n < GEN_MAX_INSNS - 64)
        g->out->insns[g->out->n++] = (struct skep_insn){.imm = (int32_t)hi};
}

static inline struct thing number(uint64_t max)
{
    return (struct thing){.kind = NUM, .max = max};
}

static inline bool may_call(const struct maker *g)
{
    return !(g->locked & 0x3f);
}

static inline enum isa_op with_size(enum isa_op word, unsigned log)
{
    static const uint8_t order[] = {2, 1, 0, 3}; /* B H W DW in the order W H B DW */

    return (enum isa_op)(word + order[log]);
}

/* Registers (gen_data.c). */

/* One that may be overwritten. */
unsigned gen_free_reg(struct maker *g);
/* One of these kinds (a set of 1 << kind); -1: none. */
int gen_find(struct maker *g, unsigned kinds);
unsigned gen_a_number(struct maker *g);
/* Those that a call overwrites. */
void gen_clobber(struct maker *g);
void gen_forget_packet(struct maker *g);
/* A jump to the function's end, taken when the condition holds. */
void gen_jump_out(struct maker *g, enum isa_op op, unsigned dst, unsigned src, int64_t imm);

/* Numbers, memory, pointers (gen_data.c). */

int32_t gen_immediate(struct maker *g, enum isa_op op);
void gen_arithmetic(struct maker *g);
void gen_copy_number(struct maker *g);
void gen_bound(struct maker *g, unsigned r, uint32_t max);
void gen_forget_slots(struct maker *g, const struct thing *t, int off, int size);
void gen_load(struct maker *g);
void gen_ordered(struct maker *g);
void gen_store(struct maker *g);
void gen_spill(struct maker *g);
void gen_fill(struct maker *g);
void gen_atomic(struct maker *g);
void gen_new_stack_pointer(struct maker *g);
void gen_value_address(struct maker *g);
void gen_move_pointer(struct maker *g);
void gen_load_packet_pointers(struct maker *g);
void gen_check_packet(struct maker *g);
void gen_ctx_field(struct maker *g);

/* Calls (gen_calls.c). */

void gen_lookup(struct maker *g);
void gen_null_check(struct maker *g);
void gen_call_helper(struct maker *g);
void gen_reserve(struct maker *g);
void gen_call_local(struct maker *g);
void gen_call_back(struct maker *g);
void gen_load_absolute(struct maker *g);

/* One of what only some programs do (gen_more.c). */
void gen_more(struct maker *g);

#endif
