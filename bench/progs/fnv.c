/* FNV-1a over each line of 64 bytes, the hashes mixed. */
#include "prog.h"

PROG(mem, len)
{
    const u8 *bytes = mem;
    u32 n = (u32)len;
    u64 mix = 0;

    for (u32 at = 0; LOOP(at + 64 <= n); at += 64) {
        u64 hash = 0xcbf29ce484222325;

#pragma clang loop unroll(disable)
        for (u32 i = 0; i < 64; i++)
            hash = (hash ^ bytes[at + i]) * 0x100000001b3;
        mix ^= hash + at;
    }
    return mix;
}
