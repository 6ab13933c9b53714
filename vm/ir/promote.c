/*
 * Which bytes of a frame nobody but loads and stores at known places touches, so that they may be registers (slots.c).
 * It is found out twice: by following the frame's address here, through copies and sums, to where it is used; and by
 * the facts, where there are any. A byte that either of the two calls untouched by others is.
 */
#include "vm/ir/promote.h"
#include "vm/runtime.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Where the address goes ---- */

static void escape(struct promoter *p, int64_t at, int64_t size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + size && i < 0; i++)
        p->escaped[FRAME + i] = 1;
}

/* An access at a known place that is no plain load or store, or lies partly outside: its bytes stay memory. */
static void pin(struct promoter *p, int64_t at, unsigned size)
{
    for (int64_t i = at < -FRAME ? -FRAME : at; i < at + size && i < 0; i++)
        p->pinned[FRAME + i] = 1;
}

/* A load or store at a known place. */
static void note_access(struct promoter *p, int64_t at, unsigned size)
{
    uint16_t *index;

    if (at < -FRAME || at + size > 0 || p->n == MAX_SLOTS) {
        pin(p, at, size);
        return;
    }
    index = &p->index[FRAME + at][__builtin_ctz(size)];
    if (*index)
        return;
    p->slots[p->n++] = (struct slot){.at = (uint16_t)(FRAME + at), .size = (uint8_t)size};
    *index = (uint16_t)p->n;
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
    case ARG_MAP_VALUE_OR_NULL:
    case ARG_MAP_VALUE_UNINIT: return map ? (int64_t)map->def.value_size : -1;
    case ARG_MEM:
    case ARG_MEM_OR_NULL:
    case ARG_MEM_UNINIT:
    case ARG_MEM_UNINIT_OR_NULL:
    case ARG_MEM_RDWR:
    case ARG_MEM_RDWR_OR_NULL:
        return next && next->is_const && next->value >= 0 && next->value <= FRAME ? next->value : -1;
    case ARG_INT_PTR: return 4;
    case ARG_LONG_PTR: return 8;
    case ARG_TWO_LONGS: return 16;
    case ARG_THREE_LONGS: return 24;
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
    if (shape & (IR_S_PICK | IR_S_TO) && (is_derived(p, op->yes) || is_derived(p, op->no)))
        p->all = true;
}

static void trace(struct promoter *p)
{
    for (uint32_t k = 0; k < p->f->n_blocks; k++)
        for (uint32_t i = 0; i < p->f->blocks[k].n; i++)
            follow(p, &p->f->blocks[k].ops[i]);
}

static void judge(struct promoter *p)
{
    const struct facts *facts = p->b->facts;
    uint64_t touched = ~UINT64_C(0);

    if (facts && facts->escaped && p->f->index < facts->n_funcs)
        touched = facts->escaped[p->f->index];
    for (uint32_t i = 0; i < FRAME; i++)
        p->escaped[i] = (p->all || p->escaped[i]) && touched >> (FRAME - 1 - i) / 8 & 1;
}

/* Does it read its frame's address, other than to make that of a callee? */
static bool has_frame(struct ir_func *f)
{
    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++) {
            const struct ir_op *op = &f->blocks[k].ops[i];
            if (op->base != IR_FP && op->a != IR_FP && op->b != IR_FP)
                continue;
            if (op->kind != IR_ADD || i + 1 == f->blocks[k].n || op[1].kind != IR_CALL_LOCAL)
                return true;
        }
    return false;
}

int build_promote(struct builder *b, struct ir_func *f)
{
    struct promoter *p;
    int err = -ENOMEM;

    if (!has_frame(f)) {
        f->frame_clear = 0;
        return 0;
    }
    p = ARENA_NEW(&f->ir->scratch, struct promoter);
    if (!p)
        return -ENOMEM;
    p->b = b;
    p->f = f;
    if (build_known(&p->known, f)) {
        trace(p);
        judge(p);
        err = promote_slots(p);
    }
    return err;
}
