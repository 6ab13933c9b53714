/* A Walsh-Hadamard transform and a number-theoretic one (modulo 12289) of 512 points: butterflies with modulo. */
#include "prog.h"

enum { N = 512, MODULUS = 12289, ROOT = 3 }; /* ROOT: of order 1024 is 49; 3 generates all */

INLINE u32 power(u32 base, u32 exponent)
{
    u32 result = 1;

    for (; LOOP(exponent > 0); exponent >>= 1) {
        if (exponent & 1)
            result = result * base % MODULUS;
        base = base * base % MODULUS;
    }
    return result;
}

INLINE u64 transform(u32 *v)
{
    u32 *w = v + N;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < N); i++) {
        v[i] %= MODULUS;
        w[i] = v[i];
    }
    for (u32 half = N / 2; LOOP(half > 0); half /= 2) {
        u32 root = power(ROOT, (MODULUS - 1) / (2 * half)), twiddle = 1;

        for (u32 j = 0; LOOP(j < half); j++) {
            for (u32 i = j; LOOP(i < N); i += 2 * half) {
                u32 a = v[i], b = v[i + half], p = w[i], q = w[i + half];

                v[i] = a + b >= MODULUS ? a + b - MODULUS : a + b;
                v[i + half] = (a + MODULUS - b) * twiddle % MODULUS;
                w[i] = p + q;
                w[i + half] = p - q;
            }
            twiddle = twiddle * root % MODULUS;
        }
    }
    for (u32 i = 0; LOOP(i < N); i++)
        sum = sum * 3 + (v[i] ^ w[i]);
    return sum;
}

PROG(mem, len)
{
    u64 sum = 0;

    for (u64 at = 0; LOOP(at + 2 * N * sizeof(u32) <= len); at += 2 * N * sizeof(u32))
        sum = sum * 7 + transform((u32 *)((u8 *)mem + at));
    return sum;
}
