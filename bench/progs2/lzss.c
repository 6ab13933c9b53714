/* Compresses the memory's half by matches that a table of hashes finds, into the rest. */
#include "prog.h"

enum { TABLE = 1024, LONGEST = 18 };

PROG(mem, len)
{
    u16 *table = mem;
    const u8 *in = (const u8 *)(table + TABLE);
    u32 n = ((u32)len - 2 * TABLE) / 2 - 32, at = 0, to = 0, sum = 0;
    u8 *out = (u8 *)in + n;

    for (u32 i = START(0, len); LOOP(i < TABLE); i++)
        table[i] = 0;
    while (LOOP(at + LONGEST < n)) {
        u32 hash = ((in[at] | (u32)in[at + 1] << 8 | (u32)in[at + 2] << 16) * 2654435761u) >> 22;
        u32 old = table[hash], size = 0;

        table[hash] = (u16)(at + 1);
        if (old && at - (old - 1) < 4096)
            while (LOOP(size < LONGEST && in[old - 1 + size] == in[at + size]))
                size++;
        if (size >= 3) {
            u32 back = at - (old - 1);

            out[to] = (u8)(0x80 | (size - 3) << 3 | back >> 9);
            out[to + 1] = (u8)(back >> 1);
            to += 2;
            at += size;
            sum = sum * 31 + back;
        } else {
            out[to++] = in[at++] & 127;
            sum++;
        }
    }
    return (u64)sum << 32 | to;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = i > 600 && mem[i - 300] % 6 ? mem[i - 300 - mem[i - 1] % 2] : "the rain in spain "[mem[i] % 18];
}
#endif
