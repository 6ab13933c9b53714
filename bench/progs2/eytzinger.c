/* Searches in a complete binary tree that stands in the order of its levels; a step is a comparison and an addition. */
#include "prog.h"

enum { HEIGHT = 12, NODES = 1 << HEIGHT, ROUNDS = 4 };

PROG(mem, len)
{
    const u32 *tree = mem, *keys = tree + NODES;
    u32 n = (u32)len / 4 - NODES;
    u64 sum = 0;

    for (u32 round = START(0, len); LOOP(round < ROUNDS); round++)
        for (u32 i = 0; LOOP(i < n); i++) {
            u32 key = keys[i] + round, k = 1;

            while (LOOP(k < NODES))
                k = 2 * k + (tree[k] < key);
            sum += k ^ i;
        }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    u32 *tree = (u32 *)mem;

    (void)len;
    for (u32 level = 0; level < HEIGHT; level++)
        for (u32 i = 0; i < 1u << level; i++)
            tree[(1u << level) + i] = ((2 * i + 1) << (HEIGHT - 1 - level)) << (32 - HEIGHT);
}
#endif
