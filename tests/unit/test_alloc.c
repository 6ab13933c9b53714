/*
 * Register allocation on random functions (irreducible flow, critical edges, far more live at once than there are
 * registers, calls) for targets with few registers and many: the result is proved by jit_alloc_check(), and holds the
 * function's own operations in their order.
 */
#include "tests/unit/alloc_make.h"

/* The function as it was. */
struct copy {
    struct ir_block *blocks;
    uint32_t *args;
    uint32_t n_vregs;
};

static struct copy keep(const struct made *m)
{
    struct copy c = {.n_vregs = m->f.n_vregs};

    c.blocks = malloc(m->f.n_blocks * sizeof(*c.blocks));
    c.args = malloc((m->f.n_args + 1) * sizeof(*c.args));
    memcpy(c.args, m->f.args ? m->f.args : c.args, m->f.n_args * sizeof(*c.args));
    for (uint32_t b = 0; b < m->f.n_blocks; b++) {
        c.blocks[b] = m->f.blocks[b];
        c.blocks[b].ops = malloc(c.blocks[b].n * sizeof(struct ir_op));
        memcpy(c.blocks[b].ops, m->f.blocks[b].ops, c.blocks[b].n * sizeof(struct ir_op));
    }
    return c;
}

static void drop(struct copy *c, uint32_t n_blocks)
{
    for (uint32_t b = 0; b < n_blocks; b++)
        free(c->blocks[b].ops);
    free(c->blocks);
    free(c->args);
}

/* What every CONST of a register that was written by nothing else must give. */
static bool one_constant(const struct jit_alloc *out, const struct copy *c, uint32_t v, int64_t *imm)
{
    unsigned n = 0;

    for (uint32_t k = 0; k < out->n_order; k++) {
        const struct ir_block *b = &c->blocks[out->order[k]];

        for (uint32_t i = 0; i < b->n; i++)
            if (b->ops[i].dst == v) {
                n += b->ops[i].kind == IR_CONST ? 1 : 2;
                *imm = b->ops[i].imm;
            }
    }
    return n == 1 && v > IR_PARAMS;
}

static void compare_block(struct made *m, const struct copy *c, const struct jit_alloc *out, uint32_t block)
{
    struct ir_func was = {.args = c->args};
    const struct ir_block *b = &m->f.blocks[block];
    uint32_t at = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_op *op = &b->ops[i], old;
        uint32_t *uses[IR_MAX_USES], *old_uses[IR_MAX_USES];
        int64_t imm = 0;
        unsigned n;

        if (op->kind == IR_RELOAD || op->kind == IR_SPILL)
            continue;
        if (op->kind == IR_COPY && op->a >= c->n_vregs && op->a != op->dst &&
            out->origin[op->a] == out->origin[op->dst])
            continue;
        while (at < c->blocks[block].n && c->blocks[block].ops[at].kind == IR_CONST &&
               out->place[c->blocks[block].ops[at].dst].reg == JIT_NO_REG &&
               out->place[c->blocks[block].ops[at].dst].slot == JIT_NO_SLOT)
            at++;
        if (op->kind == IR_CONST && op->dst >= c->n_vregs && one_constant(out, c, out->origin[op->dst], &imm)) {
            assert_int_equal(op->imm, imm);
            old = c->blocks[block].ops[at];
            at += old.kind == IR_CONST && old.dst == out->origin[op->dst];
            continue;
        }
        assert_in_range(at, 0, c->blocks[block].n - 1);
        old = c->blocks[block].ops[at++];
        assert_int_equal(op->kind, old.kind);
        assert_int_equal(op->imm, old.imm);
        assert_int_equal(op->flags, old.flags);
        assert_int_equal(out->origin[op->dst], old.dst);
        n = ir_uses(&m->f, op, uses);
        assert_int_equal(n, ir_uses(&was, &old, old_uses));
        for (unsigned k = 0; k < n; k++)
            assert_int_equal(out->origin[*uses[k]], *old_uses[k]);
    }
    assert_int_equal(b->ops[b->n - 1].kind, c->blocks[block].ops[c->blocks[block].n - 1].kind);
}

static unsigned saves, slots;

static void allocate(struct made *m, const struct jit_target *target, const struct jit_opts *opts)
{
    struct copy c = keep(m);
    struct jit_alloc out;
    const char *wrong;

    wrong = ir_check(&m->ir);
    assert_string_equal(wrong ? wrong : "", "");
    show(m, NULL);
    assert_int_equal(jit_allocate(&m->f, target, opts, &out), 0);
    show(m, &out);
    wrong = jit_alloc_check(&m->f, target, &out);
    assert_string_equal(wrong ? wrong : "", "");
    for (uint32_t k = 0; k < out.n_order; k++)
        compare_block(m, &c, &out, out.order[k]);
    saves += out.n_saves;
    slots += out.n_slots;
    jit_alloc_free(&out);
    drop(&c, m->f.n_blocks);
}

static void random_functions(unsigned registers, const struct jit_opts *opts, unsigned n)
{
    struct jit_target target = fake(registers);

    saves = slots = 0;
    for (unsigned i = 0; i < n; i++) {
        struct shape s = {.blocks = 1 + i % 31, .calls = i % 3 ? 3 + i % 40 : 0, .ops = i % 5, .forward = i % 4 == 3};
        struct made m;

        seed = 0x9e3779b97f4a7c15ull * (i + 1) + registers;
        s.vregs = IR_PARAMS + 1 + rnd(i % 7 == 6 ? 120 : 24);
        draw(&m, &s);
        allocate(&m, &target, opts);
        made_free(&m);
    }
}

static void four_registers(void **state)
{
    (void)state;
    random_functions(4, &(struct jit_opts){.opts = IR_OPT_ALL}, 1500);
    assert_true(slots);
}

static void six_registers(void **state)
{
    (void)state;
    random_functions(6, &(struct jit_opts){.opts = IR_OPT_ALL}, 1500);
    assert_true(slots && saves);
}

static void fourteen_registers(void **state)
{
    (void)state;
    random_functions(14, &(struct jit_opts){.opts = IR_OPT_ALL}, 1500);
    assert_true(slots && saves);
}

static void a_block_at_a_time(void **state)
{
    (void)state;
    random_functions(6, &(struct jit_opts){.no_alloc_opt = true}, 400);
    random_functions(14, &(struct jit_opts){.no_alloc_opt = true, .no_layout = true}, 400);
}

/* The proof is worth something only if it fails for what is wrong. */
static void mistakes_are_found(void **state)
{
    unsigned saves_lost = 0, wrong_slots = 0, crowded = 0, crowded_found = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct shape s = {.blocks = 1 + i % 31, .calls = 10, .ops = i % 5, .vregs = 26};
        struct jit_target target = fake(i % 2 ? 6 : 14);
        struct jit_alloc out;
        struct made m;

        seed = 0x9e3779b97f4a7c15ull * (i + 1);
        draw(&m, &s);
        assert_int_equal(jit_allocate(&m.f, &target, &(struct jit_opts){.opts = IR_OPT_ALL}, &out), 0);
        if (out.n_saves) {
            struct jit_save *last = (struct jit_save *)&out.saves[--out.n_saves];

            assert_non_null(jit_alloc_check(&m.f, &target, &out));
            out.n_saves++;
            last->slot += out.n_slots;
            assert_non_null(jit_alloc_check(&m.f, &target, &out));
            last->slot -= out.n_slots;
            saves_lost++;
        }
        for (uint32_t k = 0; k < out.n_order; k++)
            for (uint32_t o = 0; o < m.f.blocks[out.order[k]].n; o++) {
                struct ir_op *op = &m.f.blocks[out.order[k]].ops[o];

                if (op->kind != IR_RELOAD || out.n_slots < 2)
                    continue;
                op->imm = (op->imm + 1) % out.n_slots;
                wrong_slots++;
                assert_non_null(jit_alloc_check(&m.f, &target, &out));
                op->imm = (op->imm + out.n_slots - 1) % out.n_slots;
                k = out.n_order - 1;
                break;
            }
        for (uint32_t v = 1; v < out.n_vregs; v++) {
            if (out.place[v].reg == JIT_NO_REG)
                continue;
            out.place[v].reg ^= 1;
            crowded++;
            crowded_found += jit_alloc_check(&m.f, &target, &out) != NULL;
            out.place[v].reg ^= 1;
        }
        assert_null(jit_alloc_check(&m.f, &target, &out));
        jit_alloc_free(&out);
        made_free(&m);
    }
    assert_true(saves_lost > 20 && wrong_slots > 50);
    assert_true(crowded_found > crowded / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_registers),    cmocka_unit_test(six_registers),      cmocka_unit_test(fourteen_registers),
        cmocka_unit_test(a_block_at_a_time), cmocka_unit_test(mistakes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
