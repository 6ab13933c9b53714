/*
 * The driver of the passes, and what they share (vm/ir/opt.h): counts of reads and writes, the walk, and insertions.
 */
#include "vm/ir/opt.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct opt *o)
{
    uint32_t cap = o->f->n_vregs + o->f->n_vregs / 4 + 16;
    struct opt_vreg *v;

    if (o->f->n_vregs <= o->cap)
        return 0;
    v = realloc(o->v, cap * sizeof(*v));
    if (!v)
        return -ENOMEM;
    for (uint32_t i = o->cap; i < cap; i++)
        v[i] = (struct opt_vreg){.bits = 64};
    o->v = v;
    o->cap = cap;
    return 0;
}

static void count(struct opt *o, const struct ir_op *op)
{
    struct opt_vreg *v = o->v;

    for (unsigned k = 0; k < IR_FIELDS; k++)
        v[op->use[k]].uses++;
    for (unsigned k = 0; k < op->n_args; k++)
        v[o->f->args[op->args + k]].uses++;
    if (!op->dst)
        return;
    v[op->dst].round |= v[op->dst].uses != 0;
    o->round |= v[op->dst].round;
    v[op->dst].writes++;
}

static int recount(struct opt *o)
{
    if (make_room(o))
        return -ENOMEM;
    o->round = false;
    for (uint32_t v = 0; v < o->f->n_vregs; v++)
        o->v[v] = (struct opt_vreg){.writes = v && v <= IR_PARAMS, .bits = o->v[v].bits};
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++)
            count(o, &b->ops[j]);
    }
    o->v[o->f->fuel].uses += o->f->fuel != IR_NONE; /* by what opt_count puts in */
    return 0;
}

/* Blocks changed: they are tidied, counts and order made anew. */
static int renew(struct opt *o)
{
    o->blocks_changed = false;
    if (ir_clean(o->f, &o->order))
        return -ENOMEM;
    o->n_order = o->f->n_blocks;
    return recount(o);
}

int opt_begin(struct opt *o, struct ir_func *f, const struct ir_target *target, uint32_t opts)
{
    *o = (struct opt){.f = f, .target = target, .opts = opts};
    return renew(o);
}

void opt_end(struct opt *o)
{
    free(o->v);
    free(o->inserts);
    arena_reset(&o->f->ir->scratch);
}

/* One read of v is gone. What nobody reads goes too, and what that read, as far as a few steps reach. */
static void release(struct opt *o, uint32_t v)
{
    uint32_t pending[16], n = 0;

    pending[n++] = v;
    while (n) {
        struct opt_vreg *r = &o->v[pending[--n]];
        uint32_t *uses[IR_MAX_USES];
        unsigned n_uses;

        if (--r->uses || r->writes != 1 || r->pos <= o->start || !opt_droppable(r->def))
            continue;
        n_uses = ir_uses(o->f, r->def, uses);
        if (n + n_uses > sizeof(pending) / sizeof(*pending))
            continue;
        for (unsigned i = 0; i < n_uses; i++)
            pending[n++] = *uses[i];
        *r->def = (struct ir_op){.kind = IR_NOP, .width = 8, .slot = r->def->slot};
        r->pos = 0;
        r->writes = 0;
    }
}

void opt_set(struct opt *o, uint32_t *operand, uint32_t v)
{
    uint32_t old = *operand;

    o->v[v].uses++;
    *operand = v;
    if (old)
        release(o, old);
}

void opt_drop(struct opt *o, uint32_t *operand)
{
    uint32_t old = *operand;

    *operand = IR_NONE;
    if (old)
        release(o, old);
}

void opt_reset(struct opt *o, struct ir_op *op, enum ir_kind kind)
{
    struct ir_op old = *op;
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(o->f, &old, uses);

    *op = (struct ir_op){.kind = (uint8_t)kind, .width = 8, .slot = old.slot, .dst = old.dst};
    for (unsigned i = 0; i < n; i++)
        release(o, *uses[i]);
}

void opt_to_const(struct opt *o, struct ir_op *op, uint64_t value, bool secret)
{
    opt_reset(o, op, IR_CONST);
    op->imm = (int64_t)value;
    op->flags = secret ? IR_SECRET : 0;
}

void opt_to_copy(struct opt *o, struct ir_op *op, uint32_t v)
{
    bool cut = op->width == 4 && o->v[v].bits > 32;

    o->v[v].uses++; /* lest it go meanwhile */
    opt_reset(o, op, cut ? IR_ZEXT : IR_COPY);
    op->a = v;
    if (cut)
        op->size = 4;
}

uint32_t opt_insert(struct opt *o, struct ir_op op)
{
    struct opt_insert *in = o->inserts;
    struct ir_op *stable = arena_memdup(&o->f->ir->arena, &op, sizeof(op));
    uint32_t v, *uses[IR_MAX_USES], cap = o->insert_cap * 2 + 16;
    unsigned n;

    if (!stable) {
        o->failed = true;
        return IR_NONE;
    }

    if (o->n_inserts == o->insert_cap) {
        in = realloc(in, cap * sizeof(*in));
        if (!in) {
            o->failed = true;
            return IR_NONE;
        }
        o->inserts = in;
        o->insert_cap = cap;
    }
    v = ir_vreg(o->f);
    if (make_room(o)) {
        o->failed = true;
        return IR_NONE;
    }
    stable->dst = v;
    stable->slot = o->f->blocks[o->block].ops[o->at].slot;
    n = ir_uses(o->f, stable, uses);
    for (unsigned i = 0; i < n; i++)
        o->v[*uses[i]].uses++;
    o->v[v] = (struct opt_vreg){
        .def = stable, .writes = 1, .pos = o->pos, .depth = o->depth, .bits = (uint8_t)opt_bits(o, stable)};
    in[o->n_inserts++] = (struct opt_insert){.block = o->block, .at = o->at, .op = stable};
    return v;
}

/* Insertions of one block, which stand one after the other in the order of places. */
static int put_into(struct opt *o, struct ir_block *b, const struct opt_insert *in, uint32_t n)
{
    struct ir_op *ops;
    uint32_t from = b->n;

    if (b->n + n > b->cap) {
        uint32_t cap = b->n + n + n / 2;

        ops = ARENA_ROOM(&o->f->ir->arena, struct ir_op, cap);
        if (!ops)
            return -ENOMEM;
        memcpy(ops, b->ops, b->n * sizeof(*ops));
        b->ops = ops;
        b->cap = cap;
    }
    b->n += n;
    while (n) {
        const struct opt_insert *last = &in[--n];

        memmove(&b->ops[last->at + n + 1], &b->ops[last->at], (from - last->at) * sizeof(*b->ops));
        b->ops[last->at + n] = *last->op;
        from = last->at;
    }
    return 0;
}

int opt_put_in(struct opt *o)
{
    uint32_t i = 0, end;

    while (i < o->n_inserts) {
        for (end = i; end < o->n_inserts && o->inserts[end].block == o->inserts[i].block; end++)
            ;
        if (put_into(o, &o->f->blocks[o->inserts[i].block], &o->inserts[i], end - i))
            return -ENOMEM;
        i = end;
    }
    o->n_inserts = 0;
    return o->failed ? -ENOMEM : 0;
}

static void begin_block(struct opt *o, uint32_t index, uint32_t before)
{
    const struct ir_block *b = &o->f->blocks[index];

    o->block = index;
    o->depth = b->depth < OPT_DEPTH ? (uint16_t)b->depth : OPT_DEPTH;
    o->begin = o->pos + 1;
    if (b->n_preds != 1 || b->preds[0] != before)
        o->region = o->pos + 1;
}

static void refine(struct opt_vreg *r, unsigned bits)
{
    if (bits < r->bits)
        r->bits = (uint8_t)bits;
}

int opt_walk(struct opt *o, void (*visit)(struct opt *o, struct ir_op *op))
{
    uint32_t before = IR_NO_BLOCK;

    o->start = o->stored = o->pos;
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        begin_block(o, o->order[i], before);
        before = o->order[i];
        for (o->at = 0; o->at < b->n; o->at++) {
            struct ir_op *op = &b->ops[o->at];
            struct opt_vreg *r;

            if (op->kind == IR_NOP)
                continue;
            o->pos++;
            visit(o, op);
            if (ir_kinds[op->kind].what & IR_W_WRITE)
                o->stored = o->pos;
            if (!op->dst)
                continue;
            r = &o->v[op->dst];
            r->def = op;
            r->pos = o->pos;
            r->depth = o->depth;
            if (r->writes == 1 && !o->keeps_bits)
                refine(r, opt_bits(o, op));
        }
    }
    return opt_put_in(o);
}

/* Registers that are left move together, in their order: half of them went with what nobody read, and all that comes
 * after has something to do for each. */
static int renumber(struct opt *o)
{
    uint32_t n = 1, *now = ARENA_ROOM(&o->f->ir->scratch, uint32_t, o->f->n_vregs);

    if (!now)
        return -ENOMEM;
    now[IR_NONE] = IR_NONE;
    for (uint32_t v = 1; v < o->f->n_vregs; v++) {
        now[v] = n;
        if (v > IR_PARAMS && !o->v[v].writes)
            continue;
        o->v[n++] = o->v[v];
    }
    for (uint32_t i = 0; i < o->n_order; i++) {
        struct ir_block *b = &o->f->blocks[o->order[i]];

        for (uint32_t j = 0; j < b->n; j++) {
            struct ir_op *op = &b->ops[j];

            for (unsigned k = 0; k < IR_FIELDS; k++)
                op->use[k] = now[op->use[k]];
            for (unsigned k = 0; k < op->n_args; k++)
                o->f->args[op->args + k] = now[o->f->args[op->args + k]];
            op->dst = now[op->dst];
        }
    }
    for (uint32_t v = n; v < o->f->n_vregs; v++)
        o->v[v] = (struct opt_vreg){.bits = 64};
    o->f->n_vregs = n;
    o->f->fuel = now[o->f->fuel];
    return 0;
}

static void look_at_values(struct opt *o, struct ir_op *op)
{
    if (o->opts & IR_OPT_SIMPLIFY)
        opt_simplify(o, op);
    switch (op->kind) {
    case IR_ADD:
    case IR_OR:
    case IR_XOR:
        if (o->opts & IR_OPT_ROTATE)
            opt_rotate(o, op);
        break;
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD:
        if (o->opts & IR_OPT_DIVIDE)
            opt_divide(o, op);
        break;
    default: break;
    }
}

static void look_at_addresses(struct opt *o, struct ir_op *op)
{
    if (o->opts & IR_OPT_SIMPLIFY)
        opt_simplify(o, op);
    if (o->opts & IR_OPT_SELECT && o->target->carry)
        opt_carry(o, op);
    if (o->opts & IR_OPT_ADDRESS)
        opt_address(o, op);
    if (o->opts & IR_OPT_WIDE && op->kind == IR_OR)
        opt_wide(o, op);
}

static int values(struct opt *o)
{
    if (opt_walk(o, look_at_values))
        return -ENOMEM;
    opt_sweep(o);
    return o->blocks_changed ? renew(o) : 0;
}

/* Of what the program had, and only then, much is idle, and half of all registers go. */
static int first_values(struct opt *o)
{
    if (opt_walk(o, look_at_values) || opt_drop_idle(o))
        return -ENOMEM;
    opt_sweep(o);
    if (renumber(o))
        return -ENOMEM;
    return o->blocks_changed ? renew(o) : 0;
}

enum { SELECT_ROUNDS = 2 };

/* Without webs a register that an arm writes may hold nothing yet on the other way. */
static int selects(struct opt *o)
{
    if (!(o->opts & IR_OPT_WEBS))
        return 0;
    for (int round = 0; round < SELECT_ROUNDS; round++) {
        if (opt_range(o) || opt_select(o))
            return -ENOMEM;
        if (!o->blocks_changed)
            return make_room(o); /* what was tried and given up may have taken registers */
        if (renew(o) || values(o))
            return -ENOMEM;
    }
    return 0;
}

static int unroll(struct opt *o)
{
    if (opt_unroll(o))
        return -ENOMEM;
    return o->blocks_changed ? renew(o) : 0;
}

static int addresses(struct opt *o)
{
    if (ir_loops(o->f))
        return -ENOMEM;
    opt_count_addresses(o);
    if (opt_walk(o, look_at_addresses))
        return -ENOMEM;
    opt_sweep(o);
    return o->blocks_changed ? renew(o) : 0;
}

/* The last passes, which ask nobody how large a value is and leave what they put out of use to one sweep. */
static int operands(struct opt *o)
{
    o->keeps_bits = true;
    if ((o->opts & IR_OPT_MEMORY) && opt_walk(o, opt_memory))
        return -ENOMEM;
    if ((o->opts & IR_OPT_SIMPLIFY) && (opt_copies(o) || opt_coalesce(o)))
        return -ENOMEM;
    if (o->opts & (IR_OPT_MEMORY | IR_OPT_SIMPLIFY))
        opt_sweep(o);
    return 0;
}

static int optimize(struct opt *o)
{
    opt_find_bits(o);
    if ((o->opts & (IR_OPT_SIMPLIFY | IR_OPT_ROTATE | IR_OPT_DIVIDE)) && first_values(o))
        return -ENOMEM;
    if ((o->opts & IR_OPT_SELECT) && selects(o))
        return -ENOMEM;
    if ((o->opts & IR_OPT_UNROLL) && unroll(o))
        return -ENOMEM;
    if (o->f->fuel && (opt_count(o) || (o->blocks_changed && renew(o))))
        return -ENOMEM;
    if ((o->opts & (IR_OPT_ADDRESS | IR_OPT_WIDE | IR_OPT_SELECT)) && addresses(o))
        return -ENOMEM;
    if (operands(o))
        return -ENOMEM;
    return opt_legalise(o);
}

int ir_optimize(struct ir *ir, const struct ir_target *target, uint32_t opts)
{
    for (uint32_t i = 0; i < ir->n_funcs; i++) {
        struct opt o;
        int err = opt_begin(&o, &ir->funcs[i], target, opts);

        if (!err)
            err = optimize(&o);
        opt_end(&o);
        if (err)
            return err;
    }
    return 0;
}
