/* Miller and Rabin's test of 32-bit numbers to three bases; the multiplication modulo n is a function of its own. */
#include "prog.h"

NOINLINE u64 multiply(u64 a, u64 b, u64 n)
{
    return a * b % n;
}

INLINE u64 power(u64 base, u32 exponent, u64 n)
{
    u64 result = 1;

    for (; LOOP(exponent); exponent >>= 1) {
        if (exponent & 1)
            result = multiply(result, base, n);
        base = multiply(base, base, n);
    }
    return result;
}

INLINE u32 passes(u32 n, u32 base)
{
    u32 odd = n - 1, twos = 0;
    u64 x;

    for (; LOOP(!(odd & 1)); odd >>= 1)
        twos++;
    x = power(base, odd, n);
    if (x == 1 || x == n - 1)
        return 1;
    for (; LOOP(twos > 1); twos--) {
        x = multiply(x, x, n);
        if (x == n - 1)
            return 1;
    }
    return 0;
}

PROG(mem, len)
{
    const u32 *v = mem;
    u32 n = (u32)len / 4;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++) {
        u32 x = v[i] >> (i & 15) | 1;

        if (x > 61 && x % 3 && x % 5 && x % 7 && passes(x, 2) && passes(x, 7) && passes(x, 61))
            sum += x + i;
    }
    return sum;
}
