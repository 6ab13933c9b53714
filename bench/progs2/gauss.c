/* Elimination in a square matrix modulo a prime: pivots, inverses by powers, the determinant. */
#include "prog.h"

enum { N = 60, P = 65521 };

INLINE u32 inverse(u32 x)
{
    u32 result = 1;

    for (u32 e = P - 2; LOOP(e > 0); e >>= 1) {
        if (e & 1)
            result = (u32)((u64)result * x % P);
        x = (u32)((u64)x * x % P);
    }
    return result;
}

PROG(mem, len)
{
    u32 *m = mem;
    u32 determinant = 1;

    (void)len;
    for (u32 i = START(0, len); LOOP(i < N * N); i++)
        m[i] %= P;
    for (u32 c = START(0, len); LOOP(c < N); c++) {
        u32 pivot = c, scale;

        while (LOOP(pivot < N && !m[pivot * N + c]))
            pivot++;
        if (pivot == N)
            return 0;
        if (pivot != c)
            for (u32 k = c; LOOP(k < N); k++) {
                u32 t = m[c * N + k];

                m[c * N + k] = m[pivot * N + k];
                m[pivot * N + k] = t;
            }
        determinant = (u32)((u64)determinant * m[c * N + c] % P);
        scale = inverse(m[c * N + c]);
        for (u32 r = c + 1; LOOP(r < N); r++) {
            u64 f = (u64)m[r * N + c] * scale % P;

            for (u32 k = c; LOOP(k < N); k++)
                m[r * N + k] = (u32)((m[r * N + k] + (P - f) * m[c * N + k]) % P);
        }
    }
    return determinant;
}
