/*
 * The x86-64 assembler, read back with Capstone: every form over registers, sizes, addresses and immediates at their
 * borders. What Capstone says is compared by meaning: addresses by their value over a file of arbitrary register
 * contents, immediates in the width of the operation. Any host can run it: nothing here executes what it makes.
 */
#include "tests/unit/x86_read.h"

#ifdef CAN_READ

/* ---- what is expected ---- */

struct op {
    enum { OP_REG, OP_IMM, OP_MEM } kind;
    unsigned size;
    unsigned reg;
    int64_t imm;
    struct x86_rm mem;
};

static struct op R(unsigned size, unsigned reg) {
    return (struct op){.kind = OP_REG, .size = size, .reg = reg};
} static struct op I(unsigned size, int64_t imm) {
    return (struct op){.kind = OP_IMM, .size = size, .imm = imm};
} static struct op RM(unsigned size, struct x86_rm rm) {
    return rm.kind == X86_RM_REG ? R(size, rm.base) : (struct op){.kind = OP_MEM, .size = size, .mem = rm};
}

static uint64_t
low(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((1ull << 8 * size) - 1);
}

static bool same(const cs_x86_op *seen, const struct op *want)
{
    switch (want->kind) {
    case OP_REG:
        return seen->type == X86_OP_REG && !strcmp(cs_reg_name(cs, seen->reg), reg_name(want->size, want->reg));
    case OP_IMM:
        return seen->type == X86_OP_IMM && low((uint64_t)seen->imm, want->size) == low((uint64_t)want->imm, want->size);
    default:
        return seen->type == X86_OP_MEM && (!want->size || seen->size == want->size) &&
               seen->mem.segment == X86_REG_INVALID && address_seen(&seen->mem) == address_meant(want->mem);
    }
}

static void complain(const char *what, const char *name)
{
    char hex[64] = "";

    for (unsigned i = 0; i < in->size && i < 16; i++)
        sprintf(hex + 3 * i, "%02x ", in->bytes[i]);
    fail_msg("%s: wanted %s, bytes %sread as %s %s", what, name, hex, in->mnemonic, in->op_str);
}

static void check(const char *what, const char *name, const struct op *want, unsigned n)
{
    const cs_x86 *x = &in->detail->x86;
    const char *mnemonic = in->mnemonic;
    size_t at = 0;

    assert_int_equal(x86_finish(&as), 0);
    assert_true(as.size <= 15);
    assert_int_equal(x86_write(&as, out, RUN_AT), 0);
    read_at(&at);
    if (!strncmp(mnemonic, "lock ", 5))
        mnemonic += 5;
    if (at != as.size || strcmp(mnemonic, name) || x->op_count != n ||
        (x->prefix[0] == 0xf0) != !strncmp(what, "x86_lock", 8))
        complain(what, name);
    for (unsigned i = 0; i < n; i++)
        if (!same(&x->operands[i], &want[i]))
            complain(what, name);
    checked++;
}

#define CHECK(call, name, ...)                                                                                         \
    do {                                                                                                               \
        const struct op want[] = {__VA_ARGS__};                                                                        \
        begin();                                                                                                       \
        call;                                                                                                          \
        check(#call, name, want, COUNT(want));                                                                         \
    } while (0)
#define CHECK0(call, name)                                                                                             \
    do {                                                                                                               \
        begin();                                                                                                       \
        call;                                                                                                          \
        check(#call, name, NULL, 0);                                                                                   \
    } while (0)
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        begin();                                                                                                       \
        call;                                                                                                          \
        if (x86_finish(&as) != -EINVAL)                                                                                \
            fail_msg("%s was taken", #call);                                                                           \
    } while (0)

/* Label 0 stands at the beginning, for operands that name it. */
static void begin(void)
{
    x86_reset(&as);
    x86_bind(&as, x86_label(&as));
}

/* ---- operands ---- */

static const int32_t disps[] = {0, 1, -1, 127, -128, 128, -129, 0x12345678, INT32_MAX, INT32_MIN};
static const unsigned scales[] = {1, 2, 4, 8};

/* Some of each shape, every register in each place. */
static struct x86_rm some[700];
static unsigned some_count, some_regs;

static void add_some(struct x86_rm m)
{
    assert_true(some_count < COUNT(some));
    some[some_count++] = m;
}

static int setup(void **state)
{
    if (open_reader(state))
        return -1;
    for (unsigned r = 0; r < 16; r++)
        add_some(x86_r(r));
    some_regs = some_count;
    for (unsigned r = 0; r <= X86_NONE; r++)
        for (unsigned d = 0; d < COUNT(disps); d++)
            add_some(x86_at(r, disps[d]));
    for (unsigned r = 0; r < 16; r++)
        for (unsigned i = 0; i < 16; i++)
            if (i != X86_RSP)
                add_some(x86_indexed(r, i, scales[(r + i) % 4], disps[(r * 5 + i) % COUNT(disps)]));
    for (unsigned i = 0; i < 16; i++)
        for (unsigned s = 0; s < 4 && i != X86_RSP; s++)
            add_some(x86_indexed(X86_NONE, i, scales[s], disps[(i + s) % COUNT(disps)]));
    for (unsigned d = 0; d < COUNT(disps) - 2; d++) /* at the last two the distance would not fit */
        add_some(x86_in(0, disps[d]));
    return 0;
}

static bool is_reg(struct x86_rm m)
{
    return m.kind == X86_RM_REG;
}

/* Every register with every register, every memory operand with some register. */
#define EACH_REG_RM(reg, rm)                                                                                           \
    for (unsigned k_ = 0; k_ < some_count; k_++)                                                                       \
        for (unsigned reg = is_reg(some[k_]) ? 0 : k_ % 16, once_ = 1; once_ && reg < 16;                              \
             once_ = is_reg(some[k_]), reg++)                                                                          \
            for (struct x86_rm rm = some[k_], *p_ = &rm; p_; p_ = NULL)
#define EACH_RM(rm)                                                                                                    \
    for (unsigned k_ = 0; k_ < some_count; k_++)                                                                       \
        for (struct x86_rm rm = some[k_], *p_ = &rm; p_; p_ = NULL)
#define EACH_MEM(rm)                                                                                                   \
    for (unsigned k_ = some_regs; k_ < some_count; k_++)                                                               \
        for (struct x86_rm rm = some[k_], *p_ = &rm; p_; p_ = NULL)
#define EACH_SIZE(size, least) for (unsigned size = least; size <= 8; size *= 2)

static const int64_t imms[] = {
    0,         1,          -1,         126,         127,
    128,       -127,       -128,       -129,        255,
    256,       -256,       32767,      32768,       -32768,
    -32769,    65535,      65536,      0x12345678,  INT32_MAX,
    INT32_MIN, UINT32_MAX, 0x80000000, 0x100000000, INT32_MIN - 1ll,
    INT64_MAX, INT64_MIN,
};

static bool holds(unsigned size, int64_t v)
{
    if (size == 8)
        return v == (int32_t)v;
    return v >= -(1ll << (8 * size - 1)) && v < 1ll << 8 * size;
}

/* ---- moves ---- */

static void addresses(void **state)
{
    (void)state;
    for (unsigned base = 0; base <= X86_NONE; base++)
        for (unsigned index = 0; index <= X86_NONE; index++)
            for (unsigned s = 0; s < 4; s++)
                for (unsigned d = 0; d < COUNT(disps); d++) {
                    struct x86_rm m = x86_indexed(base, index, scales[s], disps[d]);
                    unsigned reg = (base + index + s + d) % 16;

                    if (index == X86_RSP && (s || base == X86_RSP) && !(base == X86_NONE && !s)) {
                        REFUSED(x86_lea(&as, 8, reg, m));
                        continue;
                    }
                    CHECK(x86_lea(&as, 8, reg, m), "lea", R(8, reg), RM(0, m));
                    CHECK(x86_mov(&as, 1, reg, m), "mov", R(1, reg), RM(1, m));
                    CHECK(x86_mov_to(&as, 4, m, reg), "mov", RM(4, m), R(4, reg));
                    CHECK(x86_rorx(&as, 8, reg, m, 7), "rorx", R(8, reg), RM(8, m), I(1, 7));
                }
    EACH_SIZE(size, 2)
    {
        for (unsigned reg = 0; reg < 16; reg++)
            EACH_MEM(m)
        CHECK(x86_lea(&as, size, reg, m), "lea", R(size, reg), RM(0, m));
    }
}

static void addresses_are_short(void **state)
{
    static const struct {
        enum x86_reg base, index;
        unsigned scale;
        int32_t disp;
        unsigned length;
    } row[] = {
        {X86_RAX, X86_NONE, 1, 0, 3},   {X86_RAX, X86_NONE, 1, 127, 4},  {X86_RAX, X86_NONE, 1, 128, 7},
        {X86_RSP, X86_NONE, 1, 0, 4},   {X86_R12, X86_NONE, 1, -128, 5}, {X86_RBP, X86_NONE, 1, 0, 4},
        {X86_R13, X86_NONE, 1, 0, 4},   {X86_R13, X86_RAX, 1, 0, 4},     {X86_R13, X86_RAX, 2, 0, 5},
        {X86_NONE, X86_RAX, 2, 0, 4},   {X86_NONE, X86_RAX, 4, 0, 8},    {X86_NONE, X86_RAX, 1, 5, 4},
        {X86_RAX, X86_R12, 4, -129, 8}, {X86_RAX, X86_RSP, 1, 0, 4},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(row); i++) {
        struct x86_rm m = x86_indexed(row[i].base, row[i].index, row[i].scale, row[i].disp);

        CHECK(x86_mov(&as, 8, X86_RCX, m), "mov", R(8, X86_RCX), RM(8, m));
        if (as.size != row[i].length)
            fail_msg("row %u: %zu bytes instead of %u", i, as.size, row[i].length);
    }
}

static void moves(void **state)
{
    (void)state;
    EACH_SIZE(size, 1)
    EACH_REG_RM(reg, rm)
    {
        CHECK(x86_mov(&as, size, reg, rm), "mov", R(size, reg), RM(size, rm));
        CHECK(x86_mov_to(&as, size, rm, reg), "mov", RM(size, rm), R(size, reg));
        CHECK(x86_movzx(&as, size, reg, rm), size < 4 ? "movzx" : "mov", R(size < 4 ? 4 : size, reg), RM(size, rm));
        for (unsigned to = 2; to <= 8; to *= 2) {
            if (to < size)
                REFUSED(x86_movsx(&as, to, size, reg, rm));
            else
                CHECK(x86_movsx(&as, to, size, reg, rm),
                      to == size ? "mov"
                      : size < 4 ? "movsx"
                                 : "movsxd",
                      R(to, reg), RM(size, rm));
        }
        CHECK(x86_xchg(&as, size, rm, reg), "xchg", RM(size, rm), R(size, reg));
        if (size == 1)
            continue;
        if (is_reg(rm)) {
            REFUSED(x86_movbe(&as, size, reg, rm));
            REFUSED(x86_movbe_to(&as, size, rm, reg));
            REFUSED(x86_lea(&as, size, reg, rm));
        } else {
            CHECK(x86_movbe(&as, size, reg, rm), "movbe", R(size, reg), RM(size, rm));
            CHECK(x86_movbe_to(&as, size, rm, reg), "movbe", RM(size, rm), R(size, reg));
        }
    }
    for (unsigned reg = 0; reg < 16; reg++) {
        CHECK(x86_bswap(&as, 4, reg), "bswap", R(4, reg));
        CHECK(x86_bswap(&as, 8, reg), "bswap", R(8, reg));
        REFUSED(x86_bswap(&as, 2, reg));
    }
}

static void immediates_moved(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(imms); i++) {
        int64_t v = imms[i];

        for (unsigned reg = 0; reg < 16; reg++) {
            /* A write of 4 bytes zeroes the rest, which is the shortest way to say it. */
            if (v >= 0 && v <= UINT32_MAX)
                CHECK(x86_mov_imm(&as, 8, x86_r(reg), v), "mov", R(4, reg), I(4, v));
            else
                CHECK(x86_mov_imm(&as, 8, x86_r(reg), v), v == (int32_t)v ? "mov" : "movabs", R(8, reg), I(8, v));
            CHECK(x86_movabs(&as, reg, (uint64_t)v), "movabs", R(8, reg), I(8, v));
            assert_int_equal(as.size, 10);
        }
        EACH_SIZE(size, 1)
        {
            EACH_RM(rm)
            {
                if (is_reg(rm) && size == 8)
                    continue;
                if (holds(size, v))
                    CHECK(x86_mov_imm(&as, size, rm, v), "mov", RM(size, rm), I(size, v));
                else
                    REFUSED(x86_mov_imm(&as, size, rm, v));
            }
        }
        if (v == (int32_t)v)
            CHECK(x86_push_imm(&as, (int32_t)v), "push", I(8, v));
    }
}

static void conditional_moves(void **state)
{
    (void)state;
    for (unsigned cc = 0; cc < 16; cc++) {
        EACH_SIZE(size, 2)
        EACH_REG_RM(reg, rm)
        CHECK(x86_cmov(&as, cc, size, reg, rm), with_cc("cmov", cc), R(size, reg), RM(size, rm));
        EACH_RM(rm)
        CHECK(x86_set(&as, cc, rm), with_cc("set", cc), RM(1, rm));
    }
    REFUSED(x86_cmov(&as, X86_E, 1, X86_RAX, x86_r(X86_RCX)));
}

/* ---- arithmetic ---- */

static const char *const alu_name[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};

static void alu(void **state)
{
    (void)state;
    for (unsigned op = 0; op < 8; op++)
        EACH_SIZE(size, 1)
    EACH_REG_RM(reg, rm)
    {
        CHECK(x86_alu(&as, op, size, reg, rm), alu_name[op], R(size, reg), RM(size, rm));
        CHECK(x86_alu_to(&as, op, size, rm, reg), alu_name[op], RM(size, rm), R(size, reg));
        if (op == X86_CMP || is_reg(rm))
            REFUSED(x86_lock_alu(&as, op, size, rm, reg));
        else
            CHECK(x86_lock_alu(&as, op, size, rm, reg), alu_name[op], RM(size, rm), R(size, reg));
    }
    EACH_SIZE(size, 1)
    EACH_REG_RM(reg, rm)
    {
        CHECK(x86_test(&as, size, rm, reg), "test", RM(size, rm), R(size, reg));
        if (is_reg(rm)) {
            REFUSED(x86_lock_xadd(&as, size, rm, reg));
            REFUSED(x86_lock_cmpxchg(&as, size, rm, reg));
        } else {
            CHECK(x86_lock_xadd(&as, size, rm, reg), "xadd", RM(size, rm), R(size, reg));
            CHECK(x86_lock_cmpxchg(&as, size, rm, reg), "cmpxchg", RM(size, rm), R(size, reg));
        }
    }
}

static void alu_immediates(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(imms); i++)
        EACH_SIZE(size, 1)
    EACH_RM(rm)
    {
        int64_t v = imms[i];
        unsigned op = (i + k_) % 8;

        if (!holds(size, v)) {
            REFUSED(x86_alu_imm(&as, op, size, rm, v));
            REFUSED(x86_test_imm(&as, size, rm, v));
            REFUSED(x86_lock_alu_imm(&as, X86_OR, size, rm, v));
            if (size > 1)
                REFUSED(x86_imul_imm(&as, size, X86_RCX, rm, v));
            continue;
        }
        CHECK(x86_alu_imm(&as, op, size, rm, v), alu_name[op], RM(size, rm), I(size, v));
        CHECK(x86_test_imm(&as, size, rm, v), "test", RM(size, rm), I(size, v));
        if (is_reg(rm)) {
            for (op = 0; op < 8; op++)
                CHECK(x86_alu_imm(&as, op, size, rm, v), alu_name[op], RM(size, rm), I(size, v));
            REFUSED(x86_lock_alu_imm(&as, X86_OR, size, rm, v));
        } else if (op != X86_CMP) {
            CHECK(x86_lock_alu_imm(&as, op, size, rm, v), alu_name[op], RM(size, rm), I(size, v));
        } else {
            REFUSED(x86_lock_alu_imm(&as, op, size, rm, v));
        }
        if (size > 1)
            CHECK(x86_imul_imm(&as, size, k_ % 16, rm, v), "imul", R(size, k_ % 16), RM(size, rm), I(size, v));
    }
}

static void alu_immediates_are_short(void **state)
{
    static const struct {
        unsigned size;
        enum x86_reg reg;
        int64_t imm;
        unsigned length;
    } row[] = {
        {1, X86_RAX, 1, 2},    {1, X86_RCX, 1, 3},          {1, X86_RSI, 1, 4},    {2, X86_RCX, 1, 4},
        {2, X86_RCX, 128, 5},  {2, X86_RCX, 65535, 4},      {4, X86_RCX, 127, 3},  {4, X86_RCX, 128, 6},
        {4, X86_RAX, 128, 5},  {4, X86_RCX, UINT32_MAX, 3}, {8, X86_RCX, -128, 4}, {8, X86_RCX, -129, 7},
        {8, X86_RAX, -129, 6}, {8, X86_R8, -129, 7},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(row); i++) {
        CHECK(x86_alu_imm(&as, X86_SUB, row[i].size, x86_r(row[i].reg), row[i].imm), "sub", R(row[i].size, row[i].reg),
              I(row[i].size, row[i].imm));
        if (as.size != row[i].length)
            fail_msg("row %u: %zu bytes instead of %u", i, as.size, row[i].length);
    }
}

static void one_operand(void **state)
{
    static const char *const name[] = {"not", "neg", "mul", "imul", "div", "idiv", "inc", "dec"};

    (void)state;
    for (unsigned op = 0; op < COUNT(name); op++)
        EACH_SIZE(size, 1)
    EACH_RM(rm)
    CHECK(x86_unary(&as, op, size, rm), name[op], RM(size, rm));
    REFUSED(x86_unary(&as, X86_DEC + 1, 4, x86_r(X86_RAX)));
    EACH_RM(rm)
    {
        CHECK(x86_push(&as, rm), "push", RM(8, rm));
        CHECK(x86_pop(&as, rm), "pop", RM(8, rm));
        CHECK(x86_jmp_rm(&as, rm), "jmp", RM(8, rm));
        CHECK(x86_call_rm(&as, rm), "call", RM(8, rm));
    }
}

static void multiplications(void **state)
{
    (void)state;
    EACH_SIZE(size, 2)
    EACH_REG_RM(reg, rm)
    {
        unsigned lo = (reg + 5) % 16;

        CHECK(x86_imul(&as, size, reg, rm), "imul", R(size, reg), RM(size, rm));
        if (size == 2) {
            REFUSED(x86_mulx(&as, size, reg, lo, rm));
            continue;
        }
        CHECK(x86_mulx(&as, size, reg, lo, rm), "mulx", R(size, reg), R(size, lo), RM(size, rm));
        CHECK(x86_andn(&as, size, reg, lo, rm), "andn", R(size, reg), R(size, lo), RM(size, rm));
    }
    REFUSED(x86_imul(&as, 1, X86_RAX, x86_r(X86_RCX)));
}

/* ---- shifts and bits ---- */

static const char *const shift_name[] = {"rol", "ror", "rcl", "rcr", "shl", "shr", NULL, "sar"};
static const uint8_t counts[] = {0, 1, 2, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255};

static void shifts(void **state)
{
    (void)state;
    for (unsigned op = 0; op < 8; op++)
        EACH_SIZE(size, 1)
    EACH_RM(rm)
    {
        uint8_t n = counts[k_ % COUNT(counts)];

        if (!shift_name[op]) {
            REFUSED(x86_shift(&as, op, size, rm, n));
            REFUSED(x86_shift_cl(&as, op, size, rm));
            continue;
        }
        CHECK(x86_shift(&as, op, size, rm, n), shift_name[op], RM(size, rm), I(1, n));
        CHECK(x86_shift(&as, op, size, rm, 1), shift_name[op], RM(size, rm), I(1, 1));
        CHECK(x86_shift_cl(&as, op, size, rm), shift_name[op], RM(size, rm), R(1, X86_RCX));
    }
    EACH_SIZE(size, 2)
    EACH_REG_RM(reg, rm)
    {
        uint8_t n = counts[(reg + k_) % COUNT(counts)];

        CHECK(x86_shld(&as, size, rm, reg, n), "shld", RM(size, rm), R(size, reg), I(1, n));
        CHECK(x86_shrd(&as, size, rm, reg, n), "shrd", RM(size, rm), R(size, reg), I(1, n));
    }
}

static void shifts_without_flags(void **state)
{
    static const char *const name[] = {"shlx", "shrx", "sarx"};

    (void)state;
    EACH_SIZE(size, 4)
    EACH_REG_RM(reg, rm)
    {
        uint8_t n = counts[(reg + k_) % COUNT(counts)];

        for (unsigned op = 0; op < 3; op++)
            for (unsigned c = 0; c < 16; c += is_reg(rm) ? 1 : 5)
                CHECK(x86_shiftx(&as, op, size, reg, rm, c), name[op], R(size, reg), RM(size, rm), R(size, c));
        CHECK(x86_rorx(&as, size, reg, rm, n), "rorx", R(size, reg), RM(size, rm), I(1, n));
    }
    REFUSED(x86_shiftx(&as, X86_SHLX, 2, X86_RAX, x86_r(X86_RCX), X86_RDX));
    REFUSED(x86_shiftx(&as, X86_SARX + 1, 4, X86_RAX, x86_r(X86_RCX), X86_RDX));
    REFUSED(x86_shiftx(&as, X86_SHLX, 4, X86_RAX, x86_r(X86_RCX), X86_NONE));
    REFUSED(x86_rorx(&as, 1, X86_RAX, x86_r(X86_RCX), 1));
}

static void bits(void **state)
{
    static const char *const bit_name[] = {"bt", "bts", "btr", "btc"};
    static const char *const scan_name[] = {"popcnt", "tzcnt", "lzcnt", "bsf", "bsr"};

    (void)state;
    EACH_SIZE(size, 2)
    EACH_REG_RM(reg, rm)
    {
        uint8_t n = counts[(reg + k_) % COUNT(counts)];

        for (unsigned op = 0; op < COUNT(bit_name); op++) {
            CHECK(x86_bit(&as, X86_BT + op, size, rm, reg), bit_name[op], RM(size, rm), R(size, reg));
            CHECK(x86_bit_imm(&as, X86_BT + op, size, rm, n), bit_name[op], RM(size, rm), I(1, n));
        }
        for (unsigned op = 0; op < COUNT(scan_name); op++)
            CHECK(x86_scan(&as, op, size, reg, rm), scan_name[op], R(size, reg), RM(size, rm));
    }
    REFUSED(x86_bit(&as, 3, 4, x86_r(X86_RAX), X86_RCX));
    REFUSED(x86_bit_imm(&as, 8, 4, x86_r(X86_RAX), 1));
    REFUSED(x86_scan(&as, X86_POPCNT, 1, X86_RAX, x86_r(X86_RCX)));
}

/* ---- the rest ---- */

static void without_operands(void **state)
{
    static const char *const name[X86_PLAIN_COUNT] = {
        "ret", "leave", "cwd", "cdq", "cqo", "int3", "ud2", "pause", "mfence", "lfence", "sfence", "endbr64", "rdtsc",
    };

    (void)state;
    for (unsigned op = 0; op < X86_PLAIN_COUNT; op++)
        CHECK0(x86_plain(&as, op), name[op]);
    REFUSED(x86_plain(&as, X86_PLAIN_COUNT));
}

static void nops(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 70; n++) {
        unsigned count = 0;

        begin();
        x86_nop(&as, n);
        assert_int_equal(x86_finish(&as), 0);
        assert_int_equal(as.size, n);
        assert_int_equal(x86_write(&as, out, RUN_AT), 0);
        for (size_t at = 0; at < n; count++) {
            read_at(&at);
            assert_string_equal(in->mnemonic, "nop");
        }
        assert_int_equal(count, (n + 8) / 9);
    }
}

static void bad_operands(void **state)
{
    static const unsigned bad_sizes[] = {0, 3, 5, 16};
    struct x86_rm odd = x86_indexed(X86_RAX, X86_RCX, 3, 0), r = x86_r(X86_RAX), bad = x86_r(X86_NONE);

    (void)state;
    for (unsigned i = 0; i < COUNT(bad_sizes); i++) {
        REFUSED(x86_mov(&as, bad_sizes[i], X86_RAX, r));
        REFUSED(x86_alu_imm(&as, X86_ADD, bad_sizes[i], r, 1));
        REFUSED(x86_test_imm(&as, bad_sizes[i], r, 1));
        REFUSED(x86_mov_imm(&as, bad_sizes[i], r, 1));
        REFUSED(x86_movzx(&as, bad_sizes[i], X86_RAX, r));
        REFUSED(x86_movsx(&as, 8, bad_sizes[i], X86_RAX, r));
        REFUSED(x86_imul_imm(&as, bad_sizes[i], X86_RAX, r, 1));
    }
    REFUSED(x86_alu(&as, X86_CMP + 1, 8, X86_RAX, r));
    REFUSED(x86_alu_to(&as, X86_CMP + 1, 8, r, X86_RAX));
    REFUSED(x86_alu_imm(&as, X86_CMP + 1, 8, r, 1));
    REFUSED(x86_lock_alu(&as, X86_CMP + 1, 8, x86_at(X86_RAX, 0), X86_RAX));
    REFUSED(x86_mov(&as, 8, X86_RAX, odd));
    REFUSED(x86_mov(&as, 8, X86_RAX, x86_indexed(X86_NONE, X86_RCX, 0, 0)));
    REFUSED(x86_mov(&as, 8, X86_NONE, r));
    REFUSED(x86_mov(&as, 8, X86_RAX, bad));
    REFUSED(x86_mov(&as, 8, X86_RAX, x86_at(X86_NONE + 1, 0)));
    REFUSED(x86_push(&as, bad));
    REFUSED(x86_movabs(&as, X86_NONE, 1));
    REFUSED(x86_jmp(&as, 1));
    REFUSED(x86_lea(&as, 8, X86_RAX, x86_in(7, 0)));
    REFUSED(x86_bind(&as, 0)); /* a second time */
    REFUSED(x86_bind(&as, 9));
    REFUSED(x86_call(&as, x86_label(&as))); /* never bound */
    REFUSED(x86_align(&as, 24, 64));
    REFUSED(x86_align(&as, 0, 64));
    /* The first error stays, whatever follows. */
    begin();
    x86_mov(&as, 3, X86_RAX, r);
    x86_mov(&as, 8, X86_RAX, r);
    assert_int_equal(as.err, -EINVAL);
    assert_int_equal(as.len, 0);
    /* After the layout nothing can be added. */
    begin();
    assert_int_equal(x86_finish(&as), 0);
    x86_plain(&as, X86_RET);
    assert_int_equal(as.err, -EINVAL);
}

/* A label in memory operands that an immediate follows: the distance counts from the end of the instruction. */
static void labels_before_immediates(void **state)
{
    static const int64_t tail[] = {1, 300, 0x12345};

    (void)state;
    for (unsigned i = 0; i < COUNT(tail); i++)
        EACH_SIZE(size, 1)
        {
            struct x86_rm m = x86_in(0, -64);

            if (!holds(size, tail[i]))
                continue;
            CHECK(x86_alu_imm(&as, X86_ADD, size, m, tail[i]), "add", RM(size, m), I(size, tail[i]));
            CHECK(x86_mov_imm(&as, size, m, tail[i]), "mov", RM(size, m), I(size, tail[i]));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(addresses_are_short),
        cmocka_unit_test(moves),
        cmocka_unit_test(immediates_moved),
        cmocka_unit_test(conditional_moves),
        cmocka_unit_test(alu),
        cmocka_unit_test(alu_immediates),
        cmocka_unit_test(alu_immediates_are_short),
        cmocka_unit_test(one_operand),
        cmocka_unit_test(multiplications),
        cmocka_unit_test(shifts),
        cmocka_unit_test(shifts_without_flags),
        cmocka_unit_test(bits),
        cmocka_unit_test(without_operands),
        cmocka_unit_test(nops),
        cmocka_unit_test(bad_operands),
        cmocka_unit_test(labels_before_immediates),
    };

    return cmocka_run_group_tests(tests, setup, close_reader);
}

#endif
