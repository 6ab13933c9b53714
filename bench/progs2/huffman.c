/* Decodes a canonical Huffman code bit by bit: how many codes each length has, and the symbols in their order. */
#include "prog.h"

enum { LENGTHS = 16, SYMBOLS = 256 };

struct code {
    u16 count[LENGTHS];
    u8 symbol[SYMBOLS];
};

PROG(mem, len)
{
    const struct code *code = mem;
    u32 n = ((u32)len - (u32)sizeof(*code)) / 5, at = 0, room = 4 * n;
    const u8 *in = (const u8 *)(code + 1);
    u8 *out = (u8 *)mem + sizeof(*code) + n;
    u64 sum = 0;

    for (u32 bit = 0; LOOP(bit + LENGTHS < n * 8 && at < room);) {
        s32 value = 0, first = 0, index = 0;

        for (u32 size = 1; LOOP(size < LENGTHS); size++) {
            s32 count = code->count[size];

            value |= in[bit / 8] >> (bit % 8) & 1;
            bit++;
            if (value - count < first) {
                u8 symbol = code->symbol[(index + value - first) & (SYMBOLS - 1)];

                out[at++] = symbol;
                sum = sum * 31 + symbol;
                break;
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
    }
    return sum ^ at;
}

#ifndef __bpf__
FILL(mem, len)
{
    static const u16 counts[LENGTHS] = {0, 0, 1, 2, 3, 5, 4, 6, 8, 8, 16, 16, 32, 32, 64, 59};
    struct code *code = (struct code *)mem;

    (void)len;
    for (u32 i = 0; i < LENGTHS; i++)
        code->count[i] = counts[i];
}
#endif
