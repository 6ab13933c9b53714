/* A Feistel cipher with four S-boxes of 256 words, as Blowfish is; the boxes and subkeys stand in the memory. */
#include "prog.h"

struct tables {
    u32 box[4][256];
    u32 p[18];
    u32 room[14];
};

INLINE u32 mix(const struct tables *tab, u32 x)
{
    return ((tab->box[0][x >> 24] + tab->box[1][x >> 16 & 255]) ^ tab->box[2][x >> 8 & 255]) + tab->box[3][x & 255];
}

PROG(mem, len)
{
    const struct tables *tab = mem;
    u32 *block = (u32 *)(tab + 1), *end = (u32 *)((u8 *)mem + len), chain = 0;

    for (; LOOP(block + 2 <= end); block += 2) {
        u32 l = block[0] ^ chain, r = block[1];

#pragma clang loop unroll(full)
        for (u32 i = 0; i < 16; i += 2) {
            l ^= tab->p[i];
            r ^= mix(tab, l);
            r ^= tab->p[i + 1];
            l ^= mix(tab, r);
        }
        l ^= tab->p[16];
        r ^= tab->p[17];
        block[0] = r;
        block[1] = l;
        chain = l;
    }
    return chain;
}
