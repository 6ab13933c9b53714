/*
 * Lowering by itself: each operation, made by hand with its operands in registers, slots, constants and memory as
 * needs() allows, runs as machine code and must do what a model in C says, and nothing else: all registers that are
 * neither its result nor its clobbers, all slots and all memory stay as they were. What is tried is drawn from a fixed
 * seed, borders of constants and displacements first of all.
 */
#include "jit/memory.h"
#include "jit/x86_64/lower.h"
#include "vm/ir/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#ifdef __x86_64__

enum { SLOTS = 6, TAKEN = SLOTS, MEM = 64, AT = 24, VREGS = 9, WRITTEN = 8, BATCH = 500 };

/* What an operation starts from, and what it leaves. It lies below 2 GiB, so that a displacement alone can reach it. */
struct state {
    uint64_t reg[16];
    uint64_t slot[SLOTS + 1]; /* the last: which way a branch went */
    unsigned char mem[MEM];
};

struct trial {
    struct ir_op op;
    struct jit_place place[VREGS];
    struct jit_needs needs;
    struct state in;
    uint32_t next; /* of a branch: what follows */
    bool harden;
    bool after; /* right after an operation that writes the slot which it reads */
    uint32_t label, label_end;
};

static uint64_t seed = 1;
static struct state *state;
static struct trial trials[BATCH];

static uint64_t draw(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(draw() % n);
}

static uint64_t draw_value(void)
{
    static const uint64_t border[] = {0,          1,          2,          0x7f,           0x80,           0xff,
                                      0x100,      0x7fff,     0x8000,     0xffff,         0x10000,        0x7fffffff,
                                      0x80000000, 0xffffffff, 1ull << 32, INT64_MAX,      1ull << 63,     UINT64_MAX,
                                      -128ull,    -129ull,    -32768ull,  -0x80000000ull, -0x80000001ull, -2ull};
    uint64_t v = draw();

    switch (below(5)) {
    case 0:
    case 1: return border[below(sizeof(border) / sizeof(border[0]))];
    case 2: return v >> below(64);
    case 3: return 1ull << below(64);
    default: return v;
    }
}

static int32_t draw_disp(void)
{
    static const int32_t border[] = {0,     1,     -1,     127,    128,       -128,     -129,
                                     32767, 32768, -32768, -32769, INT32_MAX, INT32_MIN};

    return below(2) ? border[below(sizeof(border) / sizeof(border[0]))] : (int32_t)draw() >> below(32);
}

/* ---- The model ---- */

static uint64_t low(uint64_t v, unsigned bytes)
{
    return bytes == 8 ? v : v & ((1ull << 8 * bytes) - 1);
}

static int64_t wide(uint64_t v, unsigned bytes)
{
    return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static uint64_t *at(const struct trial *t, struct state *s, uint32_t v)
{
    return t->place[v].reg != JIT_NO_REG ? &s->reg[t->place[v].reg] : &s->slot[t->place[v].slot];
}

static uint64_t load(const struct state *s, const struct trial *t, unsigned size)
{
    uint64_t v = 0;

    (void)t;
    memcpy(&v, s->mem + AT, size);
    return v;
}

static void store(struct state *s, uint64_t v, unsigned size)
{
    memcpy(s->mem + AT, &v, size);
}

static uint64_t second(const struct trial *t, struct state *s)
{
    const struct ir_op *op = &t->op;

    if (op->flags & IR_IMM)
        return (uint64_t)op->imm;
    return op->flags & IR_MEM ? load(s, t, op->size) : *at(t, s, op->b);
}

static bool holds(const struct ir_op *op, uint64_t a, uint64_t b)
{
    unsigned w = op->width;
    int64_t sa = wide(a, w), sb = wide(b, w);

    a = low(a, w);
    b = low(b, w);
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
    return false;
}

static uint64_t alu(unsigned kind, unsigned w, uint64_t a, uint64_t b)
{
    unsigned bits = w * 8, n = (unsigned)b & (bits - 1);
    int64_t sa = wide(a, w), sb = wide(b, w);
    uint64_t ua = low(a, w), ub = low(b, w);

    switch (kind) {
    case IR_ADD: return low(a + b, w);
    case IR_SUB: return low(a - b, w);
    case IR_MUL: return low(a * b, w);
    case IR_AND: return low(a & b, w);
    case IR_OR: return low(a | b, w);
    case IR_XOR: return low(a ^ b, w);
    case IR_ANDN: return low(~a & b, w);
    case IR_SHL: return low(a << n, w);
    case IR_SHR: return ua >> n;
    case IR_SAR: return low((uint64_t)(sa >> n), w);
    case IR_ROL: return low(n ? ua << n | ua >> (bits - n) : ua, w);
    case IR_NEG: return low(-a, w);
    case IR_NOT: return low(~a, w);
    case IR_UDIV: return ub ? ua / ub : 0;
    case IR_UMOD: return ub ? ua % ub : ua;
    case IR_SDIV: return low(!sb ? 0 : sb == -1 ? -a : (uint64_t)(sa / sb), w);
    case IR_SMOD: return low(!sb ? a : sb == -1 ? 0 : (uint64_t)(sa % sb), w);
    default: return (uint64_t)((unsigned __int128)a * b >> 64); /* MULHI */
    }
}

static uint64_t swap(uint64_t v, unsigned size)
{
    return size == 1 ? low(v, 1) : __builtin_bswap64(v) >> (64 - 8 * size);
}

static void put(const struct trial *t, struct state *s, uint64_t v)
{
    *at(t, s, t->op.dst) = v;
}

static void run_model(const struct trial *t, struct state *s)
{
    const struct ir_op *op = &t->op;
    uint64_t a = op->a ? *at(t, s, op->a) : (uint64_t)op->imm, v, was;

    switch ((enum ir_kind)op->kind) {
    case IR_CONST: put(t, s, (uint64_t)op->imm); break;
    case IR_COPY: put(t, s, a); break;
    case IR_ZEXT: put(t, s, low(a, op->size)); break;
    case IR_SEXT: put(t, s, low((uint64_t)wide(a, op->size), op->width)); break;
    case IR_BSWAP: put(t, s, swap(a, op->size)); break;
    case IR_LEA:
        v = op->base ? *at(t, s, op->base) : 0;
        v += op->index ? *at(t, s, op->index) << op->shift : 0;
        put(t, s, low(v + (uint64_t)(int64_t)op->disp, op->width));
        break;
    case IR_SET: put(t, s, holds(op, a, second(t, s))); break;
    case IR_SELECT: put(t, s, holds(op, a, second(t, s)) ? *at(t, s, op->yes) : *at(t, s, op->no)); break;
    case IR_CARRY: put(t, s, alu(op->aux, op->size, *at(t, s, op->yes), holds(op, a, second(t, s)))); break;
    case IR_BR: s->slot[TAKEN] = holds(op, a, second(t, s)) ? 1 : 2; break;
    case IR_LOAD_ACQ:
    case IR_LOAD:
        v = load(s, t, op->size);
        if (op->flags & IR_SWAP)
            v = swap(v, op->size);
        put(t, s, op->flags & IR_SIGNED ? (uint64_t)wide(v, op->size) : v);
        break;
    case IR_STORE_REL:
    case IR_STORE: store(s, op->flags & IR_SWAP ? swap(a, op->size) : a, op->size); break;
    case IR_RMW:
    case IR_ATOMIC: store(s, alu(op->aux, 8, load(s, t, op->size), a), op->size); break;
    case IR_FETCH:
        was = load(s, t, op->size);
        store(s, alu(op->aux, 8, was, a), op->size);
        put(t, s, was);
        break;
    case IR_XCHG:
        was = load(s, t, op->size);
        store(s, a, op->size);
        put(t, s, was);
        break;
    case IR_CMPXCHG:
        was = load(s, t, op->size);
        if (was == low(*at(t, s, op->b), op->size))
            store(s, a, op->size);
        put(t, s, was);
        break;
    default: put(t, s, alu(op->kind, op->width, a, op->kind == IR_NEG || op->kind == IR_NOT ? 0 : second(t, s)));
    }
}

/* ---- What to try ---- */

static uint8_t draw_reg(void)
{
    uint8_t r;

    do
        r = (uint8_t)below(16);
    while (!(X86_ALLOCATABLE >> r & 1));
    return r;
}

static void draw_op(struct ir_op *op, enum ir_kind kind)
{
    static const uint8_t aux[] = {IR_ADD, IR_AND, IR_OR, IR_XOR, IR_SUB};
    unsigned shape = ir_shape(kind);

    *op = (struct ir_op){.kind = (uint8_t)kind, .width = below(2) ? 8 : 4, .size = (uint8_t)(1u << below(4))};
    op->cc = (uint8_t)below(IR_TNZ + 1);
    op->imm = (int64_t)draw_value();
    if (kind == IR_MULHI)
        op->width = 8;
    if (kind == IR_ZEXT && op->size == 8)
        op->size = 4;
    if (kind == IR_SEXT)
        op->size = (uint8_t)(1u << below(op->width == 4 ? 2 : 3));
    if (kind == IR_BSWAP)
        op->size = (uint8_t)(2u << below(3));
    if (kind == IR_ATOMIC || kind == IR_FETCH || kind == IR_XCHG || kind == IR_CMPXCHG)
        op->size = below(2) ? 8 : 4;
    op->aux = aux[below(kind == IR_RMW ? 5 : 4)];
    if (kind == IR_CARRY) {
        op->size = below(2) ? 8 : 4;
        op->aux = below(2) ? IR_ADD : IR_SUB;
        op->cc = below(2) ? IR_ULT : IR_UGE;
    }
    if (kind == IR_LOAD && below(3) == 0)
        op->flags |= IR_SIGNED;
    if ((kind == IR_LOAD || kind == IR_STORE) && below(3) == 0)
        op->flags |= IR_SWAP;
    if (shape & (IR_S_B | IR_S_A_OR_IMM) && below(2))
        op->flags |= IR_IMM;
    if (below(3) == 0)
        op->flags |= IR_SECRET;
    if (shape & IR_S_B && !(op->flags & IR_IMM) && below(3) == 0 &&
        x86_target.ir.mem_operand(kind, op->width, op->width)) {
        op->flags |= IR_MEM;
        op->size = op->width;
    }
    if (shape & IR_S_B && op->width == 4)
        op->imm = (int32_t)op->imm;
    if (op->flags & IR_IMM && !x86_target.ir.imm_ok(op))
        op->imm = (int8_t)op->imm;
    if (op->flags & IR_IMM && !x86_target.ir.imm_ok(op))
        op->flags &= (uint8_t)~IR_SWAP;
}

/* Operands, and how they are named: by number of the virtual register. */
static void name_operands(struct ir_op *op)
{
    unsigned shape = ir_shape(op->kind);
    bool mem = shape & IR_S_MEM || (shape & IR_S_B && op->flags & IR_MEM);

    if (shape & IR_S_A || (shape & IR_S_A_OR_IMM && !(op->flags & IR_IMM)))
        op->a = 1;
    if (shape & IR_S_B_REG || (shape & IR_S_B && !(op->flags & (IR_IMM | IR_MEM))))
        op->b = 2;
    if (mem) {
        op->base = below(8) ? 3 : IR_NONE;
        op->index = below(2) ? 4 : IR_NONE;
        op->shift = op->index ? (uint8_t)below(4) : 0;
        op->disp = draw_disp();
        if (!x86_target.ir.mem_ok(op))
            op->disp = (int8_t)op->disp;
    }
    if (shape & (IR_S_PICK | IR_S_TO))
        op->yes = 5;
    if (shape & IR_S_PICK)
        op->no = 6;
    if (shape & IR_S_DST)
        op->dst = 7;
}

static bool is_late(const struct trial *t, const uint32_t *const *uses, unsigned n, uint8_t reg)
{
    for (unsigned i = 0; i < n; i++)
        if (t->needs.late >> i & 1 && t->place[*uses[i]].reg == reg)
            return true;
    return false;
}

static void draw_places(struct trial *t, struct ir_func *f)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(f, &t->op, uses), in_slot = below(3) ? 99 : below(n + 1);
    bool any = false;

    for (unsigned v = 0; v < VREGS; v++)
        t->place[v] = (struct jit_place){JIT_NO_REG, JIT_NO_SLOT};
    for (unsigned i = 0; i < n; i++) {
        struct jit_place *p = &t->place[*uses[i]];

        if (i == in_slot && t->needs.in_slot >> i & 1) {
            p->slot = below(SLOTS);
            any = true;
            t->after = below(2);
            t->place[WRITTEN].slot = p->slot;
            continue;
        }
        do
            p->reg = t->needs.use[i] != JIT_NO_REG && below(2) ? t->needs.use[i] : draw_reg();
        while ((t->needs.late >> i & 1 && t->needs.clobbers >> p->reg & 1) ||
               (t->op.base && t->op.index && p == &t->place[t->op.index] && p->reg == t->place[t->op.base].reg));
    }
    if (!t->op.dst)
        return;
    if (t->needs.dst_in_slot && !any && below(3) == 0) {
        t->place[t->op.dst].slot = below(SLOTS);
        return;
    }
    do {
        uint8_t r = n && below(2) ? t->place[*uses[below(n)]].reg : draw_reg();

        t->place[t->op.dst].reg = r == JIT_NO_REG ? draw_reg() : r;
    } while (is_late(t, (const uint32_t *const *)uses, n, t->place[t->op.dst].reg));
}

static void draw_state(struct trial *t)
{
    struct ir_op *op = &t->op;
    unsigned shape = ir_shape(op->kind);
    uint64_t rest = (uint64_t)(uintptr_t)state->mem + AT;

    for (unsigned i = 0; i < 16; i++)
        t->in.reg[i] = draw_value();
    for (unsigned i = 0; i <= SLOTS; i++)
        t->in.slot[i] = draw_value();
    for (unsigned i = 0; i < MEM; i++)
        t->in.mem[i] = (unsigned char)draw();
    if (!(shape & IR_S_MEM || (shape & IR_S_B && op->flags & IR_MEM)) || op->kind == IR_LEA)
        return;
    if (op->base) {
        if (op->index)
            rest -= *at(t, &t->in, op->index) << op->shift;
        *at(t, &t->in, op->base) = rest - (uint64_t)(int64_t)op->disp;
    } else {
        if (op->index) {
            *at(t, &t->in, op->index) &= 0xff;
            rest -= *at(t, &t->in, op->index) << op->shift;
        }
        op->disp = (int32_t)rest;
        if (op->flags & IR_SECRET)
            op->flags &= (uint8_t)~IR_SECRET;
    }
    /* Make comparisons of what memory holds come out equal now and then. */
    if (op->kind == IR_CMPXCHG && below(2)) {
        uint64_t expected = *at(t, &t->in, op->b);

        memcpy(t->in.mem + AT, &expected, op->size);
    }
}

/* ---- Machine code ---- */

static void enter(struct x86_asm *a)
{
    for (unsigned i = 0; i < 16; i++)
        if (X86_CALLEE_SAVED >> i & 1)
            x86_push(a, x86_r((enum x86_reg)i));
    x86_push(a, x86_r(X86_RDI));
    x86_alu_imm(a, X86_SUB, 8, x86_r(X86_RSP), 64);
    for (unsigned i = 0; i <= SLOTS; i++) {
        x86_mov(a, 8, X86_RAX, x86_at(X86_RDI, (int32_t)(offsetof(struct state, slot) + 8 * i)));
        x86_mov_to(a, 8, x86_at(X86_RSP, (int32_t)(8 * i)), X86_RAX);
    }
    for (unsigned i = 0; i < 16; i++)
        if (X86_ALLOCATABLE >> i & 1 && i != X86_RDI)
            x86_mov(a, 8, (enum x86_reg)i, x86_at(X86_RDI, (int32_t)(8 * i)));
    x86_mov(a, 8, X86_RDI, x86_at(X86_RDI, 8 * X86_RDI));
}

static void leave(struct x86_asm *a)
{
    x86_mov(a, 8, X86_R11, x86_at(X86_RSP, 64));
    for (unsigned i = 0; i < 16; i++)
        if (X86_ALLOCATABLE >> i & 1)
            x86_mov_to(a, 8, x86_at(X86_R11, (int32_t)(8 * i)), (enum x86_reg)i);
    for (unsigned i = 0; i <= SLOTS; i++) {
        x86_mov(a, 8, X86_RAX, x86_at(X86_RSP, (int32_t)(8 * i)));
        x86_mov_to(a, 8, x86_at(X86_R11, (int32_t)(offsetof(struct state, slot) + 8 * i)), X86_RAX);
    }
    x86_alu_imm(a, X86_ADD, 8, x86_r(X86_RSP), 72);
    for (unsigned i = 16; i-- > 0;)
        if (X86_CALLEE_SAVED >> i & 1)
            x86_pop(a, x86_r((enum x86_reg)i));
    x86_plain(a, X86_RET);
}

static void lower(struct lower *l, struct trial *t)
{
    struct jit_opts opts = {.harden = t->harden, .random = draw()};
    struct jit_alloc alloc = {.place = t->place, .n_vregs = VREGS, .n_slots = SLOTS};
    struct ir_block block = {.ops = &t->op, .n = 1, .succ = {1, 2}};
    uint32_t end = x86_label(l->a);

    l->opts = &opts;
    l->alloc = &alloc;
    l->next = t->next;
    l->holding = JIT_NO_SLOT;
    l->block_label = x86_label(l->a);
    x86_label(l->a);
    x86_label(l->a);
    t->label = x86_label(l->a);
    t->label_end = x86_label(l->a);
    x86_bind(l->a, l->block_label);
    x86_bind(l->a, t->label);
    enter(l->a);
    if (t->after) {
        struct ir_op made = {.kind = IR_CONST, .dst = WRITTEN, .imm = (int64_t)t->in.slot[t->place[WRITTEN].slot]};

        x86_lower_op(l, &made, &block);
    }
    x86_lower_op(l, &t->op, &block);
    if (t->op.kind == IR_BR) {
        for (unsigned i = 0; i < 2; i++) {
            uint32_t to = t->next == 2 ? 2 - i : 1 + i;

            x86_bind(l->a, l->block_label + to);
            x86_mov_imm(l->a, 8, x86_at(X86_RSP, 8 * TAKEN), to);
            x86_jmp(l->a, end);
        }
    } else {
        x86_bind(l->a, l->block_label + 1);
        x86_bind(l->a, l->block_label + 2);
        x86_jmp(l->a, end);
    }
    x86_stubs(l);
    x86_bind(l->a, end);
    leave(l->a);
    x86_bind(l->a, t->label_end);
}

static void complain(const struct trial *t, struct ir_func *f, const struct state *want)
{
    struct buf text = {0};

    ir_print_op(f, &t->op, &text);
    print_error("%s  flags %x imm %llx disp %x harden %d\n", buf_text(&text), t->op.flags,
                (unsigned long long)t->op.imm, (unsigned)t->op.disp, t->harden);
    for (unsigned v = 1; v < VREGS; v++)
        if (t->place[v].reg != JIT_NO_REG || t->place[v].slot != JIT_NO_SLOT)
            print_error("  v%u in %s %d\n", v, t->place[v].reg != JIT_NO_REG ? "reg" : "slot",
                        t->place[v].reg != JIT_NO_REG ? t->place[v].reg : (int)t->place[v].slot);
    for (unsigned i = 0; i < 16; i++)
        if (X86_ALLOCATABLE >> i & 1 && want->reg[i] != state->reg[i])
            print_error("  reg %u: was %llx, is %llx, expected %llx\n", i, (unsigned long long)t->in.reg[i],
                        (unsigned long long)state->reg[i], (unsigned long long)want->reg[i]);
    for (unsigned i = 0; i <= SLOTS; i++)
        if (want->slot[i] != state->slot[i])
            print_error("  slot %u: was %llx, is %llx, expected %llx\n", i, (unsigned long long)t->in.slot[i],
                        (unsigned long long)state->slot[i], (unsigned long long)want->slot[i]);
    if (memcmp(want->mem, state->mem, MEM))
        print_error("  memory differs\n");
    buf_free(&text);
    fail();
}

JITMEM_CALLER static void call(const void *code)
{
    void (*fn)(struct state *);

    memcpy(&fn, &code, sizeof(fn));
    fn(state);
}

static void run(struct trial *t, struct ir_func *f, const unsigned char *code)
{
    struct state want = t->in;
    uint32_t free = t->needs.clobbers;

    *state = t->in;
    if (t->after)
        state->slot[t->place[WRITTEN].slot] = ~t->in.slot[t->place[WRITTEN].slot];
    run_model(t, &want);
    call(code);
    if (t->op.dst && t->place[t->op.dst].reg != JIT_NO_REG)
        free &= ~(1u << t->place[t->op.dst].reg);
    for (unsigned i = 0; i < 16; i++)
        if (!(X86_ALLOCATABLE >> i & 1) || free >> i & 1)
            want.reg[i] = state->reg[i];
    if (memcmp(&want, state, sizeof(want)))
        complain(t, f, &want);
}

/* What the author chose, whole or in halves, may be nowhere in the code. */
static void look_for_secret(const struct trial *t, struct ir_func *f, const unsigned char *code, size_t size)
{
    const struct ir_op *op = &t->op;
    int64_t v = ir_shape(op->kind) & IR_S_MEM && !(op->flags & IR_IMM) ? op->disp : op->imm;
    int32_t half[2] = {(int32_t)v, (int32_t)(v >> 32)};

    if (!t->harden || t->after || !(op->flags & IR_SECRET) ||
        (!(op->flags & IR_IMM) && op->kind != IR_CONST && v == op->imm))
        return;
    for (unsigned k = 0; k < 2; k++)
        for (size_t i = 0; i + 4 <= size && half[k] != (int16_t)half[k] && !(k && !op->imm); i++)
            if (!memcmp(code + i, &half[k], 4) && (half[k] & 0xffff))
                complain(t, f, &t->in);
}

static void try_batch(enum ir_kind kind, uint32_t features)
{
    struct x86_output out = {0};
    struct ir_func f = {.n_vregs = VREGS};
    struct lower l = {.a = &out.a, .out = &out, .features = features, .f = &f};
    struct jitmem *jm;
    struct jitmem_block *block;
    unsigned char *bytes;
    const unsigned char *code;

    x86_init(&out.a, 0);
    for (unsigned i = 0; i < BATCH; i++) {
        struct trial *t = &trials[i];

        memset(t, 0, sizeof(*t));
        draw_op(&t->op, kind);
        name_operands(&t->op);
        t->harden = below(2);
        t->next = below(3);
        t->needs.dst = JIT_NO_REG;
        memset(t->needs.use, JIT_NO_REG, sizeof(t->needs.use));
        x86_needs(features, &t->op, &t->needs);
        draw_places(t, &f);
        draw_state(t);
        lower(&l, t);
    }
    assert_int_equal(x86_finish(&out.a), 0);
    bytes = malloc(out.a.size);
    assert_non_null(bytes);
    assert_int_equal(jitmem_new(&jm, NULL, NULL), 0);
    assert_int_equal(jitmem_take(jm, &block, out.a.size, 64, NULL), 0);
    code = jitmem_address(block);
    assert_int_equal(x86_write(&out.a, bytes, (uintptr_t)code), 0);
    assert_int_equal(jitmem_publish(block, bytes, out.a.size, NULL), 0);
    for (unsigned i = 0; i < BATCH; i++) {
        size_t begin = x86_offset(&out.a, trials[i].label);

        run(&trials[i], &f, code + begin);
        look_for_secret(&trials[i], &f, bytes + begin, x86_offset(&out.a, trials[i].label_end) - begin);
    }
    jitmem_give(block);
    jitmem_free(jm);
    free(bytes);
    free(l.stubs);
    free(out.pool);
    free(out.externs);
    x86_free(&out.a);
}

static int open_state(void **unused)
{
    (void)unused;
    state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    return state == MAP_FAILED ? -1 : 0;
}

static void try_kinds(uint32_t features)
{
    static const uint8_t kinds[] = {
        IR_CONST,    IR_COPY,      IR_ADD,    IR_SUB,   IR_MUL,  IR_AND,     IR_OR,    IR_XOR,  IR_ANDN,  IR_SHL,
        IR_SHR,      IR_SAR,       IR_ROL,    IR_NEG,   IR_NOT,  IR_UDIV,    IR_UMOD,  IR_SDIV, IR_SMOD,  IR_MULHI,
        IR_ZEXT,     IR_SEXT,      IR_BSWAP,  IR_LEA,   IR_SET,  IR_SELECT,  IR_CARRY, IR_LOAD, IR_STORE, IR_RMW,
        IR_LOAD_ACQ, IR_STORE_REL, IR_ATOMIC, IR_FETCH, IR_XCHG, IR_CMPXCHG, IR_BR};

    for (unsigned i = 0; i < sizeof(kinds); i++)
        for (unsigned k = 0; k < 8; k++)
            try_batch((enum ir_kind)kinds[i], features);
}

static void features_of_this_cpu(void **unused)
{
    (void)unused;
    try_kinds(x86_features());
}

static void no_features(void **unused)
{
    (void)unused;
    try_kinds(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(features_of_this_cpu), cmocka_unit_test(no_features)};

    return cmocka_run_group_tests(tests, open_state, NULL);
}

#else
int main(void)
{
    return 0;
}
#endif
