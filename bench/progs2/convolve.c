/* A 3 by 3 filter with saturation over a grey image, into a second one. */
#include "prog.h"

enum { WIDTH = 192 };

PROG(mem, len)
{
    u32 height = (u32)len / 2 / WIDTH, sum = 0;
    const u8 *in = mem;
    u8 *out = (u8 *)mem + height * WIDTH;

    for (u32 y = START(1, len); LOOP(y + 1 < height); y++) {
        const u8 *row = in + y * WIDTH;

        for (u32 x = START(1, len); LOOP(x < WIDTH - 1); x++) {
            const u8 *p = row + x;
            s32 v = 9 * p[0] - p[-1] - p[1] - p[-WIDTH - 1] - p[-WIDTH] - p[-WIDTH + 1] - p[WIDTH - 1] - p[WIDTH] -
                    p[WIDTH + 1];

            v = v < 0 ? 0 : v > 255 ? 255 : v;
            out[y * WIDTH + x] = (u8)v;
            sum = sum * 3 + (u32)v;
        }
    }
    return sum;
}
