/* Fletcher's checksum of 64 bits over 32-bit words, modulo 2^32 - 1, and the sum that TCP takes, with carries. */
#include "prog.h"

enum { BLOCK = 128, PASSES = 8 };

PROG(mem, len)
{
    const u32 *words = mem;
    u32 n = (u32)len / 4;
    u64 a = 1, b = 0, carry = 0;

    for (u32 pass = START(0, len); LOOP(pass < PASSES); pass++)
        for (u32 at = 0; LOOP(at < n); at += BLOCK) {
            for (u32 i = at; LOOP(i < at + BLOCK); i++) {
                u64 w = (u64)words[i] << (i & 3);

                a += words[i];
                b += a;
                carry += w;
                carry += carry < w;
            }
            a = (a & 0xffffffff) + (a >> 32);
            b = (b & 0xffffffff) + (b >> 32);
        }
    return (b << 32 | (u32)a) ^ carry;
}
