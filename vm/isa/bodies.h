/*
 * The expressions of isa.def as functions over registers, one a row and width: the only place where a row's expression
 * meets its types.
 */
#ifndef VM_ISA_BODIES_H
#define VM_ISA_BODIES_H

#include <stdbool.h>
#include <stdint.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_LE16(a) (uint16_t)(a)
#define HOST_LE32(a) (uint32_t)(a)
#define HOST_LE64(a) (uint64_t)(a)
#define HOST_BE16(a) __builtin_bswap16((uint16_t)(a))
#define HOST_BE32(a) __builtin_bswap32((uint32_t)(a))
#define HOST_BE64(a) __builtin_bswap64((uint64_t)(a))
#else
#define HOST_LE16(a) __builtin_bswap16((uint16_t)(a))
#define HOST_LE32(a) __builtin_bswap32((uint32_t)(a))
#define HOST_LE64(a) __builtin_bswap64((uint64_t)(a))
#define HOST_BE16(a) (uint16_t)(a)
#define HOST_BE32(a) (uint32_t)(a)
#define HOST_BE64(a) (uint64_t)(a)
#endif

#define BODY(name, bits, result, expr)                                                                                 \
    static inline __attribute__((always_inline)) result body_##name##bits(uint64_t va, uint64_t vb)                    \
    {                                                                                                                  \
        typedef uint##bits##_t U;                                                                                      \
        typedef int##bits##_t S;                                                                                       \
        enum { W = bits };                                                                                             \
        U a = (U)va, b = (U)vb;                                                                                        \
        (void)a, (void)b, (void)sizeof(S), (void)W;                                                                    \
        return (result)(expr);                                                                                         \
    }
#define ISA_ALU(name, code, off, text, expr) BODY(name, 64, uint64_t, expr) BODY(name, 32, uint32_t, expr)
#define ISA_JMP(name, code, text, expr)      BODY(name, 64, bool, expr) BODY(name, 32, bool, expr)
#define ISA_END(name, code, bits, text, expr)                                                                          \
    static inline __attribute__((always_inline)) uint64_t body_##name(uint64_t a)                                      \
    {                                                                                                                  \
        return expr;                                                                                                   \
    }
#include "vm/isa/isa.def"
#undef BODY

#endif
