/* Disjoint sets with union by size and path halving. */
#include "prog.h"

enum { N = 4096 };

INLINE u32 find(u16 *parent, u32 x)
{
    while (LOOP(parent[x] != x)) {
        parent[x] = parent[parent[x]];
        x = parent[x];
    }
    return x;
}

PROG(mem, len)
{
    u16 *parent = mem, *size = parent + N, *pairs = size + N, *end = (u16 *)((u8 *)mem + len);
    u64 sum = 0;

    for (u32 i = START(0, len); LOOP(i < N); i++) {
        parent[i] = (u16)i;
        size[i] = 1;
    }
    for (; LOOP(pairs < end); pairs += 2) {
        u32 a = find(parent, pairs[0] % N), b = find(parent, pairs[1] % N);

        if (a == b) {
            sum++;
            continue;
        }
        if (size[a] < size[b]) {
            u32 t = a;

            a = b;
            b = t;
        }
        parent[b] = (u16)a;
        size[a] = (u16)(size[a] + size[b]);
    }
    for (u32 i = 0; LOOP(i < N); i++)
        sum = sum * 3 + find(parent, i);
    return sum;
}
