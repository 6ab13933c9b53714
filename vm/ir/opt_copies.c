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
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(o->f, op, uses);

    for (unsigned i = 0; i < n; i++)
        count_read(o, c, *uses[i]);
    if (op->kind == IR_COPY)
        consider(o, c, op);
}

static void rename_all(struct opt *o, const struct copies *c)
{
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct ir_op *op = &b->ops[j];
            uint32_t *uses[IR_MAX_USES];
            unsigned n = ir_uses(o->f, op, uses);

            for (unsigned k = 0; k < n; k++)
                if (c->pairs[*uses[k]].d)
                    *uses[k] = c->pairs[*uses[k]].d;
            if (op->dst && c->pairs[op->dst].d)
                op->dst = c->pairs[op->dst].d;
        }
    }
}

int opt_copies(struct opt *o)
{
    struct copies c;
    uint32_t n_vregs = o->f->n_vregs;
    bool any = false;
    int err;

    c.pairs = calloc(n_vregs, sizeof(*c.pairs));
    c.read = calloc(n_vregs, sizeof(*c.read));
    c.seen = calloc(n_vregs, sizeof(*c.seen));
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
        opt_sweep(o);
    }
    free(c.pairs);
    free(c.read);
    free(c.seen);
    return err;
}
