/*
 * What isa.def says, as tables and functions. The rows are the only place where an operation's code, key and meaning
 * stand; everything here is made from them by the preprocessor.
 */
#include "vm/isa/isa.h"
#include "vm/isa/bodies.h"

#define ALU64 0x07
#define ALU32 0x04
#define JMP64 0x05
#define JMP32 0x06
#define SRC_X 0x08

/* Codes that isa.def leaves to the kind of row. */
#define MOVSX_CODE(width) ((width) == 64 ? 0xbf : 0xbc)
#define NEG_CODE(width)   ((width) == 64 ? 0x87 : 0x84)
#define ATOMIC_DW         0xdb
#define ATOMIC_W          0xc3
#define LDIMM             0x18

#define QUAD(n, t, op, c64, c32, fk, fx, keyed, v)                                                                     \
    [ISA_##n##64_K] = {#n "64_K", t, (op) | (c64), fk, keyed, 64, v},                                                  \
    [ISA_##n##64_X] = {#n "64_X", t, (op) | (c64) | SRC_X, fx, keyed, 64, v},                                          \
    [ISA_##n##32_K] = {#n "32_K", t, (op) | (c32), fk, keyed, 32, v},                                                  \
    [ISA_##n##32_X] = {#n "32_X", t, (op) | (c32) | SRC_X, fx, keyed, 32, v},

const struct isa_row isa_rows[ISA_OP_COUNT] = {
    [ISA_INVALID] = {"INVALID", "", 0, ISA_FORM_NONE, ISA_KEY_NONE, 0, 0},
#define ISA_ALU(n, op, off, t, expr) QUAD(n, t, op, ALU64, ALU32, ISA_FORM_ALU_K, ISA_FORM_ALU_X, ISA_KEY_OFF, off)
#define ISA_MOVSX(n, w, bits)        [ISA_##n] = {#n, "s" #bits, MOVSX_CODE(w), ISA_FORM_MOVSX, ISA_KEY_OFF, w, bits},
#define ISA_NEG(n, w)                [ISA_##n] = {#n, "-", NEG_CODE(w), ISA_FORM_NEG, ISA_KEY_NONE, w, 0},
#define ISA_END(n, c, bits, t, expr) [ISA_##n] = {#n, t, c, ISA_FORM_END, ISA_KEY_IMM, bits, bits},
#define ISA_JMP(n, op, t, expr)      QUAD(n, t, op, JMP64, JMP32, ISA_FORM_JMP_K, ISA_FORM_JMP_X, ISA_KEY_NONE, 0)
#define ISA_MEM(n, c, form, type, t) [ISA_##n] = {#n, t, c, ISA_FORM_##form, ISA_KEY_NONE, 8 * sizeof(type), 0},
#define ISA_ATOMIC(n, v, t, expr)                                                                                      \
    [ISA_ATOMIC_##n##64] = {"ATOMIC_" #n "64", t, ATOMIC_DW, ISA_FORM_ATOMIC, ISA_KEY_IMM, 64, v},                     \
    [ISA_ATOMIC_##n##32] = {"ATOMIC_" #n "32", t, ATOMIC_W, ISA_FORM_ATOMIC, ISA_KEY_IMM, 32, v},
#define ISA_ORDERED(n, c, v, type, t)                                                                                  \
    [ISA_##n] = {#n, t, c, (v) == 0x100 ? ISA_FORM_LOAD_ACQ : ISA_FORM_STORE_REL, ISA_KEY_IMM, 8 * sizeof(type), v},
#define ISA_LD_PKT(n, c, mode, type, t) [ISA_##n] = {#n, t, c, ISA_FORM_LD_##mode, ISA_KEY_NONE, 8 * sizeof(type), 0},
#define ISA_LDIMM(n, s, t)              [ISA_##n] = {#n, t, LDIMM, ISA_FORM_LDIMM, ISA_KEY_SRC, 64, s},
#define ISA_CONTROL(n, c, k, v, form)   [ISA_##n] = {#n, "", c, ISA_FORM_##form, ISA_KEY_##k, 64, v},
#include "vm/isa/isa.def"
};

/* Which key each code byte has. Rows that share a code share its key (tests/unit/test_isa.c), so that what a later row
 * writes over an earlier one is the same. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
#define KEYED(code, key) [code] = ISA_KEY_##key,
#define KEYED_QUAD(op, a, b, key)                                                                                      \
    KEYED((op) | (a), key) KEYED((op) | (a) | SRC_X, key) KEYED((op) | (b), key) KEYED((op) | (b) | SRC_X, key)
static const uint8_t key_of[256] = {
#define ISA_ALU(n, op, off, t, expr)  KEYED_QUAD(op, ALU64, ALU32, OFF)
#define ISA_MOVSX(n, w, bits)         KEYED(MOVSX_CODE(w), OFF)
#define ISA_END(n, c, bits, t, expr)  KEYED(c, IMM)
#define ISA_ATOMIC(n, v, t, expr)     KEYED(ATOMIC_DW, IMM) KEYED(ATOMIC_W, IMM)
#define ISA_ORDERED(n, c, v, type, t) KEYED(c, IMM)
#define ISA_LDIMM(n, s, t)            KEYED(LDIMM, SRC)
#define ISA_CONTROL(n, c, k, v, form) KEYED(c, k)
#include "vm/isa/isa.def"
};
#pragma GCC diagnostic pop

/* A row's code and key value as one number: two rows with the same number do not compile. */
#define WHICH(code, value) ((uint64_t)(code) << 32 | (uint32_t)(value))
#define IS(code, value, op)                                                                                            \
    case WHICH(code, value):                                                                                           \
        return ISA_##op;
#define IS_QUAD(n, op, a, b, value)                                                                                    \
    IS((op) | (a), value, n##64_K)                                                                                     \
    IS((op) | (a) | SRC_X, value, n##64_X) IS((op) | (b), value, n##32_K) IS((op) | (b) | SRC_X, value, n##32_X)

enum isa_op isa_decode(const struct skep_insn *insn)
{
    const int32_t fields[] = {
        [ISA_KEY_NONE] = 0, [ISA_KEY_OFF] = insn->off, [ISA_KEY_IMM] = insn->imm, [ISA_KEY_SRC] = insn->src_reg};

    switch (WHICH(insn->code, fields[key_of[insn->code]])) {
#define ISA_ALU(n, op, off, t, expr)    IS_QUAD(n, op, ALU64, ALU32, off)
#define ISA_MOVSX(n, w, bits)           IS(MOVSX_CODE(w), bits, n)
#define ISA_NEG(n, w)                   IS(NEG_CODE(w), 0, n)
#define ISA_END(n, c, bits, t, expr)    IS(c, bits, n)
#define ISA_JMP(n, op, t, expr)         IS_QUAD(n, op, JMP64, JMP32, 0)
#define ISA_MEM(n, c, form, type, t)    IS(c, 0, n)
#define ISA_ATOMIC(n, v, t, expr)       IS(ATOMIC_DW, v, ATOMIC_##n##64) IS(ATOMIC_W, v, ATOMIC_##n##32)
#define ISA_ORDERED(n, c, v, type, t)   IS(c, v, n)
#define ISA_LD_PKT(n, c, mode, type, t) IS(c, 0, n)
#define ISA_LDIMM(n, s, t)              IS(LDIMM, s, n)
#define ISA_CONTROL(n, c, k, v, form)   IS(c, v, n)
#include "vm/isa/isa.def"
    default: return ISA_INVALID;
    }
}

struct skep_insn isa_encode(enum isa_op op, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
    const struct isa_row *row = &isa_rows[op];
    struct skep_insn insn = {.code = row->code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm};

    switch (row->key) {
    case ISA_KEY_OFF: insn.off = (int16_t)row->value; break;
    case ISA_KEY_IMM: insn.imm = row->value; break;
    case ISA_KEY_SRC: insn.src_reg = row->value & 15; break;
    default: break;
    }
    return insn;
}

/* Which of dst, src, off, imm a form leaves unused; Linux calls those fields reserved and wants them zero. */
enum { DST = 1, SRC = 2, OFF = 4, IMM = 8 };

static const uint8_t reserved[] = {
    [ISA_FORM_NONE] = 0,
    [ISA_FORM_ALU_K] = SRC,
    [ISA_FORM_ALU_X] = IMM,
    [ISA_FORM_MOVSX] = IMM,
    [ISA_FORM_NEG] = SRC | OFF | IMM,
    [ISA_FORM_END] = SRC | OFF,
    [ISA_FORM_JMP_K] = SRC,
    [ISA_FORM_JMP_X] = IMM,
    [ISA_FORM_LDX] = IMM,
    [ISA_FORM_ST] = SRC,
    [ISA_FORM_STX] = IMM,
    [ISA_FORM_ATOMIC] = 0,
    [ISA_FORM_LOAD_ACQ] = 0,
    [ISA_FORM_STORE_REL] = 0,
    [ISA_FORM_LD_ABS] = DST | SRC | OFF,
    [ISA_FORM_LD_IND] = DST | OFF,
    [ISA_FORM_LDIMM] = OFF,
    [ISA_FORM_GOTO_OFF] = DST | SRC | IMM,
    [ISA_FORM_GOTO_IMM] = DST | SRC | OFF,
    [ISA_FORM_MAY_GOTO] = DST | IMM,
    [ISA_FORM_CALL] = DST,
    [ISA_FORM_CALL_REG] = SRC | OFF | IMM,
    [ISA_FORM_NO_OPERANDS] = DST | SRC | OFF | IMM,
    [ISA_FORM_CAST] = 0,
};

bool isa_fields_ok(const struct skep_insn *insn, enum isa_op op)
{
    uint8_t zero = reserved[isa_rows[op].form];

    if (op == ISA_INVALID)
        return false;
    if ((zero & DST && insn->dst_reg) || (zero & SRC && insn->src_reg) || (zero & OFF && insn->off) ||
        (zero & IMM && insn->imm))
        return false;
    if (op == ISA_CALL_HELPER || op == ISA_CALL_LOCAL)
        if (insn->off)
            return false;
    if (op == ISA_ADDR_SPACE_CAST && insn->imm != 1 && insn->imm != 1 << 16)
        return false;
    return insn->dst_reg <= 10 && (insn->src_reg <= 10 || isa_rows[op].form == ISA_FORM_LDIMM);
}

/* A row's four operations yield the same at one width, from an immediate or from a register. */
#define YIELD(op, value)                                                                                               \
    case ISA_##op:                                                                                                     \
        return value;
#define YIELD_QUAD(name)                                                                                               \
    YIELD(name##64_K, body_##name##64(a, b))                                                                           \
    YIELD(name##64_X, body_##name##64(a, b))                                                                           \
    YIELD(name##32_K, body_##name##32(a, b)) YIELD(name##32_X, body_##name##32(a, b))

uint64_t isa_eval_alu(enum isa_op op, uint64_t a, uint64_t b)
{
    switch (op) {
#define ISA_ALU(name, code, off, text, expr)  YIELD_QUAD(name)
#define ISA_MOVSX(name, width, bits)          YIELD(name, (uint##width##_t)(int##bits##_t)b)
#define ISA_NEG(name, width)                  YIELD(name, (uint##width##_t)(0 - a))
#define ISA_END(name, code, bits, text, expr) YIELD(name, body_##name(a))
#include "vm/isa/isa.def"
    default: return 0;
    }
}

bool isa_eval_jmp(enum isa_op op, uint64_t a, uint64_t b)
{
    switch (op) {
#define ISA_JMP(name, code, text, expr) YIELD_QUAD(name)
#include "vm/isa/isa.def"
    default: return false;
    }
}

unsigned isa_access_size(enum isa_op op)
{
    switch (isa_rows[op].form) {
    case ISA_FORM_LDX:
    case ISA_FORM_ST:
    case ISA_FORM_STX:
    case ISA_FORM_ATOMIC:
    case ISA_FORM_LOAD_ACQ:
    case ISA_FORM_STORE_REL:
    case ISA_FORM_LD_ABS:
    case ISA_FORM_LD_IND: return isa_rows[op].width / 8;
    default: return 0;
    }
}
