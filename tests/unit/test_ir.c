/* The intermediate form: what ir_check() refuses, what the walks find out, and what building makes of code. */
#include "tests/unit/run.h"

#include "vm/ir/ir.h"

static struct ir *built(const char *text, uint32_t opts, struct code **code)
{
    struct ir *ir;

    *code = lowered(text, NULL, 0, (struct code_opts){.opts = CODE_OPT_INLINE});
    assert_int_equal(ir_build(*code, NULL, opts, &ir), 0);
    assert_null(ir_check(ir));
    return ir;
}

static void drop(struct ir *ir, struct code *code)
{
    ir_free(ir);
    code_put(code);
}

static const char loop[] = "  r0 = 0\n"
                           "  r2 = 10\n"
                           "l: r0 += r1\n"
                           "  r2 += -1\n"
                           "  if r2 != 0 goto l\n"
                           "  *(u64 *)(r10 - 8) = r0\n"
                           "  r0 = *(u64 *)(r10 - 8)\n"
                           "  exit\n";

/* The first operation of a kind. */
static struct ir_op *find(struct ir *ir, enum ir_kind kind)
{
    struct ir_func *f = &ir->funcs[0];

    for (uint32_t b = 0; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++)
            if (f->blocks[b].ops[i].kind == kind)
                return &f->blocks[b].ops[i];
    fail_msg("no %s", ir_kinds[kind].text);
    return NULL;
}

static unsigned count(const struct ir_func *f, enum ir_kind kind)
{
    unsigned n = 0;

    for (uint32_t b = 0; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++)
            n += f->blocks[b].ops[i].kind == kind;
    return n;
}

/* ---- ir_check ---- */

static void no_kind(struct ir *ir)
{
    find(ir, IR_ADD)->kind = IR_KIND_COUNT;
}
static void no_result(struct ir *ir)
{
    find(ir, IR_ADD)->dst = IR_NONE;
}
static void result_out_of_range(struct ir *ir)
{
    find(ir, IR_ADD)->dst = ir->funcs[0].n_vregs;
}
static void result_of_a_store(struct ir *ir)
{
    find(ir, IR_STORE)->dst = IR_R1;
}
static void no_operand(struct ir *ir)
{
    find(ir, IR_ADD)->a = IR_NONE;
}
static void second_out_of_range(struct ir *ir)
{
    struct ir_op *op = find(ir, IR_ADD);
    op->flags = 0;
    op->b = 1000;
}
static void base_out_of_range(struct ir *ir)
{
    find(ir, IR_LOAD)->base = 1000;
}
static void wide_shift(struct ir *ir)
{
    find(ir, IR_LOAD)->shift = 4;
}
static void odd_size(struct ir *ir)
{
    find(ir, IR_LOAD)->size = 3;
}
static void odd_width(struct ir *ir)
{
    find(ir, IR_ADD)->width = 2;
}
static void no_condition(struct ir *ir)
{
    find(ir, IR_BR)->cc = IR_TNZ + 1;
}
static void constant_and_memory(struct ir *ir)
{
    find(ir, IR_BR)->flags |= IR_IMM | IR_MEM;
}
static void constant_too_wide(struct ir *ir)
{
    struct ir_op *op = find(ir, IR_BR);
    op->width = 4;
    op->flags |= IR_IMM;
    op->imm = 1LL << 40;
}
static void empty(struct ir *ir)
{
    ir->funcs[0].blocks[1].n = 0;
}
static void goes_on(struct ir *ir)
{
    find(ir, IR_EXIT)->kind = IR_CHECK;
}
static void ends_inside(struct ir *ir)
{
    struct ir_op *op = find(ir, IR_ADD);
    op->kind = IR_EXIT;
    op->dst = op->b = IR_NONE;
}
static void operand_too_many(struct ir *ir)
{
    find(ir, IR_EXIT)->b = IR_R1;
}
static void address_of_nothing(struct ir *ir)
{
    find(ir, IR_ADD)->base = IR_R1;
}
static void jumps_nowhere(struct ir *ir)
{
    ir->funcs[0].blocks[0].succ[0] = ir->funcs[0].n_blocks;
}
static void jumps_to_the_entry(struct ir *ir)
{
    ir->funcs[0].blocks[1].succ[0] = 0;
}
static void too_many_successors(struct ir *ir)
{
    ir->funcs[0].blocks[0].succ[1] = 1;
}
static void never_written(struct ir *ir)
{
    find(ir, IR_STORE)->a = ir_vreg(&ir->funcs[0]);
}
/* Written on the way round the loop, read when it is first come to. */
static void written_too_late(struct ir *ir)
{
    struct ir_func *f = &ir->funcs[0];
    struct ir_op *ops = f->blocks[1].ops;
    uint32_t v = ir_vreg(f);

    assert_int_equal(ops[0].kind, IR_ADD);
    ops[0].a = v;
    ops[1].dst = v;
    ops[2].a = v;
}

static void refuses(void **state)
{
    static const struct {
        void (*spoil)(struct ir *);
        const char *why;
    } cases[] = {
        {no_kind, "no such kind"},
        {no_result, "result is register"},
        {result_out_of_range, "result is register"},
        {result_of_a_store, "result is register"},
        {no_operand, "first operand"},
        {second_out_of_range, "second operand"},
        {base_out_of_range, "base is register"},
        {wide_shift, "shift 4"},
        {odd_size, "size 3"},
        {odd_width, "width 2"},
        {no_condition, "condition"},
        {constant_and_memory, "both a constant and memory"},
        {constant_too_wide, "wider than the operation"},
        {empty, "empty block"},
        {goes_on, "goes on past its end"},
        {ends_inside, "ends inside"},
        {operand_too_many, "a second operand"},
        {address_of_nothing, "an address"},
        {jumps_nowhere, "successor 0"},
        {jumps_to_the_entry, "jumps to the entry"},
        {too_many_successors, "successor 1"},
        {never_written, "nothing may have written it"},
        {written_too_late, "nothing may have written it"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct code *code;
        struct ir *ir = built(loop, IR_OPT_WEBS, &code);
        const char *why;
        cases[i].spoil(ir);
        why = ir_check(ir);
        if (!why || !strstr(why, cases[i].why))
            fail_msg("case %zu: '%s', expected '%s'", i, why ? why : "nothing", cases[i].why);
        drop(ir, code);
    }
}

/* ---- Walks ---- */

static const struct ir_block *block_of(const struct ir *ir, uint32_t slot)
{
    const struct ir_func *f = &ir->funcs[0];

    for (uint32_t b = 1; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++)
            if (f->blocks[b].ops[i].slot == slot)
                return &f->blocks[b];
    fail_msg("nothing stands for instruction %u", slot);
    return NULL;
}

static void nested_loops(void **state)
{
    struct code *code;
    struct ir *ir = built("  r0 = 0\n"
                          "  r2 = 3\n"
                          "a: r3 = 3\n"
                          "b: r0 += r1\n"
                          "  if r0 == 100 goto c\n"
                          "  r0 += 1\n"
                          "c: r3 += -1\n"
                          "  if r3 != 0 goto b\n"
                          "  r2 += -1\n"
                          "  if r2 != 0 goto a\n"
                          "  exit\n",
                          IR_OPT_WEBS, &code);

    (void)state;
    assert_int_equal(ir_loops(&ir->funcs[0]), 0);
    assert_int_equal(block_of(ir, 2)->depth, 1);
    assert_true(block_of(ir, 2)->loop_head);
    assert_int_equal(block_of(ir, 3)->depth, 2);
    assert_true(block_of(ir, 3)->loop_head);
    assert_int_equal(block_of(ir, 5)->depth, 2);
    assert_false(block_of(ir, 5)->loop_head);
    assert_int_equal(block_of(ir, 6)->depth, 2);
    assert_int_equal(block_of(ir, 8)->depth, 1);
    assert_int_equal(block_of(ir, 10)->depth, 0);
    drop(ir, code);
}

/* A loop with two ways in: it counts once, and no walk hangs. */
static void irreducible_loop(void **state)
{
    struct code *code;
    struct ir *ir = built("  r0 = 0\n"
                          "  if r1 == 0 goto b\n"
                          "a: r0 += 1\n"
                          "b: r0 += 2\n"
                          "  if r0 s< 100 goto a\n"
                          "  exit\n",
                          IR_OPT_WEBS, &code);

    (void)state;
    assert_int_equal(ir_loops(&ir->funcs[0]), 0);
    assert_true(block_of(ir, 2)->depth + block_of(ir, 3)->depth >= 1);
    assert_true(block_of(ir, 2)->depth <= 1 && block_of(ir, 3)->depth <= 1);
    assert_int_equal(block_of(ir, 5)->depth, 0);
    drop(ir, code);
}

static void cold_blocks(void **state)
{
    struct code *code;
    struct ir *ir = built("  if r1 == 0 goto bad\n"
                          "  r0 = 1\n"
                          "  exit\n"
                          "bad: r0 = 2\n"
                          "  call 99999\n"
                          "  exit\n",
                          IR_OPT_WEBS, &code);

    (void)state;
    assert_int_equal(ir_loops(&ir->funcs[0]), 0);
    assert_true(block_of(ir, 4)->cold);
    assert_false(block_of(ir, 1)->cold);
    drop(ir, code);
}

static void order_begins_at_the_entry(void **state)
{
    struct code *code;
    struct ir *ir = built(loop, 0, &code);
    uint32_t n, *order = ir_order(&ir->funcs[0], &n);

    (void)state;
    assert_int_equal(n, ir->funcs[0].n_blocks);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(order[i], i);
    drop(ir, code);
}

static void unreached_blocks_go(void **state)
{
    struct code *code;
    struct ir *ir = built("  r0 = 1\n"
                          "  goto out\n"
                          "  r0 = 2\n"
                          "  exit\n"
                          "out: r0 += 1\n"
                          "  exit\n",
                          IR_OPT_WEBS, &code);

    (void)state;
    assert_int_equal(ir->funcs[0].n_blocks, 1); /* and what follows alone is joined */
    assert_int_equal(count(&ir->funcs[0], IR_EXIT), 1);
    drop(ir, code);
}

/* ---- Building ---- */

static void webs_split_registers(void **state)
{
    struct code *code;
    struct ir *ir = built("  r2 = r1\n"
                          "  r2 += 1\n"
                          "  r3 = r2\n"
                          "  r2 = 7\n" /* another value of r2 */
                          "  r3 += r2\n"
                          "  r0 = r3\n"
                          "  exit\n",
                          IR_OPT_WEBS, &code);
    uint8_t written[64] = {0};

    (void)state;
    for (uint32_t i = 0; i < ir->funcs[0].blocks[0].n; i++) {
        uint32_t dst = ir->funcs[0].blocks[0].ops[i].dst;
        assert_true(dst < sizeof(written));
        if (dst)
            assert_int_equal(written[dst]++, 0); /* nothing meets, so each is written once */
    }
    drop(ir, code);
}

static void slots_become_registers(void **state)
{
    struct code *code;
    struct ir *ir = built(loop, IR_OPT_WEBS | IR_OPT_PROMOTE, &code);

    (void)state;
    assert_int_equal(count(&ir->funcs[0], IR_LOAD) + count(&ir->funcs[0], IR_STORE), 0);
    assert_false(ir->funcs[0].uses_frame);
    drop(ir, code);
}

/* What a helper reads stays where it is; what stands beside it need not. */
static void what_escapes_stays(void **state)
{
    static const char *const texts[] = {
        "  *(u64 *)(r10 - 8) = r1\n"
        "  *(u64 *)(r10 - 16) = r1\n"
        "  r1 = r10\n"
        "  r1 += -8\n"
        "  r2 = 8\n"
        "  call trace_printk\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        /* its size is not known */
        "  *(u64 *)(r10 - 8) = r1\n"
        "  *(u64 *)(r10 - 16) = r1\n"
        "  r2 = r1\n"
        "  r1 = r10\n"
        "  r1 += -8\n"
        "  call trace_printk\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        /* it goes to memory */
        "  *(u64 *)(r10 - 16) = r1\n"
        "  r2 = r10\n"
        "  *(u64 *)(r1 + 0) = r2\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        "  *(u32 *)(r10 - 16) = r1\n"
        "  *(u32 *)(r10 - 12) = r1\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        /* through a copy, which is followed */
        "  r2 = r10\n"
        "  r2 += -16\n"
        "  *(u64 *)(r2 + 0) = r1\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        /* one size after another */
        "  *(u64 *)(r10 - 16) = r1\n"
        "  r2 = *(u64 *)(r10 - 16)\n"
        "  *(u32 *)(r10 - 16) = r2\n"
        "  r0 = *(u32 *)(r10 - 16)\n"
        "  exit\n",
        "  *(u64 *)(r10 - 16) = r1\n"
        "  r2 = *(u16 *)(r10 - 13)\n"
        "  *(u32 *)(r10 - 16) = r2\n"
        "  r0 = *(u8 *)(r10 - 16)\n"
        "  exit\n",
        /* a part, and then the whole */
        "  *(u64 *)(r10 - 16) = r1\n"
        "  *(u8 *)(r10 - 16) = r2\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
        "  r2 = 1\n"
        "  lock *(u64 *)(r10 - 16) += r2\n"
        "  r0 = *(u64 *)(r10 - 16)\n"
        "  exit\n",
    };
    static const unsigned accesses[] = {1, 3, 3, 3, 0, 0, 0, 3, 1};

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct code *code;
        struct ir *ir = built(texts[i], IR_OPT_WEBS | IR_OPT_PROMOTE, &code);
        unsigned n = count(&ir->funcs[0], IR_LOAD) + count(&ir->funcs[0], IR_STORE);
        if (n != accesses[i])
            fail_msg("case %u: %u accesses, expected %u", i, n, accesses[i]);
        drop(ir, code);
    }
}

/* The slot at r10 - 72 lies below an array of 64 bytes: it may become a register when the index stays in the array. */
static void arrays_on_the_stack(void **state)
{
    static const struct {
        const char *between;
        bool stays;
    } cases[] = {
        /* masked */
        {"  r2 &= 7\n  r2 <<= 3\n  r3 = r10\n  r3 += -64\n  r3 += r2\n  *(u64 *)(r3 + 0) = r4\n", false},
        {"  w2 &= 56\n  r3 = r10\n  r2 += r3\n  *(u64 *)(r2 - 64) = r4\n", false},
        {"  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\n", true},
        {"  r2 &= -8\n  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\n", true},
        /* tested, and again after that */
        {"  if r2 > 56 goto out\n  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\nout:\n", false},
        {"  if r2 <= 56 goto out\n  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\nout:\n", true},
        {"  if r2 s> 56 goto out\n  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\nout:\n", true},
        {"  if w2 > 56 goto out\n  r3 = r10\n  r3 += r2\n  *(u64 *)(r3 - 64) = r4\nout:\n", true},
        /* counted */
        {"  r2 = 0\nl: r3 = r10\n  r3 += r2\n  *(u8 *)(r3 - 64) = r4\n  r2 += 1\n  if r2 != 64 goto l\n", false},
        {"  w2 = 0\nl: r3 = r10\n  r3 += r2\n  *(u8 *)(r3 - 64) = r4\n  w2 += 3\n  if w2 < 64 goto l\n", false},
        {"  r2 = 0\nl: r3 = r10\n  r3 += r2\n  *(u8 *)(r3 - 64) = r4\n  r2 += 3\n  if r2 != 64 goto l\n", true},
        {"  r2 = r4\nl: r3 = r10\n  r3 += r2\n  *(u8 *)(r3 - 64) = r4\n  r2 += 1\n  if r2 != 64 goto l\n", true},
        /* counted on when it begins again */
        {"  r2 = 0\nl: r3 = r10\n  r3 += r2\n  *(u8 *)(r3 - 64) = r4\n  r2 += 1\n  if r2 != 64 goto l\n"
         "  r4 += -1\n  if r4 != 0 goto l\n",
         true},
        /* an address that is stepped up to another, or along with a counter */
        {"  r2 = r10\n  r2 += -64\n  r3 = r10\nl: *(u64 *)(r2 + 0) = r4\n  r2 += 8\n  if r2 != r3 goto l\n", false},
        {"  r2 = r10\n  r2 += -64\n  r3 = r10\nl: *(u64 *)(r2 + 0) = r4\n  r2 += 3\n  if r2 != r3 goto l\n", true},
        {"  r2 = r10\n  r2 += -64\n  r3 = 0\nl: *(u64 *)(r2 + 0) = r4\n  r2 += 8\n  r3 += 1\n"
         "  if r3 != 8 goto l\n",
         false},
        {"  r2 = r10\n  r2 += -64\nm: r3 = 0\nl: *(u64 *)(r2 + 0) = r4\n  r2 += 8\n  r3 += 1\n"
         "  if r3 != 8 goto l\n  r4 += -1\n  if r4 != 0 goto m\n",
         true},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[1024];
        struct code *code;
        struct ir *ir;
        bool stays = false;
        snprintf(text, sizeof(text), "  *(u64 *)(r10 - 72) = r1\n%s  r0 = *(u64 *)(r10 - 72)\n  exit\n",
                 cases[i].between);
        ir = built(text, IR_OPT_WEBS | IR_OPT_PROMOTE, &code);
        for (uint32_t b = 0; b < ir->funcs[0].n_blocks; b++)
            for (uint32_t k = 0; k < ir->funcs[0].blocks[b].n; k++)
                stays |= ir->funcs[0].blocks[b].ops[k].disp == -72;
        if (stays != cases[i].stays)
            fail_msg("case %u: it %s", i, stays ? "stays" : "became a register");
        drop(ir, code);
    }
}

static void calls_pass_what_is_read(void **state)
{
    struct code *code;
    struct ir *ir = built("  r1 = 1\n"
                          "  r2 = 2\n"
                          "  call f\n"
                          "  exit\n"
                          "f: r0 = r2\n"
                          "  exit\n",
                          IR_OPT_WEBS | IR_OPT_PROMOTE, &code);
    const struct ir_op *call = find(ir, IR_CALL_LOCAL);
    const uint32_t *args = ir->funcs[0].args + call->args;

    (void)state;
    assert_int_equal(args[1], IR_ENV); /* no frame */
    assert_int_equal(args[2], IR_ENV);
    assert_int_not_equal(args[3], IR_ENV);
    assert_int_equal(call->n_args, 4);
    assert_int_equal(count(&ir->funcs[0], IR_CHECK), 0); /* nothing in f traps */
    assert_false(ir->funcs[1].leaves);
    drop(ir, code);
}

static void prints(void **state)
{
    struct code *code;
    struct ir *ir = built(loop, IR_OPT_WEBS | IR_OPT_PROMOTE, &code);
    struct buf out = {0};

    (void)state;
    ir_print(ir, &out);
    assert_non_null(strstr(buf_text(&out), "add.w8"));
    assert_non_null(strstr(buf_text(&out), "br.ne.w8"));
    assert_non_null(strstr(buf_text(&out), "exit"));
    buf_free(&out);
    drop(ir, code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(nested_loops),
        cmocka_unit_test(irreducible_loop),
        cmocka_unit_test(cold_blocks),
        cmocka_unit_test(order_begins_at_the_entry),
        cmocka_unit_test(unreached_blocks_go),
        cmocka_unit_test(webs_split_registers),
        cmocka_unit_test(slots_become_registers),
        cmocka_unit_test(what_escapes_stays),
        cmocka_unit_test(arrays_on_the_stack),
        cmocka_unit_test(calls_pass_what_is_read),
        cmocka_unit_test(prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
