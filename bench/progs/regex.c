/* A small regular expression matcher with back-tracking on an explicit stack: letters, `.` and `*` after a letter. */
#include "prog.h"

enum { DEPTH = 32, LINE = 48, PATTERN = 16 };

/* Does the pattern match from the start of this line? */
INLINE u32 matches(const u8 *pattern, const u8 *line)
{
    u16 stack[DEPTH]; /* where to try again: pattern << 8 | line */
    u32 depth = 1;

    stack[0] = 0;
    while (LOOP(depth > 0)) {
        u32 again = stack[--depth & (DEPTH - 1)], p = again >> 8, t = again & 255;

        while (LOOP(p < PATTERN)) {
            u32 c = pattern[p], fits = t < LINE && (c == '.' || c == line[t]);

            if (!c)
                return t + 1;
            if (pattern[p + 1] == '*') {
                if (fits && depth < DEPTH)
                    stack[depth++ & (DEPTH - 1)] = (u16)(p << 8 | (t + 1));
                p += 2;
            } else if (fits) {
                p++;
                t++;
            } else {
                break;
            }
        }
    }
    return 0;
}

PROG(mem, len)
{
    const u8 *pattern = mem, *line = pattern + 32;
    u32 n = ((u32)len - 32) / LINE;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++, line += LINE)
        sum = sum * 3 + matches(pattern, line);
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = i < 32 ? 0 : "aab"[mem[i] % 3];
    for (u64 i = 0; i < 11; i++)
        mem[i] = "a*.*b*abb.a"[i];
}
#endif
