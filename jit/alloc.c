/*
 * Register allocation: rounds of finding where everything is live, giving machine registers, and rewriting what found
 * none. A round that rewrites nothing is the last. Every round takes at least one register of the program out of
 * consideration for good, and after some all that are left are, so that rounds end: what stands for a single operation
 * only always fits.
 */
#include "jit/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Builds that look for mistakes prove every allocation. */
#if defined(__SANITIZE_ADDRESS__)
#define ALLOC_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOC_CHECK 1
#endif
#endif

/* Rounds in which new registers may serve several operations, and after which everything goes to slots. */
enum { ROUNDS_OF_PIECES = 2, ROUNDS = 8 };

void alloc_needs(const struct alloc *a, const struct ir_op *op, struct jit_needs *needs)
{
    *needs = (struct jit_needs){.dst = JIT_NO_REG};
    memset(needs->use, JIT_NO_REG, sizeof(needs->use));
    a->target->needs(a->f, op, needs);
    if (ir_kinds[op->kind].what & IR_W_CALL)
        needs->clobbers |= a->caller_saved;
}

static bool writes_late(struct alloc *a, struct ir_op *op)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n, same = 0;
    struct jit_needs needs;

    if (!op->dst || (op->a != op->dst && op->b != op->dst && op->base != op->dst && op->index != op->dst))
        return false;
    n = ir_uses(a->f, op, uses);
    for (unsigned i = 0; i < n; i++)
        same |= (unsigned)(*uses[i] == op->dst) << i;
    if (!same)
        return false;
    alloc_needs(a, op, &needs);
    return needs.late & same;
}

/* Where an operation reads late what it writes, the two cannot lie apart: the result gets a register of its own, and a
 * copy brings it to where it belongs. */
static int part_late(struct alloc *a, struct ir_block *b)
{
    struct ir_op *ops;
    uint32_t many = 0, n = 0;

    for (uint32_t i = 0; i < b->n; i++)
        many += writes_late(a, &b->ops[i]);
    if (!many)
        return 0;
    ops = ARENA_ROOM(&a->f->ir->arena, struct ir_op, b->n + many);
    if (!ops)
        return -ENOMEM;
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_op *op = &ops[n++];
        uint32_t t;

        *op = b->ops[i];
        if (!writes_late(a, op))
            continue;
        t = alloc_vreg(a, ALLOC_ANY, op->dst, IR_NONE);
        if (!t)
            return -ENOMEM;
        ops[n++] = (struct ir_op){.kind = IR_COPY, .width = 8, .size = 8, .slot = op->slot, .dst = op->dst, .a = t};
        op->dst = t;
    }
    b->ops = ops;
    b->n = b->cap = n;
    return 0;
}

static int begin(struct alloc *a, const struct jit_opts *opts)
{
    uint32_t n = a->f->n_vregs;
    int err = ir_loops(a->f);

    if (err)
        return err;
    a->freq = malloc(a->f->n_blocks * sizeof(*a->freq));
    a->kind = calloc(n, sizeof(*a->kind));
    a->origin = malloc(n * sizeof(*a->origin));
    a->home = malloc(n * sizeof(*a->home));
    a->room = n;
    if (!a->freq || !a->kind || !a->origin || !a->home)
        return -ENOMEM;
    err = jit_layout(a->f, opts->no_layout, a->freq, &a->order, &a->n_order);
    for (uint32_t v = 0; v < n; v++)
        a->origin[v] = a->home[v] = v;
    for (uint32_t k = 0; k < a->n_order && !err; k++)
        err = part_late(a, &a->f->blocks[a->order[k]]);
    return err;
}

static void end_round(struct alloc *a)
{
    arena_reset(a->arena);
    a->segments.n = a->wishes.n = a->exposed.n = a->loans.n = 1;
    for (unsigned i = 0; i < ALLOC_LISTS; i++)
        a->lists[i].n = 1;
}

/* What found no register in this round lives elsewhere from now on. */
static bool settle(struct alloc *a, bool everything)
{
    /* Every operand of an operation may be a constant made for it. */
    bool any = false, make = __builtin_popcount(a->target->allocatable) >= IR_MAX_USES;

    for (uint32_t v = 1; v < a->f->n_vregs; v++) {
        if (!a->head[v] || a->kind[v] > ALLOC_PIECE || (a->place[v].reg != JIT_NO_REG && !everything))
            continue;
        a->kind[v] = a->kind[v] == ALLOC_PIECE ? ALLOC_GONE : make && a->makes[v] ? ALLOC_CONST : ALLOC_SLOT;
        a->place[v].reg = JIT_NO_REG;
        any = true;
    }
    return any;
}

/* All that lives over a block's border goes to slots, so that only blocks are left to allocate. */
static int settle_blocks(struct alloc *a)
{
    bool changed;

    for (uint32_t v = 1; v < a->f->n_vregs; v++)
        if (a->exposed_in[v])
            a->kind[v] = ALLOC_SLOT;
    a->rows = 0; /* no machine register was given yet, and none is to be lent */
    return alloc_rewrite(a, true, &changed);
}

static int round_of(struct alloc *a, unsigned round, bool *again)
{
    int err = alloc_read(a);

    if (!err)
        err = alloc_live(a);
    if (!err)
        err = alloc_coalesce(a);
    if (!err)
        err = alloc_color(a);
    *again = false;
    if (!err && settle(a, round >= ROUNDS))
        err = alloc_rewrite(a, round < ROUNDS_OF_PIECES, again);
    return err;
}

static int finish(struct alloc *a, struct jit_alloc *out)
{
    uint32_t n = a->f->n_vregs;

    out->place = malloc(n * sizeof(*out->place));
    if (!out->place)
        return -ENOMEM;
    memcpy(out->place, a->place, n * sizeof(*out->place));
    for (uint32_t v = 0; v < n; v++)
        out->place[v].slot = JIT_NO_SLOT;
    out->n_vregs = n;
    out->used = a->used;
    for (uint32_t v = 1; v <= IR_PARAMS && v < n; v++)
        if (a->head[v] && alloc_segment(a, a->head[v])->from == POINT_WRITE)
            out->params |= 1u << v;
    out->order = a->order;
    out->n_order = a->n_order;
    out->origin = a->origin;
    a->order = NULL;
    a->origin = NULL;
    return alloc_slots(a, out);
}

static int run(struct alloc *a, const struct jit_opts *opts, struct jit_alloc *out)
{
    bool again = true;
    int err = begin(a, opts);

    a->by_block = opts->no_alloc_opt;
    if (!err && a->by_block) {
        err = alloc_read(a);
        if (!err)
            err = settle_blocks(a);
        end_round(a);
    }
    for (unsigned round = 0; !err && again; round++) {
        err = round_of(a, round, &again);
        if (!err && !again)
            err = finish(a, out);
        end_round(a);
    }
    return err;
}

int jit_allocate(struct ir_func *f, const struct jit_target *target, const struct jit_opts *opts, struct jit_alloc *out)
{
    struct alloc a = {.f = f,
                      .target = target,
                      .caller_saved = target->allocatable & ~target->callee_saved,
                      .arena = &f->ir->scratch};
    int err;

    memset(out, 0, sizeof(*out));
    err = run(&a, opts, out);
#if ALLOC_CHECK
    if (!err) {
        const char *wrong = jit_alloc_check(f, target, out);

        if (wrong)
            fprintf(stderr, "register allocation, function %u: %s\n", f->index, wrong);
        assert(!wrong);
    }
#endif
    free(a.segments.at);
    free(a.wishes.at);
    free(a.exposed.at);
    free(a.loans.at);
    for (unsigned i = 0; i < ALLOC_LISTS; i++)
        free(a.lists[i].at);
    free(a.order);
    free(a.freq);
    free(a.kind);
    free(a.origin);
    free(a.home);
    if (err)
        jit_alloc_free(out);
    return err;
}

void jit_alloc_free(struct jit_alloc *alloc)
{
    free(alloc->place);
    free(alloc->origin);
    free((void *)alloc->saves);
    free(alloc->order);
    memset(alloc, 0, sizeof(*alloc));
}
