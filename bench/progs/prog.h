/*
 * What every program of the benchmark includes. A program is one source, compiled to native code, to BPF, and to BPF
 * for the kernel (BENCH_KERNEL); PROG() comes first in its file, so that it is the first thing in .text, and sees
 * nothing but its memory: no tables in .rodata, no globals, no calls to anything outside. Native code also holds
 * fill(), which makes the memory from random bytes. What a program returns, and what it leaves in memory, must be the
 * same everywhere.
 */
#ifndef BENCH_PROG_H
#define BENCH_PROG_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define INLINE   static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

#define BENCH_JOIN2(a, b) a##b
#define BENCH_JOIN(a, b)  BENCH_JOIN2(a, b)

/* The entry. BENCH_NAME comes from the compiler's command line. */
#define PROG(mem, len)                                                                                                 \
    u64 BENCH_JOIN(bench_, BENCH_NAME)(void *mem, u64 len);                                                            \
    u64 BENCH_JOIN(bench_, BENCH_NAME)(void *mem, u64 len)

/* Turns len random bytes into the program's input. */
#define FILL(mem, len)                                                                                                 \
    void BENCH_JOIN(fill_, BENCH_NAME)(u8 * mem, u64 len);                                                             \
    void BENCH_JOIN(fill_, BENCH_NAME)(u8 * mem, u64 len)

/* The condition of a loop whose end Linux's verifier cannot see: there a may_goto stands in each. */
#ifdef BENCH_KERNEL
INLINE int may_loop(void)
{
    asm goto("may_goto %l[out]" : : : : out);
    return 1;
out:
    return 0;
}
#define LOOP(condition) ((condition) && may_loop())
/* A constant that the verifier does not know, or it would follow a loop that starts there turn by turn. */
#define START(k, len) ((u32)(k) + (u32)((len) >> 32))
#else
#define START(k, len)   ((u32)(k))
#define LOOP(condition) (condition)
#endif

INLINE u32 rotl32(u32 x, unsigned n)
{
    return x << n | x >> (32 - n);
}

INLINE u64 rotl64(u64 x, unsigned n)
{
    return x << n | x >> (64 - n);
}

INLINE u32 load_be32(const u8 *p)
{
    return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

INLINE u32 load_be16(const u8 *p)
{
    return (u32)p[0] << 8 | p[1];
}

#endif
