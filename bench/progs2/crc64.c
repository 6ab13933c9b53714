/* CRC-64 by a table of 256 words, which stands at the beginning of the memory, one byte at a time. */
#include "prog.h"

PROG(mem, len)
{
    const u64 *table = mem;
    const u8 *p = (const u8 *)(table + 256);
    u64 crc = ~0ull;

    for (u64 n = len - 2048; LOOP(n > 0); n--)
        crc = table[(u8)(crc ^ *p++)] ^ crc >> 8;
    return ~crc;
}

#ifndef __bpf__
FILL(mem, len)
{
    u64 *table = (u64 *)mem;

    (void)len;
    for (u32 i = 0; i < 256; i++) {
        u64 c = i;

        for (u32 k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xc96c5795d7870f42 : c >> 1;
        table[i] = c;
    }
}
#endif
