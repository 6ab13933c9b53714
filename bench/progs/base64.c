/* Base64: encodes the first half of the memory's third into the rest, without a table. */
#include "prog.h"

INLINE u8 digit(u32 v)
{
    if (v < 26)
        return (u8)('A' + v);
    if (v < 52)
        return (u8)('a' + v - 26);
    if (v < 62)
        return (u8)('0' + v - 52);
    return v == 62 ? '+' : '/';
}

PROG(mem, len)
{
    u32 n = (u32)len / 7, out = n * 3, sum = 0;
    u8 *bytes = mem;

    for (u32 i = 0; LOOP(i < n); i++) {
        const u8 *in = bytes + i * 3;
        u32 v = (u32)in[0] << 16 | (u32)in[1] << 8 | in[2];
        u8 *to = bytes + out + i * 4;

        to[0] = digit(v >> 18);
        to[1] = digit(v >> 12 & 63);
        to[2] = digit(v >> 6 & 63);
        to[3] = digit(v & 63);
        sum = sum * 31 + to[3];
    }
    return sum;
}
