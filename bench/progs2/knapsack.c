/* The knapsack's table, one row, and the bit set of all sums that can be reached. */
#include "prog.h"

enum { ROOM = 1024, THINGS = 240, WORDS = ROOM / 64 };

PROG(mem, len)
{
    u32 *best = mem, *things = best + ROOM + 2;
    u64 *bits = (u64 *)(things + THINGS + 2), sum = 0;

    (void)len;
    for (u32 i = START(0, len); LOOP(i <= ROOM); i++)
        best[i] = 0;
    for (u32 i = START(0, len); LOOP(i < WORDS); i++)
        bits[i] = !i;
    for (u32 t = START(0, len); LOOP(t < THINGS); t++) {
        u32 weight = things[t] % 61 + 3, value = things[t] >> 20;

        for (u32 w = ROOM; LOOP(w >= weight); w--) {
            u32 with = best[w - weight] + value;

            best[w] = with > best[w] ? with : best[w];
        }
        for (u32 i = WORDS - 1; LOOP(i > 0); i--)
            bits[i] |= bits[i] << (weight & 63) | (weight & 63 ? bits[i - 1] >> (64 - (weight & 63)) : 0);
        bits[0] |= bits[0] << (weight & 63);
        sum += best[ROOM];
    }
    for (u32 i = 0; LOOP(i < WORDS); i++)
        sum = sum * 3 + bits[i];
    return sum;
}
