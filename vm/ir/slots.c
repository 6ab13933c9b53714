/*
 * Slots of the frame to registers. A register holds what memory would, zero-extended; what may be read before it is
 * written is 0 at first, as the frame would be.
 *
 * Compilers use the same bytes for one thing after another, in different sizes. So slots may overlap: each has a
 * register of its own, and a store writes all those that lie inside what it stores. One that it covers only in part
 * must not be read after it; where that may happen, all that overlap stay in memory.
 */
#include "vm/ir/promote.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot *promote_slot(struct promoter *p, const struct ir_op *op)
{
    const struct known *base = &p->known.of[op->base];
    int64_t at = (int64_t)base->at + op->disp + FRAME;
    uint16_t index;

    if ((op->kind != IR_LOAD && op->kind != IR_STORE) || op->index || !op->base || base->at == KNOWN_NOWHERE ||
        base->span || at < 0 || at >= FRAME)
        return NULL;
    index = p->index[at][__builtin_ctz(op->size)];
    return index ? &p->slots[index - 1] : NULL;
}

static bool overlap(const struct slot *a, const struct slot *b)
{
    return a != b && a->at < b->at + b->size && b->at < a->at + a->size;
}

static bool inside(const struct slot *inner, const struct slot *outer)
{
    return inner->at >= outer->at && inner->at + inner->size <= outer->at + outer->size;
}

/* Calls fn for each slot that has bytes of this one, itself left out. */
static void each_overlap(struct promoter *p, const struct slot *s,
                         void (*fn)(struct promoter *p, const struct slot *s, struct slot *other, void *ctx), void *ctx)
{
    for (int at = s->at < 7 ? 0 : s->at - 7; at < s->at + s->size; at++)
        for (unsigned k = 0; k < 4; k++) {
            struct slot *other = p->index[at][k] ? &p->slots[p->index[at][k] - 1] : NULL;
            if (other && overlap(s, other))
                fn(p, s, other, ctx);
        }
}

/* ---- Which of them can be ---- */

static void spread_one(struct promoter *p, const struct slot *s, struct slot *other, void *ctx)
{
    (void)p, (void)s;
    if (!other->stays)
        *(bool *)ctx = other->stays = true;
}

/* What overlaps what stays, stays. */
static void spread(struct promoter *p)
{
    bool changed = true;

    while (changed) { /* at least one more stays each time, and most stay at once */
        changed = false;
        for (uint32_t i = 0; i < p->n; i++)
            if (p->slots[i].stays && p->slots[i].shared)
                each_overlap(p, &p->slots[i], spread_one, &changed);
    }
}

static void note_shared(struct promoter *p, const struct slot *s, struct slot *other, void *ctx)
{
    (void)p, (void)s, (void)ctx;
    other->shared = true;
}

/* Those whose bytes others touch stay. @return how many of the others overlap one another. */
static uint32_t sort_out(struct promoter *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n; i++) {
        struct slot *s = &p->slots[i];
        for (unsigned k = 0; k < s->size; k++)
            s->stays |= p->escaped[s->at + k] || p->pinned[s->at + k];
        each_overlap(p, s, note_shared, NULL);
    }
    spread(p);
    for (uint32_t i = 0; i < p->n; i++) {
        struct slot *s = &p->slots[i];
        if (s->stays || !s->shared)
            continue;
        if (n == 64)
            s->stays = true;
        else
            s->bit = (uint8_t)n++;
    }
    spread(p);
    return n;
}

/* Masks over the shared slots: one that an operation writes all of, and others that it writes a part of. */
struct covers {
    uint64_t whole, part;
};

static void cover(struct promoter *p, const struct slot *s, struct slot *other, void *ctx)
{
    struct covers *c = ctx;

    (void)p;
    if (inside(other, s))
        c->whole |= UINT64_C(1) << other->bit;
    else
        c->part |= UINT64_C(1) << other->bit;
}

/* Backwards over a block: what is live before it. Stores that cover a part of what is live after them are wrong. */
static uint64_t walk(struct promoter *p, uint32_t block, uint64_t live, uint64_t *kills, uint64_t *wrong)
{
    const struct ir_block *b = &p->f->blocks[block];

    for (uint32_t i = b->n; i-- > 0;) {
        const struct slot *s = promote_slot(p, &b->ops[i]);
        if (!s || s->stays || !s->shared)
            continue;
        if (b->ops[i].kind == IR_LOAD) {
            live |= UINT64_C(1) << s->bit;
        } else {
            struct covers c = {.whole = UINT64_C(1) << s->bit};
            each_overlap(p, s, cover, &c);
            *wrong |= live & c.part;
            live &= ~c.whole;
            *kills |= c.whole;
        }
    }
    return live;
}

static int judge_shared(struct promoter *p)
{
    uint32_t n = p->f->n_blocks;
    struct arena *scratch = &p->f->ir->scratch;
    uint64_t *in = ARENA_ROOM(scratch, uint64_t, n), *kills = ARENA_ARRAY(scratch, uint64_t, n), wrong = 0, none = 0;
    int err = in && kills ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < n && !err; i++)
        in[i] = walk(p, i, 0, &kills[i], &none);
    if (!err)
        err = build_live(p->f, in, kills);
    for (uint32_t i = 0; i < n && !err; i++)
        walk(p, i, build_live_out(p->f, in, i), &none, &wrong);
    for (uint32_t i = 0; i < p->n && !err; i++)
        if (!p->slots[i].stays && p->slots[i].shared && wrong >> p->slots[i].bit & 1)
            p->slots[i].stays = true;
    if (!err)
        spread(p);
    return err;
}

/* ---- Rewriting ---- */

static struct ir_op load_of(const struct slot *s, const struct ir_op *op)
{
    return (struct ir_op){.kind = op->flags & IR_SIGNED && s->size < 8 ? IR_SEXT : IR_COPY,
                          .width = 8,
                          .size = s->size,
                          .slot = op->slot,
                          .dst = op->dst,
                          .a = s->reg};
}

/* What a store gives to a slot inside of what it stores: one operation, or two over a register of its own. */
static unsigned store_to(struct promoter *p, const struct slot *s, const struct slot *to, const struct ir_op *op,
                         struct ir_op *out)
{
    unsigned from = to->at - s->at;
    unsigned shift = 8 * (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? from : s->size - to->size - from);
    uint64_t imm = (uint64_t)op->imm >> shift;
    struct ir_op new = {.slot = op->slot, .width = 8, .size = to->size, .dst = to->reg, .a = op->a};

    if (op->flags & IR_IMM) {
        new.kind = IR_CONST;
        new.a = IR_NONE;
        new.flags = op->flags &IR_SECRET;
        new.imm = (int64_t)(to->size == 8 ? imm : imm & ((UINT64_C(1) << to->size * 8) - 1));
        *out = new;
        return 1;
    }
    new.kind = to->size == 8 ? IR_COPY : IR_ZEXT;
    if (shift) {
        new.a = ir_vreg(p->f);
        *out++ = (struct ir_op){
            .kind = IR_SHR, .width = 8, .flags = IR_IMM, .slot = op->slot, .dst = new.a, .a = op->a, .imm = shift};
    }
    *out = new;
    return shift ? 2 : 1;
}

struct storing {
    const struct ir_op *op;
    struct ir_op *out;
    unsigned n;
};

static void store_inside(struct promoter *p, const struct slot *s, struct slot *other, void *ctx)
{
    struct storing *w = ctx;

    if (!other->stays && inside(other, s))
        w->n += store_to(p, s, other, w->op, w->out + w->n);
}

static unsigned stores_of(struct promoter *p, const struct slot *s, const struct ir_op *op, struct ir_op *out)
{
    struct storing w = {.op = op, .out = out};

    w.n = store_to(p, s, s, op, out);
    if (s->shared)
        each_overlap(p, s, store_inside, &w);
    return w.n;
}

static void count_inside(struct promoter *p, const struct slot *s, struct slot *other, void *ctx)
{
    (void)p;
    *(uint32_t *)ctx += !other->stays && inside(other, s) ? 2 : 0;
}

static int rewrite(struct promoter *p, struct ir_block *b)
{
    struct ir_op *ops = b->ops;
    uint32_t extra = 0, n = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        const struct slot *s = promote_slot(p, &b->ops[i]);
        if (s && !s->stays && s->shared && b->ops[i].kind == IR_STORE)
            each_overlap(p, s, count_inside, &extra);
    }
    if (extra && !(ops = ARENA_ROOM(&p->f->ir->arena, struct ir_op, b->n + extra)))
        return -ENOMEM;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct slot *s = promote_slot(p, &b->ops[i]);
        struct ir_op op;
        if (!s || s->stays) {
            if (&ops[n++] != &b->ops[i])
                ops[n - 1] = b->ops[i];
            continue;
        }
        op = b->ops[i];
        if (op.kind == IR_LOAD)
            ops[n++] = load_of(s, &op);
        else
            n += stores_of(p, s, &op, ops + n);
    }
    if (extra)
        b->cap = b->n + extra;
    b->ops = ops;
    b->n = n;
    return 0;
}

/* The slots are 0 when the function begins. */
static int clear_slots(struct promoter *p, uint32_t first, uint32_t n)
{
    struct ir_block *b = &p->f->blocks[0];
    struct ir_op *ops = ARENA_ROOM(&p->f->ir->arena, struct ir_op, b->n + n);

    if (!ops)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        ops[i] = (struct ir_op){.kind = IR_CONST, .slot = b->ops[0].slot, .dst = first + i};
    memcpy(ops + n, b->ops, b->n * sizeof(*ops));
    b->ops = ops;
    b->n = b->cap = b->n + n;
    return 0;
}

/* Only what stays in the frame has to be zero there. */
static void lessen_clear(struct promoter *p)
{
    uint32_t low = 0;

    for (uint32_t i = 0; i < p->n; i++)
        if (p->slots[i].stays)
            memset(&p->pinned[p->slots[i].at], 1, p->slots[i].size);
    while (low < FRAME && !p->escaped[low] && !p->pinned[low])
        low++;
    low = (FRAME - low + 7) & ~7u;
    if (p->f->frame_clear > low)
        p->f->frame_clear = low;
}

int promote_slots(struct promoter *p)
{
    uint32_t first = p->f->n_vregs, n = 0;
    int err = sort_out(p) ? judge_shared(p) : 0;

    if (err)
        return err;
    lessen_clear(p);
    for (uint32_t i = 0; i < p->n; i++)
        if (!p->slots[i].stays)
            p->slots[i].reg = first + n++;
    if (!n)
        return 0;
    p->f->n_vregs += n;
    for (uint32_t i = 0; i < p->f->n_blocks && !err; i++)
        err = rewrite(p, &p->f->blocks[i]);
    if (!err)
        err = clear_slots(p, first, n);
    for (uint32_t i = 0; i < n && !err && p->b->opts & IR_OPT_WEBS; i += 64)
        err = build_webs(p->f, first + i, n - i < 64 ? n - i : 64);
    return err;
}
