/* Run-length compression of the first third into the rest, and back again over the first. */
#include "prog.h"

PROG(mem, len)
{
    u32 n = (u32)len / 3, at = START(0, len), written = START(0, len), sum = START(0, len);
    u8 *in = mem, *out = in + n;

    while (LOOP(at < n)) {
        u8 c = in[at];
        u32 run = 1;

        while (LOOP(at + run < n && run < 255 && in[at + run] == c))
            run++;
        out[written++] = (u8)run;
        out[written++] = c;
        at += run;
    }
    at = 0;
    for (u32 i = 0; LOOP(i < written); i += 2) {
        u8 c = (u8)(out[i + 1] + i);

        for (u32 run = out[i]; LOOP(run > 0); run--)
            in[at++] = c;
        sum = sum * 31 + c;
    }
    return (u64)sum << 32 | written;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 1; i < len; i++)
        if (mem[i] % 8 > 1)
            mem[i] = mem[i - 1];
}
#endif
