/* Decompresses an LZ4-like stream: tokens of literal and match lengths, offsets of two bytes, overlapping copies. */
#include "prog.h"

INLINE u32 length(const u8 *in, u32 *at, u32 nibble)
{
    u32 more;

    if (nibble == 15)
        do {
            more = in[(*at)++];
            nibble += more;
        } while (LOOP(more == 255));
    return nibble;
}

PROG(mem, len)
{
    const u8 *in = mem;
    u32 half = (u32)len / 2, at = 4, to = half, end = *(const u32 *)mem, sum = 0;
    u8 *out = mem;

    while (LOOP(at < end)) {
        u32 token = in[at++], literals = length(in, &at, token >> 4), match, back;

        for (u32 i = 0; LOOP(i < literals); i++)
            out[to++] = in[at++];
        if (at >= end)
            break;
        back = (u32)in[at] | (u32)in[at + 1] << 8;
        at += 2;
        match = length(in, &at, token & 15) + 4;
        for (u32 i = 0; LOOP(i < match); i++, to++)
            out[to] = out[to - back];
    }
    for (u32 i = half; LOOP(i < to); i += 7)
        sum = sum * 31 + out[i];
    return (u64)(to - half) << 32 | sum;
}

#ifndef __bpf__
/* A stream of random tokens whose output fits the second half. */
FILL(mem, len)
{
    u32 half = (u32)len / 2, at = 4, out = 0;

    while (at + 64 < half && out + 600 < half) {
        u32 literals = mem[at + 1] % 15, match = mem[at + 2] % 19, back;

        if (literals + out == 0)
            literals = 1;
        mem[at++] = (u8)(literals << 4 | (match < 15 ? match : 15));
        at += literals;
        out += literals;
        back = 1 + (mem[at] | (u32)mem[at + 1] << 8) % out;
        mem[at++] = (u8)back;
        mem[at++] = (u8)(back >> 8);
        if (match >= 15)
            mem[at++] = (u8)(match - 15);
        out += match + 4;
    }
    *(u32 *)mem = at;
}
#endif
