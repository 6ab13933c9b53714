/*
 * From level-0 code to the intermediate form: which ops make a function, where its blocks begin, what its entry does,
 * and the order of passes. A function's blocks are those of its ops in their order, between the entry (block 0, which
 * stands for no op) and what its ops needed besides.
 */
#include "vm/ir/build.h"
#include "vm/prog.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool build_jumps(const struct op *op)
{
    if (op->kind >= ISA_OP_COUNT)
        return false;
    switch (isa_rows[op->kind].form) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM:
    case ISA_FORM_MAY_GOTO: return true;
    default: return false;
    }
}

bool build_ends(const struct op *op)
{
    return op->kind == OP_TRAP || op->kind == ISA_EXIT || op->kind == ISA_JA || op->kind == ISA_GOTOL;
}

/* ---- Blocks and operations ---- */

/* At least room for so many more. */
static bool widen(struct builder *b, struct ir_block *block)
{
    uint32_t cap = block->cap < 4 ? 8 : block->cap * 2;
    struct ir_op *ops = ARENA_ROOM(&b->ir->arena, struct ir_op, cap);

    if (!ops)
        return false;
    if (block->n)
        memcpy(ops, block->ops, block->n * sizeof(*ops));
    block->ops = ops;
    block->cap = cap;
    return true;
}

struct ir_op *build_op(struct builder *b, enum ir_kind kind)
{
    struct ir_block *block = &b->f->blocks[b->cur];
    struct ir_op *op = &b->scrap;

    if (block->n < block->cap || widen(b, block))
        op = &block->ops[block->n++];
    else
        b->failed = true;
    *op = (struct ir_op){.kind = (uint8_t)kind, .slot = b->slot};
    return op;
}

static bool more_blocks(struct builder *b)
{
    struct ir_func *f = b->f;
    uint32_t cap = f->block_cap * 2;
    struct ir_block *blocks = ARENA_ROOM(&b->ir->arena, struct ir_block, cap);

    if (!blocks)
        return false;
    memcpy(blocks, f->blocks, f->n_blocks * sizeof(*blocks));
    f->blocks = blocks;
    f->block_cap = cap;
    return true;
}

uint32_t build_block(struct builder *b, uint32_t room)
{
    struct ir_func *f = b->f;
    struct ir_block *block;

    if (f->n_blocks == f->block_cap && !more_blocks(b)) {
        b->failed = true;
        return 1;
    }
    block = &f->blocks[f->n_blocks];
    *block = (struct ir_block){.succ = {IR_NO_BLOCK, IR_NO_BLOCK}};
    block->ops = ARENA_ROOM(&b->ir->arena, struct ir_op, room);
    block->cap = block->ops ? room : 0;
    return f->n_blocks++;
}

void build_jump(struct builder *b, uint32_t to)
{
    build_op(b, IR_JMP);
    b->f->blocks[b->cur].succ[0] = to;
    b->f->blocks[b->cur].succ[1] = IR_NO_BLOCK; /* the op that ends here may have been another one before */
}

struct ir_op *build_branch(struct builder *b, enum ir_cc cc, uint32_t yes, uint32_t no)
{
    struct ir_op *op = build_op(b, IR_BR);

    op->cc = (uint8_t)cc;
    b->f->blocks[b->cur].succ[0] = yes;
    b->f->blocks[b->cur].succ[1] = no;
    return op;
}

void build_const(struct builder *b, uint32_t dst, uint64_t value)
{
    struct ir_op *op = build_op(b, IR_CONST);

    op->dst = dst;
    op->imm = (int64_t)value;
}

void build_copy(struct builder *b, uint32_t dst, uint32_t src)
{
    struct ir_op *op = build_op(b, IR_COPY);

    op->dst = dst;
    op->a = src;
}

void build_imm(struct builder *b, enum ir_kind kind, unsigned width, uint32_t dst, uint32_t a, int64_t imm)
{
    struct ir_op *op = build_op(b, kind);

    op->width = (uint8_t)width;
    op->flags = IR_IMM;
    op->dst = dst;
    op->a = a;
    op->imm = imm;
}

void build_reg(struct builder *b, enum ir_kind kind, unsigned width, uint32_t dst, uint32_t a, uint32_t other)
{
    struct ir_op *op = build_op(b, kind);

    op->width = (uint8_t)width;
    op->dst = dst;
    op->a = a;
    op->b = other;
}

void build_load(struct builder *b, unsigned size, uint32_t dst, uint32_t base, int32_t disp)
{
    struct ir_op *op = build_op(b, IR_LOAD);

    op->size = (uint8_t)size;
    op->dst = dst;
    op->base = base;
    op->disp = disp;
}

void build_store(struct builder *b, unsigned size, uint32_t base, int32_t disp, uint32_t src)
{
    struct ir_op *op = build_op(b, IR_STORE);

    op->size = (uint8_t)size;
    op->a = src;
    op->base = base;
    op->disp = disp;
}

struct ir_op *build_call(struct builder *b, enum ir_kind kind, uint32_t dst, uint64_t imm, const uint32_t *args,
                         unsigned n)
{
    struct ir_func *f = b->f;
    struct ir_op *op;

    if (f->arg_cap - f->n_args < n) {
        uint32_t cap = f->arg_cap * 2 + 32, *room = ARENA_ROOM(&b->ir->arena, uint32_t, cap);
        if (!room) {
            b->failed = true;
            return &b->scrap;
        }
        if (f->n_args)
            memcpy(room, f->args, f->n_args * sizeof(*room));
        f->args = room;
        f->arg_cap = cap;
    }
    op = build_op(b, kind);
    op->dst = dst;
    op->imm = (int64_t)imm;
    op->args = f->n_args;
    op->n_args = (uint8_t)n;
    memcpy(f->args + f->n_args, args, n * sizeof(*args));
    f->n_args += n;
    f->calls = true;
    return op;
}

void build_check(struct builder *b)
{
    build_op(b, IR_CHECK)->a = IR_ENV;
}

/* ---- A function ---- */

/* A byte an op of the function: does a block begin there? */
static void mark(const struct builder *b, uint32_t begin, uint32_t end, uint8_t *leader)
{
    leader[0] = 1;
    for (uint32_t i = begin; i < end; i++) {
        const struct op *op = &b->code->ops[i];
        bool splits = build_jumps(op) || build_ends(op) || (op->kind >= ISA_LD_ABS_W && op->kind <= ISA_LD_IND_B);
        if (build_jumps(op))
            leader[op->target - begin] = 1;
        if (splits && i + 1 < end)
            leader[i + 1 - begin] = 1;
        i += op->kind == OP_CONST_WIDE;
    }
}

static bool jumps_back(const struct builder *b, uint32_t i)
{
    const struct op *op = &b->code->ops[i];

    return build_jumps(op) && op->target <= i;
}

/* A call of what may become a loop. */
static bool calls_back(const struct builder *b, uint32_t i)
{
    const struct op *op = &b->code->ops[i];

    return op->kind == OP_CALL_BODY && b->code->helpers[op->aux]->effects & EFFECT_CALLS_BACK;
}

static int make_blocks(struct builder *b, uint32_t begin, uint32_t end)
{
    struct ir_func *f = b->f;
    uint8_t *leader = ARENA_ARRAY(&b->ir->scratch, uint8_t, end - begin + 1);
    uint32_t n = 0;

    if (!leader)
        return -ENOMEM;
    mark(b, begin, end, leader);
    for (uint32_t i = begin; i < end; i++)
        n += leader[i - begin];
    f->block_cap = n + n / 8 + 4;
    f->blocks = ARENA_ROOM(&b->ir->arena, struct ir_block, f->block_cap);
    if (!f->blocks)
        return -ENOMEM;
    build_block(b, 16);
    for (uint32_t i = begin; i < end;) {
        uint32_t next = i + 1;
        while (next < end && !leader[next - begin])
            next++;
        b->block_at[i] = build_block(b, (next - i) + (next - i) / 4 + 3);
        memset(&b->block_at[i + 1], 0xff, (next - i - 1) * sizeof(*b->block_at));
        i = next;
    }
    return 0;
}

/* What stands before the first op: all that a function may read before it writes it, and what it counts. */
static void enter(struct builder *b, uint32_t first)
{
    b->cur = 0;
    b->slot = b->code->slot[b->info[b->index].begin];
    build_const(b, IR_R0, 0);
    for (uint32_t r = IR_R6; r <= IR_R9; r++)
        build_const(b, r, 0);
    if (b->may_goto)
        build_const(b, IR_MAY_GOTO, PROG_MAX_MAY_GOTO);
    if (b->fuel)
        build_load(b, 8, IR_FUEL, IR_ENV, ENV_AT(fuel));
    build_jump(b, first);
}

/* Does the block go on? */
static bool is_open(const struct builder *b)
{
    const struct ir_block *block = &b->f->blocks[b->cur];

    return !block->n || !(ir_kinds[block->ops[block->n - 1].kind].what & IR_W_END);
}

static int build_func(struct builder *b, uint32_t index)
{
    const struct func_info *info = &b->info[index];
    int err;

    b->index = index;
    b->f = &b->ir->funcs[index];
    b->f->ir = b->ir;
    b->f->index = index;
    b->f->n_vregs = IR_FIRST_FREE;
    b->fuel = b->may_goto = false;
    for (uint32_t i = info->begin; i < info->end; i++) {
        b->fuel |= b->code->opts.count_insns && (jumps_back(b, i) || calls_back(b, i));
        b->may_goto |= b->code->ops[i].kind == ISA_MAY_GOTO;
    }
    b->f->fuel = b->fuel ? IR_FUEL : IR_NONE;
    err = make_blocks(b, info->begin, info->end);
    if (err)
        return err;
    b->f->frame_clear = b->code->funcs[index].clear_depth;
    enter(b, b->block_at[info->begin]);
    for (uint32_t i = info->begin; i < info->end && !b->failed; i++) {
        const struct op *op = &b->code->ops[i];
        if (b->block_at[i] != IR_NO_BLOCK)
            b->cur = b->block_at[i];
        b->slot = b->code->slot[i];
        if (is_open(b))
            build_one(b, i);
        i += op->kind == OP_CONST_WIDE;
        if (i + 1 < info->end && b->block_at[i + 1] != IR_NO_BLOCK && is_open(b))
            build_jump(b, b->block_at[i + 1]);
    }
    return b->failed ? -ENOMEM : 0;
}

/* ---- The program ---- */

static int build_all(struct builder *b)
{
    struct ir *ir = b->ir;
    int err = build_info(b);

    for (uint32_t i = 0; i < ir->n_funcs && !err; i++) {
        struct ir_func *f = &ir->funcs[i];
        err = build_func(b, i);
        if (!err)
            err = ir_clean(f, NULL);
        if (!err && b->opts & IR_OPT_WEBS)
            err = build_webs(f, IR_R1, IR_R9 - IR_R1 + 1);
        if (!err && b->opts & IR_OPT_WEBS && b->code->opts.opts & CODE_OPT_INLINE)
            err = build_special(b, f);
        arena_reset(&ir->scratch);
    }
    if (!err)
        err = build_trim_args(ir);
    for (uint32_t i = 0; i < ir->n_funcs && !err && b->opts & IR_OPT_PROMOTE; i++) {
        err = build_promote(b, &ir->funcs[i]);
        arena_reset(&ir->scratch);
    }
    if (!err)
        build_settle_calls(ir);
    return err;
}

int ir_build(const struct code *code, const struct facts *facts, uint32_t opts, struct ir **out)
{
    struct builder b = {.code = code, .opts = opts};
    struct ir *ir = calloc(1, sizeof(*ir));
    int err = -ENOMEM;

    if (!ir)
        return -ENOMEM;
    if (facts && facts->n_insns >= code->prog->n_insns && code->opts.opts & CODE_OPT_FACTS)
        b.facts = facts;
    b.ir = ir;
    ir->code = code;
    ir->n_funcs = code->n_funcs;
    ir->funcs = ARENA_ARRAY(&ir->arena, struct ir_func, code->n_funcs);
    b.block_at = malloc(((size_t)code->n_ops + 1) * sizeof(*b.block_at));
    b.info = calloc(code->n_funcs, sizeof(*b.info));
    if (ir->funcs && b.block_at && b.info)
        err = build_all(&b);
    free(b.block_at);
    free(b.info);
    if (err) {
        ir_free(ir);
        return err;
    }
    *out = ir;
    return 0;
}
