/* Shortest paths between all pairs of a graph. */
#include "prog.h"

enum { N = 64 };

PROG(mem, len)
{
    u32 *d = mem;
    u64 sum = 0;

    (void)len;
    for (u32 i = START(0, len); LOOP(i < N * N); i++)
        d[i] = i % (N + 1) ? d[i] & 0xfffff : 0;
    for (u32 k = START(0, len); LOOP(k < N); k++)
        for (u32 i = 0; LOOP(i < N); i++) {
            u32 through = d[i * N + k];

            for (u32 j = 0; LOOP(j < N); j++) {
                u32 way = through + d[k * N + j];

                if (way < d[i * N + j])
                    d[i * N + j] = way;
            }
        }
    for (u32 i = 0; LOOP(i < N * N); i++)
        sum = sum * 3 + d[i];
    return sum;
}
