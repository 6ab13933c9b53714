/*
 * Where each virtual register is live, found use by use: from a use that no write in its block reaches the walk goes to
 * the block's predecessors until it meets writes. So the work is as large as the sets of what is live where blocks
 * begin, and most virtual registers, which live inside one block, cost nothing here. Then one walk over the operations,
 * last to first, cuts segments: what is open at a point is what is live there.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is live where blocks begin may be so many registers, over all blocks. */
enum { PAIRS_AT_LEAST = 1 << 20, PAIRS_AN_OP = 24 };

/* A register, and a block that writes it or where it is live at the beginning. */
struct pair {
    uint32_t vreg, block, next;
};

struct walk {
    struct alloc *a;
    struct alloc_list *written, *live_in; /* of struct pair */
    uint32_t *written_in;                 /* of each virtual register: the first pair */
    uint32_t *live_at, *live;             /* of each block: what is live where it begins */
    uint32_t *mark;                       /* for virtual registers */
    uint32_t *open;                       /* where the segment that is being walked back ends; 0: none is */
};

static int add(struct alloc_list *l, uint32_t vreg, uint32_t block, uint32_t next)
{
    if (alloc_room(l, 1, sizeof(struct pair)))
        return -ENOMEM;
    ((struct pair *)l->at)[l->n++] = (struct pair){vreg, block, next};
    return 0;
}

/* Notes the blocks that write what lives over a block's border. */
static int find_writes(struct walk *w)
{
    const struct alloc *a = w->a;

    for (uint32_t k = 0; k < a->n_order; k++) {
        uint32_t block = a->order[k], from = a->first[block], to = from + a->f->blocks[block].n;

        for (uint32_t i = from; i < to; i++) {
            uint32_t v = a->ops[i].dst, at;

            if (!v || !a->exposed_in[v] || w->mark[v] == block + 1)
                continue;
            w->mark[v] = block + 1;
            at = w->written_in[v];
            w->written_in[v] = w->written->n ? w->written->n : 1;
            if (add(w->written, v, block, at))
                return -ENOMEM;
        }
    }
    return 0;
}

/* From the blocks that read v first back to those that write it. */
static int walk_back(struct walk *w, uint32_t v, uint32_t *in, uint32_t *def, uint32_t *stack)
{
    const struct alloc *a = w->a;
    const uint32_t *exposed = a->exposed.at;
    uint32_t depth = 0;

    for (uint32_t i = w->written_in[v]; i; i = ((struct pair *)w->written->at)[i].next)
        def[((struct pair *)w->written->at)[i].block] = v;
    for (uint32_t i = a->exposed_in[v]; i; i = exposed[i + 1]) {
        in[exposed[i]] = v;
        stack[depth++] = exposed[i];
    }
    while (depth) {
        uint32_t block = stack[--depth];
        const struct ir_block *b = &a->f->blocks[block];

        if (add(w->live_in, v, block, 0))
            return -ENOMEM;
        for (uint32_t i = 0; i < b->n_preds; i++) {
            uint32_t from = b->preds[i];

            if (!a->first[from] || def[from] == v || in[from] == v)
                continue;
            in[from] = v;
            stack[depth++] = from;
        }
    }
    return 0;
}

/* The same sorted by block. */
static int sort_live_in(struct walk *w)
{
    struct alloc *a = w->a;
    const struct pair *pairs = w->live_in->at;
    uint32_t n_blocks = a->f->n_blocks, *at = ARENA_ARRAY(a->arena, uint32_t, (size_t)n_blocks + 2);

    w->live_at = at;
    w->live = ARENA_ARRAY(a->arena, uint32_t, (size_t)w->live_in->n + 1);
    if (!at || !w->live)
        return -ENOMEM;
    for (uint32_t i = 1; i < w->live_in->n; i++)
        at[pairs[i].block + 2]++;
    for (uint32_t b = 2; b < n_blocks + 2; b++)
        at[b] += at[b - 1];
    for (uint32_t i = 1; i < w->live_in->n; i++)
        w->live[at[pairs[i].block + 1]++] = pairs[i].vreg;
    return 0;
}

static int find_live_in(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t n_blocks = a->f->n_blocks, *marks = ARENA_ARRAY(a->arena, uint32_t, (size_t)n_blocks * 3);

    if (!marks)
        return -ENOMEM;
    for (uint32_t v = 1; v < a->f->n_vregs; v++) {
        if (!a->exposed_in[v])
            continue;
        if (walk_back(w, v, marks, marks + n_blocks, marks + 2 * (size_t)n_blocks))
            return -ENOMEM;
        if (w->live_in->n > PAIRS_AT_LEAST + (size_t)PAIRS_AN_OP * a->n_ops)
            return -E2BIG;
    }
    return sort_live_in(w);
}

/* ---- Segments ---- */

/* The segments of a register are cut last to first, so that each new one is its head. */
static int cut(struct walk *w, uint32_t v, uint32_t from, uint32_t to)
{
    struct alloc *a = w->a;

    if (alloc_room(&a->segments, 1, sizeof(struct alloc_segment)))
        return -ENOMEM;
    if (!a->head[v]) {
        a->tail[v] = a->segments.n;
        a->end[v] = to;
    }
    *alloc_segment(a, a->segments.n) = (struct alloc_segment){from, to, a->head[v], v};
    a->head[v] = a->segments.n++;
    w->open[v] = 0;
    return 0;
}

static int cut_op(struct walk *w, uint32_t number)
{
    const struct alloc_op *op = &w->a->ops[number];
    const uint32_t *use = w->a->uses + op->use, *end = w->a->uses + op[1].use;
    uint32_t at = number * POINTS, to = op->dst;

    if (to && cut(w, to, at + POINT_WRITE, w->open[to] ? w->open[to] : at + POINT_WRITE))
        return -ENOMEM;
    /* What ends up in the result had best lie where the result goes. */
    if (op->tied && w->a->want[use[op->tied - 1]] == JIT_NO_REG)
        w->a->want[use[op->tied - 1]] = w->a->want[to];
    for (unsigned i = 0; op->late >> i; i++)
        if (op->late >> i & 1 && use + i < end && !w->open[use[i]])
            w->open[use[i]] = at + POINT_WRITE;
    for (; use < end; use++)
        if (!w->open[*use])
            w->open[*use] = at + POINT_READ;
    return 0;
}

/* What is live where `next` begins and not where the block before it ends. */
static int cut_between(struct walk *w, const struct ir_block *b, uint32_t next, uint32_t stamp)
{
    const struct alloc *a = w->a;

    for (unsigned s = 0; s < 2 && b->succ[s] != IR_NO_BLOCK; s++)
        for (uint32_t i = w->live_at[b->succ[s]]; i < w->live_at[b->succ[s] + 1]; i++)
            w->mark[w->live[i]] = stamp;
    for (uint32_t i = w->live_at[next]; i < w->live_at[next + 1]; i++)
        if (w->mark[w->live[i]] != stamp && cut(w, w->live[i], a->first[next] * POINTS, w->open[w->live[i]]))
            return -ENOMEM;
    return 0;
}

/* Where the block that is laid out before `next` ends, not all that is live where `next` begins need be live: only
 * where control does not run on into it. */
static int cut_border(struct walk *w, uint32_t k, uint32_t next)
{
    const struct alloc *a = w->a;
    uint32_t block = a->order[k], end = (a->first[block] + a->f->blocks[block].n) * POINTS - 1;
    const struct ir_block *b = &a->f->blocks[block];

    if (next != IR_NO_BLOCK && b->succ[0] != next && b->succ[1] != next && cut_between(w, b, next, k + 1))
        return -ENOMEM;
    for (unsigned s = 0; s < 2 && b->succ[s] != IR_NO_BLOCK; s++)
        for (uint32_t i = b->succ[s] == next ? w->live_at[next + 1] : w->live_at[b->succ[s]];
             i < w->live_at[b->succ[s] + 1]; i++)
            if (!w->open[w->live[i]])
                w->open[w->live[i]] = end;
    return 0;
}

static int cut_all(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t next = IR_NO_BLOCK;

    memset(w->mark, 0, a->f->n_vregs * sizeof(*w->mark));
    for (uint32_t k = a->n_order; k-- > 0;) {
        uint32_t block = a->order[k], first = a->first[block];

        if (cut_border(w, k, next))
            return -ENOMEM;
        for (uint32_t i = first + a->f->blocks[block].n; i-- > first;)
            if (cut_op(w, i))
                return -ENOMEM;
        next = block;
    }
    /* What is live where the entry begins: its parameters. */
    for (uint32_t i = w->live_at[0]; i < w->live_at[1]; i++)
        if (cut(w, w->live[i], POINT_WRITE, w->open[w->live[i]]))
            return -ENOMEM;
    return 0;
}

int alloc_live(struct alloc *a)
{
    struct walk w = {.a = a, .written = &a->lists[ALLOC_WRITTEN], .live_in = &a->lists[ALLOC_LIVE_IN]};
    uint32_t n = a->f->n_vregs;
    int err = -ENOMEM;

    a->head = ARENA_ARRAY(a->arena, uint32_t, n);
    a->tail = ARENA_ROOM(a->arena, uint32_t, n);
    a->end = ARENA_ROOM(a->arena, uint32_t, n);
    w.written_in = ARENA_ARRAY(a->arena, uint32_t, n);
    w.mark = ARENA_ARRAY(a->arena, uint32_t, n);
    w.open = ARENA_ARRAY(a->arena, uint32_t, n);
    if (a->head && a->tail && a->end && w.written_in && w.mark && w.open)
        err = find_writes(&w);
    if (!err)
        err = find_live_in(&w);
    if (!err)
        err = cut_all(&w);
    return err;
}
