/* Product of two 48x48 matrices of 32-bit integers. */
#include "prog.h"

enum { N = 48 };

PROG(mem, len)
{
    const s32 *a = mem, *b = a + N * N;
    s32 *c = (s32 *)mem + 2 * N * N;
    u32 trace = 0;

    if (len < 3 * N * N * sizeof(*a))
        return 0;
    for (u32 i = START(0, len); LOOP(i < N); i++)
        for (u32 j = START(0, len); LOOP(j < N); j++) {
            u32 sum = 0;

#pragma clang loop unroll(disable)
            for (u32 k = 0; k < N; k++)
                sum += (u32)a[i * N + k] * (u32)b[k * N + j];
            c[i * N + j] = (s32)sum;
        }
    for (u32 i = 0; LOOP(i < N); i++)
        trace += (u32)c[i * N + i];
    return trace;
}
