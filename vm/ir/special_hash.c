/*
 * A lookup in a hash whose keys are one word: the key is mixed, the first element of its bucket compared. There stands
 * what is looked for, or nothing, mostly; a function of the map's does the rest. The key goes there as a number, so
 * that its slot of the stack may become a register.
 */
#include "vm/ir/build.h"

static uint32_t imm_op(struct builder *b, enum ir_kind kind, unsigned width, uint32_t a, int64_t imm)
{
    uint32_t dst = ir_vreg(b->f);

    build_imm(b, kind, width, dst, a, imm);
    return dst;
}

static uint32_t reg_op(struct builder *b, enum ir_kind kind, uint32_t a, uint32_t other)
{
    uint32_t dst = ir_vreg(b->f);

    build_reg(b, kind, 8, dst, a, other);
    return dst;
}

static uint32_t number(struct builder *b, uint64_t value)
{
    uint32_t dst = ir_vreg(b->f);

    build_const(b, dst, value);
    return dst;
}

static uint32_t acquire(struct builder *b, uint32_t base, uint32_t index, int32_t disp)
{
    struct ir_op *op = build_op(b, IR_LOAD_ACQ);

    op->size = 8;
    op->dst = ir_vreg(b->f);
    op->base = base;
    op->index = index;
    op->shift = index == IR_NONE ? 0 : 3;
    op->disp = disp;
    return op->dst;
}

static uint32_t this_cpu(struct builder *b)
{
    uint32_t cpu = ir_vreg(b->f);

    build_load(b, 4, cpu, IR_ENV, ENV_AT(cpu));
    return cpu;
}

static void mark(struct builder *b, uint32_t element)
{
    uint32_t word = ir_vreg(b->f), here = b->cur, set = build_block(b, 2), on = build_block(b, 2);
    struct ir_op *op;

    b->cur = here;
    build_load(b, 4, word, element, -8);
    op = build_branch(b, IR_EQ, set, on);
    op->width = 4;
    op->a = word;
    op->flags = IR_IMM | IR_UNLIKELY;
    b->cur = set;
    op = build_op(b, IR_STORE);
    op->size = 4;
    op->base = element;
    op->disp = -8;
    op->flags = IR_IMM;
    op->imm = 1;
    build_jump(b, on);
    b->cur = on;
}

static void give_value(struct builder *b, const struct map_hash_layout *layout, uint32_t element, uint32_t dst)
{
    uint32_t cpu, value, none;
    struct ir_op *op;

    if (layout->marks)
        mark(b, element);
    if (!layout->cpu_stride) {
        build_imm(b, IR_ADD, 8, dst, element, layout->value_off);
        return;
    }
    cpu = this_cpu(b);
    value = reg_op(b, IR_ADD, imm_op(b, IR_ADD, 8, element, layout->value_off),
                   imm_op(b, IR_MUL, 8, cpu, (int64_t)layout->cpu_stride));
    none = number(b, 0);
    op = build_op(b, IR_SELECT);
    op->width = 4;
    op->cc = IR_ULT;
    op->flags = IR_IMM;
    op->imm = (int32_t)layout->n_cpus;
    op->dst = dst;
    op->a = cpu;
    op->yes = value;
    op->no = none;
}

void build_hash_lookup(struct builder *b, const struct map *map, const struct map_hash_layout *layout,
                       const struct opened *call)
{
    uint32_t key = ir_vreg(b->f), start = b->cur, hash, mixed, factor, element, there, args[4];
    uint32_t none = build_block(b, 3), first = build_block(b, 4), hit = build_block(b, 4), slow = build_block(b, 4);
    struct ir_op *op;

    b->cur = start;
    build_load(b, map->def.key_size, key, call->args[1], 0);
    mixed = reg_op(b, IR_XOR, key, number(b, layout->mixed));
    factor = number(b, layout->factor);
    hash = reg_op(b, IR_XOR, reg_op(b, IR_MUL, mixed, factor), reg_op(b, IR_MULHI, mixed, factor));
    element = acquire(b, number(b, (uintptr_t)layout->buckets), imm_op(b, IR_AND, 4, hash, (int32_t)layout->mask), 0);
    op = build_branch(b, IR_EQ, none, first);
    op->width = 8;
    op->a = element;
    op->flags = IR_IMM;

    b->cur = first;
    there = acquire(b, element, IR_NONE, (int32_t)layout->key_off);
    op = build_branch(b, IR_EQ, hit, slow);
    op->width = 8;
    op->a = there;
    op->b = key;
    op->flags = IR_LIKELY;

    b->cur = hit;
    give_value(b, layout, element, call->dst);
    build_jump(b, call->rest);

    b->cur = none;
    build_const(b, call->dst, 0);
    build_jump(b, call->rest);

    b->cur = slow;
    args[0] = number(b, (uintptr_t)map);
    args[1] = key;
    args[2] = hash;
    args[3] = this_cpu(b);
    build_call(b, IR_CALL, call->dst, (uintptr_t)layout->slowly, args, 4);
    build_jump(b, call->rest);
}
