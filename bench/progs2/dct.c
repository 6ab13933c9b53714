/* The integer transform of blocks of 8 by 8 as image codecs do it: butterflies along rows, then columns, in place. */
#include "prog.h"

INLINE void transform(s32 *p, u32 step)
{
    s32 a0 = p[0] + p[7 * step], a7 = p[0] - p[7 * step], a1 = p[step] + p[6 * step], a6 = p[step] - p[6 * step];
    s32 a2 = p[2 * step] + p[5 * step], a5 = p[2 * step] - p[5 * step];
    s32 a3 = p[3 * step] + p[4 * step], a4 = p[3 * step] - p[4 * step];
    s32 b0 = a0 + a3, b1 = a1 + a2, b2 = a1 - a2, b3 = a0 - a3;

    p[0] = b0 + b1;
    p[4 * step] = b0 - b1;
    p[2 * step] = (b3 * 1338 + b2 * 554) >> 10;
    p[6 * step] = (b3 * 554 - b2 * 1338) >> 10;
    p[step] = (a7 * 1420 + a6 * 1204 + a5 * 804 + a4 * 283) >> 10;
    p[3 * step] = (a7 * 1204 - a6 * 283 - a5 * 1420 - a4 * 804) >> 10;
    p[5 * step] = (a7 * 804 - a6 * 1420 + a5 * 283 + a4 * 1204) >> 10;
    p[7 * step] = (a7 * 283 - a6 * 804 + a5 * 1204 - a4 * 1420) >> 10;
}

PROG(mem, len)
{
    s32 *block = mem;
    u64 sum = 0;

    for (u64 at = 0; LOOP(at + 256 <= len); at += 256, block += 64) {
        for (u32 i = 0; LOOP(i < 64); i++)
            block[i] = (block[i] & 255) - 128;
        for (u32 i = 0; LOOP(i < 8); i++)
            transform(block + 8 * i, 1);
        for (u32 i = 0; LOOP(i < 8); i++)
            transform(block + i, 8);
        for (u32 i = 0; LOOP(i < 64); i++)
            sum = sum * 3 + (u32)block[i];
    }
    return sum;
}
