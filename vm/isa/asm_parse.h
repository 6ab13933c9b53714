/*
 * Between the assembler's own files: asm.c (lines, labels, distances), asm_insn.c (statements), asm_value.c (what
 * stands right of `rN =`) and asm_operand.c (registers, numbers, addresses, targets). Every function that returns bool
 * takes what it names from the cursor, or logs what is wrong there and returns false, but for asm_try_reg().
 */
#ifndef VM_ISA_ASM_PARSE_H
#define VM_ISA_ASM_PARSE_H

#include "base/buf.h"
#include "vm/isa/asm.h"
#include "vm/isa/asm_lex.h"
#include "vm/isa/isa.h"

/* Where a distance goes: off, imm, or imm of a call, which may also turn out to name a helper. */
enum ref_kind { REF_OFF, REF_IMM, REF_CALL };

/* An instruction that waits for the distance to a label. */
struct ref {
    uint32_t slot, line;
    struct span name;
    char side; /* of a numeric label: 'b' before, 'f' after; 0: an ordinary label */
    uint8_t kind;
};

struct assembler {
    struct lex lx;
    const struct asm_opts *opts;
    bool said_wide;                        /* the line began with the code byte of a wide load: `(18) r1 = 0x7` */
    struct buf insns, lines, labels, refs; /* of skep_insn, uint32_t, label (asm.c) and ref */
};

struct reg {
    unsigned number;
    bool narrow; /* written w */
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

_Static_assert(ISA_ADD64_X == ISA_ADD64_K + 1 && ISA_ADD32_K == ISA_ADD64_K + 2 && ISA_ADD32_X == ISA_ADD64_K + 3,
               "a row's four operations follow one another as asm_pick() counts");

/** The one among a row's four operations, of which first is that on 64 bits with an immediate. */
static inline enum isa_op asm_pick(enum isa_op first, bool narrow, bool by_register)
{
    return (enum isa_op)(first + (narrow ? 2 : 0) + (by_register ? 1 : 0));
}

/* What statements become. */
uint32_t asm_slots(const struct assembler *as);
bool asm_emit_raw(struct assembler *as, struct skep_insn insn);
bool asm_emit(struct assembler *as, enum isa_op op, unsigned dst, unsigned src, int16_t off, int64_t imm);
bool asm_emit_wide(struct assembler *as, enum isa_op op, unsigned dst, uint64_t imm);
/** Notes that the next instruction's distance is that to a label. */
bool asm_refer(struct assembler *as, enum ref_kind kind, struct span name, char side);

/* Operands. */
bool asm_want(struct assembler *as, const char *chars);
/** Takes a register if one stands here; it is no failure when none does. */
bool asm_try_reg(struct assembler *as, struct reg *out);
bool asm_reg(struct assembler *as, struct reg *out);
bool asm_reg_like(struct assembler *as, bool narrow, struct reg *out);
bool asm_wide_reg(struct assembler *as, unsigned *out);
/** A register that holds a value of this type: w only where 64 bits are neither read nor made. */
bool asm_value_reg(struct assembler *as, const char *type, unsigned *out);
/** A number of so many bits; `what` names it in a message. */
bool asm_ranged(struct assembler *as, unsigned bits, bool is_signed, const char *what, int64_t *out);
bool asm_imm32(struct assembler *as, int64_t *out);
/** `r1 + 4` */
bool asm_address(struct assembler *as, unsigned *base, int16_t *off);
/** `u32 *)`, after its opening parenthesis; *out is the type's name. */
bool asm_type(struct assembler *as, const char **out);
/** `(u32 *)(r1 + 4)` */
bool asm_typed_address(struct assembler *as, const char **type, unsigned *base, int16_t *off);
/** `+3`, `pc-2`, `label`, `1f`: the distance, or 0 with a reference noted. */
bool asm_target(struct assembler *as, enum ref_kind kind, int64_t *out);
/** What llvm-objdump writes behind a target, if it stands here: `<main+0x20>`. */
bool asm_skip_symbol(struct assembler *as);

/** The operation of this form on this type among those from first to last; ISA_INVALID: none. */
enum isa_op asm_memory_op(enum isa_op first, enum isa_op last, uint8_t form, const char *type);
/** The one of an atomic's two operations, of which wide is that on 64 bits. */
enum isa_op asm_of_width(enum isa_op wide, bool narrow);
bool asm_atomic_type(struct assembler *as, const char *at, const char *type);

/* Statements. */
bool asm_instruction(struct assembler *as);
bool asm_value(struct assembler *as, struct reg dst);

#endif
