/* Rotations by CORDIC in fixed point: sine, cosine and angle from additions and shifts, angles in the memory. */
#include "prog.h"

enum { STEPS = 16 };

PROG(mem, len)
{
    const s32 *angles = mem;
    s32 *v = (s32 *)mem + STEPS;
    u32 n = (u32)len / 4 - STEPS;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i + 1 < n); i += 2) {
        s32 x = 652032874, y = 0, z = v[i] >> 2;

        for (u32 k = 0; LOOP(k < STEPS); k++) {
            s32 dx = x >> k, dy = y >> k;

            if (z >= 0) {
                x -= dy;
                y += dx;
                z -= angles[k];
            } else {
                x += dy;
                y -= dx;
                z += angles[k];
            }
        }
        v[i] = x;
        v[i + 1] = y;
        sum += (u32)x * 3 + (u32)y;
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    static const s32 angles[STEPS] = {843314856, 497837829, 263043836, 133525158, 67021686, 33543515, 16775850, 8388437,
                                      4194282,   2097149,   1048575,   524287,    262143,   131071,   65535,    32767};

    (void)len;
    for (u32 i = 0; i < STEPS; i++)
        ((s32 *)mem)[i] = angles[i];
}
#endif
