/* CRC-32 with a table of 256 words that the program builds at the start of its memory. */
#include "prog.h"

PROG(mem, len)
{
    u32 *table = mem, crc = 0xffffffff, n = (u32)len;
    const u8 *bytes = mem;

    for (u32 i = 0; LOOP(i < 256); i++) {
        u32 c = i;

#pragma clang loop unroll(full)
        for (u32 bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        table[i] = c;
    }
    for (u32 i = 1024; LOOP(i < n); i++)
        crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}
