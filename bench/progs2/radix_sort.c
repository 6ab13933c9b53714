/* Radix sort by bytes: 32-bit keys with 32-bit values, counts at the beginning of the memory, room behind the pairs. */
#include "prog.h"

enum { RADIX = 256, ROUNDS = 3 };

struct pair {
    u32 key, value;
};

PROG(mem, len)
{
    u32 *counts = mem, n = ((u32)len - RADIX * 4) / (2 * sizeof(struct pair));
    struct pair *from = (struct pair *)(counts + RADIX), *to = from + n;
    u64 sum = 0;

    for (u32 round = START(0, len); LOOP(round < ROUNDS); round++) {
        for (u32 i = 0; LOOP(i < n); i++)
            from[i].key = (from[i].key + round) * 0x9e3779b1;
        for (u32 shift = START(0, len); LOOP(shift < 32); shift += 8) {
            struct pair *t = from;
            u32 at = 0;

            for (u32 i = 0; LOOP(i < RADIX); i++)
                counts[i] = 0;
            for (u32 i = 0; LOOP(i < n); i++)
                counts[from[i].key >> shift & (RADIX - 1)]++;
            for (u32 i = 0; LOOP(i < RADIX); i++) {
                u32 count = counts[i];

                counts[i] = at;
                at += count;
            }
            for (u32 i = 0; LOOP(i < n); i++) {
                struct pair p = from[i];

                to[counts[p.key >> shift & (RADIX - 1)]++] = p;
            }
            from = to;
            to = t;
        }
    }
    for (u32 i = 0; LOOP(i < n); i++)
        sum = sum * 3 + ((u64)from[i].key << 32 | from[i].value);
    return sum;
}
