/* Long multiplication of numbers of 32-bit limbs, with carries, then the product modulo a small number. */
#include "prog.h"

enum { LIMBS = 64, GROUP = 4 * LIMBS };

PROG(mem, len)
{
    u64 sum = 0;

    for (u64 at = 0; LOOP(at + GROUP * 4 <= len); at += GROUP * 4) {
        u32 *a = (u32 *)((u8 *)mem + at), *b = a + LIMBS, *product = b + LIMBS;
        u64 remainder = 0;

        for (u32 i = 0; LOOP(i < 2 * LIMBS); i++)
            product[i] = 0;
        for (u32 i = 0; LOOP(i < LIMBS); i++) {
            u64 carry = 0;

            for (u32 j = 0; LOOP(j < LIMBS); j++) {
                carry += (u64)a[i] * b[j] + product[i + j];
                product[i + j] = (u32)carry;
                carry >>= 32;
            }
            product[i + LIMBS] = (u32)carry;
        }
        for (u32 i = 2 * LIMBS; LOOP(i > 0); i--)
            remainder = (remainder << 32 | product[i - 1]) % 1000003;
        sum = sum * 3 + remainder;
    }
    return sum;
}
