/* Edit distances of words of 24 letters: dynamic programming with one row on the stack. */
#include "prog.h"

enum { WORD = 24 };

PROG(mem, len)
{
    u32 n = (u32)len / WORD;
    u64 sum = 0;

    for (u32 i = START(1, len); LOOP(i < n); i++) {
        const u8 *a = (const u8 *)mem + (i - 1) * WORD, *b = a + WORD;
        u8 row[WORD + 1];

#pragma clang loop unroll(disable)
        for (u32 k = 0; k <= WORD; k++)
            row[k] = (u8)k;
        for (u32 x = START(0, len); LOOP(x < WORD); x++) {
            u32 diagonal = x, left = x + 1;

            row[0] = (u8)left;
#pragma clang loop unroll(disable)
            for (u32 y = 0; y < WORD; y++) {
                u32 up = row[y + 1], best = diagonal + (a[x] != b[y]);

                if (up + 1 < best)
                    best = up + 1;
                if (left + 1 < best)
                    best = left + 1;
                diagonal = up;
                left = best;
                row[y + 1] = (u8)best;
            }
        }
        sum = sum * 3 + row[WORD];
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = 'a' + mem[i] % 5;
}
#endif
