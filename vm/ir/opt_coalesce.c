/*
 * Registers that copies in loops connect become one, where their lives allow it. Two registers may be one when neither
 * is written while the other is alive, but for copies between the two, after which both hold the same (Chaitin). What
 * remains of the variables of a C loop then lives in one register each, and nothing is moved about at the loop's end.
 *
 * Occurrences (reads and writes) of each register stand in lists in the order of blocks and operations. Whether a
 * register is alive at the end of a block is found backwards from its reads; how many steps all this may take in sum is
 * bounded by the size of the function.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One operation's dealings with one register. */
struct occurrence {
    uint32_t next; /* of the same register, further on; 0: none */
    uint32_t block, op;
    bool reads, writes;
    uint32_t copy_of; /* the write is a copy of this register; IR_NONE: no copy */
};

struct life {
    uint32_t stamp; /* of the search that these two were filled in by */
    bool in, out;   /* alive at the block's beginning, end */
};

struct coalescer {
    struct opt *o;
    struct occurrence *all; /* from 1 */
    uint32_t n;
    uint32_t *first, *last; /* a register */
    uint32_t *name;         /* a register: what it became; itself: nothing */
    unsigned char *wanted;  /* a register: copies connect it */
    struct life *life[2];   /* a block */
    uint32_t stamp;
    uint32_t *pending;
    uint64_t budget;
};

static uint32_t name_of(struct coalescer *c, uint32_t v)
{
    while (c->name[v] != v)
        v = c->name[v] = c->name[c->name[v]];
    return v;
}

static void add(struct coalescer *c, uint32_t v, uint32_t block, uint32_t op, bool writes, uint32_t copy_of)
{
    struct occurrence *last = &c->all[c->last[v]];

    if (!(c->last[v] && last->block == block && last->op == op)) {
        c->all[++c->n] = (struct occurrence){.block = block, .op = op};
        if (c->last[v])
            last->next = c->n;
        else
            c->first[v] = c->n;
        c->last[v] = c->n;
        last = &c->all[c->n];
    }
    last->reads |= !writes;
    last->writes |= writes;
    if (writes)
        last->copy_of = copy_of;
}

/* Is it a copy that is worth removing? */
static bool is_candidate(const struct opt *o, const struct ir_block *b, const struct ir_op *op)
{
    return op->kind == IR_COPY && op->a != op->dst && op->a > IR_PARAMS && op->dst > IR_PARAMS && b->depth > 0 &&
           (o->v[op->dst].writes > 1 || o->v[op->a].writes > 1);
}

static uint32_t count(struct coalescer *c, bool *any)
{
    struct opt *o = c->o;
    uint32_t n = 1;

    for (uint32_t i = 0; i < o->n_order; i++) {
        const struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            if (!is_candidate(o, b, &b->ops[j]))
                continue;
            c->wanted[b->ops[j].dst] = c->wanted[b->ops[j].a] = 1;
            *any = true;
        }
    }
    for (uint32_t v = 1; v < o->f->n_vregs; v++)
        if (c->wanted[v])
            n += o->v[v].uses + o->v[v].writes;
    return n;
}

static void list(struct coalescer *c)
{
    struct opt *o = c->o;

    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            const struct ir_op *op = &b->ops[j];

            for (unsigned k = 0; k < IR_FIELDS; k++)
                if (c->wanted[op->use[k]])
                    add(c, op->use[k], i, j, false, IR_NONE);
            for (unsigned k = 0; k < op->n_args; k++)
                if (c->wanted[o->f->args[op->args + k]])
                    add(c, o->f->args[op->args + k], i, j, false, IR_NONE);
            if (c->wanted[op->dst])
                add(c, op->dst, i, j, true, op->kind == IR_COPY ? op->a : IR_NONE);
        }
    }
}

static struct life *life_at(struct coalescer *c, int which, uint32_t place)
{
    struct life *l = &c->life[which][place];

    if (l->stamp != c->stamp)
        *l = (struct life){.stamp = c->stamp};
    return l;
}

/* v is alive when this block begins: so it is at the end of those before. */
static void alive_before(struct coalescer *c, int which, uint32_t place, uint32_t *n)
{
    struct life *l = life_at(c, which, place);

    if (l->in)
        return;
    l->in = true;
    c->pending[(*n)++] = place;
}

/* Where v is alive: blocks by their places in the order. False: the budget is spent. */
static bool find_life(struct coalescer *c, int which, uint32_t v, const uint32_t *place_of, unsigned char *writes)
{
    struct opt *o = c->o;
    uint32_t n = 0, block = UINT32_MAX;

    for (uint32_t k = c->first[v]; k; k = c->all[k].next) {
        const struct occurrence *x = &c->all[k];

        if (x->block != block && x->reads)
            alive_before(c, which, x->block, &n);
        block = x->block;
        if (x->writes)
            writes[x->block] |= (unsigned char)(1 << which);
        if (!c->budget--)
            return false;
    }
    while (n) {
        const struct ir_block *b = &o->f->blocks[o->order[c->pending[--n]]];

        if (c->budget < b->n_preds + 1)
            return false;
        c->budget -= b->n_preds + 1;
        for (uint32_t i = 0; i < b->n_preds; i++) {
            uint32_t p = place_of[b->preds[i]];

            if (p == UINT32_MAX)
                continue;
            life_at(c, which, p)->out = true;
            if (!(writes[p] & 1 << which))
                alive_before(c, which, p, &n);
        }
    }
    return true;
}

static void forget_writes(struct coalescer *c, uint32_t v, unsigned char *writes)
{
    for (uint32_t k = c->first[v]; k; k = c->all[k].next)
        writes[c->all[k].block] = 0;
}

/* Is `other` written nowhere while v is alive, but as a copy of v? Both lists are in order, and walked together. */
static bool undisturbed(struct coalescer *c, int which, uint32_t v, uint32_t other)
{
    uint32_t mine = c->first[v];

    for (uint32_t k = c->first[other]; k; k = c->all[k].next) {
        const struct occurrence *x = &c->all[k], *next;
        bool alive;

        if (!x->writes || (x->copy_of && name_of(c, x->copy_of) == v))
            continue;
        while (mine && (c->all[mine].block < x->block || (c->all[mine].block == x->block && c->all[mine].op <= x->op)))
            mine = c->all[mine].next;
        next = mine && c->all[mine].block == x->block ? &c->all[mine] : NULL;
        alive = next ? next->reads : life_at(c, which, x->block)->out;
        if (alive)
            return false;
    }
    return true;
}

/* One list of both, in order. */
static void merge(struct coalescer *c, uint32_t into, uint32_t from)
{
    uint32_t a = c->first[into], b = c->first[from], last = 0;

    c->first[into] = 0;
    while (a || b) {
        struct occurrence *x = &c->all[a], *y = &c->all[b];
        bool first = a && (!b || x->block < y->block || (x->block == y->block && x->op <= y->op));
        uint32_t k = first ? a : b;

        if (a && b && x->block == y->block && x->op == y->op) {
            x->reads |= y->reads;
            x->copy_of = x->writes ? x->copy_of : y->copy_of;
            x->writes |= y->writes;
            b = y->next;
        }
        if (first)
            a = x->next;
        else
            b = y->next;
        if (last)
            c->all[last].next = k;
        else
            c->first[into] = k;
        last = k;
    }
    if (last)
        c->all[last].next = 0;
    c->last[into] = last;
    c->name[from] = into;
}

static bool try(struct coalescer *c, uint32_t d, uint32_t s, const uint32_t *place_of, unsigned char *writes)
{
    bool fits;

    d = name_of(c, d);
    s = name_of(c, s);
    if (d == s)
        return true;
    c->stamp++;
    fits = find_life(c, 0, d, place_of, writes) && find_life(c, 1, s, place_of, writes);
    forget_writes(c, d, writes);
    forget_writes(c, s, writes);
    if (!fits)
        return false;
    if (undisturbed(c, 0, d, s) && undisturbed(c, 1, s, d)) {
        for (uint32_t k = c->first[s]; k; k = c->all[k].next)
            c->budget -= c->budget != 0;
        merge(c, d, s);
    }
    return true;
}

static void rename_all(struct coalescer *c)
{
    struct opt *o = c->o;

    for (uint32_t v = 0; v < o->f->n_vregs; v++)
        c->name[v] = name_of(c, v);
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct ir_op *op = &b->ops[j];

            for (unsigned k = 0; k < IR_FIELDS; k++)
                op->use[k] = c->name[op->use[k]];
            for (unsigned k = 0; k < op->n_args; k++)
                o->f->args[op->args + k] = c->name[o->f->args[op->args + k]];
            op->dst = c->name[op->dst];
        }
    }
}

static int run(struct coalescer *c)
{
    struct opt *o = c->o;
    uint32_t *place_of = ARENA_ROOM(&o->f->ir->scratch, uint32_t, o->f->n_blocks);
    unsigned char *writes = ARENA_ARRAY(&o->f->ir->scratch, unsigned char, o->n_order);
    bool more = place_of && writes;

    if (more) {
        memset(place_of, 0xff, o->f->n_blocks * sizeof(*place_of));
        for (uint32_t i = 0; i < o->n_order; i++)
            place_of[o->order[i]] = i;
        list(c);
    }
    /* From the innermost loops outwards would be better still; the last ones in the order are those that jump back. */
    for (uint32_t i = o->n_order; more && i--;) {
        const struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = b->n; more && j--;)
            if (is_candidate(o, b, &b->ops[j]))
                more = try(c, b->ops[j].dst, b->ops[j].a, place_of, writes);
    }
    if (!place_of || !writes)
        return -ENOMEM;
    rename_all(c);
    for (uint32_t v = 0; v < o->f->n_vregs; v++)
        if (c->name[v] != v)
            opt_become(o, v, c->name[v]);
    return 0;
}

int opt_coalesce(struct opt *o)
{
    uint32_t n_vregs = o->f->n_vregs, n;
    struct coalescer c = {.o = o};
    struct arena *scratch = &o->f->ir->scratch;
    bool any = false;
    int err = ir_loops(o->f);

    c.wanted = ARENA_ARRAY(scratch, unsigned char, n_vregs);
    n = c.wanted && !err ? count(&c, &any) : 0;
    if (any) {
        c.budget = 32ull * n + 4096;
        c.all = ARENA_ROOM(scratch, struct occurrence, n + 1);
        c.first = ARENA_ARRAY(scratch, uint32_t, n_vregs);
        c.last = ARENA_ARRAY(scratch, uint32_t, n_vregs);
        c.name = ARENA_ROOM(scratch, uint32_t, n_vregs);
        c.life[0] = ARENA_ARRAY(scratch, struct life, o->n_order);
        c.life[1] = ARENA_ARRAY(scratch, struct life, o->n_order);
        c.pending = ARENA_ROOM(scratch, uint32_t, o->n_order);
        err = c.all && c.first && c.last && c.name && c.life[0] && c.life[1] && c.pending ? 0 : -ENOMEM;
        for (uint32_t v = 0; !err && v < n_vregs; v++)
            c.name[v] = v;
        err = err ? err : run(&c);
    }
    return c.wanted ? err : -ENOMEM;
}
