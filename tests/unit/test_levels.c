/*
 * Random programs must mean the same on every level of the interpreter. Level 0, unchecked, is the reference (the
 * tables' and Linux's own tests judge that one); each other level must leave the same registers and the same memory.
 * The programs are made of what compilers emit and optimisers fuse: moves before arithmetic, rotations, addresses from
 * masked indices, words assembled from bytes, comparisons behind arithmetic, loops, local calls; operands alias at
 * random, and jumps go into the middle of whatever computes no address.
 *
 * r9 holds the memory and r10 the frame, and are never written; r7 counts loops. The others are free. A program ends by
 * storing r0 to r8 into the memory. LEVELS_SEED in the environment chooses another sequence, LEVELS_RUNS its length.
 */
#include "vm/env.h"
#include "vm/interp/interp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MEM_SIZE = 512, DATA_SIZE = 256, MAX_INSNS = 600, RUNS = 5000 };
enum { COUNTER = 7, MEMORY = 9, FRAME = 10 };

static const struct level {
    const char *name;
    struct code_opts opts;
} levels[] = {
    {"plain", {.opts = 0}},
    {"counted", {.opts = 0, .count_insns = true}},
    {"fuse", {.opts = CODE_OPT_FUSE}},
    {"inline", {.opts = CODE_OPT_INLINE}},
    {"special", {.opts = CODE_OPT_SPECIAL}},
    {"special, fuse", {.opts = CODE_OPT_SPECIAL | CODE_OPT_FUSE}},
    {"all", {.opts = CODE_OPT_ALL}},
    {"all, counted", {.opts = CODE_OPT_ALL, .count_insns = true}},
    {"checked", {.checked = true}},
    {"checked, all", {.checked = true, .opts = CODE_OPT_ALL}},
};

struct gen {
    uint64_t seed;
    struct skep_insn insns[MAX_INSNS];
    bool landing[MAX_INSNS]; /* a jump may go here: no address is half made */
    uint32_t n;
    bool in_loop, in_callee;
};

static uint32_t any(struct gen *g, uint32_t below)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return (uint32_t)(g->seed >> 33) % below;
}

static bool once_in(struct gen *g, uint32_t n)
{
    return any(g, n) == 0;
}

static uint8_t reg(struct gen *g)
{
    static const uint8_t regs[] = {0, 1, 2, 3, 4, 5, 6, 8};

    return regs[any(g, sizeof(regs))];
}

static uint8_t reg_but(struct gen *g, uint8_t other)
{
    uint8_t r;

    while ((r = reg(g)) == other)
        ;
    return r;
}

static int32_t constant(struct gen *g)
{
    static const int32_t edges[] = {0, 1, -1, 2, 7, 8, 31, 32, 63, 255, 256, 0xffff, INT32_MAX, INT32_MIN, -2, 0x80};

    return once_in(g, 3) ? (int32_t)((uint32_t)any(g, 1u << 16) << 16 | any(g, 1u << 16))
                         : edges[any(g, sizeof(edges) / sizeof(edges[0]))];
}

static void emit(struct gen *g, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
    assert_true(g->n < MAX_INSNS);
    g->insns[g->n++] = (struct skep_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

/* From here on a jump may land. */
static void land(struct gen *g)
{
    g->landing[g->n] = true;
}

enum { K = 0, X = 8, ALU32 = 4, ALU64 = 7, JMP = 5, JMP32 = 6 };
enum { ADD = 0x00, SUB = 0x10, MUL = 0x20, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, XOR = 0xa0, MOV = 0xb0 };

static uint8_t width(struct gen *g)
{
    return any(g, 2) ? ALU64 : ALU32;
}

static int32_t shift(struct gen *g, uint8_t w)
{
    return (int32_t)any(g, w == ALU64 ? 64 : 32);
}

static bool is_shift(uint8_t op)
{
    return op == LSH || op == RSH || op == 0xc0;
}

/* Any arithmetic on dst. */
static void alu(struct gen *g, uint8_t w, uint8_t dst)
{
    static const uint8_t ops[] = {ADD, ADD, ADD, SUB, MUL, 0x30, OR, AND, LSH, RSH, 0x90, XOR, MOV, 0xc0};
    uint8_t op = ops[any(g, sizeof(ops))];

    if (once_in(g, 24)) {
        emit(g, (uint8_t)(0x80 | w), dst, 0, 0, 0); /* negation */
    } else if (once_in(g, 24)) {
        emit(g, (uint8_t)(w == ALU64 ? 0xd7 : any(g, 2) ? 0xdc : 0xd4), dst, 0, 0, 16 << any(g, 3));
    } else if (any(g, 2)) {
        int32_t k = is_shift(op) ? shift(g, w) : constant(g);

        if ((op == 0x30 || op == 0x90) && !k)
            k = 3;
        emit(g, op | K | w, dst, 0, (int16_t)((op == 0x30 || op == 0x90) && once_in(g, 3)), k);
    } else {
        int16_t off = (op == 0x30 || op == 0x90)   ? (int16_t)once_in(g, 3)
                      : op == MOV && once_in(g, 3) ? (int16_t)(8 << any(g, w == ALU64 ? 3 : 2))
                                                   : 0;

        emit(g, op | X | w, dst, reg(g), off, 0);
    }
}

/* MOV d, s; one to three operations on d; sometimes into another register at the end. */
static void chain(struct gen *g)
{
    uint8_t d = reg(g), w = width(g);
    static const uint8_t into[] = {ADD, OR, XOR, SUB, AND, MUL};

    emit(g, MOV | X | w, d, reg(g), 0, 0);
    for (uint32_t n = 1 + any(g, 3); n; n--) {
        land(g);
        alu(g, once_in(g, 6) ? width(g) : w, d);
    }
    if (any(g, 2)) {
        land(g);
        emit(g, into[any(g, sizeof(into))] | X | w, reg(g), d, 0, 0);
    }
}

static void rotate(struct gen *g)
{
    uint8_t w = width(g), a = reg(g), t = reg_but(g, a), first = any(g, 2) ? LSH : RSH;
    int32_t bits = w == ALU64 ? 64 : 32, n = 1 + (int32_t)any(g, (uint32_t)bits - 1);
    int32_t m = once_in(g, 6) ? shift(g, w) : bits - n; /* sometimes no rotation, though it looks like one */
    static const uint8_t join[] = {OR, OR, ADD, XOR};
    uint8_t u = t;

    emit(g, MOV | X | w, t, a, 0, 0);
    land(g);
    emit(g, first | K | w, t, 0, 0, n);
    if (once_in(g, 3)) {
        u = a;
        a = reg_but(g, t);
        emit(g, MOV | X | w, a, u, 0, 0);
        land(g);
    }
    emit(g, (first ^ LSH ^ RSH) | K | w, a, 0, 0, m);
    land(g);
    if (any(g, 2))
        emit(g, join[any(g, 4)] | X | w, a, t, 0, 0);
    else
        emit(g, join[any(g, 4)] | X | w, t, a, 0, 0);
}

enum { SIZES = 4 };
static const uint8_t size_code[SIZES] = {0x10 /* byte */, 0x08, 0x00, 0x18};

/* Makes an address inside the data's first half, aligned to 1 << scale, in the register that is returned. */
static uint8_t address(struct gen *g, uint32_t scale)
{
    uint8_t i = reg(g), a;
    int32_t mask = (int32_t)((DATA_SIZE / 2 >> scale) - 1);

    if (any(g, 2))
        emit(g, MOV | X | width(g), i, reg(g), 0, 0);
    emit(g, AND | K | width(g), i, 0, 0, mask);
    if (scale || once_in(g, 4))
        emit(g, LSH | K | ALU64, i, 0, 0, (int32_t)scale);
    if (any(g, 2)) { /* index += base */
        emit(g, ADD | X | ALU64, i, MEMORY, 0, 0);
        a = i;
    } else {
        a = reg_but(g, i);
        emit(g, MOV | X | ALU64, a, MEMORY, 0, 0);
        if (once_in(g, 4))
            emit(g, ADD | K | ALU64, a, 0, 0, (int32_t)(any(g, 16) >> scale << scale));
        emit(g, ADD | X | ALU64, a, i, 0, 0);
    }
    return a;
}

static void after_load(struct gen *g, uint8_t d)
{
    static const uint8_t jumps[] = {0x10, 0x50, 0x20, 0xa0, 0xd0};

    land(g);
    switch (any(g, 5)) {
    case 0: emit(g, ADD | X | width(g), reg(g), d, 0, 0); break;
    case 1: emit(g, XOR | X | width(g), reg(g), d, 0, 0); break;
    case 2:
        emit(g, LSH | K | width(g), d, 0, 0, 8 * (int32_t)any(g, 4));
        land(g);
        emit(g, OR | X | width(g), reg(g), d, 0, 0);
        break;
    case 3: /* a comparison that jumps over one instruction */
        emit(g, jumps[any(g, sizeof(jumps))] | K | (any(g, 2) ? JMP : JMP32), d, 0, 1, constant(g));
        emit(g, XOR | K | ALU64, reg(g), 0, 0, constant(g));
        break;
    }
}

static void load(struct gen *g)
{
    uint32_t size = any(g, SIZES);
    uint8_t a = address(g, once_in(g, 2) ? size : 0), d = once_in(g, 3) ? a : reg(g);
    bool sign = size < 3 && once_in(g, 5);

    emit(g, (sign ? 0x81 : 0x61) | size_code[size], d, a, (int16_t)any(g, 64), 0);
    if (any(g, 2) && d != a)
        emit(g, 0x61 | size_code[size], reg_but(g, a), a, (int16_t)any(g, 64), 0);
    after_load(g, d);
}

static void store(struct gen *g)
{
    uint32_t size = any(g, SIZES);
    uint8_t a = address(g, once_in(g, 2) ? size : 0);

    if (once_in(g, 4))
        emit(g, 0x62 | size_code[size], a, 0, (int16_t)any(g, 64), constant(g));
    else
        emit(g, 0x63 | size_code[size], a, reg_but(g, a), (int16_t)any(g, 64), 0);
    if (once_in(g, 3))
        emit(g, 0x63 | size_code[size], a, reg_but(g, a), (int16_t)any(g, 64), 0);
}

static void atomic(struct gen *g)
{
    static const int32_t ops[] = {0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1};
    bool wide = any(g, 2);
    uint8_t a = address(g, 3);

    emit(g, wide ? 0xdb : 0xc3, a, reg_but(g, a), (int16_t)(8 * any(g, 8)), ops[any(g, 10)]);
}

/* Slots of the frame, in this function only. */
static void spill(struct gen *g)
{
    int16_t off = (int16_t)(-8 * (int)(1 + any(g, 16)));
    uint32_t size = any(g, 2) ? 3 : any(g, SIZES);

    if (any(g, 2))
        emit(g, 0x63 | size_code[size], FRAME, reg(g), off, 0);
    else
        emit(g, 0x61 | size_code[size], reg(g), FRAME, off, 0);
    if (any(g, 2)) {
        land(g);
        emit(g, 0x61 | size_code[size], reg(g), FRAME, off, 0);
    }
}

static void wide_constant(struct gen *g)
{
    emit(g, 0x18, reg(g), 0, 0, constant(g));
    emit(g, 0, 0, 0, 0, constant(g));
}

/* A jump whose target is chosen when the block is done: off holds how many landings ahead. */
enum { UNRESOLVED = 0x4000 };

static void jump(struct gen *g)
{
    static const uint8_t ops[] = {0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0};
    int16_t off = (int16_t)(UNRESOLVED + any(g, 12));
    uint8_t op = ops[any(g, sizeof(ops))], w = any(g, 2) ? JMP : JMP32, d = reg(g);

    if (any(g, 2)) {
        alu(g, w == JMP ? ALU64 : ALU32, d);
        land(g);
    }
    if (once_in(g, 10))
        emit(g, 0x05, 0, 0, off, 0);
    else if (any(g, 2))
        emit(g, op | K | w, d, 0, off, constant(g));
    else
        emit(g, op | X | w, d, reg(g), off, 0);
}

static void resolve(struct gen *g, uint32_t from)
{
    for (uint32_t i = from; i < g->n; i++) {
        struct skep_insn *insn = &g->insns[i];
        uint32_t skip, to = i + 1;

        if (insn->code == 0x18) {
            i++;
            continue;
        }
        if (((insn->code & 7) != JMP && (insn->code & 7) != JMP32) || insn->off < UNRESOLVED)
            continue;
        for (skip = (uint32_t)(insn->off - UNRESOLVED); to < g->n; to++)
            if (g->landing[to] && !skip--)
                break;
        insn->off = (int16_t)(to - i - 1);
    }
}

static void block(struct gen *g, uint32_t units);

static void loop(struct gen *g)
{
    static const uint8_t back[] = {0x50 /* != 0 */, 0x20 /* > 0 */, 0x60 /* s> 0 */};
    uint32_t start;

    g->in_loop = true;
    emit(g, MOV | K | ALU64, COUNTER, 0, 0, 2 + (int32_t)any(g, 5));
    start = g->n;
    block(g, 2 + any(g, 6));
    emit(g, ADD | K | ALU64, COUNTER, 0, 0, -1);
    if (once_in(g, 3))
        emit(g, ADD | K | ALU64, reg(g), 0, 0, 4);
    emit(g, back[any(g, 3)] | K | JMP, COUNTER, 0, (int16_t)((int)start - (int)g->n - 1), 0);
    memset(g->landing + start, 0, (g->n - start) * sizeof(g->landing[0])); /* nobody enters past the counter's start */
    g->in_loop = false;
}

static void block(struct gen *g, uint32_t units)
{
    uint32_t from = g->n;

    while (units--) {
        land(g);
        switch (any(g, 12)) {
        case 0:
        case 1: alu(g, width(g), reg(g)); break;
        case 2: chain(g); break;
        case 3: rotate(g); break;
        case 4:
        case 5: load(g); break;
        case 6: store(g); break;
        case 7: spill(g); break;
        case 8: jump(g); break;
        case 9:
            if (!g->in_loop)
                loop(g);
            break;
        case 10:
            if (once_in(g, 2))
                wide_constant(g);
            else
                atomic(g);
            break;
        case 11:
            if (!g->in_callee && once_in(g, 2)) /* resolved by generate() */
                emit(g, 0x85, 0, 1, 0, -1);
            break;
        }
    }
    land(g);
    resolve(g, from);
}

static void generate(struct gen *g)
{
    uint32_t main_end, callee;

    memset(g->landing, 0, sizeof(g->landing));
    g->n = 0;
    g->in_loop = g->in_callee = false;
    emit(g, MOV | X | ALU64, MEMORY, 1, 0, 0);
    for (uint8_t r = 0; r < MEMORY; r++)
        emit(g, 0x79, r, MEMORY, (int16_t)(8 * r), 0);
    block(g, 8 + any(g, 16));
    for (uint8_t r = 0; r < MEMORY; r++)
        emit(g, 0x7b, MEMORY, r, (int16_t)(DATA_SIZE + 64 + 8 * r), 0);
    emit(g, 0x95, 0, 0, 0, 0);
    main_end = callee = g->n;
    g->in_callee = true;
    for (uint8_t r = 6; r < MEMORY; r++) /* r9 is what the caller left: a callee sees it, too */
        emit(g, MOV | X | ALU64, r, (uint8_t)(r - 5), 0, 0);
    emit(g, 0x18, MEMORY, 0, 0, 0); /* the address is filled in for each memory */
    emit(g, 0, 0, 0, 0, 0);
    block(g, 4 + any(g, 6));
    emit(g, 0x95, 0, 0, 0, 0);
    for (uint32_t i = 0; i < main_end; i++)
        if (g->insns[i].code == 0x85)
            g->insns[i].imm = (int32_t)(callee - i - 1);
        else if (g->insns[i].code == 0x18)
            i++;
}

/* The callee knows the memory by its address. */
static void set_memory(struct gen *g, const void *mem)
{
    for (uint32_t i = 0; i + 1 < g->n; i++)
        if (g->insns[i].code == 0x18) {
            if (g->insns[i].dst_reg == MEMORY) {
                g->insns[i].imm = (int32_t)(uintptr_t)mem;
                g->insns[i + 1].imm = (int32_t)((uintptr_t)mem >> 32);
            }
            i++;
        }
}

static struct code *lower(const struct gen *g, const struct code_opts *opts)
{
    struct prog_spec spec = {.name = "random", .insns = g->insns, .n_insns = g->n};
    struct prog *prog;
    struct code *code = NULL;

    if (prog_new(&spec, false, NULL, &prog))
        return NULL;
    code_lower(prog, NULL, NULL, opts, &interp_engine, NULL, &code);
    prog_put(prog);
    return code;
}

struct outcome {
    int err;
    uint64_t r0;
    struct trap trap;
    unsigned char mem[MEM_SIZE];
};

static void run(struct skep_env *env, const struct gen *g, const struct level *level, unsigned char *mem,
                struct outcome *out)
{
    struct code *code = lower(g, &level->opts);

    assert_non_null(code);
    for (unsigned i = 0; i < MEM_SIZE; i++)
        mem[i] = (unsigned char)(i * 37 ^ i >> 3 ^ (i % 5 ? 0 : 0x80));
    memset(out, 0, sizeof(*out));
    env->checked = level->opts.checked;
    env->ctx = mem;
    env->ctx_size = MEM_SIZE;
    env->ctx_layout = NULL;
    out->err = env_run(env, code, (uintptr_t)mem, MEM_SIZE, &out->r0);
    out->trap = env->trap;
    memcpy(out->mem, mem, MEM_SIZE);
    code_put(code);
}

static void show(const struct gen *g, unsigned long run, const struct level *level, const struct outcome *want,
                 const struct outcome *got)
{
    fprintf(stderr, "run %lu on level '%s': r0 %#llx, %s has %#llx; error %d, trap %s at %u\n", run, level->name,
            (unsigned long long)want->r0, level->name, (unsigned long long)got->r0, got->err, trap_name(got->trap.kind),
            got->trap.insn);
    for (unsigned r = 0; r < MEMORY; r++) {
        uint64_t a, b;

        memcpy(&a, want->mem + DATA_SIZE + 64 + 8 * r, 8);
        memcpy(&b, got->mem + DATA_SIZE + 64 + 8 * r, 8);
        if (a != b)
            fprintf(stderr, "  r%u: %#llx, not %#llx\n", r, (unsigned long long)a, (unsigned long long)b);
    }
    for (uint32_t i = 0; i < g->n; i++) {
        uint64_t raw;

        memcpy(&raw, &g->insns[i], 8);
        fprintf(stderr, "%s.insn 0x%016llx", i % 4 ? "  " : "\n", (unsigned long long)raw);
    }
    fprintf(stderr, "\n");
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

static void every_level_means_the_same(void **state)
{
    unsigned long runs = setting("LEVELS_RUNS", RUNS);
    struct gen *g = calloc(1, sizeof(*g));
    unsigned char *mem = aligned_alloc(16, MEM_SIZE);
    struct skep_env *env = env_new();
    struct outcome want, got;
    unsigned different = 0;

    (void)state;
    assert_non_null(g);
    assert_non_null(mem);
    assert_non_null(env);
    g->seed = setting("LEVELS_SEED", 0x9e3779b97f4a7c15);
    for (unsigned long i = 0; i < runs && different < 3; i++) {
        generate(g);
        set_memory(g, mem);
        run(env, g, &levels[0], mem, &want);
        assert_int_equal(want.err, 0);
        for (size_t l = 1; l < sizeof(levels) / sizeof(levels[0]); l++) {
            run(env, g, &levels[l], mem, &got);
            if (got.err == want.err && got.r0 == want.r0 && !memcmp(got.mem, want.mem, MEM_SIZE))
                continue;
            show(g, i, &levels[l], &want, &got);
            different++;
        }
    }
    env_free(env);
    free(mem);
    free(g);
    assert_int_equal(different, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_level_means_the_same)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
