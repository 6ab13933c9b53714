/* A wavelet transform by lifting, level by level, and back again after small coefficients were dropped. */
#include "prog.h"

PROG(mem, len)
{
    s32 *v = mem, *room = v + len / 8;
    u32 n = (u32)len / 8, kept = 0, sum = 0;

    for (u32 i = 0; LOOP(i < n); i++)
        v[i] >>= 16;
    for (u32 size = n; LOOP(size > 1); size /= 2) {
        u32 half = size / 2;

        for (u32 i = 0; LOOP(i < half); i++) {
            s32 next = i + 1 < half ? v[2 * i + 2] : v[2 * i];
            s32 detail = v[2 * i + 1] - ((v[2 * i] + next) >> 1);

            room[half + i] = detail;
            room[i] = v[2 * i] + (detail >> 2);
        }
        for (u32 i = 0; LOOP(i < size); i++)
            v[i] = room[i] ^ (s32)(i & 1);
    }
    for (u32 i = 0; LOOP(i < n); i++) {
        if (v[i] < 9000 && v[i] > -9000)
            v[i] = 0;
        else
            kept++;
    }
    for (u32 size = 2; LOOP(size <= n); size *= 2) {
        u32 half = size / 2;

        for (u32 i = 0; LOOP(i < half); i++)
            room[2 * i] = v[i] - (v[half + i] >> 2);
        for (u32 i = 0; LOOP(i < half); i++) {
            s32 next = i + 1 < half ? room[2 * i + 2] : room[2 * i];

            room[2 * i + 1] = v[half + i] + ((room[2 * i] + next) >> 1);
        }
        for (u32 i = 0; LOOP(i < size); i++)
            v[i] = room[i] ^ (s32)(i & 1);
    }
    for (u32 i = 0; LOOP(i < n); i++)
        sum = sum * 3 + (u32)v[i];
    return (u64)sum << 32 | kept;
}
