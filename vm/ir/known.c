/*
 * What is known of registers before any pass has run: which hold the frame's address plus something, which hold
 * constants, and how large an index can be. It is what promotion needs where no verifier has looked at a program: an
 * array on the stack is accessed by an index that was masked, compared, or counted by a loop.
 *
 * A register that is written once is its operation's result everywhere. One that is written twice may be a loop's
 * counter: begun in one place, stepped in another, tested right after the step. Bounds are those of unsigned numbers,
 * and are asked for where they are needed; all questions together may look at so many operations for each that there is
 * (EACH), after which nothing more is found out.
 */
#include "vm/ir/build.h"
#include <stdlib.h>

enum { FAR = 4 * PROG_STACK_FRAME, HOPS = 8, DEPTH = 6, LOOK_BACK = 64, ROUND = 64, EACH = 16 };
#define NO_BOUND UINT64_MAX

static const struct ir_op *op_at(const struct ir_func *f, struct place at)
{
    return &f->blocks[at.block].ops[at.op];
}

static bool spend(struct knowledge *k, uint64_t n)
{
    k->budget = k->budget < n ? 0 : k->budget - n;
    return k->budget;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t s;

    return __builtin_add_overflow(a, b, &s) ? NO_BOUND : s;
}

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t p;

    return __builtin_mul_overflow(a, b, &p) ? NO_BOUND : p;
}

/* ---- Bounds ---- */

static uint64_t bound(struct knowledge *k, uint32_t vreg, struct place at, unsigned depth);

/* The greatest number that this operation gives. */
static uint64_t result(struct knowledge *k, struct place at, unsigned depth)
{
    const struct ir_op *op = op_at(k->f, at);
    bool imm = op->flags & IR_IMM;
    uint64_t top = op->width == 4 ? UINT32_MAX : NO_BOUND, a, b = NO_BOUND;

    switch (op->kind) {
    case IR_CONST: return (uint64_t)op->imm;
    case IR_COPY: return bound(k, op->a, at, depth);
    case IR_ZEXT: return least(bound(k, op->a, at, depth), (UINT64_C(1) << op->size * 8) - 1);
    case IR_LOAD: return op->flags & IR_SIGNED || op->size == 8 ? NO_BOUND : (UINT64_C(1) << op->size * 8) - 1;
    case IR_AND:
    case IR_ADD:
    case IR_MUL:
    case IR_SHL:
    case IR_SHR:
    case IR_UMOD:
    case IR_UDIV: break;
    case IR_SELECT:
    case IR_CARRY: return NO_BOUND;
    default: return top;
    }
    a = bound(k, op->a, at, depth);
    if (imm)
        b = op->width == 4 ? (uint32_t)op->imm : (uint64_t)op->imm;
    else if (op->kind == IR_AND || op->kind == IR_ADD)
        b = bound(k, op->b, at, depth);
    if (a > top && op->kind != IR_AND)
        a = top;
    if (op->kind == IR_SHL || op->kind == IR_SHR)
        b &= op->width * 8u - 1;
    switch (op->kind) {
    case IR_AND: a = least(a, b); break;
    case IR_ADD: a = sum(a, b); break;
    case IR_MUL: a = product(a, b); break;
    case IR_SHL: a = imm ? product(a, UINT64_C(1) << b) : NO_BOUND; break;
    case IR_SHR: a = imm ? a >> b : a; break;
    case IR_UMOD: a = imm && b ? least(a, b - 1) : a; break;
    default: a = imm && b ? a / b : a; break;
    }
    return least(a, top);
}

/* What a branch says of its first operand on the way to its first or its second successor. */
static uint64_t tested(const struct ir_op *br, bool second)
{
    uint64_t n = br->width == 4 ? (uint32_t)br->imm : (uint64_t)br->imm;

    switch (second ? br->cc ^ 1 : br->cc) {
    case IR_EQ:
    case IR_ULE: return n;
    case IR_ULT: return n ? n - 1 : 0;
    default: return NO_BOUND;
    }
}

/* Going back from `at` by the only way that leads there: the last write, and tests on the way. */
static uint64_t bound_on_the_way(struct knowledge *k, uint32_t vreg, struct place at, unsigned depth)
{
    const struct known *v = &k->of[vreg];
    uint64_t least_so_far = NO_BOUND;
    unsigned steps = 0;

    for (unsigned hop = 0; hop < HOPS; hop++) {
        const struct ir_block *b = &k->f->blocks[at.block];
        const struct ir_op *br;
        for (uint32_t i = at.op; v->writes != 1 && i-- > 0;) {
            if (++steps > LOOK_BACK || !spend(k, 1))
                return least_so_far;
            if (b->ops[i].dst == vreg)
                return least(least_so_far, result(k, (struct place){at.block, i}, depth));
        }
        if (b->n_preds != 1)
            break;
        at = (struct place){b->preds[0], k->f->blocks[b->preds[0]].n - 1};
        br = op_at(k->f, at);
        if (br->kind == IR_BR && br->a == vreg && br->flags & IR_IMM && (br->width == 8 || v->narrow) &&
            k->f->blocks[at.block].succ[0] != k->f->blocks[at.block].succ[1])
            least_so_far = least(least_so_far, tested(br, b != &k->f->blocks[k->f->blocks[at.block].succ[0]]));
    }
    return least_so_far;
}

static uint64_t bound(struct knowledge *k, uint32_t vreg, struct place at, unsigned depth)
{
    const struct known *v = &k->of[vreg];
    uint64_t most = v->narrow ? UINT32_MAX : NO_BOUND;

    if (!depth || !spend(k, 1))
        return most;
    if (v->writes == 1 && vreg > IR_PARAMS)
        most = least(most, result(k, v->write[0], depth - 1));
    if (v->counter && at.block == v->write[1].block && at.op <= v->write[1].op)
        most = least(most, v->most_before);
    else if (v->counter)
        most = least(most, v->most);
    return least(most, bound_on_the_way(k, vreg, at, depth - 1));
}

/* ---- Counters ---- */

/* Does any way lead from one block to another that does not come through a third? Not known: yes. */
static bool leads(struct knowledge *k, uint32_t from, uint32_t to, uint32_t but)
{
    const struct ir_func *f = k->f;
    uint32_t seen[ROUND], n = 0;

    seen[n++] = from;
    for (uint32_t i = 0; i < n; i++) {
        if (seen[i] == but)
            continue;
        if (seen[i] == to || !spend(k, n))
            return true;
        for (unsigned s = 0; s < 2; s++) {
            uint32_t next = f->blocks[seen[i]].succ[s], j = 0;
            while (j < n && seen[j] != next)
                j++;
            if (next == IR_NO_BLOCK || j < n)
                continue;
            if (n == ROUND)
                return true;
            seen[n++] = next;
        }
    }
    return false;
}

/* A register that is begun in one block and stepped in another. */
struct loop_count {
    struct place begin, step;
    uint64_t by; /* what a step adds, up to 2^63 */
};

static bool find_step(const struct knowledge *k, uint32_t vreg, struct loop_count *c)
{
    const struct known *v = &k->of[vreg];

    if (v->writes != 2 || vreg <= IR_PARAMS)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        const struct ir_op *op = op_at(k->f, v->write[i]);
        if (op->kind != IR_ADD || op->a != vreg || !(op->flags & IR_IMM) || op->imm <= 0 || op->imm > FAR)
            continue;
        *c = (struct loop_count){v->write[!i], v->write[i], (uint64_t)op->imm};
        return c->begin.block != c->step.block && (op->width == 8 || v->narrow);
    }
    return false;
}

/* The test at the end of the block that steps it: going on means that the counter holds less than this, or `exactly`
 * that it is not this. The other way does not lead back but through the beginning. */
static bool find_test(struct knowledge *k, const struct loop_count *c, uint32_t vreg, const struct ir_op **test,
                      unsigned *cc)
{
    const struct ir_block *b = &k->f->blocks[c->step.block];
    const struct ir_op *br = &b->ops[b->n - 1];
    bool again0, again1;

    if (br->kind != IR_BR || br->a != vreg || br->width != op_at(k->f, c->step)->width || br->flags & IR_MEM)
        return false;
    again0 = leads(k, b->succ[0], c->step.block, c->begin.block);
    again1 = leads(k, b->succ[1], c->step.block, c->begin.block);
    if (again0 == again1)
        return false;
    *test = br;
    *cc = again0 ? br->cc : br->cc ^ 1u;
    return true;
}

/* Numbers: from a constant up to another. */
static void count_numbers(struct knowledge *k, uint32_t vreg)
{
    struct known *v = &k->of[vreg];
    const struct ir_op *begin, *test;
    struct loop_count c;
    unsigned cc;
    uint64_t from, to;

    if (!find_step(k, vreg, &c) || !find_test(k, &c, vreg, &test, &cc) || !(test->flags & IR_IMM))
        return;
    begin = op_at(k->f, c.begin);
    from = (uint64_t)begin->imm;
    to = (uint64_t)test->imm;
    if (begin->kind != IR_CONST || from > FAR || to > FAR || !to)
        return;
    if (cc == IR_NE && (from >= to || (to - from) % c.by))
        return;
    if (cc != IR_NE && cc != IR_ULT && cc != IR_SLT)
        return;
    /* Going on, it is below `to`, or this is the first round. */
    v->most_before = cc == IR_NE ? to - c.by : from > to - 1 ? from : to - 1;
    v->most = v->most_before + c.by;
    v->rounds = from < to ? (to - from + c.by - 1) / c.by : 1;
    v->write[0] = c.begin;
    v->write[1] = c.step;
    v->counter = true;
}

/* The place in the frame whose address this operation makes of another; KNOWN_NOWHERE: it is no single one. */
static int32_t address_of(const struct knowledge *k, const struct ir_op *op)
{
    const struct known *a = &k->of[op->a];
    bool adds = op->kind == IR_ADD && op->width == 8 && op->flags & IR_IMM;
    int64_t at;

    if ((op->kind != IR_COPY && !adds) || a->at == KNOWN_NOWHERE || a->span)
        return KNOWN_NOWHERE;
    at = a->at + (adds ? op->imm : 0);
    return at < -FAR || at > FAR ? KNOWN_NOWHERE : (int32_t)at;
}

/* Addresses in the frame that a loop steps along with a counter, or up to another address. */
static void count_addresses(struct knowledge *k, uint32_t vreg)
{
    struct known *v = &k->of[vreg];
    const struct ir_op *test;
    const struct known *end, *counter;
    int32_t from;
    struct loop_count c;
    unsigned cc;
    int64_t far = FAR;

    if (!find_step(k, vreg, &c) || op_at(k->f, c.step)->width != 8)
        return;
    test = &k->f->blocks[c.step.block].ops[k->f->blocks[c.step.block].n - 1];
    from = address_of(k, op_at(k->f, c.begin));
    if (from == KNOWN_NOWHERE || test->kind != IR_BR)
        return;
    counter = &k->of[test->a];
    if (counter->counter && counter->write[1].block == c.step.block && counter->write[0].block == c.begin.block) {
        far = (int64_t)product(counter->rounds, c.by);
    } else if (!(test->flags & (IR_IMM | IR_MEM)) && find_test(k, &c, vreg, &test, &cc)) {
        end = &k->of[test->b];
        k->again |= end->at == KNOWN_NOWHERE && end->writes == 1;
        if (end->at == KNOWN_NOWHERE || end->span || cc != IR_NE || end->at <= from ||
            (uint32_t)(end->at - from) % c.by)
            return;
        far = end->at - from;
    }
    if (far < 0 || far >= FAR)
        return;
    v->at = from;
    v->span = (uint32_t)far;
}

/* ---- Addresses and constants ---- */

static void derive(struct knowledge *k, struct place at)
{
    const struct ir_op *op = op_at(k->f, at);
    struct known *to = &k->of[op->dst];
    const struct known *a = &k->of[op->a], *base = a;
    uint64_t far = 0;
    int64_t from;

    if (op->dst <= IR_PARAMS || (op->kind != IR_CONST && op->kind != IR_COPY && op->kind != IR_ADD))
        return;
    if (to->writes == 2 && to->at == KNOWN_NOWHERE && address_of(k, op) != KNOWN_NOWHERE)
        count_addresses(k, op->dst);
    if (to->writes != 1)
        return;
    if (op->kind == IR_CONST || op->kind == IR_COPY) {
        to->is_const = op->kind == IR_CONST || a->is_const;
        to->value = op->kind == IR_CONST ? op->imm : a->value;
    }
    if (op->kind != IR_COPY && (op->kind != IR_ADD || op->width != 8 || op->flags & IR_MEM))
        return;
    if (op->kind == IR_ADD && !(op->flags & IR_IMM)) {
        bool swapped = a->at == KNOWN_NOWHERE;
        base = swapped ? &k->of[op->b] : a;
        far = base->at == KNOWN_NOWHERE ? 0 : bound(k, swapped ? op->a : op->b, at, DEPTH);
    }
    if (base->at == KNOWN_NOWHERE || far > FAR || base->span > FAR)
        return;
    from = base->at + (op->kind == IR_ADD && op->flags & IR_IMM ? op->imm : 0);
    if (from < -FAR || from > FAR)
        return;
    to->at = (int32_t)from;
    to->span = base->span + (uint32_t)far;
}

/* Is the upper half of what this writes zero? */
static bool is_narrow(const struct ir_op *op)
{
    switch (op->kind) {
    case IR_CONST: return (uint64_t)op->imm <= UINT32_MAX;
    case IR_ZEXT: return true;
    case IR_LOAD: return op->size < 8 && !(op->flags & IR_SIGNED);
    case IR_COPY:
    case IR_LEA:
    case IR_SELECT:
    case IR_CARRY: return false;
    default: return op->width == 4 && ir_kinds[op->kind].what & IR_W_PURE;
    }
}

static void note_writes(struct knowledge *k)
{
    struct ir_func *f = k->f;

    for (uint32_t b = 0; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++) {
            const struct ir_op *op = &f->blocks[b].ops[i];
            struct known *v = &k->of[op->dst];
            if (v->writes < 2)
                v->write[v->writes] = (struct place){b, i};
            v->writes++;
            if (v->narrow)
                v->narrow = is_narrow(op);
        }
}

bool build_known(struct knowledge *k, struct ir_func *f)
{
    uint32_t n, *order = ir_order(f, &n);

    k->f = f;
    k->budget = 4096;
    for (uint32_t b = 0; b < f->n_blocks; b++)
        k->budget += (uint64_t)EACH * f->blocks[b].n;
    k->of = ARENA_ROOM(&f->ir->scratch, struct known, f->n_vregs);
    if (!order || !k->of)
        return false;
    for (uint32_t v = 0; v < f->n_vregs; v++)
        k->of[v] = (struct known){.at = KNOWN_NOWHERE, .writes = v <= IR_PARAMS, .narrow = v > IR_PARAMS};
    k->of[IR_FP].at = 0;
    note_writes(k);
    for (uint32_t v = IR_PARAMS + 1; v < f->n_vregs; v++)
        count_numbers(k, v);
    k->again = true;
    for (unsigned round = 0; round < 2 && k->again; round++) {
        k->again = false;
        for (uint32_t b = 0; b < n; b++)
            for (uint32_t i = 0; i < f->blocks[order[b]].n; i++)
                derive(k, (struct place){order[b], i});
    }
    return true;
}
