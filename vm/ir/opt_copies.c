/*
 * Values that are made only to be copied. After
 *     s = ...
 *     d = copy s
 * s and d hold the same until d is written again. When nothing reads or writes d between the two, and every read of s
 * comes after it in the same region with d as it was, s can be d from the beginning, and the copy goes. So the last
 * thing that a loop does with its variables costs nothing, whatever else reads them after the loop.
 *
 * One walk finds such pairs and counts the reads that fit, a second renames where all did. A read of s counts as one of
 * d, so that no other pair's d may be written in between.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>

struct pair {
    uint32_t d;    /* IR_NONE: none */
    uint32_t pos;  /* of the copy */
    uint32_t fits; /* reads of s that may be of d, the copy's own among them */
};

struct copies {
    struct pair *pairs; /* a register s */
    uint32_t *read;     /* a register: position of its latest read, as itself or as what is joined to it */
    uint32_t *seen;     /* a register: reads so far */
};

static void count_read(struct opt *o, struct copies *c, uint32_t s)
{
    struct pair *p = &c->pairs[s];

    c->read[s] = o->pos;
    c->seen[s]++;
    if (!p->d)
        return;
    if (p->pos >= o->region && o->v[p->d].pos == p->pos)
        p->fits++;
    c->read[p->d] = o->pos;
}

/* d = copy s: may s become d? */
static void consider(struct opt *o, struct copies *c, const struct ir_op *op)
{
    const struct opt_vreg *s = &o->v[op->a], *d = &o->v[op->dst];

    if (s->writes != 1 || d->writes == 1 || op->a <= IR_PARAMS || s->pos < o->begin)
        return;
    if (d->pos >= s->pos || c->read[op->dst] > s->pos || c->pairs[op->a].d)
        return;
    c->pairs[op->a] = (struct pair){op->dst, o->pos, c->seen[op->a]};
}

static void visit(struct opt *o, struct ir_op *op)
{
    struct copies *c = o->pass;
    for (unsigned i = 0; i < IR_FIELDS; i++)
        if (op->use[i])
            count_read(o, c, op->use[i]);
    for (unsigned i = 0; i < op->n_args; i++)
        count_read(o, c, o->f->args[op->args + i]);
    if (op->kind == IR_COPY)
        consider(o, c, op);
}

static inline void rename_one(const struct copies *c, uint32_t *v)
{
    if (c->pairs[*v].d)
        *v = c->pairs[*v].d;
}

static void rename_all(struct opt *o, const struct copies *c)
{
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct ir_op *op = &b->ops[j];

            for (unsigned k = 0; k < IR_FIELDS; k++)
                rename_one(c, &op->use[k]);
            for (unsigned k = 0; k < op->n_args; k++)
                rename_one(c, &o->f->args[op->args + k]);
            rename_one(c, &op->dst);
        }
    }
}

/* Is there any copy that consider() would look at twice? */
static bool has_candidates(const struct opt *o)
{
    for (uint32_t i = 0; i < o->n_order; i++) {
        const struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            const struct ir_op *op = &b->ops[j];

            if (op->kind == IR_COPY && o->v[op->a].writes == 1 && o->v[op->dst].writes > 1 && op->a > IR_PARAMS)
                return true;
        }
    }
    return false;
}

int opt_copies(struct opt *o)
{
    struct copies c;
    uint32_t n_vregs = o->f->n_vregs;
    bool any = false;
    int err;

    if (!has_candidates(o))
        return 0;
    c.pairs = ARENA_ARRAY(&o->f->ir->scratch, struct pair, n_vregs);
    c.read = ARENA_ARRAY(&o->f->ir->scratch, uint32_t, n_vregs);
    c.seen = ARENA_ARRAY(&o->f->ir->scratch, uint32_t, n_vregs);
    o->pass = &c;
    err = c.pairs && c.read && c.seen ? opt_walk(o, visit) : -ENOMEM;
    for (uint32_t v = 0; !err && v < n_vregs; v++) {
        if (c.pairs[v].fits != o->v[v].uses)
            c.pairs[v].d = IR_NONE;
        any |= c.pairs[v].d != IR_NONE;
    }
    if (!err && any) {
        rename_all(o, &c);
        for (uint32_t v = 0; v < n_vregs; v++)
            if (c.pairs[v].d)
                opt_become(o, v, c.pairs[v].d);
    }
    return err;
}
