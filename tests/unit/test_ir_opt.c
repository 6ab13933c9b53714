/*
 * The passes over the intermediate form. Each case is a program over r1 (memory) and r2, r3 (numbers): what its form
 * must and must not hold once it is optimised, and that it still means the same as it was built, for numbers at borders
 * and by chance, for a target that has everything and for one that has nothing.
 */
#include "tests/unit/run.h"

#include "tests/ir/eval.c"

enum { MEMORY = 1280 };

static bool imm_ok(const struct ir_op *op)
{
    return op->imm == (int32_t)op->imm && op->kind != IR_MULHI && !(op->kind >= IR_UDIV && op->kind <= IR_SMOD);
}

static bool any(const struct ir_op *op)
{
    (void)op;
    return true;
}

static bool none(const struct ir_op *op)
{
    (void)op;
    return false;
}

static bool base_alone(const struct ir_op *op)
{
    return op->base && !op->index && !op->disp;
}

static bool same_size(enum ir_kind kind, unsigned width, unsigned size)
{
    (void)kind;
    return width == size;
}

static bool no_operand(enum ir_kind kind, unsigned width, unsigned size)
{
    (void)kind, (void)width, (void)size;
    return false;
}

static const struct ir_target rich = {.imm_ok = imm_ok,
                                      .mem_ok = any,
                                      .mem_operand = same_size,
                                      .rmw = true,
                                      .swap_mem = true,
                                      .andn = true,
                                      .mulhi = true,
                                      .carry = true,
                                      .fast_unaligned = true};
static const struct ir_target poor = {.imm_ok = none, .mem_ok = base_alone, .mem_operand = no_operand};

static const uint64_t numbers[] = {0,
                                   1,
                                   2,
                                   3,
                                   4,
                                   5,
                                   6,
                                   7,
                                   8,
                                   9,
                                   10,
                                   15,
                                   16,
                                   31,
                                   32,
                                   33,
                                   47,
                                   63,
                                   64,
                                   65,
                                   99,
                                   100,
                                   127,
                                   128,
                                   255,
                                   256,
                                   700,
                                   0xffff,
                                   0x10000,
                                   0x7fffffff,
                                   0x80000000,
                                   0x80000001,
                                   0xfffffff9,
                                   0xffffffff,
                                   1ull << 32,
                                   1ull << 63,
                                   (1ull << 63) - 1,
                                   -7ull,
                                   -1ull};
enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static struct ir *made(struct code *code, uint32_t opts, const struct ir_target *target)
{
    struct ir *ir;
    const char *why;

    assert_int_equal(ir_build(code, NULL, opts, &ir), 0);
    if (target)
        assert_int_equal(ir_optimize(ir, target, opts), 0);
    why = ir_check(ir);
    if (why)
        fail_msg("%s", why);
    return ir;
}

static unsigned count(const struct ir *ir, enum ir_kind kind)
{
    const struct ir_func *f = &ir->funcs[0];
    unsigned n = 0;

    for (uint32_t b = 0; b < f->n_blocks; b++)
        for (uint32_t i = 0; i < f->blocks[b].n; i++)
            n += f->blocks[b].ops[i].kind == kind;
    return n;
}

/* Runs it over memory that begins the same. */
static uint64_t eval(struct ir *ir, unsigned char *memory, uint64_t r2, uint64_t r3)
{
    static uint64_t stack[2 * PROG_STACK_FRAME / 8];
    struct skep_env *env = calloc(1, sizeof(*env));
    uint64_t args[5] = {(uintptr_t)memory, r2, r3}, r0;

    for (unsigned i = 0; i < MEMORY; i++)
        memory[i] = (unsigned char)(i * 167 + (i >> 8) * 31 + 5);
    r0 = ir_eval(ir, 0, env, (uintptr_t)stack + sizeof(stack), args);
    free(env);
    return r0;
}

static void same(struct ir *was, struct ir *is, uint64_t r2, uint64_t r3, const char *text)
{
    static unsigned char before[MEMORY], after[MEMORY];
    uint64_t want = eval(was, before, r2, r3);
    uint64_t got = eval(is, after, r2, r3);

    /* Both may hold the memory's address. */
    if (want != got && want - (uintptr_t)before != got - (uintptr_t)after)
        fail_msg("%s\nr2 = 0x%llx, r3 = 0x%llx: 0x%llx, was 0x%llx", text, (unsigned long long)r2,
                 (unsigned long long)r3, (unsigned long long)got, (unsigned long long)want);
    if (memcmp(before, after, MEMORY))
        fail_msg("%s\nr2 = 0x%llx, r3 = 0x%llx: memory differs", text, (unsigned long long)r2, (unsigned long long)r3);
}

static uint64_t chance(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> (*state >> 58) % 57;
}

static void means_the_same(struct code *code, uint32_t opts, const struct ir_target *target, const char *text)
{
    struct ir *was = made(code, 0, NULL), *is = made(code, opts, target);
    uint64_t state = 1;

    for (unsigned i = 0; i < NUMBERS; i++)
        for (unsigned j = 0; j < NUMBERS; j += 7)
            same(was, is, numbers[i], numbers[(i + j) % NUMBERS], text);
    for (unsigned i = 0; i < 60; i++) {
        uint64_t r2 = chance(&state);

        same(was, is, r2, chance(&state), text);
    }
    ir_free(was);
    ir_free(is);
}

struct want {
    enum ir_kind kind;
    int n; /* -1: at least one */
};

static void check(const char *text, uint32_t opt, const struct want *wants, unsigned n)
{
    struct code *code = lowered(text, NULL, 0, (struct code_opts){.opts = 0});
    struct ir *ir = made(code, IR_OPT_ALL, &rich);

    for (unsigned i = 0; i < n; i++) {
        unsigned found = count(ir, wants[i].kind);

        if (wants[i].n < 0 ? !found : found != (unsigned)wants[i].n) {
            struct buf out = {0};

            ir_print(ir, &out);
            fail_msg("%s\n%u of %s, expected %d:\n%s", text, found, ir_kinds[wants[i].kind].text, wants[i].n,
                     buf_text(&out));
        }
    }
    ir_free(ir);
    means_the_same(code, IR_OPT_ALL, &rich, text);
    means_the_same(code, IR_OPT_ALL, &poor, text);
    means_the_same(code, IR_OPT_ALL & ~opt, &rich, text);
    means_the_same(code, opt | IR_OPT_WEBS, &rich, text);
    code_put(code);
}

#define CHECK(opt, text, ...)                                                                                          \
    check(text, opt, (const struct want[]){__VA_ARGS__},                                                               \
          sizeof((const struct want[]){__VA_ARGS__}) / sizeof(struct want))

static void simplify_case(void **state)
{
    (void)state;
    /* Constants through copies; what nobody reads. */
    CHECK(IR_OPT_SIMPLIFY, "r3 = 5\n r4 = r3\n r4 += 7\n r5 = r2\n r5 *= r4\n r0 = r4\n exit\n", {IR_CONST, 1},
          {IR_ADD, 0}, {IR_MUL, 0}, {IR_COPY, 0});
    /* Zero-extension by shifts, of what is narrow already. */
    CHECK(IR_OPT_SIMPLIFY, "w0 = w2\n r0 <<= 32\n r0 >>= 32\n w0 += w3\n r0 &= 0xffff\n r0 &= 0xff\n exit\n",
          {IR_SHL, 0}, {IR_SHR, 0}, {IR_AND, 0}, {IR_ZEXT, 1});
    CHECK(IR_OPT_SIMPLIFY, "r0 = r2\n r0 <<= 48\n r0 s>>= 48\n exit\n", {IR_SEXT, 1}, {IR_SHL, 0});
    CHECK(IR_OPT_SIMPLIFY, "r0 = r2\n r0 <<= 32\n r0 >>= 35\n exit\n", {IR_SHR, 1}, {IR_SHL, 0});
    CHECK(IR_OPT_SIMPLIFY, "r0 = r2\n r0 >>= 3\n r0 &= 0x1fffffff\n exit\n", {IR_SHR, 1}, {IR_AND, 0});
    /* Strength. */
    CHECK(IR_OPT_SIMPLIFY, "r0 = r2\n r0 *= 32\n r3 /= 8\n r0 += r3\n r2 %= 64\n r0 ^= r2\n exit\n", {IR_MUL, 0},
          {IR_UDIV, 0}, {IR_UMOD, 0});
    CHECK(IR_OPT_SIMPLIFY, "r0 = 0\n r0 -= r2\n r0 += r3\n r0 ^= -1\n exit\n", {IR_SUB, 1}, {IR_NOT, 1});
    /* Conditions that are known, or ask about what was computed for them. */
    CHECK(IR_OPT_SIMPLIFY, "r0 = 1\n w2 &= 255\n if w2 > 300 goto +2\n r2 &= 8\n if r2 == 0 goto +1\n r0 = r3\n exit\n",
          {IR_BR, 0}, {IR_AND, 0});
    CHECK(IR_OPT_SIMPLIFY, "r0 = 7\n r2 -= r3\n if r2 != 0 goto +1\n r0 = *(u8 *)(r1 + 9)\n exit\n", {IR_SUB, 0});
    /* A loop's counter is known to be narrow. */
    CHECK(IR_OPT_SIMPLIFY,
          "r0 = 0\n w4 = 0\n w2 &= 31\n l: w5 = w4\n r5 += r1\n r6 = *(u8 *)(r5 + 1)\n r0 += r6\n r0 /= 3\n"
          " w4 += 1\n if w4 <= w2 goto l\n exit\n",
          {IR_ZEXT, 0});
}

static void rotate_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_ROTATE, "r0 = r2\n r0 >>= 51\n r2 <<= 13\n r0 |= r2\n exit\n", {IR_ROL, 1}, {IR_OR, 0}, {IR_SHL, 0});
    CHECK(IR_OPT_ROTATE, "w0 = w2\n w0 <<= 7\n w2 >>= 25\n w0 += w2\n exit\n", {IR_ROL, 1}, {IR_ADD, 0});
    CHECK(IR_OPT_ROTATE,
          "r0 = r2\n r4 = r3\n r4 &= 63\n r0 <<= r4\n r4 = -r4\n r4 &= 63\n r2 >>= r4\n r0 |= r2\n exit\n", {IR_ROL, 1},
          {IR_OR, 0});
    /* The left shift went into a product: 0x51ed270b << 15. */
    CHECK(IR_OPT_ROTATE, "w0 = w2\n w0 *= 0x93858000\n w2 *= 0x51ed270b\n w2 >>= 17\n w0 |= w2\n exit\n", {IR_ROL, 1},
          {IR_MUL, 1});
    /* Not of the same register any more, and not a whole turn. */
    CHECK(IR_OPT_ROTATE, "r0 = r2\n r0 >>= 51\n r2 += 1\n r2 <<= 13\n r0 |= r2\n exit\n", {IR_ROL, 0});
    CHECK(IR_OPT_ROTATE, "r0 = r2\n r0 >>= 50\n r2 <<= 13\n r0 |= r2\n exit\n", {IR_ROL, 0});
}

static void address_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_ADDRESS,
          "r2 &= 127\n r4 = r2\n r4 <<= 3\n r4 += r1\n r0 = *(u64 *)(r4 + 16)\n r5 = *(u32 *)(r4 + 4)\n"
          " r0 += r5\n exit\n",
          {IR_SHL, 0}, {IR_LEA, 0}, {IR_LOAD, -1});
    CHECK(IR_OPT_ADDRESS, "r0 = r2\n r0 <<= 2\n r0 += r3\n r0 += 100\n exit\n", {IR_LEA, 1}, {IR_SHL, 0}, {IR_ADD, 0});
    CHECK(IR_OPT_ADDRESS, "r0 = r2\n r0 *= 20\n w3 *= 31\n r0 ^= r3\n exit\n", {IR_MUL, 0}, {IR_LEA, 1});
    CHECK(IR_OPT_ADDRESS, "w2 &= 255\n w2 <<= 2\n r3 = r1\n r3 += r2\n r0 = *(u32 *)(r3 + 0)\n exit\n", {IR_SHL, 0});
    /* The index changed since. */
    CHECK(IR_OPT_ADDRESS,
          "r0 = 0\n r2 &= 15\n r5 = 0\n l: r4 = r1\n r4 += r5\n r5 += 3\n r6 = *(u8 *)(r4 + 1)\n r0 += r6\n r0 /= 7\n"
          " if r5 < r2 goto l\n exit\n",
          {IR_EXIT, 1});
}

static void wide_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_WIDE,
          "r0 = *(u8 *)(r1 + 2)\n r0 <<= 16\n r4 = *(u8 *)(r1 + 0)\n r0 |= r4\n r4 = *(u8 *)(r1 + 3)\n"
          " r4 <<= 24\n r5 = *(u8 *)(r1 + 1)\n r5 <<= 8\n r4 |= r5\n r0 |= r4\n exit\n",
          {IR_LOAD, 1}, {IR_OR, 0}, {IR_BSWAP, 0});
    CHECK(IR_OPT_WIDE,
          "w0 = *(u8 *)(r1 + 0)\n w0 <<= 24\n w4 = *(u8 *)(r1 + 1)\n w4 <<= 16\n w0 |= w4\n w4 = *(u8 *)(r1 + 2)\n"
          " w4 <<= 8\n w0 |= w4\n w4 = *(u8 *)(r1 + 3)\n w0 |= w4\n exit\n",
          {IR_LOAD, 1}, {IR_OR, 0});
    /* Six bytes are four and two, beside something else. */
    CHECK(IR_OPT_WIDE,
          "r0 = *(u16 *)(r1 + 4)\n r0 <<= 32\n r4 = *(u16 *)(r1 + 2)\n r4 <<= 16\n r0 |= r4\n"
          " r4 = *(u16 *)(r1 + 0)\n r0 |= r4\n r0 |= r2\n exit\n",
          {IR_LOAD, 2});
    /* A store in between, a hole, a byte twice. */
    CHECK(IR_OPT_WIDE,
          "r0 = *(u8 *)(r1 + 0)\n *(u8 *)(r1 + 1) = r2\n r4 = *(u8 *)(r1 + 1)\n r4 <<= 8\n r0 |= r4\n exit\n",
          {IR_LOAD, 2});
    CHECK(IR_OPT_WIDE, "r0 = *(u8 *)(r1 + 0)\n r4 = *(u8 *)(r1 + 2)\n r4 <<= 8\n r0 |= r4\n exit\n", {IR_LOAD, 2});
    CHECK(IR_OPT_WIDE, "r0 = *(u8 *)(r1 + 0)\n r4 = *(u8 *)(r1 + 0)\n r4 <<= 8\n r0 |= r4\n exit\n", {IR_LOAD, 2});
}

static void memory_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_MEMORY,
          "r4 = *(u64 *)(r1 + 8)\n r4 += r2\n *(u64 *)(r1 + 8) = r4\n r0 = *(u32 *)(r1 + 16)\n w0 ^= w2\n"
          " w5 = *(u32 *)(r1 + 20)\n w5 += 1\n *(u32 *)(r1 + 20) = w5\n exit\n",
          {IR_RMW, 2}, {IR_LOAD, 0}, {IR_STORE, 0});
    CHECK(IR_OPT_MEMORY, "r0 = *(u32 *)(r1 + 4)\n r0 = be32 r0\n r2 = be64 r2\n *(u64 *)(r1 + 32) = r2\n exit\n",
          {IR_BSWAP, 0});
    /* Another place, the result still wanted, a store before. */
    CHECK(IR_OPT_MEMORY, "r4 = *(u64 *)(r1 + 8)\n r4 += r2\n *(u64 *)(r1 + 16) = r4\n r0 = r4\n exit\n", {IR_RMW, 0});
    CHECK(IR_OPT_MEMORY,
          "r4 = *(u64 *)(r1 + 8)\n *(u8 *)(r1 + 9) = r3\n r4 ^= r2\n *(u64 *)(r1 + 8) = r4\n r0 = 0\n exit\n",
          {IR_RMW, 0}, {IR_LOAD, 1});
}

static void select_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_SELECT, "r0 = r2\n if r2 s> r3 goto +1\n r0 = r3\n exit\n", {IR_SELECT, 1}, {IR_BR, 0});
    CHECK(IR_OPT_SELECT, "r0 = 1\n if w2 < 10 goto +1\n r0 = 0\n r0 += r3\n exit\n", {IR_CARRY, 1}, {IR_BR, 0});
    CHECK(IR_OPT_SELECT, "r0 = r2\n if r3 == 5 goto +1\n r0 += 1\n exit\n", {IR_SET, 1}, {IR_SELECT, 0}, {IR_BR, 0});
    /* A carry; a count, from either side; one that is wanted besides. */
    CHECK(IR_OPT_SELECT, "r0 = r2\n r0 += r3\n r4 = 1\n if r0 < r3 goto +1\n r4 = 0\n r0 += r4\n exit\n", {IR_CARRY, 1},
          {IR_SET, 0});
    CHECK(IR_OPT_SELECT, "r0 = r2\n r4 = 1\n if w3 > w2 goto +1\n r4 = 0\n w4 += w0\n r0 = r4\n exit\n", {IR_CARRY, 1});
    CHECK(IR_OPT_SELECT, "r0 = r2\n r4 = 1\n if r3 == 0 goto +1\n r4 = 0\n r0 -= r4\n exit\n", {IR_CARRY, 1});
    CHECK(IR_OPT_SELECT, "r0 = r2\n r4 = 1\n if r3 > 6 goto +1\n r4 = 0\n r0 -= r4\n r0 *= r4\n exit\n", {IR_CARRY, 0});
    CHECK(IR_OPT_SELECT, "r0 = r2\n r4 = 1\n if r3 s> 6 goto +1\n r4 = 0\n r0 -= r4\n exit\n", {IR_CARRY, 0});
    /* Two values that change places. */
    CHECK(IR_OPT_SELECT,
          "r4 = r2\n r5 = r3\n if r2 <= r3 goto +2\n r4 = r3\n r5 = r2\n r4 <<= 1\n r0 = r4\n r0 -= r5\n exit\n",
          {IR_SELECT, 2}, {IR_BR, 0});
    /* An arm with an effect, and one that is long. */
    CHECK(IR_OPT_SELECT, "r0 = 3\n if r2 == 0 goto +1\n *(u64 *)(r1 + 0) = r3\n exit\n", {IR_BR, 1});
    CHECK(IR_OPT_SELECT, "r0 = 3\n if r2 == 0 goto +4\n r0 *= r3\n r0 += 77\n r0 *= r2\n r0 ^= r3\n exit\n",
          {IR_BR, 1});
}

static void range_case(void **state)
{
    static const char in[] = " *(u8 *)(r1 + 0) = r2\n r0 = 7\n e: exit\n";
    char text[256];

    (void)state;
#define RANGE(first, ...)                                                                                              \
    snprintf(text, sizeof(text), "r0 = 0\n %s\n%s", first, in);                                                        \
    CHECK(IR_OPT_SELECT, text, __VA_ARGS__)
    /* Both ends, in either order and sense; signed ones; of the low half. */
    RANGE("if r2 < 97 goto e\n if r2 > 122 goto e", {IR_BR, 1});
    RANGE("if w2 s> 9000 goto +2\n if w2 s< -9000 goto +1\n goto e", {IR_BR, 1});
    RANGE("if r2 s>= 5 goto +1\n goto e\n if r2 s<= 255 goto +1\n goto e", {IR_BR, 1});
    /* One of two that are neighbours, or differ in a bit; other two. */
    RANGE("if r2 == 64 goto e\n if r2 == 63 goto e", {IR_BR, 1});
    RANGE("if w2 == 1 goto e\n if w2 == 3 goto e", {IR_BR, 1}, {IR_OR, 1});
    RANGE("if r2 == 1 goto e\n if r2 == 8 goto e", {IR_BR, 2});
    /* One end signed; another register; nothing between. */
    RANGE("if r2 s< 5 goto e\n if r2 > 255 goto e", {IR_BR, 2});
    RANGE("if r2 < 100 goto e\n if r3 > 200 goto e", {IR_BR, 2});
    RANGE("if r2 < 255 goto e\n if r2 > 16 goto e", {IR_EXIT, -1});
#undef RANGE
}

static void divide_case(void **state)
{
    static const int32_t by[] = {1,          2,  3,  5,   6,   7,   9,     10,     11,        12,           13,
                                 14,         24, 25, 100, 641, 700, 1000,  12289,  65521,     65537,        1000000,
                                 0x7fffffff, -1, -2, -3,  -7,  -10, -1000, -65521, INT32_MIN, INT32_MIN + 1};
    static const char *const ops[] = {"r0 /= %d",  "r0 %%= %d",  "w0 /= %d",  "w0 %%= %d",
                                      "r0 s/= %d", "r0 s%%= %d", "w0 s/= %d", "w0 s%%= %d"};
    char text[100];

    (void)state;
    for (unsigned i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
        for (unsigned k = 0; k < sizeof(ops) / sizeof(ops[0]); k++) {
            int n = snprintf(text, sizeof(text), "r0 = r2\n ");

            n += snprintf(text + n, sizeof(text) - (size_t)n, ops[k], by[i]);
            snprintf(text + n, sizeof(text) - (size_t)n, "\n exit\n");
            CHECK(IR_OPT_DIVIDE, text, {IR_UDIV, 0}, {IR_UMOD, 0}, {IR_SDIV, 0}, {IR_SMOD, 0});
        }
    }
    /* Of what is known to be small a plain product will do. */
    CHECK(IR_OPT_DIVIDE, "w0 = w2\n w0 &= 0xffff\n w0 /= 7\n exit\n", {IR_MULHI, 0}, {IR_MUL, 1});
}

static void unroll_case(void **state)
{
    static const char *const tests[] = {"if r5 < r2 goto l",  "if r5 <= r2 goto l", "if w5 < w2 goto l",
                                        "if w5 <= w2 goto l", "if r2 > r5 goto l",  "if w5 != 60 goto l",
                                        "if r5 < 61 goto l",  "if r5 < 120 goto l", "if r5 == 48 goto o\n goto l"};
    static const char *const steps[] = {"r5 += 1", "w5 += 1", "r5 += 3", "w5 += 4", "r5 += 12"};
    char text[300];

    (void)state;
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        for (unsigned k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
            snprintf(
                text, sizeof(text),
                "r0 = 0\n w2 &= 127\n r5 = 0\n r3 &= 7\n"
                "l: r4 = r1\n r4 += r5\n r6 = *(u8 *)(r4 + 3)\n r0 *= 3\n r0 += r6\n *(u8 *)(r4 + 1000) = r0\n r7 = r0\n r7 ^= r5\n %s\n %s\n"
                "o: r0 += r5\n r0 ^= r7\n exit\n",
                steps[k], tests[i]);
            CHECK(IR_OPT_UNROLL, text, {IR_EXIT, 1});
        }
    }
    /* Known turns: nothing is left over, and the body stands there several times. */
    CHECK(IR_OPT_UNROLL,
          "r0 = 0\n r5 = 0\n l: r4 = r1\n r4 += r5\n r6 = *(u32 *)(r4 + 8)\n r0 ^= r6\n r5 += 4\n"
          " if r5 != 256 goto l\n exit\n",
          {IR_BR, 1}, {IR_XOR, 4}, {IR_ADD, 1});
    /* So many turns are not certain: two loops. */
    CHECK(IR_OPT_UNROLL,
          "r0 = 0\n r2 &= 255\n r5 = 0\n l: r4 = r1\n r4 += r5\n r6 = *(u32 *)(r4 + 8)\n r0 ^= r6\n r5 += 4\n"
          " if r5 < r2 goto l\n exit\n",
          {IR_BR, 4}, {IR_XOR, 5});
}

static void copies_case(void **state)
{
    struct code *code =
        lowered("r0 = 1\n r4 = 0\n r2 &= 31\n"
                "l: r5 = r0\n r5 += r4\n r5 ^= r3\n r5 *= r5\n r5 += r2\n r4 = r0\n r0 = r5\n r2 += -1\n"
                " if r2 s> 0 goto l\n exit\n",
                NULL, 0, (struct code_opts){.opts = 0});
    struct ir *ir = made(code, IR_OPT_ALL, &rich);

    (void)state;
    /* Of the two moves at the end one is the loop's own. */
    assert_true(count(ir, IR_COPY) <= 2);
    ir_free(ir);
    means_the_same(code, IR_OPT_ALL, &rich, "copies");
    means_the_same(code, IR_OPT_ALL & ~IR_OPT_WEBS, &rich, "copies");
    code_put(code);
}

/* Constants that do not fit: once for a function where loops read them. */
static void legalise_case(void **state)
{
    (void)state;
    CHECK(IR_OPT_SIMPLIFY,
          "r0 = r3\n r2 &= 15\n l: r4 = 0x123456789abcdef0 ll\n r0 ^= r4\n r4 = *(u8 *)(r1 + 1)\n r0 /= 3\n r0 += r4\n"
          " r4 = 0x123456789abcdef0 ll\n r0 += r4\n r2 += -1\n if r2 s> 0 goto l\n exit\n",
          {IR_CONST, 2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simplify_case), cmocka_unit_test(rotate_case),  cmocka_unit_test(address_case),
        cmocka_unit_test(wide_case),     cmocka_unit_test(memory_case),  cmocka_unit_test(select_case),
        cmocka_unit_test(range_case),    cmocka_unit_test(divide_case),  cmocka_unit_test(unroll_case),
        cmocka_unit_test(copies_case),   cmocka_unit_test(legalise_case)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
