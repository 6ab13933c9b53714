/*
 * Comparisons, and everything that leaves its place: branches, calls, traps. A comparison and what reads its flags are
 * one operation; what the flags say from the operation before is used where it says the same (x86_flags).
 */
#include "jit/runtime.h"
#include "jit/x86_64/lower.h"
#include "vm/maps/array.h"

#include <stddef.h>
#include <stdlib.h>

#define ENV(field) ((int32_t)offsetof(struct skep_env, field))

/* ---- Comparisons ---- */

static const uint8_t cc_of[] = {
    [IR_EQ] = X86_E,  [IR_NE] = X86_NE,  [IR_ULT] = X86_B,  [IR_UGE] = X86_AE, [IR_ULE] = X86_BE, [IR_UGT] = X86_A,
    [IR_SLT] = X86_L, [IR_SGE] = X86_GE, [IR_SLE] = X86_LE, [IR_SGT] = X86_G,  [IR_TZ] = X86_E,   [IR_TNZ] = X86_NE,
};

static bool is_test(const struct ir_op *op)
{
    return op->cc == IR_TZ || op->cc == IR_TNZ;
}

static enum x86_cc test_imm(struct lower *l, const struct ir_op *op)
{
    uint64_t v = op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;
    struct x86_rm a = x86_place(l, op->a);

    if (v < 0x80 || (v < 0x100 && a.kind == X86_RM_REG)) {
        x86_test_imm(l->a, 1, a, (int64_t)v);
    } else if (v == (uint32_t)v) {
        x86_test_imm(l->a, 4, a, (int64_t)v);
    } else if ((int64_t)v == (int32_t)v) {
        x86_test_imm(l->a, 8, a, (int64_t)v);
    } else if (!(v & (v - 1))) {
        x86_bit_imm(l->a, X86_BT, 8, a, (uint8_t)__builtin_ctzll(v));
        return op->cc == IR_TZ ? X86_AE : X86_B;
    } else {
        x86_const(l, X86_SCRATCH, op->imm);
        x86_test(l->a, 8, a, X86_SCRATCH);
    }
    return (enum x86_cc)cc_of[op->cc];
}

static enum x86_cc compare_imm(struct lower *l, const struct ir_op *op)
{
    enum x86_reg a = place_reg(l, op->a);

    if (x86_is_blind(l, op)) {
        x86_const_blind(l, X86_SCRATCH, op->imm);
        if (is_test(op))
            x86_test(l->a, op->width, x86_place(l, op->a), X86_SCRATCH);
        else
            x86_alu_to(l->a, X86_CMP, op->width, x86_place(l, op->a), X86_SCRATCH);
    } else if (is_test(op)) {
        return test_imm(l, op);
    } else if (!op->imm && a != X86_NONE) {
        x86_test(l->a, op->width, x86_r(a), a);
    } else if (op->imm == (int32_t)op->imm) {
        x86_alu_imm(l->a, X86_CMP, op->width, x86_place(l, op->a), op->imm);
    } else {
        x86_const(l, X86_SCRATCH, op->imm);
        x86_alu_to(l->a, X86_CMP, op->width, x86_place(l, op->a), X86_SCRATCH);
    }
    return (enum x86_cc)cc_of[op->cc];
}

/* A sum below one of its summands has carried. */
static bool has_carried(const struct x86_flags *f, uint32_t sum, uint32_t other)
{
    return f->kind == IR_ADD && sum == f->dst && other != sum && (other == f->a || other == f->b);
}

/* Do the flags say it already? *cc is the condition then. */
static bool is_known(const struct lower *l, const struct ir_op *op, enum x86_cc *cc)
{
    const struct x86_flags *f = &l->flags;

    if (!f->dst || f->at != l->a->len || op->flags & IR_MEM || is_test(op))
        return false;
    *cc = (enum x86_cc)cc_of[op->cc];
    if (op->flags & IR_IMM) {
        if (op->imm || op->a != f->dst)
            return false;
        if (op->cc == IR_SLT || op->cc == IR_SGE)
            *cc = op->cc == IR_SLT ? X86_S : X86_NS;
        else if ((op->cc != IR_EQ && op->cc != IR_NE) || f->width == op->width)
            return op->cc == IR_EQ || op->cc == IR_NE;
        else
            return f->width < op->width; /* zeros above */
        return f->width == op->width;
    }
    if (f->width != op->width)
        return false;
    if (f->kind == IR_SUB && op->a == f->a && op->b == f->b)
        return op->a != f->dst && op->b != f->dst;
    if (op->cc == IR_UGT || op->cc == IR_ULE) {
        *cc = op->cc == IR_UGT ? X86_B : X86_AE;
        return has_carried(f, op->b, op->a);
    }
    return (op->cc == IR_ULT || op->cc == IR_UGE) && has_carried(f, op->a, op->b);
}

enum x86_cc x86_compare(struct lower *l, const struct ir_op *op)
{
    struct x86_rm a, b;
    enum x86_cc cc;

    if (is_known(l, op, &cc))
        return cc;
    if (op->flags & IR_IMM)
        return compare_imm(l, op);
    a = x86_place(l, op->a);
    b = op->flags & IR_MEM ? x86_mem(l, op) : x86_place(l, op->b);
    if (a.kind == X86_RM_MEM && b.kind == X86_RM_MEM) {
        x86_mov(l->a, op->width, X86_SCRATCH, a);
        a = x86_r(X86_SCRATCH);
    }
    if (is_test(op) && a.kind == X86_RM_REG)
        x86_test(l->a, op->width, b, a.base);
    else if (is_test(op))
        x86_test(l->a, op->width, a, b.base);
    else if (a.kind == X86_RM_REG)
        x86_alu(l->a, X86_CMP, op->width, a.base, b);
    else
        x86_alu_to(l->a, X86_CMP, op->width, a, b.base);
    return (enum x86_cc)cc_of[op->cc];
}

/* Does the comparison read this register, or destroy it on its way? */
static bool compares(const struct lower *l, const struct ir_op *op, enum x86_reg r)
{
    if (r == X86_SCRATCH || place_reg(l, op->a) == r)
        return true;
    if (op->flags & IR_IMM)
        return false;
    if (op->flags & IR_MEM)
        return place_reg(l, op->base) == r || place_reg(l, op->index) == r;
    return place_reg(l, op->b) == r;
}

/* The upper part of the result is cleared before it is known: behind, that would be part of the way to it. */
void x86_lower_set(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);
    enum x86_cc cc;
    bool before = !is_known(l, op, &cc) && !compares(l, op, d);

    if (before)
        x86_alu(l->a, X86_XOR, 4, d, x86_r(d));
    cc = x86_compare(l, op);
    if (!before)
        x86_mov_imm(l->a, 4, x86_r(d), 0);
    x86_set(l->a, cc, x86_r(d));
    x86_put(l, op, d);
}

/* d + CF, d + 1 - CF, d - CF, d - 1 + CF. */
void x86_lower_carry(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);
    bool carries = x86_compare(l, op) == X86_B;

    if (place_reg(l, op->yes) != d)
        x86_mov(l->a, op->size, d, x86_place(l, op->yes));
    x86_alu_imm(l->a, carries == (op->aux == IR_ADD) ? X86_ADC : X86_SBB, op->size, x86_r(d), carries ? 0 : -1);
    x86_put(l, op, d);
}

void x86_lower_select(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);
    enum x86_cc cc = x86_compare(l, op);

    if (place_reg(l, op->yes) == d) {
        x86_cmov(l->a, (enum x86_cc)(cc ^ 1), 8, d, x86_place(l, op->no));
    } else {
        x86_get_into(l, 8, d, op->no);
        x86_cmov(l->a, cc, 8, d, x86_place(l, op->yes));
    }
    x86_put(l, op, d);
}

void x86_lower_jump(struct lower *l, uint32_t to)
{
    if (to != l->next)
        x86_jmp(l->a, l->block_label + to);
}

void x86_lower_branch(struct lower *l, const struct ir_op *op, const struct ir_block *b)
{
    enum x86_cc cc;

    if (b->succ[0] == b->succ[1]) {
        x86_lower_jump(l, b->succ[0]);
        return;
    }
    cc = x86_compare(l, op);
    if (b->succ[0] == l->next) {
        x86_jcc(l->a, (enum x86_cc)(cc ^ 1), l->block_label + b->succ[1]);
    } else {
        x86_jcc(l->a, cc, l->block_label + b->succ[0]);
        x86_lower_jump(l, b->succ[1]);
    }
}

/* ---- Calls ---- */

static uint32_t pooled(struct lower *l, uint64_t address)
{
    struct x86_output *out = l->out;
    enum { LOOK_BACK = 32 };

    for (uint32_t i = out->n_pool; i-- > 0 && out->n_pool - i <= LOOK_BACK;)
        if (out->pool[i].address == address)
            return i;
    if (out->n_pool == out->pool_cap) {
        uint32_t cap = out->pool_cap ? out->pool_cap * 2 : 16;
        struct x86_pooled *more = realloc(out->pool, cap * sizeof(*more));

        if (!more) {
            l->a->err = l->a->err ? l->a->err : -ENOMEM;
            return 0;
        }
        out->pool = more;
        out->pool_cap = cap;
    }
    out->pool[out->n_pool] = (struct x86_pooled){address, x86_label(l->a)};
    return out->n_pool++;
}

void x86_call_c(struct lower *l, uint64_t address)
{
    struct x86_output *out = l->out;
    uint32_t pool = pooled(l, address), label = x86_label(l->a);

    if (out->n_externs == out->extern_cap) {
        uint32_t cap = out->extern_cap ? out->extern_cap * 2 : 64;
        struct x86_extern *more = realloc(out->externs, cap * sizeof(*more));

        if (!more)
            l->a->err = l->a->err ? l->a->err : -ENOMEM;
        else
            out->externs = more;
        if (more)
            out->extern_cap = cap;
    }
    if (l->a->err)
        return;
    x86_bind(l->a, label);
    x86_call_rm(l->a, x86_in(out->pool[pool].label, 0));
    out->externs[out->n_externs++] = (struct x86_extern){label, pool};
}

/* All at once: register `to[i]` = v[i]. */
static void gather(struct lower *l, const uint32_t *v, const uint8_t *to, unsigned n)
{
    struct jit_move moves[16], todo[32];

    for (unsigned i = 0; i < n; i++)
        moves[i] = (struct jit_move){.dst = to[i], .src = l->alloc->place[v[i]].reg, .tag = v[i]};
    n = jit_moves(moves, n, X86_SCRATCH, todo);
    for (unsigned i = 0; i < n; i++) {
        if (todo[i].src != JIT_NO_REG)
            x86_move(l, todo[i].dst, todo[i].src);
        else
            x86_mov(l->a, 8, todo[i].dst, x86_place(l, todo[i].tag));
    }
}

/* Those of an operation's saves whose registers are among these. */
static void keep(struct lower *l, const struct jit_save *saves, uint32_t n, uint32_t among)
{
    for (uint32_t i = 0; i < n; i++)
        if (among >> saves[i].reg & 1)
            x86_mov_to(l->a, 8, x86_slot(l, saves[i].slot), saves[i].reg);
}

static void bring_back(struct lower *l, const struct jit_save *saves, uint32_t n, uint32_t among)
{
    for (uint32_t i = 0; i < n; i++)
        if (among >> saves[i].reg & 1)
            x86_mov(l->a, 8, saves[i].reg, x86_slot(l, saves[i].slot));
}

void x86_lower_call(struct lower *l, const struct ir_op *op)
{
    bool local = op->kind == IR_CALL_LOCAL;

    if (!local && op->n_args > X86_C_ARGS) {
        l->a->err = l->a->err ? l->a->err : -EINVAL;
        return;
    }
    keep(l, l->saves, l->n_saves, UINT32_MAX);
    gather(l, &l->f->args[op->args], local ? x86_params : x86_c_args, op->n_args);
    if (local)
        x86_call(l->a, l->func_label + (uint32_t)op->imm);
    else
        x86_call_c(l, (uint64_t)op->imm);
    if (op->dst)
        x86_put(l, op, X86_RAX);
    bring_back(l, l->saves, l->n_saves, UINT32_MAX);
}

/* Where env and fp wait while C decides on a tail call: behind the slots. */
static struct x86_rm waiting(const struct lower *l, unsigned i)
{
    return x86_slot(l, l->alloc->n_slots + i);
}

/* r1 is in rsi; control goes to where r11 says. */
static void go_on(struct lower *l)
{
    x86_epilogue(l);
    x86_jmp_rm(l->a, x86_r(X86_R11));
}

/* What jit_tail_call() does, for a program that is there and has machine code: all else is left to it. rdx: the map;
 * rcx: the index, by its low half; neither when the slot is known. In function 0 the depth of frames is that of the
 * program's first one already. */
static void tail_fast(struct lower *l, const struct ir_op *op, uint32_t slow, uint32_t through)
{
    struct x86_asm *a = l->a;
    bool inner = l->f->index || l->entry_is_called;

    if (!l->counts_tails)
        x86_mov(a, 4, X86_TAILS, x86_at(X86_ENV, ENV(tail_calls)));
    x86_alu_imm(a, X86_CMP, 4, x86_r(X86_TAILS), PROG_MAX_TAIL_CALLS);
    x86_jcc(a, X86_AE, through);
    if (op->imm) {
        x86_const(l, X86_R8, op->imm);
        x86_mov(a, 8, X86_R8, x86_at(X86_R8, 0));
    } else {
        x86_alu(a, X86_CMP, 4, X86_RCX, x86_at(X86_RDX, (int32_t)offsetof(struct map, def.max_entries)));
        x86_jcc(a, X86_AE, through);
        x86_mov(a, 8, X86_R8, x86_at(X86_RDX, (int32_t)offsetof(struct map, priv)));
        x86_mov(a, 4, X86_RCX, x86_r(X86_RCX));
        x86_mov(a, 8, X86_R8, x86_at(X86_R8, (int32_t)offsetof(struct array, values)));
        x86_mov(a, 8, X86_R8, x86_indexed(X86_R8, X86_RCX, sizeof(void *), 0));
    }
    x86_test(a, 8, x86_r(X86_R8), X86_R8);
    x86_jcc(a, X86_E, through);
    x86_mov(a, 8, X86_R11, x86_at(X86_R8, (int32_t)offsetof(struct code, machine_code)));
    x86_test(a, 8, x86_r(X86_R11), X86_R11);
    x86_jcc(a, X86_E, slow);
    x86_mov(a, 4, X86_R10, x86_at(X86_R8, (int32_t)offsetof(struct code, ctx_needed)));
    x86_alu(a, X86_CMP, 4, X86_R10, x86_at(X86_ENV, ENV(ctx_size)));
    x86_jcc(a, X86_A, slow);
    if (inner)
        x86_mov(a, 4, X86_R10, x86_at(X86_ENV, ENV(frame)));
    x86_alu_imm(a, X86_ADD, 4, x86_r(X86_TAILS), 1);
    x86_mov_to(a, 4, x86_at(X86_ENV, ENV(tail_calls)), X86_TAILS);
    x86_mov_to(a, 8, x86_at(X86_ENV, ENV(code)), X86_R8);
    if (inner)
        x86_mov_to(a, 4, x86_at(X86_ENV, ENV(first_frame)), X86_R10);
}

static const uint8_t tail_args[] = {X86_ENV, X86_FP, X86_RSI, X86_RDX, X86_RCX};

/* Registers that hold something else once the fast path has looked. */
static uint32_t tail_spoils(const struct lower *l, const struct ir_op *op)
{
    uint32_t spoils = 1u << X86_RSI | 1u << X86_RDX | 1u << X86_RCX | 1u << X86_R8 | 1u << X86_TAILS | 1u << X86_R10;

    for (unsigned i = 0; i < op->n_args; i++)
        if (place_reg(l, l->f->args[op->args + i]) != (enum x86_reg)tail_args[i])
            spoils |= 1u << tail_args[i];
    return spoils;
}

bool x86_tail_leaves(const struct lower *l, const struct jit_save *save)
{
    return !(tail_spoils(l, &l->f->blocks[save->block].ops[save->op]) >> save->reg & 1);
}

void x86_lower_tail_call(struct lower *l, const struct ir_op *op)
{
    uint32_t through, slow = x86_stub(l, X86_STUB_TAIL, op, X86_NONE, &through), spoils = tail_spoils(l, op);

    keep(l, l->saves, l->n_saves, spoils);
    gather(l, &l->f->args[op->args], tail_args, op->n_args);
    tail_fast(l, op, slow, through);
    go_on(l);
    x86_bind(l->a, through);
    bring_back(l, l->saves, l->n_saves, spoils);
}

static void tail_slow(struct lower *l, const struct x86_stub *stub)
{
    uint32_t rest = ~tail_spoils(l, stub->op), leaves = x86_label(l->a);

    if (l->late)
        x86_alu_imm(l->a, X86_SUB, 8, x86_r(X86_RSP), l->late);
    keep(l, stub->saves, stub->n_saves, rest);
    x86_mov_to(l->a, 8, waiting(l, 0), X86_ENV);
    x86_mov_to(l->a, 8, waiting(l, 1), X86_FP);
    if (stub->op->imm)
        x86_const(l, X86_RDX, stub->op->imm);
    x86_call_c(l, stub->op->imm ? (uintptr_t)jit_tail_call_at : (uintptr_t)jit_tail_call);
    x86_test(l->a, 8, x86_r(X86_RAX), X86_RAX);
    x86_jcc(l->a, X86_NE, leaves);
    if (l->counts_tails) {
        x86_mov(l->a, 8, X86_TAILS, waiting(l, 0));
        x86_mov(l->a, 4, X86_TAILS, x86_at(X86_TAILS, ENV(tail_calls)));
    }
    bring_back(l, stub->saves, stub->n_saves, rest);
    if (l->late)
        x86_alu_imm(l->a, X86_ADD, 8, x86_r(X86_RSP), l->late);
    x86_jmp(l->a, stub->back);
    x86_bind(l->a, leaves);
    x86_move(l, X86_R11, X86_RAX);
    x86_move(l, X86_RSI, X86_RDX);
    x86_mov(l->a, 8, X86_ENV, waiting(l, 0));
    x86_mov(l->a, 8, X86_FP, waiting(l, 1));
    x86_mov(l->a, 4, X86_TAILS, x86_at(X86_ENV, ENV(tail_calls)));
    if (l->late)
        x86_alu_imm(l->a, X86_ADD, 8, x86_r(X86_RSP), l->late);
    go_on(l);
}

/* ---- Traps ---- */

_Static_assert(sizeof(((struct trap *)0)->kind) == 4, "compared as 4 bytes");

void x86_lower_check(struct lower *l, const struct ir_op *op)
{
    enum x86_reg env = x86_get(l, op->a, X86_SCRATCH);
    uint32_t stub = x86_stub(l, X86_STUB_CHECK, op, env, NULL);

    x86_alu_imm(l->a, X86_CMP, 4, x86_at(env, ENV(trap.kind)), TRAP_none);
    x86_jcc(l->a, X86_NE, stub);
}

/* Fuel whose place is a slot is taken from there. */
static bool stays_in_slot(const struct lower *l, const struct ir_op *poll)
{
    return !in_reg(l, poll->dst) && !in_reg(l, poll->a) &&
           l->alloc->place[poll->dst].slot == l->alloc->place[poll->a].slot;
}

void x86_lower_poll(struct lower *l, const struct ir_op *op)
{
    bool stays = stays_in_slot(l, op);
    enum x86_reg d = x86_dst(l, op);
    uint32_t back, stub = x86_stub(l, X86_STUB_POLL, op, d, &back);

    if (!stays && place_reg(l, op->a) != d)
        x86_mov(l->a, 8, d, x86_place(l, op->a));
    if (!op->imm && !stays) /* the fuel was taken before */
        x86_test(l->a, 8, x86_r(d), d);
    else
        x86_alu_imm(l->a, X86_SUB, 8, stays ? x86_place(l, op->a) : x86_r(d), op->imm);
    x86_jcc(l->a, X86_L, stub); /* as S, which not every CPU makes one operation of with a subtraction */
    x86_bind(l->a, back);
    if (!stays)
        x86_put(l, op, d);
}

/* The first to see a trap says where it stood. */
static void leave(struct lower *l, enum x86_reg env, uint32_t slot)
{
    x86_alu_imm(l->a, X86_CMP, 4, x86_at(env, ENV(trap.insn)), -1);
    l->leaves = true;
    x86_jcc(l->a, X86_NE, l->leave);
    x86_mov_imm(l->a, 4, x86_at(env, ENV(trap.insn)), slot);
    x86_jmp(l->a, l->leave);
}

static void poll(struct lower *l, const struct x86_stub *stub)
{
    uint32_t leaves = x86_label(l->a);

    bool stays = stays_in_slot(l, stub->op);

    l->refuels = true;
    if (stays)
        x86_mov(l->a, 8, X86_SCRATCH, x86_place(l, stub->op->a));
    else
        x86_move(l, X86_SCRATCH, stub->reg);
    if (in_reg(l, stub->op->b))
        x86_push(l->a, x86_r(place_reg(l, stub->op->b)));
    else
        x86_push(l->a, x86_place(l, stub->op->b));
    x86_call(l->a, l->refuel_label);
    x86_lea(l->a, 8, X86_RSP, x86_at(X86_RSP, 8));
    x86_test(l->a, 8, x86_r(X86_SCRATCH), X86_SCRATCH);
    x86_jcc(l->a, X86_S, leaves);
    if (stays)
        x86_mov_to(l->a, 8, x86_place(l, stub->op->dst), X86_SCRATCH);
    else
        x86_move(l, stub->reg, X86_SCRATCH);
    x86_jmp(l->a, stub->back);
    x86_bind(l->a, leaves);
    leave(l, x86_get(l, stub->op->b, X86_SCRATCH), stub->op->slot);
}

void x86_lower_trap(struct lower *l, const struct ir_op *op)
{
    /* Functions without calls have not aligned their frame. */
    uint32_t mend = (l->depth + 8) % 16;

    x86_get_into(l, 8, X86_RDI, op->a);
    x86_mov_imm(l->a, 8, x86_r(X86_RSI), op->imm);
    x86_mov_imm(l->a, 4, x86_r(X86_RDX), op->slot);
    if (mend)
        x86_alu_imm(l->a, X86_SUB, 8, x86_r(X86_RSP), mend);
    x86_call_c(l, (uintptr_t)jit_trap);
    if (mend)
        x86_alu_imm(l->a, X86_ADD, 8, x86_r(X86_RSP), mend);
    l->leaves = true;
    x86_jmp(l->a, l->leave);
}

void x86_stub_flow(struct lower *l, const struct x86_stub *stub)
{
    x86_bind(l->a, stub->label);
    if (stub->kind == X86_STUB_CHECK)
        leave(l, stub->reg, stub->op->slot);
    else if (stub->kind == X86_STUB_TAIL)
        tail_slow(l, stub);
    else
        poll(l, stub);
}
