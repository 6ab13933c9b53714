/*
 * Memory: addresses, loads, stores, operations on memory, atomics. Bases and indices of what writes its result before
 * it has read the address (exchanges) are late operands, so that the result's register is none of theirs.
 */
#include "jit/x86_64/lower.h"

/* Is the displacement one of the program's constants that must not stand in the code? What instructions themselves
 * offer is 16 bits. */
static bool blind_disp(const struct lower *l, const struct ir_op *op)
{
    return l->opts->harden && op->flags & IR_SECRET && op->disp != (int16_t)op->disp;
}

static void lea_blind(struct lower *l, const struct ir_op *op)
{
    struct ir_op plain = *op;
    struct x86_rm m;

    /* Nothing is in a slot here, see needs(). */
    x86_const_blind(l, X86_SCRATCH, op->disp);
    plain.disp = 0;
    m = x86_mem(l, &plain);
    if (m.base != X86_NONE)
        x86_alu(l->a, X86_ADD, 8, X86_SCRATCH, x86_r(m.base));
    m.base = X86_SCRATCH;
    x86_lea(l->a, op->width, x86_dst(l, op), m);
    x86_put(l, op, x86_dst(l, op));
}

void x86_lower_lea(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);
    struct x86_rm m;

    if (blind_disp(l, op)) {
        lea_blind(l, op);
        return;
    }
    m = x86_mem(l, op);
    if (m.base == X86_NONE && m.index != X86_NONE && m.scale == 1) {
        m.base = m.index;
        m.index = X86_NONE;
    }
    if (m.base == X86_NONE && m.index == X86_NONE)
        x86_mov_imm(l->a, op->width, x86_r(d), op->width == 4 ? (int64_t)(uint32_t)m.disp : m.disp);
    else if (m.index == X86_NONE && m.base == d)
        x86_alu_imm(l->a, X86_ADD, op->width, x86_r(d), m.disp);
    else if (m.index == X86_NONE && !m.disp)
        x86_mov(l->a, op->width, d, x86_r(m.base));
    else if (!m.disp && m.scale == 1 && m.base == d)
        x86_alu(l->a, X86_ADD, op->width, d, x86_r(m.index));
    else if (!m.disp && m.scale == 1 && m.index == d)
        x86_alu(l->a, X86_ADD, op->width, d, x86_r(m.base));
    else if (m.base == X86_NONE && m.index == d && !m.disp)
        x86_shift(l->a, X86_SHL, op->width, x86_r(d), op->shift);
    else
        x86_lea(l->a, op->width, d, m);
    x86_put(l, op, d);
}

/* The address of a load or store, which takes r11 where the displacement must not be seen. */
static struct x86_rm address(struct lower *l, const struct ir_op *op)
{
    struct ir_op plain = *op;
    struct x86_rm m;

    if (!blind_disp(l, op))
        return x86_mem(l, op);
    x86_const_blind(l, X86_SCRATCH, op->disp);
    plain.disp = 0;
    m = x86_mem(l, &plain);
    if (m.base != X86_NONE)
        x86_alu(l->a, X86_ADD, 8, X86_SCRATCH, x86_r(m.base));
    m.base = X86_SCRATCH;
    return m;
}

/* Halves of a register turned round: the upper bits stay zero. */
static void swap16(struct lower *l, enum x86_reg d)
{
    x86_shift(l->a, X86_ROL, 2, x86_r(d), 8);
}

static void load_swapped(struct lower *l, unsigned size, enum x86_reg d, struct x86_rm m)
{
    if (size == 2) {
        x86_movzx(l->a, 2, d, m);
        swap16(l, d);
    } else if (l->features & X86_HAS_MOVBE) {
        x86_movbe(l->a, size, d, m);
    } else {
        x86_mov(l->a, size, d, m);
        x86_bswap(l->a, size, d);
    }
}

void x86_lower_load(struct lower *l, const struct ir_op *op)
{
    struct x86_rm m = address(l, op);
    enum x86_reg d = x86_dst(l, op);

    if (op->flags & IR_SWAP && op->size > 1) {
        load_swapped(l, op->size, d, m);
        if (op->flags & IR_SIGNED && op->size < 8)
            x86_movsx(l->a, 8, op->size, d, x86_r(d));
    } else if (op->flags & IR_SIGNED && op->size < 8) {
        x86_movsx(l->a, 8, op->size, d, m);
    } else {
        x86_movzx(l->a, op->size, d, m);
    }
    x86_put(l, op, d);
}

static uint64_t swapped(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* What `size` bytes hold of v, sign-extended. */
static int64_t as_size(int64_t v, unsigned size)
{
    return (int64_t)((uint64_t)v << (64 - 8 * size)) >> (64 - 8 * size);
}

static void store_imm(struct lower *l, const struct ir_op *op)
{
    int64_t v = as_size(op->flags & IR_SWAP ? (int64_t)swapped((uint64_t)op->imm, op->size) : op->imm, op->size);

    if (x86_is_blind(l, op)) {
        x86_const_blind(l, X86_SCRATCH, v);
        x86_mov_to(l->a, op->size, x86_mem(l, op), X86_SCRATCH);
    } else if (v != (int32_t)v) {
        /* Asked for by no one: imm_ok() says no. */
        x86_const(l, X86_SCRATCH, v);
        x86_mov_to(l->a, op->size, x86_mem(l, op), X86_SCRATCH);
    } else {
        x86_mov_imm(l->a, op->size, address(l, op), v);
    }
}

void x86_lower_store(struct lower *l, const struct ir_op *op)
{
    enum x86_reg v;
    struct x86_rm m;

    if (op->flags & IR_IMM) {
        store_imm(l, op);
        return;
    }
    if (!(op->flags & IR_SWAP) || op->size == 1) {
        m = address(l, op);
        x86_mov_to(l->a, op->size, m, x86_get(l, op->a, X86_SCRATCH));
    } else if (l->features & X86_HAS_MOVBE) {
        m = address(l, op);
        x86_movbe_to(l->a, op->size, m, x86_get(l, op->a, X86_SCRATCH));
    } else {
        m = x86_mem(l, op);
        v = X86_SCRATCH;
        x86_get_into(l, 8, v, op->a);
        if (op->size == 2)
            swap16(l, v);
        else
            x86_bswap(l->a, op->size, v);
        x86_mov_to(l->a, op->size, m, v);
    }
}

static enum x86_alu alu_of(unsigned kind)
{
    return kind == IR_ADD   ? X86_ADD
           : kind == IR_SUB ? X86_SUB
           : kind == IR_AND ? X86_AND
           : kind == IR_OR  ? X86_OR
                            : X86_XOR;
}

void x86_lower_rmw(struct lower *l, const struct ir_op *op)
{
    enum x86_alu alu = alu_of(op->aux);
    int64_t v = as_size(op->imm, op->size);
    struct x86_rm m;

    if (!(op->flags & IR_IMM)) {
        m = address(l, op);
        x86_alu_to(l->a, alu, op->size, m, x86_get(l, op->a, X86_SCRATCH));
    } else if (x86_is_blind(l, op) || v != (int32_t)v) {
        x86_const_of(l, X86_SCRATCH, op);
        x86_alu_to(l->a, alu, op->size, x86_mem(l, op), X86_SCRATCH);
    } else {
        x86_alu_imm(l->a, alu, op->size, address(l, op), v);
    }
}

/* ---- Atomics. Loads acquire and stores release by themselves on this machine. ---- */

static void fetch_by_loop(struct lower *l, const struct ir_op *op)
{
    uint32_t again = x86_label(l->a);
    struct x86_rm m = x86_mem(l, op);

    x86_mov(l->a, op->size, X86_RAX, m);
    x86_bind(l->a, again);
    x86_mov(l->a, op->size, X86_SCRATCH, x86_r(X86_RAX));
    x86_alu(l->a, alu_of(op->aux), op->size, X86_SCRATCH, x86_place(l, op->a));
    x86_lock_cmpxchg(l->a, op->size, m, X86_SCRATCH);
    x86_jcc(l->a, X86_NE, again);
    x86_put(l, op, X86_RAX);
}

/* Both leave in a register what memory held, zero-extended at size 4. */
static void exchange(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);
    struct x86_rm m = x86_mem(l, op);

    x86_get_into(l, 8, d, op->a);
    if (op->kind == IR_FETCH)
        x86_lock_xadd(l->a, op->size, m, d);
    else
        x86_xchg(l->a, op->size, m, d);
    x86_put(l, op, d);
}

static void compare_exchange(struct lower *l, const struct ir_op *op)
{
    struct x86_rm m = x86_mem(l, op);
    enum x86_reg v = x86_get(l, op->a, X86_SCRATCH);

    x86_get_into(l, 8, X86_RAX, op->b);
    x86_lock_cmpxchg(l->a, op->size, m, v);
    /* When they were equal rax is what it was, upper half included. */
    if (op->size == 4)
        x86_mov(l->a, 4, X86_RAX, x86_r(X86_RAX));
    x86_put(l, op, X86_RAX);
}

void x86_lower_atomic(struct lower *l, const struct ir_op *op)
{
    struct x86_rm m;

    switch (op->kind) {
    case IR_LOAD_ACQ: x86_lower_load(l, op); break;
    case IR_STORE_REL: x86_lower_store(l, op); break;
    case IR_ATOMIC:
        m = x86_mem(l, op);
        x86_lock_alu(l->a, alu_of(op->aux), op->size, m, x86_get(l, op->a, X86_SCRATCH));
        break;
    case IR_CMPXCHG: compare_exchange(l, op); break;
    default:
        if (op->kind == IR_FETCH && op->aux != IR_ADD)
            fetch_by_loop(l, op);
        else
            exchange(l, op);
    }
}
