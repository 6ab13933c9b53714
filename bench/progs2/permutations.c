/* All orders of eight things by Heap's algorithm, each weighed. */
#include "prog.h"

enum { N = 8 };

PROG(mem, len)
{
    u32 *v = mem, *counters = v + N;
    u64 sum = 0;
    u32 i = START(1, len);

    (void)len;
    for (u32 k = START(0, len); LOOP(k < N); k++)
        counters[k] = 0;
    while (LOOP(i < N)) {
        u32 c = counters[i], j = i & 1 ? c : 0, t;

        if (c >= i) {
            counters[i++] = 0;
            continue;
        }
        t = v[j];
        v[j] = v[i];
        v[i] = t;
        sum = sum * 3 + (v[0] ^ v[N - 1]);
        counters[i]++;
        i = 1;
    }
    return sum;
}
