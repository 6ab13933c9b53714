/* The Internet checksum of packets of odd and even lengths, written into each. */
#include "prog.h"

enum { PASSES = 8, SLOT = 256 };

PROG(mem, len)
{
    u32 n = (u32)len / SLOT;
    u64 all = 0;

    for (u32 i = 0; LOOP(i < n * PASSES); i++) {
        u8 *p = (u8 *)mem + i % n * SLOT;
        const u16 *words = (const u16 *)p;
        u32 size = 2u + p[2 + i / n] % 253u;
        u64 sum = 0;

        *(u16 *)p = 0;
        for (u32 j = 0; LOOP(j < size / 2); j++)
            sum += words[j];
        if (size & 1)
            sum += p[size - 1];
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        *(u16 *)p = (u16)~sum;
        all += (u16)~sum;
    }
    return all;
}
