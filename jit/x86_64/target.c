/*
 * x86-64 as a target: the walk that lowers a program, and what the driver knows it by.
 */
#include "jit/x86_64/lower.h"
#include "vm/ir/shape.h"

#include <stdlib.h>
#include <string.h>

/* ---- A program ---- */

static bool grow_marks(struct x86_output *out)
{
    uint32_t cap = out->mark_cap ? out->mark_cap * 2 : 256;
    struct x86_mark *more;

    if (out->n_marks < out->mark_cap)
        return true;
    more = realloc(out->marks, cap * sizeof(*more));
    if (!more)
        return false;
    out->marks = more;
    out->mark_cap = cap;
    return true;
}

static void mark(struct lower *l, uint32_t slot, bool always)
{
    struct x86_output *out = l->out;

    if (!always && out->n_marks && out->marks[out->n_marks - 1].slot == slot)
        return;
    if (!grow_marks(out)) {
        l->a->err = l->a->err ? l->a->err : -ENOMEM;
        return;
    }
    out->marks[out->n_marks] = (struct x86_mark){x86_label(l->a), slot};
    x86_bind(l->a, out->marks[out->n_marks++].label);
}

/* What is kept around the call that is operation `op` of this block. */
static void find_saves(struct lower *l, uint32_t block, uint32_t op)
{
    const struct jit_save *saves = l->alloc->saves;
    uint32_t low = 0, high = l->alloc->n_saves;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (saves[mid].block < block || (saves[mid].block == block && saves[mid].op < op))
            low = mid + 1;
        else
            high = mid;
    }
    l->saves = saves + low;
    l->n_saves = 0;
    while (low + l->n_saves < l->alloc->n_saves && saves[low + l->n_saves].block == block &&
           saves[low + l->n_saves].op == op)
        l->n_saves++;
}

static void lower_const(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);

    if (d == X86_SCRATCH && op->imm == (int32_t)op->imm && !x86_is_blind(l, op)) {
        x86_mov_imm(l->a, 8, x86_place(l, op->dst), op->imm);
        return;
    }
    x86_const_of(l, d, op);
    x86_put(l, op, d);
}

static void lower_copy(struct lower *l, const struct ir_op *op)
{
    enum x86_reg d = x86_dst(l, op);

    if (d == X86_SCRATCH && in_reg(l, op->a))
        d = place_reg(l, op->a);
    else
        x86_get_into(l, 8, d, op->a);
    x86_put(l, op, d);
}

static void lower_reload(struct lower *l, const struct ir_op *op)
{
    x86_mov(l->a, 8, x86_dst(l, op), l->held == op->imm ? x86_r(X86_SCRATCH) : x86_slot(l, (uint32_t)op->imm));
}

static void lower_spill(struct lower *l, const struct ir_op *op)
{
    x86_mov_to(l->a, 8, x86_slot(l, (uint32_t)op->imm), place_reg(l, op->a));
}

static void lower_jump(struct lower *l, const struct ir_op *op)
{
    (void)op;
    x86_lower_jump(l, l->block->succ[0]);
}

static void lower_branch(struct lower *l, const struct ir_op *op)
{
    x86_lower_branch(l, op, l->block);
}

/* By family; none: nothing. */
static void (*const lowerings[IR_FAMILY_COUNT])(struct lower *l, const struct ir_op *op) = {
    [IR_F_CONST] = lower_const,
    [IR_F_COPY] = lower_copy,
    [IR_F_ALU] = x86_lower_alu,
    [IR_F_SHIFT] = x86_lower_shift,
    [IR_F_DIVIDE] = x86_lower_divide,
    [IR_F_MULHI] = x86_lower_mulhi,
    [IR_F_UNARY] = x86_lower_unary,
    [IR_F_SIZED] = x86_lower_unary,
    [IR_F_LEA] = x86_lower_lea,
    [IR_F_SET] = x86_lower_set,
    [IR_F_SELECT] = x86_lower_select,
    [IR_F_CARRY] = x86_lower_carry,
    [IR_F_LOAD] = x86_lower_load,
    [IR_F_STORE] = x86_lower_store,
    [IR_F_RMW] = x86_lower_rmw,
    [IR_F_LOAD_ACQ] = x86_lower_atomic,
    [IR_F_STORE_REL] = x86_lower_atomic,
    [IR_F_ATOMIC] = x86_lower_atomic,
    [IR_F_FETCH] = x86_lower_atomic,
    [IR_F_CMPXCHG] = x86_lower_atomic,
    [IR_F_CALL] = x86_lower_call,
    [IR_F_TAIL_CALL] = x86_lower_tail_call,
    [IR_F_CHECK] = x86_lower_check,
    [IR_F_POLL] = x86_lower_poll,
    [IR_F_JMP] = lower_jump,
    [IR_F_BR] = lower_branch,
    [IR_F_EXIT] = x86_lower_exit,
    [IR_F_TRAP] = x86_lower_trap,
    [IR_F_RELOAD] = lower_reload,
    [IR_F_SPILL] = lower_spill,
};

void x86_lower_op(struct lower *l, const struct ir_op *op, const struct ir_block *b)
{
    if (op->kind >= IR_KIND_COUNT) {
        l->a->err = l->a->err ? l->a->err : -EINVAL;
        return;
    }
    l->block = b;
    x86_hold(l, op);
    if (lowerings[ir_kinds[op->kind].family])
        lowerings[ir_kinds[op->kind].family](l, op);
}

/* Is this where the machine comes back to in a loop? Not where control also falls into from the loop itself: there
 * what alignment leaves free would be run through in every turn. */
static bool is_top(const struct lower *l, uint32_t k)
{
    uint32_t block = l->alloc->order[k], last = k ? l->alloc->order[k - 1] : IR_NO_BLOCK;
    const struct ir_block *b = &l->f->blocks[block];
    bool back = false;

    if (!b->depth || b->cold)
        return false;
    for (uint32_t i = 0; i < b->n_preds && !back; i++)
        back = l->laid_out[b->preds[i]] >= k;
    return back && !(k && l->f->blocks[last].depth >= b->depth &&
                     (l->f->blocks[last].succ[0] == block || l->f->blocks[last].succ[1] == block));
}

static void lower_block(struct lower *l, uint32_t k)
{
    uint32_t block = l->alloc->order[k];
    const struct ir_block *b = &l->f->blocks[block];

    l->next = k + 1 < l->alloc->n_order ? l->alloc->order[k + 1] : IR_NO_BLOCK;
    /* A loop of one block that fits one line of the operation cache must not straddle two. */
    if (is_top(l, k))
        x86_align(l->a, b->succ[0] == block || b->succ[1] == block ? 64 : 32, 63);
    x86_bind(l->a, l->block_label + block);
    l->holding = JIT_NO_SLOT;
    l->flags.dst = IR_NONE;
    for (uint32_t i = 0; i < b->n && !l->a->err; i++) {
        const struct ir_op *op = &b->ops[i];

        mark(l, op->slot, i == 0);
        if (ir_kinds[op->kind].what & IR_W_CALL)
            find_saves(l, block, i);
        x86_lower_op(l, op, b);
    }
}

/* May anything but who runs the program begin function 0? */
static bool entry_is_called(const struct ir *ir)
{
    for (uint32_t i = 0; i < ir->code->n_helpers; i++)
        if (ir->code->helpers[i]->effects & EFFECT_CALLS_BACK)
            return true;
    for (uint32_t i = 0; i < ir->n_funcs; i++)
        for (uint32_t k = 0; k < ir->funcs[i].n_blocks && ir->funcs[i].calls_local; k++) {
            const struct ir_block *b = &ir->funcs[i].blocks[k];

            for (uint32_t j = 0; j < b->n; j++)
                if (b->ops[j].kind == IR_CALL_LOCAL && !b->ops[j].imm)
                    return true;
        }
    return false;
}

/* Offsets are labels until everything is laid out. */
static void lower_func(struct lower *l, uint32_t index, const struct jit_alloc *alloc, struct jit_frame *frame)
{
    l->f = &l->ir->funcs[index];
    l->alloc = alloc;
    l->leaves = false;
    if (!l->a->err)
        l->a->err = x86_frame(l);
    l->leave = x86_label(l->a);
    l->block_label = x86_label(l->a);
    for (uint32_t i = 1; i < l->f->n_blocks; i++)
        x86_label(l->a);
    x86_align(l->a, 16, 15);
    frame->begin = x86_label(l->a);
    x86_bind(l->a, frame->begin);
    if (index)
        x86_bind(l->a, l->func_label + index);
    else
        x86_enter_first(l);
    x86_prologue(l);
    frame->body = x86_label(l->a);
    x86_bind(l->a, frame->body);
    l->laid_out = calloc(l->f->n_blocks, sizeof(*l->laid_out));
    if (!l->laid_out)
        l->a->err = l->a->err ? l->a->err : -ENOMEM;
    for (uint32_t k = 0; k < alloc->n_order && l->laid_out; k++)
        l->laid_out[alloc->order[k]] = k;
    for (uint32_t k = 0; k < alloc->n_order && !l->a->err; k++)
        lower_block(l, k);
    free(l->laid_out);
    x86_stubs(l);
    frame->end = x86_label(l->a);
    x86_bind(l->a, frame->end);
    x86_describe(l, frame);
}

static void lower_pool(struct lower *l)
{
    struct x86_output *out = l->out;

    if (!out->n_pool)
        return;
    x86_align(l->a, 8, 7);
    for (uint32_t i = 0; i < out->n_pool; i++) {
        x86_bind(l->a, out->pool[i].label);
        x86_bytes(l->a, &out->pool[i].address, 8);
    }
}

static int lower_all(struct lower *l, const struct jit_alloc *alloc, struct jit_frame *frames)
{
    l->func_label = x86_label(l->a);
    for (uint32_t i = 1; i < l->ir->n_funcs; i++)
        x86_label(l->a);
    l->refuel_label = x86_label(l->a);
    l->tail_label = x86_label(l->a);
    l->entry_is_called = entry_is_called(l->ir);
    for (uint32_t i = 0; i < l->ir->n_funcs && !l->a->err; i++)
        lower_func(l, i, &alloc[i], &frames[i]);
    if (l->refuels)
        x86_refuel(l);
    lower_pool(l);
    return x86_finish(l->a);
}

/* What labels stand for is known now. */
static int settle(const struct x86_output *o, uint32_t n_funcs, uint32_t func_label, struct jit_output *out)
{
    out->size = o->a.size;
    out->entry = malloc(n_funcs * sizeof(*out->entry));
    out->lines = malloc((o->n_marks + 1) * sizeof(*out->lines));
    if (!out->entry || !out->lines)
        return -ENOMEM;
    for (uint32_t i = 0; i < n_funcs; i++) {
        struct jit_frame *f = &out->frames[i];

        out->entry[i] = (uint32_t)x86_offset(&o->a, func_label + i);
        f->begin = (uint32_t)x86_offset(&o->a, f->begin);
        f->body = (uint32_t)x86_offset(&o->a, f->body);
        f->end = (uint32_t)x86_offset(&o->a, f->end);
        f->late = (uint32_t)x86_offset(&o->a, f->late);
    }
    for (uint32_t i = 0; i < o->n_marks; i++) {
        struct jit_line line = {(uint32_t)x86_offset(&o->a, o->marks[i].label), o->marks[i].slot};

        /* Operations without instructions leave two at one place. */
        if (out->n_lines && out->lines[out->n_lines - 1].offset == line.offset)
            out->n_lines--;
        out->lines[out->n_lines++] = line;
    }
    return 0;
}

int x86_emit(uint32_t features, struct ir *ir, const struct jit_alloc *alloc, const struct jit_opts *opts,
             struct jit_output *out)
{
    struct x86_output *o = calloc(1, sizeof(*o));
    struct lower l = {.out = o, .features = features, .opts = opts, .random = opts->random, .ir = ir};
    int err = -ENOMEM;

    *out = (struct jit_output){.state = o, .frames = calloc(ir->n_funcs, sizeof(*out->frames))};
    if (o && out->frames) {
        l.a = &o->a;
        x86_init(&o->a, 0);
        err = lower_all(&l, alloc, out->frames);
        if (!err)
            err = settle(o, ir->n_funcs, l.func_label, out);
        if (!err)
            out->tail_entry = (uint32_t)x86_offset(&o->a, l.tail_label);
    }
    free(l.stubs);
    if (err)
        x86_output_free(out);
    return err;
}

/* call [rip + pool] and call rel32 with a prefix that means nothing have one length. */
static void make_direct(const struct x86_output *o, uint8_t *bytes, uint64_t address)
{
    for (uint32_t i = 0; i < o->n_externs; i++) {
        size_t at = x86_offset(&o->a, o->externs[i].label);
        int64_t d = (int64_t)(o->pool[o->externs[i].pool].address - (address + at + 6));
        int32_t d32 = (int32_t)d;

        if (d != d32)
            continue;
        bytes[at] = 0x67;
        bytes[at + 1] = 0xe8;
        memcpy(bytes + at + 2, &d32, 4);
    }
}

int x86_output_write(struct jit_output *out, void *bytes, uint64_t address)
{
    const struct x86_output *o = out->state;
    int err = x86_write(&o->a, bytes, address);

    if (!err)
        make_direct(o, bytes, address);
    return err;
}

void x86_output_free(struct jit_output *out)
{
    struct x86_output *o = out->state;

    if (o) {
        x86_free(&o->a);
        free(o->externs);
        free(o->pool);
        free(o->marks);
    }
    free(o);
    free(out->code);
    free(out->entry);
    free(out->lines);
    free(out->frames);
    *out = (struct jit_output){0};
}

static const char *usable(void)
{
    return NULL;
}

static void needs_here(const struct ir_func *f, const struct ir_op *op, struct jit_needs *needs)
{
    (void)f;
    x86_needs(x86_features(), op, needs);
}

static void needs_plain(const struct ir_func *f, const struct ir_op *op, struct jit_needs *needs)
{
    (void)f;
    x86_needs(0, op, needs);
}

static int emit_here(struct ir *ir, const struct jit_alloc *alloc, const struct jit_opts *opts, struct jit_output *out)
{
    return x86_emit(x86_features(), ir, alloc, opts, out);
}

static int emit_plain(struct ir *ir, const struct jit_alloc *alloc, const struct jit_opts *opts, struct jit_output *out)
{
    return x86_emit(0, ir, alloc, opts, out);
}

/* clang-format off */
#define TARGET(text, needs_of, emit_of)                                                                                \
    {                                                                                                                  \
        .name = text,                                                                                                  \
        .ir = {.imm_ok = x86_imm_ok, .mem_ok = x86_mem_ok, .mem_operand = x86_mem_operand, .rmw = true, .swap_mem = true,          \
               .andn = true, .carry = true, .mulhi = true, .fast_unaligned = true},                                    \
        .allocatable = X86_ALLOCATABLE, .callee_saved = X86_CALLEE_SAVED,                                              \
        .params = {X86_ENV, X86_FP, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9}, .result = X86_RAX,                     \
        .dwarf = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}, .dwarf_sp = 7, .dwarf_ra = 16,                \
        .elf_machine = 62 /* EM_X86_64 */, .trap = {0xcc, 0xcc, 0xcc, 0xcc},                                           \
        .usable = usable, .needs = needs_of, .emit = emit_of, .write = x86_output_write,                               \
        .output_free = x86_output_free, .trampoline = x86_trampoline,                                                  \
    }
/* clang-format on */
const struct jit_target x86_target = TARGET("x86_64", needs_here, emit_here);
const struct jit_target x86_target_plain = TARGET("x86_64, nothing optional", needs_plain, emit_plain);

#ifdef __x86_64__
const struct jit_target *const jit_host_target = &x86_target;
const struct jit_target *const jit_host_plain_target = &x86_target_plain;
#endif
