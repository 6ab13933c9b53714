/* Counts, for each line of a text, its length, its capital letters, and how it compares with the line before. */
#include "prog.h"

PROG(mem, len)
{
    const u8 *text = mem;
    u32 n = (u32)len, at = START(0, len), last = 0, greater = 0, capitals = 0, longest = 0;

    while (LOOP(at < n)) {
        u32 end = at, i = 0;

        while (LOOP(end < n && text[end] != '\n')) {
            capitals += text[end] - 'A' < 26u;
            end++;
        }
        if (end - at > longest)
            longest = end - at;
        while (LOOP(i < end - at && text[last + i] == text[at + i]))
            i++;
        greater += text[at + i] > text[last + i];
        last = at;
        at = end + 1;
    }
    return (u64)greater << 40 ^ (u64)capitals << 16 ^ longest;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = i + 1 == len || mem[i] < 8 ? '\n' : i % 3 ? (u8)("eE"[mem[i] & 1]) : (u8)('a' + mem[i] % 4);
}
#endif
