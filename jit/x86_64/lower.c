/*
 * Where operands are and how they get into instructions: what all lowering stands on. See lower.h for who owns r11.
 */
#include "jit/x86_64/lower.h"

#include <stdlib.h>

const uint8_t x86_params[IR_PARAMS] = {X86_ENV, X86_FP, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9};
const uint8_t x86_c_args[X86_C_ARGS] = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9};

struct x86_rm x86_slot(const struct lower *l, uint32_t slot)
{
    (void)l;
    return x86_at(X86_RSP, (int32_t)(slot * 8));
}

struct x86_rm x86_place(const struct lower *l, uint32_t v)
{
    enum x86_reg r = place_reg(l, v);

    if (r != X86_NONE)
        return x86_r(r);
    return l->alloc->place[v].slot == l->held ? x86_r(X86_SCRATCH) : x86_slot(l, l->alloc->place[v].slot);
}

/* Only what reads its one operand that may be in a slot before it takes r11 for anything. */
static bool reads_first(const struct lower *l, const struct ir_op *op)
{
    bool shift = op->kind == IR_SHL || op->kind == IR_SHR || op->kind == IR_SAR || op->kind == IR_ROL;

    if (op->flags & IR_MEM)
        return false;
    if (op->flags & IR_IMM && !shift && (x86_is_blind(l, op) || op->imm != (int32_t)op->imm))
        return false;
    if (shift && !(op->flags & IR_IMM))
        return false;
    switch (op->kind) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_COPY:
    case IR_ZEXT:
    case IR_SEXT:
    case IR_NEG:
    case IR_NOT:
    case IR_SET:
    case IR_RELOAD:
    case IR_SELECT: return in_reg(l, op->dst);
    case IR_BR: return true;
    default: return false;
    }
}

void x86_hold(struct lower *l, const struct ir_op *op)
{
    l->held = l->holding != JIT_NO_SLOT && reads_first(l, op) ? l->holding : JIT_NO_SLOT;
    l->holding = JIT_NO_SLOT;
}

enum x86_reg x86_get(struct lower *l, uint32_t v, enum x86_reg scratch)
{
    enum x86_reg r = place_reg(l, v);

    if (r != X86_NONE)
        return r;
    x86_mov(l->a, 8, scratch, x86_place(l, v));
    return scratch;
}

void x86_get_into(struct lower *l, unsigned width, enum x86_reg reg, uint32_t v)
{
    if (width == 8 && place_reg(l, v) == reg)
        return;
    x86_mov(l->a, width, reg, x86_place(l, v));
}

enum x86_reg x86_dst(const struct lower *l, const struct ir_op *op)
{
    enum x86_reg r = place_reg(l, op->dst);

    return r != X86_NONE ? r : X86_SCRATCH;
}

void x86_put(struct lower *l, const struct ir_op *op, enum x86_reg reg)
{
    const struct jit_place *p = &l->alloc->place[op->dst];

    if (!op->dst)
        return;
    if (p->reg != JIT_NO_REG)
        x86_move(l, (enum x86_reg)p->reg, reg);
    else if (p->slot != JIT_NO_SLOT) {
        x86_mov_to(l->a, 8, x86_slot(l, p->slot), reg);
        l->holding = reg == X86_SCRATCH ? p->slot : JIT_NO_SLOT;
    }
}

void x86_move(struct lower *l, enum x86_reg to, enum x86_reg from)
{
    if (to != from)
        x86_mov(l->a, 8, to, x86_r(from));
}

struct x86_rm x86_mem(struct lower *l, const struct ir_op *op)
{
    enum x86_reg base = op->base ? x86_get(l, op->base, X86_SCRATCH) : X86_NONE;
    enum x86_reg index = op->index ? x86_get(l, op->index, X86_SCRATCH) : X86_NONE;

    return x86_indexed(base, index, 1u << op->shift, op->disp);
}

/* A byte of the author's choice is too little to be of use to anybody. */
bool x86_is_blind(const struct lower *l, const struct ir_op *op)
{
    return l->opts->harden && op->flags & IR_SECRET && op->imm != (int8_t)op->imm;
}

void x86_const(struct lower *l, enum x86_reg reg, int64_t v)
{
    if (!v)
        x86_alu(l->a, X86_XOR, 4, reg, x86_r(reg));
    else
        x86_mov_imm(l->a, 8, x86_r(reg), v);
}

/* splitmix64, over a seed that nobody knows. */
static uint64_t draw(struct lower *l)
{
    uint64_t z = l->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void x86_const_blind(struct lower *l, enum x86_reg reg, int64_t v)
{
    uint64_t random = draw(l);
    int32_t key = (int32_t)random, key2 = (int32_t)(random >> 32);
    uint32_t high = (uint32_t)((uint64_t)v >> 32);

    if (v == (int32_t)v) {
        x86_mov_imm(l->a, 8, x86_r(reg), (int64_t)(int32_t)((int32_t)v ^ key));
        x86_alu_imm(l->a, X86_XOR, 8, x86_r(reg), key);
        return;
    }
    /* The two that are added to the low half are sign-extended over the high one. */
    if ((int32_t)v < 0)
        high = ~high;
    x86_mov_imm(l->a, 4, x86_r(reg), (int32_t)(high ^ (uint32_t)key));
    x86_alu_imm(l->a, X86_XOR, 4, x86_r(reg), key);
    x86_shift(l->a, X86_SHL, 8, x86_r(reg), 32);
    x86_alu_imm(l->a, X86_XOR, 8, x86_r(reg), (int32_t)v ^ key2);
    x86_alu_imm(l->a, X86_XOR, 8, x86_r(reg), key2);
}

void x86_const_of(struct lower *l, enum x86_reg reg, const struct ir_op *op)
{
    if (x86_is_blind(l, op))
        x86_const_blind(l, reg, op->imm);
    else
        x86_const(l, reg, op->imm);
}

uint32_t x86_stub(struct lower *l, enum x86_stub_kind kind, const struct ir_op *op, enum x86_reg reg, uint32_t *back)
{
    struct x86_stub stub = {.kind = (uint8_t)kind,
                            .width = op->width,
                            .reg = (uint8_t)reg,
                            .op = op,
                            .saves = l->saves,
                            .n_saves = l->n_saves};

    if (l->n_stubs == l->stub_cap) {
        uint32_t cap = l->stub_cap ? l->stub_cap * 2 : 64;
        struct x86_stub *more = realloc(l->stubs, cap * sizeof(*more));

        if (!more) {
            if (!l->a->err)
                l->a->err = -ENOMEM;
            return 0;
        }
        l->stubs = more;
        l->stub_cap = cap;
    }
    stub.label = x86_label(l->a);
    if (back)
        stub.back = *back = x86_label(l->a);
    l->stubs[l->n_stubs++] = stub;
    return stub.label;
}
