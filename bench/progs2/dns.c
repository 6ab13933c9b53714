/* Names of DNS messages: labels and compression pointers, hashed without regard to case and with a limit of jumps. */
#include "prog.h"

enum { MESSAGE = 512, NAMES = 16, JUMPS = 8 };

INLINE u32 name(const u8 *message, u32 at)
{
    u32 hash = 5381, jumps = 0;

    while (LOOP(at + 1 < MESSAGE)) {
        u32 n = message[at];

        if (!n)
            break;
        if (n >= 0xc0) {
            if (++jumps > JUMPS)
                return 1;
            at = load_be16(message + at) & (MESSAGE - 1);
            continue;
        }
        n &= 15;
        at++;
        for (u32 end = at + n; LOOP(at < end && at < MESSAGE); at++) {
            u8 c = message[at];

            hash = hash * 33 ^ (c - 'A' < 26u ? c | 32u : c);
        }
    }
    return hash + jumps;
}

PROG(mem, len)
{
    const u8 *message = mem;
    u64 sum = 0;

    for (u64 at = 0; LOOP(at + MESSAGE <= len); at += MESSAGE, message += MESSAGE)
        for (u32 i = 0; LOOP(i < NAMES); i++)
            sum = sum * 7 + name(message, message[i] * 2u);
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        if (i % MESSAGE > 64 && mem[i] < 24)
            mem[i] = 0;
        else if (mem[i] > 0xc0 && mem[i] % 4)
            mem[i] = (u8)(mem[i] - 100);
}
#endif
