/* The sieve of Eratosthenes over the memory, one byte a number; returns how many primes and their sum. */
#include "prog.h"

PROG(mem, len)
{
    u8 *composite = mem;
    u32 n = (u32)len, count = 0;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++)
        composite[i] = 0;
    for (u32 i = START(2, len); LOOP(i < n); i++) {
        if (composite[i])
            continue;
        count++;
        sum += i;
        for (u64 j = (u64)i * i; LOOP(j < n); j += i)
            composite[j] = 1;
    }
    return sum << 24 ^ count;
}
