/* A table of counters with open addressing, as programs without maps would keep it: counts keys, then sums. */
#include "prog.h"

enum { SLOTS = 1024 };

struct slot {
    u32 key, count;
};

PROG(mem, len)
{
    struct slot *slots = mem;
    const u32 *keys = (const u32 *)(slots + SLOTS);
    u32 n = (u32)(len - SLOTS * sizeof(*slots)) / 4;
    u64 sum = 0;

    for (u32 i = 0; LOOP(i < SLOTS); i++)
        slots[i] = (struct slot){0, 0};
    for (u32 i = 0; LOOP(i < n); i++) {
        u32 key = keys[i] % 700 + 1, at = key * 0x9e3779b1 >> 22;

        while (LOOP(slots[at].key && slots[at].key != key))
            at = (at + 1) % SLOTS;
        slots[at].key = key;
        slots[at].count++;
    }
    for (u32 i = 0; LOOP(i < SLOTS); i++)
        sum += (u64)slots[i].key * slots[i].count;
    return sum;
}
