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
    if (build_may_be_special(helper, op))
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

static void push_frame(struct builder *b, uint32_t index)
{
    uint32_t func;

    if (!b->info[b->index].may_go_too_deep) {
        step_frame(b, IR_ADD);
        return;
    }
    func = ir_vreg(b->f);
    build_const(b, func, index);
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
void build_call_func(struct builder *b, uint32_t dst, uint32_t func, const uint32_t args[5])
{
    const struct func_info *callee = &b->info[func];
    uint32_t fp = ir_vreg(b->f), first_frame = callee->tail_calls ? ir_vreg(b->f) : IR_NONE;

    if (callee->tail_calls)
        build_load(b, 4, first_frame, IR_ENV, ENV_AT(first_frame));
    save_fuel(b);
    if (callee->calls_out)
        push_frame(b, func);
    build_imm(b, IR_ADD, 8, fp, IR_FP, -PROG_STACK_FRAME);
    build_call(b, IR_CALL_LOCAL, dst, func, (uint32_t[]){IR_ENV, fp, args[0], args[1], args[2], args[3], args[4]},
               IR_PARAMS);
    b->f->calls_local = true;
    build_check(b);
    if (callee->calls_out)
        step_frame(b, IR_SUB);
    if (callee->tail_calls)
        come_back(b, first_frame);
    reload_fuel(b);
}

void build_local(struct builder *b, const struct op *op)
{
    build_call_func(b, IR_R0, (uint32_t)op->imm, (uint32_t[]){IR_R1, IR_R1 + 1, IR_R1 + 2, IR_R1 + 3, IR_R1 + 4});
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

/* ---- Elements of arrays ---- */

/* What a lookup reads: the index, and with it the address, which is right for indices below the number of elements. */
struct element {
    struct map_array_layout array;
    uint32_t index;
};

static struct element element_of(struct builder *b, const struct op *op)
{
    struct element e = {.index = ir_vreg(b->f)};

    if (!map_array_layout((const struct map *)(uintptr_t)op->imm, &e.array))
        e.array = (struct map_array_layout){0};
    build_load(b, 4, e.index, build_loc(op->src), 0);
    return e;
}

static void address_of(struct builder *b, const struct op *op, const struct element *e, uint32_t dst)
{
    uint32_t at = ir_vreg(b->f), base = ir_vreg(b->f);

    build_imm(b, IR_MUL, 8, at, e->index, e->array.stride);
    build_const(b, base, (uintptr_t)e->array.values);
    if (op->kind == OP_PERCPU_ARRAY_AT) {
        uint32_t cpu = ir_vreg(b->f), stride = ir_vreg(b->f), skip = ir_vreg(b->f), mine = ir_vreg(b->f);
        build_load(b, 4, cpu, IR_ENV, ENV_AT(cpu));
        build_const(b, stride, e->array.cpu_stride);
        build_reg(b, IR_MUL, 8, skip, cpu, stride);
        build_reg(b, IR_ADD, 8, mine, base, skip);
        base = mine;
    }
    build_reg(b, IR_ADD, 8, dst, at, base);
}

/* The jump that asks whether r0 is NULL, when it stands behind this op and a few that leave r0 alone; 0: none. */
static uint32_t test_behind(const struct builder *b, uint32_t i)
{
    enum { FEW = 4 };

    for (uint32_t k = i + 1; k <= i + 1 + FEW && k + 1 < b->info[b->index].end; k++) {
        const struct op *op = &b->code->ops[k];
        if (b->block_at[k] != IR_NO_BLOCK)
            return 0;
        if (op->kind == ISA_JEQ64_K || op->kind == ISA_JNE64_K)
            return op->dst == 0 && !op->imm && op->target != k + 1 ? k : 0;
        if (op->kind >= ISA_OP_COUNT || op->dst == 0 || build_dead(b, k))
            return 0;
        if (isa_rows[op->kind].form != ISA_FORM_ALU_K && (isa_rows[op->kind].form != ISA_FORM_ALU_X || op->src == 0))
            return 0;
    }
    return 0;
}

/* One way on from a lookup: r0 is settled, and what stands before the test is done. */
static void go_on(struct builder *b, uint32_t i, uint32_t test, uint32_t target)
{
    while (++i < test) {
        b->slot = b->code->slot[i];
        build_one(b, i);
    }
    b->slot = b->code->slot[test];
    if (build_dead(b, target))
        build_one(b, target); /* a trap */
    else
        build_jump(b, b->block_at[target]);
}

/* A program that asks at once whether there is such an element is answered by the test of the index. */
static void lookup_and_test(struct builder *b, uint32_t i, uint32_t test)
{
    const struct op *op = &b->code->ops[i], *jump = &b->code->ops[test];
    bool null_jumps = jump->kind == ISA_JEQ64_K;
    uint32_t null = null_jumps ? jump->target : test + 1, there = null_jumps ? test + 1 : jump->target;
    struct element e = element_of(b, op);

    if (!build_dead(b, null)) {
        uint32_t here = b->cur, in = build_block(b, 8), out = build_block(b, 4);
        struct ir_op *br;
        b->cur = here;
        br = build_branch(b, IR_ULT, in, out);
        br->width = 4;
        br->a = e.index;
        br->imm = (int32_t)e.array.n;
        br->flags = IR_IMM | IR_LIKELY;
        b->cur = out;
        build_const(b, IR_R0, 0);
        go_on(b, i, test, null);
        b->cur = in;
        b->slot = b->code->slot[i];
    }
    address_of(b, op, &e, IR_R0);
    go_on(b, i, test, there);
}

/* An element of an array: its address, or NULL past the end. */
void build_lookup(struct builder *b, uint32_t i)
{
    const struct op *op = &b->code->ops[i];
    uint32_t test = test_behind(b, i), sum, none;
    struct ir_op *select;
    struct element e;

    if (test) {
        lookup_and_test(b, i, test);
        return;
    }
    e = element_of(b, op);
    sum = ir_vreg(b->f);
    none = ir_vreg(b->f);
    address_of(b, op, &e, sum);
    build_const(b, none, 0);
    select = build_op(b, IR_SELECT);
    select->width = 4;
    select->cc = IR_ULT;
    select->flags = IR_IMM;
    select->imm = (int32_t)e.array.n;
    select->dst = IR_R0;
    select->a = e.index;
    select->yes = sum;
    select->no = none;
}
