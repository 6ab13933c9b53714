/* Insertion sort of runs of 64 numbers. */
#include "prog.h"

enum { RUN = 64 };

PROG(mem, len)
{
    u32 n = (u32)len / 4;
    u64 sum = 0;

    for (u32 start = 0; LOOP(start + RUN <= n); start += RUN) {
        u32 *run = (u32 *)mem + start;

        for (u32 i = 1; LOOP(i < RUN); i++) {
            u32 value = run[i], j = i;

            for (; LOOP(j > 0 && run[j - 1] > value); j--)
                run[j] = run[j - 1];
            run[j] = value;
        }
        sum += run[0] ^ run[RUN / 2];
    }
    return sum;
}
