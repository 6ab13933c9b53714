/*
 * What the interpreter's loops run on: an array of cells, one an op, in the order of code->ops, so that a cell's index is
 * its op's. A cell begins with the address of the code that does it; the loop is one label a kind of operation, each
 * ending in a jump through the next cell (direct threading). Immutable once prepared.
 */
#ifndef VM_INTERP_STREAM_H
#define VM_INTERP_STREAM_H

#include "vm/env.h"

struct cell {
    const void *run;
    uint8_t dst, src;
    uint16_t aux;  /* memory: index of its window; jumps: what a taken one costs; helper calls: index of the helper */
    int32_t off;   /* memory: displacement; jumps and local calls: distance in cells */
    uint64_t imm;
};

typedef uint64_t (*loop_fn)(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);

struct stream {
    loop_fn loop;
    struct cell cells[];
};

/* What a local call keeps of its caller. */
struct frame {
    const struct cell *ret;
    const struct code *code;
    uint64_t saved[4]; /* r6 to r9 */
    uint32_t may_goto;
};

enum { MAY_GOTO_MAX = 8 * 1024 * 1024 /* BPF_MAX_LOOPS, for each frame of each program */ };

/* The handlers of a loop by kind of operation: all, and those of memory operations whose address needs no check. */
struct loop_tables {
    const void *const *run, *const *safe;
};

/* Loops give their tables when called without code; see prepare in interp.c. */
uint64_t loop_plain(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);
uint64_t loop_counted(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);
uint64_t loop_checked(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);
uint64_t loop_traced(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);

/* The entry of a tail call, or NULL: the call falls through, as Linux's does for a bad index, an empty entry, and once too
 * many were made. A refusal is a trap. */
const struct code *tail_target(struct skep_env *env, const struct code *from, uint64_t map, uint64_t index);

/* LD_ABS and LD_IND: the value in host order. @return false: out of bounds, the function ends with 0. */
bool load_packet(const struct skep_env *env, int32_t off, unsigned size, uint64_t *value);

#endif
