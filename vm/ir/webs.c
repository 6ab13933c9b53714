/*
 * One virtual register a web. Of a few registers that are written again and again (those of the program, promoted stack
 * slots) each value, or the values that meet in one use, gets a register of its own, so that it is live where it is
 * needed and lies where that is best.
 *
 * Registers are bits of a mask. Liveness over the blocks comes first; then each block that a register is live into, and
 * each write, is an element, and elements that one use may see are united along the edges. Linear but for the
 * unions: a block's mask grows at most 64 times, and as a rule settles in two or three visits.
 *
 * On the way, what reads a copy reads what was copied instead, as long as neither was written since: two in five of a
 * compiler's instructions are copies that nobody reads then, and they are left out at once.
 */
#include "vm/ir/build.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct webs {
    struct ir_func *f;
    uint32_t first; /* register of bit 0 */
    unsigned n;
    uint64_t *in;     /* a mask a block: live where it begins */
    uint64_t *writes; /* a mask a block */
    uint32_t *base;   /* elements of a block's live-in registers begin here, in the order of bits */
    uint32_t *up;     /* union-find over elements */
    uint32_t *reg;    /* what stands for each element in the end */
    uint8_t *used;    /* does anybody read it, or go on with it? */
    uint32_t n_elems;
    uint32_t elems; /* operands from this number on are elements */
    uint32_t cur[64];
    /* While a block is looked at: registers (bits) that are copies of another, or of its low half; which; and the other
     * way round, which are copies of each. */
    uint64_t copies, halves, copied_to[64];
    uint32_t copy_of[64];
};

static bool is_member(const struct webs *w, uint32_t vreg)
{
    return vreg - w->first < w->n;
}

static uint64_t bit_of(const struct webs *w, uint32_t vreg)
{
    return UINT64_C(1) << (vreg - w->first);
}

static void forget_copies(struct webs *w, uint64_t bits)
{
    w->copies &= ~bits;
    w->halves &= ~bits;
}

/* A register is written: it is no copy any more, nor is any of it. */
static void note_write(struct webs *w, const struct ir_op *op)
{
    unsigned d = op->dst - w->first;
    bool half = op->kind == IR_ZEXT && op->size == 4;

    forget_copies(w, bit_of(w, op->dst) | w->copied_to[d]);
    w->copied_to[d] = 0;
    if ((op->kind != IR_COPY && !half) || !is_member(w, op->a) || op->a == op->dst)
        return;
    *(half ? &w->halves : &w->copies) |= bit_of(w, op->dst);
    w->copy_of[d] = op->a;
    w->copied_to[op->a - w->first] |= bit_of(w, op->dst);
}

/* Does it read the low half alone of its operands a and b? */
static bool reads_half(const struct ir_op *op)
{
    return op->width == 4 && ((op->kind >= IR_ADD && op->kind <= IR_MULHI) || op->kind == IR_BR);
}

/* Reads what was copied instead of a copy. @return the register's bit. */
static inline uint64_t look_at(struct webs *w, uint32_t *use, uint64_t copies)
{
    uint64_t bit;

    if (!is_member(w, *use))
        return 0;
    bit = bit_of(w, *use);
    if (!(copies & bit))
        return bit;
    *use = w->copy_of[*use - w->first];
    return bit_of(w, *use);
}

/* What a block reads before it writes it goes to in[], what it writes to writes[]. @return how many writes. */
static uint32_t look(struct webs *w, uint32_t block)
{
    struct ir_block *b = &w->f->blocks[block];
    uint64_t reads = 0, writes = 0;
    uint32_t count = 0;

    forget_copies(w, UINT64_MAX);
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_op *op = &b->ops[i];
        uint64_t copies = w->copies | (w->halves && reads_half(op) ? w->halves : 0), here = 0;

        for (unsigned k = 0; k < IR_FIELDS; k++)
            here |= look_at(w, &op->use[k], copies);
        for (unsigned k = 0; k < op->n_args; k++)
            here |= look_at(w, &w->f->args[op->args + k], copies);
        reads |= here & ~writes;
        if (is_member(w, op->dst)) {
            writes |= bit_of(w, op->dst);
            count++;
            note_write(w, op);
        }
    }
    w->in[block] = reads;
    w->writes[block] = writes;
    return count;
}

uint64_t build_live_out(const struct ir_func *f, const uint64_t *in, uint32_t block)
{
    const struct ir_block *b = &f->blocks[block];

    return (b->succ[0] == IR_NO_BLOCK ? 0 : in[b->succ[0]]) | (b->succ[1] == IR_NO_BLOCK ? 0 : in[b->succ[1]]);
}

/* Backwards from the last block: whoever's mask grows has its predecessors looked at again. */
int build_live(const struct ir_func *f, uint64_t *in, const uint64_t *writes)
{
    uint32_t n_blocks = f->n_blocks, n = 0, at = 0, *queue = ARENA_ROOM(&f->ir->scratch, uint32_t, n_blocks);
    uint8_t *waits = ARENA_ROOM(&f->ir->scratch, uint8_t, n_blocks);

    if (!queue || !waits)
        return -ENOMEM;
    for (uint32_t i = 0; i < n_blocks; i++)
        queue[n++] = n_blocks - 1 - i;
    memset(waits, 1, n_blocks);
    while (n) { /* a ring of n_blocks, in which each block waits once at most */
        uint32_t block = queue[at];
        const struct ir_block *b = &f->blocks[block];
        uint64_t now = in[block] | (build_live_out(f, in, block) & ~writes[block]);
        at = at + 1 == n_blocks ? 0 : at + 1;
        n--;
        waits[block] = 0;
        if (now == in[block])
            continue;
        in[block] = now;
        for (uint32_t i = 0; i < b->n_preds; i++)
            if (!waits[b->preds[i]]) {
                waits[b->preds[i]] = 1;
                queue[at + n >= n_blocks ? at + n - n_blocks : at + n] = b->preds[i];
                n++;
            }
    }
    return 0;
}

static uint32_t find(struct webs *w, uint32_t x)
{
    while (w->up[x] != x)
        x = w->up[x] = w->up[w->up[x]];
    return x;
}

/* The lower number stands for both. */
static void unite(struct webs *w, uint32_t x, uint32_t y)
{
    x = find(w, x);
    y = find(w, y);
    if (x < y)
        w->up[y] = x;
    else
        w->up[x] = y;
}

static void meet(struct webs *w, uint32_t to)
{
    uint32_t elem;

    if (to == IR_NO_BLOCK)
        return;
    elem = w->base[to];
    for (uint64_t in = w->in[to]; in; in &= in - 1) {
        uint32_t from = w->cur[__builtin_ctzll(in)];
        w->used[from] = 1;
        unite(w, from, elem++);
    }
}

static inline void rename_use(struct webs *w, uint32_t *use)
{
    uint32_t from;

    if (!is_member(w, *use))
        return;
    from = w->cur[*use - w->first];
    w->used[from] = 1;
    *use = w->elems + from;
}

/* Writes elements in the place of registers, and unites what goes on into other blocks. */
static void rename_block(struct webs *w, uint32_t block)
{
    struct ir_block *b = &w->f->blocks[block];
    uint32_t elem = w->base[block];

    for (uint64_t in = w->in[block]; in; in &= in - 1)
        w->cur[__builtin_ctzll(in)] = elem++;
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_op *op = &b->ops[i];

        for (unsigned k = 0; k < IR_FIELDS; k++)
            rename_use(w, &op->use[k]);
        for (unsigned k = 0; k < op->n_args; k++)
            rename_use(w, &w->f->args[op->args + k]);
        if (is_member(w, op->dst)) {
            w->cur[op->dst - w->first] = w->n_elems;
            w->up[w->n_elems] = w->n_elems;
            op->dst = w->elems + w->n_elems++;
        }
    }
    meet(w, b->succ[0]);
    meet(w, b->succ[1]);
}

/* A register for each web; those of the function's parameters keep theirs. Roots are the lowest elements of their webs,
 * and the entry's come first of all. */
static void number(struct webs *w)
{
    uint64_t params = w->in[0];

    for (uint32_t e = 0; e < w->n_elems; e++) {
        uint32_t root = find(w, e);
        if (root != e) {
            w->reg[e] = w->reg[root];
        } else if (params) {
            w->reg[e] = w->first + (uint32_t)__builtin_ctzll(params);
            params &= params - 1;
        } else {
            w->reg[e] = ir_vreg(w->f);
        }
    }
}

static inline void settle_use(const struct webs *w, uint32_t *use)
{
    if (*use >= w->elems)
        *use = w->reg[*use - w->elems];
}

static void rewrite(struct webs *w)
{
    struct ir_func *f = w->f;

    for (uint32_t k = 0; k < f->n_blocks; k++) {
        struct ir_block *b = &f->blocks[k];
        uint32_t kept = 0;

        for (uint32_t i = 0; i < b->n; i++) {
            struct ir_op *op = &b->ops[i];

            if (op->dst >= w->elems) {
                if (!w->used[op->dst - w->elems] && !(ir_kinds[op->kind].what & ~(IR_W_PURE | IR_W_COMM)))
                    continue;
                op->dst = w->reg[op->dst - w->elems];
            }
            for (unsigned u = 0; u < IR_FIELDS; u++)
                settle_use(w, &op->use[u]);
            for (unsigned u = 0; u < op->n_args; u++)
                settle_use(w, &f->args[op->args + u]);
            if (kept++ != i)
                b->ops[kept - 1] = *op;
        }
        b->n = kept;
    }
}

static int split(struct webs *w)
{
    struct ir_func *f = w->f;
    uint64_t n = 0;

    for (uint32_t i = 0; i < f->n_blocks; i++)
        n += look(w, i);
    if (build_live(f, w->in, w->writes))
        return -ENOMEM;
    for (uint32_t i = 0; i < f->n_blocks; i++)
        n += (unsigned)__builtin_popcountll(w->in[i]);
    w->up = ARENA_ROOM(&f->ir->scratch, uint32_t, n + 1);
    w->reg = ARENA_ROOM(&f->ir->scratch, uint32_t, n + 1);
    w->used = ARENA_ARRAY(&f->ir->scratch, uint8_t, n + 1);
    if (!w->up || !w->reg || !w->used)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        w->base[i] = w->n_elems;
        w->n_elems += (uint32_t)__builtin_popcountll(w->in[i]);
    }
    for (uint32_t e = 0; e < w->n_elems; e++)
        w->up[e] = e;
    w->elems = f->n_vregs;
    for (uint32_t i = 0; i < f->n_blocks; i++)
        rename_block(w, i);
    number(w);
    rewrite(w);
    return 0;
}

int build_webs(struct ir_func *f, uint32_t first, unsigned n)
{
    struct webs w;

    w.f = f;
    w.first = first;
    w.n = n;
    w.n_elems = 0;
    memset(w.copied_to, 0, sizeof(w.copied_to));
    w.in = ARENA_ROOM(&f->ir->scratch, uint64_t, f->n_blocks);
    w.writes = ARENA_ROOM(&f->ir->scratch, uint64_t, f->n_blocks);
    w.base = ARENA_ROOM(&f->ir->scratch, uint32_t, f->n_blocks);
    return w.in && w.writes && w.base ? split(&w) : -ENOMEM;
}
