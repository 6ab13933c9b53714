/*
 * What nobody reads goes: what only keeps itself alive round a loop, found from what counts; and, block by block from
 * the end, what nothing reads or what is written again before it is read. Counts of reads and writes stay right.
 */
#include "vm/ir/opt.h"
#include <errno.h>

/* The operation goes, with what it reads. */
static void forget(struct opt *o, struct ir_op *op)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(o->f, op, uses);

    for (unsigned i = 0; i < n; i++)
        o->v[*uses[i]].uses--;
    o->v[op->dst].writes--;
    *op = (struct ir_op){.kind = IR_NOP, .width = 8, .slot = op->slot};
}

/* The writes of each register as lists, for marking. */
struct marks {
    struct ir_op **ops; /* from 1 on */
    uint32_t *next;
    uint32_t *first; /* a register */
    uint32_t *pending, n_pending, n;
    unsigned char *live; /* a register */
};

static void mark_one(struct marks *m, uint32_t v)
{
    m->pending[m->n_pending] = v;
    m->n_pending += !m->live[v];
    m->live[v] = 1;
}

static void mark_uses(struct opt *o, struct marks *m, const struct ir_op *op)
{
    for (unsigned k = 0; k < IR_FIELDS; k++)
        mark_one(m, op->use[k]);
    for (unsigned k = 0; k < op->n_args; k++)
        mark_one(m, o->f->args[op->args + k]);
}

static void mark(struct opt *o, struct marks *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct ir_op *op = &b->ops[j];

            if (op->kind == IR_NOP)
                continue;
            if (!opt_droppable(op)) {
                mark_uses(o, m, op);
                continue;
            }
            m->ops[++n] = op;
            m->next[n] = m->first[op->dst];
            m->first[op->dst] = n;
        }
    }
    m->n = n;
    if (o->f->fuel)
        mark_one(m, o->f->fuel);
    while (m->n_pending) {
        uint32_t v = m->pending[--m->n_pending];

        for (uint32_t k = m->first[v]; k; k = m->next[k])
            mark_uses(o, m, m->ops[k]);
    }
}

/* What only keeps itself alive: counters of loops, above all, that nothing else reads. */
int opt_drop_idle(struct opt *o)
{
    struct marks m = {0};
    uint32_t n = 1, n_vregs = o->f->n_vregs;
    struct arena *scratch = &o->f->ir->scratch;

    if (!o->round)
        return 0;
    for (uint32_t i = 0; i < o->n_order; i++)
        n += o->f->blocks[o->order[i]].n;
    m.ops = ARENA_ROOM(scratch, struct ir_op *, n);
    m.next = ARENA_ROOM(scratch, uint32_t, n);
    m.first = ARENA_ARRAY(scratch, uint32_t, n_vregs);
    m.pending = ARENA_ROOM(scratch, uint32_t, n_vregs + 1);
    m.live = ARENA_ARRAY(scratch, unsigned char, n_vregs);
    if (!m.ops || !m.next || !m.first || !m.pending || !m.live)
        return -ENOMEM;
    m.live[IR_NONE] = 1;
    mark(o, &m);
    for (uint32_t k = 1; k <= m.n; k++)
        if (!m.live[m.ops[k]->dst])
            forget(o, m.ops[k]);
    return 0;
}

/* May the operation go? Asked from the end of a block: `over` of what is written again before it is read is stamp. */
static bool is_idle(const struct opt *o, const struct ir_op *op)
{
    const struct opt_vreg *r = &o->v[op->dst];

    if (op->kind == IR_COPY && op->a == op->dst)
        return true;
    return opt_droppable(op) && (!r->uses || r->over == o->stamp);
}

void opt_become(struct opt *o, uint32_t v, uint32_t to)
{
    o->v[to].uses += o->v[v].uses;
    o->v[to].writes += o->v[v].writes;
    o->v[v].uses = o->v[v].writes = 0;
}

static void sweep_block(struct opt *o, struct ir_block *b)
{
    struct opt_vreg *v = o->v;
    uint32_t to = b->n, stamp = ++o->stamp;

    for (uint32_t j = b->n; j--;) {
        struct ir_op *op = &b->ops[j];

        if (op->kind == IR_NOP)
            continue;
        if (is_idle(o, op)) {
            forget(o, op);
            continue;
        }
        if (op->dst && !v[op->dst].uses && (op->kind == IR_CALL || op->kind == IR_CALL_LOCAL)) {
            v[op->dst].writes--;
            op->dst = IR_NONE;
        }
        v[op->dst].over = stamp;
        for (unsigned k = 0; k < IR_FIELDS; k++)
            v[op->use[k]].over = 0;
        for (unsigned k = 0; k < op->n_args; k++)
            v[o->f->args[op->args + k]].over = 0;
        if (--to != j)
            b->ops[to] = *op;
    }
    b->ops += to;
    b->n -= to;
    b->cap -= to;
}

void opt_sweep(struct opt *o)
{
    for (uint32_t i = o->n_order; i--;)
        sweep_block(o, &o->f->blocks[o->order[i]]);
}
