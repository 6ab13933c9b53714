/* Breadth-first search through a maze from several beginnings: a queue, and distances side by side with the walls. */
#include "prog.h"

enum { SIDE = 64, CELLS = SIDE * SIDE, STARTS = 8 };

struct maze {
    u8 wall[CELLS];
    u16 distance[CELLS];
    u16 queue[CELLS];
};

INLINE u32 visit(struct maze *m, u32 at, u32 distance, u32 tail)
{
    if (!m->wall[at] && !m->distance[at]) {
        m->distance[at] = (u16)distance;
        m->queue[tail] = (u16)at;
        tail = (tail + 1) % CELLS;
    }
    return tail;
}

PROG(mem, len)
{
    struct maze *m = mem;
    u64 sum = 0;

    (void)len;
    for (u32 start = START(0, len); LOOP(start < STARTS); start++) {
        u32 head = 0, tail;

        for (u32 i = 0; LOOP(i < CELLS); i++)
            m->distance[i] = 0;
        tail = visit(m, start * 517 % CELLS, 1, 0);
        while (LOOP(head != tail)) {
            u32 at = m->queue[head], next = m->distance[at] + 1u, x = at % SIDE, y = at / SIDE;

            head = (head + 1) % CELLS;
            sum += next;
            if (x > 0)
                tail = visit(m, at - 1, next, tail);
            if (x < SIDE - 1)
                tail = visit(m, at + 1, next, tail);
            if (y > 0)
                tail = visit(m, at - SIDE, next, tail);
            if (y < SIDE - 1)
                tail = visit(m, at + SIDE, next, tail);
        }
        sum = sum * 3 + tail;
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    (void)len;
    for (u32 i = 0; i < CELLS; i++)
        mem[i] = mem[i] < 70;
}
#endif
