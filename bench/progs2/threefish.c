/* Threefish-256 in counter mode: additions, rotations and permutations of four words, a key injected every 4 rounds. */
#include "prog.h"

enum { KEY_WORDS = 8 };

#define MIX(a, b, r) ((a) += (b), (b) = rotl64(b, r) ^ (a))

PROG(mem, len)
{
    const u64 *key = mem;
    u64 *out = (u64 *)mem + KEY_WORDS, *end = (u64 *)((u8 *)mem + len), sum = 0, k[5], t[3];

    k[0] = key[0], k[1] = key[1], k[2] = key[2], k[3] = key[3];
    k[4] = k[0] ^ k[1] ^ k[2] ^ k[3] ^ 0x1bd11bdaa9fc1a22;
    t[0] = key[4], t[1] = key[5], t[2] = t[0] ^ t[1];
    for (u64 n = 0; LOOP(out + 4 <= end); out += 4, n++) {
        u64 a = n + k[0], b = k[1] + t[0], c = k[2] + t[1], d = k[3];

#pragma clang loop unroll(full)
        for (u32 s = 1; s <= 18; s++) {
            MIX(a, b, s % 2 ? 14 : 25);
            MIX(c, d, s % 2 ? 16 : 33);
            MIX(a, d, s % 2 ? 52 : 46);
            MIX(c, b, s % 2 ? 57 : 12);
            MIX(a, b, s % 2 ? 23 : 58);
            MIX(c, d, s % 2 ? 40 : 22);
            MIX(a, d, s % 2 ? 5 : 32);
            MIX(c, b, s % 2 ? 37 : 32);
            a += k[s % 5];
            b += k[(s + 1) % 5] + t[s % 3];
            c += k[(s + 2) % 5] + t[(s + 1) % 3];
            d += k[(s + 3) % 5] + s;
        }
        out[0] ^= a, out[1] ^= b, out[2] ^= c, out[3] ^= d;
        sum += out[0] ^ rotl64(out[3], 7);
    }
    return sum;
}
