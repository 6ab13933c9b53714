/*
 * Facts: what was proved of a program, one record an instruction, immutable. Lowering reads them to leave out what
 * needs no translation or check at run time; without facts (NULL) it assumes nothing. A record is the join over all
 * states in which the instruction is reached; a slot that is never reached has reached == 0.
 */
#ifndef VM_FACTS_H
#define VM_FACTS_H

#include <stdbool.h>
#include <stdint.h>

/* What the address of a memory operation points into, when that is the same on every path. */
enum fact_mem {
    FACT_MEM_ANY,
    FACT_MEM_STACK, /* of whichever frame */
    FACT_MEM_CTX,
    FACT_MEM_PACKET,
    FACT_MEM_MAP_VALUE,
    FACT_MEM_KERNEL,
    FACT_MEM_OTHER
};

struct fact {
    uint8_t reached;
    uint8_t mem;      /* enum fact_mem: for memory operations */
    bool arena;       /* it works on a pointer into the arena: an access on every path, arithmetic on some */
    uint16_t ctx_off; /* FACT_MEM_CTX: the field's offset, constant on every path */
};

struct facts {
    const struct fact *insns; /* one a slot; escaped lies in the same allocation */
    uint32_t n_insns;
    uint32_t ctx_size; /* bytes of the context that the program reads or writes at most */
    /* One a function, in prog->funcs order. Bit i: of the 8 bytes at r10 - 8 * (i + 1) of its frame some may be read or
     * written by anything but a load, store or atomic operation whose base register is the r10 of that very frame:
     * through another register, by a callee, by a helper. What is stored there by such an access and is read by such
     * accesses only may live elsewhere. Addresses that a program makes of numbers do not count. */
    const uint64_t *escaped;
    uint32_t n_funcs;
    /* On some path a byte of stack may be read, by the program or by a helper, that was not written since its frame was
     * entered; otherwise no frame needs to be cleared. */
    bool reads_unwritten_stack;
    /* What was proved leaves open how long some memory is, or where the kernel has it: the program runs checked. */
    bool wants_checks;
};

#endif
