/* XTEA in CBC mode: 32 rounds for each 8 bytes, with a key schedule that indexes the key by data. */
#include "prog.h"

enum { KEY_WORDS = 4 };

PROG(mem, len)
{
    u32 *words = mem, n = (u32)len / 4;
    u32 y = 0, z = 0;

    for (u32 at = KEY_WORDS; LOOP(at + 2 <= n); at += 2) {
        u32 sum = 0;

        y ^= words[at];
        z ^= words[at + 1];
#pragma clang loop unroll(disable)
        for (u32 round = 0; round < 32; round++) {
            y += ((z << 4 ^ z >> 5) + z) ^ (sum + words[sum & 3]);
            sum += 0x9e3779b9;
            z += ((y << 4 ^ y >> 5) + y) ^ (sum + words[sum >> 11 & 3]);
        }
        words[at] = y;
        words[at + 1] = z;
    }
    return (u64)y << 32 | z;
}
