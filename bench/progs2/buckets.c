/* Token buckets of flows: a table with chains and a free list, time in the packets, flows that are idle taken out. */
#include "prog.h"

enum { HEADS = 256, FLOWS = 1024, IDLE = 1 << 14, RATE = 3, BURST = 4000 };

struct flow {
    u32 key, tokens, seen, next; /* next: number + 1 */
};

struct table {
    u32 head[HEADS];
    struct flow flow[FLOWS];
};

PROG(mem, len)
{
    struct table *t = mem;
    const u32 *packet = (const u32 *)(t + 1), *end = (const u32 *)((const u8 *)mem + len);
    u32 now = 0, dropped = 0, passed = 0, free = 1;

    for (u32 i = START(0, len); LOOP(i < HEADS); i++)
        t->head[i] = 0;
    for (u32 i = START(0, len); LOOP(i < FLOWS); i++)
        t->flow[i].next = i + 2 <= FLOWS ? i + 2 : 0;
    for (; LOOP(packet + 2 <= end); packet += 2) {
        u32 key = packet[0] % 1500, size = 64 + packet[1] % 1400, at, *link = &t->head[key * 0x9e3779b1 >> 24];
        struct flow *f;

        now += packet[1] >> 26;
        while (LOOP(at = *link)) {
            f = &t->flow[at - 1];
            if (f->key == key)
                break;
            if (now - f->seen > IDLE) {
                *link = f->next;
                f->next = free;
                free = at;
            } else {
                link = &f->next;
            }
        }
        if (!at) {
            at = free;
            if (!at) {
                dropped++;
                continue;
            }
            f = &t->flow[at - 1];
            free = f->next;
            *f = (struct flow){key, BURST, now, 0};
            *link = at;
        }
        f = &t->flow[at - 1];
        f->tokens += (now - f->seen) * RATE;
        f->tokens = f->tokens > BURST ? BURST : f->tokens;
        f->seen = now;
        if (f->tokens >= size) {
            f->tokens -= size;
            passed += size;
        } else {
            dropped++;
        }
    }
    return (u64)passed << 32 | dropped;
}
