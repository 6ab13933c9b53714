/* Greatest common divisors, by remainders and by shifts, and inverses by the extended algorithm. */
#include "prog.h"

INLINE u32 by_remainders(u32 a, u32 b)
{
    while (LOOP(b)) {
        u32 t = a % b;

        a = b;
        b = t;
    }
    return a;
}

INLINE u32 by_shifts(u32 a, u32 b)
{
    u32 shift = 0;

    for (; LOOP(!((a | b) & 1)); shift++) {
        a >>= 1;
        b >>= 1;
    }
    while (LOOP(!(a & 1)))
        a >>= 1;
    while (LOOP(b)) {
        while (LOOP(!(b & 1)))
            b >>= 1;
        if (a > b) {
            u32 t = a;

            a = b;
            b = t;
        }
        b -= a;
    }
    return a << shift;
}

INLINE u64 inverse(u64 a, u64 m)
{
    u64 r = m, t = 0, u = 1;

    while (LOOP(a)) {
        u64 q = r / a, x = r - q * a, y = t - q * u;

        r = a;
        a = x;
        t = u;
        u = y;
    }
    return t ^ r;
}

PROG(mem, len)
{
    const u32 *v = mem;
    u32 n = (u32)len / 8;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++) {
        u32 a = v[2 * i] >> 4 | 1, b = v[2 * i + 1] >> 4 | 2;

        sum = sum * 3 + by_remainders(a, b) + by_shifts(a & ~1u, b) + inverse(a, b);
    }
    return sum;
}
