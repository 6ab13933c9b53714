/*
 * Stack slots to registers. A slot is a range of bytes of the frame; it becomes a register when every access to any of
 * its bytes is a load or store of just this range at a known place. Who else might touch it is found out twice: by
 * following the frame's address here, through copies and sums with constants, to where it is used; and by the facts,
 * where there are any. A byte that either of the two calls untouched by others is.
 *
 * A register holds what memory would, zero-extended. A slot that may be read before it is written is 0 at first, as the
 * frame would be.
 */
#include "vm/ir/build.h"
#include "vm/runtime.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = PROG_STACK_FRAME, NOWHERE = INT32_MIN };

/* A register, as far as addresses and constants in it are known. */
struct origin {
    uint32_t writes;
    int32_t at;    /* NOWHERE, or: it is the frame's address plus this */
    int64_t value; /* when is_const */
    bool is_const;
};

struct promoter {
    struct builder *b;
    struct ir_func *f;
    struct origin *from;    /* by register */
    bool all;               /* the address went where nobody can follow */
    uint8_t escaped[FRAME]; /* by byte, from the lowest: others may touch it */
    uint8_t mixed[FRAME];   /* it is accessed as part of different ranges, or not only by loads and stores */
    uint8_t start[FRAME];   /* of the slot that it is in: its distance, and */
    uint8_t size[FRAME];    /* its size; 0: not accessed */
    uint32_t reg[FRAME];    /* that the slot which begins here becomes; IR_NONE: it stays */
    uint32_t n_vregs;
};

/* ---- Where the address goes ---- */

static void count_writes(struct promoter *p)
{
    for (uint32_t k = 0; k < p->f->n_blocks; k++)
        for (uint32_t i = 0; i < p->f->blocks[k].n; i++)
            p->from[p->f->blocks[k].ops[i].dst].writes++;
}

/* What a register that is written once holds, when that is the frame's address or a constant. */
static void derive(struct promoter *p, const struct ir_op *op)
{
    struct origin *to = &p->from[op->dst], *a = &p->from[op->a];
    int64_t at;

    if (!op->dst || to->writes != 1 || op->dst <= IR_PARAMS)
        return;
    if (op->kind == IR_CONST) {
        to->is_const = true;
        to->value = op->imm;
    } else if (op->kind == IR_COPY) {
        to->at = a->at;
        to->is_const = a->is_const;
        to->value = a->value;
    } else if (op->kind == IR_ADD && op->width == 8 && op->flags & IR_IMM && a->at != NOWHERE) {
        at = a->at + op->imm;
        if (at >= -4 * FRAME && at <= 4 * FRAME)
            to->at = (int32_t)at;
    }
}

static void escape(struct promoter *p, int64_t at, int64_t size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + size && i < 0; i++)
        p->escaped[FRAME + i] = 1;
}

/* An access at a known place that is no plain load or store, or lies partly outside: its bytes stay memory. */
static void pin(struct promoter *p, int64_t at, unsigned size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + size && i < 0; i++)
        p->mixed[FRAME + i] = 1;
}

/* A load or store at a known place. */
static void note_access(struct promoter *p, int64_t at, unsigned size)
{
    uint32_t first = (uint32_t)(FRAME + at);
    bool fits = at >= -FRAME && at + size <= 0, fresh = true;

    if (!fits) {
        pin(p, at, size);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        fresh &= !p->size[first + i];
    for (unsigned i = 0; i < size; i++) {
        if (fresh) {
            p->start[first + i] = (uint8_t)i;
            p->size[first + i] = (uint8_t)size;
        } else if (p->size[first + i] != size || p->start[first + i] != i) {
            memset(&p->mixed[first], 1, size);
        }
    }
}

/* Bytes that a helper may touch behind this argument; -1: nobody knows. */
static int64_t reach(const struct promoter *p, const struct helper *h, const struct ir_op *op, unsigned arg)
{
    const uint32_t *args = p->f->args + op->args + 1; /* after the environment */
    const struct origin *next = arg + 1u < op->n_args - 1u ? &p->from[args[arg + 1]] : NULL;
    const struct map *map = NULL;

    for (unsigned i = 0; i < 5 && i + 1u < op->n_args; i++)
        if (h->arg[i] == ARG_MAP && p->from[args[i]].is_const)
            for (uint32_t m = 0; m < p->b->code->prog->n_maps; m++)
                if ((uintptr_t)p->b->code->maps[m] == (uint64_t)p->from[args[i]].value)
                    map = p->b->code->maps[m];
    switch ((enum arg_kind)h->arg[arg]) {
    case ARG_MAP_KEY: return map ? (int64_t)map->def.key_size : -1;
    case ARG_MAP_VALUE:
    case ARG_MAP_VALUE_UNINIT: return map ? (int64_t)map->def.value_size : -1;
    case ARG_MEM:
    case ARG_MEM_OR_NULL:
    case ARG_MEM_UNINIT:
    case ARG_MEM_UNINIT_OR_NULL:
    case ARG_MEM_RDWR: return next && next->is_const && next->value >= 0 && next->value <= FRAME ? next->value : -1;
    case ARG_INT_PTR: return 4;
    case ARG_LONG_PTR: return 8;
    default: return -1;
    }
}

/* The helper that this operation calls, if it is a helper's call at all. */
static const struct helper *helper_of(const struct promoter *p, const struct ir_op *op)
{
    const struct code *code = p->b->code;
    const struct op *from = &code->ops[op->slot];

    if (from->kind != OP_CALL_BODY || from->imm != (uint64_t)op->imm)
        return NULL;
    return code->helpers[from->aux];
}

static void pass_arg(struct promoter *p, const struct ir_op *op, unsigned arg, int32_t at)
{
    const struct helper *h = op->kind == IR_CALL ? helper_of(p, op) : NULL;
    int64_t size = h && arg ? reach(p, h, op, arg - 1) : -1;

    if (op->kind == IR_CALL && op->imm == (int64_t)(uintptr_t)run_load_ctx)
        size = 4;
    if (op->kind != IR_CALL && arg == 1) /* the callee's own frame */
        return;
    if (size < 0)
        p->all = true;
    else
        escape(p, at, size);
}

static bool is_derived(const struct promoter *p, uint32_t vreg)
{
    return vreg && p->from[vreg].at != NOWHERE;
}

static void follow_args(struct promoter *p, const struct ir_op *op)
{
    for (unsigned i = 0; i < op->n_args; i++) {
        uint32_t v = p->f->args[op->args + i];
        if (is_derived(p, v))
            pass_arg(p, op, i, p->from[v].at);
    }
}

/* What this operation does with the frame's address. */
static void follow(struct promoter *p, struct ir_op *op)
{
    unsigned shape = ir_shape(op->kind);

    if (shape & IR_S_ARGS) {
        follow_args(p, op);
        return;
    }
    if (shape & IR_S_MEM && is_derived(p, op->base) && !op->index) {
        int64_t at = (int64_t)p->from[op->base].at + op->disp;
        if (op->kind == IR_LOAD || op->kind == IR_STORE)
            note_access(p, at, op->size);
        else
            pin(p, at, op->size);
    } else if (shape & IR_S_MEM && (is_derived(p, op->base) || is_derived(p, op->index))) {
        p->all = true;
    }
    if (op->kind == IR_COPY || op->kind == IR_ADD) {
        if (is_derived(p, op->a) && !is_derived(p, op->dst))
            p->all = true;
        if (op->kind == IR_ADD && !(op->flags & IR_IMM) && is_derived(p, op->b))
            p->all = true;
        return;
    }
    /* Comparing addresses, and returning one, touches nothing. */
    if (op->kind == IR_BR || op->kind == IR_EXIT || op->kind == IR_SET)
        return;
    if (shape & (IR_S_A | IR_S_A_OR_IMM) && is_derived(p, op->a))
        p->all = true;
    if (shape & (IR_S_B | IR_S_B_REG) && !(op->flags & (IR_IMM | IR_MEM)) && is_derived(p, op->b))
        p->all = true;
    if (shape & IR_S_PICK && (is_derived(p, op->yes) || is_derived(p, op->no)))
        p->all = true;
}

static int trace(struct promoter *p)
{
    struct ir_func *f = p->f;
    uint32_t n, *order = ir_order(f, &n);

    if (!order)
        return -ENOMEM;
    for (uint32_t v = 0; v < f->n_vregs; v++)
        p->from[v] = (struct origin){.at = NOWHERE};
    p->from[IR_FP].at = 0;
    count_writes(p);
    p->from[0].writes = 2;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < f->blocks[order[k]].n; i++)
            derive(p, &f->blocks[order[k]].ops[i]);
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < f->blocks[order[k]].n; i++)
            follow(p, &f->blocks[order[k]].ops[i]);
    free(order);
    return 0;
}

/* ---- What becomes of it ---- */

static void judge(struct promoter *p)
{
    const struct facts *facts = p->b->facts;
    uint64_t touched = ~UINT64_C(0);

    if (facts && facts->escaped && p->f->index < facts->n_funcs)
        touched = facts->escaped[p->f->index];
    for (uint32_t i = 0; i < FRAME; i++)
        p->escaped[i] = (p->all || p->escaped[i]) && touched >> (FRAME - 1 - i) / 8 & 1;
}

/* Chooses the slots, and numbers their registers. @return how many. */
static uint32_t choose(struct promoter *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < FRAME; i++) {
        bool stays = !p->size[i] || p->start[i];
        for (unsigned k = 0; k < p->size[i] && !stays; k++)
            stays = p->escaped[i + k] || p->mixed[i + k];
        p->reg[i] = stays ? IR_NONE : p->n_vregs + n++;
    }
    return n;
}

static void replace(struct promoter *p, struct ir_op *op)
{
    struct ir_op new = {.slot = op->slot, .width = 8, .size = op->size};
    int64_t at;
    uint32_t reg;

    if ((op->kind != IR_LOAD && op->kind != IR_STORE) || op->index || !is_derived(p, op->base))
        return;
    at = (int64_t)p->from[op->base].at + op->disp + FRAME;
    if (at < 0 || at >= FRAME || p->size[at] != op->size || !(reg = p->reg[at]))
        return;
    if (op->kind == IR_LOAD) {
        new.kind = op->flags &IR_SIGNED && op->size < 8 ? IR_SEXT : IR_COPY;
        new.dst = op->dst;
        new.a = reg;
    } else if (op->flags & IR_IMM) {
        new.kind = IR_CONST;
        new.dst = reg;
        new.imm = op->size == 8 ? op->imm : (int64_t)((uint64_t)op->imm & ((UINT64_C(1) << op->size * 8) - 1));
        new.flags = op->flags &IR_SECRET;
    } else {
        new.kind = op->size == 8 ? IR_COPY : IR_ZEXT;
        new.dst = reg;
        new.a = op->a;
    }
    *op = new;
}

/* The slots are 0 when the function begins. */
static int clear_slots(struct promoter *p, uint32_t n)
{
    struct ir_block *b = &p->f->blocks[0];
    struct ir_op *ops = ARENA_ARRAY(&p->f->ir->arena, struct ir_op, b->n + n);

    if (!ops)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        ops[i] = (struct ir_op){.kind = IR_CONST, .slot = b->ops[0].slot, .dst = p->n_vregs + i};
    memcpy(ops + n, b->ops, b->n * sizeof(*ops));
    b->ops = ops;
    b->n = b->cap = b->n + n;
    return 0;
}

/* Only what stays in the frame has to be zero there. */
static void lessen_clear(struct promoter *p)
{
    uint32_t low = 0;

    while (low < FRAME && !p->escaped[low] && !p->mixed[low] && (!p->size[low] || p->reg[low - p->start[low]]))
        low++;
    low = (FRAME - low + 7) & ~7u;
    if (p->f->frame_clear > low)
        p->f->frame_clear = low;
}

static int promote(struct promoter *p)
{
    uint32_t n;
    int err = trace(p);

    if (err)
        return err;
    judge(p);
    p->n_vregs = p->f->n_vregs;
    n = choose(p);
    lessen_clear(p);
    if (!n)
        return 0;
    for (uint32_t k = 0; k < p->f->n_blocks; k++)
        for (uint32_t i = 0; i < p->f->blocks[k].n; i++)
            replace(p, &p->f->blocks[k].ops[i]);
    p->f->n_vregs += n;
    err = clear_slots(p, n);
    for (uint32_t first = 0; first < n && !err && p->b->opts & IR_OPT_WEBS; first += 64)
        err = build_webs(p->f, p->n_vregs + first, n - first < 64 ? n - first : 64);
    return err;
}

int build_promote(struct builder *b, struct ir_func *f)
{
    struct promoter *p = calloc(1, sizeof(*p));
    int err = -ENOMEM;

    if (!p)
        return -ENOMEM;
    p->b = b;
    p->f = f;
    p->from = malloc(f->n_vregs * sizeof(*p->from));
    if (p->from)
        err = promote(p);
    free(p->from);
    free(p);
    return err;
}
