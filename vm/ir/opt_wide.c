/*
 * Bytes that are loaded one by one and put together with shifts and | become one load: in the machine's order as it is,
 * in the other with BSWAP. Each | is the root of a tree whose inner nodes nothing else reads; its leaves are loads,
 * each with the bit that it is moved to. Leaves of one place (base and index) that lie side by side in memory and in
 * the result are joined, in groups of 2, 4 or 8 bytes; what remains is put together as before. Every byte was going to
 * be read, so the wide load reads nothing new; nothing may have been stored between the first load and the root.
 */
#include "vm/ir/opt.h"
#include <string.h>

enum { MAX_LEAVES = 10, MAX_DEPTH = 12 };

struct leaf {
    const struct ir_op *load; /* NULL: anything else, not moved */
    uint32_t vreg;
    unsigned bit;
    unsigned size;
    bool reversed;
};

struct tree {
    struct opt *o;
    unsigned width;
    struct leaf leaves[MAX_LEAVES];
    unsigned n;
};

static bool is_load(const struct opt *o, const struct ir_op *d, uint32_t v)
{
    return d && d->kind == IR_LOAD && !(d->flags & IR_SIGNED) && o->v[v].uses == 1 && opt_same_memory(o, v) &&
           opt_same(o, d->base, v) && opt_same(o, d->index, v);
}

static bool add_leaf(struct tree *t, const struct ir_op *load, uint32_t v, unsigned bit, bool reversed)
{
    if (t->n == MAX_LEAVES || (load && bit + 8 * load->size > t->width) || bit % 8)
        return false;
    t->leaves[t->n++] = (struct leaf){load, v, bit, load ? load->size : 0,
                                      load && (reversed != !!(load->flags & IR_SWAP)) && load->size > 1};
    return true;
}

/* v << bit is a part of the result. */
static bool gather(struct tree *t, uint32_t v, unsigned bit, unsigned depth)
{
    const struct ir_op *d = opt_def(t->o, v), *swapped;

    if (is_load(t->o, d, v))
        return add_leaf(t, d, v, bit, false);
    if (d && depth && t->o->v[v].uses == 1 && d->a && opt_same(t->o, d->a, v)) {
        if (opt_is_imm(d, IR_SHL) && bit + (uint64_t)d->imm < t->width &&
            (d->width * 8u >= t->width || t->o->v[d->a].bits + (uint64_t)d->imm <= 32))
            return gather(t, d->a, bit + (unsigned)d->imm, depth - 1);
        if (d->kind == IR_OR && opt_is_reg(d) && opt_same(t->o, d->b, v) &&
            (d->width * 8u >= t->width || (t->o->v[d->a].bits <= 32 && t->o->v[d->b].bits <= 32)))
            return gather(t, d->a, bit, depth - 1) && gather(t, d->b, bit, depth - 1);
        swapped = opt_def(t->o, d->a);
        if (d->kind == IR_BSWAP && is_load(t->o, swapped, d->a) && swapped->size == d->size)
            return add_leaf(t, swapped, d->a, bit, true);
    }
    return bit == 0 && add_leaf(t, NULL, v, 0, false);
}

static void sort(struct tree *t)
{
    for (unsigned i = 1; i < t->n; i++)
        for (unsigned j = i; j && t->leaves[j].bit < t->leaves[j - 1].bit; j--) {
            struct leaf l = t->leaves[j];

            t->leaves[j] = t->leaves[j - 1];
            t->leaves[j - 1] = l;
        }
}

static bool same_registers(const struct ir_op *x, const struct ir_op *y)
{
    return x->base == y->base && x->index == y->index && x->shift == y->shift;
}

/* Does b follow a, in the result and in memory? *down: towards lower addresses. */
static bool follows(const struct leaf *a, const struct leaf *b, bool down)
{
    int64_t by = (int64_t)b->load->disp - a->load->disp;

    if (!same_registers(a->load, b->load) || b->bit != a->bit + 8 * a->size)
        return false;
    if ((a->size > 1 && a->reversed != down) || (b->size > 1 && b->reversed != down))
        return false;
    return down ? by == -(int64_t)b->size : by == (int64_t)a->size;
}

/* How many leaves from i on make up a load of 2, 4 or 8 bytes; 0: none. */
static unsigned group(const struct tree *t, unsigned i, bool *down, unsigned *size)
{
    unsigned best = 0;

    for (int d = 0; d < 2; d++) {
        unsigned bytes = t->leaves[i].size;

        for (unsigned k = i; k + 1 < t->n && t->leaves[k + 1].load && follows(&t->leaves[k], &t->leaves[k + 1], d);
             k++) {
            bytes += t->leaves[k + 1].size;
            if (bytes <= 8 && !(bytes & (bytes - 1)) && k + 2 - i > best) {
                best = k + 2 - i;
                *down = d;
                *size = bytes;
            }
        }
    }
    return best;
}

static struct ir_op wide_load(const struct tree *t, unsigned i, unsigned n, bool down, unsigned size)
{
    const struct ir_op *first = t->leaves[down ? i + n - 1 : i].load;
    struct ir_op op = *first;

    op.size = (uint8_t)size;
    op.flags = 0;
    op.dst = IR_NONE;
    op.width = 8;
    return op;
}

/* The group as a register, moved to where it belongs. */
static uint32_t build(struct tree *t, unsigned i, unsigned n, bool down, unsigned size)
{
    struct opt *o = t->o;
    uint32_t v = opt_insert(o, wide_load(t, i, n, down, size));
    unsigned bit = t->leaves[i].bit;

    if (v && down)
        v = opt_insert(o, (struct ir_op){.kind = IR_BSWAP, .width = 8, .size = (uint8_t)size, .a = v});
    if (v && bit)
        v = opt_insert(
            o, (struct ir_op){.kind = IR_SHL, .width = (uint8_t)(t->width / 8), .flags = IR_IMM, .a = v, .imm = bit});
    return v;
}

static uint32_t rebuild_leaf(struct tree *t, const struct leaf *l)
{
    struct opt *o = t->o;
    uint32_t v = l->vreg;

    if (l->load && l->reversed != !!(l->load->flags & IR_SWAP) && l->size > 1)
        v = opt_insert(o, (struct ir_op){.kind = IR_BSWAP, .width = 8, .size = (uint8_t)l->size, .a = v});
    if (v && l->bit)
        v = opt_insert(
            o,
            (struct ir_op){.kind = IR_SHL, .width = (uint8_t)(t->width / 8), .flags = IR_IMM, .a = v, .imm = l->bit});
    return v;
}

/* The whole result from its parts. */
static void rewrite(struct tree *t, struct ir_op *op)
{
    struct opt *o = t->o;
    uint32_t sum = IR_NONE;

    for (unsigned i = 0; i < t->n;) {
        bool down = false;
        unsigned size = 0, n = t->leaves[i].load ? group(t, i, &down, &size) : 0;
        uint32_t part = n ? build(t, i, n, down, size) : rebuild_leaf(t, &t->leaves[i]);

        i += n ? n : 1;
        if (!part)
            return;
        if (sum && i < t->n) {
            sum = opt_insert(o, (struct ir_op){.kind = IR_OR, .width = (uint8_t)(t->width / 8), .a = sum, .b = part});
        } else if (sum) {
            o->v[sum].uses++;
            o->v[part].uses++;
            opt_reset(o, op, IR_OR);
            op->width = (uint8_t)(t->width / 8);
            op->a = sum;
            op->b = part;
            return;
        } else {
            sum = part;
        }
    }
    if (t->width == 32)
        op->width = 4;
    opt_to_copy(o, op, sum);
}

void opt_wide(struct opt *o, struct ir_op *op)
{
    struct tree t;
    bool down, some = false;
    unsigned size;

    if (op->kind != IR_OR || !opt_is_reg(op) || !o->target->fast_unaligned)
        return;
    t.o = o;
    t.width = 8u * op->width;
    t.n = 0;
    if (!gather(&t, op->a, 0, MAX_DEPTH) || !gather(&t, op->b, 0, MAX_DEPTH))
        return;
    sort(&t);
    for (unsigned i = 0; i < t.n && !some; i++)
        some = t.leaves[i].load && group(&t, i, &down, &size);
    if (some)
        rewrite(&t, op);
}
