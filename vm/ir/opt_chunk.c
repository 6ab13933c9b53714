/*
 * Loops that count, paid for in chunks. Where a loop goes on while a counter that steps by a constant has not come to
 * its bound, and has no other way out, turns are not paid for one by one: before the loop a nearer bound is chosen, the
 * way to it is paid for, and the loop runs to it. There the test is made that the program has, and the next chunk paid
 * for when it says so:
 *
 *     chunk: near = i + c * (turns until the test fails, K at most); fuel -= their worth; -> head
 *     latch: i = i + c; br i != near -> head, mid
 *     mid:   br i < n -> chunk, out
 *
 * Whatever the counter and its bound hold, and wherever numbers wrap: a chunk is of one turn at least and K at most,
 * and of no more than the program's own test allows.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <string.h>

/* Deep in loops are those that turn a few times: what a chunk costs is not saved there. Nor is it where a turn is long
 * itself, and the registers are wanted inside. */
enum { MAX_WORTH = 256, MAX_STEP = 1 << 12, MAX_DEPTH = 2, MAX_INSIDE = 2 };

/* ---- What a loop counts ---- */

/* How often the loop writes v; *op: the latest of the writes that was found. */
static unsigned writes_in(const struct ir_func *f, const struct opt_loop *l, uint32_t v, struct ir_op **op,
                          uint32_t *where)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        struct ir_block *b = &f->blocks[l->blocks[i]];

        for (uint32_t k = 0; k < b->n; k++)
            if (b->ops[k].dst == v) {
                *op = &b->ops[k];
                *where = l->blocks[i];
                n++;
            }
    }
    return n;
}

/* The constant that v steps by, once a turn; 0: it does not. */
static int64_t step_of(const struct ir_func *f, const struct opt_loop *l, uint32_t v, unsigned *width)
{
    struct ir_op *op = NULL;
    uint32_t where = IR_NO_BLOCK;

    if (v == IR_NONE || writes_in(f, l, v, &op, &where) != 1 || (where != l->head && where != l->latch))
        return 0;
    if (op->a != v || !(op->flags & IR_IMM) || (op->kind != IR_ADD && op->kind != IR_SUB))
        return 0;
    *width = op->width;
    return op->kind == IR_ADD ? op->imm : -op->imm;
}

bool opt_counts(const struct opt *o, const struct opt_loop *l, struct opt_chunk *c)
{
    const struct ir_func *f = o->f;
    const struct ir_block *latch = &f->blocks[l->latch];
    const struct ir_op *br = &latch->ops[latch->n - 1];
    unsigned width = 0;
    struct ir_op *op;
    uint32_t where;

    if (br->kind != IR_BR || br->flags & IR_MEM || latch->succ[0] == latch->succ[1])
        return false;
    *c = (struct opt_chunk){.head = l->head,
                            .latch = l->latch,
                            .before = l->before,
                            .counter = br->a,
                            .imm = br->imm,
                            .bound = br->flags & IR_IMM ? IR_NONE : br->b,
                            .width = br->width,
                            .secret = br->flags & IR_SECRET,
                            .cc = latch->succ[0] == l->head ? br->cc : br->cc ^ 1};
    c->step = step_of(f, l, c->counter, &width);
    if (!c->step && c->bound) {
        c->counter = br->b;
        c->bound = br->a;
        c->cc = opt_swap_cc(c->cc);
        c->step = step_of(f, l, c->counter, &width);
    }
    if (!c->step || c->step > MAX_STEP || c->step < -MAX_STEP)
        return false;
    c->by = c->step < 0 ? (uint64_t)-c->step : (uint64_t)c->step;
    for (uint32_t i = 0; i < l->n; i++)
        if (f->blocks[l->blocks[i]].depth > c->depth)
            c->depth = f->blocks[l->blocks[i]].depth;
    c->narrow_step = width < c->width;
    return !c->bound || !writes_in(f, l, c->bound, &op, &where);
}

/* Both sides are 32 bits: comparing that many says the same of unsigned numbers. */
static void narrow(const struct opt *o, struct opt_chunk *c)
{
    bool small = c->bound ? o->v[c->bound].bits <= 32 : (uint64_t)c->imm <= UINT32_MAX;

    if (c->width != 8 || !small || o->v[c->counter].bits > 32)
        return;
    c->width = 4;
    c->imm = (int32_t)c->imm;
    c->narrow_step = false;
    if (c->cc >= IR_SLT)
        c->cc = c->cc - IR_SLT + IR_ULT;
}
_Static_assert(IR_SLT - IR_ULT == IR_SGT - IR_UGT && IR_SGE - IR_UGE == IR_SLE - IR_ULE && IR_SLT == IR_ULT + 4 &&
                   IR_SLE == IR_ULE + 4 && IR_TZ > IR_SGT,
               "signed conditions follow the unsigned ones in their order");

/* Conditions that take the bound in become those that leave it out, of the number behind it. Where there is none that
 * wraps to the other end, and chunks are of one turn. */
static void leave_out(struct opt_chunk *c)
{
    switch (c->cc) {
    case IR_ULE: c->cc = IR_ULT, c->behind = 1; break;
    case IR_SLE: c->cc = IR_SLT, c->behind = 1; break;
    case IR_UGE: c->cc = IR_UGT, c->behind = -1; break;
    case IR_SGE: c->cc = IR_SGT, c->behind = -1; break;
    default: break;
    }
}

bool opt_may_chunk(const struct opt *o, struct opt_chunk *c)
{
    uint32_t depth = o->f->blocks[c->head].depth;

    if (c->worth > MAX_WORTH || depth > MAX_DEPTH || c->depth > depth + MAX_INSIDE || c->by & (c->by - 1) ||
        c->cc == IR_TZ || c->cc == IR_TNZ)
        return false;
    narrow(o, c);
    leave_out(c);
    if (c->narrow_step)
        return false;
    switch (c->cc) {
    case IR_ULT:
    case IR_SLT: return c->step > 0;
    case IR_UGT:
    case IR_SGT: return c->step < 0;
    default: return c->cc == IR_NE && c->by == 1;
    }
}

/* ---- Chunks ---- */

static uint32_t add_block(struct ir_func *f, unsigned room)
{
    uint32_t cap = f->block_cap * 2 + 4;
    struct ir_block *blocks;

    if (f->n_blocks == f->block_cap) {
        blocks = ARENA_ROOM(&f->ir->arena, struct ir_block, cap);
        if (!blocks)
            return IR_NO_BLOCK;
        memcpy(blocks, f->blocks, f->n_blocks * sizeof(*blocks));
        f->blocks = blocks;
        f->block_cap = cap;
    }
    f->blocks[f->n_blocks] = (struct ir_block){
        .succ = {IR_NO_BLOCK, IR_NO_BLOCK}, .ops = ARENA_ROOM(&f->ir->arena, struct ir_op, room), .cap = room};
    return f->blocks[f->n_blocks].ops ? f->n_blocks++ : IR_NO_BLOCK;
}

struct writer {
    struct ir_func *f;
    struct ir_block *b;
    const struct opt_chunk *c;
    uint32_t slot;
};

static struct ir_op *add(struct writer *w, enum ir_kind kind, uint32_t dst)
{
    struct ir_op *op = &w->b->ops[w->b->n++];

    *op = (struct ir_op){.kind = (uint8_t)kind, .width = (uint8_t)w->c->width, .slot = w->slot, .dst = dst};
    return op;
}

static uint32_t add_imm(struct writer *w, enum ir_kind kind, uint32_t a, int64_t imm)
{
    struct ir_op *op = add(w, kind, ir_vreg(w->f));

    op->a = a;
    op->imm = imm;
    op->flags = IR_IMM;
    return op->dst;
}

static uint32_t add_reg(struct writer *w, enum ir_kind kind, uint32_t a, uint32_t b)
{
    struct ir_op *op = add(w, kind, ir_vreg(w->f));

    op->a = a;
    op->b = b;
    return op->dst;
}

static uint32_t add_const(struct writer *w, int64_t imm)
{
    struct ir_op *op = add(w, IR_CONST, ir_vreg(w->f));

    op->width = 8;
    op->imm = imm;
    return op->dst;
}

static struct ir_op *add_select(struct writer *w, enum ir_cc cc, uint32_t a, uint32_t yes, uint32_t no)
{
    struct ir_op *op = add(w, IR_SELECT, ir_vreg(w->f));

    op->cc = (uint8_t)cc;
    op->a = a;
    op->yes = yes;
    op->no = no;
    return op;
}

/* The number that the counter must not come to, in a register. */
static uint32_t bound_of(struct writer *w)
{
    const struct opt_chunk *c = w->c;
    uint64_t imm = (uint64_t)c->imm + (uint64_t)(int64_t)c->behind;
    uint32_t bound;

    if (c->bound)
        return c->behind ? add_imm(w, IR_ADD, c->bound, c->behind) : c->bound;
    bound = add_const(w, c->width == 4 ? (int64_t)(uint32_t)imm : (int64_t)imm);
    w->b->ops[w->b->n - 1].flags = c->secret;
    return bound;
}

static struct ir_op *select_below(struct writer *w, uint32_t a, uint32_t yes, uint32_t no, int64_t limit)
{
    struct ir_op *op = add_select(w, IR_ULT, a, yes, no);

    op->imm = limit;
    op->flags = IR_IMM;
    return op;
}

/* How far it is to the bound, one step at least and `far` at most: what is beyond the bound already turns once. */
static uint32_t way(struct writer *w, int64_t far)
{
    const struct opt_chunk *c = w->c;
    uint32_t bound = bound_of(w), most = add_const(w, far), left;
    struct ir_op *op;

    left = c->step > 0 ? add_reg(w, IR_SUB, bound, c->counter) : add_reg(w, IR_SUB, c->counter, bound);
    if (c->cc == IR_NE) /* none left is one round about all numbers */
        return select_below(w, add_imm(w, IR_SUB, left, 1), left, most, far)->dst;
    op = add_select(w, c->cc, c->counter, left, add_const(w, (int64_t)c->by));
    op->b = bound;
    return select_below(w, op->dst, op->dst, most, far)->dst;
}

/* The number where the chunk ends, which the counter comes to exactly. */
static uint32_t pay_for_chunk(struct writer *w, uint32_t most)
{
    const struct opt_chunk *c = w->c;
    int shift = __builtin_ctzll(c->by);
    uint32_t turns = way(w, (int64_t)(most / c->worth * c->by)), steps = turns, amount;
    struct ir_op *op;

    if (shift) {
        turns = add_imm(w, IR_SHR, add_imm(w, IR_ADD, turns, (int64_t)c->by - 1), shift);
        steps = add_imm(w, IR_SHL, turns, shift);
    }
    amount = add_imm(w, IR_MUL, turns, c->worth);
    op = add(w, IR_SUB, w->f->fuel);
    op->width = 8;
    op->a = w->f->fuel;
    op->b = amount;
    op = add(w, IR_POLL, w->f->fuel);
    op->width = 8;
    op->a = w->f->fuel;
    op->b = IR_ENV;
    return add_reg(w, c->step > 0 ? IR_ADD : IR_SUB, c->counter, steps);
}

int opt_chunk(struct opt *o, const struct opt_chunk *c, uint32_t most)
{
    struct ir_func *f = o->f;
    uint32_t chunk = add_block(f, 20), mid = add_block(f, 1), near;
    struct writer w = {.f = f, .c = c, .slot = c->slot};
    struct ir_block *latch;
    struct ir_op *br;
    unsigned out;

    if (chunk == IR_NO_BLOCK || mid == IR_NO_BLOCK)
        return -ENOMEM;
    latch = &f->blocks[c->latch];
    br = &latch->ops[latch->n - 1];
    out = latch->succ[0] == c->head;
    w.b = &f->blocks[mid];
    w.b->ops[w.b->n++] = *br;
    w.b->ops[0].flags &= (uint8_t) ~(IR_LIKELY | IR_UNLIKELY);
    w.b->ops[0].flags |= out ? IR_UNLIKELY : IR_LIKELY;
    w.b->succ[!out] = chunk;
    w.b->succ[out] = latch->succ[out];
    w.b = &f->blocks[chunk];
    near = pay_for_chunk(&w, most);
    add(&w, IR_JMP, IR_NONE);
    w.b->succ[0] = c->head;
    br->a = c->counter;
    br->b = near;
    br->imm = 0;
    br->flags &= (uint8_t) ~(IR_IMM | IR_SECRET);
    br->width = (uint8_t)c->width;
    br->cc = (uint8_t)(out ? IR_NE : IR_EQ);
    latch->succ[out] = mid;
    f->blocks[c->before].succ[0] = chunk;
    o->blocks_changed = true;
    return 0;
}
