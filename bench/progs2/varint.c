/* Numbers of variable length, seven bits a byte, with zigzag signs: decodes, adds up, and encodes the differences. */
#include "prog.h"

PROG(mem, len)
{
    u32 n = (u32)len / 3, at = 0, to = 0;
    const u8 *in = mem;
    u8 *out = (u8 *)mem + n;
    u64 last = 0, sum = 0;

    while (LOOP(at + 10 < n)) {
        u64 v = 0, step;
        u8 c;

        for (u32 shift = 0; LOOP(shift < 35); shift += 7) {
            c = in[at++];
            v |= (u64)(c & 127) << shift;
            if (c < 128)
                break;
        }
        v = v >> 1 ^ -(v & 1);
        sum += v;
        step = (v - last) << 1 ^ (u64)((s64)(v - last) >> 63);
        last = v;
        while (LOOP(step >= 128)) {
            out[to++] = (u8)(step | 128);
            step >>= 7;
        }
        out[to++] = (u8)step;
    }
    return sum ^ (u64)to << 40;
}
