/*
 * Coloring by priority: virtual registers take machine registers one after another, the dearest for their length first,
 * and none is ever moved again in this round. `taken` says where each machine register is in use: a row of masks for
 * every CHUNK of points, a mask a register, so that a segment is asked about and marked in steps of a chunk, of all
 * registers at once.
 *
 * Costs are counted in reads and writes of memory for each call of the function.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16, LARGE = 1 << 12 };

/* Masks of so many registers, a bit a point: four a word, the first lowest. A target that has more registers has
 * several of these a chunk. */
enum { LANES = 16, WORDS = LANES * CHUNK / 64 };
struct alloc_row {
    uint64_t of[WORDS];
};
_Static_assert(JIT_MAX_REGS <= 2 * LANES, "two rows at most");

/* So many wishes of a register are looked at. */
enum { WISHES = 16 };

/* What was put in to use what is left over does not take from what had a register before. */
#define PIECES_LATER 0.1f

/* Below so many points being shorter makes little difference. */
#define SHORT 30.0f

/* Where a value goes in the end counts as part of a move. */
#define WANT 0.25f

/* Saving and restoring a register in the function's own prologue and epilogue. */
#define KEEP_COST 2.0f
/* A constant is made anew for less than memory is read. */
#define MAKE_COST 0.4f

struct color {
    struct alloc *a;
    struct alloc_row *taken;
    unsigned rows;     /* a chunk */
    double *call_cost; /* of one save and restore around each of the calls before this one, summed */
    uint64_t *heap;    /* members of units that were dissolved, by rank */
    size_t n_heap;
    uint32_t *parts; /* room for the members of a unit */
};

struct votes {
    uint32_t regs; /* those that have any */
    float gain[JIT_MAX_REGS];
};

/* ---- Points ---- */

/* The points of a chunk from one to another, both of it. */
static uint64_t part(uint32_t from, uint32_t to)
{
    return (uint16_t)(UINT16_MAX << from % CHUNK & UINT16_MAX >> (CHUNK - 1 - to % CHUNK));
}

static void add(struct alloc_row *sum, const struct alloc_row *of, uint64_t points)
{
    points *= 0x0001000100010001; /* of each register */
    for (unsigned i = 0; i < WORDS; i++)
        sum->of[i] |= of->of[i] & points;
}

/* Adds, for the registers of this row, what is taken between these points, both included. */
static void add_taken(const struct alloc *a, uint32_t from, uint32_t to, unsigned r, struct alloc_row *sum)
{
    const struct alloc_row *at = a->taken + (size_t)(from / CHUNK) * a->rows + r;
    const struct alloc_row *last = a->taken + (size_t)(to / CHUNK) * a->rows + r;

    if (at == last) {
        add(sum, at, part(from, to));
        return;
    }
    add(sum, at, part(from, CHUNK - 1));
    while ((at += a->rows) < last)
        add(sum, at, UINT16_MAX);
    add(sum, last, part(0, to));
}

/* A bit a register: has it any point? */
static uint32_t have_any(const struct alloc_row *row)
{
    const uint64_t low = 0x7fff7fff7fff7fff;
    uint32_t out = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t any = (((row->of[i] & low) + low) | row->of[i]) >> 15 & 0x0001000100010001;

        /* The product brings the four bits side by side. */
        out |= (uint32_t)(any * 0x0001000200040008 >> 48 & 15) << 4 * i;
    }
    return out;
}

/* Registers that are free in all segments from this one on. */
static uint32_t spare_in(const struct alloc *a, uint32_t segment)
{
    uint32_t taken = 0;

    for (unsigned r = 0; r < a->rows; r++) {
        struct alloc_row sum = {{0}};

        for (uint32_t s = segment; s; s = alloc_segment(a, s)->next)
            add_taken(a, alloc_segment(a, s)->from, alloc_segment(a, s)->to, r, &sum);
        taken |= have_any(&sum) << r * LANES;
    }
    return a->target->allocatable & ~taken;
}

uint32_t alloc_spare(const struct alloc *a, uint32_t from, uint32_t to)
{
    uint32_t taken = 0;

    for (unsigned r = 0; r < a->rows; r++) {
        struct alloc_row sum = {{0}};

        add_taken(a, from, to, r, &sum);
        taken |= have_any(&sum) << r * LANES;
    }
    return a->target->allocatable & ~taken;
}

static void take(struct alloc *a, uint32_t from, uint32_t to, unsigned reg)
{
    uint32_t k = from / CHUNK, last = to / CHUNK;
    unsigned shift = reg % 4 * CHUNK;
    uint64_t *at = &a->taken[(size_t)k * a->rows + reg / LANES].of[reg % LANES / 4];
    size_t step = a->rows * (size_t)WORDS;

    if (k == last) {
        *at |= part(from, to) << shift;
        return;
    }
    *at |= part(from, CHUNK - 1) << shift;
    for (at += step; ++k < last; at += step)
        *at |= (uint64_t)UINT16_MAX << shift;
    *at |= part(0, to) << shift;
}

/* ---- Choice ---- */

static void vote(struct votes *votes, uint32_t reg, float gain)
{
    if (!(votes->regs >> reg & 1))
        votes->gain[reg] = 0;
    votes->regs |= 1u << reg;
    votes->gain[reg] += gain;
}

/* What v would gain in each machine register: where operations want it, and those are that it is copied from or to. */
static void ask(const struct alloc *a, uint32_t v, struct votes *votes)
{
    unsigned most = WISHES;
    float gain = 0;

    for (uint32_t i = a->wish[v]; i && most--; i = alloc_wish(a, i)->next) {
        const struct alloc_wish *w = alloc_wish(a, i);

        gain = w->gain;
        if (w->with & ALLOC_WISH_REG)
            vote(votes, w->with & ~ALLOC_WISH_REG, gain);
        else if (a->place[w->with].reg != JIT_NO_REG)
            vote(votes, a->place[w->with].reg, gain);
    }
    if (a->want[v] != JIT_NO_REG)
        vote(votes, a->want[v], gain * WANT);
}

static float cost_of_one(const struct alloc *a, uint32_t v)
{
    return a->makes[v] ? a->cost[v] * MAKE_COST : a->cost[v];
}

static float cost_of_slot(const struct alloc *a, uint32_t unit)
{
    float cost = cost_of_one(a, unit);

    for (uint32_t v = a->member[unit]; v != unit; v = a->member[v])
        cost += cost_of_one(a, v);
    return cost;
}

/* What calls make of lying in a register that they destroy. */
static float cost_of_calls(const struct color *c, uint32_t v)
{
    const struct alloc *a = c->a;
    double cost = 0;

    for (uint32_t s = a->head[v]; s; s = alloc_segment(a, s)->next) {
        uint32_t from, n = alloc_crossed(a, s, &from);

        if (n)
            cost += c->call_cost[from + n] - c->call_cost[from];
    }
    return (float)cost;
}

static uint32_t lowest(uint32_t regs)
{
    return regs & (0 - regs);
}

/* Registers without votes are alike within three kinds; of each one will do. */
static unsigned best_of(const struct color *c, uint32_t unit, uint32_t spare, float *cost)
{
    const struct alloc *a = c->a;
    float calls = cost_of_calls(c, unit);
    struct votes votes = {.regs = 0};
    unsigned best = JIT_NO_REG;
    uint32_t v = unit;

    do
        ask(a, v, &votes);
    while ((v = a->member[v]) != unit);
    spare = (spare & votes.regs) | lowest(spare & a->caller_saved) | lowest(spare & ~a->caller_saved & a->used) |
            lowest(spare & ~a->caller_saved & ~a->used);
    for (; spare; spare &= spare - 1) {
        unsigned r = (unsigned)__builtin_ctz(spare);
        float own = votes.regs >> r & 1 ? -votes.gain[r] : 0;

        if (a->caller_saved >> r & 1)
            own += calls;
        else if (!(a->used >> r & 1))
            own += KEEP_COST;
        if (best == JIT_NO_REG || own < *cost) {
            best = r;
            *cost = own;
        }
    }
    return best;
}

/* @return did the unit get a machine register? */
static bool choose(struct color *c, uint32_t unit)
{
    struct alloc *a = c->a;
    uint32_t spare, v = unit;
    unsigned best;
    float cost = 0;

    spare = spare_in(a, a->head[unit]);
    if (!spare)
        return false;
    best = best_of(c, unit, spare, &cost);
    if (a->kind[unit] != ALLOC_TINY && cost > cost_of_slot(a, unit))
        return false;
    do
        a->place[v].reg = (uint8_t)best;
    while ((v = a->member[v]) != unit);
    a->used |= 1u << best;
    for (uint32_t s = a->head[unit]; s; s = alloc_segment(a, s)->next)
        take(a, alloc_segment(a, s)->from, alloc_segment(a, s)->to, best);
    return true;
}

/* The dearest for their length come first; before all others what must have a register. */
static uint32_t rank(const struct alloc *a, uint32_t v)
{
    uint32_t length = 0, bits;
    float weight;

    for (uint32_t s = a->head[v]; s; s = alloc_segment(a, s)->next)
        length += alloc_segment(a, s)->to - alloc_segment(a, s)->from + 1;
    weight = cost_of_slot(a, v) / ((float)length + SHORT);
    if (a->kind[v] == ALLOC_PIECE)
        weight *= PIECES_LATER;
    if (a->kind[v] == ALLOC_TINY)
        weight = a->flags[v] & ALLOC_F_LATE ? 2e30f : 1e30f;
    memcpy(&bits, &weight, sizeof(bits));
    /* What weighs about the same goes by number, in large functions above all, so that neighbours are met together. */
    bits &= a->f->n_vregs > LARGE ? ~0x1fffffu : ~0xffffu;
    return UINT32_MAX - bits;
}

/* ---- Order ---- */

static void push(struct color *c, uint64_t x)
{
    size_t at = c->n_heap++;

    for (; at && c->heap[(at - 1) / 2] > x; at = (at - 1) / 2)
        c->heap[at] = c->heap[(at - 1) / 2];
    c->heap[at] = x;
}

static uint64_t pop(struct color *c)
{
    uint64_t top = c->heap[0], x = c->heap[--c->n_heap];
    size_t at = 0, n = c->n_heap;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < n && c->heap[child + 1] < c->heap[child])
            child++;
        if (child >= n || c->heap[child] >= x)
            break;
        c->heap[at] = c->heap[child];
        at = child;
    }
    c->heap[at] = x;
    return top;
}

/* The unit finds no room, or is not worth what there is: its members try for themselves when it is their turn. */
static void dissolve(struct color *c, uint32_t unit)
{
    struct alloc *a = c->a;
    uint32_t v = unit, n = 0, *members = c->parts;

    do
        members[n++] = v;
    while ((v = a->member[v]) != unit);
    alloc_dissolve(a, unit);
    for (uint32_t i = 0; i < n; i++)
        push(c, (uint64_t)rank(a, members[i]) << 32 | members[i]);
}

static int choose_all(struct color *c)
{
    struct alloc *a = c->a;
    uint32_t n = a->f->n_vregs;
    uint64_t *list = ARENA_ARRAY(a->arena, uint64_t, (size_t)n * 2);
    size_t many = 0;

    if (!list)
        return -ENOMEM;
    for (uint32_t v = 1; v < n; v++)
        if (a->head[v] && a->kind[v] <= ALLOC_TINY && a->unit[v] == v)
            list[many++] = (uint64_t)rank(a, v) << 32 | v;
    alloc_sort(list, list + n, many);
    c->heap = list + n;
    c->parts = ARENA_ARRAY(a->arena, uint32_t, n);
    if (!c->parts)
        return -ENOMEM;
    for (size_t i = 0; i < many || c->n_heap;) {
        uint64_t next = c->n_heap && (i == many || c->heap[0] < list[i]) ? pop(c) : list[i++];
        uint32_t v = (uint32_t)next;

        if (choose(c, v))
            continue;
        if (a->member[v] != v)
            dissolve(c, v);
        else if (a->kind[v] == ALLOC_TINY)
            return -EINVAL;
    }
    for (uint32_t v = 1; v < n; v++)
        if (a->unit[v] == v)
            alloc_dissolve(a, v);
    return 0;
}

void alloc_sort(uint64_t *v, uint64_t *tmp, size_t n)
{
    uint32_t bits = n < 4096 ? 8 : 11, size = 1u << bits, at[(1 << 11) + 1];
    uint64_t *in = v, *out = tmp;

    if (n < 48) {
        for (size_t i = 1; i < n; i++) {
            uint64_t x = v[i];
            size_t k = i;

            for (; k && v[k - 1] >> 32 > x >> 32; k--)
                v[k] = v[k - 1];
            v[k] = x;
        }
        return;
    }
    for (unsigned shift = 32; shift < 64; shift += bits) {
        uint64_t *swap = in;

        memset(at, 0, (size + 1) * sizeof(*at));
        for (size_t i = 0; i < n; i++)
            at[(in[i] >> shift & (size - 1)) + 1]++;
        if (at[(in[0] >> shift & (size - 1)) + 1] == n) /* all have the same digit */
            continue;
        for (unsigned k = 1; k <= size; k++)
            at[k] += at[k - 1];
        for (size_t i = 0; i < n; i++)
            out[at[in[i] >> shift & (size - 1)]++] = in[i];
        in = out;
        out = swap;
    }
    if (in != v)
        memcpy(v, in, n * sizeof(*v));
}

int alloc_color(struct alloc *a)
{
    struct color c = {.a = a};
    size_t n = a->f->n_vregs, points = (size_t)a->n_ops * POINTS;

    a->rows = a->target->allocatable >> LANES ? 2 : 1; /* a chunk */
    a->taken = ARENA_ARRAY(a->arena, struct alloc_row, (points / CHUNK + 1) * a->rows);
    c.call_cost = ARENA_ARRAY(a->arena, double, (size_t)a->n_calls + 1);
    a->place = ARENA_ARRAY(a->arena, struct jit_place, n);
    if (!a->taken || !c.call_cost || !a->place)
        return -ENOMEM;
    for (uint32_t i = 0; i < a->n_calls; i++)
        c.call_cost[i + 1] = c.call_cost[i] + 2.0 * a->freq[a->call_block[i]];
    for (uint32_t i = 0; i < a->n_clobbers; i++) {
        uint32_t at = a->clobbers[2 * (size_t)i] * POINTS + POINT_CLOBBER;

        for (uint32_t regs = a->clobbers[2 * (size_t)i + 1]; regs; regs &= regs - 1)
            take(a, at, at, (unsigned)__builtin_ctz(regs));
    }
    for (size_t v = 0; v < n; v++)
        a->place[v].reg = JIT_NO_REG;
    return choose_all(&c);
}
