/*
 * The verifier's mathematics, exhaustively where that can be done: tristate numbers over all values of 5 bits, ranges
 * over all pairs of 8-bit ranges that a coarse grid of bounds makes, each against every concrete value that they hold.
 */
#include "verifier/range.h"
#include "verifier/tnum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RANGE_BITS 8
#include "verifier/range.inc"

enum { BITS = 5, SPAN = 1 << BITS };

typedef struct tnum (*tnum_op)(struct tnum, struct tnum);

static void check_tnum(tnum_op op, uint64_t (*exact)(uint64_t, uint64_t))
{
    for (uint64_t am = 0; am < SPAN; am++)
        for (uint64_t av = 0; av < SPAN; av++)
            for (uint64_t bm = 0; bm < SPAN; bm++)
                for (uint64_t bv = 0; bv < SPAN; bv++) {
                    if ((av & am) || (bv & bm))
                        continue;
                    struct tnum out = op((struct tnum){av, am}, (struct tnum){bv, bm});

                    assert_true((out.value & out.mask) == 0);
                    for (uint64_t x = 0; x < SPAN; x++)
                        for (uint64_t y = 0; y < SPAN; y++)
                            if ((x & ~am) == av && (y & ~bm) == bv && !tnum_has(out, exact(x, y)))
                                fail_msg("(%lu,%lu) op (%lu,%lu) loses %lu op %lu", av, am, bv, bm, x, y);
                }
}

#define EXACT(name, expr)                                                                                              \
    static uint64_t exact_##name(uint64_t x, uint64_t y)                                                               \
    {                                                                                                                  \
        return expr;                                                                                                   \
    }
EXACT(add, x + y)
EXACT(sub, x - y)
EXACT(and, x &y)
EXACT(or, x | y)
EXACT(xor, x ^ y)
EXACT(mul, x *y)

static void test_tnum_binary(void **state)
{
    (void)state;
    check_tnum(tnum_add, exact_add);
    check_tnum(tnum_sub, exact_sub);
    check_tnum(tnum_and, exact_and);
    check_tnum(tnum_or, exact_or);
    check_tnum(tnum_xor, exact_xor);
    check_tnum(tnum_mul, exact_mul);
}

static void test_tnum_unary(void **state)
{
    (void)state;
    for (uint64_t m = 0; m < 256; m++)
        for (uint64_t v = 0; v < 256; v++) {
            struct tnum t = {v, m};

            if (v & m)
                continue;
            for (uint64_t x = 0; x < 256; x++) {
                if (!tnum_has(t, x))
                    continue;
                for (unsigned s = 0; s < 8; s++) {
                    assert_true(tnum_has(tnum_lsh(t, s), x << s));
                    assert_true(tnum_has(tnum_rsh(t, s), x >> s));
                    assert_true(tnum_has(tnum_arsh(t, s, 8), (uint8_t)((int8_t)x >> s)));
                    assert_true(tnum_has(tnum_arsh(tnum_lsh(t, 56), s, 64), (uint64_t)((int64_t)(x << 56) >> s)));
                }
                assert_true(tnum_has(tnum_neg(t), -x));
                assert_true(tnum_has(tnum_sext(t, 8), (uint64_t)(int8_t)x));
                assert_true(tnum_has(tnum_trunc(t, 3), x & 7));
                assert_true(tnum_has(tnum_bswap(t, 16), __builtin_bswap16((uint16_t)x)));
            }
        }
}

static void test_tnum_sets(void **state)
{
    (void)state;
    for (uint64_t lo = 0; lo < 256; lo++)
        for (uint64_t hi = lo; hi < 256; hi++) {
            struct tnum t = tnum_range(lo, hi);

            for (uint64_t x = lo; x <= hi; x++)
                assert_true(tnum_has(t, x));
            assert_true(tnum_umin(t) <= lo && tnum_umax(t) >= hi);
        }
    for (uint64_t i = 0; i < SPAN * SPAN; i++)
        for (uint64_t j = 0; j < SPAN * SPAN; j++) {
            struct tnum a = {i % SPAN, i / SPAN}, b = {j % SPAN, j / SPAN}, meet;

            if ((a.value & a.mask) || (b.value & b.mask))
                continue;
            bool some = tnum_meet(a, b, &meet), within = true;

            for (uint64_t x = 0; x < SPAN; x++) {
                assert_int_equal(tnum_has(a, x) && tnum_has(b, x), some && tnum_has(meet, x));
                if (tnum_has(a, x) || tnum_has(b, x))
                    assert_true(tnum_has(tnum_join(a, b), x));
                if (tnum_has(b, x) && !tnum_has(a, x))
                    within = false;
            }
            assert_int_equal(within, tnum_within(a, b));
        }
}

/* A grid of bounds that has every border and its neighbours. */
static const uint8_t grid[] = {0, 1, 2, 5, 16, 100, 126, 127, 128, 129, 140, 200, 254, 255};
enum { GRID = sizeof(grid) };

static struct range8 ranges[GRID * GRID * GRID * GRID];
static unsigned n_ranges;

static void make_ranges(unsigned stride)
{
    unsigned i = 0;

    n_ranges = 0;
    for (unsigned a = 0; a < GRID; a++)
        for (unsigned b = a; b < GRID; b++)
            for (unsigned c = 0; c < GRID; c++)
                for (unsigned d = 0; d < GRID; d++) {
                    struct range8 r = {grid[a], grid[b], (int8_t)grid[c], (int8_t)grid[d]};

                    if (r.smin <= r.smax && i++ % stride == 0)
                        ranges[n_ranges++] = r;
                }
}

/* sync loses no value, and says that none is left only when none is. */
static void test_range_sync(void **state)
{
    (void)state;
    make_ranges(1);
    for (unsigned i = 0; i < n_ranges; i++) {
        struct range8 r = ranges[i], before = r;
        bool some = range8_sync(&r), any = false;
        int umin = 256, umax = -1;

        for (int x = 0; x < 256; x++) {
            if (!range8_has(before, (uint8_t)x))
                continue;
            any = true;
            umin = x < umin ? x : umin;
            umax = x > umax ? x : umax;
            assert_true(some && range8_has(r, (uint8_t)x));
        }
        assert_int_equal(some, any);
        if (any) { /* the bounds are exact after at most two rounds */
            assert_true(range8_sync(&r));
            assert_int_equal(r.umin, umin);
            assert_int_equal(r.umax, umax);
        }
    }
}

typedef struct range8 (*range_op)(struct range8, struct range8);

static void check_range(const char *name, range_op op, uint8_t (*exact)(uint8_t, uint8_t))
{
    for (unsigned i = 0; i < n_ranges; i++)
        for (unsigned j = 0; j < n_ranges; j++) {
            struct range8 a = ranges[i], b = ranges[j], out = op(a, b);

            for (int x = a.umin; x <= a.umax; x++) {
                if (!range8_has(a, (uint8_t)x))
                    continue;
                for (int y = b.umin; y <= b.umax; y++)
                    if (range8_has(b, (uint8_t)y) && !range8_has(out, exact((uint8_t)x, (uint8_t)y)))
                        fail_msg("%s: [%d,%d] s[%d,%d] with [%d,%d] s[%d,%d] loses %d, %d", name, a.umin, a.umax,
                                 a.smin, a.smax, b.umin, b.umax, b.smin, b.smax, x, y);
            }
        }
}

#define EXACT8(name, expr)                                                                                             \
    static uint8_t exact8_##name(uint8_t x, uint8_t y)                                                                 \
    {                                                                                                                  \
        return (uint8_t)(expr);                                                                                        \
    }
EXACT8(add, x + y)
EXACT8(sub, x - y)
EXACT8(mul, x *y)
EXACT8(udiv, y ? x / y : 0)
EXACT8(umod, y ? x % y : x)
EXACT8(and, x &y)
EXACT8(or, x | y)
EXACT8(xor, x ^ y)

static void test_range_binary(void **state)
{
    (void)state;
    make_ranges(23);
#define CHECK(name) check_range(#name, range8_##name, exact8_##name)
    CHECK(add);
    CHECK(sub);
    CHECK(mul);
    CHECK(udiv);
    CHECK(umod);
    CHECK(and);
    CHECK(or);
    CHECK(xor);
}

static void test_range_shifts(void **state)
{
    (void)state;
    make_ranges(1);
    for (unsigned i = 0; i < n_ranges; i++)
        for (unsigned s = 0; s < 8; s++)
            for (int x = 0; x < 256; x++) {
                if (!range8_has(ranges[i], (uint8_t)x))
                    continue;
                assert_true(range8_has(range8_lsh(ranges[i], s), (uint8_t)(x << s)));
                assert_true(range8_has(range8_rsh(ranges[i], s), (uint8_t)(x >> s)));
                assert_true(range8_has(range8_arsh(ranges[i], s), (uint8_t)((int8_t)x >> s)));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tnum_binary), cmocka_unit_test(test_tnum_unary),   cmocka_unit_test(test_tnum_sets),
        cmocka_unit_test(test_range_sync),  cmocka_unit_test(test_range_binary), cmocka_unit_test(test_range_shifts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
