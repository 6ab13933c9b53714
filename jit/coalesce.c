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

/* The last point of the block that an operation stands in. */
static uint32_t end_of_block(const struct alloc *a, uint32_t number)
{
    uint32_t low = 0, high = a->n_order;

    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;

        if (a->first[a->order[mid]] <= number)
            low = mid;
        else
            high = mid;
    }
    return (a->first[a->order[low]] + a->f->blocks[a->order[low]].n) * POINTS - 1;
}

/* Does d begin as a copy of s? Until their block ends, or one of them does, they are the same. */
static bool is_copy(const struct alloc *a, const struct alloc_segment *d, const struct alloc_segment *s)
{
    const struct alloc_op *op = &a->ops[d->from / POINTS];

    return d->from % POINTS == POINT_WRITE && op->copy && op->dst == d->vreg && a->uses[op->use] == s->vreg &&
           s->from < d->from && (d->to < s->to ? d->to : s->to) <= end_of_block(a, d->from / POINTS);
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

/* Do these two share points otherwise than as copies? */
static bool clash(const struct alloc *a, const struct alloc_segment *p, const struct alloc_segment *q)
{
    return p->from <= q->to && q->from <= p->to && !is_copy(a, p, q) && !is_copy(a, q, p);
}

static bool apart(const struct alloc *a, uint32_t x, uint32_t y)
{
    uint32_t s = a->head[x], t = a->head[y];
    struct active active[2];

    if (a->end[x] < alloc_segment(a, t)->from || a->end[y] < alloc_segment(a, s)->from)
        return true;
    /* What was joined last is where most that clash do. */
    if (clash(a, alloc_segment(a, a->tail[x]), alloc_segment(a, a->tail[y])))
        return false;
    active[0].n = active[1].n = 0;
    for (unsigned steps = 0; (s || active[0].n) && (t || active[1].n) && (s || t); steps++) {
        bool second = !s || (t && alloc_segment(a, t)->from < alloc_segment(a, s)->from);
        const struct alloc_segment *p = alloc_segment(a, second ? t : s);
        struct active *own = &active[second], *other = &active[!second];

        drop_ended(own, p->from);
        drop_ended(other, p->from);
        for (unsigned i = 0; i < other->n; i++)
            if (!is_copy(a, p, other->at[i]) && !is_copy(a, other->at[i], p))
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

/* x stands for both. Mostly one comes after the other: then the lists are only linked. */
static void unite(struct alloc *a, uint32_t x, uint32_t y)
{
    uint32_t s = a->head[x], t = a->head[y], *at = &a->head[x], ring = a->member[x];
    bool last = alloc_segment(a, a->tail[x])->from < alloc_segment(a, a->tail[y])->from;

    if (alloc_segment(a, a->tail[x])->from < alloc_segment(a, t)->from) {
        at = &alloc_segment(a, a->tail[x])->next;
        s = 0;
    } else if (alloc_segment(a, a->tail[y])->from < alloc_segment(a, s)->from) {
        a->head[x] = t;
        at = &alloc_segment(a, a->tail[y])->next;
        t = 0;
    }
    a->tail[x] = last ? a->tail[y] : a->tail[x];
    a->end[x] = a->end[x] > a->end[y] ? a->end[x] : a->end[y];
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

static bool join(struct alloc *a, uint32_t x, uint32_t y)
{
    if (!may(a, x) || !may(a, y))
        return false;
    x = alloc_unit(a, x);
    y = alloc_unit(a, y);
    if (x == y)
        return true;
    if (!apart(a, x, y))
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

        if (!op->tied || copies != op->copy)
            continue;
        if (join(a, op->dst, a->uses[op->use + op->tied - 1]))
            continue;
        /* Another operand will do where the two may change places. */
        if (b->ops[i].kind == IR_SELECT)
            join(a, op->dst, b->ops[i].yes);
        else if (ir_kinds[b->ops[i].kind].what & IR_W_COMM && op[1].use - op->use > 1 && !(b->ops[i].flags & IR_MEM))
            join(a, op->dst, a->uses[op->use + 1]);
    }
}

int alloc_coalesce(struct alloc *a)
{
    uint32_t n = a->f->n_vregs;
    uint64_t *list = ARENA_ARRAY(a->arena, uint64_t, (size_t)a->n_order * 4);

    a->unit = ARENA_ARRAY(a->arena, uint32_t, n);
    a->member = ARENA_ARRAY(a->arena, uint32_t, n);
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
