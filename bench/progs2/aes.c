/* AES-128 encryption in ECB mode by one table of 256 words, which stands in the memory with the S-box and round keys.
 */
#include "prog.h"

enum { ROUNDS = 10 };

struct tables {
    u32 t[256];
    u8 box[256];
    u32 keys[4 * (ROUNDS + 1)];
};

INLINE u32 column(const u32 *t, u32 a, u32 b, u32 c, u32 d, u32 key)
{
    return t[a & 255] ^ rotl32(t[b >> 8 & 255], 8) ^ rotl32(t[c >> 16 & 255], 16) ^ rotl32(t[d >> 24], 24) ^ key;
}

INLINE u32 last(const u8 *box, u32 a, u32 b, u32 c, u32 d, u32 key)
{
    return (box[a & 255] | (u32)box[b >> 8 & 255] << 8 | (u32)box[c >> 16 & 255] << 16 | (u32)box[d >> 24] << 24) ^ key;
}

PROG(mem, len)
{
    const struct tables *tab = mem;
    u32 *block = (u32 *)(tab + 1), *end = (u32 *)((u8 *)mem + len);
    u32 sum = 0;

    for (; LOOP(block + 4 <= end); block += 4) {
        const u32 *k = tab->keys, *t = tab->t;
        u32 a = block[0] ^ k[0], b = block[1] ^ k[1], c = block[2] ^ k[2], d = block[3] ^ k[3];

        k += 4;
        for (u32 round = 1; LOOP(round < ROUNDS); round++, k += 4) {
            u32 e = column(t, a, b, c, d, k[0]), f = column(t, b, c, d, a, k[1]);
            u32 g = column(t, c, d, a, b, k[2]), h = column(t, d, a, b, c, k[3]);

            a = e, b = f, c = g, d = h;
        }
        block[0] = last(tab->box, a, b, c, d, k[0]);
        block[1] = last(tab->box, b, c, d, a, k[1]);
        block[2] = last(tab->box, c, d, a, b, k[2]);
        block[3] = last(tab->box, d, a, b, c, k[3]);
        sum = sum * 31 + (block[0] ^ block[3]);
    }
    return sum;
}

#ifndef __bpf__
static u8 twice(u8 x)
{
    return (u8)(x << 1 ^ (x >> 7 ? 0x1b : 0));
}

/* The S-box by walking the field with a generator and its inverse. */
FILL(mem, len)
{
    struct tables *tab = (struct tables *)mem;
    u8 p = 1, q = 1;

    (void)len;
    do {
        p ^= twice(p);
        q ^= (u8)(q << 1);
        q ^= (u8)(q << 2);
        q ^= (u8)(q << 4);
        q ^= q & 0x80 ? 9 : 0;
        tab->box[p] = (u8)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4) ^ 0x63);
    } while (p != 1);
    tab->box[0] = 0x63;
    for (u32 i = 0; i < 256; i++) {
        u8 s = tab->box[i], d = twice(s);

        tab->t[i] = d | (u32)s << 8 | (u32)s << 16 | (u32)(d ^ s) << 24;
    }
}
#endif
