/*
 * What operations of the intermediate form give for known operands. The meaning is that of the instructions in
 * vm/isa/isa.def; the few operations that have no instruction stand here.
 */
#include "vm/ir/opt.h"
#include "vm/isa/isa.h"

/* The 64-bit form with a register; the 32-bit one follows two later. */
static enum isa_op row_of(enum ir_kind kind)
{
    _Static_assert(ISA_ADD64_X + 2 == ISA_ADD32_X, "the four operations of a row stand in this order");
    switch (kind) {
    case IR_ADD: return ISA_ADD64_X;
    case IR_SUB: return ISA_SUB64_X;
    case IR_MUL: return ISA_MUL64_X;
    case IR_AND: return ISA_AND64_X;
    case IR_OR: return ISA_OR64_X;
    case IR_XOR: return ISA_XOR64_X;
    case IR_SHL: return ISA_LSH64_X;
    case IR_SHR: return ISA_RSH64_X;
    case IR_SAR: return ISA_ARSH64_X;
    case IR_UDIV: return ISA_DIV64_X;
    case IR_UMOD: return ISA_MOD64_X;
    case IR_SDIV: return ISA_SDIV64_X;
    case IR_SMOD: return ISA_SMOD64_X;
    default: return ISA_INVALID;
    }
}

static uint64_t rotate(unsigned width, uint64_t a, unsigned n)
{
    if (width == 8)
        return a << (n & 63) | a >> (-n & 63);
    return (uint32_t)((uint32_t)a << (n & 31) | (uint32_t)a >> (-n & 31));
}

static uint64_t extend(const struct ir_op *op, uint64_t a)
{
    unsigned up = 64 - 8 * op->size;
    uint64_t r = (uint64_t)((int64_t)(a << up) >> up);

    return op->width == 4 ? (uint32_t)r : r;
}

static uint64_t reverse(const struct ir_op *op, uint64_t a)
{
    return __builtin_bswap64(a) >> (64 - 8 * op->size);
}

uint64_t opt_eval(const struct ir_op *op, uint64_t a, uint64_t b)
{
    uint64_t all = op->width == 4 ? UINT32_MAX : UINT64_MAX;
    enum isa_op row;

    switch (op->kind) {
    case IR_ANDN: return ~a & b & all;
    case IR_ROL: return rotate(op->width, a, (unsigned)b);
    case IR_NEG: return -a & all;
    case IR_NOT: return ~a & all;
    case IR_MULHI: return (uint64_t)((unsigned __int128)a * b >> 64);
    case IR_ZEXT: return a & opt_ones(8 * op->size);
    case IR_SEXT: return extend(op, a);
    case IR_BSWAP: return reverse(op, a);
    default: row = row_of(op->kind); return isa_eval_alu(op->width == 4 ? row + 2 : row, a, b);
    }
}

bool opt_eval_cc(enum ir_cc cc, unsigned width, uint64_t a, uint64_t b)
{
    static const enum isa_op rows[] = {
        [IR_EQ] = ISA_JEQ64_X,   [IR_NE] = ISA_JNE64_X,   [IR_ULT] = ISA_JLT64_X,  [IR_UGE] = ISA_JGE64_X,
        [IR_ULE] = ISA_JLE64_X,  [IR_UGT] = ISA_JGT64_X,  [IR_SLT] = ISA_JSLT64_X, [IR_SGE] = ISA_JSGE64_X,
        [IR_SLE] = ISA_JSLE64_X, [IR_SGT] = ISA_JSGT64_X, [IR_TZ] = ISA_JSET64_X,  [IR_TNZ] = ISA_JSET64_X,
    };

    return isa_eval_jmp(width == 4 ? rows[cc] + 2 : rows[cc], a, b) != (cc == IR_TZ);
}

enum ir_cc opt_swap_cc(enum ir_cc cc)
{
    switch (cc) {
    case IR_ULT: return IR_UGT;
    case IR_UGT: return IR_ULT;
    case IR_UGE: return IR_ULE;
    case IR_ULE: return IR_UGE;
    case IR_SLT: return IR_SGT;
    case IR_SGT: return IR_SLT;
    case IR_SGE: return IR_SLE;
    case IR_SLE: return IR_SGE;
    default: return cc;
    }
}
