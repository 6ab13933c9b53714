/* Speck128/128 in counter mode: expands the key once onto the stack, then 32 rounds for each 16 bytes. */
#include "prog.h"

enum { ROUNDS = 32 };

INLINE u64 rotr64(u64 x, unsigned n)
{
    return rotl64(x, 64 - n);
}

PROG(mem, len)
{
    u64 *words = mem, keys[ROUNDS], k = words[0], l = words[1], sum = 0;
    u32 n = (u32)len / 8;

#pragma clang loop unroll(disable)
    for (u32 i = 0; i < ROUNDS; i++) {
        keys[i] = k;
        l = (rotr64(l, 8) + k) ^ i;
        k = rotl64(k, 3) ^ l;
    }
    for (u32 at = 2; LOOP(at + 2 <= n); at += 2) {
        u64 x = at, y = ~(u64)at;

#pragma clang loop unroll(disable)
        for (u32 i = 0; i < ROUNDS; i++) {
            x = (rotr64(x, 8) + y) ^ keys[i];
            y = rotl64(y, 3) ^ x;
        }
        words[at] ^= x;
        words[at + 1] ^= y;
        sum += x ^ y;
    }
    return sum;
}
