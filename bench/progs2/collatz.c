/* The longest walk of 3n + 1 among the memory's numbers, and how high they go. */
#include "prog.h"

PROG(mem, len)
{
    const u16 *v = mem;
    u32 n = (u32)len / 2, longest = START(0, len), which = START(0, len);
    u64 highest = 0, total = 0;

    for (u32 i = 0; LOOP(i < n); i++) {
        u64 x = v[i] | 1u, top = x;
        u32 steps = 0;

        while (LOOP(x != 1)) {
            x = x & 1 ? x + (x >> 1) + 1 : x >> 1;
            if (x > top)
                top = x;
            steps++;
        }
        if (steps > longest) {
            longest = steps;
            which = i;
        }
        highest = top > highest ? top : highest;
        total += steps;
    }
    return (highest << 20 ^ total) * 31 + which;
}
