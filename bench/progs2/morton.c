/* Bits of two coordinates interleaved and parted again, Gray codes, and the reverse of a word. */
#include "prog.h"

INLINE u64 spread(u64 x)
{
    x &= 0xffffffff;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

INLINE u32 gather(u64 x)
{
    x &= 0x5555555555555555;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (u32)(x | x >> 16);
}

INLINE u32 reverse(u32 x)
{
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}

PROG(mem, len)
{
    u64 *v = mem, sum = 0;
    u32 n = (u32)len / 8;

    for (u32 i = 0; LOOP(i < n); i++) {
        u64 x = v[i], code = spread(x) | spread(x >> 32) << 1, gray = code ^ code >> 1;

        for (u32 shift = 32; LOOP(shift > 0); shift /= 2)
            gray ^= gray >> shift;
        v[i] = (u64)reverse(gather(gray)) << 32 | gather(gray >> 1);
        sum += v[i] ^ gray;
    }
    return sum;
}
