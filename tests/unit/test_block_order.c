/* The order of blocks: loops as they should lie, the unlikely out of the way, and on random functions nothing lost. */
#include "tests/unit/alloc_make.h"

static void jump(struct made *m, uint32_t from, uint32_t to)
{
    put(m, from, IR_JMP);
    m->f.blocks[from].succ[0] = to;
}

static struct ir_op *branch(struct made *m, uint32_t from, uint32_t yes, uint32_t no)
{
    struct ir_op *op = put(m, from, IR_BR);

    op->a = IR_R1;
    op->b = IR_R1 + 1;
    m->f.blocks[from].succ[0] = yes;
    m->f.blocks[from].succ[1] = no;
    return op;
}

static void leave(struct made *m, uint32_t block, enum ir_kind how)
{
    struct ir_op *op = put(m, block, IR_LOAD);

    op->dst = IR_R1;
    op->base = IR_R1;
    put(m, block, how)->a = how == IR_TRAP ? IR_ENV : IR_R1;
}

static uint32_t place[64];
static float freq[64];

/* Where each block comes to lie. */
static void order(struct made *m, bool plain)
{
    uint32_t *list, n;

    assert_int_equal(ir_loops(&m->f), 0);
    assert_int_equal(jit_layout(&m->f, plain, freq, &list, &n), 0);
    memset(place, 0xff, sizeof(place));
    for (uint32_t i = 0; i < n; i++) {
        assert_in_range(list[i], 0, m->f.n_blocks - 1);
        assert_int_equal(place[list[i]], UINT32_MAX);
        place[list[i]] = i;
    }
    assert_int_equal(place[0], 0);
    free(list);
}

static bool falls(uint32_t from, uint32_t to)
{
    return place[to] == place[from] + 1;
}

static void a_loop_tested_above_ends_in_its_test(void **state)
{
    struct made m;

    (void)state;
    made_init(&m, 4, 8);
    jump(&m, 0, 1);
    branch(&m, 1, 3, 2);
    jump(&m, 2, 1);
    leave(&m, 3, IR_EXIT);
    order(&m, false);
    assert_true(falls(2, 1));
    assert_true(falls(1, 3));
    assert_true(freq[2] > freq[0] * 4 && freq[1] > freq[3] * 4);
    made_free(&m);
}

static void a_loop_tested_below_stays(void **state)
{
    struct made m;

    (void)state;
    made_init(&m, 4, 8);
    jump(&m, 0, 1);
    jump(&m, 1, 2);
    branch(&m, 2, 1, 3);
    leave(&m, 3, IR_EXIT);
    order(&m, false);
    for (uint32_t b = 0; b < 3; b++)
        assert_true(falls(b, b + 1));
    made_free(&m);
}

/* 1 begins the outer loop, 2 the inner one, which 4 leaves. */
static void the_inner_loop_comes_first(void **state)
{
    struct made m;

    (void)state;
    made_init(&m, 7, 8);
    jump(&m, 0, 1);
    branch(&m, 1, 6, 2);
    branch(&m, 2, 5, 3);
    jump(&m, 3, 4);
    jump(&m, 4, 2);
    jump(&m, 5, 1);
    leave(&m, 6, IR_EXIT);
    order(&m, false);
    assert_true(falls(3, 4) && falls(4, 2) && falls(2, 5) && falls(5, 1) && falls(1, 6));
    assert_true(freq[3] > freq[5] * 4 && freq[5] > freq[6] * 4);
    made_free(&m);
}

static void what_traps_comes_last(void **state)
{
    struct made m;

    (void)state;
    made_init(&m, 6, 8);
    branch(&m, 0, 1, 2);
    leave(&m, 1, IR_TRAP);
    branch(&m, 2, 4, 3);
    leave(&m, 3, IR_TRAP);
    jump(&m, 4, 5);
    leave(&m, 5, IR_EXIT);
    order(&m, false);
    assert_true(falls(0, 2) && falls(2, 4) && falls(4, 5));
    assert_true(place[1] > place[5] && place[3] > place[5]);
    assert_true(freq[1] < 0.1f && freq[5] > 0.9f);
    made_free(&m);
}

static void the_likely_way_falls_through(void **state)
{
    (void)state;
    for (unsigned likely = 0; likely < 2; likely++) {
        struct made m;

        made_init(&m, 4, 8);
        branch(&m, 0, 1, 2)->flags |= likely ? IR_LIKELY : IR_UNLIKELY;
        jump(&m, 1, 3);
        jump(&m, 2, 3);
        leave(&m, 3, IR_EXIT);
        order(&m, false);
        assert_true(falls(0, likely ? 1 : 2) && falls(likely ? 1 : 2, 3));
        made_free(&m);
    }
}

static void the_programs_own_order(void **state)
{
    struct made m;

    (void)state;
    made_init(&m, 4, 8);
    jump(&m, 0, 3);
    leave(&m, 1, IR_EXIT);
    jump(&m, 2, 1);
    branch(&m, 3, 1, 2);
    order(&m, true);
    assert_true(falls(0, 1) && falls(1, 2) && falls(2, 3));
    made_free(&m);
}

/* Every block that can be reached is laid out once, and none that traps before one that does not. */
static void random_functions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct shape s = {.blocks = 1 + i % 60, .vregs = 12, .ops = 1};
        struct made m;
        uint32_t *reached, n, trap = UINT32_MAX, other = 0;

        seed = 0x9e3779b97f4a7c15ull * (i + 1);
        draw(&m, &s);
        order(&m, i % 5 == 0);
        reached = ir_order(&m.f, &n);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t at = place[reached[k]];

            assert_in_range(at, 0, n - 1);
            if (m.f.blocks[reached[k]].cold)
                trap = at < trap ? at : trap;
            else
                other = at > other ? at : other;
            assert_true(freq[reached[k]] > 0);
        }
        assert_true(i % 5 == 0 || m.f.blocks[0].cold || trap > other);
        made_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_tested_above_ends_in_its_test),
        cmocka_unit_test(a_loop_tested_below_stays),
        cmocka_unit_test(the_inner_loop_comes_first),
        cmocka_unit_test(what_traps_comes_last),
        cmocka_unit_test(the_likely_way_falls_through),
        cmocka_unit_test(the_programs_own_order),
        cmocka_unit_test(random_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
