/* Longest prefix match in a binary trie of addresses, one bit a step. */
#include "prog.h"

enum { NODES = 4096, PREFIXES = 600 };

struct node {
    u16 child[2]; /* 0: none */
    u32 value;    /* 0: no prefix ends here */
};

PROG(mem, len)
{
    const struct node *nodes = mem;
    const u32 *addresses = (const u32 *)(nodes + NODES);
    u32 n = ((u32)len - NODES * sizeof(*nodes)) / 4;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < n); i++) {
        u32 bits = addresses[i], at = 0, best = 0;

        do {
            const struct node *node = &nodes[at];

            if (node->value)
                best = node->value;
            at = node->child[bits >> 31];
            bits <<= 1;
        } while (LOOP(at));
        sum = sum * 5 + best;
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    struct node *nodes = (struct node *)mem;
    u32 *addresses = (u32 *)(nodes + NODES), used = 1, n = ((u32)len - NODES * sizeof(*nodes)) / 4;

    for (u32 i = 0; i < NODES; i++)
        nodes[i] = (struct node){0};
    for (u32 i = 0; i < PREFIXES; i++) {
        u32 bits = addresses[i], length = 8 + addresses[n - 1 - i] % 17, at = 0;

        for (u32 k = 0; k < length && used < NODES; k++, bits <<= 1) {
            u16 *child = &nodes[at].child[bits >> 31];

            if (!*child)
                *child = (u16)used++;
            at = *child;
        }
        nodes[at].value = i + 1;
    }
    for (u32 i = 0; i < n; i++) /* most addresses begin as a prefix does */
        if (i % 4)
            addresses[i] = (addresses[i] & 0xffff) | (addresses[i % PREFIXES] & 0xffff0000);
}
#endif
