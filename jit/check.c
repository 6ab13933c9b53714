/*
 * Proof of an allocation: all paths are run with names instead of values. `holds` says for every machine register and
 * every slot which registers of the program's form have their present values there (several, when they are copies of
 * one another). Where paths meet, only what all of them agree on stays, until nothing changes any more. Then every
 * operand must be found where it is read.
 */
#include "jit/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Beyond so many places at blocks' borders proof is not attempted. */
enum { MAX_STATE = 1 << 26 };

/* The latest names of a value; the others are of registers long dead. */
enum { NAMES = 12 };

/* 0 is no name. */
struct names {
    uint32_t of[NAMES];
};

struct check {
    struct alloc a; /* what alloc_needs() asks */
    const struct jit_alloc *alloc;
    uint32_t n_places;
    struct names *holds;  /* at present */
    struct names *states; /* where each block begins */
    uint8_t *seen;
    const struct ir_op **makes; /* of each name: the first CONST that writes it, when nothing else ever does */
    uint32_t block, op;
    const char *wrong;
};

static void fail(struct check *c, const char *what, uint32_t vreg)
{
    if (!c->wrong)
        c->wrong = arena_printf(&c->a.f->ir->arena, "block %u, operation %u, register %u (of %u): %s", c->block, c->op,
                                vreg, c->alloc->origin[vreg], what);
    if (!c->wrong)
        c->wrong = what;
}

/* Where v lies: a machine register, or JIT_MAX_REGS and more: a slot. */
static uint32_t place_of(struct check *c, uint32_t v)
{
    const struct jit_place *p;

    if (!v || v >= c->alloc->n_vregs) {
        c->wrong = "an operand that allocation does not know";
        return 0;
    }
    p = &c->alloc->place[v];
    if (p->reg != JIT_NO_REG) {
        if (p->reg >= JIT_MAX_REGS || !(c->a.target->allocatable >> p->reg & 1))
            fail(c, "lies in a register that is not for allocation", v);
        return p->reg % JIT_MAX_REGS;
    }
    if (p->slot >= c->alloc->n_slots) {
        fail(c, "lies nowhere", v);
        return 0;
    }
    return JIT_MAX_REGS + p->slot;
}

static uint32_t slot_of(struct check *c, int64_t imm, uint32_t vreg)
{
    if (imm < 0 || imm >= c->alloc->n_slots) {
        fail(c, "no such slot", vreg);
        return JIT_MAX_REGS;
    }
    return JIT_MAX_REGS + (uint32_t)imm;
}

static bool has(const struct names *names, uint32_t name)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (names->of[i] == name)
            return true;
    return false;
}

static void expect(struct check *c, uint32_t v, uint32_t place, const char *what)
{
    if (!has(&c->holds[place], c->alloc->origin[v]))
        fail(c, what, v);
}

static void put(struct check *c, uint32_t place, uint32_t name)
{
    c->holds[place] = (struct names){{name}};
}

static void destroy(struct check *c, uint32_t regs)
{
    for (; regs; regs &= regs - 1)
        put(c, (uint32_t)__builtin_ctz(regs), 0);
}

/* What holds the old value of that name is worth nothing to it any more. */
static void forget(struct check *c, uint32_t name)
{
    for (uint32_t i = 0; i < c->n_places; i++)
        for (unsigned k = 0; k < NAMES; k++)
            if (c->holds[i].of[k] == name)
                c->holds[i].of[k] = 0;
}

static void write(struct check *c, const struct ir_op *op)
{
    uint32_t v = op->dst, place = place_of(c, v), name = c->alloc->origin[v];

    if (place < JIT_MAX_REGS && !(c->alloc->used >> place & 1))
        fail(c, "its machine register is not among those used", v);
    if (c->makes[name]) {
        put(c, place, name);
        return;
    }
    forget(c, name);
    if (op->kind == IR_COPY && place_of(c, op->a) == place) {
        memmove(&c->holds[place].of[1], &c->holds[place].of[0], (NAMES - 1) * sizeof(name));
        c->holds[place].of[0] = name;
        return;
    }
    put(c, place, name);
}

static const struct jit_save *saves_of(const struct check *c, uint32_t *n)
{
    const struct jit_alloc *alloc = c->alloc;
    uint32_t low = 0, high = alloc->n_saves, end;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct jit_save *s = &alloc->saves[mid];

        if (s->block < c->block || (s->block == c->block && s->op < c->op))
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < alloc->n_saves && alloc->saves[end].block == c->block && alloc->saves[end].op == c->op;)
        end++;
    *n = end - low;
    return alloc->saves + low;
}

static void operands(struct check *c, struct ir_op *op, const struct jit_needs *needs)
{
    uint32_t *uses[IR_MAX_USES], in_slot = 0;
    unsigned n = ir_uses(c->a.f, op, uses);

    for (unsigned i = 0; i < n && !c->wrong; i++) {
        uint32_t place = place_of(c, *uses[i]);

        if (c->wrong)
            return;
        expect(c, *uses[i], place, "is not where it is read");
        if (place < JIT_MAX_REGS || needs->any_slot >> i & 1)
            continue;
        if (!(needs->in_slot >> i & 1) || in_slot++)
            fail(c, "is read in a slot that the operation cannot read", *uses[i]);
    }
    if (op->dst && !c->wrong && place_of(c, op->dst) >= JIT_MAX_REGS && (!needs->dst_in_slot || in_slot))
        fail(c, "is written in a slot that the operation cannot write", op->dst);
}

static void late_operands(struct check *c, struct ir_op *op, const struct jit_needs *needs)
{
    uint32_t *uses[IR_MAX_USES];
    unsigned n = ir_uses(c->a.f, op, uses);

    for (unsigned i = 0; i < n && needs->late && !c->wrong; i++) {
        if (!(needs->late >> i & 1))
            continue;
        expect(c, *uses[i], place_of(c, *uses[i]), "is read late, after its register was destroyed");
        if (op->dst && place_of(c, op->dst) == place_of(c, *uses[i]))
            fail(c, "is read late, and lies where the result does", *uses[i]);
    }
}

static void run_op(struct check *c, struct ir_op *op)
{
    struct jit_needs needs;
    const struct jit_save *saves;
    uint32_t n_saves = 0, clobbers;

    if (op->kind == IR_RELOAD) {
        expect(c, op->dst, slot_of(c, op->imm, op->dst), "is not in the slot that it is reloaded from");
        if (place_of(c, op->dst) >= JIT_MAX_REGS)
            fail(c, "is reloaded to a slot", op->dst);
        put(c, place_of(c, op->dst), c->alloc->origin[op->dst]);
        return;
    }
    if (op->kind == IR_SPILL) {
        if (place_of(c, op->a) >= JIT_MAX_REGS)
            fail(c, "is spilled from a slot", op->a);
        expect(c, op->a, place_of(c, op->a), "is not in the register that is spilled");
        put(c, slot_of(c, op->imm, op->a), c->alloc->origin[op->a]);
        return;
    }
    alloc_needs(&c->a, op, &needs);
    operands(c, op, &needs);
    if (c->wrong)
        return;
    saves = saves_of(c, &n_saves);
    clobbers = needs.clobbers & c->a.target->allocatable;
    for (uint32_t i = 0; i < n_saves; i++) {
        if (saves[i].slot >= c->alloc->n_slots || !(c->a.caller_saved >> saves[i].reg & 1)) {
            c->wrong = "a register kept around a call that cannot be";
            return;
        }
        c->holds[JIT_MAX_REGS + saves[i].slot] = c->holds[saves[i].reg];
        clobbers &= ~(1u << saves[i].reg);
    }
    destroy(c, clobbers);
    late_operands(c, op, &needs);
    if (op->dst && !c->wrong) {
        for (uint32_t i = 0; i < n_saves; i++)
            if (c->alloc->place[op->dst].reg == saves[i].reg)
                fail(c, "is kept around the call that writes it", op->dst);
        write(c, op);
    }
}

/* What a successor may count on becomes less. @return has it? */
static bool meet(struct check *c, uint32_t block)
{
    struct names *state = c->states + (size_t)block * c->n_places;
    bool changed = !c->seen[block];

    if (changed)
        memcpy(state, c->holds, c->n_places * sizeof(*state));
    for (uint32_t i = 0; i < c->n_places; i++)
        for (unsigned k = 0; k < NAMES; k++)
            if (state[i].of[k] && !has(&c->holds[i], state[i].of[k])) {
                state[i].of[k] = 0;
                changed = true;
            }
    c->seen[block] = 1;
    return changed;
}

/* A constant that is made in several places is the same everywhere. */
static void find_constants(struct check *c)
{
    uint8_t *other = c->seen; /* for the registers of the program's form, for now */

    for (uint32_t v = 1; v <= IR_PARAMS; v++)
        other[v] = 1;
    for (uint32_t k = 0; k < c->alloc->n_order; k++) {
        const struct ir_block *b = &c->a.f->blocks[c->alloc->order[k]];

        for (uint32_t i = 0; i < b->n; i++) {
            const struct ir_op *op = &b->ops[i];
            uint32_t name = op->dst && op->kind != IR_RELOAD ? c->alloc->origin[op->dst] : 0;

            if (!name)
                continue;
            if (op->kind != IR_CONST || (c->makes[name] && c->makes[name]->imm != op->imm))
                other[name] = 1;
            c->makes[name] = op;
        }
    }
    for (uint32_t v = 0; v < c->alloc->n_vregs; v++)
        if (other[v])
            c->makes[v] = NULL;
    memset(c->seen, 0, c->alloc->n_vregs + c->a.f->n_blocks);
}

static void run_blocks(struct check *c)
{
    struct ir_func *f = c->a.f;
    bool again = true;

    for (uint32_t v = 1; v <= IR_PARAMS; v++)
        if (c->alloc->params >> v & 1)
            c->states[place_of(c, v)].of[0] = v;
    c->seen[0] = 1;
    while (again && !c->wrong) {
        again = false;
        for (uint32_t k = 0; k < c->alloc->n_order && !c->wrong; k++) {
            struct ir_block *b = &f->blocks[c->block = c->alloc->order[k]];

            if (!c->seen[c->block])
                continue;
            memcpy(c->holds, c->states + (size_t)c->block * c->n_places, c->n_places * sizeof(*c->holds));
            for (c->op = 0; c->op < b->n && !c->wrong; c->op++)
                run_op(c, &b->ops[c->op]);
            for (unsigned s = 0; s < 2; s++)
                if (b->succ[s] != IR_NO_BLOCK)
                    again |= meet(c, b->succ[s]);
        }
    }
}

const char *jit_alloc_check(struct ir_func *f, const struct jit_target *target, const struct jit_alloc *alloc)
{
    struct check c = {.a = {.f = f, .target = target, .caller_saved = target->allocatable & ~target->callee_saved},
                      .alloc = alloc,
                      .n_places = JIT_MAX_REGS + alloc->n_slots};

    if (!alloc->n_order || alloc->order[0])
        return "the entry is not the first block";
    if ((size_t)f->n_blocks * c.n_places > MAX_STATE)
        return NULL;
    c.holds = calloc(c.n_places, sizeof(*c.holds));
    c.states = calloc((size_t)f->n_blocks * c.n_places, sizeof(*c.states));
    c.seen = calloc((size_t)f->n_blocks + alloc->n_vregs, 1);
    c.makes = calloc(alloc->n_vregs, sizeof(*c.makes));
    if (c.holds && c.states && c.seen && c.makes) {
        find_constants(&c);
        run_blocks(&c);
    }
    free(c.holds);
    free(c.states);
    free(c.seen);
    free(c.makes);
    return c.wrong;
}
