/*
 * Operations made legal for virtual registers that have no machine register. Where the target can use the slot itself
 * it does; everything else reads over a new register, reloaded before, or writes one that is spilled right after. So
 * the slot always holds what its register would, and any use may read it.
 *
 * In the first rounds such a new register (a piece) serves the uses after it too, as long as nothing writes the slot,
 * no call comes between and they are near. A piece that finds no machine register is given up: from then on each of its
 * uses has a register of its own (tiny), and those always find one.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A piece is used again within so many operations. */
enum { NEAR = 12 };

/* What is read again within so many is written to a register first. */
enum { SOON = 12 };

/* Frames stay far below what a thread's stack has. */
enum { MAX_SLOTS = 4096 };

struct rewrite {
    struct alloc *a;
    bool pieces;
    struct ir_op *ops; /* of the block, as they come out */
    uint32_t n, room;
    uint32_t *piece;      /* of each virtual register when the round began: what holds its value now */
    uint32_t *since;      /* the operation that it was last used by; 0: never */
    uint32_t n_vregs;     /* those that came since are pieces: of this round, or lent to a loop */
    uint32_t block_end;   /* one more than the number of its last operation */
    uint32_t block_begin; /* the number of the first operation after the last call or border */
    bool changed;
};

uint32_t alloc_vreg(struct alloc *a, enum alloc_kind kind, uint32_t origin, uint32_t home)
{
    if (a->f->n_vregs >= a->room) {
        uint32_t room = a->f->n_vregs * 2 + 64, *homes, *origins = realloc(a->origin, room * sizeof(*origins));
        uint8_t *kinds;

        if (!origins)
            return IR_NONE;
        a->origin = origins;
        homes = realloc(a->home, room * sizeof(*homes));
        if (!homes)
            return IR_NONE;
        a->home = homes;
        kinds = realloc(a->kind, room);
        if (!kinds)
            return IR_NONE;
        a->kind = kinds;
        a->room = room;
    }
    a->kind[a->f->n_vregs] = (uint8_t)kind;
    a->origin[a->f->n_vregs] = origin;
    a->home[a->f->n_vregs] = home ? home : a->f->n_vregs;
    return ir_vreg(a->f);
}

static int emit(struct rewrite *r, const struct ir_op *op)
{
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : 64;
        struct ir_op *ops = realloc(r->ops, room * sizeof(*ops));

        if (!ops)
            return -ENOMEM;
        r->ops = ops;
        r->room = room;
    }
    r->ops[r->n++] = *op;
    return 0;
}

static bool homeless(const struct rewrite *r, uint32_t v)
{
    return v && v < r->n_vregs && r->a->kind[v] >= ALLOC_SLOT;
}

/* Whose slot holds the value. */
static uint32_t home(const struct rewrite *r, uint32_t v)
{
    return r->a->kind[v] == ALLOC_GONE ? r->a->home[v] : v;
}

/* A register with the value of v, made before the operation. */
static uint32_t fetch(struct rewrite *r, uint32_t v, uint32_t number, const struct ir_op *op)
{
    struct alloc *a = r->a;
    bool constant = a->kind[v] == ALLOC_CONST, piece = r->pieces && !constant;
    uint32_t from = home(r, v), t;
    struct ir_op get = {.kind = IR_RELOAD, .width = 8, .size = 8, .slot = op->slot, .imm = from};

    t = alloc_vreg(a, piece ? ALLOC_PIECE : ALLOC_TINY, a->origin[from], from);
    if (constant)
        get = *a->makes[v];
    get.dst = t;
    get.slot = op->slot;
    if (!t || emit(r, &get))
        return IR_NONE;
    if (piece) {
        r->piece[from] = t;
        r->since[from] = number;
    }
    return t;
}

static uint32_t near_piece(struct rewrite *r, uint32_t v, uint32_t number)
{
    if (!r->pieces || r->a->kind[v] == ALLOC_CONST)
        return IR_NONE;
    v = home(r, v);
    if (r->since[v] < r->block_begin || !r->since[v] || number - r->since[v] > NEAR)
        return IR_NONE;
    r->since[v] = number;
    return r->piece[v];
}

static int mend_uses(struct rewrite *r, struct ir_op *op, const struct jit_needs *needs, uint32_t number, bool *in_slot)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(r->a->f, op, uses);

    for (unsigned i = 0; i < n; i++) {
        uint32_t v = *uses[i], t;
        bool again = false;

        if (!homeless(r, v))
            continue;
        for (unsigned k = 0; k < n; k++)
            again |= k != i && *uses[k] == v;
        t = near_piece(r, v, number);
        if (!t && r->a->kind[v] != ALLOC_CONST) {
            if (needs->any_slot >> i & 1) {
                r->changed |= *uses[i] != home(r, v);
                *uses[i] = home(r, v);
                continue;
            }
            if (needs->in_slot >> i & 1 && !*in_slot && !again) {
                r->changed |= *uses[i] != home(r, v);
                *uses[i] = home(r, v);
                *in_slot = true;
                continue;
            }
        }
        if (!t)
            t = fetch(r, v, number, op);
        if (!t)
            return -ENOMEM;
        for (unsigned k = i; k < n; k++)
            if (*uses[k] == v && (k == i || !(needs->any_slot >> k & 1)))
                *uses[k] = t;
        r->changed = true;
    }
    return 0;
}

/* Is v read again by one of the next operations of its block? To read what was just stored takes longer than the store
 * of a register does. */
static bool read_soon(const struct rewrite *r, uint32_t v, uint32_t number)
{
    const struct alloc *a = r->a;
    uint32_t end = number + SOON < r->block_end ? number + SOON : r->block_end;

    for (uint32_t i = number + 1; i < end; i++) {
        for (uint32_t u = a->ops[i].use; u < a->ops[i + 1].use; u++)
            if (a->uses[u] == v)
                return true;
        if (a->ops[i].dst == v)
            return false;
    }
    return false;
}

/* What the operation writes goes to the slot. */
static int mend_dst(struct rewrite *r, struct ir_op *op, const struct jit_needs *needs, uint32_t number, bool in_slot)
{
    struct alloc *a = r->a;
    uint32_t v = op->dst, to = home(r, v), t;
    struct ir_op put = {.kind = IR_SPILL, .width = 8, .size = 8, .slot = op->slot, .imm = to};

    if (needs->dst_in_slot && !in_slot && !(r->pieces && read_soon(r, v, number))) {
        r->changed |= op->dst != to;
        op->dst = to;
        r->since[to] = 0;
        return emit(r, op);
    }
    t = alloc_vreg(a, r->pieces ? ALLOC_PIECE : ALLOC_TINY, a->origin[to], to);
    if (!t)
        return -ENOMEM;
    op->dst = put.a = t;
    r->piece[to] = t;
    r->since[to] = number;
    r->changed = true;
    return emit(r, op) || emit(r, &put) ? -ENOMEM : 0;
}

/* A loop writes what was lent to it. */
static int write_lent(struct rewrite *r, const struct ir_op *op)
{
    struct ir_op put = {.kind = IR_SPILL, .width = 8, .size = 8, .slot = op->slot, .a = op->dst};

    put.imm = r->a->home[op->dst];
    return emit(r, op) || emit(r, &put) ? -ENOMEM : 0;
}

/* What the loop that the block leads into works on. */
static int load_lent(struct rewrite *r, uint32_t block, uint32_t slot)
{
    const struct alloc *a = r->a;

    for (uint32_t i = a->loan[block]; i; i = alloc_loan(a, i)->next) {
        uint32_t t = alloc_loan(a, i)->vreg;
        struct ir_op get = {.kind = IR_RELOAD, .width = 8, .size = 8, .slot = slot, .dst = t, .imm = a->home[t]};

        if (emit(r, &get))
            return -ENOMEM;
        r->changed = true;
    }
    return 0;
}

static int mend(struct rewrite *r, const struct ir_op *from, uint32_t number)
{
    struct ir_op op = *from;
    struct jit_needs needs;
    bool in_slot = false;
    int err;

    /* Constants that are made where they are used, and moves between a slot and a piece that was given up. */
    if ((op.kind == IR_CONST && homeless(r, op.dst) && r->a->kind[op.dst] == ALLOC_CONST) ||
        (op.kind == IR_RELOAD && homeless(r, op.dst)) || (op.kind == IR_SPILL && homeless(r, op.a))) {
        r->changed = true;
        return 0;
    }
    alloc_needs(r->a, &op, &needs);
    err = mend_uses(r, &op, &needs, number, &in_slot);
    if (err)
        return err;
    if (ir_kinds[op.kind].what & IR_W_CALL)
        r->block_begin = ++number;
    if (homeless(r, op.dst))
        return mend_dst(r, &op, &needs, number, in_slot);
    if (op.dst >= r->n_vregs)
        return write_lent(r, &op);
    return emit(r, &op);
}

/* A slot can be written by a SPILL that stands in the code already. */
static void note_spill(struct rewrite *r, const struct ir_op *op)
{
    if (op->kind == IR_SPILL && (uint32_t)op->imm < r->n_vregs)
        r->since[op->imm] = 0;
}

static bool concerns(struct rewrite *r, uint32_t block)
{
    const struct alloc *a = r->a;
    uint32_t from = a->first[block], to = from + a->f->blocks[block].n;

    if (r->pieces && a->loan[block])
        return true;
    for (uint32_t i = from; i < to; i++)
        if (homeless(r, a->ops[i].dst))
            return true;
    for (uint32_t u = a->ops[from].use; u < a->ops[to].use; u++)
        if (homeless(r, a->uses[u]))
            return true;
    return false;
}

static int rewrite_block(struct rewrite *r, uint32_t block)
{
    struct alloc *a = r->a;
    struct ir_block *b = &a->f->blocks[block];
    struct ir_op *ops;

    if (!concerns(r, block))
        return 0;
    r->n = 0;
    r->block_begin = a->first[block];
    r->block_end = a->first[block] + b->n;
    for (uint32_t i = 0; i < b->n; i++) {
        int err = r->pieces && i + 1 == b->n ? load_lent(r, block, b->ops[i].slot) : 0;

        if (!err)
            err = mend(r, &b->ops[i], a->first[block] + i);
        if (err)
            return err;
        note_spill(r, &b->ops[i]);
    }
    ops = ARENA_ROOM(&a->f->ir->arena, struct ir_op, r->n);
    if (!ops)
        return -ENOMEM;
    memcpy(ops, r->ops, r->n * sizeof(*ops));
    b->ops = ops;
    b->n = b->cap = r->n;
    return 0;
}

int alloc_rewrite(struct alloc *a, bool pieces, bool *changed)
{
    struct rewrite r = {.a = a, .pieces = pieces, .n_vregs = a->f->n_vregs};
    int err = 0;

    r.piece = ARENA_ARRAY(a->arena, uint32_t, r.n_vregs);
    r.since = ARENA_ARRAY(a->arena, uint32_t, r.n_vregs);
    if (!r.piece || !r.since || (pieces && alloc_lend(a)))
        return -ENOMEM;
    for (uint32_t k = 0; k < a->n_order && !err; k++)
        err = rewrite_block(&r, a->order[k]);
    free(r.ops);
    *changed = r.changed;
    return err;
}

/* ---- Slots ---- */

/* A slot is taken from the first point to the last at which its register is live. */

static uint32_t last_point(const struct alloc *a, uint32_t v)
{
    uint32_t s = a->head[v];

    while (alloc_segment(a, s)->next)
        s = alloc_segment(a, s)->next;
    return alloc_segment(a, s)->to;
}

static bool wants_slot(const struct alloc *a, uint32_t v, uint32_t *n_saves)
{
    uint32_t from, n = 0;

    if (!a->head[v])
        return false;
    if (a->kind[v] == ALLOC_SLOT)
        return true;
    if (a->place[v].reg == JIT_NO_REG || !(a->caller_saved >> a->place[v].reg & 1))
        return false;
    for (uint32_t s = a->head[v]; s; s = alloc_segment(a, s)->next)
        n += alloc_crossed(a, s, &from);
    *n_saves += n;
    return n != 0;
}

/* Spans in the order of their beginnings take the slot that became free last. */
static int share_slots(struct alloc *a, uint64_t *begin, uint64_t *end, uint32_t n, struct jit_alloc *out)
{
    uint32_t *spare = ARENA_ARRAY(a->arena, uint32_t, n + 1), n_spare = 0, ended = 0;

    if (!spare)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)begin[i];

        for (; ended < n && end[ended] >> 32 < begin[i] >> 32; ended++)
            spare[n_spare++] = out->place[(uint32_t)end[ended]].slot;
        out->place[v].slot = n_spare ? spare[--n_spare] : out->n_slots++;
    }
    return out->n_slots > MAX_SLOTS ? -E2BIG : 0;
}

static int by_place(const void *x, const void *y)
{
    const struct jit_save *s = x, *t = y;

    if (s->block != t->block)
        return s->block < t->block ? -1 : 1;
    if (s->op != t->op)
        return s->op < t->op ? -1 : 1;
    return (int)s->reg - (int)t->reg;
}

static int write_saves(struct alloc *a, const uint64_t *wanting, uint32_t n, uint32_t n_saves, struct jit_alloc *out)
{
    struct jit_save *saves = malloc((n_saves + 1) * sizeof(*saves));

    if (!saves)
        return -ENOMEM;
    out->saves = saves;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)wanting[i];

        if (a->kind[v] == ALLOC_SLOT)
            continue;
        for (uint32_t s = a->head[v]; s; s = alloc_segment(a, s)->next) {
            uint32_t from, many = alloc_crossed(a, s, &from);

            for (uint32_t k = from; k < from + many; k++)
                saves[out->n_saves++] = (struct jit_save){.block = a->call_block[k],
                                                          .op = a->calls[k] - a->first[a->call_block[k]],
                                                          .reg = a->place[v].reg,
                                                          .slot = out->place[v].slot};
        }
    }
    qsort(saves, out->n_saves, sizeof(*saves), by_place);
    /* Two copies of a value may lie in one register: to keep it once is enough. */
    for (uint32_t i = 0, all = out->n_saves; i < all; i++) {
        if (!i)
            out->n_saves = 0;
        if (!out->n_saves || by_place(&saves[out->n_saves - 1], &saves[i]))
            saves[out->n_saves++] = saves[i];
    }
    return 0;
}

int alloc_slots(struct alloc *a, struct jit_alloc *out)
{
    uint32_t n_vregs = a->f->n_vregs, *list = ARENA_ARRAY(a->arena, uint32_t, n_vregs), many = 0, n_saves = 0;
    uint64_t *begin, *end;
    int err;

    if (!list)
        return -ENOMEM;
    for (uint32_t v = 1; v < n_vregs; v++)
        if (wants_slot(a, v, &n_saves))
            list[many++] = v;
    begin = ARENA_ARRAY(a->arena, uint64_t, (size_t)many * 3);
    end = begin + many;
    if (!begin)
        return -ENOMEM;
    for (uint32_t n = 0; n < many; n++) {
        uint32_t v = list[n];

        begin[n] = (uint64_t)alloc_segment(a, a->head[v])->from << 32 | v;
        end[n] = (uint64_t)last_point(a, v) << 32 | v;
    }
    alloc_sort(begin, end + many, many);
    alloc_sort(end, end + many, many);
    err = share_slots(a, begin, end, many, out);
    if (!err)
        err = write_saves(a, begin, many, n_saves, out);
    if (err)
        return err;
    for (uint32_t k = 0; many && k < out->n_order; k++)
        for (uint32_t i = 0; i < a->f->blocks[out->order[k]].n; i++) {
            struct ir_op *op = &a->f->blocks[out->order[k]].ops[i];

            if (op->kind != IR_RELOAD && op->kind != IR_SPILL)
                continue;
            op->disp = (int32_t)op->imm;
            op->imm = out->place[op->imm].slot;
        }
    return 0;
}
