/* Adler-32, reduced every 5552 bytes. */
#include "prog.h"

enum { BASE = 65521, LARGEST = 5552 };

PROG(mem, len)
{
    const u8 *bytes = mem;
    u32 a = 1, b = 0, n = (u32)len, at = START(0, len);

    while (LOOP(at < n)) {
        u32 end = n - at > LARGEST ? at + LARGEST : n;

        for (; LOOP(at < end); at++) {
            a += bytes[at];
            b += a;
        }
        a %= BASE;
        b %= BASE;
    }
    return (u64)b << 16 | a;
}
