/* A Bloom filter with four hashes of a key, first filled, then asked. */
#include "prog.h"

enum { BITS = 65536, ROUNDS = 2 };

INLINE u64 mix(u64 x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

PROG(mem, len)
{
    u64 *filter = mem;
    const u32 *keys = (const u32 *)(filter + BITS / 64);
    u32 n = ((u32)len - BITS / 8) / 4, found = 0;

    for (u32 i = START(0, len); LOOP(i < BITS / 64); i++)
        filter[i] = 0;
    for (u32 i = 0; LOOP(i < n); i += 2) {
        u64 h = mix(keys[i]);

#pragma clang loop unroll(full)
        for (u32 k = 0; k < 4; k++, h >>= 16)
            filter[(u16)h / 64] |= 1ull << (h & 63);
    }
    for (u32 round = START(0, len); LOOP(round < ROUNDS); round++)
        for (u32 i = 0; LOOP(i < n); i++) {
            u64 h = mix(keys[i] + round);
            u32 k = 0;

            while (LOOP(k < 4 && filter[(u16)h / 64] >> (h & 63) & 1)) {
                h >>= 16;
                k++;
            }
            found = found * 3 + k;
        }
    return found;
}
