/*
 * Branches that only pick a value become SELECT. A block that ends in BR, with one or two arms of a few operations that
 * may be done in vain and that come together again at once, does what both arms do, and picks:
 *
 *     br a < b -> T, J                          t = ...
 *     T: v = ...; jmp J          becomes        v = select a < b ? t : v
 *     J:                                        jmp J
 *
 * clang has made selects where branches are not worth it, and bytecode has branches for those: their arms move one
 * value, or hold what sank into them, so arms of more than that stay. A register that an arm writes and no other place
 * does is the arm's own, and keeps its name.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPS = 4, MAX_COST = 1, MAX_PICKS = 2, MAX_SEARCH = 64, MAX_VISITS = 256 };

/* Where registers with several writes are written, to tell whether one holds anything yet. */
struct writes {
    struct opt *o;
    uint32_t n_vregs; /* when the pass began; those that it makes have one write */
    uint32_t *first;  /* a register: its latest entry, from 1 */
    struct {
        uint32_t block, next;
    } * entries;
    uint32_t *seen, stamp; /* a block: the search that came to it */
    bool failed;
};

/* What an arm leaves in registers that live on, and what it does for that. */
struct arm {
    const struct ir_block *block; /* NULL: it does nothing */
    uint32_t written[MAX_PICKS];  /* registers that live on */
    uint32_t value[MAX_PICKS];    /* where the arm's result stands once it is moved */
    unsigned n_written;
    struct ir_op ops[MAX_OPS]; /* moved and renamed */
    unsigned n_ops;
};

static unsigned cost_of(const struct ir_op *op)
{
    switch (op->kind) {
    case IR_NOP:
    case IR_CONST:
    case IR_COPY: return 0;
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_NEG:
    case IR_NOT:
    case IR_ZEXT:
    case IR_SEXT:
    case IR_LEA: return op->flags & IR_MEM ? MAX_COST + 1 : 1;
    default: return MAX_COST + 1;
    }
}

/* Index of v among what the arm has written; n_written: not among it. */
static unsigned find(const struct arm *arm, uint32_t v)
{
    unsigned i = 0;

    while (i < arm->n_written && arm->written[i] != v)
        i++;
    return i;
}

static void rename_uses(struct opt *o, const struct arm *arm, struct ir_op *op)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(o->f, op, uses);

    for (unsigned i = 0; i < n; i++) {
        unsigned k = find(arm, *uses[i]);

        if (k < arm->n_written)
            *uses[i] = arm->value[k];
    }
}

static int list_writes(struct writes *w)
{
    struct opt *o = w->o;
    uint32_t n = 0;

    for (uint32_t i = 0; i < o->n_order; i++)
        n += o->f->blocks[o->order[i]].n;
    w->first = ARENA_ARRAY(&o->f->ir->scratch, uint32_t, w->n_vregs);
    w->entries = arena_room(&o->f->ir->scratch, (n + 1) * sizeof(*w->entries));
    w->seen = ARENA_ARRAY(&o->f->ir->scratch, uint32_t, o->f->n_blocks);
    if (!w->first || !w->entries || !w->seen)
        return -ENOMEM;
    for (uint32_t i = n = 0; i < o->n_order; i++) {
        const struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            uint32_t v = b->ops[j].dst;

            if (!v || v >= w->n_vregs || o->v[v].writes == 1)
                continue;
            w->entries[++n].block = o->order[i];
            w->entries[n].next = w->first[v];
            w->first[v] = n;
        }
    }
    return 0;
}

/* Is v written on every way to the end of this block? Looked for backwards, over so many blocks at most. Most functions
 * never ask. */
static bool is_written(struct writes *w, uint32_t v, uint32_t block)
{
    uint32_t pending[MAX_SEARCH], n = 0;
    struct ir_func *f = w->o->f;

    if (v <= IR_PARAMS)
        return true;
    if (!w->first && list_writes(w)) {
        w->failed = true;
        return false;
    }
    w->stamp += 2;
    for (uint32_t k = w->first[v]; k; k = w->entries[k].next)
        w->seen[w->entries[k].block] = w->stamp;
    if (w->seen[block] != w->stamp)
        pending[n++] = block;
    for (unsigned visits = 0; n; visits++) {
        const struct ir_block *b = &f->blocks[pending[--n]];

        if (visits == MAX_VISITS || b == f->blocks || b->n_preds > MAX_SEARCH - n)
            return false;
        for (uint32_t i = 0; i < b->n_preds; i++) {
            if (w->seen[b->preds[i]] >= w->stamp)
                continue;
            w->seen[b->preds[i]] = w->stamp + 1;
            pending[n++] = b->preds[i];
        }
    }
    return true;
}

/* Moves one operation of the arm. Values that are only copied need none. */
static bool move(struct opt *o, struct arm *arm, const struct ir_op *from)
{
    struct ir_op op = *from;
    unsigned k;

    rename_uses(o, arm, &op);
    if (o->v[op.dst].writes == 1) {
        if (arm->n_ops == MAX_OPS)
            return false;
        arm->ops[arm->n_ops++] = op;
        return true;
    }
    k = find(arm, op.dst);
    if (k == MAX_PICKS)
        return false;
    if (op.kind == IR_COPY) {
        arm->value[k] = op.a;
    } else {
        if (arm->n_ops == MAX_OPS)
            return false;
        arm->value[k] = ir_vreg(o->f);
        op.dst = arm->value[k];
        arm->ops[arm->n_ops++] = op;
    }
    if (k == arm->n_written)
        arm->written[arm->n_written++] = from->dst;
    return true;
}

/* Reads the arm from `to` up to `join`: false when it is none. */
static bool read_arm(struct opt *o, uint32_t to, uint32_t join, struct arm *arm)
{
    const struct ir_block *b = &o->f->blocks[to];
    unsigned cost = 0;

    arm->block = NULL;
    arm->n_written = arm->n_ops = 0;
    if (to == join)
        return true;
    if (b->n > MAX_OPS + 1)
        return false;
    arm->block = b;
    for (uint32_t i = 0; i + 1 < b->n; i++) {
        cost += cost_of(&b->ops[i]);
        if (cost > MAX_COST)
            return false;
    }
    for (uint32_t i = 0; i + 1 < b->n; i++)
        if (b->ops[i].kind != IR_NOP && !move(o, arm, &b->ops[i]))
            return false;
    return true;
}

/* Is the block one that only `from` comes to and that only jumps? Where to then. */
static uint32_t only_jumps(const struct opt *o, uint32_t index)
{
    const struct ir_block *b = &o->f->blocks[index];

    if (!index || b->n_preds != 1 || b->loop_head || !b->n || b->ops[b->n - 1].kind != IR_JMP)
        return IR_NO_BLOCK;
    return b->succ[0];
}

/* Where both arms come together; IR_NO_BLOCK: nowhere. */
static uint32_t join_of(const struct opt *o, const struct ir_block *b)
{
    uint32_t yes = only_jumps(o, b->succ[0]), no = only_jumps(o, b->succ[1]);

    if (b->succ[0] == b->succ[1])
        return IR_NO_BLOCK;
    if (yes != IR_NO_BLOCK && yes == b->succ[1])
        return yes;
    if (no != IR_NO_BLOCK && no == b->succ[0])
        return no;
    return yes == no ? yes : IR_NO_BLOCK;
}

static uint32_t value_of(const struct arm *arm, uint32_t v)
{
    unsigned k = find(arm, v);

    return k < arm->n_written ? arm->value[k] : v;
}

static bool reads(const struct ir_op *select, uint32_t v)
{
    return select->a == v || (!(select->flags & IR_IMM) && select->b == v) || select->yes == v || select->no == v;
}

/* Does one of them write what a later one reads? */
static bool clashes(const struct ir_op *picks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = i + 1; j < n; j++)
            if (reads(&picks[j], picks[i].dst))
                return true;
    return false;
}

static void reverse(struct ir_op *picks, unsigned n)
{
    for (unsigned i = 0; i < n / 2; i++) {
        struct ir_op op = picks[i];

        picks[i] = picks[n - 1 - i];
        picks[n - 1 - i] = op;
    }
}

/* The picks, which happen at once: in an order in which none disturbs another, or by way of registers of their own.
 * @return how many operations. */
static unsigned pick(struct opt *o, const struct ir_op *br, const struct arm *yes, const struct arm *no,
                     struct ir_op *ops)
{
    unsigned n = 0;

    for (unsigned side = 0; side < 2; side++) {
        const struct arm *arm = side ? no : yes;

        for (unsigned i = 0; i < arm->n_written; i++) {
            uint32_t v = arm->written[i];

            if (side && find(yes, v) < yes->n_written)
                continue;
            ops[n] = *br;
            ops[n].kind = IR_SELECT;
            ops[n].flags &= IR_IMM | IR_SECRET;
            ops[n].dst = v;
            ops[n].yes = value_of(yes, v);
            ops[n++].no = value_of(no, v);
        }
    }
    if (!clashes(ops, n))
        return n;
    reverse(ops, n);
    if (!clashes(ops, n))
        return n;
    for (unsigned i = 0; i < n; i++) {
        struct ir_op copy = {.kind = IR_COPY, .width = 8, .slot = br->slot, .dst = ops[i].dst, .a = ir_vreg(o->f)};

        ops[i].dst = copy.a;
        ops[n + i] = copy;
    }
    return 2 * n;
}

static int convert(struct opt *o, struct ir_block *b, const struct arm *yes, const struct arm *no, uint32_t join)
{
    struct ir_op br = b->ops[b->n - 1];
    uint32_t cap = b->n + yes->n_ops + no->n_ops + 4 * MAX_PICKS, n = b->n - 1;
    struct ir_op *ops = ARENA_ROOM(&o->f->ir->arena, struct ir_op, cap);

    if (!ops)
        return -ENOMEM;
    memcpy(ops, b->ops, n * sizeof(*ops));
    memcpy(ops + n, yes->ops, yes->n_ops * sizeof(*ops));
    n += yes->n_ops;
    memcpy(ops + n, no->ops, no->n_ops * sizeof(*ops));
    n += no->n_ops;
    n += pick(o, &br, yes, no, ops + n);
    ops[n++] = (struct ir_op){.kind = IR_JMP, .width = 8, .slot = br.slot};
    b->ops = ops;
    b->n = n;
    b->cap = cap;
    b->succ[0] = join;
    b->succ[1] = IR_NO_BLOCK;
    o->blocks_changed = true;
    return 0;
}

/* What only one arm writes must hold something before. */
static bool are_written(struct writes *w, const struct arm *arm, const struct arm *other, uint32_t block)
{
    for (unsigned i = 0; i < arm->n_written; i++)
        if (find(other, arm->written[i]) == other->n_written && !is_written(w, arm->written[i], block))
            return false;
    return true;
}

static int look_at(struct writes *w, uint32_t index)
{
    struct opt *o = w->o;
    struct ir_block *b = &o->f->blocks[index];
    struct ir_op *br = &b->ops[b->n - 1];
    struct arm yes, no;
    uint32_t join;

    if (br->kind != IR_BR || br->flags & (IR_MEM | IR_LIKELY | IR_UNLIKELY))
        return 0;
    join = join_of(o, b);
    if (join == IR_NO_BLOCK || !read_arm(o, b->succ[0], join, &yes) || !read_arm(o, b->succ[1], join, &no))
        return 0;
    if ((!yes.n_written && !no.n_written) || !are_written(w, &yes, &no, index) || !are_written(w, &no, &yes, index))
        return 0;
    return convert(o, b, &yes, &no, join);
}

int opt_select(struct opt *o)
{
    struct writes w = {.o = o, .n_vregs = o->f->n_vregs};
    int err = ir_loops(o->f);

    /* Inner ones first. What they leave is joined to one block before the next round. */
    for (uint32_t i = o->n_order; !err && i--;)
        err = look_at(&w, o->order[i]) || w.failed ? -ENOMEM : 0;
    return err;
}
