/* Heap sort of 64-bit numbers, with sift-down as a local function. */
#include "prog.h"

NOINLINE void sift(u64 *heap, u32 at, u32 n);

PROG(mem, len)
{
    u64 *heap = mem, sum = 0;
    u32 n = (u32)len / 8;

    for (u32 i = n / 2; LOOP(i > 0); i--)
        sift(heap, i - 1, n);
    for (u32 end = n - 1; LOOP(end > 0); end--) {
        u64 top = heap[0];

        heap[0] = heap[end];
        heap[end] = top;
        sift(heap, 0, end);
    }
    for (u32 i = 1; LOOP(i < n); i++)
        sum += heap[i - 1] <= heap[i];
    return sum;
}

NOINLINE void sift(u64 *heap, u32 at, u32 n)
{
    u64 value = heap[at];

    while (LOOP(2 * at + 1 < n)) {
        u32 child = 2 * at + 1;

        if (child + 1 < n && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= value)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}
