/*
 * Where each virtual register is live, found use by use: from a use that no write in its block reaches the walk goes to
 * the block's predecessors until it meets writes. So the work is as large as the sets of what is live where blocks
 * begin, and most virtual registers, which live inside one block, cost nothing here. Then one walk over the operations,
 * last to first, cuts segments: what is open at a point is what is live there.
 *
 * A spill slot is live as the virtual register that it belongs to: RELOAD and SPILL name that in imm until slots are
 * given out.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS_AT_LEAST = 1 << 20, PAIRS_AN_OP = 32 };

/* A register and a block where it is live at the beginning, read before it is written, or written. */
struct pair {
    uint32_t vreg, block;
};

struct pairs {
    struct pair *at;
    size_t n, room;
};

struct walk {
    struct alloc *a;
    struct pairs exposed, written, live_in;
    uint32_t *exposed_at, *written_at; /* of each virtual register: where its pairs begin */
    uint32_t *live_at, *live;          /* of each block: what is live where it begins */
    uint32_t *mark, *mark2;            /* for virtual registers */
    uint32_t *open;                    /* where the segment that is being walked back ends; 0: none is */
};

static int add(struct pairs *p, uint32_t vreg, uint32_t block)
{
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : 256;
        struct pair *at = realloc(p->at, room * sizeof(*at));

        if (!at)
            return -ENOMEM;
        p->at = at;
        p->room = room;
    }
    p->at[p->n++] = (struct pair){vreg, block};
    return 0;
}

/* What an operation reads, its own slot included. */
static unsigned reads(const struct walk *w, struct ir_op *op, uint32_t *vregs)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(w->a->f, op, uses);

    if (op->kind == IR_RELOAD) {
        vregs[0] = (uint32_t)op->imm;
        return 1;
    }
    for (unsigned i = 0; i < n; i++)
        vregs[i] = *uses[i];
    return n;
}

static uint32_t writes(const struct ir_op *op)
{
    return op->kind == IR_SPILL ? (uint32_t)op->imm : op->dst;
}

static int number(struct walk *w)
{
    struct alloc *a = w->a;
    size_t n = 1;

    a->first = ARENA_ARRAY(&a->arena, uint32_t, a->f->n_blocks);
    if (!a->first)
        return -ENOMEM;
    for (uint32_t k = 0; k < a->n_order; k++) {
        a->first[a->order[k]] = (uint32_t)n;
        n += a->f->blocks[a->order[k]].n;
        if (n > UINT32_MAX / POINTS / 2)
            return -E2BIG;
    }
    a->n_ops = (uint32_t)n;
    return 0;
}

/* Notes for each block what it reads before writing it, and what it writes. */
static int scan_block(struct walk *w, uint32_t block)
{
    struct ir_block *b = &w->a->f->blocks[block];
    uint32_t stamp = block + 1;
    int err = 0;

    for (uint32_t i = 0; i < b->n && !err; i++) {
        uint32_t used[IR_MAX_USES], to = writes(&b->ops[i]);
        unsigned n = reads(w, &b->ops[i], used);

        for (unsigned k = 0; k < n && !err; k++) {
            uint32_t v = used[k];

            if (w->mark[v] == stamp || w->mark2[v] == stamp)
                continue;
            w->mark2[v] = stamp;
            w->a->across[v] = 1;
            err = add(&w->exposed, v, block);
        }
        if (to && w->mark[to] != stamp && !err) {
            w->mark[to] = stamp;
            err = add(&w->written, to, block);
        }
    }
    return err;
}

/* Sorts pairs by virtual register; *at: where each one's begin, and the end. */
static int by_vreg(struct alloc *a, struct pairs *p, uint32_t **at)
{
    uint32_t n = a->f->n_vregs, *first = ARENA_ARRAY(&a->arena, uint32_t, (size_t)n + 2);
    struct pair *sorted = ARENA_ARRAY(&a->arena, struct pair, p->n + 1);

    if (!first || !sorted)
        return -ENOMEM;
    for (size_t i = 0; i < p->n; i++)
        first[p->at[i].vreg + 2]++;
    for (uint32_t v = 2; v < n + 2; v++)
        first[v] += first[v - 1];
    for (size_t i = 0; i < p->n; i++)
        sorted[first[p->at[i].vreg + 1]++] = p->at[i];
    free(p->at);
    p->at = sorted;
    p->room = 0;
    *at = first;
    return 0;
}

/* From the blocks that read v first back to those that write it. */
static int walk_back(struct walk *w, uint32_t v, uint32_t *in, uint32_t *def, uint32_t *stack)
{
    const struct ir_func *f = w->a->f;
    uint32_t depth = 0;

    for (uint32_t i = w->written_at[v]; i < w->written_at[v + 1]; i++)
        def[w->written.at[i].block] = v;
    for (uint32_t i = w->exposed_at[v]; i < w->exposed_at[v + 1]; i++) {
        in[w->exposed.at[i].block] = v;
        stack[depth++] = w->exposed.at[i].block;
    }
    while (depth) {
        const struct ir_block *b = &f->blocks[stack[--depth]];
        int err = add(&w->live_in, v, stack[depth]);

        if (err)
            return err;
        for (uint32_t i = 0; i < b->n_preds; i++) {
            uint32_t from = b->preds[i];

            if (!w->a->first[from] || def[from] == v || in[from] == v)
                continue;
            in[from] = v;
            stack[depth++] = from;
        }
    }
    return 0;
}

static int find_live_in(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t n_blocks = a->f->n_blocks, *at;
    uint32_t *marks = ARENA_ARRAY(&a->arena, uint32_t, (size_t)n_blocks * 3);

    if (!marks)
        return -ENOMEM;
    for (uint32_t v = 1; v < a->f->n_vregs; v++) {
        int err = 0;

        if (w->exposed_at[v] != w->exposed_at[v + 1])
            err = walk_back(w, v, marks, marks + n_blocks, marks + 2 * (size_t)n_blocks);
        if (err)
            return err;
        if (w->live_in.n > PAIRS_AT_LEAST + (size_t)PAIRS_AN_OP * a->n_ops)
            return -E2BIG;
    }
    at = w->live_at = ARENA_ARRAY(&a->arena, uint32_t, (size_t)n_blocks + 2);
    w->live = ARENA_ARRAY(&a->arena, uint32_t, w->live_in.n + 1);
    if (!at || !w->live)
        return -ENOMEM;
    for (size_t i = 0; i < w->live_in.n; i++)
        at[w->live_in.at[i].block + 2]++;
    for (uint32_t b = 2; b < n_blocks + 2; b++)
        at[b] += at[b - 1];
    for (size_t i = 0; i < w->live_in.n; i++)
        w->live[at[w->live_in.at[i].block + 1]++] = w->live_in.at[i].vreg;
    return 0;
}

/* ---- Segments ---- */

static int grow(struct alloc *a, uint32_t *room)
{
    struct alloc_segment *more;

    if (a->n_segments < *room)
        return 0;
    more = realloc(a->segments, (size_t)*room * 2 * sizeof(*more));
    if (!more)
        return -ENOMEM;
    a->segments = more;
    *room *= 2;
    return 0;
}

/* The segments of a register are cut last to first, so that each new one is its head. */
static void cut(struct walk *w, uint32_t v, uint32_t from, uint32_t to)
{
    struct alloc *a = w->a;

    a->segments[a->n_segments] = (struct alloc_segment){from, to, a->head[v]};
    a->head[v] = a->n_segments++;
    w->open[v] = 0;
}

static void cut_op(struct walk *w, struct ir_op *op, uint32_t number)
{
    uint32_t used[IR_MAX_USES], to = writes(op), at = number * POINTS;
    unsigned n = reads(w, op, used);

    if (to)
        cut(w, to, at + POINT_WRITE, w->open[to] ? w->open[to] : at + POINT_WRITE);
    if (n && op->kind != IR_RELOAD) {
        struct jit_needs needs;

        alloc_needs(w->a, op, &needs);
        for (unsigned i = 0; needs.late && i < n; i++)
            if (needs.late >> i & 1 && !w->open[used[i]])
                w->open[used[i]] = at + POINT_WRITE;
    }
    for (unsigned i = 0; i < n; i++)
        if (!w->open[used[i]])
            w->open[used[i]] = at + POINT_READ;
}

static int cut_all(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t room = 1024, next = IR_NO_BLOCK;

    a->segments = malloc(room * sizeof(*a->segments));
    if (!a->segments)
        return -ENOMEM;
    a->n_segments = 1;
    memset(w->mark, 0, a->f->n_vregs * sizeof(*w->mark));
    for (uint32_t k = a->n_order; k-- > 0;) {
        uint32_t block = a->order[k], end = (a->first[block] + a->f->blocks[block].n) * POINTS - 1;
        struct ir_block *b = &a->f->blocks[block];

        for (unsigned s = 0; s < 2; s++)
            for (uint32_t i = b->succ[s] == IR_NO_BLOCK ? 0 : w->live_at[b->succ[s]];
                 b->succ[s] != IR_NO_BLOCK && i < w->live_at[b->succ[s] + 1]; i++)
                w->mark[w->live[i]] = k + 1;
        for (uint32_t i = next == IR_NO_BLOCK ? 0 : w->live_at[next]; next != IR_NO_BLOCK && i < w->live_at[next + 1];
             i++) {
            if (w->mark[w->live[i]] == k + 1)
                continue;
            if (grow(a, &room))
                return -ENOMEM;
            cut(w, w->live[i], a->first[next] * POINTS, w->open[w->live[i]]);
        }
        for (unsigned s = 0; s < 2; s++)
            for (uint32_t i = b->succ[s] == IR_NO_BLOCK ? 0 : w->live_at[b->succ[s]];
                 b->succ[s] != IR_NO_BLOCK && i < w->live_at[b->succ[s] + 1]; i++)
                if (!w->open[w->live[i]])
                    w->open[w->live[i]] = end;
        for (uint32_t i = b->n; i-- > 0;) {
            if (grow(a, &room))
                return -ENOMEM;
            cut_op(w, &b->ops[i], a->first[block] + i);
        }
        next = block;
    }
    /* What is live where the entry begins: its parameters. */
    for (uint32_t i = w->live_at[0]; i < w->live_at[1]; i++) {
        if (grow(a, &room))
            return -ENOMEM;
        cut(w, w->live[i], POINT_WRITE, w->open[w->live[i]]);
    }
    return 0;
}

static int walk(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t n = a->f->n_vregs;
    int err = number(w);

    if (err)
        return err;
    a->head = ARENA_ARRAY(&a->arena, uint32_t, n);
    a->across = ARENA_ARRAY(&a->arena, uint8_t, n);
    w->mark = ARENA_ARRAY(&a->arena, uint32_t, n);
    w->mark2 = ARENA_ARRAY(&a->arena, uint32_t, n);
    w->open = ARENA_ARRAY(&a->arena, uint32_t, n);
    if (!a->head || !a->across || !w->mark || !w->mark2 || !w->open)
        return -ENOMEM;
    for (uint32_t k = 0; k < a->n_order && !err; k++)
        err = scan_block(w, a->order[k]);
    if (!err)
        err = by_vreg(a, &w->exposed, &w->exposed_at);
    if (!err)
        err = by_vreg(a, &w->written, &w->written_at);
    if (!err)
        err = find_live_in(w);
    if (!err)
        err = cut_all(w);
    return err;
}

int alloc_live(struct alloc *a)
{
    struct walk w = {.a = a};
    int err = walk(&w);

    /* Those that are sorted lie in the arena. */
    if (w.exposed.room)
        free(w.exposed.at);
    if (w.written.room)
        free(w.written.at);
    free(w.live_in.at);
    return err;
}
