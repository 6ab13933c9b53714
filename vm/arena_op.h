/*
 * Loads, stores and atomic operations on an arena. Lowering makes a record of each, which engines hand to its function
 * with the registers' values: what is not there reads as zero and is not written. Where nothing was proved of the
 * program, an access that may be to the arena looks at the run's other memory first, since only addresses tell.
 */
#ifndef VM_ARENA_OP_H
#define VM_ARENA_OP_H

#include "vm/code.h"

struct arena_op;

/** base: the address register; value: what is stored, or the operand; r0: of a compare and exchange.
 * @return what was loaded, or what stood there before. It may note a trap. */
typedef uint64_t (*arena_fn)(struct skep_env *env, const struct arena_op *op, uint64_t base, uint64_t value,
                             uint64_t r0);

struct arena_op {
    arena_fn fn;
    const struct map_arena *arena;
    uint64_t imm; /* of a store of a constant */
    int32_t off;
    uint8_t size;
    uint8_t access; /* ENV_READ | ENV_WRITE */
    bool anywhere;  /* not known to be the arena's */
};

/** The program's arena, or NULL: it names none. */
struct map *arena_of_code(const struct code *code);

/** Makes the slot's memory operation one on the arena. @return 0, -ENOMEM. */
int arena_lower(struct code *code, struct op *op, const struct insn *insn, bool anywhere);

/** addr_space_cast to the program's own space or to the user's. */
void arena_lower_cast(struct code *code, struct op *op, const struct insn *insn);

#endif
