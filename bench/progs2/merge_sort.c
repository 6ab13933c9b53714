/* Merge sort from the bottom up: signed 32-bit numbers in the memory's first half, the second half is room. */
#include "prog.h"

PROG(mem, len)
{
    u32 n = (u32)len / 8, sum = 0;
    s32 *from = mem, *to = from + n;

    for (u32 width = START(1, len); LOOP(width < n); width *= 2) {
        s32 *t = from;

        for (u32 at = 0; LOOP(at < n); at += 2 * width) {
            u32 i = at, middle = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
            u32 j = middle;

            for (u32 k = at; LOOP(k < end); k++)
                to[k] = i < middle && (j >= end || from[i] <= from[j]) ? from[i++] : from[j++];
        }
        from = to;
        to = t;
    }
    for (u32 i = 1; LOOP(i < n); i++)
        sum += (u32)from[i] * i + (from[i - 1] <= from[i]);
    return sum;
}
