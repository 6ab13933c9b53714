/* The instruction table, decoding, and evaluation against C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/isa/isa.h"
#include <string.h>

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void every_row_decodes_to_itself(void **state)
{
    (void)state;
    for (unsigned op = ISA_INVALID + 1; op < ISA_OP_COUNT; op++) {
        struct skep_insn insn = isa_encode((enum isa_op)op, 0, 0, 0, 0);

        if (op == ISA_ADDR_SPACE_CAST)
            insn.imm = 1;
        assert_string_not_equal(isa_rows[op].name, "");
        assert_int_equal(isa_decode(&insn), op);
        assert_true(isa_fields_ok(&insn, (enum isa_op)op));
    }
}

/* Rows of one code byte share their key, and differ in its value. */
static void rows_do_not_overlap(void **state)
{
    (void)state;
    for (unsigned a = ISA_INVALID + 1; a < ISA_OP_COUNT; a++)
        for (unsigned b = a + 1; b < ISA_OP_COUNT; b++) {
            if (isa_rows[a].code != isa_rows[b].code)
                continue;
            assert_int_equal(isa_rows[a].key, isa_rows[b].key);
            assert_int_not_equal(isa_rows[a].key, ISA_KEY_NONE);
            assert_int_not_equal(isa_rows[a].value, isa_rows[b].value);
        }
}

/* What the table says by searching it from its beginning. */
static enum isa_op search(const struct skep_insn *insn)
{
    for (unsigned op = ISA_INVALID + 1; op < ISA_OP_COUNT; op++) {
        const struct isa_row *row = &isa_rows[op];
        int32_t field = row->key == ISA_KEY_OFF   ? insn->off
                        : row->key == ISA_KEY_IMM ? insn->imm
                        : row->key == ISA_KEY_SRC ? insn->src_reg
                                                  : row->value;

        if (row->code == insn->code && field == row->value)
            return (enum isa_op)op;
    }
    return ISA_INVALID;
}

static void decoding_is_the_table_searched(void **state)
{
    static const int16_t offs[] = {0, 1, 2, 8, 16, 24, 32, -1};
    static const int32_t imms[] = {0,    1,    16,   32,   64,   0x40, 0x41, 0x50,  0x51,  0xa0,
                                   0xa1, 0xe0, 0xe1, 0xf0, 0xf1, 0xb1, 0x80, 0x100, 0x110, -1};

    (void)state;
    for (unsigned code = 0; code < 256; code++)
        for (unsigned src = 0; src < 16; src++)
            for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++)
                for (size_t j = 0; j < sizeof(imms) / sizeof(imms[0]); j++) {
                    struct skep_insn insn = {
                        .code = (uint8_t)code, .src_reg = src & 15, .off = offs[i], .imm = imms[j]};

                    assert_int_equal(isa_decode(&insn), search(&insn));
                }
}

static void reserved_fields_must_be_zero(void **state)
{
    struct skep_insn insn;

    (void)state;
    insn = isa_encode(ISA_ADD64_K, 1, 2, 0, 5);
    assert_false(isa_fields_ok(&insn, ISA_ADD64_K));
    insn = isa_encode(ISA_ADD64_X, 1, 2, 0, 5);
    assert_false(isa_fields_ok(&insn, ISA_ADD64_X));
    insn = isa_encode(ISA_ADD64_X, 11, 2, 0, 0);
    assert_false(isa_fields_ok(&insn, ISA_ADD64_X));
    insn = isa_encode(ISA_LDX_DW, 1, 12, 0, 0);
    assert_false(isa_fields_ok(&insn, ISA_LDX_DW));
    insn = isa_encode(ISA_EXIT, 0, 0, 1, 0);
    assert_false(isa_fields_ok(&insn, ISA_EXIT));
    insn = isa_encode(ISA_ADDR_SPACE_CAST, 1, 2, 0, 2);
    assert_false(isa_fields_ok(&insn, ISA_ADDR_SPACE_CAST));
    insn = isa_encode(ISA_CALL_HELPER, 0, 0, 3, 1);
    assert_false(isa_fields_ok(&insn, ISA_CALL_HELPER));
    insn = isa_encode(ISA_CALL_KFUNC, 0, 0, 3, 1);
    assert_true(isa_fields_ok(&insn, ISA_CALL_KFUNC));
    assert_false(isa_fields_ok(&insn, ISA_INVALID));
}

static const uint64_t borders[] = {
    0,
    1,
    2,
    31,
    32,
    33,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x17fffffff,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xfffffffffffffffe,
    0xffffffffffffffff,
    0xffffffff80000000,
    0x0123456789abcdef,
};

enum { N_BORDERS = sizeof(borders) / sizeof(borders[0]) };

/* Both operands from the borders, or from anywhere. */
static void operands(unsigned i, uint64_t *a, uint64_t *b)
{
    *a = i < N_BORDERS * N_BORDERS ? borders[i / N_BORDERS] : random64();
    *b = i < N_BORDERS * N_BORDERS ? borders[i % N_BORDERS] : random64();
}

enum { ROUNDS = N_BORDERS * N_BORDERS + 2000 };

static uint64_t shift_right_signed(uint64_t v, unsigned by, unsigned width)
{
    bool negative = v >> (width - 1) & 1;

    while (by--) {
        v >>= 1;
        if (negative)
            v |= 1ull << (width - 1);
    }
    return v;
}

/* Signed division by magnitudes, so that it shares nothing with the table's expression. */
static uint64_t divide_signed(uint64_t a, uint64_t b, unsigned width, bool remainder)
{
    uint64_t mask = width == 64 ? UINT64_MAX : UINT32_MAX;
    bool na = a >> (width - 1) & 1, nb = b >> (width - 1) & 1;
    uint64_t ma = (na ? 0 - a : a) & mask, mb = (nb ? 0 - b : b) & mask, r;

    if (!mb)
        return remainder ? a : 0;
    r = remainder ? ma % mb : ma / mb;
    return ((remainder ? na : na != nb) ? 0 - r : r) & mask;
}

static uint64_t expect_alu(char kind, uint64_t a, uint64_t b, unsigned width)
{
    uint64_t mask = width == 64 ? UINT64_MAX : UINT32_MAX;
    unsigned by = (unsigned)b & (width - 1);

    a &= mask;
    b &= mask;
    switch (kind) {
    case '+': return (a + b) & mask;
    case '-': return (a + ~b + 1) & mask;
    case '*': return (uint64_t)((unsigned __int128)a * b) & mask;
    case '/': return b ? a / b : 0;
    case '%': return b ? a - a / b * b : a;
    case 'd': return divide_signed(a, b, width, false);
    case 'm': return divide_signed(a, b, width, true);
    case '|': return a | b;
    case '&': return a & b;
    case '^': return (a | b) & ~(a & b);
    case '<': return (uint64_t)((unsigned __int128)a << by) & mask;
    case '>': return a >> by;
    case 's': return shift_right_signed(a, by, width);
    default: return b;
    }
}

static void arithmetic_is_c_arithmetic(void **state)
{
    static const struct {
        enum isa_op op;
        char kind;
    } rows[] = {{ISA_ADD64_K, '+'},  {ISA_SUB64_K, '-'},  {ISA_MUL64_K, '*'},  {ISA_DIV64_K, '/'}, {ISA_MOD64_K, '%'},
                {ISA_SDIV64_K, 'd'}, {ISA_SMOD64_K, 'm'}, {ISA_OR64_K, '|'},   {ISA_AND64_K, '&'}, {ISA_XOR64_K, '^'},
                {ISA_LSH64_K, '<'},  {ISA_RSH64_K, '>'},  {ISA_ARSH64_K, 's'}, {ISA_MOV64_K, '='}};
    uint64_t a, b;

    (void)state;
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
        for (unsigned i = 0; i < ROUNDS; i++) {
            operands(i, &a, &b);
            assert_int_equal(isa_eval_alu(rows[r].op, a, b), expect_alu(rows[r].kind, a, b, 64));
            assert_int_equal(isa_eval_alu(rows[r].op + 1, a, b), expect_alu(rows[r].kind, a, b, 64));
            assert_int_equal(isa_eval_alu(rows[r].op + 2, a, b), expect_alu(rows[r].kind, a, b, 32));
            assert_int_equal(isa_eval_alu(rows[r].op + 3, a, b), expect_alu(rows[r].kind, a, b, 32));
        }
}

static void one_operand_operations(void **state)
{
    const uint64_t v = 0x8182838485868788;

    (void)state;
    assert_int_equal(isa_eval_alu(ISA_NEG64, 1, 0), UINT64_MAX);
    assert_int_equal(isa_eval_alu(ISA_NEG64, INT64_MIN, 0), (uint64_t)INT64_MIN);
    assert_int_equal(isa_eval_alu(ISA_NEG32, 1, 0), UINT32_MAX);
    assert_int_equal(isa_eval_alu(ISA_NEG32, 0x180000000, 0), 0x80000000);
    assert_int_equal(isa_eval_alu(ISA_MOVSX8_64, 0, v), 0xffffffffffffff88);
    assert_int_equal(isa_eval_alu(ISA_MOVSX16_64, 0, v), 0xffffffffffff8788);
    assert_int_equal(isa_eval_alu(ISA_MOVSX32_64, 0, v), 0xffffffff85868788);
    assert_int_equal(isa_eval_alu(ISA_MOVSX8_32, 0, v), 0xffffff88);
    assert_int_equal(isa_eval_alu(ISA_MOVSX16_32, 0, v), 0xffff8788);
    assert_int_equal(isa_eval_alu(ISA_MOVSX8_64, 0, 0x17f), 0x7f);
    assert_int_equal(isa_eval_alu(ISA_BSWAP16, v, 0), 0x8887);
    assert_int_equal(isa_eval_alu(ISA_BSWAP32, v, 0), 0x88878685);
    assert_int_equal(isa_eval_alu(ISA_BSWAP64, v, 0), 0x8887868584838281);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    assert_int_equal(isa_eval_alu(ISA_BE16, v, 0), 0x8887);
    assert_int_equal(isa_eval_alu(ISA_BE32, v, 0), 0x88878685);
    assert_int_equal(isa_eval_alu(ISA_BE64, v, 0), 0x8887868584838281);
    assert_int_equal(isa_eval_alu(ISA_LE16, v, 0), 0x8788);
    assert_int_equal(isa_eval_alu(ISA_LE32, v, 0), 0x85868788);
    assert_int_equal(isa_eval_alu(ISA_LE64, v, 0), v);
#endif
}

static bool expect_jmp(enum isa_op first, uint64_t a, uint64_t b, unsigned width)
{
    uint64_t sign = 1ull << (width - 1), mask = width == 64 ? UINT64_MAX : UINT32_MAX;

    a &= mask;
    b &= mask;
    switch (first) {
    case ISA_JEQ64_K: return !(a ^ b);
    case ISA_JNE64_K: return (a ^ b) != 0;
    case ISA_JGT64_K: return b < a;
    case ISA_JLE64_K: return !(b < a);
    case ISA_JLT64_K: return a < b;
    case ISA_JGE64_K: return !(a < b);
    case ISA_JSGT64_K: return (b ^ sign) < (a ^ sign);
    case ISA_JSLE64_K: return !((b ^ sign) < (a ^ sign));
    case ISA_JSLT64_K: return (a ^ sign) < (b ^ sign);
    case ISA_JSGE64_K: return !((a ^ sign) < (b ^ sign));
    default: return (a & b) != 0;
    }
}

static void conditions_are_c_conditions(void **state)
{
    uint64_t a, b;

    (void)state;
    for (unsigned op = ISA_JEQ64_K; op <= ISA_JSET64_K; op += 4)
        for (unsigned i = 0; i < ROUNDS; i++) {
            operands(i, &a, &b);
            assert_int_equal(isa_eval_jmp((enum isa_op)op, a, b), expect_jmp((enum isa_op)op, a, b, 64));
            assert_int_equal(isa_eval_jmp((enum isa_op)(op + 1), a, b), expect_jmp((enum isa_op)op, a, b, 64));
            assert_int_equal(isa_eval_jmp((enum isa_op)(op + 2), a, b), expect_jmp((enum isa_op)op, a, b, 32));
            assert_int_equal(isa_eval_jmp((enum isa_op)(op + 3), a, b), expect_jmp((enum isa_op)op, a, b, 32));
        }
}

static void access_sizes_follow_the_types(void **state)
{
    (void)state;
    assert_int_equal(isa_access_size(ISA_LDX_B), 1);
    assert_int_equal(isa_access_size(ISA_LDSX_H), 2);
    assert_int_equal(isa_access_size(ISA_ST_W), 4);
    assert_int_equal(isa_access_size(ISA_STX_DW), 8);
    assert_int_equal(isa_access_size(ISA_ATOMIC_CMPXCHG32), 4);
    assert_int_equal(isa_access_size(ISA_ATOMIC_XCHG64), 8);
    assert_int_equal(isa_access_size(ISA_LOAD_ACQ_H), 2);
    assert_int_equal(isa_access_size(ISA_STORE_REL_B), 1);
    assert_int_equal(isa_access_size(ISA_LD_IND_W), 4);
    assert_int_equal(isa_access_size(ISA_ADD64_K), 0);
    assert_int_equal(isa_access_size(ISA_LD_IMM64), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_decodes_to_itself),    cmocka_unit_test(rows_do_not_overlap),
        cmocka_unit_test(decoding_is_the_table_searched), cmocka_unit_test(reserved_fields_must_be_zero),
        cmocka_unit_test(arithmetic_is_c_arithmetic),     cmocka_unit_test(one_operand_operations),
        cmocka_unit_test(conditions_are_c_conditions),    cmocka_unit_test(access_sizes_follow_the_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
