/*
 * What every pass over the intermediate form needs: which operands an operation has, who comes before a block, in which
 * order to walk, where loops are. Nothing here changes what a program means. All of it is linear in operations and
 * edges, and none of it recurses: functions may have hundreds of thousands of blocks.
 */
#include "vm/ir/ir.h"
#include "vm/ir/shape.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The operands of each kind, by its family. */
enum {
#define IR_FAMILY(name, shape) S_##name = (shape),
#include "vm/ir/ir.def"
};
_Static_assert(offsetof(struct ir_op, index) == offsetof(struct ir_op, use[IR_FIELDS - 1]) &&
                   offsetof(struct ir_op, no) == offsetof(struct ir_op, index),
               "the fields of operands lie side by side");

#define PURE   IR_W_PURE
#define READ   IR_W_READ
#define WRITE  IR_W_WRITE
#define CALL   IR_W_CALL
#define END    IR_W_END
#define LEAVES IR_W_LEAVES
#define COMM   IR_W_COMM
const struct ir_kind_row ir_kinds[IR_KIND_COUNT] = {
#define IR(name, text, family, what) [IR_##name] = {text, what, IR_F_##family, S_##family},
#include "vm/ir/ir.def"
};

void ir_free(struct ir *ir)
{
    if (!ir)
        return;
    arena_free(&ir->arena);
    arena_free(&ir->scratch);
    free(ir);
}

int ir_preds(struct ir_func *f)
{
    uint32_t *room = ARENA_ROOM(&f->ir->arena, uint32_t, (size_t)2 * f->n_blocks);

    if (!room)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->n_blocks; i++)
        f->blocks[i].n_preds = 0;
    for (uint32_t i = 0; i < f->n_blocks; i++)
        for (unsigned k = 0; k < 2; k++)
            if (f->blocks[i].succ[k] != IR_NO_BLOCK)
                f->blocks[f->blocks[i].succ[k]].n_preds++;
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        f->blocks[i].preds = room;
        room += f->blocks[i].n_preds;
        f->blocks[i].n_preds = 0;
    }
    for (uint32_t i = 0; i < f->n_blocks; i++)
        for (unsigned k = 0; k < 2; k++)
            if (f->blocks[i].succ[k] != IR_NO_BLOCK) {
                struct ir_block *to = &f->blocks[f->blocks[i].succ[k]];
                to->preds[to->n_preds++] = i;
            }
    return 0;
}

/* ---- Depth-first search ---- */

/* What one search from the entry finds out; numbers are IR_NO_BLOCK for blocks that it does not reach. */
struct search {
    uint32_t *pre, *last; /* preorder number of each block, and the highest one below it */
    uint32_t *at_pre;     /* the block with this number */
    uint32_t *order;      /* reverse postorder */
    uint32_t n;
};

struct visit {
    uint32_t block;
    unsigned next; /* successor to look at */
};

/* The first successor is gone down first, so that the second, where control falls through to, comes next in order. */
static int search(const struct ir_func *f, struct search *s)
{
    uint32_t n = f->n_blocks, depth = 0, post = n, pre = 0;
    struct visit *stack = ARENA_ROOM(&f->ir->scratch, struct visit, n);
    uint32_t *room = ARENA_ROOM(&f->ir->scratch, uint32_t, (size_t)n * 4);

    if (!stack || !room)
        return -ENOMEM;
    *s = (struct search){.pre = room, .last = room + n, .at_pre = room + (size_t)2 * n, .order = room + (size_t)3 * n};
    memset(s->pre, 0xff, n * sizeof(*s->pre));
    stack[depth++] = (struct visit){0, 0};
    s->pre[0] = pre++;
    s->at_pre[0] = 0;
    while (depth) {
        struct visit *top = &stack[depth - 1];
        uint32_t to = top->next < 2 ? f->blocks[top->block].succ[top->next] : IR_NO_BLOCK;
        if (top->next >= 2) {
            s->last[top->block] = pre - 1;
            s->order[--post] = top->block;
            depth--;
            continue;
        }
        top->next++;
        if (to == IR_NO_BLOCK || s->pre[to] != IR_NO_BLOCK)
            continue;
        s->at_pre[pre] = to;
        s->pre[to] = pre++;
        stack[depth++] = (struct visit){to, 0};
    }
    s->n = pre;
    s->order += post;
    return 0;
}

/* Nothing but the order is asked for: then one number a block tells which were seen. */
uint32_t *ir_order(const struct ir_func *f, uint32_t *n)
{
    uint32_t blocks = f->n_blocks, depth = 0, post = blocks;
    uint32_t *order = ARENA_ROOM(&f->ir->scratch, uint32_t, (size_t)blocks * 2), *stack;
    uint8_t *seen = ARENA_ARRAY(&f->ir->scratch, uint8_t, blocks); /* 1 more than the successor to look at next */

    if (!order || !seen)
        return NULL;
    stack = order + blocks;
    stack[depth++] = 0;
    seen[0] = 1;
    while (depth) {
        uint32_t top = stack[depth - 1], to;

        if (seen[top] > 2) {
            order[--post] = top;
            depth--;
            continue;
        }
        to = f->blocks[top].succ[seen[top]++ - 1];
        if (to == IR_NO_BLOCK || seen[to])
            continue;
        seen[to] = 1;
        stack[depth++] = to;
    }
    *n = blocks - post;
    return order + post;
}

/* ---- Loops ---- */

/* Loops as Havlak and Tarjan find them, innermost first: blocks by preorder number, each united with the head of the
 * loop that it was found in. */
struct loops {
    const struct search *s;
    uint32_t *up;     /* union-find */
    uint32_t *header; /* of the innermost loop around a block that does not begin it */
    uint32_t *work;
};

static uint32_t find(struct loops *l, uint32_t x)
{
    while (l->up[x] != x)
        x = l->up[x] = l->up[l->up[x]];
    return x;
}

static bool below(const struct search *s, uint32_t top, uint32_t x)
{
    return x >= top && x <= s->last[s->at_pre[top]];
}

/* Adds x to the loop that head begins. */
static uint32_t gather(struct loops *l, uint32_t head, uint32_t x, uint32_t n)
{
    x = find(l, x);
    if (x == head || !below(l->s, head, x)) /* the latter: a second way into the loop */
        return n;
    l->header[x] = head;
    l->up[x] = head;
    l->work[n] = x;
    return n + 1;
}

static void find_loop(struct ir_func *f, struct loops *l, uint32_t head)
{
    const struct search *s = l->s;
    struct ir_block *b = &f->blocks[s->at_pre[head]];
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n_preds; i++) {
        uint32_t from = s->pre[b->preds[i]];
        if (from == IR_NO_BLOCK || !below(s, head, from))
            continue;
        b->loop_head = true;
        n = gather(l, head, from, n);
    }
    while (n) {
        const struct ir_block *in = &f->blocks[s->at_pre[l->work[--n]]];
        for (uint32_t i = 0; i < in->n_preds; i++)
            if (s->pre[in->preds[i]] != IR_NO_BLOCK)
                n = gather(l, head, s->pre[in->preds[i]], n);
    }
}

static void find_loops(struct ir_func *f, struct loops *l)
{
    const struct search *s = l->s;

    for (uint32_t i = 0; i < s->n; i++) {
        l->up[i] = i;
        l->header[i] = IR_NO_BLOCK;
    }
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        f->blocks[i].loop_head = f->blocks[i].cold = false;
        f->blocks[i].depth = 0;
    }
    for (uint32_t head = s->n; head-- > 0;)
        find_loop(f, l, head);
    for (uint32_t i = 0; i < s->n; i++) {
        struct ir_block *b = &f->blocks[s->at_pre[i]];
        if (l->header[i] != IR_NO_BLOCK)
            b->depth = f->blocks[s->at_pre[l->header[i]]].depth;
        b->depth += b->loop_head;
    }
}

static void find_cold(struct ir_func *f, const struct search *s)
{
    for (uint32_t i = s->n; i-- > 0;) {
        struct ir_block *b = &f->blocks[s->order[i]];
        b->cold = b->ops[b->n - 1].kind == IR_TRAP;
        if (b->succ[0] != IR_NO_BLOCK)
            b->cold = f->blocks[b->succ[0]].cold && (b->succ[1] == IR_NO_BLOCK || f->blocks[b->succ[1]].cold);
    }
}

int ir_loops(struct ir_func *f)
{
    struct search s;
    struct loops l = {.s = &s};
    int err;

    if (f->looped)
        return 0;
    err = ir_preds(f);

    if (err || (err = search(f, &s)))
        return err;
    l.up = ARENA_ROOM(&f->ir->scratch, uint32_t, (size_t)3 * f->n_blocks);
    if (l.up) {
        l.header = l.up + f->n_blocks;
        l.work = l.header + f->n_blocks;
        find_loops(f, &l);
        find_cold(f, &s);
    }
    err = l.up ? 0 : -ENOMEM;
    f->looped = !err;
    return err;
}

/* ---- Tidying ---- */

/* Where a jump to this block ends up; blocks that only jump are passed by. */
static uint32_t end_of(const struct ir_func *f, uint32_t block)
{
    for (unsigned hops = 0; hops < 8; hops++) {
        const struct ir_block *b = &f->blocks[block];
        if (b->n != 1 || b->ops[0].kind != IR_JMP || b->succ[0] == block)
            break;
        block = b->succ[0];
    }
    return block;
}

static bool joins(const struct ir_func *f, uint32_t block)
{
    const struct ir_block *b = &f->blocks[block];
    uint32_t to = b->succ[0];

    return b->ops[b->n - 1].kind == IR_JMP && to != block && to && f->blocks[to].n_preds == 1;
}

/* Makes one block of `head` and those that follow it alone. */
static int join(struct ir_func *f, uint32_t head)
{
    struct ir_block *h = &f->blocks[head];
    struct ir_op *ops;
    uint32_t n = h->n, last = head;

    while (joins(f, last)) {
        last = f->blocks[last].succ[0];
        n += f->blocks[last].n - 1;
    }
    if (last == head)
        return 0;
    ops = ARENA_ROOM(&f->ir->arena, struct ir_op, n);
    if (!ops)
        return -ENOMEM;
    n = 0;
    for (uint32_t i = head;; i = f->blocks[i].succ[0]) {
        const struct ir_block *b = &f->blocks[i];
        uint32_t take = i == last ? b->n : b->n - 1;
        memcpy(ops + n, b->ops, take * sizeof(*ops));
        n += take;
        if (i == last)
            break;
    }
    h->ops = ops;
    h->n = h->cap = n;
    memcpy(h->succ, f->blocks[last].succ, sizeof(h->succ));
    return 0;
}

/* Moves the blocks that stay together, in the order in which they stood. */
static void compact(struct ir_func *f, const uint8_t *stays, uint32_t *moved)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_blocks; i++)
        if (stays[i]) {
            moved[i] = n;
            if (n != i)
                f->blocks[n] = f->blocks[i];
            n++;
        }
    f->n_blocks = n;
    for (uint32_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 2; k++)
            if (f->blocks[i].succ[k] != IR_NO_BLOCK)
                f->blocks[i].succ[k] = moved[f->blocks[i].succ[k]];
}

/* Edges from what is not reached count for nothing. */
static void count_preds(struct ir_func *f, const uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < f->n_blocks; i++)
        f->blocks[i].n_preds = 0;
    for (uint32_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 2; k++)
            if (f->blocks[order[i]].succ[k] != IR_NO_BLOCK)
                f->blocks[f->blocks[order[i]].succ[k]].n_preds++;
}

static int join_all(struct ir_func *f, const uint32_t *order, uint32_t n, uint8_t *stays)
{
    int err = 0;

    count_preds(f, order, n);
    for (uint32_t i = 0; i < n; i++)
        stays[order[i]] = 1;
    for (uint32_t i = 0; i < n; i++)
        if (joins(f, order[i]))
            stays[f->blocks[order[i]].succ[0]] = 0;
    for (uint32_t i = 0; i < n && !err; i++)
        if (stays[order[i]])
            err = join(f, order[i]);
    return err;
}

/* Names of blocks after compact(). What is left comes in the order in which it came. */
static uint32_t *rename_order(uint32_t *order, uint32_t n, const uint8_t *stays, const uint32_t *moved)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < n; i++)
        if (stays[order[i]])
            order[to++] = moved[order[i]];
    return order;
}

int ir_clean(struct ir_func *f, uint32_t **in_order)
{
    uint32_t n, *order, *moved;
    uint8_t *stays;
    int err = -ENOMEM;

    f->looped = false;
    for (uint32_t i = 0; i < f->n_blocks; i++)
        for (unsigned k = 0; k < 2; k++)
            if (f->blocks[i].succ[k] != IR_NO_BLOCK)
                f->blocks[i].succ[k] = end_of(f, f->blocks[i].succ[k]);
    order = ir_order(f, &n);
    moved = ARENA_ROOM(&f->ir->scratch, uint32_t, f->n_blocks);
    stays = ARENA_ARRAY(&f->ir->scratch, uint8_t, f->n_blocks);
    if (order && moved && stays)
        err = join_all(f, order, n, stays);
    if (!err) {
        compact(f, stays, moved);
        err = ir_preds(f);
    }
    if (!err && in_order)
        *in_order = rename_order(order, n, stays, moved);
    return err;
}
