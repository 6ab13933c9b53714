/*
 * What machine code knows beyond its own functions: the C functions that it calls, and where the code of another
 * program begins. All of them are called as C functions on the run's thread; none of them unwinds.
 *
 * target->params are, but for fp, where C functions take their arguments: env, r1 .. r5, as helpers have them; and
 * target->result is where they return. So a tail call can end in a C function as well as in a program.
 */
#ifndef JIT_RUNTIME_H
#define JIT_RUNTIME_H

#include "jit/target.h"
#include "vm/env.h"

/* How a tail call goes on. */
struct jit_tail {
    const void *to; /* NULL: not made (a trap may be noted); else the frame is released and control jumps there ... */
    uint64_t arg;   /* ... with env, fp, and this as r1 */
};

/**
 * A tail call, all of it: the index, the limit of 33, what the program needs of the context, and the engine that runs
 * it. Another engine's program runs to its end in here, and `to` then is a function that returns `arg`.
 *
 * When a call is made env->code, env->tail_calls and env->first_frame (= env->frame) are those of the new program; a
 * fast path in machine code does the same. It is for callers of local functions to put code and first_frame back.
 */
struct jit_tail jit_tail_call(struct skep_env *env, uint64_t ctx, uint64_t map, uint64_t index);
/** The same for an entry that is known: where the array keeps it. */
struct jit_tail jit_tail_call_at(struct skep_env *env, uint64_t ctx, const struct code *const *slot);

/**
 * POLL below zero: takes another part of the budget; notices the stop flag. While a spin lock is held neither ends the
 * run.
 * @param fuel  what is left, below 0.
 * @return the new fuel, at least 0; below 0: a trap is noted, the run leaves.
 */
int64_t jit_refuel(struct skep_env *env, int64_t fuel);

/** TRAP: notes the trap, at this slot. */
void jit_trap(struct skep_env *env, const struct prog_poison *why, uint32_t slot);

/** A trap was noted and this slot is the first to see it: CHECK's way out, where code does not do it by itself. */
void jit_trapped(struct skep_env *env, uint32_t slot);

#endif
