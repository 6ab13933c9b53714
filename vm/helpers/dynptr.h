/*
 * A dynptr as it lies on a program's stack: Linux's struct bpf_dynptr_kern. Only helpers write it; checked execution
 * tests what it says before a helper follows it (dynptr_is_sound).
 */
#ifndef VM_HELPERS_DYNPTR_H
#define VM_HELPERS_DYNPTR_H

#include "vm/env.h"

enum dynptr_type { DYNPTR_NONE, DYNPTR_LOCAL, DYNPTR_RINGBUF, DYNPTR_SKB, DYNPTR_XDP };

enum { DYNPTR_BYTES = 16, DYNPTR_MAX_SIZE = (1 << 24) - 1, DYNPTR_TYPE_SHIFT = 28 };

struct dynptr {
    uint64_t data; /* an address; SKB, XDP: the context's; 0: it points to nothing */
    uint32_t size; /* in the low 24 bits; above them enum dynptr_type, and the highest: read-only */
    uint32_t off;
};

/** Is this an address on the run's stack where a dynptr lies whose memory the run may touch, or one that points to
 * nothing? */
bool dynptr_is_sound(struct skep_env *env, uint64_t addr);

/** Is it a whole packet, or part of one, in whatever state it is when it is looked at? */
static inline bool dynptr_is_packet(unsigned type)
{
    return type == DYNPTR_SKB || type == DYNPTR_XDP;
}

#endif
