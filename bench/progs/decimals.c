/* Reads decimal numbers with sign and fraction, one a line, and writes their sum's digits back. */
#include "prog.h"

PROG(mem, len)
{
    u8 *text = mem;
    u32 n = (u32)len, at = START(0, len);
    s64 sum = 0;
    u64 rest;

    while (LOOP(at < n)) {
        s64 value = 0;
        u32 negative = text[at] == '-', scale = 3;

        at += negative;
        for (; LOOP(at < n && text[at] - '0' < 10u); at++)
            value = value * 10 + (text[at] - '0');
        if (at < n && text[at] == '.')
            for (at++; LOOP(at < n && text[at] - '0' < 10u); at++)
                if (scale) {
                    value = value * 10 + (text[at] - '0');
                    scale--;
                }
        for (; scale; scale--)
            value *= 10;
        sum += negative ? -value : value;
        at++;
    }
    rest = (u64)sum;
    for (u32 i = 0; i < 20; i++) {
        text[19 - i] = '0' + rest % 10;
        rest /= 10;
    }
    return (u64)sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++) {
        u32 column = i % 12;

        mem[i] = column == 11 ? '\n' : column == 7 ? '.' : column == 0 && mem[i] & 1 ? '-' : (u8)('0' + mem[i] % 10);
    }
}
#endif
