/* CRC-16 bit by bit, most significant bit first, and the same from the other side. */
#include "prog.h"

PROG(mem, len)
{
    const u8 *p = mem;
    u32 a = START(0xffff, len), b = START(0, len);

    for (u64 i = 0; LOOP(i < len); i++) {
        a ^= (u32)p[i] << 8;
        b ^= p[i];
#pragma clang loop unroll(full)
        for (u32 k = 0; k < 8; k++) {
            a = (a & 0x8000 ? a << 1 ^ 0x1021 : a << 1) & 0xffff;
            b = b & 1 ? b >> 1 ^ 0xa001 : b >> 1;
        }
    }
    return a << 16 | b;
}
