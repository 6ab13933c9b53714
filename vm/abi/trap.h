/*
 * Traps: why a run ended before its exit. A trap is noted once in the environment (the first one stands) and travels up
 * through every frame as the return path; there is no longjmp.
 */
#ifndef VM_ABI_TRAP_H
#define VM_ABI_TRAP_H

#include <stdint.h>

enum trap_kind {
#define TRAP(name, text) TRAP_##name,
#include "vm/abi/traps.def"
    TRAP_KIND_COUNT
};

struct trap {
    enum trap_kind kind; /* TRAP_none while the run is fine */
    uint32_t insn;       /* slot in the program's instructions */
    uint64_t addr;       /* for memory: the address; otherwise 0 */
    uint32_t size;       /* for memory: the bytes wanted */
    char text[232];      /* what was needed and what lies near, "" for nothing more to say */
};

/** "mem_out_of_bounds" and "access outside ..." */
const char *trap_name(enum trap_kind kind);
const char *trap_text(enum trap_kind kind);

#endif
