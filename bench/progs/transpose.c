/* Transposes a square matrix of 32-bit integers in place, by tiles of 8, an odd number of times, and takes a checksum
 * of rows. */
#include "prog.h"

enum { PASSES = 5, N = 128, TILE = 8 };

PROG(mem, len)
{
    u32 *m = mem, sum = 0;

    if (len < N * N * sizeof(*m))
        return 0;
    for (u32 pass = 0; LOOP(pass < PASSES); pass++)
        for (u32 bi = 0; LOOP(bi < N); bi += TILE)
            for (u32 bj = 0; LOOP(bj <= bi); bj += TILE)
                for (u32 i = bi; LOOP(i < bi + TILE); i++)
                    for (u32 j = bj; LOOP(j < bj + TILE && j < i); j++) {
                        u32 t = m[i * N + j];

                        m[i * N + j] = m[j * N + i];
                        m[j * N + i] = t;
                    }
    for (u32 i = 0; LOOP(i < N * N); i += 5)
        sum = sum * 31 + m[i];
    return sum;
}
