/* The evaluator: a function a family of kinds. What it calls in C is what machine code calls. */
#include "tests/ir/eval.h"
#include "jit/runtime.h"
#include <stdlib.h>
#include <string.h>

struct eval {
    struct ir_func *f;
    struct skep_env *env;
    uint64_t *v;
    bool left; /* the function is over, with result */
    uint64_t result;
};

typedef uint64_t (*c_function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << size * 8) - 1);
}

static uint64_t stretch(uint64_t value, unsigned size)
{
    unsigned up = 64 - size * 8;

    return (uint64_t)((int64_t)(value << up) >> up);
}

static uint64_t reverse(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - size * 8);
}

static uint64_t address(const struct eval *e, const struct ir_op *op)
{
    return (op->base ? e->v[op->base] : 0) + ((op->index ? e->v[op->index] : 0) << op->shift) +
           (uint64_t)(int64_t)op->disp;
}

static uint64_t load(uint64_t at, const struct ir_op *op)
{
    const void *p = (const void *)(uintptr_t)at;
    uint64_t value = 0;

    memcpy((char *)&value + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 8 - op->size : 0), p, op->size);
    if (op->flags & IR_SWAP)
        value = reverse(value, op->size);
    return op->flags & IR_SIGNED ? stretch(value, op->size) : value;
}

static void store(uint64_t at, const struct ir_op *op, uint64_t value)
{
    if (op->flags & IR_SWAP)
        value = reverse(cut(value, op->size), op->size);
    memcpy((void *)(uintptr_t)at, (char *)&value + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 8 - op->size : 0),
           op->size);
}

static uint64_t second(const struct eval *e, const struct ir_op *op)
{
    return op->flags & IR_IMM ? (uint64_t)op->imm : op->flags & IR_MEM ? load(address(e, op), op) : e->v[op->b];
}

static bool holds(const struct eval *e, const struct ir_op *op)
{
    uint64_t a = cut(e->v[op->a], op->width), b = cut(second(e, op), op->width);
    int64_t sa = (int64_t)stretch(a, op->width), sb = (int64_t)stretch(b, op->width);

    switch ((enum ir_cc)op->cc) {
    case IR_EQ: return a == b;
    case IR_NE: return a != b;
    case IR_ULT: return a < b;
    case IR_UGE: return a >= b;
    case IR_ULE: return a <= b;
    case IR_UGT: return a > b;
    case IR_SLT: return sa < sb;
    case IR_SGE: return sa >= sb;
    case IR_SLE: return sa <= sb;
    case IR_SGT: return sa > sb;
    case IR_TZ: return !(a & b);
    case IR_TNZ: return a & b;
    }
    abort();
}

/* Arithmetic of operands that are cut to width; what is above width in the result does not count. */
static uint64_t compute(enum ir_kind kind, unsigned width, uint64_t a, uint64_t b)
{
    int64_t sa = (int64_t)stretch(a, width), sb = (int64_t)stretch(b, width);
    unsigned bits = width * 8, n = b & (bits - 1);

    switch (kind) {
    case IR_ADD: return a + b;
    case IR_SUB: return a - b;
    case IR_MUL: return a * b;
    case IR_AND: return a & b;
    case IR_OR: return a | b;
    case IR_XOR: return a ^ b;
    case IR_ANDN: return ~a & b;
    case IR_SHL: return a << n;
    case IR_SHR: return a >> n;
    case IR_SAR: return (uint64_t)(sa >> n);
    case IR_ROL: return n ? a << n | a >> (bits - n) : a;
    case IR_UDIV: return b ? a / b : 0;
    case IR_UMOD: return b ? a % b : a;
    case IR_SDIV: return !b ? 0 : sb == -1 ? 0 - a : (uint64_t)(sa / sb);
    case IR_SMOD: return !b ? a : sb == -1 ? 0 : (uint64_t)(sa % sb);
    case IR_MULHI: return (uint64_t)((unsigned __int128)a * b >> 64);
    default: abort();
    }
}

static uint64_t atomic(const struct eval *e, const struct ir_op *op)
{
    void *p = (void *)(uintptr_t)address(e, op);
    uint64_t a = e->v[op->a];

#define DO(type)                                                                                                       \
    switch (op->kind) {                                                                                                \
    case IR_XCHG: return __atomic_exchange_n((type *)p, (type)a, __ATOMIC_SEQ_CST);                                    \
    case IR_CMPXCHG: {                                                                                                 \
        type old = (type)e->v[op->b];                                                                                  \
        __atomic_compare_exchange_n((type *)p, &old, (type)a, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
        return old;                                                                                                    \
    }                                                                                                                  \
    default:                                                                                                           \
        switch (op->aux) {                                                                                             \
        case IR_ADD: return __atomic_fetch_add((type *)p, (type)a, __ATOMIC_SEQ_CST);                                  \
        case IR_AND: return __atomic_fetch_and((type *)p, (type)a, __ATOMIC_SEQ_CST);                                  \
        case IR_OR: return __atomic_fetch_or((type *)p, (type)a, __ATOMIC_SEQ_CST);                                    \
        case IR_XOR: return __atomic_fetch_xor((type *)p, (type)a, __ATOMIC_SEQ_CST);                                  \
        }                                                                                                              \
    }
    if (op->size == 8) {
        DO(uint64_t)
    } else {
        DO(uint32_t)
    }
#undef DO
    abort();
}

/* A trap stands: the first who sees it says where. */
static void leave(struct eval *e, const struct ir_op *op)
{
    if (e->env->trap.insn == UINT32_MAX)
        e->env->trap.insn = op->slot;
    e->left = true;
}

static uint64_t call(const struct eval *e, const struct ir_op *op)
{
    uint64_t a[IR_PARAMS] = {0};

    for (unsigned i = 0; i < IR_PARAMS; i++)
        a[i] = i < op->n_args ? e->v[e->f->args[op->args + i]] : 0xbad0bad0bad0bad0;
    if (op->kind == IR_CALL)
        return ((c_function)(uintptr_t)op->imm)(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    return ir_eval(e->f->ir, (uint32_t)op->imm, e->env, a[1], &a[2]);
}

static void tail_call(struct eval *e, const struct ir_op *op)
{
    const uint32_t *args = e->f->args + op->args;
    struct jit_tail t = op->imm ? jit_tail_call_at(e->env, e->v[args[2]], (const struct code **)(uintptr_t)op->imm)
                                : jit_tail_call(e->env, e->v[args[2]], e->v[args[3]], e->v[args[4]]);

    if (!t.to)
        return;
    e->result = t.arg; /* the engine is not the JIT: the other program has run */
    e->left = true;
}

static void poll(struct eval *e, const struct ir_op *op)
{
    int64_t fuel = (int64_t)(e->v[op->a] - (uint64_t)op->imm);

    if (fuel < 0)
        fuel = jit_refuel(e->env, fuel);
    if (fuel < 0)
        leave(e, op);
    e->v[op->dst] = (uint64_t)fuel;
}

static uint64_t first_or_imm(const struct eval *e, const struct ir_op *op)
{
    return op->flags & IR_IMM ? (uint64_t)op->imm : e->v[op->a];
}

#define STEP(name, does)                                                                                               \
    static void step_##name(struct eval *e, const struct ir_op *op)                                                    \
    {                                                                                                                  \
        uint64_t *d = &e->v[op->dst];                                                                                  \
        (void)d;                                                                                                       \
        does;                                                                                                          \
    }
/* clang-format off: one a family */
STEP(NOP, )
STEP(JMP, )
STEP(BR, )
STEP(CONST, *d = (uint64_t)op->imm)
STEP(COPY, *d = e->v[op->a])
STEP(ALU, *d = cut(compute(op->kind, op->width, cut(e->v[op->a], op->width), cut(second(e, op), op->width)), op->width))
STEP(UNARY, *d = cut(op->kind == IR_NEG ? 0 - e->v[op->a] : ~e->v[op->a], op->width))
STEP(LEA, *d = cut(address(e, op), op->width))
STEP(SET, *d = holds(e, op))
STEP(SELECT, *d = holds(e, op) ? e->v[op->yes] : e->v[op->no])
STEP(CARRY, *d = cut(compute(op->aux, op->size, e->v[op->yes], holds(e, op)), op->size))
STEP(LOAD, *d = load(address(e, op), op))
STEP(STORE, store(address(e, op), op, first_or_imm(e, op)))
STEP(RMW, store(address(e, op), op, compute(op->aux, 8, load(address(e, op), op), first_or_imm(e, op))))
STEP(LOAD_ACQ, *d = load(address(e, op), op); __atomic_thread_fence(__ATOMIC_ACQUIRE))
STEP(STORE_REL, __atomic_thread_fence(__ATOMIC_RELEASE); store(address(e, op), op, e->v[op->a]))
STEP(ATOMIC, atomic(e, op))
STEP(FETCH, *d = atomic(e, op))
STEP(TAIL_CALL, tail_call(e, op))
STEP(POLL, poll(e, op))
STEP(EXIT, e->result = e->v[op->a]; e->left = true)
STEP(RELOAD, abort())
/* clang-format on */
#define step_SHIFT   step_ALU
#define step_DIVIDE  step_ALU
#define step_MULHI   step_ALU
#define step_CMPXCHG step_FETCH
#define step_SPILL   step_RELOAD

static void step_SIZED(struct eval *e, const struct ir_op *op)
{
    uint64_t a = cut(e->v[op->a], op->size);

    e->v[op->dst] = op->kind == IR_ZEXT   ? a
                    : op->kind == IR_SEXT ? cut(stretch(a, op->size), op->width)
                                          : reverse(a, op->size);
}

static void step_CALL(struct eval *e, const struct ir_op *op)
{
    uint64_t r0 = call(e, op);

    if (op->dst)
        e->v[op->dst] = r0;
}

static void step_CHECK(struct eval *e, const struct ir_op *op)
{
    if (((struct skep_env *)(uintptr_t)e->v[op->a])->trap.kind != TRAP_none)
        leave(e, op);
}

static void step_TRAP(struct eval *e, const struct ir_op *op)
{
    const struct prog_poison *why = (const struct prog_poison *)(uintptr_t)op->imm;

    env_trap(e->env, why->kind, 0, 0, "%s", why->reason);
    leave(e, op);
}

static void (*const steps[IR_FAMILY_COUNT])(struct eval *e, const struct ir_op *op) = {
#define IR_FAMILY(name, shape) step_##name,
#include "vm/ir/ir.def"
};

uint64_t ir_eval(struct ir *ir, uint32_t func, struct skep_env *env, uint64_t fp, const uint64_t args[5])
{
    struct ir_func *f = &ir->funcs[func];
    struct eval e = {.f = f, .env = env, .v = malloc(f->n_vregs * sizeof(uint64_t))};
    uint32_t at = 0;

    if (!e.v)
        abort();
    memset(e.v, 0xa5, f->n_vregs * sizeof(*e.v));
    e.v[IR_ENV] = (uintptr_t)env;
    if (f->uses_frame) {
        char *frame = (char *)(uintptr_t)fp - PROG_STACK_FRAME;
        e.v[IR_FP] = fp;
        memset(frame, 0x5a, PROG_STACK_FRAME - f->frame_clear);
        memset(frame + PROG_STACK_FRAME - f->frame_clear, 0, f->frame_clear);
    }
    memcpy(&e.v[IR_R1], args, 5 * sizeof(*args));
    for (;;) {
        const struct ir_block *b = &f->blocks[at];
        const struct ir_op *last = &b->ops[b->n - 1];
        for (uint32_t i = 0; i < b->n && !e.left; i++)
            steps[ir_kinds[b->ops[i].kind].family](&e, &b->ops[i]);
        if (e.left)
            break;
        at = b->succ[last->kind == IR_BR && !holds(&e, last)];
    }
    free(e.v);
    return e.result;
}
