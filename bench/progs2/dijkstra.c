/* Shortest paths from several nodes with a binary heap of (distance, node) in one word. */
#include "prog.h"

enum { NODES = 512, EDGES = 8, HEAP = 8192, STARTS = 6 };

struct graph {
    u64 heap[HEAP];
    u32 distance[NODES];
    u32 edge[NODES][EDGES]; /* weight << 16 | to */
};

PROG(mem, len)
{
    struct graph *g = mem;
    u64 *heap = g->heap, sum = 0;

    (void)len;
    for (u32 start = START(0, len); LOOP(start < STARTS); start++) {
        u32 n = 1;

        for (u32 i = 0; LOOP(i < NODES); i++)
            g->distance[i] = ~0u;
        g->distance[start] = 0;
        heap[1] = start;
        while (LOOP(n > 0)) {
            u64 top = heap[1], last = heap[n--];
            u32 at = (u32)top % NODES, way = (u32)(top >> 32), k = 1;

            while (LOOP(2 * k <= n)) {
                u32 child = 2 * k;

                child += child < n && heap[child + 1] < heap[child];
                if (heap[child] >= last)
                    break;
                heap[k] = heap[child];
                k = child;
            }
            heap[k] = last;
            sum += way;
            if (way > g->distance[at])
                continue;
            for (u32 e = 0; LOOP(e < EDGES); e++) {
                u32 edge = g->edge[at][e], to = edge % NODES, there = way + (edge >> 16);

                if (there >= g->distance[to] || n + 1 >= HEAP)
                    continue;
                g->distance[to] = there;
                for (k = ++n; LOOP(k > 1 && heap[k / 2] > ((u64)there << 32 | to)); k /= 2)
                    heap[k] = heap[k / 2];
                heap[k] = (u64)there << 32 | to;
            }
        }
        for (u32 i = 0; LOOP(i < NODES); i++)
            sum = sum * 3 + g->distance[i];
    }
    return sum;
}
