/*
 * The interpreter as an engine: what it makes of code (a stream of cells), the driver that runs a stream, and those
 * handlers that are too large or too rare to be written once a way of running. Calls and exits are here: a frame is
 * pushed and popped nowhere else.
 */
#include "vm/interp/interp.h"
#include "vm/interp/bodies.h"
#include "vm/interp/special.h"
#include "vm/interp/stream.h"
#include "vm/maps/map.h"
#include "vm/runtime.h"
#include <errno.h>
#include <stdlib.h>

static const struct loop *choose(const struct code_opts *opts)
{
    return opts->traced ? &loop_traced : opts->checked ? &loop_checked : &loop_plain;
}

/* What an op does beside computing, as far as cells differ by it. */
struct trait {
    uint8_t form; /* enum isa_form, also for what fused operations end with */
    uint8_t size; /* of a memory access, 0 for others */
};

static struct trait trait_of(unsigned kind)
{
    /* clang-format off */
    switch (kind) {
    case OP_ARRAY_AT:
    case OP_PERCPU_ARRAY_AT: /* the load of the index */
    case OP_LDX_W_CTX: return (struct trait){ISA_FORM_LDX, 4};
#define OP_INDEX(row, type, form)                                                                                      \
    case OP_##row##_INDEX: return (struct trait){ISA_FORM_##form, sizeof(type)};
#define OP_STEP(row, bits, source)                                                                                     \
    case OP_STEP_##row##bits##_##source: return (struct trait){ISA_FORM_JMP_##source, 0};
#include "vm/ops.def"
    default:
        if (kind >= ISA_OP_COUNT)
            return (struct trait){ISA_FORM_NONE, 0};
        return (struct trait){isa_rows[kind].form, (uint8_t)isa_access_size(kind)};
    }
    /* clang-format on */
}

static bool is_jump(unsigned form)
{
    return form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || form == ISA_FORM_GOTO_OFF || form == ISA_FORM_GOTO_IMM ||
           form == ISA_FORM_MAY_GOTO;
}

/* Accesses of one size and way share a handful of windows among them, so that each mostly has its own. */
static uint16_t window_of(struct trait t, uint32_t *used)
{
    enum { GROUP = ENV_WINDOWS / 12 };
    unsigned way = t.form == ISA_FORM_LDX || t.form == ISA_FORM_LOAD_ACQ ? 0 : t.form == ISA_FORM_ATOMIC ? 8 : 4;

    way += (unsigned)__builtin_ctz(t.size);
    return (uint16_t)(way * GROUP + used[way]++ % GROUP);
}

/* An access at r10 plus a constant that stays inside the frame needs no look at run time. */
static bool in_frame(const struct op *op, struct trait t)
{
    unsigned base = t.form == ISA_FORM_LDX ? op->src : op->dst;

    return base == 10 && op->kind < ISA_OP_COUNT && op->off >= -PROG_STACK_FRAME && op->off + t.size <= 0 &&
           (t.form == ISA_FORM_LDX || t.form == ISA_FORM_ST || t.form == ISA_FORM_STX);
}

static handler_fn special_of(const struct loop *loop, const struct op *op)
{
    switch (op->kind) {
#define ROW(n, bits)                                                                                                   \
    case ISA_##n##bits##_X: return loop->pairs[PAIR_##n##bits##_X][op->dst][op->src];
        PAIR_ALU(ROW)
#undef ROW
#define ROW(n, type)                                                                                                   \
    case ISA_##n: return loop->pairs[PAIR_##n][op->dst][op->src];
        PAIR_LDX(ROW)
        PAIR_STX(ROW)
#undef ROW
#define ROW(n, type)                                                                                                   \
    case OP_##n##_INDEX: return loop->pairs[PAIR_##n##_INDEX][op->dst][op->src];
        PAIR_LDX(ROW)
#undef ROW
#define ROW(n, bits)                                                                                                   \
    case OP_##n##bits##_RRR: return loop->pairs[PAIR_##n##bits##_RRR][op->dst][op->src];
        PAIR_RRR(ROW)
#undef ROW
#define ROW(n, bits)                                                                                                   \
    case OP_##n##bits##_RRK: return loop->pairs[PAIR_##n##bits##_RRK][op->dst][op->src];
        PAIR_RRK(ROW)
#undef ROW
#define ROW(n)                                                                                                         \
    case OP_##n: return loop->pairs[PAIR_##n][op->dst][op->src];
        PAIR_FUSED(ROW)
#undef ROW
#define ROW(n, bits, source)                                                                                           \
    case OP_STEP_##n##bits##_##source: return loop->singles[SINGLE_STEP_##n##bits##_##source][op->dst];
        SINGLE_STEP(ROW)
#undef ROW
#define ROW(n, bits)                                                                                                   \
    case ISA_##n##bits##_K: return loop->singles[SINGLE_##n##bits##_K][op->dst];
        SINGLE_ALU(ROW)
        SINGLE_JMP(ROW)
#undef ROW
    default: return NULL;
    }
}

static handler_fn handler_of(const struct loop *loop, const struct code *code, const struct op *op, struct trait t)
{
    handler_fn f = NULL;
    bool special = loop->pairs && code->opts.opts & CODE_OPT_SPECIAL;

    if (code->opts.checked && in_frame(op, t)) {
        if (special) /* nothing to look up, so nothing that the unchecked loop's handlers would leave out */
            f = special_of(&loop_plain, op);
        return f ? f : loop->safe[op->kind];
    }
    if (special)
        f = special_of(loop, op);
    if (!f)
        f = loop->run[op->kind];
    return f ? f : loop->run[ISA_INVALID];
}

static void fill(struct cell *cell, const struct loop *loop, const struct code *code, uint32_t i, uint32_t *used)
{
    const struct op *op = &code->ops[i];
    struct trait t = trait_of(op->kind);

    cell->run = handler_of(loop, code, op, t);
    cell->dst = (uint8_t)op->dst;
    cell->src = (uint8_t)op->src;
    cell->aux = op->aux;
    cell->off = op->off;
    cell->imm = op->imm;
    if (t.size && code->opts.checked)
        cell->aux = window_of(t, used);
    if (is_jump(t.form) || op->kind == ISA_CALL_LOCAL) {
        uint32_t from = code->slot[i], to = code->slot[op->target];
        cell->off = (int32_t)((int64_t)op->target - i) * (int32_t)sizeof(*cell);
        if (is_jump(t.form)) /* the length of the loop it closes */
            cell->aux = to > from ? 0 : from - to < UINT16_MAX ? (uint16_t)(from - to + 1) : UINT16_MAX;
    }
}

static int prepare(struct code *code, const struct facts *facts, const struct log *log)
{
    struct stream *s = malloc(sizeof(*s) + (size_t)code->n_ops * sizeof(s->cells[0]));
    uint32_t used[12] = {0};

    (void)facts, (void)log;
    if (!s)
        return -ENOMEM;
    s->loop = choose(&code->opts);
    for (uint32_t i = 0; i < code->n_ops; i++)
        fill(&s->cells[i], s->loop, code, i, used);
    code->engine_data = s;
    return 0;
}

static void release(struct code *code)
{
    free(code->engine_data);
}

/* A function's frame, as far as the function may touch it, is zero when it begins. */
static void clear_frame(const struct machine *m, const struct code_func *func)
{
    memset((char *)(uintptr_t)m->r[10] - func->clear_depth, 0, func->clear_depth);
}

/* @return false: whoever looks on ended the run. */
static bool trace(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    if (!env->on_insn)
        return true;
    env->on_insn(env, env->on_insn_ctx, m->code->slot[pc - stream_of(m->code)], m->r);
    return env->trap.kind == TRAP_none || interp_trapped(pc, m, env);
}

static uint64_t run(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5])
{
    struct machine m;
    const struct cell *pc = stream_of(code) + code->funcs[func].op;

    memset(m.r, 0, sizeof(m.r));
    memcpy(&m.r[1], args, 5 * sizeof(args[0]));
    m.low = env_stack_low(env);
    m.span = (uintptr_t)env->stack + sizeof(env->stack) - m.low;
    m.r[10] = m.low + PROG_STACK_FRAME;
    m.code = code;
    m.loop = ((const struct stream *)code->engine_data)->loop;
    m.may_goto = PROG_MAX_MAY_GOTO;
    m.depth = 0;
    clear_frame(&m, &code->funcs[func]);
    if (env->frame) /* a callback, which may be called without end: what it costs at most without loops of its own */
        env->fuel -= code->prog->funcs[func].end - code->prog->funcs[func].start;
    if (env->fuel < 0)
        pc = interp_refuel(pc, &m, env);
    if (m.loop->traced)
        while (pc && trace(pc, &m, env))
            pc = pc->run(pc, &m, env);
    else
        while (pc)
            pc = pc->run(pc, &m, env);
    return m.r[0];
}

const struct engine interp_engine = {
    .name = "interp", .passes = CODE_OPT_ALL, .prepare = prepare, .release = release, .run = run};

const struct cell *interp_trapped(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    if (env->trap.insn == UINT32_MAX)
        env->trap.insn = m->code->slot[pc - stream_of(m->code)];
    return NULL;
}

const struct cell *interp_refuel(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    return env_refuel(env) ? pc : interp_trapped(pc, m, env);
}

const struct cell *interp_trap(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    const struct prog_poison *why = (const struct prog_poison *)(uintptr_t)pc->imm;

    env_trap(env, why->kind, 0, 0, "%s", why->reason);
    return interp_trapped(pc, m, env);
}

const struct cell *interp_invalid(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    env_trap(env, TRAP_bad_insn, 0, 0, "the interpreter does not know this operation");
    return interp_trapped(pc, m, env);
}

void *interp_find(const struct cell *pc, struct skep_env *env, uint64_t addr, uint32_t size, unsigned access)
{
    void *p = env_find_window(env, addr, size, access, &env->windows[pc->aux]);

    if (!p)
        env_trap_mem(env, addr, size, access);
    return p;
}

const struct cell *interp_call(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    struct frame *f;

    if (!env_has_frame(env)) {
        env_trap(env, TRAP_stack_overflow, 0, 0, "call of '%s' would be frame %u", m->code->prog->funcs[pc->imm].name,
                 env->frame - env->first_frame + 2);
        return interp_trapped(pc, m, env);
    }
    f = &m->frames[m->depth++];
    f->ret = pc + 1;
    memcpy(f->saved, &m->r[6], sizeof(f->saved));
    f->may_goto = m->may_goto;
    m->may_goto = PROG_MAX_MAY_GOTO;
    env->frame++;
    m->low -= PROG_STACK_FRAME;
    m->span += PROG_STACK_FRAME;
    m->r[10] -= PROG_STACK_FRAME;
    clear_frame(m, &m->code->funcs[pc->imm]);
    return (const struct cell *)((const char *)pc + pc->off);
}

const struct cell *interp_exit(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    const struct frame *f;

    if (!m->depth) {
        if (env->checked && !env->frame)
            env->last_slot = m->code->slot[pc - stream_of(m->code)];
        return NULL;
    }
    f = &m->frames[--m->depth];
    memcpy(&m->r[6], f->saved, sizeof(f->saved));
    m->may_goto = f->may_goto;
    env->frame--;
    m->low += PROG_STACK_FRAME;
    m->span -= PROG_STACK_FRAME;
    m->r[10] += PROG_STACK_FRAME;
    return f->ret;
}

const struct cell *interp_call_checked(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    const struct helper *helper = m->code->helpers[pc->aux];
    uint64_t a[5];

    memcpy(a, &m->r[1], sizeof(a));
    /* As Linux has it: a helper may wait for a map's lock, whose holder may wait for this one. */
    if (env->spin_lock && !(helper->effects & (EFFECT_LOCKS | EFFECT_UNLOCKS | EFFECT_UNDER_LOCK))) {
        env_trap(env, TRAP_deadlock, 0, 0, "bpf_%s is called while a spin lock is held", helper->name);
        return interp_trapped(pc, m, env);
    }
    if (!env_check_args(env, helper, a))
        return interp_trapped(pc, m, env);
    m->r[0] = ((skep_helper_fn)(uintptr_t)pc->imm)(env, a[0], a[1], a[2], a[3], a[4]);
    if (env->trap.kind != TRAP_none)
        return interp_trapped(pc, m, env);
    env_note_result(env, helper, a, m->r[0]);
    return pc + 1;
}

/* What a local function calls as its tail takes that function's frame, has as many frames below it as any program, and
 * returns to that function's caller. */
static const struct cell *tail_of_function(const struct cell *pc, struct machine *m, struct skep_env *env,
                                           const uint64_t args[5])
{
    const struct code *to = env->code;
    uint32_t first = env->first_frame;

    env->first_frame = env->frame;
    m->r[0] = to->engine->run(to, 0, env, args);
    if (env->trap.kind != TRAP_none)
        return NULL;
    env->first_frame = first;
    env->code = m->code;
    return interp_exit(pc, m, env);
}

/* A tail call replaces the frame that makes it. */
const struct cell *interp_tail_call(const struct cell *pc, struct machine *m, struct skep_env *env)
{
    uint64_t args[5] = {m->r[1], m->r[2], m->r[3], m->r[4], m->r[5]};
    const struct code *to;

    if (env->checked && !env_check_args(env, m->code->helpers[pc->aux], args))
        return interp_trapped(pc, m, env);
    to = run_tail_call(env, map_prog_array_at((struct map *)(uintptr_t)args[1], (uint32_t)args[2]));
    if (!to)
        return env->trap.kind != TRAP_none ? interp_trapped(pc, m, env) : pc + 1;
    memset(&args[1], 0, 4 * sizeof(args[0]));
    env->code = to;
    if (m->depth || to->engine != m->code->engine || ((const struct stream *)to->engine_data)->loop != m->loop)
        return tail_of_function(pc, m, env, args);
    env->first_frame = env->frame;
    m->code = to;
    m->r[0] = 0;
    memset(&m->r[2], 0, 8 * sizeof(m->r[0]));
    m->may_goto = PROG_MAX_MAY_GOTO;
    clear_frame(m, &to->funcs[0]);
    return stream_of(to) + to->funcs[0].op;
}

const struct cell *interp_load_packet(const struct cell *pc, struct machine *m, struct skep_env *env, int32_t off,
                                      unsigned size, bool checked)
{
    if (checked && m->r[6] != (uintptr_t)env->ctx) {
        env_trap(env, TRAP_ctx_access, m->r[6], 0, "packet load with r6 = 0x%llx, which is not the context",
                 (unsigned long long)m->r[6]);
        return interp_trapped(pc, m, env);
    }
    int64_t value = run_load_packet(env, (uint64_t)(int64_t)off, size);

    m->r[0] = value < 0 ? 0 : (uint64_t)value;
    return value < 0 ? interp_exit(pc, m, env) : pc + 1;
}

const struct cell *interp_load_ctx(const struct cell *pc, struct machine *m, struct skep_env *env, bool checked)
{
    uint64_t addr = m->r[pc->src] + (uint64_t)(int64_t)pc->off;
    void *p = (void *)(uintptr_t)addr;

    if (env_ctx_packet(env, addr, 4, &m->r[pc->dst]))
        return pc + 1;
    if (checked && !(p = interp_find(pc, env, addr, 4, ENV_READ)))
        return interp_trapped(pc, m, env);
    m->r[pc->dst] = LOAD(uint32_t, p);
    return pc + 1;
}
