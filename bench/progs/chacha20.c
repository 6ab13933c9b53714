/* ChaCha20: encrypts the memory behind key and nonce in place. The block's state stands on the stack. */
#include "prog.h"

enum { HEAD = 64 }; /* 32 bytes of key, 12 of nonce */

#define QUARTER(a, b, c, d)                                                                                            \
    do {                                                                                                               \
        x[a] += x[b], x[d] = rotl32(x[d] ^ x[a], 16);                                                                  \
        x[c] += x[d], x[b] = rotl32(x[b] ^ x[c], 12);                                                                  \
        x[a] += x[b], x[d] = rotl32(x[d] ^ x[a], 8);                                                                   \
        x[c] += x[d], x[b] = rotl32(x[b] ^ x[c], 7);                                                                   \
    } while (0)

PROG(mem, len)
{
    const u32 *head = mem;
    u32 *data = (u32 *)((u8 *)mem + HEAD);
    u32 blocks = (u32)(len - HEAD) / 64, sum = 0;
    u32 s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    for (u32 i = 0; i < 8; i++)
        s[4 + i] = head[i];
    for (u32 i = 0; i < 3; i++)
        s[13 + i] = head[8 + i];
    for (u32 block = 0; LOOP(block < blocks); block++) {
        u32 x[16];

        s[12] = block;
        for (u32 i = 0; i < 16; i++)
            x[i] = s[i];
#pragma clang loop unroll(disable)
        for (u32 round = 0; round < 10; round++) {
            QUARTER(0, 4, 8, 12);
            QUARTER(1, 5, 9, 13);
            QUARTER(2, 6, 10, 14);
            QUARTER(3, 7, 11, 15);
            QUARTER(0, 5, 10, 15);
            QUARTER(1, 6, 11, 12);
            QUARTER(2, 7, 8, 13);
            QUARTER(3, 4, 9, 14);
        }
        for (u32 i = 0; i < 16; i++) {
            data[block * 16 + i] ^= x[i] + s[i];
            sum ^= data[block * 16 + i];
        }
    }
    return sum;
}
