/*
 * Loops of one block, in which some machine register is free from beginning to end: it is lent to a virtual register
 * that lives in a slot and is read in every turn. The loop then works on a piece (ALLOC_PIECE), loaded at the end of
 * the blocks that lead into it; what it writes goes to the slot besides, so that whoever comes after finds it there. If
 * the piece finds no machine register in the end, it is given up like any other.
 */
#include "jit/alloc.h"

#include <errno.h>

/* Loops of more operations, and blocks that have more ways in, are left alone. */
enum { MAX_OPS = 64, MAX_WAYS = 4, MAX_LENT = 8 };

struct loan {
    uint32_t vreg, uses;
    bool writes_first; /* what it holds when a turn begins is not read */
};

struct borrower {
    struct alloc *a;
    uint32_t block;
    struct loan loan[2 * MAX_LENT];
    unsigned n;
    bool others; /* operands in slots besides */
};

static struct loan *loan_of(struct borrower *w, uint32_t v)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->loan[i].vreg == v)
            return &w->loan[i];
    if (w->n == 2 * MAX_LENT) {
        w->others = true;
        return NULL;
    }
    w->loan[w->n] = (struct loan){.vreg = v};
    return &w->loan[w->n++];
}

static void note(struct borrower *w, uint32_t v, bool write)
{
    struct loan *l = v && w->a->kind[v] == ALLOC_SLOT ? loan_of(w, v) : NULL;

    if (!l)
        return;
    l->writes_first |= write && !l->uses;
    l->uses++;
}

/* @return false: not such a loop. */
static bool look(struct borrower *w)
{
    const struct alloc *a = w->a;
    const struct ir_block *b = &a->f->blocks[w->block];
    uint32_t first = a->first[w->block], last = first + b->n;

    if ((b->succ[0] != w->block && b->succ[1] != w->block) || b->n > MAX_OPS || b->n_preds > MAX_WAYS ||
        a->calls_before[first] != a->calls_before[last])
        return false;
    for (uint32_t i = 0; i < b->n_preds; i++) {
        uint32_t from = b->preds[i];

        if (from != w->block && (!a->first[from] || a->f->blocks[from].succ[1] != IR_NO_BLOCK))
            return false;
    }
    for (uint32_t i = first; i < last; i++) {
        for (uint32_t u = a->ops[i].use; u < a->ops[i + 1].use; u++)
            note(w, a->uses[u], false);
        note(w, a->ops[i].dst, true);
    }
    return true;
}

static void rename_in(struct alloc *a, struct ir_block *b, uint32_t v, uint32_t t)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_op *op = &b->ops[i];

        for (unsigned k = 0; k < IR_FIELDS; k++)
            if (op->use[k] == v)
                op->use[k] = t;
        for (unsigned k = 0; k < op->n_args; k++)
            if (a->f->args[op->args + k] == v)
                a->f->args[op->args + k] = t;
        if (op->dst == v)
            op->dst = t;
    }
}

/* @return 0 or -ENOMEM. */
static int lend(struct borrower *w, uint32_t v)
{
    struct alloc *a = w->a;
    struct ir_block *b = &a->f->blocks[w->block];
    uint32_t t = alloc_vreg(a, ALLOC_PIECE, a->origin[v], v);

    if (!t)
        return -ENOMEM;
    rename_in(a, b, v, t);
    for (uint32_t i = 0; i < b->n_preds; i++) {
        if (b->preds[i] == w->block)
            continue;
        if (alloc_room(&a->loans, 1, sizeof(struct alloc_loan)))
            return -ENOMEM;
        a->loans.n = a->loans.n ? a->loans.n : 1;
        *alloc_loan(a, a->loans.n) = (struct alloc_loan){t, a->loan[b->preds[i]]};
        a->loan[b->preds[i]] = a->loans.n++;
    }
    return 0;
}

/* Those that are read most, to so many as there are registers; two more are for what stays in slots. */
static int lend_all(struct borrower *w)
{
    const struct alloc *a = w->a;
    uint32_t first = a->first[w->block], last = first + a->f->blocks[w->block].n;
    unsigned spare = (unsigned)__builtin_popcount(alloc_spare(a, first * POINTS, last * POINTS - 1));
    int err = 0;

    if (w->n > spare || w->others)
        spare = spare > 2 ? spare - 2 : 0;
    for (unsigned i = 0; i < spare && i < MAX_LENT && !err; i++) {
        struct loan *best = NULL;

        for (unsigned k = 0; k < w->n; k++)
            if (w->loan[k].uses && !w->loan[k].writes_first && (!best || w->loan[k].uses > best->uses))
                best = &w->loan[k];
        if (!best)
            break;
        err = lend(w, best->vreg);
        best->uses = 0;
    }
    return err;
}

int alloc_lend(struct alloc *a)
{
    struct borrower w = {.a = a};
    int err = 0;

    a->loan = ARENA_ARRAY(a->arena, uint32_t, a->f->n_blocks);
    if (!a->loan)
        return -ENOMEM;
    if (!a->rows || a->by_block)
        return 0;
    for (uint32_t k = 0; k < a->n_order && !err; k++) {
        w.block = a->order[k];
        w.n = 0;
        w.others = false;
        if (look(&w) && w.n)
            err = lend_all(&w);
    }
    return err;
}
