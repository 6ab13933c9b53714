/*
 * One op at a time: arithmetic, jumps and memory, a row of isa.def each.
 */
#include "vm/arena_op.h"
#include "vm/ir/build.h"
#include "vm/runtime.h"

static const struct prog_poison unknown = {.kind = TRAP_bad_insn,
                                           .reason = "there is no machine code for this operation"};
static const struct prog_poison unreached = {.kind = TRAP_bad_jump, .reason = "control came to where it never does"};

static void trap(struct builder *b, const struct prog_poison *why)
{
    struct ir_op *op = build_op(b, IR_TRAP);

    op->a = IR_ENV;
    op->imm = (int64_t)(uintptr_t)why;
}

/* ---- Arithmetic ---- */

struct alu {
    uint8_t kind; /* enum ir_kind, IR_NOP: a move */
    uint8_t width;
    bool imm;
};

/* The arithmetic of this op, if it is such a row. */
static bool alu_of(unsigned kind, struct alu *out)
{
    static const uint8_t kinds[] = {
    /* clang-format off */
#define IR_OF_ADD IR_ADD
#define IR_OF_SUB IR_SUB
#define IR_OF_MUL IR_MUL
#define IR_OF_DIV IR_UDIV
#define IR_OF_SDIV IR_SDIV
#define IR_OF_OR IR_OR
#define IR_OF_AND IR_AND
#define IR_OF_LSH IR_SHL
#define IR_OF_RSH IR_SHR
#define IR_OF_MOD IR_UMOD
#define IR_OF_SMOD IR_SMOD
#define IR_OF_XOR IR_XOR
#define IR_OF_MOV IR_NOP
#define IR_OF_ARSH IR_SAR
#define ISA_ALU(name, code, off, text, expr) IR_OF_##name,
#include "vm/isa/isa.def"
        /* clang-format on */
    };
    unsigned at = kind - ISA_ADD64_K;

    if (kind < ISA_ADD64_K || at >= sizeof(kinds) * 4)
        return false;
    *out = (struct alu){.kind = kinds[at / 4], .width = at & 2 ? 4 : 8, .imm = !(at & 1)};
    return true;
}
_Static_assert(ISA_ADD64_X == ISA_ADD64_K + 1 && ISA_ADD32_K == ISA_ADD64_K + 2 && ISA_ADD32_X == ISA_ADD64_K + 3 &&
                   ISA_SUB64_K == ISA_ADD64_K + 4,
               "a row of arithmetic is four operations, in this order");

static struct ir_op *extend(struct builder *b, enum ir_kind kind, unsigned size, unsigned width, uint32_t dst,
                            uint32_t src)
{
    struct ir_op *op = build_op(b, kind);

    op->size = (uint8_t)size;
    op->width = (uint8_t)width;
    op->dst = dst;
    op->a = src;
    return op;
}

static void arithmetic(struct builder *b, const struct op *op, struct alu alu)
{
    uint32_t dst = build_loc(op->dst), src = build_loc(op->src);
    int64_t imm = alu.width == 4 ? (int32_t)op->imm : (int64_t)op->imm;

    if (alu.kind != IR_NOP && alu.imm) {
        build_imm(b, alu.kind, alu.width, dst, dst, imm);
        b->f->blocks[b->cur].ops[b->f->blocks[b->cur].n - 1].flags |= IR_SECRET;
    } else if (alu.kind != IR_NOP) {
        build_reg(b, alu.kind, alu.width, dst, dst, src);
    } else if (alu.imm) {
        struct ir_op *o = build_op(b, IR_CONST);
        o->dst = dst;
        o->imm = alu.width == 4 ? (int64_t)(uint32_t)op->imm : imm;
        o->flags = IR_SECRET;
    } else if (alu.width == 4) {
        extend(b, IR_ZEXT, 4, 8, dst, src);
    } else {
        build_copy(b, dst, src);
    }
}

/* Byte order: to the host's own it only shortens. */
static void order(struct builder *b, const struct op *op, unsigned bits, bool swaps)
{
    uint32_t r = build_loc(op->dst);

    if (swaps)
        extend(b, IR_BSWAP, bits / 8, 8, r, r);
    else if (bits < 64)
        extend(b, IR_ZEXT, bits / 8, 8, r, r);
}

static void negate(struct builder *b, const struct op *op, unsigned width)
{
    struct ir_op *o = build_op(b, IR_NEG);

    o->width = (uint8_t)width;
    o->dst = o->a = build_loc(op->dst);
}

/* ---- Jumps ---- */

static void jump(struct builder *b, uint32_t target)
{
    build_jump(b, b->block_at[target]);
}

/* The condition of this jump, if it is one. */
static bool condition_of(unsigned kind, struct alu *out)
{
    static const uint8_t conditions[] = {
    /* clang-format off */
#define IR_OF_JEQ IR_EQ
#define IR_OF_JNE IR_NE
#define IR_OF_JGT IR_UGT
#define IR_OF_JLE IR_ULE
#define IR_OF_JGE IR_UGE
#define IR_OF_JLT IR_ULT
#define IR_OF_JSGT IR_SGT
#define IR_OF_JSLE IR_SLE
#define IR_OF_JSGE IR_SGE
#define IR_OF_JSLT IR_SLT
#define IR_OF_JSET IR_TNZ
#define ISA_JMP(name, code, text, expr) IR_OF_##name,
#include "vm/isa/isa.def"
        /* clang-format on */
    };
    unsigned at = kind - ISA_JEQ64_K;

    if (kind < ISA_JEQ64_K || at >= sizeof(conditions) * 4)
        return false;
    *out = (struct alu){.kind = conditions[at / 4], .width = at & 2 ? 4 : 8, .imm = !(at & 1)};
    return true;
}
_Static_assert(ISA_JEQ64_X == ISA_JEQ64_K + 1 && ISA_JEQ32_K == ISA_JEQ64_K + 2 && ISA_JEQ32_X == ISA_JEQ64_K + 3,
               "a row of jumps is four operations, in this order");

static void branch(struct builder *b, uint32_t i, struct alu c)
{
    const struct op *op = &b->code->ops[i];
    uint32_t yes = b->block_at[op->target], no = b->block_at[i + 1];
    struct ir_op *br;

    /* What was proved never to be taken is no branch. */
    if (build_dead(b, i + 1) || yes == no) {
        jump(b, op->target);
        return;
    }
    if (build_dead(b, op->target)) {
        build_jump(b, no);
        return;
    }
    br = build_branch(b, c.kind, yes, no);
    br->width = c.width;
    br->a = build_loc(op->dst);
    if (c.imm) {
        br->flags = IR_IMM | IR_SECRET;
        br->imm = c.width == 4 ? (int32_t)op->imm : (int64_t)op->imm;
    } else {
        br->b = build_loc(op->src);
    }
}

/* Jumps once the count has come to 0, and counts otherwise. */
static void may_goto(struct builder *b, uint32_t i)
{
    uint32_t target = b->code->ops[i].target, next = b->block_at[i + 1], here = b->cur;
    uint32_t out = build_block(b, 2), on = build_block(b, 2);
    struct ir_op *br;

    b->cur = here;
    br = build_branch(b, IR_EQ, out, on);
    br->width = 8;
    br->a = IR_MAY_GOTO;
    br->flags = IR_IMM | IR_UNLIKELY;
    b->cur = out;
    jump(b, target);
    b->cur = on;
    build_imm(b, IR_SUB, 8, IR_MAY_GOTO, IR_MAY_GOTO, 1);
    build_jump(b, next);
}

/* ---- Memory ---- */

static struct ir_op *access(struct builder *b, enum ir_kind kind, unsigned size, unsigned base, int32_t off)
{
    struct ir_op *op = build_op(b, kind);

    op->size = (uint8_t)size;
    op->base = build_loc(base);
    op->disp = off;
    return op;
}

static void load(struct builder *b, const struct op *op, unsigned size, bool is_signed)
{
    struct ir_op *o = access(b, IR_LOAD, size, op->src, op->off);

    o->dst = build_loc(op->dst);
    o->flags = is_signed ? IR_SIGNED : 0;
}

static void store(struct builder *b, const struct op *op, unsigned size)
{
    access(b, IR_STORE, size, op->dst, op->off)->a = build_loc(op->src);
}

static void store_imm(struct builder *b, const struct op *op, unsigned size)
{
    struct ir_op *o = access(b, IR_STORE, size, op->dst, op->off);

    o->imm = (int64_t)op->imm;
    o->flags = IR_IMM | IR_SECRET;
}

static void atomic(struct builder *b, const struct op *op, enum ir_kind kind, enum ir_kind aux, unsigned size)
{
    struct ir_op *o = access(b, kind, size, op->dst, op->off);

    o->aux = (uint8_t)aux;
    o->a = build_loc(op->src);
    if (kind == IR_CMPXCHG)
        o->b = o->dst = IR_R0;
    else if (kind != IR_ATOMIC)
        o->dst = o->a;
}

/* What its row says: ADD and FETCH_ADD differ in bit 0 of imm, the rest names the operation. */
static void atomic_row(struct builder *b, const struct op *op, unsigned imm, unsigned size)
{
    enum ir_kind aux = (imm & 0xf0) == 0x40   ? IR_OR
                       : (imm & 0xf0) == 0x50 ? IR_AND
                       : (imm & 0xf0) == 0xa0 ? IR_XOR
                                              : IR_ADD;

    if (imm == 0xe1)
        atomic(b, op, IR_XCHG, IR_NOP, size);
    else if (imm == 0xf1)
        atomic(b, op, IR_CMPXCHG, IR_NOP, size);
    else
        atomic(b, op, imm & 1 ? IR_FETCH : IR_ATOMIC, aux, size);
}

static void ordered(struct builder *b, const struct op *op, bool loads, unsigned size)
{
    if (loads)
        access(b, IR_LOAD_ACQ, size, op->src, op->off)->dst = build_loc(op->dst);
    else
        access(b, IR_STORE_REL, size, op->dst, op->off)->a = build_loc(op->src);
}

static void load_ctx(struct builder *b, const struct op *op)
{
    uint32_t addr = ir_vreg(b->f);

    build_imm(b, IR_ADD, 8, addr, build_loc(op->src), op->off);
    build_call(b, IR_CALL, build_loc(op->dst), (uintptr_t)run_load_ctx, (uint32_t[]){IR_ENV, addr}, 2);
}

/* A load through a pointer that may lead nowhere. */
static void probe(struct builder *b, const struct op *op, unsigned size, bool sign)
{
    uint32_t addr = ir_vreg(b->f), bytes = ir_vreg(b->f), dst = build_loc(op->dst);

    build_imm(b, IR_ADD, 8, addr, build_loc(op->src), op->off);
    build_const(b, bytes, size);
    build_call(b, IR_CALL, dst, (uintptr_t)run_probe_load, (uint32_t[]){IR_ENV, addr, bytes}, 3);
    if (sign)
        extend(b, IR_SEXT, size, 8, dst, dst);
}

/* On the arena: a function does it, which may note a trap. */
static void arena(struct builder *b, const struct op *op)
{
    const struct arena_op *a = (const struct arena_op *)(uintptr_t)op->imm;
    bool loads = op->kind == OP_ARENA_LOAD;
    uint32_t record = ir_vreg(b->f), value = build_loc(op->src), dst;

    dst = loads                          ? build_loc(op->dst)
          : op->kind == OP_ARENA_FETCH   ? value
          : op->kind == OP_ARENA_CMPXCHG ? IR_R0
                                         : IR_NONE;
    build_const(b, record, op->imm);
    build_call(b, IR_CALL, dst, (uintptr_t)a->fn,
               (uint32_t[]){IR_ENV, record, build_loc(loads ? op->src : op->dst), value, IR_R0}, 5);
    build_check(b);
}

/* A pointer into the arena as it is seen from outside: NULL stays NULL. */
static void arena_user(struct builder *b, const struct op *op)
{
    uint32_t low = ir_vreg(b->f), whole = ir_vreg(b->f), high = ir_vreg(b->f);
    struct ir_op *o;

    extend(b, IR_ZEXT, 4, 8, low, build_loc(op->src));
    build_const(b, high, op->imm);
    o = build_op(b, IR_OR);
    o->width = 8;
    o->dst = whole;
    o->a = low;
    o->b = high;
    o = build_op(b, IR_SELECT);
    o->width = 8;
    o->cc = IR_NE;
    o->flags = IR_IMM;
    o->dst = build_loc(op->dst);
    o->a = low;
    o->yes = whole;
    o->no = low;
}

static void packet_meta(struct builder *b, uint32_t dst)
{
    uint32_t meta = ir_vreg(b->f), data = ir_vreg(b->f);
    struct ir_op *op;

    build_load(b, 8, meta, IR_ENV, ENV_AT(packet.data_meta));
    build_load(b, 8, data, IR_ENV, ENV_AT(packet.data));
    op = build_op(b, IR_SELECT);
    op->width = 8;
    op->cc = IR_NE;
    op->flags = IR_IMM;
    op->dst = dst;
    op->a = op->yes = meta;
    op->no = data;
}

/* ---- All of them ---- */

static void wide(struct builder *b, uint32_t i)
{
    const struct op *op = &b->code->ops[i];
    struct ir_op *o = build_op(b, IR_CONST);
    uint32_t slot = b->code->slot[i];

    o->dst = build_loc(op->dst);
    o->imm = (int64_t)op->imm;
    o->flags = b->code->prog->insns[slot].op == ISA_LD_IMM64 ? IR_SECRET : 0;
}

static void one(struct builder *b, uint32_t i)
{
    const struct op *op = &b->code->ops[i];

    /* clang-format off: rows */
    switch (op->kind) {
#define ISA_MOVSX(name, width, bits)                                                                                   \
    case ISA_##name:                                                                                                   \
        extend(b, IR_SEXT, bits / 8, width / 8, build_loc(op->dst), build_loc(op->src));                               \
        break;
#define ISA_NEG(name, width)                                                                                           \
    case ISA_##name:                                                                                                   \
        negate(b, op, width / 8);                                                                                      \
        break;
#define SWAPS_0xd4 (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#define SWAPS_0xdc (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#define SWAPS_0xd7 true
#define ISA_END(name, code, bits, text, expr)                                                                          \
    case ISA_##name:                                                                                                   \
        order(b, op, bits, SWAPS_##code);                                                                              \
        break;
#define MEM_LDX(type) load(b, op, sizeof(type), (type)-1 < 1)
#define MEM_ST(type)  store_imm(b, op, sizeof(type))
#define MEM_STX(type) store(b, op, sizeof(type))
#define ISA_MEM(name, code, form, type, text)                                                                          \
    case ISA_##name:                                                                                                   \
        MEM_##form(type);                                                                                              \
        break;
#define ISA_ATOMIC(name, imm, text, expr)                                                                              \
    case ISA_ATOMIC_##name##64: atomic_row(b, op, imm, 8); break;                                                      \
    case ISA_ATOMIC_##name##32:                                                                                        \
        atomic_row(b, op, imm, 4);                                                                                     \
        break;
#define ISA_ORDERED(name, code, imm, type, text)                                                                       \
    case ISA_##name:                                                                                                   \
        ordered(b, op, (imm) == 0x100, sizeof(type));                                                                  \
        break;
#define ISA_LD_PKT(name, code, mode, type, text)                                                                       \
    case ISA_##name:                                                                                                   \
        build_packet(b, op, b->block_at[i + 1]);                                                                       \
        break;
#include "vm/isa/isa.def"
    case ISA_JA:
    case ISA_GOTOL: jump(b, op->target); break;
    case ISA_MAY_GOTO: may_goto(b, i); break;
    case ISA_CALL_LOCAL: build_local(b, op); break;
    case ISA_EXIT: build_exit(b); break;
    case OP_TRAP: trap(b, (const struct prog_poison *)(uintptr_t)op->imm); break;
    case OP_CONST_WIDE: wide(b, i); break;
    case OP_CALL_BODY: build_helper(b, op); break;
    case OP_TAIL_CALL: build_tail(b, op); break;
    case OP_LDX_W_CTX: load_ctx(b, op); break;
#define OP_PROBE(row, type)                                                                                            \
    case OP_PROBE_##row:                                                                                               \
        probe(b, op, sizeof(type), (type)-1 < 1);                                                                      \
        break;
#include "vm/ops.def"
    case OP_ARENA_LOAD:
    case OP_ARENA_STORE:
    case OP_ARENA_FETCH:
    case OP_ARENA_CMPXCHG: arena(b, op); break;
    case OP_ARENA_USER: arena_user(b, op); break;
    case OP_CTX_DATA: build_load(b, 8, build_loc(op->dst), IR_ENV, ENV_AT(packet.data)); break;
    case OP_CTX_DATA_END: build_load(b, 8, build_loc(op->dst), IR_ENV, ENV_AT(packet.data_end)); break;
    case OP_CTX_DATA_META: packet_meta(b, build_loc(op->dst)); break;
    case OP_CPU: build_load(b, 4, IR_R0, IR_ENV, ENV_AT(cpu)); break;
    case OP_ARRAY_AT:
    case OP_PERCPU_ARRAY_AT: build_lookup(b, i); break;
    default: trap(b, &unknown); break;
    }
    /* clang-format on */
}

void build_one(struct builder *b, uint32_t i)
{
    struct alu alu;

    if (build_dead(b, i))
        trap(b, &unreached);
    else if (alu_of(b->code->ops[i].kind, &alu))
        arithmetic(b, &b->code->ops[i], alu);
    else if (condition_of(b->code->ops[i].kind, &alu))
        branch(b, i, alu);
    else
        one(b, i);
}
