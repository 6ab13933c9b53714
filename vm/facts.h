/*
 * Facts: what was proved of a program, one record an instruction, immutable. Lowering reads them to leave out what
 * needs no translation or check at run time; without facts (NULL) it assumes nothing. A record is the join over all
 * states in which the instruction is reached; a slot that is never reached has reached == 0.
 */
#ifndef VM_FACTS_H
#define VM_FACTS_H

#include <stdint.h>

/* What the address of a memory operation points into, when that is the same on every path. */
enum fact_mem {
    FACT_MEM_ANY,
    FACT_MEM_STACK,
    FACT_MEM_CTX,
    FACT_MEM_PACKET,
    FACT_MEM_MAP_VALUE,
    FACT_MEM_KERNEL,
    FACT_MEM_OTHER
};

struct fact {
    uint8_t reached;
    uint8_t mem;      /* enum fact_mem: for memory operations */
    uint16_t ctx_off; /* FACT_MEM_CTX: the field's offset, constant on every path */
};

struct facts {
    const struct fact *insns; /* one a slot */
    uint32_t n_insns;
    uint32_t ctx_size; /* bytes of the context that the program reads or writes at most */
};

#endif
