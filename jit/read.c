/*
 * One pass over the operations for all that allocation asks of them, so that nothing after it looks at an operation
 * again: operands as a flat list, what it would cost to have each register in memory, wishes, calls, and which
 * registers a block reads before it writes them.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lists have room for so many operations, then it is looked at again. */
enum { AT_ONCE = 64 };

struct read {
    struct alloc *a;
    uint32_t *written, *exposed; /* the block (plus 1) that was the last to write a register, to read it unwritten */
    struct alloc_list *uses, *calls, *clobbers;
};

int alloc_grow(struct alloc_list *l, uint32_t n, size_t size)
{
    uint32_t room = l->room ? l->room * 2 : 256;
    void *at;

    if (!l->n)
        l->n = 1;
    if (l->n > UINT32_MAX / 8 || n > UINT32_MAX / 8)
        return -ENOMEM;
    while (room <= l->n + n)
        room *= 2;
    if (!(at = realloc(l->at, room * size)))
        return -ENOMEM;
    l->at = at;
    l->room = room;
    return 0;
}

static int number(struct alloc *a)
{
    size_t n = 1;

    a->first = ARENA_ARRAY(a->arena, uint32_t, a->f->n_blocks);
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

static void wish(struct alloc *a, uint32_t vreg, uint32_t with, float gain)
{
    uint32_t i = a->wishes.n++;

    *alloc_wish(a, i) = (struct alloc_wish){with, gain, a->wish[vreg]};
    a->wish[vreg] = i;
}

static void wish_both(struct alloc *a, uint32_t x, uint32_t y, float gain)
{
    if (x == y)
        return;
    wish(a, x, y, gain);
    wish(a, y, x, gain);
}

static void put(struct alloc_list *l, uint32_t x, uint32_t y)
{
    ((uint32_t *)l->at)[l->n++] = x;
    ((uint32_t *)l->at)[l->n++] = y;
}

static void destroys(struct read *r, const struct jit_needs *needs, bool call, uint32_t number, uint32_t block)
{
    struct alloc *a = r->a;
    uint32_t clobbers = needs->clobbers & a->target->allocatable;

    a->used |= clobbers;
    if (call) {
        put(r->calls, number, block);
        a->n_calls++;
        /* What is read after the call cannot be kept around it. */
        clobbers &= needs->late ? UINT32_MAX : ~a->caller_saved;
    }
    if (clobbers) {
        put(r->clobbers, number, clobbers);
        a->n_clobbers++;
    }
}

static void read_use(struct read *r, uint32_t v, uint32_t block)
{
    struct alloc *a = r->a;

    ((uint32_t *)r->uses->at)[r->uses->n++] = v;
    if (r->written[v] == block + 1 || r->exposed[v] == block + 1)
        return;
    r->exposed[v] = block + 1;
    ((uint32_t *)a->exposed.at)[a->exposed.n] = block;
    ((uint32_t *)a->exposed.at)[a->exposed.n + 1] = a->exposed_in[v];
    a->exposed_in[v] = a->exposed.n;
    a->exposed.n += 2;
}

static void read_write(struct read *r, struct ir_op *op, uint32_t dst, uint32_t block)
{
    struct alloc *a = r->a;

    a->makes[dst] = op->kind == IR_CONST && !(a->flags[dst] & ALLOC_F_WRITTEN) ? op : NULL;
    a->flags[dst] |= ALLOC_F_WRITTEN;
    r->written[dst] = block + 1;
}

static void read_op(struct read *r, struct ir_op *op, uint32_t number, uint32_t block)
{
    struct alloc *a = r->a;
    uint32_t *uses[IR_MAX_USES];
    float freq = a->freq[block], move = freq * ALLOC_MOVE_COST;
    bool call = ir_kinds[op->kind].what & IR_W_CALL;
    struct alloc_op *to = &a->ops[number];
    unsigned n = ir_uses(a->f, op, uses);
    struct jit_needs needs;

    a->calls_before[number] = a->n_calls;
    *to = (struct alloc_op){.use = r->uses->n};
    /* A slot is live as the register that it belongs to: RELOAD and SPILL name that in imm. */
    if (op->kind == IR_RELOAD) {
        read_use(r, (uint32_t)op->imm, block);
    } else if (op->kind == IR_SPILL) {
        read_use(r, op->a, block);
        a->cost[op->a] += freq;
        to->dst = (uint32_t)op->imm;
        r->written[to->dst] = block + 1;
        return;
    }
    alloc_needs(a, op, &needs);
    if (needs.clobbers)
        destroys(r, &needs, call, number, block);
    for (unsigned i = 0; i < n; i++) {
        uint32_t v = *uses[i];

        a->cost[v] += freq;
        if (needs.use[i] != JIT_NO_REG) {
            wish(a, v, ALLOC_WISH_REG | needs.use[i], move);
            a->want[v] = needs.use[i];
        }
        if (needs.late >> i & 1)
            a->flags[v] |= ALLOC_F_LATE;
        read_use(r, v, block);
    }
    to->late = needs.late;
    to->dst = op->dst;
    if (!op->dst)
        return;
    a->cost[op->dst] += freq;
    if (needs.dst != JIT_NO_REG)
        wish(a, op->dst, ALLOC_WISH_REG | needs.dst, move);
    to->copy = op->kind == IR_COPY;
    if (to->copy || (needs.dst_is_a && n))
        to->tied = 1;
    if (op->kind == IR_CARRY)
        to->tied = (uint8_t)n;
    if (op->kind == IR_SELECT) {
        /* One of the two is moved to the result before the other is, on a condition. */
        to->tied = (uint8_t)n;
        wish_both(a, op->dst, op->yes, move);
    }
    if (to->tied)
        wish_both(a, op->dst, *uses[to->tied - 1], move);
    read_write(r, op, op->dst, block);
}

/* Room in all lists for so many operations more. */
static int reserve(struct read *r, uint32_t n)
{
    struct alloc *a = r->a;

    return alloc_room(r->uses, IR_MAX_USES * n, sizeof(uint32_t)) || alloc_room(r->calls, 2 * n, sizeof(uint32_t)) ||
                   alloc_room(r->clobbers, 2 * n, sizeof(uint32_t)) ||
                   alloc_room(&a->exposed, 2 * IR_MAX_USES * n, sizeof(uint32_t)) ||
                   alloc_room(&a->wishes, (IR_MAX_USES + 6) * n, sizeof(struct alloc_wish))
               ? -ENOMEM
               : 0;
}

static int read_blocks(struct read *r)
{
    struct alloc *a = r->a;

    for (unsigned i = 0; i < IR_PARAMS; i++) {
        if (alloc_room(&a->wishes, 1, sizeof(struct alloc_wish)))
            return -ENOMEM;
        a->flags[i + 1] |= ALLOC_F_WRITTEN;
        wish(a, i + 1, ALLOC_WISH_REG | a->target->params[i], ALLOC_MOVE_COST);
    }
    for (uint32_t k = 0; k < a->n_order; k++) {
        uint32_t block = a->order[k];
        struct ir_block *b = &a->f->blocks[block];

        for (uint32_t i = 0; i < b->n; i++) {
            if (i % AT_ONCE == 0 && reserve(r, b->n - i < AT_ONCE ? b->n - i : AT_ONCE))
                return -ENOMEM;
            read_op(r, &b->ops[i], a->first[block] + i, block);
        }
    }
    a->calls_before[a->n_ops] = a->n_calls;
    a->ops[a->n_ops].use = r->uses->n;
    a->uses = r->uses->at;
    return 0;
}

/* Calls as two arrays. */
static int list_calls(struct read *r)
{
    struct alloc *a = r->a;
    const uint32_t *pairs = r->calls->at;

    a->calls = ARENA_ARRAY(a->arena, uint32_t, (size_t)a->n_calls * 2 + 1);
    a->clobbers = ARENA_ARRAY(a->arena, uint32_t, (size_t)a->n_clobbers * 2 + 1);
    if (!a->calls || !a->clobbers)
        return -ENOMEM;
    a->call_block = a->calls + a->n_calls;
    for (uint32_t i = 0; i < a->n_calls; i++) {
        a->calls[i] = pairs[1 + 2 * (size_t)i];
        a->call_block[i] = pairs[2 + 2 * (size_t)i];
    }
    if (a->n_clobbers)
        memcpy(a->clobbers, (uint32_t *)r->clobbers->at + 1, (size_t)a->n_clobbers * 2 * sizeof(*a->clobbers));
    return 0;
}

int alloc_read(struct alloc *a)
{
    struct read r = {
        .a = a, .uses = &a->lists[ALLOC_USES], .calls = &a->lists[ALLOC_CALLS], .clobbers = &a->lists[ALLOC_CLOBBERS]};
    size_t n = a->f->n_vregs;
    int err = number(a);

    if (err)
        return err;
    a->ops = ARENA_ROOM(a->arena, struct alloc_op, (size_t)a->n_ops + 1);
    a->calls_before = ARENA_ROOM(a->arena, uint32_t, (size_t)a->n_ops + 1);
    a->wish = ARENA_ARRAY(a->arena, uint32_t, n);
    a->exposed_in = ARENA_ARRAY(a->arena, uint32_t, n);
    a->cost = ARENA_ARRAY(a->arena, float, n);
    a->makes = ARENA_ARRAY(a->arena, const struct ir_op *, n);
    a->flags = ARENA_ARRAY(a->arena, uint8_t, n);
    a->want = ARENA_ARRAY(a->arena, uint8_t, n);
    r.written = ARENA_ARRAY(a->arena, uint32_t, n);
    r.exposed = ARENA_ARRAY(a->arena, uint32_t, n);
    if (!a->ops || !a->calls_before || !a->wish || !a->exposed_in || !a->cost || !a->makes || !a->flags || !a->want ||
        !r.written || !r.exposed)
        return -ENOMEM;
    memset(a->want, JIT_NO_REG, n);
    a->ops[0] = (struct alloc_op){0};
    a->calls_before[0] = 0;
    a->used = a->n_calls = a->n_clobbers = 0;
    err = read_blocks(&r);
    if (!err)
        err = list_calls(&r);
    return err;
}
