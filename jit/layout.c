/*
 * How often blocks run, by guess, and the order in which they are laid out.
 *
 * Order is by chains (Pettis and Hansen, bottom up): every block begins as its own; the most frequent edges first, the
 * end of one chain is joined with the beginning of another, so that control falls through there. Of the edges that make
 * a loop one must stay a jump. Best is one that leaves a block where the loop may end: that block has a conditional
 * jump anyway, which then is the only one. Such edges therefore come after the others of their frequency.
 */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOP_RUNS      8.0f
#define MOST_RUNS      32768.0f
#define LIKELY         0.95f
#define TO_TRAP        0.005f
#define TO_EXIT        0.25f
#define EQUAL_TO_IMM   0.4f
#define RARELY         0.02f /* what does not trap runs at least so often for each run of the loop that it is in */
#define AFTER_THE_REST 0.9f

struct layout {
    const struct ir_func *f;
    uint32_t *order; /* reverse postorder */
    uint32_t n;
    uint32_t *at;    /* of each block: its place in that order; IR_NO_BLOCK: cannot be reached */
    uint8_t *leaves; /* it only sets the result and goes on to the function's end */
    float *freq;
    /* Chains: next block, and at either end the other end. */
    uint32_t *next, *other;
    uint8_t *inside; /* has a block before it in its chain */
};

static bool only_leaves(const struct layout *l, const struct ir_block *b)
{
    const struct ir_op *end = &b->ops[b->n - 1];

    for (uint32_t i = 0; i + 1 < b->n; i++)
        if (b->ops[i].kind != IR_CONST && b->ops[i].kind != IR_COPY)
            return false;
    return end->kind == IR_EXIT || (end->kind == IR_JMP && l->leaves[b->succ[0]]);
}

static bool ends_loop(const struct layout *l, uint32_t block, uint32_t to)
{
    const struct ir_block *b = &l->f->blocks[block], *t = &l->f->blocks[to];

    return t->depth < b->depth || (t->depth == b->depth && t->loop_head && b->depth && l->at[to] > l->at[block]);
}

/* How probably a branch goes to succ[0]. */
static float chance(const struct layout *l, uint32_t block)
{
    const struct ir_block *b = &l->f->blocks[block];
    const struct ir_op *op = &b->ops[b->n - 1];
    uint32_t yes = b->succ[0], no = b->succ[1];
    bool ends_yes, ends_no;

    if (no == IR_NO_BLOCK || yes == no)
        return 1;
    if (l->f->blocks[yes].cold != l->f->blocks[no].cold)
        return l->f->blocks[yes].cold ? TO_TRAP : 1 - TO_TRAP;
    if (op->flags & (IR_LIKELY | IR_UNLIKELY))
        return op->flags & IR_LIKELY ? LIKELY : 1 - LIKELY;
    ends_yes = ends_loop(l, block, yes);
    ends_no = ends_loop(l, block, no);
    if (ends_yes != ends_no)
        return ends_yes ? 1 / LOOP_RUNS : 1 - 1 / LOOP_RUNS;
    if (l->leaves[yes] != l->leaves[no])
        return l->leaves[yes] ? TO_EXIT : 1 - TO_EXIT;
    if (op->flags & IR_IMM && (op->cc == IR_EQ || op->cc == IR_NE))
        return op->cc == IR_EQ ? EQUAL_TO_IMM : 1 - EQUAL_TO_IMM;
    return 0.5f;
}

static void guess(struct layout *l)
{
    for (uint32_t k = l->n; k-- > 0;)
        l->leaves[l->order[k]] = only_leaves(l, &l->f->blocks[l->order[k]]);
    l->freq[0] = 1;
    for (uint32_t k = 0; k < l->n; k++) {
        uint32_t block = l->order[k];
        const struct ir_block *b = &l->f->blocks[block];
        float runs = l->freq[block], least = RARELY, p;

        if (b->loop_head)
            runs *= LOOP_RUNS;
        for (uint32_t d = 0; d < b->depth && least < MOST_RUNS; d++)
            least *= LOOP_RUNS;
        if (!b->cold && runs < least)
            runs = least;
        l->freq[block] = runs = runs > MOST_RUNS ? MOST_RUNS : runs;
        p = chance(l, block);
        for (unsigned s = 0; s < 2; s++)
            if (b->succ[s] != IR_NO_BLOCK && l->at[b->succ[s]] > k)
                l->freq[b->succ[s]] += runs * (s ? 1 - p : p);
    }
}

static void join(struct layout *l, uint32_t from, uint32_t to)
{
    uint32_t head = l->other[from], tail = l->other[to];

    l->next[from] = to;
    l->inside[to] = 1;
    l->other[head] = tail;
    l->other[tail] = head;
}

/* Edges as from * 2 + which successor, the most frequent first. */
static int sort_edges(const struct layout *l, uint64_t **out, size_t *n)
{
    uint64_t *list = ARENA_ROOM(&l->f->ir->scratch, uint64_t, (size_t)l->n * 4);

    if (!list)
        return -ENOMEM;
    *n = 0;
    for (uint32_t k = 0; k < l->n; k++) {
        uint32_t block = l->order[k], bits;
        const struct ir_block *b = &l->f->blocks[block];
        float p = chance(l, block);
        bool may_end =
            b->succ[1] != IR_NO_BLOCK && (ends_loop(l, block, b->succ[0]) || ends_loop(l, block, b->succ[1]));

        for (unsigned s = 0; s < 2 && b->succ[s] != IR_NO_BLOCK; s++) {
            float weight = l->freq[block] * (s ? 1 - p : p);

            if (may_end && !ends_loop(l, block, b->succ[s]))
                weight *= AFTER_THE_REST;
            memcpy(&bits, &weight, sizeof(bits));
            list[(*n)++] = (uint64_t)(UINT32_MAX - bits) << 32 | (block * 2 + s);
        }
    }
    alloc_sort(list, list + (size_t)l->n * 2, *n);
    *out = list;
    return 0;
}

static int chain(struct layout *l)
{
    uint64_t *edges;
    size_t n;
    int err = sort_edges(l, &edges, &n);

    if (err)
        return err;
    for (uint32_t b = 0; b < l->f->n_blocks; b++) {
        l->next[b] = IR_NO_BLOCK;
        l->other[b] = b;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t from = (uint32_t)edges[i] / 2, to = l->f->blocks[from].succ[edges[i] & 1];

        /* The entry stays first; a chain is not closed to a circle; what traps stays out of the way. */
        if (!to || l->f->blocks[from].cold != l->f->blocks[to].cold || l->next[from] != IR_NO_BLOCK || l->inside[to] ||
            l->other[from] == to)
            continue;
        join(l, from, to);
    }
    return 0;
}

/* Chains go where the first of their blocks would: those that run often, then the rare, then those that trap. */
static void place_chains(struct layout *l, uint32_t *out)
{
    uint32_t n = 0;

    for (unsigned rank = 0; rank < 3; rank++)
        for (uint32_t k = 0; k < l->n; k++) {
            uint32_t head = l->order[k];
            const struct ir_block *b = &l->f->blocks[head];
            unsigned own = b->cold ? 2 : head && l->freq[head] < 0.1f && !b->depth ? 1 : 0;

            if (l->inside[head] || own != rank)
                continue;
            for (uint32_t at = head; at != IR_NO_BLOCK; at = l->next[at])
                out[n++] = at;
        }
}

static int plain_order(const struct layout *l, uint32_t *out)
{
    uint32_t n = 0;

    for (uint32_t b = 0; b < l->f->n_blocks; b++)
        if (l->at[b] != IR_NO_BLOCK)
            out[n++] = b;
    return 0;
}

static int lay_out(struct layout *l, bool plain, uint32_t *out)
{
    int err;

    for (uint32_t b = 0; b < l->f->n_blocks; b++)
        l->at[b] = IR_NO_BLOCK;
    for (uint32_t k = 0; k < l->n; k++)
        l->at[l->order[k]] = k;
    guess(l);
    if (plain)
        return plain_order(l, out);
    err = chain(l);
    if (!err)
        place_chains(l, out);
    return err;
}

int jit_layout(const struct ir_func *f, bool plain, float *freq, uint32_t **order, uint32_t *n)
{
    struct layout l = {.f = f, .freq = freq};
    struct arena *scratch = &f->ir->scratch;
    uint32_t *out;
    int err = -ENOMEM;

    l.order = ir_order(f, &l.n);
    if (!l.order)
        return -ENOMEM;
    out = malloc(l.n * sizeof(*out));
    l.at = ARENA_ROOM(scratch, uint32_t, f->n_blocks);
    l.next = ARENA_ROOM(scratch, uint32_t, f->n_blocks);
    l.other = ARENA_ROOM(scratch, uint32_t, f->n_blocks);
    l.leaves = ARENA_ARRAY(scratch, uint8_t, f->n_blocks);
    l.inside = ARENA_ARRAY(scratch, uint8_t, f->n_blocks);
    memset(freq, 0, f->n_blocks * sizeof(*freq));
    if (out && l.at && l.next && l.other && l.leaves && l.inside)
        err = lay_out(&l, plain, out);
    *order = out;
    *n = l.n;
    if (err) {
        free(out);
        *order = NULL;
    }
    return err;
}
