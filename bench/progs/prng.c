/* Random numbers: xorshift64* and PCG32 side by side, written to memory in turn. */
#include "prog.h"

PROG(mem, len)
{
    u64 *words = mem, x = words[0] | 1, state = words[1];
    u32 n = (u32)len / 8;

    for (u32 i = 0; LOOP(i < n); i++) {
        u32 mixed = (u32)((state >> 18 ^ state) >> 27), turn = (u32)(state >> 59);

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        words[i] = x * 0x2545f4914f6cdd1d ^ (mixed >> turn | mixed << (-turn & 31));
        state = state * 6364136223846793005 + 1442695040888963407;
    }
    return x ^ state;
}
