/*
 * What one function's form says to those that call it: which arguments it reads, whether it uses its frame, whether it
 * may leave. Callers come before callees as compilers lay functions out, so one walk from the last function to the
 * first mostly tells all; where it does not, the answer is the careful one.
 */
#include "vm/ir/build.h"
#include <errno.h>
#include <stdlib.h>

/* ---- Arguments ---- */

/* What is not read is not passed at the end, and before that any register will do. */
static void trim(struct ir_func *f, const uint8_t *reads)
{
    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++) {
            struct ir_op *op = &f->blocks[k].ops[i];
            if (op->kind != IR_CALL_LOCAL)
                continue;
            for (unsigned a = 0; a < 5; a++)
                if (!(reads[op->imm] >> a & 1))
                    f->args[op->args + 2 + a] = IR_ENV;
            while (op->n_args > 2 && f->args[op->args + op->n_args - 1] == IR_ENV)
                op->n_args--;
        }
}

static uint8_t bit_of_param(uint32_t v)
{
    return v >= IR_R1 && v <= IR_PARAMS ? (uint8_t)(1u << (v - IR_R1)) : 0;
}

static uint8_t params_read(struct ir_func *f)
{
    uint8_t reads = 0;

    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++) {
            const struct ir_op *op = &f->blocks[k].ops[i];
            for (unsigned u = 0; u < IR_FIELDS; u++)
                reads |= bit_of_param(op->use[u]);
            for (unsigned u = 0; u < op->n_args; u++)
                reads |= bit_of_param(f->args[op->args + u]);
        }
    return reads;
}

int build_trim_args(struct ir *ir)
{
    uint8_t *reads;
    bool any = false;

    for (uint32_t i = 0; i < ir->n_funcs; i++)
        any |= ir->funcs[i].calls_local;
    if (!any)
        return 0;
    reads = malloc(ir->n_funcs);
    if (!reads)
        return -ENOMEM;
    for (uint32_t i = 0; i < ir->n_funcs; i++)
        reads[i] = 0x1f;
    for (uint32_t i = ir->n_funcs; i-- > 0;) {
        if (ir->funcs[i].calls_local)
            trim(&ir->funcs[i], reads);
        reads[i] = params_read(&ir->funcs[i]);
    }
    free(reads);
    return 0;
}

/* ---- Frames and leaving ---- */

static bool reads(const struct ir_func *f, const struct ir_op *op, uint32_t v)
{
    bool does = op->a == v || op->b == v || op->base == v || op->index == v;

    for (unsigned u = 0; u < op->n_args; u++)
        does |= f->args[op->args + u] == v;
    return does;
}

/* By itself; what its local calls do is looked at elsewhere. *holes: there are NOPs in it. */
static void look_at(struct ir_func *f, bool *holes)
{
    bool frame = f->frame_clear, leaves = f->fuel;

    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++) {
            const struct ir_op *op = &f->blocks[k].ops[i];

            *holes |= op->kind == IR_NOP;
            /* not what only makes the frame of the function that is called next */
            if (reads(f, op, IR_FP))
                frame |= !(op->kind == IR_ADD && i + 1 < f->blocks[k].n && op[1].kind == IR_CALL_LOCAL);
            if (op->kind == IR_TRAP || ir_kinds[op->kind].what & IR_W_LEAVES)
                leaves |= !(op->kind == IR_CHECK && i && op[-1].kind == IR_CALL_LOCAL);
        }
    f->uses_frame = frame;
    f->leaves = leaves;
}

/* Does it call one of these? */
static bool calls_any(const struct ir_func *f, const struct ir *ir, bool (*is)(const struct ir_func *))
{
    for (uint32_t k = 0; k < f->n_blocks && f->calls_local; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++) {
            const struct ir_op *op = &f->blocks[k].ops[i];
            if (op->kind == IR_CALL_LOCAL && is(&ir->funcs[op->imm]))
                return true;
        }
    return false;
}

static bool uses_frame(const struct ir_func *f)
{
    return f->uses_frame;
}

static bool leaves(const struct ir_func *f)
{
    return f->leaves;
}

/* Upwards until nothing changes. Calls go few levels deep; where they do not, all are said to. */
static void spread(struct ir *ir)
{
    enum { LEVELS = 16 };
    bool changed = true;

    for (unsigned level = 0; changed && level < LEVELS; level++) {
        changed = false;
        for (uint32_t i = ir->n_funcs; i-- > 0;) {
            struct ir_func *f = &ir->funcs[i];
            if (!f->uses_frame && calls_any(f, ir, uses_frame))
                f->uses_frame = changed = true;
            if (!f->leaves && calls_any(f, ir, leaves))
                f->leaves = changed = true;
        }
    }
    for (uint32_t i = 0; i < ir->n_funcs && changed; i++)
        ir->funcs[i].uses_frame = ir->funcs[i].leaves = true;
}

static void spare(struct ir_func *f)
{
    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 1; i < f->blocks[k].n; i++) {
            struct ir_op *op = &f->blocks[k].ops[i];
            if (op->kind != IR_CALL_LOCAL)
                continue;
            if (!f->ir->funcs[op->imm].uses_frame) {
                f->args[op->args + 1] = IR_ENV;
                op->n_args = op->n_args == 2 ? 1 : op->n_args;
                op[-1] = (struct ir_op){.kind = IR_NOP, .slot = op[-1].slot};
            }
            if (!f->ir->funcs[op->imm].leaves && op[1].kind == IR_CHECK)
                op[1] = (struct ir_op){.kind = IR_NOP, .slot = op[1].slot};
        }
}

static void sweep(struct ir_func *f)
{
    for (uint32_t k = 0; k < f->n_blocks; k++) {
        struct ir_block *b = &f->blocks[k];
        uint32_t n = 0;
        for (uint32_t i = 0; i < b->n; i++)
            if (b->ops[i].kind != IR_NOP)
                b->ops[n++] = b->ops[i];
        b->n = n;
    }
}

void build_settle_calls(struct ir *ir)
{
    bool holes = false;

    for (uint32_t i = 0; i < ir->n_funcs; i++) {
        look_at(&ir->funcs[i], &holes);
        holes |= ir->funcs[i].calls_local;
    }
    spread(ir);
    for (uint32_t i = 0; i < ir->n_funcs && holes; i++) {
        if (ir->funcs[i].calls_local)
            spare(&ir->funcs[i]);
        sweep(&ir->funcs[i]);
    }
}
