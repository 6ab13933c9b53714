/*
 * The invariants of ir.h, judged and not mended. That every use is reached by writes is looked at a register at a time:
 * from each block that reads it first, backwards until something writes it; whoever comes to the entry so has found a
 * read of nothing. That costs as much as the live ranges are long.
 */
#include "vm/ir/shape.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    struct ir *ir;
    struct ir_func *f;
    uint32_t block, op;
    const char *why;
};

static bool refuse(struct judge *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct judge *j, const char *fmt, ...)
{
    const struct ir_func *f = j->f;
    struct buf text = {0};
    char what[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (j->block < f->n_blocks && j->op < f->blocks[j->block].n)
        ir_print_op(f, &f->blocks[j->block].ops[j->op], &text);
    j->why = arena_printf(&j->ir->arena, "func %u b%u op %u: %s: %s", f->index, j->block, j->op, what, buf_text(&text));
    if (!j->why)
        j->why = "out of memory";
    buf_free(&text);
    return false;
}

static bool is_reg(const struct judge *j, uint32_t vreg)
{
    return vreg != IR_NONE && vreg < j->f->n_vregs;
}

static bool check_size(struct judge *j, unsigned size, unsigned least)
{
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return refuse(j, "size %u", size);
    return size >= least || refuse(j, "size %u is too small", size);
}

static bool check_memory(struct judge *j, const struct ir_op *op)
{
    if (op->base && !is_reg(j, op->base))
        return refuse(j, "base is register %u of %u", op->base, j->f->n_vregs);
    if (op->index && !is_reg(j, op->index))
        return refuse(j, "index is register %u of %u", op->index, j->f->n_vregs);
    return op->shift <= 3 || refuse(j, "shift %u", op->shift);
}

static bool check_args(struct judge *j, const struct ir_op *op)
{
    unsigned least = op->kind == IR_CALL_LOCAL ? 1 : op->kind == IR_TAIL_CALL ? (op->imm ? 3 : 5) : 0;

    if (op->n_args > IR_PARAMS || op->n_args < least)
        return refuse(j, "%u arguments", op->n_args);
    if (op->args > j->f->n_args || op->n_args > j->f->n_args - op->args)
        return refuse(j, "arguments %u to %u of %u", op->args, op->args + op->n_args, j->f->n_args);
    for (unsigned i = 0; i < op->n_args; i++)
        if (!is_reg(j, j->f->args[op->args + i]))
            return refuse(j, "argument %u is register %u of %u", i, j->f->args[op->args + i], j->f->n_vregs);
    if (op->kind == IR_CALL_LOCAL && (uint64_t)op->imm >= j->ir->n_funcs)
        return refuse(j, "function %lld of %u", (long long)op->imm, j->ir->n_funcs);
    return true;
}

static bool check_second(struct judge *j, const struct ir_op *op, unsigned shape)
{
    if (op->flags & IR_IMM && op->flags & IR_MEM)
        return refuse(j, "both a constant and memory");
    if (op->flags & IR_MEM && (shape & (IR_S_PICK | IR_S_TO)))
        return refuse(j, "a memory operand beside yes and no");
    if (op->flags & IR_MEM)
        return check_size(j, op->size, 1) && check_memory(j, op);
    if (op->flags & IR_IMM)
        return op->width != 4 || op->imm == (int32_t)op->imm || refuse(j, "constant is wider than the operation");
    return is_reg(j, op->b) || refuse(j, "second operand is register %u of %u", op->b, j->f->n_vregs);
}

/* Fields that it does not have are no registers. */
static bool check_fields(struct judge *j, const struct ir_op *op, unsigned shape)
{
    bool imm = op->flags & IR_IMM, mem = shape & IR_S_MEM || (shape & IR_S_B && op->flags & IR_MEM);

    if (!(shape & IR_S_A || (shape & IR_S_A_OR_IMM && !imm)) && op->a)
        return refuse(j, "a first operand");
    if (!(shape & IR_S_B_REG || (shape & IR_S_B && !imm && !mem)) && op->b)
        return refuse(j, "a second operand");
    if (!mem && !(shape & (IR_S_PICK | IR_S_TO)) && (op->base || op->index))
        return refuse(j, "an address");
    return !op->n_args || shape & IR_S_ARGS || refuse(j, "arguments");
}

/* What is true of a few kinds alone. */
static bool check_kind(struct judge *j, const struct ir_op *op)
{
    switch (op->kind) {
    case IR_ZEXT: return op->size <= 4 || refuse(j, "size %u", op->size);
    case IR_SEXT:
        return op->size < op->width + (op->width == 4) || refuse(j, "size %u to width %u", op->size, op->width);
    case IR_BSWAP: return check_size(j, op->size, 2);
    case IR_MULHI: return op->width == 8 || refuse(j, "width %u", op->width);
    case IR_CARRY:
        if ((op->aux != IR_ADD && op->aux != IR_SUB) || (op->cc != IR_ULT && op->cc != IR_UGE))
            return refuse(j, "not such an operation");
        return check_size(j, op->size, 4);
    case IR_ATOMIC:
    case IR_FETCH:
        if (op->aux != IR_ADD && op->aux != IR_AND && op->aux != IR_OR && op->aux != IR_XOR)
            return refuse(j, "not such an operation");
        /* fall through */
    case IR_XCHG:
    case IR_CMPXCHG: return check_size(j, op->size, 4);
    case IR_RMW:
        return op->aux == IR_ADD || op->aux == IR_SUB || op->aux == IR_AND || op->aux == IR_OR || op->aux == IR_XOR ||
               refuse(j, "not such an operation");
    default: return true;
    }
}

static bool check_op(struct judge *j, const struct ir_op *op)
{
    unsigned shape;

    if (op->kind >= IR_KIND_COUNT)
        return refuse(j, "no such kind");
    shape = ir_shape(op->kind);
    if (shape & IR_S_DST ? !is_reg(j, op->dst) : shape & IR_S_DST_OR_NONE ? op->dst >= j->f->n_vregs : op->dst)
        return refuse(j, "result is register %u of %u", op->dst, j->f->n_vregs);
    if ((shape & IR_S_A || (shape & IR_S_A_OR_IMM && !(op->flags & IR_IMM))) && !is_reg(j, op->a))
        return refuse(j, "first operand is register %u of %u", op->a, j->f->n_vregs);
    if (shape & IR_S_B_REG && !is_reg(j, op->b))
        return refuse(j, "second operand is register %u of %u", op->b, j->f->n_vregs);
    if ((shape & IR_S_B || op->kind == IR_SEXT || op->kind == IR_LEA || op->kind == IR_NEG || op->kind == IR_NOT) &&
        op->width != 4 && op->width != 8)
        return refuse(j, "width %u", op->width);
    if (shape & IR_S_CC && op->cc > IR_TNZ)
        return refuse(j, "condition %u", op->cc);
    if (shape & IR_S_SIZE && !check_size(j, op->size, 1))
        return false;
    if (shape & IR_S_B && !check_second(j, op, shape))
        return false;
    if (shape & IR_S_PICK && (!is_reg(j, op->yes) || !is_reg(j, op->no)))
        return refuse(j, "picks between registers %u and %u of %u", op->yes, op->no, j->f->n_vregs);
    if (shape & IR_S_TO && (!is_reg(j, op->yes) || op->no))
        return refuse(j, "adds to register %u of %u", op->yes, j->f->n_vregs);
    if (shape & IR_S_MEM && !check_memory(j, op))
        return false;
    if (shape & IR_S_ARGS && !check_args(j, op))
        return false;
    return check_fields(j, op, shape) && check_kind(j, op);
}

static bool check_ends(struct judge *j, const struct ir_block *b)
{
    unsigned kind, n;

    if (!b->n)
        return refuse(j, "empty block");
    for (j->op = 0; j->op < b->n; j->op++) {
        if (!check_op(j, &b->ops[j->op]))
            return false;
        if (!!(ir_kinds[b->ops[j->op].kind].what & IR_W_END) != (j->op + 1 == b->n))
            return refuse(j, "%s", j->op + 1 == b->n ? "the block goes on past its end" : "ends inside its block");
    }
    j->op = b->n - 1;
    kind = b->ops[j->op].kind;
    n = kind == IR_BR ? 2 : kind == IR_JMP ? 1 : 0;
    for (unsigned i = 0; i < 2; i++) {
        if (i < n ? b->succ[i] >= j->f->n_blocks : b->succ[i] != IR_NO_BLOCK)
            return refuse(j, "successor %u is block %u of %u", i, b->succ[i], j->f->n_blocks);
        if (i < n && !b->succ[i])
            return refuse(j, "jumps to the entry");
    }
    return true;
}

/* ---- Reads of nothing ---- */

struct mention {
    uint32_t vreg, block, op;
};

struct mentions {
    struct mention *list;
    uint32_t n;
    uint32_t *first; /* where a register's begin, once sorted */
};

/* For each register the blocks that write it, and those that read it before they write it, once each. */
struct flow {
    struct mentions reads, writes;
    uint32_t *seen_read, *seen_write; /* by register: the block it was last noted for, plus one */
};

static void note(struct mentions *m, uint32_t *seen, uint32_t vreg, uint32_t block, uint32_t op)
{
    if (seen[vreg] == block + 1)
        return;
    seen[vreg] = block + 1;
    m->list[m->n++] = (struct mention){vreg, block, op};
}

static void gather(struct ir_func *f, struct flow *w)
{
    for (uint32_t b = 0; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++) {
            struct ir_op *op = &f->blocks[b].ops[i];
            uint32_t *uses[IR_MAX_USES];
            unsigned n = ir_uses(f, op, uses);
            for (unsigned k = 0; k < n; k++)
                if (w->seen_write[*uses[k]] != b + 1)
                    note(&w->reads, w->seen_read, *uses[k], b, i);
            if (op->dst)
                note(&w->writes, w->seen_write, op->dst, b, i);
        }
}

static bool sort(struct mentions *m, uint32_t n_vregs)
{
    struct mention *sorted = malloc((m->n + 1) * sizeof(*sorted));
    uint32_t at = 0;

    m->first = calloc(n_vregs + 1, sizeof(*m->first));
    if (!sorted || !m->first) {
        free(sorted);
        return false;
    }
    for (uint32_t i = 0; i < m->n; i++)
        m->first[m->list[i].vreg]++;
    for (uint32_t v = 0; v <= n_vregs; v++) {
        uint32_t count = m->first[v];
        m->first[v] = at;
        at += count;
    }
    for (uint32_t i = 0; i < m->n; i++)
        sorted[m->first[m->list[i].vreg]++] = m->list[i];
    memmove(m->first + 1, m->first, n_vregs * sizeof(*m->first));
    m->first[0] = 0;
    free(m->list);
    m->list = sorted;
    return true;
}

static bool check_reads(struct judge *j, const struct flow *w, uint32_t vreg, uint32_t *stamp, uint32_t *work)
{
    const struct ir_func *f = j->f;

    for (uint32_t i = w->writes.first[vreg]; i < w->writes.first[vreg + 1]; i++)
        stamp[w->writes.list[i].block] = vreg;
    for (uint32_t i = w->reads.first[vreg]; i < w->reads.first[vreg + 1]; i++) {
        const struct mention *m = &w->reads.list[i];
        uint32_t n = 0;
        work[n++] = m->block;
        while (n) {
            const struct ir_block *b = &f->blocks[work[--n]];
            if (b == f->blocks) {
                j->block = m->block;
                j->op = m->op;
                return refuse(j, "register %u is read where nothing may have written it", vreg);
            }
            for (uint32_t k = 0; k < b->n_preds; k++)
                if (stamp[b->preds[k]] != vreg) {
                    stamp[b->preds[k]] = vreg;
                    work[n++] = b->preds[k];
                }
        }
    }
    return true;
}

static bool check_flow(struct judge *j)
{
    struct ir_func *f = j->f;
    struct flow w = {0};
    uint32_t total = 0, *stamp = NULL, *work = NULL;
    bool ok = false;

    for (uint32_t b = 0; b < f->n_blocks; b++)
        total += f->blocks[b].n;
    w.reads.list = malloc(((size_t)total * IR_MAX_USES + 1) * sizeof(struct mention));
    w.writes.list = malloc(((size_t)total + 1) * sizeof(struct mention));
    w.seen_read = calloc(f->n_vregs, sizeof(uint32_t));
    w.seen_write = calloc(f->n_vregs, sizeof(uint32_t));
    stamp = calloc(f->n_blocks, sizeof(*stamp));
    work = malloc(f->n_blocks * sizeof(*work) + sizeof(*work));
    if (w.reads.list && w.writes.list && w.seen_read && w.seen_write && stamp && work && !ir_preds(f)) {
        gather(f, &w);
        ok = sort(&w.reads, f->n_vregs) && sort(&w.writes, f->n_vregs);
        for (uint32_t v = IR_PARAMS + 1; v < f->n_vregs && ok; v++)
            ok = check_reads(j, &w, v, stamp, work);
    }
    if (!ok && !j->why)
        j->why = "out of memory";
    free(w.reads.list);
    free(w.reads.first);
    free(w.writes.list);
    free(w.writes.first);
    free(w.seen_read);
    free(w.seen_write);
    free(stamp);
    free(work);
    return ok;
}

static bool check_func(struct judge *j)
{
    struct ir_func *f = j->f;

    j->block = j->op = 0;
    if (!f->n_blocks)
        return refuse(j, "no blocks");
    if (f->n_vregs <= IR_PARAMS)
        return refuse(j, "%u registers, fewer than parameters", f->n_vregs);
    for (j->block = 0; j->block < f->n_blocks; j->block++) {
        j->op = 0;
        if (!check_ends(j, &f->blocks[j->block]))
            return false;
    }
    return check_flow(j);
}

const char *ir_check(struct ir *ir)
{
    struct judge j = {.ir = ir};

    for (uint32_t i = 0; i < ir->n_funcs; i++) {
        j.f = &ir->funcs[i];
        if (!check_func(&j))
            return j.why;
    }
    return NULL;
}
