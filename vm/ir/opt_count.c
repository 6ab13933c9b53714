/*
 * Counting: where code is counted against a budget, every loop takes what its turns are worth from the function's fuel.
 * A turn is worth as many instructions as lie between its first and its last, as in the interpreter (and those of the
 * callback that it stands for), and is paid where
 * the loop begins (POLL at its head), before it is done. Every cycle of blocks goes through a head, so none is free.
 *
 * A loop that runs a known number of turns and has no other way out is paid for before it begins, where that is
 * little enough for the stop flag to wait for: nothing of counting is left in it then. This comes after unrolling, so
 * that counting stands in no pass's way, and several turns in one block are paid for at once.
 */
#include "vm/ir/opt.h"
#include "vm/prog.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_AT_ONCE = 1 << 14, MAX_BACK = 4 };

/* What a block pays: when it begins, and before it ends. */
struct toll {
    uint32_t head, tail; /* 0: nothing */
    uint32_t slot;       /* of the jump that is paid for */
};

struct count {
    struct opt *o;
    struct toll *tolls; /* one a block */
    struct opt_chunk *chunks;
    uint32_t n_chunks, chunk_cap;
};

/* ---- Known numbers of turns ---- */

static bool read_loop(const struct ir_func *f, uint32_t head, struct opt_loop *l)
{
    const struct ir_block *h = &f->blocks[head];
    uint32_t *blocks = l->blocks, n = 0;

    if (h->n_preds != 2)
        return false;
    /* Of the two that come to the head the latch is the one that the head leads to. */
    for (unsigned way = 0; way < 2; way++) {
        bool closed = true;

        l->head = head;
        l->latch = h->preds[way];
        l->before = h->preds[!way];
        n = 0;
        blocks[n++] = head;
        if (l->latch != head)
            blocks[n++] = l->latch;
        for (uint32_t i = 1; i < n && closed; i++) {
            const struct ir_block *b = &f->blocks[blocks[i]];

            closed = blocks[i] != 0 && blocks[i] != l->before;
            for (uint32_t k = 0; k < b->n_preds && closed; k++) {
                uint32_t j = 0;

                while (j < n && blocks[j] != b->preds[k])
                    j++;
                closed = j < OPT_LOOP_BLOCKS;
                if (j == n && closed)
                    blocks[n++] = b->preds[k];
            }
        }
        if (closed && l->before != l->latch)
            break;
        if (way)
            return false;
    }
    l->n = n;
    /* No way out but at the latch. */
    for (uint32_t i = 0; i < n; i++) {
        const struct ir_block *b = &f->blocks[blocks[i]];

        for (unsigned k = 0; k < 2; k++) {
            uint32_t j = 0;

            while (j < n && blocks[j] != b->succ[k])
                j++;
            if (blocks[i] == l->latch ? b->succ[k] != head && j < n : b->succ[k] != IR_NO_BLOCK && j == n)
                return false;
        }
    }
    return f->blocks[l->before].succ[1] == IR_NO_BLOCK;
}

/* The number that the counter has when the loop is entered, if the way there says so. */
static bool begins_at(const struct ir_func *f, uint32_t block, uint32_t counter, uint64_t *value)
{
    for (unsigned back = 0; back < MAX_BACK; back++) {
        const struct ir_block *b = &f->blocks[block];

        for (uint32_t i = b->n; i--;)
            if (b->ops[i].dst == counter) {
                *value = (uint64_t)b->ops[i].imm;
                return b->ops[i].kind == IR_CONST;
            }
        if (b->n_preds != 1)
            return false;
        block = b->preds[0];
    }
    return false;
}

/* From begin by steps to end while cc holds: how often? Where it may be passed by, both must be small and not below
 * zero. 0: not known. */
static uint64_t turns_of(const struct opt_chunk *c, uint64_t begin, uint64_t end)
{
    uint64_t way = c->step > 0 ? end - begin : begin - end;

    if (c->cc == IR_NE) {
        way = c->width == 4 ? (uint32_t)way : way;
        return c->narrow_step || way % c->by ? 0 : way / c->by;
    }
    if (begin > INT32_MAX || end > INT32_MAX || begin == end || (begin < end) != (c->step > 0))
        return 0;
    switch (c->cc) {
    case IR_ULT:
    case IR_SLT: return c->step > 0 ? (way + c->by - 1) / c->by : 0;
    case IR_ULE:
    case IR_SLE: return c->step > 0 && end < INT32_MAX - c->by ? way / c->by + 1 : 0;
    case IR_SGT: return c->step < 0 ? (way + c->by - 1) / c->by : 0;
    default: return 0;
    }
}

static uint64_t known_turns(const struct opt *o, struct opt_chunk *c)
{
    uint64_t begin, end = c->width == 4 ? (uint32_t)c->imm : (uint64_t)c->imm, turns;

    if (c->bound || !begins_at(o->f, c->before, c->counter, &begin))
        return 0;
    turns = turns_of(c, begin, end);
    if (turns && c->cc == IR_NE && c->step > 0 && begin < end) /* it comes to the bound exactly */
        c->cc = IR_ULT;
    return turns;
}

/* ---- Tolls ---- */

/* A turn that stands for a callback's is told of where that begins, as when a helper calls it. */
static uint32_t callback_slot(const struct ir_func *f, const struct ir_block *h, uint32_t slot)
{
    for (uint32_t i = 0; i < h->n && h->calls; i++)
        if (h->ops[i].kind == IR_CALL_LOCAL)
            return f->ir->code->prog->funcs[h->ops[i].imm].start;
    return slot;
}

/* What a turn is worth, and where it ends. */
static uint32_t worth(const struct ir_func *f, uint32_t head, uint32_t *slot)
{
    const struct ir_block *h = &f->blocks[head];
    uint32_t length = 1;

    *slot = h->ops[0].slot;
    for (uint32_t i = 0; i < h->n_preds; i++) {
        const struct ir_block *from = &f->blocks[h->preds[i]];
        uint32_t first = h->ops[0].slot, last = from->ops[from->n - 1].slot;
        uint32_t far = last < first ? first - last : last - first;

        if (last > *slot)
            *slot = last;
        if (from->depth >= h->depth && far >= length)
            length = far < UINT16_MAX ? far + 1 : UINT16_MAX;
    }
    *slot = callback_slot(f, h, *slot);
    return (length + h->calls) * (h->turns ? h->turns : 1);
}

static int keep_chunk(struct count *c, const struct opt_chunk *chunk)
{
    if (c->n_chunks == c->chunk_cap) {
        uint32_t cap = c->chunk_cap * 2 + 8;
        struct opt_chunk *more = realloc(c->chunks, cap * sizeof(*more));

        if (!more)
            return -ENOMEM;
        c->chunks = more;
        c->chunk_cap = cap;
    }
    c->chunks[c->n_chunks++] = *chunk;
    return 0;
}

static int charge(struct count *c, uint32_t head)
{
    uint32_t slot, length = worth(c->o->f, head, &slot);
    struct toll *t = &c->tolls[head];
    uint64_t turns = 0;
    struct opt_loop l;
    struct opt_chunk chunk;
    bool counts = read_loop(c->o->f, head, &l) && opt_counts(c->o, &l, &chunk);

    if (counts)
        turns = known_turns(c->o, &chunk);
    chunk.worth = length;
    chunk.slot = slot;
    if (turns && turns <= MAX_AT_ONCE / length)
        t = &c->tolls[l.before];
    else if (counts && opt_may_chunk(c->o, &chunk))
        return keep_chunk(c, &chunk);
    if (t == &c->tolls[head])
        t->head += length;
    else
        t->tail += length * (uint32_t)turns;
    if (slot > t->slot)
        t->slot = slot;
    return 0;
}

static int pay(struct opt *o, struct ir_block *b, const struct toll *t)
{
    struct ir_func *f = o->f;
    struct ir_op poll = {.kind = IR_POLL,
                         .width = 8,
                         .slot = t->slot,
                         .dst = f->fuel,
                         .a = f->fuel,
                         .b = IR_ENV,
                         .imm = t->head + t->tail};
    struct ir_op *ops = ARENA_ARRAY(&f->ir->arena, struct ir_op, b->n + 1);
    uint32_t at = t->head ? 0 : b->n - 1;

    if (!ops)
        return -ENOMEM;
    memcpy(ops, b->ops, at * sizeof(*ops));
    ops[at] = poll;
    memcpy(ops + at + 1, b->ops + at, (b->n - at) * sizeof(*ops));
    b->ops = ops;
    b->cap = ++b->n;
    o->v[f->fuel].uses++;
    o->v[f->fuel].writes++;
    o->v[IR_ENV].uses++;
    return 0;
}

int opt_count(struct opt *o)
{
    struct ir_func *f = o->f;
    struct count c = {.o = o, .tolls = calloc(f->n_blocks, sizeof(*c.tolls))};
    int err = c.tolls ? ir_loops(o->f) : -ENOMEM;

    for (uint32_t i = 0; !err && i < f->n_blocks; i++)
        if (f->blocks[i].loop_head)
            err = charge(&c, i);
    for (uint32_t i = 0; !err && i < f->n_blocks; i++)
        if (c.tolls[i].head || c.tolls[i].tail)
            err = pay(o, &f->blocks[i], &c.tolls[i]);
    for (uint32_t i = 0; !err && i < c.n_chunks; i++)
        err = opt_chunk(o, &c.chunks[i], MAX_AT_ONCE);
    free(c.chunks);
    free(c.tolls);
    return err;
}
