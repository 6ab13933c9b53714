/* Functions at random for the allocator, and targets that exist nowhere. */
#ifndef TESTS_UNIT_ALLOC_MAKE_H
#define TESTS_UNIT_ALLOC_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jit/alloc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static inline uint32_t rnd(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

/* ---- Targets ---- */

enum { FAKE_COUNT = 1, FAKE_LOW = 0, FAKE_HIGH = 2 };

static inline void fake_needs(const struct ir_func *f, const struct ir_op *op, struct jit_needs *needs)
{
    bool imm = op->flags & IR_IMM;

    (void)f;
    switch (op->kind) {
    case IR_COPY:
    case IR_CONST:
        needs->in_slot = 1;
        needs->dst_in_slot = true;
        needs->dst_is_a = op->kind == IR_COPY;
        break;
    case IR_ADD:
    case IR_SUB:
    case IR_XOR:
        needs->in_slot = 3;
        needs->dst_in_slot = true;
        needs->dst_is_a = true;
        break;
    case IR_SHL:
    case IR_SHR:
        needs->dst_is_a = true;
        if (!imm) {
            needs->use[1] = FAKE_COUNT;
            needs->clobbers = 1 << FAKE_COUNT;
            needs->in_slot = 2;
        }
        break;
    case IR_UDIV:
    case IR_SMOD:
        needs->use[0] = needs->dst = FAKE_LOW;
        needs->clobbers = 1 << FAKE_LOW | 1 << FAKE_HIGH;
        needs->late = 14;
        break;
    case IR_MULHI:
        needs->use[0] = FAKE_LOW;
        needs->dst = FAKE_HIGH;
        needs->clobbers = 1 << FAKE_LOW | 1 << FAKE_HIGH;
        needs->in_slot = 2;
        break;
    case IR_SELECT: needs->late = imm ? 6 : 12; break;
    case IR_CMPXCHG:
        needs->use[1] = needs->dst = FAKE_LOW;
        needs->clobbers = 1 << FAKE_LOW;
        needs->late = 13;
        break;
    case IR_CALL:
    case IR_CALL_LOCAL:
    case IR_TAIL_CALL:
        needs->any_slot = 255;
        needs->dst = FAKE_LOW;
        needs->dst_in_slot = true;
        for (unsigned i = 0; i < op->n_args; i++)
            needs->use[i] = (uint8_t)(1 + i);
        break;
    case IR_BR: needs->in_slot = 3; break;
    default: break;
    }
}

static inline struct jit_target fake(unsigned registers)
{
    struct jit_target t = {.name = "none",
                           .allocatable = (1u << registers) - 1,
                           .callee_saved = 0xffffffffu << (registers / 2 + 1),
                           .needs = fake_needs};

    for (unsigned i = 0; i < IR_PARAMS; i++)
        t.params[i] = (uint8_t)(1 + i);
    return t;
}

/* ---- Functions ---- */

struct made {
    struct prog prog;
    struct prog_func func;
    struct code code;
    struct ir ir;
    struct ir_func f;
};

struct shape {
    uint32_t blocks, vregs, ops; /* ops: of a block, at most */
    uint32_t calls;              /* one operation in so many; 0: none */
    bool forward;                /* no jumps back */
};

static inline struct ir_op *put(struct made *m, uint32_t block, enum ir_kind kind)
{
    struct ir_block *b = &m->f.blocks[block];

    if (b->n == b->cap) {
        uint32_t cap = b->cap ? b->cap * 2 : 8;
        struct ir_op *ops = ARENA_ARRAY(&m->ir.arena, struct ir_op, cap);

        if (b->n)
            memcpy(ops, b->ops, b->n * sizeof(*ops));
        b->ops = ops;
        b->cap = cap;
    }
    b->ops[b->n] = (struct ir_op){.kind = (uint8_t)kind, .width = 8, .size = 8};
    return &b->ops[b->n++];
}

static inline void made_init(struct made *m, uint32_t blocks, uint32_t vregs)
{
    memset(m, 0, sizeof(*m));
    m->prog.funcs = &m->func;
    m->func.name = "made";
    m->code.prog = &m->prog;
    m->ir.code = &m->code;
    m->ir.funcs = &m->f;
    m->ir.n_funcs = 1;
    m->f.ir = &m->ir;
    m->f.blocks = ARENA_ARRAY(&m->ir.arena, struct ir_block, blocks);
    m->f.n_blocks = m->f.block_cap = blocks;
    m->f.n_vregs = vregs;
    for (uint32_t b = 0; b < blocks; b++)
        m->f.blocks[b].succ[0] = m->f.blocks[b].succ[1] = IR_NO_BLOCK;
}

static inline void made_free(struct made *m)
{
    arena_free(&m->ir.arena);
    arena_free(&m->ir.scratch);
    free(m->f.args);
}

/* Which registers each block writes is drawn first, so that what is certainly written where it begins can be found;
 * only that is read. */
struct plan {
    uint32_t n_vregs;
    uint8_t *writes, *known; /* [block][vreg] */
};

static inline bool plan_step(struct made *m, struct plan *p)
{
    bool changed = false;

    for (uint32_t b = 0; b < m->f.n_blocks; b++)
        for (unsigned s = 0; s < 2; s++) {
            uint32_t to = m->f.blocks[b].succ[s];

            for (uint32_t v = 1; to != IR_NO_BLOCK && v < p->n_vregs; v++)
                if (p->known[to * p->n_vregs + v] && !p->known[b * p->n_vregs + v] && !p->writes[b * p->n_vregs + v]) {
                    p->known[to * p->n_vregs + v] = 0;
                    changed = true;
                }
        }
    return changed;
}

static inline uint32_t pick(const uint8_t *known, uint32_t n)
{
    for (uint32_t v = 1 + rnd(n - 1), i = 0; i < n; i++, v = v + 1 < n ? v + 1 : 1)
        if (known[v])
            return v;
    return IR_NONE;
}

static inline void draw_op(struct made *m, uint32_t block, const uint8_t *known, uint32_t n, uint32_t dst, bool call)
{
    static const uint8_t kinds[] = {IR_CONST, IR_COPY, IR_ADD,    IR_SUB,  IR_XOR,   IR_SHL,     IR_SHR,  IR_UDIV,
                                    IR_SMOD,  IR_NEG,  IR_SELECT, IR_LOAD, IR_MULHI, IR_CMPXCHG, IR_POLL, IR_COPY};
    enum ir_kind kind = kinds[rnd(sizeof(kinds))];
    struct ir_op *op;

    if (call) {
        op = put(m, block, rnd(2) ? IR_CALL : IR_CALL_LOCAL);
        op->dst = dst;
        op->n_args = (uint8_t)(op->kind == IR_CALL ? rnd(IR_PARAMS + 1) : IR_PARAMS);
        op->args = m->f.n_args;
        m->f.args = realloc(m->f.args, (m->f.n_args + IR_MAX_USES) * sizeof(*m->f.args));
        for (unsigned i = 0; i < op->n_args; i++)
            m->f.args[m->f.n_args++] = pick(known, n);
        return;
    }
    if (!dst) {
        op = put(m, block, rnd(3) ? IR_STORE : IR_RMW);
        op->aux = IR_ADD;
        if (rnd(3))
            op->a = pick(known, n);
        else
            op->flags = IR_IMM;
        op->base = pick(known, n);
        op->index = rnd(2) ? pick(known, n) : IR_NONE;
        return;
    }
    op = put(m, block, kind);
    op->dst = dst;
    op->imm = rnd(1000);
    if (kind == IR_CONST)
        return;
    if (kind != IR_LOAD)
        op->a = pick(known, n);
    if (kind == IR_COPY && op->a == dst)
        op->kind = IR_NEG;
    if (kind == IR_POLL || kind == IR_CMPXCHG)
        op->b = pick(known, n);
    else if (kind != IR_LOAD && kind != IR_COPY && kind != IR_NEG) {
        if (rnd(3))
            op->b = pick(known, n);
        else if (kind != IR_MULHI)
            op->flags = IR_IMM;
        else
            op->b = pick(known, n);
    }
    if (kind == IR_SELECT) {
        op->yes = pick(known, n);
        op->no = pick(known, n);
    } else if (kind == IR_LOAD || kind == IR_CMPXCHG || (kind == IR_UDIV && !(op->flags & IR_IMM) && rnd(2))) {
        if (kind == IR_UDIV) {
            op->flags |= IR_MEM;
            op->b = IR_NONE;
        }
        op->base = pick(known, n);
        op->index = rnd(2) ? pick(known, n) : IR_NONE;
    }
}

static inline void draw_block(struct made *m, uint32_t block, struct plan *p, const struct shape *s)
{
    uint8_t *known = p->known + block * p->n_vregs, *left = p->writes + block * p->n_vregs;
    struct ir_block *b = &m->f.blocks[block];
    uint32_t next = 1 + rnd(p->n_vregs - 1);

    for (uint32_t i = rnd(s->ops + 1); i-- > 0;)
        draw_op(m, block, known, p->n_vregs, IR_NONE, s->calls && !rnd(s->calls));
    for (uint32_t i = 1; i < p->n_vregs; i++, next = next + 1 < p->n_vregs ? next + 1 : 1) {
        if (!left[next])
            continue;
        draw_op(m, block, known, p->n_vregs, next, s->calls && !rnd(s->calls));
        known[next] = 1;
        if (!rnd(3))
            draw_op(m, block, known, p->n_vregs, IR_NONE, false);
    }
    if (b->succ[0] == IR_NO_BLOCK) {
        put(m, block, rnd(4) ? IR_EXIT : IR_TRAP)->a = pick(known, p->n_vregs);
    } else if (b->succ[1] == IR_NO_BLOCK) {
        put(m, block, IR_JMP);
    } else {
        struct ir_op *op = put(m, block, IR_BR);

        op->a = pick(known, p->n_vregs);
        if (rnd(2))
            op->b = pick(known, p->n_vregs);
        else
            op->flags = IR_IMM;
    }
}

static inline void draw(struct made *m, const struct shape *s)
{
    struct plan p = {.n_vregs = s->vregs};
    size_t size = (size_t)s->blocks * s->vregs;

    made_init(m, s->blocks, s->vregs);
    p.writes = calloc(size, 1);
    p.known = malloc(size);
    memset(p.known, 1, size);
    for (uint32_t v = 1; v < s->vregs; v++)
        p.known[v] = v <= IR_PARAMS;
    for (uint32_t b = 0; b < s->blocks; b++) {
        unsigned to = rnd(8);

        for (uint32_t v = 1; v < s->vregs; v++)
            p.writes[b * s->vregs + v] = b ? !rnd(s->blocks > 4 ? 6 : 3) : v > IR_PARAMS && rnd(8);
        for (unsigned k = 0; k < 2 && s->blocks > 1 && to > k * 3; k++) {
            uint32_t low = s->forward ? b + 1 : rnd(3) ? b + 1 : 1;

            if (low < s->blocks)
                m->f.blocks[b].succ[k] = low + rnd(s->blocks - low < 6 ? s->blocks - low : 6);
        }
        if (m->f.blocks[b].succ[0] == IR_NO_BLOCK) {
            m->f.blocks[b].succ[0] = m->f.blocks[b].succ[1];
            m->f.blocks[b].succ[1] = IR_NO_BLOCK;
        }
    }
    while (plan_step(m, &p))
        ;
    for (uint32_t b = 0; b < s->blocks; b++)
        draw_block(m, b, &p, s);
    free(p.writes);
    free(p.known);
}

/* For the one who looks for a mistake: MADE_SHOW in the environment. */
static inline void show(const struct made *m, const struct jit_alloc *out)
{
    struct buf text = {0};

    if (!getenv("MADE_SHOW"))
        return;
    ir_print(&m->ir, &text);
    fprintf(stderr, "%s", buf_text(&text));
    for (uint32_t v = 1; out && v < out->n_vregs; v++)
        if (out->place[v].reg != JIT_NO_REG || out->place[v].slot != JIT_NO_SLOT)
            fprintf(stderr, "v%u (%u): r%d slot %d\n", v, out->origin[v],
                    out->place[v].reg != JIT_NO_REG ? out->place[v].reg : -1, (int)out->place[v].slot);
    buf_free(&text);
}

#endif
