/*
 * Scalars against concrete runs at full width: random scalars are made around random values, an operation or a branch
 * is applied to both, and the concrete result must be among what the scalar stands for. The seed is fixed;
 * SCALAR_ROUNDS in the environment asks for more.
 */
#include "verifier/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Values cluster where bounds change: around 0, the sign changes and the half's ends. */
static uint64_t interesting(void)
{
    static const uint64_t at[] = {0,           1,           INT32_MAX,  0x80000000u, UINT32_MAX,
                                  0x100000000, INT64_MAX,   1ull << 63, UINT64_MAX,  0xffffffff80000000u,
                                  0x7f,        0xffffff7fu, 0x8000,     0xffff,      0xdeadbeefcafef00d};

    switch (rnd() % 4) {
    case 0: return rnd();
    case 1: return rnd() >> (rnd() % 64);
    default: return at[rnd() % (sizeof(at) / sizeof(at[0]))] + rnd() % 7 - 3;
    }
}

/* A scalar that holds x: by bits, by ranges of either width and sign, or by all of them. */
static struct scalar around(uint64_t x)
{
    struct scalar s = scalar_unknown();
    uint64_t other = rnd() % 2 ? interesting() : x + rnd() % 64 - 32, mask = rnd() & rnd();

    if (rnd() % 8 == 0)
        return scalar_const(x);
    if (rnd() % 2)
        s.t = (struct tnum){x & ~mask, mask};
    if (rnd() % 2)
        s.r.umin = x < other ? x : other, s.r.umax = x < other ? other : x;
    if (rnd() % 2)
        s.r.smin = (int64_t)x < (int64_t)other ? (int64_t)x : (int64_t)other,
        s.r.smax = (int64_t)x < (int64_t)other ? (int64_t)other : (int64_t)x;
    other = rnd() % 2 ? interesting() : x + rnd() % 64 - 32;
    if (rnd() % 2)
        s.w.umin = (uint32_t)x < (uint32_t)other ? (uint32_t)x : (uint32_t)other,
        s.w.umax = (uint32_t)x < (uint32_t)other ? (uint32_t)other : (uint32_t)x;
    if (rnd() % 2)
        s.w.smin = (int32_t)x < (int32_t)other ? (int32_t)x : (int32_t)other,
        s.w.smax = (int32_t)x < (int32_t)other ? (int32_t)other : (int32_t)x;
    if (!scalar_sync(&s) || !scalar_has(&s, x))
        fail_msg("sync loses %#lx", x);
    return s;
}

static unsigned long rounds(void)
{
    const char *more = getenv("SCALAR_ROUNDS");

    return more ? strtoul(more, NULL, 0) : 400;
}

static bool is_alu(enum isa_op op)
{
    enum isa_form f = isa_rows[op].form;

    return f == ISA_FORM_ALU_K || f == ISA_FORM_ALU_X || f == ISA_FORM_MOVSX || f == ISA_FORM_NEG || f == ISA_FORM_END;
}

static void test_alu(void **state)
{
    (void)state;
    for (unsigned op = 0; op < ISA_OP_COUNT; op++)
        for (unsigned long i = 0; is_alu((enum isa_op)op) && i < rounds() * 10; i++) {
            uint64_t x = interesting(), y = rnd() % 2 ? interesting() : rnd() % 70;
            struct scalar a = around(x), b = around(y), out = scalar_alu((enum isa_op)op, &a, &b), again = out;
            uint64_t exact = isa_eval_alu((enum isa_op)op, x, y);

            if (!scalar_has(&out, exact))
                fail_msg("%s: %#lx, %#lx gives %#lx, which is lost", isa_rows[op].name, x, y, exact);
            assert_true(scalar_sync(&again));
            assert_true((out.t.value & out.t.mask) == 0);
        }
}

static void test_branch(void **state)
{
    (void)state;
    for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
        enum isa_form f = isa_rows[op].form;

        for (unsigned long i = 0; (f == ISA_FORM_JMP_K || f == ISA_FORM_JMP_X) && i < rounds() * 20; i++) {
            uint64_t x = interesting(), y = rnd() % 2 ? interesting() : x + rnd() % 5 - 2;
            struct scalar a = around(x), b = around(y), na = a, nb = b;
            bool taken = isa_eval_jmp((enum isa_op)op, x, y);

            if (!scalar_branch((enum isa_op)op, taken, &na, &nb))
                fail_msg("%s: %#lx, %#lx is %d, which is called dead", isa_rows[op].name, x, y, taken);
            if (!scalar_has(&na, x) || !scalar_has(&nb, y))
                fail_msg("%s: %#lx, %#lx is lost in arm %d", isa_rows[op].name, x, y, taken);
            assert_true(scalar_within(&a, &na) && scalar_within(&b, &nb));
        }
    }
}

/* Constants decide every branch: the other arm is dead. */
static void test_branch_dead(void **state)
{
    (void)state;
    for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
        enum isa_form f = isa_rows[op].form;

        for (unsigned long i = 0; (f == ISA_FORM_JMP_K || f == ISA_FORM_JMP_X) && i < rounds(); i++) {
            uint64_t x = interesting(), y = rnd() % 2 ? interesting() : x;
            struct scalar a = scalar_const(x), b = scalar_const(y);

            assert_false(scalar_branch((enum isa_op)op, !isa_eval_jmp((enum isa_op)op, x, y), &a, &b));
        }
    }
}

static void test_sets(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < rounds() * 50; i++) {
        uint64_t x = interesting(), y = interesting();
        struct scalar a = around(x), b = around(y), j = scalar_join(&a, &b);

        assert_true(scalar_within(&j, &a) && scalar_within(&j, &b));
        assert_true(scalar_has(&j, x) && scalar_has(&j, y));
        if (scalar_within(&a, &b))
            assert_true(scalar_has(&a, y));
        for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
            struct scalar u = scalar_cast(&a, bytes, false), s = scalar_cast(&a, bytes, true);
            unsigned up = 64 - 8 * bytes;

            assert_true(scalar_has(&u, x << up >> up));
            assert_true(scalar_has(&s, (uint64_t)((int64_t)(x << up) >> up)));
        }
    }
}

/* What users rely on: a mask, a comparison, a shift and a division bound a value exactly. */
static void test_precision(void **state)
{
    struct scalar x = scalar_unknown(), k = scalar_const(0xff), out, zero = scalar_const(0);

    (void)state;
    out = scalar_alu(ISA_AND64_K, &x, &k);
    assert_true(out.r.umin == 0 && out.r.umax == 0xff && out.w.umax == 0xff && out.r.smin == 0);
    k = scalar_const(100);
    assert_true(scalar_branch(ISA_JLT64_K, true, &x, &k));
    assert_true(x.r.umax == 99 && x.r.smin == 0 && x.r.smax == 99 && x.w.umax == 99 && (x.t.mask == 127));
    out = scalar_alu(ISA_ADD32_X, &x, &x);
    assert_true(out.r.umax == 198);
    k = scalar_const(3);
    out = scalar_alu(ISA_LSH64_K, &x, &k);
    assert_true(out.r.umax == 99 * 8 && (out.t.mask & 7) == 0);
    k = scalar_const(10);
    out = scalar_alu(ISA_DIV64_K, &x, &k);
    assert_true(out.r.umax == 9);
    out = scalar_alu(ISA_MOD64_K, &x, &k);
    assert_true(out.r.umax == 9);
    x = scalar_unknown();
    assert_true(scalar_branch(ISA_JSGE32_K, true, &x, &zero));
    assert_true(x.w.umax == INT32_MAX);
    out = scalar_alu(ISA_MOV32_X, &x, &x);
    assert_true(out.r.umax == INT32_MAX && out.r.smin == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alu),  cmocka_unit_test(test_branch),    cmocka_unit_test(test_branch_dead),
        cmocka_unit_test(test_sets), cmocka_unit_test(test_precision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
