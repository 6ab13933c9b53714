/*
 * What the interpreter runs on: an array of cells, one an op, in the order of code->ops, so that a cell's index is its
 * op's. A cell begins with its handler, the function that does it. A handler ends by calling the next cell's handler in
 * tail position (direct threading) or, where the compiler cannot be trusted with that, by returning the next cell to
 * the driver; NULL ends the run. Both ways mix freely. The stream is immutable once prepared.
 */
#ifndef VM_INTERP_STREAM_H
#define VM_INTERP_STREAM_H

#include "vm/env.h"

struct cell;
struct machine;

typedef const struct cell *(*handler_fn)(const struct cell *pc, struct machine *m, struct skep_env *env);

struct cell {
    handler_fn run;
    uint8_t dst, src;
    uint16_t aux; /* memory: index of its window; jumps: what a taken one costs; helper calls: index of the helper */
    int32_t off;  /* memory: displacement; jumps and local calls: distance in bytes */
    uint64_t imm;
};

/* What a local call keeps of its caller. */
struct frame {
    const struct cell *ret;
    uint64_t saved[4]; /* r6 to r9 */
    uint32_t may_goto;
};

/* The state of one entry into the interpreter; callbacks have their own. code and env->code are the same at every
 * moment that others may look, and so are low and env->frame. */
struct machine {
    uint64_t r[11];
    uint64_t low, span; /* the frames in use: [low, low + span) */
    const struct code *code;
    uint32_t may_goto, depth;
    const struct loop *loop;
    struct frame frames[PROG_MAX_FRAMES];
};

/* Handlers made for one way of running. */
struct loop {
    const handler_fn *run;             /* by kind of operation */
    const handler_fn *safe;            /* memory operations whose address needs no check */
    const handler_fn (*pairs)[11][11]; /* by enum special_pair, dst, src; NULL: none */
    const handler_fn (*singles)[11];   /* by enum special_single, dst */
    bool traced;
};

extern const struct loop loop_plain, loop_checked, loop_traced;

struct stream {
    const struct loop *loop;
    struct cell cells[];
};

static inline const struct cell *stream_of(const struct code *code)
{
    return ((const struct stream *)code->engine_data)->cells;
}

/* What handlers share, out of their way. Those that return a cell return NULL after a trap. */
const struct cell *interp_trapped(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_refuel(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_call(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_exit(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_call_checked(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_tail_call(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_trap(const struct cell *pc, struct machine *m, struct skep_env *env);
const struct cell *interp_invalid(const struct cell *pc, struct machine *m, struct skep_env *env);
/* Finds memory the slow way, and notes the trap when the program may not touch it. */
void *interp_find(const struct cell *pc, struct skep_env *env, uint64_t addr, uint32_t size, unsigned access);

/* LD_ABS and LD_IND. Out of bounds ends the function with 0, as Linux's expansion of them does. */
const struct cell *interp_load_packet(const struct cell *pc, struct machine *m, struct skep_env *env, int32_t off,
                                      unsigned size, bool checked);
/* OP_LDX_W_CTX when the address lies in the context. */
const struct cell *interp_load_ctx(const struct cell *pc, struct machine *m, struct skep_env *env, bool checked);

#endif
