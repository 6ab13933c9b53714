/*
 * Loops of one small block, several turns at once. Such a loop ends with a test of a counter that steps by a constant:
 *
 *     L: ...; i = i + s; br i < n -> L, E
 *
 * Where it begins and ends at known numbers, and the turns are a multiple of what is done at once, the block is just
 * repeated. Otherwise a second loop M stands before it, which runs while so many turns are certain, and L does the
 * rest:
 *
 *     G: t = n - (U - 1) * s, 0 where that is none; br i < t -> M, L
 *     M: U times the body;                          br i < t -> M, R
 *     R:                                            br i < n -> L, E
 *
 * Registers that only step (i = i + s) are not stepped in between: a turn reads i + k * s, which goes into addresses.
 * Registers with a single write get another for each turn but the last.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies, which allocation seldom leaves, are not counted in the first two. */
enum { MAX_BODY = 12, SMALL_BODY = 8, MAX_OPS = 16, MAX_STEP = 1 << 16, MIN_TURNS = 8 };

/* A register that the body only adds a constant to. */
struct step {
    uint32_t v;
    uint32_t op; /* the addition's index */
    int64_t by;
    uint32_t now; /* while copying: what holds its value */
};

struct name {
    uint32_t old, now;
};

struct unroller {
    struct opt *o;
    uint32_t index;
    struct ir_op *body; /* the loop's operations, the branch last */
    uint32_t n;         /* without the branch */
    struct step steps[MAX_OPS];
    unsigned n_steps;
    struct name names[MAX_OPS];
    unsigned n_names;
    /* The test, turned so that it says when the loop goes on. */
    enum ir_cc cc;
    unsigned width;
    struct step *counter;
    uint32_t bound; /* IR_NONE: the constant */
    uint64_t limit;
    unsigned times;
    bool wide; /* the counter does not wrap where M runs, so that it may be added to in 64 bits */
};

static bool may_repeat(const struct ir_op *op)
{
    switch (op->kind) {
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD:
    case IR_NOP: return false;
    case IR_STORE:
    case IR_RMW:
    case IR_LOAD: return true;
    default: return !(ir_kinds[op->kind].what & ~(IR_W_PURE | IR_W_COMM));
    }
}

static unsigned writes_of(const struct unroller *u, uint32_t v)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < u->n; i++)
        n += u->body[i].dst == v;
    return n;
}

static void find_steps(struct unroller *u)
{
    u->n_steps = 0;
    for (uint32_t i = 0; i < u->n; i++) {
        const struct ir_op *op = &u->body[i];

        if (op->kind == IR_ADD && (op->flags & IR_IMM) && op->a == op->dst && op->imm <= MAX_STEP &&
            op->imm >= -MAX_STEP && op->imm && writes_of(u, op->dst) == 1)
            u->steps[u->n_steps++] = (struct step){op->dst, i, op->imm, op->dst};
    }
}

static struct step *step_of(struct unroller *u, uint32_t v)
{
    for (unsigned i = 0; i < u->n_steps; i++)
        if (u->steps[i].v == v)
            return &u->steps[i];
    return NULL;
}

/* The branch as a test of a counter against something that the loop does not change. */
static bool read_test(struct unroller *u)
{
    const struct ir_block *b = &u->o->f->blocks[u->index];
    const struct ir_op *br = &u->body[u->n];

    if (br->kind != IR_BR || br->flags & IR_MEM || (b->succ[0] == u->index) == (b->succ[1] == u->index))
        return false;
    u->cc = b->succ[0] == u->index ? br->cc : br->cc ^ 1;
    u->width = br->width;
    u->counter = step_of(u, br->a);
    if (br->flags & IR_IMM) {
        u->bound = IR_NONE;
        u->limit = br->width == 4 ? (uint32_t)br->imm : (uint64_t)br->imm;
        return u->counter != NULL;
    }
    u->bound = br->b;
    if (!u->counter) {
        u->counter = step_of(u, br->b);
        u->bound = br->a;
        u->cc = opt_swap_cc(u->cc);
    }
    return u->counter && !writes_of(u, u->bound);
}

/* The number that the counter has when the loop is entered, if its one way in says so. */
static bool begins_at(const struct unroller *u, uint64_t *value)
{
    const struct ir_func *f = u->o->f;
    const struct ir_block *b = &f->blocks[u->index], *p;

    if (b->n_preds != 2)
        return false;
    p = &f->blocks[b->preds[b->preds[0] == u->index]];
    for (uint32_t i = p->n; i--;) {
        if (p->ops[i].dst != u->counter->v)
            continue;
        *value = (uint64_t)p->ops[i].imm;
        return p->ops[i].kind == IR_CONST;
    }
    return false;
}

/* How often the body runs, when begin and end are known. 0: not known, or for ever. */
static uint64_t turns(const struct unroller *u)
{
    uint64_t begin, by = (uint64_t)u->counter->by;

    if (u->bound || !begins_at(u, &begin) || u->counter->by <= 0 || begin >= u->limit || u->limit > INT32_MAX)
        return 0;
    if (u->cc == IR_ULT || (u->cc == IR_NE && (u->limit - begin) % by == 0))
        return (u->limit - begin + by - 1) / by;
    return 0;
}

/* Does comparing 64 bits say the same? */
static bool is_wide(const struct unroller *u)
{
    const struct opt *o = u->o;
    unsigned bound = u->bound ? o->v[u->bound].bits : opt_length(u->limit);

    return u->width == 8 || (o->v[u->counter->v].bits <= 32 && bound <= 32);
}

static uint32_t new_block(struct ir_func *f)
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
    f->blocks[f->n_blocks] = (struct ir_block){.succ = {IR_NO_BLOCK, IR_NO_BLOCK}};
    return f->n_blocks++;
}

static uint32_t name_of(struct unroller *u, uint32_t v)
{
    struct step *s = step_of(u, v);

    if (s)
        return s->now;
    for (unsigned i = 0; i < u->n_names; i++)
        if (u->names[i].old == v)
            return u->names[i].now;
    return v;
}

static void name(struct unroller *u, uint32_t old, uint32_t now)
{
    for (unsigned i = 0; i < u->n_names; i++) {
        if (u->names[i].old == old) {
            u->names[i].now = now;
            return;
        }
    }
    u->names[u->n_names++] = (struct name){old, now};
}

/* Is v read outside of the body? */
static bool is_read_outside(const struct unroller *u, uint32_t v)
{
    uint32_t *uses[IR_MAX_USES], inside = 0;

    for (uint32_t i = 0; i <= u->n; i++) {
        unsigned n = ir_uses(u->o->f, &u->body[i], uses);

        for (unsigned k = 0; k < n; k++)
            inside += *uses[k] == v;
    }
    return inside != u->o->v[v].uses;
}

/* The body once more: the turn-th of so many. */
static struct ir_op *copy_turn(struct unroller *u, struct ir_op *to, unsigned turn)
{
    struct ir_func *f = u->o->f;
    bool last = turn + 1 == u->times;

    for (uint32_t i = 0; i < u->n; i++, to++) {
        uint32_t *uses[IR_MAX_USES];
        struct step *s = u->body[i].dst ? step_of(u, u->body[i].dst) : NULL;
        unsigned n;

        *to = u->body[i];
        if (s) {
            to->imm = s->by * (turn + 1);
            to->dst = last ? s->v : ir_vreg(f);
            if (!last && u->wide && s == u->counter)
                to->width = 8;
            s->now = to->dst;
            continue;
        }
        n = ir_uses(f, to, uses);
        for (unsigned k = 0; k < n; k++)
            *uses[k] = name_of(u, *uses[k]);
        if (to->dst && u->o->v[to->dst].writes == 1) {
            uint32_t now = last && is_read_outside(u, to->dst) ? to->dst : ir_vreg(f);

            name(u, to->dst, now);
            to->dst = now;
        }
    }
    return to;
}

static struct ir_op *copy_all(struct unroller *u, struct ir_op *to)
{
    for (unsigned i = 0; i < u->n_steps; i++)
        u->steps[i].now = u->steps[i].v;
    u->n_names = 0;
    for (unsigned turn = 0; turn < u->times; turn++)
        to = copy_turn(u, to, turn);
    return to;
}

/* Nothing is left over: the block itself is repeated. */
static int repeat(struct unroller *u)
{
    struct ir_block *b = &u->o->f->blocks[u->index];
    uint32_t n = u->n * u->times + 1;
    struct ir_op *ops = ARENA_ROOM(&u->o->f->ir->arena, struct ir_op, n);

    if (!ops)
        return -ENOMEM;
    u->wide = true;
    *copy_all(u, ops) = u->body[u->n];
    b->ops = ops;
    b->n = b->cap = n;
    b->turns = (uint8_t)u->times;
    return 0;
}

static struct ir_op operation(const struct unroller *u, enum ir_kind kind)
{
    return (struct ir_op){.kind = (uint8_t)kind, .width = 8, .slot = u->body[u->n].slot};
}

/* t, so that i < t says that all turns but the last go on. @return operations, or 0: the constant *t. */
static unsigned threshold(struct unroller *u, struct ir_op *ops, uint32_t *t, uint64_t *value)
{
    struct ir_func *f = u->o->f;
    uint64_t less = (uint64_t)u->counter->by * (u->times - 1) - (u->cc == IR_ULE);

    *t = IR_NONE;
    if (!u->bound) {
        *value = u->limit > less ? u->limit - less : 0;
        return 0;
    }
    ops[0] = operation(u, IR_ADD);
    ops[0].flags = IR_IMM;
    ops[0].a = u->bound;
    ops[0].imm = -(int64_t)less;
    ops[0].dst = ir_vreg(f);
    ops[1] = operation(u, IR_CONST);
    ops[1].dst = ir_vreg(f);
    ops[2] = operation(u, IR_SELECT);
    ops[2].cc = IR_UGT;
    ops[2].a = u->bound;
    ops[2].flags = IR_IMM;
    ops[2].imm = (int64_t)less;
    ops[2].yes = ops[0].dst;
    ops[2].no = ops[1].dst;
    ops[2].dst = *t = ir_vreg(f);
    return 3;
}

static struct ir_op go_on(const struct unroller *u, uint32_t t, uint64_t value)
{
    struct ir_op br = operation(u, IR_BR);

    br.cc = IR_ULT;
    br.a = u->counter->v;
    br.b = t;
    if (!t) {
        br.flags = IR_IMM | (u->body[u->n].flags & IR_SECRET);
        br.imm = (int64_t)value;
    }
    return br;
}

static int add_loop(struct unroller *u)
{
    struct ir_func *f = u->o->f;
    struct ir_op *ops = ARENA_ROOM(&f->ir->arena, struct ir_op, 4 + u->n * u->times + 2);
    uint32_t guard = new_block(f), main = new_block(f), rest = new_block(f), t;
    struct ir_block *b = &f->blocks[u->index], *g, *m, *r;
    uint64_t value = 0;

    if (!ops || guard == IR_NO_BLOCK || main == IR_NO_BLOCK || rest == IR_NO_BLOCK)
        return -ENOMEM;
    g = &f->blocks[guard];
    m = &f->blocks[main];
    r = &f->blocks[rest];
    g->ops = ops;
    g->n = threshold(u, ops, &t, &value);
    ops[g->n++] = go_on(u, t, value);
    g->cap = g->n;
    g->succ[0] = main;
    g->succ[1] = u->index;
    m->ops = ops + g->n;
    m->n = (uint32_t)(copy_all(u, m->ops) - m->ops);
    m->ops[m->n++] = go_on(u, t, value);
    m->cap = m->n;
    m->turns = (uint8_t)u->times;
    m->succ[0] = main;
    m->succ[1] = rest;
    r->ops = m->ops + m->n;
    r->ops[0] = u->body[u->n];
    r->n = r->cap = 1;
    r->succ[0] = b->succ[0];
    r->succ[1] = b->succ[1];
    for (uint32_t i = 0; i < b->n_preds; i++) {
        struct ir_block *p = &f->blocks[b->preds[i]];

        for (unsigned k = 0; k < 2 && b->preds[i] != u->index; k++)
            if (p->succ[k] == u->index)
                p->succ[k] = guard;
    }
    return 0;
}

/* How many operations the body has. 0: it is none to be repeated. */
static uint32_t length_of(const struct ir_block *b)
{
    uint32_t n = 0;

    if (b->n < 2 || b->n > MAX_OPS + 1 || b->cold || !b->loop_head)
        return 0;
    for (uint32_t i = 0; i + 1 < b->n; i++) {
        if (!may_repeat(&b->ops[i]))
            return 0;
        n += b->ops[i].kind != IR_COPY;
    }
    return n <= MAX_BODY ? n : 0;
}

static int look_at(struct opt *o, uint32_t index)
{
    struct ir_block *b = &o->f->blocks[index];
    struct unroller u = {.o = o, .index = index, .body = b->ops, .n = b->n - 1};
    uint32_t length = length_of(b);
    uint64_t n;

    if (!length || (b->succ[0] != index && b->succ[1] != index))
        return 0;
    find_steps(&u);
    if (!read_test(&u))
        return 0;
    u.times = length <= SMALL_BODY ? 4 : 2;
    n = turns(&u);
    if (n && n < MIN_TURNS)
        return 0;
    if (n && n % u.times)
        u.times = n % 3 == 0 ? 3 : 2;
    if (n && n % u.times == 0) {
        o->blocks_changed = true;
        return repeat(&u);
    }
    u.times = length <= SMALL_BODY ? 4 : 2;
    if (n)
        u.cc = IR_ULT;
    if ((u.cc != IR_ULT && u.cc != IR_ULE) || u.counter->by <= 0 || !is_wide(&u))
        return 0;
    u.wide = o->v[u.counter->v].bits <= 32 || u.body[u.counter->op].width == 8;
    o->blocks_changed = true;
    return add_loop(&u);
}

int opt_unroll(struct opt *o)
{
    int err = ir_loops(o->f);

    for (uint32_t i = 0; !err && i < o->n_order; i++)
        err = look_at(o, o->order[i]);
    return err;
}
