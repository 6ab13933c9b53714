/* Bob Jenkins' lookup3 over records of 48 bytes, as packet programs hash flow keys; each hash starts from the last. */
#include "prog.h"

enum { RECORD = 12 };

PROG(mem, len)
{
    const u32 *words = mem;
    u32 n = (u32)len / 4, hash = 0;

    for (u32 at = 0; LOOP(at + RECORD <= n); at += RECORD) {
        u32 a = 0xdeadbeef + RECORD * 4 + hash, b = a, c = a;

#pragma clang loop unroll(disable)
        for (u32 i = 0; i < RECORD; i += 3) {
            a += words[at + i];
            b += words[at + i + 1];
            c += words[at + i + 2];
            a = (a - c) ^ rotl32(c, 4), c += b;
            b = (b - a) ^ rotl32(a, 6), a += c;
            c = (c - b) ^ rotl32(b, 8), b += a;
            a = (a - c) ^ rotl32(c, 16), c += b;
            b = (b - a) ^ rotl32(a, 19), a += c;
            c = (c - b) ^ rotl32(b, 4), b += a;
        }
        c = (c ^ b) - rotl32(b, 14);
        a = (a ^ c) - rotl32(c, 11);
        b = (b ^ a) - rotl32(a, 25);
        c = (c ^ b) - rotl32(b, 16);
        a = (a ^ c) - rotl32(c, 4);
        b = (b ^ a) - rotl32(a, 14);
        c = (c ^ b) - rotl32(b, 24);
        hash = c;
    }
    return hash;
}
