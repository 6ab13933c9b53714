/* Bit tricks: population count, reversal, Gray code, parity, and the lowest set bit, all by arithmetic. */
#include "prog.h"

INLINE u64 ones(u64 x)
{
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return x * 0x0101010101010101 >> 56;
}

INLINE u32 reverse(u32 x)
{
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    x = (x >> 8 & 0x00ff00ff) | (x & 0x00ff00ff) << 8;
    return x >> 16 | x << 16;
}

INLINE u32 from_gray(u32 x)
{
    x ^= x >> 16;
    x ^= x >> 8;
    x ^= x >> 4;
    x ^= x >> 2;
    return x ^ x >> 1;
}

PROG(mem, len)
{
    const u64 *words = mem;
    u32 n = (u32)len / 8;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++) {
        u64 x = words[i];

        sum += ones(x) + reverse((u32)x) + from_gray((u32)(x >> 32));
        sum ^= (x & -x) + (x & (x - 1));
    }
    return sum;
}
