/* SHA-256's compression of each block of the memory; the round constants stand at its beginning (any will do). */
#include "prog.h"

enum { K_BYTES = 256 };

INLINE u32 rotr(u32 x, unsigned n)
{
    return rotl32(x, 32 - n);
}

INLINE void compress(u32 *h, const u32 *k, const u8 *block)
{
    u32 w[16], s[8];

#pragma clang loop unroll(full)
    for (u32 i = 0; i < 8; i++)
        s[i] = h[i];
#pragma clang loop unroll(full)
    for (u32 i = 0; i < 16; i++)
        w[i] = load_be32(block + 4 * i);
    for (u32 group = 0; LOOP(group < 4); group++, k += 16) {
#pragma clang loop unroll(full)
        for (u32 i = 0; i < 16; i++) {
            u32 a = s[0], e = s[4], t1, t2;

            t1 = s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
            t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t1;
            s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t1 + t2;
        }
#pragma clang loop unroll(full)
        for (u32 i = 0; i < 16; i++) {
            u32 x = w[(i + 1) % 16], y = w[(i + 14) % 16];

            w[i] += (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) + w[(i + 9) % 16] + (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
        }
    }
#pragma clang loop unroll(full)
    for (u32 i = 0; i < 8; i++)
        h[i] += s[i];
}

PROG(mem, len)
{
    u32 *k = mem, *h = k + K_BYTES / 4;
    const u8 *block = (const u8 *)(h + 16), *end = (const u8 *)mem + len;

    for (; LOOP(block + 64 <= end); block += 64)
        compress(h, k, block);
    return (u64)h[0] << 32 | h[7];
}
