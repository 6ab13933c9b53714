/* Quicksort by an explicit stack of ranges; the larger part waits, so the stack stays logarithmic. */
#include "prog.h"

enum { DEPTH = 32 };

struct range {
    u32 from, to; /* both inclusive */
};

PROG(mem, len)
{
    s32 *v = mem;
    struct range stack[DEPTH];
    u32 n = (u32)len / 4, depth = START(0, len);
    u64 sum = 0;

    stack[depth++] = (struct range){0, n - 1};
    while (LOOP(depth > 0)) {
        struct range r = stack[--depth & (DEPTH - 1)];

        while (LOOP(r.from < r.to)) {
            s32 pivot = v[(r.from + r.to) / 2];
            s64 i = r.from, j = r.to;
            struct range low, high;

            while (LOOP(i <= j)) {
                while (LOOP(v[i] < pivot))
                    i++;
                while (LOOP(v[j] > pivot))
                    j--;
                if (i <= j) {
                    s32 t = v[i];

                    v[i++] = v[j];
                    v[j--] = t;
                }
            }
            low = (struct range){r.from, j > (s64)r.from ? (u32)j : r.from};
            high = (struct range){(u32)i, r.to};
            if (j - (s64)r.from < (s64)r.to - i) {
                stack[depth++ & (DEPTH - 1)] = high;
                r = low;
            } else {
                stack[depth++ & (DEPTH - 1)] = low;
                r = high;
            }
        }
    }
    for (u32 i = 1; LOOP(i < n); i++)
        sum += v[i - 1] <= v[i];
    return sum;
}
