/* Poly1305 with five limbs of 26 bits over the memory; the key stands at its beginning. */
#include "prog.h"

enum { MASK = (1 << 26) - 1, PASSES = 2 };

PROG(mem, len)
{
    const u32 *p = mem, *end = (const u32 *)((const u8 *)mem + len);
    u64 h0 = 0, h1 = 0, h2 = 0, h3 = 0, h4 = 0;
    u64 r0 = p[0] & 0x3ffffff, r1 = (p[1] >> 2) & 0x3ffff03, r2 = (p[2] >> 4) & 0x3ffc0ff, r3 = (p[3] >> 6) & 0x3f03fff;
    u64 r4 = (p[3] >> 8) & 0x00fffff, s1 = r1 * 5, s2 = r2 * 5, s3 = r3 * 5, s4 = r4 * 5;

    for (u32 pass = START(0, len); LOOP(pass < PASSES); pass++)
        for (p = (const u32 *)mem + 4; LOOP(p + 4 <= end); p += 4) {
            u64 lo = p[0] | (u64)p[1] << 32, hi = p[2] | (u64)p[3] << 32, d0, d1, d2, d3, d4;

            h0 += lo & MASK;
            h1 += lo >> 26 & MASK;
            h2 += (lo >> 52 | hi << 12) & MASK;
            h3 += hi >> 14 & MASK;
            h4 += hi >> 40 | 1 << 24;
            d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
            d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2;
            d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3;
            d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4;
            d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0;
            d1 += d0 >> 26, h0 = d0 & MASK;
            d2 += d1 >> 26, h1 = d1 & MASK;
            d3 += d2 >> 26, h2 = d2 & MASK;
            d4 += d3 >> 26, h3 = d3 & MASK;
            h0 += (d4 >> 26) * 5, h4 = d4 & MASK;
            h1 += h0 >> 26, h0 &= MASK;
        }
    return (h0 | h1 << 26 | h2 << 52) ^ (h3 | h4 << 26);
}
