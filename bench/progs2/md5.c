/* MD5's four rounds over each block of the memory, with other additive constants (any will do). */
#include "prog.h"

#define K(i) ((u32)(((i) + 1) * 0x9e3779b97f4a7c15u >> 32))

#define STEP(f, i, g, r)                                                                                               \
    do {                                                                                                               \
        u32 t = a + (f) + K((u64)(i)) + m[(g) % 16];                                                                   \
                                                                                                                       \
        a = d, d = c, c = b;                                                                                           \
        b += rotl32(t, r);                                                                                             \
    } while (0)

#define ROUND(f, from, g, r0, r1, r2, r3)                                                                              \
    _Pragma("clang loop unroll(full)") for (u32 i = from; i < from + 16; i += 4)                                       \
    {                                                                                                                  \
        STEP(f, i, g(i), r0);                                                                                          \
        STEP(f, i + 1, g(i + 1), r1);                                                                                  \
        STEP(f, i + 2, g(i + 2), r2);                                                                                  \
        STEP(f, i + 3, g(i + 3), r3);                                                                                  \
    }

#define G0(i) (i)
#define G1(i) (5 * (i) + 1)
#define G2(i) (3 * (i) + 5)
#define G3(i) (7 * (i))

PROG(mem, len)
{
    u32 *h = mem, *m, *end = (u32 *)((u8 *)mem + len);

    for (m = h + 4; LOOP(m + 16 <= end); m += 16) {
        u32 a = h[0], b = h[1], c = h[2], d = h[3];

        ROUND((b & c) | (~b & d), 0, G0, 7, 12, 17, 22)
        ROUND((d & b) | (~d & c), 16, G1, 5, 9, 14, 20)
        ROUND(b ^ c ^ d, 32, G2, 4, 11, 16, 23)
        ROUND(c ^ (b | ~d), 48, G3, 6, 10, 15, 21)
        h[0] += a, h[1] += b, h[2] += c, h[3] += d;
    }
    return ((u64)h[0] << 32 | h[1]) ^ ((u64)h[2] << 32 | h[3]) * 3;
}
