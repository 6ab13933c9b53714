/*
 * The order of blocks in machine code.
 */
#include "jit/alloc.h"

#include <stdlib.h>

void jit_frequencies(const struct ir_func *f, float *freq)
{
    static const float by_depth[] = { 1, 8, 64, 512, 4096, 32768 };

    for (uint32_t b = 0; b < f->n_blocks; b++) {
        uint32_t depth = f->blocks[b].depth;

        freq[b] = by_depth[depth < 6 ? depth : 5];
        if (f->blocks[b].cold)
            freq[b] /= 64;
    }
}

uint32_t *jit_layout(const struct ir_func *f, bool plain, uint32_t *n)
{
    size_t all = f->n_blocks;
    uint32_t *out = calloc(all ? all : 1, sizeof(*out)), *stack = malloc((all + 1) * sizeof(*stack));
    uint8_t *state = calloc(all ? all : 1, 1);
    uint32_t depth = 0, at = f->n_blocks;

    if (!out || !stack || !state) {
        free(out);
        free(stack);
        free(state);
        return NULL;
    }
    stack[depth++] = 0;
    state[0] = 1;
    while (depth) {
        uint32_t b = stack[depth - 1], to;

        if (state[b] == 3) {
            out[--at] = b;
            depth--;
            continue;
        }
        to = f->blocks[b].succ[state[b]++ - 1];
        if (to != IR_NO_BLOCK && !state[to]) {
            state[to] = 1;
            stack[depth++] = to;
        }
    }
    *n = f->n_blocks - at;
    if (plain) {
        uint32_t k = 0;

        for (uint32_t b = 0; b < f->n_blocks; b++)
            if (state[b])
                out[k++] = b;
    } else {
        for (uint32_t i = 0; i < *n; i++)
            out[i] = out[at + i];
    }
    free(stack);
    free(state);
    return out;
}
