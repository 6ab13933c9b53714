/* The Mandelbrot set in fixed point (12 fractional bits): 48x32 points, up to 64 steps each. */
#include "prog.h"

enum { W = 48, H = 32, STEPS = 64, ONE = 1 << 12 };

PROG(mem, len)
{
    u8 *picture = mem;
    u64 sum = 0;

    if (len < W * H)
        return 0;
    for (s32 py = (s32)START(0, len); LOOP(py < H); py++)
        for (s32 px = (s32)START(0, len); LOOP(px < W); px++) {
            s64 cx = (s64)px * 3 * ONE / W - 2 * ONE, cy = (s64)py * 2 * ONE / H - ONE, x = 0, y = 0;
            u32 step = START(0, len);

            for (; LOOP(step < STEPS); step++) {
                s64 xx = x * x >> 12, yy = y * y >> 12;

                if (xx + yy > 4 * ONE)
                    break;
                y = (x * y >> 11) + cy;
                x = xx - yy + cx;
            }
            picture[py * W + px] = (u8)step;
            sum += step;
        }
    return sum;
}
