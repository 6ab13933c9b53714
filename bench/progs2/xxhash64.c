/* XXH64: four lanes of 64-bit multiplications and rotations over the memory, and over its halves, quarters and so on.
 */
#include "prog.h"

enum { SMALLEST = 64, PASSES = 3 };

#define P1 11400714785074694791u
#define P2 14029467366897019727u
#define P3 1609587929392839161u
#define P4 9650029242287828579u
#define P5 2870177450012600261u

INLINE u64 lane(u64 acc, u64 input)
{
    return rotl64(acc + input * P2, 31) * P1;
}

INLINE u64 merge(u64 acc, u64 v)
{
    return (acc ^ lane(0, v)) * P1 + P4;
}

INLINE u64 hash(const u64 *p, u32 n, u64 seed)
{
    u64 a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1, h;

    for (u32 i = 0; LOOP(i < n); i += 4, p += 4) {
        a = lane(a, p[0]);
        b = lane(b, p[1]);
        c = lane(c, p[2]);
        d = lane(d, p[3]);
    }
    h = rotl64(a, 1) + rotl64(b, 7) + rotl64(c, 12) + rotl64(d, 18);
    h = merge(merge(merge(merge(h, a), b), c), d) + n * 8u + P5;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

PROG(mem, len)
{
    u64 sum = 0;

    for (u32 pass = START(0, len); LOOP(pass < PASSES); pass++)
        for (u32 size = (u32)len; LOOP(size >= SMALLEST); size /= 2)
            for (u32 at = 0; LOOP(at + size <= len); at += 4 * size)
                sum = hash((const u64 *)((u8 *)mem + at), size / 8, sum);
    return sum;
}
