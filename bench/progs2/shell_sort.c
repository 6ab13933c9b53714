/* Shell sort of 64-bit numbers with Knuth's gaps. */
#include "prog.h"

PROG(mem, len)
{
    u64 *v = mem, sum = 0;
    u32 n = (u32)len / 8, gap = START(1, len);

    while (LOOP(gap < n / 3))
        gap = gap * 3 + 1;
    for (; LOOP(gap > 0); gap /= 3)
        for (u32 i = gap; LOOP(i < n); i++) {
            u64 x = v[i];
            u32 j = i;

            for (; LOOP(j >= gap && v[j - gap] > x); j -= gap)
                v[j] = v[j - gap];
            v[j] = x;
        }
    for (u32 i = 0; LOOP(i < n); i++)
        sum = sum * 5 + v[i];
    return sum;
}
