/*
 * What operations ask of allocation, and what they may hold.
 *
 * x86_needs() and lowering are two views of one thing. What lowering reads after it wrote something is late; what it
 * takes from slots is allowed here; and never are two things allowed that would both want r11.
 */
#include "jit/x86_64/lower.h"

/* ---- What operations ask ---- */

/* Which bit of the sets in struct jit_needs each operand has; 0: the operation has none such. */
struct operands {
    uint8_t a, b, mem, all; /* mem: base and index, or yes and no */
};

static struct operands operands_of(const struct ir_op *op)
{
    unsigned a = op->a != IR_NONE, b = op->b != IR_NONE, n = a + b, m = (op->base != IR_NONE) + (op->index != IR_NONE);

    return (struct operands){(uint8_t)a, (uint8_t)(b << a), (uint8_t)(((1u << m) - 1) << n),
                             (uint8_t)((1u << (n + m)) - 1)};
}

static void wish(struct jit_needs *needs, uint8_t operand, enum x86_reg reg)
{
    if (operand)
        needs->use[__builtin_ctz(operand)] = (uint8_t)reg;
}

/* May the displacement have to be hidden, which takes r11? */
static bool may_hide_disp(const struct ir_op *op)
{
    return op->flags & IR_SECRET && op->disp != (int16_t)op->disp;
}

static void needs_shift(uint32_t features, const struct ir_op *op, struct operands o, struct jit_needs *needs)
{
    needs->in_slot = o.all;
    needs->dst_in_slot = true;
    if (op->flags & IR_IMM) {
        needs->dst_is_a = op->kind != IR_ROL || !(features & X86_HAS_BMI2);
    } else if (op->kind == IR_ROL || !(features & X86_HAS_BMI2)) {
        needs->clobbers = 1u << X86_RCX;
        wish(needs, o.b, X86_RCX);
        needs->dst_is_a = true;
    }
}

static void needs_mulhi(uint32_t features, struct operands o, struct jit_needs *needs)
{
    bool bmi2 = features & X86_HAS_BMI2;

    needs->clobbers = bmi2 ? 1u << X86_RDX : 1u << X86_RAX | 1u << X86_RDX;
    wish(needs, o.a, bmi2 ? X86_RDX : X86_RAX);
    needs->dst = bmi2 ? JIT_NO_REG : X86_RDX;
    needs->in_slot = o.all;
    needs->dst_in_slot = true;
}

static void needs_store(uint32_t features, const struct ir_op *op, struct operands o, struct jit_needs *needs)
{
    bool swaps = op->flags & IR_SWAP && !(features & X86_HAS_MOVBE);

    if (may_hide_disp(op) || (op->flags & IR_IMM && op->flags & IR_SECRET))
        needs->in_slot = 0;
    else
        needs->in_slot = swaps ? o.a : o.all;
}

static void needs_atomic(const struct ir_op *op, struct operands o, struct jit_needs *needs)
{
    bool loop = op->kind == IR_FETCH && op->aux != IR_ADD;

    needs->in_slot = loop ? o.a : o.all;
    if (op->kind == IR_ATOMIC)
        return;
    needs->dst_in_slot = true;
    if (op->kind == IR_CMPXCHG || loop) {
        needs->clobbers = 1u << X86_RAX;
        needs->dst = X86_RAX;
        needs->late = o.a | o.mem;
        wish(needs, o.b, X86_RAX);
    } else {
        needs->late = o.mem;
        needs->dst_is_a = true;
    }
}

static void needs_call(const struct ir_op *op, struct jit_needs *needs)
{
    static const uint8_t tail[] = {X86_ENV, X86_FP, X86_RSI, X86_RDX, X86_RCX};
    const uint8_t *where = op->kind == IR_CALL ? x86_c_args : op->kind == IR_CALL_LOCAL ? x86_params : tail;
    unsigned most = op->kind == IR_CALL ? X86_C_ARGS : op->kind == IR_CALL_LOCAL ? IR_PARAMS : sizeof(tail);

    for (unsigned i = 0; i < op->n_args && i < most; i++)
        needs->use[i] = where[i];
    needs->any_slot = (uint8_t)((1u << op->n_args) - 1);
    needs->dst = X86_RAX;
    needs->dst_in_slot = true;
}

void x86_needs(uint32_t features, const struct ir_op *op, struct jit_needs *needs)
{
    struct operands o = operands_of(op);

    switch (op->kind) {
    case IR_CONST: needs->dst_in_slot = true; break;
    case IR_SUB:
        /* What lies where the result goes would have to be negated first. */
        if (op->a != op->b)
            needs->late = o.b;
        /* fall through */
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
        needs->in_slot = o.all;
        needs->dst_in_slot = true;
        needs->dst_is_a = op->kind != IR_MUL || !(op->flags & IR_IMM);
        break;
    case IR_ANDN:
        needs->in_slot = o.all;
        needs->dst_in_slot = true;
        needs->dst_is_a = !(features & X86_HAS_BMI1);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL: needs_shift(features, op, o, needs); break;
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD:
        needs->clobbers = 1u << X86_RAX | 1u << X86_RDX;
        needs->dst = op->kind == IR_UDIV || op->kind == IR_SDIV ? X86_RAX : X86_RDX;
        wish(needs, o.a, X86_RAX);
        needs->in_slot = o.all;
        needs->dst_in_slot = true;
        break;
    case IR_MULHI: needs_mulhi(features, o, needs); break;
    case IR_NEG:
    case IR_NOT:
    case IR_BSWAP:
        needs->dst_is_a = true;
        /* fall through */
    case IR_COPY:
    case IR_ZEXT:
    case IR_SEXT:
    case IR_SET:
    case IR_SELECT:
    case IR_CARRY:
        needs->in_slot = o.all;
        needs->dst_in_slot = true;
        break;
    case IR_LEA:
    case IR_LOAD:
    case IR_LOAD_ACQ:
        needs->in_slot = may_hide_disp(op) ? 0 : o.all;
        needs->dst_in_slot = true;
        break;
    case IR_STORE:
    case IR_STORE_REL:
    case IR_RMW: needs_store(features, op, o, needs); break;
    case IR_ATOMIC:
    case IR_FETCH:
    case IR_XCHG:
    case IR_CMPXCHG: needs_atomic(op, o, needs); break;
    case IR_CALL:
    case IR_CALL_LOCAL:
    case IR_TAIL_CALL: needs_call(op, needs); break;
    case IR_POLL:
        /* The environment is read when the fuel is used up. */
        needs->late = needs->any_slot = o.b;
        needs->in_slot = o.a;
        needs->dst_is_a = needs->dst_in_slot = true;
        break;
    case IR_TRAP: needs->any_slot = o.a; break;
    case IR_EXIT:
        wish(needs, o.a, X86_RAX);
        needs->in_slot = o.a;
        break;
    case IR_CHECK:
    case IR_BR: needs->in_slot = o.all; break;
    default: break;
    }
}

/* ---- What operations may hold ---- */

static bool is_bit(uint64_t v)
{
    return v && !(v & (v - 1));
}

bool x86_imm_ok(const struct ir_op *op)
{
    int64_t v = op->imm;

    switch (op->kind) {
    case IR_CONST:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD:
    case IR_MULHI: return true;
    case IR_STORE:
    case IR_RMW:
        if (op->flags & IR_SWAP)
            v = (int64_t)__builtin_bswap64((uint64_t)v);
        return op->size < 8 || v == (int32_t)v;
    default: break;
    }
    if (v == (int32_t)v)
        return true;
    switch (op->kind) {
    case IR_ADD: return v == 0x80000000;
    case IR_AND: return v == (uint32_t)v || is_bit(~(uint64_t)v);
    case IR_OR:
    case IR_XOR: return is_bit((uint64_t)v);
    case IR_MUL: return is_bit((uint64_t)v);
    case IR_SET:
    case IR_SELECT:
    case IR_CARRY:
    case IR_BR: return (op->cc == IR_TZ || op->cc == IR_TNZ) && (v == (uint32_t)v || is_bit((uint64_t)v));
    default: return false;
    }
}

/* Every address is one; but two constants of the program's author in one operation are more than can be hidden. */
bool x86_mem_ok(const struct ir_op *op)
{
    if (!may_hide_disp(op))
        return true;
    return !(op->flags & (IR_IMM | IR_MEM)) && (op->kind == IR_LEA || op->kind == IR_LOAD || op->kind == IR_STORE) &&
           !(op->flags & IR_SWAP && op->kind == IR_STORE);
}

bool x86_mem_operand(enum ir_kind kind, unsigned width, unsigned size)
{
    switch (kind) {
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ANDN:
    case IR_SET:
    case IR_BR:
    case IR_MULHI: return width == size;
    default: return false;
    }
}
