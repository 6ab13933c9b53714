/*
 * Where each virtual register is live, found from its reads: where no write in its block reaches one, the register is
 * live in the blocks before, until writes are met. Sixty-four registers are followed at once, from block to block, and
 * only blocks that one of them concerns are looked at: those that live long share the way, those that live in a few
 * blocks cost no more than these, and most virtual registers, which live inside one block, cost nothing here. Then one
 * walk over the operations, last to first, cuts segments: what is open at a point is what is live there.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is live where blocks begin may be so many registers, over all blocks. */
enum { PAIRS_AT_LEAST = 1 << 20, PAIRS_AN_OP = 24 };

/* A block that writes a register. */
struct pair {
    uint32_t block, next;
};

/* What is live where a block begins, of 64 registers. */
struct live_in {
    uint64_t mask;
    uint32_t block, first; /* the register of bit 0: an index into `exposed` */
};

/* What is known of a block while 64 registers are followed; of another 64 when stamp is another. */
struct way {
    uint64_t in, def, done; /* live at the beginning; written; what the blocks before were told of `in` */
    uint32_t stamp;
    bool waits;
};

struct walk {
    struct alloc *a;
    struct alloc_list *written, *live_in; /* of struct pair, struct live_in */
    uint32_t *written_in;                 /* of each virtual register: the first pair */
    uint32_t *exposed, n_exposed;         /* those that live over a block's border */
    struct way *ways;                     /* of each block */
    uint32_t *touched, n_touched, *stack, depth;
    size_t n_live;            /* pairs of a block and a register */
    uint32_t *live_at, *live; /* of each block: what is live where it begins */
    uint32_t *mark;           /* for virtual registers */
    uint32_t *open;           /* where the segment that is being walked back ends; 0: none is */
};

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
            if (alloc_room(w->written, 1, sizeof(struct pair)))
                return -ENOMEM;
            at = w->written_in[v];
            w->written_in[v] = w->written->n;
            ((struct pair *)w->written->at)[w->written->n++] = (struct pair){block, at};
        }
    }
    return 0;
}

static struct way *touch(struct walk *w, uint32_t block, uint32_t stamp)
{
    struct way *way = &w->ways[block];

    if (way->stamp != stamp) {
        *way = (struct way){.stamp = stamp};
        w->touched[w->n_touched++] = block;
    }
    return way;
}

static void let_wait(struct walk *w, struct way *way, uint32_t block)
{
    if (!way->waits)
        w->stack[w->depth++] = block;
    way->waits = true;
}

/* Where they are written, and read first. */
static void begin_ways(struct walk *w, uint32_t first, uint32_t n, uint32_t stamp)
{
    const uint32_t *exposed = w->a->exposed.at;
    const struct pair *written = w->written->at;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = w->exposed[first + i];
        uint64_t bit = UINT64_C(1) << i;

        for (uint32_t k = w->written_in[v]; k; k = written[k].next)
            touch(w, written[k].block, stamp)->def |= bit;
        for (uint32_t k = w->a->exposed_in[v]; k; k = exposed[k + 1]) {
            struct way *way = touch(w, exposed[k], stamp);

            way->in |= bit;
            let_wait(w, way, exposed[k]);
        }
    }
}

/* From the blocks that read them first back to those that write them. */
static void walk_back(struct walk *w, uint32_t stamp)
{
    const struct alloc *a = w->a;

    while (w->depth) {
        uint32_t block = w->stack[--w->depth];
        const struct ir_block *b = &a->f->blocks[block];
        struct way *way = &w->ways[block];
        uint64_t news = way->in & ~way->done;

        way->waits = false;
        way->done = way->in;
        for (uint32_t i = 0; i < b->n_preds; i++) {
            uint32_t from = b->preds[i];
            struct way *before;
            uint64_t more;

            if (!a->first[from])
                continue;
            before = touch(w, from, stamp);
            more = news & ~before->def & ~before->in;
            before->in |= more;
            if (more)
                let_wait(w, before, from);
        }
    }
}

static int keep_live_in(struct walk *w, uint32_t first)
{
    if (alloc_room(w->live_in, w->n_touched, sizeof(struct live_in)))
        return -ENOMEM;
    for (uint32_t i = 0; i < w->n_touched; i++) {
        uint64_t in = w->ways[w->touched[i]].in;

        if (in)
            ((struct live_in *)w->live_in->at)[w->live_in->n++] = (struct live_in){in, w->touched[i], first};
        w->n_live += (unsigned)__builtin_popcountll(in);
    }
    w->n_touched = 0;
    return w->n_live > PAIRS_AT_LEAST + (size_t)PAIRS_AN_OP * w->a->n_ops ? -E2BIG : 0;
}

/* The same sorted by block. */
static int sort_live_in(struct walk *w)
{
    struct alloc *a = w->a;
    const struct live_in *in = w->live_in->at;
    uint32_t n_blocks = a->f->n_blocks, *at = ARENA_ARRAY(a->arena, uint32_t, (size_t)n_blocks + 2);

    w->live_at = at;
    w->live = ARENA_ROOM(a->arena, uint32_t, w->n_live + 1);
    if (!at || !w->live)
        return -ENOMEM;
    for (uint32_t i = 1; i < w->live_in->n; i++)
        at[in[i].block + 2] += (unsigned)__builtin_popcountll(in[i].mask);
    for (uint32_t b = 2; b < n_blocks + 2; b++)
        at[b] += at[b - 1];
    for (uint32_t i = 1; i < w->live_in->n; i++)
        for (uint64_t left = in[i].mask; left; left &= left - 1)
            w->live[at[in[i].block + 1]++] = w->exposed[in[i].first + (unsigned)__builtin_ctzll(left)];
    return 0;
}

static int find_live_in(struct walk *w)
{
    struct alloc *a = w->a;
    uint32_t n_blocks = a->f->n_blocks;
    int err = 0;

    w->exposed = ARENA_ROOM(a->arena, uint32_t, a->f->n_vregs);
    w->ways = ARENA_ARRAY(a->arena, struct way, n_blocks);
    w->touched = ARENA_ROOM(a->arena, uint32_t, n_blocks);
    w->stack = ARENA_ROOM(a->arena, uint32_t, n_blocks);
    if (!w->exposed || !w->ways || !w->touched || !w->stack)
        return -ENOMEM;
    for (uint32_t v = 1; v < a->f->n_vregs; v++)
        if (a->exposed_in[v])
            w->exposed[w->n_exposed++] = v;
    for (uint32_t i = 0, stamp = 1; i < w->n_exposed && !err; i += 64, stamp++) {
        begin_ways(w, i, w->n_exposed - i < 64 ? w->n_exposed - i : 64, stamp);
        walk_back(w, stamp);
        err = keep_live_in(w, i);
    }
    return err ? err : sort_live_in(w);
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
