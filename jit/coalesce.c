/*
 * Virtual registers that are never live at the same time and between which a value moves become one unit, which is
 * given a machine register as a whole: then the move is none. The most frequent moves come first.
 *
 * A unit is known by one of its members (unit[] leads to it), whose list of segments holds those of all; members form a
 * ring. A unit that finds no machine register is dissolved, so that being together never costs anyone his place.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lists of segments are gone through so far and no farther: what is left out costs a move, never time. */
enum { STEPS = 192 };

#define COPY_FIRST 2.0f

uint32_t alloc_unit(const struct alloc *a, uint32_t v)
{
    while (a->unit[v] != v)
        v = a->unit[v] = a->unit[a->unit[v]];
    return v;
}

/* A copy after which both go on: until its block ends, or one is written again, they are the same. */
struct copy {
    uint32_t dst, src;  /* IR_NONE: no copy */
    uint32_t from, end; /* the point where it writes, and the last of its block */
};

static bool same_value(const struct copy *copy, const struct alloc_segment *p, const struct alloc_segment *q)
{
    const struct alloc_segment *d = p->vreg == copy->dst ? p : q, *s = p->vreg == copy->dst ? q : p;

    return d->vreg == copy->dst && s->vreg == copy->src && d->from == copy->from && s->from < copy->from &&
           (d->to < s->to ? d->to : s->to) <= copy->end;
}

/* Segments of one unit that reach over the point of the sweep: more than one, where copies of a value overlap. */
struct active {
    const struct alloc_segment *at[4];
    unsigned n;
};

static void drop_ended(struct active *list, uint32_t point)
{
    unsigned n = 0;

    for (unsigned i = 0; i < list->n; i++)
        if (list->at[i]->to >= point)
            list->at[n++] = list->at[i];
    list->n = n;
}

static bool apart(const struct alloc *a, uint32_t x, uint32_t y, const struct copy *copy)
{
    uint32_t s = a->head[x], t = a->head[y];
    struct active active[2] = {{.n = 0}, {.n = 0}};

    for (unsigned steps = 0; (s || active[0].n) && (t || active[1].n) && (s || t); steps++) {
        bool second = !s || (t && alloc_segment(a, t)->from < alloc_segment(a, s)->from);
        const struct alloc_segment *p = alloc_segment(a, second ? t : s);
        struct active *own = &active[second], *other = &active[!second];

        drop_ended(own, p->from);
        drop_ended(other, p->from);
        for (unsigned i = 0; i < other->n; i++)
            if (!same_value(copy, p, other->at[i]))
                return false;
        if (steps == STEPS || own->n == 4)
            return false;
        own->at[own->n++] = p;
        if (second)
            t = p->next;
        else
            s = p->next;
    }
    return true;
}

static void unite(struct alloc *a, uint32_t x, uint32_t y)
{
    uint32_t s = a->head[x], t = a->head[y], *at = &a->head[x], ring = a->member[x];

    while (s && t) {
        uint32_t *first = alloc_segment(a, s)->from < alloc_segment(a, t)->from ? &s : &t;

        *at = *first;
        at = &alloc_segment(a, *first)->next;
        *first = *at;
    }
    *at = s ? s : t;
    a->unit[y] = x;
    a->member[x] = a->member[y];
    a->member[y] = ring;
}

static bool may(const struct alloc *a, uint32_t v)
{
    return a->head[v] && a->kind[v] <= ALLOC_PIECE;
}

static bool join(struct alloc *a, uint32_t x, uint32_t y, const struct copy *copy)
{
    if (!may(a, x) || !may(a, y))
        return false;
    x = alloc_unit(a, x);
    y = alloc_unit(a, y);
    if (x == y)
        return true;
    if (!apart(a, x, y, copy))
        return false;
    unite(a, x, y);
    return true;
}

static void join_block(struct alloc *a, uint32_t block, bool copies)
{
    const struct ir_block *b = &a->f->blocks[block];
    uint32_t first = a->first[block];

    for (uint32_t i = 0; i < b->n; i++) {
        const struct alloc_op *op = &a->ops[first + i];
        struct copy copy = {.from = (first + i) * POINTS + POINT_WRITE, .end = (first + b->n) * POINTS - 1};

        if (!op->tied || copies != (b->ops[i].kind == IR_COPY))
            continue;
        if (copies) {
            copy.dst = op->dst;
            copy.src = a->uses[op->use];
        }
        if (join(a, op->dst, a->uses[op->use + op->tied - 1], &copy))
            continue;
        /* Another operand will do where the two may change places. */
        if (b->ops[i].kind == IR_SELECT)
            join(a, op->dst, b->ops[i].yes, &copy);
        else if (ir_kinds[b->ops[i].kind].what & IR_W_COMM && op[1].use - op->use > 1 && !(b->ops[i].flags & IR_MEM))
            join(a, op->dst, a->uses[op->use + 1], &copy);
    }
}

int alloc_coalesce(struct alloc *a)
{
    uint32_t n = a->f->n_vregs;
    uint64_t *list = ARENA_ARRAY(&a->arena, uint64_t, (size_t)a->n_order * 4);

    a->unit = ARENA_ARRAY(&a->arena, uint32_t, n);
    a->member = ARENA_ARRAY(&a->arena, uint32_t, n);
    if (!list || !a->unit || !a->member)
        return -ENOMEM;
    for (uint32_t v = 0; v < n; v++)
        a->unit[v] = a->member[v] = v;
    /* A copy vanishes; another move may be had from the other operand too. */
    for (uint32_t k = 0; k < 2 * a->n_order; k++) {
        float weight = a->freq[a->order[k / 2]] * (k & 1 ? 1 : COPY_FIRST);
        uint32_t bits;

        memcpy(&bits, &weight, sizeof(bits));
        list[k] = (uint64_t)(UINT32_MAX - bits) << 32 | a->order[k / 2] * 2 | (k & 1);
    }
    alloc_sort(list, list + (size_t)2 * a->n_order, (size_t)2 * a->n_order);
    for (uint32_t k = 0; k < 2 * a->n_order; k++)
        join_block(a, (uint32_t)list[k] / 2, !(list[k] & 1));
    return 0;
}

void alloc_dissolve(struct alloc *a, uint32_t unit)
{
    uint32_t s = a->head[unit], v = unit, back = 0;

    if (a->member[unit] == unit)
        return;
    do {
        uint32_t next = a->member[v];

        a->unit[v] = a->member[v] = v;
        a->head[v] = 0;
        v = next;
    } while (v != unit);
    while (s) {
        uint32_t next = alloc_segment(a, s)->next;

        alloc_segment(a, s)->next = back;
        back = s;
        s = next;
    }
    while (back) {
        struct alloc_segment *p = alloc_segment(a, back);
        uint32_t next = p->next;

        p->next = a->head[p->vreg];
        a->head[p->vreg] = back;
        back = next;
    }
}
