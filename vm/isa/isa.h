/*
 * The instruction set, made from isa.def. An `enum isa_op` names one operation completely: class, width, source and
 * what off, imm or src select. isa_rows[op] says how it is written as bytes and as text. Decoding never fails: bytes
 * that no row stands for are ISA_INVALID.
 */
#ifndef VM_ISA_ISA_H
#define VM_ISA_ISA_H

#include <skep/types.h>
#include <stdbool.h>

enum isa_op {
    ISA_INVALID,
#define ISA_ALU(name, code, off, text, expr)      ISA_##name##64_K, ISA_##name##64_X, ISA_##name##32_K, ISA_##name##32_X,
#define ISA_MOVSX(name, width, bits)              ISA_##name,
#define ISA_NEG(name, width)                      ISA_##name,
#define ISA_END(name, code, bits, text, expr)     ISA_##name,
#define ISA_JMP(name, code, text, expr)           ISA_##name##64_K, ISA_##name##64_X, ISA_##name##32_K, ISA_##name##32_X,
#define ISA_MEM(name, code, form, type, text)     ISA_##name,
#define ISA_ATOMIC(name, imm, text, expr)         ISA_ATOMIC_##name##64, ISA_ATOMIC_##name##32,
#define ISA_ORDERED(name, code, imm, type, text)  ISA_##name,
#define ISA_LD_PKT(name, code, mode, type, text)  ISA_##name,
#define ISA_LDIMM(name, src, text)                ISA_##name,
#define ISA_CONTROL(name, code, key, value, form) ISA_##name,
#include "vm/isa/isa.def"
    ISA_OP_COUNT
};

/* Which operands an operation has, and so how it is written. */
enum isa_form {
    ISA_FORM_NONE,        /* ISA_INVALID */
    ISA_FORM_ALU_K,       /* dst, imm */
    ISA_FORM_ALU_X,       /* dst, src */
    ISA_FORM_MOVSX,       /* dst, src */
    ISA_FORM_NEG,         /* dst */
    ISA_FORM_END,         /* dst */
    ISA_FORM_JMP_K,       /* dst, imm, off */
    ISA_FORM_JMP_X,       /* dst, src, off */
    ISA_FORM_LDX,         /* dst, src, off */
    ISA_FORM_ST,          /* dst, off, imm */
    ISA_FORM_STX,         /* dst, src, off */
    ISA_FORM_ATOMIC,      /* dst, src, off */
    ISA_FORM_LOAD_ACQ,    /* dst, src, off */
    ISA_FORM_STORE_REL,   /* dst, src, off */
    ISA_FORM_LD_ABS,      /* imm */
    ISA_FORM_LD_IND,      /* src, imm */
    ISA_FORM_LDIMM,       /* dst, 64-bit imm over two slots */
    ISA_FORM_GOTO_OFF,    /* off */
    ISA_FORM_GOTO_IMM,    /* imm */
    ISA_FORM_MAY_GOTO,    /* off */
    ISA_FORM_CALL,        /* imm (off: the kfunc's BTF object) */
    ISA_FORM_CALL_REG,    /* dst (LLVM's encoding; gcc and old LLVM put the register into imm) */
    ISA_FORM_NO_OPERANDS, /* exit */
    ISA_FORM_CAST,        /* dst, src, imm = destination space << 16 | source space */
};

/* Which field beside the code byte selects the row among those that share it. */
enum isa_key { ISA_KEY_NONE, ISA_KEY_OFF, ISA_KEY_IMM, ISA_KEY_SRC };

struct isa_row {
    const char *name; /* "ADD64_K" */
    const char *text; /* operator or type, as the assembler writes it */
    uint8_t code;
    uint8_t form;  /* enum isa_form */
    uint8_t key;   /* enum isa_key */
    uint8_t width; /* 32 or 64 for ALU, jumps and atomics; the access size in bits for memory */
    int32_t value; /* of the key field */
};

extern const struct isa_row isa_rows[ISA_OP_COUNT];

/** The operation that these bytes stand for. Of off, imm and src it looks at what the row's key says, no further. */
enum isa_op isa_decode(const struct skep_insn *insn);

/** The instruction of an operation; the field that selects it (its row's key) is put in over what is given. */
struct skep_insn isa_encode(enum isa_op op, uint8_t dst, uint8_t src, int16_t off, int32_t imm);

/** Are the fields that this operation does not use zero, and registers in range, as Linux demands? The second slot of a
 *  two-slot instruction is the caller's to check. */
bool isa_fields_ok(const struct skep_insn *insn, enum isa_op op);

/** Does this operation take two slots? */
static inline bool isa_is_wide(enum isa_op op)
{
    return op >= ISA_LD_IMM64 && op <= ISA_LD_MAP_IDX_VALUE;
}

/** Evaluates an ALU operation (forms ALU_K, ALU_X, MOVSX, NEG, END) on 64-bit register values: what the destination
 *  becomes. b is the source's value, or the sign-extended immediate. Pure; shared by checked execution and folding. */
uint64_t isa_eval_alu(enum isa_op op, uint64_t a, uint64_t b);

/** Evaluates a conditional jump's condition. */
bool isa_eval_jmp(enum isa_op op, uint64_t a, uint64_t b);

/** Bytes a memory operation touches (LDX, ST, STX, atomic, ordered, packet loads), 0 for others. */
unsigned isa_access_size(enum isa_op op);

#endif
