/* The k-th smallest (Hoare's selection) for a few k, each in its own part of the memory. */
#include "prog.h"

enum { PARTS = 8 };

PROG(mem, len)
{
    u32 n = (u32)len / 4 / PARTS;
    u64 sum = 0;

    for (u32 part = START(0, len); LOOP(part < PARTS); part++) {
        u32 *v = (u32 *)mem + part * n;
        s64 low = 0, high = (s64)n - 1, k = n * (part + 1) / (PARTS + 1);

        while (LOOP(low < high)) {
            u32 pivot = v[k];
            s64 i = low, j = high;

            while (LOOP(i <= j)) {
                while (LOOP(v[i] < pivot))
                    i++;
                while (LOOP(v[j] > pivot))
                    j--;
                if (i <= j) {
                    u32 t = v[i];

                    v[i++] = v[j];
                    v[j--] = t;
                }
            }
            if (j < k)
                low = i;
            if (k < i)
                high = j;
        }
        sum += v[k];
    }
    return sum;
}
