/* The atomic rows of isa.def as functions: *at becomes the row's expression over a (what stood there) and b; the result
 * is what stood there. */
#ifndef VM_ISA_ATOMICS_H
#define VM_ISA_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

#define BODY(name, bits, expr)                                                                                         \
    static inline __attribute__((always_inline))                                                                       \
    uint64_t body_ATOMIC_##name##bits(void *at, uint64_t vb, uint64_t vr0)                                             \
    {                                                                                                                  \
        typedef uint##bits##_t U;                                                                                      \
        U *p = at, b = (U)vb, r0 = (U)vr0, a = __atomic_load_n(p, __ATOMIC_RELAXED);                                   \
        (void)r0;                                                                                                      \
        while (!__atomic_compare_exchange_n(p, &a, (U)(expr), true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))               \
            ;                                                                                                          \
        return a;                                                                                                      \
    }
#define ISA_ATOMIC(name, imm, text, expr) BODY(name, 64, expr) BODY(name, 32, expr)
#include "vm/isa/isa.def"
#undef BODY

#endif
