/* Comma-separated values with quoted fields: a state machine that sums numbers by column and counts what is malformed.
 */
#include "prog.h"

enum { COLUMNS = 8 };

PROG(mem, len)
{
    u64 *sums = mem, result = 0;
    const u8 *p = (const u8 *)(sums + COLUMNS), *end = (const u8 *)mem + len;
    u32 column = START(0, len), quoted = START(0, len), bad = START(0, len), rows = START(0, len);
    u64 number = 0;

    for (u32 i = START(0, len); LOOP(i < COLUMNS); i++)
        sums[i] = 0;
    for (; LOOP(p < end); p++) {
        u8 c = *p;

        if (quoted) {
            if (c == '"')
                quoted = 0;
        } else if (c == '"') {
            quoted = 1;
        } else if (c == ',' || c == '\n') {
            if (column < COLUMNS)
                sums[column] += number;
            else
                bad++;
            number = 0;
            column = c == ',' ? column + 1 : 0;
            rows += c == '\n';
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + c - '0';
        } else {
            bad++;
        }
    }
    for (u32 i = START(0, len); LOOP(i < COLUMNS); i++)
        result = result * 7 + sums[i];
    return result ^ ((u64)rows << 32 | bad);
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 64; i < len; i++)
        mem[i] = "0123456789012345678901234567890123456789,,,,,,,\"\"\n x"[mem[i] % 52];
}
#endif
