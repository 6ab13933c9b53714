/*
 * The order of blocks in machine code.
 */
#include "jit/alloc.h"

#include <stdlib.h>

void jit_frequencies(const struct ir_func *f, float *freq)
{
    static const float by_depth[] = {1, 8, 64, 512, 4096, 32768};

    for (uint32_t b = 0; b < f->n_blocks; b++) {
        uint32_t depth = f->blocks[b].depth;

        freq[b] = by_depth[depth < 6 ? depth : 5];
        if (f->blocks[b].cold)
            freq[b] /= 64;
    }
}

static int rising(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

uint32_t *jit_layout(const struct ir_func *f, bool plain, uint32_t *n)
{
    uint32_t *order = ir_order(f, n);

    if (order && plain)
        qsort(order, *n, sizeof(*order), rising);
    return order;
}
