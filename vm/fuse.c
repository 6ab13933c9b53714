/*
 * Fusing: runs of level-0 operations become one. A run never reaches over an operation that something jumps to, calls
 * or returns to; the registers that its parts leave behind are the same, but for those that are dead after it
 * (vm/live.c). Each matcher looks at the operations from one on and says how many it takes, filling in what stands for
 * them; 0 when it does not apply. `fuse` tries them from the longest to the shortest, in one sweep, and then moves
 * jumps to where their targets have gone.
 */
#include "vm/lower.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fuser {
    const struct op *ops;
    uint32_t n;
    const uint16_t *live;         /* after each */
    const unsigned char *leaders; /* something may come here from elsewhere */
};

/* The op at i, unless a run that began before i may not go on there. */
static const struct op *at(const struct fuser *f, uint32_t start, uint32_t i)
{
    static const struct op none = {.kind = ISA_INVALID};

    return i >= f->n || (i != start && f->leaders[i]) ? &none : &f->ops[i];
}

static bool dead(const struct fuser *f, uint32_t last, unsigned reg)
{
    return !(f->live[last] & 1u << reg);
}

static unsigned index_kind(unsigned kind)
{
    /* clang-format off */
    switch (kind) {
#define OP_INDEX(row, type, form)                                                                                      \
    case ISA_##row: return OP_##row##_INDEX;
#include "vm/ops.def"
    default: return ISA_INVALID;
    }
    /* clang-format on */
}

/* base + (index << shift) + add, being formed in reg; scaled is the register that holds index << shift meanwhile. */
struct address {
    unsigned base, index, shift, reg, scaled;
    bool has_scaled;
    int64_t add;
    uint32_t end; /* the first op that is no part of it */
};

/* [t = i;] t <<= k */
static void match_scale(const struct fuser *f, uint32_t i, struct address *a)
{
    const struct op *one = at(f, i, i), *two = at(f, i, i + 1);

    a->end = i;
    if (one->kind == ISA_MOV64_X && two->kind == ISA_LSH64_K && two->dst == one->dst && one->src != 10) {
        a->index = one->src;
        a->end = i + 2;
    } else if (one->kind == ISA_LSH64_K) {
        a->index = one->dst;
        a->end = i + 1;
        two = one;
    } else {
        return;
    }
    a->has_scaled = true;
    a->scaled = two->dst;
    a->shift = two->imm & 63;
}

static void match_add_k(const struct fuser *f, uint32_t i, struct address *a)
{
    const struct op *op = at(f, i, a->end);

    if (a->end > i && op->kind == ISA_ADD64_K && op->dst == a->reg) {
        a->add += (int64_t)op->imm;
        a->end++;
    }
}

/* [scale] [d = b;] [d += K;] d += t; [d += K;] or scale; t += b; [t += K;] */
static bool match_address(const struct fuser *f, uint32_t i, struct address *a)
{
    const struct op *op;

    memset(a, 0, sizeof(*a));
    match_scale(f, i, a);
    op = at(f, i, a->end);
    if (a->has_scaled && op->kind == ISA_ADD64_X && op->dst == a->scaled && op->src != a->scaled) {
        a->base = op->src;
        a->reg = a->scaled;
        a->end++;
        match_add_k(f, i, a);
        return true;
    }
    if (op->kind == ISA_MOV64_X && !(a->has_scaled && (op->src == a->scaled || op->dst == a->scaled))) {
        a->base = op->src;
        a->reg = op->dst;
        a->end++;
        match_add_k(f, i, a);
        op = at(f, i, a->end);
        if (op->kind != ISA_ADD64_X || op->dst != a->reg)
            return false;
    } else if (op->kind == ISA_ADD64_X) {
        a->base = a->reg = op->dst;
    } else {
        return false;
    }
    if (op->src == a->reg || (a->has_scaled && op->src != a->scaled))
        return false;
    if (!a->has_scaled) {
        a->index = op->src;
        a->scaled = a->reg; /* none */
    }
    a->end++;
    match_add_k(f, i, a);
    return true;
}

static bool fits32(int64_t v)
{
    return v == (int32_t)v;
}

/* An address and the load or store that it is for, or the address alone. */
static uint32_t match_memory(const struct fuser *f, uint32_t i, struct op *out)
{
    struct address a;
    const struct op *mem;
    uint32_t last;

    if (!match_address(f, i, &a))
        return 0;
    mem = at(f, i, a.end);
    last = a.end;
    out->imm = a.index | a.shift << 8;
    if (index_kind(mem->kind) != ISA_INVALID && fits32(a.add + mem->off)) {
        bool load = isa_rows[mem->kind].form == ISA_FORM_LDX;
        unsigned result = load ? mem->dst : 16, value = load ? 16 : mem->src;
        if ((load ? mem->src : mem->dst) == a.reg && value != a.reg && value != a.scaled &&
            (result == a.reg || dead(f, last, a.reg)) && (result == a.scaled || dead(f, last, a.scaled))) {
            out->kind = (uint16_t)index_kind(mem->kind);
            out->dst = load ? mem->dst : (uint16_t)a.base;
            out->src = load ? (uint16_t)a.base : mem->src;
            out->off = (int32_t)(a.add + mem->off);
            return last + 1 - i;
        }
    }
    if (a.end - i < 2 || !fits32(a.add) || (a.scaled != a.reg && !dead(f, a.end - 1, a.scaled)))
        return 0;
    out->dst = (uint16_t)a.reg;
    out->src = (uint16_t)a.base;
    if (!a.add && !a.shift) {
        out->kind = OP_ADD64_RRR;
        out->aux = (uint16_t)a.index;
    } else {
        out->kind = OP_LEA;
        out->off = (int32_t)a.add;
    }
    return a.end - i;
}

/* A shift by a constant: its bits, and by how much to the left (to the right: counted from the width). */
static unsigned shift_of(const struct op *op, unsigned *left)
{
    bool wide = op->kind == ISA_LSH64_K || op->kind == ISA_RSH64_K;
    unsigned bits = wide ? 64 : 32, n = op->imm & (bits - 1);

    if (!n)
        return 0;
    if (op->kind == ISA_LSH64_K || op->kind == ISA_LSH32_K)
        *left = n;
    else if (op->kind == ISA_RSH64_K || op->kind == ISA_RSH32_K)
        *left = bits - n;
    else
        return 0;
    return bits;
}

static bool is_left(const struct op *op)
{
    return op->kind == ISA_LSH64_K || op->kind == ISA_LSH32_K;
}

static bool moves(const struct op *op, unsigned bits)
{
    return op->kind == ISA_MOV64_X || (bits == 32 && op->kind == ISA_MOV32_X);
}

/* t = s; t <<= n; [u = s;] u >>= bits - n; then t |= u or u |= t, in either order of the shifts. */
static uint32_t match_rotate(const struct fuser *f, uint32_t i, struct op *out)
{
    const struct op *mov = at(f, i, i), *one = at(f, i, i + 1), *two = at(f, i, i + 2), * or ;
    unsigned left = 0, left2 = 0, bits, other = mov->src;
    uint32_t n = 4;

    if (mov->kind != ISA_MOV64_X && mov->kind != ISA_MOV32_X)
        return 0;
    bits = shift_of(one, &left);
    if (!bits || !moves(mov, bits) || one->dst != mov->dst)
        return 0;
    if (moves(two, bits) && two->src == mov->src && two->dst != mov->dst) {
        other = two->dst;
        two = at(f, i, i + 3);
        n = 5;
    }
    if (other == mov->dst || mov->src == mov->dst || shift_of(two, &left2) != bits || two->dst != other ||
        left != left2 || is_left(one) == is_left(two))
        return 0;
    or = at(f, i, i + n - 1);
    if (or->kind != (bits == 64 ? ISA_OR64_X : ISA_OR32_X))
        return 0;
    if (!((or->dst == other && or->src == mov->dst) || (or->dst == mov->dst && or->src == other)) ||
        !dead(f, i + n - 1, or->src))
        return 0;
    *out = (struct op){.kind = bits == 64 ? OP_ROL64 : OP_ROL32, .dst = or->dst, .src = mov->src, .imm = left};
    return n;
}

static unsigned rrr_kind(unsigned kind, unsigned *bits)
{
    /* clang-format off */
    switch (kind) {
#define OP_RRR(row, width)                                                                                             \
    case ISA_##row##width##_X:                                                                                         \
        *bits = width;                                                                                                 \
        return OP_##row##width##_RRR;
#include "vm/ops.def"
    default: return ISA_INVALID;
    }
    /* clang-format on */
}

static unsigned rrk_kind(unsigned kind, unsigned *bits)
{
    /* clang-format off */
    switch (kind) {
#define OP_RRK(row, width)                                                                                             \
    case ISA_##row##width##_K:                                                                                         \
        *bits = width;                                                                                                 \
        return OP_##row##width##_RRK;
#include "vm/ops.def"
    default: return ISA_INVALID;
    }
    /* clang-format on */
}

/* d = s; d op= t or d op= K */
static uint32_t match_three(const struct fuser *f, uint32_t i, struct op *out)
{
    const struct op *mov = at(f, i, i), *op = at(f, i, i + 1);
    unsigned bits = 0, kind;

    if ((mov->kind != ISA_MOV64_X && mov->kind != ISA_MOV32_X) || op->dst != mov->dst)
        return 0;
    if ((kind = rrr_kind(op->kind, &bits)) != ISA_INVALID && moves(mov, bits)) {
        unsigned third = op->src == mov->dst ? mov->src : op->src;
        *out = (struct op){.kind = (uint16_t)kind, .dst = mov->dst, .src = mov->src, .aux = (uint16_t)third};
        return 2;
    }
    if ((kind = rrk_kind(op->kind, &bits)) != ISA_INVALID && moves(mov, bits)) {
        *out = (struct op){.kind = (uint16_t)kind, .dst = mov->dst, .src = mov->src, .imm = op->imm};
        return 2;
    }
    return 0;
}

static unsigned step_kind(unsigned add, unsigned jump)
{
    /* clang-format off */
    switch (jump) {
#define OP_STEP(row, bits, source)                                                                                     \
    case ISA_##row##bits##_##source:                                                                                   \
        return add == ISA_ADD##bits##_K ? OP_STEP_##row##bits##_##source : ISA_INVALID;
#include "vm/ops.def"
    default: return ISA_INVALID;
    }
    /* clang-format on */
}

static uint64_t halves(uint64_t low, uint64_t high)
{
    return (uint32_t)low | high << 32;
}

/* d += K; if d cond (s or K) goto */
static uint32_t match_step(const struct fuser *f, uint32_t i, struct op *out)
{
    const struct op *add = at(f, i, i), *jump = at(f, i, i + 1);
    unsigned kind = step_kind(add->kind, jump->kind);

    if (kind == ISA_INVALID || jump->dst != add->dst)
        return 0;
    *out = (struct op){.kind = (uint16_t)kind,
                       .dst = add->dst,
                       .src = jump->src,
                       .target = jump->target,
                       .imm = halves(add->imm, jump->imm)};
    return 2;
}

static uint32_t match_two(const struct fuser *f, uint32_t i, struct op *out)
{
    const struct op *one = at(f, i, i), *two = at(f, i, i + 1);
    struct op rest;

    if (one->kind == ISA_ADD64_K && two->kind == ISA_ADD64_K && !match_step(f, i + 1, &rest)) {
        *out = (struct op){.kind = OP_ADD2, .dst = one->dst, .src = two->dst, .imm = halves(one->imm, two->imm)};
        return 2;
    }
    if (one->kind == ISA_MOV64_X && two->kind == ISA_MOV64_X && one->dst != two->src && one->dst != two->dst &&
        !match_memory(f, i + 1, &rest) && !match_three(f, i + 1, &rest) && !match_rotate(f, i + 1, &rest)) {
        *out =
            (struct op){.kind = OP_MOV2, .dst = one->dst, .src = one->src, .aux = (uint16_t)(two->dst | two->src << 4)};
        return 2;
    }
    /* Zero- and sign-extension as processors before v3 are given it. */
    if (one->kind == ISA_LSH64_K && one->imm == 32 && two->imm == 32 && two->dst == one->dst &&
        (two->kind == ISA_RSH64_K || two->kind == ISA_ARSH64_K)) {
        *out = (struct op){
            .kind = two->kind == ISA_RSH64_K ? ISA_MOV32_X : ISA_MOVSX32_64, .dst = one->dst, .src = one->dst};
        return 2;
    }
    if (one->kind == OP_CONST_WIDE) {
        *out = *one;
        out->kind = OP_CONST;
        return 2;
    }
    return 0;
}

static uint32_t match(const struct fuser *f, uint32_t i, struct op *out)
{
    static uint32_t (*const matchers[])(const struct fuser *, uint32_t, struct op *) = {
        match_rotate, match_memory, match_three, match_step, match_two,
    };

    for (unsigned k = 0; k < sizeof(matchers) / sizeof(matchers[0]); k++) {
        uint32_t n;
        memset(out, 0, sizeof(*out));
        if ((n = matchers[k](f, i, out)))
            return n;
    }
    *out = f->ops[i];
    return 1;
}

static bool has_target(const struct op *op)
{
    if (op->kind == ISA_CALL_LOCAL)
        return true;
    switch (op->kind < ISA_OP_COUNT ? isa_rows[op->kind].form : ISA_FORM_NONE) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM:
    case ISA_FORM_MAY_GOTO: return true;
    default: break;
    }
    /* clang-format off */
    switch (op->kind) {
#define OP_STEP(row, bits, source) case OP_STEP_##row##bits##_##source:
#include "vm/ops.def"
        return true;
    default: return false;
    }
    /* clang-format on */
}

unsigned char *code_leaders(const struct code *code)
{
    unsigned char *leaders = calloc(1, code->n_ops);

    if (!leaders)
        return NULL;
    for (uint32_t i = 0; i < code->n_funcs; i++)
        leaders[code->funcs[i].op] = 1;
    for (uint32_t i = 0; i < code->n_ops; i++)
        if (has_target(&code->ops[i]))
            leaders[code->ops[i].target] = 1;
    return leaders;
}

/* Where a trap of a run is said to be: at its load or store, which is the last one. */
static uint32_t slot_of(const struct code *code, const struct op *op, uint32_t i, uint32_t n)
{
    /* clang-format off */
    switch (op->kind) {
#define OP_INDEX(row, type, form) case OP_##row##_INDEX:
#include "vm/ops.def"
        return code->slot[i + n - 1];
    default: return code->slot[i];
    }
    /* clang-format on */
}

static void sweep(struct code *code, const struct fuser *f, struct op *ops, uint32_t *slot, uint32_t *moved)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < f->n;) {
        uint32_t n = match(f, i, &ops[count]);
        slot[count] = slot_of(code, &ops[count], i, n);
        for (uint32_t k = 0; k < n; k++)
            moved[i + k] = count;
        count++;
        i += n;
    }
    for (uint32_t i = 0; i < count; i++)
        if (has_target(&ops[i]))
            ops[i].target = moved[ops[i].target];
    for (uint32_t i = 0; i < code->n_funcs; i++)
        code->funcs[i].op = moved[code->funcs[i].op];
    code->ops = ops;
    code->slot = slot;
    code->n_ops = count;
}

int code_fuse(struct code *code)
{
    struct fuser f = {.ops = code->ops, .n = code->n_ops};
    struct op *ops = ARENA_ARRAY(&code->arena, struct op, code->n_ops);
    uint32_t *slot = ARENA_ARRAY(&code->arena, uint32_t, code->n_ops);
    uint32_t *moved = malloc((size_t)code->n_ops * sizeof(*moved));
    uint16_t *live = code_live(code);
    unsigned char *leaders = code_leaders(code);
    int err = ops && slot && moved && live && leaders ? 0 : -ENOMEM;

    f.live = live;
    f.leaders = leaders;
    if (!err)
        sweep(code, &f, ops, slot, moved);
    free(moved);
    free(live);
    free(leaders);
    return err;
}
