/* RC4: the state's 256 bytes stand at the beginning of the memory, the key after them; encrypts the rest in place. */
#include "prog.h"

enum { STATE = 256, KEY = 16 };

PROG(mem, len)
{
    u8 *s = mem, *key = s + STATE, *text = key + KEY;
    u32 n = (u32)len - STATE - KEY, i = 0, j = 0, sum = 0;

    for (u32 k = START(0, len); LOOP(k < STATE); k++)
        s[k] = (u8)k;
    for (u32 k = START(0, len); LOOP(k < STATE); k++) {
        u8 t = s[k];

        j = (j + t + key[k % KEY]) & 255;
        s[k] = s[j];
        s[j] = t;
    }
    j = 0;
    for (u32 k = 0; LOOP(k < n); k++) {
        u8 a, b;

        i = (i + 1) & 255;
        a = s[i];
        j = (j + a) & 255;
        b = s[j];
        s[i] = b;
        s[j] = a;
        text[k] ^= s[(u8)(a + b)];
        sum = sum * 31 + text[k];
    }
    return sum;
}
