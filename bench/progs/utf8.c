/* A state machine: checks UTF-8 and counts characters, by a table of states and byte classes at the memory's start. */
#include "prog.h"

enum { STATES = 8, CLASSES = 16, HEAD = 256 + STATES * CLASSES, BAD = 7 };

PROG(mem, len)
{
    const u8 *bytes = mem, *class_of = bytes, *next = bytes + 256;
    u32 n = (u32)len, state = 0, characters = 0, bad = 0;

    for (u32 i = HEAD; LOOP(i < n); i++) {
        state = next[state * CLASSES + class_of[bytes[i]]];
        if (state == 0) {
            characters++;
        } else if (state == BAD) {
            bad++;
            state = 0;
        }
    }
    return (u64)bad << 32 | characters;
}

#ifndef __bpf__
/* Classes: 0 ASCII, 1 continuation, 2..4 leaders of 2, 3 and 4 bytes, 5 never. States: 0 start, n: n more to come. */
FILL(mem, len)
{
    u8 *next = mem + 256;

    for (u64 i = HEAD; i < len;) {
        static const u8 text[] = "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x90\x9d bee";
        u64 at = mem[i] % 2 ? 0 : 12;

        for (; i < len && at < sizeof(text) - 1; i++)
            mem[i] = text[at++];
    }
    for (u32 c = 0; c < 256; c++)
        mem[c] = c < 0x80 ? 0 : c < 0xc0 ? 1 : c < 0xc2 ? 5 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 5;
    for (u32 state = 0; state < STATES; state++)
        for (u32 c = 0; c < CLASSES; c++)
            next[state * CLASSES + c] = state == 0 ? (c == 0             ? 0
                                                      : c >= 2 && c <= 4 ? (u8)(c - 1)
                                                                         : BAD)
                                        : c == 1   ? (u8)(state - 1)
                                                   : BAD;
}
#endif
