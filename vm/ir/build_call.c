/*
 * What leaves the function for a while: helpers, local calls, tail calls, packet loads. Around them the environment
 * says what others look at: fuel, the depth of frames, which program runs.
 */
#include "vm/ir/build.h"
#include "vm/runtime.h"

static void save_fuel(struct builder *b)
{
    if (b->fuel)
        build_store(b, 8, IR_ENV, ENV_AT(fuel), IR_FUEL);
}

static void reload_fuel(struct builder *b)
{
    if (b->fuel)
        build_load(b, 8, IR_FUEL, IR_ENV, ENV_AT(fuel));
}

void build_exit(struct builder *b)
{
    save_fuel(b);
    build_op(b, IR_EXIT)->a = IR_R0;
}

static unsigned count_args(const struct helper *helper)
{
    unsigned n = 5;

    if (helper->effects & EFFECT_VARIADIC)
        return n;
    while (n && helper->arg[n - 1] == ARG_NONE)
        n--;
    return n;
}

void build_helper(struct builder *b, const struct op *op)
{
    const struct helper *helper = b->code->helpers[op->aux];
    bool back = helper->effects & EFFECT_CALLS_BACK;

    if (back)
        save_fuel(b);
    if (build_is_map_call(helper, op))
        build_op(b, IR_NOP); /* room for build_special() */
    build_call(b, IR_CALL, IR_R0, op->imm, (uint32_t[]){IR_ENV, IR_R1, IR_R1 + 1, IR_R1 + 2, IR_R1 + 3, IR_R1 + 4},
               1 + count_args(helper));
    build_check(b);
    if (back)
        reload_fuel(b);
}

/* The depth of frames, which helpers below look at. */
static void step_frame(struct builder *b, enum ir_kind kind)
{
    struct ir_op *op = build_op(b, IR_RMW);

    op->aux = (uint8_t)kind;
    op->size = 4;
    op->width = 4;
    op->base = IR_ENV;
    op->disp = ENV_AT(frame);
    op->flags = IR_IMM;
    op->imm = 1;
}

static void push_frame(struct builder *b, const struct op *op)
{
    uint32_t func;

    if (!b->info[b->index].may_go_too_deep) {
        step_frame(b, IR_ADD);
        return;
    }
    func = ir_vreg(b->f);
    build_const(b, func, op->imm);
    build_call(b, IR_CALL, IR_NONE, (uintptr_t)run_push_frame, (uint32_t[]){IR_ENV, func}, 2);
    build_check(b);
}

/* What may have ended in another program comes back as that program. */
static void come_back(struct builder *b, uint32_t first_frame)
{
    uint32_t code = ir_vreg(b->f);

    build_const(b, code, (uintptr_t)b->code);
    build_store(b, 8, IR_ENV, ENV_AT(code), code);
    build_store(b, 4, IR_ENV, ENV_AT(first_frame), first_frame);
}

/* The address of the callee's frame is made directly before the call, so that spare_frame() finds it. */
void build_local(struct builder *b, const struct op *op)
{
    const struct func_info *callee = &b->info[op->imm];
    uint32_t fp = ir_vreg(b->f), first_frame = callee->tail_calls ? ir_vreg(b->f) : IR_NONE;

    if (callee->tail_calls)
        build_load(b, 4, first_frame, IR_ENV, ENV_AT(first_frame));
    save_fuel(b);
    if (callee->calls_out)
        push_frame(b, op);
    build_imm(b, IR_ADD, 8, fp, IR_FP, -PROG_STACK_FRAME);
    build_call(b, IR_CALL_LOCAL, IR_R0, op->imm,
               (uint32_t[]){IR_ENV, fp, IR_R1, IR_R1 + 1, IR_R1 + 2, IR_R1 + 3, IR_R1 + 4}, IR_PARAMS);
    b->f->calls_local = true;
    build_check(b);
    if (callee->calls_out)
        step_frame(b, IR_SUB);
    if (callee->tail_calls)
        come_back(b, first_frame);
    reload_fuel(b);
}

void build_tail(struct builder *b, const struct op *op)
{
    (void)op;
    save_fuel(b);
    build_call(b, IR_TAIL_CALL, IR_NONE, 0, (uint32_t[]){IR_ENV, IR_FP, IR_R1, IR_R1 + 1, IR_R1 + 2}, 5);
    b->f->tail_calls = true;
    build_check(b);
}

/* Out of bounds ends the function with 0. */
void build_packet(struct builder *b, const struct op *op, uint32_t next)
{
    bool indirect = op->kind >= ISA_LD_IND_W && op->kind <= ISA_LD_IND_B;
    uint32_t off = ir_vreg(b->f), size = ir_vreg(b->f), value = ir_vreg(b->f), here = b->cur;
    uint32_t out = build_block(b, 3), on = build_block(b, 2);
    struct ir_op *br;

    b->cur = here;
    if (indirect)
        build_imm(b, IR_ADD, 4, off, build_loc(op->src), (int32_t)op->imm);
    else
        build_const(b, off, op->imm);
    build_const(b, size, isa_access_size(op->kind));
    build_call(b, IR_CALL, value, (uintptr_t)run_load_packet, (uint32_t[]){IR_ENV, off, size}, 3);
    br = build_branch(b, IR_SLT, out, on);
    br->width = 8;
    br->a = value;
    br->flags = IR_IMM | IR_UNLIKELY;
    b->cur = out;
    build_const(b, IR_R0, 0);
    build_exit(b);
    b->cur = on;
    build_copy(b, IR_R0, value);
    build_jump(b, next);
}

/* An element of an array: its address, or NULL past the end. */
void build_lookup(struct builder *b, const struct op *op)
{
    struct map_array_layout a;
    uint32_t index = ir_vreg(b->f), at = ir_vreg(b->f), base = ir_vreg(b->f), sum = ir_vreg(b->f), none = ir_vreg(b->f);
    struct ir_op *select;

    if (!map_array_layout((const struct map *)(uintptr_t)op->imm, &a))
        a = (struct map_array_layout){0};
    build_load(b, 4, index, build_loc(op->src), 0);
    build_imm(b, IR_MUL, 8, at, index, a.stride);
    build_const(b, base, (uintptr_t)a.values);
    if (op->kind == OP_PERCPU_ARRAY_AT) {
        uint32_t cpu = ir_vreg(b->f), stride = ir_vreg(b->f), skip = ir_vreg(b->f), mine = ir_vreg(b->f);
        build_load(b, 4, cpu, IR_ENV, ENV_AT(cpu));
        build_const(b, stride, a.cpu_stride);
        build_reg(b, IR_MUL, 8, skip, cpu, stride);
        build_reg(b, IR_ADD, 8, mine, base, skip);
        base = mine;
    }
    build_reg(b, IR_ADD, 8, sum, at, base);
    build_const(b, none, 0);
    select = build_op(b, IR_SELECT);
    select->width = 4;
    select->cc = IR_ULT;
    select->flags = IR_IMM;
    select->imm = (int32_t)a.n;
    select->dst = IR_R0;
    select->a = index;
    select->yes = sum;
    select->no = none;
}
