/* What the loops are made of: the rows' expressions, atomics, plain loads and stores. */
#ifndef VM_INTERP_BODIES_H
#define VM_INTERP_BODIES_H

#include "vm/isa/bodies.h"
#include <string.h>

/* Atomics: *p becomes the row's expression over a (what stood there) and b; the result is what stood there. */
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

#define LOAD(type, p)                                                                                                  \
    ({                                                                                                                 \
        type v_;                                                                                                       \
        memcpy(&v_, (const void *)(p), sizeof(v_));                                                                    \
        (uint64_t) v_;                                                                                                 \
    })
#define STORE(type, p, value)                                                                                          \
    do {                                                                                                               \
        type v_ = (type)(value);                                                                                       \
        memcpy((void *)(p), &v_, sizeof(v_));                                                                          \
    } while (0)

#endif
