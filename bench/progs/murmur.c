/* MurmurHash3 (32 bits) of strings: each is a length byte and that many bytes, tails included. */
#include "prog.h"

INLINE u32 scramble(u32 k)
{
    return rotl32(k * 0xcc9e2d51, 15) * 0x1b873593;
}

PROG(mem, len)
{
    const u8 *bytes = mem;
    u32 n = (u32)len, at = 0, sum = 0;

    while (LOOP(at + 256 < n)) {
        u32 size = bytes[at++], hash = sum, tail = 0, i = 0;

        for (; LOOP(i + 4 <= size); i += 4) {
            const u8 *p = bytes + at + i;
            u32 k = (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;

            hash = rotl32(hash ^ scramble(k), 13) * 5 + 0xe6546b64;
        }
        for (u32 shift = 0; LOOP(i < size); i++, shift += 8)
            tail |= (u32)bytes[at + i] << shift;
        hash ^= scramble(tail) ^ size;
        hash = (hash ^ hash >> 16) * 0x85ebca6b;
        hash = (hash ^ hash >> 13) * 0xc2b2ae35;
        sum += hash ^ hash >> 16;
        at += size;
    }
    return sum;
}
