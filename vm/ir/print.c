/* The intermediate form as text: a head line a function and a block, then a line an operation. It says all that an
 * operation is, so that two forms with the same text are the same. */
#include "vm/ir/shape.h"

static const char *const conditions[] = {"eq",  "ne",  "ult", "uge", "ule", "ugt",
                                         "slt", "sge", "sle", "sgt", "tz",  "tnz"};

static void reg(struct buf *out, uint32_t vreg)
{
    static const char *const params[] = {"none", "env", "fp", "r1", "r2", "r3", "r4", "r5"};

    if (vreg <= IR_PARAMS)
        buf_puts(out, params[vreg]);
    else
        buf_printf(out, "v%u", vreg);
}

static void memory(struct buf *out, const struct ir_op *op)
{
    const char *between = "";

    buf_putc(out, '[');
    if (op->base) {
        reg(out, op->base);
        between = " + ";
    }
    if (op->index) {
        buf_puts(out, between);
        reg(out, op->index);
        if (op->shift)
            buf_printf(out, " << %u", op->shift);
        between = " + ";
    }
    if (op->disp || !*between)
        buf_printf(out, *between ? " %c %u" : "%c%u", op->disp < 0 ? '-' : '+',
                   op->disp < 0 ? 0u - (uint32_t)op->disp : (uint32_t)op->disp);
    buf_putc(out, ']');
}

static void constant(struct buf *out, int64_t imm)
{
    if (imm > -65536 && imm < 65536)
        buf_printf(out, "%lld", (long long)imm);
    else
        buf_printf(out, "0x%llx", (unsigned long long)imm);
}

static void name(struct buf *out, const struct ir_op *op, unsigned shape)
{
    buf_puts(out, ir_kinds[op->kind].text);
    if (op->kind == IR_RMW || op->kind == IR_ATOMIC || op->kind == IR_FETCH)
        buf_printf(out, ".%s", op->aux < IR_KIND_COUNT ? ir_kinds[op->aux].text : "?");
    if (shape & IR_S_CC)
        buf_printf(out, ".%s", op->cc < sizeof(conditions) / sizeof(*conditions) ? conditions[op->cc] : "?");
    if (shape & IR_S_SIZE)
        buf_printf(out, ".%u", op->size);
    else if (shape & IR_S_B && op->flags & IR_MEM && op->size != op->width)
        buf_printf(out, ".m%u", op->size);
    if (shape & IR_S_B || op->kind == IR_NEG || op->kind == IR_NOT || op->kind == IR_SEXT || op->kind == IR_LEA)
        buf_printf(out, ".w%u", op->width);
    if (op->flags & IR_SIGNED)
        buf_puts(out, ".signed");
    if (op->flags & IR_SWAP)
        buf_puts(out, ".swap");
}

static void second(struct buf *out, const struct ir_op *op)
{
    if (op->flags & IR_IMM)
        constant(out, op->imm);
    else if (op->flags & IR_MEM)
        memory(out, op);
    else
        reg(out, op->b);
}

static void operands(struct buf *out, const struct ir_func *f, const struct ir_op *op, unsigned shape)
{
    const char *between = " ";

#define NEXT_OPERAND (buf_puts(out, between), between = ", ")
    if (shape & IR_S_MEM) {
        NEXT_OPERAND;
        memory(out, op);
    }
    if (shape & (IR_S_A | IR_S_A_OR_IMM)) {
        NEXT_OPERAND;
        if (shape & IR_S_A_OR_IMM && op->flags & IR_IMM)
            constant(out, op->imm);
        else
            reg(out, op->a);
    }
    if (shape & IR_S_B) {
        NEXT_OPERAND;
        second(out, op);
    }
    if (shape & IR_S_B_REG) {
        NEXT_OPERAND;
        reg(out, op->b);
    }
    if (shape & IR_S_PICK) {
        buf_puts(out, " ? ");
        reg(out, op->yes);
        buf_puts(out, " : ");
        reg(out, op->no);
    }
    if (shape & IR_S_TO) {
        buf_printf(out, " %s ", ir_kinds[op->aux].text);
        reg(out, op->yes);
    }
    if (op->kind == IR_CONST || op->kind == IR_POLL || op->kind == IR_CALL || op->kind == IR_CALL_LOCAL ||
        op->kind == IR_TRAP || op->kind == IR_RELOAD || op->kind == IR_SPILL) {
        NEXT_OPERAND;
        constant(out, op->imm);
    }
#undef NEXT_OPERAND
    if (shape & IR_S_ARGS) {
        buf_puts(out, " (");
        for (unsigned i = 0; i < op->n_args; i++) {
            buf_puts(out, i ? ", " : "");
            reg(out, f->args[op->args + i]);
        }
        buf_putc(out, ')');
    }
}

void ir_print_op(const struct ir_func *f, const struct ir_op *op, struct buf *out)
{
    unsigned shape = op->kind < IR_KIND_COUNT ? ir_shape(op->kind) : 0;

    if (op->kind >= IR_KIND_COUNT) {
        buf_printf(out, "kind %u", op->kind);
        return;
    }
    if (shape & IR_S_DST || (shape & IR_S_DST_OR_NONE && op->dst)) {
        reg(out, op->dst);
        buf_puts(out, " = ");
    }
    name(out, op, shape);
    operands(out, f, op, shape);
}

static void block(struct buf *out, const struct ir_func *f, uint32_t i)
{
    const struct ir_block *b = &f->blocks[i];

    buf_printf(out, "b%u:", i);
    if (b->depth)
        buf_printf(out, " depth %u", b->depth);
    if (b->loop_head)
        buf_puts(out, " loop");
    if (b->cold)
        buf_puts(out, " cold");
    buf_putc(out, '\n');
    for (uint32_t k = 0; k < b->n; k++) {
        const struct ir_op *op = &b->ops[k];
        buf_printf(out, "%5u  ", op->slot);
        ir_print_op(f, op, out);
        if (op->kind == IR_JMP)
            buf_printf(out, " b%u", b->succ[0]);
        else if (op->kind == IR_BR)
            buf_printf(out, " -> b%u, b%u%s", b->succ[0], b->succ[1],
                       op->flags & IR_LIKELY     ? " likely"
                       : op->flags & IR_UNLIKELY ? " unlikely"
                                                 : "");
        buf_putc(out, '\n');
    }
}

void ir_print(const struct ir *ir, struct buf *out)
{
    for (uint32_t i = 0; i < ir->n_funcs; i++) {
        const struct ir_func *f = &ir->funcs[i];
        buf_printf(out, "func %u %s: %u blocks, %u registers%s%s%s", i, ir->code->prog->funcs[i].name, f->n_blocks,
                   f->n_vregs - 1, f->uses_frame ? ", frame" : "", f->calls ? ", calls" : "",
                   f->tail_calls ? ", tail calls" : "");
        if (f->frame_clear)
            buf_printf(out, ", clears %u", f->frame_clear);
        buf_putc(out, '\n');
        for (uint32_t k = 0; k < f->n_blocks; k++)
            block(out, f, k);
    }
}
