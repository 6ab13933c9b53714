/* Moves at once as a sequence: every assignment of few registers, and random ones of many, run and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jit/target.h"
#include <string.h>

enum { SCRATCH = 31, OUTSIDE = 1000 };

static void try(const struct jit_move *moves, unsigned n)
{
    struct jit_move out[32];
    uint32_t regs[JIT_MAX_REGS], want[JIT_MAX_REGS];
    unsigned many = jit_moves(moves, n, SCRATCH, out);

    assert_true(many <= 2 * n);
    for (uint32_t r = 0; r < JIT_MAX_REGS; r++)
        regs[r] = want[r] = r;
    for (unsigned i = 0; i < n; i++)
        want[moves[i].dst] = moves[i].src == JIT_NO_REG ? OUTSIDE + moves[i].tag : moves[i].src;
    for (unsigned i = 0; i < many; i++) {
        assert_int_not_equal(out[i].dst, out[i].src);
        regs[out[i].dst] = out[i].src == JIT_NO_REG ? OUTSIDE + out[i].tag : regs[out[i].src];
    }
    regs[SCRATCH] = want[SCRATCH];
    assert_memory_equal(regs, want, sizeof(regs));
}

/* Each of five registers keeps its value, gets that of any of the five, or one from outside. */
static void all_of_five(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 7 * 7 * 7 * 7 * 7; code++) {
        struct jit_move moves[5];
        unsigned n = 0;

        for (unsigned r = 0, left = code; r < 5; r++, left /= 7)
            if (left % 7 < 6)
                moves[n++] = (struct jit_move){
                    .dst = (uint8_t)r, .src = left % 7 == 5 ? JIT_NO_REG : (uint8_t)(left % 7), .tag = r};
        try(moves, n);
    }
}

/* A move that only copies needs one step. */
static void no_step_too_many(void **state)
{
    const struct jit_move chain[] = {{0, 1, 0}, {1, 2, 0}, {2, 3, 0}, {4, 3, 0}, {5, 5, 0}};
    const struct jit_move cycles[] = {{0, 1, 0}, {1, 0, 0}, {2, 3, 0}, {3, 4, 0}, {4, 2, 0}};
    struct jit_move out[16];

    (void)state;
    assert_int_equal(jit_moves(chain, 5, SCRATCH, out), 4);
    assert_int_equal(jit_moves(cycles, 5, SCRATCH, out), 7);
}

static void random_of_sixteen(void **state)
{
    uint64_t x = 88172645463325252ull;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        struct jit_move moves[16];
        uint8_t dst[30];
        unsigned n = 0;

        for (unsigned r = 0; r < 30; r++)
            dst[r] = (uint8_t)r;
        for (; n < 1 + i % 16; n++) {
            unsigned at;

            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            at = n + (unsigned)(x >> 20) % (30 - n);
            moves[n] = (struct jit_move){.dst = dst[at], .src = (uint8_t)((x >> 33) % 30), .tag = n};
            if (!((x >> 45) % 9))
                moves[n].src = JIT_NO_REG;
            dst[at] = dst[n];
        }
        try(moves, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_five),
        cmocka_unit_test(no_step_too_many),
        cmocka_unit_test(random_of_sixteen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
