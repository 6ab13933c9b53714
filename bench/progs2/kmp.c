/* Knuth, Morris and Pratt: the failure function of a pattern, then every place where it stands in the text. */
#include "prog.h"

enum { PATTERN = 64 };

PROG(mem, len)
{
    u8 *pattern = mem, *fail = pattern + PATTERN, *text = fail + PATTERN;
    u32 n = (u32)len - 2 * PATTERN;
    u64 sum = 0;

    for (u32 m = START(3, len); LOOP(m <= 12); m += 3) {
        u32 k = 0;

        fail[0] = 0;
        for (u32 i = 1; LOOP(i < m); i++) {
            while (LOOP(k > 0 && pattern[k] != pattern[i]))
                k = fail[k - 1];
            k += pattern[k] == pattern[i];
            fail[i] = (u8)k;
        }
        k = 0;
        for (u32 i = 0; LOOP(i < n); i++) {
            while (LOOP(k > 0 && pattern[k] != text[i]))
                k = fail[k - 1];
            k += pattern[k] == text[i];
            if (k == m) {
                sum = sum * 3 + i;
                k = fail[k - 1];
            }
        }
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 i = 0; i < len; i++)
        mem[i] = "aaab"[mem[i] % 4];
}
#endif
