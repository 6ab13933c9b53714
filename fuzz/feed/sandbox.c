/*
 * Checked execution is a sandbox: whatever the bytecode, no byte is read or written outside what the program may touch.
 * Everything around what it may touch is filled with canaries: both sides of a raw program's memory and of a packet,
 * the gaps between the values of maps, the stack frames that it cannot reach. After a run they must be as they were,
 * and so must be the environment's own fields. Each program runs twice, with other canaries: what it leaves must be the
 * same, so none was read (programs that call more than MILD helpers are not compared, since what those give depends on
 * the run before).
 *
 * Input: a byte for the program type, a byte for what memory holds, then instructions. Before them stand others, so
 * that an input need not find out first how one gets at memory: r6 is the context, r7 and r8 values of two maps, r9
 * what the first bytes of the context say (data, where there is any).
 */
#include "fuzz/feed/feed.h"
#include "vm/abi/helpers.h"
#include "vm/ctx/ctx.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    WALKS = 0x80,
    MOST_WALK = 16 /* instructions */,
    HEADER = 2,
    MOST_INSNS = 256,
    BUDGET = 4000,
    AREA = 64,
    GUARD = 256,
    N_MAPS = 5,
    TRACE = 4,
    MOST_GAPS = 4096
};
enum { FIRST = 0x5a, SECOND = 0xa7 };

static const struct map_def defs[N_MAPS] = {
    {.name = "array", .type = 2, .key_size = 4, .value_size = 13, .max_entries = 1, .spin_lock_off = -1},
    {.name = "hash", .type = 1, .key_size = 4, .value_size = 12, .max_entries = 4, .spin_lock_off = -1},
    {.name = "several", .type = 2, .key_size = 4, .value_size = 20, .max_entries = 3, .spin_lock_off = -1},
    {.name = "lru", .type = 9, .key_size = 8, .value_size = 9, .max_entries = 4, .spin_lock_off = -1},
    {.name = "trace", .type = 2, .key_size = 4, .value_size = 8, .max_entries = 1, .spin_lock_off = -1},
};

static const char *const types[] = {NULL, "xdp", "sched_cls", "syscall", "raw_tracepoint", "kprobe", "sk_lookup"};

/* Helpers whose results depend on nothing but the world and the maps' contents. */
static const uint32_t mild[] = {1, 5, 7, 8, 14, 15, 16, 28, 42, 105, 106, 118, 125, 182};

/* Compiled by hand: values of map 0 and, where it has key 0, of map 1. */
static unsigned prelude(struct skep_insn *out, const char *type)
{
    unsigned n = 0;

    out[n++] = isa_encode(ISA_MOV64_X, 6, 1, 0, 0);
    out[n++] = isa_encode(type ? ISA_LDX_W : ISA_MOV64_X, 9, 1, 0, 0);
    out[n++] = isa_encode(ISA_LD_MAP_IDX_VALUE, 7, 0, 0, 0);
    out[n++] = (struct skep_insn){0};
    out[n++] = isa_encode(ISA_ST_DW, 10, 0, -8, 0);
    out[n++] = isa_encode(ISA_MOV64_X, 2, 10, 0, 0);
    out[n++] = isa_encode(ISA_ADD64_K, 2, 0, 0, -8);
    out[n++] = isa_encode(ISA_LD_MAP_IDX, 1, 0, 0, 1);
    out[n++] = (struct skep_insn){0};
    out[n++] = isa_encode(ISA_CALL_HELPER, 0, 0, 0, 1);
    out[n++] = isa_encode(ISA_MOV64_X, 8, 0, 0, 0);
    for (uint8_t r = 0; r < 6; r++)
        out[n++] = isa_encode(ISA_MOV64_X, r, r % 2 ? 7 : 10, 0, 0);
    return n;
}

/* Back to the first of the instructions given, a byte further. What r0 to r4 hold is summed up where it can be seen
 * even when the next turn traps. */
static unsigned walk(struct skep_insn *out, uint32_t given)
{
    unsigned n = 0;

    out[n++] = isa_encode(ISA_LD_MAP_IDX_VALUE, 5, 0, 0, TRACE);
    out[n++] = (struct skep_insn){0};
    for (uint8_t r = 0; r < 5; r++)
        out[n++] = isa_encode(ISA_ATOMIC_ADD64, 5, r, 0, 0);
    for (uint8_t r = 7; r < 10; r++)
        out[n++] = isa_encode(ISA_ADD64_K, r, 0, 0, 1);
    out[n] = isa_encode(ISA_JA, 0, 0, (int16_t) - (int)(given + n + 1), 0);
    return n + 1;
}

/* What a run leaves that the two runs must agree on. */
struct leaving {
    int err;
    uint64_t r0;
    enum trap_kind trap;
    uint32_t trap_at;
    unsigned char area[4 * AREA], values[N_MAPS][4 * 24];
};

struct sandbox {
    struct skep_env *env;
    struct map *maps[N_MAPS];
    unsigned char *raw; /* GUARD + AREA + GUARD */
};

static struct sandbox *the_sandbox(void)
{
    static struct sandbox s;

    if (s.env)
        return &s;
    s.env = env_new();
    s.raw = malloc(2 * GUARD + AREA);
    for (unsigned i = 0; i < N_MAPS; i++)
        if (map_create(&defs[i], 1, NULL, &s.maps[i]))
            abort();
    if (!s.env || !s.raw)
        abort();
    s.env->clock = (struct env_clock){.fixed = true, .now = 1000, .step = 7};
    s.env->task = (struct env_task){.pid = 1, .tgid = 1, .comm = "fed"};
    return &s;
}

/* ---- Canaries ---- */

/* Calls do() on each gap between the values of an array. */
static void array_gaps(struct map *map, void (*each)(unsigned char *at, size_t n, uint8_t canary), uint8_t canary)
{
    struct map_array_layout l;

    if (!map_array_layout(map, &l))
        return;
    for (uint32_t i = 0; i < l.n; i++)
        each(l.values + i * l.stride + map->def.value_size, l.stride - map->def.value_size, canary);
}

static void fill(unsigned char *at, size_t n, uint8_t canary)
{
    memset(at, canary, n);
}

static void look(unsigned char *at, size_t n, uint8_t canary)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != canary)
            feed_wrong("a byte outside of what the program may touch was written, %zu bytes into a gap", i);
}

static void around(struct sandbox *s, bool packet, void (*each)(unsigned char *at, size_t n, uint8_t canary),
                   uint8_t canary)
{
    struct env_packet *p = &s->env->packet;
    /* A program without tail calls has the frames of one program. */
    unsigned char *stack = (unsigned char *)s->env->stack;

    each(stack, (PROG_MAX_DEPTH - PROG_MAX_FRAMES) * (size_t)PROG_STACK_FRAME, canary);
    each(s->raw, GUARD, canary);
    each(s->raw + GUARD + AREA, GUARD, canary);
    if (packet && p->data) {
        each(p->buf, (size_t)(p->data - p->buf), canary);
        each(p->data_end + p->paged, (size_t)(p->buf + p->cap - p->data_end) - p->paged, canary);
    }
    array_gaps(s->maps[0], each, canary);
    array_gaps(s->maps[2], each, canary);
}

/* ---- One run ---- */

/* In place where the key is there, so that elements lie for both runs where they lay: an update would move them. */
static void fill_maps(struct sandbox *s, uint8_t seed)
{
    unsigned char value[24], *at;

    for (unsigned i = 0; i < N_MAPS; i++)
        for (uint64_t k = 0; k < 3; k++) {
            memset(value, seed + (int)(16 * i + k), sizeof(value));
            at = s->maps[i]->lookup(s->maps[i], &k, 0);
            if (at)
                memcpy(at, value, defs[i].value_size);
            else
                map_host_update(s->maps[i], &k, value, MAP_ANY);
        }
}

/* A program without a type gets memory of ours, others what their type makes of the bytes. */
static int open_ctx(struct sandbox *s, const struct prog_type *type, struct ctx_io *io, unsigned char *bytes,
                    uint8_t seed)
{
    memset(bytes, seed, AREA);
    bytes[12] = 8;
    *io = (struct ctx_io){.data_in = bytes, .data_size_in = AREA};
    if (!type) {
        memset(s->raw + GUARD, seed, AREA);
        ctx_borrow(s->env, s->raw + GUARD, AREA);
        return 0;
    }
    if (ctx_open(s->env, type, io, NULL)) {
        *io = (struct ctx_io){.ctx_in = bytes, .ctx_size_in = AREA};
        return ctx_open(s->env, type, io, NULL);
    }
    return 0;
}

static void read_leaving(struct sandbox *s, const struct prog_type *type, struct leaving *out)
{
    const struct env_packet *p = &s->env->packet;
    size_t n = p->data ? (size_t)(p->data_end - p->data) : 0;

    if (!type)
        memcpy(out->area, s->raw + GUARD, AREA);
    else if (n)
        memcpy(out->area, p->data, n < sizeof(out->area) ? n : sizeof(out->area));
    for (unsigned i = 0; i < N_MAPS; i++)
        for (uint64_t k = 0; k < 3; k++) {
            unsigned char value[24] = {0}; /* a host's view of one CPU is rounded up to 8 bytes */

            map_host_lookup(s->maps[i], &k, value, 0);
            memcpy(out->values[i] + 24 * k, value, s->maps[i]->def.value_size);
        }
}

static void run(struct sandbox *s, const struct code *code, uint8_t seed, bool packet, uint8_t canary,
                struct leaving *out)
{
    const struct prog_type *type = code->prog->type;
    unsigned char bytes[AREA];
    struct skep_env *env = s->env;
    struct ctx_io io;

    memset(out, 0, sizeof(*out));
    fill_maps(s, seed);
    env->clock.now = 1000;
    env->random = seed;
    env->random_fixed = true;
    out->err = open_ctx(s, type, &io, bytes, seed);
    if (out->err)
        return;
    memset((unsigned char *)env->stack + (PROG_MAX_DEPTH - PROG_MAX_FRAMES) * (size_t)PROG_STACK_FRAME, canary,
           PROG_MAX_FRAMES * (size_t)PROG_STACK_FRAME); /* what was never written is never seen */
    around(s, packet, fill, canary);
    env->insn_budget = BUDGET;

    struct env_output before_out = env->out;
    struct map *const *before_maps = code->maps;
    out->err = env_run(env, code, (uintptr_t)env->ctx, type ? 0 : env->ctx_size, &out->r0);
    if (memcmp(&before_out, &env->out, sizeof(before_out)) || before_maps != code->maps || env->n_refs ||
        env->spin_lock || env->n_cpus != 1 || env->user || env->world_mems)
        feed_wrong("the environment is not what it was");
    out->trap = out->err ? env->trap.kind : TRAP_none;
    out->trap_at = out->err ? env->trap.insn : 0;
    around(s, packet, look, canary);
    read_leaving(s, type, out);
    if (type)
        ctx_close(env, type, &io, out->r0);
    else
        ctx_return(env);
}

/* ---- One program ---- */

static bool is_mild(const struct prog *prog)
{
    for (uint32_t i = 0; i < prog->n_insns; i++) {
        bool known = prog->insns[i].op != ISA_CALL_HELPER;

        for (unsigned m = 0; m < sizeof(mild) / sizeof(mild[0]) && !known; m++)
            known = prog->insns[i].imm == mild[m];
        if (!known)
            return false;
    }
    return true;
}

static void try_code(struct sandbox *s, const struct code *code, uint8_t seed)
{
    bool compare = is_mild(code->prog);
    struct leaving a, b;

    run(s, code, seed, compare, FIRST, &a);
    if (!compare)
        return;
    run(s, code, seed, compare, SECOND, &b);
    if (memcmp(&a, &b, sizeof(a)))
        feed_wrong(
            "what the program leaves depends on what it may not read: r0 0x%llx and 0x%llx, traps %d at %u and %d at %u",
            (unsigned long long)a.r0, (unsigned long long)b.r0, a.trap, a.trap_at, b.trap, b.trap_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t levels[] = {0, CODE_OPT_ALL};
    struct sandbox *s = the_sandbox();
    const struct map_def *maps[N_MAPS] = {&defs[0], &defs[1], &defs[2], &defs[3], &defs[4]};
    struct skep_insn insns[MOST_INSNS];
    struct prog *prog = NULL;
    uint8_t head[HEADER];

    feed_take(&data, &size, head, HEADER);
    const char *type = types[(head[0] & ~WALKS) % (sizeof(types) / sizeof(types[0]))];
    uint32_t n = prelude(insns, type), given = (uint32_t)(size / sizeof(insns[0]));
    given = given < MOST_INSNS - MOST_WALK - n ? given : MOST_INSNS - MOST_WALK - n;
    if (given)
        memcpy(insns + n, data, given * sizeof(insns[0]));
    n += given;
    if (head[0] & WALKS)
        n += walk(insns + n, given);
    const struct prog_spec spec = {.name = "fed",
                                   .section = "",
                                   .file = "",
                                   .license = "GPL",
                                   .attach_target = "",
                                   .type = type ? prog_type_by_name(type) : NULL,
                                   .insns = insns,
                                   .n_insns = n,
                                   .maps = maps,
                                   .n_maps = N_MAPS};
    if (prog_new(&spec, true, NULL, &prog))
        return 0;
    for (unsigned l = 0; l < 2; l++) {
        struct code_opts opts = {.checked = true, .opts = levels[l]};
        struct code *code = NULL;

        if (!code_lower(prog, NULL, s->maps, &opts, &interp_engine, NULL, &code))
            try_code(s, code, head[1]);
        code_put(code);
    }
    prog_put(prog);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return feed_mutate_insns(data, size, max, seed, HEADER);
}
