/* Finds every occurrence of a word in a text (Horspool), with its table of shifts on the stack. */
#include "prog.h"

enum { WORD = 8 };

PROG(mem, len)
{
    const u8 *word = mem, *text = word + WORD;
    u32 n = (u32)len - WORD, at = 0, found = 0, where = 0;
    u8 shift[256];

    for (u32 i = 0; LOOP(i < 256); i++)
        shift[i] = WORD;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < WORD - 1; i++)
        shift[word[i]] = (u8)(WORD - 1 - i);
    while (LOOP(at + WORD <= n)) {
        u32 i = WORD;

        while (LOOP(i > 0 && text[at + i - 1] == word[i - 1]))
            i--;
        if (!i) {
            found++;
            where ^= at;
        }
        at += shift[text[at + WORD - 1]];
    }
    return (u64)found << 32 | where;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = "abcd"[mem[i] & 3];
    for (u64 i = 0; i < WORD; i++)
        mem[i] = "abcadabc"[i];
}
#endif
