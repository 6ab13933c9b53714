/*
 * Preparing code for the interpreter: each op becomes a cell that begins with the address of what does it in the loop
 * that this code runs in. The stream belongs to the code and is immutable from then on.
 */
#include "vm/interp/interp.h"
#include "vm/interp/stream.h"
#include "vm/maps/map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static loop_fn choose(const struct code_opts *opts)
{
    if (opts->traced)
        return loop_traced;
    if (opts->checked)
        return loop_checked;
    return opts->count_insns ? loop_counted : loop_plain;
}

static bool is_jump(unsigned kind)
{
    switch (kind < ISA_OP_COUNT ? isa_rows[kind].form : ISA_FORM_NONE) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM:
    case ISA_FORM_MAY_GOTO: return true;
    default: return false;
    }
}

/* Accesses of one size and way share a handful of windows among them, so that each mostly has its own. */
static uint16_t window_of(unsigned kind, unsigned size, uint32_t *used)
{
    enum { GROUP = ENV_WINDOWS / 8 };
    unsigned form = kind < ISA_OP_COUNT ? isa_rows[kind].form : ISA_FORM_LDX;
    unsigned reads = form == ISA_FORM_LDX || form == ISA_FORM_LOAD_ACQ;
    unsigned group = (reads ? 4 : 0) + (unsigned)__builtin_ctz(size);

    return (uint16_t)(group * GROUP + used[group]++ % GROUP);
}

/* An access at r10 plus a constant that stays inside the frame needs no look at run time. */
static bool in_frame(const struct op *op, unsigned size)
{
    unsigned form = op->kind < ISA_OP_COUNT ? isa_rows[op->kind].form : ISA_FORM_NONE;
    unsigned base = form == ISA_FORM_LDX ? op->src : op->dst;

    return base == 10 && op->off >= -PROG_STACK_FRAME && op->off + (int)size <= 0 &&
           (form == ISA_FORM_LDX || form == ISA_FORM_ST || form == ISA_FORM_STX);
}

static void fill(struct cell *cell, const struct code *code, uint32_t i, const struct loop_tables *t, uint32_t *used)
{
    const struct op *op = &code->ops[i];
    unsigned size = op->kind == OP_LDX_W_CTX ? 4 : op->kind < ISA_OP_COUNT ? isa_access_size(op->kind) : 0;

    cell->run = t->run[op->kind] ? t->run[op->kind] : t->run[ISA_INVALID];
    cell->dst = (uint8_t)op->dst;
    cell->src = (uint8_t)op->src;
    cell->aux = op->aux;
    cell->off = op->off;
    cell->imm = op->imm;
    if (size && code->opts.checked) {
        cell->aux = window_of(op->kind, size, used);
        if (in_frame(op, size))
            cell->run = t->safe[op->kind];
    }
    if (is_jump(op->kind) || op->kind == ISA_CALL_LOCAL) {
        uint32_t from = code->slot[i], to = code->slot[op->target];
        cell->off = (int32_t)(op->target - i);
        if (is_jump(op->kind)) /* the length of the loop it closes */
            cell->aux = to > from ? 0 : from - to < UINT16_MAX ? (uint16_t)(from - to + 1) : UINT16_MAX;
    }
}

static int prepare(struct code *code, const struct log *log)
{
    struct stream *s = malloc(sizeof(*s) + (size_t)code->n_ops * sizeof(s->cells[0]));
    uint32_t used[8] = {0};
    struct loop_tables tables = {0};

    (void)log;
    if (!s)
        return -ENOMEM;
    s->loop = choose(&code->opts);
    s->loop(NULL, 0, NULL, (const uint64_t *)(const void *)&tables);
    for (uint32_t i = 0; i < code->n_ops; i++)
        fill(&s->cells[i], code, i, &tables, used);
    code->engine_data = s;
    return 0;
}

static void release(struct code *code)
{
    free(code->engine_data);
}

static uint64_t run(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5])
{
    return ((const struct stream *)code->engine_data)->loop(code, func, env, args);
}

const struct engine interp_engine = {.name = "interp", .prepare = prepare, .release = release, .run = run};

const struct code *tail_target(struct skep_env *env, const struct code *from, uint64_t map, uint64_t index)
{
    const struct code *to;

    if (env->tail_calls >= PROG_MAX_TAIL_CALLS)
        return NULL;
    to = map_prog_array_at((struct map *)(uintptr_t)map, (uint32_t)index);
    if (!to)
        return NULL;
    if (env->checked && !to->opts.checked) {
        env_trap(env, TRAP_bad_call, 0, 0, "tail call from checked '%s' to '%s', which is not checked", from->prog->name,
                 to->prog->name);
        return NULL;
    }
    env->tail_calls++;
    return to;
}

/* Negative offsets are Linux's SKF_NET_OFF and SKF_LL_OFF. */
bool load_packet(const struct skep_env *env, int32_t off, unsigned size, uint64_t *value)
{
    const struct env_packet *p = &env->packet;
    const unsigned char *base = p->data;
    int64_t at = off;

    if (off < 0) {
        bool net = off >= -0x100000;
        base = net ? p->net : p->mac;
        at = (int64_t)off + (net ? 0x100000 : 0x200000);
    }
    if (!base || at < 0 || base < p->buf || base > p->data_end || at + size > p->data_end - base)
        return false;
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value = *value << 8 | base[at + i];
    return true;
}
