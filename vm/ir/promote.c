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

enum { FRAME = PROG_STACK_FRAME };

struct promoter {
    struct builder *b;
    struct ir_func *f;
    struct knowledge known;
    bool all;               /* the address went where nobody can follow */
    uint8_t escaped[FRAME]; /* by byte, from the lowest: others may touch it */
    uint8_t mixed[FRAME];   /* it is accessed as part of different ranges, or not only by loads and stores */
    uint8_t start[FRAME];   /* of the slot that it is in: its distance, and */
    uint8_t size[FRAME];    /* its size; 0: not accessed */
    uint32_t reg[FRAME];    /* that the slot which begins here becomes; IR_NONE: it stays */
    uint32_t n_vregs;
};

/* ---- Where the address goes ---- */

static void escape(struct promoter *p, int64_t at, int64_t size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + size && i < 0; i++)
        p->escaped[FRAME + i] = 1;
}

/* An access at a known place that is no plain load or store, or lies partly outside: its bytes stay memory. */
static void pin(struct promoter *p, int64_t at, uint64_t size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + (int64_t)size && i < 0; i++)
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

/* A helper's call, as the form has it: the first of the helper's arguments, and how many there are. */
struct passed {
    const struct helper *helper; /* NULL: what is called is no helper */
    const uint32_t *args;
    unsigned n;
};

static struct passed passed_of(const struct promoter *p, const struct ir_op *op)
{
    const struct code *code = p->b->code;
    const struct op *from = &code->ops[op->slot];
    const uint32_t *args = p->f->args + op->args;

    if (op->kind != IR_CALL || from->kind != OP_CALL_BODY)
        return (struct passed){0};
    if (op->aux == BUILD_MAP_CALL) /* after them, mostly, comes the CPU */
        return (struct passed){code->helpers[from->aux], args, op->n_args};
    if (from->imm != (uint64_t)op->imm)
        return (struct passed){0};
    return (struct passed){code->helpers[from->aux], args + 1, op->n_args - 1u};
}

/* Bytes that a helper may touch behind this argument; -1: nobody knows. */
static int64_t reach(const struct promoter *p, const struct passed *c, unsigned arg)
{
    const struct known *next = arg + 1 < c->n ? &p->known.of[c->args[arg + 1]] : NULL;
    const struct map *map = NULL;

    for (unsigned i = 0; i < 5 && i < c->n; i++)
        if (c->helper->arg[i] == ARG_MAP)
            map = build_map_of(p->b, &p->known.of[c->args[i]]);
    if (arg >= 5)
        return -1;
    switch ((enum arg_kind)c->helper->arg[arg]) {
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

static bool is_derived(const struct promoter *p, uint32_t vreg)
{
    return vreg && p->known.of[vreg].at != KNOWN_NOWHERE;
}

static void follow_args(struct promoter *p, const struct ir_op *op)
{
    const struct passed c = passed_of(p, op);

    for (unsigned i = 0; i < op->n_args; i++) {
        const uint32_t *v = &p->f->args[op->args + i];
        int64_t size = -1;
        if (!is_derived(p, *v) || (op->kind != IR_CALL && i == 1)) /* the latter: the callee's own frame */
            continue;
        if (c.helper && v >= c.args)
            size = reach(p, &c, (unsigned)(v - c.args));
        else if (op->kind == IR_CALL && op->imm == (int64_t)(uintptr_t)run_load_ctx)
            size = 4;
        if (size < 0)
            p->all = true;
        else
            escape(p, p->known.of[*v].at, size + p->known.of[*v].span);
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
        const struct known *base = &p->known.of[op->base];
        int64_t at = (int64_t)base->at + op->disp;
        if ((op->kind == IR_LOAD || op->kind == IR_STORE) && !base->span)
            note_access(p, at, op->size);
        else if (!base->span)
            pin(p, at, op->size);
        else
            escape(p, at, op->size + base->span);
    } else if (shape & IR_S_MEM && (is_derived(p, op->base) || is_derived(p, op->index))) {
        p->all = true;
    }
    if (op->kind == IR_COPY || op->kind == IR_ADD) {
        bool b = op->kind == IR_ADD && !(op->flags & (IR_IMM | IR_MEM)) && is_derived(p, op->b);
        if ((is_derived(p, op->a) || b) && (!is_derived(p, op->dst) || (b && is_derived(p, op->a))))
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

static void trace(struct promoter *p)
{
    for (uint32_t k = 0; k < p->f->n_blocks; k++)
        for (uint32_t i = 0; i < p->f->blocks[k].n; i++)
            follow(p, &p->f->blocks[k].ops[i]);
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

    if ((op->kind != IR_LOAD && op->kind != IR_STORE) || op->index || !is_derived(p, op->base) ||
        p->known.of[op->base].span)
        return;
    at = (int64_t)p->known.of[op->base].at + op->disp + FRAME;
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
    int err;

    trace(p);
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
    if (build_known(&p->known, f))
        err = promote(p);
    free(p->known.of);
    free(p);
    return err;
}
