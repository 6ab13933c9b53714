/* Binary search for keys that a generator makes, in a sorted table. */
#include "prog.h"

enum { LOOKUPS = 4096 };

PROG(mem, len)
{
    const u32 *table = mem;
    u32 n = (u32)len / 4, x = 12345;
    u64 sum = 0;

    for (u32 i = START(0, len); LOOP(i < LOOKUPS); i++) {
        u32 low = 0, high = n;

        x = x * 1664525 + 1013904223;
        while (LOOP(low < high)) {
            u32 middle = (low + high) / 2;

            if (table[middle] < x)
                low = middle + 1;
            else
                high = middle;
        }
        sum += low;
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    u32 *table = (u32 *)mem, n = (u32)len / 4, step = UINT32_MAX / n, at = 0;

    for (u32 i = START(0, len); i < n; i++) {
        table[i] = at + table[i] % step;
        at += step;
    }
}
#endif
