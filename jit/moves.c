/*
 * Parallel moves. A move can be done alone once no move that is still to do reads its destination. When none is left
 * that can, what is left are cycles: the value that the first would destroy goes to the scratch register, and who
 * wanted it reads it there. What does not come from registers is done last, since it reads none.
 */
#include "jit/target.h"

static unsigned emit(struct jit_move *out, unsigned n, uint8_t dst, uint8_t src, uint32_t tag)
{
    out[n] = (struct jit_move){.dst = dst, .src = src, .tag = tag};
    return n + 1;
}

unsigned jit_moves(const struct jit_move *moves, unsigned n, uint8_t scratch, struct jit_move *out)
{
    uint8_t readers[JIT_MAX_REGS] = {0}, src[16];
    uint32_t todo = 0;
    unsigned done = 0;

    for (unsigned i = 0; i < n; i++) {
        src[i] = moves[i].src;
        if (src[i] == JIT_NO_REG || src[i] == moves[i].dst)
            continue;
        todo |= 1u << i;
        readers[src[i]]++;
    }
    while (todo) {
        uint32_t before = todo;

        for (uint32_t left = todo; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctz(left);

            if (readers[moves[i].dst])
                continue;
            done = emit(out, done, moves[i].dst, src[i], moves[i].tag);
            todo &= ~(1u << i);
            if (src[i] != scratch)
                readers[src[i]]--;
        }
        if (todo && todo == before) {
            uint8_t full = moves[__builtin_ctz(todo)].dst;

            for (uint32_t left = todo; left; left &= left - 1) {
                unsigned i = (unsigned)__builtin_ctz(left);

                if (src[i] == full) {
                    done = emit(out, done, scratch, full, moves[i].tag);
                    src[i] = scratch;
                }
            }
            readers[full] = 0;
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (src[i] == JIT_NO_REG)
            done = emit(out, done, moves[i].dst, JIT_NO_REG, moves[i].tag);
    return done;
}
