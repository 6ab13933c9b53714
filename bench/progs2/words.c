/* Counts words of a text in a table of hashes with chains of the latest: letters by ranges, the longest, the commonest.
 */
#include "prog.h"

enum { TABLE = 512 };

PROG(mem, len)
{
    u32 *counts = mem, words = START(0, len), longest = START(0, len), most = START(0, len), hash = START(0, len),
        size = START(0, len);
    const u8 *p = (const u8 *)(counts + TABLE), *end = (const u8 *)mem + len;
    u64 sum = 0;

    for (u32 i = START(0, len); LOOP(i < TABLE); i++)
        counts[i] = 0;
    for (; LOOP(p < end); p++) {
        u8 c = *p;

        if ((c | 32) - 'a' < 26u || c == '_' || (size && c - '0' < 10u)) {
            hash = (hash + (c | 32)) * 0x85ebca6b;
            size++;
        } else if (size) {
            u32 *count = &counts[hash >> 23];

            words++;
            most = ++*count > most ? *count : most;
            longest = size > longest ? size : longest;
            sum += hash;
            hash = size = 0;
        }
    }
    return sum * 5 + ((u64)words << 32 | most << 8 | longest);
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = TABLE * 4; i < len; i++)
        mem[i] = "etaoinETAhr_7 , "[mem[i] % 16];
}
#endif
