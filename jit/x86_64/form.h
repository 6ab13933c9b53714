/*
 * How an instruction's form is said. An opcode is one word: the byte, its map, its mandatory prefix and what the form
 * does with sizes and registers (the OP_ flags).
 */
#ifndef JIT_X86_64_FORM_H
#define JIT_X86_64_FORM_H

#include "jit/x86_64/encode.h"

#define OP_0F      0x100u
#define OP_0F38    0x200u
#define OP_0F3A    0x300u
#define OP_MAP     0x300u
#define OP_66      0x1000u /* mandatory prefixes, of which a form has one at most */
#define OP_F3      0x2000u
#define OP_F2      0x3000u
#define OP_PP      0x3000u  /* as VEX numbers them */
#define OP_SIZED   0x4000u  /* the opcode of size 1; the next one is that of the other sizes */
#define OP_DIGIT   0x8000u  /* the reg field extends the opcode */
#define OP_RM8     0x10000u /* rm is a byte, whatever the size */
#define OP_LOCK    0x20000u
#define OP_FIXED   0x40000u /* 64 bits without REX.W */
#define OP_MEM     0x80000u /* rm must be memory */
#define MAX_LENGTH 16

struct x86_imm {
    uint64_t value;
    unsigned bytes;
};

static inline bool x86_is_size(unsigned size, unsigned least)
{
    return size >= least && (size == 1 || size == 2 || size == 4 || size == 8);
}

static inline bool x86_is_byte(int64_t v)
{
    return v >= INT8_MIN && v <= INT8_MAX;
}

/** Emits it. size: of the operands, in bytes; reg: a register, or what extends the opcode (OP_DIGIT). */
void x86_form(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct x86_rm m, struct x86_imm imm);
/** The forms with three operands. */
void x86_form_vex(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, unsigned second, struct x86_rm m,
                  struct x86_imm imm);
/** An opcode that holds its register in the three lowest bits. */
void x86_form_short(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct x86_imm imm);
/** So many bytes of v, the lowest first. @return behind them. */
uint8_t *x86_put_bytes(uint8_t *p, uint64_t v, unsigned bytes);

#endif
