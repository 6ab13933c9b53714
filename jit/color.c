/*
 * Coloring by priority: virtual registers take machine registers one after another, the dearest for their length first,
 * and none is ever moved again in this round. `taken` holds for every point the machine registers in use there; for
 * chunks of points it is summed up twice, so that long segments are asked about and marked in steps of a chunk:
 * any[c] has every register in use somewhere in the chunk, all[c] those in use in all of it (points then need no mark).
 *
 * Costs are counted in reads and writes of memory for each call of the function.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64, MAX_WISHES = 16, MAX_WISHES_DEEP = 4 };

/* Saving and restoring a register in the function's own prologue and epilogue. */
#define KEEP_COST 2.0f
/* A constant is made anew for less than memory is read. */
#define MAKE_COST 0.4f
/* A move between registers. */
#define MOVE_COST 0.5f

struct wish {
    uint32_t vreg;
    struct alloc_wish wish;
};

struct color {
    struct alloc *a;
    uint32_t *taken, *any, *all;
    float *cost;         /* of having no register */
    uint32_t *length;    /* points in which it is live */
    uint8_t *late;       /* read late by something: first among what must get a register */
    double *call_cost;   /* of one save and restore around the calls before this one, summed */
    struct wish *wishes; /* as they are found */
    size_t n_wishes, wish_room;
    uint32_t *wish_at; /* of each virtual register: its first in `sorted` */
    struct alloc_wish *sorted;
    int err;
};

/* ---- Points ---- */

static uint32_t taken_in(const struct color *c, uint32_t from, uint32_t to)
{
    uint32_t first = from / CHUNK, last = to / CHUNK, out = c->all[first] | c->all[last];

    if (first == last) {
        for (uint32_t p = from; p <= to; p++)
            out |= c->taken[p];
        return out;
    }
    for (uint32_t p = from; p < (first + 1) * CHUNK; p++)
        out |= c->taken[p];
    for (uint32_t k = first + 1; k < last; k++)
        out |= c->any[k];
    for (uint32_t p = last * CHUNK; p <= to; p++)
        out |= c->taken[p];
    return out;
}

static void take(struct color *c, uint32_t from, uint32_t to, uint32_t regs)
{
    uint32_t first = from / CHUNK, last = to / CHUNK;

    for (uint32_t k = first; k <= last; k++) {
        uint32_t begin = k == first ? from : k * CHUNK, end = k == last ? to : k * CHUNK + CHUNK - 1;

        c->any[k] |= regs;
        if (end - begin == CHUNK - 1)
            c->all[k] |= regs;
        else
            for (uint32_t p = begin; p <= end; p++)
                c->taken[p] |= regs;
    }
}

/* ---- What operations say ---- */

static void wish(struct color *c, uint32_t vreg, uint32_t with, float gain)
{
    if (c->n_wishes == c->wish_room) {
        size_t room = c->wish_room ? c->wish_room * 2 : 256;
        struct wish *more = realloc(c->wishes, room * sizeof(*more));

        if (!more) {
            c->err = -ENOMEM;
            return;
        }
        c->wishes = more;
        c->wish_room = room;
    }
    c->wishes[c->n_wishes++] = (struct wish){vreg, {with, gain}};
}

static void wish_both(struct color *c, uint32_t x, uint32_t y, float gain)
{
    if (x == y)
        return;
    wish(c, x, y, gain);
    wish(c, y, x, gain);
}

static void note_call(struct color *c, uint32_t number, uint32_t block)
{
    struct alloc *a = c->a;

    a->calls[a->n_calls] = number;
    a->call_block[a->n_calls] = block;
    a->n_calls++;
    c->call_cost[a->n_calls] = c->call_cost[a->n_calls - 1] + 2.0 * a->freq[block];
}

static void read_op(struct color *c, struct ir_op *op, uint32_t number, uint32_t block)
{
    struct alloc *a = c->a;
    float freq = a->freq[block], move = freq * MOVE_COST;
    bool call = ir_kinds[op->kind].what & IR_W_CALL;
    uint32_t *uses[IR_MAX_USES], clobbers;
    unsigned n = ir_uses(a->f, op, uses);
    struct jit_needs needs;

    alloc_needs(a, op, &needs);
    clobbers = needs.clobbers & a->target->allocatable;
    a->used |= clobbers;
    if (call) {
        note_call(c, number, block);
        /* What is read after the call cannot be kept around it. */
        clobbers &= needs.late ? UINT32_MAX : ~a->caller_saved;
    }
    if (clobbers)
        take(c, number * POINTS + POINT_CLOBBER, number * POINTS + POINT_CLOBBER, clobbers);
    for (unsigned i = 0; i < n; i++) {
        uint32_t v = *uses[i];

        c->cost[v] += freq;
        if (needs.late >> i & 1)
            c->late[v] = 1;
        if (needs.use[i] != JIT_NO_REG)
            wish(c, v, ALLOC_WISH_REG | needs.use[i], move);
    }
    if (!op->dst)
        return;
    c->cost[op->dst] += freq;
    if (needs.dst != JIT_NO_REG)
        wish(c, op->dst, ALLOC_WISH_REG | needs.dst, move);
    if (op->kind == IR_COPY || (needs.dst_is_a && n))
        wish_both(c, op->dst, op->a, move);
    a->makes[op->dst] = op->kind == IR_CONST && c->length[op->dst] == 0 ? op : NULL;
    c->length[op->dst] = 1;
}

static int read_all(struct color *c)
{
    struct alloc *a = c->a;
    const struct ir_func *f = a->f;

    for (unsigned i = 0; i < IR_PARAMS; i++) {
        c->length[i + 1] = 1;
        wish(c, i + 1, ALLOC_WISH_REG | a->target->params[i], MOVE_COST);
    }
    for (uint32_t k = 0; k < a->n_order && !c->err; k++) {
        struct ir_block *b = &f->blocks[a->order[k]];

        for (uint32_t i = 0; i < b->n; i++) {
            a->calls_before[a->first[a->order[k]] + i] = a->n_calls;
            read_op(c, &b->ops[i], a->first[a->order[k]] + i, a->order[k]);
        }
    }
    a->calls_before[a->n_ops] = a->n_calls;
    return c->err;
}

static int sort_wishes(struct color *c)
{
    struct alloc *a = c->a;
    uint32_t n = a->f->n_vregs, *at = ARENA_ARRAY(&a->arena, uint32_t, (size_t)n + 2);

    c->wish_at = at;
    c->sorted = ARENA_ARRAY(&a->arena, struct alloc_wish, c->n_wishes + 1);
    if (!at || !c->sorted)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_wishes; i++)
        at[c->wishes[i].vreg + 2]++;
    for (uint32_t v = 2; v < n + 2; v++)
        at[v] += at[v - 1];
    for (size_t i = 0; i < c->n_wishes; i++)
        c->sorted[at[c->wishes[i].vreg + 1]++] = c->wishes[i].wish;
    return 0;
}

/* ---- Choice ---- */

/* Adds what v would gain in each machine register because of those that it is copied from or to; partners that have
 * none yet are asked for their own wishes. */
static void vote(const struct color *c, uint32_t v, float share, unsigned deep, float *votes)
{
    uint32_t from = c->wish_at[v], to = c->wish_at[v + 1], most = share < 1 ? MAX_WISHES_DEEP : MAX_WISHES;

    if (to - from > most)
        to = from + most;
    for (uint32_t i = from; i < to; i++) {
        uint32_t with = c->sorted[i].with;
        float gain = c->sorted[i].gain * share;

        if (with & ALLOC_WISH_REG)
            votes[with & ~ALLOC_WISH_REG] += gain;
        else if (c->a->place[with].reg != JIT_NO_REG)
            votes[c->a->place[with].reg] += gain;
        else if (deep && c->a->kind[with] <= ALLOC_TINY)
            vote(c, with, share * 0.5f, deep - 1, votes);
    }
}

static float cost_of_slot(const struct color *c, uint32_t v)
{
    return c->a->makes[v] ? c->cost[v] * MAKE_COST : c->cost[v];
}

/* Calls that a segment lives across, as indices into a->calls: from *from up to but not including *to. */
static void crossed(const struct alloc *a, const struct alloc_segment *s, uint32_t *from, uint32_t *to)
{
    uint32_t first = (s->from + 1) / POINTS, last = s->to / POINTS;

    /* The operation at the end counts when the segment goes beyond what it reads. */
    if (s->to % POINTS != POINT_READ)
        last++;
    *from = a->calls_before[first];
    *to = last > first ? a->calls_before[last] : *from;
}

static void choose(struct color *c, uint32_t v)
{
    struct alloc *a = c->a;
    float votes[JIT_MAX_REGS] = {0}, best_cost = 0;
    uint32_t busy = 0, best = JIT_NO_REG;
    double calls = 0;

    for (uint32_t s = a->head[v]; s; s = a->segments[s].next) {
        uint32_t from, to;

        busy |= taken_in(c, a->segments[s].from, a->segments[s].to);
        crossed(a, &a->segments[s], &from, &to);
        calls += c->call_cost[to] - c->call_cost[from];
        if (!(a->target->allocatable & ~busy))
            return;
    }
    vote(c, v, 1, 2, votes);
    for (uint32_t left = a->target->allocatable & ~busy; left; left &= left - 1) {
        unsigned r = (unsigned)__builtin_ctz(left);
        float cost = -votes[r];

        if (a->caller_saved >> r & 1)
            cost += (float)calls;
        else if (!(a->used >> r & 1))
            cost += KEEP_COST;
        if (best == JIT_NO_REG || cost < best_cost) {
            best = r;
            best_cost = cost;
        }
    }
    if (best == JIT_NO_REG || (a->kind[v] != ALLOC_TINY && best_cost > cost_of_slot(c, v)))
        return;
    a->place[v].reg = (uint8_t)best;
    a->used |= 1u << best;
    for (uint32_t s = a->head[v]; s; s = a->segments[s].next)
        take(c, a->segments[s].from, a->segments[s].to, 1u << best);
}

static void measure(struct color *c)
{
    struct alloc *a = c->a;

    for (uint32_t v = 1; v < a->f->n_vregs; v++) {
        c->length[v] = 0;
        for (uint32_t s = a->head[v]; s; s = a->segments[s].next)
            c->length[v] += a->segments[s].to - a->segments[s].from + 1;
    }
}

/* The dearest for their length come first; before all others what must have a register. */
static uint32_t rank(const struct color *c, uint32_t v)
{
    float weight = cost_of_slot(c, v) / (float)c->length[v];
    uint32_t bits;

    if (c->a->kind[v] == ALLOC_TINY)
        weight = c->late[v] ? 2e30f : 1e30f;
    memcpy(&bits, &weight, sizeof(bits));
    return UINT32_MAX - bits;
}

static int choose_all(struct color *c)
{
    struct alloc *a = c->a;
    uint32_t n = a->f->n_vregs;
    uint64_t *list = ARENA_ARRAY(&a->arena, uint64_t, (size_t)n * 2);
    size_t many = 0;

    if (!list)
        return -ENOMEM;
    measure(c);
    for (uint32_t v = 1; v < n; v++)
        if (a->head[v] && a->kind[v] <= ALLOC_TINY)
            list[many++] = (uint64_t)rank(c, v) << 32 | v;
    alloc_sort(list, list + n, many);
    for (size_t i = 0; i < many; i++) {
        choose(c, (uint32_t)list[i]);
        if (a->kind[(uint32_t)list[i]] == ALLOC_TINY && a->place[(uint32_t)list[i]].reg == JIT_NO_REG)
            return -EINVAL;
    }
    return 0;
}

void alloc_sort(uint64_t *v, uint64_t *tmp, size_t n)
{
    enum { BITS = 11, SIZE = 1 << BITS };
    uint64_t *out = tmp, *in = v;

    if (n < 64) {
        for (size_t i = 1; i < n; i++) {
            uint64_t x = v[i];
            size_t k = i;

            for (; k && v[k - 1] >> 32 > x >> 32; k--)
                v[k] = v[k - 1];
            v[k] = x;
        }
        return;
    }
    for (unsigned shift = 32; shift < 64; shift += BITS) {
        uint32_t at[SIZE + 1] = {0};
        uint64_t *swap = in;

        for (size_t i = 0; i < n; i++)
            at[(in[i] >> shift) % SIZE + 1]++;
        for (unsigned k = 1; k <= SIZE; k++)
            at[k] += at[k - 1];
        for (size_t i = 0; i < n; i++)
            out[at[(in[i] >> shift) % SIZE]++] = in[i];
        in = out;
        out = swap;
    }
    if (in != v)
        memcpy(v, in, n * sizeof(*v));
}

static int color(struct color *c)
{
    struct alloc *a = c->a;
    size_t n = a->f->n_vregs, points = (size_t)a->n_ops * POINTS, calls = 0;
    int err;

    for (uint32_t k = 0; k < a->n_order; k++)
        for (uint32_t i = 0; i < a->f->blocks[a->order[k]].n; i++)
            calls += (ir_kinds[a->f->blocks[a->order[k]].ops[i].kind].what & IR_W_CALL) != 0;
    c->taken = ARENA_ARRAY(&a->arena, uint32_t, points);
    c->any = ARENA_ARRAY(&a->arena, uint32_t, (points / CHUNK + 1) * 2);
    c->cost = ARENA_ARRAY(&a->arena, float, n);
    c->length = ARENA_ARRAY(&a->arena, uint32_t, n);
    c->late = ARENA_ARRAY(&a->arena, uint8_t, n);
    c->call_cost = ARENA_ARRAY(&a->arena, double, calls + 1);
    a->calls = ARENA_ARRAY(&a->arena, uint32_t, calls * 2 + 1);
    a->calls_before = ARENA_ARRAY(&a->arena, uint32_t, (size_t)a->n_ops + 1);
    a->makes = ARENA_ARRAY(&a->arena, const struct ir_op *, n);
    a->place = ARENA_ARRAY(&a->arena, struct jit_place, n);
    if (!c->taken || !c->any || !c->cost || !c->length || !c->late || !c->call_cost || !a->calls || !a->calls_before ||
        !a->makes || !a->place)
        return -ENOMEM;
    c->all = c->any + points / CHUNK + 1;
    a->call_block = a->calls + calls;
    a->n_calls = 0;
    a->used = 0;
    for (size_t v = 0; v < n; v++)
        a->place[v].reg = JIT_NO_REG;
    err = read_all(c);
    if (!err)
        err = sort_wishes(c);
    if (!err)
        err = choose_all(c);
    return err;
}

int alloc_color(struct alloc *a)
{
    struct color c = {.a = a};
    int err = color(&c);

    free(c.wishes);
    return err;
}
