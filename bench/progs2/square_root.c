/* Integer square roots bit by bit, cube roots likewise, and Newton's steps with division. */
#include "prog.h"

INLINE u32 by_bits(u64 x)
{
    u64 root = 0;

    for (u64 bit = 1ull << 62; LOOP(bit); bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (u32)root;
}

INLINE u32 cube(u64 x)
{
    u64 y = 0;

    for (s32 s = 30; LOOP(s >= 0); s -= 3) {
        u64 b;

        y += y;
        b = 3 * y * (y + 1) + 1;
        if ((x >> s) >= b) {
            x -= b << s;
            y++;
        }
    }
    return (u32)y;
}

INLINE u32 newton(u32 x)
{
    u32 r = 1 << 15, last;

    do {
        last = r;
        r = (r + x / r) / 2;
    } while (LOOP(r < last));
    return last;
}

PROG(mem, len)
{
    const u64 *v = mem;
    u32 n = (u32)len / 8;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++)
        sum = sum * 3 + by_bits(v[i]) + cube(v[i] >> 31) + newton((u32)v[i] | 1);
    return sum;
}
