/*
 * bpf_loop() with a callback that is known, and flags that are known to be none: a loop that calls the function. It
 * turns as often as the helper would, ends when the callback says so, and gives what the helper gives; a trap in the
 * callback leaves from here as from any local call. With code that is counted, a turn is worth the callback's length.
 */
#include "vm/ir/build.h"
#include "vm/prog.h"
#include <errno.h>

enum { MAX_ROUNDS = 1 << 23 };

bool build_is_loop(const struct builder *b, const struct known *from, const uint32_t *args, uint32_t *func)
{
    const struct code *code = b->code;
    const struct known *rounds = &from[args[0]], *callback = &from[args[1]], *flags = &from[args[3]];

    if (!callback->is_const || !flags->is_const || flags->value)
        return false;
    if (rounds->is_const && (uint32_t)rounds->value > MAX_ROUNDS)
        return false;
    for (uint32_t i = 0; i < code->n_funcs; i++)
        if ((uintptr_t)&code->funcs[i] == (uint64_t)callback->value) {
            *func = i;
            return true;
        }
    return false;
}

static struct ir_op *branch_imm(struct builder *b, enum ir_cc cc, unsigned width, uint32_t a, int64_t imm, uint32_t yes,
                                uint32_t no)
{
    struct ir_op *op = build_branch(b, cc, yes, no);

    op->width = (uint8_t)width;
    op->a = a;
    op->imm = imm;
    op->flags = IR_IMM;
    return op;
}

/* How often it turns, below the helper's bound, to a block that begins only where it turns at all. */
static uint32_t rounds_of(struct builder *b, const struct known *from, const struct opened *call, uint32_t body,
                          uint32_t done)
{
    const struct known *known = &from[call->args[0]];
    uint32_t rounds = ir_vreg(b->f), here = b->cur, few, many;

    if (known->is_const) {
        build_const(b, rounds, (uint32_t)known->value);
        build_jump(b, (uint32_t)known->value ? body : done);
        return rounds;
    }
    few = build_block(b, 2);
    many = build_block(b, 2);
    b->cur = here;
    struct ir_op *cut = build_op(b, IR_ZEXT);
    cut->size = 4;
    cut->width = 8;
    cut->dst = rounds;
    cut->a = call->args[0];
    branch_imm(b, IR_UGT, 4, rounds, MAX_ROUNDS, many, few)->flags |= IR_UNLIKELY;
    b->cur = many;
    build_const(b, call->dst, (uint64_t)-E2BIG);
    build_jump(b, call->rest);
    b->cur = few;
    branch_imm(b, IR_EQ, 4, rounds, 0, done, body)->flags |= IR_UNLIKELY;
    return rounds;
}

void build_loop(struct builder *b, const struct known *from, const struct opened *call, uint32_t func)
{
    const struct prog_func *callee = &b->code->prog->funcs[func];
    uint32_t i = ir_vreg(b->f), ends = ir_vreg(b->f), zero = ir_vreg(b->f), start = b->cur, rounds;
    uint32_t body = build_block(b, 8), latch = build_block(b, 2), done = build_block(b, 3);
    uint32_t length = callee->end - callee->start;
    struct ir_op *op;

    b->cur = start;
    build_const(b, zero, 0);
    build_const(b, i, 0);
    rounds = rounds_of(b, from, call, body, done);

    b->cur = body;
    build_call_func(b, ends, func, (uint32_t[]){i, call->args[2], zero, zero, zero});
    build_imm(b, IR_ADD, 4, i, i, 1);
    branch_imm(b, IR_NE, 8, ends, 0, done, latch);
    b->f->blocks[body].calls = (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX);

    b->cur = latch;
    op = build_branch(b, IR_ULT, body, done);
    op->width = 4;
    op->a = i;
    op->b = rounds;

    b->cur = done;
    build_copy(b, call->dst, i);
    build_jump(b, call->rest);
}
